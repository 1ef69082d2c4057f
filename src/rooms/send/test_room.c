/* SPDX-License-Identifier: MIT
 * The room with queue played over its real channel, a zone for the DNS, and a mail server in a thread on 127.0.0.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/resolve/zone.h"
#include "lib/store/relaycap.h"
#include "rooms/send/send.h"

static struct send_house house;
static struct send_conf conf;
static struct loop *loop;
static struct ipc_channel *queue;
static struct arena *arena;
static struct zone zone;

static atomic_int connections, taken;
static int listener;

/* A server that takes everything but from <no@y.test>, and answers the content of <hang@y.test> never. */
static void *
serve(void *arg)
{
	int fd = *(int *)arg;
	struct stream s;
	struct slice line;
	bool data = false, no = false, hang = false;

	free(arg);
	stream_init_fd(&s, fd);
	(void)stream_write(&s, S("220 mx.x.test\r\n"), 0);
	while (stream_line(&s, 2000, (int64_t)clock_mono_ms() + 120000, &line) == STREAM_OK) {
		struct slice reply = S("250 ok\r\n");

		if (data) {
			if (!slice_eq(line, S(".")))
				continue;
			data = false;
			if (hang)
				break;
			taken++;
		} else if (slice_starts(line, S("EHLO"))) {
			reply = S("250-mx.x.test\r\n250 PIPELINING\r\n");
		} else if (slice_starts(line, S("MAIL"))) {
			no = slice_find(line, S("<no@")) != SLICE_NONE;
			hang = slice_find(line, S("<hang@")) != SLICE_NONE;
		} else if (slice_starts(line, S("RCPT")) && no) {
			reply = S("550 5.1.1 nobody\r\n");
		} else if (slice_eq(line, S("DATA"))) {
			reply = no ? S("503 no\r\n") : S("354 go\r\n");
			data = !no;
		}
		(void)stream_write(&s, reply, 0);
	}
	stream_close(&s);
	return NULL;
}

static void *
accept_all(void *arg)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL), *boxed;
		pthread_t t;

		if (fd < 0)
			return arg;
		connections++;
		boxed = malloc(sizeof fd);
		*boxed = fd;
		if (pthread_create(&t, NULL, serve, boxed) == 0)
			(void)pthread_detach(t);
	}
}

static struct resolver
from_zone(struct send_house *h, struct resolve_asker *asker)
{
	return resolver_of(zone_query, &zone);
}

static int
memfd(void)
{
	static const char text[] = "Subject: x\r\n\r\nhello\r\n";
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL), 0);
	return fd;
}

static void
ask(uint32_t id, const char *sender, const char *destination)
{
	char address[100];
	struct queue_send_rcpt rcpt = { .delivery = id };
	struct queue_send_relay m = { .queue_id = S("q.1"), .sender = slice_z(sender), .rcpts = &rcpt, .n_rcpts = 1,
		.destination = slice_z(destination), .fd = memfd() };

	(void)snprintf(address, sizeof address, "someone@%s", destination);
	rcpt.address = slice_z(address);
	assert_int_equal(queue_send_relay_ask(queue, id, &m), IPC_OK);
	(void)close(m.fd);
}

struct seen {
	unsigned answers;
	uint32_t id;
	enum queue_send_outcome outcome;
	enum queue_send_destination destination;
	uint32_t code;
	char enhanced[20], text[410];
	size_t n_results;
};

static void
on_relay(void *ctx, uint32_t id, struct queue_send_relay_answer *m)
{
	struct seen *s = ctx;

	s->answers++;
	s->id = id;
	s->destination = m->destination;
	s->n_results = m->n_results;
	if (m->n_results == 0)
		return;
	assert_int_equal(m->results[0].delivery, id);
	s->outcome = m->results[0].outcome;
	s->code = m->results[0].code;
	(void)snprintf(s->enhanced, sizeof s->enhanced, "%.*s", SFMT(m->results[0].enhanced));
	(void)snprintf(s->text, sizeof s->text, "%.*s", SFMT(m->results[0].text));
}

static const struct queue_send_answers answers = { .relay = on_relay };

