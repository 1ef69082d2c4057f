/* SPDX-License-Identifier: MIT
 * Scenes of LMTP (RFC 2033), and S-099 for the other side of the door. */
#include "rooms/smtp/test_scene.h"

#define LHLO "LHLO client.example\r\n"
#define TWO "RCPT TO:<alice@example.test>\r\n" TO
#define NOBODY "RCPT TO:<nobody@example.test>\r\n"

static const struct {
	const char *name;
	struct slice script;
	const char *want;
	unsigned accepted;
} scenes[] = {
	{ "one recipient", S_INIT(LHLO MAIL "QUIT\r\n"), "220 250 250 250 354 250 221", 1 },
	{ "a reply for each recipient", S_INIT(LHLO FROM TWO "DATA\r\n" TEXT "QUIT\r\n"), "220 250 250 250 250 354 250 250 221", 1 },
	{ "not for those that were refused", S_INIT(LHLO FROM NOBODY TO NOBODY "DATA\r\n" TEXT "NOOP\r\n"),
	    "220 250 250 550 250 550 354 250 250", 1 },
	{ "one for each RCPT, whatever it expands to", S_INIT(LHLO FROM "RCPT TO:<team@example.test>\r\n" TO "DATA\r\n" TEXT),
	    "220 250 250 250 250 354 250 250", 1 },
	{ "no recipient", S_INIT(LHLO FROM NOBODY "DATA\r\nQUIT\r\n"), "220 250 250 550 503 221", 0 },
	{ "the next message counts anew", S_INIT(LHLO FROM TWO "DATA\r\n" TEXT MAIL "RSET\r\n" FROM TO "RSET\r\n" MAIL),
	    "220 250 250 250 250 354 250 250 250 250 354 250 250 250 250 250 250 250 354 250", 3 },
	{ "refused content", S_INIT(LHLO FROM TWO "DATA\r\na\nb\r\n.\r\nNOOP\r\n"), "220 250 250 250 250 354 550 550 250", 0 },
	{ "BDAT", S_INIT(LHLO FROM TWO "BDAT 6\r\na: b\r\nBDAT 5 LAST\r\n\r\nc\r\nNOOP\r\n"), "220 250 250 250 250 250 250 250 250", 1 },
	{ "a chunk that fails", S_INIT(LHLO FROM TWO "BDAT 4\r\na\n\r\nBDAT 3 LAST\r\nb\r\nNOOP\r\n"),
	    "220 250 250 250 250 550 503 250", 0 },
	{ "a last chunk that fails", S_INIT(LHLO FROM TWO "BDAT 4 LAST\r\na\n\r\nNOOP\r\n"), "220 250 250 250 250 550 550 250", 0 },
	{ "a last chunk too big", S_INIT(LHLO FROM TWO "BDAT 1100000 LAST\r\n"), "220 250 250 250 250", 0 },
	{ "never relays", S_INIT(LHLO FROM "RCPT TO:<a@far.example>\r\n"), "220 250 250 550", 0 },
	{ "LHLO first", S_INIT("MAIL FROM:<>\r\n"), "220 503", 0 },
	{ "no EHLO, no HELO", S_INIT("EHLO a.example\r\nHELO a.example\r\nMAIL FROM:<>\r\n"), "220 500 500 503", 0 },
	{ "no AUTH, no STARTTLS, no XCLIENT", S_INIT(LHLO "AUTH PLAIN x\r\nSTARTTLS\r\nXCLIENT ADDR=192.0.2.1\r\n"),
	    "220 250 500 500 500", 0 },
	{ "LHLO ends what was begun", S_INIT(LHLO FROM TWO LHLO "DATA\r\n"), "220 250 250 250 250 250 503", 0 },
};

static void
begin(struct world *w)
{
	static struct ip_nets from;

	world_init(w, false);
	w->conf.lmtp = true;
	w->conf.starttls = false;
	assert_true(ip_nets_parse(S("192.0.2.0/24"), &from));
	w->conf.lmtp_from = &from;
}

