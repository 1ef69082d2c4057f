/* SPDX-License-Identifier: MIT
 * Idle workers lie on a stack, the last one on top: its memory is warm, and those below go home. A
 * conversation that has something to do is given to the one on top, who then runs it without taking the lock;
 * when nobody is idle it waits in the queue. */
#include "lib/proc/pool.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/panic.h"
#include "lib/clock/clock.h"

enum { QUEUED, RUNNING, PARKED };

struct worker {
	struct pool *pool;
	pthread_t thread;
	struct worker *below;		    /* of the idle ones */
	_Atomic(struct pool_conv *) given;  /* set before the post; NULL: go */
	sem_t wake;
};

struct pool {
	struct loop *loop;
	const struct pool_ops *ops;
	unsigned max_threads, threads, size;
	unsigned unburied; /* threads that were made and not joined yet */
	bool over;
	pthread_attr_t attr;
	pthread_mutex_t lock;
	struct worker *idle;
	struct pool_conv *first, **last; /* queued */
	struct pool_conv parked;	 /* ring: prev_parked, next_parked */
	struct pool_conv naps;		 /* another ring: those that no input wakes */
	bool nap_timer;
	struct loop_timer *timer;
};

static void
unpark(struct pool_conv *c)
{
	c->prev_parked->next_parked = c->next_parked;
	c->next_parked->prev_parked = c->prev_parked;
}

/* Under the lock: c goes to a worker, with what woke it so far. What comes later has it run once more. */
static void
begin(struct pool_conv *c)
{
	c->state = RUNNING;
	c->why = c->timed_out ? POOL_DEADLINE : c->woken ? POOL_WOKEN : POOL_INPUT;
	c->woken = c->timed_out = false;
}

static void *worker(void *arg);

/* Under the lock: one more worker, if the machine has it. */
static bool
hire(struct pool *p)
{
	struct worker *w = calloc(1, sizeof *w);

	if (w == NULL)
		return false;
	w->pool = p;
	(void)sem_init(&w->wake, 0, 0);
	if (pthread_create(&w->thread, &p->attr, worker, w) != 0) {
		free(w);
		return false;
	}
	p->threads++;
	p->unburied++;
	return true;
}

/* Under the lock: c has something to do. */
static void
enqueue(struct pool *p, struct pool_conv *c)
{
	struct worker *w = p->idle;

	if (w != NULL) {
		p->idle = w->below;
		begin(c);
		w->given = c;
		(void)sem_post(&w->wake);
		return;
	}
	c->state = QUEUED;
	c->next = NULL;
	*p->last = c;
	p->last = &c->next;
	if (p->threads == p->max_threads || !hire(p))
		PN_ASSERT(p->threads > 0); /* a running worker comes back for it */
}

static struct pool_conv *
dequeue(struct pool *p)
{
	struct pool_conv *c = p->first;

	if (c == NULL)
		return NULL;
	p->first = c->next;
	if (p->first == NULL)
		p->last = &p->first;
	begin(c);
	return c;
}

/* Waits for work with the lock held, which it gives up: a conversation, without the lock; or NULL, with it,
 * after POOL_IDLE_MS or at the end of the pool, when the thread may go. */
static struct pool_conv *
wait_for_work(struct pool *p, struct worker *me)
{
	uint64_t at = clock_mono_ms() + POOL_IDLE_MS;
	struct timespec t = { .tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000 };
	int rc;

	if (p->over)
		return NULL;
	me->given = NULL;
	me->below = p->idle;
	p->idle = me;
	(void)pthread_mutex_unlock(&p->lock);
	do
		rc = sem_clockwait(&me->wake, CLOCK_MONOTONIC, &t);
	while (rc != 0 && errno == EINTR);
	if (rc == 0 && me->given != NULL)
		return me->given;
	(void)pthread_mutex_lock(&p->lock);
	if (rc == 0)
		return NULL; /* the pool is over */
	for (struct worker **w = &p->idle; *w != NULL; w = &(*w)->below)
		if (*w == me) {
			*w = me->below;
			return NULL;
		}
	if (me->given == NULL)
		return NULL;
	(void)pthread_mutex_unlock(&p->lock);
	(void)sem_wait(&me->wake); /* given in the last moment: the post is there */
	return me->given;
}

