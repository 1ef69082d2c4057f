/* SPDX-License-Identifier: MIT
 * Scenes: whole conversations with the real session code and a stubbed world. Numbers S- and U- are
 * those of the attack cases. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/clock/clock.h"
#include "rooms/smtp/test_scene.h"

static void
a_message(void **state)
{
	struct world w;

	world_init(&w, false);
	clock_fake(1000, -27723426 * INT64_C(1000000));
	assert_int_equal(world_talk(&w, S(HELLO MAIL "QUIT\r\n"), false, false), SMTP_END);
	assert_string_equal(codes(&w), "220 250 250 250 354 250 221");
	assert_int_equal(w.accepted, 1);
	assert_true(w.sealed);
	assert_int_equal(w.account, 0);
	assert_true(slice_eq(buf_slice(&w.sender), S("a@far.example")));
	assert_true(slice_eq(buf_slice(&w.rcpts), S("2 bob@example.test<bob@example.test\n")));
	assert_true(slice_ends(buf_slice(&w.message), S("\r\nSubject: x\r\n\r\nhello\r\n")));
	assert_true(slice_starts(buf_slice(&w.message), S("Received: from client.example ([192.0.2.7])"
	    " by mx.example.test with ESMTP id\r\n\t")));
	assert_true(said(&w.message, " for <bob@example.test>;\r\n\tFri, 14 Feb 1969 03:02:54 +0000\r\n"));
	assert_true(said(&w.out, "queued as ") && slice_find(buf_slice(&w.message), buf_slice(&w.queue_id)) != SLICE_NONE);
	assert_true(slice_eq(buf_slice(&w.events), S("smtp.accepted ")));
	assert_true(said(&w.out, "250-PIPELINING\r\n") && said(&w.out, "250-SIZE 1000000\r\n"));
	assert_true(said(&w.out, "250-STARTTLS\r\n") && !said(&w.out, "AUTH"));
	/* pipelined as RFC 2920 says, two in one conversation, transparency (S-018) */
	assert_int_equal(world_talk(&w, S(HELLO "\x1f" FROM TO "DATA\r\n\x1f" TEXT FROM TO "DATA\r\n\x1f"
	    "..\r\n...\r\n..x\r\n.\r\nQUIT\r\n"), false, false), SMTP_END);
	assert_string_equal(codes(&w), "220 250 250 250 354 250 250 250 354 250 221");
	assert_int_equal(w.accepted, 3);
	assert_true(slice_ends(buf_slice(&w.message), S("\r\n.\r\n..\r\n.x\r\n")));
	assert_true(said(&w.queue_id, ".2"));
	clock_real();
	world_free(&w);
}

