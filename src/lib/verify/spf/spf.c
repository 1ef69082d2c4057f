/* SPDX-License-Identifier: MIT
 * check_host() of RFC 7208 section 4. Includes recurse, which the lookup limit bounds; redirects
 * loop. */
#include "lib/verify/spf/eval.h"

/* What one check_host() found. */
struct host {
	enum spf_result result;
	struct slice term;
	struct slice exp;    /* domain-spec of the record that decided */
	struct slice domain; /* its domain, for the expansion of exp */
};

static struct host check_host(struct spf_eval *e, struct slice domain, struct slice name);

static enum spf_result
broken(struct spf_eval *e, enum spf_result result, const char *why)
{
	e->why = why;
	return result;
}

bool
spf_ask(struct spf_eval *e, struct slice name, enum rr_type type, struct resolve_answer *out)
{
	if (e->queries == LIMIT_SPF_QUERIES)
		return false;
	e->queries++;
	resolve(e->r, name, type, e->a, out);
	return true;
}

bool
spf_below(struct slice name, struct slice domain)
{
	size_t cut;

	if (name.n <= domain.n)
		return slice_ieq(name, domain);
	cut = name.n - domain.n;
	return domain.n > 0 && slice_at(name, cut - 1) == '.' &&
	       slice_ieq(slice_from(name, cut), domain);
}

static bool
has_address(const struct resolve_answer *ans, const struct ip *ip, unsigned bits)
{
	const struct rr *rr;

	for (size_t at = 0; rr_next(ans, &at, &rr);) {
		struct ip net = { .n = ip->n };

		memcpy(net.b, rr->ip, ip->n);
		if (ip_in(ip, &net, bits))
			return true;
	}
	return false;
}

/* A failure of these queries only means that a name is not validated: they depend on the client,
 * not on the sender's domain (5.5). */
void
spf_names(struct spf_eval *e)
{
	enum rr_type type = e->ip.n == 16 ? RR_AAAA : RR_A;
	struct resolve_answer ptr, host;
	const struct rr *rr;
	struct buf b;
	bool asked;

	if (e->names_known)
		return;
	e->names_known = true;
	buf_init(&b, LIMIT_SPF_NAME);
	asked = ip_reverse(&b, &e->ip) && spf_ask(e, buf_slice(&b), RR_PTR, &ptr);
	buf_free(&b);
	if (!asked)
		return;
	for (size_t at = 0; at < LIMIT_SPF_NAMES && rr_next(&ptr, &at, &rr);) {
		struct arena_mark mark = arena_mark(e->a);

		if (spf_ask(e, rr->name, type, &host) && has_address(&host, &e->ip, 128))
			e->names[e->n_names++] = rr->name;
		arena_rewind(e->a, mark);
	}
}

/* An answer on behalf of a mechanism: SPF_PASS when it may be read, else the error. */
static enum spf_result
ask_counted(struct spf_eval *e, struct slice name, enum rr_type type, struct resolve_answer *out)
{
	if (!spf_ask(e, name, type, out))
		return broken(e, SPF_PERMERROR, "too many DNS queries");
	if (resolve_failed(out->status))
		return broken(e, SPF_TEMPERROR, resolve_status_name(out->status));
	if (out->status != RESOLVE_OK && ++e->voids > LIMIT_SPF_VOIDS)
		return broken(e, SPF_PERMERROR, "too many void lookups");
	return SPF_PASS;
}

/* SPF_PASS: matches; SPF_NONE: does not; else an error. */
static enum spf_result
match_address(struct spf_eval *e, struct slice name, const struct spf_term *t)
{
	struct arena_mark mark = arena_mark(e->a);
	struct resolve_answer ans;
	enum spf_result result;

	result = ask_counted(e, name, e->ip.n == 16 ? RR_AAAA : RR_A, &ans);
	if (result == SPF_PASS && !has_address(&ans, &e->ip, e->ip.n == 16 ? t->bits6 : t->bits4))
		result = SPF_NONE;
	arena_rewind(e->a, mark);
	return result;
}

static enum spf_result
match_mx(struct spf_eval *e, struct slice name, const struct spf_term *t)
{
	struct resolve_answer mx;
	const struct rr *rr;
	enum spf_result result = ask_counted(e, name, RR_MX, &mx);

	if (result != SPF_PASS)
		return result;
	if (mx.n > LIMIT_SPF_NAMES)
		return broken(e, SPF_PERMERROR, "too many MX records");
	for (size_t at = 0; rr_next(&mx, &at, &rr);) {
		if (rr->name.n == 0) /* null MX, RFC 7505 */
			continue;
		result = match_address(e, rr->name, t);
		if (result != SPF_NONE)
			return result;
	}
	return SPF_NONE;
}

