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

#define PAGE 500u
#define RETRY_FIRST_MS 1000u
#define RETRY_MOST_MS 300000u
#define BOX_RETRY_MS 100u

enum box_state { BOX_CLOSED, BOX_WANTED, BOX_OPEN };

struct box {
	struct box *next;
	struct queue *q;
	uint32_t account;
	enum box_state state;
	struct ipc_channel *ch;
	struct loop_watch *watch;
	struct tasks waiting;
	struct task *flight[QUEUE_FLIGHT]; /* index + 1 is the call id */
	unsigned n_flight, failures;
	uint64_t asked_ms, answered_ms;	   /* when it was wanted; when it last answered */
};

static void pump(struct box *b);

static void
tasks_init(struct tasks *t)
{
	t->first = NULL;
	t->last = &t->first;
}

static void
tasks_put(struct tasks *t, struct task *task)
{
	task->next = NULL;
	*t->last = task;
	t->last = &task->next;
}

static struct task *
tasks_take(struct tasks *t)
{
	struct task *task = t->first;

	if (task != NULL && (t->first = task->next) == NULL)
		t->last = &t->first;
	return task;
}

/* ---- contents and tasks ------------------------------------------------------------------------- */

struct content *
content_new(struct queue *q, int fd)
{
	struct content *c = calloc(1, sizeof *c);

	PN_ASSERT(c != NULL);
	c->refs = 1;
	c->fd = fd;
	if (fd >= 0 && ++q->n_contents > QUEUE_CONTENTS) {
		fd_t_drop(&c->fd); /* read from the spool when its turn comes */
		q->n_contents--;
	}
	return c;
}

void
content_unref(struct queue *q, struct content **c)
{
	struct content *gone = *c;

	*c = NULL;
	if (gone == NULL || --gone->refs > 0)
		return;
	if (gone->fd >= 0)
		q->n_contents--;
	fd_t_drop(&gone->fd);
	free(gone);
}

static char *
put_z(char **at, struct slice s)
{
	char *z = *at;

	if (s.n > 0)
		memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	*at = &z[s.n + 1];
	return z;
}

static struct task *
task_new(struct queue *q, const struct spool_delivery *d, struct content *content)
{
	struct task *t = calloc(1, sizeof *t);
	char *text = calloc(1, d->sender.n + d->address.n + d->queue_id.n + 3);

	PN_ASSERT(t != NULL && text != NULL);
	t->delivery = d->id;
	t->account = (uint32_t)d->account;
	t->size = d->size;
	t->attempts = d->attempts;
	t->received_us = (int64_t)d->received;
	(void)session_parse(d->session, &t->session);
	t->sender = put_z(&text, d->sender);
	t->rcpt = put_z(&text, d->address);
	t->queue_id = put_z(&text, d->queue_id);
	t->content = content == NULL ? content_new(q, -1) : content;
	if (content != NULL)
		content->refs++;
	q->n_tasks++;
	return t;
}

static void
task_free(struct queue *q, struct task *t)
{
	content_unref(q, &t->content);
	free(t->sender); /* the one allocation of all three */
	free(t);
	q->n_tasks--;
}

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
	tasks_init(&b->waiting);
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

/* The mailbox room is gone (or stuck): what was under way goes back to the front, in order; a second
 * delivery of the same id is harmless. */
static void
box_close(struct box *b)
{
	struct tasks rest = b->waiting;

	loop_unwatch(b->q->loop, &b->watch);
	ipc_channel_free(&b->ch);
	b->state = BOX_CLOSED;
	tasks_init(&b->waiting);
	for (unsigned i = 0; i < QUEUE_FLIGHT; i++)
		if (b->flight[i] != NULL) {
			tasks_put(&b->waiting, b->flight[i]);
			b->flight[i] = NULL;
		}
	b->n_flight = 0;
	b->failures++;
	if (rest.first != NULL) {
		*b->waiting.last = rest.first;
		b->waiting.last = rest.last;
	}
}

/* How long until the next try of one delivery, in ms: doubling, within bounds. */
static uint64_t
retry_ms(unsigned attempts)
{
	uint64_t ms = (uint64_t)RETRY_FIRST_MS << (attempts < 10 ? attempts : 10);

	return ms < RETRY_MOST_MS ? ms : RETRY_MOST_MS;
}

static void
deferred(struct queue *q, struct task *t, struct slice reason)
{
	uint64_t ms = retry_ms(t->attempts++);

	t->due_ms = clock_mono_ms() + ms;
	batch_defer(q, t->delivery, clock_wall_us() + (int64_t)ms * 1000, reason);
	EVENT(EVENT_QUEUE_DEFERRED, t->session, slice_z(t->queue_id), S(""), EF("to", slice_z(t->rcpt)),
	    EF("reason", reason), EN("attempt", t->attempts), EN("next_ms", ms));
	tasks_put(&q->later, t);
}

