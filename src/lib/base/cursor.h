/* SPDX-License-Identifier: MIT
 * A cursor reads a slice from front to back. Two failures are distinct: a mismatch (the function
 * returns false, nothing is consumed, bad stays unset: alternatives may be tried) and bad (a limit
 * or malformed input: sticky, every further read fails, the caller checks once at the end). */
#pragma once

#include "lib/base/chars.h"
#include "lib/base/slice.h"

struct cursor {
	struct slice in;
	size_t at;
	bool bad;
#ifdef PN_FUZZ
	size_t steps; /* work done, so that a fuzz target can assert work <= c * n */
#endif
};

static inline struct cursor
cur_of(struct slice in)
{
	return (struct cursor){ .in = in };
}

static inline bool
cur_fail(struct cursor *c)
{
	c->bad = true;
	return false;
}

static inline size_t
cur_left(const struct cursor *c)
{
	return c->bad ? 0 : c->in.n - c->at;
}

/* True when all input was consumed and no error is pending. */
static inline bool
cur_done(const struct cursor *c)
{
	return !c->bad && c->at == c->in.n;
}

/* Next byte without consuming it, or -1 at the end or after an error. */
static inline int
cur_peek(const struct cursor *c)
{
	return c->bad || c->at == c->in.n ? -1 : slice_at(c->in, c->at);
}

/* The byte ahead positions further, or -1. */
static inline int
cur_peek_at(const struct cursor *c, size_t ahead)
{
	return c->bad || ahead >= c->in.n - c->at ? -1 : slice_at(c->in, c->at + ahead);
}

/* Consumes and returns the next byte, or -1. */
static inline int
cur_next(struct cursor *c)
{
	int b = cur_peek(c);

	if (b != -1)
		c->at++;
#ifdef PN_FUZZ
	c->steps++;
#endif
	return b;
}

/* Consumes exactly this byte (this word; this word in any ASCII case); false is a mismatch. */
bool cur_byte(struct cursor *c, uint8_t b);
bool cur_word(struct cursor *c, struct slice w);
bool cur_iword(struct cursor *c, struct slice w);
/* 1..max bytes of a class. None is a mismatch; longer is bad, never a truncation. */
bool cur_take(struct cursor *c, bool (*is)(uint8_t), size_t max, struct slice *out);
/* Skips any number of bytes of a class; returns how many. */
size_t cur_skip(struct cursor *c, bool (*is)(uint8_t));
/* Exactly n bytes; fewer left is bad. */
bool cur_bytes(struct cursor *c, size_t n, struct slice *out);
/* Up to (not including) byte b, which is consumed; absent is a mismatch. */
bool cur_until(struct cursor *c, uint8_t b, struct slice *out);
/* All that is left. */
struct slice cur_rest(struct cursor *c);
/* Decimal number <= max. No digit is a mismatch; overflow or > max is bad. */
bool cur_u64(struct cursor *c, uint64_t max, uint64_t *out);
bool cur_u32(struct cursor *c, uint32_t max, uint32_t *out);

/* Binary little-endian and big-endian readers; too little input is bad and gives 0. */
uint8_t cur_get_u8(struct cursor *c);
uint16_t cur_get_u16le(struct cursor *c);
uint32_t cur_get_u32le(struct cursor *c);
uint64_t cur_get_u64le(struct cursor *c);
uint16_t cur_get_u16be(struct cursor *c);
uint32_t cur_get_u32be(struct cursor *c);
