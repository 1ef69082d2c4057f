/* SPDX-License-Identifier: MIT */
#include "rooms/lobby/room.h"

#include "ipc/door_lobby.h"
#include "ipc/lobby_auth.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"

#define TURN 64 /* frames of one channel before the others get their turn */

/* ---- a conversation, in a worker's thread ---- */

static enum lobby_login
ask_auth(void *ctx, uint64_t session, struct slice peer_ip, const struct sasl_login *who)
{
	struct lobby_room *r = ctx;
	own(arena_p) a = arena_new("login", LIMIT_ARENA_COMMAND);
	struct lobby_auth_login in = { .session = session, .peer_ip = peer_ip, .name = who->name,
		.password = who->password };
	struct lobby_auth_login_answer out;

	if (lobby_auth_login(r->auth, &in, clock_mono_ms() + LOBBY_AUTH_MS, a, &out) != IPC_OK)
		return LOBBY_LATER;
	switch (out.status) {
	case LOBBY_AUTH_LOGIN_STATUS_YES:
		return LOBBY_YES;
	case LOBBY_AUTH_LOGIN_STATUS_NO:
	case LOBBY_AUTH_LOGIN_STATUS_DISABLED:
		return LOBBY_NO;
	case LOBBY_AUTH_LOGIN_STATUS_TRY_LATER:
		break;
	}
	return LOBBY_LATER;
}

static enum lobby_login
ask_first(void *ctx, uint64_t session, struct slice peer_ip, const struct scram_first *f, struct arena *a,
    struct slice *challenge)
{
	struct lobby_room *r = ctx;
	struct lobby_auth_scram_first in = { .session = session, .peer_ip = peer_ip, .name = f->name,
		.bare = f->bare };
	struct lobby_auth_scram_first_answer out;

	if (lobby_auth_scram_first(r->auth, &in, clock_mono_ms() + LOBBY_AUTH_MS, a, &out) != IPC_OK ||
	    out.status != LOBBY_AUTH_LOGIN_STATUS_YES)
		return LOBBY_LATER;
	*challenge = out.challenge;
	return LOBBY_YES;
}

static enum lobby_login
ask_final(void *ctx, uint64_t session, const struct scram_final *f, struct arena *a, struct slice *signature)
{
	struct lobby_room *r = ctx;
	struct lobby_auth_scram_final in = { .session = session, .without_proof = f->without_proof,
		.proof = slice_of(f->proof, SCRAM_PROOF) };
	struct lobby_auth_scram_final_answer out;

	if (lobby_auth_scram_final(r->auth, &in, clock_mono_ms() + LOBBY_AUTH_MS, a, &out) != IPC_OK ||
	    out.status == LOBBY_AUTH_LOGIN_STATUS_TRY_LATER)
		return LOBBY_LATER;
	*signature = out.signature;
	return out.status == LOBBY_AUTH_LOGIN_STATUS_YES ? LOBBY_YES : LOBBY_NO;
}

static const struct lobby_ops ops = { .login = ask_auth, .scram_first = ask_first, .scram_final = ask_final };

static bool
lost(struct lobby_conv *c)
{
	bool gone;

	(void)pthread_mutex_lock(&c->room->lock);
	gone = c->gone;
	(void)pthread_mutex_unlock(&c->room->lock);
	return gone;
}

static void
tell_closed(struct lobby_conv *c)
{
	struct door_lobby_closed m = { .session = c->s.id, .errors = c->s.bad + c->s.failures };

	(void)pthread_mutex_lock(&c->room->lock);
	if (c->link->ch != NULL && c->link->generation == c->generation)
		(void)door_lobby_closed_send(c->link->ch, &m);
	(void)pthread_mutex_unlock(&c->room->lock);
}

/* The descriptor goes back to door: for the handshake, or (with a tag) for the mailbox. Our own copy
 * is closed by end(), when the pool watches it no more. */
