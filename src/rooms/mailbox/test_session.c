/* SPDX-License-Identifier: MIT
 * Conversations after login over memory, against a real store in a directory of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/clock/testing.h"
#include "rooms/mailbox/message.h"
#include "rooms/mailbox/match.h"
#include "rooms/mailbox/session.h"

/* ---- the stage: one user's store, any number of clients ---- */
struct client {
	struct session s;
	struct stream_memory m;
	struct buf in, out;
	unsigned woken;
};

struct stage {
	char dir[64], path[80];
	struct mailbox *store;
	struct hub hub;
};

static struct stage stage;

static void
on_wake(void *ctx, struct session *s)
{
	((struct client *)s)->woken++;
}

static int
open_stage(void **state)
{
	(void)snprintf(stage.dir, sizeof stage.dir, "/tmp/postern-session-XXXXXX");
	if (mkdtemp(stage.dir) == NULL)
		return 1;
	(void)snprintf(stage.path, sizeof stage.path, "%s/mail.db", stage.dir);
	hub_init(&stage.hub, LIMIT_SESSIONS_PER_USER, on_wake, NULL);
	return mailbox_open(stage.path, 7, (uint64_t)clock_wall_us(), &stage.store) != STORE_OK;
}

static int
close_stage(void **state)
{
	char cmd[160];

	mailbox_close(&stage.store);
	(void)snprintf(cmd, sizeof cmd, "%s-wal", stage.path);
	(void)unlink(cmd);
	(void)unlink(stage.path);
	return rmdir(stage.dir);
}

/* Runs a turn with what the client has sent so far; what came back is in c->out. */
static enum session_next
turn(struct client *c, enum session_why why)
{
	enum session_next next;

	c->m.in = buf_slice(&c->in);
	buf_reset(&c->m.out);
	next = session_turn(&c->s, why);
	buf_reset(&c->out);
	buf_add(&c->out, buf_slice(&c->m.out));
	return next;
}

static struct client *
login(void)
{
	struct client *c = calloc(1, sizeof *c);

	assert_non_null(c);
	buf_init(&c->in, 1 << 26);
	buf_init(&c->out, 1 << 26);
	buf_init(&c->m.out, 1 << 26);
	c->m.hang = true;
	c->s = (struct session){ .id = 1, .store = stage.store, .hub = &stage.hub,
		.account = S("alice@example.test") };
	stream_init_memory(&c->s.io, &c->m);
	session_begin(&c->s, S("t0"));
	assert_int_equal(turn(c, SESSION_INPUT), SESSION_PARK);
	assert_true(slice_starts(buf_slice(&c->out), S("t0 OK [CAPABILITY IMAP4rev1 ")));
	return c;
}

static void
leave(struct client *c)
{
	if (!c->s.over)
		assert_int_equal(turn(c, SESSION_END), SESSION_CLOSE);
	session_end(&c->s);
	buf_free(&c->in);
	buf_free(&c->out);
	buf_free(&c->m.out);
	free(c);
}

static enum session_next
send_bytes(struct client *c, struct slice bytes)
{
	buf_add(&c->in, bytes);
	return turn(c, SESSION_INPUT);
}

static enum session_next
say(struct client *c, const char *line)
{
	buf_add(&c->in, slice_z(line));
	buf_add(&c->in, S("\r\n"));
	return turn(c, SESSION_INPUT);
}

static bool
said(const struct client *c, const char *what)
{
	return slice_find(buf_slice(&c->out), slice_z(what)) != SLICE_NONE;
}

static unsigned
count(const struct client *c, const char *what)
{
	struct slice rest = buf_slice(&c->out);
	unsigned n = 0;

	for (size_t at; (at = slice_find(rest, slice_z(what))) != SLICE_NONE; n++)
		rest = slice_from(rest, at + 1);
	return n;
}

#define expect(c, what)                                                                            \
	do {                                                                                       \
		if (!said((c), (what)))                                                            \
			fail_msg("line %d: no %s in: %.*s", __LINE__, (what),                      \
			    SFMT(buf_slice(&(c)->out)));                                           \
	} while (0)
