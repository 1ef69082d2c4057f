/* SPDX-License-Identifier: MIT
 * Rules over messages: each action, the order, which lines are seen, the limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/filter/filter.h"

#define MAIL                                                                                       \
	"Received: from [127.0.0.1] (x)\r\n\tby y\r\nSubject: Hello\r\n World\r\nX-A: one\r\nX-A: two\r\n" \
	"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"       \
	"--b\r\nContent-Type: text/plain\r\nX-Part: p\r\n\r\nfirst line\r\nsecond line\r\n"        \
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n"                            \
	"Content-Type: application/x;\r\n name=\"evil.exe\"\r\n\r\nTVqQ\r\n--b--\r\n"

static struct filter *
rules(struct slice text)
{
	static struct filter_errors e;
	struct filter *f;

	e.n = 0;
	f = filter_compile(text, &e);
	if (f == NULL)
		fail_msg("%u:%u: %s", e.v[0].at.line, e.v[0].at.column, e.v[0].text);
	return f;
}

static void
apply(struct slice mail, const struct filter_outcome *o, struct buf *b)
{
	size_t at = 0;

	for (size_t i = 0; i < o->n_edits; i++) {
		assert_true(o->edit[i].at >= at && o->edit[i].at + o->edit[i].remove <= mail.n);
		(void)buf_add(b, slice_sub(mail, at, (size_t)o->edit[i].at - at));
		(void)buf_add(b, o->edit[i].insert);
		at = (size_t)(o->edit[i].at + o->edit[i].remove);
	}
	(void)buf_add(b, slice_from(mail, at));
}

/* "verdict code enhanced text | hold | junk | redirect | score", and the hits as line:where */
static void
summary(const struct filter_outcome *o, struct buf *b)
{
	static const char *const words[] = { "pass", "drop", "refuse", "later" };

	(void)buf_fmt(b, "%s", words[o->verdict]);
	if (o->code != 0)
		(void)buf_fmt(b, " %u %.*s", o->code, SFMT(o->enhanced));
	if (o->text.n > 0)
		(void)buf_fmt(b, " [%.*s]", SFMT(o->text));
	if (o->hold.n > 0)
		(void)buf_fmt(b, " hold [%.*s]", SFMT(o->hold));
	if (o->junk.n > 0)
		(void)buf_fmt(b, " junk [%.*s]", SFMT(o->junk));
	if (o->redirect.n > 0)
		(void)buf_fmt(b, " to %.*s", SFMT(o->redirect));
	if (o->score != 0)
		(void)buf_fmt(b, " %d", (int)o->score);
	for (size_t i = 0; i < o->n_hits && i < FILTER_HITS; i++)
		(void)buf_fmt(b, " %s%u:%s", o->hit[i].failed ? "!" : "", o->hit[i].rule->at.line,
		    filter_lines_name(o->hit[i].where));
}

