/* SPDX-License-Identifier: MIT */
#include "rooms/door/caps.h"

#include <stdlib.h>

#define BUCKETS ((size_t)4096)
/* Addresses without a connection that are looked at for each one that leaves. */
#define SWEEP 4

struct caps_address {
	struct caps_address *next;
	uint64_t key[2];
	uint64_t budget_ms; /* when its spent handshakes are paid back */
	uint32_t open;
};

struct caps {
	struct caps_limits limits;
	uint64_t secret[2];
	size_t total, addresses, sweep_at;
	struct caps_address *buckets[BUCKETS];
};

struct caps *
caps_new(const struct caps_limits *limits, const uint8_t secret[static 16])
{
	struct caps *c = calloc(1, sizeof *c);

	PN_ASSERT(c != NULL);
	c->limits = *limits;
	memcpy(c->secret, secret, 16);
	c->secret[0] |= 1;
	c->secret[1] |= 1;
	return c;
}

void
caps_free(struct caps **c)
{
	struct caps *dead = *c;

	*c = NULL;
	for (size_t i = 0; dead != NULL && i < BUCKETS; i++)
		while (dead->buckets[i] != NULL) {
			struct caps_address *a = dead->buckets[i];

			dead->buckets[i] = a->next;
			free(a);
		}
	free(dead);
}

static void
key_of(const struct ip *ip, uint64_t key[static 2])
{
	key[0] = key[1] = 0;
	memcpy(&key[0], ip->b, ip->n == 4 ? 4 : 8);
	key[1] = ip->n;
}

/* Multiply-add with secret odd numbers: the top bits are those that depend on all others. */
static size_t
bucket_of(const struct caps *c, const uint64_t key[static 2])
{
	uint64_t h = (key[0] ^ c->secret[1]) * c->secret[0];

	h ^= h >> 32;
	h = (h + key[1]) * c->secret[1];
	return (size_t)(h >> 52) % BUCKETS;
}

/* Forgets the addresses of one bucket that have nothing open and nothing owed. */
static void
sweep(struct caps *c, size_t bucket, uint64_t now_ms)
{
	struct caps_address **at = &c->buckets[bucket];

	while (*at != NULL) {
		struct caps_address *a = *at;

		if (a->open > 0 || a->budget_ms > now_ms) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		free(a);
		c->addresses--;
	}
}

enum caps_verdict
caps_enter(struct caps *c, const struct ip *ip, uint64_t now_ms, struct caps_address **out)
{
	uint64_t key[2];
	size_t bucket;
	struct caps_address *a;

	if (c->total >= c->limits.total)
		return CAPS_TOTAL;
	key_of(ip, key);
	bucket = bucket_of(c, key);
	for (a = c->buckets[bucket]; a != NULL; a = a->next)
		if (a->key[0] == key[0] && a->key[1] == key[1])
			break;
	if (a == NULL) {
		sweep(c, bucket, now_ms);
		a = calloc(1, sizeof *a);
		PN_ASSERT(a != NULL);
		a->key[0] = key[0];
		a->key[1] = key[1];
		a->next = c->buckets[bucket];
		c->buckets[bucket] = a;
		c->addresses++;
	}
	if (c->limits.per_address > 0 && a->open >= c->limits.per_address)
		return CAPS_ADDRESS;
	a->open++;
	c->total++;
	*out = a;
	return CAPS_OK;
}

void
caps_leave(struct caps *c, struct caps_address **a, uint64_t now_ms)
{
	PN_ASSERT((*a)->open > 0 && c->total > 0);
	(*a)->open--;
	c->total--;
	*a = NULL;
	for (int i = 0; i < SWEEP; i++)
		sweep(c, c->sweep_at++ % BUCKETS, now_ms);
}

bool
caps_enter_unknown(struct caps *c)
{
	if (c->total >= c->limits.total)
		return false;
	c->total++;
	return true;
}

void
caps_leave_unknown(struct caps *c)
{
	PN_ASSERT(c->total > 0);
	c->total--;
}

bool
caps_crowded(const struct caps *c, bool was)
{
	size_t most = c->limits.total;

	return was ? c->total >= most - most / 4 : c->total >= most - most / 10;
}

bool
caps_handshake(struct caps *c, struct caps_address *a, uint64_t now_ms)
{
	uint64_t each, from;

	if (c->limits.handshakes == 0)
		return true;
	/* The time by which all is paid back lies at most burst handshakes ahead. */
	each = 1000 / c->limits.handshakes > 0 ? 1000 / c->limits.handshakes : 1;
	from = a->budget_ms > now_ms ? a->budget_ms : now_ms;
	if (from + each > now_ms + each * (c->limits.burst > 0 ? c->limits.burst : 1))
		return false;
	a->budget_ms = from + each;
	return true;
}

size_t caps_total(const struct caps *c) { return c->total; }
size_t caps_addresses(const struct caps *c) { return c->addresses; }