static void
give_back(struct lobby_conv *c, bool handoff)
{
	own(buf_t) left = { .max = LIMIT_IMAP_PRELOGIN };
	int fd = c->handed = stream_detach(&c->s.io, &left);
	struct door_lobby_handoff h = { .session = c->s.id, .tag = lobby_tag(&c->s),
		.leftover = buf_slice(&left), .fd = fd };
	struct door_lobby_starttls t = { .session = c->s.id, .fd = fd };
	enum ipc_status st = IPC_UNAVAILABLE;

	if (left.bad) { /* a client that sends so much ahead of a login is none */
		tell_closed(c);
		return;
	}
	(void)pthread_mutex_lock(&c->room->lock);
	if (c->link->ch != NULL && c->link->generation == c->generation)
		st = handoff ? door_lobby_handoff_send(c->link->ch, &h) :
			       door_lobby_starttls_send(c->link->ch, &t);
	(void)pthread_mutex_unlock(&c->room->lock);
	if (st != IPC_OK)
		tell_closed(c);
}

static enum pool_next
run(struct pool_conv *pc, enum pool_why why)
{
	struct lobby_conv *c = (struct lobby_conv *)pc;

	if (lost(c)) {
		tell_closed(c);
		return POOL_END;
	}
	switch (lobby_turn(&c->s, why == POOL_DEADLINE)) {
	case LOBBY_PARK:
		pc->deadline_ms = c->s.until_ms;
		return POOL_PARK;
	case LOBBY_STARTTLS:
		give_back(c, false);
		return POOL_END;
	case LOBBY_HANDOFF:
		give_back(c, true);
		return POOL_END;
	case LOBBY_CLOSE:
		break;
	}
	tell_closed(c);
	return POOL_END;
}

static void
end(struct pool_conv *pc)
{
	struct lobby_conv *c = (struct lobby_conv *)pc;
	struct lobby_room *r = c->room;
	struct arena *a = c->arena;

	(void)pthread_mutex_lock(&r->lock);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		r->first = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	(void)pthread_mutex_unlock(&r->lock);
	fd_t_drop(&c->handed);
	lobby_end(&c->s);
	arena_free(&a);
	if (r->stopping && r->first == NULL)
		loop_stop(r->loop);
}

static const struct pool_ops conv_ops = { .run = run, .end = end };

/* ---- the loop's thread ---- */

/* A conversation with fd, which becomes its own; NULL where this room does not take it. */
static struct lobby_conv *
conv_new(struct lobby_link *link, uint64_t session, enum door_lobby_protocol protocol, int *fd)
{
	struct lobby_room *r = link->room;
	struct arena *a;
	struct lobby_conv *c;

	if (protocol != DOOR_LOBBY_PROTOCOL_IMAP || r->stopping) {
		struct door_lobby_closed no = { .session = session };

		(void)door_lobby_closed_send(link->ch, &no);
		return NULL;
	}
	a = arena_new("conversation", LIMIT_ARENA_SESSION);
	c = ARENA_NEW(a, struct lobby_conv);
	PN_ASSERT(c != NULL);
	*c = (struct lobby_conv){ .room = r, .link = link, .generation = link->generation,
		.arena = a, .handed = -1 };
	c->s = (struct lobby_session){ .id = session, .ops = &ops, .ctx = r };
	c->pc.fd = fd_take(fd);
	stream_init_fd(&c->s.io, c->pc.fd);
	return c;
}

static void
conv_start(struct lobby_conv *c)
{
	struct lobby_room *r = c->room;

	lobby_begin(&c->s, clock_mono_ms());
	(void)pthread_mutex_lock(&r->lock);
	c->next = r->first;
	if (c->next != NULL)
		c->next->prev = c;
	r->first = c;
	(void)pthread_mutex_unlock(&r->lock);
	pool_add(r->pool, &c->pc);
}

static void
on_converse(void *ctx, struct door_lobby_converse *m)
{
	struct lobby_conv *c = conv_new(ctx, m->session, m->protocol, &m->fd);

	if (c == NULL)
		return;
	c->s.tls = m->tls != DOOR_LOBBY_TLS_NONE;
	c->s.quiet = c->s.tls && slice_eq(m->listener, S("imap"));
	c->s.peer_ip_n = m->peer_ip.n;
	memcpy(c->s.peer_ip, m->peer_ip.p, m->peer_ip.n);
	c->s.scram = c->room->scram;
	c->s.bindable = m->binding.n == SCRAM_BINDING;
	if (c->s.bindable)
		memcpy(c->s.binding, m->binding.p, SCRAM_BINDING);
	conv_start(c);
}

