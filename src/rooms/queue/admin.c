/* SPDX-License-Identifier: MIT
 * The queue as the administrator sees and changes it, and the hold rules. Filters are applied here;
 * a request walks a bounded way through the spool and says where it stopped. */
#include <stdlib.h>

#include "ipc/cli_queue.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/queue/queue.h"

#define LIST_PAGE 40u
#define SHOW_PAGE 40u
#define RULE_PAGE 60u
#define WALK 5000u	/* deliveries looked at for one request: mail does not wait for lists */
#define CHANGES 1000u	/* of these changed */

struct admin {
	struct queue *q;
	struct ipc_channel *ch;
	struct loop_watch *watch;
};

/* ---- filters ------------------------------------------------------------------------------------ */

static bool
address_is(struct slice address, struct slice want)
{
	size_t at = slice_rfind_byte(address, '@');

	if (want.n == 0 || slice_ieq(address, want))
		return true;
	if (slice_starts(want, S("@")))
		return at != SLICE_NONE && slice_ieq(slice_from(address, at), want);
	return address.n == 0 && slice_eq(want, S("<>"));
}

static bool
domain_is(struct slice address, struct slice want)
{
	size_t at = slice_rfind_byte(address, '@');

	return want.n == 0 || (at != SLICE_NONE && slice_ieq(slice_from(address, at + 1), want));
}

static enum cli_queue_state
state_of(const struct spool_delivery *d)
{
	return d->state == SPOOL_HELD ? CLI_QUEUE_STATE_HELD :
	    d->attempts > 0	      ? CLI_QUEUE_STATE_DEFERRED :
					CLI_QUEUE_STATE_ACTIVE;
}

static bool
means(const struct cli_queue_filter *f, const struct spool_delivery *d, uint64_t now)
{
	uint64_t age = d->queued < now ? (now - d->queued) / 1000000 : 0;

	if (f == NULL)
		return true;
	if (f->state != CLI_QUEUE_WHICH_ANY && (unsigned)f->state != (unsigned)state_of(d) + 1)
		return false;
	if ((f->older != 0 && age < f->older) || (f->younger != 0 && age > f->younger) ||
	    (f->account != 0 && f->account != d->submitter && f->account != d->account))
		return false;
	return (f->queue_id.n == 0 || slice_eq(f->queue_id, d->queue_id)) && address_is(d->sender, f->sender) &&
	    address_is(d->address, f->recipient) && domain_is(d->address, f->domain) &&
	    (f->reason.n == 0 || slice_find(d->reason, f->reason) != SLICE_NONE);
}

/* A walk through the spool for one request. */
struct walk {
	struct queue *q;
	struct arena *a;
	const struct cli_queue_filter *filter;
	uint64_t now, after, looked;
	bool full;
	/* list */
	struct cli_queue_message messages[LIST_PAGE];
	size_t n;
	/* change */
	enum cli_queue_action action;
	bool count;
	uint64_t changed;
};

/* Where it starts; with a queue id, at that message. False when there is no such message. */
static bool
walk_from(struct walk *w, uint64_t after)
{
	uint64_t message;

	w->now = queue_now(w->q);
	w->after = after;
	if (w->filter == NULL || w->filter->queue_id.n == 0 || after != 0)
		return true;
	if (spool_by_queue_id(w->q->spool, w->filter->queue_id, &message) != STORE_OK)
		return false;
	w->after = spool_delivery_id(message, 0) - 1;
	return true;
}

/* Is there more behind it? A walk for one message ends with it. */
static bool
walk_more(const struct walk *w, uint64_t began)
{
	if (w->filter != NULL && w->filter->queue_id.n > 0)
		return w->full;
	return w->full || (w->looked == WALK && w->after != began);
}

/* ---- list --------------------------------------------------------------------------------------- */

