/* SPDX-License-Identifier: MIT */
#include "lib/verify/dkim/dkim.h"

#include <idn2.h>

#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/verify/dkim/check.h"

struct slice
dkim_result_name(enum dkim_result r)
{
	static const struct slice names[] = { S_INIT("pass"), S_INIT("fail"), S_INIT("policy"),
		S_INIT("temperror"), S_INIT("permerror") };

	return names[r];
}

bool
dkim_ascii_domain(struct slice s, struct arena *a, struct slice *out)
{
	uint8_t *ascii = NULL;
	struct slice done;
	const char *z;
	uint8_t *p;
	bool good;

	if (ascii_only(s)) {
		p = arena_alloc(a, s.n, 1);
		if (p == NULL)
			return false;
		for (size_t i = 0; i < s.n; i++)
			p[i] = ch_lower(slice_at(s, i));
		*out = slice_of(p, s.n);
		return true;
	}
	z = arena_z(a, s);
	if (z == NULL || idn2_lookup_u8((const uint8_t *)z, &ascii, IDN2_NFC_INPUT) != IDN2_OK)
		return false;
	done = slice_z((const char *)ascii);
	good = dkim_domain_ok(done, 1) && arena_copy(a, done, out);
	idn2_free(ascii);
	return good;
}

struct job {
	const struct dkim_message *m;
	const struct dkim_rules *rules;
	struct resolver *dns;
	struct arena *a;
	struct dkim_bodies bodies;
};

static void
judge(struct dkim_verdict *v, enum dkim_result result, enum dkim_why why)
{
	v->result = result;
	v->why = why;
}

/* RFC 6376 6.1.1: i= within d=; and with names as the DNS has them. The selector comes back in ascii. */
static enum dkim_why
check_names(struct job *j, struct dkim_verdict *v, struct slice *selector)
{
	struct slice d, i;

	if (!dkim_ascii_domain(v->sig.domain, j->a, &d))
		return DKIM_BAD_D;
	if (!dkim_ascii_domain(v->sig.selector, j->a, selector))
		return DKIM_BAD_S;
	v->domain = d;
	if (!dkim_ascii_domain(v->sig.auid_domain, j->a, &i))
		return DKIM_BAD_I;
	if (!slice_ends(i, d) || (i.n > d.n && slice_at(i, i.n - d.n - 1) != '.'))
		return DKIM_I_NOT_IN_D;
	return DKIM_OK;
}

/* t=s of the key (RFC 6376 3.6.1). */
static bool
strict_violated(const struct dkim_verdict *v, const struct dkim_keyrec *key)
{
	return key->strict && !slice_ieq(v->sig.auid_domain, v->sig.domain);
}

/* The mathematics: fills crypto, key_bits, testing, unsigned_octets. DKIM_OK when it is right. */
static enum dkim_why
compute(struct job *j, struct dkim_verdict *v, const struct dkim_keys *keys,
    const struct dkim_hash *hash)
{
	const struct dkim_bodyhash *body;
	const struct dkim_keyrec *used = NULL;
	enum dkim_why why = dkim_check_signature(&v->sig, keys, hash, &v->key_bits, &used);

	PN_ASSERT(used != NULL);
	v->testing = used->testing;
	v->secure = keys->secure;
	if (why != DKIM_OK && why != DKIM_SIGNATURE_BAD)
		return why;
	if (strict_violated(v, used))
		return DKIM_KEY_STRICT;
	body = dkim_bodies_get(&j->bodies, &v->sig);
	if (v->sig.bh.n != body->n || memcmp(v->sig.bh.p, body->digest, body->n) != 0)
		why = DKIM_BODY_HASH;
	else if (v->sig.has_l && v->sig.l > body->whole)
		why = DKIM_BODY_SHORT;
	else if (v->sig.has_l)
		v->unsigned_octets = body->whole - v->sig.l;
	v->crypto = why == DKIM_OK ? DKIM_CRYPTO_GOOD : DKIM_CRYPTO_BAD;
	return why;
}

