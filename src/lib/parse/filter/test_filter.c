/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/parse/filter/filter.h"


/* One rule as text: lines/direction !pattern/flags action points code enhanced text @line:column */
static void
show(struct buf *b, const struct filter_rule *r)
{
	static const char *const kinds[] = { "rule", "if", "endif", "threshold" };

	(void)buf_fmt(b, "%u:%s %u/%u", r->at.line, kinds[r->kind], r->lines, r->direction);
	if (r->pattern.n > 0)
		(void)buf_fmt(b, " %s%.*s %u", r->negated ? "!" : "", SFMT(r->pattern), r->flags);
	if (r->kind == FILTER_IF)
		(void)buf_fmt(b, " >%u", r->past);
	if (r->kind == FILTER_RULE || r->kind == FILTER_THRESHOLD)
		(void)buf_fmt(b, " %s %d %u %.*s [%.*s]", filter_action_name(r->action), (int)r->points, r->code,
		    SFMT(r->enhanced), SFMT(r->text));
	(void)buf_add(b, S("\n"));
}

static void
good(void **state)
{
	static const struct {
		struct slice in;
		const char *want;
	} table[] = {
		{ S_INIT(""), "" },
		{ S_INIT("# nothing\n\n   # at all\n"), "" },
		{ S_INIT("/^Received:.*\\[127\\.0\\.0\\.1\\]/ REJECT\n"),
		    "1:rule 7/3 ^Received:.*\\[127\\.0\\.0\\.1\\] 3 REJECT 0 0  []\n" },
		{ S_INIT("/a\\/b/ warn a  b\r\n"), "1:rule 7/3 a\\/b 3 WARN 0 0  [a  b]\n" },
		{ S_INIT("|a/b|imsxAEUu INFO"), "1:rule 7/3 a/b 252 INFO 0 0  []\n" },
		{ S_INIT("! /a/ DUNNO\n!/a/ ok\n"), "1:rule 7/3 !a 3 DUNNO 0 0  []\n2:rule 7/3 !a 3 DUNNO 0 0  []\n" },
		{ S_INIT("/a/\n  REJECT 5.7.1\n# between\n\n\tno   \n/b/ HOLD\n"),
		    "1:rule 7/3 a 3 REJECT 0 0 5.7.1 [no]\n6:rule 7/3 b 3 HOLD 0 0  []\n" },
		{ S_INIT("[body out]\n/a/ REJECT 450 4.7.1 soft\n[header nested-header]\n/b/ REJECT 521 gone\n"
			 "[ headers in out ]\n/c/ REJECT 4.2.0\n[mime-header]\n/d/ REJECT 5 apples\n"),
		    "2:rule 8/2 a 3 REJECT 0 450 4.7.1 [soft]\n4:rule 5/3 b 3 REJECT 0 521  [gone]\n"
		    "6:rule 7/3 c 3 REJECT 0 0 4.2.0 []\n8:rule 2/3 d 3 REJECT 0 0  [5 apples]\n" },
		{ S_INIT("if /a/\nif !/b/\n/c/ SCORE -3 low\nendif\n/d/ SCORE +4\nendif\nthreshold 5 JUNK much\n"),
		    "1:if 7/3 a 3 >6\n2:if 7/3 !b 3 >4\n3:rule 7/3 c 3 SCORE -3 0  [low]\n4:endif 7/3\n"
		    "5:rule 7/3 d 3 SCORE 4 0  []\n6:endif 7/3\n7:threshold 7/3 JUNK 5 0  [much]\n" },
		{ S_INIT("/a/ IGNORE\n/a/ STRIP\n/a/ REMOVE why\n/a/ PASS\n/a/ REDIRECT a+b@x.example\n/a/ DISCARD\n"
			 "/a/ PREPEND X-A: b\n/a/ REPLACE $1: \xc3\xa4\n[body]\n/a/ REPLACE anything\n"),
		    "1:rule 7/3 a 3 REMOVE 0 0  []\n2:rule 7/3 a 3 REMOVE 0 0  []\n3:rule 7/3 a 3 REMOVE 0 0  [why]\n"
		    "4:rule 7/3 a 3 ACCEPT 0 0  []\n5:rule 7/3 a 3 REDIRECT 0 0  [a+b@x.example]\n"
		    "6:rule 7/3 a 3 DISCARD 0 0  []\n7:rule 7/3 a 3 PREPEND 0 0  [X-A: b]\n"
		    "8:rule 7/3 a 3 REPLACE 0 0  [$1: \xc3\xa4]\n10:rule 8/3 a 3 REPLACE 0 0  [anything]\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		for (size_t n = 0; n <= table[i].in.n; n++) {
			own(arena_p) a = arena_new("test", LIMIT_ARENA_FILTER);
			own(buf_t) b = { .max = 65536 };
			struct cursor c = cur_of(slice_head(table[i].in, n));
			static struct filter_errors errors;
			struct filter_file f = { .n = 99 };
			bool ok;

			errors.n = 0;
			ok = filter_parse(&c, a, &f, &errors);
			assert_true(ok == (errors.n == 0));
			if (!ok) {
				assert_int_equal(f.n, 99);
				assert_true(errors.v[0].at.line > 0 && errors.v[0].at.column > 0);
			}
			if (n < table[i].in.n)
				continue;
			if (!ok)
				fail_msg("%zu: %u:%u: %s", i, errors.v[0].at.line, errors.v[0].at.column, errors.v[0].text);
			for (size_t k = 0; k < f.n; k++)
				show(&b, &f.rule[k]);
			if (!slice_eq(buf_slice(&b), slice_z(table[i].want)))
				fail_msg("%zu: %.*s", i, SFMT(buf_slice(&b)));
		}
	}
}

