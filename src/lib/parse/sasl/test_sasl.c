/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/sasl/sasl.h"

/* What stands before base64; U-005. */
static const struct {
	struct slice in;
	enum sasl_status want;
	struct slice name, password;
} plain[] = {
	{ S_INIT("\0tim\0tanstaaftanstaaf"), SASL_OK, S_INIT("tim"), S_INIT("tanstaaftanstaaf") },
	{ S_INIT("tim\0tim\0x"), SASL_OK, S_INIT("tim"), S_INIT("x") },
	{ S_INIT("\0b\xc3\xbc@x\0p\xff"), SASL_OK, S_INIT("b\xc3\xbc@x"), S_INIT("p\xff") },
	{ S_INIT("\0%u*' OR 1=1;--\0x"), SASL_OK, S_INIT("%u*' OR 1=1;--"), S_INIT("x") },
	{ S_INIT("root\0tim\0x"), SASL_REFUSE, S_INIT(""), S_INIT("") },
	{ S_INIT("\0tim\0x\0"), SASL_REFUSE, S_INIT(""), S_INIT("") },
	{ S_INIT("\0tim\0x\0y"), SASL_REFUSE, S_INIT(""), S_INIT("") },
	{ S_INIT("\0tim"), SASL_REFUSE, S_INIT(""), S_INIT("") },
	{ S_INIT("\0tim\0"), SASL_REFUSE, S_INIT(""), S_INIT("") },
	{ S_INIT("\0\0x"), SASL_REFUSE, S_INIT(""), S_INIT("") },
	{ S_INIT("tim"), SASL_REFUSE, S_INIT(""), S_INIT("") },
	{ S_INIT(""), SASL_REFUSE, S_INIT(""), S_INIT("") },
	{ S_INIT("\0a\nb\0x"), SASL_REFUSE, S_INIT(""), S_INIT("") },
	{ S_INIT("\0a\xff\0x"), SASL_REFUSE, S_INIT(""), S_INIT("") },
	{ S_INIT("\0a\x7f\0x"), SASL_REFUSE, S_INIT(""), S_INIT("") },
};

static void
plain_table(void **state)
{
	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
		own(arena_p) a = arena_new("test", 65536);
		struct sasl_login got = { 0 };
		struct buf line;

		buf_init(&line, 4096);
		assert_true(base64_encode(&line, plain[i].in));
		assert_int_equal(sasl_plain(buf_slice(&line), a, &got), plain[i].want);
		assert_true(slice_eq(got.name, plain[i].name) && slice_eq(got.password, plain[i].password));
		for (size_t cut = 1; cut < line.n; cut++) {
			enum sasl_status st = sasl_plain(slice_head(buf_slice(&line), cut), a, &got);

			assert_int_equal(st == SASL_SYNTAX, cut % 4 != 0);
		}
		buf_free(&line);
	}
}

static void
not_base64(void **state)
{
	own(arena_p) a = arena_new("test", 65536);
	struct sasl_login got;
	struct slice s;

	assert_int_equal(sasl_plain(S("*"), a, &got), SASL_CANCEL);
	assert_int_equal(sasl_plain(S("="), a, &got), SASL_REFUSE);
	assert_int_equal(sasl_plain(S("!!!!"), a, &got), SASL_SYNTAX);
	assert_int_equal(sasl_plain(S("AHRpbQB4 "), a, &got), SASL_SYNTAX);
	assert_int_equal(sasl_plain(S("AHRpbQB4="), a, &got), SASL_SYNTAX);
	assert_int_equal(sasl_login_name(S("Ym9i"), a, &s), SASL_OK);
	assert_true(slice_eq(s, S("bob")));
	assert_int_equal(sasl_login_name(S("="), a, &s), SASL_REFUSE);
	assert_int_equal(sasl_login_name(S("Yg9i"), a, &s), SASL_REFUSE); /* a control */
	assert_int_equal(sasl_login_password(S("c2VjcmV0"), a, &s), SASL_OK);
	assert_true(slice_eq(s, S("secret")));
	assert_int_equal(sasl_login_password(S("cwBj"), a, &s), SASL_REFUSE); /* a NUL */
	assert_int_equal(sasl_login_password(S("*"), a, &s), SASL_CANCEL);
}

static void
limits(void **state)
{
	static uint8_t big[LIMIT_PASSWORD + 1];
	own(arena_p) a = arena_new("test", 65536);
	struct sasl_login got;
	struct buf raw, line;

	memset(big, 'p', sizeof big);
	buf_init(&raw, 65536);
	buf_init(&line, 65536);
	assert_true(buf_add(&raw, S("\0tim\0")) && buf_add(&raw, slice_of(big, LIMIT_PASSWORD)));
	assert_true(base64_encode(&line, buf_slice(&raw)));
	assert_int_equal(sasl_plain(buf_slice(&line), a, &got), SASL_OK);
	assert_true(buf_byte(&raw, 'p'));
	buf_reset(&line);
	assert_true(base64_encode(&line, buf_slice(&raw)));
	assert_int_equal(sasl_plain(buf_slice(&line), a, &got), SASL_REFUSE); /* U-008 */
	assert_true(sasl_name_ok(slice_of(big, LIMIT_LOGIN_NAME)));
	assert_false(sasl_name_ok(slice_of(big, LIMIT_LOGIN_NAME + 1)));
	buf_free(&raw);
	buf_free(&line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_table),
		cmocka_unit_test(not_base64),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
