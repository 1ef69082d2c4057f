/* SPDX-License-Identifier: MIT
 * What is written is read back by the strict grammar without loss, whatever the bytes (I-034). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/make/imap/imap.h"

static void
equals(struct buf *b, const char *want)
{
	assert_false(b->bad);
	if (!slice_eq(buf_slice(b), slice_z(want)))
		fail_msg("%.*s", SFMT(buf_slice(b)));
	buf_reset(b);
}

static void
forms(void **state)
{
	const struct slice words[] = { S("work"), S("$Junk") };
	const uint32_t uids[] = { 3, 4, 5, 9, 8, 7, 10, 11 };
	const struct imap_status_values v = { 1, 2, 3, 4, 5, 6 };
	struct buf b;

	buf_init(&b, LIMIT_IMAP_LINE);
	imap_put_string(&b, S("a \"b\" \\c"));
	equals(&b, "\"a \\\"b\\\" \\\\c\"");
	imap_put_string(&b, S(""));
	equals(&b, "\"\"");
	imap_put_string(&b, S("a\r\n* BYE"));
	equals(&b, "{8}\r\na\r\n* BYE");
	imap_put_string(&b, S("a\0b"));
	equals(&b, "{3}\r\na\x80" "b");
	imap_put_nstring(&b, S(""), true);
	imap_put_nstring(&b, S("NIL"), false);
	equals(&b, "NIL\"NIL\"");
	imap_put_astring(&b, S("INBOX"));
	imap_put_astring(&b, S("a b"));
	imap_put_astring(&b, S("nil"));
	equals(&b, "INBOX\"a b\"\"nil\"");
	imap_put_mailbox(&b, S("Entw\xc3\xbcrfe & mehr"));
	equals(&b, "\"Entw&APw-rfe &- mehr\"");
	imap_put_flags(&b, IMAP_SEEN | IMAP_RECENT, words, 2);
	imap_put_flags(&b, 0, words, 0);
	equals(&b, "(\\Seen \\Recent work $Junk)()");
	imap_put_list(&b, S("LIST"), IMAP_ATTR_HASNOCHILDREN | IMAP_ATTR_SENT, S("Sent Mail"));
	equals(&b, "* LIST (\\HasNoChildren \\Sent) \"/\" \"Sent Mail\"");
	imap_put_status(&b, S("INBOX"), 63, &v);
	equals(&b, "* STATUS INBOX (MESSAGES 1 RECENT 2 UIDNEXT 3 UIDVALIDITY 4 UNSEEN 5 SIZE 6)");
	imap_put_numbers(&b, uids, 8);
	equals(&b, "3:5,9,8,7,10:11");
	imap_put_text(&b, S("[ALERT] x\r\ny\xc3"));
	equals(&b, "?ALERT] x??y?");
	buf_free(&b);
}

/* 10,000 random byte strings through LOGIN's two astrings and back. */
static void
strings_come_back(void **state)
{
	uint32_t rng = 99;
	struct buf line;

	buf_init(&line, LIMIT_IMAP_LINE);
	for (unsigned round = 0; round < 10000; round++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_IMAP);
		static const char tricky[] = "\"\\{}()\r\n %*]ab1\xc3\x80";
		uint8_t text[64];
		size_t n;
		struct imap_command c = { .uid = false };
		struct cursor cur;

		rng = rng * 1664525 + 1013904223;
		n = rng >> 10 & 63;
		for (size_t i = 0; i < n; i++) {
			rng = rng * 1664525 + 1013904223;
			text[i] = (uint8_t)tricky[(rng >> 16) % (sizeof tricky - 1)];
		}
		buf_reset(&line);
		buf_add(&line, S("a LOGIN "));
		imap_put_string(&line, slice_of(text, n));
		buf_byte(&line, ' ');
		imap_put_astring(&line, slice_of(text, n));
		cur = cur_of(buf_slice(&line));
		assert_int_equal(imap_parse(&cur, a, &c), IMAP_FINE);
		assert_true(slice_eq(c.u.login.user, slice_of(text, n)));
		assert_true(slice_eq(c.u.login.password, slice_of(text, n)));
	}
	buf_free(&line);
}

static void
names_come_back(void **state)
{
	static const struct slice names[] = { S_INIT("a/b"), S_INIT("\"x\" {3}"), S_INIT("&&&"),
		S_INIT("\xf0\x9f\x98\x80 ok \xc3\xa4"), S_INIT("NIL"), S_INIT("(a)") };
	struct buf line;

	buf_init(&line, LIMIT_IMAP_LINE);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_IMAP);
		struct imap_command c = { .uid = false };
		struct cursor cur;

		buf_reset(&line);
		buf_add(&line, S("a SELECT "));
		imap_put_mailbox(&line, names[i]);
		cur = cur_of(buf_slice(&line));
		assert_int_equal(imap_parse(&cur, a, &c), IMAP_FINE);
		assert_true(c.u.mailbox.valid && slice_eq(c.u.mailbox.name, names[i]));
	}
	buf_free(&line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(strings_come_back),
		cmocka_unit_test(names_come_back),
	};

	return cmocka_run_group_tests_name("make imap", tests, NULL, NULL);
}