static void
bad(void **state)
{
	static const struct {
		struct slice in;
		unsigned line, column;
		const char *what;
	} table[] = {
		{ S_INIT(" /a/ WARN\n"), 1, 1, "white space" },
		{ S_INIT("\n/a WARN\n"), 2, 1, "no end" },
		{ S_INIT("/a\\/ WARN\n"), 1, 1, "no end" },
		{ S_INIT("a WARN\n"), 1, 1, "a pattern is expected" },
		{ S_INIT("//  WARN\n"), 1, 2, "empty pattern" },
		{ S_INIT("/a/iq WARN\n"), 1, 5, "no such flag" },
		{ S_INIT("/a/\n"), 1, 4, "an action is expected" },
		{ S_INIT("/a/i  FROB\n"), 1, 7, "no such action" },
		{ S_INIT("/a/\n   FROB\n"), 2, 4, "no such action" },
		{ S_INIT("/a/ DUNNO x\n"), 1, 11, "takes nothing" },
		{ S_INIT("/a/ REDIRECT\n"), 1, 13, "an address" },
		{ S_INIT("/a/ REDIRECT $1@x.example\n"), 1, 14, "an address" },
		{ S_INIT("/a/ REDIRECT a@b@c\n"), 1, 14, "an address" },
		{ S_INIT("/a/ REDIRECT a@x.example b@x.example\n"), 1, 14, "an address" },
		{ S_INIT("/a/ SCORE\n"), 1, 10, "number of points" },
		{ S_INIT("/a/ SCORE 1001\n"), 1, 11, "points are" },
		{ S_INIT("/a/ SCORE 1x\n"), 1, 11, "points are" },
		{ S_INIT("/a/ REJECT 250 ok\n"), 1, 12, "code from 400" },
		{ S_INIT("/a/ REJECT 550 4.7.1 x\n"), 1, 16, "of one class" },
		{ S_INIT("/a/ REJECT 5.7.x x\n"), 1, 12, "enhanced" },
		{ S_INIT("/a/ REJECT 2.0.0 x\n"), 1, 12, "enhanced" },
		{ S_INIT("/a/ REJECT n\xc3\xa4\n"), 1, 13, "octet" },
		{ S_INIT("/a/ PREPEND\n"), 1, 12, "expected here" },
		{ S_INIT("/a/ PREPEND nofield\n"), 1, 13, "header field" },
		{ S_INIT("/a/ REPLACE a b: c\n"), 1, 13, "header field" },
		{ S_INIT("endif\n"), 1, 1, "without if" },
		{ S_INIT("/x/ WARN\nif /a/\n/a/ WARN\n"), 2, 1, "no endif" },
		{ S_INIT("if /a/ x\nendif\n"), 1, 8, "nothing can follow" },
		{ S_INIT("if /a/\nendif x\n"), 2, 7, "nothing can follow" },
		{ S_INIT("if /a/\n  /b/ WARN\nendif\n"), 2, 3, "nothing can follow" },
		{ S_INIT("if /a/\n[body]\nendif\n"), 2, 1, "section" },
		{ S_INIT("[]\n"), 1, 1, "which lines" },
		{ S_INIT("[in]\n"), 1, 1, "which lines" },
		{ S_INIT("[header foo]\n"), 1, 9, "section names" },
		{ S_INIT("[header\n"), 1, 8, "ends with" },
		{ S_INIT("[header] x\n"), 1, 10, "nothing can follow" },
		{ S_INIT("threshold HOLD\n"), 1, 11, "points are" },
		{ S_INIT("threshold 5 PREPEND X: y\n"), 1, 13, "a threshold can" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_FILTER);
		struct cursor c = cur_of(table[i].in);
		static struct filter_errors e;
		struct filter_file f;

		e.n = 0;
		assert_false(filter_parse(&c, a, &f, &e));
		if (e.v[0].at.line != table[i].line || e.v[0].at.column != table[i].column ||
		    slice_find(slice_z(e.v[0].text), slice_z(table[i].what)) == SLICE_NONE)
			fail_msg("%.*s: %u:%u: %s", SFMT(table[i].in), e.v[0].at.line, e.v[0].at.column, e.v[0].text);
		assert_int_equal(e.n, 1);
	}
}

