/* SPDX-License-Identifier: MIT */
#include "lib/proc/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/panic.h"
#include "lib/clock/clock.h"

#define WAKE_TRIES 1000u

struct loop_watch {
	struct loop_watch *next; /* dead or spare */
	int fd;
	bool once, dead;
	loop_handler *handler;
	void *arg;
};

/* Watches of parked connections live long: side by side they do not hold pages that others could give
 * back. */
#define ROW 64u
struct row {
	struct row *next;
	struct loop_watch watches[ROW];
};

struct loop_timer {
	struct loop_timer *next;
	uint64_t at;
	loop_timeout *timeout;
	void *arg;
};

struct post {
	struct post *next;
	loop_timeout *handler;
	void *arg;
};

struct loop {
	int epoll, wake;
	bool stop;
	struct loop_timer *timers; /* soonest first */
	struct loop_timer *idle;   /* to be used again, where they are */
	struct loop_watch *dead;   /* spare after the round in which they died */
	loop_timeout *on_idle;
	void *idle_arg;
	pthread_mutex_t lock; /* of what follows */
	struct loop_watch *spare;
	struct row *rows;
	struct post *posts, **last_post;
};

static uint32_t
epoll_events(unsigned want, bool once)
{
	return ((want & LOOP_READ) != 0 ? (uint32_t)EPOLLIN | (uint32_t)EPOLLRDHUP : 0) |
	    ((want & LOOP_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0) | (once ? (uint32_t)EPOLLONESHOT : 0);
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof *l);
	struct epoll_event e = { .events = EPOLLIN };

	PN_ASSERT(l != NULL);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->last_post = &l->posts;
	(void)pthread_mutex_init(&l->lock, NULL);
	PN_ASSERT(l->epoll >= 0 && l->wake >= 0);
	PN_ASSERT(epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &e) == 0);
	return l;
}

static void
bury(struct loop *l)
{
	if (l->dead == NULL)
		return;
	(void)pthread_mutex_lock(&l->lock);
	while (l->dead != NULL) {
		struct loop_watch *w = l->dead;

		l->dead = w->next;
		w->next = l->spare;
		l->spare = w;
	}
	(void)pthread_mutex_unlock(&l->lock);
}

static struct loop_watch *
spare_watch(struct loop *l)
{
	struct loop_watch *w;

	(void)pthread_mutex_lock(&l->lock);
	if (l->spare == NULL) {
		struct row *row = calloc(1, sizeof *row);

		PN_ASSERT(row != NULL);
		row->next = l->rows;
		l->rows = row;
		for (size_t i = ROW; i > 0; i--) {
			row->watches[i - 1].next = l->spare;
			l->spare = &row->watches[i - 1];
		}
	}
	w = l->spare;
	l->spare = w->next;
	(void)pthread_mutex_unlock(&l->lock);
	return w;
}

static void
run_posts(struct loop *l)
{
	struct post *jobs;
	uint64_t count;

	(void)!read(l->wake, &count, sizeof count);
	(void)pthread_mutex_lock(&l->lock);
	jobs = l->posts;
	l->posts = NULL;
	l->last_post = &l->posts;
	(void)pthread_mutex_unlock(&l->lock);
	while (jobs != NULL) {
		struct post *job = jobs;

		jobs = job->next;
		job->handler(job->arg);
		free(job);
	}
}

static void
free_timers(struct loop_timer *t)
{
	while (t != NULL) {
		struct loop_timer *next = t->next;

		free(t);
		t = next;
	}
}

void
loop_free(struct loop **l)
{
	struct loop *dead = *l;

	*l = NULL;
	if (dead == NULL)
		return;
	bury(dead);
	free_timers(dead->timers);
	free_timers(dead->idle);
	run_posts(dead);
	while (dead->rows != NULL) {
		struct row *row = dead->rows;

		dead->rows = row->next;
		free(row);
	}
	(void)pthread_mutex_destroy(&dead->lock);
	(void)close(dead->epoll);
	(void)close(dead->wake);
	free(dead);
}

static struct loop_watch *
watch(struct loop *l, int fd, unsigned want, loop_handler *handler, void *arg, bool once)
{
	struct loop_watch *w = spare_watch(l);
	struct epoll_event e = { .events = epoll_events(want, once), .data.ptr = w };

	*w = (struct loop_watch){ .fd = fd, .once = once, .handler = handler, .arg = arg };
	PN_ASSERT(epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) == 0);
	return w;
}

struct loop_watch *
loop_watch(struct loop *l, int fd, unsigned want, loop_handler *handler, void *arg)
{
	return watch(l, fd, want, handler, arg, false);
}

