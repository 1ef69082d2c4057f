/* SPDX-License-Identifier: MIT
 * The channels: conversations go out to rooms, and come back for TLS, for the mailbox, or as closed.
 * A room is believed about the conversations that it has, and about nothing else. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "rooms/door/house.h"

_Static_assert((int)DOOR_SMTP_TLS_TLS13 == (int)DOOR_LOBBY_TLS_TLS13 &&
    (int)DOOR_SMTP_TLS_TLS13 == (int)DOOR_MAILBOX_TLS_TLS13, "one numbering");
_Static_assert((int)DOOR_LOBBY_PROTOCOL_MANAGESIEVE == (int)DOOR_MAILBOX_PROTOCOL_MANAGESIEVE,
    "one numbering");

struct room *
house_room(struct house *h, enum peer_kind kind, const char *peer, const char *instance)
{
	for (size_t i = 0; i < h->n_rooms; i++)
		if (slice_eq(slice_z(h->rooms[i].peer), slice_z(peer)) &&
		    slice_eq(slice_z(h->rooms[i].instance), slice_z(instance)))
			return &h->rooms[i];
	PN_ASSERT(h->n_rooms < LIMIT_ROOMS);
	h->rooms[h->n_rooms] = (struct room){ .house = h, .kind = kind, .peer = peer,
		.instance = instance };
	return &h->rooms[h->n_rooms++];
}

/* ---- out ----------------------------------------------------------------------------------- */

static unsigned
tls_of(const struct session *s)
{
	if (!s->tls)
		return DOOR_SMTP_TLS_NONE;
	return slice_eq(slice_z(tls_version(conn_tls(s->conn))), S("TLSv1.3")) ? DOOR_SMTP_TLS_TLS13
									     : DOOR_SMTP_TLS_TLS12;
}

static struct slice
cipher_of(const struct session *s)
{
	return s->tls ? slice_head(slice_z(tls_cipher(conn_tls(s->conn))), 64) : S("");
}

/* Empty where there is no TLS, or one that cannot be bound to. */
static struct slice
binding_of(const struct session *s, uint8_t key[static TLS_BINDING])
{
	return s->tls && tls_binding(conn_tls(s->conn), key) ? slice_of(key, TLS_BINDING) : S("");
}

static struct slice
octets(const struct ip *ip)
{
	return slice_of(ip->b, ip->n);
}

bool
room_converse(struct session *s, int fd)
{
	struct slice listener = slice_z(s->listener->service->name);
	uint8_t key[TLS_BINDING];
	struct slice binding = binding_of(s, key);

	if (s->room->ch == NULL)
		return false;
	if (s->room->kind == PEER_SMTP) {
		struct door_smtp_converse m = { .session = s->id, .peer_ip = octets(&s->peer_ip),
			.peer_port = s->peer_port, .local_ip = octets(&s->local_ip),
			.local_port = s->local_port, .tls = (enum door_smtp_tls)tls_of(s),
			.cipher = cipher_of(s), .listener = listener,
			.binding = binding, .fd = fd };

		return door_smtp_converse_send(s->room->ch, &m) == IPC_OK;
	}
	struct door_lobby_converse m = { .session = s->id, .protocol = s->listener->service->protocol,
		.peer_ip = octets(&s->peer_ip), .peer_port = s->peer_port,
		.local_ip = octets(&s->local_ip), .local_port = s->local_port,
		.tls = (enum door_lobby_tls)tls_of(s), .cipher = cipher_of(s), .listener = listener,
		.binding = binding, .fd = fd };

	return door_lobby_converse_send(s->room->ch, &m) == IPC_OK;
}

void
room_gone(struct session *s)
{
	if (s->room == NULL || s->room->ch == NULL || s->closed)
		return;
	if (s->room->kind == PEER_SMTP)
		(void)door_smtp_gone_send(s->room->ch, &(struct door_smtp_gone){ .session = s->id });
	else if (s->room->kind == PEER_LOBBY)
		(void)door_lobby_gone_send(s->room->ch, &(struct door_lobby_gone){ .session = s->id });
	else
		(void)door_mailbox_gone_send(s->room->ch,
		    &(struct door_mailbox_gone){ .session = s->id });
}

