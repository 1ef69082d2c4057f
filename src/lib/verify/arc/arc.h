/* SPDX-License-Identifier: MIT
 * Validation of an Authenticated Received Chain (RFC 8617 5.2). */
#pragma once

#include "lib/parse/arc/sets.h"
#include "lib/verify/dkim/dkim.h"

struct arc_chain {
	enum arc_cv cv;	      /* ARC_NONE: there is no chain */
	enum dkim_why why;    /* DKIM_OK with none and pass */
	uint32_t at;	      /* with fail: the instance; 0 when that cannot be said */
	bool seal;	      /* with fail: it was its ARC-Seal, not its ARC-Message-Signature */
	bool temporary;	      /* a key could not be had: the caller may defer instead */
	struct arc_sets sets; /* sets.sets[sets.n - 1].seal.domain is who forwarded it last */
};

/* Validates the chain of m: the ARC-Message-Signature of the newest set and every seal. Costs at most
 * one DNS query for each different (domain, selector), n + 1 in the worst case. False, with *out
 * untouched, only when the arena is full (an environment failure: defer). */
[[nodiscard]] bool arc_verify(const struct dkim_message *m, const struct dkim_rules *rules,
    struct resolver *dns, struct arena *a, struct arc_chain *out);
