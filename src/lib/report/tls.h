/* SPDX-License-Identifier: MIT
 * SMTP TLS reports, both ways (RFC 8460 section 4). The reader takes JSON or gzip within hard bounds;
 * texts are hostile: control characters are replaced. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/ip.h"

#define LIMIT_TLS_REPORT_JSON ((size_t)4194304)	/* bytes of JSON */
#define LIMIT_TLS_REPORT_NODES ((size_t)400000) /* brackets, braces and commas in it: bounds memory */
#define LIMIT_TLS_REPORT_TEXT ((size_t)1024)	/* bytes of one text; the rest is cut */
#define LIMIT_TLS_REPORT_POLICIES 1000u
#define LIMIT_TLS_REPORT_FAILURES 10000u	/* of one policy */

struct tls_report {
	struct slice organization, contact, id;
	int64_t start, end; /* seconds since 1970; 0: unreadable */
	size_t policies;
	uint64_t successes, failures; /* sums of the sessions, at most UINT64_MAX */
};

struct tls_report_failure {
	struct slice type; /* result-type */
	struct slice sending_ip, receiving_ip, receiving_mx, receiving_helo;
	uint64_t sessions;
	struct slice info, reason;
};

struct tls_report_policy {
	struct slice type;   /* "sts", "tlsa", "no-policy-found", or what they wrote */
	struct slice domain;
	struct slice string; /* lines of the policy, joined with "\n" */
	struct slice mx;     /* patterns, joined with ", " */
	uint64_t successes, failed;
	size_t n;
	const struct tls_report_failure *failures;
};

enum tls_report_status {
	TLS_REPORT_OK,
	TLS_REPORT_BAD,	    /* no JSON, no report, broken archive */
	TLS_REPORT_BIG,	    /* over a limit */
	TLS_REPORT_STOPPED, /* policy() said no */
	TLS_REPORT_MEMORY,
};

/* Reads a report. policy() is called for each policy; *policy and its slices live until it returns.
 * *out lives in the arena (2 MiB do for every report within the limits that is honest; the ceiling is
 * BIG) and is filled only with OK; policies handed on before another answer belong to no report. */
enum tls_report_status tls_report_read(struct slice packed, struct arena *a,
    bool (*policy)(void *self, const struct tls_report_policy *policy), void *self,
    struct tls_report *out);

/* "ok", "bad", "big", "stopped", "memory". A literal. */
const char *tls_report_status_name(enum tls_report_status s);

/* Writing: begin, policies, end. first is true for the first policy. Each returns !b->bad. */
bool tls_report_begin(struct buf *b, const struct tls_report *r);
bool tls_report_policy(struct buf *b, const struct tls_report_policy *p, bool first);
bool tls_report_end(struct buf *b);
