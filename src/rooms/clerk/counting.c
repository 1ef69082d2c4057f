/* SPDX-License-Identifier: MIT
 * From the event log to what we owe: verdicts about strangers' mail (scan.verdict) and TLS sessions
 * (send.tls) are counted by day and domain, in the same transaction that notes how far the log was
 * read. An event is counted once, whatever dies. */
#include "rooms/clerk/counting.h"

#include "ipc/cli_ledger.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/clerk/clerk.h"

#define EVERY_MS 60000u
#define SOON_MS 50u
#define STEP UINT64_C(5000) /* events of one transaction */
#define DAY_US INT64_C(86400000000)

struct pass {
	struct clerk *c;
	uint64_t upper; /* the last event of this step */
	uint64_t day, period[4]; /* of the day that was asked last, by kind */
	enum store_err e;
};

static struct slice
field(const struct cli_ledger_event *e, const char *key)
{
	for (size_t i = 0; i < e->n_fields; i++)
		if (slice_eq(e->fields[i].key, slice_z(key)))
			return e->fields[i].value;
	return S("");
}

static bool
has_word(struct slice list, struct slice word)
{
	size_t at = slice_find(list, word);

	return at != SLICE_NONE && (at + word.n == list.n || slice_at(list, at + word.n) == ' ') &&
	    (at == 0 || slice_at(list, at - 1) == ' ');
}

static void
count(struct pass *p, enum report_kind kind, const struct cli_ledger_event *e, struct slice domain,
    const struct counted *row, struct slice policy)
{
	uint64_t day = (uint64_t)(e->time_us / DAY_US);
	own(buf_t) packed = { .max = LIMIT_REPORT_PACKED };
	enum store_err err;

	if (p->day != day) {
		p->day = day;
		p->e = reports_period(p->c->reports, REPORT_DMARC, day, &p->period[REPORT_DMARC]);
		if (p->e == STORE_OK)
			p->e = reports_period(p->c->reports, REPORT_TLS, day, &p->period[REPORT_TLS]);
	}
	counted_pack(&packed, row);
	if (p->e != STORE_OK || packed.bad)
		return;
	err = reports_count(p->c->reports, kind, p->period[kind], domain, buf_slice(&packed), policy, 1);
	if (err != STORE_OK && err != STORE_LIMIT) /* a full day loses rows, the report says what it has */
		p->e = err;
}

/* What was done is what counts, and why it was milder than what the owner asked for. */
static void
count_verdict(struct pass *p, const struct cli_ledger_event *e)
{
	struct slice action = field(e, "action"), dmarc = field(e, "dmarc"), asked = field(e, "disposition");
	struct slice domain = field(e, "policy_domain"), aligned = field(e, "aligned");
	struct counted row = { { [CD_SOURCE] = field(e, "ip"), [CD_DISPOSITION] = S("none"),
		[CD_DKIM] = has_word(aligned, S("dkim")) ? S("pass") : S("fail"),
		[CD_SPF] = has_word(aligned, S("spf")) ? S("pass") : S("fail"),
		[CD_REASON] = field(e, "override"), [CD_TO] = field(e, "rcpt_domain"),
		[CD_FROM] = field(e, "header_from"), [CD_SIGNATURES] = field(e, "dkim"),
		[CD_SPF_DOMAIN] = field(e, "spf_domain"), [CD_SPF_SCOPE] = field(e, "spf_scope"),
		[CD_SPF_RESULT] = field(e, "spf") } };

	/* deferred mail comes again; what nobody published about is owed to nobody */
	if (domain.n == 0 || slice_eq(action, S("defer")) ||
	    !(slice_eq(dmarc, S("pass")) || slice_eq(dmarc, S("fail"))))
		return;
	if (slice_eq(row.f[CD_SPF_SCOPE], S("mfrom")))
		row.f[CD_MAIL_FROM] = row.f[CD_SPF_DOMAIN];
	if (slice_eq(dmarc, S("fail")) && (slice_eq(action, S("reject")) || slice_eq(action, S("quarantine"))) &&
	    asked.n > 0 && !slice_eq(asked, S("none")))
		row.f[CD_DISPOSITION] = slice_eq(action, S("reject")) ? S("reject") : S("quarantine");
	else if (slice_eq(dmarc, S("fail")) && asked.n > 0 && !slice_eq(asked, S("none")) &&
	    row.f[CD_REASON].n == 0)
		row.f[CD_REASON] = S("local_policy");
	if (slice_eq(row.f[CD_SIGNATURES], S("none")))
		row.f[CD_SIGNATURES] = S("");
	count(p, REPORT_DMARC, e, domain, &row, field(e, "published"));
}

