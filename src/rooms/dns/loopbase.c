/* SPDX-License-Identifier: MIT
 * libunbound runs its state machines on whatever event base it is given: here on the room's own loop,
 * so that there is one thread, and nothing of libevent at work. Semantics are libevent's: an event
 * without UB_EV_PERSIST ends with its call; the time-out of a persistent one starts anew with each. */
#include <stdlib.h>
#include <sys/time.h>

#include "rooms/dns/dns.h"

struct base {
	struct ub_event_base head;
	struct loop *loop;
};

struct event {
	struct ub_event head;
	struct loop *loop;
	int fd;
	short bits;
	void (*call)(int fd, short bits, void *arg);
	void *arg;
	struct loop_watch *watch;
	struct loop_timer *timer;
	uint64_t ms; /* of the time-out */
	bool timed;
};

static void
quiet(struct event *e)
{
	loop_unwatch(e->loop, &e->watch);
	if (e->timer != NULL)
		loop_cancel(e->loop, &e->timer);
	e->timer = NULL;
}

static void on_timeout(void *arg);

static void
arm(struct event *e)
{
	if (e->timed)
		e->timer = loop_after(e->loop, e->ms, on_timeout, e);
}

/* The call may free the event: nothing of it is touched afterwards. */
static void
fire(struct event *e, short what)
{
	if ((e->bits & UB_EV_PERSIST) == 0) {
		quiet(e);
	} else if (e->timed) {
		if (e->timer != NULL)
			loop_cancel(e->loop, &e->timer);
		arm(e);
	}
	e->call(e->fd, what, e->arg);
}

static void
on_timeout(void *arg)
{
	struct event *e = arg;

	e->timer = NULL;
	fire(e, UB_EV_TIMEOUT);
}

static void
on_ready(void *arg, unsigned ready)
{
	struct event *e = arg;
	short what = 0;

	if ((ready & (LOOP_READ | LOOP_HUP)) != 0)
		what |= e->bits & UB_EV_READ;
	if ((ready & (LOOP_WRITE | LOOP_HUP)) != 0)
		what |= e->bits & UB_EV_WRITE;
	if (what != 0)
		fire(e, what);
}

static uint64_t
ms_of(const struct timeval *tv)
{
	return tv->tv_sec < 0 ? 0 : (uint64_t)tv->tv_sec * 1000 + ((uint64_t)tv->tv_usec + 999) / 1000;
}

static int
add(struct ub_event *ev, struct timeval *tv)
{
	struct event *e = (struct event *)ev;
	unsigned want = ((e->bits & UB_EV_READ) != 0 ? LOOP_READ : 0) | ((e->bits & UB_EV_WRITE) != 0 ? LOOP_WRITE : 0);

	quiet(e);
	if (e->fd >= 0 && want != 0)
		e->watch = loop_watch(e->loop, e->fd, want, on_ready, e);
	e->timed = tv != NULL;
	e->ms = tv == NULL ? 0 : ms_of(tv);
	arm(e);
	return 0;
}

static int
del(struct ub_event *ev)
{
	quiet((struct event *)ev);
	return 0;
}

static void
add_bits(struct ub_event *ev, short bits)
{
	struct event *e = (struct event *)ev;

	quiet(e);
	e->bits |= bits;
}

static void
del_bits(struct ub_event *ev, short bits)
{
	struct event *e = (struct event *)ev;

	quiet(e);
	e->bits &= (short)~bits;
}

static void
set_fd(struct ub_event *ev, int fd)
{
	struct event *e = (struct event *)ev;

	quiet(e);
	e->fd = fd;
}

static void
event_free(struct ub_event *ev)
{
	quiet((struct event *)ev);
	free(ev);
}

static int
add_timer(struct ub_event *ev, struct ub_event_base *base, void (*call)(int, short, void *), void *arg,
    struct timeval *tv)
{
	struct event *e = (struct event *)ev;

	(void)base;
	e->call = call;
	e->arg = arg;
	return add(ev, tv);
}

static struct ub_event_vmt event_calls = { .add_bits = add_bits,
	.del_bits = del_bits,
	.set_fd = set_fd,
	.free = event_free,
	.add = add,
	.del = del,
	.add_timer = add_timer,
	.del_timer = del,
	.add_signal = add,
	.del_signal = del };

static struct ub_event *
new_event(struct ub_event_base *base, int fd, short bits, void (*call)(int, short, void *), void *arg)
{
	struct event *e = calloc(1, sizeof *e);

	if (e == NULL)
		return NULL;
	e->head = (struct ub_event){ .magic = UB_EVENT_MAGIC, .vmt = &event_calls };
	e->loop = ((struct base *)base)->loop;
	e->fd = fd;
	e->bits = bits;
	e->call = call;
	e->arg = arg;
	return &e->head;
}

/* Signals are warden's: libunbound makes none with an event base of ours. */
static struct ub_event *
new_signal(struct ub_event_base *base, int fd, void (*call)(int, short, void *), void *arg)
{
	(void)fd;
	return new_event(base, -1, 0, call, arg);
}

static void
base_free(struct ub_event_base *base)
{
	free(base);
}

static struct ub_event_base_vmt base_calls = { .free = base_free, .new_event = new_event, .new_signal = new_signal };

struct ub_event_base *
loopbase_new(struct loop *l)
{
	struct base *b = calloc(1, sizeof *b);

	PN_ASSERT(b != NULL);
	b->head = (struct ub_event_base){ .magic = UB_EVENT_MAGIC, .vmt = &base_calls };
	b->loop = l;
	return &b->head;
}

void
loopbase_free(struct ub_event_base **b)
{
	free(*b);
	*b = NULL;
}
