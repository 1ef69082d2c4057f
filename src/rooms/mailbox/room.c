/* SPDX-License-Identifier: MIT */
#include "rooms/mailbox/room.h"

#include <malloc.h>
#include <stdio.h>

#include "ipc/door_mailbox.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"

#define TURN 64 /* frames of one channel before the others get their turn */

/* ---- a conversation, in a worker's thread ---- */

static bool
lost(struct mailbox_conv *c)
{
	bool gone;

	(void)pthread_mutex_lock(&c->room->lock);
	gone = c->gone;
	(void)pthread_mutex_unlock(&c->room->lock);
	return gone;
}

static void
tell_closed(struct mailbox_conv *c)
{
	struct door_mailbox_closed m = { .session = c->s.id };

	(void)pthread_mutex_lock(&c->room->lock);
	if (c->link->ch != NULL && c->link->generation == c->generation)
		(void)door_mailbox_closed_send(c->link->ch, &m);
	(void)pthread_mutex_unlock(&c->room->lock);
}

static enum session_why
why_of(enum pool_why why)
{
	return why == POOL_DEADLINE ? SESSION_EXPIRED : why == POOL_WOKEN ? SESSION_NEWS : SESSION_INPUT;
}

/* ---- rest: door keeps the client's side alone, and no stream lies between ---- */

/* In the loop's thread. */
static void
rest(struct mailbox_conv *c)
{
	struct door_mailbox_rest m = { .session = c->s.id };
	own(fd_t) fd = -1;
	enum ipc_status st = IPC_UNAVAILABLE;

	if (c->away || !c->tls || !pool_hold(c->room->pool, &c->pc))
		return;
	fd = session_release(&c->s);
	if (fd >= 0) {
		m.fd = fd;
		(void)pthread_mutex_lock(&c->room->lock);
		if (c->link->ch != NULL && c->link->generation == c->generation)
			st = door_mailbox_rest_send(c->link->ch, &m);
		(void)pthread_mutex_unlock(&c->room->lock);
		c->away = st == IPC_OK;
		if (!c->away)
			session_resume(&c->s, fd_take(&fd));
	}
	if (c->away)
		c->pc.fd = -1;
	pool_put_back(c->room->pool, &c->pc);
}

/* True while the stream is with door, which is asked for it. */
static bool
waits_for_stream(struct mailbox_conv *c)
{
	struct door_mailbox_wake m = { .session = c->s.id };

	(void)pthread_mutex_lock(&c->room->lock);
	if (c->fresh >= 0) {
		c->pc.fd = fd_take(&c->fresh);
		session_resume(&c->s, c->pc.fd);
		c->away = c->asked = false;
	} else if (!c->asked && c->link->ch != NULL && c->link->generation == c->generation) {
		c->asked = door_mailbox_wake_send(c->link->ch, &m) == IPC_OK;
	}
	c->pc.deadline_ms = !c->away || c->asked ? 0 : clock_mono_ms() + MAILBOX_ASK_MS;
	(void)pthread_mutex_unlock(&c->room->lock);
	return c->away;
}

static enum pool_next
run(struct pool_conv *pc, enum pool_why why)
{
	struct mailbox_conv *c = (struct mailbox_conv *)pc;
	bool ends = lost(c);
	enum session_next next;

	(void)__atomic_add_fetch(&c->room->turns, 1, __ATOMIC_RELAXED);
	if (c->away && !ends && waits_for_stream(c))
		return POOL_PARK;
	next = session_turn(&c->s, ends ? SESSION_END : why_of(why));
	pc->deadline_ms = session_deadline(&c->s);
	if (next == SESSION_PARK)
		return POOL_PARK;
	tell_closed(c);
	return POOL_END;
}