/* How piece, repeated, is taken: -1 for good, else the line of the first error. */
static int
many(struct slice piece, size_t times)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_FILTER);
	own(buf_t) b = { .max = 2 * LIMIT_FILTER_FILE };
	static struct filter_errors e;
	struct filter_file f;
	struct cursor c;

	for (size_t i = 0; i < times; i++)
		(void)buf_add(&b, piece);
	e.n = 0;
	c = cur_of(buf_slice(&b));
	return filter_parse(&c, a, &f, &e) ? -1 : (int)e.v[0].at.line;
}

static void
limits(void **state)
{
	own(buf_t) b = { .max = 65536 };

	(void)state;
	assert_int_equal(many(S("/a/ WARN\n"), LIMIT_FILTER_RULES), -1);
	assert_int_equal(many(S("/a/ WARN\n"), LIMIT_FILTER_RULES + 1), LIMIT_FILTER_RULES + 1);
	assert_int_equal(many(S("#\n"), LIMIT_FILTER_FILE / 2), -1);
	assert_int_equal(many(S("#\n"), LIMIT_FILTER_FILE / 2 + 1), 1);
	assert_int_equal(many(S("if /a/\n"), LIMIT_FILTER_DEPTH + 1), LIMIT_FILTER_DEPTH + 1);
	assert_int_equal(many(S("/a\n x\n"), 1), 1);
	(void)buf_add(&b, S("/a/ WARN"));
	for (size_t i = 1; i < LIMIT_FILTER_PIECES; i++)
		(void)buf_add(&b, S("\n x"));
	assert_int_equal(many(buf_slice(&b), 1), -1);
	(void)buf_add(&b, S("\n x"));
	assert_int_equal(many(buf_slice(&b), 1), LIMIT_FILTER_PIECES + 1);
	buf_reset(&b);
	(void)buf_byte(&b, '/');
	for (size_t i = 0; i <= LIMIT_FILTER_PATTERN; i++)
		(void)buf_byte(&b, 'x');
	(void)buf_add(&b, S("/ WARN"));
	assert_int_equal(many(buf_slice(&b), 1), 1);
	assert_int_equal(many(S("/ WARN\n"), LIMIT_FILTER_ERRORS + 5), 1);
}

static void
fields(void **state)
{
	(void)state;
	assert_true(filter_is_field(S("A: b")) && filter_is_field(S("A:")) && filter_is_field(S("A: \xc3\xa4\t")));
	assert_false(filter_is_field(S("")) || filter_is_field(S(":")) || filter_is_field(S("a b: c")));
	assert_false(filter_is_field(S("A: b\r\nC: d")) || filter_is_field(S("A: \x01")) || filter_is_field(S("abc")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(good), cmocka_unit_test(bad), cmocka_unit_test(limits),
		cmocka_unit_test(fields) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
