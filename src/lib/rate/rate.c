/* SPDX-License-Identifier: MIT */
#include "lib/rate/rate.h"

#define FAR_US ((uint64_t)7 * 86400 * 1000000) /* no period is longer */

static uint64_t
mixed(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t
rate_key(uint8_t what, uint64_t whose)
{
	uint64_t key = mixed(mixed(whose + 0x9e3779b97f4a7c15u) + what);

	return (key >> 1) + 1; /* never 0, and SQLite's integers are signed */
}

uint64_t
rate_key_text(uint8_t what, struct slice whose)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < whose.n; i++)
		h = (h ^ slice_at(whose, i)) * 0x100000001b3u;
	return rate_key(what, h);
}

static const struct rate_slot *
find(const struct rates *r, uint64_t key)
{
	const struct rate_slot *set = r->slot[key % RATE_SETS];

	for (size_t i = 0; i < RATE_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

static void
store(struct rates *r, uint64_t key, uint64_t until)
{
	struct rate_slot *set = r->slot[key % RATE_SETS], *to = &set[0];

	for (size_t i = 0; i < RATE_WAYS; i++) {
		if (set[i].key == key) {
			to = &set[i];
			break;
		}
		if (set[i].until < to->until)
			to = &set[i];
	}
	*to = (struct rate_slot){ key, until };
	r->changed = true;
}

/* When the bucket would be empty again with one more in it; 0: it is full. */
static uint64_t
next(const struct rates *r, uint64_t key, uint64_t most, uint64_t period_us, uint64_t now_us)
{
	const struct rate_slot *s = find(r, key);
	uint64_t each = period_us / most > 0 ? period_us / most : 1;
	uint64_t until = s == NULL || s->until < now_us ? now_us : s->until;

	until += each;
	/* a clock that was set back must not shut anybody out for longer than the period */
	if (until > now_us + 2 * period_us)
		until = now_us + each;
	return until > now_us + period_us ? 0 : until;
}

bool
rate_has(const struct rates *r, uint64_t key, uint64_t most, uint64_t period_us, uint64_t now_us)
{
	return most == 0 || next(r, key, most, period_us, now_us) != 0;
}

bool
rate_take(struct rates *r, uint64_t key, uint64_t most, uint64_t period_us, uint64_t now_us)
{
	uint64_t until = most == 0 ? 1 : next(r, key, most, period_us, now_us);

	if (until != 0 && most != 0)
		store(r, key, until);
	return until != 0;
}

void
rate_put(struct rates *r, const struct rate_slot *s, uint64_t now_us)
{
	if (s->key != 0 && s->until > now_us && s->until < now_us + FAR_US)
		store(r, s->key, s->until);
}
