/* SPDX-License-Identifier: MIT
 * Deliveries from queue. Those of one round of the loop are one transaction, which does not wait for
 * the disk, and one flush, which the answers wait for. A delivery's id makes a second one harmless, so
 * nothing is lost or doubled whenever either room dies. */
#include <stdlib.h>
#include <sysexits.h>

#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/make/trace.h"
#include "rooms/mailbox/message.h"
#include "rooms/mailbox/room.h"

#define PREFIX ((size_t)2048) /* Return-Path and Delivered-To */

static void
answer(struct ipc_call *call, enum queue_mailbox_deliver_status status, const char *reason)
{
	struct queue_mailbox_deliver_answer out = { .status = status, .reason = slice_z(reason) };

	(void)queue_mailbox_deliver_answer(call, &out);
}

/* Where it goes: the folder that is asked for, or INBOX when it is not there (any more). The ids are
 * asked for without a flush, which looking at a whole folder would cost. */
static enum store_err
target(struct mailbox_room *r, struct arrival *a, uint64_t *id)
{
	enum store_err e = STORE_NONE;

	if (a->folder.n > 0)
		e = mailbox_folder_id(r->store, a->folder, id);
	if (e != STORE_NONE)
		return e;
	a->folder = S("INBOX");
	return mailbox_use_id(r->store, MAILBOX_INBOX, id);
}

static void
on_deliver(void *ctx, struct ipc_call *call, struct queue_mailbox_deliver *m)
{
	struct mailbox_room *r = ctx;
	struct arrival *a = &r->batch[r->n_batch];
	own(buf_t) prefix = { .max = PREFIX };
	uint64_t size;

	r->busy_ms = clock_mono_ms();
	if (!ipc_sealed_memfd(m->fd, LIMIT_STORE_MESSAGE, &size) || size != m->size) {
		answer(call, QUEUE_MAILBOX_DELIVER_STATUS_REFUSED, "not a sealed message");
		return;
	}
	if (!trace_return_path(&prefix, m->sender) || !trace_delivered_to(&prefix, m->rcpt)) {
		answer(call, QUEUE_MAILBOX_DELIVER_STATUS_REFUSED, "address");
		return;
	}
	if (r->arrivals == NULL)
		r->arrivals = arena_new("arrivals", MAILBOX_BATCH * (PREFIX + (size_t)2048));
	*a = (struct arrival){ .call = *call, .session = m->session, .size = m->size };
	if (!arena_copy(r->arrivals, m->queue_id, &a->queue_id) ||
	    !arena_copy(r->arrivals, m->rcpt, &a->rcpt) ||
	    !arena_copy(r->arrivals, m->folder, &a->folder) ||
	    !arena_copy(r->arrivals, buf_slice(&prefix), &a->prefix)) {
		answer(call, QUEUE_MAILBOX_DELIVER_STATUS_TRY_LATER, "no memory");
		return;
	}
	a->fd = fd_take(&m->fd);
	r->delivery[r->n_batch] = (struct mailbox_delivery){ .id = m->delivery,
		.in = { .prefix = a->prefix, .fd = a->fd, .size = m->size,
		    .date = m->received_us / 1000000, .cache = message_cache,
		    .cache_version = MESSAGE_CACHE } };
	if (m->floor > r->floor)
		r->floor = m->floor;
	if (++r->n_batch == MAILBOX_BATCH)
		deliver_flush(r);
}

static const struct queue_mailbox_server handlers = { .deliver = on_deliver };

/* ---- the transaction ---- */

static _Noreturn void
disk_failed(struct mailbox_room *r, const char *what, enum store_err e)
{
	/* a second flush would prove nothing: queue tries again with the next process */
	EVENT(EVENT_STORE_ERROR, 0, S(""), slice_z(r->account), EF("what", slice_z(what)),
	    EF("error", slice_z(store_err_name(e))));
	exit(EX_IOERR);
}

