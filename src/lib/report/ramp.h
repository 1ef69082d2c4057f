/* SPDX-License-Identifier: MIT
 * From p=none to p=reject on evidence: may a domain ask for the next step now, and if not, who would
 * suffer? What is weighed are reports that were verified or brought by the administrator.
 *
 * A step is safe when all of this holds:
 *   enough evidence   RAMP_*_DAYS days with reports, RAMP_*_MESSAGES messages, RAMP_ORGS reporters
 *   no sender breaks  no sender that looks legitimate has RAMP_FEW or more messages, and over
 *                     RAMP_SENDER_PERMILLE of its own, that pass neither aligned SPF nor aligned DKIM
 *   little is lost    of all messages that look legitimate, at most RAMP_*_PERMILLE would be hit
 *
 * Legitimate-looking is a sender (a group of addresses) some of whose mail passes aligned, or whose
 * mail is authenticated as somebody (SPF or DKIM of its own) on RAMP_STEADY days: a service that was
 * forgotten in the SPF record looks like that. What passes nothing at all is forged mail, which is what
 * DMARC is to stop. Mail that a receiver calls forwarded or from a list is nobody's fault. A sender
 * that is not the owner's can be named as foreign: then it is forged mail too. */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/slice.h"

#define RAMP_QUARANTINE_DAYS 14u
#define RAMP_QUARANTINE_MESSAGES 100u
#define RAMP_QUARANTINE_PERMILLE 5u
#define RAMP_REJECT_DAYS 28u
#define RAMP_REJECT_MESSAGES 200u
#define RAMP_REJECT_PERMILLE 1u
#define RAMP_ORGS 2u
#define RAMP_FEW 3u
#define RAMP_SENDER_PERMILLE 20u
#define RAMP_STEADY 3u

struct ramp_sender {
	struct slice who; /* for people */
	uint64_t messages, passed, other, forwarded, days;
	bool foreign;	  /* the owner says: not mine */
	/* ramp_weigh() fills: */
	bool legitimate, breaks;
	uint64_t hit;	  /* messages that the step would hit, as far as they look legitimate */
	uint64_t forged;  /* and that look forged */
};

enum ramp_policy { RAMP_NO_RECORD, RAMP_NONE, RAMP_QUARANTINE, RAMP_REJECT };

enum ramp_answer {
	RAMP_START, /* there is no record: publish p=none, and collect */
	RAMP_WAIT,  /* not enough evidence */
	RAMP_FIX,   /* senders would break */
	RAMP_GO,    /* the next step is safe */
	RAMP_DONE,  /* p=reject already */
};

struct ramp {
	enum ramp_policy now; /* in */
	uint64_t days, orgs, messages; /* in */
	struct ramp_sender *senders;   /* in and out */
	size_t n;
	enum ramp_answer answer; /* out, like the rest */
	enum ramp_policy next;
	uint64_t hit, legitimate, forged;  /* messages */
	uint64_t want_days, want_messages; /* what the next step asks for */
	bool loss; /* FIX: no single sender, but too much altogether */
};

void ramp_weigh(struct ramp *r);

/* "none", "quarantine", "reject", or "" without a record. A literal. */
const char *ramp_policy_name(enum ramp_policy p);

/* The record to publish: record (empty: there is none yet) with p= replaced, historic pct= dropped, the rest
 * as it is. Without one: "v=DMARC1; p=...; rua=mailto:dmarc-reports@DOMAIN". Returns !b->bad. */
bool ramp_record(struct buf *b, struct slice record, struct slice domain, enum ramp_policy p);
