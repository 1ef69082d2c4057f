/* SPDX-License-Identifier: MIT
 *
 *   arena -> chunk (newest) -> chunk -> chunk (oldest) -> NULL
 *            [ header | used ........ | free ..... ]
 *
 * Chunks grow from 2 KiB to 64 KiB so that a short session stays small; a larger object gets a
 * chunk of its own size. */
#include "lib/base/arena.h"

#include <stdlib.h>

#include "lib/base/ckd.h"

#define CHUNK_FIRST ((size_t)2048)
#define CHUNK_MOST ((size_t)65536)
#define ALIGN ((size_t)16)

struct chunk {
	struct chunk *older;
	size_t cap, at;
	_Alignas(16) uint8_t bytes[];
};

struct arena {
	const char *name;
	size_t ceiling, used;
	struct chunk *newest;
};

struct arena *
arena_new(const char *name, size_t ceiling)
{
	struct arena *a = calloc(1, sizeof *a);

	PN_ASSERT(a != NULL);
	a->name = name;
	a->ceiling = ceiling;
	return a;
}

static void
chunk_drop(struct chunk *c)
{
	explicit_bzero(c->bytes, c->at);
	free(c);
}

void
arena_free(struct arena **a)
{
	struct arena *dead = *a;

	*a = NULL;
	if (dead == NULL)
		return;
	for (struct chunk *c = dead->newest, *older; c != NULL; c = older) {
		older = c->older;
		chunk_drop(c);
	}
	free(dead);
}

static struct chunk *
chunk_for(struct arena *a, size_t need)
{
	size_t cap = a->newest == NULL ? CHUNK_FIRST : a->newest->cap * 2;
	struct chunk *c;

	if (cap > CHUNK_MOST)
		cap = CHUNK_MOST;
	if (cap > a->ceiling - a->used) /* an arena for one small object stays as small */
		cap = a->ceiling - a->used;
	if (cap < need)
		cap = need;
	c = calloc(1, sizeof *c + cap);
	PN_ASSERT(c != NULL);
	c->cap = cap;
	c->older = a->newest;
	a->newest = c;
	return c;
}

void *
arena_alloc(struct arena *a, size_t n, size_t size)
{
	size_t need, total;
	struct chunk *c = a->newest;
	void *p;

	if (ckd_mul(&need, n, size) || ckd_add(&need, need, ALIGN - 1))
		return NULL;
	need &= ~(ALIGN - 1);
	if (ckd_add(&total, a->used, need) || total > a->ceiling)
		return NULL;
	if (c == NULL || c->cap - c->at < need)
		c = chunk_for(a, need);
	p = c->bytes + c->at;
	c->at += need;
	a->used = total;
	return p;
}

bool
arena_copy(struct arena *a, struct slice s, struct slice *out)
{
	uint8_t *p = arena_alloc(a, s.n, 1);

	if (p == NULL)
		return false;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	*out = slice_of(p, s.n);
	return true;
}

const char *
arena_z(struct arena *a, struct slice s)
{
	char *p;
	size_t n;

	if (slice_find_byte(s, 0) != SLICE_NONE || ckd_add(&n, s.n, (size_t)1))
		return NULL;
	p = arena_alloc(a, n, 1);
	if (p != NULL && s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}

struct arena_mark
arena_mark(struct arena *a)
{
	struct chunk *c = a->newest;

	return (struct arena_mark){ .chunk = c, .at = c == NULL ? 0 : c->at, .used = a->used };
}

void
arena_rewind(struct arena *a, struct arena_mark m)
{
	while (a->newest != m.chunk) {
		struct chunk *c = a->newest;

		PN_ASSERT(c != NULL);
		a->newest = c->older;
		chunk_drop(c);
	}
	if (a->newest != NULL) {
		PN_ASSERT(m.at <= a->newest->at);
		explicit_bzero(a->newest->bytes + m.at, a->newest->at - m.at);
		a->newest->at = m.at;
	}
	a->used = m.used;
}
