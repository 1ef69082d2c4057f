/* SPDX-License-Identifier: MIT
 * Many messages: 100,000 in the spool and a start of the room, and 10,000 to 100 domains of which ten
 * are dead. CPU times are measured and held far above what they are. */
#include "lib/clock/testing.h"
#include "rooms/queue/test_queue.h"

#include <time.h>

#include "lib/base/own.h"

#define MANY 100000u
/* An address sanitizer keeps what was freed, which says nothing of the room. */
#if defined(__SANITIZE_ADDRESS__)
#define MOST_KIB 1000000
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MOST_KIB 1000000
#endif
#endif
#ifndef MOST_KIB
#define MOST_KIB 60000
#endif

static size_t delivered, relays, most_tasks;

/* Dead ones answer late: what a refused connection on every address costs. */
static void
on_relay(void *ctx, struct ipc_call *call, struct queue_send_relay *m)
{
	static struct queue_send_result results[QUEUE_JOB];
	bool dead = slice_starts(m->destination, S("dead"));
	struct queue_send_relay_answer out = { .results = results, .n_results = m->n_rcpts,
		.destination = dead ? QUEUE_SEND_DESTINATION_UNREACHABLE : QUEUE_SEND_DESTINATION_REACHED };

	(void)ctx;
	relays++;
	for (size_t i = 0; i < m->n_rcpts; i++)
		results[i] = (struct queue_send_result){ .delivery = m->rcpts[i].delivery, .code = dead ? 0 : 250,
			.outcome = dead ? QUEUE_SEND_OUTCOME_DEFERRED : QUEUE_SEND_OUTCOME_DELIVERED,
			.text = dead ? S("connection refused") : S("ok") };
	delivered += dead ? 0 : m->n_rcpts;
	(void)queue_send_relay_answer(call, &out);
}

static void
connect_send(void)
{
	int fd;

	sender = ipc_channel_new(pair(&fd), "queue", "");
	ipc_set_nonblocking(sender, true);
	remote_send(q, fd);
}

static void
turn(int ms)
{
	static const struct queue_send_server server = { .relay = on_relay };

	loop_once(q->loop, ms);
	while (queue_send_server_serve(sender, &server, NULL) == IPC_OK)
		;
	if (q->n_tasks > most_tasks)
		most_tasks = q->n_tasks;
}

/* n messages straight into the spool; the i-th goes to the domain that name(i) gives. */
static void
fill(unsigned n, void (*name)(unsigned i, char to[static 64]))
{
	static char content[1024];

	memset(content, 'x', sizeof content);
	for (unsigned i = 0; i < n;) {
		assert_int_equal(spool_begin(q->spool), STORE_OK);
		for (unsigned k = 0; k < 5000 && i < n; k++, i++) {
			char to[64];
			struct spool_rcpt rcpt;
			struct spool_message m = { .queue_id = S("abc.1"), .session = S("s"), .sender = S("a@example.org"),
				.received = (uint64_t)clock_wall_us(), .queued = queue_now(q), .size = sizeof content,
				.fd = -1, .content = slice_of(content, sizeof content), .rcpt = &rcpt, .rcpts = 1 };
			uint64_t id;

			name(i, to);
			rcpt = (struct spool_rcpt){ .address = slice_z(to) };
			assert_int_equal(spool_accept(q->spool, &m, &id), STORE_OK);
		}
		assert_int_equal(spool_commit(q->spool), STORE_OK);
	}
}

static void
all_to_one(unsigned i, char to[static 64])
{
	(void)snprintf(to, 64, "u%u@dead.example", i);
}

static void
ten_dead_of_hundred(unsigned i, char to[static 64])
{
	(void)snprintf(to, 64, "u%u@%s%u.example", i, i % 100 < 10 ? "dead" : "live", i % 100);
}

static long
resident_kib(void)
{
	char text[200] = "";
	FILE *f = fopen("/proc/self/statm", "r");
	uint64_t pages = 0;
	struct slice head, rest;

	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	(void)fclose(f);
	assert_true(slice_cut(slice_z(text), ' ', &head, &rest) && slice_cut(rest, ' ', &head, &rest) &&
	    slice_u64(head, &pages));
	return (long)(pages * 4);
}

static void
restart_with_many(void **state)
{
	uint64_t began, took;
	long before;

	fill(MANY, all_to_one);
	stop();
	before = resident_kib();
	began = cpu_ms();
	start();
	offer(1, 0, 2, true); /* it takes mail at once */
	assert_int_equal(hear(1).ok, 1);
	took = cpu_ms() - began;
	print_message("start with %u messages until the first accept: %llu ms of CPU time\n", MANY, (unsigned long long)took);
	assert_true(took < 1000);
	assert_int_equal(spool_open_deliveries(q->spool), MANY + 1);
	connect_send();
	most_tasks = 0;
	for (int i = 0; i < 20000 && (q->scanning || q->n_tasks > 1); i++)
		turn(1);
	took = cpu_ms() - began;
	print_message("all of them looked at, tried and put off after %llu ms of CPU time with %zu relays, %zu tasks at most, %ld KiB more\n",
	    (unsigned long long)took, relays, most_tasks, resident_kib() - before);
	assert_int_equal(q->n_tasks, 1); /* the local one, for whose mailbox nobody answers here */
	assert_true(relays < 10 && most_tasks <= QUEUE_TASKS && resident_kib() - before < MOST_KIB);
}

static void
ten_thousand_to_hundred(void **state)
{
	uint64_t began, live = 0;

	fill(10000, ten_dead_of_hundred);
	stop();
	start();
	connect_send();
	delivered = relays = most_tasks = 0;
	began = cpu_ms();
	for (int i = 0; i < 20000 && q->n_tasks + q->scanning > 0; i++) {
		turn(1);
		if (delivered == 9000 && live == 0)
			live = cpu_ms() - began;
	}
	print_message("9,000 to 90 live domains out after %llu ms of CPU time beside ten dead ones; %zu relays\n",
	    (unsigned long long)live, relays);
	for (int i = 0; i < 100 && spool_open_deliveries(q->spool) != 1000; i++)
		turn(5);
	assert_int_equal(delivered, 9000);
	assert_int_equal(spool_open_deliveries(q->spool), 1000);
	assert_true(live < 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_queue, close_queue)
		T(restart_with_many), T(ten_thousand_to_hundred),
	};

	testvfs_register();
	testvfs_idle_disk(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