static struct seen
wait_for(unsigned n)
{
	struct seen s = { 0 };
	uint64_t until = clock_mono_ms() + 120000;

	while (s.answers < n && clock_mono_ms() < until) {
		loop_once(loop, 10);
		while (queue_send_answers_serve(queue, &answers, &s) == IPC_OK)
			;
	}
	assert_int_equal(s.answers, n);
	return s;
}

static void
introduce_queue(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	ipc_channel_free(&queue);
	queue = ipc_channel_new(ends[0], "send", "");
	ipc_set_nonblocking(queue, true);
	send_introduce(&house, "queue", "", ends[1]);
}

static int
setup(void **state)
{
	static const struct slice text = S_INIT("x.test MX 10 mx.x.test\nmx.x.test A 127.0.0.1\n"
						"y.test MX 10 mx.x.test\n"
						"dead.test A 127.0.0.2\nnull.test MX 0 .\nslow.test TIMEOUT\n"
						"inner.test A 10.1.2.3\n"
						"xn--bcher-kva.test A 127.0.0.1\n");
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;
	pthread_t t;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 128) != 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &n) != 0 || pthread_create(&t, NULL, accept_all, NULL) != 0)
		return -1;
	arena = arena_new("zone", 65536);
	conf = (struct send_conf){ .hostname = S("us.example"), .helo = S("us.example"), .port = ntohs(at.sin_port),
		.v4 = true, .v6 = true, .chunking = true, .n_sources = 1,
		.times = { .connect = 60000, .greeting = 60000, .command = 60000, .block = 60000, .end = 60000, .total = 120000,
		    .idle = 60000 } }; /* nothing here waits for them: a busy machine may take its time */
	if (!tls_init() || !zone_parse(text, arena, &zone) || !reach_net_parse(S("127.0.0.0/8"), &conf.reach.allowed[0]))
		return -1;
	conf.reach.n_allowed = 1;
	loop = loop_new();
	send_room_init(&house, NULL, loop, &conf, NULL, NULL);
	house.resolver = from_zone;
	introduce_queue();
	return 0;
}

static void
one_connection_for_many(void **state)
{
	struct seen s;
	int before = connections;

	for (uint32_t i = 1; i <= 5; i++) {
		ask(i, "me@y.test", "x.test");
		s = wait_for(1);
		assert_int_equal(s.id, i);
		assert_int_equal(s.outcome, QUEUE_SEND_OUTCOME_DELIVERED);
		assert_int_equal(s.destination, QUEUE_SEND_DESTINATION_REACHED);
	}
	ask(6, "me@y.test", "y.test"); /* another domain at the same host */
	s = wait_for(1);
	assert_int_equal(s.outcome, QUEUE_SEND_OUTCOME_DELIVERED);
	assert_int_equal(connections - before, 1);
	ask(7, "no@y.test", "x.test");
	s = wait_for(1);
	assert_int_equal(s.outcome, QUEUE_SEND_OUTCOME_FAILED);
	assert_int_equal(s.code, 550);
	assert_string_equal(s.enhanced, "5.1.1");
	assert_string_equal(s.text, "nobody");
	/* U-labels are A-labels before anything is looked up, and to a server without SMTPUTF8 */
	ask(8, "me@b\xc3\xbc" "cher.test", "b\xc3\xbc" "cher.test");
	s = wait_for(1);
	assert_int_equal(s.outcome, QUEUE_SEND_OUTCOME_DELIVERED);
	lines_expire(&house, true);
}