static void
end(struct pool_conv *pc)
{
	struct mailbox_conv *c = (struct mailbox_conv *)pc;
	struct mailbox_room *r = c->room;

	(void)pthread_mutex_lock(&r->lock);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		r->first = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	(void)pthread_mutex_unlock(&r->lock);
	EVENT(EVENT_MAILBOX_SESSION, c->s.id, S(""), c->s.account, EF("what", S("end")),
	    EN("commands", c->s.commands));
	session_end(&c->s);
	fd_t_drop(&c->fresh);
	explicit_bzero(c, sizeof *c);
	c->next = r->spare;
	r->spare = c;
	r->busy_ms = clock_mono_ms();
	if (r->stopping && r->first == NULL)
		loop_stop(r->loop);
}

static const struct pool_ops conv_ops = { .run = run, .end = end };

/* Under the hub's lock, so that s has not ended. */
static void
on_news(void *ctx, struct session *s)
{
	struct mailbox_room *r = ctx;
	struct mailbox_conv *c = s->owner;

	pool_wake(r->pool, &c->pc);
}

/* ---- the loop's thread ---- */

/* Those that live long lie side by side, and not wherever the store's memory left a gap: an idle room
 * gives back whole pages. */
static struct mailbox_conv *
conv_new(struct mailbox_room *r)
{
	struct mailbox_conv *c = r->spare;

	if (c == NULL) {
		struct mailbox_conv *row = ARENA_ARRAY(r->convs, MAILBOX_ROW, struct mailbox_conv);

		PN_ASSERT(row != NULL);
		for (size_t i = 0; i < MAILBOX_ROW; i++) {
			row[i].next = c;
			c = &row[i];
		}
	}
	r->spare = c->next;
	return c;
}

static void
on_join(void *ctx, struct door_mailbox_join *m)
{
	struct mailbox_link *link = ctx;
	struct mailbox_room *r = link->room;
	struct mailbox_conv *c;

	if (m->protocol != DOOR_MAILBOX_PROTOCOL_IMAP || r->stopping) {
		struct door_mailbox_closed no = { .session = m->session };

		(void)door_mailbox_closed_send(link->ch, &no);
		return;
	}
	c = conv_new(r);
	*c = (struct mailbox_conv){ .room = r, .link = link, .generation = link->generation, .fresh = -1,
		.tls = m->tls != DOOR_MAILBOX_TLS_NONE };
	c->s = (struct session){ .id = m->session, .store = r->store, .hub = &r->hub,
		.account = slice_z(r->account), .owner = c };
	c->pc.fd = fd_take(&m->fd);
	stream_init_fd(&c->s.io, c->pc.fd);
	stream_preload(&c->s.io, m->leftover);
	session_begin(&c->s, m->tag);
	(void)pthread_mutex_lock(&r->lock);
	c->next = r->first;
	if (c->next != NULL)
		c->next->prev = c;
	r->first = c;
	(void)pthread_mutex_unlock(&r->lock);
	r->busy_ms = clock_mono_ms();
	r->rested = false;
	EVENT(EVENT_MAILBOX_SESSION, m->session, S(""), slice_z(r->account), EF("what", S("begin")));
	pool_add(r->pool, &c->pc);
}

/* Ends the conversations of a link, or the one with this session. */
static void
dismiss(struct mailbox_room *r, const struct mailbox_link *link, uint64_t session, bool all)
{
	(void)pthread_mutex_lock(&r->lock);
	for (struct mailbox_conv *c = r->first; c != NULL; c = c->next) {
		if ((link != NULL && c->link != link) || (!all && c->s.id != session))
			continue;
		c->gone = true;
		pool_wake(r->pool, &c->pc); /* end() takes the lock: c is there */
	}
	(void)pthread_mutex_unlock(&r->lock);
}

static void
on_gone(void *ctx, struct door_mailbox_gone *m)
{
	struct mailbox_link *link = ctx;

	dismiss(link->room, link, m->session, false);
}

static void
on_resume(void *ctx, struct door_mailbox_resume *m)
{
	struct mailbox_link *link = ctx;
	struct mailbox_room *r = link->room;

	(void)pthread_mutex_lock(&r->lock);
	for (struct mailbox_conv *c = r->first; c != NULL; c = c->next)
		if (c->link == link && c->s.id == m->session && c->away && c->fresh < 0) {
			c->fresh = fd_take(&m->fd);
			pool_wake(r->pool, &c->pc);
			break;
		}
	(void)pthread_mutex_unlock(&r->lock);
}

