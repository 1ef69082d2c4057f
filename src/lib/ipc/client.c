/* SPDX-License-Identifier: MIT
 * The side that asks and waits, shared by the threads of a room.
 *
 *   thread A --send--> [channel] --> server      Whoever waits reads: A finds nobody reading and
 *   thread B --send-->                           becomes the reader; the frame it gets may be B's,
 *   A reads: answer of B -> B's slot, wake B     which it puts into B's slot. When A has its own
 *   A reads: answer of A -> hand reading to B    answer, it wakes one other waiter to read on. */
#include "lib/ipc/ipc.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock/clock.h"

struct slot {
	struct slot *next;
	uint32_t id;
	uint64_t generation;
	struct arena *arena;
	struct slice body;
	enum ipc_status status; /* IPC_AGAIN while nothing has come */
	pthread_cond_t wake;
};

struct ipc_client {
	const char *name;
	pthread_mutex_t lock;
	pthread_cond_t connected;
	struct ipc_channel *ch; /* NULL: no peer now */
	uint64_t generation;	/* counts the peers */
	bool reading;
	uint32_t next_id;
	size_t in_flight;
	struct slot *slots;
};

static void
cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(c, &attr);
	(void)pthread_condattr_destroy(&attr);
}

/* False at the deadline. */
static bool
cond_wait(pthread_cond_t *c, pthread_mutex_t *lock, uint64_t deadline_ms)
{
	struct timespec t = { .tv_sec = (time_t)(deadline_ms / 1000),
		.tv_nsec = (long)(deadline_ms % 1000) * 1000000 };

	return pthread_cond_timedwait(c, lock, &t) != ETIMEDOUT;
}

struct ipc_client *
ipc_client_new(const char *name)
{
	struct ipc_client *c = calloc(1, sizeof *c);

	PN_ASSERT(c != NULL);
	c->name = name;
	(void)pthread_mutex_init(&c->lock, NULL);
	cond_init(&c->connected);
	return c;
}

static void
fail_generation(struct ipc_client *c, uint64_t generation)
{
	for (struct slot *s = c->slots; s != NULL; s = s->next)
		if (s->generation <= generation && s->status == IPC_AGAIN) {
			s->status = IPC_UNAVAILABLE;
			(void)pthread_cond_signal(&s->wake);
		}
}

/* Under the lock. The channel may still be in use by a reader without the lock: it holds a call
 * reference (see read_one). */
static void
disconnect(struct ipc_client *c)
{
	if (c->ch == NULL)
		return;
	ipc_channel_free(&c->ch);
	fail_generation(c, c->generation);
}

void
ipc_client_free(struct ipc_client **c)
{
	struct ipc_client *dead = *c;

	*c = NULL;
	if (dead == NULL)
		return;
	PN_ASSERT(dead->in_flight == 0);
	ipc_channel_free(&dead->ch);
	(void)pthread_mutex_destroy(&dead->lock);
	(void)pthread_cond_destroy(&dead->connected);
	free(dead);
}

void
ipc_client_connect(struct ipc_client *c, int fd)
{
	(void)pthread_mutex_lock(&c->lock);
	disconnect(c);
	c->ch = ipc_channel_new(fd, c->name, "");
	ipc_set_nonblocking(c->ch, true);
	c->generation++;
	(void)pthread_cond_broadcast(&c->connected);
	(void)pthread_mutex_unlock(&c->lock);
}

bool
ipc_client_connected(struct ipc_client *c)
{
	bool yes;

	(void)pthread_mutex_lock(&c->lock);
	yes = c->ch != NULL;
	(void)pthread_mutex_unlock(&c->lock);
	return yes;
}

static void
put_answer(struct ipc_client *c, const struct ipc_frame *f)
{
	for (struct slot *s = c->slots; s != NULL; s = s->next)
		if (s->id == f->id && s->generation == c->generation && s->status == IPC_AGAIN) {
			struct slice body = slice_from(f->body.in, f->body.at);

			/* the owner waits: its arena is ours for the moment */
			s->status = arena_copy(s->arena, body, &s->body) ? IPC_OK : IPC_TOO_BIG;
			(void)pthread_cond_signal(&s->wake);
			return;
		}
	/* the asker ran into its deadline: a late answer is dropped */
}

