/* SPDX-License-Identifier: MIT
 * Walls: what a peer may do wrong, and that the receiver survives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/smtp_queue.h"
#include "ipc/warden_room.h"
#include "lib/clock/clock.h"

static void
pair(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

static size_t
open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
on_accept(void *ctx, struct ipc_call *call, struct smtp_queue_accept *m)
{
	struct smtp_queue_accept_answer a = { .status = SMTP_QUEUE_ACCEPT_STATUS_OK };
	size_t *seen = ctx;

	assert_true(m->fd >= 0);
	if (m->n_rcpts != 2 || !slice_eq(m->rcpts[1].address, S("b@example.test")))
		a.status = SMTP_QUEUE_ACCEPT_STATUS_REFUSED;
	if (m->session % 7 != 0) /* some calls are answered later, out of order, by nobody */
		(*seen)++;
	assert_true(smtp_queue_accept_answer(call, &a));
}

static const struct smtp_queue_server queue_handlers = { .accept = on_accept };

static void *
serve_until_closed(void *arg)
{
	struct ipc_channel *ch = arg;
	static size_t seen;

	while (smtp_queue_server_serve(ch, &queue_handlers, &seen) == IPC_OK)
		;
	ipc_channel_free(&ch);
	return NULL;
}

struct asker {
	struct ipc_client *client;
	int fd;
	size_t ok;
};

static void *
ask_many(void *arg)
{
	struct asker *me = arg;
	struct smtp_queue_rcpt rcpts[2] = { { .address = S("a@example.test") },
		{ .address = S("b@example.test") } };
	struct smtp_queue_accept m = { .queue_id = S("q.1"), .rcpts = rcpts, .n_rcpts = 2, .fd = me->fd };

	for (size_t i = 0; i < 500; i++) {
		own(arena_p) a = arena_new("ask", 10000);
		struct smtp_queue_accept_answer out;

		m.session = i;
		if (smtp_queue_accept(me->client, &m, clock_mono_ms() + 10000, a, &out) == IPC_OK &&
		    out.status == SMTP_QUEUE_ACCEPT_STATUS_OK)
			me->ok++;
	}
	return NULL;
}

static void
many_threads_ask_one_server(void **state)
{
	enum { N = 8 };
	struct ipc_client *client = ipc_client_new("queue");
	struct asker askers[N];
	pthread_t server, threads[N];
	size_t before = open_fds();
	int ends[2], memfd = memfd_create("x", MFD_CLOEXEC);

	pair(ends);
	ipc_client_connect(client, ends[0]);
	(void)pthread_create(&server, NULL, serve_until_closed, ipc_channel_new(ends[1], "smtp", ""));
	for (size_t i = 0; i < N; i++) {
		askers[i] = (struct asker){ .client = client, .fd = memfd };
		(void)pthread_create(&threads[i], NULL, ask_many, &askers[i]);
	}
	for (size_t i = 0; i < N; i++) {
		(void)pthread_join(threads[i], NULL);
		assert_int_equal(askers[i].ok, 500);
	}
	ipc_client_free(&client);
	(void)pthread_join(server, NULL);
	(void)close(memfd);
	assert_int_equal(open_fds(), before);
}

/* ---- askers in a hurry, a peer that comes and goes ---------------------------------------------- */

/* The answer says which question it belongs to; some come late, some never. */
static void
on_accept_odd(void *ctx, struct ipc_call *call, struct smtp_queue_accept *m)
{
	struct smtp_queue_accept_answer a = { .status = (enum smtp_queue_accept_status)(m->session % 4) };

	(void)ctx;
	if (m->session % 13 == 0)
		(void)usleep(500);
	if (m->session % 4 == 0 && m->session % 17 == 0)
		(void)ipc_refuse(call);
	else
		(void)smtp_queue_accept_answer(call, &a);
}

static const struct smtp_queue_server odd_handlers = { .accept = on_accept_odd };

static void *
serve_oddly(void *arg)
{
	struct ipc_channel *ch = arg;

	while (smtp_queue_server_serve(ch, &odd_handlers, NULL) == IPC_OK)
		;
	ipc_channel_free(&ch);
	return NULL;
}

static void *
ask_in_a_hurry(void *arg)
{
	struct asker *me = arg;
	struct smtp_queue_accept m = { .queue_id = S("q.1"), .fd = me->fd };

	for (size_t i = 0; i < 500; i++) {
		own(arena_p) a = arena_new("ask", 10000);
		struct smtp_queue_accept_answer out;

		m.session = i;
		if (smtp_queue_accept(me->client, &m, clock_mono_ms() + (i % 4 == 0 ? i % 5 : 5000), a, &out) != IPC_OK)
			continue;
		assert_int_equal(out.status, i % 4); /* never somebody else's answer */
		me->ok++;
	}
	return NULL;
}

