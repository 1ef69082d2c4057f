/* SPDX-License-Identifier: MIT
 * Scenes in times of stress: strangers get less time and less patience, accounts what they always get. */
#include "lib/clock/clock.h"
#include "rooms/smtp/test_scene.h"

/* How many of these lines are answered before the session is cut. */
static size_t
borne(bool stress, const char *line, size_t n, const char *code)
{
	own(buf_t) script = { .max = 1000000 };
	struct world w;
	size_t count = 0;

	world_init(&w, false);
	w.stress = stress;
	assert_true(buf_add(&script, S(HELLO FROM)));
	repeat(&script, line, n);
	(void)world_talk(&w, buf_slice(&script), false, false);
	for (struct slice rest = buf_slice(&w.out); rest.n > 0;) {
		size_t at = slice_find(rest, S("\r\n"));

		count += slice_starts(rest, slice_z(code));
		rest = slice_from(rest, at + 2);
	}
	world_free(&w);
	return count;
}

static void
less_patience(void **state)
{
	assert_int_equal(borne(false, "X\r\n", 50, "500"), LIMIT_SMTP_ERRORS - 1);
	assert_int_equal(borne(true, "X\r\n", 50, "500"), 3);
	assert_int_equal(borne(true, "X\r\n", 50, "421"), 1);
	assert_int_equal(borne(false, "NOOP\r\n", 200, "250 2.0.0"), LIMIT_SMTP_JUNK - 1); /* EHLO counts */
	assert_int_equal(borne(true, "NOOP\r\n", 200, "250 2.0.0"), 9);
	assert_int_equal(borne(false, TO, 300, "250 2.1.5"), 300);
	assert_int_equal(borne(true, TO, 300, "250 2.1.5"), 100); /* RFC 5321 section 4.5.3.1.8 */
	assert_int_equal(borne(true, TO, 300, "452"), 200);
	assert_int_equal(borne(false, "RSET\r\n" FROM, 40, "250 2.1.0"), 41);
	assert_int_equal(borne(true, "RSET\r\n" FROM, 40, "250 2.1.0"), 10);
}

/* What EHLO says is what holds. */
static void
limits_are_told(void **state)
{
	struct world w;

	world_init(&w, false);
	(void)world_talk(&w, S(HELLO), false, false);
	assert_true(said(&w.out, "LIMITS MAILMAX=1000 RCPTMAX=1000\r\n"));
	w.stress = true;
	(void)world_talk(&w, S(HELLO), false, false);
	assert_true(said(&w.out, "LIMITS MAILMAX=10 RCPTMAX=100\r\n"));
	world_free(&w);
}

/* A silent client: 300 s, 10 s in times of stress, and 10 s from its begin on for who was silent before. */
static void
less_time(void **state)
{
	struct smtp_peer peer = { .session = 1, .after_starttls = true };
	struct world w;

	world_init(&w, false);
	for (int i = 0; i < 2; i++) {
		struct stream_memory m = { .in = S(HELLO), .hang = true, .chunk = 100 };
		struct smtp_session s = { 0 };
		uint64_t now = 1000000;

		w.stress = i == 1;
		clock_fake(now, 0);
		buf_init(&m.out, 10000);
		stream_init_memory(&s.stream, &m);
		smtp_session_init(&s, &w.conf, &w.back, &peer);
		assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
		assert_int_equal(s.deadline_ms, now + (w.stress ? SMTP_STRESS_IDLE_MS : SMTP_IDLE_MS));
		w.stress = true;
		clock_fake(now += 1000, 0);
		assert_int_equal(smtp_session_run(&s, SMTP_HURRY), SMTP_PARK);
		assert_int_equal(s.deadline_ms, now - (i == 1 ? 1000 : 0) + SMTP_STRESS_IDLE_MS);
		clock_fake(now += SMTP_STRESS_IDLE_MS, 0);
		buf_reset(&m.out);
		assert_int_equal(smtp_session_run(&s, SMTP_DEADLINE), SMTP_END);
		assert_true(slice_starts(buf_slice(&m.out), S("421 4.4.2 "))); /* S-094 */
		smtp_session_end(&s);
		buf_free(&m.out);
	}
	clock_real();
	world_free(&w);
}

/* S-095 in times of stress: a message of one octet a second has 10 s, not 60. */
static void
slow_content(void **state)
{
	struct stream_memory m = { .in = S(HELLO FROM TO "DATA\r\n"), .hang = true, .chunk = 1 };
	struct smtp_peer peer = { .session = 1, .after_starttls = true };
	struct smtp_session s = { 0 };
	struct world w;

	world_init(&w, false);
	clock_fake(1000000, 0);
	buf_init(&m.out, 10000);
	stream_init_memory(&s.stream, &m);
	smtp_session_init(&s, &w.conf, &w.back, &peer);
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	assert_true(said(&m.out, "354 "));
	assert_int_equal(s.deadline_ms, 1000000 + SMTP_DATA_GRACE_MS);
	w.stress = true;
	assert_int_equal(smtp_session_run(&s, SMTP_HURRY), SMTP_PARK);
	assert_int_equal(s.deadline_ms, 1000000 + SMTP_STRESS_IDLE_MS);
	smtp_session_end(&s);
	buf_free(&m.out);
	clock_real();
	world_free(&w);
}

/* Submission is as ever, before a login and after it. */
static void
accounts_keep_theirs(void **state)
{
	struct stream_memory m = { .in = S(HELLO), .hang = true, .chunk = 100 };
	struct smtp_peer peer = { .session = 1, .listener = SMTP_AT_SUBMISSIONS, .tls = true,
		.after_starttls = true };
	struct smtp_session s = { 0 };
	struct world w;

	world_init(&w, true);
	w.stress = true;
	clock_fake(1000000, 0);
	buf_init(&m.out, 10000);
	stream_init_memory(&s.stream, &m);
	smtp_session_init(&s, &w.conf, &w.back, &peer);
	assert_int_equal(smtp_session_run(&s, SMTP_INPUT), SMTP_PARK);
	assert_int_equal(s.deadline_ms, 1000000 + SMTP_IDLE_MS);
	assert_int_equal(smtp_bounds(&s)->errors, LIMIT_SMTP_ERRORS);
	s.account_id = 1;
	assert_int_equal(smtp_bounds(&s)->rcpts, LIMIT_SMTP_RCPTS);
	smtp_session_end(&s);
	buf_free(&m.out);
	clock_real();
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(less_patience),
		cmocka_unit_test(limits_are_told),
		cmocka_unit_test(less_time),
		cmocka_unit_test(slow_content),
		cmocka_unit_test(accounts_keep_theirs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
