/* SPDX-License-Identifier: MIT
 * Mail for elsewhere: relays, what is told about them, back-off, dead destinations. */
#include "rooms/queue/test_remote.h"

static void
relays(void **state)
{
	struct world w = good();
	struct smtp_queue_rcpt to = { .address = S("Eve@Remote.Example"), .sender = S("SRS0=x=a@example.test"),
		.notify = SPOOL_FAILURE, .orcpt = S("rfc822;eve+2Bx@remote.example") };
	struct smtp_queue_accept m = { .envid = S("QQ314"), .requiretls = true, .priority = 4, .body_8bit = true,
		.ret = SMTP_QUEUE_RET_HDRS, .by_us = clock_wall_us() + (int64_t)(600 * SECOND),
		.by_mode = SMTP_QUEUE_BY_MODE_NOTIFY };

	w.by_passed_on = true;
	offer_to(&m, &to, 1);
	assert_int_equal(hear(1).ok, 1);
	stop(); /* all of it is on the disk */
	start();
	connect_send();
	until(&w, &w.relays, 1);
	assert_string_equal(saw.destination, "remote.example");
	assert_string_equal(saw.address, "Eve@Remote.Example");
	assert_string_equal(saw.sender, "SRS0=x=a@example.test");
	assert_string_equal(saw.envid, "QQ314");
	assert_string_equal(saw.orcpt, "rfc822;eve+2Bx@remote.example");
	assert_string_equal(saw.body, TEXT);
	assert_true(saw.last.requiretls && saw.last.priority == 4 && saw.last.body_8bit && saw.notify == SPOOL_FAILURE);
	assert_true(saw.last.ret == QUEUE_SEND_RET_HDRS && saw.last.by_notify && !saw.last.by_trace);
	assert_in_range(saw.last.by_us, m.by_us - 2 * (int64_t)SECOND, m.by_us + 2 * (int64_t)SECOND);
	spool_holds(&w, 0);
}

static void
groups(void **state)
{
	static struct smtp_queue_rcpt to[253];
	static char text[253][40];
	struct smtp_queue_accept m = { 0 };
	struct world w = good();

	for (size_t i = 0; i < 253; i++) {
		(void)snprintf(text[i], sizeof text[i], "u%zu@%s.example", i, i < 250 ? "big" : "small");
		to[i].address = slice_z(text[i]);
	}
	offer_to(&m, to, 253);
	assert_int_equal(hear(1).ok, 1);
	connect_send();
	until(&w, &w.rcpts, 253);
	assert_int_equal(w.relays, 4);
	assert_int_equal(w.most_rcpts, 100);
	spool_holds(&w, 0);
}

