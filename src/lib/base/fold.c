/* SPDX-License-Identifier: MIT */
#include "lib/base/fold.h"

#include <string.h>

#include "lib/base/chars.h"

/* Lower case of two-octet code points whose lower case has two octets as well. */
static uint32_t
lower(uint32_t cp)
{
	if ((cp >= 0xc0 && cp <= 0xde && cp != 0xd7) || (cp >= 0x391 && cp <= 0x3a9) ||
	    (cp >= 0x410 && cp <= 0x42f))
		return cp + 0x20;
	if (cp >= 0x400 && cp <= 0x40f)
		return cp + 0x50;
	if (cp == 0x130 || cp == 0x131 || cp == 0x178)
		return cp == 0x178 ? 0xff : cp;
	if ((cp >= 0x100 && cp <= 0x137) || (cp >= 0x14a && cp <= 0x177) ||
	    (cp >= 0x460 && cp <= 0x481) || (cp >= 0x48a && cp <= 0x4bf) || (cp >= 0x4d0 && cp <= 0x52f))
		return cp | 1;
	if ((cp >= 0x139 && cp <= 0x148) || (cp >= 0x179 && cp <= 0x17e))
		return cp + (cp & 1);
	switch (cp) {
	case 0x386: return 0x3ac;
	case 0x388: case 0x389: case 0x38a: return cp + 0x25;
	case 0x38c: return 0x3cc;
	case 0x38e: case 0x38f: return cp + 0x3f;
	case 0x3aa: case 0x3ab: return cp + 0x20;
	case 0x3c2: return 0x3c3; /* the sigma at the end of a word */
	default: return cp;
	}
}

/* A-Z of eight octets at once; octets above 0x7f stay. */
static uint64_t
lower_eight(uint64_t x)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t seven = x & (ones * 0x7f);
	uint64_t from_a = seven + ones * (0x80 - 'A'), above_z = seven + ones * (0x7f - 'Z');
	uint64_t capital = (from_a ^ above_z) & ~x & (ones * 0x80);

	return x | capital >> 2;
}

void
fold_utf8(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint64_t eight;
		uint32_t cp;

		if (n - i >= 8) {
			memcpy(&eight, p + i, 8);
			eight = lower_eight(eight);
			memcpy(p + i, &eight, 8);
			if ((eight & 0x8080808080808080u) == 0) {
				i += 8;
				continue;
			}
		}
		/* up to and with the next sequence of several octets */
		while (i < n && p[i] < 0x80) {
			p[i] = ch_lower(p[i]);
			i++;
		}
		if (i + 1 < n && p[i] >= 0xc2 && p[i] <= 0xdf && (p[i + 1] & 0xc0) == 0x80) {
			cp = lower((uint32_t)(p[i] & 0x1f) << 6 | (p[i + 1] & 0x3f));
			p[i] = (uint8_t)(0xc0 | cp >> 6);
			p[i + 1] = (uint8_t)(0x80 | (cp & 0x3f));
			i += 2;
		} else if (i < n) {
			i++;
		}
	}
}
