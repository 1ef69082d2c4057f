/* SPDX-License-Identifier: MIT
 * Shared by the two halves of SPF evaluation: the state of one check. Not for others. */
#pragma once

#include "lib/parse/spf/spf.h"
#include "lib/verify/spf/spf.h"

struct spf_eval {
	const struct spf_query *q;
	struct resolver *r;
	struct arena *a;
	struct ip ip;			    /* unmapped */
	struct slice local, sender_domain;  /* of the identity checked */
	unsigned lookups, voids, queries;
	const char *why;
	bool names_known;		    /* the validated names of ip were looked up */
	size_t n_names;
	struct slice names[LIMIT_SPF_NAMES]; /* text as the resolver has it */
};

enum spf_expanded { SPF_EXPAND_OK, SPF_EXPAND_BAD, SPF_EXPAND_NO_MEMORY };

/* Expands a domain-spec in the context of domain, cut from the left to LIMIT_SPF_NAME whole labels
 * (7.3). *raw is plain bytes, *name the same as text for the resolver. */
enum spf_expanded spf_expand_domain(struct spf_eval *e, struct slice spec, struct slice domain,
    struct slice *raw, struct slice *name);
/* Expands an explanation. BAD on a syntax error, when the text gets longer than
 * LIMIT_SPF_EXPLANATION, or when it is not printable ASCII. */
enum spf_expanded spf_expand_text(struct spf_eval *e, struct slice text, struct slice domain,
    struct slice *out);
/* Raw bytes to the resolver's text. False at the arena's ceiling. */
bool spf_name_text(struct slice raw, struct arena *a, struct slice *out);

/* The validated names of the client (5.5): at most LIMIT_SPF_NAMES, looked up once. */
void spf_names(struct spf_eval *e);
/* name is domain, or stands below it; ASCII case ignored. */
bool spf_below(struct slice name, struct slice domain);
/* One query within LIMIT_SPF_QUERIES. False when that is spent (nothing was asked). */
bool spf_ask(struct spf_eval *e, struct slice name, enum rr_type type, struct resolve_answer *out);
