/* SPDX-License-Identifier: MIT
 * DMARC evaluation (RFC 9989): does a domain that passed SPF or DKIM belong to the domain that the
 * reader sees in From, and what does the owner of that domain ask for if not?
 *
 * One message has exactly one From field. Several mailboxes in it are legal (RFC 5322 3.6.2): then
 * every domain must pass, and the strictest wish counts. Organizational domains come from the DNS
 * Tree Walk (4.10), never from a list. Answers are remembered within one evaluation, and the walk of
 * an authenticated domain ends where it meets the author's organizational domain, so one From
 * domain costs at most 8 queries and each identifier below it at most 7. */
#pragma once

#include "lib/parse/dmarc/dmarc.h"
#include "lib/resolve/resolve.h"

#define LIMIT_DMARC_WALK 8u	/* queries of one tree walk, 4.10 */
#define LIMIT_DMARC_FROM 4u	/* different domains in one From; more is refused */
#define LIMIT_DMARC_IDS 16u	/* authenticated domains that are looked at, of each kind */
#define LIMIT_DMARC_QUERIES 40u /* of one evaluation */

enum dmarc_result {
	DMARC_NONE, /* no (usable) record */
	DMARC_PASS,
	DMARC_FAIL,
	DMARC_TEMPERROR, /* the DNS failed, or SPF or DKIM could not be finished: try later */
	DMARC_REFUSE,	 /* no single From field with a domain in it: 550 5.7.1 */
};

enum dmarc_override {
	DMARC_OVERRIDE_NONE,
	DMARC_OVERRIDE_TEST, /* t=y lowered the policy one step (RFC 9990: policy_test_mode) */
	DMARC_OVERRIDE_ARC,  /* a trusted forwarder saw it pass (trusted_forwarder) */
};

/* All slices are borrowed for the call. Domains are A-labels; case does not matter. */
struct dmarc_query {
	size_t from_fields;	   /* From fields in the header */
	const struct slice *from;  /* domains of the mailboxes of From */
	size_t n_from;
	const struct slice *spf;   /* domains that passed SPF: at most the MAIL FROM or HELO one */
	size_t n_spf;
	const struct slice *dkim;  /* d= of the signatures that passed */
	size_t n_dkim;
	bool incomplete;   /* SPF or DKIM ended in temperror: a failure is not final */
	bool arc_trusted;  /* ARC passed, its last sealer is trusted and says that DMARC passed */
};

struct dmarc_verdict {
	enum dmarc_result result;
	enum dmarc_policy published;   /* what the record says for this domain: p, sp or np */
	enum dmarc_policy disposition; /* what to do: DMARC_P_NONE unless the result is FAIL */
	enum dmarc_override override;
	struct slice from;	    /* the From domain that decided */
	struct slice policy_domain; /* where the record stands; empty: none */
	struct slice org_domain;    /* of from; empty where nobody had to know it */
	struct dmarc_record record; /* of policy_domain, in the arena; only if policy_domain is set */
	bool nonexistent;	    /* the From domain does not exist: np applied */
	struct slice spf_aligned;   /* the domain that made it pass; empty: not aligned */
	struct slice dkim_aligned;
	const char *why; /* a literal for events, or "" */
	unsigned queries;
};

/* Evaluates one message. Always fills *out; slices in it lie in the arena or in the query. At the
 * arena's ceiling the result is DMARC_TEMPERROR. */
void dmarc_check(const struct dmarc_query *q, struct resolver *r, struct arena *a,
    struct dmarc_verdict *out);

/* A trusted forwarder's ARC chain speaks for the message after all: a failure that would be quarantined
 * or rejected is let through, and says so (the same as arc_trusted, when ARC is looked at last). */
void dmarc_trust_arc(struct dmarc_verdict *v);

/* Organizational domain by tree walk (4.10.2). False when the DNS failed. */
bool dmarc_org_domain(struct slice domain, struct resolver *r, struct arena *a, struct slice *out);

/* May reports about domain go to an address in host (RFC 9990 "external destinations")? True at
 * once within one organizational domain; else the record domain._report._dmarc.host must exist.
 * False also when the DNS failed: no report is sent then. */
bool dmarc_report_allowed(struct slice domain, struct slice host, struct resolver *r,
    struct arena *a);

/* "none", "pass", "fail", "temperror"; REFUSE is "permerror" (RFC 8601 2.7.x). A literal. */
const char *dmarc_result_name(enum dmarc_result r);

/* Appends what a person wants to know beside the result: "p=reject dis=quarantine", with the reason
 * where the disposition is milder, and "arc=..." where arc (a literal) is not NULL. For the comment
 * of Authentication-Results. Returns !b->bad. */
bool dmarc_comment(struct buf *b, const struct dmarc_verdict *v, const char *arc);