#define refute(c, what)                                                                            \
	do {                                                                                       \
		if (said((c), (what)))                                                             \
			fail_msg("line %d: %s in: %.*s", __LINE__, (what),                         \
			    SFMT(buf_slice(&(c)->out)));                                           \
	} while (0)

/* A line that must be answered with "x OK". */
static void
ok(struct client *c, const char *line)
{
	char tagged[600];

	(void)snprintf(tagged, sizeof tagged, "x %s", line);
	(void)say(c, tagged);
	if (!said(c, "x OK"))
		fail_msg("%s: %.*s", line, SFMT(buf_slice(&c->out)));
}

static void
append(struct client *c, const char *folder, const char *flags, const char *message)
{
	char line[256];

	(void)snprintf(line, sizeof line, "x APPEND %s %s {%zu+}\r\n", folder, flags,
	    strlen(message));
	buf_add(&c->in, slice_z(line));
	(void)say(c, message);
	expect(c, "x OK [APPENDUID ");
}

static void
deliver(const char *message)
{
	static uint64_t id = 1;
	own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
	struct mailbox_folder inbox;
	struct mailbox_input in = { .content = slice_z(message), .fd = -1, .size = strlen(message),
		.date = 1700000000 };
	uint32_t uid;
	bool fresh;

	assert_int_equal(mailbox_folder_find(stage.store, S("INBOX"), a, &inbox), STORE_OK);
	assert_int_equal(mailbox_deliver(stage.store, id++, 0, inbox.id, &in, &uid, &fresh),
	    STORE_OK);
	hub_changed(&stage.hub, inbox.id, NULL);
}

#define MESSAGE(subject, body)                                                                     \
	"From: Bob <bob@example.test>\r\nTo: alice@example.test\r\nDate: Tue, 14 Nov 2023 "       \
	"22:13:20 +0000\r\nSubject: " subject "\r\nMessage-ID: <1@x>\r\n\r\n" body "\r\n"

/* ---- the tests ---- */

static void
basics(void **state)
{
	struct client *c = login();

	ok(c, "CAPABILITY");
	expect(c, "* CAPABILITY IMAP4rev1 ");
	ok(c, "NAMESPACE");
	expect(c, "* NAMESPACE ((\"\" \"/\")) NIL NIL");
	ok(c, "ID NIL");
	ok(c, "NOOP");
	(void)say(c, "x LOGIN a b");
	expect(c, "x BAD");
	(void)say(c, "x FETCH 1 FLAGS");
	expect(c, "x BAD");
	(void)say(c, "x STARTTLS");
	expect(c, "x BAD");
	assert_int_equal(say(c, "x LOGOUT"), SESSION_CLOSE);
	expect(c, "* BYE");
	expect(c, "x OK");
	leave(c);
}

static void
listing(void **state)
{
	struct client *c = login();

	ok(c, "LIST \"\" \"\"");
	expect(c, "* LIST (\\Noselect) \"/\" \"\"\r\n");
	ok(c, "LIST \"\" *");
	expect(c, "* LIST (\\HasNoChildren) \"/\" INBOX\r\n");
	expect(c, "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n");
	expect(c, "\\Drafts) ");
	expect(c, "\\Junk) ");
	expect(c, "\\Trash) ");
	expect(c, "\\Archive) ");
	ok(c, "CREATE Work/2024/Q1");
	ok(c, "CREATE \"Entw&APw-rfe\"");
	ok(c, "LIST \"\" %");
	expect(c, "\\HasChildren) \"/\" Work\r\n");
	expect(c, "\"/\" Entw&APw-rfe\r\n");
	refute(c, "2024");
	ok(c, "LIST Work/ %");
	expect(c, "Work/2024\r\n");
	refute(c, "Q1");
	ok(c, "LIST \"\" (Work/2024/* Sent) RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN))");
	expect(c, "Work/2024/Q1\r\n");
	expect(c, "* STATUS Sent (MESSAGES 0 UNSEEN 0)\r\n");
	expect(c, "\\Subscribed");
	ok(c, "LIST (SPECIAL-USE) \"\" *");
	refute(c, "INBOX");
	expect(c, "Junk");
	ok(c, "SUBSCRIBE Work/2024/Q1");
	ok(c, "LSUB \"\" *");
	expect(c, "* LSUB () \"/\" Work/2024/Q1\r\n");
	ok(c, "LSUB \"\" %");
	expect(c, "* LSUB (\\Noselect) \"/\" Work\r\n");
	ok(c, "UNSUBSCRIBE Work/2024/Q1");
	ok(c, "LIST (SUBSCRIBED) \"\" *");
	refute(c, "Q1");
	ok(c, "RENAME Work/2024 Archive/Old");
	ok(c, "LIST \"\" *Q1");
	expect(c, "Archive/Old/Q1\r\n");
	ok(c, "DELETE Archive/Old/Q1");
	(void)say(c, "x DELETE Archive/Old"); /* went with its last child */
	expect(c, "x NO [NONEXISTENT]");
	(void)say(c, "x DELETE INBOX");
	expect(c, "x NO ");
	(void)say(c, "x CREATE Sent");
	expect(c, "x NO [ALREADYEXISTS]");
	(void)say(c, "x DELETE nothing");
	expect(c, "x NO [NONEXISTENT]");
	ok(c, "STATUS inbox (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)");
	expect(c, "* STATUS INBOX (MESSAGES 0 RECENT 0 UIDNEXT 1 UIDVALIDITY ");
	leave(c);
}

