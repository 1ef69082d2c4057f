/* SPDX-License-Identifier: MIT
 * Scenes of AUTH and of submission: the cases U-. */
#include "lib/clock/clock.h"
#include "rooms/smtp/test_scene.h"

/* base64 of NUL alice@example.test NUL secret (and of a wrong password, and an unknown name). */
#define GOOD "AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ="
#define WRONG "AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw=="
#define NOBODY "AG5vYm9keUBleGFtcGxlLnRlc3QAd3Jvbmc="
#define OFF "AG9mZkBleGFtcGxlLnRlc3QAd3Jvbmc="
#define FOREIGN "cm9vdABhbGljZUBleGFtcGxlLnRlc3QAc2VjcmV0"
#define SUBMIT "MAIL FROM:<alice@example.test>\r\n" TO "DATA\r\n" TEXT

static const struct {
	const char *name;
	bool tls;
	struct slice script;
	const char *want;
	unsigned accepted, logins;
} logins[] = {
	{ "U-001", false, S_INIT(HELLO "AUTH PLAIN " GOOD "\r\n" SUBMIT), "220 250 530 530 530 530 500 500 500 500",
	    0, 0 },
	{ "U-002", true, S_INIT(HELLO SUBMIT), "220 250 530 530 530 500 500 500 500", 0, 0 },
	{ "PLAIN", true, S_INIT(HELLO "AUTH PLAIN " GOOD "\r\n" SUBMIT), "220 250 235 250 250 354 250", 1, 1 },
	{ "PLAIN in two lines", true, S_INIT(HELLO "auth plain\r\n" GOOD "\r\n" SUBMIT),
	    "220 250 334 235 250 250 354 250", 1, 1 },
	{ "LOGIN", true, S_INIT(HELLO "AUTH LOGIN\r\nYWxpY2VAZXhhbXBsZS50ZXN0\r\nc2VjcmV0\r\n" SUBMIT),
	    "220 250 334 334 235 250 250 354 250", 1, 1 },
	{ "LOGIN with a name", true, S_INIT(HELLO "AUTH LOGIN YWxpY2VAZXhhbXBsZS50ZXN0\r\nc2VjcmV0\r\n"),
	    "220 250 334 235", 0, 1 },
	{ "before EHLO", true, S_INIT("AUTH PLAIN " GOOD "\r\n"), "220 503", 0, 0 },
	{ "U-003", true, S_INIT(HELLO "AUTH NTLM\r\nAUTH CRAM-MD5\r\nAUTH ANONYMOUS\r\nAUTH\r\n"),
	    "220 250 504 504 504 501", 0, 0 },
	{ "U-004", true, S_INIT(HELLO "AUTH PLAIN !!!\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN =\r\nAUTH LOGIN\r\n\r\n"),
	    "220 250 501 334 501 535 334 535", 0, 0 },
	{ "U-005", true, S_INIT(HELLO "AUTH PLAIN " FOREIGN "\r\n"), "220 250 535", 0, 0 },
	{ "U-006", true, S_INIT(HELLO "AUTH PLAIN " WRONG "\r\nAUTH PLAIN " NOBODY "\r\n"), "220 250 535 535", 0,
	    2 },
	{ "disabled", true, S_INIT(HELLO "AUTH PLAIN " OFF "\r\n"), "220 250 535", 0, 1 },
	{ "guessing", true, S_INIT(HELLO "AUTH PLAIN " WRONG "\r\nAUTH PLAIN " WRONG "\r\nAUTH PLAIN " WRONG
	    "\r\nAUTH PLAIN " GOOD "\r\n"), "220 250 535 535 421", 0, 3 },
	{ "U-009 twice", true, S_INIT(HELLO "AUTH PLAIN " GOOD "\r\nAUTH PLAIN " GOOD "\r\n"), "220 250 235 503",
	    0, 1 },
	{ "U-010", true, S_INIT(HELLO "AUTH PLAIN " GOOD "\r\nMAIL FROM:<bob@example.test>\r\n"
	    "MAIL FROM:<x@far.example>\r\nMAIL FROM:<team@example.test>\r\n"), "220 250 235 553 553 250", 0, 1 },
	{ "null sender", true, S_INIT(HELLO "AUTH PLAIN " GOOD "\r\nMAIL FROM:<>\r\n"), "220 250 235 250", 0, 1 },
	{ "no way out", true, S_INIT(HELLO "AUTH PLAIN " GOOD "\r\nMAIL FROM:<alice@example.test>\r\n"
	    "RCPT TO:<u@d.example>\r\n"), "220 250 235 250 550", 0, 1 },
};