struct loop_watch *
loop_watch_once(struct loop *l, int fd, unsigned want, loop_handler *handler, void *arg)
{
	return watch(l, fd, want, handler, arg, true);
}

void
loop_want(struct loop *l, struct loop_watch *w, unsigned want)
{
	struct epoll_event e = { .events = epoll_events(want, w->once), .data.ptr = w };

	PN_ASSERT(epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &e) == 0);
}

void
loop_watch_again(struct loop *l, struct loop_watch *w, unsigned want)
{
	loop_want(l, w, want);
}

void
loop_unwatch(struct loop *l, struct loop_watch **w)
{
	struct loop_watch *gone = *w;

	*w = NULL;
	if (gone == NULL)
		return;
	(void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, gone->fd, NULL);
	gone->dead = true;
	gone->next = l->dead;
	l->dead = gone;
}

struct loop_timer *
loop_after(struct loop *l, uint64_t ms, loop_timeout *timeout, void *arg)
{
	struct loop_timer *t = l->idle, **at = &l->timers;

	if (t == NULL)
		t = calloc(1, sizeof *t);
	else
		l->idle = t->next;
	PN_ASSERT(t != NULL);
	*t = (struct loop_timer){ .at = clock_mono_ms() + ms, .timeout = timeout, .arg = arg };
	while (*at != NULL && (*at)->at <= t->at)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
	return t;
}

void
loop_cancel(struct loop *l, struct loop_timer **t)
{
	struct loop_timer *gone = *t;

	*t = NULL;
	for (struct loop_timer **at = &l->timers; gone != NULL && *at != NULL; at = &(*at)->next)
		if (*at == gone) {
			*at = gone->next;
			gone->next = l->idle;
			l->idle = gone;
			return;
		}
}

/* Whoever posted relies on it: a wake that is lost is a handler that never runs. When the counter is full (EAGAIN), the
 * loop wakes anyway. */
static void
wake(struct loop *l)
{
	uint64_t one = 1;

	for (unsigned tries = 0; write(l->wake, &one, sizeof one) < 0 && errno != EAGAIN; tries++)
		PN_ASSERT(tries < WAKE_TRIES);
}

void
loop_post(struct loop *l, loop_timeout *handler, void *arg)
{
	struct post *job = calloc(1, sizeof *job);

	PN_ASSERT(job != NULL);
	*job = (struct post){ .handler = handler, .arg = arg };
	(void)pthread_mutex_lock(&l->lock);
	*l->last_post = job;
	l->last_post = &job->next;
	(void)pthread_mutex_unlock(&l->lock);
	wake(l);
}

void
loop_on_idle(struct loop *l, loop_timeout *handler, void *arg)
{
	l->on_idle = handler;
	l->idle_arg = arg;
}

static void
run_timers(struct loop *l)
{
	uint64_t now = clock_mono_ms();

	while (l->timers != NULL && l->timers->at <= now) {
		struct loop_timer *t = l->timers;

		struct loop_timer now_due = *t;

		l->timers = t->next;
		t->next = l->idle; /* before the call, which mostly arms it again */
		l->idle = t;
		now_due.timeout(now_due.arg);
	}
}

static int
wait_ms(const struct loop *l, int most)
{
	uint64_t now = clock_mono_ms(), left;

	if (l->timers == NULL)
		return most;
	left = l->timers->at <= now ? 0 : l->timers->at - now;
	if (left > 60000)
		left = 60000;
	return most >= 0 && (uint64_t)most < left ? most : (int)left;
}

static unsigned
ready_of(uint32_t events)
{
	return ((events & ((uint32_t)EPOLLIN | (uint32_t)EPOLLRDHUP)) != 0 ? LOOP_READ : 0) |
	    ((events & (uint32_t)EPOLLOUT) != 0 ? LOOP_WRITE : 0) |
	    ((events & ((uint32_t)EPOLLHUP | (uint32_t)EPOLLERR)) != 0 ? LOOP_HUP | LOOP_READ : 0);
}

void
loop_once(struct loop *l, int ms)
{
	struct epoll_event events[64];
	int n = epoll_wait(l->epoll, events, 64, wait_ms(l, ms));

	PN_ASSERT(n >= 0 || errno == EINTR);
	for (int i = 0; i < n; i++) {
		struct loop_watch *w = events[i].data.ptr;

		if (w == NULL)
			run_posts(l);
		else if (!w->dead)
			w->handler(w->arg, ready_of(events[i].events));
	}
	bury(l);
	run_timers(l);
	if (l->on_idle != NULL)
		l->on_idle(l->idle_arg);
	bury(l);
}

void
loop_run(struct loop *l)
{
	l->stop = false;
	while (!l->stop)
		loop_once(l, -1);
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
}