/* What a right signature is worth. defect: what was found before the computation. */
static void
weigh(struct dkim_verdict *v, enum dkim_why defect, size_t left_from)
{
	if (defect != DKIM_OK)
		judge(v, DKIM_RESULT_PERMERROR, defect);
	else if (v->sig.alg != DKIM_ED25519_SHA256 && v->key_bits < LIMIT_DKIM_RSA_BITS_MIN)
		judge(v, DKIM_RESULT_FAIL, DKIM_KEY_SHORT);
	else if (v->sig.alg == DKIM_RSA_SHA1)
		judge(v, DKIM_RESULT_POLICY, DKIM_SHA1);
	else if (v->unsigned_octets > 0)
		judge(v, DKIM_RESULT_POLICY, DKIM_BODY_PART);
	else if (left_from > 0)
		judge(v, DKIM_RESULT_POLICY, DKIM_FROM_EXTRA);
	else
		judge(v, DKIM_RESULT_PASS, DKIM_OK);
}

static bool
verify_one(struct job *j, const struct dkim_field *f, struct dkim_verdict *v)
{
	struct slice selector;
	enum dkim_why defect, why;
	struct dkim_keys keys;
	struct dkim_hash hash;
	size_t left_from;

	*v = (struct dkim_verdict){ .field = f };
	(void)dkim_sig_parse(f->value, DKIM_SIGNATURE, j->a, &v->sig);
	defect = v->sig.defect;
	if (defect == DKIM_LIMIT)
		return false;
	judge(v, DKIM_RESULT_PERMERROR, defect);
	if (!v->sig.usable)
		return true;
	why = check_names(j, v, &selector);
	if (why == DKIM_BAD_D || why == DKIM_BAD_S) {
		judge(v, DKIM_RESULT_PERMERROR, defect == DKIM_OK ? why : defect);
		return true;
	}
	if (defect == DKIM_OK)
		defect = why != DKIM_OK ? why : dkim_check_times(&v->sig, j->rules->now, j->rules->skew);
	if (!dkim_keys_get(j->dns, v->domain, selector, j->a, &keys, &why)) {
		judge(v, why == DKIM_DNS_TEMP ? DKIM_RESULT_TEMPERROR : DKIM_RESULT_PERMERROR,
		    defect == DKIM_OK || why == DKIM_DNS_TEMP ? why : defect);
		return true;
	}
	if (!dkim_header_hash(j->m, f, &v->sig, j->a, &hash, &left_from))
		return false;
	why = compute(j, v, &keys, &hash);
	if (v->crypto == DKIM_CRYPTO_GOOD)
		weigh(v, defect, left_from);
	else if (v->crypto == DKIM_CRYPTO_BAD && defect == DKIM_OK)
		judge(v, DKIM_RESULT_FAIL, why);
	else
		judge(v, DKIM_RESULT_PERMERROR, defect == DKIM_OK ? why : defect);
	return true;
}

bool
dkim_verify(const struct dkim_message *m, const struct dkim_rules *rules, struct resolver *dns,
    struct arena *a, struct dkim_verdicts *out)
{
	struct job j = { .m = m, .rules = rules, .dns = dns, .a = a, .bodies = { .body = m->body } };
	struct dkim_verdicts all = { 0 };
	const struct dkim_name *name = dkim_message_name(m, S("dkim-signature"));
	size_t todo = name == NULL ? 0 : name->n;

	/* the chain of a name runs upwards: walk it once and fill from the back */
	all.n = todo < LIMIT_DKIM_SIGNATURES ? todo : LIMIT_DKIM_SIGNATURES;
	all.over = todo - all.n;
	for (uint32_t at = name == NULL ? DKIM_NO_FIELD : name->last; at != DKIM_NO_FIELD;
	     at = m->fields[at].above)
		if (todo-- <= all.n)
			all.v[todo].field = &m->fields[at];
	for (size_t i = 0; i < all.n; i++)
		if (!verify_one(&j, all.v[i].field, &all.v[i]))
			return false;
	*out = all;
	return true;
}