static void
no_way(void **state)
{
	static const struct {
		const char *destination;
		enum queue_send_outcome outcome;
		enum queue_send_destination reached;
		const char *enhanced;
	} rows[] = {
		{ "dead.test", QUEUE_SEND_OUTCOME_DEFERRED, QUEUE_SEND_DESTINATION_UNREACHABLE, "4.4.1" },
		{ "null.test", QUEUE_SEND_OUTCOME_FAILED, QUEUE_SEND_DESTINATION_REACHED, "5.1.10" },
		{ "slow.test", QUEUE_SEND_OUTCOME_DEFERRED, QUEUE_SEND_DESTINATION_UNREACHABLE, "4.4.3" },
		{ "inner.test", QUEUE_SEND_OUTCOME_FAILED, QUEUE_SEND_DESTINATION_REACHED, "5.4.4" },
		{ "-\xc3\xbc.test", QUEUE_SEND_OUTCOME_FAILED, QUEUE_SEND_DESTINATION_UNREACHABLE, "5.1.2" },
		{ "[10.0.0.1]", QUEUE_SEND_OUTCOME_FAILED, QUEUE_SEND_DESTINATION_REACHED, "5.4.4" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct seen s;

		ask(10, "me@y.test", rows[i].destination);
		s = wait_for(1);
		assert_int_equal(s.outcome, rows[i].outcome);
		assert_int_equal(s.destination, rows[i].reached);
		assert_string_equal(s.enhanced, rows[i].enhanced);
	}
}

/* O-003: no reply after the dot. It is deferred at once and not tried a second time in the same job. */
static void
silence_after_the_dot(void **state)
{
	int before = connections;
	struct seen s;

	ask(20, "hang@y.test", "x.test");
	s = wait_for(1);
	assert_int_equal(s.outcome, QUEUE_SEND_OUTCOME_DEFERRED);
	assert_string_equal(s.enhanced, "4.4.2");
	assert_int_equal(connections - before, 1);
}

static void
many_at_once(void **state)
{
	int before = taken;
	struct seen s;

	for (uint32_t i = 1; i <= 50; i++)
		ask(i, "me@y.test", "x.test");
	s = wait_for(50);
	assert_int_equal(s.outcome, QUEUE_SEND_OUTCOME_DELIVERED);
	assert_int_equal(taken - before, 50);
}

/* Jobs of a queue that is gone are done to their end; nobody is answered, nobody falls. */
static void
queue_starts_again(void **state)
{
	int before = taken;
	uint64_t until = clock_mono_ms() + 120000;

	for (uint32_t i = 1; i <= 10; i++)
		ask(i, "me@y.test", "x.test");
	while (house.n_jobs < 10 && clock_mono_ms() < until && taken - before < 10)
		loop_once(loop, 1);
	introduce_queue();
	ask(99, "me@y.test", "x.test");
	assert_int_equal(wait_for(1).id, 99);
	while (house.n_jobs > 0 && clock_mono_ms() < until)
		loop_once(loop, 10);
	assert_int_equal(house.n_jobs, 0);
}

/* Ten an hour; nothing is to be had by setting the clock back, but after a day. */
static void
caps(void **state)
{
	static const int64_t hour = INT64_C(3600000000), now = INT64_C(500000) * 3600000000 + 5;
	struct send_relay r = { .name = S("up"), .per_hour = 10 }, free_of_any = { .name = S("x") };
	struct relaycap *file = NULL;
	uint64_t at;
	uint32_t used;

	assert_true(unlink("send-caps.db") == 0 || errno == ENOENT);
	assert_int_equal(relaycap_open("send-caps.db", &file), STORE_OK);
	house.caps = file;
	for (int i = 0; i < 10; i++)
		assert_true(cap_take(&house, &r, now + i));
	assert_false(cap_take(&house, &r, now));
	assert_false(cap_take(&house, &r, now - hour));
	assert_false(cap_take(&house, &r, now - 24 * hour));
	assert_int_equal(relaycap_get(file, S("up"), &at, &used), STORE_OK);
	assert_true(at == 500000 && used == 10);
	conf.relays[0] = (struct send_relay){ .name = S("up"), .per_hour = 10 }; /* a room that starts again */
	conf.n_relays = 1;
	cap_load(&house, file);
	assert_false(cap_take(&house, &conf.relays[0], now + hour / 2));
	assert_true(cap_take(&house, &conf.relays[0], now + hour));
	assert_true(cap_take(&house, &r, now - 26 * hour));
	for (int i = 0; i < 20; i++)
		assert_true(cap_take(&house, &free_of_any, now));
	conf.n_relays = 0;
	house.caps = NULL;
	relaycap_close(&file);
	(void)unlink("send-caps.db");
}

static void
stops_in_order(void **state)
{
	send_stop(&house);
	ask(1, "me@y.test", "x.test");
	assert_int_equal(wait_for(1).n_results, 0);
	assert_null(house.idle);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_connection_for_many),
		cmocka_unit_test(no_way),
		cmocka_unit_test(silence_after_the_dot),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(queue_starts_again),
		cmocka_unit_test(caps),
		cmocka_unit_test(stops_in_order),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
