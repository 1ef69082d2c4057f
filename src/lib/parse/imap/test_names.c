/* SPDX-License-Identifier: MIT
 * Modified UTF-7, names of mailboxes, LIST patterns against an oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/imap/imap.h"

static void
mutf7_pairs(void **state)
{
	static const struct {
		struct slice wire, utf8;
	} pairs[] = {
		{ S_INIT("Sent Items"), S_INIT("Sent Items") },
		{ S_INIT("a&-b"), S_INIT("a&b") },
		{ S_INIT("&-&-"), S_INIT("&&") },
		{ S_INIT("Entw&APw-rfe"), S_INIT("Entw\xc3\xbcrfe") },
		/* RFC 3501 5.1.3 */
		{ S_INIT("~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
		    S_INIT("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e") },
		{ S_INIT("&2D3eAA-"), S_INIT("\xf0\x9f\x98\x80") },
		{ S_INIT("&2D3eANg93gA-"), S_INIT("\xf0\x9f\x98\x80\xf0\x9f\x98\x80") },
		{ S_INIT("&AOQA9gD8-"), S_INIT("\xc3\xa4\xc3\xb6\xc3\xbc") },
		{ S_INIT(""), S_INIT("") },
	};
	own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
	struct slice out;
	struct buf b;

	buf_init(&b, LIMIT_IMAP_LINE);
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		assert_true(imap_mutf7_decode(pairs[i].wire, a, &out));
		assert_true(slice_eq(out, pairs[i].utf8));
		buf_reset(&b);
		assert_true(imap_mutf7_encode(&b, pairs[i].utf8));
		assert_true(slice_eq(buf_slice(&b), pairs[i].wire));
		for (size_t cut = 0; cut < pairs[i].wire.n; cut++)
			(void)imap_mutf7_decode(slice_head(pairs[i].wire, cut), a, &out);
	}
	buf_free(&b);
}

static void
mutf7_refused(void **state)
{
	static const struct slice bad[] = {
		S_INIT("&"), S_INIT("a&"), S_INIT("&APw"), S_INIT("&AP-"), S_INIT("&A-"),
		S_INIT("&AGE-"),	/* "a" has an ASCII spelling */
		S_INIT("&AAA-"),	/* NUL */
		S_INIT("&AAo-"),	/* LF */
		S_INIT("&AH8-"), S_INIT("&AIU-"),
		S_INIT("&APw-&APw-"),	/* superfluous shift */
		S_INIT("&APx-"), S_INIT("&AP/-"), S_INIT("&APw=-"), S_INIT("&APwA-"),
		S_INIT("&2D0-"), S_INIT("&3gA-"), S_INIT("&2D0APw-"), S_INIT("&2D3YPQ-"),
		S_INIT("\xc3\xbc"), S_INIT("a\0"), S_INIT("a\n"), S_INIT("a\x7f"),
	};
	own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
	struct slice out = S("untouched");

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (imap_mutf7_decode(bad[i], a, &out))
			fail_msg("%.*s was taken", SFMT(bad[i]));
	assert_true(slice_eq(out, S("untouched")));
}

/* I-021: the names of the case table that are names at all. */
static void
names(void **state)
{
	static const struct slice bad[] = {
		S_INIT(""), S_INIT("/"), S_INIT("//"), S_INIT(".."), S_INIT("."), S_INIT("../x"),
		S_INIT("a/../b"), S_INIT("a/./b"), S_INIT("a/.."), S_INIT("/etc/passwd"),
		S_INIT("a//b"), S_INIT("a/"), S_INIT("a*"), S_INIT("a%b"), S_INIT("a\0b"),
		S_INIT("a\nb"), S_INIT("a\x7f"), S_INIT("a\xc2\x85"), S_INIT("a\xff"),
		S_INIT("\xed\xa0\x80"), S_INIT("\xc0\xaf"), S_INIT("..\\x"), S_INIT("\xe2\x80\xa8"),
		S_INIT("\xef\xbf\xbf"),
	};
	uint8_t many[LIMIT_IMAP_MAILBOX + 1];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (imap_name_valid(bad[i]))
			fail_msg("name %zu was taken", i);
	assert_true(imap_name_valid(S("INBOX")) && imap_name_valid(S("a/b c/..d")));
	assert_true(imap_name_valid(S("\xe5\x8f\xb0\xe5\x8c\x97")) && imap_name_valid(S("~x&")));
	memset(many, 'x', sizeof many);
	assert_true(imap_name_valid(slice_of(many, LIMIT_IMAP_MAILBOX)));
	assert_false(imap_name_valid(slice_of(many, sizeof many)));
	for (size_t i = 1; i < sizeof many; i += 2)
		many[i] = '/';
	assert_true(imap_name_valid(slice_of(many, 2 * LIMIT_IMAP_LEVELS - 1)));
	assert_false(imap_name_valid(slice_of(many, 2 * LIMIT_IMAP_LEVELS + 1)));
	assert_true(imap_name_is_inbox(S("inBOX")) && !imap_name_is_inbox(S("INBOX/a")));
}

