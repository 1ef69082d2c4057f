/* SPDX-License-Identifier: MIT */
#include "lib/parse/dkim/keyrec.h"

#include "lib/base/cursor.h"
#include "lib/base/limits.h"
#include "lib/parse/dkim/taglist.h"

static bool
no(enum dkim_why *why, enum dkim_why is)
{
	*why = is;
	return false;
}

/* True when the list holds that word. */
static bool
lists(struct slice list, struct slice word)
{
	struct slice item;
	bool more = true;

	while (dkim_list_next(&list, &more, &item))
		if (slice_ieq(item, word))
			return true;
	return false;
}

static bool
read_public(const struct dkim_tags *t, struct arena *a, struct dkim_keyrec *k, enum dkim_why *why)
{
	const struct dkim_tag *p = dkim_tags_find(t, S("p"));
	enum dkim_why bad;

	if (p == NULL)
		return no(why, DKIM_KEY_NO_P);
	if (p->value.n == 0)
		return no(why, DKIM_KEY_REVOKED);
	bad = dkim_base64(p->value, a, &k->public);
	return bad == DKIM_OK || no(why, bad == DKIM_LIMIT ? bad : DKIM_KEY_BROKEN);
}

bool
dkim_keyrec_parse(struct slice txt, struct arena *a, struct dkim_keyrec *out, enum dkim_why *why)
{
	struct dkim_keyrec k = { .sha1 = true, .sha256 = true };
	const struct dkim_tag *tag;
	struct dkim_tags t;

	if (txt.n > LIMIT_DKIM_KEY_RECORD || !dkim_tags_parse(txt, a, &t, why))
		return no(why, DKIM_KEY_SYNTAX);
	tag = dkim_tags_find(&t, S("v"));
	if (tag != NULL && (tag != &t.tags[0] || !slice_eq(tag->value, S("DKIM1"))))
		return no(why, DKIM_KEY_V);
	if (tag != NULL && (tag = dkim_tags_find(&t, S("g"))) != NULL && tag->value.n == 0)
		return no(why, DKIM_KEY_G);
	tag = dkim_tags_find(&t, S("k"));
	if (tag != NULL && slice_ieq(tag->value, S("ed25519")))
		k.type = DKIM_KEY_ED25519;
	else if (tag != NULL && !slice_ieq(tag->value, S("rsa")))
		return no(why, DKIM_KEY_K);
	tag = dkim_tags_find(&t, S("s"));
	if (tag != NULL && !lists(tag->value, S("*")) && !lists(tag->value, S("email")))
		return no(why, DKIM_KEY_S);
	tag = dkim_tags_find(&t, S("h"));
	if (tag != NULL) {
		k.sha1 = lists(tag->value, S("sha1"));
		k.sha256 = lists(tag->value, S("sha256"));
		if (!k.sha1 && !k.sha256)
			return no(why, DKIM_KEY_H);
	}
	tag = dkim_tags_find(&t, S("t"));
	k.testing = tag != NULL && lists(tag->value, S("y"));
	k.strict = tag != NULL && lists(tag->value, S("s"));
	if (!read_public(&t, a, &k, why))
		return false;
	*out = k;
	return true;
}

#define DER_INTEGER 0x02
#define DER_BITS 0x03
#define DER_SEQUENCE 0x30

/* The content of the next element, which must have that tag. */
static bool
der_take(struct cursor *c, uint8_t tag, struct slice *out)
{
	size_t n, octets;

	if (!cur_byte(c, tag))
		return cur_fail(c);
	n = cur_get_u8(c);
	if ((n & 0x80) != 0) {
		octets = n & 0x7f;
		if (octets == 0 || octets > 3)
			return cur_fail(c);
		for (n = 0; octets > 0; octets--)
			n = n << 8 | cur_get_u8(c);
	}
	return cur_bytes(c, n, out);
}

/* A positive INTEGER without its leading zeros. */
static bool
der_number(struct cursor *c, struct slice *out)
{
	struct slice s;

	if (!der_take(c, DER_INTEGER, &s) || s.n == 0 || (slice_at(s, 0) & 0x80) != 0)
		return cur_fail(c);
	while (s.n > 0 && slice_at(s, 0) == 0)
		s = slice_from(s, 1);
	*out = s;
	return s.n > 0 && (slice_at(s, s.n - 1) & 1) != 0;
}

static size_t
bit_length(struct slice n)
{
	size_t bits = (n.n - 1) * 8;

	for (uint8_t top = slice_at(n, 0); top != 0; top >>= 1)
		bits++;
	return bits;
}

/* SubjectPublicKeyInfo ::= SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING }: *inner gets what
 * the BIT STRING holds. */
static bool
unwrap(struct slice outer, struct slice *inner)
{
	static const struct slice rsa = S_INIT("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
	struct cursor c = cur_of(outer);
	struct slice alg, bits;

	if (!der_take(&c, DER_SEQUENCE, &alg) || !slice_starts(alg, rsa) ||
	    (alg.n != rsa.n && !slice_eq(slice_from(alg, rsa.n), S("\x05\x00"))))
		return false;
	if (!der_take(&c, DER_BITS, &bits) || !cur_done(&c) || bits.n == 0 || slice_at(bits, 0) != 0)
		return false;
	c = cur_of(slice_from(bits, 1));
	return der_take(&c, DER_SEQUENCE, inner) && cur_done(&c);
}

bool
dkim_rsa_parse(struct slice der, struct dkim_rsa *out)
{
	struct cursor c = cur_of(der);
	struct dkim_rsa k = { 0 };
	struct slice body, inner;

	if (!der_take(&c, DER_SEQUENCE, &body) || !cur_done(&c))
		return false;
	if (body.n > 0 && slice_at(body, 0) == DER_SEQUENCE) {
		if (!unwrap(body, &inner))
			return false;
		body = inner;
	}
	c = cur_of(body);
	if (!der_number(&c, &k.n) || !der_number(&c, &k.e) || !cur_done(&c))
		return false;
	if (k.e.n > 8 || (k.e.n == 1 && slice_at(k.e, 0) < 3))
		return false;
	k.bits = bit_length(k.n);
	*out = k;
	return true;
}
