/* SPDX-License-Identifier: MIT
 * Tasks on their way: one box per recipient account, a channel to its mailbox room while it lives,
 * at most QUEUE_FLIGHT deliveries under way in each. An answer ok means that the mailbox has flushed:
 * only then is the spool entry settled. */
#include <stdlib.h>
#include <string.h>

#include "ipc/queue_warden.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/queue/queue.h"

#define WAIT_US ((uint64_t)60000000) /* what is over QUEUE_PLACE waits about so long */

enum box_state { BOX_CLOSED, BOX_WANTED, BOX_OPEN };

struct box {
	struct box *next;
	struct queue *q;
	uint32_t account;
	enum box_state state;
	struct ipc_channel *ch;
	struct loop_watch *watch;
	struct ranks waiting;
	struct task *flight[QUEUE_FLIGHT]; /* index + 1 is the call id */
	unsigned n_flight, failures;
	uint64_t asked_ms, answered_ms;	   /* when it was wanted; when it last answered */
};

static void pump(struct box *b);

/* ---- boxes -------------------------------------------------------------------------------------- */

static struct box *
box_of(struct queue *q, uint32_t account)
{
	struct box *b;

	struct box **bucket = &q->boxes[account % QUEUE_BUCKETS];

	for (b = *bucket; b != NULL; b = b->next)
		if (b->account == account)
			return b;
	b = calloc(1, sizeof *b);
	PN_ASSERT(b != NULL);
	b->q = q;
	b->account = account;
	ranks_init(&b->waiting);
	b->next = *bucket;
	*bucket = b;
	return b;
}

static void
want(struct box *b)
{
	struct queue_warden_want m = { .account = b->account };

	if (b->q->warden == NULL || b->state != BOX_CLOSED)
		return;
	if (queue_warden_want_send(b->q->warden, &m) != IPC_OK)
		return;
	b->state = BOX_WANTED;
	b->asked_ms = clock_mono_ms();
}

/* The mailbox room is gone (or stuck): what was under way goes back to the front; a second
 * delivery of the same id is harmless. */
static void
box_close(struct box *b)
{
	loop_unwatch(b->q->loop, &b->watch);
	ipc_channel_free(&b->ch);
	b->state = BOX_CLOSED;
	for (unsigned i = QUEUE_FLIGHT; i-- > 0;)
		if (b->flight[i] != NULL) {
			ranks_back(&b->waiting, b->flight[i]);
			b->flight[i] = NULL;
		}
	b->n_flight = 0;
	b->failures++;
}

/* "5.2.2 ..." for what a mailbox says. */
static const char *
status_of(enum queue_mailbox_deliver_status st)
{
	switch (st) {
	case QUEUE_MAILBOX_DELIVER_STATUS_OK:
		return "2.1.5";
	case QUEUE_MAILBOX_DELIVER_STATUS_FULL:
		return "4.2.2";
	case QUEUE_MAILBOX_DELIVER_STATUS_REFUSED:
		return "5.2.0";
	default:
		return "4.2.0";
	}
}

static void
on_delivered(void *ctx, uint32_t id, struct queue_mailbox_deliver_answer *m)
{
	struct box *b = ctx;
	struct queue *q = b->q;
	struct task *t = id == 0 || id > QUEUE_FLIGHT ? NULL : b->flight[id - 1];
	struct outcome o;

	if (t == NULL)
		return;
	b->flight[id - 1] = NULL;
	b->n_flight--;
	b->failures = 0;
	b->answered_ms = clock_mono_ms();
	o = (struct outcome){ .status = slice_z(status_of(m->status)),
		.reason = m->reason.n > 0 ? m->reason : slice_z(queue_mailbox_deliver_status_name(m->status)) };
	if (m->status == QUEUE_MAILBOX_DELIVER_STATUS_OK)
		outcome_delivered(q, t, &o);
	else if (m->status == QUEUE_MAILBOX_DELIVER_STATUS_REFUSED)
		outcome_failed(q, t, &o);
	else
		outcome_put_off(q, t, outcome_retry_local(q, t->attempts), true, &o);
}

static const struct queue_mailbox_answers answers = { .deliver = on_delivered };

static void
from_mailbox(void *arg, unsigned ready)
{
	struct box *b = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (unsigned i = 0; i < QUEUE_FLIGHT && st == IPC_OK; i++)
		st = queue_mailbox_answers_serve(b->ch, &answers, b);
	if (st == IPC_OK || st == IPC_AGAIN) {
		pump(b);
		return;
	}
	if (st == IPC_HOSTILE)
		proc_suspect(b->q->proc, b->ch);
	box_close(b);
	if (b->waiting.n > 0 && b->failures < 3)
		want(b);
}

/* ---- sending ------------------------------------------------------------------------------------ */

static uint64_t
floor_of(struct queue *q)
{
	uint64_t now = clock_mono_ms();

	if (now >= q->floor_at_ms && spool_floor(q->spool, &q->floor) == STORE_OK)
		q->floor_at_ms = now + 1000;
	return q->floor;
}

