/* SPDX-License-Identifier: MIT */
#include "lib/parse/sasl/sasl.h"

#include "lib/base/encode.h"
#include "lib/base/limits.h"

bool
sasl_name_ok(struct slice name)
{
	if (name.n == 0 || name.n > LIMIT_LOGIN_NAME || !utf8_valid(name))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (slice_at(name, i) < 0x20 || slice_at(name, i) == 0x7f)
			return false;
	return true;
}

bool
sasl_password_ok(struct slice password)
{
	return password.n > 0 && password.n <= LIMIT_PASSWORD &&
	    slice_find_byte(password, 0) == SLICE_NONE;
}

enum sasl_status
sasl_decode(struct slice line, struct arena *a, struct slice *out)
{
	if (slice_eq(line, S("*")))
		return SASL_CANCEL;
	if (slice_eq(line, S("="))) {
		*out = S("");
		return SASL_OK;
	}
	return base64_decode(line, a, out) ? SASL_OK : SASL_SYNTAX;
}

enum sasl_status
sasl_plain(struct slice line, struct arena *a, struct sasl_login *out)
{
	struct slice all, authzid, rest, name, password;
	enum sasl_status st = sasl_decode(line, a, &all);

	if (st != SASL_OK)
		return st;
	if (!slice_cut(all, 0, &authzid, &rest) || !slice_cut(rest, 0, &name, &password))
		return SASL_REFUSE;
	if (authzid.n > 0 && !slice_eq(authzid, name))
		return SASL_REFUSE;
	if (!sasl_name_ok(name) || !sasl_password_ok(password))
		return SASL_REFUSE;
	*out = (struct sasl_login){ .name = name, .password = password };
	return SASL_OK;
}

enum sasl_status
sasl_login_name(struct slice line, struct arena *a, struct slice *name)
{
	struct slice got;
	enum sasl_status st = sasl_decode(line, a, &got);

	if (st != SASL_OK)
		return st;
	if (!sasl_name_ok(got))
		return SASL_REFUSE;
	*name = got;
	return SASL_OK;
}

enum sasl_status
sasl_login_password(struct slice line, struct arena *a, struct slice *password)
{
	struct slice got;
	enum sasl_status st = sasl_decode(line, a, &got);

	if (st != SASL_OK)
		return st;
	if (!sasl_password_ok(got))
		return SASL_REFUSE;
	*password = got;
	return SASL_OK;
}
