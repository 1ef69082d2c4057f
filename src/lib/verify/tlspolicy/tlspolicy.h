/* SPDX-License-Identifier: MIT
 * What a destination demands of TLS, for each of its hosts: DANE for SMTP (RFC 7672, RFC 7671) before
 * MTA-STS (RFC 8461) before "encrypted when it can be had". Pure given the resolver, the cache and the
 * fetcher of policies; everything is asked through them.
 *
 * Invariants: an answer that failed (SERVFAIL, time-out, bogus) never takes a demand away: the host, or the
 * cached policy, stays as it was, and mail waits (D-003). MTA-STS never overrides DANE (RFC 8461 2).
 *
 *	struct tlspolicy_env env = { .r = &resolver, .sts = &sts, .now = seconds, .dane = true };
 *	tlspolicy_domain(&env, domain, a, &d);			once for a destination
 *	tlspolicy_host(&env, &d, &(struct tlspolicy_at){ ... }, a, &h);	for each host before it is tried
 *	...connect; h.level says what has to hold, h.names, h.sni and h.tlsa go into struct tls_want...
 *	result = tlspolicy_result(&h, offered, problem);	what a TLS report says of the session */
#pragma once

#include "lib/parse/mtasts/mtasts.h"
#include "lib/resolve/resolve.h"
#include "lib/tls/client.h"

/* TLSA records of one host that are looked at (count): more is unusual, and costs time in the handshake. */
#define LIMIT_TLSPOLICY_TLSA 32u
/* Queries of tlspolicy_domain() and of one tlspolicy_host(), at most (count). */
#define LIMIT_TLSPOLICY_QUERIES 6u
/* Seconds: a failed fetch is not tried again before (RFC 8461 3.3). */
#define TLSPOLICY_STS_AGAIN 300
/* Seconds: a policy older than this is fetched again though its id is the same. */
#define TLSPOLICY_STS_REFRESH 86400

/* ---- MTA-STS: what the caller brings ------------------------------------------------------------- */

/* A policy as it is cached. */
struct tlspolicy_sts_entry {
	struct slice id;   /* of the TXT record it was fetched for */
	struct slice text; /* the policy file; empty: the last fetch failed and there is none */
	int64_t fetched, expires, tried; /* seconds since 1970; tried: the last fetch, whatever came of it */
};

enum tlspolicy_fetch {
	TLSPOLICY_FETCHED,
	TLSPOLICY_FETCH_ERROR,	/* no answer, no 200, redirect, wrong type, too large, too slow */
	TLSPOLICY_FETCH_UNTRUSTED, /* the certificate of mta-sts.DOMAIN */
};

struct tlspolicy_sts {
	/* The cached entry; slices in the arena. False: none. */
	bool (*get)(void *self, struct slice domain, struct arena *a, struct tlspolicy_sts_entry *out);
	/* Keeps it; a failure is the callee's to tell. */
	void (*put)(void *self, struct slice domain, const struct tlspolicy_sts_entry *entry);
	/* https://mta-sts.DOMAIN/.well-known/mta-sts.txt; *text (at most LIMIT_MTASTS_POLICY) in the arena. Blocks. */
	enum tlspolicy_fetch (*fetch)(void *self, struct slice domain, struct arena *a, struct slice *text);
	void *self;
};

struct tlspolicy_env {
	struct resolver *r;
	const struct tlspolicy_sts *sts; /* NULL: no MTA-STS */
	int64_t now;			 /* seconds since 1970 */
	bool dane;			 /* false: no DANE */
};

/* ---- a destination -------------------------------------------------------------------------------- */

struct tlspolicy_domain {
	struct slice domain;
	bool sts;		  /* there is a policy of mode testing or enforce */
	struct mtasts_policy policy;
	const char *result;	  /* RFC 8460 4.3: what went wrong on the way to a policy; NULL: nothing. A literal */
};

/* MTA-STS of a domain (lower case, A-labels): the TXT record, the cache, and the policy file where the id is
 * new (RFC 8461 3 and 5.1). A cached policy holds until it expires, whatever the DNS or the web server say.
 * Never fails. Slices in a. */
void tlspolicy_domain(const struct tlspolicy_env *env, struct slice domain, struct arena *a,
    struct tlspolicy_domain *out);

/* ---- one of its hosts ------------------------------------------------------------------------------- */

enum tlspolicy_level {
	TLSPOLICY_MAY,	   /* encrypted when it can be had, whoever it is */
	TLSPOLICY_ENCRYPT, /* encrypted, whoever it is: there are TLSA records, none of them usable (RFC 7672 2.2) */
	TLSPOLICY_NAME,	   /* a certificate that a CA gave for one of the names: MTA-STS enforce */
	TLSPOLICY_DANE,	   /* one of the TLSA records */
	TLSPOLICY_DEFER,   /* the DNS failed: not this host, not now */
	TLSPOLICY_REFUSED, /* the policy in force does not name this host: never (RFC 8461 4.1) */
};

struct tlspolicy_at {
	struct slice host; /* lower case, A-labels, without final dot */
	uint16_t port;
	bool mx;	/* host comes from an MX record of the domain; else it is the domain itself */
	bool secure;	/* that answer (the MX records, or that there are none) was secure */
};

struct tlspolicy_host {
	enum tlspolicy_level level;
	bool testing;		/* level is MAY; try NAME first, report what failed, deliver then anyway */
	struct slice names[3];	/* reference identifiers */
	size_t n_names;
	struct slice sni;	/* the TLSA base domain (RFC 7672 8.1), else the host */
	const struct tls_tlsa *tlsa;
	size_t n_tlsa;		/* usable ones */
	const char *type;	/* RFC 8460 policy-type: "tlsa", "sts", "no-policy-found". A literal */
	const char *result;	/* with DEFER and REFUSED: RFC 8460 result-type. A literal; else NULL */
};

/* What holds for a host. Asks for its addresses (their security counts, RFC 7672 2.2.2) and TLSA records, at most
 * five queries; not at all where at->secure is false. Never fails. Slices in a. */
void tlspolicy_host(const struct tlspolicy_env *env, const struct tlspolicy_domain *domain,
    const struct tlspolicy_at *at, struct arena *a, struct tlspolicy_host *out);

/* ---- for reports ------------------------------------------------------------------------------------- */

/* RFC 8460 4.3: the result-type of a session with this host, NULL for success. offered: STARTTLS was offered and
 * accepted; problem: what tls_client_start() said. */
const char *tlspolicy_result(const struct tlspolicy_host *h, bool offered, enum tls_problem problem);
/* RFC 8460 4.4 policy-string: the lines of the STS policy, or the TLSA records as text, one a line. Returns !b->bad. */
bool tlspolicy_string(struct buf *b, const struct tlspolicy_domain *d, const struct tlspolicy_host *h);
/* "may", "encrypt", "name", "dane", "defer", "refused". A literal. */
const char *tlspolicy_level_name(enum tlspolicy_level l);