static void
tell_crowded(const struct house *h, const struct room *r)
{
	if (r->kind == PEER_SMTP && r->ch != NULL)
		(void)door_smtp_crowded_send(r->ch, &(struct door_smtp_crowded){ .yes = h->crowded });
}

void
house_crowding(struct house *h)
{
	bool crowded = caps_crowded(h->caps, h->crowded);

	if (crowded == h->crowded)
		return;
	h->crowded = crowded;
	for (size_t i = 0; i < h->n_rooms; i++)
		tell_crowded(h, &h->rooms[i]);
}

/* ---- mailbox rooms ------------------------------------------------------------------------- */

static struct room *
mailbox_find(struct house *h, uint32_t account)
{
	struct room *r = h->mailboxes[account % MAILBOX_BUCKETS];

	while (r != NULL && r->account != account)
		r = r->next;
	return r;
}

static void
mailbox_free(struct room *r)
{
	struct room **at = &r->house->mailboxes[r->account % MAILBOX_BUCKETS];

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	free(r);
}

static bool
send_join(struct session *s, struct room *to, int fd)
{
	const struct handoff *ho = s->handoff;
	struct door_mailbox_join m = { .session = s->id,
		.protocol = (enum door_mailbox_protocol)s->listener->service->protocol,
		.peer_ip = octets(&s->peer_ip), .peer_port = s->peer_port,
		.tls = (enum door_mailbox_tls)tls_of(s), .cipher = cipher_of(s),
		.tag = slice_of(ho->tag, ho->tag_n), .leftover = slice_of(ho->leftover, ho->leftover_n),
		.fd = fd };

	return door_mailbox_join_send(to->ch, &m) == IPC_OK;
}

void
session_join(struct house *h, struct session *s)
{
	struct room *to = mailbox_find(h, s->account);
	own(fd_t) fd = -1;
	bool ok;

	if (s->handoff == NULL || !s->joined || (s->conn != NULL && conn_phase(s->conn) != CONN_WAITING))
		return;
	if (to != NULL && to->ch != NULL)
		fd = s->conn != NULL ? session_pair(h, s) : fd_take(&s->bare);
	ok = fd >= 0 && send_join(s, to, fd);
	if (!ok) {
		if (s->conn != NULL)
			conn_detach(s->conn);
		house_refused(h, EVENT_CONN_REFUSED, s->listener, s, &s->peer_ip,
		    S("the mailbox room is gone"));
		session_unavailable(h, s);
		return;
	}
	deadline_set(h, s, NO_DEADLINE);
	s->room = to;
	s->closed = false;
	list_put(&to->sessions, LINK_ROOM, s);
	if (s->conn == NULL) {
		handoff_free(s);
		return;
	}
	conn_await(s->conn); /* the handoff is kept until the room has answered: session_run() */
	session_run(h, s);
}

void
handoff_free(struct session *s)
{
	if (s->handoff != NULL)
		explicit_bzero(s->handoff, sizeof *s->handoff);
	free(s->handoff);
	s->handoff = NULL;
}

void
session_unavailable(struct house *h, struct session *s)
{
	struct room *lobby = s->listener->room;
	own(fd_t) fd = -1;
	bool told = false;

	if (s->handoff != NULL && lobby->kind == PEER_LOBBY && lobby->ch != NULL) {
		if (s->conn == NULL)
			fd = fd_take(&s->bare);
		else if (conn_phase(s->conn) == CONN_WAITING)
			fd = session_pair(h, s);
	}
	if (fd >= 0) {
		struct door_lobby_unavailable m = { .session = s->id, .fd = fd,
			.protocol = s->listener->service->protocol,
			.tag = slice_of(s->handoff->tag, s->handoff->tag_n) };

		told = door_lobby_unavailable_send(lobby->ch, &m) == IPC_OK;
	}
	handoff_free(s);
	s->joined = false; /* another mailbox only on another word of auth */
	s->account = 0;
	if (!told) {
		session_end(h, s);
		return;
	}
	s->room = lobby;
	s->closed = false;
	list_put(&lobby->sessions, LINK_ROOM, s);
	deadline_set(h, s, NO_DEADLINE); /* lobby has its own */
	if (s->conn != NULL)
		session_run(h, s);
}