static void
deadlines_and_new_peers_lose_no_thread(void **state)
{
	enum { N = 16, PEERS = 30 };
	struct ipc_client *client = ipc_client_new("queue");
	struct asker askers[N];
	pthread_t servers[PEERS], threads[N];
	size_t ok = 0;
	int ends[2], memfd = memfd_create("x", MFD_CLOEXEC);

	for (size_t i = 0; i < N; i++) {
		askers[i] = (struct asker){ .client = client, .fd = memfd };
		(void)pthread_create(&threads[i], NULL, ask_in_a_hurry, &askers[i]);
	}
	for (size_t i = 0; i < PEERS; i++) {
		pair(ends);
		ipc_client_connect(client, ends[0]);
		(void)pthread_create(&servers[i], NULL, serve_oddly, ipc_channel_new(ends[1], "smtp", ""));
		(void)usleep(5000);
	}
	for (size_t i = 0; i < N; i++) {
		(void)pthread_join(threads[i], NULL);
		ok += askers[i].ok;
	}
	assert_true(ok > N * 100); /* and it did answer */
	ipc_client_free(&client);  /* asserts that no call is left */
	for (size_t i = 0; i < PEERS; i++)
		(void)pthread_join(servers[i], NULL);
	(void)close(memfd);
}

static void
no_peer_or_no_answer_is_unavailable(void **state)
{
	struct ipc_client *client = ipc_client_new("queue");
	own(arena_p) a = arena_new("ask", 10000);
	struct smtp_queue_accept m = { .queue_id = S("q"), .fd = 0 };
	struct smtp_queue_accept_answer out;
	int ends[2];

	assert_int_equal(smtp_queue_accept(client, &m, clock_mono_ms() + 20, a, &out), IPC_UNAVAILABLE);
	pair(ends);
	ipc_client_connect(client, ends[0]);
	assert_int_equal(smtp_queue_accept(client, &m, clock_mono_ms() + 20, a, &out), IPC_UNAVAILABLE);
	(void)close(ends[1]); /* the peer dies */
	assert_int_equal(smtp_queue_accept(client, &m, clock_mono_ms() + 500, a, &out), IPC_UNAVAILABLE);
	ipc_client_free(&client);
}

/* Sends raw bytes with nfds descriptors to a server in this phase; gives what it says. */
static enum ipc_status
offer(const void *p, size_t n, unsigned nfds, unsigned phase)
{
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int ends[2], zeros[3] = { 0, 0, 0 };
	struct ipc_channel *ch;
	enum ipc_status st;
	size_t seen = 0;

	pair(ends);
	ch = ipc_channel_new(ends[1], "smtp", "mx");
	ipc_set_phase(ch, phase);
	if (nfds > 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.h), zeros, nfds * sizeof(int));
	}
	assert_int_equal(sendmsg(ends[0], &m, 0), n);
	st = smtp_queue_server_serve(ch, &queue_handlers, &seen);
	if (st == IPC_HOSTILE)
		assert_true(ipc_why(ch)[0] != '\0');
	ipc_channel_free(&ch);
	(void)close(ends[0]);
	return st;
}

static void
a_hostile_frame_closes_only_its_channel(void **state)
{
	struct smtp_queue_rcpt rcpts[2] = { { .address = S("a@example.test") },
		{ .address = S("b@example.test") } };
	struct smtp_queue_accept m = { .queue_id = S("q.1"), .rcpts = rcpts, .n_rcpts = 2, .fd = 0 };
	size_t before = open_fds();
	struct ipc_channel *ch;
	uint8_t frame[1024], bent[1024];
	ssize_t n;
	int ends[2];

	pair(ends);
	ch = ipc_channel_new(ends[0], "queue", "");
	assert_int_equal(smtp_queue_accept_ask(ch, 9, &m), IPC_OK);
	n = recv(ends[1], frame, sizeof frame, 0);
	assert_true(n > 40);
	ipc_channel_free(&ch);
	(void)close(ends[1]);

	assert_int_equal(offer(frame, (size_t)n, 1, 0), IPC_OK);
	assert_int_equal(offer(frame, (size_t)n, 0, 0), IPC_HOSTILE);
	assert_int_equal(offer(frame, (size_t)n, 2, 0), IPC_HOSTILE);
	assert_int_equal(offer(frame, (size_t)n, 3, 0), IPC_HOSTILE);
	for (size_t cut = 1; cut < (size_t)n; cut++)
		assert_int_equal(offer(frame, cut, 1, 0), IPC_HOSTILE);
	memcpy(bent, frame, (size_t)n);
	bent[n] = 0; /* trailing byte */
	assert_int_equal(offer(bent, (size_t)n + 1, 1, 0), IPC_HOSTILE);
	bent[8] ^= 1; /* another schema */
	assert_int_equal(offer(bent, (size_t)n, 1, 0), IPC_HOSTILE);
	memcpy(bent, frame, (size_t)n);
	bent[0] = 77; /* unknown message */
	assert_int_equal(offer(bent, (size_t)n, 1, 0), IPC_HOSTILE);
	assert_int_equal(open_fds(), before);
}

