/* SPDX-License-Identifier: MIT
 * The lobby as a room: door and auth are played by the test over real channels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>

#include "ipc/door_lobby.h"
#include "ipc/lobby_auth.h"
#include "rooms/lobby/room.h"

static void
pair(int ends[2], int type)
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
}

static void *
serve(void *loop)
{
	loop_run(loop);
	return NULL;
}

/* What door hears. */
struct heard {
	unsigned starttls, closed, handoff;
	uint64_t session;
	char tag[8], left[64];
	int fd;
};

static void
on_starttls(void *ctx, struct door_lobby_starttls *m)
{
	struct heard *h = ctx;

	h->starttls++;
	h->session = m->session;
	h->fd = fd_take(&m->fd);
}

static void
on_closed(void *ctx, struct door_lobby_closed *m)
{
	((struct heard *)ctx)->closed++;
	((struct heard *)ctx)->session = m->session;
}

static void
on_handoff(void *ctx, struct door_lobby_handoff *m)
{
	struct heard *h = ctx;

	h->handoff++;
	h->session = m->session;
	h->fd = fd_take(&m->fd);
	(void)snprintf(h->tag, sizeof h->tag, "%.*s", SFMT(m->tag));
	(void)snprintf(h->left, sizeof h->left, "%.*s", SFMT(m->leftover));
}

static const struct door_lobby_client door_side = { .starttls = on_starttls, .closed = on_closed,
	.handoff = on_handoff };

static void
on_login(void *ctx, struct ipc_call *call, struct lobby_auth_login *m)
{
	struct lobby_auth_login_answer out = { .status = slice_eq(m->password, S("s3cret")) ?
		    LOBBY_AUTH_LOGIN_STATUS_YES : LOBBY_AUTH_LOGIN_STATUS_NO, .account = 5 };

	(void)lobby_auth_login_answer(call, &out);
}

static void *
play_auth(void *ch)
{
	static const struct lobby_auth_server side = { .login = on_login };

	while (lobby_auth_server_serve(ch, &side, NULL) == IPC_OK)
		;
	return NULL;
}

struct house {
	struct lobby_room room;
	struct loop *loop;
	struct ipc_channel *door, *auth;
	pthread_t serving, authing;
};

static struct house house;

static int
build(void **state)
{
	int d[2], a[2];

	pair(d, SOCK_SEQPACKET);
	pair(a, SOCK_SEQPACKET);
	house.loop = loop_new();
	lobby_room_init(&house.room, NULL, house.loop);
	lobby_introduce(&house.room, "door", "0", d[0]);
	lobby_introduce(&house.room, "auth", "", a[0]);
	house.door = ipc_channel_new(d[1], "lobby", "");
	house.auth = ipc_channel_new(a[1], "lobby", "");
	assert_int_equal(pthread_create(&house.authing, NULL, play_auth, house.auth), 0);
	assert_int_equal(pthread_create(&house.serving, NULL, serve, house.loop), 0);
	return 0;
}

static int
converse(uint64_t session, enum door_lobby_tls tls, const char *listener)
{
	int ends[2];
	struct door_lobby_converse m = { .session = session, .peer_ip = S("\x7f\0\0\1"),
		.local_ip = S("\x7f\0\0\1"), .tls = tls, .listener = slice_z(listener) };

	pair(ends, SOCK_STREAM);
	m.fd = ends[0];
	assert_int_equal(door_lobby_converse_send(house.door, &m), IPC_OK);
	(void)close(ends[0]);
	return ends[1];
}

/* Reads until the client has seen this text. */
static void
expect(int fd, const char *text)
{
	char got[2048];
	size_t n = 0;

	while (slice_find(slice_of(got, n), slice_z(text)) == SLICE_NONE) {
		ssize_t r = recv(fd, &got[n], sizeof got - n, 0);

		if (r <= 0)
			fail_msg("end instead of %s: %.*s", text, (int)n, got);
		n += (size_t)r;
	}
}

