/* SPDX-License-Identifier: MIT
 * The side that asks and waits, shared by the threads of a room.
 *
 *   thread A --send--> [channel] --> server      Whoever waits reads: A finds nobody leading and
 *   thread B --send-->                           becomes the leader; a frame it gets may be B's:
 *   A reads: answer of B -> B's slot, post B     it goes into B's slot. When A has its own answer,
 *   A reads: answer of A -> B leads now          it passes the lead to one that still waits.
 *
 * Who sleeps, sleeps on a semaphore of its own and, when it is answered, leaves without the lock: fifty
 * answers of one commit wake fifty threads that do not meet again. Posts are made under the lock, so
 * that whoever has taken the lock knows that nobody is about to touch its slot:
 *   answered, not leading: the post is the last that happens to a slot; its owner just goes
 *   leading, or at the deadline: the owner takes the lock, and takes the slot out if it is still in */
#include "lib/ipc/ipc.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock/clock.h"

#define SEND_TRY_MS 20u /* a full channel is tried again at least so often */

struct slot {
	struct slot *next; /* in the list until it is answered */
	uint32_t id;
	struct arena *arena;
	struct slice body;
	_Atomic(enum ipc_status) status; /* IPC_AGAIN while nothing has come; set last, before the post */
	atomic_bool lead;
	sem_t wake;
};

