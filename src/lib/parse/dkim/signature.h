/* SPDX-License-Identifier: MIT
 * The value of DKIM-Signature (RFC 6376 3.5, RFC 8463, RFC 8616), ARC-Message-Signature and ARC-Seal
 * (RFC 8617 4.1.2, 4.1.3). */
#pragma once

#include "lib/base/arena.h"
#include "lib/parse/dkim/canon.h"
#include "lib/parse/dkim/why.h"

enum dkim_kind { DKIM_SIGNATURE, DKIM_ARC_MESSAGE, DKIM_ARC_SEAL };

enum dkim_alg { DKIM_RSA_SHA1, DKIM_RSA_SHA256, DKIM_ED25519_SHA256 };

/* cv= of ARC-Seal, and the status of a chain. */
enum arc_cv { ARC_NONE, ARC_FAIL, ARC_PASS };

struct dkim_sig {
	/* DKIM_OK, or the first thing that keeps the signature from counting */
	enum dkim_why defect;
	/* the cryptographic part can be computed all the same (an old draft's version, say) */
	bool usable;
	enum dkim_alg alg;
	enum dkim_canon header_canon, body_canon;
	struct slice domain, selector; /* d=, s=: checked names, never with a byte that needs quoting */
	struct slice auid;	       /* i= decoded, as sent; empty without one */
	struct slice auid_domain;      /* its part behind the last "@"; d= without i= */
	const struct slice *h;	       /* names of h=, as sent */
	size_t n_h;
	struct slice bh, b;	       /* decoded */
	bool has_l, has_t, has_x;
	uint64_t l, t, x;	       /* octets; seconds since 1970 */
	size_t b_from, b_end;	       /* in the value: all between "=" and ";" of b= */
	uint32_t instance;	       /* ARC i=: 1..LIMIT_ARC_SETS */
	enum arc_cv cv;		       /* ARC-Seal */
};

/* Parses value: what stands behind the colon of the field, without the CRLF at its end. It must
 * outlive *out; the rest comes from a. *out is always written: with a defect it holds what was
 * readable (domain and selector only when they are well-formed names). Returns out->defect ==
 * DKIM_OK. Whether i= lies within d= is for the verifier, who knows IDNA. */
bool dkim_sig_parse(struct slice value, enum dkim_kind kind, struct arena *a, struct dkim_sig *out);

/* A domain of at least least labels: letters, digits, "-" (not at an end) and "_"; labels of 1..63,
 * 253 at most; UTF-8 in U-labels (RFC 8616). No "(", quote, NUL or other trick survives it. */
bool dkim_domain_ok(struct slice s, size_t least);

/* The name as a= spells it. */
struct slice dkim_alg_name(enum dkim_alg alg);
