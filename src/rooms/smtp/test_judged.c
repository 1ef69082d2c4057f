/* SPDX-License-Identifier: MIT
 * What smtp makes of the answer of scan. */
#include "rooms/smtp/test_scene.h"

#define LOGIN HELLO "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\nMAIL FROM:<alice@example.test>\r\n" TO "DATA\r\n"

static const char *
talk(struct world *w, const char *script)
{
	(void)world_talk(w, slice_z(script), w->conf.submission, false);
	return codes(w);
}

static void
answers(void **state)
{
	static const struct {
		const char *name;
		struct smtp_scan_judge_answer verdict;
		enum ipc_status ipc;
		const char *want, *says;
		unsigned accepted;
		bool junk, held;
	} table[] = {
		{ "accept", { .action = SMTP_SCAN_ACTION_ACCEPT }, IPC_OK, "220 250 250 250 354 250", "queued as", 1,
		    false, false },
		{ "quarantine", { .action = SMTP_SCAN_ACTION_QUARANTINE, .folder = S_INIT("Junk") }, IPC_OK,
		    "220 250 250 250 354 250", "queued as", 1, true, false },
		{ "hold", { .action = SMTP_SCAN_ACTION_HOLD, .why = S_INIT("to be looked at") }, IPC_OK,
		    "220 250 250 250 354 250", "queued as", 1, false, true },
		{ "discard", { .action = SMTP_SCAN_ACTION_DISCARD }, IPC_OK, "220 250 250 250 354 250", "queued as", 0,
		    false, false },
		{ "reject", { .action = SMTP_SCAN_ACTION_REJECT, .code = 550, .enhanced = S_INIT("5.7.1"),
			.text = S_INIT("not\r\n250 by this sender") }, IPC_OK, "220 250 250 250 354 550",
		    "550 5.7.1 not\\x0d\\x0a250 by this sender", 0, false, false },
		{ "reject with a code of its own", { .action = SMTP_SCAN_ACTION_REJECT, .code = 250 }, IPC_OK,
		    "220 250 250 250 354 550", "550 5.7.1 refused", 0, false, false },
		{ "defer", { .action = SMTP_SCAN_ACTION_DEFER, .code = 451, .enhanced = S_INIT("4.7.1"),
			.text = S_INIT("later") }, IPC_OK, "220 250 250 250 354 451", "451 4.7.1 later", 0, false, false },
		{ "no answer", { .action = SMTP_SCAN_ACTION_ACCEPT }, IPC_UNAVAILABLE, "220 250 250 250 354 451",
		    "451 4.3.0", 0, false, false },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct world w;
		const char *got;

		world_init(&w, false);
		w.conf.scan = true;
		w.verdict = table[i].verdict;
		w.scan_ipc = table[i].ipc;
		got = talk(&w, HELLO MAIL);
		if (strcmp(got, table[i].want) != 0 || !said(&w.out, table[i].says) || w.accepted != table[i].accepted ||
		    w.junk != table[i].junk || w.held != table[i].held || w.judged != 1)
			fail_msg("%s: %s: %.*s", table[i].name, got, SFMT(buf_slice(&w.out)));
		world_free(&w);
	}
}

/* scan looks at what it was handed only where it is to be asked. */
static void
not_asked(void **state)
{
	struct world w;

	world_init(&w, false);
	w.scan_ipc = IPC_UNAVAILABLE;
	assert_string_equal(talk(&w, HELLO MAIL), "220 250 250 250 354 250");
	assert_int_equal(w.judged, 0);
	world_free(&w);
}

static void
edits(void **state)
{
	struct smtp_scan_edit good[] = { { 0, 0, S_INIT("X-Top: 1\r\n") }, { 0, 0, S_INIT("X-Next: 2\r\n") },
		{ 0, 12, S_INIT("") } };
	struct smtp_scan_edit bad[][2] = {
		{ { 5, 10, S_INIT("") }, { 14, 1, S_INIT("") } },		/* overlapping */
		{ { 5, 0, S_INIT("") }, { 4, 0, S_INIT("") } },			/* out of order */
		{ { UINT64_MAX, 0, S_INIT("x") }, { UINT64_MAX, 0, S_INIT("") } }, /* outside */
		{ { 1, UINT64_MAX, S_INIT("x") }, { 2, 0, S_INIT("") } },
	};
	struct world w;
	uint64_t trace;

	world_init(&w, false);
	w.conf.scan = true;
	assert_string_equal(talk(&w, HELLO MAIL), "220 250 250 250 354 250");
	trace = w.trace;
	assert_true(trace > 50 && slice_starts(slice_from(buf_slice(&w.message), (size_t)trace), S("Subject: x\r\n")));
	good[2].at = trace; /* the Subject field */
	w.verdict = (struct smtp_scan_judge_answer){ .edits = good, .n_edits = 3 };
	assert_string_equal(talk(&w, HELLO MAIL), "220 250 250 250 354 250");
	assert_true(w.sealed && slice_starts(buf_slice(&w.message), S("X-Top: 1\r\nX-Next: 2\r\nReceived: ")));
	assert_true(slice_ends(buf_slice(&w.message), S("\r\n\r\nhello\r\n")));
	assert_false(said(&w.message, "Subject"));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		w.verdict = (struct smtp_scan_judge_answer){ .edits = bad[i], .n_edits = 2 };
		assert_string_equal(talk(&w, HELLO MAIL), "220 250 250 250 354 452");
	}
	world_free(&w);
}

