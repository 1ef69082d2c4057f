/* SPDX-License-Identifier: MIT */
#include "rooms/smtp/room.h"

#include <sys/socket.h>

#include "ipc/door_smtp.h"
#include "lib/clock/clock.h"

#define TURN 64	      /* frames of one channel before the others get their turn */
#define DRAIN_MOST 128 /* reads of what a client sent behind its last reply */

/* ---- what the session asks: the stubs, bound to this room's channels ---- */

static enum ipc_status
ask_rcpt(void *ctx, const struct smtp_auth_rcpt *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_rcpt_answer *out)
{
	return smtp_auth_rcpt(((struct smtp_room *)ctx)->auth, in, deadline_ms, a, out);
}

static enum ipc_status
ask_login(void *ctx, const struct smtp_auth_login *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_login_answer *out)
{
	return smtp_auth_login(((struct smtp_room *)ctx)->auth, in, deadline_ms, a, out);
}

static enum ipc_status
ask_scram_first(void *ctx, const struct smtp_auth_scram_first *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_scram_first_answer *out)
{
	return smtp_auth_scram_first(((struct smtp_room *)ctx)->auth, in, deadline_ms, a, out);
}

static enum ipc_status
ask_scram_final(void *ctx, const struct smtp_auth_scram_final *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_scram_final_answer *out)
{
	return smtp_auth_scram_final(((struct smtp_room *)ctx)->auth, in, deadline_ms, a, out);
}

static enum ipc_status
ask_owns(void *ctx, const struct smtp_auth_owns *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_owns_answer *out)
{
	return smtp_auth_owns(((struct smtp_room *)ctx)->auth, in, deadline_ms, a, out);
}

/* Only strangers suffer from it. */
static bool
minds_stress(const struct smtp_room *r)
{
	return !r->conf.submission && !r->conf.lmtp;
}

/* Stress may have begun or ended. All that are parked are woken when it begins: they have less time now.
 */
static void
feel(struct smtp_room *r)
{
	bool door = false, before, now;
	const char *why;

	(void)pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < SMTP_DOORS; i++)
		door = door || r->links[i].crowded;
	why = door ? "connections" : "queue";
	now = door || r->queue_full;
	before = atomic_exchange(&r->stressed, now);
	for (struct smtp_conv *c = now && !before ? r->first : NULL; c != NULL; c = c->next) {
		c->hurry = true;
		pool_wake(r->pool, &c->pc);
	}
	(void)pthread_mutex_unlock(&r->lock);
	if (now != before)
		EVENT(EVENT_SMTP_STRESS, 0, S(""), S(""), EF("now", now ? S("yes") : S("no")),
		    EF("why", now ? slice_z(why) : S("")));
}

static bool
is_stressed(void *ctx)
{
	return atomic_load_explicit(&((struct smtp_room *)ctx)->stressed, memory_order_relaxed);
}

static void
queue_says(struct smtp_room *r, bool stress)
{
	bool news;

	(void)pthread_mutex_lock(&r->lock);
	news = r->queue_full != stress;
	r->queue_full = stress;
	(void)pthread_mutex_unlock(&r->lock);
	if (news)
		feel(r);
}

static enum ipc_status
ask_accept(void *ctx, const struct smtp_queue_accept *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_queue_accept_answer *out)
{
	struct smtp_room *r = ctx;
	enum ipc_status st = smtp_queue_accept(r->queue, in, deadline_ms, a, out);

	if (st == IPC_OK && minds_stress(r))
		queue_says(r, out->stress);
	return st;
}

static enum ipc_status
ask_judge(void *ctx, const struct smtp_scan_judge *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_scan_judge_answer *out)
{
	return smtp_scan_judge(((struct smtp_room *)ctx)->scan, in, deadline_ms, a, out);
}

static enum ipc_status
ask_filter(void *ctx, const struct smtp_milter_ask *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_milter_ask_answer *out)
{
	return smtp_milter_ask(((struct smtp_room *)ctx)->milter, in, deadline_ms, a, out);
}

static enum ipc_status
ask_filter_recipient(void *ctx, const struct smtp_milter_recipient *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_milter_recipient_answer *out)
{
	return smtp_milter_recipient(((struct smtp_room *)ctx)->milter, in, deadline_ms, a, out);
}

static void
tell_event(void *ctx, enum event_kind kind, uint64_t session, struct slice queue_id,
    struct slice account, const struct event_field *fields, size_t n)
{
	(void)ctx;
	events_emit(kind, session, queue_id, account, fields, n);
}

static void
tell_closed(struct smtp_conv *c)
{
	struct door_smtp_closed m = { .session = c->s.peer.session, .errors = c->s.errors + c->s.bad_rcpts };

	(void)pthread_mutex_lock(&c->room->lock);
	if (c->link->ch != NULL && c->link->generation == c->generation)
		(void)door_smtp_closed_send(c->link->ch, &m);
	(void)pthread_mutex_unlock(&c->room->lock);
}

