/* SPDX-License-Identifier: MIT
 * What the administrator asks. */
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/parse/dmarc/dmarc.h"
#include "rooms/clerk/clerk.h"

#define SENDERS ((size_t)40)
#define TLS_ROWS ((size_t)30)
#define HEADS ((size_t)20)
#define COMPLAINTS ((size_t)30)
#define OWED ((size_t)50)
#define MAILS ((size_t)50)

/* Slices of a row end with the row: they are kept in the arena of the answer. */
struct page {
	struct arena *a;
	void *rows;
	size_t n, max;
	bool more, full;
};

static struct slice
keep(struct page *p, struct slice s, size_t max)
{
	struct slice out = S("");

	p->full = !arena_copy(p->a, slice_head(s, max), &out) || p->full;
	return out;
}

/* Room for one more row; false at the end of the page. */
static bool
room_for(struct page *p)
{
	PN_ASSERT(p->rows != NULL); /* a fresh arena has room for one page */
	p->more = p->n == p->max;
	return !p->more;
}

static struct reports_question
question(struct slice domain, uint64_t since, bool verified)
{
	return (struct reports_question){ .domain = domain, .since = since, .verified = verified };
}

static enum cli_clerk_result
result(enum store_err e, const struct page *p)
{
	clerk_store("answer", e);
	return e == STORE_OK && !(p != NULL && p->full) ? CLI_CLERK_RESULT_OK : CLI_CLERK_RESULT_FAILED;
}

static void
on_summary(void *ctx, struct ipc_call *call, struct cli_clerk_summary *m)
{
	struct clerk *c = ((struct clerk_peer *)ctx)->c;
	own(arena_p) a = arena_new("answer", (size_t)4096);
	const struct reports_question q = question(m->domain, m->since, m->verified);
	struct reports_summary s = { 0 };
	enum store_err e = reports_summary(c->reports, &q, a, &s);
	struct cli_clerk_summary_answer out = { .status = result(e, NULL), .reports = s.reports,
		.unverified = s.unverified, .damaged = s.damaged, .orgs = s.orgs, .days = s.days,
		.first = s.first, .last = s.last, .messages = s.messages, .passed = s.passed,
		.policy = slice_head(s.policy, 32) };

	(void)cli_clerk_summary_answer(call, &out);
}

static bool
take_sender(void *ctx, const struct reports_sender *s)
{
	struct page *p = ctx;
	struct cli_clerk_sender *rows = p->rows;

	if (!room_for(p))
		return false;
	rows[p->n++] = (struct cli_clerk_sender){ .source = keep(p, s->source, 64), .name = keep(p, s->name, 255),
		.auth = keep(p, s->auth, 400), .messages = s->messages, .passed = s->passed, .dkim = s->dkim,
		.spf = s->spf, .other = s->other, .forwarded = s->forwarded, .quarantined = s->quarantined,
		.rejected = s->rejected, .days = s->days, .orgs = s->orgs };
	return true;
}

static void
on_senders(void *ctx, struct ipc_call *call, struct cli_clerk_senders *m)
{
	struct clerk *c = ((struct clerk_peer *)ctx)->c;
	own(arena_p) a = arena_new("answer", LIMIT_ARENA_SESSION);
	struct cli_clerk_sender *rows = ARENA_ARRAY(a, SENDERS, struct cli_clerk_sender);
	struct page p = { .a = a, .rows = rows, .max = SENDERS };
	const struct reports_question q = question(m->domain, m->since, m->verified);
	enum store_err e = reports_senders(c->reports, &q, m->skip, SENDERS + 1, take_sender, &p);
	struct cli_clerk_senders_answer out = { .status = result(e, &p), .senders = rows, .n_senders = p.n,
		.more = p.more };

	(void)cli_clerk_senders_answer(call, &out);
}

static bool
take_tls(void *ctx, const struct reports_tls_sum *s)
{
	struct page *p = ctx;
	struct cli_clerk_tls *rows = p->rows;

	if (!room_for(p))
		return false;
	rows[p->n++] = (struct cli_clerk_tls){ .domain = keep(p, s->domain, 255), .policy = keep(p, s->policy, 64),
		.type = keep(p, s->type, 64), .mx = keep(p, s->mx, 255), .ip = keep(p, s->ip, 64),
		.reason = keep(p, s->reason, 255), .org = keep(p, s->org, 255), .sessions = s->sessions,
		.failures = s->failures, .reports = s->reports };
	return true;
}

static void
on_tls_sums(void *ctx, struct ipc_call *call, struct cli_clerk_tls_sums *m)
{
	struct clerk *c = ((struct clerk_peer *)ctx)->c;
	own(arena_p) a = arena_new("answer", LIMIT_ARENA_SESSION);
	struct cli_clerk_tls *rows = ARENA_ARRAY(a, TLS_ROWS, struct cli_clerk_tls);
	struct page p = { .a = a, .rows = rows, .max = TLS_ROWS };
	const struct reports_question q = question(m->domain, m->since, false);
	enum store_err e = reports_tls_sums(c->reports, &q, m->skip, TLS_ROWS + 1, take_tls, &p);
	struct cli_clerk_tls_sums_answer out = { .status = result(e, &p), .rows = rows, .n_rows = p.n,
		.more = p.more };

	(void)cli_clerk_tls_sums_answer(call, &out);
}