static void
outcomes(void **state)
{
	static const struct {
		struct slice rules;
		const char *want;
	} table[] = {
		{ S_INIT(""), "pass" },
		/* the rule of the brief */
		{ S_INIT("/^Received:.*\\[127\\.0\\.0\\.1\\]/ REJECT\n"),
		    "refuse 550 5.7.1 [the content of this message is not taken here] 1:header" },
		{ S_INIT("/^Received:.*\\[127\\.0\\.0\\.1\\]/ WARN\n"), "pass 1:header" },
		/* folding is gone: one line */
		{ S_INIT("/^Subject: Hello World$/ REJECT no hello\n"), "refuse 550 5.7.1 [no hello] 1:header" },
		{ S_INIT("/^received: from .*\\tby y$/ HOLD\n"), "pass hold [a rule of the administrator] 1:header" },
		{ S_INIT("/^received/i HOLD\n"), "pass" }, /* i switches off what is on */
		{ S_INIT("/one/ REJECT 450 4.2.2 later\n"), "later 450 4.2.2 [later] 1:header" },
		{ S_INIT("/one/ REJECT 4.2.2\n"), "later 450 4.2.2 [the content of this message is not taken here] 1:header" },
		{ S_INIT("/one/ REJECT 554 x\n"), "refuse 554 5.7.1 [x] 1:header" },
		{ S_INIT("/one/ DISCARD because\n"), "drop [because] 1:header" },
		{ S_INIT("/one/ REDIRECT a@b.example\n"), "pass to a@b.example 1:header" },
		{ S_INIT("/one/ JUNK bad\n/two/ HOLD worse\n"), "pass hold [worse] junk [bad] 1:header 2:header" },
		/* the first rule that matches decides about its line; the first line about the message */
		{ S_INIT("/X-A/ WARN\n/one/ REJECT\n"), "pass 1:header 1:header" },
		{ S_INIT("/one/ DUNNO\n/X-A/ WARN\n"), "pass 2:header" },
		{ S_INIT("/two/ REJECT second\n/one/ REJECT first\n"), "refuse 550 5.7.1 [first] 2:header" },
		{ S_INIT("/one/ HOLD a\n/two/ REJECT b\n"), "refuse 550 5.7.1 [b] hold [a] 1:header 2:header" },
		{ S_INIT("/^Subject/ ACCEPT fine\n/X-A/ REJECT\n"), "pass 1:header" },
		/* SCORE goes on, and counts once */
		{ S_INIT("/X-A/ SCORE 3\n/X-A/ SCORE 4\n/two/ HOLD x\n"),
		    "pass hold [x] 7 1:header 2:header 3:header" },
		{ S_INIT("/X-A/ SCORE 3\nthreshold 3 JUNK a\nthreshold 4 REJECT b\n"), "pass junk [a] 3 1:header 2:score" },
		{ S_INIT("/X-A/ SCORE 5\nthreshold 3 JUNK a\nthreshold 4 REJECT b\n"),
		    "refuse 550 5.7.1 [b] 5 1:header 3:score" },
		{ S_INIT("/one/ SCORE 5\n/two/ SCORE -3\nthreshold 3 JUNK a\n"), "pass 2 1:header 2:header" },
		{ S_INIT("/one/ SCORE 5\n/two/ ACCEPT\nthreshold 3 JUNK a\n"), "pass 5 1:header 2:header" },
		/* not, and if */
		{ S_INIT("[header]\n!/^(Received|Subject|X-A):/ REJECT\n"), "pass" },
		{ S_INIT("if /^X-A/\n/one/ WARN\nif /two/\n/X/ HOLD h\nendif\n/two/ REJECT\nendif\n/one|none/ REJECT\n"),
		    "pass hold [h] 2:header 4:header" },
		{ S_INIT("[header]\nif !/^X-A/\n/./ WARN\nendif\n/one/ REJECT r\n"),
		    "refuse 550 5.7.1 [r] 3:header 3:header 5:header" },
		/* which lines */
		{ S_INIT("[header]\n/inner/ REJECT\n/^Content-/ REJECT\n/evil/ REJECT\n/X-Part/ REJECT\n"), "pass" },
		{ S_INIT("[nested-header]\n/^Subject: inner/ REJECT n\n/^Subject: Hello/ WARN\n"),
		    "refuse 550 5.7.1 [n] 2:nested-header" },
		{ S_INIT("[mime-header]\n/X-Part/ WARN\n/^MIME-V/ WARN\n/name=\"?[^\"]*\\.exe/ REJECT m\n/Subject/ REJECT\n"),
		    "refuse 550 5.7.1 [m] 3:mime-header 2:mime-header 4:mime-header" },
		{ S_INIT("/name=\"?[^\"]*\\.exe/ REJECT all\n"), "refuse 550 5.7.1 [all] 1:mime-header" },
		{ S_INIT("[body]\n/^second line$/ WARN\n/preamble|Subject|evil/ REJECT\n/^TVqQ$/ REJECT raw\n"),
		    "refuse 550 5.7.1 [raw] 2:body 4:body" },
		{ S_INIT("[headers out]\n/./ REJECT\n[body out]\n/./ REJECT\n"), "pass" },
		{ S_INIT("[header in]\n/./ REJECT in\n"), "refuse 550 5.7.1 [in] 2:header" },
		/* what was caught */
		{ S_INIT("/^Subject: (\\w+) (\\w+)/ REJECT $2 ${1} $(2) $$5\n"),
		    "refuse 550 5.7.1 [World Hello World $5] 1:header" },
		{ S_INIT("/^Subject: (x)?(\\w+)/ REJECT <$1$2>\n"), "refuse 550 5.7.1 [<Hello>] 1:header" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_MESSAGE);
		own(buf_t) b = { .max = 65536 };
		struct filter_outcome *o = ARENA_NEW(a, struct filter_outcome);
		struct filter *f = rules(table[i].rules);

		filter_run(f, S(MAIL), FILTER_IN, NULL, NULL, a, o);
		summary(o, &b);
		if (!slice_eq(buf_slice(&b), slice_z(table[i].want)))
			fail_msg("%.*s: %.*s", SFMT(table[i].rules), SFMT(buf_slice(&b)));
		filter_free(&f);
	}
}

