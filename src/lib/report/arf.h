/* SPDX-License-Identifier: MIT
 * The message/feedback-report part of abuse and authentication failure reports (RFC 5965, RFC 6591,
 * RFC 6692). Unknown fields are skipped. Texts are hostile and as written, unfolded; base64 texts stay
 * encoded. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/ip.h"

#define LIMIT_ARF ((size_t)262144)	/* bytes of the part */
#define LIMIT_ARF_LIST 32u		/* fields of one name that may come several times; rest dropped */

struct arf {
	struct slice type;	/* Feedback-Type in lower case: "abuse", "auth-failure", "fraud", ... */
	struct slice user_agent;
	uint32_t version;
	struct slice mail_from, envelope_id, reporting_mta;
	struct slice source;	/* Source-IP as written */
	struct ip ip;		/* of it; n = 0: none */
	uint32_t source_port;	/* RFC 6692; 0: none */
	int64_t arrival;	/* seconds since 1970 of Arrival-Date or Received-Date */
	bool has_arrival;
	uint32_t incidents;	/* 1 by default */
	struct slice auth_failure, delivery_result, identity_alignment; /* lower case */
	struct slice dkim_domain, dkim_identity, dkim_selector, dkim_selector_dns, spf_dns;
	struct slice dkim_header, dkim_body; /* DKIM-Canonicalized-*: base64 */
	size_t n_rcpts, n_domains, n_uris, n_results;
	struct slice rcpts[LIMIT_ARF_LIST];   /* Original-Rcpt-To */
	struct slice domains[LIMIT_ARF_LIST]; /* Reported-Domain, lower case */
	struct slice uris[LIMIT_ARF_LIST];    /* Reported-URI */
	struct slice results[LIMIT_ARF_LIST]; /* Authentication-Results */
};

/* Parses the decoded body of the part. False, with *out untouched, when there is no Feedback-Type or
 * it is longer than LIMIT_ARF, or at the arena's ceiling (twice the part is enough). */
bool arf_parse(struct slice part, struct arena *a, struct arf *out);
