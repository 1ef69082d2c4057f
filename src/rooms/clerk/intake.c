/* SPDX-License-Identifier: MIT
 * Deliveries of queue: a report mail is on the disk before the answer, and read afterwards. */
#include "ipc/queue_mailbox.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/clerk/clerk.h"

static enum queue_mailbox_deliver_status
status_of(enum store_err e)
{
	switch (e) {
	case STORE_OK:
	case STORE_EXISTS:
		return QUEUE_MAILBOX_DELIVER_STATUS_OK;
	case STORE_LIMIT:
		return QUEUE_MAILBOX_DELIVER_STATUS_REFUSED;
	case STORE_FULL:
		return QUEUE_MAILBOX_DELIVER_STATUS_FULL;
	default:
		return QUEUE_MAILBOX_DELIVER_STATUS_TRY_LATER;
	}
}

static void
on_deliver(void *ctx, struct ipc_call *call, struct queue_mailbox_deliver *m)
{
	struct clerk *c = ((struct clerk_peer *)ctx)->c;
	struct queue_mailbox_deliver_answer out = { .status = QUEUE_MAILBOX_DELIVER_STATUS_REFUSED };
	struct reports_mail mail = { .delivery = m->delivery, .source = REPORT_BY_MAIL,
		.at = (uint64_t)clock_wall_us(), .sender = m->sender, .rcpt = m->rcpt, .size = m->size };
	enum store_err e = STORE_LIMIT;
	uint64_t size;

	if (m->size > LIMIT_REPORT_MAIL)
		out.reason = S("no report is that big");
	else if (!ipc_sealed_memfd(m->fd, LIMIT_REPORT_MAIL, &size) || size != m->size)
		out.reason = S("not a sealed message");
	else
		e = reports_take(c->reports, &mail, m->floor, m->fd, NULL);
	out.status = status_of(e);
	(void)queue_mailbox_deliver_answer(call, &out);
	clerk_store("take", e);
	if (e == STORE_OK)
		EVENT(EVENT_MAILBOX_DELIVERED, m->session, m->queue_id, S("clerk"), EF("to", m->rcpt),
		    EN("size", m->size), EF("folder", S("reports")));
	reading_kick(c);
}

enum ipc_status
intake_serve(struct clerk_peer *p)
{
	static const struct queue_mailbox_server handlers = { .deliver = on_deliver };

	return queue_mailbox_server_serve(p->ch, &handlers, p);
}
