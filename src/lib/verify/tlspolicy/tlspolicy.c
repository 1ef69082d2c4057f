/* SPDX-License-Identifier: MIT
 * DANE for SMTP (RFC 7672 section 2.2), and the choice among DANE, MTA-STS and opportunistic TLS. */
#include "lib/verify/tlspolicy/tlspolicy.h"

#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/tls/dane.h"

static bool
same_name(struct slice a, struct slice b)
{
	return slice_ieq(a, b);
}

static void
add_name(struct tlspolicy_host *h, struct slice name)
{
	for (size_t i = 0; i < h->n_names; i++)
		if (same_name(h->names[i], name))
			return;
	if (h->n_names < sizeof h->names / sizeof *h->names && name.n > 0)
		h->names[h->n_names++] = name;
}

/* The DNS failed on the way to TLSA records (RFC 7672 2.1.2): the host waits. */
static void
defer(struct tlspolicy_host *h)
{
	h->level = TLSPOLICY_DEFER;
	h->type = "tlsa";
	h->result = "dnssec-invalid";
}

/* The usable ones among the records; false at the arena's ceiling. */
static bool
take_usable(const struct resolve_answer *answer, struct arena *a, struct tlspolicy_host *h)
{
	struct tls_tlsa *usable = ARENA_ARRAY(a, LIMIT_TLSPOLICY_TLSA, struct tls_tlsa);
	const struct rr *rr;
	size_t at = 0, looked = 0;

	if (usable == NULL)
		return false;
	while (rr_next(answer, &at, &rr) && looked++ < LIMIT_TLSPOLICY_TLSA) {
		struct tls_tlsa t = { .usage = rr->usage,
			.selector = rr->selector,
			.matching = rr->matching,
			.data = rr->text };

		if (tls_tlsa_usable(&t))
			usable[h->n_tlsa++] = t;
	}
	h->tlsa = usable;
	return true;
}

/* TLSA records at one base domain. True: they decide, or the DNS failed; false: there are none. */
static bool
records_at(const struct tlspolicy_env *env, const struct tlspolicy_at *at, struct slice base, struct arena *a,
    struct tlspolicy_host *h)
{
	own(buf_t) name = { .max = LIMIT_RESOLVE_WIRE * 4 };
	struct resolve_answer answer;

	(void)buf_fmt(&name, "_%u._tcp.", at->port);
	if (!buf_add(&name, base)) {
		defer(h);
		return true;
	}
	resolve(env->r, buf_slice(&name), RR_TLSA, a, &answer);
	if (resolve_failed(answer.status)) {
		defer(h);
		return true;
	}
	if (answer.status != RESOLVE_OK || !answer.secure)
		return false;
	if (!take_usable(&answer, a, h)) {
		defer(h);
		return true;
	}
	h->level = h->n_tlsa > 0 ? TLSPOLICY_DANE : TLSPOLICY_ENCRYPT;
	h->type = "tlsa";
	h->sni = base;
	h->n_names = 0;
	add_name(h, base);
	return true;
}

/* The base domains of section 2.2.3 in their order: what a secure alias leads to, then the name itself. */
struct bases {
	struct slice list[2];
	size_t n;
	bool failed;
};

static void
find_bases(const struct tlspolicy_env *env, const struct tlspolicy_at *at, struct arena *a, struct bases *out)
{
	struct resolve_answer v4, v6, alias;
	const struct resolve_answer *ok;

	*out = (struct bases){ .n = 0 };
	resolve(env->r, at->host, RR_A, a, &v4);
	resolve(env->r, at->host, RR_AAAA, a, &v6);
	ok = v4.status == RESOLVE_OK && (v4.secure || v6.status != RESOLVE_OK) ? &v4 : &v6;
	if (ok->status == RESOLVE_OK && ok->secure) {
		if (!same_name(ok->name, at->host))
			out->list[out->n++] = ok->name;
		out->list[out->n++] = at->host;
		return;
	}
	/* one family failed, and what the other says is not proved: an attacker may have removed the proof */
	out->failed = resolve_failed(v4.status) || resolve_failed(v6.status);
	if (out->failed || ok->status != RESOLVE_OK || same_name(ok->name, at->host))
		return;
	/* section 2.2.2: an alias that is secure itself, and leads to a place that is not */
	resolve(env->r, at->host, RR_CNAME, a, &alias);
	out->failed = resolve_failed(alias.status);
	if (alias.status == RESOLVE_OK && alias.secure)
		out->list[out->n++] = at->host;
}

