/* SPDX-License-Identifier: MIT
 * Who does the reader see as the author? The one reading of From that DMARC, Authentication-Results
 * and the filter share. What two programs might read differently is not guessed but refused
 * (A-001..A-018, "Composition Kills", USENIX Security 2020): no From, several, a From that is no
 * clean list of mailboxes, routes, a name that is no domain. */
#pragma once

#include "lib/parse/header/header.h"

/* Mailboxes of one From that are read; more is refused. */
#define LIMIT_FROM_MAILBOXES 32u

struct from_verdict {
	bool ok;
	const char *why;       /* a literal: why not; for "550 5.7.1" and the event. "" when ok */
	bool full;	       /* not ok because the arena is at its ceiling: 4xx, not 5xx */
	size_t fields;	       /* lines that some program may take for a From field */
	size_t n;	       /* mailboxes */
	const struct slice *domains; /* of the mailboxes, in order, as A-labels in lower case */
	struct slice address;  /* of the first mailbox: local@domain as written, quotes resolved */
	struct slice name;     /* its display name; RFC 2047 words as they are */
	bool name_claims;      /* the display name holds an address of another domain: mark it */
};

/* Judges a header. Always fills *out; slices lie in the arena or the header. At the arena's ceiling
 * ok is false and full is true. */
void from_judge(const struct header *h, struct arena *a, struct from_verdict *out);