static void
i020_wildcards_in_time(void **state)
{
	struct client *c = login();
	uint64_t began = cpu_ms();

	buf_add(&c->in, S("x LIST \"\" \""));
	for (unsigned i = 0; i < 1000; i++)
		buf_add(&c->in, S("*%"));
	(void)say(c, "x\"");
	expect(c, "x OK");
	assert_true(cpu_ms() - began < 1000);
	leave(c);
}

/* I-021, I-028: what is no name, and names of others, get NO; the words do not tell them apart. */
static void
i021_names(void **state)
{
	static const char *const bad[] = { "\"..\"", "../alice", "/etc/passwd", "a/../../b", "a/./b",
		"a//b", "/a", "\"a\\\\b\"", "&AP-", "&AGE-", "&", "&APw", "&2D0-", "\"\"",
		"\"a*\"", "\"a%\"", "&AAA-", "&AAo-b", "a/..", "&ICg-" };
	struct client *c = login();
	char line[300];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		static const char *const verbs[] = { "CREATE", "SELECT", "DELETE", "SUBSCRIBE",
			"RENAME INBOX" };

		for (size_t v = 0; v < 5; v++) {
			(void)snprintf(line, sizeof line, "x %s %s", verbs[v], bad[i]);
			(void)say(c, line);
			if (!said(c, "x NO "))
				fail_msg("%s: %.*s", line, SFMT(buf_slice(&c->out)));
		}
	}
	buf_add(&c->in, S("x CREATE "));
	for (unsigned i = 0; i < 4000; i++)
		buf_add(&c->in, S("n"));
	(void)say(c, "");
	expect(c, "x NO [CANNOT]");
	buf_add(&c->in, S("x CREATE a"));
	for (unsigned i = 0; i < 400; i++)
		buf_add(&c->in, S("/a"));
	(void)say(c, "");
	expect(c, "x NO [CANNOT]");
	(void)say(c, "x SELECT user/bob");
	expect(c, "x NO [NONEXISTENT] No such mailbox.");
	(void)say(c, "x SELECT user/nobody");
	expect(c, "x NO [NONEXISTENT] No such mailbox.");
	leave(c);
}

