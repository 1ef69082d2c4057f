/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/warden_room.h"
#include "lib/clock/clock.h"
#include "lib/proc/pool.h"
#include "lib/proc/proc.h"

/* ---- the pool: many conversations that echo, on few threads ---- */

struct echo {
	struct pool_conv conv;
	int peer;
};

static atomic_uint ended, deadlines, wakes;

static enum pool_next
echo_run(struct pool_conv *c, enum pool_why why)
{
	char line[64];
	ssize_t n = recv(c->fd, line, sizeof line, MSG_DONTWAIT);

	if (why == POOL_DEADLINE) {
		atomic_fetch_add(&deadlines, 1);
		return POOL_END;
	}
	if (why == POOL_WOKEN) {
		atomic_fetch_add(&wakes, 1);
		(void)send(c->fd, "news", 4, 0);
	}
	if (n == 0)
		return POOL_END;
	if (n > 0)
		(void)send(c->fd, line, (size_t)n, 0);
	return POOL_PARK;
}

static void
echo_end(struct pool_conv *c)
{
	(void)close(c->fd);
	atomic_fetch_add(&ended, 1);
}

static const struct pool_ops echo_ops = { .run = echo_run, .end = echo_end };

static void
conversations_park_and_come_back(void **state)
{
	enum { N = 300 };
	static struct echo convs[N];
	struct loop *l = loop_new();
	struct pool *p = pool_new(l, &echo_ops, 4, 65536);
	char back[64];

	for (size_t i = 0; i < N; i++) {
		int ends[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		convs[i] = (struct echo){ .conv = { .fd = ends[0] }, .peer = ends[1] };
		pool_add(p, &convs[i].conv);
	}
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < N; i++)
			assert_int_equal(send(convs[i].peer, "hello", 5, 0), 5);
		for (size_t i = 0; i < N; i++) {
			ssize_t n;

			while ((n = recv(convs[i].peer, back, sizeof back, MSG_DONTWAIT)) < 0)
				loop_once(l, 5);
			assert_int_equal(n, 5);
		}
	}
	assert_true(pool_threads(p) <= 4);
	assert_int_equal(pool_size(p), N);
	pool_wake(p, &convs[0].conv);
	while (recv(convs[0].peer, back, sizeof back, MSG_DONTWAIT) != 4)
		loop_once(l, 5);
	for (size_t i = 1; i < N; i++)
		(void)close(convs[i].peer);
	while (atomic_load(&ended) < N - 1)
		loop_once(l, 5);
	assert_int_equal(pool_size(p), 1);
	convs[0].conv.deadline_ms = clock_mono_ms() + 1;
	while (atomic_load(&deadlines) == 0)
		loop_once(l, 100);
	while (atomic_load(&ended) < N)
		loop_once(l, 5);
	(void)close(convs[0].peer);
	assert_int_equal(atomic_load(&wakes), 1);
	pool_free(&p);
	loop_free(&l);
	assert_null(p);
}

/* ---- a room from boot to alarm, in a child ---- */

static const struct sandbox_call no_calls[] = { { 0 } };

static void
introduced(void *ctx, const char *peer, const char *instance, int fd)
{
	(void)ctx;
	(void)instance;
	if (peer[0] == 'q')
		(void)send(fd, "hi", 2, 0);
	(void)close(fd);
}

static _Noreturn void
child_room(int warden)
{
	static const struct proc_peers peers = { .introduce = introduced };
	static const struct proc_walls walls = { .own = no_calls, .max_files = 64,
		.max_file_size = 1 << 20 };
	struct proc *p;
	struct loop *l;

	if (dup2(warden, 3) != 3)
		_exit(99);
	p = proc_boot("test");
	l = loop_new();
	if (proc_number(p, "answer", 1, 100) != 42)
		_exit(98);
	proc_lock(p, &walls);
	if (proc_setting(p, "then").n > 0) /* the forbidden act */
		(void)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	_exit(proc_serve(p, l, &peers, NULL));
}