static void
deliver_all(struct mailbox_room *r)
{
	enum store_err e;

	for (size_t i = 0; i < r->n_batch; i++) {
		e = target(r, &r->batch[i], &r->delivery[i].folder);
		if (e != STORE_OK)
			r->delivery[i].folder = 0; /* no folder has it: STORE_NONE for this one */
		if (e == STORE_IO)
			disk_failed(r, "deliver", e);
	}
	e = mailbox_deliver_many(r->store, r->floor, r->delivery, r->n_batch);
	/* one of them may be too big for the disk that is left: then each is tried for itself */
	for (size_t i = 0; e == STORE_FULL && r->n_batch > 1 && i < r->n_batch; i++)
		(void)mailbox_deliver_many(r->store, r->floor, &r->delivery[i], 1);
	if (e == STORE_OK || e == STORE_FULL)
		e = mailbox_flush(r->store);
	if (e == STORE_IO)
		disk_failed(r, "deliver", e);
}

static void
tell(struct mailbox_room *r, size_t i)
{
	struct arrival *a = &r->batch[i];
	const struct mailbox_delivery *d = &r->delivery[i];

	if (d->err == STORE_OK) {
		answer(&a->call, QUEUE_MAILBOX_DELIVER_STATUS_OK, "");
		if (d->fresh)
			EVENT(EVENT_MAILBOX_DELIVERED, a->session, a->queue_id, a->rcpt,
			    EF("folder", a->folder), EN("uid", d->uid), EN("size", a->size));
		return;
	}
	EVENT(EVENT_STORE_ERROR, a->session, a->queue_id, a->rcpt, EF("what", S("deliver")),
	    EF("error", slice_z(store_err_name(d->err))));
	answer(&a->call, d->err == STORE_FULL ? QUEUE_MAILBOX_DELIVER_STATUS_FULL :
		d->err == STORE_LIMIT	      ? QUEUE_MAILBOX_DELIVER_STATUS_REFUSED :
						QUEUE_MAILBOX_DELIVER_STATUS_TRY_LATER,
	    store_err_name(d->err));
}

static void
gathered(void *arg)
{
	struct mailbox_room *r = arg;

	r->gather = NULL;
	r->gathered = true; /* the end of this round delivers */
}

void
deliver_round(void *room)
{
	struct mailbox_room *r = room;

	if (r->n_batch == 0)
		return;
	if (r->gathered || hub_listening(&r->hub))
		deliver_flush(r);
	else if (r->gather == NULL)
		r->gather = loop_after(r->loop, MAILBOX_GATHER_MS, gathered, r);
}

void
deliver_flush(struct mailbox_room *r)
{
	loop_cancel(r->loop, &r->gather);
	r->gathered = false;
	if (r->n_batch == 0)
		return;
	deliver_all(r);
	for (size_t i = 0; i < r->n_batch; i++)
		tell(r, i);
	for (size_t i = 0; i < r->n_batch; i++) {
		const struct mailbox_delivery *d = &r->delivery[i];

		if (d->err == STORE_OK && (i == 0 || d->folder != r->delivery[i - 1].folder ||
		    r->delivery[i - 1].err != STORE_OK))
			hub_changed(&r->hub, r->delivery[i].folder, NULL);
		fd_t_drop(&r->batch[i].fd);
	}
	r->n_batch = 0;
	arena_free(&r->arrivals);
}

void
deliver_drop(struct mailbox_room *r)
{
	if (r->queue == NULL)
		return;
	/* nobody is there to hear the answers; the next channel brings these deliveries again */
	for (size_t i = 0; i < r->n_batch; i++) {
		(void)ipc_refuse(&r->batch[i].call);
		fd_t_drop(&r->batch[i].fd);
	}
	r->n_batch = 0;
	arena_free(&r->arrivals);
	loop_cancel(r->loop, &r->gather);
	loop_unwatch(r->loop, &r->queue_watch);
	ipc_channel_free(&r->queue);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct mailbox_room *r = arg;
	enum ipc_status st = IPC_OK;

	for (unsigned i = 0; i < MAILBOX_BATCH && st == IPC_OK; i++)
		st = queue_mailbox_server_serve(r->queue, &handlers, r);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && r->proc != NULL)
		proc_suspect(r->proc, r->queue);
	deliver_drop(r);
}

void
deliver_introduce(struct mailbox_room *r, int fd)
{
	deliver_flush(r);
	deliver_drop(r);
	r->queue = ipc_channel_new(fd, "queue", "");
	ipc_set_nonblocking(r->queue, true);
	r->queue_watch = loop_watch(r->loop, ipc_fd(r->queue), LOOP_READ, on_frames, r);
}
