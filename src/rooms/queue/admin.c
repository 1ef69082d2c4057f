/* SPDX-License-Identifier: MIT
 * The queue as the administrator sees it: list and show. */
#include <stdlib.h>

#include "ipc/cli_queue.h"
#include "rooms/queue/queue.h"

#define LIST_PAGE 50u
#define SHOW_PAGE 40u

struct admin {
	struct queue *q;
	struct ipc_channel *ch;
	struct loop_watch *watch;
};

struct listing {
	struct arena *a;
	struct cli_queue_message messages[LIST_PAGE];
	struct cli_queue_rcpt rcpts[SHOW_PAGE];
	uint64_t message; /* show: this one only */
	uint32_t skip;
	size_t n, n_rcpts;
	bool more;
};

static bool
copy_message(struct listing *l, const struct spool_delivery *d, struct cli_queue_message *m)
{
	*m = (struct cli_queue_message){ .id = d->message,
		.account = (uint32_t)d->submitter,
		.size = d->size,
		.received_us = (int64_t)d->received };
	return arena_copy(l->a, slice_head(d->queue_id, 40), &m->queue_id) &&
	    arena_copy(l->a, slice_head(d->sender, 320), &m->sender);
}

static bool
list_one(void *ctx, const struct spool_delivery *d)
{
	struct listing *l = ctx;

	if (l->n > 0 && l->messages[l->n - 1].id == d->message) {
		l->messages[l->n - 1].rcpts++;
		return true;
	}
	if (l->n == LIST_PAGE || !copy_message(l, d, &l->messages[l->n])) {
		l->more = true;
		return false;
	}
	l->messages[l->n++].rcpts = 1;
	return true;
}

static void
on_list(void *ctx, struct ipc_call *call, struct cli_queue_list *m)
{
	struct admin *admin = ctx;
	own(arena_p) a = arena_new("list", LIMIT_ARENA_SESSION);
	struct listing *l = ARENA_NEW(a, struct listing);
	struct cli_queue_list_answer out = { .status = CLI_QUEUE_RESULT_FAILED };
	struct spool_counts counts = { 0 };
	uint64_t after = m->after == 0 ? 0 : spool_delivery_id(m->after + 1, 0) - 1;

	PN_ASSERT(l != NULL);
	l->a = a;
	if (spool_pending(admin->q->spool, after, SIZE_MAX, list_one, l, NULL) == STORE_OK &&
	    true)
		out = (struct cli_queue_list_answer){ .status = CLI_QUEUE_RESULT_OK,
			.messages = l->messages,
			.n_messages = l->n,
			.more = l->more,
			.total = counts.messages };
	(void)cli_queue_list_answer(call, &out);
}

static bool
show_one(void *ctx, const struct spool_delivery *d)
{
	struct listing *l = ctx;
	struct cli_queue_rcpt *r = &l->rcpts[l->n_rcpts];

	if (d->message != l->message)
		return false;
	if (l->n == 0 && !copy_message(l, d, &l->messages[l->n++]))
		return false;
	l->messages[0].rcpts++;
	if (l->skip > 0) {
		l->skip--;
		return true;
	}
	if (l->n_rcpts == SHOW_PAGE) {
		l->more = true;
		return false;
	}
	*r = (struct cli_queue_rcpt){ .account = (uint32_t)d->account,
		.state = d->state == SPOOL_HELD ? CLI_QUEUE_STATE_HELD :
		    d->attempts > 0		? CLI_QUEUE_STATE_DEFERRED :
						  CLI_QUEUE_STATE_ACTIVE,
		.attempts = d->attempts,
		.next_us = (int64_t)d->next };
	l->n_rcpts++;
	return arena_copy(l->a, slice_head(d->address, 320), &r->address) &&
	    arena_copy(l->a, slice_head(d->reason, 256), &r->reason);
}

static void
on_show(void *ctx, struct ipc_call *call, struct cli_queue_show *m)
{
	struct admin *admin = ctx;
	own(arena_p) a = arena_new("show", LIMIT_ARENA_SESSION);
	struct listing *l = ARENA_NEW(a, struct listing);
	struct cli_queue_show_answer out = { .status = CLI_QUEUE_RESULT_NONE };
	enum store_err e;

	PN_ASSERT(l != NULL);
	l->a = a;
	l->skip = m->after_rcpt;
	e = spool_by_queue_id(admin->q->spool, m->queue_id, &l->message);
	if (e == STORE_OK)
		e = spool_pending(admin->q->spool, spool_delivery_id(l->message, 0) - 1, SPOOL_RCPTS, show_one, l, NULL);
	if (e == STORE_OK && l->n == 1)
		out = (struct cli_queue_show_answer){ .status = CLI_QUEUE_RESULT_OK,
			.message = l->messages,
			.n_message = 1,
			.rcpts = l->rcpts,
			.n_rcpts = l->n_rcpts,
			.more = l->more };
	else if (e != STORE_OK && e != STORE_NONE)
		out.status = CLI_QUEUE_RESULT_FAILED;
	(void)cli_queue_show_answer(call, &out);
}

static const struct cli_queue_server handlers = { .list = on_list, .show = on_show };

static void
from_cli(void *arg, unsigned ready)
{
	struct admin *admin = arg;
	enum ipc_status st = cli_queue_server_serve(admin->ch, &handlers, admin);

	(void)ready;
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	loop_unwatch(admin->q->loop, &admin->watch);
	ipc_channel_free(&admin->ch);
	free(admin);
}

void
admin_introduce(struct queue *q, int fd)
{
	struct admin *admin = calloc(1, sizeof *admin);

	PN_ASSERT(admin != NULL);
	admin->q = q;
	admin->ch = ipc_channel_new(fd, "cli", "");
	ipc_set_nonblocking(admin->ch, true);
	admin->watch = loop_watch(q->loop, fd, LOOP_READ, from_cli, admin);
}