static bool
copy_message(struct queue *q, struct arena *a, const struct spool_delivery *d, struct cli_queue_message *m)
{
	*m = (struct cli_queue_message){ .id = d->message,
		.account = (uint32_t)d->submitter,
		.size = d->size,
		.received_us = (int64_t)d->received,
		.rcpts = 1,
		.state = state_of(d),
		.next_us = queue_wall(q, d->next) };
	return arena_copy(a, slice_head(d->queue_id, 40), &m->queue_id) &&
	    arena_copy(a, slice_head(d->sender, 320), &m->sender) && arena_copy(a, slice_head(d->address, 320), &m->rcpt) &&
	    arena_copy(a, slice_head(d->reason, 200), &m->reason);
}

static bool
list_one(void *ctx, const struct spool_delivery *d)
{
	struct walk *w = ctx;

	w->looked++;
	if (means(w->filter, d, w->now)) {
		if (w->n > 0 && w->messages[w->n - 1].id == d->message) {
			w->messages[w->n - 1].rcpts++;
		} else if (w->n == LIST_PAGE || !copy_message(w->q, w->a, d, &w->messages[w->n])) {
			w->full = true;
			return false;
		} else {
			w->n++;
		}
	}
	w->after = d->id;
	return w->filter == NULL || w->filter->queue_id.n == 0 || slice_eq(d->queue_id, w->filter->queue_id);
}

static void
on_list(void *ctx, struct ipc_call *call, struct cli_queue_list *m)
{
	struct admin *admin = ctx;
	own(arena_p) a = arena_new("list", LIMIT_ARENA_SESSION);
	struct walk *w = ARENA_NEW(a, struct walk);
	struct cli_queue_list_answer out = { .status = CLI_QUEUE_RESULT_FAILED };
	uint64_t began;

	PN_ASSERT(w != NULL);
	w->q = admin->q;
	w->a = a;
	w->filter = m->n_filters > 0 ? m->filters : NULL;
	batch_commit(admin->q); /* what is known is shown */
	if (!walk_from(w, m->after)) {
		out.status = CLI_QUEUE_RESULT_OK;
	} else {
		began = w->after;
		if (spool_pending(admin->q->spool, w->after, WALK, list_one, w, NULL) == STORE_OK)
			out = (struct cli_queue_list_answer){ .status = CLI_QUEUE_RESULT_OK, .messages = w->messages,
				.n_messages = w->n, .more = walk_more(w, began), .after = w->after,
				.open = spool_open_deliveries(admin->q->spool) };
	}
	(void)cli_queue_list_answer(call, &out);
}

/* ---- show --------------------------------------------------------------------------------------- */

struct showing {
	struct queue *q;
	struct arena *a;
	struct cli_queue_message message;
	struct cli_queue_rcpt rcpts[SHOW_PAGE];
	uint64_t id;
	uint32_t skip;
	size_t n;
	bool any, more;
};

static bool
show_one(void *ctx, const struct spool_delivery *d)
{
	struct showing *s = ctx;
	struct cli_queue_rcpt *r = &s->rcpts[s->n];

	if (d->message != s->id)
		return false;
	if (!s->any && !copy_message(s->q, s->a, d, &s->message))
		return false;
	s->message.rcpts += s->any;
	s->any = true;
	if (s->skip > 0) {
		s->skip--;
		return true;
	}
	if (s->n == SHOW_PAGE) {
		s->more = true;
		return false;
	}
	*r = (struct cli_queue_rcpt){ .account = (uint32_t)d->account, .state = state_of(d), .attempts = d->attempts,
		.next_us = d->state == SPOOL_HELD ? 0 : queue_wall(s->q, d->next) };
	s->n++;
	return arena_copy(s->a, slice_head(d->address, 320), &r->address) &&
	    arena_copy(s->a, slice_head(d->reason, 512), &r->reason);
}

