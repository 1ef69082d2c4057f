/* SPDX-License-Identifier: MIT
 * A bounded table of rates: "at most so many in so long", all at once or spread (the generic cell rate
 * algorithm: one time per key says when its bucket would be empty again).
 *
 * The table never grows. Where it is full, the key that is nearest to an empty bucket is forgotten: who
 * floods it with new keys forgets those that cost nothing to forget, and never one that is at its limit.
 * Times are microseconds of the wall clock, so that a table may be kept over a restart. */
#pragma once

#include "lib/base/slice.h"

#define RATE_SETS 512u
#define RATE_WAYS 8u
#define RATE_SLOTS (RATE_SETS * RATE_WAYS)

struct rate_slot {
	uint64_t key;	/* 0: empty */
	uint64_t until; /* us: when nothing of this key counts any more */
};

struct rates {
	struct rate_slot slot[RATE_SETS][RATE_WAYS];
	bool changed; /* since the caller last cleared it */
};

/* A key out of what is limited (a letter) and whose it is. */
uint64_t rate_key(uint8_t what, uint64_t whose);
/* The same for a text; collisions are harmless but for a few who share a limit. */
uint64_t rate_key_text(uint8_t what, struct slice whose);
/* Counts one if less than most were counted in the last period_us; false, and nothing counted, otherwise.
 * most 0: no limit, nothing counted. */
bool rate_take(struct rates *r, uint64_t key, uint64_t most, uint64_t period_us, uint64_t now_us);
/* Would rate_take() say yes? */
bool rate_has(const struct rates *r, uint64_t key, uint64_t most, uint64_t period_us, uint64_t now_us);
/* A slot that was kept; one that is over by now, or lies absurdly far ahead, is left out. */
void rate_put(struct rates *r, const struct rate_slot *s, uint64_t now_us);
