/* SPDX-License-Identifier: MIT
 * The ARC sets of a message (RFC 8617 4.2): ARC-Authentication-Results, ARC-Message-Signature and
 * ARC-Seal of each instance, in order, before any signature is checked. */
#pragma once

#include "lib/parse/dkim/message.h"
#include "lib/parse/dkim/signature.h"

struct arc_set {
	const struct dkim_field *aar, *ams_field, *seal_field;
	struct dkim_sig ams, seal;
	struct slice results; /* of the AAR, behind "i=N;": authserv-id and what it found */
};

struct arc_sets {
	struct arc_set *sets; /* sets[k] is instance k + 1 */
	size_t n;	      /* 0 with a structure that is not whole */
	uint32_t highest;     /* the largest instance seen anywhere */
	enum dkim_why why;    /* DKIM_OK when the structure is whole (or there is none), else the reason */
	uint32_t at;	      /* the instance where it broke; 0 when that cannot be said */
	bool none;	      /* no ARC field at all */
};

/* Finds and orders the sets (RFC 8617 5.2 steps 1 to 3, without signatures): each instance from 1 on
 * exactly once, at most LIMIT_ARC_SETS, fields without a defect, cv=none on the first and cv=pass on
 * the others. A last seal with cv=fail gives ARC_FAILED_BEFORE. What it points to lives in m and a.
 * False only at the arena's ceiling. */
[[nodiscard]] bool arc_sets_find(const struct dkim_message *m, struct arena *a, struct arc_sets *out);

/* "i=N; rest": the start of an ARC-Authentication-Results value (4.1.1). */
[[nodiscard]] bool arc_results_parse(struct slice value, uint32_t *instance, struct slice *rest);

/* "none", "fail", "pass". */
struct slice arc_cv_name(enum arc_cv cv);
