/* SPDX-License-Identifier: MIT
 * For the tests of DKIM and ARC: TXT records by name behind the resolver interface, keys made on the
 * spot, and a signer that writes any signature one asks for, the wrong ones too. */
#pragma once

#include <openssl/evp.h>

#include "lib/base/own.h"
#include "lib/verify/dkim/dkim.h"

#define TESTING_RECORDS 256

struct testing_dns {
	struct {
		struct slice name, txt;
		enum resolve_status status;
	} r[TESTING_RECORDS];
	size_t n;
	unsigned queries;
};

/* Slices are borrowed. */
void testing_dns_add(struct testing_dns *d, struct slice name, struct slice txt,
    enum resolve_status status);
/* For resolver_of(). */
void testing_dns_query(void *self, struct slice name, enum rr_type type, struct arena *a,
    struct resolve_wire *out);

/* File path as bytes, LF turned into CRLF; false when there is none. */
bool testing_slurp(const char *path, struct buf *out);

/* bits 0: Ed25519. The record text comes from a. Panics when OpenSSL cannot. */
EVP_PKEY *testing_key(size_t bits, struct arena *a, struct slice *record);

/* The raw signature over a digest, by alg. */
void testing_sign_digest(EVP_PKEY *key, enum dkim_alg alg, struct slice digest, struct buf *out);

/* Writes field (its name), tags (which lack bh= and b=), computed bh= and b= and CRLF, then mail:
 * a signed message, right but for what tags say. */
void testing_sign(struct buf *out, struct slice field, enum dkim_kind kind, struct slice tags,
    struct slice mail, EVP_PKEY *key, struct arena *a);