static void
edits(void **state)
{
	static const struct {
		struct slice rules, mail, want;
	} table[] = {
		{ S_INIT("/^B:/ PREPEND X-B: before\n"), S_INIT("A: 1\r\nB: 2\r\n\r\nx\r\n"),
		    S_INIT("A: 1\r\nX-B: before\r\nB: 2\r\n\r\nx\r\n") },
		{ S_INIT("/^B:/ REMOVE\n"), S_INIT("A: 1\r\nB: 2\r\n 3\r\nC: 4\r\n\r\nx\r\n"),
		    S_INIT("A: 1\r\nC: 4\r\n\r\nx\r\n") },
		{ S_INIT("/^./ REMOVE\n"), S_INIT("A: 1\r\nB: 2\r\n\r\nx\r\n"), S_INIT("\r\nx\r\n") },
		{ S_INIT("/^(.): (.*)/ REPLACE X-$1: <$2>\n"), S_INIT("A: 1\r\n 2\r\nB: 3\r\n\r\nx\r\n"),
		    S_INIT("X-A: <1 2>\r\nX-B: <3>\r\n\r\nx\r\n") },
		{ S_INIT("/^(.): (.*)/ REPLACE X-$1: <$2>\n"), S_INIT("A: 1\n\nx\n"), S_INIT("X-A: <1>\n\nx\n") },
		/* what was caught ends no line */
		{ S_INIT("/^A: (.*)/ REPLACE B: $1\n"), S_INIT("A: a\rC: d\x01\r\n\r\nx\r\n"),
		    S_INIT("B: a C: d \r\n\r\nx\r\n") },
		{ S_INIT("[body]\n/two/ REMOVE\n/(t)hree/ REPLACE 3$1\n/one/ PREPEND zero\n"),
		    S_INIT("A: 1\r\n\r\none\r\ntwo\r\nthree\r\nfour"),
		    S_INIT("A: 1\r\n\r\nzero\r\none\r\n3t\r\nfour") },
		{ S_INIT("[mime-header]\n/^X-P/ REMOVE\n/^Content-Type: text/ REPLACE Content-Type: text/html\n"),
		    S_INIT("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\nX-P: "
			   "1\r\n\r\na\r\n--b--\r\n"),
		    S_INIT("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\na\r\n"
			   "--b--\r\n") },
		/* what is no field any more is not written */
		{ S_INIT("/^(.*)$/ REPLACE $1\n"), S_INIT("junk\r\n\r\n"), S_INIT("junk\r\n\r\n") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_MESSAGE);
		own(buf_t) b = { .max = 65536 };
		struct filter_outcome *o = ARENA_NEW(a, struct filter_outcome);
		struct filter *f = rules(table[i].rules);

		filter_run(f, table[i].mail, FILTER_OUT, NULL, NULL, a, o);
		apply(table[i].mail, o, &b);
		if (!slice_eq(buf_slice(&b), table[i].want))
			fail_msg("%.*s: %.*s", SFMT(table[i].rules), SFMT(buf_slice(&b)));
		assert_int_equal(o->verdict, slice_starts(table[i].mail, S("junk")) ? FILTER_LATER : FILTER_PASS);
		filter_free(&f);
	}
}