static void
messages(void **state)
{
	struct client *c = login();

	ok(c, "CREATE box");
	append(c, "box", "(\\Seen)", MESSAGE("one", "first body"));
	append(c, "box", "(\\Flagged work) \"17-Jul-1996 02:44:25 -0700\"",
	    MESSAGE("=?utf-8?q?zw=C3=96lf?=", "second body"));
	append(c, "box", "()", MESSAGE("three", "third body"));
	ok(c, "SELECT box");
	expect(c, "* 3 EXISTS\r\n");
	expect(c, "* 3 RECENT\r\n");
	expect(c, "* OK [UNSEEN 2]");
	expect(c, "* OK [UIDNEXT 4]");
	expect(c, "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft work)\r\n");
	expect(c, " work \\*)]");
	expect(c, "x OK [READ-WRITE]");
	ok(c, "FETCH 1:* (FLAGS UID RFC822.SIZE)");
	expect(c, "* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) RFC822.SIZE ");
	expect(c, "* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent work) ");
	ok(c, "FETCH 2 INTERNALDATE");
	expect(c, "INTERNALDATE \"17-Jul-1996 09:44:25 +0000\"");
	ok(c, "FETCH 3 BODY.PEEK[TEXT]");
	expect(c, "* 3 FETCH (BODY[TEXT] {12}\r\nthird body\r\n)");
	refute(c, "Seen");
	ok(c, "FETCH 3 BODY[TEXT]<2.5>");
	expect(c, "BODY[TEXT]<2> {5}\r\nird b)");
	expect(c, "FLAGS (\\Seen \\Recent)");
	ok(c, "FETCH 3 BODY[TEXT]<99.5>");
	expect(c, "BODY[TEXT]<99> {0}\r\n)");
	ok(c, "UID FETCH 1 BODY[HEADER.FIELDS (subject x-none)]");
	expect(c, "* 1 FETCH (UID 1 BODY[HEADER.FIELDS (subject x-none)] {16}\r\n"
		  "Subject: one\r\n\r\n)");
	ok(c, "FETCH 1 RFC822.HEADER");
	expect(c, "RFC822.HEADER {");
	ok(c, "FETCH 1 (BODY[HEADER.FIELDS.NOT (from to date message-id)] BODY[HEADER])");
	expect(c, "{16}\r\nSubject: one\r\n\r\n BODY[HEADER] {");
	(void)say(c, "x FETCH 4 FLAGS");
	expect(c, "x BAD");
	ok(c, "UID FETCH 4:9 FLAGS");
	refute(c, "FETCH (");
	ok(c, "STORE 1 -FLAGS (\\Seen)");
	expect(c, "* 1 FETCH (FLAGS (\\Recent))");
	ok(c, "STORE 1 +FLAGS.SILENT (\\Deleted $New)");
	refute(c, "FETCH (");
	expect(c, "* FLAGS (");
	ok(c, "UID STORE 1:3 FLAGS (\\Draft)");
	expect(c, "* 3 FETCH (UID 3 FLAGS (\\Draft \\Recent))");
	ok(c, "STORE 1,3 +FLAGS (\\Deleted)");
	ok(c, "EXPUNGE");
	expect(c, "* 3 EXPUNGE\r\n* 1 EXPUNGE\r\n");
	ok(c, "UID FETCH 1:* UID");
	expect(c, "* 1 FETCH (UID 2)\r\n");
	assert_int_equal(count(c, "FETCH ("), 1);
	ok(c, "COPY 1 Trash");
	expect(c, "x OK [COPYUID ");
	(void)say(c, "x COPY 1 nowhere");
	expect(c, "x NO [TRYCREATE]");
	ok(c, "UID MOVE 2 Archive");
	expect(c, "* OK [COPYUID ");
	expect(c, "* 1 EXPUNGE\r\n");
	ok(c, "EXAMINE Archive");
	expect(c, "* 1 EXISTS");
	expect(c, "x OK [READ-ONLY]");
	(void)say(c, "x STORE 1 FLAGS (\\Seen)");
	expect(c, "x NO [READ-ONLY]");
	ok(c, "UNSELECT");
	ok(c, "DELETE box");
	leave(c);
}

static void
closing(void **state)
{
	struct client *c = login();

	ok(c, "CREATE closing");
	append(c, "closing", "(\\Deleted)", MESSAGE("one", "x"));
	append(c, "closing", "()", MESSAGE("two", "x"));
	ok(c, "EXAMINE closing");
	ok(c, "CLOSE");
	ok(c, "SELECT closing");
	expect(c, "* 2 EXISTS");
	ok(c, "CLOSE");
	refute(c, "EXPUNGE");
	ok(c, "STATUS closing (MESSAGES)");
	expect(c, "(MESSAGES 1)");
	(void)say(c, "x FETCH 1 FLAGS");
	expect(c, "x BAD");
	ok(c, "DELETE closing");
	leave(c);
}