static bool
take_head(void *ctx, const struct reports_head *h)
{
	struct page *p = ctx;
	struct cli_clerk_head *rows = p->rows;

	if (!room_for(p))
		return false;
	rows[p->n++] = (struct cli_clerk_head){ .id = h->id, .file = h->source == REPORT_BY_FILE,
		.verified = h->verified, .damaged = h->damaged, .at_us = (int64_t)h->at,
		.sender = keep(p, h->sender, 320), .org = keep(p, h->org, 255), .email = keep(p, h->email, 320),
		.report_id = keep(p, h->report_id, 255), .domain = keep(p, h->domain, 255), .begin = h->begin,
		.end = h->end, .policy = keep(p, h->policy, 32), .rows = h->rows, .messages = h->messages,
		.failures = h->failures };
	return true;
}

static void
on_list(void *ctx, struct ipc_call *call, struct cli_clerk_list *m)
{
	struct clerk *c = ((struct clerk_peer *)ctx)->c;
	own(arena_p) a = arena_new("answer", LIMIT_ARENA_SESSION);
	struct cli_clerk_head *rows = ARENA_ARRAY(a, HEADS, struct cli_clerk_head);
	struct page p = { .a = a, .rows = rows, .max = HEADS };
	const struct reports_question q = question(m->domain, m->since, false);
	enum report_kind kind = m->kind == CLI_CLERK_KIND_TLS ? REPORT_TLS :
	    m->kind == CLI_CLERK_KIND_ARF		      ? REPORT_ARF :
								REPORT_DMARC;
	enum store_err e = reports_list(c->reports, &q, kind, m->skip, HEADS + 1, take_head, &p);
	struct cli_clerk_list_answer out = { .status = result(e, &p), .heads = rows, .n_heads = p.n,
		.more = p.more };

	(void)cli_clerk_list_answer(call, &out);
}

static bool
take_complaint(void *ctx, const struct reports_complaint *f)
{
	struct page *p = ctx;
	struct cli_clerk_complaint *rows = p->rows;

	if (!room_for(p))
		return false;
	rows[p->n++] = (struct cli_clerk_complaint){ .type = keep(p, f->type, 64), .source = keep(p, f->source, 64),
		.mail_from = keep(p, f->mail_from, 320), .rcpt = keep(p, f->rcpt, 320),
		.domain = keep(p, f->domain, 255), .auth_failure = keep(p, f->auth_failure, 64),
		.result = keep(p, f->result, 64), .arrival = f->arrival, .incidents = f->incidents };
	return true;
}

static void
on_complaints(void *ctx, struct ipc_call *call, struct cli_clerk_complaints *m)
{
	struct clerk *c = ((struct clerk_peer *)ctx)->c;
	own(arena_p) a = arena_new("answer", LIMIT_ARENA_SESSION);
	struct cli_clerk_complaint *rows = ARENA_ARRAY(a, COMPLAINTS, struct cli_clerk_complaint);
	struct page p = { .a = a, .rows = rows, .max = COMPLAINTS };
	const struct reports_question q = question(m->domain, m->since, false);
	enum store_err e = reports_complaints(c->reports, &q, m->skip, COMPLAINTS + 1, take_complaint, &p);
	struct cli_clerk_complaints_answer out = { .status = result(e, &p), .complaints = rows,
		.n_complaints = p.n, .more = p.more };

	(void)cli_clerk_complaints_answer(call, &out);
}

static bool
take_mail(void *ctx, const struct reports_mail *m)
{
	struct page *p = ctx;
	struct cli_clerk_mail *rows = p->rows;

	if (!room_for(p))
		return false;
	rows[p->n++] = (struct cli_clerk_mail){ .id = m->id, .file = m->source == REPORT_BY_FILE,
		.at_us = (int64_t)m->at, .sender = keep(p, m->sender, 320), .size = m->size, .tries = m->tries,
		.why = keep(p, m->why, 200) };
	return true;
}

static void
on_inbox(void *ctx, struct ipc_call *call, struct cli_clerk_inbox *m)
{
	struct clerk *c = ((struct clerk_peer *)ctx)->c;
	own(arena_p) a = arena_new("answer", LIMIT_ARENA_SESSION);
	struct cli_clerk_mail *rows = ARENA_ARRAY(a, MAILS, struct cli_clerk_mail);
	struct page p = { .a = a, .rows = rows, .max = MAILS };
	enum store_err e = reports_inbox(c->reports, MAILS, take_mail, &p);
	struct cli_clerk_inbox_answer out = { .status = result(e, &p), .mails = rows, .n_mails = p.n };

	(void)m;
	(void)cli_clerk_inbox_answer(call, &out);
}

