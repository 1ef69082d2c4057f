/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/cli_ledger.h"
#include "ipc/room_ledger.h"
#include "lib/clock/clock.h"
#include "rooms/ledger/room.h"

static struct ledger_room room;

struct asked {
	bool answered, more;
	size_t n;
	uint64_t first, last;
	char text[64];
};

static void
on_answer(void *ctx, uint32_t id, struct cli_ledger_query_answer *m)
{
	struct asked *q = ctx;

	assert_int_equal(m->status, CLI_LEDGER_RESULT_OK);
	q->answered = true;
	q->more = m->more;
	q->n = m->n_events;
	q->last = m->last;
	if (m->n_events == 0)
		return;
	q->first = m->events[0].id;
	assert_int_equal(m->events[0].n_fields, 2);
	(void)snprintf(q->text, sizeof q->text, "%.*s %.*s=%.*s", SFMT(m->events[0].room),
	    SFMT(m->events[0].fields[1].key), SFMT(m->events[0].fields[1].value));
}

static struct asked
ask(struct ipc_channel *cli, struct cli_ledger_query m)
{
	static const struct cli_ledger_answers answers = { .query = on_answer };
	struct asked q = { 0 };

	assert_int_equal(cli_ledger_query_ask(cli, 7, &m), IPC_OK);
	loop_once(room.loop, 1000);
	assert_int_equal(cli_ledger_answers_serve(cli, &answers, &q), IPC_OK);
	assert_true(q.answered);
	return q;
}

static struct ipc_channel *
join(const char *peer, const char *instance)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	ledger_introduce(&room, peer, instance, ends[0]);
	return ipc_channel_new(ends[1], "ledger", "");
}

static void
send_event(struct ipc_channel *ch, uint16_t kind, uint64_t session, struct slice queue_id, size_t big)
{
	static char value[1024];
	struct room_ledger_field f[2] = { { S("from"), S("a@b.c") }, { S("x"), S("y") } };
	struct room_ledger_event e = { .kind = kind, .time_us = 1700000000000000,
		.session = session, .queue_id = queue_id, .account = S("bob@example.test"),
		.fields = f, .n_fields = 2 };

	memset(value, 'v', sizeof value);
	if (big > 0)
		f[0].value = slice_of(value, big);
	assert_int_equal(room_ledger_event_send(ch, &e), IPC_OK);
}

static void
takes_and_tells(void **state)
{
	struct ledger *log = NULL;
	struct ipc_channel *mx, *cli;
	struct asked q;

	(void)unlink("ledger-room-test.db");
	assert_int_equal(ledger_open("ledger-room-test.db", &log), STORE_OK);
	ledger_room_init(&room, NULL, loop_new(), log, UINT64_MAX);
	mx = join("smtp", "mx");
	cli = join("cli", "");
	for (unsigned i = 0; i < 20; i++) {
		send_event(mx, (uint16_t)(60 + i % 2), 5, i < 10 ? S("abc.1") : S("abd.1"), 1000);
		if (i % 8 == 7)
			loop_once(room.loop, 0);
	}
	loop_once(room.loop, 0);
	q = ask(cli, (struct cli_ledger_query){ 0 });
	assert_true(q.n == 8 && q.more && q.first == 1 && q.last == 8);
	assert_string_equal(q.text, "smtp/mx x=y");
	q = ask(cli, (struct cli_ledger_query){ .after = 16 });
	assert_true(q.n == 4 && !q.more && q.last == 20);
	q = ask(cli, (struct cli_ledger_query){ .after = 20 });
	assert_true(q.n == 0 && !q.more && q.last == 20);
	q = ask(cli, (struct cli_ledger_query){ .newest = true, .most = 10 });
	assert_true(q.n == 8 && q.more && q.first == 11);
	q = ask(cli, (struct cli_ledger_query){ .queue_id = S("abd"), .kind = 60 });
	assert_true(q.n == 5 && q.first == 11);
	q = ask(cli, (struct cli_ledger_query){ .session = 5, .queue_id = S("abc.1"), .most = 2 });
	assert_true(q.n == 2 && q.more);
	q = ask(cli, (struct cli_ledger_query){ .account = S("eve@example.test") });
	assert_int_equal(q.n, 0);
	/* gathered, then written by the timer alone */
	send_event(mx, 1, 0, S(""), 0);
	loop_once(room.loop, 10);
	assert_int_equal(room.n, 1);
	for (int i = 0; i < 20 && room.n > 0; i++)
		loop_once(room.loop, 20);
	assert_int_equal(ledger_last(log), 21);
	/* a peer that speaks another language loses its channel, the others stay */
	assert_int_equal(cli_ledger_query_ask(mx, 1, &(struct cli_ledger_query){ 0 }), IPC_OK);
	loop_once(room.loop, 100);
	q = ask(cli, (struct cli_ledger_query){ .after = 20 });
	assert_int_equal(q.n, 1);
	/* what is still in the channel at the end is written */
	ipc_channel_free(&mx);
	mx = join("door", "");
	send_event(mx, 2, 0, S(""), 0);
	ledger_stop(&room);
	ipc_channel_free(&mx);
	ipc_channel_free(&cli);
	loop_free(&room.loop);
	assert_int_equal(ledger_open("ledger-room-test.db", &log), STORE_OK);
	assert_int_equal(ledger_last(log), 22);
	ledger_close(&log);
	(void)unlink("ledger-room-test.db");
}

