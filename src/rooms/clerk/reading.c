/* SPDX-License-Identifier: MIT
 * One mail after the other goes through the reader, which lives for one. While a reader talks the
 * clerk listens to nobody else, CLERK_READ_MS at most: one transaction a report, and no row of a
 * broken one stays. A mail that ends its reader CLERK_TRIES times is set aside. */
#include <poll.h>
#include <stdio.h>

#include "ipc/clerk_auth.h"
#include "ipc/clerk_reader.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/clerk/clerk.h"

#define WANT_MS 10000u	/* so long a reader may take to come */
#define AGAIN_MS 30000u	/* after nothing went */

struct reading {
	struct clerk *c;
	struct reports_mail mail;
	uint64_t report;	/* the one under way, 0: none */
	enum store_err e;
	bool verified, over, failed;
	bool later;		/* something that may pass: try again */
	uint32_t kept, dropped;
	char why[100];
};

/* ---- ours? ---- */

static bool
below(struct slice name, struct slice of)
{
	return slice_ieq(name, of) || (name.n > of.n + 1 && slice_at(name, name.n - of.n - 1) == '.' &&
	    slice_ieq(slice_from(name, name.n - of.n), of));
}

bool
reading_ours(struct clerk *c, struct slice domain, bool *known)
{
	struct clerk_auth_domains in = { .after = S("") };
	struct clerk_auth_domains_answer out = { .more = true };
	own(arena_p) a = arena_new("domains", LIMIT_ARENA_MESSAGE);
	bool ours = false;

	*known = false;
	while (out.more) {
		if (clerk_auth_domains(c->auth, &in, clock_mono_ms() + CLERK_ASK_MS, a, &out) != IPC_OK ||
		    out.failed)
			return false;
		for (size_t i = 0; i < out.n_domains; i++) {
			/* a record of the organisation may stand above the domain that has mail here */
			ours = ours || below(domain, out.domains[i].name) || below(out.domains[i].name, domain);
			in.after = out.domains[i].name;
		}
		out.more = out.more && out.n_domains > 0;
	}
	*known = true;
	return ours && domain.n > 0 && slice_find_byte(domain, '.') != SLICE_NONE;
}

/* ---- what the reader tells ---- */

static void
failed(struct reading *r, enum store_err e)
{
	if (e != STORE_OK && r->e == STORE_OK)
		r->e = e;
}

static bool
under_way(struct reading *r)
{
	if (r->report != 0 || r->e != STORE_OK)
		return r->e == STORE_OK;
	failed(r, reports_begin(r->c->reports));
	if (r->e == STORE_OK)
		failed(r, reports_new(r->c->reports, &r->report));
	return r->e == STORE_OK;
}

static void
undo(struct reading *r)
{
	if (r->report != 0)
		reports_rollback(r->c->reports);
	r->report = 0;
}

static void
on_mail(void *ctx, struct clerk_reader_mail *m)
{
	((struct reading *)ctx)->verified = m->verified;
}

static void
on_row(void *ctx, struct clerk_reader_row *m)
{
	struct reading *r = ctx;

	if (under_way(r))
		failed(r, reports_add_row(r->c->reports,
			      &(struct reports_row){ .report = r->report, .source = m->source,
				  .header_from = m->header_from, .envelope_from = m->envelope_from,
				  .auth = m->auth, .count = m->count, .flags = m->flags }));
}

static void
on_tls(void *ctx, struct clerk_reader_tls *m)
{
	struct reading *r = ctx;

	if (under_way(r))
		failed(r, reports_add_tls(r->c->reports,
			      &(struct reports_tls){ .report = r->report, .policy = m->policy,
				  .domain = m->domain, .type = m->type, .mx = m->mx, .ip = m->ip,
				  .reason = m->reason, .sessions = m->sessions, .failures = m->failures }));
}

static void
on_complaint(void *ctx, struct clerk_reader_complaint *m)
{
	struct reading *r = ctx;

	if (under_way(r))
		failed(r, reports_add_complaint(r->c->reports,
			      &(struct reports_complaint){ .report = r->report, .type = m->type,
				  .source = m->source, .mail_from = m->mail_from, .rcpt = m->rcpt,
				  .domain = m->domain, .auth_failure = m->auth_failure, .result = m->result,
				  .arrival = m->arrival, .incidents = m->incidents }));
}

