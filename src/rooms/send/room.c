/* SPDX-License-Identifier: MIT
 * The channel from queue, and the life of jobs: each is copied into an arena of its own, waits for a thread, is done, and
 * answered. When queue was restarted in between, nobody waits for the answer: it asks again, and what was delivered
 * meanwhile comes twice, never not at all. */
#include <poll.h>

#include "rooms/send/send.h"

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"

#define TURN 64		 /* frames of queue before others get their turn */
#define EXPIRE_MS 1000u
#define DNS_MS 12000u	 /* for one question; a little more than dns needs to give up */

/* ---- a job, in its thread ----------------------------------------------------------------------- */

/* queue has died, or let go of the channel: warden brings a new one, and the loop finds out by itself. */
static bool
queue_is_gone(const struct send_house *h)
{
	struct pollfd p = { .fd = ipc_fd(h->queue), .events = POLLIN };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

/* A lost answer would leave its mail waiting for ever, since queue lets conversations last as long as they need. The
 * room ends instead, both get a new channel, and queue asks again for all that was under way. */
static void
answer(struct job *j)
{
	struct send_house *h = j->house;

	(void)pthread_mutex_lock(&h->lock);
	if (h->queue != NULL && h->queue_generation == j->generation)
		PN_ASSERT(queue_send_relay_answer(&j->call, &j->answer) || queue_is_gone(h));
	else
		(void)ipc_refuse(&j->call); /* the old channel goes with its last open call */
	(void)pthread_mutex_unlock(&h->lock);
}

static enum pool_next
run(struct pool_conv *pc, enum pool_why why)
{
	struct job *j = (struct job *)pc;

	(void)why;
	relay_job(j);
	answer(j);
	return POOL_END;
}

static void
end(struct pool_conv *pc)
{
	struct job *j = (struct job *)pc;
	struct send_house *h = j->house;
	struct arena *a = j->arena;

	fd_t_drop(&j->fd);
	arena_free(&a);
	h->n_jobs--;
	if (h->stopping && h->n_jobs == 0)
		loop_stop(h->loop);
}

static const struct pool_ops job_ops = { .run = run, .end = end };

/* ---- the loop's thread -------------------------------------------------------------------------- */

static bool
copy_rcpts(struct job *j, const struct queue_send_relay *m)
{
	j->m.rcpts = ARENA_ARRAY(j->arena, m->n_rcpts, struct queue_send_rcpt);
	if (j->m.rcpts == NULL)
		return false;
	for (size_t i = 0; i < m->n_rcpts; i++) {
		j->m.rcpts[i] = m->rcpts[i];
		if (!arena_copy(j->arena, m->rcpts[i].address, &j->m.rcpts[i].address) ||
		    !arena_copy(j->arena, m->rcpts[i].orcpt, &j->m.rcpts[i].orcpt))
			return false;
	}
	return true;
}

static void
on_relay(void *ctx, struct ipc_call *call, struct queue_send_relay *m)
{
	struct send_house *h = ctx;
	own(arena_p) a = arena_new("job", LIMIT_ARENA_MESSAGE);
	struct job *j = ARENA_NEW(a, struct job);

	PN_ASSERT(j != NULL);
	j->house = h;
	j->arena = a;
	j->m = *m;
	j->call = *call;
	j->generation = h->queue_generation;
	j->fd = -1;
	j->pc.fd = -1;
	if (h->stopping || h->n_jobs >= SEND_JOBS || !arena_copy(a, m->queue_id, &j->m.queue_id) ||
	    !arena_copy(a, m->sender, &j->m.sender) || !arena_copy(a, m->envid, &j->m.envid) ||
	    !arena_copy(a, m->destination, &j->m.destination) || !copy_rcpts(j, m)) {
		/* no results: queue puts off every recipient, and asks more slowly */
		(void)queue_send_relay_answer(call,
		    &(struct queue_send_relay_answer){ .destination = QUEUE_SEND_DESTINATION_BUSY });
		return;
	}
	j->fd = fd_take(&m->fd);
	h->n_jobs++;
	pool_add(h->pool, &j->pc);
	a = NULL; /* the job's own from here on: end() frees it */
}

static const struct queue_send_server handlers = { .relay = on_relay };

static void
drop_queue(struct send_house *h)
{
	loop_unwatch(h->loop, &h->queue_watch);
	(void)pthread_mutex_lock(&h->lock);
	ipc_channel_free(&h->queue);
	h->queue_generation++;
	(void)pthread_mutex_unlock(&h->lock);
}

static void
from_queue(void *arg, unsigned ready)
{
	struct send_house *h = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = queue_send_server_serve(h->queue, &handlers, h);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && h->proc != NULL)
		proc_suspect(h->proc, h->queue);
	drop_queue(h);
}

void
send_introduce(void *house, const char *peer, const char *instance, int fd)
{
	struct send_house *h = house;

	(void)instance;
	if (slice_eq(slice_z(peer), S("dns"))) {
		resolve_room_connect(&h->dns, fd);
	} else if (slice_eq(slice_z(peer), S("fetch"))) {
		sts_source_connect(&h->sts, fd);
	} else if (slice_eq(slice_z(peer), S("warden"))) {
		dialer_connect(&h->dialer, fd);
	} else if (slice_eq(slice_z(peer), S("queue"))) {
		drop_queue(h);
		(void)pthread_mutex_lock(&h->lock);
		h->queue = ipc_channel_new(fd, "queue", "");
		(void)pthread_mutex_unlock(&h->lock);
		ipc_set_nonblocking(h->queue, true);
		h->queue_watch = loop_watch(h->loop, fd, LOOP_READ, from_queue, h);
	} else {
		(void)close(fd);
	}
}

static struct resolver
ask_room(struct send_house *h, struct resolve_asker *asker)
{
	(void)h;
	return resolve_via_room(asker);
}

static void
tick(void *arg)
{
	struct send_house *h = arg;

	lines_expire(h, h->stopping);
	(void)loop_after(h->loop, EXPIRE_MS, tick, h);
}

void
send_room_init(struct send_house *h, struct proc *p, struct loop *l, struct send_conf *conf, struct stscache *cache,
    struct relaycap *caps)
{
	*h = (struct send_house){ .proc = p, .loop = l, .conf = conf, .roots_fd = -1 };
	(void)pthread_mutex_init(&h->lock, NULL);
	h->random = (uint64_t)clock_wall_us();
	resolve_room_init(&h->dns, DNS_MS);
	h->resolver = ask_room;
	sts_source_init(&h->sts, cache);
	dialer_init(&h->dialer, l);
	cap_load(h, caps);
	h->tls = tls_client_new();
	h->pool = pool_new(l, &job_ops, SEND_THREADS, SEND_STACK);
	(void)loop_after(l, EXPIRE_MS, tick, h);
}

void
send_stop(void *house)
{
	struct send_house *h = house;

	h->stopping = true;
	lines_expire(h, true);
	if (h->n_jobs == 0)
		loop_stop(h->loop);
}