static enum spf_result
match_ptr(struct spf_eval *e, struct slice name)
{
	spf_names(e);
	for (size_t i = 0; i < e->n_names; i++)
		if (spf_below(e->names[i], name))
			return SPF_PASS;
	return SPF_NONE;
}

static enum spf_result
match_exists(struct spf_eval *e, struct slice name)
{
	struct resolve_answer ans;
	enum spf_result result = ask_counted(e, name, RR_A, &ans);

	return result == SPF_PASS && ans.n == 0 ? SPF_NONE : result;
}

/* The table of section 5.2. */
static enum spf_result
match_include(struct spf_eval *e, struct slice raw, struct slice name)
{
	switch (check_host(e, raw, name).result) {
	case SPF_PASS:
		return SPF_PASS;
	case SPF_TEMPERROR:
		return SPF_TEMPERROR;
	case SPF_PERMERROR:
		return SPF_PERMERROR;
	case SPF_NONE:
		return broken(e, SPF_PERMERROR, "include without a record");
	default:
		return SPF_NONE;
	}
}

/* Counts a term that asks the DNS and expands its domain-spec. SPF_PASS, or the error. */
static enum spf_result
target(struct spf_eval *e, struct slice spec, struct slice domain, struct slice *raw,
    struct slice *name)
{
	if (++e->lookups > LIMIT_SPF_LOOKUPS)
		return broken(e, SPF_PERMERROR, "too many DNS lookups");
	if (spec.n == 0) {
		*raw = domain;
		if (spf_name_text(domain, e->a, name))
			return SPF_PASS;
		return broken(e, SPF_TEMPERROR, "no memory");
	}
	switch (spf_expand_domain(e, spec, domain, raw, name)) {
	case SPF_EXPAND_OK:
		return SPF_PASS;
	case SPF_EXPAND_BAD:
		return broken(e, SPF_PERMERROR, "macro expansion");
	default:
		return broken(e, SPF_TEMPERROR, "no memory");
	}
}

static enum spf_result
match_term(struct spf_eval *e, const struct spf_term *t, struct slice domain)
{
	struct slice raw, name;
	enum spf_result result;

	switch (t->kind) {
	case SPF_ALL:
		return SPF_PASS;
	case SPF_IP4:
		return ip_in(&e->ip, &t->net, t->bits4) ? SPF_PASS : SPF_NONE;
	case SPF_IP6:
		return ip_in(&e->ip, &t->net, t->bits6) ? SPF_PASS : SPF_NONE;
	case SPF_REDIRECT:
	case SPF_EXP:
	case SPF_OTHER:
		return SPF_NONE;
	default:
		break;
	}
	result = target(e, t->domain, domain, &raw, &name);
	if (result != SPF_PASS)
		return result;
	switch (t->kind) {
	case SPF_INCLUDE:
		return match_include(e, raw, name);
	case SPF_A:
		return match_address(e, name, t);
	case SPF_MX:
		return match_mx(e, name, t);
	case SPF_PTR:
		return match_ptr(e, name);
	default:
		return match_exists(e, name);
	}
}

static enum spf_result
result_of(uint8_t qualifier)
{
	switch (qualifier) {
	case '-':
		return SPF_FAIL;
	case '~':
		return SPF_SOFTFAIL;
	case '?':
		return SPF_NEUTRAL;
	default:
		return SPF_PASS;
	}
}

/* Finds the one record of a domain (4.4, 4.5) and checks its syntax (4.6). SPF_PASS, or the result
 * of the whole check. The answer's memory is given back; the record is kept. */
static enum spf_result
find_record(struct spf_eval *e, struct slice name, struct spf_record *out)
{
	struct arena_mark mark = arena_mark(e->a);
	struct resolve_answer ans;
	struct slice text = { 0 };
	const struct rr *rr;
	size_t found = 0;
	struct buf keep;
	bool stored;

	if (!spf_ask(e, name, RR_TXT, &ans))
		return broken(e, SPF_PERMERROR, "too many DNS queries");
	if (resolve_failed(ans.status))
		return broken(e, SPF_TEMPERROR, resolve_status_name(ans.status));
	for (size_t at = 0; rr_next(&ans, &at, &rr);)
		if (spf_is_record(rr->text)) {
			text = rr->text;
			found++;
		}
	if (found != 1)
		return found == 0 ? SPF_NONE : broken(e, SPF_PERMERROR, "several records");
	if (text.n > LIMIT_SPF_RECORD)
		return broken(e, SPF_PERMERROR, "record too long");
	buf_init(&keep, LIMIT_SPF_RECORD);
	(void)buf_add(&keep, text);
	arena_rewind(e->a, mark);
	stored = arena_copy(e->a, buf_slice(&keep), &text);
	buf_free(&keep);
	if (!stored)
		return broken(e, SPF_TEMPERROR, "no memory");
	return spf_parse(text, out) ? SPF_PASS : broken(e, SPF_PERMERROR, "syntax error");
}

