/* SPDX-License-Identifier: MIT
 * Group commit: conversations that end at the same moment share one transaction and one flush. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/queue/queue.h"

#define MOST_DONE 4096u /* settle and defer reports of one commit */

/* One accept request that waits for the commit. */
struct waiting {
	struct ipc_call call;
	struct arena *arena; /* what follows */
	struct spool_message m;
	uint64_t session, id;
	bool smtputf8;
	enum smtp_queue_accept_status status;
};

struct done {
	uint64_t delivery;
	int64_t next_us; /* 0: settled; else deferred */
	char reason[200];
};

struct batch {
	struct waiting waiting[QUEUE_BATCH];
	unsigned n;
	struct done done[MOST_DONE];
	unsigned n_done;
};

struct client { /* one smtp instance, or drop */
	struct queue *q;
	struct ipc_channel *ch;
	struct loop_watch *watch;
	bool submission;
};

void
batch_init(struct queue *q)
{
	q->batch = calloc(1, sizeof *q->batch);
	PN_ASSERT(q->batch != NULL);
}

/* ---- gathering ---------------------------------------------------------------------------------- */

static bool
printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_vchar(s.p[i]))
			return false;
	return s.n > 0;
}

/* smtp checked all this; a compromised smtp room did not. */
static bool
plausible(const struct client *c, const struct smtp_queue_accept *m)
{
	uint64_t size;

	if (!printable(m->queue_id) || m->n_rcpts == 0 || (m->account != 0 && !c->submission) ||
	    !ipc_sealed_memfd(m->fd, c->q->message_size + LIMIT_HEADER, &size) || size != m->size || size == 0)
		return false;
	for (size_t i = 0; i < m->n_rcpts; i++)
		if (m->rcpts[i].account == 0 || m->rcpts[i].address.n == 0)
			return false;
	return true;
}

static bool
copy_rcpts(struct waiting *w, const struct smtp_queue_accept *m)
{
	struct spool_rcpt *r = ARENA_ARRAY(w->arena, m->n_rcpts, struct spool_rcpt);

	for (size_t i = 0; r != NULL && i < m->n_rcpts; i++) {
		r[i].account = m->rcpts[i].account;
		if (!arena_copy(w->arena, m->rcpts[i].address, &r[i].address) ||
		    !arena_copy(w->arena, m->rcpts[i].original, &r[i].original))
			return false;
	}
	w->m.rcpt = r;
	w->m.rcpts = m->n_rcpts;
	return r != NULL;
}

/* The frame ends with the handler: what waits for the commit is copied. */
static bool
copy_message(struct waiting *w, struct smtp_queue_accept *m)
{
	struct session_text session = session_text(m->session);

	w->arena = arena_new("waiting", LIMIT_ARENA_SESSION);
	w->session = m->session;
	w->m.received = (uint64_t)m->received_us;
	w->m.account = m->account;
	w->m.size = m->size;
	w->m.flags = (m->body_8bit ? SPOOL_8BIT : 0) | (m->smtputf8 ? SPOOL_SMTPUTF8 : 0);
	w->m.fd = fd_take(&m->fd);
	return arena_copy(w->arena, m->queue_id, &w->m.queue_id) && arena_copy(w->arena, m->sender, &w->m.sender) &&
	    arena_copy(w->arena, slice_z(session.z), &w->m.session) && copy_rcpts(w, m);
}

static void
waiting_drop(struct waiting *w)
{
	if (w->m.fd >= 0)
		(void)close(w->m.fd);
	arena_free(&w->arena);
	*w = (struct waiting){ .m.fd = -1 };
}

static void
on_accept(void *ctx, struct ipc_call *call, struct smtp_queue_accept *m)
{
	struct client *c = ctx;
	struct queue *q = c->q;
	struct waiting *w = &q->batch->waiting[q->batch->n];
	struct smtp_queue_accept_answer no = { .status = SMTP_QUEUE_ACCEPT_STATUS_REFUSED };

	if (!plausible(c, m)) {
		EVENT(EVENT_ROOM_SUSPECT, m->session, S(""), S(""), EF("what", S("smtp_queue.accept makes no sense")));
		(void)smtp_queue_accept_answer(call, &no);
		return;
	}
	*w = (struct waiting){ .m.fd = -1 };
	if (!copy_message(w, m)) {
		waiting_drop(w);
		no.status = SMTP_QUEUE_ACCEPT_STATUS_TRY_LATER;
		(void)smtp_queue_accept_answer(call, &no);
		return;
	}
	w->call = *call;
	q->batch->n++;
}

static const struct smtp_queue_server handlers = { .accept = on_accept };

static void
client_end(struct client *c)
{
	loop_unwatch(c->q->loop, &c->watch);
	ipc_channel_free(&c->ch);
	free(c);
}

/* Takes all that waits in the channel, so that it shares one commit. */
static void
from_client(void *arg, unsigned ready)
{
	struct client *c = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	while (c->q->batch->n < QUEUE_BATCH && st == IPC_OK)
		st = smtp_queue_server_serve(c->ch, &handlers, c);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE)
		proc_suspect(c->q->proc, c->ch);
	client_end(c);
}

