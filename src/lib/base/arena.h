/* SPDX-License-Identifier: MIT
 * An arena is memory with one lifetime: process, session, message or command. Everything in it is
 * zeroed when handed out and wiped when the arena is rewound or freed. It has a ceiling: at the
 * ceiling arena_alloc() returns NULL, which a caller turns into 452 or NO [LIMIT]. Real exhaustion
 * of memory panics (the room is restarted).
 *
 * Advantages: no free() to forget, one bound per lifetime, no use after free inside it.
 * Disadvantages: nothing is given back before the mark or the end; not shared between threads. */
#pragma once

#include "lib/base/slice.h"

struct arena;

/* A new arena. ceiling is the most bytes that it ever hands out, in total. name is kept, not
 * copied: a literal. Never NULL. The caller owns it and ends it with arena_free(). */
struct arena *arena_new(const char *name, size_t ceiling);
/* Wipes and frees; *a becomes NULL; accepts NULL. */
void arena_free(struct arena **a);
/* n * size zeroed bytes aligned to 16, or NULL when the ceiling (or size_t) does not allow it.
 * Zero bytes give a valid pointer that must not be read. */
[[nodiscard]] void *arena_alloc(struct arena *a, size_t n, size_t size);
/* Copies s; false, with *out untouched, at the ceiling. */
[[nodiscard]] bool arena_copy(struct arena *a, struct slice s, struct slice *out);
/* A NUL-terminated copy for the edge of libc, or NULL at the ceiling or when s holds a NUL. */
[[nodiscard]] const char *arena_z(struct arena *a, struct slice s);
/* Bytes handed out so far. */
size_t arena_used(const struct arena *a);

/* Scratch: what was allocated after the mark is wiped and given back by the rewind. */
struct arena_mark {
	void *chunk;
	size_t at, used;
};
struct arena_mark arena_mark(struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark m);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), 1, sizeof(type)))
#define ARENA_ARRAY(a, n, type) ((type *)arena_alloc((a), (n), sizeof(type)))