/* Everything that must give a certain sequence of replies, and how many messages get through. */
static const struct {
	const char *name;
	struct slice script;
	const char *want;
	unsigned accepted;
} scenes[] = {
	{ "S-016", S_INIT("EHLO a\nMAIL FROM:<a@b.example>\nRCPT TO:<bob@example.test>\r\n\x1fNOOP\r\n"),
	    "220 500 250", 0 },
	{ "S-017", S_INIT(HELLO FROM TO "DATA\r\nSubject: x\r\n\r\nhalf"), "220 250 250 250 354", 0 },
	{ "S-022 arguments", S_INIT(HELLO "STARTTLS now\r\n"), "220 250 501", 0 },
	{ "S-024", S_INIT("MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n" TEXT "\x1f"),
	    "220 503 503 503 500 500 500 500", 0 },
	{ "S-020 pipelined EHLO", S_INIT(HELLO MAIL "\x1f"), "220 554", 0 },
	{ "S-024 body sent ahead", S_INIT(HELLO "\x1f" MAIL "\x1f"), "220 250 250 250 554", 0 },
	{ "S-025", S_INIT(TO "DATA\r\n" HELLO "DATA\r\n" TO FROM FROM "DATA\r\n"),
	    "220 503 503 250 503 503 250 503 503", 0 },
	{ "S-025 RSET", S_INIT(HELLO FROM TO "RSET\r\nDATA\r\n"), "220 250 250 250 250 503", 0 },
	{ "S-025 EHLO", S_INIT(HELLO FROM TO HELLO "DATA\r\n"), "220 250 250 250 250 503", 0 },
	{ "S-026", S_INIT(HELLO FROM TO "DATA\r\nx\n\r\n.\r\n" TO "DATA\r\n"),
	    "220 250 250 250 354 550 503 503", 0 },
	{ "S-026 after 250", S_INIT(HELLO MAIL TO "DATA\r\n"), "220 250 250 250 354 250 503 503", 1 },
	{ "S-037 huge", S_INIT(HELLO "MAIL FROM:<> SIZE=999999999999\r\n"), "220 250 552", 0 },
	{ "S-037 2^64", S_INIT(HELLO "MAIL FROM:<> SIZE=18446744073709551616\r\n"), "220 250 552", 0 },
	{ "S-037 -1", S_INIT(HELLO "MAIL FROM:<> SIZE=-1\r\n"), "220 250 501", 0 },
	{ "S-043", S_INIT(HELLO "\x1f" FROM TO "DATA\r\n\x1f" "Subject: a\0b\r\n\r\n.\r\n\x1fNOOP\r\n"),
	    "220 250 250 250 354 550 250", 0 },
	{ "S-044", S_INIT(HELLO FROM TO "DATA\r\nSubject: a\rBcc: c@d.example\r\n\r\n.\r\nNOOP\r\n"),
	    "220 250 250 250 354 550 250", 0 },
	{ "S-045", S_INIT(HELLO "NOOP \x1b[2J\r\nNOOP \x07\r\nNOOP \xff\r\nMAIL FROM:<\xc3\xbc@b.example>\r\n"),
	    "220 250 500 500 500 550", 0 },
	{ "S-046", S_INIT(HELLO "MAIL FROM:<\xc3@b.example> SMTPUTF8\r\nMAIL FROM:<\xc3@b.example>\r\n"
	    "MAIL FROM:<\xc3\xbc\xc2\x9b@b.example> SMTPUTF8\r\n"), "220 250 550 550 550", 0 },
	{ "S-078", S_INIT(HELLO FROM "RCPT TO:<Postmaster>\r\n"), "220 250 250 250", 0 },
	{ "S-081", S_INIT(HELLO "MAIL FROM:<> AUTH=+0A\r\nMAIL FROM:<> ENVID=+00\r\n" FROM
	    "RCPT TO:<bob@example.test> NOTIFY=NEVER,SUCCESS\r\n"
	    "RCPT TO:<bob@example.test> ORCPT=rfc822;+00@x\r\n"), "220 250 555 555 250 555 555", 0 },
	{ "S-082", S_INIT(HELLO "MAIL FROM:<a@b.example>\0\r\nMA\rIL FROM:<>\r\n"), "220 250 500 500", 0 },
	{ "S-090", S_INIT(HELLO "XCLIENT ADDR=127.0.0.1\r\nXFORWARD ADDR=127.0.0.1\r\n"
	    "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"), "220 250 500 500 500", 0 },
	{ "S-091", S_INIT(HELLO "ETRN x\r\nTURN\r\nSOML x\r\nDEBUG\r\nWIZ\r\n"), "220 250 500 500 500 500 500",
	    0 },
	{ "S-092", S_INIT("POST / HTTP/1.1\r\nEHLO x\r\n"), "220 554", 0 },
	{ "S-093", S_INIT("EHLO\r\nEHLO $(id)\r\nHELO <script>\r\n"), "220 501 501 501", 0 },
	{ "S-023", S_INIT("\x16\x03\x01\x02"), "220 554", 0 },
	{ "S-023 with line ends", S_INIT("\x16\x03\x01\0\r\n\r\n" HELLO), "220 554", 0 },
	{ "S-099", S_INIT("LHLO x.example\r\n"), "220 500", 0 },
	{ "S-097", S_INIT(HELLO FROM "RCPT TO:<later@example.test>\r\n"), "220 250 250 451", 0 },
	{ "disabled", S_INIT(HELLO FROM "RCPT TO:<off@example.test>\r\n"), "220 250 250 550", 0 },
	{ "O-001", S_INIT(HELLO FROM "RCPT TO:<ring@example.test>\r\n"), "220 250 250 554", 0 },
	{ "U-013", S_INIT(HELLO FROM "RCPT TO:<busy@example.test>\r\n"), "220 250 250 450", 0 },
	{ "closed list", S_INIT(HELLO FROM "RCPT TO:<closed@example.test>\r\n"), "220 250 250 550", 0 },
	{ "AUTH on mx", S_INIT(HELLO "AUTH PLAIN\r\n"), "220 250 503", 0 },
	{ "QUIT, then more", S_INIT("QUIT\r\nNOOP\r\n"), "220 221", 0 },
	{ "HELO", S_INIT("HELO client.example\r\n" MAIL), "220 250 250 250 354 250", 1 },
};

static void
scene_table(void **state)
{
	for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
		struct world w;
		const char *got;

		world_init(&w, false);
		w.hang = slice_eq(slice_z(scenes[i].name), S("S-023"));
		(void)world_talk(&w, scenes[i].script, false, false);
		got = codes(&w);
		if (strcmp(got, scenes[i].want) != 0)
			print_error("%s:\n%.*s\n", scenes[i].name, SFMT(buf_slice(&w.out)));
		assert_string_equal(got, scenes[i].want);
		assert_int_equal(w.accepted, scenes[i].accepted);
		world_free(&w);
	}
}