static void
dane(const struct tlspolicy_env *env, const struct tlspolicy_domain *domain, const struct tlspolicy_at *at,
    struct arena *a, struct tlspolicy_host *h)
{
	struct bases bases;

	find_bases(env, at, a, &bases);
	if (bases.failed)
		defer(h);
	for (size_t i = 0; i < bases.n; i++)
		if (records_at(env, at, bases.list[i], a, h))
			break;
	if (h->level != TLSPOLICY_DANE)
		return;
	/* section 3.2.2: for usage 2 also the name that the MX records gave, and the domain itself */
	add_name(h, at->host);
	add_name(h, domain->domain);
}

/* RFC 8461 section 4.1 and 5. */
static void
sts(const struct tlspolicy_domain *domain, const struct tlspolicy_at *at, struct tlspolicy_host *h)
{
	bool named = mtasts_matches(&domain->policy, at->host);

	h->type = "sts";
	h->sni = at->host;
	h->n_names = 0;
	add_name(h, at->host);
	if (domain->policy.mode == MTASTS_ENFORCE) {
		h->level = named ? TLSPOLICY_NAME : TLSPOLICY_REFUSED;
		h->result = named ? NULL : "validation-failure";
		return;
	}
	h->testing = true;
	h->result = named ? NULL : "validation-failure";
}

void
tlspolicy_host(const struct tlspolicy_env *env, const struct tlspolicy_domain *domain,
    const struct tlspolicy_at *at, struct arena *a, struct tlspolicy_host *out)
{
	struct tlspolicy_host h = { .level = TLSPOLICY_MAY, .sni = at->host, .type = "no-policy-found" };

	add_name(&h, at->host);
	if (env->dane && at->secure)
		dane(env, domain, at, a, &h);
	/* records that nobody can use say nothing against a policy that says more */
	if (domain->sts && (h.level == TLSPOLICY_MAY ||
		(h.level == TLSPOLICY_ENCRYPT && domain->policy.mode == MTASTS_ENFORCE)))
		sts(domain, at, &h);
	*out = h;
}

const char *
tlspolicy_result(const struct tlspolicy_host *h, bool offered, enum tls_problem problem)
{
	if (h->result != NULL)
		return h->result;
	if (!offered)
		return "starttls-not-supported";
	switch (problem) {
	case TLS_PROBLEM_NONE:
		return NULL;
	case TLS_PROBLEM_NAME:
		return "certificate-host-mismatch";
	case TLS_PROBLEM_EXPIRED:
		return "certificate-expired";
	case TLS_PROBLEM_UNTRUSTED:
		return "certificate-not-trusted";
	case TLS_PROBLEM_TLSA:
		return "tlsa-invalid";
	case TLS_PROBLEM_HANDSHAKE:
	case TLS_PROBLEM_INVALID:
		break;
	}
	return "validation-failure";
}

static void
put_lines(struct buf *b, struct slice text)
{
	struct slice line, rest = text;

	for (bool more = text.n > 0; more;) {
		more = slice_cut(rest, '\n', &line, &rest);
		if (!more)
			line = rest;
		if (slice_ends(line, S("\r")))
			line = slice_head(line, line.n - 1);
		line = slice_trim(line);
		if (line.n > 0)
			(void)buf_fmt(b, "%s%.*s", b->n > 0 ? "\n" : "", SFMT(line));
	}
}

bool
tlspolicy_string(struct buf *b, const struct tlspolicy_domain *d, const struct tlspolicy_host *h)
{
	if (d->sts && slice_eq(slice_z(h->type), S("sts")))
		put_lines(b, d->policy.text);
	for (size_t i = 0; i < h->n_tlsa; i++) {
		(void)buf_fmt(b, "%s%u %u %u ", i > 0 ? "\n" : "", h->tlsa[i].usage, h->tlsa[i].selector,
		    h->tlsa[i].matching);
		(void)hex_encode(b, h->tlsa[i].data);
	}
	return !b->bad;
}

const char *
tlspolicy_level_name(enum tlspolicy_level l)
{
	static const char *const names[] = { "may", "encrypt", "name", "dane", "defer", "refused" };

	return (unsigned)l < sizeof names / sizeof *names ? names[l] : "defer";
}