static void
on_show(void *ctx, struct ipc_call *call, struct cli_queue_show *m)
{
	struct admin *admin = ctx;
	own(arena_p) a = arena_new("show", LIMIT_ARENA_SESSION);
	struct showing *s = ARENA_NEW(a, struct showing);
	struct cli_queue_show_answer out = { .status = CLI_QUEUE_RESULT_NONE };
	enum store_err e;

	PN_ASSERT(s != NULL);
	s->q = admin->q;
	s->a = a;
	s->skip = m->after_rcpt;
	batch_commit(admin->q);
	e = spool_by_queue_id(admin->q->spool, m->queue_id, &s->id);
	if (e == STORE_OK)
		e = spool_pending(admin->q->spool, spool_delivery_id(s->id, 0) - 1, SPOOL_RCPTS, show_one, s, NULL);
	if (e == STORE_OK && s->any)
		out = (struct cli_queue_show_answer){ .status = CLI_QUEUE_RESULT_OK,
			.message = &s->message,
			.n_message = 1,
			.rcpts = s->rcpts,
			.n_rcpts = s->n,
			.more = s->more };
	else if (e != STORE_OK && e != STORE_NONE)
		out.status = CLI_QUEUE_RESULT_FAILED;
	(void)cli_queue_show_answer(call, &out);
}

/* ---- change ------------------------------------------------------------------------------------- */

/* Notes the change for the next commit; false when there is nothing to change. A task in memory is
 * told: one that is under way ends as it ends, but what it says then changes nothing any more. */
static bool
change_one(struct walk *w, const struct spool_delivery *d)
{
	struct task *t = task_find(w->q, d->id);
	struct done done = { .delivery = d->id, .next = w->now + 1000 };
	struct slice reason = S("");
	bool held = d->state == SPOOL_HELD, ends = false;

	switch (w->action) {
	case CLI_QUEUE_ACTION_HOLD:
		done.what = DONE_HELD;
		reason = S("held by the administrator");
		if (held)
			return false;
		ends = true;
		break;
	case CLI_QUEUE_ACTION_RELEASE:
		done.what = DONE_RELEASED;
		if (!held)
			return false;
		break;
	case CLI_QUEUE_ACTION_RETRY:
		done.what = DONE_POSTPONED;
		if (held)
			return false;
		break;
	case CLI_QUEUE_ACTION_FAIL:
		done = (struct done){ .delivery = d->id, .what = DONE_SETTLED, .tell = TELL_FAILED, .status = "5.0.0" };
		reason = S("given up by the administrator");
		ends = true;
		break;
	case CLI_QUEUE_ACTION_DROP:
		done.what = DONE_SETTLED;
		ends = true;
		break;
	}
	if (w->count)
		return true;
	if (t != NULL)
		t->dropped = ends;
	if (w->action == CLI_QUEUE_ACTION_RETRY && d->account == 0)
		remote_awake(w->q, d->address);
	if (t == NULL || w->action != CLI_QUEUE_ACTION_RETRY)
		batch_done(w->q, &done, reason, S(""));
	return true;
}

static void
tell_change(const struct walk *w, const struct spool_delivery *d)
{
	uint64_t session = 0;

	(void)session_parse(d->session, &session);
	EVENT(EVENT_QUEUE_CHANGED, session, d->queue_id, S(""), EF("action", slice_z(cli_queue_action_name(w->action))),
	    EF("to", d->address));
}

static bool
change_each(void *ctx, const struct spool_delivery *d)
{
	struct walk *w = ctx;

	w->looked++;
	if (means(w->filter, d, w->now)) {
		if (!w->count && w->changed == CHANGES) {
			w->full = true;
			return false;
		}
		if (change_one(w, d)) {
			w->changed++;
			if (!w->count)
				tell_change(w, d);
		}
	}
	w->after = d->id;
	return w->filter->queue_id.n == 0 || slice_eq(d->queue_id, w->filter->queue_id);
}

static void
on_change(void *ctx, struct ipc_call *call, struct cli_queue_change *m)
{
	struct admin *admin = ctx;
	own(arena_p) a = arena_new("change", LIMIT_ARENA_SESSION);
	struct walk *w = ARENA_NEW(a, struct walk);
	struct cli_queue_change_answer out = { .status = CLI_QUEUE_RESULT_FAILED };
	uint64_t began;

	PN_ASSERT(w != NULL);
	w->q = admin->q;
	w->filter = m->n_filters > 0 ? m->filters : NULL;
	w->action = m->action;
	w->count = m->count;
	batch_commit(admin->q);
	if (w->filter == NULL || !walk_from(w, m->after)) { /* everything has to be asked for with a filter */
		out.status = CLI_QUEUE_RESULT_NONE;
	} else {
		began = w->after;
		if (spool_pending(admin->q->spool, w->after, WALK, change_each, w, NULL) == STORE_OK)
			out = (struct cli_queue_change_answer){ .status = CLI_QUEUE_RESULT_OK, .deliveries = w->changed,
				.more = walk_more(w, began), .after = w->after };
		batch_commit(admin->q);
	}
	(void)cli_queue_change_answer(call, &out);
}