/* A list says in the header what it is; a forward goes on under another sender. */
static void
lists_and_forwards(void **state)
{
	struct world w;

	world_init(&w, false);
	(void)world_talk(&w, S(HELLO FROM "RCPT TO:<list@example.test>\r\nDATA\r\n" TEXT), false, false);
	assert_int_equal(w.accepted, 1);
	assert_true(said(&w.message, "\r\nList-Id: <list.example.test>\r\n"));
	assert_true(said(&w.message, "\r\nPrecedence: list\r\n"));
	(void)world_talk(&w, S(HELLO FROM "RCPT TO:<away@example.test>\r\nDATA\r\n" TEXT), false, false);
	assert_int_equal(w.accepted, 2);
	assert_false(said(&w.message, "List-Id"));
	assert_true(said(&w.rcpts, "0 a@far.test<away@example.test|SRS0=x@example.test|quiet\n"));
	/* only a sender that is known to be real hears of what could not be forwarded */
	w.conf.scan = true;
	w.verdict.sender_verified = true;
	(void)world_talk(&w, S(HELLO FROM "RCPT TO:<away@example.test>\r\nDATA\r\n" TEXT), false, false);
	assert_true(said(&w.rcpts, "0 a@far.test<away@example.test|SRS0=x@example.test\n"));
	(void)world_talk(&w, S(HELLO FROM TO "DATA\r\n" TEXT), false, false);
	assert_false(said(&w.rcpts, "quiet"));
	world_free(&w);
}

/* S-001..S-014: after the look-alike, commands; then the true end. One reply to the data, at most one
 * message, and it never holds more or less than was framed. */
static void
smuggling(void **state)
{
	static const struct slice seqs[] = { S_INIT("\n.\n"), S_INIT("\r\n.\n"), S_INIT("\n.\r\n"),
		S_INIT("\r.\r"), S_INIT("\r\n.\r"), S_INIT("\r.\r\n"), S_INIT("\n.\r"),
		S_INIT("\r\r\n.\r\r\n"), S_INIT("\r\n\0.\r\n"), S_INIT("\r\n.\0\r\n"),
		S_INIT("\r\n.\r\r\n"), S_INIT("\r\n. \r\n"), S_INIT("\r\n.\x0b\r\n"), S_INIT("\x85.\x85") };

	for (size_t i = 0; i < sizeof seqs / sizeof seqs[0]; i++) {
		bool harmless = i >= 11; /* no CR, LF or NUL out of place: an ordinary line */
		struct buf script;
		struct world w;

		world_init(&w, false);
		buf_init(&script, 1000);
		assert_true(buf_add(&script, S(HELLO "\x1f" FROM TO "DATA\r\n\x1f" "first")) &&
		    buf_add(&script, seqs[i]) &&
		    buf_add(&script, S(FROM TO "DATA\r\nsecond\r\n.\r\n\x1fNOOP\r\n")));
		(void)world_talk(&w, buf_slice(&script), false, false);
		assert_string_equal(codes(&w),
		    harmless ? "220 250 250 250 354 250 250" : "220 250 250 250 354 550 250");
		assert_int_equal(w.accepted, harmless);
		if (harmless)
			assert_true(slice_ends(buf_slice(&w.message), S("second\r\n")));
		buf_free(&script);
		world_free(&w);
	}
}

/* S-015: the end of data in pieces; every split of a whole conversation behind DATA. */
static void
end_of_data_in_pieces(void **state)
{
	struct slice text = S(TEXT);

	for (size_t cut = 0; cut <= text.n; cut++) {
		struct buf script;
		struct world w;

		world_init(&w, false);
		buf_init(&script, 1000);
		assert_true(buf_add(&script, S(HELLO "\x1f" FROM TO "DATA\r\n\x1f")) &&
		    buf_add(&script, slice_head(text, cut)) && buf_byte(&script, 0x1f) &&
		    buf_add(&script, slice_from(text, cut)) && buf_add(&script, S("NOOP\r\n")));
		(void)world_talk(&w, buf_slice(&script), false, false);
		assert_string_equal(codes(&w), "220 250 250 250 354 250 250");
		assert_true(slice_ends(buf_slice(&w.message), S("\r\nSubject: x\r\n\r\nhello\r\n")));
		buf_free(&script);
		world_free(&w);
	}
}

/* S-050..S-077, S-080: from a foreign, an empty and a local sender, none gets a 250. */
static void
relay_tricks(void **state)
{
	static const char *const senders[] = { "a@far.example", "", "alice@example.test" };
	static const char *const rcpts[] = { "u@d.example", "u%d.example@example.test", "@a.example:u@d.example",
		"@a.example,@example.test:u@d.example", "d.example!u@example.test", "d.example!u",
		"\"u@d.example\"@example.test", "\"u@d.example\"", "\"u%d.example\"@example.test",
		"\"u%d.example\"", "u@d.example@example.test", "u@example.test@d.example", "u@[127.0.0.1]",
		"u@[IPv6:::1]", "u@[192.0.2.1]", "u@d.example.", "u@example.test.", "u@127.0.0.1",
		"u@2130706433", "u(c)@d.example", "u@d.example(c)", "u\\@d.example@example.test",
		"u@d..example", "..u@d.example", "u@[0x7f000001]", "u@[127.1]", "u", "", " ", "@example.test",
		"u@", "bob@example.test>,<u@d.example", ";sleep 66;@example.test", "${run{id}}@example.test",
		"|id@example.test", ":include:/etc/passwd@example.test", "../../x@example.test",
		"\"../../x\"@example.test", "-oQ/tmp -X/tmp/x@example.test", "%n%n@example.test",
		"\"\"@example.test", "\"\\\"@example.test", "`id`@example.test", "$(id)@example.test",
		"\"a\\\nb\"@example.test", "root@localhost", "bob@EXAMPLE.test.d.example" };

	for (size_t i = 0; i < sizeof rcpts / sizeof rcpts[0]; i++)
		for (size_t k = 0; k < 3; k++) {
			struct buf script;
			struct world w;

			world_init(&w, false);
			buf_init(&script, 4000);
			assert_true(buf_fmt(&script, HELLO "MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n",
			    senders[k], rcpts[i]));
			(void)world_talk(&w, buf_slice(&script), false, false);
			if (strncmp(codes(&w), "220 250 250 5", 13) != 0)
				print_error("%s: %s\n", rcpts[i], codes(&w));
			assert_int_equal(strncmp(codes(&w), "220 250 250 5", 13), 0);
			assert_null(strstr(codes(&w), "354"));
			buf_free(&script);
			world_free(&w);
		}
}