static void
login_table(void **state)
{
	for (size_t i = 0; i < sizeof logins / sizeof logins[0]; i++) {
		struct world w;
		const char *got;

		world_init(&w, true);
		(void)world_talk(&w, logins[i].script, logins[i].tls, false);
		got = codes(&w);
		if (strcmp(got, logins[i].want) != 0)
			print_error("%s:\n%.*s\n", logins[i].name, SFMT(buf_slice(&w.out)));
		assert_string_equal(got, logins[i].want);
		assert_int_equal(w.accepted, logins[i].accepted);
		assert_int_equal(w.logins, logins[i].logins);
		if (!logins[i].tls)
			assert_false(said(&w.out, "AUTH ")); /* not advertised */
		if (w.accepted > 0) {
			assert_int_equal(w.account, 1);
			assert_true(slice_starts(buf_slice(&w.message),
			    S("Received: by mx.example.test with ESMTPSA")));
			assert_false(said(&w.message, "192.0.2.7"));
		}
		world_free(&w);
	}
}

/* SCRAM and OAUTHBEARER: bindable is whether door has exported a binding. */
static const struct {
	const char *name;
	bool bindable;
	struct slice script;
	const char *want;
	unsigned accepted, logins;
} exchanges[] = {
	{ "SCRAM", false, S_INIT(HELLO "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n"
	    "Yz1iaXdzLHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=\r\n"
	    "\r\n"), "220 250 334 334 235", 0, 1 },
	{ "SCRAM, first without initial response", false, S_INIT(HELLO "AUTH SCRAM-SHA-256\r\n"
	    "biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n"
	    "Yz1iaXdzLHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=\r\n"
	    "=\r\n"
	    "NOOP\r\n"), "220 250 334 334 334 235 250", 0, 1 },
	{ "SCRAM where PLUS could be had", true, S_INIT(HELLO "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n"
	    "Yz1iaXdzLHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=\r\n"
	    "\r\n"), "220 250 334 334 235", 0, 1 },
	{ "PLUS", true, S_INIT(HELLO "AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YWxpY2VAZXhhbXBsZS50ZXN0LHI9YWJj\r\n"
	    "Yz1jRDEwYkhNdFpYaHdiM0owWlhJc0xFSkNRa0pDUWtKQ1FrSkNRa0pDUWtKQ1FrSkNRa0pDUWtKQ1FrSkNRa0pDLHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=\r\n"
	    "\r\n"), "220 250 334 334 235", 0, 1 },
	{ "U-018 faked binding", true, S_INIT(HELLO "AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YWxpY2VAZXhhbXBsZS50ZXN0LHI9YWJj\r\n"
	    "Yz1jRDEwYkhNdFpYaHdiM0owWlhJc0xFTkRRME5EUTBORFEwTkRRME5EUTBORFEwTkRRME5EUTBORFEwTkRRME5ELHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=\r\n"), "220 250 334 535", 0, 0 },
	{ "U-018 no binding", true, S_INIT(HELLO "AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YWxpY2VAZXhhbXBsZS50ZXN0LHI9YWJj\r\n"
	    "Yz1jRDEwYkhNdFpYaHdiM0owWlhJc0xBPT0scj1hYmNkZWYscD1VRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZBPQ==\r\n"), "220 250 334 535", 0, 0 },
	{ "U-018 n where PLUS was chosen", true, S_INIT(HELLO "AUTH SCRAM-SHA-256-PLUS biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n"), "220 250 535", 0, 0 },
	{ "U-018 y where PLUS was offered", true, S_INIT(HELLO "AUTH SCRAM-SHA-256 eSwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n"), "220 250 535", 0, 0 },
	{ "U-018 header changed", true, S_INIT(HELLO "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n"
	    "Yz1lU3dzLHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=\r\n"), "220 250 334 535", 0, 0 },
	{ "PLUS where it is not offered", false, S_INIT(HELLO "AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YWxpY2VAZXhhbXBsZS50ZXN0LHI9YWJj\r\n"), "220 250 504", 0, 0 },
	{ "wrong proof", false, S_INIT(HELLO "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n"
	    "Yz1iaXdzLHI9YWJjZGVmLHA9VVZGUlVWRlJVVkZSVVZGUlVWRlJVVkZSVVZGUlVWRlJVVkZSVVZGUlVWRT0=\r\n"), "220 250 334 535", 0, 1 },
	{ "cancelled", false, S_INIT(HELLO "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n"
	    "*\r\n"
	    "NOOP\r\n"), "220 250 334 501 250", 0, 0 },
	{ "cancelled at the end", false, S_INIT(HELLO "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n"
	    "Yz1iaXdzLHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=\r\n"
	    "*\r\n"
	    "MAIL FROM:<alice@example.test>\r\n"), "220 250 334 334 501 530", 0, 1 },
	{ "more at the end", false, S_INIT(HELLO "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n"
	    "Yz1iaXdzLHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=\r\n"
	    "bW9yZQ==\r\n"
	    "MAIL FROM:<alice@example.test>\r\n"), "220 250 334 334 535 530", 0, 1 },
	{ "foreign authzid", false, S_INIT(HELLO "AUTH SCRAM-SHA-256 bixhPXJvb3Qsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n"), "220 250 535", 0, 0 },
	{ "no base64", false, S_INIT(HELLO "AUTH SCRAM-SHA-256 !!!\r\n"), "220 250 501", 0, 0 },
	{ "U-020", true, S_INIT(HELLO "AUTH OAUTHBEARER bixhPWFsaWNlQGV4YW1wbGUudGVzdCwBYXV0aD1CZWFyZXIgZXlKaGJHY2lPaUp1YjI1bEluMC5leUpoZFdRaU9pSjRJbjAuAQE=\r\n"
	    "AQ==\r\n"
	    "NOOP\r\n"), "220 250 334 535 250", 0, 0 },
	{ "U-020 malformed", true, S_INIT(HELLO "AUTH OAUTHBEARER bixhPWFsaWNlQGV4YW1wbGUudGVzdCwBYXV0aD1CZWFyZXIgYTsuLi8uLi9iAQE=\r\n"), "220 250 535", 0, 0 },
};

