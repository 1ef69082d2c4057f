/* SPDX-License-Identifier: MIT
 * DMARC evaluation, RFC 9989 sections 4.10 (tree walk), 4.10.1 (policy), 4.10.2 (organizational
 * domain), 4.4 (alignment), 5.3. */
#include "lib/verify/dmarc/dmarc.h"

#include "lib/base/limits.h"

#define MOST_KNOWN LIMIT_DMARC_QUERIES

/* What stands at _dmarc.domain. */
struct node {
	struct slice domain;
	bool present;
	struct dmarc_record record;
};

struct eval {
	struct resolver *r;
	struct arena *a;
	struct node known[MOST_KNOWN];
	size_t n_known;
	unsigned queries;
	const char *why;
};

enum found { FOUND_NO, FOUND_YES, FOUND_ERROR };

/* One From domain under evaluation. */
struct author {
	struct slice domain;
	bool walked;
	struct slice org, psd; /* psd: the suffix that the walk met, or empty */
};

static struct slice
parent(struct slice domain)
{
	size_t dot = slice_find_byte(domain, '.');

	return dot == SLICE_NONE ? S("") : slice_from(domain, dot + 1);
}

static size_t
labels(struct slice domain)
{
	size_t n = domain.n > 0;

	for (size_t i = 0; i < domain.n; i++)
		n += slice_at(domain, i) == '.';
	return n;
}

static bool
below(struct slice name, struct slice domain)
{
	size_t cut;

	if (name.n <= domain.n || domain.n == 0)
		return false;
	cut = name.n - domain.n;
	return slice_at(name, cut - 1) == '.' && slice_ieq(slice_from(name, cut), domain);
}

static enum found
failed(struct eval *e, const char *why)
{
	e->why = why;
	return FOUND_ERROR;
}

/* Keeps the one DMARC record of an answer; several are as good as none (4.10 step 2). */
static enum found
keep_record(struct eval *e, const struct resolve_answer *ans, struct node *node)
{
	const struct rr *rr, *one = NULL;
	size_t found = 0;
	struct slice text;

	for (size_t at = 0; rr_next(ans, &at, &rr);)
		if (dmarc_is_record(rr->text)) {
			one = rr;
			found++;
		}
	if (found != 1 || one->text.n > LIMIT_DMARC_RECORD)
		return FOUND_NO;
	if (!arena_copy(e->a, one->text, &text))
		return failed(e, "no memory");
	node->present = dmarc_parse(text, &node->record);
	return node->present ? FOUND_YES : FOUND_NO;
}

/* The record at _dmarc.domain, asked for at most once in an evaluation. */
static enum found
lookup(struct eval *e, struct slice domain, const struct node **out)
{
	struct resolve_answer ans;
	struct node *node;
	enum found found;
	struct buf name;

	for (size_t i = 0; i < e->n_known; i++)
		if (slice_ieq(e->known[i].domain, domain)) {
			*out = &e->known[i];
			return e->known[i].present ? FOUND_YES : FOUND_NO;
		}
	if (e->n_known == MOST_KNOWN)
		return failed(e, "too many DNS queries");
	e->queries++;
	buf_init(&name, 1200);
	(void)buf_add(&name, S("_dmarc."));
	(void)buf_add(&name, domain);
	if (name.bad)
		ans = (struct resolve_answer){ .status = RESOLVE_NXDOMAIN };
	else
		resolve(e->r, buf_slice(&name), RR_TXT, e->a, &ans);
	buf_free(&name);
	if (resolve_failed(ans.status))
		return failed(e, resolve_status_name(ans.status));
	node = &e->known[e->n_known];
	*node = (struct node){ .domain = domain };
	found = keep_record(e, &ans, node);
	if (found != FOUND_ERROR) {
		e->n_known++;
		*out = node;
	}
	return found;
}

/* The next name of the walk (4.10 steps 4 and 5): one label less, and never more than seven. */
static struct slice
step_up(struct slice domain)
{
	domain = parent(domain);
	while (labels(domain) > LIMIT_DMARC_WALK - 1)
		domain = parent(domain);
	return domain;
}

/* The tree walk of 4.10 with the choice of 4.10.2. stop: a name at which the walk may end because
 * what stands there and above is decided elsewhere; empty: none. *psd gets the public suffix that
 * the walk met, if any. */
static bool
walk(struct eval *e, struct slice start, struct slice stop, struct slice *org, struct slice *psd)
{
	struct slice best = start, below_it = start;

	*psd = S("");
	for (struct slice at = start; at.n > 0; below_it = at, at = step_up(at)) {
		const struct node *node;
		enum found found = lookup(e, at, &node);

		if (found == FOUND_ERROR)
			return false;
		if (found == FOUND_YES && node->record.psd == DMARC_PSD_N) {
			*org = at;
			return true;
		}
		if (found == FOUND_YES && node->record.psd == DMARC_PSD_Y) {
			*psd = at;
			*org = at.n == start.n ? start : below_it;
			return true;
		}
		if (found == FOUND_YES)
			best = at;
		if (stop.n > 0 && slice_ieq(at, stop)) {
			best = at;
			break;
		}
	}
	*org = best;
	return true;
}