/* How many replies there were, and that the last one is code. */
static size_t
replies(struct world *w, const char *last)
{
	const char *text = codes(w);
	size_t n = (slice_z(text).n + 1) / 4;

	assert_string_equal(&text[slice_z(text).n - 3], last);
	return n;
}

static void
budgets(void **state)
{
	static const struct {
		const char *head, *line;
		size_t times, most;
		const char *last;
	} floods[] = {
		{ HELLO, "NOOP\r\n", 2000, 200, "421" },		  /* S-032 */
		{ HELLO, "RSET\r\n", 2000, 200, "421" },
		{ "", HELLO, 2000, 200, "421" },
		{ HELLO, "VRFY bob\r\n", 2000, 200, "421" },
		{ HELLO, "FOO\r\n", 2000, 24, "421" },			  /* S-033 */
		{ HELLO, "\n\r\n", 2000, 24, "421" },
		{ HELLO FROM, "RCPT TO:<nobody@example.test>\r\n", 200, 28, "421" }, /* S-035 */
		{ HELLO FROM, "RCPT TO:<u@d.example>\r\n", 200, 28, "421" },
		{ HELLO, "MAIL FROM:<a@b.example\r\n", 200, 24, "421" },
	};

	for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
		struct buf script;
		struct world w;

		world_init(&w, false);
		buf_init(&script, 1000000);
		repeat(&script, floods[i].head, 1);
		repeat(&script, floods[i].line, floods[i].times);
		assert_int_equal(world_talk(&w, buf_slice(&script), false, false), SMTP_END);
		assert_in_range(replies(&w, floods[i].last), 3, floods[i].most);
		assert_true(said(&w.events, "protocol.abuse"));
		buf_free(&script);
		world_free(&w);
	}
}

/* S-030, S-031. */
static void
long_lines(void **state)
{
	static const size_t sizes[] = { 506, 513, 2041, 2042, 11000, 60000 };
	struct buf script;
	struct world w;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		world_init(&w, false);
		buf_init(&script, 100000);
		assert_true(buf_add(&script, S("NOOP ")));
		repeat(&script, "a", sizes[i]);
		assert_true(buf_add(&script, S("\r\nNOOP\r\n")));
		(void)world_talk(&w, buf_slice(&script), false, false);
		assert_string_equal(codes(&w), sizes[i] + 7 <= 2048 ? "220 250 250" : "220 500 250");
		buf_free(&script);
		world_free(&w);
	}
	world_init(&w, false);
	buf_init(&script, 40000000);
	repeat(&script, "0123456789abcdef0123456789abcdef", 1000000);
	assert_int_equal(world_talk(&w, buf_slice(&script), false, false), SMTP_END);
	assert_string_equal(codes(&w), "220 500");
	assert_true(w.at <= LIMIT_SMTP_OVERLONG + LIMIT_STREAM_IN);
	buf_free(&script);
	world_free(&w);
}

/* S-034; also what fills a frame to queue before the count does. */
static void
many_recipients(void **state)
{
	struct buf script;
	struct world w;

	world_init(&w, true);
	w.conf.relay = true;
	buf_init(&script, 1000000);
	assert_true(buf_add(&script, S(HELLO "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n"
	    "MAIL FROM:<alice@example.test>\r\n")));
	for (int i = 0; i < 1500; i++)
		assert_true(buf_fmt(&script, "RCPT TO:<user%04d@a-rather-long-name.d.example>\r\n", i));
	assert_true(buf_add(&script, S("DATA\r\n" TEXT)));
	(void)world_talk(&w, buf_slice(&script), true, false);
	assert_true(said(&w.out, "452 4.5.3"));
	assert_int_equal(w.accepted, 1);
	assert_int_equal(w.account, 1);
	/* the answer of a full frame still fits */
	assert_true(w.rcpts.n > 40000 && w.rcpts.n < LIMIT_IPC);
	world_free(&w);
	world_init(&w, false);
	buf_reset(&script);
	repeat(&script, HELLO FROM, 1);
	repeat(&script, TO, 1500);
	(void)world_talk(&w, buf_slice(&script), false, false);
	assert_int_equal(w.rcpts_asked, LIMIT_SMTP_RCPTS);
	assert_int_equal(replies(&w, "452"), 1503);
	buf_free(&script);
	world_free(&w);
	/* one mailbox, many times: one delivery */
	world_init(&w, false);
	(void)world_talk(&w, S(HELLO FROM TO TO "RCPT TO:<team@example.test>\r\nDATA\r\n" TEXT), false, false);
	assert_string_equal(codes(&w), "220 250 250 250 250 250 354 250");
	assert_true(slice_eq(buf_slice(&w.rcpts), S("2 bob@example.test<bob@example.test\n"
	    "1 alice@example.test<team@example.test\n")));
	world_free(&w);
}