void
session_rest(struct house *h, struct session *s)
{
	if (s->closed) {
		session_end(h, s);
		return;
	}
	if (s->woken) {
		session_resume(h, s);
		return;
	}
	conn_rest(s->conn);
	session_run(h, s); /* what came meanwhile */
}

void
session_resume(struct house *h, struct session *s)
{
	own(fd_t) fd = -1;

	fd = session_pair(h, s);
	if (fd < 0 || s->room->ch == NULL ||
	    door_mailbox_resume_send(s->room->ch, &(struct door_mailbox_resume){ .session = s->id, .fd = fd }) != IPC_OK) {
		session_end(h, s);
		return;
	}
	s->resting = s->woken = false;
	session_run(h, s);
}

/* ---- back from rooms ----------------------------------------------------------------------- */

/* The session that this room has under this id, or NULL. */
static struct session *
theirs(struct room *r, uint64_t id)
{
	struct session *s = session_find(r->house, id);

	return s != NULL && s->room == r && !s->closed ? s : NULL;
}

/* Is fd the client's own connection? What a room sends back is checked, not believed. */
static bool
is_clients(const struct session *s, int fd)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t n = sizeof ss, m = sizeof(int);
	struct stat st;
	struct ip ip;
	uint16_t port;
	int type = 0;

	if (fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode) ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &m) != 0 || type != SOCK_STREAM ||
	    getpeername(fd, (struct sockaddr *)&ss, &n) != 0)
		return false;
	house_address(&ss, &ip, &port);
	return ip.n != 0 && slice_eq(octets(&ip), octets(&s->socket_ip)) && port == s->socket_port;
}