static void
table(void **state)
{
	for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
		struct world w;

		begin(&w);
		(void)world_talk(&w, scenes[i].script, false, false);
		if (!slice_eq(slice_z(codes(&w)), slice_z(scenes[i].want)) || w.accepted != scenes[i].accepted)
			fail_msg("%s: %s, %u accepted", scenes[i].name, codes(&w), w.accepted);
		world_free(&w);
	}
}

static void
words(void **state)
{
	struct world w;

	begin(&w);
	(void)world_talk(&w, S(LHLO FROM TWO "DATA\r\n" TEXT), false, false);
	assert_true(said(&w.out, "220 mx.example.test LMTP Postern") && said(&w.message, " with LMTP id"));
	assert_true(!said(&w.out, "STARTTLS") && !said(&w.out, "AUTH") && said(&w.out, "PIPELINING"));
	assert_int_equal(w.judged, 0);
	world_free(&w);
}

/* What queue cannot keep is kept for nobody. */
static void
no_room(void **state)
{
	struct world w;

	begin(&w);
	w.accept_ipc = IPC_UNAVAILABLE;
	(void)world_talk(&w, S(LHLO FROM TWO "DATA\r\n" TEXT "NOOP\r\n"), false, false);
	assert_string_equal(codes(&w), "220 250 250 250 250 354 451 451 250");
	world_free(&w);
}

/* What the administrator's rules say is the reply to each recipient that was taken. */
static void
rules(void **state)
{
	struct world w;

	begin(&w);
	w.conf.scan = true;
	(void)world_talk(&w, S(LHLO FROM TWO "DATA\r\n" TEXT "NOOP\r\n"), false, false);
	assert_string_equal(codes(&w), "220 250 250 250 250 354 250 250 250");
	assert_true(w.judged == 1 && w.accepted == 1);
	w.verdict = (struct smtp_scan_judge_answer){ .action = SMTP_SCAN_ACTION_REJECT, .code = 554, .enhanced = S("5.7.1"),
		.text = S("no lottery") };
	(void)world_talk(&w, S(LHLO FROM TWO NOBODY "DATA\r\n" TEXT "NOOP\r\n"), false, false);
	assert_string_equal(codes(&w), "220 250 250 250 250 550 354 554 554 250");
	w.verdict.action = SMTP_SCAN_ACTION_DISCARD;
	(void)world_talk(&w, S(LHLO FROM TWO "DATA\r\n" TEXT), false, false);
	assert_string_equal(codes(&w), "220 250 250 250 250 354 250 250");
	w.scan_ipc = IPC_UNAVAILABLE;
	(void)world_talk(&w, S(LHLO FROM TWO "DATA\r\n" TEXT), false, false);
	assert_string_equal(codes(&w), "220 250 250 250 250 354 451 451");
	assert_int_equal(w.accepted, 1);
	world_free(&w);
}

/* An MTA passes on what others wrote to whom they like: that does not cost it its connection. */
static void
patience(void **state)
{
	struct buf script;
	struct world w;

	begin(&w);
	buf_init(&script, 10000);
	assert_true(buf_add(&script, S(LHLO FROM)));
	repeat(&script, NOBODY, 50);
	assert_true(buf_add(&script, S(TO "DATA\r\n" TEXT)));
	(void)world_talk(&w, buf_slice(&script), false, false);
	assert_int_equal(w.accepted, 1);
	buf_free(&script);
	world_free(&w);
}

static void
strangers(void **state)
{
	static struct ip_nets nobody;
	struct world w;

	begin(&w);
	w.conf.lmtp_from = &nobody;
	assert_int_equal(world_talk(&w, S(LHLO MAIL), false, false), SMTP_END);
	assert_string_equal(codes(&w), "554");
	assert_true(said(&w.events, "lmtp.refused"));
	world_free(&w);
}

static void
S_099_lhlo_to_smtp(void **state)
{
	struct world w;

	world_init(&w, false);
	(void)world_talk(&w, S(LHLO "MAIL FROM:<>\r\n" HELLO MAIL), false, false);
	assert_string_equal(codes(&w), "220 500 503 250 250 250 354 250");
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(words), cmocka_unit_test(no_room),
		cmocka_unit_test(rules), cmocka_unit_test(patience), cmocka_unit_test(strangers), cmocka_unit_test(S_099_lhlo_to_smtp) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