static void
several_sessions(void **state)
{
	struct client *a = login(), *b = login();

	ok(a, "CREATE shared");
	ok(a, "SELECT shared");
	ok(b, "SELECT shared");
	append(a, "shared", "()", MESSAGE("one", "x"));
	expect(a, "* 1 EXISTS\r\n* 1 RECENT\r\nx OK [APPENDUID ");
	ok(b, "NOOP");
	expect(b, "* 1 EXISTS\r\n* 0 RECENT\r\n");
	append(a, "shared", "()", MESSAGE("two", "x"));
	append(a, "shared", "()", MESSAGE("three", "x"));
	ok(b, "NOOP");
	expect(b, "* 3 EXISTS");
	ok(a, "STORE 2 +FLAGS (\\Answered kw)");
	ok(b, "NOOP");
	expect(b, "* FLAGS (");
	expect(b, "* 2 FETCH (UID 2 FLAGS (\\Answered kw))\r\n");
	ok(a, "NOOP");
	refute(a, "FETCH");
	ok(a, "STORE 1 +FLAGS.SILENT (\\Deleted)");
	ok(a, "EXPUNGE");
	expect(a, "* 1 EXPUNGE");
	/* RFC 3501 7.4.1: not after FETCH, STORE, SEARCH; then at the next moment */
	ok(b, "FETCH 3 FLAGS");
	refute(b, "EXPUNGE");
	ok(b, "SEARCH ALL");
	refute(b, "EXPUNGE");
	(void)say(b, "x FETCH 1 BODY.PEEK[]");
	expect(b, "x NO [EXPUNGEISSUED]");
	refute(b, "EXPUNGE\r\n");
	ok(b, "UID SEARCH ALL");
	expect(b, "* 1 EXPUNGE\r\n");
	ok(b, "NOOP");
	refute(b, "EXPUNGE");
	ok(b, "FETCH 1:* UID");
	expect(b, "* 1 FETCH (UID 2)\r\n* 2 FETCH (UID 3)\r\n");
	ok(a, "UNSELECT");
	ok(a, "DELETE shared");
	assert_int_equal(say(b, "x NOOP"), SESSION_CLOSE);
	expect(b, "* BYE The mailbox was deleted");
	leave(a);
	leave(b);
}

static void
idling(void **state)
{
	struct client *a = login(), *b = login();
	uint64_t t;

	ok(a, "SELECT INBOX");
	ok(b, "SELECT INBOX");
	(void)say(a, "i IDLE");
	expect(a, "+ idling");
	refute(a, "i OK");
	/* what an idle session holds: no buffer, no rows */
	assert_null(a->s.io.in);
	assert_null(a->s.out.p);
	assert_null(a->s.view.rows.p);
	t = cpu_ms();
	deliver(MESSAGE("news", "x"));
	assert_int_equal(a->woken, 1);
	assert_int_equal(b->woken, 0);
	assert_int_equal(turn(a, SESSION_NEWS), SESSION_PARK);
	expect(a, "* 1 EXISTS\r\n* 1 RECENT\r\n");
	assert_true(cpu_ms() - t < 100);
	ok(b, "NOOP");
	ok(b, "STORE 1 FLAGS.SILENT (\\Deleted)");
	assert_int_equal(a->woken, 2);
	(void)turn(a, SESSION_NEWS);
	expect(a, "* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))");
	ok(b, "EXPUNGE");
	(void)turn(a, SESSION_NEWS);
	expect(a, "* 1 EXPUNGE\r\n");
	(void)say(a, "DONE");
	expect(a, "i OK");
	deliver(MESSAGE("more", "x"));
	assert_int_equal(a->woken, 3);
	(void)say(a, "i IDLE");
	expect(a, "* 1 EXISTS");
	(void)say(a, "nonsense");
	expect(a, "i BAD");
	a->s.until_ms = 0;
	assert_int_equal(turn(a, SESSION_EXPIRED), SESSION_CLOSE);
	expect(a, "* BYE Autologout");
	leave(a);
	leave(b);
}

