/* SPDX-License-Identifier: MIT
 * Deliveries in memory: contents, tasks, and in which order tasks to one place go. */
#include <stdlib.h>
#include <string.h>

#include "lib/events/events.h"
#include "rooms/queue/queue.h"

/* ---- contents ----------------------------------------------------------------------------------- */

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

enum store_err
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

/* ---- tasks -------------------------------------------------------------------------------------- */

static struct task **
bucket(struct queue *q, uint64_t delivery)
{
	/* the lower bits count recipients, the others messages: both are spread */
	return &q->by_id[(delivery ^ delivery >> SPOOL_RCPT_BITS) % QUEUE_TASK_BUCKETS];
}

struct task *
task_find(struct queue *q, uint64_t delivery)
{
	struct task *t = *bucket(q, delivery);

	while (t != NULL && t->delivery != delivery)
		t = t->hashed;
	return t;
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

/* Internal mail first, then what our own people send, then what comes, then bulk (what says of itself that it is one
 * of many, what goes through a list, and a priority below zero from a stranger, which is smtp's word for it), then
 * bounces; in each class RFC 6710 in three bands. Bulk never comes sooner than it would have otherwise. */
static uint8_t
rank_of(const struct spool_delivery *d)
{
	unsigned band = d->priority > 0 ? 0 : d->priority == 0 ? 1 : 2;
	unsigned class = d->sender.n == 0 ? 4 : d->submitter != 0 ? d->account == 0 : 2;

	if (class < 3 && ((d->flags & SPOOL_BULK) != 0 || d->listed))
		class = 3;
	if (class == 2 && d->priority < 0) {
		class = 3;
		band = d->priority > -5 ? 1 : 2;
	}
	return (uint8_t)(class * 3 + band);
}

static struct more *
more_of(const struct spool_delivery *d)
{
	struct more *m;
	char *at;

	if (d->by == 0 && d->priority == 0 && d->envid.n == 0 && d->folder.n == 0 && d->orcpt.n == 0)
		return NULL;
	m = calloc(1, sizeof *m + d->envid.n + d->folder.n + d->orcpt.n + 3);
	PN_ASSERT(m != NULL);
	at = (char *)&m[1];
	m->by = d->by;
	m->priority = d->priority;
	m->envid = put_z(&at, d->envid);
	m->folder = put_z(&at, d->folder);
	m->orcpt = put_z(&at, d->orcpt);
	return m;
}

struct task *
task_new(struct queue *q, const struct spool_delivery *d, struct content *content)
{
	struct slice sender = d->rcpt_sender.n > 0 ? d->rcpt_sender : d->sender;
	struct task *t = calloc(1, sizeof *t), **at = bucket(q, d->id);
	char *text = calloc(1, sender.n + d->address.n + d->queue_id.n + 3);

	PN_ASSERT(t != NULL && text != NULL);
	t->delivery = d->id;
	t->account = (uint32_t)d->account;
	t->submitter = (uint32_t)d->submitter;
	t->size = d->size;
	t->flags = (uint16_t)d->flags;
	t->notify = (uint8_t)d->notify;
	t->attempts = d->attempts;
	t->queued = d->queued;
	t->warned = d->warned;
	t->fresh = d->next == d->queued;
	t->rank = rank_of(d);
	t->received_us = (int64_t)d->received;
	t->more = more_of(d);
	(void)session_parse(d->session, &t->session);
	t->sender = put_z(&text, sender);
	t->rcpt = put_z(&text, d->address);
	t->queue_id = put_z(&text, d->queue_id);
	t->content = content == NULL ? content_new(q, -1) : content;
	if (content != NULL)
		content->refs++;
	t->hashed = *at;
	*at = t;
	q->n_tasks++;
	return t;
}

void
task_free(struct queue *q, struct task *t)
{
	struct task **at = bucket(q, t->delivery);

	while (*at != t)
		at = &(*at)->hashed;
	*at = t->hashed;
	content_unref(q, &t->content);
	free(t->sender); /* the one allocation of all three */
	free(t->more);
	free(t);
	q->n_tasks--;
}

/* ---- order -------------------------------------------------------------------------------------- */

void
tasks_init(struct tasks *t)
{
	t->first = NULL;
	t->last = &t->first;
}

void
tasks_put(struct tasks *t, struct task *task)
{
	task->next = NULL;
	*t->last = task;
	t->last = &task->next;
}

struct task *
tasks_take(struct tasks *t)
{
	struct task *task = t->first;

	if (task != NULL && (t->first = task->next) == NULL)
		t->last = &t->first;
	return task;
}

void
ranks_init(struct ranks *r)
{
	*r = (struct ranks){ 0 };
	for (unsigned i = 0; i < QUEUE_RANKS; i++)
		tasks_init(&r->of[i]);
}

void
ranks_put(struct ranks *r, struct task *t)
{
	tasks_put(&r->of[t->rank], t);
	r->n++;
}

void
ranks_back(struct ranks *r, struct task *t)
{
	struct tasks *of = &r->of[t->rank];

	t->next = of->first;
	if (of->first == NULL)
		of->last = &t->next;
	of->first = t;
	r->n++;
}

unsigned
ranks_best(const struct ranks *r)
{
	unsigned i = 0;

	while (r->n > 0 && r->of[i].first == NULL)
		i++;
	return r->n > 0 ? i : QUEUE_RANKS;
}

static unsigned
turn(const struct ranks *r)
{
	unsigned i = QUEUE_RANKS - 1;

	if (r->turns % 8 != 7)
		return ranks_best(r);
	while (r->of[i].first == NULL)
		i--;
	return i;
}

struct task *
ranks_peek(struct ranks *r)
{
	return r->n == 0 ? NULL : r->of[turn(r)].first;
}

struct task *
ranks_take(struct ranks *r)
{
	struct task *t;

	if (r->n == 0)
		return NULL;
	t = tasks_take(&r->of[turn(r)]);
	r->turns++;
	r->n--;
	return t;
}