static bool
is_stream(int fd)
{
	struct stat st;
	socklen_t n = sizeof(int);
	int type = 0;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

static void
starttls(struct room *r, uint64_t id, int *fd)
{
	struct session *s = theirs(r, id);

	if (s == NULL || s->conn != NULL)
		return;
	if (!is_clients(s, *fd)) {
		/* Also where the client has just gone: the session is over either way. */
		room_gone(s);
		session_free(r->house, s);
		return;
	}
	if (!caps_handshake(r->house->caps, s->address, clock_mono_ms())) {
		house_refused(r->house, EVENT_CONN_REFUSED, s->listener, s, &s->peer_ip,
		    S("too many handshakes"));
		room_gone(s);
		session_free(r->house, s);
		return;
	}
	session_shake(r->house, s, fd_take(fd));
}

/* A bare conversation is over. One with TLS ends when its stream ends, which may still hold the
 * room's last words; a room that does not close the stream is not waited for long. */
static void
closed(struct room *r, uint64_t id)
{
	struct session *s = theirs(r, id);

	if (s == NULL)
		return;
	s->closed = true;
	if (s->conn == NULL)
		session_free(r->house, s);
	else if (s->resting && conn_phase(s->conn) == CONN_WAITING)
		session_end(r->house, s);
	else if (s->deadline == NO_DEADLINE)
		deadline_set(r->house, s, DEADLINE_FLUSH);
}

static void
on_smtp_starttls(void *ctx, struct door_smtp_starttls *m)
{
	starttls(ctx, m->session, &m->fd);
}

static void
on_smtp_closed(void *ctx, struct door_smtp_closed *m)
{
	closed(ctx, m->session);
}

static void
on_lobby_starttls(void *ctx, struct door_lobby_starttls *m)
{
	starttls(ctx, m->session, &m->fd);
}

static void
on_lobby_closed(void *ctx, struct door_lobby_closed *m)
{
	closed(ctx, m->session);
}

static void
on_mailbox_closed(void *ctx, struct door_mailbox_closed *m)
{
	closed(ctx, m->session);
}

/* What the client said in the meantime waits in the stream and has the conversation go on at once. A room whose
 * session is over here hears so: it has no stream that could tell it. */
static void
on_mailbox_rest(void *ctx, struct door_mailbox_rest *m)
{
	struct room *r = ctx;
	struct session *s = theirs(r, m->session);

	if (s == NULL || s->conn == NULL || s->resting || s->handoff != NULL) {
		(void)door_mailbox_gone_send(r->ch, &(struct door_mailbox_gone){ .session = m->session });
		return;
	}
	s->resting = true;
	if (!is_stream(m->fd) || !conn_switch(s->conn, m->fd)) {
		session_end(r->house, s);
		return;
	}
	session_run(r->house, s);
}

static void
on_mailbox_wake(void *ctx, struct door_mailbox_wake *m)
{
	struct room *r = ctx;
	struct session *s = theirs(r, m->session);

	if (s == NULL || !s->resting)
		return; /* the client was first */
	s->woken = true;
	if (conn_phase(s->conn) == CONN_WAITING)
		session_resume(r->house, s);
}

/* Lobby gives a conversation up. It is nobody's until warden has said whose it is. */
static void
on_handoff(void *ctx, struct door_lobby_handoff *m)
{
	struct room *r = ctx;
	struct house *h = r->house;
	struct session *s = theirs(r, m->session);
	bool ok;

	if (s == NULL || s->handoff != NULL)
		return;
	s->room = NULL;
	list_drop(LINK_ROOM, s);
	s->handoff = calloc(1, sizeof *s->handoff);
	PN_ASSERT(s->handoff != NULL && m->tag.n <= sizeof s->handoff->tag &&
	    m->leftover.n <= sizeof s->handoff->leftover);
	s->handoff->tag_n = m->tag.n;
	s->handoff->leftover_n = m->leftover.n;
	if (m->tag.n > 0)
		memcpy(s->handoff->tag, m->tag.p, m->tag.n);
	if (m->leftover.n > 0)
		memcpy(s->handoff->leftover, m->leftover.p, m->leftover.n);
	if (s->conn != NULL) {
		ok = is_stream(m->fd) && conn_switch(s->conn, m->fd);
	} else {
		ok = is_clients(s, m->fd);
		if (ok)
			s->bare = fd_take(&m->fd);
	}
	if (!ok) {
		session_end(h, s);
		return;
	}
	deadline_set(h, s, DEADLINE_JOIN);
	if (s->conn != NULL)
		session_run(h, s); /* goes on to session_join() once the stream is drained */
	else
		session_join(h, s);
}

static const struct door_smtp_client from_smtp = { .starttls = on_smtp_starttls,
	.closed = on_smtp_closed };
static const struct door_lobby_client from_lobby = { .starttls = on_lobby_starttls,
	.closed = on_lobby_closed,
	.handoff = on_handoff };
static const struct door_mailbox_client from_mailbox = { .closed = on_mailbox_closed,
	.rest = on_mailbox_rest,
	.wake = on_mailbox_wake };

/* ---- channels ------------------------------------------------------------------------------ */

/* The room is gone. Bare conversations went with it; those with TLS get a clean end. */
static void
room_lost(struct room *r)
{
	struct house *h = r->house;

	loop_unwatch(h->loop, &r->watch);
	ipc_channel_free(&r->ch);
	while (r->sessions.first != NULL) {
		struct session *s = r->sessions.first;

		list_drop(LINK_ROOM, s);
		s->room = NULL;
		if (s->handoff != NULL && s->conn != NULL)
			conn_detach(s->conn);
		session_unavailable(h, s);
	}
	if (r->kind == PEER_MAILBOX)
		mailbox_free(r);
	else
		listeners_watch(h);
}

static void
on_room(void *arg, unsigned ready)
{
	struct room *r = arg;
	enum ipc_status st = IPC_OK;

	for (int i = 0; i < LIMIT_FRAMES && st == IPC_OK; i++)
		st = r->kind == PEER_SMTP ? door_smtp_client_serve(r->ch, &from_smtp, r)
		    : r->kind == PEER_LOBBY
		    ? door_lobby_client_serve(r->ch, &from_lobby, r)
		    : door_mailbox_client_serve(r->ch, &from_mailbox, r);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && r->house->proc != NULL)
		proc_suspect(r->house->proc, r->ch);
	room_lost(r);
}