/* S-036. */
static void
no_enumeration(void **state)
{
	struct world w;
	struct slice first;

	world_init(&w, false);
	(void)world_talk(&w, S(HELLO "VRFY bob\r\nVRFY nobody\r\nEXPN team\r\nEXPN nobody\r\n"), false, false);
	assert_string_equal(codes(&w), "220 250 252 252 502 502");
	first = slice_from(buf_slice(&w.out), slice_find(buf_slice(&w.out), S("\r\n252 ")) + 2);
	first = slice_head(first, slice_find(first, S("\r\n")) + 2);
	assert_true(slice_starts(slice_from(buf_slice(&w.out),
	    slice_find(buf_slice(&w.out), first) + first.n), first));
	world_free(&w);
}

/* S-039..S-042, S-097: too big, a loop, and a queue that does not answer: never a 250. */
static void
refused_content(void **state)
{
	struct buf script;
	struct world w;

	world_init(&w, false);
	buf_init(&script, 10000000);
	assert_true(buf_add(&script, S(HELLO FROM TO "DATA\r\n")));
	repeat(&script, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n", 31000);
	assert_true(buf_add(&script, S(".\r\nNOOP\r\n")));
	(void)world_talk(&w, buf_slice(&script), false, false);
	assert_string_equal(codes(&w), "220 250 250 250 354 552 250");
	buf_reset(&script);
	assert_true(buf_add(&script, S(HELLO FROM TO "DATA\r\n")));
	repeat(&script, "Received: from a by b; now\r\n", LIMIT_RECEIVED + 1);
	assert_true(buf_add(&script, S("\r\n.\r\n" FROM TO "DATA\r\nDelivered-To: BOB@example.test\r\n\r\n.\r\n"
	    FROM TO "DATA\r\nDelivered-To: alice@example.test\r\n\r\n.\r\n")));
	(void)world_talk(&w, buf_slice(&script), false, false);
	assert_string_equal(codes(&w), "220 250 250 250 354 554 250 250 354 554 250 250 354 250");
	w.accepted = 0;
	static const struct {
		enum ipc_status ipc;
		enum smtp_queue_accept_status status;
		const char *want;
	} answers[] = {
		{ IPC_UNAVAILABLE, SMTP_QUEUE_ACCEPT_STATUS_OK, "220 250 250 250 354 451" },
		{ IPC_TOO_BIG, SMTP_QUEUE_ACCEPT_STATUS_OK, "220 250 250 250 354 451" },
		{ IPC_OK, SMTP_QUEUE_ACCEPT_STATUS_TRY_LATER, "220 250 250 250 354 451" },
		{ IPC_OK, SMTP_QUEUE_ACCEPT_STATUS_FULL, "220 250 250 250 354 452" },
		{ IPC_OK, SMTP_QUEUE_ACCEPT_STATUS_REFUSED, "220 250 250 250 354 554" },
	};
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		w.accept_ipc = answers[i].ipc;
		w.accept_status = answers[i].status;
		(void)world_talk(&w, S(HELLO MAIL), false, false);
		assert_string_equal(codes(&w), answers[i].want);
	}
	w.auth_ipc = IPC_UNAVAILABLE;
	(void)world_talk(&w, S(HELLO MAIL), false, false);
	assert_string_equal(codes(&w), "220 250 250 451 503 500 500 500 500");
	assert_int_equal(w.accepted, 0);
	buf_free(&script);
	world_free(&w);
}

/* A disk (memory) that is full, and no descriptor left: 452, and the next message goes through. */
static void
no_room(void **state)
{
	struct rlimit size, files, was_size, was_files;
	struct buf script;
	struct world w;

	world_init(&w, false);
	buf_init(&script, 200000);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was_size) | getrlimit(RLIMIT_NOFILE, &was_files), 0);
	size = was_size;
	files = was_files;
	size.rlim_cur = 1000;
	files.rlim_cur = 0;
	(void)signal(SIGXFSZ, SIG_IGN);
	for (size_t lines = 40; lines < 4000; lines *= 10) { /* fails when sealed, and while it comes */
		buf_reset(&script);
		assert_true(buf_add(&script, S(HELLO FROM TO "DATA\r\n")));
		repeat(&script, "0123456789abcdef0123456789abcdef0123456789abcdef\r\n", lines);
		assert_true(buf_add(&script, S(".\r\n" TO FROM "NOOP\r\n")));
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &size), 0);
		(void)world_talk(&w, buf_slice(&script), false, false);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &was_size), 0);
		assert_string_equal(codes(&w), "220 250 250 250 354 452 503 250 250");
		assert_true(said(&w.events, "smtp.deferred"));
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	(void)world_talk(&w, S(HELLO FROM TO "DATA\r\nNOOP\r\n"), false, false);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was_files), 0);
	assert_string_equal(codes(&w), "220 250 250 250 452 250");
	assert_int_equal(w.accepted, 0);
	(void)world_talk(&w, S(HELLO MAIL), false, false);
	assert_int_equal(w.accepted, 1);
	buf_free(&script);
	world_free(&w);
}