/* RFC 3464; O-002, O-004 */
static void
bounces(void **state)
{
	struct world w = bad("no such user"), remote = bad("evil\nFrom x");

	connect_send();
	send_to("eve@remote.example");
	until(&w, &w.relays, 1);
	w = remote;
	until(&w, &w.relays, 1); /* the bounce itself goes to the sender, who is elsewhere: it fails too */
	assert_string_equal(saw.address, "a@example.org");
	assert_string_equal(saw.sender, "");
	assert_true(in(saw.body, "Auto-Submitted: auto-replied\r\n") && in(saw.body, "Final-Recipient: rfc822; eve@remote.example"));
	assert_true(in(saw.body, "There is no such user there.") && in(saw.body, "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
	assert_true(in(saw.body, "Subject: q\r\n") && !in(saw.body, "\r\nbody\r\n"));
	spool_holds(&w, 0);
	rounds(&w, 50);
	assert_int_equal(w.relays, 1); /* and nobody bounces a bounce */
}

static void
one_bounce_for_many(void **state)
{
	static struct smtp_queue_rcpt to[30];
	static char text[30][40];
	struct smtp_queue_accept m = { .ret = SMTP_QUEUE_RET_FULL };
	struct world w = bad("no"), after = good();

	for (size_t i = 0; i < 30; i++) {
		(void)snprintf(text[i], sizeof text[i], "u%zu@big.example", i);
		to[i].address = slice_z(text[i]);
	}
	offer_to(&m, to, 30);
	assert_int_equal(hear(1).ok, 1);
	connect_send();
	until(&w, &w.relays, 1);
	w = after;
	until(&w, &w.relays, 1);
	assert_true(in(saw.body, "u0@big.example") && in(saw.body, "u20@big.example"));
	spool_holds(&w, 0);
	rounds(&w, 20);
	assert_int_equal(w.relays, 1);
}

/* RFC 3461 */
static void
notify(void **state)
{
	static const struct {
		uint8_t notify;
		bool fails, passed_on, told;
		const char *action;
	} table[] = {
		{ 0, true, false, true, "Action: failed" }, { SPOOL_NEVER, true, false, false, "" },
		{ SPOOL_DELAY, true, false, false, "" }, { SPOOL_FAILURE, true, false, true, "Action: failed" },
		{ SPOOL_SUCCESS, false, false, true, "Action: relayed" }, { SPOOL_SUCCESS, false, true, false, "" },
		{ SPOOL_FAILURE, false, false, false, "" }, { 0, false, false, false, "" },
	};

	connect_send();
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct world w = table[i].fails ? bad("no") : good();
		struct smtp_queue_rcpt to = { .address = S("eve@remote.example"), .notify = table[i].notify };
		struct smtp_queue_accept m = { 0 };

		w.passed_on = table[i].passed_on;
		offer_to(&m, &to, 1);
		assert_int_equal(hear(1).ok, 1);
		until(&w, &w.relays, 1);
		w = good();
		spool_holds(&w, 0); /* a notification comes in the transaction that ends the delivery */
		rounds(&w, 5);
		assert_int_equal(w.relays, table[i].told);
		assert_true(!table[i].told || in(saw.body, table[i].action));
	}
}

/* RFC 2852: who hears that a message was relayed */
static void
notify_by(void **state)
{
	static const struct {
		enum smtp_queue_by_mode mode;
		bool trace, passed_on;
		uint8_t notify;
		bool null, told;
	} table[] = {
		{ SMTP_QUEUE_BY_MODE_NOTIFY, false, false, 0, false, true },
		{ SMTP_QUEUE_BY_MODE_NOTIFY, false, false, SPOOL_FAILURE, false, true },
		{ SMTP_QUEUE_BY_MODE_NOTIFY, false, false, SPOOL_NEVER, false, false },
		{ SMTP_QUEUE_BY_MODE_NOTIFY, false, false, 0, true, false },
		{ SMTP_QUEUE_BY_MODE_NOTIFY, false, true, 0, false, false },
		{ SMTP_QUEUE_BY_MODE_NOTIFY, true, true, 0, false, true },
		{ SMTP_QUEUE_BY_MODE_GIVE_UP, false, true, 0, false, false },
		{ SMTP_QUEUE_BY_MODE_GIVE_UP, true, true, 0, false, true },
		{ SMTP_QUEUE_BY_MODE_NONE, true, false, 0, false, false },
	};

	connect_send();
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct world w = good();
		struct smtp_queue_rcpt to = { .address = S("eve@remote.example"), .notify = table[i].notify };
		struct smtp_queue_accept m = { .by_mode = table[i].mode, .by_trace = table[i].trace,
			.by_us = table[i].mode == SMTP_QUEUE_BY_MODE_NONE ? 0 : clock_wall_us() + (int64_t)(600 * SECOND) };

		w.by_passed_on = table[i].passed_on;
		if (table[i].null)
			m.sender = S("");
		offer_to(&m, &to, 1);
		assert_int_equal(hear(1).ok, 1);
		until(&w, &w.relays, 1);
		assert_int_equal(saw.last.by_trace, table[i].trace && table[i].mode != SMTP_QUEUE_BY_MODE_NONE);
		w = good();
		spool_holds(&w, 0);
		rounds(&w, 5);
		assert_int_equal(w.relays, table[i].told);
		assert_true(!table[i].told || in(saw.body, "Action: relayed"));
	}
}

static void
backs_off(void **state)
{
	own(arena_p) a = arena_new("t", 1 << 20);
	struct world w = good();
	uint64_t before = 0;

	w.say = QUEUE_SEND_OUTCOME_DEFERRED;
	w.code = 450;
	w.text = "greylisted";
	w.enhanced = "4.7.1";
	own_time();
	connect_send();
	send_to("eve@remote.example");
	pass(&w, 1);
	for (unsigned tries = 1; tries < 8; tries++) {
		struct spool_delivery d = only(a);
		uint64_t in_s = (d.next - queue_now(q)) / SECOND, want = 300u << (tries - 1);

		assert_int_equal(w.relays, tries);
		assert_int_equal(d.attempts, tries);
		assert_true(slice_eq(d.reason, S("4.7.1 greylisted (mx.remote.example)")));
		want = want < 3600 ? want : 3600;
		assert_in_range(in_s, want * 3 / 4 - 3, want * 5 / 4);
		pass(&w, in_s / 2); /* not before its time */
		assert_int_equal(w.relays, tries);
		pass(&w, in_s - in_s / 2 + 1);
		before = d.next;
	}
	assert_true(before > 0);
}