static const struct door_mailbox_server handlers = { .join = on_join, .gone = on_gone, .resume = on_resume };

static void
link_drop(struct mailbox_link *link)
{
	struct mailbox_room *r = link->room;

	loop_unwatch(r->loop, &link->watch);
	(void)pthread_mutex_lock(&r->lock);
	ipc_channel_free(&link->ch);
	(void)pthread_mutex_unlock(&r->lock);
	dismiss(r, link, 0, true);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct mailbox_link *link = arg;
	enum ipc_status st = IPC_OK;

	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = door_mailbox_server_serve(link->ch, &handlers, link);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && link->room->proc != NULL)
		proc_suspect(link->room->proc, link->ch);
	link_drop(link);
}

static struct mailbox_link *
slot_for(struct mailbox_room *r, const char *instance)
{
	struct mailbox_link *empty = NULL;

	for (size_t i = 0; i < MAILBOX_DOORS; i++) {
		struct mailbox_link *link = &r->doors[i];

		if (link->ch == NULL && empty == NULL)
			empty = link;
		if (link->ch != NULL &&
		    slice_eq(slice_z(ipc_instance(link->ch)), slice_z(instance)))
			return link;
	}
	return empty;
}

static void
introduce_door(struct mailbox_room *r, const char *instance, int fd)
{
	struct mailbox_link *link = slot_for(r, instance);

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
mailbox_introduce(void *room, const char *peer, const char *instance, int fd)
{
	struct mailbox_room *r = room;

	if (slice_eq(slice_z(peer), S("queue")))
		deliver_introduce(r, fd);
	else if (slice_eq(slice_z(peer), S("door")))
		introduce_door(r, instance, fd);
	else
		(void)close(fd);
}

/* Closes the store and gives memory back after a quiet while, and offers to end after a long one. */
static void
on_quiet(void *arg)
{
	struct mailbox_room *r = arg;
	uint64_t turns = __atomic_load_n(&r->turns, __ATOMIC_RELAXED), quiet;

	if (turns != r->turns_seen)
		r->busy_ms = clock_mono_ms();
	r->turns_seen = turns;
	quiet = clock_mono_ms() - r->busy_ms;

	if (quiet >= MAILBOX_REST_MS && !r->rested) {
		for (struct mailbox_conv *c = r->first; c != NULL; c = c->next) /* changed by this thread alone */
			rest(c);
		mailbox_relax(r->store);
		(void)malloc_trim(0);
		r->rested = true;
	}
	if (quiet < MAILBOX_REST_MS)
		r->rested = false;
	if (quiet >= MAILBOX_LEAVE_MS && r->first == NULL && r->proc != NULL) {
		proc_idle(r->proc);
		r->busy_ms = clock_mono_ms(); /* ask again a while later, if it did not want to */
	}
	(void)loop_after(r->loop, MAILBOX_REST_MS, on_quiet, r);
}

void
mailbox_room_init(struct mailbox_room *r, struct proc *p, struct loop *l, uint64_t account,
    unsigned sessions)
{
	/* one by one: the batch's 14 KiB are touched when mail comes */
	r->proc = p;
	r->loop = l;
	r->busy_ms = clock_mono_ms();
	(void)pthread_mutex_init(&r->lock, NULL);
	r->convs = arena_new("conversations", SIZE_MAX); /* door's caps and the hub bound them */
	(void)snprintf(r->account, sizeof r->account, "%llu", (unsigned long long)account);
	hub_init(&r->hub, sessions, on_news, r);
	r->pool = pool_new(l, &conv_ops, MAILBOX_THREADS, MAILBOX_STACK);
	loop_on_idle(l, deliver_round, r);
	(void)loop_after(l, MAILBOX_REST_MS, on_quiet, r);
}

void
mailbox_stop(void *room)
{
	struct mailbox_room *r = room;

	r->stopping = true;
	deliver_flush(r);
	deliver_drop(r);
	dismiss(r, NULL, 0, true);
	if (r->first == NULL)
		loop_stop(r->loop);
}
