/* SPDX-License-Identifier: MIT
 * The Sender Rewriting Scheme: mail that we forward goes on under an envelope sender of ours, so that SPF
 * holds at the next hop, and its bounces find the way back through us.
 *
 *   local@orig            -> SRS0=HHHHHHHH=TT=orig=local@ours
 *   SRS0=rest@first       -> SRS1=HHHHHHHH=first==rest@ours		a forward of a forward: back to its first
 *   SRS1=h=first=rest@any -> SRS1=HHHHHHHH=first=rest@ours		forwarder at once, however long the chain
 *   too long for RFC 5321 -> SRS0=HHHHHHHH=TT==@ours		the bounce ends with our postmaster
 *
 * HHHHHHHH is base32 of the first 40 bits of HMAC-SHA-256 over what follows it, in lower case, because
 * local parts lose their case on the way; TT the day in base32, which comes round after 1,024 days.
 *
 * Whoever has not the secret can make us send nothing: reading refuses what we did not write. The scheme
 * is described at https://www.libsrs2.net/srs/srs.pdf; the hash is our own choice, as everybody's is. */
#pragma once

#include "lib/base/arena.h"

#define SRS_DAYS 21u /* a bounce comes within these (queues give up after five) */

/* HMAC-SHA-256 under the secret, which stays with the caller. */
struct srs {
	void (*mac)(void *ctx, struct slice data, uint8_t out[static 32]);
	void *ctx;
};

/* Does the local part call for srs_read()? */
bool srs_is(struct slice local);

/* sender (not empty) as an address of the domain ours; day since 1970-01-01. False at the arena's ceiling,
 * or when sender is no address. The local part is 64 bytes at most, in any case. */
[[nodiscard]] bool srs_write(const struct srs *s, struct slice sender, struct slice ours, uint32_t day,
    struct arena *a, struct slice *out);

enum srs_status {
	SRS_OK,
	SRS_POSTMASTER, /* ours, but it does not say whose: *out is untouched */
	SRS_FORGED,	/* not written with this secret */
	SRS_EXPIRED,
};
/* Whom a bounce to local@ours goes to. *out is untouched unless SRS_OK. At the arena's ceiling
 * SRS_FORGED. */
enum srs_status srs_read(const struct srs *s, struct slice local, uint32_t day, struct arena *a,
    struct slice *out);