static enum report_kind
kind_of(enum clerk_reader_form form)
{
	return form == CLERK_READER_FORM_TLS ? REPORT_TLS :
	    form == CLERK_READER_FORM_ARF    ? REPORT_ARF :
					       REPORT_DMARC;
}

static void
drop(struct reading *r, const struct clerk_reader_report *m, const char *why)
{
	undo(r);
	r->dropped++;
	(void)snprintf(r->why, sizeof r->why, "%s", why);
	EVENT(EVENT_REPORT_DROPPED, 0, S(""), S(""), EF("kind", slice_z(clerk_reader_form_name(m->form))),
	    EF("org", m->org), EF("domain", m->domain), EF("id", m->report_id), EF("from", r->mail.sender),
	    EF("why", slice_z(why)));
}

static void
on_report(void *ctx, struct clerk_reader_report *m)
{
	struct reading *r = ctx;
	struct reports_head h = { .kind = kind_of(m->form), .source = r->mail.source, .at = r->mail.at,
		.verified = r->verified || r->mail.source == REPORT_BY_FILE, .damaged = m->damaged,
		.sender = r->mail.sender, .org = m->org, .email = m->email, .report_id = m->report_id,
		.domain = m->domain, .begin = m->begin, .end = m->end, .policy = m->policy, .rows = m->rows,
		.messages = m->messages, .failures = m->failures };
	bool known = true;

	if (r->report == 0 || r->e != STORE_OK)
		return;
	h.id = r->report;
	if (h.end == 0) /* some do not say when */
		h.begin = h.end = h.at / 1000000;
	/* a complaint may say nothing of a domain: it came to the address that only we publish */
	if ((h.kind != REPORT_ARF || h.domain.n > 0) && !reading_ours(r->c, h.domain, &known)) {
		r->later = r->later || !known;
		if (known)
			drop(r, m, "about a domain that is not ours");
		else
			undo(r);
		return;
	}
	r->e = reports_head(r->c->reports, &h);
	if (r->e == STORE_EXISTS) {
		r->e = STORE_OK;
		drop(r, m, "here already");
		return;
	}
	failed(r, r->e == STORE_OK ? reports_commit(r->c->reports) : r->e);
	if (r->e != STORE_OK)
		return;
	r->report = 0;
	r->kept++;
	EVENT(EVENT_REPORT_RECEIVED, 0, S(""), S(""), EF("kind", slice_z(clerk_reader_form_name(m->form))),
	    EF("org", m->org), EF("domain", m->domain), EF("id", m->report_id), EF("from", r->mail.sender),
	    EN("rows", m->rows), EN("messages", m->messages), EN("damaged", m->damaged),
	    EN("verified", h.verified));
}

static void
on_broken(void *ctx, struct clerk_reader_broken *m)
{
	struct reading *r = ctx;

	undo(r);
	(void)snprintf(r->why, sizeof r->why, "%s report: %.*s", clerk_reader_form_name(m->form),
	    SFMT(slice_head(m->why, 60)));
}

static void
on_end(void *ctx, struct clerk_reader_end *m)
{
	struct reading *r = ctx;

	r->over = true;
	r->failed = m->failed;
}

static const struct clerk_reader_client told = { .mail = on_mail, .row = on_row, .tls = on_tls,
	.complaint = on_complaint, .report = on_report, .broken = on_broken, .end = on_end };

/* True when the reader said its last word in time. */
static bool
listen_to(struct clerk *c, struct reading *r)
{
	uint64_t end = clock_mono_ms() + CLERK_READ_MS;
	enum ipc_status st = IPC_OK;

	while (!r->over && (st == IPC_OK || st == IPC_AGAIN) && clock_mono_ms() < end) {
		struct pollfd p = { .fd = ipc_fd(c->reader), .events = POLLIN };

		if (st == IPC_AGAIN)
			(void)poll(&p, 1, 1000);
		st = clerk_reader_client_serve(c->reader, &told, r);
	}
	if (st == IPC_HOSTILE && c->proc != NULL)
		proc_suspect(c->proc, c->reader);
	undo(r);
	return r->over && !r->failed;
}

/* ---- the end of a mail ---- */