/* Case folding against a table: every ASCII octet at every place of eight, and other alphabets. */
static void
folding(void **state)
{
	static const struct slice pairs[][2] = {
		{ S_INIT("\xc3\x84\xc3\x96\xc3\x97"), S_INIT("\xc3\xa4\xc3\xb6\xc3\x97") },
		{ S_INIT("\xd0\x9f\xd0\xa0\xd0\x81x"), S_INIT("\xd0\xbf\xd1\x80\xd1\x91x") },
		{ S_INIT("ABCDEFG\xce\xa9Z"), S_INIT("abcdefg\xcf\x89z") },
		{ S_INIT("\xc4\x80\xc5\xbd\xc4\xb9"), S_INIT("\xc4\x81\xc5\xbe\xc4\xba") },
		{ S_INIT("\xff\xc3"), S_INIT("\xff\xc3") },
	};
	own(arena_p) a = arena_new("test", LIMIT_ARENA_MESSAGE);
	struct slice out;
	uint8_t text[19];

	for (unsigned c = 0; c < 0x80; c++) {
		for (size_t at = 0; at < sizeof text; at++) {
			memset(text, '@', sizeof text);
			text[at] = (uint8_t)c;
			assert_true(match_fold(slice_of(text, sizeof text), a, &out));
			for (size_t i = 0; i < sizeof text; i++)
				assert_int_equal(slice_at(out, i), i == at ? ch_lower((uint8_t)c) : '@');
		}
	}
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		assert_true(match_fold(pairs[i][0], a, &out));
		assert_true(slice_eq(out, pairs[i][1]));
	}
}

static void
searching(void **state)
{
	struct client *c = login();

	ok(c, "CREATE s");
	append(c, "s", "(\\Seen kw) \" 1-Feb-2020 10:00:00 +0000\"", MESSAGE("one", "first body"));
	append(c, "s", "(\\Flagged) \"03-Mar-2021 10:00:00 +0000\"",
	    MESSAGE("=?utf-8?q?zw=C3=96lf?=", "second body that is longer"));
	append(c, "s", "()", MESSAGE("three", "third\r\nbody"));
	ok(c, "SELECT s");
#define FINDS(what, result)                                                                        \
	ok(c, "SEARCH " what);                                                                     \
	expect(c, "* SEARCH" result "\r\n")
	FINDS("ALL", " 1 2 3");
	FINDS("SEEN", " 1");
	FINDS("UNSEEN", " 2 3");
	FINDS("KEYWORD KW", " 1");
	FINDS("UNKEYWORD kw 2:*", " 2 3");
	FINDS("UNKEYWORD never", " 1 2 3");
	FINDS("NOT (OR FLAGGED SEEN)", " 3");
	FINDS("BEFORE 2-Feb-2020", " 1");
	FINDS("ON 3-Mar-2021", " 2");
	FINDS("SINCE 1-Feb-2020", " 1 2 3");
	FINDS("SENTON 14-Nov-2023", " 1 2 3");
	FINDS("SENTBEFORE 14-Nov-2023", "");
	FINDS("SUBJECT on", " 1");
	FINDS("FROM BOB", " 1 2 3");
	FINDS("HEADER Message-ID \"\"", " 1 2 3");
	FINDS("HEADER X-None \"\"", "");
	FINDS("BODY \"SECOND body\"", " 2");
	FINDS("TEXT three", " 3");
	FINDS("LARGER 1 SMALLER 99999", " 1 2 3");
	FINDS("UID 2:3 1:2", " 2");
	FINDS("RECENT", " 1 2 3");
	FINDS("NEW", " 2 3");
	FINDS("OLD", "");
	FINDS("9:*", " 3");
	(void)say(c, "x SEARCH 4294967295");
	expect(c, "x BAD");
	(void)send_bytes(c, S("x SEARCH CHARSET UTF-8 SUBJECT {5+}\r\nzw\xc3\xb6l\r\n"));
	expect(c, "* SEARCH 2\r\n");
	(void)say(c, "x SEARCH CHARSET EBCDIC ALL");
	expect(c, "x NO [BADCHARSET");
	ok(c, "UNSELECT");
	ok(c, "DELETE s");
	leave(c);
}

