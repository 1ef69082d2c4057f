/* SPDX-License-Identifier: MIT */
#include "lib/base/encode.h"

#include "lib/base/chars.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The value of each byte of the alphabet, plus one; 0: none. */
static const uint8_t SEXTETS[256] = {
	['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8,
	['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15,
	['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22,
	['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29,
	['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
	['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43,
	['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50,
	['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56, ['4'] = 57,
	['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

static inline int
sextet(uint8_t c)
{
	return SEXTETS[c] - 1;
}

bool
base64_decode(struct slice in, struct arena *a, struct slice *out)
{
	size_t pad = 0, n = 0;
	uint32_t acc = 0;
	uint8_t *p;

	if (in.n % 4 != 0)
		return false;
	while (pad < 2 && pad < in.n && in.p[in.n - 1 - pad] == '=')
		pad++;
	p = arena_alloc(a, in.n / 4 * 3 + 1, 1);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < in.n - pad; i++) {
		int v = sextet(in.p[i]);

		if (v < 0)
			return false;
		acc = acc << 6 | (uint32_t)v;
		if (i % 4 == 3) {
			p[n++] = (uint8_t)(acc >> 16);
			p[n++] = (uint8_t)(acc >> 8);
			p[n++] = (uint8_t)acc;
			acc = 0;
		}
	}
	if (pad == 1) {
		if ((acc & 3) != 0)
			return false;
		p[n++] = (uint8_t)(acc >> 10);
		p[n++] = (uint8_t)(acc >> 2);
	} else if (pad == 2) {
		if ((acc & 15) != 0)
			return false;
		p[n++] = (uint8_t)(acc >> 4);
	}
	*out = slice_of(p, n);
	return true;
}

bool
base64_encode(struct buf *b, struct slice in)
{
	for (size_t i = 0; i < in.n; i += 3) {
		size_t have = in.n - i < 3 ? in.n - i : 3;
		uint32_t acc = (uint32_t)in.p[i] << 16;

		if (have > 1)
			acc |= (uint32_t)in.p[i + 1] << 8;
		if (have > 2)
			acc |= in.p[i + 2];
		buf_byte(b, (uint8_t)ALPHABET[acc >> 18]);
		buf_byte(b, (uint8_t)ALPHABET[acc >> 12 & 63]);
		buf_byte(b, have > 1 ? (uint8_t)ALPHABET[acc >> 6 & 63] : '=');
		buf_byte(b, have > 2 ? (uint8_t)ALPHABET[acc & 63] : '=');
	}
	return !b->bad;
}

bool
hex_encode(struct buf *b, struct slice in)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < in.n; i++) {
		buf_byte(b, (uint8_t)digits[in.p[i] >> 4]);
		buf_byte(b, (uint8_t)digits[in.p[i] & 15]);
	}
	return !b->bad;
}

bool
hex_decode(struct slice in, struct arena *a, struct slice *out)
{
	uint8_t *p;

	if (in.n % 2 != 0)
		return false;
	p = arena_alloc(a, in.n / 2, 1);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < in.n; i += 2) {
		int hi = ch_hex(in.p[i]), lo = ch_hex(in.p[i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		p[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	*out = slice_of(p, in.n / 2);
	return true;
}

int32_t
utf8_next(struct slice s, size_t *at)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t i = *at, more;
	uint32_t cp;
	uint8_t c;

	if (i >= s.n)
		return -1;
	c = s.p[i];
	*at = i + 1;
	if (c < 0x80)
		return c;
	if (c < 0xc2 || c > 0xf4)
		return -2;
	more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	cp = c & (0x3fu >> more);
	if (more > s.n - i - 1)
		return -2;
	for (size_t k = 1; k <= more; k++) {
		if ((s.p[i + k] & 0xc0) != 0x80)
			return -2;
		cp = cp << 6 | (s.p[i + k] & 0x3fu);
	}
	if (cp < least[more + 1] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return -2;
	*at = i + more + 1;
	return (int32_t)cp;
}

bool
utf8_valid(struct slice s)
{
	for (size_t at = 0; at < s.n;) {
		uint64_t eight;

		if (s.n - at >= sizeof eight) {
			memcpy(&eight, s.p + at, sizeof eight);
			if ((eight & 0x8080808080808080u) == 0) {
				at += sizeof eight;
				continue;
			}
		}
		if (utf8_next(s, &at) == -2)
			return false;
	}
	return true;
}

bool
utf8_put(struct buf *b, uint32_t cp)
{
	if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		cp = 0xfffd;
	if (cp < 0x80)
		return buf_byte(b, (uint8_t)cp);
	if (cp < 0x800) {
		buf_byte(b, (uint8_t)(0xc0 | cp >> 6));
	} else if (cp < 0x10000) {
		buf_byte(b, (uint8_t)(0xe0 | cp >> 12));
		buf_byte(b, (uint8_t)(0x80 | (cp >> 6 & 0x3f)));
	} else {
		buf_byte(b, (uint8_t)(0xf0 | cp >> 18));
		buf_byte(b, (uint8_t)(0x80 | (cp >> 12 & 0x3f)));
		buf_byte(b, (uint8_t)(0x80 | (cp >> 6 & 0x3f)));
	}
	return buf_byte(b, (uint8_t)(0x80 | (cp & 0x3f)));
}

bool
ascii_only(struct slice s)
{
	size_t i = 0;

	/* eight at a time: a whole message is looked at before it is sent */
	for (uint64_t v; s.n - i >= sizeof v; i += sizeof v) {
		memcpy(&v, s.p + i, sizeof v);
		if (((v | (v - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) != 0)
			return false;
	}
	for (; i < s.n; i++)
		if (s.p[i] == 0 || s.p[i] > 0x7f)
			return false;
	return true;
}
