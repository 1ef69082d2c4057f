/* SPDX-License-Identifier: MIT
 * Group commit: conversations that end at the same moment share one transaction and one flush. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/chars.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/queue/queue.h"

#define DONE_DUE 2048u	/* so many reports do not wait for company */
#define MOST_DONE 200000u /* reports while the disk has no space: four for each task in memory */
#define WAITING ((size_t)2097152) /* of one message: 1,000 recipients with all that they may have */
#define LETTER 100u	/* recipients in one notification */

/* One accept request that waits for the commit. */
struct waiting {
	struct ipc_call call;
	struct arena *arena; /* what follows */
	struct spool_message m;
	uint64_t session, id;
	bool again; /* it was taken before */
	enum smtp_queue_accept_status status;
};

struct batch {
	struct waiting waiting[QUEUE_BATCH];
	unsigned n;
	struct done *done;
	unsigned n_done, done_room;
	uint64_t *born; /* notifications of this commit, by message id */
	unsigned n_born, born_room;
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
		if (m->rcpts[i].address.n == 0 || (m->rcpts[i].listed && m->rcpts[i].sender.n == 0) || m->rcpts[i].notify > (SPOOL_SUCCESS | SPOOL_FAILURE | SPOOL_DELAY) ||
		    (m->rcpts[i].account == 0 && slice_find_byte(m->rcpts[i].address, '@') == SLICE_NONE))
			return false;
	return m->priority >= -9 && m->priority <= 9;
}

static bool
copy_rcpts(struct waiting *w, const struct smtp_queue_accept *m)
{
	struct spool_rcpt *r = ARENA_ARRAY(w->arena, m->n_rcpts, struct spool_rcpt);

	for (size_t i = 0; r != NULL && i < m->n_rcpts; i++) {
		r[i].account = m->rcpts[i].account;
		r[i].notify = m->rcpts[i].notify;
		r[i].listed = m->rcpts[i].listed;
		r[i].owner = m->rcpts[i].owner;
		if (!arena_copy(w->arena, m->rcpts[i].address, &r[i].address) ||
		    !arena_copy(w->arena, m->rcpts[i].original, &r[i].original) ||
		    !arena_copy(w->arena, m->rcpts[i].sender, &r[i].sender) ||
		    !arena_copy(w->arena, m->rcpts[i].orcpt, &r[i].orcpt))
			return false;
	}
	w->m.rcpt = r;
	w->m.rcpts = m->n_rcpts;
	return r != NULL;
}

static uint32_t
flags_of(const struct smtp_queue_accept *m)
{
	return (m->bulk ? SPOOL_BULK : 0) | (m->body_8bit ? SPOOL_8BIT : 0) | (m->smtputf8 ? SPOOL_SMTPUTF8 : 0) |
	    (m->requiretls ? SPOOL_REQUIRETLS : 0) | (m->ret == SMTP_QUEUE_RET_FULL ? SPOOL_RET_FULL : 0) |
	    (m->ret == SMTP_QUEUE_RET_HDRS ? SPOOL_RET_HDRS : 0) |
	    (m->by_us != 0 && m->by_mode == SMTP_QUEUE_BY_MODE_NOTIFY ? SPOOL_BY_NOTIFY : 0) |
	    (m->by_us != 0 && m->by_mode == SMTP_QUEUE_BY_MODE_GIVE_UP ? SPOOL_BY_RETURN : 0) |
	    (m->by_us != 0 && m->by_trace ? SPOOL_BY_TRACE : 0);
}

/* A time on the wall as a queue time, not before now; 0 stays 0. */
static uint64_t
queue_time(const struct queue *q, int64_t wall)
{
	int64_t ahead = wall - clock_wall_us();

	return wall == 0 ? 0 : queue_now(q) + (ahead > 0 ? (uint64_t)ahead : 0);
}