/* Our own copy is closed by end(), when the pool watches it no more. */
static void
give_to_door(void *ctx, struct smtp_session *s, int fd)
{
	struct smtp_conv *c = s->owner;
	struct door_smtp_starttls m = { .session = s->peer.session, .fd = fd };
	enum ipc_status st = IPC_UNAVAILABLE;

	(void)ctx;
	c->handed = fd;
	(void)pthread_mutex_lock(&c->room->lock);
	if (c->link->ch != NULL && c->link->generation == c->generation)
		st = door_smtp_starttls_send(c->link->ch, &m);
	(void)pthread_mutex_unlock(&c->room->lock);
	if (st != IPC_OK)
		tell_closed(c);
}

/* ---- a conversation, in a worker's thread ---- */

static enum smtp_why
why_now(struct smtp_conv *c, enum pool_why why, bool *gone)
{
	bool stopping, hurry;

	(void)pthread_mutex_lock(&c->room->lock);
	*gone = c->gone;
	stopping = c->stopping;
	hurry = c->hurry && why == POOL_WOKEN;
	c->hurry = false;
	(void)pthread_mutex_unlock(&c->room->lock);
	return stopping ? SMTP_STOPPING : why == POOL_DEADLINE ? SMTP_DEADLINE : hurry ? SMTP_HURRY : SMTP_INPUT;
}

/* Closing a TCP socket with unread input resets the connection, and the client might never see our
 * last reply: say the end first, and read what is there. */
static void
part(struct smtp_conv *c)
{
	uint8_t away[2048];

	if (shutdown(c->pc.fd, SHUT_WR) != 0)
		return;
	for (int i = 0; i < DRAIN_MOST; i++)
		if (recv(c->pc.fd, away, sizeof away, MSG_DONTWAIT) <= 0)
			return;
}

static enum pool_next
run(struct pool_conv *pc, enum pool_why why)
{
	struct smtp_conv *c = (struct smtp_conv *)pc;
	bool gone;
	enum smtp_why reason = why_now(c, why, &gone);

	if (!gone && smtp_session_run(&c->s, reason) == SMTP_PARK) {
		pc->deadline_ms = c->s.deadline_ms;
		pc->nap = c->s.nap_until_ms != 0;
		return POOL_PARK;
	}
	if (!c->s.tls_started) {
		part(c);
		tell_closed(c);
	}
	return POOL_END;
}

static void
end(struct pool_conv *pc)
{
	struct smtp_conv *c = (struct smtp_conv *)pc;
	struct smtp_room *r = c->room;
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
	smtp_session_end(&c->s);
	arena_free(&a);
	if (r->stopping && r->first == NULL)
		loop_stop(r->loop);
}

static const struct pool_ops conv_ops = { .run = run, .end = end };

/* ---- the loop's thread ---- */

static const struct slice listeners[SMTP_LISTENERS] = { [SMTP_AT_SMTP] = S_INIT("smtp"),
	[SMTP_AT_SUBMISSION] = S_INIT("submission"),
	[SMTP_AT_SUBMISSIONS] = S_INIT("submissions") };

static enum smtp_listener
smtp_listener(struct slice name)
{
	for (unsigned i = 0; i < SMTP_LISTENERS; i++)
		if (slice_eq(name, listeners[i]))
			return (enum smtp_listener)i;
	return SMTP_AT_SMTP;
}

static void
copy_name(char *to, size_t size, struct slice name)
{
	name = slice_head(name, size - 1);
	if (name.n > 0)
		memcpy(to, name.p, name.n);
	to[name.n] = '\0';
}

static void
peer_facts(struct smtp_peer *peer, const struct door_smtp_converse *m)
{
	*peer = (struct smtp_peer){ .session = m->session,
		.listener = smtp_listener(m->listener),
		.tls = m->tls != DOOR_SMTP_TLS_NONE };
	if (m->peer_ip.n == 4 || m->peer_ip.n == 16) {
		memcpy(peer->ip.b, m->peer_ip.p, m->peer_ip.n);
		peer->ip.n = (uint8_t)m->peer_ip.n;
	}
	/* submissions begins with TLS and is greeted; the others come back from STARTTLS */
	peer->after_starttls = peer->tls && !slice_eq(m->listener, S("submissions"));
	if (peer->tls)
		copy_name(peer->tls_version, sizeof peer->tls_version,
		    m->tls == DOOR_SMTP_TLS_TLS13 ? S("TLSv1.3") : S("TLSv1.2"));
	copy_name(peer->cipher, sizeof peer->cipher, m->cipher);
	peer->bindable = m->binding.n == sizeof peer->binding;
	if (peer->bindable)
		memcpy(peer->binding, m->binding.p, sizeof peer->binding);
}