/* S-020: bytes before the banner. */
static void
early_talker(void **state)
{
	struct stream_memory m = { .in = S(HELLO MAIL) };
	struct smtp_peer peer = { .session = 1 };
	struct smtp_session s = { 0 };
	struct world w;

	world_init(&w, false);
	buf_init(&m.out, 10000);
	stream_init_memory(&s.stream, &m);
	smtp_session_init(&s, &w.conf, &w.back, &peer);
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_END);
	smtp_session_end(&s);
	assert_true(slice_eq(buf_slice(&m.out), S("554 5.5.1 talks before the greeting\r\n")));
	assert_true(said(&w.events, "protocol.abuse"));
	buf_free(&m.out);
	world_free(&w);
}

/* S-021, S-022: injected text is dropped, and a session after the handshake begins from nothing. */
static void
starttls(void **state)
{
	struct world w;

	world_init(&w, false);
	assert_int_equal(world_talk(&w, S(HELLO "\x1f" "STARTTLS\r\nEHLO evil.example\r\nNOOP\r\n"), false,
	    false), SMTP_END);
	assert_string_equal(codes(&w), "220 250 220");
	assert_int_equal(w.starttls, 1);
	assert_true(said(&w.events, "tls.injection"));
	(void)world_talk(&w, S(TO HELLO "STARTTLS\r\n" MAIL), true, true);
	assert_string_equal(codes(&w), "503 250 503 250 250 354 250");
	assert_false(said(&w.out, "250-STARTTLS"));
	assert_true(said(&w.message, "ESMTPS") && said(&w.message, "(TLSv1.3 TLS_AES_256_GCM_SHA384)"));
	w.conf.starttls = false;
	(void)world_talk(&w, S(HELLO "STARTTLS\r\nNOOP\r\n"), false, false);
	assert_string_equal(codes(&w), "220 250 454 250");
	world_free(&w);
}

/* Silence: parked with nothing but the struct, told goodbye at the deadline (S-094). */
static void
parks_and_times_out(void **state)
{
	struct stream_memory m = { .in = S(HELLO MAIL), .hang = true, .chunk = 1 };
	struct smtp_peer peer = { .session = 1, .after_starttls = true };
	struct smtp_session s = { 0 };
	struct world w;

	world_init(&w, false);
	clock_fake(1000000, 0);
	buf_init(&m.out, 10000);
	m.in = S(HELLO);
	stream_init_memory(&s.stream, &m);
	smtp_session_init(&s, &w.conf, &w.back, &peer);
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	assert_true(s.deadline_ms == 1000000 + SMTP_IDLE_MS);
	assert_null(s.stream.in);
	assert_null(s.stream.out.p);
	assert_null(s.txn.arena);
	assert_true(sizeof s + s.helo.cap + s.account.cap < 1200);
	/* input goes on where it stopped, in the middle of content too */
	m.in = S(HELLO FROM TO "DATA\r\nSubject: x\r\n");
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	assert_true(said(&m.out, "354"));
	assert_true(s.deadline_ms >= 1000000 + SMTP_DATA_GRACE_MS && s.deadline_ms < 1000000 + 61000);
	m.in = S(HELLO FROM TO "DATA\r\nSubject: x\r\n\r\n.\r\n");
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	assert_int_equal(w.accepted, 1);
	assert_true(s.deadline_ms == 1000000 + SMTP_IDLE_MS);
	buf_reset(&m.out);
	assert_int_equal(smtp_session_run(&s, SMTP_DEADLINE), SMTP_END);
	assert_true(slice_starts(buf_slice(&m.out), S("421 4.4.2")));
	smtp_session_end(&s);
	buf_free(&m.out);
	clock_real();
	world_free(&w);
}

/* Strangers wait for the greeting, and who errs is not heard for a while: both without a thread, and no
 * deadline of silence falls into it. */