/* U-012: the header From has to belong to the account, whatever MAIL FROM says. */
static void
authors(void **state)
{
	static const struct {
		struct slice from;
		const char *want;
	} table[] = {
		{ S_INIT("alice@example.test"), "220 250 235 250 250 354 250" },
		{ S_INIT("team@example.test"), "220 250 235 250 250 354 250" },
		{ S_INIT("bob@example.test"), "220 250 235 250 250 354 550" },
		{ S_INIT("ceo@bank.example"), "220 250 235 250 250 354 550" },
		{ S_INIT(""), "220 250 235 250 250 354 550" },
	};
	struct world w;

	world_init(&w, true);
	w.conf.scan = true;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		w.verdict = (struct smtp_scan_judge_answer){ .from = table[i].from };
		assert_string_equal(talk(&w, LOGIN TEXT), table[i].want);
	}
	assert_int_equal(w.accepted, 2);
	world_free(&w);
}

/* A rule's address, if warden named it and auth knows it; else try later, and nothing is accepted. */
static void
redirects(void **state)
{
	static const struct {
		struct slice to;
		enum smtp_scan_action action;
		const char *want, *rcpts;
		unsigned accepted;
	} table[] = {
		{ S_INIT("bob@example.test"), SMTP_SCAN_ACTION_ACCEPT, "220 250 250 250 354 250",
		    "2 bob@example.test<bob@example.test\n", 1 },
		{ S_INIT("bob@example.test"), SMTP_SCAN_ACTION_HOLD, "220 250 250 250 354 250",
		    "2 bob@example.test<bob@example.test\n", 1 },
		{ S_INIT("team@example.test"), SMTP_SCAN_ACTION_ACCEPT, "220 250 250 250 354 250",
		    "1 alice@example.test<team@example.test\n2 bob@example.test<team@example.test\n", 1 },
		{ S_INIT("away@example.test"), SMTP_SCAN_ACTION_ACCEPT, "220 250 250 250 354 250",
		    "0 a@far.test<away@example.test|SRS0=x@example.test|quiet\n", 1 },
		{ S_INIT("bob@example.test"), SMTP_SCAN_ACTION_DISCARD, "220 250 250 250 354 250", "", 0 },
		{ S_INIT("alice@example.test"), SMTP_SCAN_ACTION_ACCEPT, "220 250 250 250 354 451", "", 0 }, /* not named */
		{ S_INIT("nobody@example.test"), SMTP_SCAN_ACTION_ACCEPT, "220 250 250 250 354 451", "", 0 },
		{ S_INIT("x@elsewhere.test"), SMTP_SCAN_ACTION_ACCEPT, "220 250 250 250 354 451", "", 0 },
		{ S_INIT("busy@example.test"), SMTP_SCAN_ACTION_ACCEPT, "220 250 250 250 354 451", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct world w;
		const char *got;

		world_init(&w, false);
		w.conf.scan = true;
		w.conf.redirects = S("bob@example.test team@example.test away@example.test nobody@example.test "
				     "x@elsewhere.test busy@example.test ");
		w.verdict = (struct smtp_scan_judge_answer){ .redirect = table[i].to, .action = table[i].action };
		got = talk(&w, HELLO MAIL);
		if (strcmp(got, table[i].want) != 0 || w.accepted != table[i].accepted ||
		    !slice_eq(buf_slice(&w.rcpts), slice_z(table[i].rcpts)))
			fail_msg("%.*s: %s: %.*s", SFMT(table[i].to), got, SFMT(buf_slice(&w.rcpts)));
		world_free(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(answers), cmocka_unit_test(not_asked),
		cmocka_unit_test(edits), cmocka_unit_test(authors), cmocka_unit_test(redirects) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