/* A delay is told of once, after warn_after; lifetime ends it; R-007: not before. */
static void
grows_old(void **state)
{
	struct world w = good();
	size_t to_sender = 0, to_remote = 0;

	own_time();
	w.be = QUEUE_SEND_DESTINATION_UNREACHABLE;
	connect_send();
	send_to("eve@dead.example");
	for (unsigned hours = 0; hours < 119; hours++) {
		w.say = QUEUE_SEND_OUTCOME_DELIVERED;
		w.be = QUEUE_SEND_DESTINATION_REACHED;
		w.relays = 0;
		saw.destination[0] = '\0';
		pass(&w, 3588);
		if (in(saw.body, "Action: delayed")) {
			to_sender++;
			assert_true(hours >= 3 && hours <= 6);
			assert_true(in(saw.body, "connection refused") && in(saw.body, "Will-Retry-Until: "));
		}
		to_remote += w.relays;
		saw.body[0] = '\0';
	}
	assert_int_equal(to_sender, 1);
	assert_in_range(to_remote, 70, 200);
	assert_int_equal(spool_open_deliveries(q->spool), 1);
	for (unsigned hours = 0; hours < 4; hours++)
		pass(&w, 3600);
	assert_true(in(saw.body, "Action: failed") && in(saw.body, "Status: 5.4.7"));
	assert_int_equal(spool_open_deliveries(q->spool), 0);
}

/* */
static void
clock_steps(void **state)
{
	static const int64_t years[] = { 10, -20, 20, -10 };
	own(arena_p) a = arena_new("t", 1 << 20);
	struct world w = good();
	struct spool_delivery d;
	uint64_t next;

	own_time();
	w.say = QUEUE_SEND_OUTCOME_DEFERRED;
	w.code = 450;
	connect_send();
	send_to("eve@remote.example");
	pass(&w, 1);
	d = only(a);
	next = d.next;
	for (size_t i = 0; i < sizeof years / sizeof *years; i++) {
		wall += years[i] * 365 * 86400 * (int64_t)SECOND;
		pass(&w, 1);
		assert_int_equal(w.relays, 1);
		assert_int_equal(only(a).next, next);
		stop(); /* and through a start of the room: an hour is the most that it takes for gone */
		start();
		connect_send();
		pass(&w, 1);
		assert_true(w.relays <= i + 2);
		w.relays = w.relays > 1 ? 1 : w.relays;
		next = only(a).next;
		assert_true(next < queue_now(q) + 3600 * SECOND * 5 / 4);
	}
	assert_true(only(a).attempts <= 5);
}

static void
waits_as_told(void **state)
{
	struct world w = good();
	struct smtp_queue_rcpt to = { .address = S("eve@remote.example") };
	struct smtp_queue_accept later = { 0 }, held = { .held = S("looks odd") }, by = { 0 };

	own_time();
	connect_send();
	later.hold_until_us = wall + (int64_t)(3600 * SECOND); /* RFC 4865 */
	offer_to(&later, &to, 1);
	offer_to(&held, &to, 1);
	assert_int_equal(hear(2).ok, 2);
	pass(&w, 3500);
	assert_int_equal(w.relays, 0);
	pass(&w, 200);
	assert_int_equal(w.relays, 1);
	pass(&w, 864000);
	assert_int_equal(w.relays, 1); /* what is held stays, however long */
	assert_int_equal(spool_open_deliveries(q->spool), 1);
	w = good();
	w.say = QUEUE_SEND_OUTCOME_DEFERRED;
	by.by_us = wall + (int64_t)(120 * SECOND); /* RFC 2852 */
	by.by_mode = SMTP_QUEUE_BY_MODE_GIVE_UP;
	offer_to(&by, &to, 1);
	assert_int_equal(hear(1).ok, 1);
	pass(&w, 1);
	assert_int_equal(w.relays, 1);
	pass(&w, 122);
	assert_true(in(saw.body, "DELIVERBY") && in(saw.body, "Status: 5.4.7"));
}

