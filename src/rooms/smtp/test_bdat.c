/* SPDX-License-Identifier: MIT
 * Scenes of BDAT (RFC 3030): the cases S-085..S-089, and what the transaction is after each error. */
#include "lib/clock/clock.h"
#include "rooms/smtp/test_scene.h"

#define FORTY "MAIL FROM:<x@y.example>\r\nRCPT TO:<b@c.d>\r\n"

static const struct {
	const char *name;
	struct slice script;
	const char *want;
	unsigned accepted;
} scenes[] = {
	{ "bare CR", S_INIT(HELLO FROM TO "BDAT 10 LAST\r\na: b\r\n\r\nc\rNOOP\r\n"), "220 250 250 250 550 250", 0 },
	{ "good", S_INIT(HELLO FROM TO "BDAT 11 LAST\r\na: b\r\n\r\nc\r\nNOOP\r\n"), "220 250 250 250 250 250", 1 },
	{ "three chunks", S_INIT(HELLO FROM TO "BDAT 6\r\na: b\r\nBDAT 2\r\n\r\nBDAT 3 LAST\r\nc\r\nNOOP\r\n"),
	    "220 250 250 250 250 250 250 250", 1 },
	{ "a last chunk of nothing", S_INIT(HELLO FROM TO "BDAT 11\r\na: b\r\n\r\nc\r\nBDAT 0 LAST\r\nNOOP\r\n"),
	    "220 250 250 250 250 250 250", 1 },
	{ "two messages", S_INIT(HELLO FROM TO "BDAT 3 LAST\r\na\r\n" FROM TO "BDAT 3 LAST\r\nb\r\n"),
	    "220 250 250 250 250 250 250 250", 2 },
	{ "S-085 -1", S_INIT(HELLO FROM TO "BDAT -1\r\nNOOP\r\n"), "220 250 250 250 501", 0 },
	{ "S-085 2^64", S_INIT(HELLO FROM TO "BDAT 18446744073709551616 LAST\r\nNOOP\r\n"), "220 250 250 250 501", 0 },
	{ "S-085 2^63", S_INIT(HELLO FROM TO "BDAT 9223372036854775808\r\nNOOP\r\n"), "220 250 250 250 552", 0 },
	{ "S-085 +5", S_INIT(HELLO FROM TO "BDAT +5\r\nNOOP\r\n"), "220 250 250 250 501", 0 },
	{ "S-085 empty", S_INIT(HELLO FROM TO "BDAT\r\nNOOP\r\n"), "220 250 250 250 501", 0 },
	{ "S-085 junk", S_INIT(HELLO FROM TO "BDAT 5 FIRST\r\nNOOP\r\n"), "220 250 250 250 501", 0 },
	{ "S-086 before MAIL", S_INIT(HELLO "BDAT 6 LAST\r\nNOOP\r\nNOOP\r\n"), "220 250 503 250", 0 },
	{ "S-086 before EHLO", S_INIT("BDAT 6\r\nNOOP\r\nNOOP\r\n"), "220 503 250", 0 },
	{ "S-086 no recipient", S_INIT(HELLO FROM "RCPT TO:<nobody@example.test>\r\nBDAT 6 LAST\r\nQUIT\r\n" TO),
	    "220 250 250 550 503 503", 0 },
	{ "S-087 commands inside", S_INIT(HELLO FROM TO "BDAT 47 LAST\r\n\r\n.\r\n" FORTY "NOOP\r\n"),
	    "220 250 250 250 250 250", 1 },
	{ "S-088 DATA after BDAT", S_INIT(HELLO FROM TO "BDAT 3\r\na\r\nDATA\r\nBDAT 3 LAST\r\nb\r\nNOOP\r\n"),
	    "220 250 250 250 250 503 503 250", 0 },
	{ "S-088 RCPT after BDAT", S_INIT(HELLO FROM TO "BDAT 3\r\na\r\n" TO "BDAT 3 LAST\r\nb\r\n"),
	    "220 250 250 250 250 503 250", 1 },
	{ "S-088 MAIL after BDAT", S_INIT(HELLO FROM TO "BDAT 3\r\na\r\n" FROM "BDAT 3 LAST\r\nb\r\n"),
	    "220 250 250 250 250 503 250", 1 },
	{ "S-089 RSET", S_INIT(HELLO FROM TO "BDAT 3\r\na\r\nRSET\r\nBDAT 3 LAST\r\nb\r\n" MAIL),
	    "220 250 250 250 250 250 503 250 250 354 250", 1 },
	{ "EHLO within", S_INIT(HELLO FROM TO "BDAT 3\r\na\r\n" HELLO "BDAT 3 LAST\r\nb\r\nNOOP\r\n"),
	    "220 250 250 250 250 250 503 250", 0 },
	{ "STARTTLS within", S_INIT(HELLO "\x1f" FROM TO "BDAT 3\r\na\r\n\x1fSTARTTLS\r\n"), "220 250 250 250 250 220", 0 },
	{ "a bad chunk ends the message", S_INIT(HELLO FROM TO "BDAT 4\r\na\n\r\nBDAT 3 LAST\r\nb\r\n" MAIL),
	    "220 250 250 250 550 503 250 250 354 250", 1 },
	{ "NUL", S_INIT(HELLO FROM TO "BDAT 4 LAST\r\na\0\r\nNOOP\r\n"), "220 250 250 250 550 250", 0 },
	{ "ends inside a chunk", S_INIT(HELLO FROM TO "BDAT 400 LAST\r\nabc"), "220 250 250 250", 0 },
	{ "ends between chunks", S_INIT(HELLO FROM TO "BDAT 3\r\na\r\n"), "220 250 250 250 250", 0 },
	{ "QUIT between chunks", S_INIT(HELLO FROM TO "BDAT 3\r\na\r\nQUIT\r\n"), "220 250 250 250 250 221", 0 },
	{ "BINARYMIME", S_INIT(HELLO "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n"), "220 250 501", 0 },
};