/* One poll and one receive for everybody. Called and returns with the lock held; gives it up while
 * waiting. */
static void
read_one(struct ipc_client *c, const struct ipc_schema *s, uint64_t deadline_ms)
{
	struct ipc_channel *ch = c->ch;
	struct ipc_call hold = ipc_call_of(ch, &(struct ipc_frame){ 0 });
	struct pollfd p = { .fd = ipc_fd(ch), .events = POLLIN };
	uint64_t now = clock_mono_ms();
	struct ipc_frame f;
	enum ipc_status st;

	c->reading = true;
	(void)pthread_mutex_unlock(&c->lock);
	(void)poll(&p, 1, deadline_ms <= now ? 0 : (int)(deadline_ms - now > 60000 ? 60000 : deadline_ms - now));
	st = ipc_receive(ch, s, IPC_AT_ASKER, &f);
	(void)pthread_mutex_lock(&c->lock);
	c->reading = false;
	if (st == IPC_OK) {
		if (c->ch == ch)
			put_answer(c, &f);
		ipc_frame_end(&f);
	} else if (st != IPC_AGAIN && c->ch == ch) {
		disconnect(c);
	}
	(void)ipc_refuse(&hold);
}

/* Somebody else who still waits has to read on. */
static void
pass_reading(struct ipc_client *c)
{
	if (c->reading)
		return;
	for (struct slot *s = c->slots; s != NULL; s = s->next)
		if (s->status == IPC_AGAIN) {
			(void)pthread_cond_signal(&s->wake);
			return;
		}
}

static bool
wait_connected(struct ipc_client *c, uint64_t deadline_ms)
{
	while (c->ch == NULL)
		if (!cond_wait(&c->connected, &c->lock, deadline_ms) && c->ch == NULL)
			return false;
	return true;
}

static void
slot_drop(struct ipc_client *c, struct slot *gone)
{
	for (struct slot **s = &c->slots; *s != NULL; s = &(*s)->next)
		if (*s == gone) {
			*s = gone->next;
			break;
		}
	c->in_flight--;
	(void)pthread_cond_destroy(&gone->wake);
}

static void
wait_answer(struct ipc_client *c, const struct ipc_schema *s, struct slot *mine, uint64_t deadline_ms)
{
	while (mine->status == IPC_AGAIN) {
		if (clock_mono_ms() >= deadline_ms) {
			mine->status = IPC_UNAVAILABLE;
		} else if (c->reading || c->ch == NULL) {
			(void)cond_wait(&mine->wake, &c->lock, deadline_ms);
		} else {
			read_one(c, s, deadline_ms);
		}
	}
}

enum ipc_status
ipc_call_wait(struct ipc_client *c, const struct ipc_schema *s, struct buf *b, int fd,
    uint64_t deadline_ms, struct arena *a, struct cursor *out)
{
	struct slot mine = { .arena = a, .status = IPC_AGAIN };
	enum ipc_status st;

	(void)pthread_mutex_lock(&c->lock);
	if (!wait_connected(c, deadline_ms) || c->in_flight >= LIMIT_IPC_FLIGHT) {
		(void)pthread_mutex_unlock(&c->lock);
		return IPC_UNAVAILABLE;
	}
	cond_init(&mine.wake);
	mine.id = ++c->next_id;
	mine.generation = c->generation;
	mine.next = c->slots;
	c->slots = &mine;
	c->in_flight++;
	st = ipc_send(c->ch, b, mine.id, fd);
	if (st == IPC_OK)
		wait_answer(c, s, &mine, deadline_ms);
	else
		mine.status = st == IPC_TOO_BIG ? IPC_TOO_BIG : IPC_UNAVAILABLE;
	slot_drop(c, &mine);
	pass_reading(c);
	(void)pthread_mutex_unlock(&c->lock);
	if (mine.status == IPC_OK)
		*out = cur_of(mine.body);
	return mine.status;
}

enum ipc_status
ipc_client_hostile(struct ipc_client *c, const char *message)
{
	(void)message;
	(void)pthread_mutex_lock(&c->lock);
	disconnect(c);
	(void)pthread_mutex_unlock(&c->lock);
	return IPC_UNAVAILABLE;
}
