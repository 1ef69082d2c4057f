/* SPDX-License-Identifier: MIT
 * What follows from a try: done, later, or never; and who is told. */
#include <stdio.h>
#include <string.h>

#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/queue/queue.h"

#define SECOND ((uint64_t)1000000)
#define LOCAL_FIRST (1 * SECOND)
#define LOCAL_MOST (300 * SECOND)

uint64_t
outcome_jitter(struct queue *q, uint64_t us)
{
	/* xorshift: nobody gains by guessing it, and many that failed together spread */
	q->random ^= q->random << 13;
	q->random ^= q->random >> 7;
	q->random ^= q->random << 17;
	return us - us / 4 + (us < 2 ? 0 : q->random % (us / 2));
}

static uint64_t
doubled(uint64_t first, uint64_t most, unsigned attempts)
{
	uint64_t us = first;

	while (attempts-- > 0 && us < most)
		us *= 2;
	return us < most ? us : most;
}

uint64_t
outcome_retry_remote(struct queue *q, unsigned attempts)
{
	return outcome_jitter(q, doubled(q->set.retry_first, q->set.retry_most, attempts));
}

uint64_t
outcome_retry_local(struct queue *q, unsigned attempts)
{
	return outcome_jitter(q, doubled(LOCAL_FIRST, LOCAL_MOST, attempts));
}

static void
done(struct queue *q, const struct task *t, struct done *d, const struct outcome *o)
{
	d->delivery = t->delivery;
	d->code = o->code;
	(void)snprintf(d->status, sizeof d->status, "%.*s", SFMT(slice_head(o->status, sizeof d->status - 1)));
	batch_done(q, d, o->reason, o->remote);
}

/* RFC 2852: mode N towards a server that does not look after the time, and T towards any, are told of each relay; as
 * little as anything else to whom NOTIFY=NEVER said so. */
static bool
by_tells(const struct task *t, const struct outcome *o)
{
	if (t->account != 0 || t->sender[0] == '\0' || (t->notify & SPOOL_NEVER) != 0)
		return false;
	return (t->flags & SPOOL_BY_TRACE) != 0 || ((t->flags & SPOOL_BY_NOTIFY) != 0 && !o->by_passed_on);
}

void
outcome_delivered(struct queue *q, struct task *t, const struct outcome *o)
{
	struct done d = { .what = DONE_SETTLED };

	if ((t->notify & SPOOL_SUCCESS) != 0 && !o->passed_on)
		d.tell = t->account != 0 ? TELL_DELIVERED : TELL_RELAYED;
	else if (by_tells(t, o))
		d.tell = TELL_RELAYED;
	done(q, t, &d, o);
	if (t->account != 0)
		EVENT(EVENT_QUEUE_DELIVERED, t->session, slice_z(t->queue_id), S(""), EF("to", slice_z(t->rcpt)),
		    EN("delay_ms", (clock_wall_us() - t->received_us) / 1000));
	else
		EVENT(EVENT_QUEUE_DELIVERED, t->session, slice_z(t->queue_id), S(""), EF("to", slice_z(t->rcpt)),
		    EF("from", slice_z(t->sender)), EF("remote", o->remote), EF("tls", o->tls),
		    EN("code", o->code), EF("said", o->reason), EN("attempt", t->attempts + 1),
		    EN("delay_ms", (queue_now(q) - t->queued) / 1000));
	task_free(q, t);
}

void
outcome_failed(struct queue *q, struct task *t, const struct outcome *o)
{
	struct done d = { .what = DONE_SETTLED, .tell = TELL_FAILED };

	done(q, t, &d, o);
	EVENT(EVENT_QUEUE_FAILED, t->session, slice_z(t->queue_id), S(""), EF("to", slice_z(t->rcpt)),
	    EF("from", slice_z(t->sender)), EF("remote", o->remote), EN("code", o->code), EF("status", o->status),
	    EF("reason", o->reason), EN("attempt", t->attempts + 1));
	task_free(q, t);
}

/* The time is over: what happened last is why. */
static void
expired(struct queue *q, struct task *t, const struct outcome *o, const char *status, const char *words)
{
	char text[DONE_TEXT];
	struct outcome last = *o;

	(void)snprintf(text, sizeof text, "%s; last: %.*s", words, SFMT(slice_head(o->reason, 300)));
	last.status = slice_z(status);
	last.reason = slice_z(text);
	last.code = 0;
	outcome_failed(q, t, &last);
}

/* Once, and only to those who want it (RFC 3461 4.1: nothing said lets us). */
static bool
warns(const struct queue *q, const struct task *t, uint64_t now)
{
	bool late = t->more != NULL && t->more->by != 0 && (t->flags & SPOOL_BY_NOTIFY) != 0 && now >= t->more->by;

	if (t->warned || t->sender[0] == '\0' || (t->notify & SPOOL_NEVER) != 0)
		return false;
	if (late)
		return true; /* RFC 2852 4.1.4.2: DELAY need not have been asked for */
	return (t->notify == 0 || (t->notify & SPOOL_DELAY) != 0) && now - t->queued >= q->set.warn_after;
}

void
outcome_put_off(struct queue *q, struct task *t, uint64_t us, bool tried, const struct outcome *o)
{
	uint64_t now = queue_now(q), by = t->more == NULL ? 0 : t->more->by;
	uint64_t life = t->sender[0] == '\0' ? q->set.bounce_lifetime : q->set.lifetime;
	struct done d = { .what = tried ? DONE_DEFERRED : DONE_POSTPONED, .next = now + us };

	if (by != 0 && (t->flags & SPOOL_BY_RETURN) != 0 && now >= by) {
		expired(q, t, o, "5.4.7", "not delivered within the time that the sender gave (DELIVERBY)");
		return;
	}
	if (now - t->queued >= life) {
		expired(q, t, o, "5.4.7", "not delivered within the time that the queue keeps mail");
		return;
	}
	if (by > now && d.next > by)
		d.next = by + 1000;
	if (warns(q, t, now))
		d.tell = TELL_DELAYED;
	done(q, t, &d, o);
	if (tried || t->fresh) /* what waits for a dead destination is told of once */
		EVENT(EVENT_QUEUE_DEFERRED, t->session, slice_z(t->queue_id), S(""), EF("to", slice_z(t->rcpt)),
		    EF("remote", o->remote), EN("code", o->code), EF("status", o->status), EF("reason", o->reason),
		    EN("attempt", t->attempts + tried), EN("next_ms", (d.next - now) / 1000));
	schedule_later(q, d.next);
	task_free(q, t);
}