static void
table(void **state)
{
	for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
		for (int pieces = 0; pieces < 2; pieces++) { /* as lines, and all in one segment */
			bool marked = slice_find_byte(scenes[i].script, 0x1f) != SLICE_NONE;
			struct buf script;
			struct world w;
			const char *got;

			world_init(&w, false);
			buf_init(&script, 4000);
			assert_true(buf_add(&script, scenes[i].script));
			if (pieces && !marked && slice_find(scenes[i].script, S("DATA")) == SLICE_NONE &&
			    slice_find(slice_from(scenes[i].script, 6), S("EHLO")) == SLICE_NONE) {
				if (!slice_starts(scenes[i].script, S(HELLO))) {
					buf_free(&script);
					world_free(&w);
					continue;
				}
				buf_reset(&script);
				assert_true(buf_add(&script, S(HELLO "\x1f")) &&
				    buf_add(&script, slice_from(scenes[i].script, S(HELLO).n)));
			}
			(void)world_talk(&w, buf_slice(&script), false, false);
			got = codes(&w);
			if (strcmp(got, scenes[i].want) != 0)
				print_error("%s:\n%.*s\n", scenes[i].name, SFMT(buf_slice(&w.out)));
			assert_string_equal(got, scenes[i].want);
			assert_int_equal(w.accepted, scenes[i].accepted);
			buf_free(&script);
			world_free(&w);
		}
}

/* What is stored is what was sent: dots stay, a last CRLF is added, whatever the segments. */
static void
content(void **state)
{
	struct slice text = S(HELLO FROM TO "BDAT 15\r\nS: x\r\n\r\n..\r\n.\r\nBDAT 12 LAST\r\nMAIL FROM:<>NOOP\r\n");
	size_t head = S(HELLO FROM TO).n;

	for (size_t cut = head; cut <= text.n; cut++) {
		struct buf script;
		struct world w;

		world_init(&w, false);
		buf_init(&script, 1000);
		assert_true(buf_add(&script, S(HELLO "\x1f")) &&
		    buf_add(&script, slice_sub(text, S(HELLO).n, cut - S(HELLO).n)) && buf_byte(&script, 0x1f) &&
		    buf_add(&script, slice_from(text, cut)));
		(void)world_talk(&w, buf_slice(&script), false, false);
		assert_string_equal(codes(&w), "220 250 250 250 250 250 250");
		assert_true(slice_ends(buf_slice(&w.message), S("\r\nS: x\r\n\r\n..\r\n.\r\nMAIL FROM:<>\r\n")));
		assert_true(w.sealed);
		buf_free(&script);
		world_free(&w);
	}
}

/* S-089: 20,000 chunks of nothing and of one octet: a budget for each message, and for errors. */
static void
floods(void **state)
{
	static const char *const chunks[] = { "BDAT 0\r\n", "BDAT 1\r\na" };

	for (size_t i = 0; i < 2; i++) {
		struct buf script;
		struct world w;
		size_t n;

		world_init(&w, false);
		buf_init(&script, 1000000);
		repeat(&script, HELLO "\x1f" FROM TO, 1);
		repeat(&script, chunks[i], 20000);
		assert_int_equal(world_talk(&w, buf_slice(&script), false, false), SMTP_END);
		n = (slice_z(codes(&w)).n + 1) / 4;
		assert_in_range(n, SMTP_CHUNKS + 4, SMTP_CHUNKS + 4 + LIMIT_SMTP_ERRORS);
		assert_true(said(&w.out, "552 5.3.4 too many chunks"));
		assert_int_equal(w.accepted, 0);
		buf_free(&script);
		world_free(&w);
	}
}