/* One record without its redirect. True when it decided. */
static bool
run_record(struct spf_eval *e, const struct spf_record *record, struct slice domain,
    struct host *out)
{
	struct cursor c = cur_of(record->text);
	struct spf_term t;

	while (spf_next(&c, &t)) {
		enum spf_result result = match_term(e, &t, domain);

		if (result == SPF_NONE)
			continue;
		*out = (struct host){ .result = result, .term = t.text, .domain = domain,
			.exp = record->exp };
		if (result == SPF_PASS)
			out->result = result_of(t.qualifier);
		return true;
	}
	return false;
}

static struct host
check_host(struct spf_eval *e, struct slice domain, struct slice name)
{
	struct host host = { .result = SPF_NEUTRAL };
	struct spf_record record;
	enum spf_result result = find_record(e, name, &record);

	if (result != SPF_PASS)
		return (struct host){ .result = result };
	while (!run_record(e, &record, domain, &host) && record.redirect.n > 0) {
		struct slice text = record.redirect;

		result = target(e, text, domain, &domain, &name);
		if (result == SPF_PASS)
			result = find_record(e, name, &record);
		if (result == SPF_NONE)
			result = broken(e, SPF_PERMERROR, "redirect without a record");
		if (result != SPF_PASS)
			return (struct host){ .result = result, .term = text };
	}
	return host;
}

/* The owner's words about a failure (6.2); anything wrong with them means none. */
static void
explain(struct spf_eval *e, const struct host *host, struct slice *out)
{
	struct slice raw, name, text;
	struct resolve_answer ans;
	const char *why = e->why;

	if (host->result != SPF_FAIL || host->exp.n == 0)
		return;
	if (spf_expand_domain(e, host->exp, host->domain, &raw, &name) == SPF_EXPAND_OK &&
	    spf_ask(e, name, RR_TXT, &ans) && ans.n == 1 &&
	    spf_expand_text(e, ans.rr->text, host->domain, &text) == SPF_EXPAND_OK)
		*out = text;
	e->why = why;
}

/* A domain that can have a record at all: several labels, not an address literal (4.3). */
static bool
checkable(struct slice domain)
{
	size_t dot = slice_find_byte(domain, '.'), label = 0;

	if (domain.n > LIMIT_SPF_NAME + 1 || dot == SLICE_NONE || dot + 1 == domain.n ||
	    slice_at(domain, 0) == '[')
		return false;
	for (size_t i = 0; i < domain.n; i++) {
		bool is_dot = slice_at(domain, i) == '.';

		if (is_dot ? label == 0 : label == LIMIT_RESOLVE_LABEL)
			return false;
		label = is_dot ? 0 : label + 1;
	}
	return true;
}

static void
check(const struct spf_query *q, bool by_helo, struct resolver *r, struct arena *a,
    struct spf_verdict *out)
{
	struct spf_eval e = { .q = q, .r = r, .a = a, .ip = ip_unmap(q->ip), .why = "" };
	struct spf_verdict v = { .by_helo = by_helo, .domain = by_helo ? q->helo : q->domain };
	struct host host = { .result = SPF_NONE };
	struct slice name;

	e.local = by_helo || q->local.n == 0 ? S("postmaster") : q->local;
	e.sender_domain = v.domain;
	if ((e.ip.n == 4 || e.ip.n == 16) && checkable(v.domain)) {
		if (spf_name_text(v.domain, a, &name))
			host = check_host(&e, v.domain, name);
		else
			host.result = broken(&e, SPF_TEMPERROR, "no memory");
	}
	explain(&e, &host, &v.explanation);
	v.result = host.result;
	v.term = host.term;
	v.why = e.why;
	v.lookups = e.lookups;
	v.voids = e.voids;
	v.queries = e.queries;
	*out = v;
}

void
spf_check_mail(const struct spf_query *q, struct resolver *r, struct arena *a,
    struct spf_verdict *out)
{
	check(q, q->domain.n == 0, r, a, out);
}

void
spf_check_helo(const struct spf_query *q, struct resolver *r, struct arena *a,
    struct spf_verdict *out)
{
	check(q, true, r, a, out);
}

const char *
spf_result_name(enum spf_result r)
{
	static const char *const names[] = { "none", "neutral", "pass", "fail", "softfail",
		"temperror", "permerror" };

	return (unsigned)r < sizeof names / sizeof *names ? names[r] : "none";
}
