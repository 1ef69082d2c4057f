/* SPDX-License-Identifier: MIT */
#include "lib/base/slice.h"

#include "lib/base/chars.h"
#include "lib/base/ckd.h"

bool
slice_ieq(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ch_lower(a.p[i]) != ch_lower(b.p[i]))
			return false;
	return true;
}

bool
slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && slice_eq(slice_sub(s, 0, prefix.n), prefix);
}

bool
slice_istarts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && slice_ieq(slice_sub(s, 0, prefix.n), prefix);
}

bool
slice_ends(struct slice s, struct slice suffix)
{
	return s.n >= suffix.n && slice_eq(slice_from(s, s.n - suffix.n), suffix);
}

int
slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n == 0 ? 0 : memcmp(a.p, b.p, n);

	if (d != 0)
		return d;
	return a.n < b.n ? -1 : a.n > b.n;
}

size_t
slice_find_byte(struct slice s, uint8_t b)
{
	const uint8_t *hit = s.n == 0 ? NULL : memchr(s.p, b, s.n);

	return hit == NULL ? SLICE_NONE : (size_t)(hit - s.p);
}

size_t
slice_rfind_byte(struct slice s, uint8_t b)
{
	const uint8_t *hit = s.n == 0 ? NULL : memrchr(s.p, b, s.n);

	return hit == NULL ? SLICE_NONE : (size_t)(hit - s.p);
}

size_t
slice_find(struct slice s, struct slice needle)
{
	const uint8_t *hit;

	if (needle.n == 0)
		return 0;
	if (s.n < needle.n)
		return SLICE_NONE;
	hit = memmem(s.p, s.n, needle.p, needle.n);
	return hit == NULL ? SLICE_NONE : (size_t)(hit - s.p);
}

struct slice
slice_trim(struct slice s)
{
	size_t from = 0, end = s.n;

	while (from < end && ch_is_wsp(s.p[from]))
		from++;
	while (end > from && ch_is_wsp(s.p[end - 1]))
		end--;
	return slice_sub(s, from, end - from);
}

bool
slice_cut(struct slice s, uint8_t b, struct slice *head, struct slice *tail)
{
	size_t at = slice_find_byte(s, b);

	if (at == SLICE_NONE)
		return false;
	*head = slice_sub(s, 0, at);
	*tail = slice_from(s, at + 1);
	return true;
}

bool
slice_word(struct slice *rest, struct slice *out)
{
	size_t n = 0;

	*rest = slice_trim(*rest);
	while (n < rest->n && !ch_is_wsp(rest->p[n]))
		n++;
	if (n == 0)
		return false;
	*out = slice_sub(*rest, 0, n);
	*rest = slice_sub(*rest, n, rest->n - n);
	return true;
}

bool
slice_u64(struct slice s, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0 || s.n > 20)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ch_is_digit(s.p[i]))
			return false;
		if (ckd_mul(&v, v, 10u) || ckd_add(&v, v, (uint64_t)(s.p[i] - '0')))
			return false;
	}
	*out = v;
	return true;
}

bool
slice_u32(struct slice s, uint32_t *out)
{
	uint64_t v;

	if (!slice_u64(s, &v) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

size_t
slice_count_byte(struct slice s, uint8_t b)
{
	const uint64_t ones = 0x0101010101010101u, low = 0x7f7f7f7f7f7f7f7fu;
	size_t n = 0, i = 0;

	for (; s.n - i >= 8; i += 8) {
		uint64_t eight, zero;

		memcpy(&eight, s.p + i, 8);
		eight ^= ones * b;
		/* the top bit of each octet that is zero now; the product adds them up in the top octet */
		zero = ~(((eight & low) + low) | eight | low);
		n += (size_t)((zero >> 7) * ones >> 56);
	}
	for (; i < s.n; i++)
		n += s.p[i] == b ? 1 : 0;
	return n;
}