static enum ipc_status
send_one(struct box *b, unsigned slot, struct task *t)
{
	struct queue_mailbox_deliver m = { .delivery = t->delivery,
		.floor = floor_of(b->q),
		.sender = slice_z(t->sender),
		.rcpt = slice_z(t->rcpt),
		.folder = t->more == NULL ? S("") : slice_z(t->more->folder),
		.queue_id = slice_z(t->queue_id),
		.session = t->session,
		.received_us = t->received_us,
		.size = t->size,
		.fd = t->content->fd };

	return queue_mailbox_deliver_ask(b->ch, slot + 1, &m);
}

/* Sends what waits, as far as the mailbox takes it. */
static void
pump(struct box *b)
{
	unsigned slot = 0;

	while (b->state == BOX_OPEN && b->waiting.n > 0 && b->n_flight < QUEUE_FLIGHT) {
		struct task *t = ranks_peek(&b->waiting);
		enum ipc_status st;
		enum store_err e = t->dropped ? STORE_NONE : content_ready(b->q, t);

		if (e != STORE_OK) {
			t = ranks_take(&b->waiting);
			if (e == STORE_NONE)
				task_free(b->q, t);
			else
				outcome_put_off(b->q, t, outcome_retry_local(b->q, t->attempts), true,
				    &(struct outcome){ .status = S("4.3.0"), .reason = S("the spool could not be read") });
			continue;
		}
		while (b->flight[slot] != NULL)
			slot++;
		st = send_one(b, slot, t);
		if (st == IPC_AGAIN)
			return; /* its buffer is full: an answer will bring us back */
		if (st != IPC_OK) {
			box_close(b);
			want(b);
			return;
		}
		if (b->n_flight++ == 0)
			b->answered_ms = clock_mono_ms();
		b->flight[slot] = ranks_take(&b->waiting);
	}
	if (b->state == BOX_CLOSED && b->waiting.n > 0)
		want(b);
}

void
deliver_add(struct queue *q, struct task *t)
{
	struct box *b = box_of(q, t->account);

	if (b->waiting.n >= QUEUE_PLACE) {
		outcome_put_off(q, t, outcome_jitter(q, WAIT_US), false, &(struct outcome){ 0 });
		return;
	}
	ranks_put(&b->waiting, t);
	pump(b);
}

/* ---- warden's answers --------------------------------------------------------------------------- */

static void
on_mailbox(void *ctx, struct queue_warden_mailbox *m)
{
	struct queue *q = ctx;
	struct box *b = box_of(q, m->account);

	if (m->status != QUEUE_WARDEN_STATUS_OK || m->fd < 0) {
		if (b->state == BOX_WANTED)
			b->state = BOX_CLOSED;
		b->failures++;
		return;
	}
	if (b->state == BOX_OPEN)
		box_close(b);
	b->state = BOX_OPEN;
	b->ch = ipc_channel_new(fd_take(&m->fd), "mailbox", "");
	ipc_set_nonblocking(b->ch, true);
	ipc_set_send_wait(b->ch, 0);
	b->watch = loop_watch(q->loop, ipc_fd(b->ch), LOOP_READ, from_mailbox, b);
	pump(b);
}

static const struct queue_warden_client warden_handlers = { .mailbox = on_mailbox };

static void
from_warden(void *arg, unsigned ready)
{
	struct queue *q = arg;
	enum ipc_status st = queue_warden_client_serve(q->warden, &warden_handlers, q);

	(void)ready;
	if (st != IPC_OK && st != IPC_AGAIN) {
		loop_unwatch(q->loop, &q->warden_watch);
		ipc_channel_free(&q->warden);
	}
}

void
deliver_warden(struct queue *q, int fd)
{
	loop_unwatch(q->loop, &q->warden_watch);
	ipc_channel_free(&q->warden);
	q->warden = ipc_channel_new(fd, "warden", "");
	q->warden_watch = loop_watch(q->loop, fd, LOOP_READ, from_warden, q);
	for (unsigned i = 0; i < QUEUE_BUCKETS; i++)
		for (struct box *b = q->boxes[i]; b != NULL; b = b->next) {
			if (b->state == BOX_WANTED)
				b->state = BOX_CLOSED; /* the old warden channel took the wish along */
			pump(b);
		}
}

/* ---- time --------------------------------------------------------------------------------------- */

/* True when nobody needs the box any more. */
static bool
box_tick(struct box *b, uint64_t now)
{
	if (b->state == BOX_WANTED && now - b->asked_ms > QUEUE_ANSWER_MS)
		b->state = BOX_CLOSED;
	if (b->state == BOX_OPEN && b->n_flight > 0 && now - b->answered_ms > QUEUE_ANSWER_MS)
		box_close(b);
	if (b->state == BOX_CLOSED && b->waiting.n > 0)
		want(b);
	else if (b->n_flight == 0)
		pump(b); /* what could not be sent for want of memory: no answer will come that tries again */
	return b->state == BOX_CLOSED && b->waiting.n == 0;
}

void
deliver_tick(struct queue *q)
{
	uint64_t now = clock_mono_ms();

	for (unsigned i = 0; i < QUEUE_BUCKETS; i++)
		for (struct box **b = &q->boxes[i]; *b != NULL;) {
			struct box *dead = *b;

			if (!box_tick(dead, now)) {
				b = &dead->next;
			} else {
				*b = dead->next;
				free(dead);
			}
		}
}
