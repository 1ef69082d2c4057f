/* SPDX-License-Identifier: MIT
 * SHA-1 and SHA-256 as a stream, over libcrypto. A failure inside libcrypto (no memory) is a bug of
 * the environment that nothing could answer to: panic. */
#pragma once

#include "lib/base/slice.h"

#define DIGEST_MOST ((size_t)32)

enum digest_kind { DIGEST_SHA1, DIGEST_SHA256 };

/* Short pieces are collected before they go to libcrypto, whose calls cost as much as the hash of a
 * few lines. */
struct digest {
	void *ctx; /* EVP_MD_CTX */
	enum digest_kind kind;
	size_t n;
	uint8_t bytes[1024];
};

/* Starts; the caller ends with digest_end() or digest_free(). */
void digest_begin(struct digest *d, enum digest_kind kind);
void digest_add(struct digest *d, struct slice s);
/* to becomes a state of its own that has seen the same octets; it was not begun, and is ended like any other. */
void digest_copy(const struct digest *d, struct digest *to);
/* Writes the digest, frees the state and returns its length: 20 or 32 octets. */
size_t digest_end(struct digest *d, uint8_t out[static DIGEST_MOST]);
/* Frees without a result; accepts a zeroed or ended struct. */
void digest_free(struct digest *d);

/* Loads what libcrypto would otherwise load later (no configuration file, no environment). Once, before
 * the sandbox closes; needs no file. */
void crypto_init(void);