/* The outcome of rules over a message, as summary() says it; seconds of processor time. */
static double
run_long(struct slice text, struct slice mail, bool (*late)(void *ctx), struct buf *b)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_MESSAGE);
	struct filter_outcome *o = ARENA_NEW(a, struct filter_outcome);
	struct filter *f = rules(text);
	clock_t began = clock();

	buf_reset(b);
	filter_run(f, mail, FILTER_IN, late, NULL, a, o);
	summary(o, b);
	filter_free(&f);
	return (double)(clock() - began) / CLOCKS_PER_SEC;
}

static bool
at_once(void *ctx)
{
	(void)ctx;
	return true;
}

static void
limits(void **state)
{
	own(buf_t) b = { .max = 65536 };
	own(buf_t) mail = { .max = 1 << 22 };

	(void)state;
	(void)buf_add(&mail, S("X: "));
	for (int i = 0; i < 100000; i++)
		(void)buf_byte(&mail, 'a');
	(void)buf_add(&mail, S("!\r\n\r\n"));
	/* a failure of ours, never an acceptance; what only tells is left out */
	assert_true(run_long(S("/(a+)+$/ REJECT\n"), buf_slice(&mail), NULL, &b) < 1.0);
	assert_true(slice_starts(buf_slice(&b), S("later 451 4.7.1 [")) && slice_ends(buf_slice(&b), S("] !1:header")));
	assert_true(run_long(S("/(a+)+$/ ACCEPT\n"), buf_slice(&mail), NULL, &b) < 1.0);
	assert_true(slice_starts(buf_slice(&b), S("later ")));
	assert_true(run_long(S("if /(a+)+$/\n/a/ WARN\nendif\n"), buf_slice(&mail), NULL, &b) < 1.0);
	assert_true(slice_starts(buf_slice(&b), S("later ")));
	assert_true(run_long(S("/(a+)+$/ WARN\n/^X/ HOLD h\n"), buf_slice(&mail), NULL, &b) < 1.0);
	assert_true(slice_eq(buf_slice(&b), S("pass hold [h] !1:header 2:header")));
	/* plain patterns are not hindered by length */
	assert_true(run_long(S("/a!$/ REJECT r\n"), buf_slice(&mail), NULL, &b) < 1.0);
	assert_true(slice_starts(buf_slice(&b), S("refuse 550")));
	/* many lines, each of which takes a while: left out after the first */
	buf_reset(&mail);
	(void)buf_add(&mail, S("A: b\r\n\r\n"));
	for (int i = 0; i < 1500; i++)
		(void)buf_add(&mail, S("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\r\n"));
	assert_true(run_long(S("[body]\n/(a+)+$/ WARN\n"), buf_slice(&mail), NULL, &b) < 1.0);
	assert_true(slice_eq(buf_slice(&b), S("pass !2:body")));
	/* time is up */
	(void)run_long(S("[body]\n/b/ WARN\n"), buf_slice(&mail), at_once, &b);
	assert_true(slice_starts(buf_slice(&b), S("later 451 4.7.1 [the rules of this server take too long")));
}