/* ---- hold rules --------------------------------------------------------------------------------- */

static void
on_rule_add(void *ctx, struct ipc_call *call, struct cli_queue_rule_add *m)
{
	struct admin *admin = ctx;
	struct spool_rule r = { .kind = (enum spool_rule_kind)m->kind, .pattern = m->pattern, .reason = m->reason };
	struct cli_queue_rule_add_answer out = { .status = CLI_QUEUE_RESULT_FAILED };
	enum store_err e;

	batch_commit(admin->q);
	e = spool_rule_add(admin->q->spool, &r, &out.id);
	if (e == STORE_OK) {
		rules_load(admin->q);
		out.status = CLI_QUEUE_RESULT_OK;
	} else if (e == STORE_LIMIT || e == STORE_FULL) {
		out.status = CLI_QUEUE_RESULT_FULL;
	}
	(void)cli_queue_rule_add_answer(call, &out);
}

struct rule_page {
	struct arena *a;
	struct cli_queue_rule rules[RULE_PAGE];
	uint64_t after;
	size_t n;
	bool more;
};

static bool
rule_one(void *ctx, const struct spool_rule *r)
{
	struct rule_page *p = ctx;
	struct cli_queue_rule *to = &p->rules[p->n];

	if (r->id <= p->after)
		return true;
	if (p->n == RULE_PAGE) {
		p->more = true;
		return false;
	}
	*to = (struct cli_queue_rule){ .id = r->id, .kind = (enum cli_queue_rule_kind)r->kind };
	p->n++;
	return arena_copy(p->a, r->pattern, &to->pattern) && arena_copy(p->a, slice_head(r->reason, 512), &to->reason);
}

static void
on_rule_list(void *ctx, struct ipc_call *call, struct cli_queue_rule_list *m)
{
	struct admin *admin = ctx;
	own(arena_p) a = arena_new("rules", LIMIT_ARENA_SESSION);
	struct rule_page *p = ARENA_NEW(a, struct rule_page);
	struct cli_queue_rule_list_answer out = { .status = CLI_QUEUE_RESULT_FAILED };

	PN_ASSERT(p != NULL);
	p->a = a;
	p->after = m->after;
	if (spool_rules(admin->q->spool, rule_one, p) == STORE_OK)
		out = (struct cli_queue_rule_list_answer){ .status = CLI_QUEUE_RESULT_OK, .rules = p->rules,
			.n_rules = p->n, .more = p->more };
	(void)cli_queue_rule_list_answer(call, &out);
}

static void
on_rule_delete(void *ctx, struct ipc_call *call, struct cli_queue_rule_delete *m)
{
	struct admin *admin = ctx;
	struct cli_queue_rule_delete_answer out = { .status = CLI_QUEUE_RESULT_FAILED };
	enum store_err e;

	batch_commit(admin->q);
	e = spool_rule_delete(admin->q->spool, m->id);
	rules_load(admin->q);
	out.status = e == STORE_OK ? CLI_QUEUE_RESULT_OK : e == STORE_NONE ? CLI_QUEUE_RESULT_NONE :
									 CLI_QUEUE_RESULT_FAILED;
	(void)cli_queue_rule_delete_answer(call, &out);
}

/* ---- the channel -------------------------------------------------------------------------------- */

static const struct cli_queue_server handlers = { .list = on_list,
	.show = on_show,
	.change = on_change,
	.rule_add = on_rule_add,
	.rule_list = on_rule_list,
	.rule_delete = on_rule_delete };

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