static bool
match(const char *ref, const char *pattern, const char *name)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
	struct imap_pattern p;

	assert_true(imap_pattern_make(slice_z(ref), slice_z(pattern), a, &p));
	return imap_match(&p, slice_z(name));
}

static void
patterns(void **state)
{
	assert_true(match("", "*", "") && match("", "*", "a/b") && match("", "%", "a"));
	assert_false(match("", "%", "a/b") || match("", "", "a") || match("", "a", ""));
	assert_true(match("", "a/%", "a/b") && match("a/", "%", "a/b") && match("a", "*", "a/b"));
	assert_true(match("", "%/%", "a/b") && !match("", "%/%", "a/b/c"));
	assert_true(match("", "%b*", "a/b") == false && match("", "*%b", "a/b"));
	assert_true(match("", "iNbOx", "INBOX") && match("", "inbo%", "INBOX"));
	assert_true(match("", "inbox/*", "INBOX/x") && !match("", "INBOX/X", "INBOX/x"));
	assert_false(match("", "inboxes", "INBOXES"));
	assert_true(match("", "*a%b", "xa/ab") && !match("", "*a%b", "xa/b"));
	assert_true(match("", "%*%", "a/b/c"));
}

/* The definition of RFC 3501, as a table over all prefixes: slow and certain. */
static bool
oracle(struct slice p, struct slice n)
{
	bool row[64], next[64];

	for (size_t i = 0; i <= n.n; i++)
		row[i] = i == 0;
	for (size_t j = 0; j < p.n; j++) {
		uint8_t c = slice_at(p, j);

		for (size_t i = 0; i <= n.n; i++) {
			if (c == '*')
				next[i] = row[i] || (i > 0 && next[i - 1]);
			else if (c == '%')
				next[i] = row[i] ||
				    (i > 0 && slice_at(n, i - 1) != '/' && next[i - 1]);
			else
				next[i] = i > 0 && slice_at(n, i - 1) == c && row[i - 1];
		}
		memcpy(row, next, sizeof row);
	}
	return row[n.n];
}

static void
patterns_against_oracle(void **state)
{
	static const char pc[] = "ab/*%", nc[] = "ab/";
	uint32_t rng = 12345;
	unsigned hits = 0;

	for (unsigned round = 0; round < 200000; round++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
		uint8_t pat[12], name[16];
		size_t np, nn;
		struct imap_pattern p;
		bool want;

		rng = rng * 1664525 + 1013904223;
		np = rng >> 8 & 7;
		nn = rng >> 16 & 15;
		for (size_t i = 0; i < np; i++)
			pat[i] = (uint8_t)pc[((rng = rng * 1664525 + 1013904223) >> 16) % 5];
		for (size_t i = 0; i < nn; i++)
			name[i] = (uint8_t)nc[((rng = rng * 1664525 + 1013904223) >> 16) % 3];
		assert_true(imap_pattern_make(S(""), slice_of(pat, np), a, &p));
		want = oracle(slice_of(pat, np), slice_of(name, nn));
		hits += want;
		if (imap_match(&p, slice_of(name, nn)) != want)
			fail_msg("%.*s against %.*s", (int)np, pat, (int)nn, name);
	}
	assert_true(hits > 1000);
}

/* I-020: LIST with 1,000 "*%", and patterns made to go back often. */
static void
patterns_in_time(void **state)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_IMAP);
	struct buf b;
	struct imap_pattern p;
	uint8_t name[LIMIT_IMAP_MAILBOX];
	size_t steps = 0;

	buf_init(&b, LIMIT_IMAP_LINE);
	memset(name, 'a', sizeof name);
	for (unsigned i = 0; i < 1000; i++)
		buf_fmt(&b, "*%%");
	buf_fmt(&b, "b");
	assert_true(imap_pattern_make(S(""), buf_slice(&b), a, &p));
	assert_false(imap_match_counted(&p, slice_of(name, sizeof name), &steps));
	assert_true(steps < 4 * sizeof name);
	buf_reset(&b);
	for (unsigned i = 0; i < 400; i++)
		buf_fmt(&b, i % 2 == 0 ? "*a" : "%%a");
	buf_fmt(&b, "b");
	assert_true(imap_pattern_make(S(""), buf_slice(&b), a, &p));
	steps = 0;
	assert_false(imap_match_counted(&p, slice_of(name, sizeof name), &steps));
	assert_true(steps <= p.p.n * sizeof name);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutf7_pairs),
		cmocka_unit_test(mutf7_refused),
		cmocka_unit_test(names),
		cmocka_unit_test(patterns),
		cmocka_unit_test(patterns_against_oracle),
		cmocka_unit_test(patterns_in_time),
	};

	return cmocka_run_group_tests_name("imap names", tests, NULL, NULL);
}