/* The loop saw input (or the end) of a parked conversation. */
static void
on_ready(void *arg, unsigned ready)
{
	struct pool_conv *c = arg;
	struct pool *p = c->pool;

	(void)ready;
	(void)pthread_mutex_lock(&p->lock);
	if (c->state == PARKED) {
		unpark(c);
		enqueue(p, c);
	}
	/* otherwise the deadline or a wake was first; park() will arm the watch again */
	(void)pthread_mutex_unlock(&p->lock);
}

static void naps(void *arg);

static void
put_behind(struct pool_conv *ring, struct pool_conv *c)
{
	c->prev_parked = ring->prev_parked;
	c->next_parked = ring;
	c->prev_parked->next_parked = c;
	ring->prev_parked = c;
}

/* Under the lock, which on_ready() takes too: the loop may see input at once. */
static void
park(struct pool *p, struct pool_conv *c)
{
	c->state = PARKED;
	if (c->nap) {
		put_behind(&p->naps, c);
		if (!p->nap_timer)
			loop_post(p->loop, naps, p);
		p->nap_timer = true;
		return;
	}
	put_behind(&p->parked, c);
	if (c->fd < 0)
		return;
	if (c->watch == NULL)
		c->watch = loop_watch_once(p->loop, c->fd, LOOP_READ, on_ready, c);
	else
		loop_watch_again(p->loop, c->watch, LOOP_READ);
}

/* In the loop's thread, so that no handler can still hold the conversation. */
static void
end(void *arg)
{
	struct pool_conv *c = arg;
	struct pool *p = c->pool;

	(void)pthread_mutex_lock(&p->lock);
	p->size--;
	(void)pthread_mutex_unlock(&p->lock);
	loop_unwatch(p->loop, &c->watch);
	p->ops->end(c);
}

/* One turn of one conversation that is RUNNING: nobody else touches it but pool_wake(). Called without the
 * lock, returns with it. */
static void
turn(struct pool *p, struct pool_conv *c)
{
	enum pool_next next = p->ops->run(c, c->why);

	if (next == POOL_END && p->ops->ends_in_worker)
		p->ops->end(c);
	else if (next == POOL_END)
		loop_post(p->loop, end, c);
	(void)pthread_mutex_lock(&p->lock);
	if (next == POOL_END) { /* gone already, perhaps */
		p->size -= p->ops->ends_in_worker;
		return;
	}
	if (c->woken)
		enqueue(p, c);
	else
		park(p, c);
}

/* In the loop's thread: a stack is given back only after its thread has ended. */
static void
bury(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;

	(void)pthread_join(w->thread, NULL);
	(void)sem_destroy(&w->wake);
	free(w);
	(void)pthread_mutex_lock(&p->lock);
	p->unburied--;
	(void)pthread_mutex_unlock(&p->lock);
}

static void *
worker(void *arg)
{
	struct worker *me = arg;
	struct pool *p = me->pool;
	struct pool_conv *c;

	(void)pthread_mutex_lock(&p->lock);
	for (;;) {
		c = dequeue(p);
		if (c != NULL)
			(void)pthread_mutex_unlock(&p->lock);
		else if ((c = wait_for_work(p, me)) == NULL)
			break;
		turn(p, c);
	}
	p->threads--;
	(void)pthread_mutex_unlock(&p->lock);
	loop_post(p->loop, bury, me);
	return NULL;
}

/* Those of the ring whose deadline passed have their turn. Under the lock. */
static void
wake_late(struct pool *p, struct pool_conv *ring)
{
	uint64_t now = clock_mono_ms();

	for (struct pool_conv *c = ring->next_parked, *after; c != ring; c = after) {
		after = c->next_parked;
		if (c->deadline_ms == 0 || c->deadline_ms > now)
			continue;
		unpark(c);
		c->timed_out = true;
		enqueue(p, c);
	}
}

