/* SPDX-License-Identifier: MIT */
#include "rooms/reader/read.h"

#include "lib/base/own.h"
#include "lib/report/arf.h"
#include "lib/report/dmarc.h"
#include "lib/report/find.h"
#include "lib/report/tls.h"
#include "lib/report/unpack.h"

/* As in lib/store/reports.h; the test compares them. */
enum { FLAG_DKIM = 1, FLAG_SPF = 2, FLAG_OTHER = 4, FLAG_FORWARDED = 8, FLAG_QUARANTINED = 16, FLAG_REJECTED = 32 };

struct reading {
	struct ipc_channel *ch;
	uint32_t reports, rows;
	bool failed;
};

static bool
sent(struct reading *r, enum ipc_status st)
{
	r->failed = r->failed || st != IPC_OK;
	return !r->failed;
}

static void
broken(struct reading *r, enum clerk_reader_form form, const char *why)
{
	struct clerk_reader_broken m = { .form = form, .why = slice_z(why) };

	(void)sent(r, clerk_reader_broken_send(r->ch, &m));
}

/* ---- DMARC ---- */

static bool
is(struct slice a, const char *b)
{
	return slice_ieq(a, slice_z(b));
}

static unsigned
flags_of(const struct dmarc_report_row *row)
{
	unsigned flags = (is(row->dkim, "pass") ? FLAG_DKIM : 0) | (is(row->spf, "pass") ? FLAG_SPF : 0) |
	    (is(row->disposition, "quarantine") ? FLAG_QUARANTINED : 0) |
	    (is(row->disposition, "reject") ? FLAG_REJECTED : 0);

	for (size_t i = 0; i < row->n_dkim; i++)
		flags |= is(row->dkim_auth[i].result, "pass") ? FLAG_OTHER : 0;
	for (size_t i = 0; i < row->n_spf; i++)
		flags |= is(row->spf_auth[i].result, "pass") ? FLAG_OTHER : 0;
	for (size_t i = 0; i < row->n_reasons; i++)
		if (is(row->reasons[i].type, "forwarded") || is(row->reasons[i].type, "mailing_list") ||
		    is(row->reasons[i].type, "trusted_forwarder"))
			flags |= FLAG_FORWARDED;
	return flags;
}

/* "dkim=pass d.example/sel, spf=fail m.example" */
static void
put_auth(struct buf *b, const struct dmarc_report_row *row)
{
	for (size_t i = 0; i < row->n_dkim && b->n < 300; i++) {
		const struct dmarc_report_auth *d = &row->dkim_auth[i];

		(void)buf_fmt(b, "%sdkim=%.*s %.*s/%.*s", b->n > 0 ? ", " : "", SFMT(slice_head(d->result, 16)),
		    SFMT(slice_head(d->domain, 100)), SFMT(slice_head(d->selector, 40)));
	}
	for (size_t i = 0; i < row->n_spf && b->n < 300; i++) {
		const struct dmarc_report_auth *s = &row->spf_auth[i];

		(void)buf_fmt(b, "%sspf=%.*s %.*s", b->n > 0 ? ", " : "", SFMT(slice_head(s->result, 16)),
		    SFMT(slice_head(s->domain, 100)));
	}
}

static bool
on_row(void *self, const struct dmarc_report_row *row)
{
	struct reading *r = self;
	struct clerk_reader_row m = { .header_from = slice_head(row->header_from, 255),
		.envelope_from = slice_head(row->envelope_from, 255), .count = row->count,
		.flags = (uint8_t)flags_of(row), .source = slice_head(row->source, 64) };
	own(buf_t) auth = { .max = 700 };
	own(buf_t) ip = { .max = LIMIT_IP_TEXT };

	if (row->ip.n > 0 && ip_put(&ip, &row->ip))
		m.source = buf_slice(&ip);
	put_auth(&auth, row);
	m.auth = slice_head(buf_slice(&auth), 400);
	return ++r->rows <= READER_ROWS && sent(r, clerk_reader_row_send(r->ch, &m));
}