static void
on_delivered(void *ctx, uint32_t id, struct queue_mailbox_deliver_answer *m)
{
	struct box *b = ctx;
	struct queue *q = b->q;
	struct task *t = id == 0 || id > QUEUE_FLIGHT ? NULL : b->flight[id - 1];

	if (t == NULL)
		return;
	b->flight[id - 1] = NULL;
	b->n_flight--;
	b->failures = 0;
	b->answered_ms = clock_mono_ms();
	if (m->status != QUEUE_MAILBOX_DELIVER_STATUS_OK) {
		deferred(q, t, m->reason.n > 0 ? m->reason : slice_z(queue_mailbox_deliver_status_name(m->status)));
		return;
	}
	batch_settle(q, t->delivery);
	EVENT(EVENT_QUEUE_DELIVERED, t->session, slice_z(t->queue_id), S(""), EF("to", slice_z(t->rcpt)),
	    EN("delay_ms", (clock_wall_us() - t->received_us) / 1000));
	task_free(q, t);
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
	if (b->waiting.first != NULL && b->failures < 3)
		want(b);
}

/* ---- sending ------------------------------------------------------------------------------------ */

/* The content as a descriptor again; STORE_NONE when the message is settled already. */
static enum store_err
content_ready(struct queue *q, struct task *t)
{
	enum store_err e;

	if (t->content->fd >= 0)
		return STORE_OK;
	e = spool_content(q->spool, t->delivery >> SPOOL_RCPT_BITS, &t->content->fd, NULL);
	if (e == STORE_OK)
		q->n_contents++;
	else
		t->content->fd = -1;
	if (e == STORE_IO || e == STORE_DAMAGED)
		EVENT(EVENT_STORE_ERROR, t->session, slice_z(t->queue_id), S(""), EF("what", S("content")),
		    EF("error", slice_z(store_err_name(e))));
	return e;
}

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

	while (b->state == BOX_OPEN && b->waiting.first != NULL && b->n_flight < QUEUE_FLIGHT) {
		struct task *t = b->waiting.first;
		enum ipc_status st;
		enum store_err e = content_ready(b->q, t);

		if (e != STORE_OK) {
			t = tasks_take(&b->waiting);
			if (e == STORE_NONE)
				task_free(b->q, t);
			else
				deferred(b->q, t, S("the spool could not be read"));
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
		b->flight[slot] = tasks_take(&b->waiting);
	}
	if (b->state == BOX_CLOSED && b->waiting.first != NULL)
		want(b);
}

bool
deliver_add(struct queue *q, const struct spool_delivery *d, struct content *content)
{
	uint64_t now_us = (uint64_t)clock_wall_us();
	struct task *t;
	struct box *b;

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
	if (d->next > now_us) {
		t->due_ms = clock_mono_ms() + (d->next - now_us) / 1000;
		tasks_put(&q->later, t);
		return true;
	}
	b = box_of(q, t->account);
	tasks_put(&b->waiting, t);
	pump(b);
	return true;
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

static bool
loaded(void *ctx, const struct spool_delivery *d)
{
	struct queue *q = ctx;

	if (q->n_tasks >= QUEUE_TASKS)
		return false;
	if (d->state == SPOOL_ACTIVE)
		(void)deliver_add(q, d, NULL);
	return true;
}

/* After a start, or when memory was full: the next page of the spool. */
static void
scan(struct queue *q)
{
	uint64_t last = q->scan_after;
	enum store_err e;

	if (!q->scanning || q->n_tasks >= QUEUE_TASKS / 2)
		return;
	e = spool_pending(q->spool, q->scan_after, PAGE, loaded, q, &last);
	if (e != STORE_OK)
		queue_die(q, "loading the queue", e);
	q->scanning = last != q->scan_after;
	q->scan_after = last;
}

static void
retry_due(struct queue *q)
{
	struct tasks rest = q->later;
	uint64_t now = clock_mono_ms();
	struct task *t;

	tasks_init(&q->later);
	if (rest.first == NULL)
		return;
	while ((t = rest.first) != NULL) {
		rest.first = t->next;
		if (t->due_ms > now) {
			tasks_put(&q->later, t);
		} else {
			struct box *b = box_of(q, t->account);

			tasks_put(&b->waiting, t);
			pump(b);
		}
	}
}

/* True when nobody needs the box any more. */
static bool
box_tick(struct box *b, uint64_t now)
{
	if (b->state == BOX_WANTED && now - b->asked_ms > QUEUE_ANSWER_MS)
		b->state = BOX_CLOSED;
	if (b->state == BOX_OPEN && b->n_flight > 0 && now - b->answered_ms > QUEUE_ANSWER_MS)
		box_close(b);
	if (b->state == BOX_CLOSED && b->waiting.first != NULL)
		want(b);
	return b->state == BOX_CLOSED && b->waiting.first == NULL;
}

static void
tick(void *arg)
{
	struct queue *q = arg;
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
	retry_due(q);
	scan(q);
	(void)loop_after(q->loop, q->scanning ? 1 : BOX_RETRY_MS, tick, q);
}

void
deliver_init(struct queue *q)
{
	tasks_init(&q->later);
	q->scanning = true;
	(void)loop_after(q->loop, 1, tick, q);
}