void
batch_introduce(struct queue *q, const char *peer, const char *instance, int fd)
{
	struct client *c = calloc(1, sizeof *c);

	PN_ASSERT(c != NULL);
	c->q = q;
	c->submission = strcmp(instance, "submission") == 0;
	c->ch = ipc_channel_new(fd, peer, instance);
	ipc_set_nonblocking(c->ch, true);
	ipc_set_phase(c->ch, strcmp(peer, "drop") == 0 ? SMTP_QUEUE_PHASE_DROP : c->submission ?
	    SMTP_QUEUE_PHASE_SUBMISSION : SMTP_QUEUE_PHASE_MX);
	c->watch = loop_watch(q->loop, fd, LOOP_READ, from_client, c);
}

static void
settle_now(void *arg)
{
	struct queue *q = arg;

	q->settle = NULL;
	q->settle_due = true; /* the end of this round commits */
}

/* Full: the reports go first, with a commit of their own. */
static struct done *
done_slot(struct queue *q)
{
	if (q->batch->n_done == MOST_DONE)
		batch_commit(q);
	if (q->settle == NULL)
		q->settle = loop_after(q->loop, QUEUE_SETTLE_MS, settle_now, q);
	return &q->batch->done[q->batch->n_done++];
}

void
batch_settle(struct queue *q, uint64_t delivery)
{
	*done_slot(q) = (struct done){ .delivery = delivery };
}

void
batch_defer(struct queue *q, uint64_t delivery, int64_t next_us, struct slice reason)
{
	struct done *d = done_slot(q);

	*d = (struct done){ .delivery = delivery, .next_us = next_us };
	(void)snprintf(d->reason, sizeof d->reason, "%.*s", SFMT(slice_head(reason, sizeof d->reason - 1)));
}

/* ---- the commit --------------------------------------------------------------------------------- */

static enum store_err
write_all(struct queue *q)
{
	struct batch *b = q->batch;
	enum store_err e = spool_begin(q->spool);

	for (unsigned i = 0; i < b->n_done && e == STORE_OK; i++) {
		const struct done *d = &b->done[i];

		e = d->next_us == 0 ? spool_settle(q->spool, d->delivery) :
				      spool_defer(q->spool, d->delivery, (uint64_t)d->next_us, slice_z(d->reason));
		if (e == STORE_NONE)
			e = STORE_OK;
	}
	for (unsigned i = 0; i < b->n && e == STORE_OK; i++) {
		struct waiting *w = &b->waiting[i];

		w->status = SMTP_QUEUE_ACCEPT_STATUS_OK;
		e = spool_accept(q->spool, &w->m, &w->id);
		if (e == STORE_REFUSED || e == STORE_LIMIT) { /* this one alone */
			w->status = SMTP_QUEUE_ACCEPT_STATUS_REFUSED;
			e = STORE_OK;
		}
	}
	if (e == STORE_OK)
		return spool_commit(q->spool);
	spool_rollback(q->spool);
	return e;
}

static void
answer(struct queue *q, struct waiting *w, enum store_err e)
{
	struct smtp_queue_accept_answer a = { .status = w->status };

	if (e != STORE_OK)
		a.status = e == STORE_FULL ? SMTP_QUEUE_ACCEPT_STATUS_FULL : SMTP_QUEUE_ACCEPT_STATUS_TRY_LATER;
	(void)smtp_queue_accept_answer(&w->call, &a);
	if (a.status == SMTP_QUEUE_ACCEPT_STATUS_OK)
		EVENT(EVENT_QUEUE_STORED, w->session, w->m.queue_id, S(""), EN("size", w->m.size),
		    EN("nrcpt", w->m.rcpts), EN("batch", q->batch->n));
	else
		EVENT(EVENT_STORE_ERROR, w->session, w->m.queue_id, S(""), EF("what", S("accept")),
		    EF("error", slice_z(store_err_name(e))));
}

/* Every recipient becomes a task; all share the memfd. */
static void
hand_on(struct queue *q, struct waiting *w)
{
	struct content *content = content_new(q, w->m.fd);

	w->m.fd = -1;
	for (size_t i = 0; i < w->m.rcpts; i++) {
		struct spool_delivery d = { .id = spool_delivery_id(w->id, i),
			.message = w->id,
			.queue_id = w->m.queue_id,
			.session = w->m.session,
			.sender = w->m.sender,
			.address = w->m.rcpt[i].address,
			.account = w->m.rcpt[i].account,
			.received = w->m.received,
			.size = w->m.size };

		if (!deliver_add(q, &d, content))
			break;
	}
	content_unref(q, &content);
}

void
batch_round(struct queue *q)
{
	if (q->batch->n > 0 || q->settle_due || q->batch->n_done > MOST_DONE / 2)
		batch_commit(q);
}

void
batch_commit(struct queue *q)
{
	struct batch *b = q->batch;
	enum store_err e;

	if (b->n == 0 && b->n_done == 0)
		return;
	e = write_all(q);
	q->settle_due = false;
	loop_cancel(q->loop, &q->settle);
	for (unsigned i = 0; i < b->n; i++)
		answer(q, &b->waiting[i], e);
	for (unsigned i = 0; i < b->n; i++) {
		if (e == STORE_OK && b->waiting[i].status == SMTP_QUEUE_ACCEPT_STATUS_OK)
			hand_on(q, &b->waiting[i]);
		waiting_drop(&b->waiting[i]);
	}
	b->n = 0;
	if (e == STORE_OK)
		b->n_done = 0;
	else if (e != STORE_FULL)
		queue_die(q, "commit", e);
	else if (b->n_done == MOST_DONE)
		queue_die(q, "no space to note what was delivered", e);
	else if (b->n_done > 0) /* no space: once more in a while */
		q->settle = loop_after(q->loop, 1000, settle_now, q);
}
