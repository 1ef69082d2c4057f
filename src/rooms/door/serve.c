/* SPDX-License-Identifier: MIT
 * Sessions whose TLS door does: edges in, conn_run(), and what follows. */
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "rooms/door/house.h"

static void
on_side(struct session *s, enum conn_side side, unsigned ready)
{
	struct house *h = s->listener->house;
	bool hup = (ready & LOOP_HUP) != 0;

	if (hup) {
		s->hung[side] = true;
		loop_unwatch(h->loop, &s->watch[side]);
		conn_hung(s->conn, side);
	}
	conn_edge(s->conn, side, (ready & LOOP_READ) != 0, (ready & LOOP_WRITE) != 0);
	session_run(h, s);
}

static void
on_client_side(void *arg, unsigned ready)
{
	on_side(arg, CONN_CLIENT, ready);
}

static void
on_room_side(void *arg, unsigned ready)
{
	on_side(arg, CONN_ROOM, ready);
}

/* Makes the loop wait for exactly what the conn waits for. */
static void
watch_side(struct house *h, struct session *s, enum conn_side side)
{
	int fd = conn_fd(s->conn, side);
	unsigned want = (conn_wants_read(s->conn, side) ? LOOP_READ : 0) |
	    (conn_wants_write(s->conn, side) ? LOOP_WRITE : 0);

	if (fd != s->watched[side]) {
		loop_unwatch(h->loop, &s->watch[side]);
		s->watched[side] = fd;
		s->hung[side] = false;
	}
	if (fd < 0 || s->hung[side])
		return;
	if (s->watch[side] == NULL)
		s->watch[side] = loop_watch(h->loop, fd, want,
		    side == CONN_CLIENT ? on_client_side : on_room_side, s);
	else if (want != s->wants[side])
		loop_want(h->loop, s->watch[side], want);
	s->wants[side] = (uint8_t)want;
}

static void
run_ready(void *arg)
{
	struct house *h = arg;
	struct list now = h->ready;
	size_t n = 0;

	h->posted = false;
	for (struct session *s = now.first; s != NULL; s = s->next[LINK_READY])
		n++;
	/* Those that are still not done line up again at the end, for the next round. */
	for (; n > 0 && h->ready.first != NULL; n--) {
		struct session *s = h->ready.first;

		list_drop(LINK_READY, s);
		session_run(h, s);
	}
}

static void
run_again(struct house *h, struct session *s)
{
	if (s->in[LINK_READY] == NULL)
		list_put(&h->ready, LINK_READY, s);
	if (!h->posted)
		loop_post(h->loop, run_ready, h);
	h->posted = true;
}

static void
tell_tls(const struct session *s)
{
	const struct tls_conn *t = conn_tls(s->conn);

	EVENT(EVENT_TLS_DONE, s->id, S(""), S(""), EF("version", slice_z(tls_version(t))),
	    EF("cipher", slice_z(tls_cipher(t))), EF("sni", tls_sni(t)));
}

int
session_pair(struct house *h, struct session *s)
{
	const int size = (int)LIMIT_PAIR;
	int sv[2];

	watch_side(h, s, CONN_ROOM); /* forgets the old room's descriptor, before its number comes again */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) != 0)
		return -1;
	(void)setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	(void)setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	conn_attach(s->conn, sv[0]);
	return sv[1];
}

static void
shook(struct house *h, struct session *s)
{
	own(fd_t) fd = -1;

	tell_tls(s);
	s->tls = true;
	deadline_set(h, s, NO_DEADLINE);
	fd = session_pair(h, s);
	if (fd < 0 || s->room == NULL || !room_converse(s, fd))
		conn_close(s->conn);
	run_again(h, s);
}

/* The deadline that belongs to where the conn is now. */
static void
follow_phase(struct house *h, struct session *s)
{
	switch (conn_phase(s->conn)) {
	case CONN_FLUSH:
		deadline_set(h, s, DEADLINE_FLUSH);
		break;
	case CONN_LINGER:
		if (s->deadline != DEADLINE_LINGER && conn_failed(s->conn) && !s->tls) {
			house_refused(h, EVENT_TLS_FAILED, s->listener, s, &s->peer_ip,
			    slice_z(tls_reason(conn_tls(s->conn))));
			room_gone(s);
		}
		deadline_set(h, s, DEADLINE_LINGER);
		break;
	default:
		break;
	}
}

void
session_run(struct house *h, struct session *s)
{
	enum conn_status st = conn_run(s->conn);

	if (st == CONN_ENDED) {
		session_free(h, s);
		return;
	}
	if (st == CONN_LOST) {
		list_drop(LINK_ROOM, s);
		s->room = NULL;
		house_refused(h, EVENT_CONN_REFUSED, s->listener, s, &s->peer_ip,
		    S("the mailbox room ended"));
		session_unavailable(h, s);
		return;
	}
	if (s->handoff != NULL && s->room != NULL && !conn_awaits(s->conn))
		handoff_free(s); /* the mailbox room has answered */
	if (st == CONN_SHOOK)
		shook(h, s);
	follow_phase(h, s);
	watch_side(h, s, CONN_CLIENT);
	watch_side(h, s, CONN_ROOM);
	if (st == CONN_MORE)
		run_again(h, s);
	else if (st == CONN_DRAINED && s->resting)
		session_rest(h, s);
	else if (st == CONN_DRAINED)
		session_join(h, s);
	else if (st == CONN_WANTED)
		session_resume(h, s);
}

void
session_shake(struct house *h, struct session *s, int fd)
{
	s->conn = conn_new(h->tls, fd, s->listener->service->alpn);
	deadline_set(h, s, DEADLINE_SHAKE);
	session_run(h, s);
}

void
session_end(struct house *h, struct session *s)
{
	if (s->conn == NULL) {
		session_free(h, s);
		return;
	}
	conn_close(s->conn);
	session_run(h, s);
}
