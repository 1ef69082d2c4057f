/* SPDX-License-Identifier: MIT
 * All three readers on the input, and PLAIN also on the input encoded as base64, so that mutation
 * reaches behind the encoding. */
#include "lib/base/buf.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/parse/sasl/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(struct slice line, struct arena *a)
{
	struct sasl_login got;
	struct slice s;

	if (sasl_plain(line, a, &got) == SASL_OK) {
		PN_ASSERT(sasl_name_ok(got.name) && sasl_password_ok(got.password));
		PN_ASSERT(slice_find_byte(got.name, 0) == SLICE_NONE);
	}
	if (sasl_login_name(line, a, &s) == SASL_OK)
		PN_ASSERT(s.n > 0 && s.n <= LIMIT_LOGIN_NAME);
	if (sasl_login_password(line, a, &s) == SASL_OK)
		PN_ASSERT(s.n > 0 && s.n <= LIMIT_PASSWORD);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new("fuzz", LIMIT_ARENA_COMMAND);
	struct buf line;

	buf_init(&line, LIMIT_SMTP_AUTH_LINE);
	check(slice_of(data, n), a);
	if (base64_encode(&line, slice_of(data, n)))
		check(buf_slice(&line), a);
	buf_free(&line);
	arena_free(&a);
	return 0;
}
