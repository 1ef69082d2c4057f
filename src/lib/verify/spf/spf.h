/* SPDX-License-Identifier: MIT
 * SPF evaluation (RFC 7208): may this address send mail for this domain? Pure given the resolver.
 *
 * Work is bounded by the record writer's limits of section 4.6.4 (10 terms that ask the DNS, 2 void
 * lookups, 10 names of an MX or PTR answer) and by a bound of our own on all queries together,
 * which stops the fan-out of many `mx` terms that the RFC leaves open. */
#pragma once

#include "lib/base/ip.h"
#include "lib/resolve/resolve.h"

#define LIMIT_SPF_LOOKUPS 10u	/* include, a, mx, ptr, exists, redirect */
#define LIMIT_SPF_VOIDS 2u	/* empty answers of mechanisms */
#define LIMIT_SPF_NAMES 10u	/* names of one MX, and of the PTR answer */
#define LIMIT_SPF_QUERIES 19u	/* DNS queries of one check, all together */
#define LIMIT_SPF_NAME ((size_t)253)		/* of an expanded domain-spec, 7.3 */
#define LIMIT_SPF_EXPANSION ((size_t)8192)	/* of a macro-string before it is cut to a name */
#define LIMIT_SPF_EXPLANATION ((size_t)400)	/* text that we are willing to put into a reply */

enum spf_result {
	SPF_NONE,
	SPF_NEUTRAL,
	SPF_PASS,
	SPF_FAIL,
	SPF_SOFTFAIL,
	SPF_TEMPERROR,
	SPF_PERMERROR,
};

/* What is asked. Slices are borrowed for the call. */
struct spf_query {
	struct ip ip;		/* the client; IPv4-mapped addresses count as IPv4 */
	struct slice helo;	/* as the client said it */
	struct slice local;	/* of MAIL FROM; empty: "postmaster" */
	struct slice domain;	/* of MAIL FROM, A-labels; empty for the null sender */
	struct slice receiver;	/* our host name, for %{r} */
	uint64_t now;		/* seconds since 1970, for %{t} */
};

struct spf_verdict {
	enum spf_result result;
	bool by_helo;		  /* the identity checked was the HELO name */
	struct slice domain;	  /* the domain checked, as given; for DMARC and the trace */
	struct slice term;	  /* the term that decided, in the arena; empty: none */
	struct slice explanation; /* printable ASCII of the domain's owner, only with SPF_FAIL;
				     hostile text: quote it, say whose it is; empty: none */
	const char *why;	  /* a literal for events: what went wrong, or "" */
	unsigned lookups, voids, queries;
};

/* Checks MAIL FROM, or HELO where MAIL FROM is the null sender (2.4). Always fills *out; at the
 * arena's ceiling the result is SPF_TEMPERROR. */
void spf_check_mail(const struct spf_query *q, struct resolver *r, struct arena *a,
    struct spf_verdict *out);
/* Checks HELO (2.3), whatever MAIL FROM is. */
void spf_check_helo(const struct spf_query *q, struct resolver *r, struct arena *a,
    struct spf_verdict *out);

/* "none", "neutral", "pass", "fail", "softfail", "temperror", "permerror" (RFC 8601 2.7.2). */
const char *spf_result_name(enum spf_result r);