struct heard {
	bool ready, alarm;
	char what[64];
};

static void
on_ready(void *ctx, struct warden_room_ready *m)
{
	struct heard *h = ctx;

	h->ready = true;
	if (geteuid() == 0)
		assert_true(m->root_dropped);
}

static void
on_alarm(void *ctx, struct warden_room_alarm *m)
{
	struct heard *h = ctx;

	h->alarm = true;
	(void)snprintf(h->what, sizeof h->what, "%.*s", SFMT(m->what));
}

static const struct warden_room_client warden_side = { .ready = on_ready, .alarm = on_alarm };

static void
setting(struct ipc_channel *ch, struct slice key, struct slice value)
{
	struct warden_room_setting m = { .key = key, .value = value };

	assert_int_equal(warden_room_setting_send(ch, &m), IPC_OK);
}

/* A sanitizer's own system calls are not on any room's list. */
#if defined(__SANITIZE_ADDRESS__)
#define WALLS_STAND 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WALLS_STAND 0
#endif
#endif
#ifndef WALLS_STAND
#define WALLS_STAND 1
#endif

static void
needs_walls(void)
{
	if (WALLS_STAND)
		return;
	print_message("SKIP: no walls in a sanitizer build\n");
	skip();
}

static struct ipc_channel *
start_room(struct slice then, pid_t *pid, int *queue)
{
	struct warden_room_descriptor dir = { .name = S("dir") };
	struct warden_room_introduce intro = { .peer = S("queue"), .instance = S("") };
	struct warden_room_go go = { 0 };
	struct ipc_channel *ch;
	char tmp[] = "/tmp/postern-test-XXXXXX";
	int ends[2], peer[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, peer), 0);
	*pid = fork();
	if (*pid == 0)
		child_room(ends[1]);
	(void)close(ends[1]);
	ch = ipc_channel_new(ends[0], "room", "");
	setting(ch, S("instance"), S(""));
	setting(ch, S("answer"), S("42"));
	setting(ch, S("then"), then);
	setting(ch, S("uid"), S("65000"));
	assert_non_null(mkdtemp(tmp));
	dir.fd = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(warden_room_descriptor_send(ch, &dir), IPC_OK);
	(void)close(dir.fd);
	(void)rmdir(tmp);
	intro.fd = peer[1];
	assert_int_equal(warden_room_introduce_send(ch, &intro), IPC_OK);
	(void)close(peer[1]);
	assert_int_equal(warden_room_go_send(ch, &go), IPC_OK);
	*queue = peer[0];
	return ch;
}

static void
a_room_boots_serves_and_stops(void **state)
{
	struct warden_room_stop stop = { 0 };
	struct heard h = { 0 };
	struct ipc_channel *ch;
	char hi[8];
	int queue, status;
	pid_t pid;

	needs_walls();
	ch = start_room(S(""), &pid, &queue);
	assert_int_equal(warden_room_client_serve(ch, &warden_side, &h), IPC_OK);
	assert_true(h.ready);
	assert_int_equal(recv(queue, hi, sizeof hi, 0), 2);
	assert_int_equal(warden_room_stop_send(ch, &stop), IPC_OK);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ipc_channel_free(&ch);
	(void)close(queue);
}

static void
a_forbidden_call_alarms_and_ends_the_room(void **state)
{
	struct heard h = { 0 };
	struct ipc_channel *ch;
	int queue, status;
	pid_t pid;

	needs_walls();
	ch = start_room(S("socket"), &pid, &queue);
	assert_int_equal(warden_room_client_serve(ch, &warden_side, &h), IPC_OK);
	assert_true(h.alarm);
	assert_string_equal(h.what, "socket");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 159);
	ipc_channel_free(&ch);
	(void)close(queue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(conversations_park_and_come_back),
		cmocka_unit_test(a_room_boots_serves_and_stops),
		cmocka_unit_test(a_forbidden_call_alarms_and_ends_the_room) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
