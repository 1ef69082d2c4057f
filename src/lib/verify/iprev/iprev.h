/* SPDX-License-Identifier: MIT
 * Forward-confirmed reverse DNS of a client (RFC 8601 section 3, "iprev"): its PTR names that have
 * its address. At most 11 queries. */
#pragma once

#include "lib/base/ip.h"
#include "lib/resolve/resolve.h"

#define LIMIT_IPREV_NAMES 10u

enum iprev_result {
	IPREV_PASS,
	IPREV_FAIL,	 /* it has names, none of them leads back */
	IPREV_TEMPERROR, /* the DNS failed before a name was confirmed */
	IPREV_PERMERROR, /* no PTR record */
};

struct iprev_verdict {
	enum iprev_result result;
	struct slice name;    /* PASS: the confirmed name; FAIL: the first claimed one (not proven) */
	unsigned queries;
};

/* Always fills *out; name lies in the arena. At the ceiling the result is IPREV_TEMPERROR. */
void iprev_check(const struct ip *client, struct resolver *r, struct arena *a,
    struct iprev_verdict *out);

/* "pass", "fail", "temperror", "permerror" (RFC 8601 2.7.3). A literal. */
const char *iprev_result_name(enum iprev_result r);