static void
on_unavailable(void *ctx, struct door_lobby_unavailable *m)
{
	struct lobby_conv *c = conv_new(ctx, m->session, m->protocol, &m->fd);

	if (c == NULL)
		return;
	c->s.refused = true;
	lobby_keep_tag(&c->s, m->tag);
	conv_start(c);
}

/* Ends the conversations of a link, or the one with this session. */
static void
dismiss(struct lobby_room *r, const struct lobby_link *link, uint64_t session, bool all)
{
	(void)pthread_mutex_lock(&r->lock);
	for (struct lobby_conv *c = r->first; c != NULL; c = c->next) {
		if ((link != NULL && c->link != link) || (!all && c->s.id != session))
			continue;
		c->gone = true;
		pool_wake(r->pool, &c->pc); /* end() takes the lock: c is there */
	}
	(void)pthread_mutex_unlock(&r->lock);
}

static void
on_gone(void *ctx, struct door_lobby_gone *m)
{
	struct lobby_link *link = ctx;

	dismiss(link->room, link, m->session, false);
}

static const struct door_lobby_server handlers = { .converse = on_converse, .gone = on_gone,
	.unavailable = on_unavailable };

static void
link_drop(struct lobby_link *link)
{
	struct lobby_room *r = link->room;

	loop_unwatch(r->loop, &link->watch);
	(void)pthread_mutex_lock(&r->lock);
	ipc_channel_free(&link->ch);
	(void)pthread_mutex_unlock(&r->lock);
	dismiss(r, link, 0, true);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct lobby_link *link = arg;
	enum ipc_status st = IPC_OK;

	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = door_lobby_server_serve(link->ch, &handlers, link);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && link->room->proc != NULL)
		proc_suspect(link->room->proc, link->ch);
	link_drop(link);
}

static struct lobby_link *
slot_for(struct lobby_room *r, const char *instance)
{
	struct lobby_link *empty = NULL;

	for (size_t i = 0; i < LOBBY_DOORS; i++) {
		struct lobby_link *link = &r->links[i];

		if (link->ch == NULL && empty == NULL)
			empty = link;
		if (link->ch != NULL &&
		    slice_eq(slice_z(ipc_instance(link->ch)), slice_z(instance)))
			return link;
	}
	return empty;
}

static void
introduce_door(struct lobby_room *r, const char *instance, int fd)
{
	struct lobby_link *link = slot_for(r, instance);

	if (link == NULL) {
		(void)close(fd);
		return;
	}
	if (link->ch != NULL)
		link_drop(link);
	(void)pthread_mutex_lock(&r->lock);
	link->room = r;
	link->generation++;
	link->ch = ipc_channel_new(fd, "door", instance);
	(void)pthread_mutex_unlock(&r->lock);
	ipc_set_nonblocking(link->ch, true);
	link->watch = loop_watch(r->loop, ipc_fd(link->ch), LOOP_READ, on_frames, link);
}

void
lobby_introduce(void *room, const char *peer, const char *instance, int fd)
{
	struct lobby_room *r = room;

	if (slice_eq(slice_z(peer), S("auth")))
		ipc_client_connect(r->auth, fd);
	else if (slice_eq(slice_z(peer), S("door")))
		introduce_door(r, instance, fd);
	else
		(void)close(fd);
}

void
lobby_room_init(struct lobby_room *r, struct proc *p, struct loop *l)
{
	*r = (struct lobby_room){ .proc = p, .loop = l };
	(void)pthread_mutex_init(&r->lock, NULL);
	r->auth = ipc_client_new("auth");
	r->pool = pool_new(l, &conv_ops, LOBBY_THREADS, LOBBY_STACK);
}

void
lobby_stop(void *room)
{
	struct lobby_room *r = room;

	r->stopping = true;
	dismiss(r, NULL, 0, true);
	if (r->first == NULL)
		loop_stop(r->loop);
}
