/* SPDX-License-Identifier: MIT
 * The report itself, from what was counted. */
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "rooms/clerk/counting.h"
#include "rooms/clerk/owing.h"

#define DAY 86400u
#define FAILURES ((size_t)2000) /* of one policy; more are left out of the details, not of the sums */

struct building {
	struct arena *a;
	struct buf *b;
	size_t rows;
	/* TLS: the policy under way */
	struct tls_report_policy policy;
	struct slice key; /* type and lines */
	struct tls_report_failure *failures;
	bool open, first, full;
};

static bool
on_dmarc(void *ctx, struct slice packed, uint64_t n)
{
	struct building *w = ctx;
	struct arena_mark mark = arena_mark(w->a);
	struct dmarc_report_row row;

	if (counted_dmarc_row(packed, n, w->a, &row))
		(void)dmarc_report_row(w->b, &row);
	arena_rewind(w->a, mark);
	return ++w->rows < OWING_ROWS && !w->b->bad;
}

static bool
build_dmarc(struct clerk *c, const struct reports_owed *o, struct dmarc_report *r, struct building *w)
{
	struct slice policy = S("");

	if (reports_published(c->reports, o->kind, o->period, o->domain, w->a, &policy) != STORE_OK)
		return false;
	counted_published(policy, r);
	(void)dmarc_report_begin(w->b, r);
	return reports_rows(c->reports, o->kind, o->period, o->domain, on_dmarc, w) == STORE_OK &&
	    dmarc_report_end(w->b);
}

/* ---- TLS: rows of one policy stand together ---- */

static void
close_policy(struct building *w)
{
	if (!w->open)
		return;
	w->policy.failures = w->failures;
	(void)tls_report_policy(w->b, &w->policy, w->first);
	w->first = false;
	w->open = false;
}

/* The host patterns of a policy of MTA-STS: "mx: a, b" of several lines. */
static bool
put_patterns(struct arena *a, struct slice lines, struct slice *out)
{
	own(buf_t) b = { .max = COUNTED_LONG };
	struct slice line, rest = lines;

	for (bool more = lines.n > 0; more;) {
		more = slice_cut(rest, '\n', &line, &rest);
		if (!more)
			line = rest;
		if (slice_istarts(line, S("mx:")) && slice_trim(slice_from(line, 3)).n > 0) {
			(void)buf_add(&b, b.n > 0 ? S(", ") : S(""));
			(void)buf_add(&b, slice_trim(slice_from(line, 3)));
		}
	}
	return arena_copy(a, buf_slice(&b), out);
}

static void
open_policy(struct building *w, struct slice domain, struct slice key)
{
	struct tls_report_policy *p = &w->policy;

	*p = (struct tls_report_policy){ .domain = domain };
	w->open = true;
	if (!arena_copy(w->a, key, &w->key)) {
		w->full = true;
		return;
	}
	p->type = w->key;
	(void)slice_cut(w->key, '\n', &p->type, &p->string);
	if (slice_eq(p->type, S("sts")))
		w->full = !put_patterns(w->a, p->string, &p->mx) || w->full;
}

static bool
on_tls(void *ctx, struct slice packed, uint64_t n)
{
	struct building *w = ctx;
	struct slice domain = w->policy.domain;
	struct counted c;
	struct tls_report_failure *f;

	if (!counted_unpack(packed, &c))
		return true;
	if (!w->open || !slice_eq(w->key, c.f[CT_POLICY])) {
		close_policy(w);
		open_policy(w, domain, c.f[CT_POLICY]);
	}
	if (slice_eq(c.f[CT_RESULT], S("ok"))) {
		w->policy.successes += n;
		return true;
	}
	w->policy.failed += n;
	if (w->policy.n == FAILURES)
		return true;
	f = &w->failures[w->policy.n++];
	*f = (struct tls_report_failure){ .sessions = n };
	w->full = !arena_copy(w->a, c.f[CT_RESULT], &f->type) || !arena_copy(w->a, c.f[CT_MX], &f->receiving_mx) ||
	    !arena_copy(w->a, c.f[CT_SENDING], &f->sending_ip) ||
	    !arena_copy(w->a, c.f[CT_RECEIVING], &f->receiving_ip) || !arena_copy(w->a, c.f[CT_REASON], &f->reason) ||
	    w->full;
	return !w->full;
}

static bool
build_tls(struct clerk *c, const struct reports_owed *o, const struct tls_report *r, struct building *w)
{
	w->failures = ARENA_ARRAY(w->a, FAILURES, struct tls_report_failure);
	if (w->failures == NULL)
		return false;
	w->policy.domain = o->domain;
	w->first = true;
	(void)tls_report_begin(w->b, r);
	if (reports_rows(c->reports, o->kind, o->period, o->domain, on_tls, w) != STORE_OK || w->full)
		return false;
	close_policy(w);
	return tls_report_end(w->b);
}

/* ---- both ---- */

static void
put_names(struct clerk *c, const struct reports_owed *o, const struct dmarc_report *r, struct buf *names,
    struct mail *m)
{
	size_t id, subject, file;

	(void)buf_add(names, r->report_id);
	id = names->n;
	(void)dmarc_report_subject(names, r, c->hostname);
	subject = names->n;
	(void)dmarc_report_filename(names, r, c->hostname);
	if (o->kind == REPORT_TLS) {
		buf_cut(names, names->n - S("xml.gz").n);
		(void)buf_add(names, S("json.gz"));
	}
	file = names->n;
	m->report_id = slice_head(buf_slice(names), id);
	m->subject = slice_sub(buf_slice(names), id, subject - id);
	m->filename = slice_sub(buf_slice(names), subject, file - subject);
}

bool
owing_build(struct clerk *c, const struct reports_owed *o, struct slice from, struct arena *a,
    struct buf *packed, struct buf *names, struct mail *m)
{
	own(buf_t) text = { .max = OWING_XML };
	own(buf_t) id = { .max = 400 };
	struct building w = { .a = a, .b = &text };
	uint64_t begin = o->period / REPORTS_PARTS * DAY;
	struct dmarc_report d = { .org_name = c->org, .email = from, .generator = S("Postern"), .begin = begin,
		.end = begin + DAY - 1, .domain = o->domain };
	struct tls_report t = { .organization = c->org, .contact = from, .start = (int64_t)begin,
		.end = (int64_t)(begin + DAY - 1) };
	bool built;

	/* the same report has the same id, whenever it is built: a receiver knows it again */
	(void)buf_fmt(&id, "%llu.%.*s", (unsigned long long)o->period, SFMT(o->domain));
	d.report_id = t.id = buf_slice(&id);
	m->kind = o->kind;
	m->domain = o->domain;
	put_names(c, o, &d, names, m);
	built = o->kind == REPORT_TLS ? build_tls(c, o, &t, &w) : build_dmarc(c, o, &d, &w);
	if (!built || text.bad || names->bad || !report_gzip(packed, buf_slice(&text)))
		return false;
	m->packed = buf_slice(packed);
	return true;
}
