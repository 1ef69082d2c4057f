/* SPDX-License-Identifier: MIT
 * Verification of DKIM signatures (RFC 6376 6, RFC 8301, RFC 8463, RFC 8616). What the mathematics
 * says and what the policy makes of it are told apart: an rsa-sha1 signature may be right and still
 * counts for nothing. */
#pragma once

#include "lib/base/limits.h"
#include "lib/parse/dkim/message.h"
#include "lib/parse/dkim/signature.h"
#include "lib/resolve/resolve.h"

/* RFC 8601 2.7.1 */
enum dkim_result {
	DKIM_RESULT_PASS,
	DKIM_RESULT_FAIL,      /* body hash or signature wrong; RSA key below 1024 bits (RFC 8301) */
	DKIM_RESULT_POLICY,    /* right, but not enough: rsa-sha1, l= short of the body, From unsigned */
	DKIM_RESULT_TEMPERROR, /* the key could not be had: try later, or count it as no signature */
	DKIM_RESULT_PERMERROR, /* unusable signature or key, expired */
};

enum dkim_crypto {
	DKIM_CRYPTO_NONE, /* not computed: unusable signature, no key, key too long */
	DKIM_CRYPTO_GOOD, /* signature and body hash verify (the latter over l= octets) */
	DKIM_CRYPTO_BAD,
};

struct dkim_rules {
	uint64_t now;  /* seconds since 1970 */
	uint64_t skew; /* seconds that clocks may differ, for t= and x=; 300 is usual */
};

/* One signature. The slices live as long as the message and the arena. */
struct dkim_verdict {
	enum dkim_result result;
	enum dkim_crypto crypto;
	enum dkim_why why;	  /* DKIM_OK with DKIM_RESULT_PASS only */
	struct dkim_sig sig;	  /* sig.domain is d=: checked, safe to print; empty if it was none */
	struct slice domain;	  /* d= with A-labels; what DMARC compares. Empty if it was none */
	const struct dkim_field *field;
	size_t key_bits;	  /* of the key that was used; 0 without one */
	bool testing;		  /* t=y: the signer asks to treat a failure as no signature */
	bool secure;		  /* the key came with DNSSEC */
	uint64_t unsigned_octets; /* of the canonical body, behind l= */
};

struct dkim_verdicts {
	struct dkim_verdict v[LIMIT_DKIM_SIGNATURES]; /* from the top of the header */
	size_t n;
	size_t over; /* signatures beyond the limit, not looked at */
};

/* Checks the topmost LIMIT_DKIM_SIGNATURES signatures of m. Costs at most one DNS query each and one
 * pass over the body for each different (canonicalisation, hash, l=). False, with *out untouched,
 * only when the arena is full (an environment failure: defer). */
[[nodiscard]] bool dkim_verify(const struct dkim_message *m, const struct dkim_rules *rules,
    struct resolver *dns, struct arena *a, struct dkim_verdicts *out);

/* "pass", "fail", "policy", "temperror", "permerror": RFC 8601. */
struct slice dkim_result_name(enum dkim_result r);

/* s with U-labels as A-labels, in lower case (RFC 5891 by libidn2). False on no IDNA name, or at the
 * ceiling. */
[[nodiscard]] bool dkim_ascii_domain(struct slice s, struct arena *a, struct slice *out);