static void
sizes(void **state)
{
	own(buf_t) b = { .max = 65536 };
	own(buf_t) mail = { .max = 1 << 23 };

	(void)state;
	/* a part is looked at so far, and the next part again */
	(void)buf_add(&mail, S("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"));
	while (mail.n < LIMIT_FILTER_PART + 1000)
		(void)buf_add(&mail, S("nothing here\r\n"));
	(void)buf_add(&mail, S("far\r\n--b\r\n\r\nnear\r\n--b--\r\n"));
	(void)run_long(S("[body]\n/^far/ REJECT\n/^near/ WARN\n"), buf_slice(&mail), NULL, &b);
	assert_true(slice_eq(buf_slice(&b), S("pass 3:body")));
	/* one line that is longer than what is looked at goes whole, or not at all */
	buf_reset(&mail);
	(void)buf_add(&mail, S("A: b\r\n\r\n"));
	while (mail.n < 2 * LIMIT_FILTER_PART)
		(void)buf_byte(&mail, 'x');
	(void)buf_add(&mail, S("\r\nend\r\n"));
	{
		own(arena_p) a = arena_new("test", LIMIT_ARENA_MESSAGE);
		own(buf_t) out = { .max = 1 << 20 };
		struct filter_outcome *o = ARENA_NEW(a, struct filter_outcome);
		struct filter *f = rules(S("[body]\n/x/ REMOVE\n"));

		filter_run(f, buf_slice(&mail), FILTER_IN, NULL, NULL, a, o);
		apply(buf_slice(&mail), o, &out);
		assert_true(slice_eq(buf_slice(&out), S("A: b\r\n\r\nend\r\n")));
		filter_free(&f);
	}
	/* too many changes are a refusal, too many hits are counted */
	buf_reset(&mail);
	for (size_t i = 0; i <= FILTER_EDITS; i++)
		(void)buf_add(&mail, S("A: b\r\nC: d\r\n"));
	(void)run_long(S("/^A/ REMOVE\n"), buf_slice(&mail), NULL, &b);
	assert_true(slice_starts(buf_slice(&b), S("refuse 550 5.6.0 [")));
	/* what nobody can look through is not taken */
	buf_reset(&mail);
	(void)buf_add(&mail, S("Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
	for (size_t i = 0; i <= LIMIT_MIME_PARTS; i++)
		(void)buf_add(&mail, S("--b\r\n\r\n"));
	(void)run_long(S("[body]\n/x/ WARN\n"), buf_slice(&mail), NULL, &b);
	assert_true(slice_starts(buf_slice(&b), S("refuse 550 5.6.0 [")));
	(void)run_long(S("[header]\n/x/ WARN\n"), buf_slice(&mail), NULL, &b);
	assert_true(slice_eq(buf_slice(&b), S("pass")));
}

static void
does_not_compile(void **state)
{
	static const struct {
		struct slice in;
		unsigned line, column;
	} table[] = {
		{ S_INIT("/a/ WARN\n/a(b/ WARN\n"), 2, 5 },
		{ S_INIT("/a\\Cb/ WARN\n"), 1, 5 },
		{ S_INIT("/(*UTF)a/ WARN\n"), 1, 8 },
		{ S_INIT("/(a)/ WARN $2\n"), 1, 12 },
		{ S_INIT("!/(a)/ WARN $1\n"), 1, 13 },
		{ S_INIT("/(a)/ WARN x $ y\n"), 1, 14 },
		{ S_INIT("/(a)/ WARN ${1\n"), 1, 12 },
		{ S_INIT("threshold 1 HOLD $1\n"), 1, 18 },
	};
	static struct filter_errors e;
	own(buf_t) b = { .max = 65536 };

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		e.n = 0;
		assert_null(filter_compile(table[i].in, &e));
		if (e.n != 1 || e.v[0].at.line != table[i].line || e.v[0].at.column != table[i].column)
			fail_msg("%.*s: %u:%u: %s", SFMT(table[i].in), e.v[0].at.line, e.v[0].at.column, e.v[0].text);
	}
	for (int i = 0; i < 100; i++)
		(void)buf_fmt(&b, "/a/ REDIRECT somebody.with.a.long.name.%d@example.test\n", i);
	e.n = 0;
	assert_null(filter_compile(buf_slice(&b), &e));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(outcomes), cmocka_unit_test(edits), cmocka_unit_test(limits),
		cmocka_unit_test(sizes), cmocka_unit_test(does_not_compile) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