static void
exchange_table(void **state)
{
	for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++) {
		struct world w;
		const char *got;

		world_init(&w, true);
		w.bindable = exchanges[i].bindable;
		(void)world_talk(&w, exchanges[i].script, true, false);
		got = codes(&w);
		if (strcmp(got, exchanges[i].want) != 0)
			print_error("%s:\n%.*s\n", exchanges[i].name, SFMT(buf_slice(&w.out)));
		assert_string_equal(got, exchanges[i].want);
		assert_int_equal(w.accepted, exchanges[i].accepted);
		assert_int_equal(w.logins, exchanges[i].logins);
		assert_true(said(&w.out, "SCRAM-SHA-256-PLUS\r\n") == exchanges[i].bindable);
		assert_false(said(&w.out, "OAUTHBEARER"));
		world_free(&w);
	}
}

/* scram_require_binding = yes, and scram = no: what is not offered is not taken either (U-018). */
static void
offers(void **state)
{
	static const struct {
		struct scram_offer offer;
		bool bindable;
		const char *mechanisms, *want; /* replies to AUTH SCRAM-SHA-256 with n,, and then to PLUS */
	} rows[] = {
		{ { 0 }, true, "AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n", "220 250 334 501 334 501" },
		{ { 0 }, false, "AUTH PLAIN LOGIN SCRAM-SHA-256\r\n", "220 250 334 501 504 500" },
		{ { .must_bind = true }, true, "AUTH PLAIN LOGIN SCRAM-SHA-256-PLUS\r\n", "220 250 504 500 334 501" },
		{ { .must_bind = true }, false, "AUTH PLAIN LOGIN\r\n", "220 250 504 500 504 500" },
		{ { .off = true }, true, "AUTH PLAIN LOGIN\r\n", "220 250 504 500 504 500" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w;

		world_init(&w, true);
		w.conf.scram = rows[i].offer;
		w.bindable = rows[i].bindable;
		(void)world_talk(&w, S(HELLO "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLnRlc3Qscj1hYmM=\r\n*\r\n"
		    "AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49YWxpY2VAZXhhbXBsZS50ZXN0LHI9YWJj\r\n*\r\n"),
		    true, false);
		assert_string_equal(codes(&w), rows[i].want);
		assert_true(said(&w.out, rows[i].mechanisms));
		world_free(&w);
	}
}

/* U-006: identical bytes; U-008, U-004: long responses; auth away: 454, nothing refused for good. */
static void
login_details(void **state)
{
	struct slice out, first, second;
	struct buf script;
	struct world w;

	world_init(&w, true);
	(void)world_talk(&w, S(HELLO "AUTH PLAIN " WRONG "\r\nAUTH PLAIN " NOBODY "\r\n"), true, false);
	out = slice_from(buf_slice(&w.out), slice_find(buf_slice(&w.out), S("535")));
	assert_true(slice_cut(out, '\n', &first, &second));
	assert_true(slice_eq(first, slice_head(second, first.n)) && second.n == first.n + 1);
	assert_true(slice_eq(buf_slice(&w.events), S("login.failed login.failed ")));
	w.auth_ipc = IPC_UNAVAILABLE;
	(void)world_talk(&w, S(HELLO "AUTH PLAIN " GOOD "\r\n"), true, false);
	assert_string_equal(codes(&w), "220 250 454");
	w.auth_ipc = IPC_OK;
	w.logins = 0;
	buf_init(&script, 2000000);
	assert_true(buf_add(&script, S(HELLO "AUTH PLAIN\r\n")));
	repeat(&script, "AAAA", 2500);
	assert_true(buf_add(&script, S("\r\nAUTH PLAIN\r\n")));
	repeat(&script, "AAAA", 4000);
	assert_true(buf_add(&script, S("\r\nNOOP\r\n")));
	(void)world_talk(&w, buf_slice(&script), true, false);
	assert_string_equal(codes(&w), "220 250 334 535 334 500 250");
	assert_int_equal(w.logins, 0);
	buf_free(&script);
	world_free(&w);
}

/* U-022: an account that was disabled, or given another password, sends nothing more. */
static void
the_account_ends(void **state)
{
	struct world w;

	world_init(&w, true);
	(void)world_talk(&w, S(HELLO "AUTH PLAIN " GOOD "\r\nMAIL FROM:<alice@example.test>\r\nRSET\r\nMAIL FROM:<>\r\nQUIT\r\n"),
	    true, false);
	assert_string_equal(codes(&w), "220 250 235 250 250 250 221");
	w.account_ended = true;
	(void)world_talk(&w, S(HELLO "AUTH PLAIN " GOOD "\r\nMAIL FROM:<alice@example.test>\r\nNOOP\r\n"), true, false);
	assert_string_equal(codes(&w), "220 250 235 421");
	(void)world_talk(&w, S(HELLO "AUTH PLAIN " GOOD "\r\nMAIL FROM:<>\r\nNOOP\r\n"), true, false);
	assert_string_equal(codes(&w), "220 250 235 421");
	world_free(&w);
}

/* A login that stops half way holds no thread (many of them would hold all), and not for long. */
static void
a_login_parks(void **state)
{
	struct smtp_peer peer = { .session = 1, .tls = true, .after_starttls = true };
	struct stream_memory m = { .in = S(HELLO "AUTH LOGIN\r\n"), .hang = true, .chunk = 1 };
	struct smtp_session s = { 0 };
	struct world w;

	world_init(&w, true);
	clock_fake(1000000, 0);
	buf_init(&m.out, 10000);
	stream_init_memory(&s.stream, &m);
	smtp_session_init(&s, &w.conf, &w.back, &peer);
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	assert_true(s.deadline_ms == 1000000 + SMTP_LOGIN_MS);
	m.in = S(HELLO "AUTH LOGIN\r\nYWxpY2VAZXhhbXBsZS50ZXN0\r\nc2Vj");
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	assert_int_equal(w.logins, 0);
	m.in = S(HELLO "AUTH LOGIN\r\nYWxpY2VAZXhhbXBsZS50ZXN0\r\nc2VjcmV0\r\n");
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	assert_true(said(&m.out, "235 ") && s.deadline_ms == 1000000 + SMTP_IDLE_MS);
	assert_null(s.login_name.p);
	smtp_session_end(&s);
	buf_free(&m.out);
	clock_real();
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(login_table),
		cmocka_unit_test(exchange_table),
		cmocka_unit_test(offers),
		cmocka_unit_test(login_details),
		cmocka_unit_test(a_login_parks),
		cmocka_unit_test(the_account_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
