/* SPDX-License-Identifier: MIT
 * The steps of a verification that DKIM and ARC share. */
#pragma once

#include "lib/base/limits.h"
#include "lib/crypto/digest.h"
#include "lib/parse/dkim/keyrec.h"
#include "lib/parse/dkim/message.h"
#include "lib/parse/dkim/signature.h"
#include "lib/resolve/resolve.h"

/* Body hashes of one message, each computed when first asked for. */
struct dkim_bodyhash {
	enum dkim_canon canon;
	enum digest_kind kind;
	uint64_t l, whole;		 /* octets hashed at most; octets of the canonical body */
	uint8_t digest[DIGEST_MOST];
	size_t n;
};

#define DKIM_BODYHASHES ((size_t)8)

struct dkim_bodies {
	struct slice body;
	struct dkim_bodyhash known[DKIM_BODYHASHES];
	size_t n;
};

/* The body hash for sig. Borrowed until the next call. */
const struct dkim_bodyhash *dkim_bodies_get(struct dkim_bodies *b, const struct dkim_sig *sig);

/* Key records under one selector. */
struct dkim_keys {
	struct dkim_keyrec rec[LIMIT_DKIM_KEYS];
	size_t n;
	bool secure;
};

/* Asks for selector._domainkey.domain. False, with *out untouched and *why set, when there is no
 * usable record: DKIM_DNS_NONE, DKIM_DNS_TEMP, or why the first one is not usable. */
[[nodiscard]] bool dkim_keys_get(struct resolver *dns, struct slice domain, struct slice selector,
    struct arena *a, struct dkim_keys *out, enum dkim_why *why);

/* What is hashed for the signature. */
struct dkim_hash {
	uint8_t digest[DIGEST_MOST];
	size_t n;
};

/* DKIM-Signature and ARC-Message-Signature: the fields of h=, then the field itself with an empty b=.
 * left_from gets how many From fields h= leaves unsigned. What it takes from a it gives back. False at
 * the arena's ceiling. */
[[nodiscard]] bool dkim_header_hash(const struct dkim_message *m, const struct dkim_field *self,
    const struct dkim_sig *sig, struct arena *a, struct dkim_hash *out, size_t *left_from);

/* Tries sig.b against the keys. DKIM_OK when one of them verifies; otherwise the reason: the key does
 * not suit (DKIM_KEY_K, _H, _BROKEN, _LONG) or DKIM_SIGNATURE_BAD. *bits and *used are of the key that
 * was used last, bits 0 where none was. The policy on short keys is the caller's. */
enum dkim_why dkim_check_signature(const struct dkim_sig *sig, const struct dkim_keys *keys,
    const struct dkim_hash *hash, size_t *bits, const struct dkim_keyrec **used);

/* t= and x= against a time: DKIM_OK, DKIM_EXPIRED or DKIM_FUTURE. */
enum dkim_why dkim_check_times(const struct dkim_sig *s, uint64_t now, uint64_t skew);

enum digest_kind dkim_hash_kind(enum dkim_alg alg);

/* A sink of lib/parse/dkim/canon.h: ctx is a struct digest. */
void dkim_digest_sink(void *ctx, struct slice piece);