static void
naps(void **state)
{
	struct stream_memory m = { .in = S(""), .hang = true, .chunk = 1 };
	struct smtp_peer peer = { .session = 1 };
	struct smtp_session s = { 0 };
	struct world w;

	world_init(&w, false);
	w.conf.at[0].greet_wait_ms = 300;
	w.conf.at[0].tarpit_ms = 500;
	clock_fake(1000000, 0);
	buf_init(&m.out, 10000);
	stream_init_memory(&s.stream, &m);
	smtp_session_init(&s, &w.conf, &w.back, &peer);
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	assert_true(s.nap_until_ms == 1000300 && s.deadline_ms == 1000300 && m.out.n == 0);
	clock_fake(1000301, 0);
	assert_int_equal(smtp_session_run(&s, SMTP_DEADLINE), SMTP_PARK);
	assert_true(slice_starts(buf_slice(&m.out), S("220 ")));
	assert_true(s.nap_until_ms == 0 && s.deadline_ms == 1000301 + SMTP_IDLE_MS);
	m.in = S(HELLO "X\r\nX\r\nX\r\nX\r\nX\r\n");
	for (uint64_t n = 1; n <= 3; n++) { /* two are free */
		buf_reset(&m.out);
		assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
		assert_true(s.nap_until_ms == clock_mono_ms() + 500 * n && s.deadline_ms == s.nap_until_ms);
		assert_true(said(&m.out, "500 5.5.1"));
		assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK); /* woken too early: still naps */
		clock_fake(s.nap_until_ms + 1, 0);
		if (n == 3)
			m.in = S(HELLO "X\r\nX\r\nX\r\nX\r\nX\r\nNOOP\r\n");
	}
	buf_reset(&m.out);
	assert_int_equal(smtp_session_run(&s, SMTP_DEADLINE), SMTP_PARK);
	assert_true(slice_eq(buf_slice(&m.out), S("250 2.0.0 ok\r\n")));
	smtp_session_end(&s);
	buf_free(&m.out);
	/* S-020: speaks while it is to wait */
	m = (struct stream_memory){ .in = S(""), .hang = true, .chunk = 1 };
	buf_init(&m.out, 10000);
	s = (struct smtp_session){ 0 };
	stream_init_memory(&s.stream, &m);
	smtp_session_init(&s, &w.conf, &w.back, &peer);
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	m.in = S(HELLO);
	clock_fake(s.nap_until_ms + 1, 0);
	assert_int_equal(smtp_session_run(&s, SMTP_DEADLINE), SMTP_END);
	assert_true(slice_starts(buf_slice(&m.out), S("554 5.5.1 talks before")));
	smtp_session_end(&s);
	buf_free(&m.out);
	clock_real();
	world_free(&w);
}

/* S-090: XCLIENT by who may, and by others. */
static void
xclient(void **state)
{
	struct world w;

	world_init(&w, false);
	(void)world_talk(&w, S(HELLO "XCLIENT ADDR=198.51.100.9\r\n" MAIL), false, false);
	assert_string_equal(codes(&w), "220 250 500 250 250 354 250");
	assert_true(!said(&w.out, "XCLIENT") && said(&w.message, "[192.0.2.7]"));
	assert_true(ip_nets_parse(S("192.0.2.0/24"), &w.conf.at[0].xclient_from));
	(void)world_talk(&w, S(HELLO "XCLIENT NAME=x.example ADDR=198.51.100.9 PORT=7 HELO=spike.example\r\n" HELLO MAIL),
	    false, false);
	assert_string_equal(codes(&w), "220 250 220 250 250 250 354 250");
	assert_true(said(&w.out, "XCLIENT NAME ADDR") && said(&w.message, "client.example ([198.51.100.9])"));
	(void)world_talk(&w, S(HELLO "XCLIENT ADDR=IPV6:2001:db8::7 PROTO=ESMTP HELO=spike.example\r\n" MAIL), false,
	    false);
	assert_string_equal(codes(&w), "220 250 220 250 250 354 250");
	assert_true(said(&w.message, "spike.example ([IPv6:2001:db8::7])"));
	(void)world_talk(&w, S(HELLO "XCLIENT ADDR=1.2.3\r\nXCLIENT LOGIN=alice\r\nXCLIENT ADDR\r\nXCLIENT HELO=$(id)\r\n"
	    FROM "XCLIENT ADDR=198.51.100.9\r\n"), false, false);
	assert_string_equal(codes(&w), "220 250 501 501 501 501 250 503");
	world_free(&w);
}

/* What a listener has switched off is neither offered nor known; what it has on goes to queue. */
static void
switches(void **state)
{
	struct world w;

	world_init(&w, false);
	w.conf.at[0] = (struct smtp_switches){ .enhanced_codes = false };
	(void)world_talk(&w, S(HELLO "MAIL FROM:<> SMTPUTF8\r\nMAIL FROM:<> RET=HDRS\r\nMAIL FROM:<> REQUIRETLS\r\n" MAIL),
	    false, false);
	assert_string_equal(codes(&w), "220 250 555 555 555 250 250 354 250");
	assert_true(said(&w.out, "250 ok\r\n") && !said(&w.out, "ENHANCED") && !said(&w.out, "DSN") &&
	    !said(&w.out, "SMTPUTF8") && !said(&w.out, "REQUIRETLS") && said(&w.out, "LIMITS MAILMAX=1000"));
	w.conf.at[0] = (struct smtp_switches){ .dsn = true, .enhanced_codes = true, .smtputf8 = true };
	(void)world_talk(&w, S(HELLO "MAIL FROM:<\xc3\xbc@b\xc3\xbc" "cher.example> SMTPUTF8 RET=HDRS ENVID=a+20b REQUIRETLS\r\n"
	    "RCPT TO:<bob@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x@y\r\nDATA\r\n" TEXT), true, true);
	assert_string_equal(codes(&w), "250 250 250 354 250");
	assert_true(said(&w.out, "DSN") && said(&w.out, "REQUIRETLS") && !said(&w.out, "FUTURERELEASE"));
	assert_true(slice_eq(buf_slice(&w.sender), S("\xc3\xbc@xn--bcher-kva.example")));
	assert_true(said(&w.message, "with UTF8SMTPS"));
	assert_true(w.wishes.smtputf8 && w.wishes.requiretls && w.wishes.ret == SMTP_QUEUE_RET_HDRS);
	assert_int_equal(w.notify, 10);
	world_free(&w);
}

