/* SPDX-License-Identifier: MIT
 * Who sent this? All judges in their order, within one budget of DNS queries: reverse name, SPF, DKIM,
 * From, DMARC, and last the ARC chain, whose trusted forwarder may speak for a message that fails.
 * The outcome is what to do with the message as far as its sender's identity goes, and the
 * Authentication-Results field that says why. Pure given the resolver. */
#pragma once

#include "lib/verify/arc/arc.h"
#include "lib/verify/dkim/dkim.h"
#include "lib/verify/dmarc/dmarc.h"
#include "lib/verify/from/from.h"
#include "lib/verify/iprev/iprev.h"
#include "lib/verify/spf/spf.h"

enum judge_action {
	JUDGE_ACCEPT,
	JUDGE_QUARANTINE, /* into Junk: the owner of the From domain asks for it */
	JUDGE_REJECT,	  /* 550 5.7.1 in the session */
	JUDGE_DEFER,	  /* 451 4.7.x in the session: nothing final can be said */
};

/* All slices are borrowed for the call. */
struct judge_query {
	struct slice message; /* raw, CRLF line ends */
	struct ip ip;	      /* of the client */
	struct slice helo, local, domain; /* MAIL FROM: empty domain for the null sender */
	struct slice id;	     /* our authserv-id; our host name, for SPF's %{r} */
	uint64_t now;		     /* seconds since 1970 */
	const struct slice *trusted; /* domains of forwarders whose ARC seals we believe */
	size_t n_trusted;
};

struct judge_verdict {
	enum judge_action action;
	const char *why; /* a literal for the reply and the event; "" with ACCEPT */
	struct iprev_verdict iprev;
	struct spf_verdict spf;
	struct dkim_verdicts dkim;
	struct from_verdict from;
	struct dmarc_verdict dmarc;
	struct arc_chain arc; /* looked at only when there is a chain; else cv is ARC_NONE */
	struct slice field;   /* Authentication-Results with its CRLF; empty where the message could not be
				 judged at all (too large, no memory) */
	unsigned queries;
	bool spent; /* the budget of queries was not enough for everything */
};

/* Judges one message. Always fills *out; slices lie in the arena or the query. The arena needs up to
 * LIMIT_ARENA_MESSAGE; at its ceiling the action is JUDGE_DEFER. */
void judge_message(const struct judge_query *q,
    void (*query)(void *self, struct slice name, enum rr_type type, struct arena *a,
	struct resolve_wire *out),
    void *self, struct arena *a, struct judge_verdict *out);

/* "accept", "quarantine", "reject", "defer". A literal. */
const char *judge_action_name(enum judge_action a);