static void
read_dmarc(struct reading *r, struct slice bytes)
{
	own(arena_p) a = arena_new("report", (size_t)262144);
	struct dmarc_report d;
	enum dmarc_report_status status = dmarc_report_read(bytes, a, on_row, r, &d);

	if (status != DMARC_REPORT_OK) {
		r->failed = r->failed || status == DMARC_REPORT_MEMORY;
		broken(r, CLERK_READER_FORM_DMARC,
		    status == DMARC_REPORT_STOPPED ? "big" : dmarc_report_status_name(status));
		return;
	}
	(void)sent(r, clerk_reader_report_send(r->ch,
	    &(struct clerk_reader_report){ .form = CLERK_READER_FORM_DMARC, .damaged = d.damaged,
		.org = slice_head(d.org_name, 255), .email = slice_head(d.email, 320),
		.report_id = slice_head(d.report_id, 255), .domain = slice_head(d.domain, 255),
		.begin = d.begin, .end = d.end, .policy = slice_head(d.p, 32), .rows = d.rows,
		.messages = d.messages }));
	r->reports++;
}

/* ---- TLS ---- */

static bool
put_tls(struct reading *r, const struct tls_report_policy *p, const struct tls_report_failure *f)
{
	struct clerk_reader_tls m = { .policy = slice_head(p->type, 64), .domain = slice_head(p->domain, 255) };

	if (f == NULL) {
		m.sessions = p->successes;
		m.failures = p->failed;
	} else {
		m.type = slice_head(f->type.n == 0 ? S("unsaid") : f->type, 64);
		m.mx = slice_head(f->receiving_mx, 255);
		m.ip = slice_head(f->receiving_ip, 64);
		m.reason = slice_head(f->reason.n > 0 ? f->reason : f->info, 255);
		m.failures = f->sessions;
	}
	return ++r->rows <= READER_ROWS && sent(r, clerk_reader_tls_send(r->ch, &m));
}

static bool
on_policy(void *self, const struct tls_report_policy *p)
{
	if (!put_tls(self, p, NULL))
		return false;
	for (size_t i = 0; i < p->n; i++)
		if (!put_tls(self, p, &p->failures[i]))
			return false;
	return true;
}

/* The domain of a report is that of its first policy: all are of one owner. */
struct first {
	struct reading *r;
	struct arena *a;
	struct slice domain;
};

static bool
on_first(void *self, const struct tls_report_policy *p)
{
	struct first *f = self;

	if (f->domain.n == 0 && !arena_copy(f->a, slice_head(p->domain, 255), &f->domain))
		return false;
	return on_policy(f->r, p);
}

static void
read_tls(struct reading *r, struct slice bytes)
{
	own(arena_p) a = arena_new("report", (size_t)4194304);
	own(arena_p) keep = arena_new("domain", (size_t)4096);
	struct first f = { .r = r, .a = keep };
	struct tls_report t;
	enum tls_report_status status = tls_report_read(bytes, a, on_first, &f, &t);

	if (status != TLS_REPORT_OK) {
		r->failed = r->failed || status == TLS_REPORT_MEMORY;
		broken(r, CLERK_READER_FORM_TLS,
		    status == TLS_REPORT_STOPPED ? "big" : tls_report_status_name(status));
		return;
	}
	(void)sent(r, clerk_reader_report_send(r->ch,
	    &(struct clerk_reader_report){ .form = CLERK_READER_FORM_TLS,
		.org = slice_head(t.organization, 255), .email = slice_head(t.contact, 320),
		.report_id = slice_head(t.id, 255), .domain = f.domain,
		.begin = t.start < 0 ? 0 : (uint64_t)t.start, .end = t.end < 0 ? 0 : (uint64_t)t.end,
		.rows = t.policies, .messages = t.successes, .failures = t.failures }));
	r->reports++;
}

