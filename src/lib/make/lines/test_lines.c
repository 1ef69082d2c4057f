/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/own.h"
#include "lib/make/lines/lines.h"

static bool
put(void *arg, struct slice piece)
{
	return buf_add(arg, piece);
}

/* "#998x" stands for so many letters, "$" for CRLF. */
static void
write_out(const char *form, struct buf *b)
{
	struct slice in = slice_z(form);

	for (size_t i = 0; i < in.n; i++) {
		uint32_t times = 1;

		if (slice_at(in, i) == '$') {
			assert_true(buf_add(b, S("\r\n")));
			continue;
		}
		if (slice_at(in, i) == '#') {
			for (times = 0; slice_at(in, ++i) >= '0' && slice_at(in, i) <= '9';)
				times = times * 10 + slice_at(in, i) - '0';
		}
		for (uint32_t k = 0; k < times; k++)
			assert_true(buf_byte(b, slice_at(in, i)));
	}
}

static const struct {
	const char *name, *in, *out;
} rows[] = {
	{ "short", "A: b$$hello$", "A: b$$hello$" },
	{ "empty", "", "" },
	{ "998 octets", "A: #995b$$#998c$", "A: #995b$$#998c$" },
	{ "999 octets", "A:#997b$$#999c$", "A:#996b$ b$$#998c$ c$" },
	{ "a header with blanks", "To: #600a #300b #100c #800d$$x$", "To: #600a #300b$ #100c #800d$$x$" },
	{ "the name alone", "Subject: #995b$$", "Subject:$ #995b$$" },
	{ "a field behind it", "To: #600a #600b$Cc: x$$", "To: #600a$ #600b$Cc: x$$" },
	{ "a tab", "To: #600a\t#600b$$", "To: #600a$\t#600b$$" },
	{ "folded already", "To: a$\t#600a #600b$$", "To: a$\t#600a$ #600b$$" },
	{ "a header without blanks", "X:#1000a#1000b$$", "X:#996a$ #4a#993b$ #7b$$" },
	{ "blanks at the end of a header", "X: a#2500 $$x$", "X: a$$x$" },
	{ "blanks in a header", "X: a#2500 b$$x$", "X: a#994 $ b$$x$" },
	{ "a header line of blanks", "X: a$#1500 $$x$", NULL },
	{ "a body", "$#100a #1500b$", "$#100a$ #997b$ #503b$" },
	{ "many blanks in a body", "$a#2000 b$", NULL },
	{ "what is no boundary", "$#998a--boundary$", "$#998a$ --boundary$" },
	{ "what is no end", "$#998a.$", "$#998a$ .$" },
	{ "no end of line", "$#1000a", "$#998a$ aa" },
};

static size_t
nonblank(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++)
		if (slice_at(s, i) > ' ')
			assert_true(buf_byte(out, slice_at(s, i)));
	return out->n;
}

static void
holds(struct slice in)
{
	own(buf_t) out = { .max = 100000 }, x = { .max = 100000 }, y = { .max = 100000 };
	size_t breaks = 0;

	assert_true(lines_break(in, put, &out, &breaks));
	assert_false(lines_too_long(buf_slice(&out)));
	assert_int_equal(breaks > 0 || out.n != in.n, lines_too_long(in));
	(void)nonblank(in, &x);
	(void)nonblank(buf_slice(&out), &y);
	assert_true(slice_eq(buf_slice(&x), buf_slice(&y)));
}

static void
table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		own(buf_t) in = { .max = 100000 }, want = { .max = 100000 }, out = { .max = 100000 };
		size_t breaks;

		write_out(rows[i].in, &in);
		assert_true(lines_break(buf_slice(&in), put, &out, &breaks));
		if (rows[i].out != NULL) {
			write_out(rows[i].out, &want);
			if (!slice_eq(buf_slice(&want), buf_slice(&out)))
				fail_msg("%s: %.*s", rows[i].name, SFMT(buf_slice(&out)));
		}
		for (size_t n = 0; n <= in.n; n++)
			holds(slice_head(buf_slice(&in), n));
	}
}

/* A character of several octets stays whole wherever the break would come. */
static void
characters(void **state)
{
	static const struct slice chars[] = { S_INIT("\xc3\xbc"), S_INIT("\xe2\x82\xac"), S_INIT("\xf0\x9f\x98\x80") };

	(void)state;
	for (size_t k = 0; k < 3; k++)
		for (size_t lead = 0; lead < 4; lead++) {
			own(buf_t) in = { .max = 100000 }, out = { .max = 100000 };
			size_t breaks;

			assert_true(buf_add(&in, S("A: b\r\n\r\n")) && buf_add(&in, slice_head(S("xxxx"), lead)));
			while (in.n < 5000)
				assert_true(buf_add(&in, chars[k]));
			assert_true(lines_break(buf_slice(&in), put, &out, &breaks) && breaks == 5);
			for (size_t i = 0; i + 1 < out.n; i++)
				if (out.p[i] == '\r')
					assert_true(i < 7 || (out.p[i + 2] == ' ' && (out.p[i + 3] & 0xc0) == 0xc0));
		}
}

static bool
refuse(void *arg, struct slice piece)
{
	(void)piece;
	return (*(int *)arg)-- > 0;
}

static void
refused(void **state)
{
	own(buf_t) in = { .max = 100000 };
	size_t breaks;

	(void)state;
	write_out("A: b$$#2500a$x$", &in);
	for (int n = 0; n < 8; n++) {
		int left = n;

		assert_false(lines_break(buf_slice(&in), refuse, &left, &breaks));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(characters), cmocka_unit_test(refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