static void
say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void
login_and_handoff(void **state)
{
	struct heard h = { .fd = -1 };
	int fd = converse(41, DOOR_LOBBY_TLS_TLS13, "imaps");

	expect(fd, "Ready.\r\n");
	say(fd, "a LOGIN alice wrong\r\n");
	expect(fd, "a NO ");
	say(fd, "b LOGIN alice s3cret\r\nc SELECT INBOX\r\n");
	assert_int_equal(door_lobby_client_serve(house.door, &door_side, &h), IPC_OK);
	assert_true(h.handoff == 1 && h.session == 41);
	assert_string_equal(h.tag, "b");
	assert_string_equal(h.left, "c SELECT INBOX\r\n");
	assert_true(h.fd >= 0);
	(void)close(h.fd);
	(void)close(fd);
}

static void
starttls_and_back(void **state)
{
	struct heard h = { .fd = -1 };
	int fd = converse(42, DOOR_LOBBY_TLS_NONE, "imap");

	expect(fd, "STARTTLS");
	say(fd, "a STARTTLS\r\n");
	expect(fd, "a OK");
	assert_int_equal(door_lobby_client_serve(house.door, &door_side, &h), IPC_OK);
	assert_true(h.starttls == 1 && h.session == 42 && h.fd >= 0);
	(void)close(h.fd);
	(void)close(fd);
	fd = converse(42, DOOR_LOBBY_TLS_TLS13, "imap");
	say(fd, "b CAPABILITY\r\n");
	char first[2];
	assert_int_equal(recv(fd, first, 2, MSG_WAITALL), 2);
	assert_memory_equal(first, "* ", 2);
	expect(fd, "b OK");
	say(fd, "c LOGOUT\r\n");
	assert_int_equal(door_lobby_client_serve(house.door, &door_side, &h), IPC_OK);
	assert_int_equal(h.closed, 1);
	(void)close(fd);
}

/* door comes back with a conversation whose mailbox cannot be had. */
static void
unavailable(void **state)
{
	struct heard h = { .fd = -1 };
	struct door_lobby_unavailable m = { .session = 43, .tag = S("x7") };
	char got[8];
	int ends[2];

	pair(ends, SOCK_STREAM);
	m.fd = ends[0];
	assert_int_equal(door_lobby_unavailable_send(house.door, &m), IPC_OK);
	(void)close(ends[0]);
	expect(ends[1], "x7 NO [UNAVAILABLE] Your mail cannot be reached at the moment.\r\n* BYE Try again later.\r\n");
	assert_int_equal(door_lobby_client_serve(house.door, &door_side, &h), IPC_OK);
	assert_true(h.closed == 1 && h.session == 43);
	assert_int_equal(recv(ends[1], got, sizeof got, 0), 0);
	(void)close(ends[1]);
}

/* Three hundred silent clients, then door says that one is gone, then the room stops in order. */
static void
many_and_stop(void **state)
{
	enum { N = 300 };
	static int fds[N];
	struct heard h = { .fd = -1 };
	struct door_lobby_gone gone = { .session = 1005 };

	for (unsigned i = 0; i < N; i++)
		fds[i] = converse(1000 + i, DOOR_LOBBY_TLS_TLS13, "imaps");
	for (unsigned i = 0; i < N; i++)
		expect(fds[i], "Ready.\r\n");
	assert_int_equal(door_lobby_gone_send(house.door, &gone), IPC_OK);
	assert_int_equal(door_lobby_client_serve(house.door, &door_side, &h), IPC_OK);
	assert_true(h.closed == 1 && h.session == 1005);
	assert_true(pool_threads(house.room.pool) <= LOBBY_THREADS);
	loop_post(house.loop, lobby_stop, &house.room);
	for (unsigned i = 0; i < N - 1; i++)
		assert_int_equal(door_lobby_client_serve(house.door, &door_side, &h), IPC_OK);
	assert_int_equal(h.closed, N);
	assert_int_equal(pthread_join(house.serving, NULL), 0);
	for (unsigned i = 0; i < N; i++)
		(void)close(fds[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(login_and_handoff),
		cmocka_unit_test(starttls_and_back),
		cmocka_unit_test(unavailable),
		cmocka_unit_test(many_and_stop),
	};

	return cmocka_run_group_tests_name("lobby room", tests, build, NULL);
}
