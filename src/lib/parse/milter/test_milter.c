/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/parse/milter/milter.h"

static const struct {
	struct slice packet;
	bool ok;
	enum milter_kind kind;
	const char *first, *second; /* of the texts in it; NULL: not looked at */
	uint32_t number;
} rows[] = {
	{ S_INIT("O\0\0\0\6\0\0\0\7\0\0\0\1"), true, MILTER_OPTIONS, NULL, NULL, 7 },
	{ S_INIT("O\0\0\0\6\0\0\0\7\0\0\0\1\0"), false, MILTER_OPTIONS, NULL, NULL, 0 },
	{ S_INIT("O\0\0\0\6"), false, MILTER_OPTIONS, NULL, NULL, 0 },
	{ S_INIT("c"), true, MILTER_CONTINUE, NULL, NULL, 0 },
	{ S_INIT("c\0"), false, MILTER_CONTINUE, NULL, NULL, 0 },
	{ S_INIT("a"), true, MILTER_ACCEPT, NULL, NULL, 0 },
	{ S_INIT("r"), true, MILTER_REJECT, NULL, NULL, 0 },
	{ S_INIT("t"), true, MILTER_TEMPFAIL, NULL, NULL, 0 },
	{ S_INIT("d"), true, MILTER_DISCARD, NULL, NULL, 0 },
	{ S_INIT("s"), true, MILTER_SKIPPED, NULL, NULL, 0 },
	{ S_INIT("p"), true, MILTER_PROGRESS, NULL, NULL, 0 },
	{ S_INIT("4"), true, MILTER_SHUTDOWN, NULL, NULL, 0 },
	{ S_INIT("f"), true, MILTER_SHUTDOWN, NULL, NULL, 0 },
	{ S_INIT("y550 5.7.1 spam\0"), true, MILTER_REPLY, "5.7.1", "spam", 550 },
	{ S_INIT("y451 later\0"), true, MILTER_REPLY, "", "later", 451 },
	{ S_INIT("y550\0"), true, MILTER_REPLY, "", "", 550 },
	{ S_INIT("y550-5.7.1 one\r\n550 5.7.1 two\0"), true, MILTER_REPLY, "5.7.1", "one", 550 },
	{ S_INIT("y550 4.7.1 other class\0"), true, MILTER_REPLY, "", "4.7.1 other class", 550 },
	{ S_INIT("y250 2.0.0 ok\0"), false, MILTER_REPLY, NULL, NULL, 0 },
	{ S_INIT("y55\0"), false, MILTER_REPLY, NULL, NULL, 0 },
	{ S_INIT("y5501 x\0"), false, MILTER_REPLY, NULL, NULL, 0 },
	{ S_INIT("y550 x"), false, MILTER_REPLY, NULL, NULL, 0 },
	{ S_INIT("hX-Spam\0yes\0"), true, MILTER_ADDED, "X-Spam", "yes", 0 },
	{ S_INIT("hX-Spam\0\0"), true, MILTER_ADDED, "X-Spam", "", 0 },
	{ S_INIT("hX Spam\0yes\0"), false, MILTER_ADDED, NULL, NULL, 0 },
	{ S_INIT("hX:\0yes\0"), false, MILTER_ADDED, NULL, NULL, 0 },
	{ S_INIT("h\0yes\0"), false, MILTER_ADDED, NULL, NULL, 0 },
	{ S_INIT("hX\0yes\0more\0"), false, MILTER_ADDED, NULL, NULL, 0 },
	{ S_INIT("hX\r\nBcc\0yes\0"), false, MILTER_ADDED, NULL, NULL, 0 },
	{ S_INIT("i\0\0\0\2X\0v\0"), true, MILTER_INSERTED, "X", "v", 2 },
	{ S_INIT("m\0\0\0\1Subject\0\0"), true, MILTER_CHANGED, "Subject", "", 1 },
	{ S_INIT("+<a@b.example>\0"), true, MILTER_RCPT_ADDED, "<a@b.example>", NULL, 0 },
	{ S_INIT("+\0"), false, MILTER_RCPT_ADDED, NULL, NULL, 0 },
	{ S_INIT("-a@b.example\0"), true, MILTER_RCPT_DELETED, "a@b.example", NULL, 0 },
	{ S_INIT("e<>\0"), true, MILTER_FROM, "<>", NULL, 0 },
	{ S_INIT("e<a@b.example>\0SIZE=1\0"), true, MILTER_FROM, "<a@b.example>", NULL, 0 },
	{ S_INIT("b"), true, MILTER_BODY, NULL, NULL, 0 },
	{ S_INIT("bany\0thing"), true, MILTER_BODY, NULL, NULL, 0 },
	{ S_INIT("qvirus\0"), true, MILTER_QUARANTINED, NULL, "virus", 0 },
	{ S_INIT(""), false, MILTER_CONTINUE, NULL, NULL, 0 },
	{ S_INIT("C"), false, MILTER_CONTINUE, NULL, NULL, 0 },
	{ S_INIT("2a@b.example\0x\0"), false, MILTER_CONTINUE, NULL, NULL, 0 },
};

static bool
is(struct slice a, struct slice b, struct slice c, const char *want)
{
	return want == NULL || slice_eq(a, slice_z(want)) || slice_eq(b, slice_z(want)) || slice_eq(c, slice_z(want));
}

static void
table(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct milter_said m = { .kind = MILTER_BODY, .index = 99 };
		bool ok = milter_parse(rows[i].packet, &m);

		if (ok != rows[i].ok)
			fail_msg("row %zu: %d", i, ok);
		if (!ok) {
			assert_int_equal(m.index, 99);
			continue;
		}
		assert_int_equal(m.kind, rows[i].kind);
		assert_true(is(m.enhanced, m.name, m.address, rows[i].first));
		assert_true(is(m.text, m.value, m.text, rows[i].second));
		assert_true(rows[i].number == m.index || rows[i].number == m.code || rows[i].number == m.actions);
	}
}

/* No truncation of a packet with fields says the same: it says nothing, or something of its own. */
static void
truncations(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t n = 0; rows[i].ok && n < rows[i].packet.n; n++) {
			struct milter_said m = { 0 };
			struct slice part = slice_head(rows[i].packet, n);

			if (!milter_parse(part, &m))
				continue;
			assert_true(slice_eq(part, S("b")) || m.kind == MILTER_BODY || m.kind == MILTER_FROM);
		}
}

static void
values(void **state)
{
	static const struct {
		struct slice in;
		const char *out; /* NULL: refused */
	} v[] = {
		{ S_INIT("one"), "one" },
		{ S_INIT(""), "" },
		{ S_INIT("one\n two"), "one\r\n two" },
		{ S_INIT("one\r\n\ttwo\r\n"), "one\r\n\ttwo" },
		{ S_INIT("one\n"), "one" },
		{ S_INIT("one\nBcc: two"), NULL },
		{ S_INIT("one\r\n\r\nbody"), NULL },
		{ S_INIT("one\n \n two"), NULL },
		{ S_INIT("one\rtwo"), NULL },
		{ S_INIT("one\0two"), NULL },
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct buf b;

		buf_init(&b, 1000);
		assert_int_equal(milter_value(&b, v[i].in), v[i].out != NULL);
		if (v[i].out != NULL)
			assert_true(slice_eq(buf_slice(&b), slice_z(v[i].out)));
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(truncations), cmocka_unit_test(values) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