/* What is older than events.keep goes in steps, each as its time comes; the newest row stays, for its id. */
static void
forgets(void **state)
{
	const uint64_t day = (uint64_t)86400 * 1000000;
	const int64_t told = 1700000000000000; /* send_event() */
	struct ledger *log = NULL;
	struct ipc_channel *mx, *cli;

	(void)unlink("ledger-room-test.db");
	assert_int_equal(ledger_open("ledger-room-test.db", &log), STORE_OK);
	clock_fake(1000, told);
	ledger_room_init(&room, NULL, loop_new(), log, 30 * day);
	mx = join("smtp", "mx");
	cli = join("cli", "");
	for (unsigned i = 0; i < 10; i++)
		send_event(mx, 60, 5, S("abc.1"), 0);
	loop_once(room.loop, 0);
	ledger_write(&room);
	clock_fake(1000 + LEDGER_RETIRE_MS, told + 30 * (int64_t)day - 1);
	loop_once(room.loop, 0);
	assert_int_equal(ask(cli, (struct cli_ledger_query){ 0 }).first, 1);
	clock_fake(1000 + 2 * LEDGER_RETIRE_MS, told + 30 * (int64_t)day + 1);
	loop_once(room.loop, 0);
	assert_true(ask(cli, (struct cli_ledger_query){ 0 }).first == 10);
	clock_real();
	ledger_stop(&room);
	ipc_channel_free(&mx);
	ipc_channel_free(&cli);
	loop_free(&room.loop);
	(void)unlink("ledger-room-test.db");
}

static void
fields(void **state)
{
	own(buf_t) b = { .max = 4096 };
	struct slice k, v;
	struct cursor c;

	assert_true(ledger_pack(&b, S("a"), S("1")) && ledger_pack(&b, S(""), S("")));
	for (size_t n = 0; n < b.n; n++) { /* every truncation ends, none reads on */
		c = cur_of(slice_head(buf_slice(&b), n));
		while (ledger_unpack(&c, &k, &v))
			;
	}
	c = cur_of(buf_slice(&b));
	assert_true(ledger_unpack(&c, &k, &v) && slice_eq(k, S("a")) && slice_eq(v, S("1")));
	assert_true(ledger_unpack(&c, &k, &v) && !ledger_unpack(&c, &k, &v) && !c.bad);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(takes_and_tells), cmocka_unit_test(forgets),
		cmocka_unit_test(fields) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