static bool
take_owed(void *ctx, const struct reports_owed *o)
{
	static const enum cli_clerk_state states[] = { [OWED_OPEN] = CLI_CLERK_STATE_OPEN,
		[OWED_SENDING] = CLI_CLERK_STATE_SENDING, [OWED_SENT] = CLI_CLERK_STATE_SENT,
		[OWED_NONE] = CLI_CLERK_STATE_NONE };
	struct page *p = ctx;
	struct cli_clerk_owed *rows = p->rows;

	if (!room_for(p))
		return false;
	rows[p->n++] = (struct cli_clerk_owed){
		.kind = o->kind == REPORT_TLS ? CLI_CLERK_KIND_TLS : CLI_CLERK_KIND_DMARC, .day = o->period / REPORTS_PARTS,
		.domain = keep(p, o->domain, 255), .to = keep(p, o->to, 320), .state = states[o->state],
		.session = o->session, .tries = o->tries, .next_us = (int64_t)o->next,
		.why = keep(p, o->why, 200) };
	return true;
}

static void
on_owing(void *ctx, struct ipc_call *call, struct cli_clerk_owing *m)
{
	struct clerk *c = ((struct clerk_peer *)ctx)->c;
	own(arena_p) a = arena_new("answer", LIMIT_ARENA_SESSION);
	struct cli_clerk_owed *rows = ARENA_ARRAY(a, OWED, struct cli_clerk_owed);
	struct page p = { .a = a, .rows = rows, .max = OWED };
	enum store_err e = reports_owed_list(c->reports, m->skip, OWED + 1, take_owed, &p);
	struct cli_clerk_owing_answer out = { .status = result(e, &p), .owed = rows, .n_owed = p.n,
		.more = p.more };

	(void)cli_clerk_owing_answer(call, &out);
}

/* ---- deeds ---- */

static void
on_import(void *ctx, struct ipc_call *call, struct cli_clerk_import *m)
{
	struct clerk *c = ((struct clerk_peer *)ctx)->c;
	struct cli_clerk_import_answer out = { .status = CLI_CLERK_RESULT_INVALID };
	struct reports_mail mail = { .source = REPORT_BY_FILE, .at = (uint64_t)clock_wall_us(), .size = m->size };
	struct clerk_import *slot = NULL;
	enum store_err e = STORE_LIMIT;
	uint64_t size;

	for (size_t i = 0; i < CLERK_IMPORTS; i++)
		if (c->imports[i].mail == 0)
			slot = &c->imports[i];
	if (slot == NULL)
		out = (struct cli_clerk_import_answer){ .status = CLI_CLERK_RESULT_FULL, .text = S("busy") };
	else if (ipc_sealed_memfd(m->fd, LIMIT_REPORT_MAIL, &size) && size == m->size && size > 0)
		e = reports_take(c->reports, &mail, 0, m->fd, &slot->mail);
	else
		out.text = S("empty, or over 16 MiB");
	clerk_store("import", e);
	if (e == STORE_OK) {
		slot->call = *call;
		reading_kick(c);
		return;
	}
	if (out.text.n == 0)
		out.text = slice_z(store_err_name(e));
	(void)cli_clerk_import_answer(call, &out);
}

static void
on_record(void *ctx, struct ipc_call *call, struct cli_clerk_record *m)
{
	struct clerk *c = ((struct clerk_peer *)ctx)->c;
	own(arena_p) a = arena_new("record", LIMIT_ARENA_MESSAGE);
	own(buf_t) name = { .max = 300 };
	struct resolver r = resolver_of(clerk_query, c);
	struct cli_clerk_record_answer out = { .dns = CLI_CLERK_DNS_ABSENT };
	struct resolve_answer answer;
	const struct rr *rr;
	size_t at = 0;

	(void)buf_add(&name, S("_dmarc."));
	(void)buf_add(&name, m->domain);
	resolve(&r, buf_slice(&name), RR_TXT, a, &answer);
	if (resolve_failed(answer.status))
		out.dns = CLI_CLERK_DNS_FAILED;
	while (rr_next(&answer, &at, &rr))
		if (dmarc_is_record(rr->text)) {
			out.dns = CLI_CLERK_DNS_OK;
			out.text = slice_head(rr->text, 1000);
		}
	(void)cli_clerk_record_answer(call, &out);
}

enum ipc_status
answer_serve(struct clerk_peer *p)
{
	static const struct cli_clerk_server handlers = { .summary = on_summary, .senders = on_senders,
		.tls_sums = on_tls_sums, .list = on_list, .complaints = on_complaints, .inbox = on_inbox,
		.owing = on_owing, .import = on_import, .run = owing_run, .record = on_record };

	return cli_clerk_server_serve(p->ch, &handlers, p);
}