/* Rows outlive a pause between commands, are those of now when they are used, and go after a while. */
static void
rows_rest(void **state)
{
	struct client *a = login(), *b = login();

	ok(a, "CREATE rest");
	append(a, "rest", "()", MESSAGE("one", "x"));
	ok(a, "SELECT rest");
	ok(b, "SELECT rest");
	ok(a, "FETCH 1 FLAGS");
	assert_non_null(a->s.view.rows.p);
	assert_true(session_deadline(&a->s) < a->s.until_ms);
	ok(b, "STORE 1 FLAGS (\\Flagged kw)");
	append(b, "rest", "()", MESSAGE("two", "x"));
	ok(a, "SEARCH FLAGGED KEYWORD kw");
	expect(a, "* SEARCH 1\r\n");
	expect(a, "* 2 EXISTS\r\n");
	a->s.rest_ms = 1;
	assert_int_equal(turn(a, SESSION_EXPIRED), SESSION_PARK);
	assert_null(a->s.view.rows.p);
	assert_true(session_deadline(&a->s) == a->s.until_ms);
	ok(a, "FETCH 1:2 FLAGS");
	expect(a, "* 1 FETCH (FLAGS (\\Flagged \\Recent kw");
	ok(a, "UNSELECT");
	ok(a, "DELETE rest");
	leave(a);
	(void)turn(b, SESSION_INPUT);
	leave(b);
}

/* I-022, I-023: heavy programs end soon, answers come once. */
static void
i022_search_and_fetch_bombs(void **state)
{
	static const struct {
		const char *head, *piece;
		unsigned n;
	} bombs[] = { { "x SEARCH ", "NOT ", 15000 }, { "x SEARCH ", "OR ALL ", 7000 },
		{ "x SEARCH ", "(", 30000 }, { "x FETCH 1 BODY[1", ".1", 10000 },
		{ "x SEARCH ALL", " NOT ALL", 6000 }, { "x FETCH 1", ",1", 20000 } };
	struct client *c = login();

	ok(c, "SELECT INBOX");
	if (!said(c, "* 1 EXISTS"))
		deliver(MESSAGE("bomb", "x"));
	for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
		uint64_t began = cpu_ms();

		buf_add(&c->in, slice_z(bombs[i].head));
		for (unsigned k = 0; k < bombs[i].n; k++)
			buf_add(&c->in, slice_z(bombs[i].piece));
		(void)say(c, i == 3 ? "]" : i == 5 ? " UID" : "ALL");
		assert_true(said(c, "x BAD") || said(c, "x OK") || said(c, "x NO [LIMIT]"));
		assert_true(cpu_ms() - began < 3000);
	}
	assert_int_equal(count(c, "FETCH ("), 1);
	(void)say(c, "x FETCH 1 (BODY.PEEK[]<0.18446744073709551615>)");
	expect(c, "x BAD");
	ok(c, "FETCH 1 (BODY.PEEK[]<9223372036854775807.9223372036854775807>)");
	expect(c, "BODY[]<9223372036854775807> {0}\r\n)");
	leave(c);
}

static void
i024_keywords(void **state)
{
	struct client *c = login();

	ok(c, "CREATE kw");
	append(c, "kw", "()", MESSAGE("x", "x"));
	ok(c, "SELECT kw");
	for (unsigned i = 0; i < 5; i++) {
		buf_add(&c->in, S("x STORE 1 +FLAGS.SILENT ("));
		for (unsigned k = 0; k < 40; k++)
			buf_fmt(&c->in, "%sk%u", k == 0 ? "" : " ", i * 40 + k);
		(void)say(c, ")");
		expect(c, "x OK");
	}
	(void)say(c, "x STORE 1 +FLAGS (onemore)");
	expect(c, "x NO [LIMIT]");
	buf_add(&c->in, S("x STORE 1 +FLAGS ("));
	for (unsigned k = 0; k < 5000; k++)
		buf_fmt(&c->in, "%sz%u", k == 0 ? "" : " ", k);
	(void)say(c, ")");
	expect(c, "x NO [LIMIT]");
	ok(c, "FETCH 1 FLAGS");
	expect(c, " k199)");
	ok(c, "UNSELECT");
	ok(c, "DELETE kw");
	leave(c);
}

