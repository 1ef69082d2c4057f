/* SPDX-License-Identifier: MIT
 * ARC sealing of what we forward (RFC 8617 5.1): one set of three fields on top of the message. As in
 * lib/make/dkim the private keys are elsewhere. */
#pragma once

#include "lib/make/dkim/sign.h"
#include "lib/parse/arc/sets.h"

struct arc_seal_rules {
	uint64_t now;		   /* t=: seconds since 1970 */
	const struct slice *names; /* h= of the ARC-Message-Signature; NULL: the usual list */
	size_t n_names;
	bool whole_b; /* b= in one piece (lines up to 800 octets), as suites with known seals want it:
			 the seal covers the white space in the b= of the message signature */
};

/* Appends to out a new ARC set (ARC-Seal, ARC-Message-Signature, ARC-Authentication-Results, folded,
 * with CRLF), to be put on top of m. sets: of m; cv: what arc_verify() found on arrival. results: the
 * authserv-id and results as in Authentication-Results, folding allowed; no CRLF at its end.
 * DKIM_SIGN_REFUSED adds nothing and is no error of the mail: the chain was sealed as failed before
 * (5.1.2), or has LIMIT_ARC_SETS sets, or results holds a line end that is no folding. On failure the
 * content of out is as it was. */
enum dkim_signed arc_seal(const struct dkim_message *m, const struct arc_sets *sets, enum arc_cv cv,
    struct slice results, const struct arc_seal_rules *rules, const struct dkim_signer *who,
    dkim_key_fn *key, void *key_ctx, struct arena *a, struct buf *out);

/* The results of all Authentication-Results fields of m with our authserv-id, from the top, merged as
 * arc_seal() wants them: "id; a=pass; b=none". Appends to out; false when there is none or out is
 * full. */
bool arc_results_of(const struct dkim_message *m, struct slice id, struct buf *out);