/* Every write and every read fails in turn: the session ends, no descriptor or memory stays (the leak
 * checker of the sanitizer build looks), and nothing is accepted that was not sent whole. */
static void
broken_connections(void **state)
{
	for (size_t at = 1; at < 40; at++)
		for (int writing = 0; writing < 2; writing++) {
			struct stream_memory m = { .in = S(HELLO MAIL "QUIT\r\n"), .chunk = 30 };
			struct stream_fault f = { .error = ECONNRESET, .most = 30 };
			struct smtp_peer peer = { .session = 1, .after_starttls = true };
			struct smtp_session s = { 0 };
			struct world w;

			*(writing ? &f.fail_write : &f.fail_read) = at;
			world_init(&w, false);
			buf_init(&m.out, 10000);
			stream_init_memory(&s.stream, &m);
			stream_inject(&s.stream, &f);
			smtp_session_init(&s, &w.conf, &w.back, &peer);
			assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_END);
			smtp_session_end(&s);
			assert_true(w.accepted == 0 || said(&w.message, "hello\r\n"));
			buf_free(&m.out);
			world_free(&w);
		}
}

/* ../shared/vectors/smtp-james: what the client says (C:), in lock-step; the answers are ours, as theirs
 * name extensions that differ. */
static void
james_script(const char *name, struct buf *script)
{
	char path[512], line[512];
	FILE *f;

	assert_true(snprintf(path, sizeof path, "%s/smtp-james/%s", VECTORS, name) < (int)sizeof path);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		struct slice in = slice_z(line);

		if (slice_ends(in, S("\n")))
			in = slice_head(in, in.n - 1);
		if (!slice_starts(in, S("C:")))
			continue;
		in = slice_from(in, in.n > 2 ? 3 : 2);
		for (size_t i = 0; i < in.n; i++) /* "\r\n" in a line is one segment with more behind it */
			if (slice_starts(slice_from(in, i), S("\\r\\n"))) {
				assert_true(buf_add(script, S("\r\n")));
				i += 3;
			} else {
				assert_true(buf_byte(script, slice_at(in, i)));
			}
		if (in.n == 0 || !slice_ends(buf_slice(script), S("\r\n")))
			assert_true(buf_add(script, S("\r\n")));
		assert_true(buf_byte(script, 0x1f));
	}
	(void)fclose(f);
}

static void
james(void **state)
{
	static const struct {
		const char *name;
		bool submission, tls;
		const char *want;
		unsigned accepted, starttls;
	} scripts[] = {
		{ "authplain.test", true, true, "220 250 334 334 535", 0, 0 },
		{ "data_with_starttls.test", false, false, "220 250 250 250 354 250", 1, 0 },
		{ "data_starts_with_starttls.test", false, false, "220 250 250 250 354 250", 1, 0 },
		{ "starttls.test", false, false, "220 250 220", 0, 1 },
		{ "starttls_session_fixation.test", true, false, "220 250 530 500 500 530 530 220", 0, 1 },
		{ "starttls_with_injection.test", false, false, "220 250 220", 0, 1 },
	};

	for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
		struct buf script;
		struct world w;

		world_init(&w, scripts[i].submission);
		buf_init(&script, 4000);
		if (i == 0) /* says no EHLO, and theirs does not mind */
			assert_true(buf_add(&script, S(HELLO "\x1f")));
		james_script(scripts[i].name, &script);
		(void)world_talk(&w, buf_slice(&script), scripts[i].tls, false);
		assert_string_equal(codes(&w), scripts[i].want);
		assert_int_equal(w.accepted, scripts[i].accepted);
		assert_int_equal(w.starttls, scripts[i].starttls);
		if (w.accepted > 0)
			assert_true(said(&w.message, "starttls content\r\n"));
		buf_free(&script);
		world_free(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message),
		cmocka_unit_test(scene_table),
		cmocka_unit_test(lists_and_forwards),
		cmocka_unit_test(smuggling),
		cmocka_unit_test(end_of_data_in_pieces),
		cmocka_unit_test(relay_tricks),
		cmocka_unit_test(budgets),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(many_recipients),
		cmocka_unit_test(no_enumeration),
		cmocka_unit_test(refused_content),
		cmocka_unit_test(no_room),
		cmocka_unit_test(early_talker),
		cmocka_unit_test(starttls),
		cmocka_unit_test(parks_and_times_out),
		cmocka_unit_test(naps),
		cmocka_unit_test(xclient),
		cmocka_unit_test(switches),
		cmocka_unit_test(broken_connections),
	};
	const struct CMUnitTest vectors[] = { cmocka_unit_test(james) };
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (failed != 0)
		return failed;
	if (access(VECTORS "/smtp-james", R_OK) != 0) {
		(void)printf("SKIP: no ../shared/vectors/smtp-james\n");
		return 77;
	}
	return cmocka_run_group_tests(vectors, NULL, NULL);
}
