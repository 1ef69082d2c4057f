/* SPDX-License-Identifier: MIT */
#include "lib/parse/sasl/oauth.h"

#include "lib/base/cursor.h"
#include "lib/base/limits.h"

static bool
is_name(uint8_t b)
{
	return b != ',' && b > 0x20 && b != 0x7f && b != '=';
}

static bool
is_token(uint8_t b)
{
	return ch_is_alnum(b) || slice_find_byte(S("-._~+/="), b) != SLICE_NONE;
}

static bool
is_value(uint8_t b)
{
	return b != 1 && (b == '\t' || b == '\r' || b == '\n' || b >= 0x20) && b != 0x7f;
}

static bool
is_key(uint8_t b)
{
	return ch_is_alpha(b);
}

/* kvpair = key "=" value kvsep. Only auth= matters; host= and port= are read over. */
static bool
pairs(struct cursor *c, struct oauth_bearer *b)
{
	struct slice key, value;

	while (!cur_byte(c, 1)) {
		if (!cur_take(c, is_key, 40, &key) || !cur_byte(c, '='))
			return false;
		if (slice_ieq(key, S("auth"))) {
			if (b->token.n > 0 || !cur_iword(c, S("Bearer ")) ||
			    !cur_take(c, is_token, OAUTH_TOKEN_MOST, &b->token))
				return false;
		} else {
			(void)cur_take(c, is_value, OAUTH_TOKEN_MOST, &value);
		}
		if (!cur_byte(c, 1))
			return false;
	}
	return cur_done(c) && b->token.n > 0;
}

enum sasl_status
oauth_bearer(struct slice line, struct arena *a, struct oauth_bearer *out)
{
	struct oauth_bearer got = { 0 };
	struct slice all;
	struct cursor c;
	enum sasl_status st = sasl_decode(line, a, &all);

	if (st != SASL_OK)
		return st;
	c = cur_of(all);
	if (!cur_word(&c, S("n,")))
		return SASL_REFUSE;
	if (cur_word(&c, S("a=")) && (!cur_take(&c, is_name, LIMIT_LOGIN_NAME, &got.name) ||
					 !sasl_name_ok(got.name)))
		return SASL_REFUSE;
	if (!cur_byte(&c, ',') || !cur_byte(&c, 1) || !pairs(&c, &got))
		return SASL_REFUSE;
	*out = got;
	return SASL_OK;
}
