/* SPDX-License-Identifier: MIT
 * What every part of the store answers. The store never logs and never reads the clock: times come
 * from the caller, as microseconds since 1970-01-01 UTC unless said otherwise.
 *
 * One process owns each database file: it is locked exclusively while it is open, so there is no
 * shared memory beside it, and a second opener gets STORE_BUSY. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/slice.h"

enum store_err {
	STORE_OK = 0,
	STORE_NONE,	/* no such thing */
	STORE_EXISTS,	/* it is there already */
	STORE_REFUSED,	/* the request itself is not possible: a bad name, a delete of INBOX */
	STORE_LIMIT,	/* over a limit of limits.h, or the arena of the caller is full */
	STORE_FULL,	/* no space or no memory: try later (452) */
	STORE_IO,	/* the disk failed. After a failed flush the handle stays failed for ever: the
			 * room must die and open anew, because a second fsync proves nothing */
	STORE_DAMAGED,	/* the file is not what was written */
	STORE_BUSY,	/* another process owns the file */
	STORE_NEWER,	/* written by a newer Postern: its schema is unknown here */
};

/* One lower-case word for events and replies; never NULL. */
const char *store_err_name(enum store_err e);

/* Most bytes of one stored message: LIMIT_MESSAGE plus the header fields put before it. */
#define LIMIT_STORE_MESSAGE ((uint64_t)104857600)

#define STORE_SHA256 32u /* bytes */
/* SHA-256 of in (FIPS 180-4). */
void store_sha256(struct slice in, uint8_t out[static STORE_SHA256]);
