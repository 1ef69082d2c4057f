/* SPDX-License-Identifier: MIT
 * A private key and what may be done with it: signing a digest. Used by the room `keys` alone.
 * Private numbers live in OpenSSL's secure heap, which is locked and left out of core dumps where
 * the system allows it, and are wiped when the key is dropped. */
#pragma once

#include "lib/tls/tls.h"

struct privkey;

/* Makes the secure heap; once, before the first key and before the sandbox closes. False where the
 * heap could not be made at all; *locked says whether mlock(2) was allowed. */
[[nodiscard]] bool privkey_init(bool *locked);
/* Reads one unencrypted PEM key: EC P-256 or P-384, RSA of 2048..4096 bits, or Ed25519. pem is not
 * kept; the caller wipes it. NULL on anything else. The caller owns the key. */
#define PRIVKEY_PEM_MAX ((size_t)16384)
struct privkey *privkey_new(struct slice pem);
/* Wipes and frees; *k becomes NULL; accepts NULL. */
void privkey_free(struct privkey **k);
/* Would k sign this? Not where it is of another kind than alg, the digest has not the length that
 * alg asks for, or (TLS_RSA_PSS) the block is no EMSA-PSS block over SHA-256, SHA-384 or SHA-512: a
 * raw RSA operation on chosen octets is refused. */
bool privkey_fits(const struct privkey *k, enum tls_alg alg, struct slice digest);
/* Appends the signature of digest to sig. False, with sig untouched, where it does not fit or the
 * library fails. */
[[nodiscard]] bool privkey_sign(struct privkey *k, enum tls_alg alg, struct slice digest,
    struct buf *sig);
/* Appends the public half as DER SubjectPublicKeyInfo (RFC 5280 4.1.2.7). */
[[nodiscard]] bool privkey_public(struct privkey *k, struct buf *out);
/* "EC", "RSA" or "ED25519". */
const char *privkey_kind(const struct privkey *k);

/* Makes a new key and appends it to pem as unencrypted PKCS #8: RSA of 2048 bits (some 100 ms), or
 * Ed25519. False where the library fails. */
enum privkey_new_kind { PRIVKEY_RSA_2048, PRIVKEY_ED25519 };
[[nodiscard]] bool privkey_make(enum privkey_new_kind kind, struct buf *pem);
