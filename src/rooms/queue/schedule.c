/* SPDX-License-Identifier: MIT
 * What comes out of the spool, and when; and the queue's own time. */
#include <stdlib.h>

#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/queue/queue.h"

#define PAGE 500u
#define TICK_MS 100u
#define NOTE_MS 60000u	/* so often the queue time is written down */

uint64_t
queue_now(const struct queue *q)
{
	return q->base_us + (clock_mono_ms() - q->base_ms) * 1000;
}

int64_t
queue_wall(const struct queue *q, uint64_t queue_time)
{
	return clock_wall_us() + (int64_t)(queue_time - queue_now(q));
}

void
schedule_later(struct queue *q, uint64_t next)
{
	if (next < q->next_due)
		q->next_due = next;
}

bool
schedule_add(struct queue *q, const struct spool_delivery *d, struct content *content)
{
	struct task *t;

	if (d->state == SPOOL_HELD)
		return true;
	/* a fresh one goes at once, also where a start lost a little of the queue time */
	if (d->next > queue_now(q) && d->next != d->queued) {
		schedule_later(q, d->next);
		return true;
	}
	if (q->scanning && content != NULL)
		return true; /* the scan will reach it */
	if (q->n_tasks >= QUEUE_TASKS) {
		if (!q->scanning) {
			q->scanning = true;
			q->scan_after = d->id - 1;
		}
		return false;
	}
	t = task_new(q, d, content);
	if (t->account != 0)
		deliver_add(q, t);
	else
		remote_add(q, t);
	return true;
}

static bool
loaded(void *ctx, const struct spool_delivery *d)
{
	struct queue *q = ctx;

	if (q->n_tasks >= QUEUE_TASKS)
		return false;
	if (task_find(q, d->id) == NULL)
		(void)schedule_add(q, d, NULL);
	return true;
}

/* After a start, or when memory was full: the next page of fresh ones. */
static void
scan_fresh(struct queue *q)
{
	uint64_t last = q->scan_after;
	enum store_err e;

	if (q->locked || !q->scanning || q->n_tasks >= QUEUE_TASKS / 2)
		return;
	e = spool_fresh(q->spool, q->scan_after, PAGE, loaded, q, &last);
	if (e != STORE_OK)
		queue_die(q, "loading the queue", e);
	q->scanning = last != q->scan_after;
	q->scan_after = last;
}

/* The next page of those whose time has come. */
static void
scan_due(struct queue *q)
{
	uint64_t now = queue_now(q), before = q->due.id;
	enum store_err e;

	if (q->locked || now < q->next_due || q->n_tasks >= QUEUE_TASKS - QUEUE_TASKS / 4)
		return;
	e = spool_due(q->spool, &q->due, now, PAGE, loaded, q);
	if (e != STORE_OK)
		queue_die(q, "loading what is due", e);
	if (q->due.id != before)
		return; /* there may be more */
	e = spool_next_due(q->spool, &q->due, &q->next_due);
	if (e == STORE_NONE)
		q->next_due = UINT64_MAX;
	else if (e != STORE_OK)
		queue_die(q, "loading what is due", e);
}

enum store_err
schedule_note(struct queue *q)
{
	if (clock_mono_ms() - q->noted_ms < NOTE_MS)
		return STORE_OK;
	q->noted_ms = clock_mono_ms();
	return spool_note_time(q->spool, queue_now(q), (uint64_t)clock_wall_us());
}

static void
note_now(struct queue *q)
{
	enum store_err e = spool_begin(q->spool);

	q->noted_ms = clock_mono_ms();
	if (e == STORE_OK)
		e = spool_note_time(q->spool, queue_now(q), (uint64_t)clock_wall_us());
	if (e == STORE_OK)
		e = spool_commit(q->spool);
	else
		spool_rollback(q->spool);
	if (e != STORE_OK && e != STORE_FULL)
		queue_die(q, "noting the time", e);
}

/* Mail that waits grows old while nothing is committed; an empty queue does not wake the disk. */
static void
note_time(struct queue *q)
{
	if (clock_mono_ms() - q->noted_ms >= NOTE_MS && spool_open_deliveries(q->spool) > 0)
		note_now(q);
}

void
schedule_stop(struct queue *q)
{
	if (spool_open_deliveries(q->spool) > 0)
		note_now(q);
}

static void
feel_stress(struct queue *q)
{
	uint64_t open = spool_open_deliveries(q->spool);
	bool stress = open > (q->stress ? q->set.high_water / 2 : q->set.high_water);

	if (stress == q->stress)
		return;
	q->stress = stress;
	EVENT(EVENT_QUEUE_STRESS, 0, S(""), S(""), EF("now", stress ? S("yes") : S("no")), EN("open", open),
	    EN("tasks", q->n_tasks));
}

static void
tick(void *arg)
{
	struct queue *q = arg;
	bool more;

	deliver_tick(q);
	remote_tick(q);
	signing_tick(q);
	scan_fresh(q);
	scan_due(q);
	note_time(q);
	feel_stress(q);
	more = !q->locked && ((q->scanning && q->n_tasks < QUEUE_TASKS / 2) || queue_now(q) >= q->next_due);
	(void)loop_after(q->loop, more && q->n_tasks < QUEUE_TASKS / 2 ? 1 : TICK_MS, tick, q);
}

void
schedule_init(struct queue *q)
{
	q->base_us = spool_resumed(q->spool);
	q->base_ms = q->noted_ms = clock_mono_ms();
	q->random = q->base_us ^ (uint64_t)clock_wall_us() << 20 ^ q->base_ms;
	q->scanning = true;
	q->next_due = 0;
	note_now(q);
	(void)loop_after(q->loop, 1, tick, q);
}
