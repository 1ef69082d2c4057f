/* SPDX-License-Identifier: MIT */
#include "lib/verify/arc/arc.h"

#include "lib/verify/dkim/check.h"

/* Keys that this chain has asked for. */
struct known {
	struct slice domain, selector;
	struct dkim_keys keys;
	enum dkim_why why;
	struct known *next;
};

struct job {
	const struct dkim_message *m;
	const struct dkim_rules *rules;
	struct resolver *dns;
	struct arena *a;
	struct known *known;
	bool full;
};

static const struct known *
keys_for(struct job *j, const struct dkim_sig *sig)
{
	struct known *k;

	for (k = j->known; k != NULL; k = k->next)
		if (slice_ieq(k->domain, sig->domain) && slice_ieq(k->selector, sig->selector))
			return k;
	k = ARENA_NEW(j->a, struct known);
	if (k == NULL)
		return NULL;
	if (!dkim_ascii_domain(sig->domain, j->a, &k->domain))
		k->why = DKIM_BAD_D;
	else if (!dkim_ascii_domain(sig->selector, j->a, &k->selector))
		k->why = DKIM_BAD_S;
	else
		(void)!dkim_keys_get(j->dns, k->domain, k->selector, j->a, &k->keys, &k->why);
	k->next = j->known;
	j->known = k;
	return k;
}

/* RFC 8301 holds for ARC as well: no SHA-1, no key below 1024 bits. */
static enum dkim_why
check(struct job *j, const struct dkim_sig *sig, const struct dkim_hash *hash)
{
	const struct dkim_keyrec *used = NULL;
	const struct known *k;
	enum dkim_why why;
	size_t bits;

	if (sig->alg == DKIM_RSA_SHA1)
		return DKIM_SHA1;
	k = keys_for(j, sig);
	if (k == NULL) {
		j->full = true;
		return DKIM_LIMIT;
	}
	if (k->why != DKIM_OK)
		return k->why;
	why = dkim_check_signature(sig, &k->keys, hash, &bits, &used);
	if (why == DKIM_OK && sig->alg == DKIM_RSA_SHA256 && bits < LIMIT_DKIM_RSA_BITS_MIN)
		return DKIM_KEY_SHORT;
	return why;
}

/* RFC 8617 5.1.1: the sets up to this one in order, the seal itself last and without its b=. */
static void
seal_hash(const struct arc_sets *s, size_t upto, struct dkim_hash *out)
{
	const struct arc_set *last = &s->sets[upto];
	const struct dkim_field *f = last->seal_field;
	size_t at = f->raw.n - f->value.n - (slice_ends(f->raw, S("\r\n")) ? 2 : 0);
	struct digest d;

	digest_begin(&d, DIGEST_SHA256);
	for (size_t k = 0; k <= upto; k++) {
		dkim_header_canon(DKIM_RELAXED, s->sets[k].aar->raw, dkim_digest_sink, &d);
		dkim_header_canon(DKIM_RELAXED, s->sets[k].ams_field->raw, dkim_digest_sink, &d);
		if (k < upto)
			dkim_header_canon(DKIM_RELAXED, s->sets[k].seal_field->raw, dkim_digest_sink,
			    &d);
	}
	dkim_header_canon_without(DKIM_RELAXED, f->raw, at + last->seal.b_from, at + last->seal.b_end,
	    dkim_digest_sink, &d);
	out->n = digest_end(&d, out->digest);
}

static enum dkim_why
check_message(struct job *j, const struct arc_set *set)
{
	struct dkim_bodies bodies = { .body = j->m->body };
	const struct dkim_bodyhash *body;
	struct dkim_hash hash;
	enum dkim_why why;
	size_t left;

	if (!dkim_header_hash(j->m, set->ams_field, &set->ams, j->a, &hash, &left)) {
		j->full = true;
		return DKIM_LIMIT;
	}
	why = dkim_check_times(&set->ams, j->rules->now, j->rules->skew);
	if (why == DKIM_OK)
		why = check(j, &set->ams, &hash);
	if (why != DKIM_OK)
		return why;
	body = dkim_bodies_get(&bodies, &set->ams);
	if (set->ams.bh.n != body->n || memcmp(set->ams.bh.p, body->digest, body->n) != 0)
		return DKIM_BODY_HASH;
	if (set->ams.has_l && set->ams.l != body->whole)
		return set->ams.l < body->whole ? DKIM_BODY_PART : DKIM_BODY_SHORT;
	return DKIM_OK;
}

static void
fail(struct arc_chain *c, enum dkim_why why, size_t at, bool seal)
{
	c->cv = ARC_FAIL;
	c->why = why;
	c->at = (uint32_t)at;
	c->seal = seal;
	c->temporary = why == DKIM_DNS_TEMP;
}

static void
validate(struct job *j, struct arc_chain *c)
{
	enum dkim_why why = check_message(j, &c->sets.sets[c->sets.n - 1]);
	struct dkim_hash hash;

	if (why != DKIM_OK) {
		fail(c, why, c->sets.n, false);
		return;
	}
	for (size_t k = c->sets.n; k > 0; k--) {
		seal_hash(&c->sets, k - 1, &hash);
		why = check(j, &c->sets.sets[k - 1].seal, &hash);
		if (why != DKIM_OK) {
			fail(c, why, k, true);
			return;
		}
	}
	c->cv = ARC_PASS;
}

bool
arc_verify(const struct dkim_message *m, const struct dkim_rules *rules, struct resolver *dns,
    struct arena *a, struct arc_chain *out)
{
	struct job j = { .m = m, .rules = rules, .dns = dns, .a = a };
	struct arc_chain c = { .cv = ARC_NONE };

	if (!arc_sets_find(m, a, &c.sets))
		return false;
	if (c.sets.why != DKIM_OK)
		fail(&c, c.sets.why, c.sets.at, false);
	else if (c.sets.n > 0)
		validate(&j, &c);
	if (j.full)
		return false;
	*out = c;
	return true;
}