static void
a_message_of_another_phase_is_unpermitted(void **state)
{
	static const struct warden_room_server handlers = { .stop = NULL };
	struct warden_room_setting m = { .key = S("k"), .value = S("v") };
	struct ipc_channel *to, *at;
	int ends[2];

	pair(ends);
	to = ipc_channel_new(ends[0], "room", "");
	at = ipc_channel_new(ends[1], "warden", "");
	ipc_set_phase(at, WARDEN_ROOM_PHASE_SERVE);
	assert_int_equal(warden_room_setting_send(to, &m), IPC_OK);
	assert_int_equal(warden_room_server_serve(at, &handlers, NULL), IPC_HOSTILE);
	assert_string_equal(ipc_why(at), "warden_room.setting unpermitted");
	ipc_channel_free(&to);
	ipc_channel_free(&at);
}

static void
what_does_not_fit_is_not_sent(void **state)
{
	static uint8_t big[70000];
	struct warden_room_setting m = { .key = slice_of(big, 65), .value = S("v") };
	struct ipc_channel *to;
	int ends[2];

	pair(ends);
	to = ipc_channel_new(ends[0], "room", "");
	assert_int_equal(warden_room_setting_send(to, &m), IPC_TOO_BIG);
	ipc_channel_free(&to);
	(void)close(ends[1]);
}

/* What is still unanswered when the peer dies: every further word about it is harmless. */
static void
kept_until_later(void *ctx, struct ipc_call *call, struct smtp_queue_accept *m)
{
	(void)m;
	*(struct ipc_call *)ctx = *call;
}

static void
an_asker_that_is_gone_hurts_nobody(void **state)
{
	static const struct smtp_queue_server keep = { .accept = kept_until_later };
	struct smtp_queue_accept m = { .queue_id = S("q.1") };
	struct smtp_queue_accept_answer out = { .status = SMTP_QUEUE_ACCEPT_STATUS_OK };
	struct ipc_channel *asker, *ch;
	struct ipc_call call;
	int ends[2];

	m.fd = memfd_create("x", MFD_CLOEXEC);
	pair(ends);
	asker = ipc_channel_new(ends[0], "queue", "");
	ch = ipc_channel_new(ends[1], "smtp", "");
	assert_int_equal(smtp_queue_accept_ask(asker, 1, &m), IPC_OK);
	assert_int_equal(smtp_queue_server_serve(ch, &keep, &call), IPC_OK);
	ipc_channel_free(&asker);
	assert_false(smtp_queue_accept_answer(&call, &out));
	assert_false(smtp_queue_accept_answer(&call, &out)); /* a smaller one, after what looked too big */
	assert_true(ipc_refuse(&call));
	ipc_channel_free(&ch);
	(void)close(m.fd);
}

static void
only_a_sealed_memfd_is_taken(void **state)
{
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING), file = open("/etc/passwd", O_RDONLY);
	uint64_t size;

	assert_int_equal(write(fd, "hello", 5), 5);
	assert_false(ipc_sealed_memfd(fd, 100, &size));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_true(ipc_sealed_memfd(fd, 100, &size));
	assert_int_equal(size, 5);
	assert_false(ipc_sealed_memfd(fd, 4, &size));
	assert_false(ipc_sealed_memfd(file, 1 << 20, &size));
	(void)close(fd);
	(void)close(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_threads_ask_one_server),
		cmocka_unit_test(deadlines_and_new_peers_lose_no_thread),
		cmocka_unit_test(no_peer_or_no_answer_is_unavailable),
		cmocka_unit_test(a_hostile_frame_closes_only_its_channel),
		cmocka_unit_test(a_message_of_another_phase_is_unpermitted),
		cmocka_unit_test(what_does_not_fit_is_not_sent),
		cmocka_unit_test(an_asker_that_is_gone_hurts_nobody),
		cmocka_unit_test(only_a_sealed_memfd_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