/* O-007: the dead do not delay the living. */
static void
dead_beside_live(void **state)
{
	static struct smtp_queue_rcpt to[1000];
	static char text[1000][40];
	struct smtp_queue_accept m = { 0 };
	struct world w = good();

	for (size_t i = 0; i < 1000; i++) {
		(void)snprintf(text[i], sizeof text[i], "u%zu@dead%zu.example", i, i % 10);
		to[i].address = slice_z(text[i]);
	}
	for (unsigned i = 0; i < 10; i++) {
		offer_to(&m, to, 1000);
		assert_int_equal(hear(1).ok, 1);
	}
	w.silent = true; /* the dead hang: as many as may be tried are under way, and nobody answers */
	connect_send();
	for (int i = 0; i < PATIENCE && w.n_held < 10; i++)
		turn(&w, 5);
	rounds(&w, 5);
	assert_in_range(w.n_held, 10, QUEUE_UNPROVEN);
	w.silent = false;
	own_time();
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(text[i], sizeof text[i], "u%u@live%u.example", i, i % 7);
		to[i].address = slice_z(text[i]);
		offer_to(&m, &to[i], 1);
		if (i % 50 == 49)
			assert_int_equal(hear(50).ok, 50);
	}
	for (int i = 0; i < 4 && w.delivered < 100; i++)
		pass(&w, 0); /* 1.2 s each, by a clock that waits for nobody */
	assert_int_equal(w.delivered, 100);
	clock_real();
	/* they give up: what waits for them goes to the spool, memory is free again */
	for (size_t i = 0; i < w.n_held; i++) {
		struct queue_send_result r = { .delivery = saw.held_ids[i], .outcome = QUEUE_SEND_OUTCOME_DEFERRED,
			.text = S("timed out") };
		struct queue_send_relay_answer out = { .destination = QUEUE_SEND_DESTINATION_UNREACHABLE,
			.results = &r, .n_results = 1 };

		(void)queue_send_relay_answer(&saw.held[i], &out);
	}
	until_none(&w, &q->n_tasks);
	until_none(&w, &q->n_jobs);
	spool_holds(&w, 10000);
}

static void
send_dies(void **state)
{
	struct world w = good();

	w.silent = true;
	connect_send();
	send_to("eve@remote.example");
	until(&w, &w.relays, 1);
	assert_int_equal(q->n_jobs, 1);
	for (size_t i = 0; i < w.n_held; i++)
		(void)ipc_refuse(&saw.held[i]);
	ipc_channel_free(&sender);
	until_none(&w, &q->n_jobs);
	w = good();
	connect_send();
	until(&w, &w.delivered, 1);
	spool_holds(&w, 0);
}

/* Slow start, and half of it when the other side groans. */
static void
learns(void **state)
{
	static struct smtp_queue_rcpt to = { .address = S_INIT("eve@remote.example") };
	struct smtp_queue_accept m = { 0 };
	struct world w = good();

	for (unsigned i = 0; i < 60; i++)
		offer_to(&m, &to, 1);
	assert_int_equal(hear(60).ok, 60);
	w.silent = true;
	connect_send();
	until(&w, &w.n_held, 2);
	rounds(&w, 5);
	assert_int_equal(w.n_held, 2);
	for (unsigned round = 0; round < 4; round++) {
		size_t n = w.n_held;

		w.n_held = 0;
		for (size_t i = 0; i < n; i++) {
			struct queue_send_result r = { .delivery = saw.held_ids[i],
				.outcome = QUEUE_SEND_OUTCOME_DELIVERED, .code = 250 };
			struct queue_send_relay_answer out = { .destination = QUEUE_SEND_DESTINATION_REACHED,
				.results = &r, .n_results = 1 };
			struct ipc_call call = saw.held[i];

			(void)queue_send_relay_answer(&call, &out);
		}
		n = 2 * n > 20 ? 20 : 2 * n;
		until(&w, &w.n_held, n);
		rounds(&w, 5);
		assert_int_equal(w.n_held, n); /* and no more */
	}
	w.be = QUEUE_SEND_DESTINATION_BUSY;
	w.say = QUEUE_SEND_OUTCOME_DEFERRED;
	w.silent = false;
	for (size_t i = 0; i < w.n_held; i++) {
		struct queue_send_result r = { .delivery = saw.held_ids[i], .outcome = QUEUE_SEND_OUTCOME_DEFERRED,
			.code = 421 };
		struct queue_send_relay_answer out = { .destination = QUEUE_SEND_DESTINATION_BUSY, .results = &r,
			.n_results = 1 };

		(void)queue_send_relay_answer(&saw.held[i], &out);
	}
	w.relays = 0;
	rounds(&w, 40);
	assert_int_equal(w.relays, 0); /* it was asked to wait */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_queue, close_queue)
		T(relays), T(groups), T(bounces),
		T(one_bounce_for_many), T(notify), T(notify_by), T(backs_off), T(grows_old),
		T(clock_steps), T(waits_as_told), T(dead_beside_live), T(send_dies), T(learns),
	};

	testvfs_register();
	testvfs_idle_disk(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