/* The frame ends with the handler: what waits for the commit is copied. */
static bool
copy_message(const struct queue *q, struct waiting *w, struct smtp_queue_accept *m)
{
	struct session_text session = session_text(m->session);

	w->arena = arena_new("waiting", WAITING);
	w->session = m->session;
	w->m.received = (uint64_t)m->received_us;
	w->m.account = m->account;
	w->m.size = m->size;
	w->m.flags = flags_of(m);
	w->m.queued = queue_now(q);
	w->m.first = queue_time(q, m->hold_until_us);
	w->m.by = queue_time(q, m->by_us);
	w->m.priority = (int)m->priority;
	w->m.fd = fd_take(&m->fd);
	return arena_copy(w->arena, m->queue_id, &w->m.queue_id) && arena_copy(w->arena, m->sender, &w->m.sender) &&
	    arena_copy(w->arena, slice_z(session.z), &w->m.session) && arena_copy(w->arena, m->envid, &w->m.envid) &&
	    arena_copy(w->arena, m->folder, &w->m.folder) && arena_copy(w->arena, m->held, &w->m.held) &&
	    arena_copy(w->arena, m->once, &w->m.once) && copy_rcpts(w, m);
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
	if ((q->locked && q->set.encrypt) || !copy_message(q, w, m)) {
		waiting_drop(w);
		no.status = SMTP_QUEUE_ACCEPT_STATUS_TRY_LATER;
		(void)smtp_queue_accept_answer(call, &no);
		return;
	}
	if (w->m.held.n == 0)
		w->m.held = rules_match(q, &w->m);
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
	ipc_set_phase(c->ch, strcmp(peer, "drop") == 0 ? SMTP_QUEUE_PHASE_DROP :
	    strcmp(peer, "clerk") == 0 ? SMTP_QUEUE_PHASE_CLERK : c->submission ?
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

static char *
keep(struct slice s)
{
	char *z = s.n == 0 ? NULL : calloc(1, (s.n < DONE_TEXT ? s.n : DONE_TEXT) + 1);

	PN_ASSERT(s.n == 0 || z != NULL);
	for (size_t i = 0; z != NULL && i < s.n && i < DONE_TEXT; i++)
		z[i] = ch_is_print(slice_at(s, i)) ? (char)slice_at(s, i) : '?';
	return z;
}

void
batch_done(struct queue *q, const struct done *d, struct slice reason, struct slice remote)
{
	struct batch *b = q->batch;
	bool tells = d->what != DONE_SETTLED || d->tell != TELL_NOBODY;
	struct done *slot;

	if (b->n_done == MOST_DONE)
		queue_die(q, "no space to note what was delivered", STORE_FULL);
	if (b->n_done == b->done_room) {
		b->done_room = b->done_room == 0 ? 256 : 2 * b->done_room;
		b->done = reallocarray(b->done, b->done_room, sizeof *b->done);
		PN_ASSERT(b->done != NULL);
	}
	if (q->settle == NULL)
		q->settle = loop_after(q->loop, QUEUE_SETTLE_MS, settle_now, q);
	slot = &b->done[b->n_done++];
	*slot = *d;
	slot->reason = tells ? keep(reason) : NULL;
	slot->remote = tells ? keep(remote) : NULL;
}

static void
forget_done(struct batch *b)
{
	for (unsigned i = 0; i < b->n_done; i++) {
		free(b->done[i].reason);
		free(b->done[i].remote);
	}
	b->n_done = 0;
	if (b->done_room > 2 * DONE_DUE) { /* a rare crowd: the memory goes back */
		free(b->done);
		b->done = NULL;
		b->done_room = 0;
	}
}

/* ---- the commit --------------------------------------------------------------------------------- */

/* "5.1.1 what was said (mx.example)": what the queue shows of it. */
static struct slice
reason_of(const struct done *d, char to[static SPOOL_REASON])
{
	int n = snprintf(to, SPOOL_REASON, "%s%s%s%s%s%s", d->status, d->status[0] == '\0' ? "" : " ",
	    d->reason == NULL ? "" : d->reason, d->remote == NULL ? "" : " (", d->remote == NULL ? "" : d->remote,
	    d->remote == NULL ? "" : ")");

	return slice_head(slice_of(to, n < 0 ? 0 : (size_t)n), SPOOL_REASON - 1);
}

static enum store_err
apply(struct queue *q, struct done *d)
{
	char text[SPOOL_REASON];
	uint64_t now = queue_now(q);
	enum store_err e = STORE_OK;

	/* one that had to wait for the disk may be due already: no walk of what is due has passed it */
	if (d->next <= now)
		d->next = now + 1000;
	switch (d->what) {
	case DONE_SETTLED:
		e = spool_settle(q->spool, d->delivery);
		break;
	case DONE_DEFERRED:
		e = spool_defer(q->spool, d->delivery, d->next, reason_of(d, text));
		break;
	case DONE_POSTPONED:
		e = spool_postpone(q->spool, d->delivery, d->next, reason_of(d, text));
		break;
	case DONE_HELD:
		e = spool_hold(q->spool, d->delivery, reason_of(d, text));
		break;
	case DONE_RELEASED:
		e = spool_release(q->spool, d->delivery, d->next);
		break;
	}
	if (e == STORE_OK && d->tell == TELL_DELAYED)
		e = spool_warned(q->spool, d->delivery);
	return e == STORE_NONE ? STORE_OK : e; /* known already, or an administrator was quicker */
}

/* Remembers a notification, to send it when it is durable. */
static void
born(struct batch *b, uint64_t id)
{
	if (id == 0)
		return;
	if (b->n_born == b->born_room) {
		b->born_room = b->born_room == 0 ? 64 : 2 * b->born_room;
		b->born = reallocarray(b->born, b->born_room, sizeof *b->born);
		PN_ASSERT(b->born != NULL);
	}
	b->born[b->n_born++] = id;
}

/* The notification for the reports from i on that belong together. */
static enum store_err
tell(struct queue *q, unsigned i, unsigned *next)
{
	struct batch *b = q->batch;
	const struct done *first = &b->done[i];
	uint64_t id = 0;
	enum store_err e;
	unsigned n = 1;
	size_t told = 0;

	while (i + n < b->n_done && n < LETTER && b->done[i + n].tell == first->tell &&
	    b->done[i + n].delivery >> SPOOL_RCPT_BITS == first->delivery >> SPOOL_RCPT_BITS)
		n++;
	e = bounce_write(q, first, n, &told, &id);
	*next = i + (told > 0 ? (unsigned)told : n);
	if (e == STORE_REFUSED || e == STORE_LIMIT) { /* an address that cannot be written to: nobody hears */
		EVENT(EVENT_STORE_ERROR, 0, S(""), S(""), EF("what", S("notification")),
		    EF("error", slice_z(store_err_name(e))));
		return STORE_OK;
	}
	born(b, id);
	return e;
}

static enum store_err
write_done(struct queue *q)
{
	struct batch *b = q->batch;
	unsigned told = 0;
	enum store_err e = STORE_OK;

	b->n_born = 0;
	for (unsigned i = 0; i < b->n_done && e == STORE_OK; i++) {
		if (i >= told && b->done[i].tell != TELL_NOBODY)
			e = tell(q, i, &told); /* first: it reads what settling removes */
		if (e == STORE_OK)
			e = apply(q, &b->done[i]);
	}
	return e;
}

static enum store_err
write_all(struct queue *q)
{
	struct batch *b = q->batch;
	enum store_err e = spool_begin(q->spool);

	if (e == STORE_OK)
		e = schedule_note(q);
	if (e == STORE_OK)
		e = write_done(q);
	for (unsigned i = 0; i < b->n && e == STORE_OK; i++) {
		struct waiting *w = &b->waiting[i];

		w->status = SMTP_QUEUE_ACCEPT_STATUS_OK;
		e = spool_accept(q->spool, &w->m, &w->id);
		if (e == STORE_REFUSED || e == STORE_LIMIT) { /* this one alone */
			w->status = SMTP_QUEUE_ACCEPT_STATUS_REFUSED;
			e = STORE_OK;
		} else if (e == STORE_EXISTS) { /* we have it, or had it: the asker did not hear so */
			w->again = true;
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
	struct smtp_queue_accept_answer a = { .status = w->status, .stress = q->stress };

	if (e != STORE_OK)
		a.status = e == STORE_FULL ? SMTP_QUEUE_ACCEPT_STATUS_FULL : SMTP_QUEUE_ACCEPT_STATUS_TRY_LATER;
	(void)smtp_queue_accept_answer(&w->call, &a);
	if (a.status == SMTP_QUEUE_ACCEPT_STATUS_OK && w->again)
		EVENT(EVENT_QUEUE_DROPPED, w->session, w->m.queue_id, S(""), EF("why", S("it was taken before")));
	else if (a.status == SMTP_QUEUE_ACCEPT_STATUS_OK)
		EVENT(EVENT_QUEUE_STORED, w->session, w->m.queue_id, S(""), EN("size", w->m.size),
		    EN("nrcpt", w->m.rcpts), EN("batch", q->batch->n), EF("held", w->m.held));
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
		const struct spool_rcpt *r = &w->m.rcpt[i];
		struct spool_delivery d = { .id = spool_delivery_id(w->id, i), .message = w->id,
			.queue_id = w->m.queue_id, .session = w->m.session, .sender = w->m.sender,
			.address = r->address, .account = r->account, .submitter = w->m.account,
			.received = w->m.received, .size = w->m.size, .flags = w->m.flags, .queued = w->m.queued,
			.next = w->m.first > w->m.queued ? w->m.first : w->m.queued,
			.state = w->m.held.n > 0 ? SPOOL_HELD : SPOOL_ACTIVE, .priority = w->m.priority,
			.by = w->m.by, .envid = w->m.envid, .folder = w->m.folder, .rcpt_sender = r->sender,
			.notify = r->notify, .orcpt = r->orcpt, .listed = r->listed, .owner = r->owner };

		if (!schedule_add(q, &d, content))
			break;
	}
	content_unref(q, &content);
}

static bool
hand_on_born(void *ctx, const struct spool_delivery *d)
{
	return schedule_add(ctx, d, NULL);
}

/* The notifications that this commit made durable. */
static void
hand_on_letters(struct queue *q)
{
	for (unsigned i = 0; i < q->batch->n_born && !q->scanning; i++) /* a scan will reach them */
		(void)spool_pending(q->spool, spool_delivery_id(q->batch->born[i], 0) - 1, 1, hand_on_born, q, NULL);
	q->batch->n_born = 0;
}

void
batch_round(struct queue *q)
{
	if (q->batch->n > 0 || q->settle_due || q->batch->n_done > DONE_DUE)
		batch_commit(q);
	remote_round(q);
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
		if (e == STORE_OK && b->waiting[i].status == SMTP_QUEUE_ACCEPT_STATUS_OK &&
		    !b->waiting[i].again)
			hand_on(q, &b->waiting[i]);
		waiting_drop(&b->waiting[i]);
	}
	b->n = 0;
	for (unsigned i = 0; e == STORE_OK && i < b->n_done; i++)
		if (b->done[i].what != DONE_SETTLED)
			schedule_later(q, b->done[i].next);
	if (e == STORE_OK) {
		forget_done(b);
		hand_on_letters(q);
	} else if (e != STORE_FULL) {
		queue_die(q, "commit", e);
	} else if (b->n_done > 0) { /* no space: once more in a while */
		q->settle = loop_after(q->loop, 1000, settle_now, q);
	}
}