static void
room_connect(struct room *r, const char *peer, const char *instance, int fd)
{
	r->ch = ipc_channel_new(fd, peer, instance);
	ipc_set_nonblocking(r->ch, true);
	ipc_set_send_wait(r->ch, 0); /* a room that does not keep up gets no more conversations */
	r->watch = loop_watch(r->house->loop, ipc_fd(r->ch), LOOP_READ, on_room, r);
}

static void
mailbox_connect(struct house *h, uint32_t account, int fd)
{
	struct room *r = mailbox_find(h, account);

	if (r != NULL)
		room_lost(r);
	r = calloc(1, sizeof *r);
	PN_ASSERT(r != NULL);
	*r = (struct room){ .house = h, .kind = PEER_MAILBOX, .account = account,
		.next = h->mailboxes[account % MAILBOX_BUCKETS] };
	h->mailboxes[account % MAILBOX_BUCKETS] = r;
	room_connect(r, "mailbox", "", fd);
}

static void
on_join(void *ctx, struct warden_door_join *m)
{
	struct house *h = ctx;
	struct session *s;

	if (m->fd >= 0)
		mailbox_connect(h, m->account, fd_take(&m->fd));
	s = session_find(h, m->session);
	if (s == NULL || s->joined)
		return; /* the client has gone in the meantime */
	s->joined = true;
	s->account = m->account;
	session_join(h, s);
}

static void
on_unavailable(void *ctx, struct warden_door_unavailable *m)
{
	struct house *h = ctx;
	struct session *s = session_find(h, m->session);

	if (s == NULL || s->joined)
		return;
	s->joined = true;
	s->account = 0; /* nobody's: session_join() finds no room for it, now or after lobby's handoff */
	session_join(h, s);
}

static const struct warden_door_server from_warden = { .join = on_join,
	.unavailable = on_unavailable };

static void
on_warden(void *arg, unsigned ready)
{
	struct house *h = arg;
	enum ipc_status st = IPC_OK;

	for (int i = 0; i < LIMIT_FRAMES && st == IPC_OK; i++)
		st = warden_door_server_serve(h->warden, &from_warden, h);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	loop_unwatch(h->loop, &h->warden_watch);
	ipc_channel_free(&h->warden);
}

void
house_introduce(void *house, const char *peer, const char *instance, int fd)
{
	struct house *h = house;
	struct slice name = slice_z(peer);

	if (slice_eq(name, S("keys"))) {
		h->keys(h->keys_ctx, fd);
		return;
	}
	if (slice_eq(name, S("warden"))) {
		loop_unwatch(h->loop, &h->warden_watch);
		ipc_channel_free(&h->warden);
		h->warden = ipc_channel_new(fd, peer, instance);
		ipc_set_nonblocking(h->warden, true);
		h->warden_watch = loop_watch(h->loop, fd, LOOP_READ, on_warden, h);
		return;
	}
	for (size_t i = 0; i < h->n_rooms; i++) {
		struct room *r = &h->rooms[i];

		if (!slice_eq(slice_z(r->peer), name) ||
		    !slice_eq(slice_z(r->instance), slice_z(instance)))
			continue;
		if (r->ch != NULL)
			room_lost(r);
		room_connect(r, peer, instance, fd);
		if (h->crowded)
			tell_crowded(h, r);
		listeners_watch(h);
		return;
	}
	(void)close(fd); /* no listener needs it */
}

static void
stop_now(void *house)
{
	struct house *h = house;

	h->stop_timer = NULL;
	for (size_t i = 0; i < ID_BUCKETS; i++)
		for (struct session *s = h->ids[i], *next; s != NULL; s = next) {
			next = s->next_id;
			if (s->conn != NULL)
				session_end(h, s);
		}
	loop_stop(h->loop);
}

/* New clients are refused at once. Conversations with TLS have a moment to finish what they are
 * saying and then get a clean end; those in plain text do not need us. */
void
house_stop(void *house)
{
	struct house *h = house;

	if (h->stopping)
		return;
	h->stopping = true;
	listeners_close(h);
	if (caps_total(h->caps) == 0)
		loop_stop(h->loop);
	else
		h->stop_timer = loop_after(h->loop, LIMIT_STOP_MS, stop_now, h);
}