static void
on_converse(void *ctx, struct door_smtp_converse *m)
{
	struct smtp_link *link = ctx;
	struct smtp_room *r = link->room;
	struct smtp_peer peer;
	struct smtp_conv *c;
	struct arena *a;

	if (r->stopping) {
		struct door_smtp_closed no = { .session = m->session };

		(void)door_smtp_closed_send(link->ch, &no);
		return;
	}
	a = arena_new("conversation", sizeof *c + 16);
	c = ARENA_NEW(a, struct smtp_conv);
	PN_ASSERT(c != NULL);
	*c = (struct smtp_conv){ .room = r, .link = link, .generation = link->generation, .arena = a,
		.handed = -1 };
	peer_facts(&peer, m);
	c->pc.fd = fd_take(&m->fd);
	stream_init_fd(&c->s.stream, c->pc.fd);
	c->s.owner = c;
	smtp_session_init(&c->s, &r->conf, &r->back, &peer);
	(void)pthread_mutex_lock(&r->lock);
	c->next = r->first;
	if (c->next != NULL)
		c->next->prev = c;
	r->first = c;
	(void)pthread_mutex_unlock(&r->lock);
	pool_add(r->pool, &c->pc);
}

/* Wakes conversations that have to end: all of a link, the one with this session, or (stopping) all
 * of the room after a last word. */
static void
dismiss(struct smtp_room *r, const struct smtp_link *link, uint64_t session, bool all, bool stopping)
{
	(void)pthread_mutex_lock(&r->lock);
	for (struct smtp_conv *c = r->first; c != NULL; c = c->next) {
		if ((link != NULL && c->link != link) || (!all && c->s.peer.session != session))
			continue;
		c->gone = c->gone || !stopping;
		c->stopping = stopping;
		pool_wake(r->pool, &c->pc); /* end() takes the lock: c is there */
	}
	(void)pthread_mutex_unlock(&r->lock);
}

static void
on_gone(void *ctx, struct door_smtp_gone *m)
{
	struct smtp_link *link = ctx;

	dismiss(link->room, link, m->session, false, false);
}

static void
on_crowded(void *ctx, struct door_smtp_crowded *m)
{
	struct smtp_link *link = ctx;

	if (!minds_stress(link->room))
		return;
	(void)pthread_mutex_lock(&link->room->lock);
	link->crowded = m->yes;
	(void)pthread_mutex_unlock(&link->room->lock);
	feel(link->room);
}

static const struct door_smtp_server handlers = { .converse = on_converse, .gone = on_gone,
	.crowded = on_crowded };

static void
link_drop(struct smtp_link *link)
{
	struct smtp_room *r = link->room;

	loop_unwatch(r->loop, &link->watch);
	(void)pthread_mutex_lock(&r->lock);
	ipc_channel_free(&link->ch);
	link->crowded = false; /* it counts from nought when it comes back */
	(void)pthread_mutex_unlock(&r->lock);
	dismiss(r, link, 0, true, false);
	feel(r);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct smtp_link *link = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = door_smtp_server_serve(link->ch, &handlers, link);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && link->room->proc != NULL)
		proc_suspect(link->room->proc, link->ch);
	link_drop(link);
}

/* The link of this instance of door, or a free one; NULL when all are taken. */
static struct smtp_link *
link_for(struct smtp_room *r, const char *instance)
{
	struct smtp_link *empty = NULL;

	for (size_t i = 0; i < SMTP_DOORS; i++) {
		struct smtp_link *link = &r->links[i];

		if (link->ch == NULL)
			empty = empty == NULL ? link : empty;
		else if (slice_eq(slice_z(ipc_instance(link->ch)), slice_z(instance)))
			return link;
	}
	return empty;
}

static void
introduce_door(struct smtp_room *r, const char *instance, int fd)
{
	struct smtp_link *link = link_for(r, instance);

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
smtp_introduce(void *room, const char *peer, const char *instance, int fd)
{
	struct smtp_room *r = room;

	if (slice_eq(slice_z(peer), S("auth")))
		ipc_client_connect(r->auth, fd);
	else if (slice_eq(slice_z(peer), S("queue")))
		ipc_client_connect(r->queue, fd);
	else if (slice_eq(slice_z(peer), S("scan")))
		ipc_client_connect(r->scan, fd);
	else if (slice_eq(slice_z(peer), S("milter")))
		ipc_client_connect(r->milter, fd);
	else if (slice_eq(slice_z(peer), S("door")))
		introduce_door(r, instance, fd);
	else
		(void)close(fd);
}

void
smtp_room_init(struct smtp_room *r, struct proc *p, struct loop *l, const struct smtp_config *conf)
{
	*r = (struct smtp_room){ .proc = p, .loop = l, .conf = *conf };
	(void)pthread_mutex_init(&r->lock, NULL);
	r->auth = ipc_client_new("auth");
	r->queue = ipc_client_new("queue");
	r->scan = ipc_client_new("scan");
	r->milter = ipc_client_new("milter");
	r->back = (struct smtp_backend){ .rcpt = ask_rcpt, .login = ask_login, .scram_first = ask_scram_first,
		.scram_final = ask_scram_final, .owns = ask_owns, .accept = ask_accept, .judge = ask_judge, .filter = ask_filter, .filter_recipient = ask_filter_recipient, .stressed = is_stressed,
		.starttls = give_to_door, .event = tell_event, .ctx = r };
	r->pool = pool_new(l, &conv_ops, SMTP_THREADS, SMTP_STACK);
}

void
smtp_stop(void *room)
{
	struct smtp_room *r = room;

	r->stopping = true;
	dismiss(r, NULL, 0, true, true);
	if (r->first == NULL)
		loop_stop(r->loop);
}
