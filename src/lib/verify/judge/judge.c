/* SPDX-License-Identifier: MIT */
#include "lib/verify/judge/judge.h"

#include "lib/base/encode.h"
#include "lib/make/authres.h"

#define CLOCK_SKEW 300u		/* seconds */
#define MOST_RESULTS (LIMIT_DKIM_SIGNATURES + 4) /* iprev, spf, arc, dmarc */
#define SHOWN_B 8u /* characters of b=, enough to tell signatures apart (RFC 6008) */

struct field {
	struct authres_result results[MOST_RESULTS];
	struct authres_prop props[MOST_RESULTS][4];
	size_t n;
};

static bool
judge_dkim(const struct judge_query *q, struct resolver *r, struct arena *a, struct judge_verdict *v,
    struct dmarc_query *dq)
{
	struct dkim_rules rules = { .now = q->now, .skew = CLOCK_SKEW };
	struct slice *domains = ARENA_ARRAY(a, LIMIT_DKIM_SIGNATURES, struct slice);
	struct dkim_message m;

	if (domains == NULL || !dkim_message_split(q->message, a, &m) ||
	    !dkim_verify(&m, &rules, r, a, &v->dkim))
		return false;
	for (size_t i = 0; i < v->dkim.n; i++) {
		if (v->dkim.v[i].result == DKIM_RESULT_PASS)
			domains[dq->n_dkim++] = v->dkim.v[i].domain;
		dq->incomplete = dq->incomplete || v->dkim.v[i].result == DKIM_RESULT_TEMPERROR;
	}
	dq->dkim = domains;
	return true;
}

/* The chain holds, its last forwarder is one we trust, and that one saw DMARC pass. */
static bool
chain_speaks(const struct judge_query *q, const struct arc_chain *arc)
{
	const struct arc_set *last;

	if (arc->cv != ARC_PASS || arc->sets.n == 0)
		return false;
	last = &arc->sets.sets[arc->sets.n - 1];
	for (size_t i = 0; i < q->n_trusted; i++)
		if (slice_ieq(last->seal.domain, q->trusted[i]))
			return authres_reports(last->results, S("dmarc"), S("pass"));
	return false;
}

static bool
judge_arc(const struct judge_query *q, struct resolver *r, struct arena *a, struct judge_verdict *v)
{
	struct dkim_rules rules = { .now = q->now, .skew = CLOCK_SKEW };
	struct dkim_message m;

	if (!dkim_message_split(q->message, a, &m) || !arc_verify(&m, &rules, r, a, &v->arc))
		return false;
	if (chain_speaks(q, &v->arc))
		dmarc_trust_arc(&v->dmarc);
	return true;
}

static struct authres_result *
add(struct field *f, struct slice method, struct slice result)
{
	struct authres_result *r = &f->results[f->n];

	PN_ASSERT(f->n < MOST_RESULTS);
	*r = (struct authres_result){ .method = method, .result = result, .props = f->props[f->n] };
	f->n++;
	return r;
}

/* A property of the result that was added last; an empty value is left out. */
static void
prop(struct field *f, struct slice type, struct slice property, struct slice value)
{
	struct authres_result *r = &f->results[f->n - 1];

	if (value.n > 0)
		f->props[f->n - 1][r->n_props++] = (struct authres_prop){ type, property, value };
}

static bool
join(struct slice local, struct slice domain, struct arena *a, struct slice *out)
{
	struct buf b;
	bool ok;

	buf_init(&b, local.n + domain.n + 1);
	(void)buf_add(&b, local);
	(void)buf_byte(&b, '@');
	(void)buf_add(&b, domain);
	ok = arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	return ok;
}

static bool
add_client(const struct judge_query *q, struct arena *a, struct judge_verdict *v, struct field *f)
{
	struct authres_result *r =
	    add(f, S("iprev"), slice_z(iprev_result_name(v->iprev.result)));
	struct slice text;
	struct buf b;
	bool ok;

	buf_init(&b, LIMIT_IP_TEXT);
	(void)ip_put(&b, &q->ip);
	ok = arena_copy(a, buf_slice(&b), &text);
	buf_free(&b);
	if (!ok)
		return false;
	prop(f, S("policy"), S("iprev"), text);
	if (v->iprev.result == IPREV_PASS)
		r->comment = v->iprev.name;
	r = add(f, S("spf"), slice_z(spf_result_name(v->spf.result)));
	r->reason = slice_z(v->spf.why);
	if (v->spf.by_helo) {
		prop(f, S("smtp"), S("helo"), q->helo);
		return true;
	}
	if (!join(q->local, q->domain, a, &text))
		return false;
	prop(f, S("smtp"), S("mailfrom"), text);
	return true;
}

static bool
add_dkim(struct arena *a, const struct judge_verdict *v, struct field *f)
{
	for (size_t i = 0; i < v->dkim.n; i++) {
		const struct dkim_verdict *d = &v->dkim.v[i];
		struct authres_result *r = add(f, S("dkim"), dkim_result_name(d->result));
		struct slice text;
		struct buf b;
		bool ok;

		if (d->why != DKIM_OK)
			r->reason = dkim_why_text(d->why);
		prop(f, S("header"), S("d"), d->sig.domain);
		prop(f, S("header"), S("s"), d->sig.selector);
		buf_init(&b, 2 * SHOWN_B);
		(void)base64_encode(&b, slice_head(d->sig.b, SHOWN_B / 4 * 3));
		ok = arena_copy(a, slice_head(buf_slice(&b), SHOWN_B), &text);
		buf_free(&b);
		if (!ok)
			return false;
		prop(f, S("header"), S("b"), text);
	}
	if (v->dkim.n == 0)
		(void)add(f, S("dkim"), S("none"));
	return true;
}

