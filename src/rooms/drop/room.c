/* SPDX-License-Identifier: MIT
 * Connections: who is there, whether he has his share already, and the end. */
#include "rooms/drop/drop.h"

#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "lib/clock/clock.h"

/* ---- what a message asks: the stubs, bound to this room's channels ---- */

static enum ipc_status
ask_rcpt(void *ctx, const struct smtp_auth_rcpt *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_rcpt_answer *out)
{
	return smtp_auth_rcpt(((struct drop_room *)ctx)->auth, in, deadline_ms, a, out);
}

static enum ipc_status
ask_judge(void *ctx, const struct smtp_scan_judge *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_scan_judge_answer *out)
{
	return smtp_scan_judge(((struct drop_room *)ctx)->scan, in, deadline_ms, a, out);
}

static enum ipc_status
ask_accept(void *ctx, const struct smtp_queue_accept *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_queue_accept_answer *out)
{
	return smtp_queue_accept(((struct drop_room *)ctx)->queue, in, deadline_ms, a, out);
}

/* ---- conversations ---- */

static enum pool_next
run(struct pool_conv *pc, enum pool_why why)
{
	struct drop_conv *c = (struct drop_conv *)pc;

	(void)why;
	if (c->watches[0] != '\0')
		return drop_watched(c) && stream_idle(&c->stream) ? POOL_PARK : POOL_END;
	if (c->http)
		drop_http(c);
	else
		drop_talk(c);
	return POOL_END;
}

static void
end(struct pool_conv *pc)
{
	struct drop_conv *c = (struct drop_conv *)pc;
	struct drop_room *r = c->room;
	struct arena *a = c->arena;

	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		r->first = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	stream_close(&c->stream);
	buf_free(&c->line);
	arena_free(&a);
	if (r->stopping && r->first == NULL)
		loop_stop(r->loop);
}

static const struct pool_ops conv_ops = { .run = run, .end = end };

/* Not one event for each: whoever connects ten thousand times fills no log. */
static void
too_many(struct drop_room *r, int fd, uint32_t uid, bool http)
{
	struct slice busy = http ? S("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n"
		"Retry-After: 60\r\n\r\n") : S("421 4.7.0 too many at once, try later\n");
	uint64_t now = clock_mono_ms();

	(void)send(fd, busy.p, busy.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(fd);
	r->untold++;
	if (now - r->told_ms < 1000)
		return;
	EVENT(EVENT_CONN_REFUSED, 0, S(""), S(""), EF("listener", http ? S("drop http") : S("drop")),
	    EN("uid", uid), EN("count", r->untold));
	r->told_ms = now;
	r->untold = 0;
}

/* Into the room. */
static struct drop_conv *
begin(struct drop_room *r, int fd)
{
	struct arena *a = arena_new("conversation", sizeof(struct drop_conv) + 16);
	struct drop_conv *c = ARENA_NEW(a, struct drop_conv);

	PN_ASSERT(c != NULL);
	*c = (struct drop_conv){ .room = r, .arena = a, .pc = { .fd = fd },
		.until_ms = clock_mono_ms() + DROP_TOTAL_MS, .next = r->first };
	PN_ASSERT(getrandom(&c->session, sizeof c->session, 0) == (ssize_t)sizeof c->session);
	buf_init(&c->line, DROP_LINE);
	stream_init_fd(&c->stream, fd);
	if (c->next != NULL)
		c->next->prev = c;
	r->first = c;
	return c;
}

void
drop_take_watch(struct drop_room *r, int fd, const char *program)
{
	struct drop_conv *c = begin(r, fd);

	c->until_ms = UINT64_MAX;
	(void)snprintf(c->watches, sizeof c->watches, "%s", program);
	pool_add(r->pool, &c->pc);
}

void
drop_take(struct drop_room *r, int fd, uint32_t uid, bool http)
{
	unsigned all = 0, same = 0;
	struct drop_conv *c;

	for (c = r->first; c != NULL; c = c->next) {
		if (c->watches[0] != '\0') /* warden's own, one for each table */
			continue;
		all++;
		same += http ? c->http : !c->http && c->uid == uid;
	}
	if (r->stopping || all >= DROP_CONNECTIONS || same >= (http ? DROP_HTTP_SHARE : DROP_PER_UID)) {
		too_many(r, fd, uid, http);
		return;
	}
	c = begin(r, fd);
	c->uid = uid;
	c->http = http;
	pool_add(r->pool, &c->pc);
}

static void
on_listener(void *arg, unsigned ready)
{
	struct drop_room *r = arg;

	(void)ready;
	for (int i = 0; i < 64; i++) {
		struct ucred peer;
		socklen_t n = sizeof peer;
		int fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && n == sizeof peer)
			drop_take(r, fd, peer.uid, false);
		else
			(void)close(fd);
	}
}

