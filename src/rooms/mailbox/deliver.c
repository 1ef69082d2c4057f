/* SPDX-License-Identifier: MIT
 * Deliveries from queue. A delivery is committed without waiting for the disk; the answer waits for
 * the flush, which all of one round share. Its id makes a second one harmless, so nothing is lost or
 * doubled whenever either room dies. */
#include <stdlib.h>
#include <sysexits.h>

#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/make/trace.h"
#include "rooms/mailbox/room.h"

#define PREFIX ((size_t)2048) /* Return-Path and Delivered-To */

static void
answer(struct ipc_call *call, enum queue_mailbox_deliver_status status, const char *reason)
{
	struct queue_mailbox_deliver_answer out = { .status = status, .reason = slice_z(reason) };

	(void)queue_mailbox_deliver_answer(call, &out);
}

static void
refuse(struct mailbox_room *r, struct ipc_call *call, const struct queue_mailbox_deliver *m,
    enum store_err e)
{
	EVENT(EVENT_STORE_ERROR, m->session, m->queue_id, m->rcpt, EF("what", S("deliver")),
	    EF("error", slice_z(store_err_name(e))));
	if (e == STORE_IO) {
		/* a second flush would prove nothing: queue tries again with the next process */
		deliver_drop(r);
		exit(EX_IOERR);
	}
	answer(call, e == STORE_FULL ? QUEUE_MAILBOX_DELIVER_STATUS_FULL :
		e == STORE_LIMIT     ? QUEUE_MAILBOX_DELIVER_STATUS_REFUSED :
				       QUEUE_MAILBOX_DELIVER_STATUS_TRY_LATER,
	    store_err_name(e));
}

/* The folder that is asked for, or INBOX when it is not there (any more). */
static enum store_err
target(struct mailbox_room *r, struct slice name, struct arena *a, struct mailbox_folder *out)
{
	enum store_err e = STORE_NONE;

	if (name.n > 0)
		e = mailbox_folder_find(r->store, name, a, out);
	if (e == STORE_NONE || (e == STORE_OK && out->noselect))
		e = mailbox_folder_find(r->store, S("INBOX"), a, out);
	return e;
}

static void
on_deliver(void *ctx, struct ipc_call *call, struct queue_mailbox_deliver *m)
{
	struct mailbox_room *r = ctx;
	own(arena_p) a = arena_new("delivery", LIMIT_ARENA_COMMAND);
	own(buf_t) prefix = { .max = PREFIX };
	struct mailbox_folder folder;
	struct mailbox_input in = { .fd = m->fd, .size = m->size,
		.date = m->received_us / 1000000 };
	uint64_t size;
	uint32_t uid = 0;
	bool fresh = false;
	enum store_err e;

	r->busy_ms = clock_mono_ms();
	if (!ipc_sealed_memfd(m->fd, LIMIT_STORE_MESSAGE, &size) || size != m->size) {
		answer(call, QUEUE_MAILBOX_DELIVER_STATUS_REFUSED, "not a sealed message");
		return;
	}
	if (!trace_return_path(&prefix, m->sender) || !trace_delivered_to(&prefix, m->rcpt)) {
		answer(call, QUEUE_MAILBOX_DELIVER_STATUS_REFUSED, "address");
		return;
	}
	in.prefix = buf_slice(&prefix);
	e = target(r, m->folder, a, &folder);
	if (e == STORE_OK)
		e = mailbox_deliver(r->store, m->delivery, m->floor, folder.id, &in, &uid, &fresh);
	if (e != STORE_OK) {
		refuse(r, call, m, e);
		return;
	}
	if (fresh)
		EVENT(EVENT_MAILBOX_DELIVERED, m->session, m->queue_id, m->rcpt,
		    EF("folder", folder.name), EN("uid", uid), EN("size", m->size));
	r->batch[r->n_batch++] = (struct delivered){ .call = *call, .folder = folder.id };
	if (r->n_batch == MAILBOX_BATCH)
		deliver_flush(r);
}

static const struct queue_mailbox_server handlers = { .deliver = on_deliver };

void
deliver_flush(void *room)
{
	struct mailbox_room *r = room;
	enum store_err e;

	if (r->n_batch == 0)
		return;
	e = mailbox_flush(r->store);
	if (e != STORE_OK) {
		EVENT(EVENT_STORE_ERROR, 0, S(""), slice_z(r->account), EF("what", S("flush")),
		    EF("error", slice_z(store_err_name(e))));
		exit(EX_IOERR);
	}
	for (size_t i = 0; i < r->n_batch; i++)
		answer(&r->batch[i].call, QUEUE_MAILBOX_DELIVER_STATUS_OK, "");
	for (size_t i = 0; i < r->n_batch; i++)
		if (i == 0 || r->batch[i].folder != r->batch[i - 1].folder)
			hub_changed(&r->hub, r->batch[i].folder, NULL);
	r->n_batch = 0;
}

void
deliver_drop(struct mailbox_room *r)
{
	if (r->queue == NULL)
		return;
	r->n_batch = 0; /* nobody is there to hear the answers; what was committed stays */
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