/* Whole lines of a policy, as many as a row has room for. */
static void
put_policy(struct buf *b, struct slice type, struct slice lines)
{
	struct slice line = lines, rest = lines;

	(void)buf_add(b, type);
	for (bool more = lines.n > 0; more;) {
		more = slice_cut(rest, '\n', &line, &rest);
		if (!more)
			line = rest;
		if (b->n + 1 + line.n > b->max)
			return;
		(void)buf_byte(b, '\n');
		(void)buf_add(b, line);
	}
}

static void
count_session(struct pass *p, const struct cli_ledger_event *e)
{
	own(buf_t) policy = { .max = COUNTED_LONG };

	put_policy(&policy, field(e, "policy_type"), field(e, "policy_string"));
	const struct counted row = { { [CT_POLICY] = buf_slice(&policy), [CT_MX] = field(e, "mx_host"),
		[CT_RESULT] = field(e, "result"), [CT_SENDING] = field(e, "sending_ip"),
		[CT_RECEIVING] = field(e, "receiving_ip"), [CT_REASON] = field(e, "reason") } };
	struct slice domain = field(e, "policy_domain");

	if (domain.n > 0 && slice_at(domain, 0) != '[')
		count(p, REPORT_TLS, e, domain, &row, S(""));
}

/* Every event of one kind after a position, up to the step's end. False when the log did not answer. */
static bool
pass_kind(struct pass *p, uint16_t kind, uint64_t after, void (*fn)(struct pass *, const struct cli_ledger_event *))
{
	struct cli_ledger_query in = { .after = after, .kind = kind };
	struct cli_ledger_query_answer out = { .more = true };

	while (out.more && p->e == STORE_OK) {
		own(arena_p) a = arena_new("events", LIMIT_ARENA_MESSAGE);

		if (cli_ledger_query(p->c->log, &in, clock_mono_ms() + CLERK_ASK_MS, a, &out) != IPC_OK ||
		    out.status != CLI_LEDGER_RESULT_OK)
			return false;
		for (size_t i = 0; i < out.n_events; i++) {
			if (out.events[i].id > p->upper)
				return true;
			fn(p, &out.events[i]);
			in.after = out.events[i].id;
		}
		out.more = out.more && out.n_events > 0;
	}
	return p->e == STORE_OK;
}

static bool
newest_event(struct clerk *c, uint64_t *id)
{
	struct cli_ledger_query in = { .newest = true, .most = 1 };
	struct cli_ledger_query_answer out;
	own(arena_p) a = arena_new("events", LIMIT_ARENA_MESSAGE);

	if (!ipc_client_connected(c->log) ||
	    cli_ledger_query(c->log, &in, clock_mono_ms() + CLERK_ASK_MS, a, &out) != IPC_OK ||
	    out.status != CLI_LEDGER_RESULT_OK)
		return false;
	*id = out.n_events > 0 ? out.events[0].id : 0;
	return true;
}

bool
counting_step(struct clerk *c, bool *more)
{
	struct pass p = { .c = c, .day = UINT64_MAX };
	uint64_t at = 0, newest;
	bool ok;

	*more = false;
	if (!newest_event(c, &newest) || reports_position(c->reports, &at) != STORE_OK)
		return false;
	if (newest <= at)
		return true;
	p.upper = newest - at > STEP ? at + STEP : newest;
	p.e = reports_begin(c->reports);
	ok = pass_kind(&p, EVENT_SCAN_VERDICT, at, count_verdict) && pass_kind(&p, EVENT_SEND_TLS, at, count_session);
	if (!ok || reports_passed(c->reports, p.upper) != STORE_OK) {
		reports_rollback(c->reports);
		clerk_store("count", p.e);
		return false;
	}
	p.e = reports_commit(c->reports);
	clerk_store("count", p.e);
	*more = p.e == STORE_OK && p.upper < newest;
	return p.e == STORE_OK;
}

static void
step(void *arg)
{
	struct clerk *c = arg;
	bool more;

	c->count = NULL;
	(void)counting_step(c, &more);
	c->count = loop_after(c->loop, more ? SOON_MS : EVERY_MS, step, c);
}

void
counting_kick(struct clerk *c)
{
	loop_cancel(c->loop, &c->count);
	c->count = loop_after(c->loop, SOON_MS, step, c);
}
