/* SPDX-License-Identifier: MIT */
#include "lib/base/cursor.h"

#include "lib/base/ckd.h"

static void
step(struct cursor *c, size_t n)
{
#ifdef PN_FUZZ
	c->steps += n;
#else
	(void)c;
	(void)n;
#endif
}

bool
cur_byte(struct cursor *c, uint8_t b)
{
	step(c, 1);
	if (cur_peek(c) != b)
		return false;
	c->at++;
	return true;
}

bool
cur_word(struct cursor *c, struct slice w)
{
	step(c, w.n);
	if (c->bad || !slice_starts(slice_from(c->in, c->at), w))
		return false;
	c->at += w.n;
	return true;
}

bool
cur_iword(struct cursor *c, struct slice w)
{
	step(c, w.n);
	if (c->bad || !slice_istarts(slice_from(c->in, c->at), w))
		return false;
	c->at += w.n;
	return true;
}

bool
cur_take(struct cursor *c, bool (*is)(uint8_t), size_t max, struct slice *out)
{
	size_t from = c->at;

	for (int b; (b = cur_peek(c)) != -1 && is((uint8_t)b); c->at++)
		if (c->at - from == max)
			return cur_fail(c);
	step(c, c->at - from + 1);
	if (c->bad || c->at == from)
		return false;
	*out = slice_sub(c->in, from, c->at - from);
	return true;
}

size_t
cur_skip(struct cursor *c, bool (*is)(uint8_t))
{
	size_t from = c->at;

	for (int b; (b = cur_peek(c)) != -1 && is((uint8_t)b); c->at++)
		;
	step(c, c->at - from + 1);
	return c->at - from;
}

bool
cur_bytes(struct cursor *c, size_t n, struct slice *out)
{
	step(c, 1);
	if (cur_left(c) < n)
		return cur_fail(c);
	*out = slice_sub(c->in, c->at, n);
	c->at += n;
	return true;
}

bool
cur_until(struct cursor *c, uint8_t b, struct slice *out)
{
	struct slice rest;
	size_t hit;

	if (c->bad)
		return false;
	rest = slice_from(c->in, c->at);
	hit = slice_find_byte(rest, b);
	step(c, hit == SLICE_NONE ? rest.n : hit);
	if (hit == SLICE_NONE)
		return false;
	*out = slice_sub(rest, 0, hit);
	c->at += hit + 1;
	return true;
}

struct slice
cur_rest(struct cursor *c)
{
	struct slice rest = c->bad ? S("") : slice_from(c->in, c->at);

	c->at += rest.n;
	return rest;
}

bool
cur_u64(struct cursor *c, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	size_t from = c->at;

	for (int b; (b = cur_peek(c)) != -1 && ch_is_digit((uint8_t)b); c->at++)
		if (ckd_mul(&v, v, 10u) || ckd_add(&v, v, (uint64_t)(b - '0')) || v > max)
			return cur_fail(c);
	step(c, c->at - from + 1);
	if (c->bad || c->at == from)
		return false;
	*out = v;
	return true;
}

bool
cur_u32(struct cursor *c, uint32_t max, uint32_t *out)
{
	uint64_t v;

	if (!cur_u64(c, max, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

static uint64_t
get(struct cursor *c, size_t n, bool big)
{
	struct slice s;
	uint64_t v = 0;

	if (!cur_bytes(c, n, &s))
		return 0;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)s.p[i] << (8 * (big ? n - 1 - i : i));
	return v;
}

uint8_t cur_get_u8(struct cursor *c) { return (uint8_t)get(c, 1, false); }
uint16_t cur_get_u16le(struct cursor *c) { return (uint16_t)get(c, 2, false); }
uint32_t cur_get_u32le(struct cursor *c) { return (uint32_t)get(c, 4, false); }
uint64_t cur_get_u64le(struct cursor *c) { return get(c, 8, false); }
uint16_t cur_get_u16be(struct cursor *c) { return (uint16_t)get(c, 2, true); }
uint32_t cur_get_u32be(struct cursor *c) { return (uint32_t)get(c, 4, true); }
