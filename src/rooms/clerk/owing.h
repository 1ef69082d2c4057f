/* SPDX-License-Identifier: MIT
 * Shared by what plans, addresses, builds and sends the reports that we owe. */
#pragma once

#include "rooms/clerk/clerk.h"

#define OWING_XML ((size_t)33554432)	/* a report before packing */
#define OWING_PACKED ((size_t)10485760)	/* and after: what receivers are known to take */
#define OWING_ROWS 50000u		/* rows of one report; more are left out */

struct owing_places {
	size_t n;
	struct slice to[CLERK_DESTINATIONS];
	uint64_t most[CLERK_DESTINATIONS]; /* bytes, 0: any */
	const char *why; /* there are none; a literal */
};

/* One due row is worked on; false when none is due. */
bool owing_step(struct clerk *c);
/* Plans what is over. */
void owing_plan(struct clerk *c);

/* places.c: the mailto: addresses, and of TLS the https: URLs as well, of the domain's record that may have reports about it (external ones
 * prove it, RFC 9990 section 4). False when the DNS failed. */
bool owing_places(struct clerk *c, enum report_kind kind, struct slice domain, struct arena *a,
    struct owing_places *out);
/* The address that our reports come from: the setting, or noreply-dmarc@ the domain of ours that the
 * host belongs to. False when auth does not answer or has no domain. */
bool owing_from(struct clerk *c, struct arena *a, struct slice *out);
/* A session of its own for a mail. */
uint64_t owing_session(void);

/* build.c: the packed report, and what m needs of it; names holds its texts. False over a limit. */
bool owing_build(struct clerk *c, const struct reports_owed *o, struct slice from, struct arena *a,
    struct buf *packed, struct buf *names, struct mail *m);
