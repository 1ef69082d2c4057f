/* SPDX-License-Identifier: MIT
 * The packets as libmilter reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/make/milter.h"

static void
packets(void **state)
{
	static const struct milter_macro macros[] = { { S_INIT("j"), S_INIT("mx.example") }, { S_INIT("i"), S_INIT("") },
		{ S_INIT("{auth_authen}"), S_INIT("alice") } };
	struct ip four = { { 192, 0, 2, 1 }, 4 }, none = { 0 };
	struct buf b;

	buf_init(&b, 1000);
	assert_true(make_milter_options(&b, 6, 0x7f, 0x1ff7ff));
	assert_true(slice_eq(buf_slice(&b), S("\0\0\0\x0dO\0\0\0\6\0\0\0\x7f\0\x1f\xf7\xff")));
	buf_reset(&b);
	assert_true(make_milter_macros(&b, 'C', macros, 3));
	assert_true(slice_eq(buf_slice(&b), S("\0\0\0\x23" "DCj\0mx.example\0{auth_authen}\0alice\0")));
	buf_reset(&b);
	assert_true(make_milter_connect(&b, S("[x]"), &four, 12345));
	assert_true(slice_eq(buf_slice(&b), S("\0\0\0\x12" "C[x]\0" "4\x30\x39" "192.0.2.1\0")));
	buf_reset(&b);
	assert_true(make_milter_connect(&b, S("[x]"), &none, 0));
	assert_true(slice_eq(buf_slice(&b), S("\0\0\0\6C[x]\0U")));
	buf_reset(&b);
	assert_true(make_milter_text(&b, 'H', S("a")) && make_milter_path(&b, 'M', S("")) && make_milter_path(&b, 'R', S("a@b")));
	assert_true(slice_eq(buf_slice(&b), S("\0\0\0\3Ha\0" "\0\0\0\4M<>\0" "\0\0\0\7R<a@b>\0")));
	buf_reset(&b);
	assert_true(make_milter_header(&b, S("A"), S(" b")) && make_milter_bare(&b, 'N') && make_milter_body(&b, S("x\0y")) &&
	    make_milter_bare(&b, 'E'));
	assert_true(slice_eq(buf_slice(&b), S("\0\0\0\6LA\0 b\0" "\0\0\0\1N" "\0\0\0\4Bx\0y" "\0\0\0\1E")));
	buf_free(&b);
}

static void
limits(void **state)
{
	static uint8_t much[70000];
	struct buf b;

	buf_init(&b, 200000);
	assert_true(make_milter_body(&b, slice_of(much, 65535)));
	assert_false(make_milter_body(&b, slice_of(much, 65536)));
	buf_reset(&b);
	assert_false(make_milter_header(&b, S("A"), S("x\0y")));
	buf_reset(&b);
	assert_false(make_milter_path(&b, 'R', S("x\0y")));
	buf_free(&b);
	buf_init(&b, 10);
	assert_false(make_milter_text(&b, 'H', S("does not fit")));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(packets), cmocka_unit_test(limits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
