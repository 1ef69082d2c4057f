/* SPDX-License-Identifier: MIT */
#include "rooms/auth/house.h"

void
auth_cache_init(struct auth_room *r)
{
	randombytes_buf(r->key, sizeof r->key);
}

void
auth_cache_tag(const struct auth_room *r, const struct account *acc, struct slice password,
    uint8_t tag[static AUTH_TAG])
{
	crypto_generichash_state st;
	uint64_t head[2] = { acc->id, acc->revision };

	(void)crypto_generichash_init(&st, r->key, sizeof r->key, AUTH_TAG);
	(void)crypto_generichash_update(&st, (const uint8_t *)head, sizeof head);
	(void)crypto_generichash_update(&st, password.p, password.n);
	(void)crypto_generichash_final(&st, tag, AUTH_TAG);
	sodium_memzero(&st, sizeof st);
}

/* Where a tag may stand: two places, chosen by the tag itself, which nobody outside can foresee. */
static struct auth_cached *
place(struct auth_room *r, const uint8_t *tag, unsigned i)
{
	return &r->cache[(tag[2 * i] | (unsigned)tag[2 * i + 1] << 8) % AUTH_CACHE];
}

bool
auth_cache_has(struct auth_room *r, const struct account *acc, struct slice password, uint64_t now_ms)
{
	uint8_t tag[AUTH_TAG];
	bool found = false;

	auth_cache_tag(r, acc, password, tag);
	for (unsigned i = 0; i < 2; i++) {
		const struct auth_cached *c = place(r, tag, i);

		if (c->until_ms > now_ms && sodium_memcmp(c->tag, tag, sizeof tag) == 0)
			found = true;
	}
	sodium_memzero(tag, sizeof tag);
	return found;
}

void
auth_cache_put(struct auth_room *r, const uint8_t tag[static AUTH_TAG], uint64_t now_ms)
{
	struct auth_cached *a = place(r, tag, 0), *b = place(r, tag, 1);
	struct auth_cached *c = a->until_ms <= b->until_ms ? a : b; /* the older one goes */

	for (size_t i = 0; i < AUTH_TAG; i++)
		c->tag[i] = tag[i];
	c->until_ms = now_ms + AUTH_CACHE_MS;
}

void
auth_cache_wipe(struct auth_room *r, uint64_t now_ms)
{
	for (size_t i = 0; i < AUTH_CACHE; i++)
		if (r->cache[i].until_ms != 0 && r->cache[i].until_ms <= now_ms)
			sodium_memzero(&r->cache[i], sizeof r->cache[i]);
}
