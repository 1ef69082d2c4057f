/* SPDX-License-Identifier: MIT
 * DKIM signatures of our own (RFC 6376 5, RFC 8463): relaxed/relaxed over SHA-256, the whole body,
 * and a list of fields that are signed once more than they occur, so that none can be added. This
 * library hashes and formats; the private keys are elsewhere. */
#pragma once

#include "lib/base/buf.h"
#include "lib/parse/dkim/message.h"
#include "lib/parse/dkim/signature.h"

/* Who signs. domain and selector pass dkim_domain_ok() and are ASCII (A-labels). */
struct dkim_signer {
	enum dkim_alg alg; /* DKIM_RSA_SHA256 or DKIM_ED25519_SHA256 */
	struct slice domain, selector;
};

/* One operation with the private key of who over a SHA-256 digest (32 octets): RSASSA-PKCS1-v1_5 of
 * the digest, or PureEdDSA with the digest as message. */
struct dkim_ask {
	const struct dkim_signer *who;
	struct slice digest;
	struct buf *signature; /* the raw signature is appended here */
};

/* Makes n signatures, those of one message together: whoever holds the keys may be far away. All have the
 * same domain. False when one of the keys cannot sign now. */
typedef bool dkim_key_fn(void *ctx, const struct dkim_ask *ask, size_t n);

/* Signers of one message (count). */
#define LIMIT_DKIM_SIGNERS 4u

struct dkim_sign_rules {
	uint64_t now;	   /* t=: seconds since 1970 */
	uint64_t lifetime; /* x= is now plus this many seconds; 0: no x= */
};

enum dkim_signed {
	DKIM_SIGNED,
	DKIM_SIGN_NO_KEY,    /* the callback said no: try later */
	DKIM_SIGN_REFUSED,   /* the message has too many fields to sign, or no From */
	DKIM_SIGN_NO_MEMORY, /* the arena or out is full: try later */
};

/* Appends to out one DKIM-Signature field (folded, with CRLF) for each of the n signers, to be put on
 * top of m; with an RSA and an Ed25519 signer that is a dual signature. They do not sign each other.
 * n is at most LIMIT_DKIM_SIGNERS. On failure the content of out is as it was. Body and header are hashed
 * once, and key is called once. */
enum dkim_signed dkim_sign(const struct dkim_message *m, const struct dkim_sign_rules *rules,
    const struct dkim_signer *signers, size_t n, dkim_key_fn *key, void *key_ctx, struct arena *a,
    struct buf *out);

/* Steps that ARC sealing shares (RFC 8617 4.1.2). */

/* The names of h= for m, in order, from a: those of the list, each as often as it occurs, and once
 * more where it is oversigned (the DKIM list; an ARC set expects change and does not oversign).
 * False at LIMIT_DKIM_SIGNED names or the arena's ceiling. */
[[nodiscard]] bool dkim_sign_names(const struct dkim_message *m, bool oversign, struct arena *a,
    const struct slice **names, size_t *n);
/* SHA-256 of the relaxed body. */
void dkim_sign_body(struct slice body, uint8_t digest[static 32]);
/* SHA-256 over the named fields of m (bottom-up, relaxed) and then field, whose b= is empty and last,
 * without its CRLF. False at the arena's ceiling. */
[[nodiscard]] bool dkim_sign_header(const struct dkim_message *m, const struct slice *names, size_t n,
    struct slice field, struct arena *a, uint8_t digest[static 32]);

/* Key records (RFC 6376 3.6.1). public: for RSA a SubjectPublicKeyInfo in DER, for Ed25519 32 octets;
 * empty writes the record of a revoked key. Appends the text; false when out is full. */
bool dkim_record_text(struct buf *out, enum dkim_alg alg, struct slice public);
/* The same as zone files want it: strings of at most 255 octets, each in quotes, with a space between
 * (RFC 1035 5.1, RFC 6376 3.6.2.2). */
bool dkim_record_zone(struct buf *out, enum dkim_alg alg, struct slice public);