/* ---- ARF ---- */

static struct slice
first_of(const struct slice *list, size_t n, size_t max)
{
	return n == 0 ? S("") : slice_head(list[0], max);
}

static struct slice
domain_of(struct slice address)
{
	size_t at = slice_rfind_byte(address, '@'), n;

	if (at == SLICE_NONE)
		return S("");
	address = slice_from(address, at + 1);
	n = slice_find_byte(address, '>');
	return slice_head(address, n == SLICE_NONE || n > 255 ? 255 : n);
}

static void
read_arf(struct reading *r, struct slice bytes)
{
	own(arena_p) a = arena_new("report", (size_t)1048576);
	struct arf f;
	struct clerk_reader_complaint m;
	struct clerk_reader_report head = { .form = CLERK_READER_FORM_ARF, .rows = 1 };

	if (!arf_parse(bytes, a, &f)) {
		broken(r, CLERK_READER_FORM_ARF, "bad");
		return;
	}
	m = (struct clerk_reader_complaint){ .type = slice_head(f.type, 64), .source = slice_head(f.source, 64),
		.mail_from = slice_head(f.mail_from, 320), .rcpt = first_of(f.rcpts, f.n_rcpts, 320),
		.domain = first_of(f.domains, f.n_domains, 255), .auth_failure = slice_head(f.auth_failure, 64),
		.result = slice_head(f.delivery_result, 64), .arrival = f.has_arrival ? f.arrival : 0,
		.incidents = f.incidents };
	if (m.domain.n == 0)
		m.domain = f.dkim_domain.n > 0 ? slice_head(f.dkim_domain, 255) : domain_of(f.mail_from);
	head.domain = m.domain;
	head.org = slice_head(f.reporting_mta, 255);
	head.report_id = slice_head(f.envelope_id, 255);
	head.begin = head.end = m.arrival < 0 ? 0 : (uint64_t)m.arrival;
	head.messages = f.incidents;
	if (sent(r, clerk_reader_complaint_send(r->ch, &m)))
		(void)sent(r, clerk_reader_report_send(r->ch, &head));
	r->reports++;
}

/* ---- the whole ---- */

static void
read_one(struct reading *r, enum report_form form, struct slice bytes)
{
	r->rows = 0;
	if (form == REPORT_FORM_DMARC)
		read_dmarc(r, bytes);
	else if (form == REPORT_FORM_TLS)
		read_tls(r, bytes);
	else if (form == REPORT_FORM_ARF)
		read_arf(r, bytes);
}

static void
read_mail(struct reading *r, struct slice message)
{
	own(arena_p) a = arena_new("mail", LIMIT_ARENA_MESSAGE);
	own(buf_t) part = { .max = LIMIT_REPORT_IN };
	enum report_form form;
	struct report_walk w;
	struct mime m;

	if (!mime_parse(message, a, &m)) {
		broken(r, CLERK_READER_FORM_NONE, "big");
		return;
	}
	w = report_walk_of(&m);
	while (!r->failed && (form = report_next(&w, &part)) != REPORT_FORM_NONE)
		read_one(r, form, buf_slice(&part));
}

void
reader_read(struct ipc_channel *ch, struct slice bytes, struct slice hostname)
{
	struct reading r = { .ch = ch };
	enum report_form form = report_form(bytes);
	struct clerk_reader_mail mail = {
		.verified = form == REPORT_FORM_NONE && report_verified(bytes, hostname) };
	struct clerk_reader_end end = { 0 };

	if (sent(&r, clerk_reader_mail_send(ch, &mail))) {
		if (form != REPORT_FORM_NONE)
			read_one(&r, form, bytes);
		else
			read_mail(&r, bytes);
	}
	end.reports = r.reports;
	end.failed = r.failed;
	(void)clerk_reader_end_send(ch, &end);
}