static bool
add_verdicts(struct arena *a, const struct judge_verdict *v, struct field *f)
{
	struct authres_result *r;
	struct buf b;
	bool ok;

	if (!v->arc.sets.none) {
		r = add(f, S("arc"), arc_cv_name(v->arc.cv));
		if (v->arc.why != DKIM_OK)
			r->reason = dkim_why_text(v->arc.why);
		if (v->arc.sets.n > 0)
			prop(f, S("header"), S("d"), v->arc.sets.sets[v->arc.sets.n - 1].seal.domain);
	}
	r = add(f, S("dmarc"), slice_z(dmarc_result_name(v->dmarc.result)));
	if (!v->from.ok) {
		r->reason = slice_z(v->from.why);
		return true;
	}
	buf_init(&b, 256);
	(void)dmarc_comment(&b, &v->dmarc, NULL);
	ok = arena_copy(a, buf_slice(&b), &r->comment);
	buf_free(&b);
	prop(f, S("header"), S("from"), v->dmarc.from);
	return ok;
}

static bool
write_field(const struct judge_query *q, struct arena *a, struct judge_verdict *v)
{
	struct field *f = ARENA_NEW(a, struct field);
	struct buf b;
	bool ok;

	if (f == NULL || !add_client(q, a, v, f) || !add_dkim(a, v, f) || !add_verdicts(a, v, f))
		return false;
	buf_init(&b, LIMIT_AUTHRES);
	ok = authres_write(&b, q->id, f->results, f->n) && arena_copy(a, buf_slice(&b), &v->field);
	buf_free(&b);
	return ok;
}

static void
decide(struct judge_verdict *v)
{
	static const char temporary[] = "the sender's domain could not be checked, try again later";

	v->action = JUDGE_ACCEPT;
	v->why = "";
	if (!v->from.ok || v->dmarc.result == DMARC_REFUSE) {
		v->action = JUDGE_REJECT;
		v->why = v->from.ok ? v->dmarc.why : v->from.why;
	} else if (v->dmarc.result == DMARC_TEMPERROR) {
		v->action = JUDGE_DEFER;
		v->why = temporary;
	} else if (v->dmarc.disposition == DMARC_P_REJECT) {
		v->action = JUDGE_REJECT;
		v->why = "the domain in From rejects mail that is not authenticated (DMARC)";
	} else if (v->dmarc.disposition == DMARC_P_QUARANTINE) {
		v->action = JUDGE_QUARANTINE;
		v->why = "the domain in From asks to quarantine mail that is not authenticated (DMARC)";
	}
}

/* More header than anybody reads: that will not get better by trying again. */
static bool
too_much_header(struct slice message)
{
	struct cursor c = cur_of(message);
	struct header_field f;
	size_t n = 0;

	while (n <= LIMIT_HEADER_FIELDS && header_next(&c, &f))
		n++;
	return n > LIMIT_HEADER_FIELDS || header_length(message) > LIMIT_HEADER;
}

/* Everything but the outcome; false at the arena's ceiling. */
static bool
gather(const struct judge_query *q, struct resolver *r, struct arena *a, struct judge_verdict *v)
{
	struct spf_query sq = { .ip = q->ip, .helo = q->helo, .local = q->local, .domain = q->domain,
		.receiver = q->id, .now = q->now };
	struct dmarc_query dq = { .spf = &v->spf.domain };
	struct header h;

	if (!header_split(q->message, a, &h))
		return false;
	spf_check_mail(&sq, r, a, &v->spf);
	dq.n_spf = v->spf.result == SPF_PASS;
	dq.incomplete = v->spf.result == SPF_TEMPERROR;
	if (!judge_dkim(q, r, a, v, &dq))
		return false;
	from_judge(&h, a, &v->from);
	dq.from_fields = v->from.fields;
	dq.from = v->from.domains;
	dq.n_from = v->from.n;
	dmarc_check(&dq, r, a, &v->dmarc);
	iprev_check(&q->ip, r, a, &v->iprev);
	return !v->from.full && judge_arc(q, r, a, v) && write_field(q, a, v);
}

void
judge_message(const struct judge_query *q,
    void (*query)(void *self, struct slice name, enum rr_type type, struct arena *a,
	struct resolve_wire *out),
    void *self, struct arena *a, struct judge_verdict *out)
{
	struct resolver r = resolver_of(query, self);

	memset(out, 0, sizeof *out);
	if (too_much_header(q->message)) {
		out->action = JUDGE_REJECT;
		out->why = "the header is too large";
	} else if (gather(q, &r, a, out)) {
		decide(out);
	} else {
		out->action = JUDGE_DEFER;
		out->why = "the message is too much for this server now, try again later";
		out->field = S("");
	}
	out->queries = LIMIT_RESOLVE_QUERIES - r.left;
	out->spent = r.spent;
}

const char *
judge_action_name(enum judge_action a)
{
	static const char *const names[] = { "accept", "quarantine", "reject", "defer" };

	return (unsigned)a < sizeof names / sizeof *names ? names[a] : "defer";
}
