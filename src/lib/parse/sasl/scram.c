/* SPDX-License-Identifier: MIT */
#include "lib/parse/sasl/scram.h"

#include "lib/base/cursor.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"

/* RFC 5802 section 7: printable, as it is what nonces are made of; the comma ends an attribute. */
static bool
is_value(uint8_t b)
{
	return ch_is_print(b) && b != ',';
}

static bool
is_not_comma(uint8_t b)
{
	return b != ',' && b != 0;
}

/* saslname: "=2C" is a comma, "=3D" an equals sign, no other '=' may stand in it. */
static bool
saslname(struct slice in, struct arena *a, struct slice *out)
{
	uint8_t *p = arena_alloc(a, in.n + 1, 1);
	struct cursor c = cur_of(in);
	size_t n = 0;

	if (p == NULL)
		return false;
	for (int b; (b = cur_next(&c)) != -1;) {
		if (b != '=')
			p[n++] = (uint8_t)b;
		else if (cur_word(&c, S("2C")))
			p[n++] = ',';
		else if (cur_word(&c, S("3D")))
			p[n++] = '=';
		else
			return false;
	}
	*out = slice_of(p, n);
	return sasl_name_ok(*out);
}

/* gs2-header: ("p=" cb-name / "n" / "y") "," ["a=" saslname] "," */
static bool
header(struct cursor *c, struct arena *a, struct scram_first *f, struct slice *authzid)
{
	int flag = cur_next(c);
	struct slice raw;

	if (flag == 'p') {
		if (!cur_word(c, S("=tls-exporter")))
			return false;
	} else if (flag != 'n' && flag != 'y') {
		return false;
	}
	f->flag = (uint8_t)flag;
	if (!cur_byte(c, ','))
		return false;
	*authzid = S("");
	if (cur_word(c, S("a=")) && (!cur_take(c, is_not_comma, 3 * LIMIT_LOGIN_NAME, &raw) ||
					!saslname(raw, a, authzid)))
		return false;
	if (!cur_byte(c, ','))
		return false;
	f->header = slice_head(c->in, c->at);
	return f->header.n <= SCRAM_HEADER_MOST;
}

/* Attributes that nobody knows may follow, and mean nothing (RFC 5802 section 5.1); "m=" may not. */
static bool
extensions(struct cursor *c)
{
	struct slice value;

	while (!cur_done(c)) {
		if (!cur_byte(c, ',') || !ch_is_alpha((uint8_t)(cur_peek(c) == -1 ? 0 : cur_peek(c))) ||
		    cur_peek(c) == 'm')
			return false;
		(void)cur_next(c);
		if (!cur_byte(c, '=') || !cur_take(c, is_not_comma, SCRAM_BARE_MOST, &value))
			return false;
	}
	return true;
}

enum sasl_status
scram_first_parse(struct slice message, struct arena *a, struct scram_first *out)
{
	struct cursor c = cur_of(message);
	struct scram_first got = { 0 };
	struct slice authzid, raw;

	if (!header(&c, a, &got, &authzid))
		return SASL_REFUSE;
	got.bare = slice_from(message, c.at);
	if (got.bare.n > SCRAM_BARE_MOST || !cur_word(&c, S("n=")) ||
	    !cur_take(&c, is_not_comma, 3 * LIMIT_LOGIN_NAME, &raw) || !saslname(raw, a, &got.name) ||
	    !cur_word(&c, S(",r=")) || !cur_take(&c, is_value, SCRAM_NONCE_MOST, &got.nonce) ||
	    !extensions(&c))
		return SASL_REFUSE;
	if (authzid.n > 0 && !slice_eq(authzid, got.name))
		return SASL_REFUSE;
	*out = got;
	return SASL_OK;
}

enum sasl_status
scram_final_parse(struct slice message, struct arena *a, struct scram_final *out)
{
	struct scram_final got = { 0 };
	struct slice binding, rest, proof;
	struct cursor c = cur_of(message);
	size_t at = SLICE_NONE;

	for (size_t i = 0; i + 3 <= message.n; i++) /* p= stands last, and holds no comma */
		if (slice_starts(slice_from(message, i), S(",p=")))
			at = i;
	if (at == SLICE_NONE)
		return SASL_REFUSE;
	got.without_proof = slice_head(message, at);
	rest = slice_from(message, at + 3);
	c = cur_of(got.without_proof);
	if (!cur_word(&c, S("c=")) || !cur_take(&c, is_value, 1000, &binding) || !cur_word(&c, S(",r=")) ||
	    !cur_take(&c, is_value, 2 * SCRAM_NONCE_MOST, &got.nonce) || !extensions(&c))
		return SASL_REFUSE;
	if (!base64_decode(binding, a, &got.binding) || !base64_decode(rest, a, &proof) ||
	    proof.n != SCRAM_PROOF || got.without_proof.n > 1500)
		return SASL_REFUSE;
	memcpy(got.proof, proof.p, SCRAM_PROOF);
	*out = got;
	return SASL_OK;
}

enum sasl_status
scram_challenge_parse(struct slice message, struct arena *a, struct scram_challenge *out)
{
	struct scram_challenge got = { 0 };
	struct cursor c = cur_of(message);
	struct slice salt;

	if (!cur_word(&c, S("r=")) || !cur_take(&c, is_value, 2 * SCRAM_NONCE_MOST, &got.nonce) || !cur_word(&c, S(",s=")) ||
	    !cur_take(&c, is_value, SCRAM_BARE_MOST, &salt) || !cur_word(&c, S(",i=")) ||
	    !cur_u32(&c, UINT32_MAX, &got.iterations) || !extensions(&c))
		return SASL_REFUSE;
	if (!base64_decode(salt, a, &got.salt) || got.salt.n == 0)
		return SASL_REFUSE;
	*out = got;
	return SASL_OK;
}

enum sasl_status
scram_verdict_parse(struct slice message, struct arena *a, uint8_t signature[static SCRAM_PROOF])
{
	struct cursor c = cur_of(message);
	struct slice text, bytes;

	if (!cur_word(&c, S("v=")) || !cur_take(&c, is_value, SCRAM_BARE_MOST, &text) || !extensions(&c) ||
	    !base64_decode(text, a, &bytes) || bytes.n != SCRAM_PROOF)
		return SASL_REFUSE;
	memcpy(signature, bytes.p, SCRAM_PROOF);
	return SASL_OK;
}

bool
scram_offered(const struct scram_offer *o, bool plus, bool bindable)
{
	return !o->off && (plus ? bindable : !o->must_bind);
}

bool
scram_flag_ok(uint8_t flag, bool plus, bool offered)
{
	if (plus)
		return flag == 'p' && offered;
	return flag == 'n' || (flag == 'y' && !offered);
}

bool
scram_bound(struct slice header, uint8_t flag, struct slice binding, struct slice said)
{
	if (!slice_starts(said, header))
		return false;
	if (flag != 'p')
		return said.n == header.n;
	return binding.n == SCRAM_BINDING && slice_eq(slice_from(said, header.n), binding);
}
