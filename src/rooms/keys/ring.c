/* SPDX-License-Identifier: MIT */
#include "rooms/keys/ring.h"

#include "lib/base/arena.h"
#include "lib/base/limits.h"

struct held_key {
	struct slice name;
	struct privkey *key;
};

struct ring {
	struct arena *arena;
	struct held_key keys[LIMIT_KEYS];
	size_t n;
};

struct ring *
ring_new(void)
{
	struct arena *a = arena_new("keys", LIMIT_ARENA_SESSION);
	struct ring *r = ARENA_NEW(a, struct ring);

	PN_ASSERT(r != NULL);
	r->arena = a;
	return r;
}

void
ring_free(struct ring **r)
{
	struct ring *dead = *r;
	struct arena *a;

	*r = NULL;
	if (dead == NULL)
		return;
	for (size_t i = 0; i < dead->n; i++)
		privkey_free(&dead->keys[i].key);
	a = dead->arena;
	arena_free(&a);
}

static struct privkey *
find(const struct ring *r, struct slice name)
{
	for (size_t i = 0; i < r->n; i++)
		if (slice_eq(r->keys[i].name, name))
			return r->keys[i].key;
	return NULL;
}

bool
ring_add(struct ring *r, struct slice name, struct slice pem)
{
	struct held_key *k = &r->keys[r->n];

	if (r->n == LIMIT_KEYS || name.n == 0 || name.n > LIMIT_KEY_NAME || find(r, name) != NULL)
		return false;
	k->key = privkey_new(pem);
	if (k->key == NULL)
		return false;
	PN_ASSERT(arena_copy(r->arena, name, &k->name));
	r->n++;
	return true;
}

size_t
ring_size(const struct ring *r)
{
	return r->n;
}

bool
ring_spend(struct ring_budget *b, uint64_t now_ms)
{
	if (now_ms - b->since_ms >= 1000) {
		b->since_ms = now_ms;
		b->used = 0;
	}
	if (b->used >= b->per_second) {
		b->refused++;
		return false;
	}
	b->used++;
	return true;
}

enum ring_result
ring_sign(struct ring *r, struct ring_budget *b, uint64_t now_ms, struct slice name,
    enum tls_alg alg, struct slice digest, struct buf *sig)
{
	struct privkey *key = find(r, name);

	if (!ring_spend(b, now_ms))
		return RING_REFUSED;
	if (key == NULL)
		return RING_UNKNOWN;
	if (!privkey_fits(key, alg, digest)) {
		b->refused++;
		return RING_REFUSED;
	}
	if (!privkey_sign(key, alg, digest, sig))
		return RING_FAILED;
	b->signatures++;
	return RING_OK;
}
