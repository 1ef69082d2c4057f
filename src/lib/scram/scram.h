/* SPDX-License-Identifier: MIT
 * SCRAM-SHA-256 (RFC 5802, RFC 7677): the keys that a server stores, and what it and a client compute of them. Passwords
 * come prepared (idn_password()). */
#pragma once

#include "lib/base/buf.h"

#define SCRAM_KEY ((size_t)32)
#define SCRAM_SALT ((size_t)16)
/* The server works them when a password is set, the client at each login: 60 ms. RFC 7677 section 4 asks for
 * 4096; who steals accounts.db pays them for each guess; Cyrus SASL, as a client, computes no more than
 * these (decision 0062). */
#define SCRAM_ITERATIONS 65536u

struct scram_keys {
	uint32_t iterations;
	uint8_t salt[SCRAM_SALT];
	uint8_t stored[SCRAM_KEY], server[SCRAM_KEY];
};

/* New keys with a new salt: 0.1 s of work. */
void scram_make(struct scram_keys *k, struct slice password);
/* The same with the salt and iterations that are there. */
void scram_derive(struct scram_keys *k, struct slice salt, struct slice password);
/* "SCRAM-SHA-256$16384:salt$stored:server", base64: at most 140 bytes. */
bool scram_put(struct buf *b, const struct scram_keys *k);
/* Of the second line of an account's hash. False where there is none. */
bool scram_read(struct slice hash, struct scram_keys *k);
/* Is the proof right for this AuthMessage? *signature is the server's in any case. Both take as long for
 * a wrong proof as for a right one. */
bool scram_verify(const struct scram_keys *k, struct slice auth_message, const uint8_t proof[static SCRAM_KEY],
    uint8_t signature[static SCRAM_KEY]);

/* The client's half: its proof for this AuthMessage, and the signature that only a server that has the keys can show. The
 * iterations are the caller's to bound: 65,536 take 60 ms. */
void scram_prove(struct slice password, struct slice salt, uint32_t iterations, struct slice auth_message,
    uint8_t proof[static SCRAM_KEY], uint8_t signature[static SCRAM_KEY]);
/* Are these two of SCRAM_KEY octets equal? In constant time. */
bool scram_equal(const uint8_t *x, const uint8_t *y);
