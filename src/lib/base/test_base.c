/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/cursor.h"
#include "lib/base/encode.h"
#include "lib/base/own.h"

static void
slices(void **state)
{
	struct slice head, tail;
	uint64_t v;

	assert_true(slice_ieq(S("AbC"), S("aBc")));
	assert_false(slice_ieq(S("\xc4"), S("\xe4"))); /* not the locale's case */
	assert_true(slice_cut(S("a=b=c"), '=', &head, &tail));
	assert_true(slice_eq(head, S("a")) && slice_eq(tail, S("b=c")));
	assert_false(slice_cut(S("abc"), '=', &head, &tail));
	assert_true(slice_eq(slice_trim(S(" \ta b\t ")), S("a b")));
	assert_true(slice_u64(S("18446744073709551615"), &v) && v == UINT64_MAX);
	assert_false(slice_u64(S("18446744073709551616"), &v));
	assert_false(slice_u64(S(""), &v) || slice_u64(S("-1"), &v) || slice_u64(S("1 "), &v));
	assert_int_equal(slice_count_byte(S("\n\n\x8a\x0b abcdefg\n\x0a\x8a\nabc\n"), '\n'), 6);
	assert_int_equal(slice_count_byte(S(""), '\n'), 0);
	assert_int_equal(slice_find(S("hello"), S("llo")), 2);
	assert_int_equal(slice_find(S("he"), S("llo")), SLICE_NONE);
	assert_true(slice_cmp(S("a"), S("ab")) < 0 && slice_cmp(S("b"), S("ab")) > 0);
}

static void
cursors(void **state)
{
	struct cursor c = cur_of(S("MAIL 123 x"));
	struct slice w;
	uint64_t v;

	assert_false(cur_iword(&c, S("RCPT")));
	assert_true(cur_iword(&c, S("mail")));
	assert_true(cur_byte(&c, ' '));
	assert_true(cur_u64(&c, 200, &v));
	assert_int_equal(v, 123);
	assert_int_equal(cur_skip(&c, ch_is_wsp), 1);
	assert_true(cur_take(&c, ch_is_alpha, 4, &w));
	assert_true(cur_done(&c));
	c = cur_of(S("12345"));
	assert_false(cur_u64(&c, 9999, &v));
	assert_true(c.bad);
	assert_int_equal(cur_peek(&c), -1); /* sticky */
	c = cur_of(S("abcdef"));
	assert_false(cur_take(&c, ch_is_alpha, 3, &w));
	assert_true(c.bad);
	c = cur_of(S("\x01\x02\x03"));
	assert_int_equal(cur_get_u16le(&c), 0x0201);
	assert_int_equal(cur_get_u16le(&c), 0);
	assert_true(c.bad);
}

static void
arenas(void **state)
{
	own(arena_p) a = arena_new("test", 100000);
	struct arena_mark m;
	struct slice s;
	uint8_t *p;

	p = arena_alloc(a, 10, 10);
	assert_non_null(p);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	m = arena_mark(a);
	assert_non_null(arena_alloc(a, 1, 70000));
	assert_null(arena_alloc(a, 1, 70000)); /* ceiling */
	assert_null(arena_alloc(a, SIZE_MAX / 2, 4));
	arena_rewind(a, m);
	assert_non_null(arena_alloc(a, 1, 70000));
	assert_true(arena_copy(a, S("abc"), &s) && slice_eq(s, S("abc")));
	assert_null(arena_z(a, S("a\0b")));
	assert_string_equal(arena_z(a, S("ab")), "ab");
}

static void
buffers(void **state)
{
	own(buf_t) b = { .max = 0 };

	buf_init(&b, 10);
	assert_true(buf_add(&b, S("12345")));
	assert_true(buf_u64(&b, 678));
	assert_false(buf_add(&b, S("abc")));
	assert_true(b.bad);
	assert_false(buf_byte(&b, 'x')); /* sticky */
	buf_reset(&b);
	assert_true(buf_add(&b, S("ab")));
	buf_drop_front(&b, 1);
	assert_true(slice_eq(buf_slice(&b), S("b")));
	buf_free(&b);
	buf_init(&b, 100);
	assert_true(buf_printable(&b, S("a\r\n\x1b\\"), 100));
	assert_true(slice_eq(buf_slice(&b), S("a\\x0d\\x0a\\x1b\\x5c")));
	buf_reset(&b);
	assert_true(buf_printable(&b, S("0123456789"), 6));
	assert_true(slice_eq(buf_slice(&b), S("012...")));
	buf_reset(&b);
	assert_true(buf_fmt(&b, "%s-%d", "x", 7));
	assert_true(slice_eq(buf_slice(&b), S("x-7")));
}

static void
encodings(void **state)
{
	static const struct {
		struct slice raw, b64;
	} table[] = { { S_INIT(""), S_INIT("") }, { S_INIT("f"), S_INIT("Zg==") }, { S_INIT("fo"), S_INIT("Zm8=") },
		{ S_INIT("foo"), S_INIT("Zm9v") }, { S_INIT("foobar"), S_INIT("Zm9vYmFy") } };
	static const char *bad[] = { "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "Z===", "====",
		"Zm 9", "Zm9v\n" };
	own(arena_p) a = arena_new("test", 10000);
	own(buf_t) b = { .max = 0 };
	struct slice out;
	size_t at = 0;

	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		buf_reset(&b);
		assert_true(base64_encode(&b, table[i].raw));
		assert_true(slice_eq(buf_slice(&b), table[i].b64));
		assert_true(base64_decode(table[i].b64, a, &out));
		assert_true(slice_eq(out, table[i].raw));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(base64_decode(slice_z(bad[i]), a, &out));
	assert_true(utf8_valid(S("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")));
	assert_false(utf8_valid(S("\xc0\x80")) || utf8_valid(S("\xed\xa0\x80")));
	assert_false(utf8_valid(S("\xf4\x90\x80\x80")) || utf8_valid(S("\xe2\x82")));
	assert_int_equal(utf8_next(S("\xe2\x82\xac"), &at), 0x20ac);
	assert_true(hex_decode(S("00fF"), a, &out) && slice_eq(out, S("\0\xff")));
	assert_false(hex_decode(S("0"), a, &out) || hex_decode(S("0g"), a, &out));
}

static void
words_of_a_list(void **state)
{
	struct slice rest = S("  one\ttwo   three "), w = S("kept");

	assert_true(slice_word(&rest, &w) && slice_eq(w, S("one")));
	assert_true(slice_word(&rest, &w) && slice_eq(w, S("two")));
	assert_true(slice_word(&rest, &w) && slice_eq(w, S("three")));
	assert_false(slice_word(&rest, &w));
	assert_true(slice_eq(w, S("three")) && rest.n == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(words_of_a_list),
		cmocka_unit_test(slices), cmocka_unit_test(cursors),
		cmocka_unit_test(arenas), cmocka_unit_test(buffers), cmocka_unit_test(encodings) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
