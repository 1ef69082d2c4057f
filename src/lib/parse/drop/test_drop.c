/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/parse/drop/drop.h"

static const struct {
	struct slice line;
	bool ok;
	enum drop_word word;
	struct slice text;
	uint64_t number;
} table[] = {
	{ S_INIT("mail 1"), true, DROP_MAIL, S_INIT("1"), 0 },
	{ S_INIT("mail 2"), false, 0, S_INIT(""), 0 },
	{ S_INIT("mail"), false, 0, S_INIT(""), 0 },
	{ S_INIT("from a@b.example"), true, DROP_FROM, S_INIT("a@b.example"), 0 },
	{ S_INIT("from <>"), true, DROP_FROM, S_INIT(""), 0 },
	{ S_INIT("from a"), false, 0, S_INIT(""), 0 },
	{ S_INIT("from a@b.example "), false, 0, S_INIT(""), 0 },
	{ S_INIT("from <a@b.example>"), false, 0, S_INIT(""), 0 },
	{ S_INIT("from  a@b.example"), false, 0, S_INIT(""), 0 },
	{ S_INIT("name Web shop"), true, DROP_NAME, S_INIT("Web shop"), 0 },
	{ S_INIT("name a\rb"), false, 0, S_INIT(""), 0 },
	{ S_INIT("to root"), true, DROP_TO, S_INIT("root"), 0 },
	{ S_INIT("to \"a b\"@c.example"), true, DROP_TO, S_INIT("\"a b\"@c.example"), 0 },
	{ S_INIT("to k\xc3\xa4the@b\xc3\xbc" "cher.example"), true, DROP_TO, S_INIT("k\xc3\xa4the@b\xc3\xbc" "cher.example"), 0 },
	{ S_INIT("to a@b\xc3.example"), false, 0, S_INIT(""), 0 },
	{ S_INIT("to a@b.example,c@d.example"), false, 0, S_INIT(""), 0 },
	{ S_INIT("to a\0b@c.example"), false, 0, S_INIT(""), 0 },
	{ S_INIT("to @b.example"), false, 0, S_INIT(""), 0 },
	{ S_INIT("to "), false, 0, S_INIT(""), 0 },
	{ S_INIT("recipients header"), true, DROP_HEADER, S_INIT("header"), 0 },
	{ S_INIT("recipients"), false, 0, S_INIT(""), 0 },
	{ S_INIT("size 12"), true, DROP_SIZE, S_INIT("12"), 12 },
	{ S_INIT("size -1"), false, 0, S_INIT(""), 0 },
	{ S_INIT("size 99999999999999999999"), false, 0, S_INIT(""), 0 },
	{ S_INIT("EHLO x"), false, 0, S_INIT(""), 0 },
	{ S_INIT(""), true, DROP_END, S_INIT(""), 0 },
};

static void
lines(void **state)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct drop_line l = { .number = 77 };

		assert_int_equal(drop_line_parse(table[i].line, &l), table[i].ok);
		if (!table[i].ok) {
			assert_int_equal(l.number, 77);
			continue;
		}
		assert_int_equal(l.word, table[i].word);
		assert_true(slice_eq(l.text, table[i].text));
		assert_int_equal(l.number, table[i].number);
		for (size_t n = 0; n < table[i].line.n; n++)
			(void)drop_line_parse(slice_head(table[i].line, n), &l);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lines) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
