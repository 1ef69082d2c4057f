/* SPDX-License-Identifier: MIT
 * An answer holds at most eight events and less than a frame; more follow by asking again after the
 * last id. */
#include "rooms/ledger/answer.h"

#include "ipc/cli_ledger.h"

#define EVENTS ((size_t)8)
#define FRAME ((size_t)60000)	/* of LIMIT_IPC; the rest is for lengths */
#define NEWEST ((size_t)100000)	/* more of the newest are not looked up */

struct answering {
	struct arena *a;
	struct cli_ledger_event event[EVENTS];
	size_t n, bytes, most;
	bool more, failed;
};

static bool
copy_fields(struct answering *w, struct slice packed, struct cli_ledger_event *out)
{
	struct cursor c;
	struct slice all;

	if (!arena_copy(w->a, packed, &all))
		return false;
	out->fields = ARENA_ARRAY(w->a, LIMIT_EVENT_FIELDS, struct cli_ledger_field);
	if (out->fields == NULL)
		return false;
	c = cur_of(all);
	while (out->n_fields < LIMIT_EVENT_FIELDS &&
	    ledger_unpack(&c, &out->fields[out->n_fields].key, &out->fields[out->n_fields].value))
		out->n_fields++;
	return true;
}

static bool
take(void *ctx, const struct ledger_event *e)
{
	struct answering *w = ctx;
	size_t bytes = 256 + e->account.n + e->fields.n + e->queue_id.n;
	struct cli_ledger_event *out = &w->event[w->n];

	if (w->n == w->most || w->bytes + bytes > FRAME) {
		w->more = true;
		return false;
	}
	*out = (struct cli_ledger_event){ .id = e->id, .kind = (uint16_t)e->kind,
		.time_us = (int64_t)e->time, .session = e->session };
	if (!arena_copy(w->a, slice_head(e->room, 32), &out->room) ||
	    !arena_copy(w->a, slice_head(e->queue_id, 40), &out->queue_id) ||
	    !arena_copy(w->a, e->account, &out->account) || !copy_fields(w, e->fields, out)) {
		w->failed = true;
		return false;
	}
	w->n++;
	w->bytes += bytes;
	return true;
}

static bool
note_id(void *ctx, const struct ledger_event *e)
{
	*(uint64_t *)ctx = e->id;
	return true;
}

static struct ledger_query
question(const struct cli_ledger_query *m)
{
	return (struct ledger_query){ .session = m->session, .queue_id = m->queue_id,
		/* a session's id alone asks for all of its messages */
		.prefix = slice_find_byte(m->queue_id, '.') == SLICE_NONE,
		.account = m->account, .kind = m->kind, .after = m->after,
		.from = m->since_us < 0 ? 0 : (uint64_t)m->since_us,
		.to = m->until_us < 0 ? 0 : (uint64_t)m->until_us };
}

/* The id before the first of the last most events that match. */
static enum store_err
before_newest(struct ledger *log, struct ledger_query q, size_t most, uint64_t *after)
{
	uint64_t first = 0;
	enum store_err e;

	q.newest_first = true;
	q.after = 0;
	q.max = most == 0 ? EVENTS : most < NEWEST ? most : NEWEST;
	e = ledger_find(log, &q, note_id, &first);
	*after = first == 0 ? ledger_last(log) : first - 1;
	return e;
}

static void
on_query(void *ctx, struct ipc_call *call, struct cli_ledger_query *m)
{
	struct ledger_room *r = ctx;
	own(arena_p) a = arena_new("answer", LIMIT_ARENA_MESSAGE);
	struct answering w = { .a = a, .most = EVENTS };
	struct ledger_query q = question(m);
	struct cli_ledger_query_answer out = { .status = CLI_LEDGER_RESULT_FAILED };
	enum store_err e = STORE_OK;

	ledger_write(r);
	if (m->newest)
		e = before_newest(r->log, q, m->most, &q.after);
	else if (m->most > 0 && m->most < EVENTS)
		w.most = m->most;
	q.max = w.most + 1;
	if (e == STORE_OK)
		e = ledger_find(r->log, &q, take, &w);
	out.last = w.n > 0 ? w.event[w.n - 1].id : q.after;
	if (e == STORE_OK && !w.failed) {
		out.status = CLI_LEDGER_RESULT_OK;
		out.events = w.event;
		out.n_events = w.n;
		out.more = w.more;
	}
	(void)cli_ledger_query_answer(call, &out);
}

enum ipc_status
ledger_answer_serve(struct ledger_room *r, struct ipc_channel *ch)
{
	static const struct cli_ledger_server handlers = { .query = on_query };

	return cli_ledger_server_serve(ch, &handlers, r);
}