static bool
walk_author(struct eval *e, struct author *author)
{
	if (!author->walked &&
	    !walk(e, author->domain, S(""), &author->org, &author->psd))
		return false;
	author->walked = true;
	return true;
}

/* Finds the policy record (4.10.1): at the author's domain, at its organizational domain, at the
 * public suffix. */
static enum found
find_policy(struct eval *e, struct author *author, const struct node **out)
{
	enum found found = lookup(e, author->domain, out);

	if (found != FOUND_NO)
		return found;
	if (!walk_author(e, author))
		return FOUND_ERROR;
	found = lookup(e, author->org, out);
	if (found == FOUND_NO && author->psd.n > 0)
		found = lookup(e, author->psd, out);
	return found;
}

/* Relaxed alignment: the same organizational domain (4.4). */
static enum found
same_org(struct eval *e, struct author *author, struct slice id)
{
	struct slice org, psd;

	if (!walk_author(e, author))
		return FOUND_ERROR;
	if (slice_ieq(id, author->org))
		return FOUND_YES;
	if (!below(id, author->org))
		return FOUND_NO;
	if (!walk(e, id, author->org, &org, &psd))
		return FOUND_ERROR;
	return slice_ieq(org, author->org) ? FOUND_YES : FOUND_NO;
}

/* The first aligned one of a list, or empty. */
static enum found
align(struct eval *e, struct author *author, const struct slice *ids, size_t n, bool strict,
    struct slice *out)
{
	enum found worst = FOUND_NO;

	*out = S("");
	if (n > LIMIT_DMARC_IDS)
		n = LIMIT_DMARC_IDS;
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(ids[i], author->domain)) {
			*out = ids[i];
			return FOUND_YES;
		}
	for (size_t i = 0; i < n && !strict; i++) {
		enum found found = ids[i].n == 0 ? FOUND_NO : same_org(e, author, ids[i]);

		if (found == FOUND_YES) {
			*out = ids[i];
			return FOUND_YES;
		}
		if (found == FOUND_ERROR)
			worst = FOUND_ERROR;
	}
	return worst;
}

/* p, sp or np (4.7): np only for a name that the DNS denies, sp only below the record. */
static bool
choose_policy(struct eval *e, struct author *author, const struct node *node,
    struct dmarc_verdict *v)
{
	const struct dmarc_record *r = &node->record;
	struct resolve_answer ans;

	v->published = r->p;
	if (slice_ieq(node->domain, author->domain))
		return true;
	if (r->sp != DMARC_P_ABSENT)
		v->published = r->sp;
	if (r->np == DMARC_P_ABSENT)
		return true;
	e->queries++;
	resolve(e->r, author->domain, RR_A, e->a, &ans);
	if (resolve_failed(ans.status)) {
		e->why = resolve_status_name(ans.status);
		return false;
	}
	v->nonexistent = ans.status == RESOLVE_NXDOMAIN;
	if (v->nonexistent)
		v->published = r->np;
	return true;
}

void
dmarc_trust_arc(struct dmarc_verdict *v)
{
	if (v->result != DMARC_FAIL || v->disposition <= DMARC_P_NONE)
		return;
	v->disposition = DMARC_P_NONE;
	v->override = DMARC_OVERRIDE_ARC;
}

static void
dispose(const struct dmarc_query *q, struct dmarc_verdict *v)
{
	v->disposition = v->published;
	if (v->record.testing && v->disposition > DMARC_P_NONE) {
		v->disposition =
		    v->disposition == DMARC_P_REJECT ? DMARC_P_QUARANTINE : DMARC_P_NONE;
		v->override = DMARC_OVERRIDE_TEST;
	}
	if (q->arc_trusted)
		dmarc_trust_arc(v);
}

static void
check_one(struct eval *e, const struct dmarc_query *q, struct slice from, struct dmarc_verdict *v)
{
	struct author author = { .domain = from };
	const struct node *node;
	enum found found = find_policy(e, &author, &node), spf, dkim;

	*v = (struct dmarc_verdict){ .from = from, .published = DMARC_P_NONE,
		.disposition = DMARC_P_NONE, .result = DMARC_NONE };
	if (found == FOUND_ERROR)
		v->result = DMARC_TEMPERROR;
	if (found == FOUND_YES && node->record.usable) {
		v->policy_domain = node->domain;
		v->record = node->record;
		spf = align(e, &author, q->spf, q->n_spf, v->record.spf_strict, &v->spf_aligned);
		dkim = align(e, &author, q->dkim, q->n_dkim, v->record.dkim_strict, &v->dkim_aligned);
		v->result = DMARC_FAIL;
		if (!choose_policy(e, &author, node, v) || spf == FOUND_ERROR || dkim == FOUND_ERROR)
			v->result = DMARC_TEMPERROR;
		if (q->incomplete && v->published > DMARC_P_NONE && !q->arc_trusted)
			v->result = DMARC_TEMPERROR;
		if (spf == FOUND_YES || dkim == FOUND_YES)
			v->result = DMARC_PASS;
		if (v->result == DMARC_FAIL)
			dispose(q, v);
	}
	v->org_domain = author.org;
}