static void
answer_import(struct clerk *c, const struct reading *r)
{
	struct cli_clerk_import_answer out = { .reports = r->kept, .dropped = r->dropped,
		.text = slice_z(r->why) };

	out.status = r->kept > 0 ? CLI_CLERK_RESULT_OK :
	    r->later		 ? CLI_CLERK_RESULT_FAILED :
	    r->dropped > 0	 ? CLI_CLERK_RESULT_NONE :
				   CLI_CLERK_RESULT_INVALID;
	for (size_t i = 0; i < CLERK_IMPORTS; i++)
		if (c->imports[i].mail == r->mail.id) {
			(void)cli_clerk_import_answer(&c->imports[i].call, &out);
			c->imports[i].mail = 0;
		}
}

static void
settle(struct clerk *c, struct reading *r, bool heard)
{
	enum store_err e = STORE_OK;

	clerk_store("report", r->e);
	r->later = r->later || r->e != STORE_OK || (!heard && r->mail.tries + 1 < CLERK_TRIES);
	if (!heard && !r->later)
		(void)snprintf(r->why, sizeof r->why, "its reader never came to an end");
	if (r->mail.source == REPORT_BY_FILE && r->later)
		(void)snprintf(r->why, sizeof r->why, "it cannot be read now");
	/* a file is not tried again: its owner hears of it, and has it still */
	if (r->mail.source == REPORT_BY_FILE || (r->kept + r->dropped > 0 && !r->later)) {
		e = reports_begin(c->reports);
		if (e == STORE_OK)
			(void)reports_read(c->reports, r->mail.id);
		e = reports_commit(c->reports);
	} else if (!r->later) {
		if (r->why[0] == '\0')
			(void)snprintf(r->why, sizeof r->why, "there is no report in it");
		EVENT(EVENT_REPORT_UNREADABLE, 0, S(""), S(""), EF("from", r->mail.sender),
		    EN("size", r->mail.size), EF("why", slice_z(r->why)));
		e = reports_unreadable(c->reports, r->mail.id, slice_z(r->why));
	}
	clerk_store("settle", e);
	answer_import(c, r);
}

static void
try_again(void *arg)
{
	struct clerk *c = arg;

	c->reading = NULL;
	reading_kick(c);
}

static void
read_next(struct clerk *c)
{
	own(arena_p) a = arena_new("reading", (size_t)65536);
	own(fd_t) fd = -1;
	struct reading r = { .c = c };
	enum store_err e = reports_next(c->reports, a, &r.mail, &fd);
	struct clerk_reader_read m = { .hostname = c->hostname };
	bool heard = false;

	if (e != STORE_OK)
		return;
	m.fd = fd;
	m.size = r.mail.size;
	if (r.mail.tries < CLERK_TRIES) {
		clerk_store("tried", reports_tried(c->reports, r.mail.id));
		heard = clerk_reader_read_send(c->reader, &m) == IPC_OK && listen_to(c, &r);
	}
	settle(c, &r, heard);
	ipc_channel_free(&c->reader);
	c->reading = loop_after(c->loop, r.later && r.mail.source == REPORT_BY_MAIL ? AGAIN_MS : 0, try_again, c);
}

/* ---- readers come and go ---- */

static void
none_came(void *arg)
{
	struct clerk *c = arg;

	c->patience = NULL;
	c->wanted = false;
	if (c->reading == NULL)
		c->reading = loop_after(c->loop, AGAIN_MS, try_again, c);
}

void
reading_kick(struct clerk *c)
{
	uint64_t unread = 0;

	if (c->wanted || c->reading != NULL)
		return;
	if (reports_unread(c->reports, &unread) != STORE_OK || unread == 0) {
		clerk_rest(c);
		return;
	}
	if (c->reader != NULL) {
		read_next(c);
		return;
	}
	c->wanted = true;
	if (c->proc != NULL)
		proc_want(c->proc, "reader");
	c->patience = loop_after(c->loop, WANT_MS, none_came, c);
}

void
reading_meet(struct clerk *c, int fd)
{
	ipc_channel_free(&c->reader);
	c->reader = ipc_channel_new(fd, "reader", "");
	ipc_set_nonblocking(c->reader, true);
	c->wanted = false;
	loop_cancel(c->loop, &c->patience);
	reading_kick(c);
}
