/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "ipc/room_ledger.h"
#include "lib/events/events.h"

struct seen {
	size_t n;
	uint64_t lost;
	unsigned last_kind;
	uint64_t last_session;
};

static void
on_event(void *ctx, struct room_ledger_event *m)
{
	struct seen *seen = ctx;

	seen->n++;
	seen->last_kind = m->kind;
	seen->last_session = m->session;
	if (m->kind == EVENT_EVENTS_LOST)
		assert_true(slice_u64(m->fields[0].value, &seen->lost));
	if (m->kind == EVENT_SMTP_REJECTED) {
		assert_int_equal(m->n_fields, 2);
		assert_true(slice_eq(m->fields[0].value, S("a\r\nb"))); /* bytes as they are */
		assert_true(slice_eq(m->fields[1].value, S("550")));
	}
}

static void
drain(int fd, struct seen *seen)
{
	static const struct room_ledger_server h = { .event = on_event };
	struct ipc_channel *ch = ipc_channel_new(dup(fd), "test", "");

	ipc_set_nonblocking(ch, true);
	while (room_ledger_server_serve(ch, &h, seen) == IPC_OK)
		;
	/* not ipc_channel_free(): that would shut the shared socket down */
	(void)close(ipc_channel_give(&ch));
}

static void
events_outlive_a_missing_ledger(void **state)
{
	struct seen seen = { 0 };
	int ends[2];

	EVENT(EVENT_SMTP_REJECTED, 7, S("q"), S("acct"), EF("from", S("a\r\nb")), EN("code", 550));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	events_connect(ends[0]);
	drain(ends[1], &seen);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.last_session, 7);
	(void)close(ends[1]); /* ledger dies; more is emitted than is kept */
	for (size_t i = 0; i < 20000; i++)
		EVENT(EVENT_CONN_OPEN, i, S(""), S(""), EF("ip", S("192.0.2.1")));
	seen = (struct seen){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	events_connect(ends[0]);
	for (int i = 0; i < 200; i++) {
		EVENT(EVENT_CONN_CLOSE, 1, S(""), S(""), EN("x", 1));
		drain(ends[1], &seen);
	}
	assert_true(seen.lost > 0);
	assert_int_equal(seen.n - 1 + seen.lost, 20000 + 200);
	(void)close(ends[1]);
}

static void
count_wake(void *arg)
{
	(*(unsigned *)arg)++;
}

/* What ledger did not take at once comes without another event. */
static void
events_are_sent_again(void **state)
{
	struct seen seen = { 0 };
	unsigned wakes = 0;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	events_connect(ends[0]);
	events_on_kept(count_wake, &wakes);
	for (uint64_t i = 0; i < 1500; i++) /* more than the channel holds, less than what is kept */
		EVENT(EVENT_CONN_OPEN, i, S(""), S(""), EF("ip", S("192.0.2.1")));
	assert_int_equal(wakes, 1);
	assert_true(events_resend()); /* still full */
	for (int i = 0; i < 100; i++) {
		drain(ends[1], &seen);
		if (!events_resend())
			break;
	}
	drain(ends[1], &seen);
	assert_int_equal(seen.n, 1500);
	assert_int_equal(seen.last_session, 1499);
	assert_int_equal(seen.lost, 0);
	for (uint64_t i = 0; i < 1500; i++)
		EVENT(EVENT_CONN_OPEN, i, S(""), S(""), EF("ip", S("192.0.2.1")));
	assert_int_equal(wakes, 2);
	(void)close(ends[1]); /* it dies with a part of them; its successor gets the others */
	assert_false(events_resend());
	seen = (struct seen){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	events_connect(ends[0]);
	assert_int_equal(wakes, 3);
	for (bool more = true; more;) {
		drain(ends[1], &seen);
		more = events_resend();
	}
	drain(ends[1], &seen);
	assert_true(seen.n > 500);
	assert_int_equal(seen.last_session, 1499);
	events_on_kept(NULL, NULL);
	(void)close(ends[1]);
}

static void
session_ids_read_back(void **state)
{
	static const uint64_t ids[] = { 0, 1, 31, 32, 0x123456789abcdef0u, UINT64_MAX };
	uint64_t got;

	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		struct session_text t = session_text(ids[i]);

		assert_true(session_parse(slice_z(t.z), &got) && got == ids[i]);
	}
	assert_true(session_parse(S("0000000000001.27"), &got) && got == 1);
	assert_false(session_parse(S("000000000000"), &got));
	assert_false(session_parse(S("g000000000000"), &got)); /* over 64 bits */
	assert_false(session_parse(S("000000000000u"), &got));
	assert_int_equal(event_kind_of(S("smtp.rejected")), EVENT_SMTP_REJECTED);
	assert_string_equal(event_name(EVENT_LOGIN_OK), "login.ok");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(events_outlive_a_missing_ledger),
		cmocka_unit_test(events_are_sent_again), cmocka_unit_test(session_ids_read_back) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