static void
i025_append(void **state)
{
	struct client *c = login();

	(void)say(c, "x APPEND INBOX {9999999999}");
	expect(c, "x NO [TOOBIG]");
	refute(c, "+ ");
	(void)say(c, "x APPEND nowhere {10}");
	expect(c, "x NO [TRYCREATE]");
	refute(c, "+ ");
	(void)send_bytes(c, S("x APPEND nowhere {10+}\r\n0123456789\r\ny NOOP\r\n"));
	expect(c, "x NO [TRYCREATE]");
	expect(c, "y OK");
	(void)send_bytes(c, S("x APPEND Sent {5+}\r\nab\0cd\r\n"));
	expect(c, "x NO [UNKNOWN-CTE]");
	(void)send_bytes(c, S("x APPEND Sent {5+}\r\nabcde more\r\n"));
	expect(c, "x BAD");
	(void)say(c, "x APPEND Sent {5+}");
	assert_int_equal(turn(c, SESSION_INPUT), SESSION_CLOSE); /* the rest never came */
	leave(c);
	c = login();
	ok(c, "STATUS Sent (MESSAGES)");
	expect(c, "(MESSAGES 0)");
	leave(c);
}

/* ENVELOPE and BODYSTRUCTURE are there before anybody asks for them. */
static void
answers_are_kept(void **state)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_MESSAGE);
	struct client *c = login();
	struct mailbox_folder box;
	struct slice kept;

	ok(c, "CREATE kept");
	append(c, "kept", "()", MESSAGE("kept", "body"));
	assert_int_equal(mailbox_folder_find(stage.store, S("kept"), a, &box), STORE_OK);
	assert_int_equal(mailbox_cache_get(stage.store, box.id, 1, MESSAGE_CACHE, a, &kept), STORE_OK);
	assert_true(slice_find(kept, S("\"Tue, 14 Nov 2023 22:13:20 +0000\" \"kept\"")) != SLICE_NONE);
	assert_int_equal(mailbox_cache_put(stage.store, box.id, 1, MESSAGE_CACHE - 1, S("old")),
	    STORE_OK);
	ok(c, "SELECT kept");
	ok(c, "FETCH 1 (ENVELOPE BODY)");
	expect(c, "ENVELOPE (\"Tue, 14 Nov 2023 22:13:20 +0000\" \"kept\" ");
	expect(c, " BODY (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 1)");
	assert_int_equal(mailbox_cache_get(stage.store, box.id, 1, MESSAGE_CACHE, a, &kept), STORE_OK);
	ok(c, "CLOSE");
	ok(c, "DELETE kept");
	leave(c);
}

static void
i030_sessions(void **state)
{
	struct client *c[LIMIT_SESSIONS_PER_USER], *late = calloc(1, sizeof *late);

	for (unsigned i = 0; i < LIMIT_SESSIONS_PER_USER; i++)
		c[i] = login();
	buf_init(&late->m.out, 4096);
	buf_init(&late->in, 4096);
	buf_init(&late->out, 4096);
	late->s = (struct session){ .store = stage.store, .hub = &stage.hub };
	stream_init_memory(&late->s.io, &late->m);
	session_begin(&late->s, S("t"));
	assert_int_equal(turn(late, SESSION_INPUT), SESSION_CLOSE);
	expect(late, "t NO [LIMIT]");
	leave(late);
	for (unsigned i = 0; i < LIMIT_SESSIONS_PER_USER; i++)
		leave(c[i]);
	assert_int_equal(stage.hub.n, 0);
}

static void
bad_commands(void **state)
{
	struct client *c = login();
	unsigned n = 0;

	while (say(c, "x XYZZY") == SESSION_PARK && n < 100)
		n++;
	assert_true(n < 20);
	expect(c, "* BYE");
	leave(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(basics),
		cmocka_unit_test(listing),
		cmocka_unit_test(i020_wildcards_in_time),
		cmocka_unit_test(i021_names),
		cmocka_unit_test(messages),
		cmocka_unit_test(closing),
		cmocka_unit_test(several_sessions),
		cmocka_unit_test(idling),
		cmocka_unit_test(folding),
		cmocka_unit_test(searching),
		cmocka_unit_test(rows_rest),
		cmocka_unit_test(i022_search_and_fetch_bombs),
		cmocka_unit_test(i024_keywords),
		cmocka_unit_test(i025_append),
		cmocka_unit_test(answers_are_kept),
		cmocka_unit_test(i030_sessions),
		cmocka_unit_test(bad_commands),
	};

	return cmocka_run_group_tests_name("session", tests, open_stage, close_stage);
}