/* Sizes over the limit: read away, refused, in step; and no more than so much of it. */
static void
too_big(void **state)
{
	static char line[8193];
	struct buf script;
	struct world w;

	world_init(&w, false);
	w.conf.max_size = 1000;
	buf_init(&script, 200000000);
	assert_true(buf_add(&script, S(HELLO "\x1f" FROM TO "BDAT 999\r\n")));
	repeat(&script, "a23456789\r\n", 90);
	assert_true(buf_add(&script, S("abcdefg\r\nBDAT 11 LAST\r\nQUIT45678\r\nNOOP\r\n" FROM TO "BDAT 1100 LAST\r\n")));
	repeat(&script, "QUIT\r\nQUIT\r", 100);
	assert_true(buf_add(&script, S("NOOP\r\n")));
	(void)world_talk(&w, buf_slice(&script), false, false);
	assert_string_equal(codes(&w), "220 250 250 250 250 552 250 250 250 552 250");
	buf_reset(&script);
	memset(line, 'a', sizeof line - 2);
	line[sizeof line - 2] = '\n';
	assert_true(buf_add(&script, S(HELLO)));
	for (int i = 0; i < 3; i++) {
		assert_true(buf_add(&script, S("BDAT 33554432\r\n")));
		repeat(&script, line, 4096);
	}
	assert_int_equal(world_talk(&w, buf_slice(&script), false, false), SMTP_END);
	assert_string_equal(codes(&w), "220 250 503 503 421");
	assert_int_equal(w.accepted, 0);
	buf_free(&script);
	world_free(&w);
}

/* The other rooms and the file fail in turn: never a 250 for the message, and in step afterwards. */
static void
failures(void **state)
{
	struct world w;

	world_init(&w, false);
	w.accept_ipc = IPC_UNAVAILABLE;
	(void)world_talk(&w, S(HELLO FROM TO "BDAT 3 LAST\r\na\r\n" TO), false, false);
	assert_string_equal(codes(&w), "220 250 250 250 451 503");
	world_free(&w);
	world_init(&w, true);
	(void)world_talk(&w, S(HELLO "BDAT 6 LAST\r\nNOOP\r\n"), false, false);
	assert_string_equal(codes(&w), "220 250 530");
	(void)world_talk(&w, S(HELLO "BDAT 6 LAST\r\nNOOP\r\n"), true, false);
	assert_string_equal(codes(&w), "220 250 530");
	w.conf.at[0].chunking = false;
	(void)world_talk(&w, S(HELLO "BDAT 6 LAST\r\nNOOP\r\n"), true, false);
	assert_string_equal(codes(&w), "220 250 500");
	assert_false(said(&w.out, "CHUNKING"));
	world_free(&w);
}

/* Slow chunks have one deadline for all of the message. */
static void
slow(void **state)
{
	struct stream_memory m = { .in = S(HELLO FROM TO "BDAT 3\r\na\r\n"), .hang = true, .chunk = 1 };
	struct smtp_peer peer = { .session = 1, .after_starttls = true };
	struct smtp_session s = { 0 };
	struct world w;

	world_init(&w, false);
	clock_fake(1000000, 0);
	buf_init(&m.out, 10000);
	stream_init_memory(&s.stream, &m);
	smtp_session_init(&s, &w.conf, &w.back, &peer);
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	assert_true(s.deadline_ms == 1000000 + SMTP_IDLE_MS);
	clock_fake(1000000 + 200000, 0);
	m.in = S(HELLO FROM TO "BDAT 3\r\na\r\nBDAT 30\r\nabc");
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	assert_in_range(s.deadline_ms, 1000000 + SMTP_IDLE_MS, 1000000 + SMTP_IDLE_MS + 100);
	clock_fake(1000000 + SMTP_IDLE_MS + 1000, 0);
	m.in = S(HELLO FROM TO "BDAT 3\r\na\r\nBDAT 30\r\nabcd");
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_END);
	assert_true(said(&m.out, "421 4.4.2 too slow"));
	smtp_session_end(&s);
	buf_free(&m.out);
	clock_real();
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(content),
		cmocka_unit_test(floods),
		cmocka_unit_test(too_big),
		cmocka_unit_test(failures),
		cmocka_unit_test(slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