/* Once a second: parked conversations. */
static void
deadlines(void *arg)
{
	struct pool *p = arg;

	(void)pthread_mutex_lock(&p->lock);
	wake_late(p, &p->parked);
	(void)pthread_mutex_unlock(&p->lock);
	p->timer = loop_after(p->loop, 1000, deadlines, p);
}

/* Twenty times a second, while somebody naps. */
static void
naps(void *arg)
{
	struct pool *p = arg;

	(void)pthread_mutex_lock(&p->lock);
	wake_late(p, &p->naps);
	p->nap_timer = p->naps.next_parked != &p->naps;
	if (p->nap_timer)
		(void)loop_after(p->loop, 50, naps, p);
	(void)pthread_mutex_unlock(&p->lock);
}

struct pool *
pool_new(struct loop *l, const struct pool_ops *ops, unsigned max_threads, size_t stack_bytes)
{
	struct pool *p = calloc(1, sizeof *p);

	PN_ASSERT(p != NULL);
	p->loop = l;
	p->ops = ops;
	p->max_threads = max_threads;
	p->last = &p->first;
	p->parked.prev_parked = p->parked.next_parked = &p->parked;
	p->naps.prev_parked = p->naps.next_parked = &p->naps;
	(void)pthread_attr_init(&p->attr);
	PN_ASSERT(pthread_attr_setstacksize(&p->attr, stack_bytes) == 0);
	(void)pthread_mutex_init(&p->lock, NULL);
	p->timer = loop_after(l, 1000, deadlines, p);
	return p;
}

/* Timers and posts of the pool are gone when its last thread is: naps() finds nobody and is not armed again. */
void
pool_free(struct pool **pool)
{
	struct pool *p = *pool;
	bool done = false;

	*pool = NULL;
	if (p == NULL)
		return;
	(void)pthread_mutex_lock(&p->lock);
	PN_ASSERT(p->size == 0);
	p->over = true;
	for (; p->idle != NULL; p->idle = p->idle->below)
		(void)sem_post(&p->idle->wake);
	(void)pthread_mutex_unlock(&p->lock);
	while (!done) {
		(void)pthread_mutex_lock(&p->lock);
		done = p->unburied == 0 && !p->nap_timer;
		(void)pthread_mutex_unlock(&p->lock);
		if (!done)
			loop_once(p->loop, 20);
	}
	loop_cancel(p->loop, &p->timer);
	(void)pthread_mutex_destroy(&p->lock);
	(void)pthread_attr_destroy(&p->attr);
	free(p);
}

void
pool_add(struct pool *p, struct pool_conv *c)
{
	c->pool = p;
	(void)pthread_mutex_lock(&p->lock);
	p->size++;
	enqueue(p, c);
	(void)pthread_mutex_unlock(&p->lock);
}

void
pool_wake(struct pool *p, struct pool_conv *c)
{
	(void)pthread_mutex_lock(&p->lock);
	c->woken = true;
	if (c->state == PARKED) {
		unpark(c);
		enqueue(p, c);
	}
	(void)pthread_mutex_unlock(&p->lock);
}

bool
pool_hold(struct pool *p, struct pool_conv *c)
{
	bool parked;

	(void)pthread_mutex_lock(&p->lock);
	parked = c->state == PARKED && !c->nap;
	if (parked) {
		unpark(c);
		begin(c);
	}
	(void)pthread_mutex_unlock(&p->lock);
	if (parked)
		loop_unwatch(p->loop, &c->watch);
	return parked;
}

void
pool_put_back(struct pool *p, struct pool_conv *c)
{
	(void)pthread_mutex_lock(&p->lock);
	if (c->woken)
		enqueue(p, c);
	else
		park(p, c);
	(void)pthread_mutex_unlock(&p->lock);
}

unsigned
pool_size(struct pool *p)
{
	unsigned n;

	(void)pthread_mutex_lock(&p->lock);
	n = p->size;
	(void)pthread_mutex_unlock(&p->lock);
	return n;
}

unsigned
pool_threads(struct pool *p)
{
	unsigned n;

	(void)pthread_mutex_lock(&p->lock);
	n = p->threads;
	(void)pthread_mutex_unlock(&p->lock);
	return n;
}