void
drop_listen(struct drop_room *r, int fd)
{
	r->listener = fd;
	r->watch = loop_watch(r->loop, fd, LOOP_READ, on_listener, r);
}

static void
on_http(void *arg, unsigned ready)
{
	struct drop_room *r = arg;

	(void)ready;
	for (int i = 0; i < 64; i++) {
		int fd = accept4(r->http_listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		drop_take(r, fd, 0, true);
	}
}

void
drop_listen_http(struct drop_room *r, int fd)
{
	r->http_listener = fd;
	r->http_watch = loop_watch(r->loop, fd, LOOP_READ, on_http, r);
}

/* ---- what was counted, over a restart ---- */

static void
put(void *ctx, uint64_t key, uint64_t until)
{
	struct rate_slot s = { key, until };

	rate_put(ctx, &s, (uint64_t)clock_wall_us());
}

static void
keep(struct drop_room *r)
{
	uint64_t now = (uint64_t)clock_wall_us();

	(void)pthread_mutex_lock(&r->lock);
	if (r->rates.changed) {
		app_rates_begin(r->apps);
		for (size_t i = 0; i < RATE_SETS; i++)
			for (size_t k = 0; k < RATE_WAYS; k++)
				if (r->rates.slot[i][k].until > now)
					app_rates_add(r->apps, r->rates.slot[i][k].key, r->rates.slot[i][k].until);
		/* what cannot be written stays for the next time */
		r->rates.changed = app_rates_commit(r->apps) != STORE_OK;
	}
	(void)pthread_mutex_unlock(&r->lock);
}

static void
keep_again(void *arg)
{
	struct drop_room *r = arg;

	keep(r);
	r->keep = loop_after(r->loop, DROP_KEEP_MS, keep_again, r);
}

/* ---- peers ---- */

void
drop_introduce(void *room, const char *peer, const char *instance, int fd)
{
	struct drop_room *r = room;

	if (slice_eq(slice_z(peer), S("auth")))
		ipc_client_connect(r->auth, fd);
	else if (slice_eq(slice_z(peer), S("scan")))
		ipc_client_connect(r->scan, fd);
	else if (slice_eq(slice_z(peer), S("queue")))
		ipc_client_connect(r->queue, fd);
	else if (slice_eq(slice_z(peer), S("cli")))
		drop_admin_introduce(r, fd);
	else if (slice_eq(slice_z(peer), S("watch")) && !r->stopping)
		drop_take_watch(r, fd, instance);
	else
		(void)close(fd);
}

void
drop_room_init(struct drop_room *r, struct proc *p, struct loop *l, struct apps *apps)
{
	*r = (struct drop_room){ .proc = p, .loop = l, .apps = apps, .listener = -1, .http_listener = -1 };
	(void)pthread_mutex_init(&r->lock, NULL);
	r->auth = ipc_client_new("auth");
	r->scan = ipc_client_new("scan");
	r->queue = ipc_client_new("queue");
	r->back = (struct drop_backend){ ask_rcpt, ask_judge, ask_accept, r };
	r->pool = pool_new(l, &conv_ops, DROP_THREADS, DROP_STACK);
	(void)app_rates_load(apps, put, &r->rates);
	r->rates.changed = false;
	r->keep = loop_after(l, DROP_KEEP_MS, keep_again, r);
}

/* What is under way ends with its program told to come back: no part of it is accepted yet, or queue has
 * it already. */
void
drop_stop(void *room)
{
	struct drop_room *r = room;

	r->stopping = true;
	loop_unwatch(r->loop, &r->watch);
	loop_unwatch(r->loop, &r->http_watch);
	fd_t_drop(&r->listener);
	fd_t_drop(&r->http_listener);
	loop_cancel(r->loop, &r->keep);
	keep(r);
	drop_admins_end(r);
	for (struct drop_conv *c = r->first; c != NULL; c = c->next)
		(void)shutdown(c->pc.fd, SHUT_RD);
	if (r->first == NULL)
		loop_stop(r->loop);
}
