/* SPDX-License-Identifier: MIT
 * The private keys of the server by name, and who has asked how often. A key that was added can be
 * used and not be got out again. */
#pragma once

#include "lib/tls/privkey.h"

/* Names of keys, as in door_keys.msg. */
#define LIMIT_KEY_NAME ((size_t)64)
#define LIMIT_KEYS 32u

enum ring_result {
	RING_OK,
	RING_UNKNOWN, /* no key of this name */
	RING_REFUSED, /* not with this key, not this digest, or too often */
	RING_FAILED,  /* the library failed */
};

/* One channel's account: at most per_second signatures in each second. */
struct ring_budget {
	uint32_t per_second;
	uint32_t used;	   /* in the second that began at since_ms */
	uint64_t since_ms;
	uint64_t signatures, refused; /* ever */
};

/* Counts one more signature of this channel; false, and counted as refused, when it is over its rate. */
bool ring_spend(struct ring_budget *b, uint64_t now_ms);

struct ring;

struct ring *ring_new(void);
/* Wipes all keys; *r becomes NULL; accepts NULL. */
void ring_free(struct ring **r);
/* Reads one PEM key (privkey_new()) and keeps it as name (copied). False where the text is no key
 * that we use, the name is empty, too long or taken, or the ring is full. */
[[nodiscard]] bool ring_add(struct ring *r, struct slice name, struct slice pem);
size_t ring_size(const struct ring *r);
/* Signs for the channel that b belongs to. sig gets the signature with RING_OK only. */
enum ring_result ring_sign(struct ring *r, struct ring_budget *b, uint64_t now_ms, struct slice name,
    enum tls_alg alg, struct slice digest, struct buf *sig);
