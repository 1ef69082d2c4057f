/* SPDX-License-Identifier: MIT
 * What we owe: once a day, for every domain about which something was counted. A period is planned
 * when its day is over and the jitter of this host has passed; then one domain at a time is asked
 * where its reports go, and each destination gets one mail. A state on the disk before and after every
 * step says what is left to do after a restart. */
#include <stdio.h>

#include "ipc/cli_ledger.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/clerk/clerk.h"
#include "rooms/clerk/owing.h"

#define DAY_US UINT64_C(86400000000)
#define EVERY_MS 60000u
#define SOON_MS 20u
#define MOST_TRIES 14u	/* some four days */
#define FIRST_PAUSE_US UINT64_C(900000000)
#define MOST_PAUSE_US UINT64_C(43200000000)
#define UNKNOWN_US UINT64_C(60000000)

static const char *
kind_name(enum report_kind k)
{
	return k == REPORT_TLS ? "tls" : "dmarc";
}

static void
tell(enum event_kind kind, const struct reports_owed *o, const char *why)
{
	char id[QUEUE_ID_TEXT] = "";

	if (o->session != 0)
		mail_queue_id(o->session, id);
	EVENT(kind, o->session, slice_z(id), S(""), EF("kind", slice_z(kind_name(o->kind))), EF("domain", o->domain),
	    EF("to", o->to), EN("day", o->period / REPORTS_PARTS), EN("tries", o->tries), EF("why", slice_z(why)));
}

static void
write_down(struct clerk *c, const struct reports_owed *o)
{
	clerk_store("owe", reports_owe(c->reports, o));
}

static void
give_up(struct clerk *c, struct reports_owed *o, const char *why)
{
	o->state = OWED_NONE;
	o->why = slice_z(why);
	write_down(c, o);
	tell(EVENT_REPORT_GIVEN_UP, o, why);
}

static void
later(struct clerk *c, struct reports_owed *o, const char *why)
{
	uint64_t pause = FIRST_PAUSE_US << (o->tries < 10 ? o->tries : 10);

	if (++o->tries >= MOST_TRIES) {
		give_up(c, o, why);
		return;
	}
	o->state = OWED_OPEN;
	o->next = (uint64_t)clock_wall_us() + (pause < MOST_PAUSE_US ? pause : MOST_PAUSE_US);
	o->why = slice_z(why);
	write_down(c, o);
	tell(EVENT_REPORT_DEFERRED, o, why);
}

/* ---- one destination ---- */

/* After a crash, or without an answer: the log knows whether the queue stored it. */
static void
settle_unknown(struct clerk *c, struct reports_owed *o)
{
	own(arena_p) a = arena_new("asked", LIMIT_ARENA_MESSAGE);
	char id[QUEUE_ID_TEXT];
	struct cli_ledger_query in = { .queue_id = S(""), .kind = EVENT_QUEUE_STORED, .most = 1 };
	struct cli_ledger_query_answer out;

	mail_queue_id(o->session, id);
	in.queue_id = slice_z(id);
	if (!ipc_client_connected(c->log) ||
	    cli_ledger_query(c->log, &in, clock_mono_ms() + CLERK_ASK_MS, a, &out) != IPC_OK ||
	    out.status != CLI_LEDGER_RESULT_OK) {
		o->next = (uint64_t)clock_wall_us() + UNKNOWN_US;
		write_down(c, o);
		return;
	}
	o->state = out.n_events > 0 ? OWED_SENT : OWED_OPEN;
	o->why = S("");
	write_down(c, o);
	if (o->state == OWED_SENT)
		tell(EVENT_REPORT_SENT, o, "");
}

static void
send_one(struct clerk *c, struct reports_owed *o)
{
	own(arena_p) a = arena_new("owed", LIMIT_ARENA_MESSAGE);
	own(buf_t) packed = { .max = OWING_PACKED };
	own(buf_t) names = { .max = 4096 };
	struct mail m = { .to = o->to, .now_us = clock_wall_us() };
	const char *why = "";

	if (!owing_from(c, a, &m.from)) {
		later(c, o, "no domain of ours can be told now");
		return;
	}
	if (!owing_build(c, o, m.from, a, &packed, &names, &m)) {
		give_up(c, o, "the report cannot be built within its limits");
		return;
	}
	if (o->most != 0 && packed.n / 3 * 4 > o->most) {
		give_up(c, o, "larger than its destination takes");
		return;
	}
	o->session = owing_session();
	m.session = o->session;
	o->state = OWED_SENDING;
	o->next = (uint64_t)m.now_us + UNKNOWN_US;
	o->why = S("");
	write_down(c, o);
	switch (slice_istarts(o->to, S("https:")) ? mail_post(c, &m, a, &why) : mail_send(c, &m, &why)) {
	case MAIL_SENT:
		o->state = OWED_SENT;
		write_down(c, o);
		tell(EVENT_REPORT_SENT, o, "");
		break;
	case MAIL_LATER:
		later(c, o, why);
		break;
	case MAIL_REFUSED:
		give_up(c, o, why);
		break;
	case MAIL_UNKNOWN:
		break;
	}
}

