/* SPDX-License-Identifier: MIT
 * Does the world see the records that a domain needs? Compares the list of make/records with the answers
 * of one resolver; `postern domain check` asks several and prints what differs. Pure given the
 * resolver. */
#pragma once

#include "lib/make/records.h"
#include "lib/resolve/resolve.h"

enum domain_state {
	DOMAIN_OK,
	DOMAIN_MISSING,	  /* nothing of this kind is there */
	DOMAIN_DIFFERENT, /* something else of this kind is there: seen says what */
	DOMAIN_EXTRA,	  /* it is there, and something that contradicts it: seen says what */
	DOMAIN_UNKNOWN,	  /* the DNS failed: seen says how */
};

struct domain_finding {
	const struct record *record;
	enum domain_state state;
	struct slice seen; /* printable, zone-file form; TXT: the value. In the arena */
	bool secure;	   /* the answer was DNSSEC-validated */
};

struct domain_findings {
	size_t n; /* one for each record, in their order */
	const struct domain_finding *list;
	size_t wrong; /* neither OK nor UNKNOWN, and not merely missing where that is no fault */
	size_t unknown;
};

/* Asks at most once for each record, and once more for a CNAME that may be written as addresses. Names
 * compare without case, texts without white space. Of MTA-STS any record will do, of an unserved name whatever it leads
 * to; the issuer is looked for where CAs look (RFC 8659 3: the name, then above it). r->left must allow for 2 * records->n queries, and CAA for 127 more
 * (LIMIT_RESOLVE_QUERIES is for messages). False, with *out untouched, at the arena's ceiling. */
bool domain_check(const struct records *records, struct resolver *r, struct arena *a,
    struct domain_findings *out);

/* "ok", "missing", "different", "extra", "unknown". A literal. */
const char *domain_state_name(enum domain_state s);