struct ipc_client {
	const char *name;
	pthread_mutex_t lock;
	pthread_cond_t connected;
	struct ipc_channel *ch; /* NULL: no peer now */
	bool led;		/* somebody leads, or is about to */
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

/* Under the lock: s has its status. */
static void
finish(struct ipc_client *c, struct slot *s, enum ipc_status st)
{
	for (struct slot **at = &c->slots; *at != NULL; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	c->in_flight--;
	s->status = st;
	(void)sem_post(&s->wake);
}

/* Under the lock. The channel may still be in use by a thread without the lock: it holds a call
 * reference (see hold()). A leader that polls is woken by the shutdown. */
static void
disconnect(struct ipc_client *c)
{
	if (c->ch == NULL)
		return;
	ipc_channel_free(&c->ch);
	while (c->slots != NULL)
		finish(c, c->slots, IPC_UNAVAILABLE);
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
	ipc_set_send_wait(c->ch, 0); /* who finds no room reads meanwhile: see send_call() */
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

static struct ipc_call
hold(struct ipc_channel *ch)
{
	return ipc_call_of(ch, &(struct ipc_frame){ 0 });
}

static void
put_answer(struct ipc_client *c, const struct ipc_frame *f)
{
	for (struct slot *s = c->slots; s != NULL; s = s->next)
		if (s->id == f->id) {
			struct slice body = slice_from(f->body.in, f->body.at);

			/* the owner waits: its arena is ours for the moment */
			finish(c, s, arena_copy(s->arena, body, &s->body) ? IPC_OK : IPC_TOO_BIG);
			return;
		}
	/* the asker ran into its deadline: a late answer is dropped */
}

/* Waits for events, until the deadline but a minute at most. */
static void
wait_for(const struct ipc_channel *ch, short events, uint64_t deadline_ms)
{
	struct pollfd p = { .fd = ipc_fd(ch), .events = events };
	uint64_t now = clock_mono_ms();

	(void)poll(&p, 1, deadline_ms <= now ? 0 : (int)(deadline_ms - now > 60000 ? 60000 : deadline_ms - now));
}

/* Receives what there is; waits (for events, POLLIN among them) only when there is nothing. Called and
 * returns with the lock held; gives it up in between. */
static void
read_one(struct ipc_client *c, const struct ipc_schema *s, short events, uint64_t deadline_ms)
{
	struct ipc_channel *ch = c->ch;
	struct ipc_call held = hold(ch);
	struct ipc_frame f;
	enum ipc_status st;

	(void)pthread_mutex_unlock(&c->lock);
	st = ipc_receive(ch, s, IPC_AT_ASKER, &f);
	if (st == IPC_AGAIN) {
		wait_for(ch, events, deadline_ms);
		st = ipc_receive(ch, s, IPC_AT_ASKER, &f);
	}
	(void)pthread_mutex_lock(&c->lock);
	if (st == IPC_OK) {
		if (c->ch == ch)
			put_answer(c, &f);
		ipc_frame_end(&f);
	} else if (st != IPC_AGAIN && c->ch == ch) {
		disconnect(c);
	}
	(void)ipc_refuse(&held);
}

/* Under the lock: the lead goes to one that still waits. */
static void
pass_lead(struct ipc_client *c)
{
	c->led = c->slots != NULL;
	if (c->led) {
		c->slots->lead = true;
		(void)sem_post(&c->slots->wake);
	}
}

/* Under the lock, by the leader: reads for all until its own answer is there. */
static void
lead(struct ipc_client *c, const struct ipc_schema *s, struct slot *mine, uint64_t deadline_ms)
{
	while (mine->status == IPC_AGAIN) {
		if (clock_mono_ms() >= deadline_ms)
			finish(c, mine, IPC_UNAVAILABLE);
		else
			read_one(c, s, POLLIN, deadline_ms);
	}
	pass_lead(c);
}

/* Sends without the lock. When the peer takes no more, its answers may be what fills its side: if nobody
 * leads, this thread reads while it waits for room, or both sides would wait for each other. */
static enum ipc_status
send_call(struct ipc_client *c, const struct ipc_schema *s, struct ipc_channel *ch, struct buf *b,
    const struct slot *mine, int fd, uint64_t deadline_ms)
{
	enum ipc_status st;

	while ((st = ipc_send(ch, b, mine->id, fd)) == IPC_AGAIN && mine->status == IPC_AGAIN) {
		uint64_t now = clock_mono_ms();

		if (now >= deadline_ms)
			break;
		if (deadline_ms - now > SEND_TRY_MS)
			now += SEND_TRY_MS;
		(void)pthread_mutex_lock(&c->lock);
		if (c->ch == ch && (mine->lead || !c->led)) {
			c->led = true;
			read_one(c, s, POLLIN | POLLOUT, now);
			if (!mine->lead)
				pass_lead(c);
			(void)pthread_mutex_unlock(&c->lock);
		} else {
			(void)pthread_mutex_unlock(&c->lock);
			wait_for(ch, POLLOUT, now);
		}
	}
	return st;
}

static bool
wait_connected(struct ipc_client *c, uint64_t deadline_ms)
{
	while (c->ch == NULL)
		if (!cond_wait(&c->connected, &c->lock, deadline_ms) && c->ch == NULL)
			return false;
	return true;
}

/* False at the deadline. */
static bool
sleep_until(struct slot *mine, uint64_t deadline_ms)
{
	struct timespec t = { .tv_sec = (time_t)(deadline_ms / 1000),
		.tv_nsec = (long)(deadline_ms % 1000) * 1000000 };
	int rc;

	do
		rc = sem_clockwait(&mine->wake, CLOCK_MONOTONIC, &t);
	while (rc != 0 && errno == EINTR);
	return rc == 0;
}

/* Waits as one of many; returns with a status, without the lock. */
static void
follow(struct ipc_client *c, const struct ipc_schema *s, struct slot *mine, uint64_t deadline_ms)
{
	/* a post is behind whatever it tells: status or lead. Both are set under the lock, and lead is
	 * looked at first: with it more posts may come, and the lock waits for them. */
	if (sleep_until(mine, deadline_ms) && !mine->lead)
		return;
	(void)pthread_mutex_lock(&c->lock);
	if (mine->lead)
		lead(c, s, mine, deadline_ms);
	else if (mine->status == IPC_AGAIN)
		finish(c, mine, IPC_UNAVAILABLE);
	(void)pthread_mutex_unlock(&c->lock);
}

enum ipc_status
ipc_call_wait(struct ipc_client *c, const struct ipc_schema *s, struct buf *b, int fd,
    uint64_t deadline_ms, struct arena *a, struct cursor *out)
{
	struct slot mine = { .arena = a, .status = IPC_AGAIN };
	struct ipc_call held;
	enum ipc_status st;

	(void)pthread_mutex_lock(&c->lock);
	if (!wait_connected(c, deadline_ms) || c->in_flight >= LIMIT_IPC_FLIGHT) {
		(void)pthread_mutex_unlock(&c->lock);
		return IPC_UNAVAILABLE;
	}
	(void)sem_init(&mine.wake, 0, 0);
	mine.id = ++c->next_id;
	mine.next = c->slots;
	c->slots = &mine; /* before it is sent: the answer may be read at once */
	c->in_flight++;
	held = hold(c->ch);
	(void)pthread_mutex_unlock(&c->lock);
	st = send_call(c, s, held.ch, b, &mine, fd, deadline_ms);
	(void)pthread_mutex_lock(&c->lock);
	(void)ipc_refuse(&held);
	if (st != IPC_OK && mine.status == IPC_AGAIN)
		finish(c, &mine, st == IPC_TOO_BIG ? IPC_TOO_BIG : IPC_UNAVAILABLE);
	if (mine.lead || (mine.status == IPC_AGAIN && !c->led)) {
		c->led = true;
		lead(c, s, &mine, deadline_ms);
	}
	st = mine.status;
	(void)pthread_mutex_unlock(&c->lock);
	if (st == IPC_AGAIN)
		follow(c, s, &mine, deadline_ms);
	(void)sem_destroy(&mine.wake);
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