static int
rank(const struct dmarc_verdict *v)
{
	switch (v->result) {
	case DMARC_PASS:
		return 0;
	case DMARC_NONE:
		return 1;
	case DMARC_FAIL:
		return v->disposition == DMARC_P_REJECT	      ? 5
		       : v->disposition == DMARC_P_QUARANTINE ? 4
							      : 2;
	default:
		return 3;
	}
}

/* Different, well-formed domains of From; false when that cannot be evaluated. */
static bool
take_from(const struct dmarc_query *q, struct slice *list, size_t *n)
{
	*n = 0;
	if (q->from_fields != 1 || q->n_from == 0)
		return false;
	for (size_t i = 0; i < q->n_from; i++) {
		struct slice d = q->from[i];
		size_t k = 0;

		if (slice_ends(d, S(".")))
			d = slice_head(d, d.n - 1);
		if (d.n == 0 || d.n > LIMIT_DOMAIN || slice_find(d, S("..")) != SLICE_NONE ||
		    slice_at(d, 0) == '.' || slice_at(d, 0) == '[')
			return false;
		while (k < *n && !slice_ieq(list[k], d))
			k++;
		if (k < *n)
			continue;
		if (*n == LIMIT_DMARC_FROM)
			return false;
		list[(*n)++] = d;
	}
	return true;
}

static struct eval *
eval_new(struct resolver *r, struct arena *a)
{
	struct eval *e = ARENA_NEW(a, struct eval);

	if (e == NULL)
		return NULL;
	e->r = r;
	e->a = a;
	e->why = "";
	return e;
}

void
dmarc_check(const struct dmarc_query *q, struct resolver *r, struct arena *a,
    struct dmarc_verdict *out)
{
	struct dmarc_verdict worst = { .result = DMARC_REFUSE, .published = DMARC_P_NONE,
		.disposition = DMARC_P_NONE, .why = "no single From field with a domain" };
	struct slice list[LIMIT_DMARC_FROM];
	struct eval *e = eval_new(r, a);
	size_t n;

	if (e == NULL) {
		worst.result = DMARC_TEMPERROR;
		worst.why = "no memory";
	} else if (take_from(q, list, &n)) {
		for (size_t i = 0; i < n; i++) {
			struct dmarc_verdict v;

			check_one(e, q, list[i], &v);
			if (i == 0 || rank(&v) > rank(&worst))
				worst = v;
		}
		worst.why = worst.result == DMARC_TEMPERROR ? e->why : "";
		worst.queries = e->queries;
	}
	*out = worst;
}

bool
dmarc_org_domain(struct slice domain, struct resolver *r, struct arena *a, struct slice *out)
{
	struct eval *e = eval_new(r, a);
	struct slice psd;

	return e != NULL && walk(e, domain, S(""), out, &psd);
}

bool
dmarc_report_allowed(struct slice domain, struct slice host, struct resolver *r, struct arena *a)
{
	struct slice mine, theirs;
	struct resolve_answer ans;
	const struct rr *rr;
	bool found = false;
	struct buf name;

	if (slice_ieq(domain, host))
		return true;
	if (dmarc_org_domain(domain, r, a, &mine) && dmarc_org_domain(host, r, a, &theirs) &&
	    slice_ieq(mine, theirs))
		return true;
	buf_init(&name, 1200);
	(void)buf_add(&name, domain);
	(void)buf_add(&name, S("._report._dmarc."));
	(void)buf_add(&name, host);
	if (!name.bad) {
		resolve(r, buf_slice(&name), RR_TXT, a, &ans);
		for (size_t at = 0; rr_next(&ans, &at, &rr);)
			found = found || dmarc_is_record(rr->text);
	}
	buf_free(&name);
	return found;
}

const char *
dmarc_result_name(enum dmarc_result r)
{
	static const char *const names[] = { "none", "pass", "fail", "temperror", "permerror" };

	return (unsigned)r < sizeof names / sizeof *names ? names[r] : "none";
}

bool
dmarc_comment(struct buf *b, const struct dmarc_verdict *v, const char *arc)
{
	if (v->policy_domain.n > 0)
		(void)buf_fmt(b, "%s=%s dis=%s",
		    v->nonexistent				     ? "np"
		    : slice_ieq(v->policy_domain, v->from) ? "p"
							     : "sp",
		    dmarc_policy_name(v->published), dmarc_policy_name(v->disposition));
	else if (v->result != DMARC_TEMPERROR)
		(void)buf_add(b, S("no record"));
	if (v->override == DMARC_OVERRIDE_TEST)
		(void)buf_add(b, S(" test mode"));
	if (v->override == DMARC_OVERRIDE_ARC)
		(void)buf_add(b, S(" trusted forwarder"));
	if (arc != NULL)
		(void)buf_fmt(b, " arc=%s", arc);
	return !b->bad;
}