/* ---- where it goes ---- */

static void
split(struct clerk *c, struct reports_owed *o)
{
	own(arena_p) a = arena_new("where", LIMIT_ARENA_MESSAGE);
	struct owing_places places = { .n = 0 };
	struct reports_owed one = *o;

	if (!owing_places(c, o->kind, o->domain, a, &places)) {
		later(c, o, "the DNS does not say where it goes");
		return;
	}
	if (places.n == 0) {
		give_up(c, o, places.why);
		return;
	}
	if (reports_begin(c->reports) != STORE_OK)
		return;
	(void)reports_forget_owed(c->reports, o);
	for (size_t i = 0; i < places.n; i++) {
		one.to = places.to[i];
		one.most = places.most[i];
		one.tries = 0;
		(void)reports_owe(c->reports, &one);
	}
	clerk_store("split", reports_commit(c->reports));
}

bool
owing_step(struct clerk *c)
{
	own(arena_p) a = arena_new("due", (size_t)8192);
	struct reports_owed o;
	enum store_err e = reports_due(c->reports, (uint64_t)clock_wall_us(), a, &o);

	clerk_store("due", e);
	if (e != STORE_OK)
		return false;
	if (o.state == OWED_SENDING)
		settle_unknown(c, &o);
	else if (o.to.n == 0)
		split(c, &o);
	else
		send_one(c, &o);
	return true;
}

/* ---- planning ---- */

/* 10 to 70 minutes after midnight, by the name of the host: not everybody at once. */
static uint64_t
jitter_us(const struct clerk *c)
{
	uint64_t h = 5381;

	for (size_t i = 0; i < c->hostname.n; i++)
		h = h * 33 + slice_at(c->hostname, i);
	return (600 + h % 3600) * 1000000;
}

static void
plan_all(struct clerk *c, enum report_kind kind, uint64_t before)
{
	uint64_t now = (uint64_t)clock_wall_us(), period, n;

	while (reports_open_period(c->reports, kind, before, &period) == STORE_OK) {
		enum store_err e = reports_plan(c->reports, kind, period, now, &n);

		clerk_store("plan", e);
		if (e != STORE_OK)
			return;
	}
}

void
owing_plan(struct clerk *c)
{
	uint64_t day = ((uint64_t)clock_wall_us() - jitter_us(c)) / DAY_US;

	if (c->send_dmarc)
		plan_all(c, REPORT_DMARC, day * REPORTS_PARTS);
	if (c->send_tls)
		plan_all(c, REPORT_TLS, day * REPORTS_PARTS);
}

static void
work(void *arg)
{
	struct clerk *c = arg;
	bool worked;

	c->owe = NULL;
	owing_plan(c);
	worked = owing_step(c);
	if (!worked) /* the last of what comes round once a minute */
		clerk_rest(c);
	c->owe = loop_after(c->loop, worked ? SOON_MS : EVERY_MS, work, c);
}

void
owing_kick(struct clerk *c)
{
	loop_cancel(c->loop, &c->owe);
	c->owe = loop_after(c->loop, SOON_MS, work, c);
}

/* What was seen up to now is counted first. */
void
owing_run(void *ctx, struct ipc_call *call, struct cli_clerk_run *m)
{
	struct clerk *c = ((struct clerk_peer *)ctx)->c;
	struct cli_clerk_run_answer out = { .status = CLI_CLERK_RESULT_OK };
	enum report_kind kind = m->kind == CLI_CLERK_KIND_TLS ? REPORT_TLS : REPORT_DMARC;
	uint64_t n = 0, period;
	bool more = true, counted = true;

	while (more && counted)
		counted = counting_step(c, &more);
	if (!counted) {
		out.status = CLI_CLERK_RESULT_FAILED;
		out.text = S("the event log does not answer");
	} else if (m->day > UINT32_MAX ||
	    reports_open_period(c->reports, kind, (m->day + 1) * REPORTS_PARTS, &period) != STORE_OK) {
		out.status = CLI_CLERK_RESULT_NONE;
		out.text = S("nothing is owed for that day, or it was planned already");
	} else {
		do {
			uint64_t rows = 0;

			clerk_store("plan", reports_plan(c->reports, kind, period, (uint64_t)clock_wall_us(), &rows));
			n += rows;
		} while (reports_open_period(c->reports, kind, (m->day + 1) * REPORTS_PARTS, &period) == STORE_OK);
		out.planned = (uint32_t)n;
		owing_kick(c);
	}
	(void)cli_clerk_run_answer(call, &out);
}
