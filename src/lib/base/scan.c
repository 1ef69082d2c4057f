/* SPDX-License-Identifier: MIT
 * Vectors of 16 bytes as gcc and clang both spell them; each is loaded by memcpy(), so alignment
 * does not matter, and only inside the slice. */
#include "lib/base/scan.h"

#define WIDE ((size_t)32)

typedef uint8_t v16 __attribute__((vector_size(16)));

static inline v16
load(const uint8_t *p)
{
	v16 v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline v16
all(uint8_t c)
{
	return (v16){ c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c };
}

/* Lanes where a is a tab, or a space whose successor (in b) is white space or CR. */
static inline v16
edges(v16 a, v16 b)
{
	v16 after = (v16)(b == all(' ')) | (v16)(b == all('\t')) | (v16)(b == all('\r'));

	return (v16)(a == all('\t')) | ((v16)(a == all(' ')) & after);
}

static inline bool
any(v16 v)
{
	uint64_t half[2];

	memcpy(half, &v, sizeof half);
	return (half[0] | half[1]) != 0;
}

static inline bool
edge_at(struct slice s, size_t i)
{
	uint8_t next;

	if (s.p[i] != ' ')
		return s.p[i] == '\t';
	if (i + 1 == s.n)
		return true;
	next = s.p[i + 1];
	return next == ' ' || next == '\t' || next == '\r';
}

size_t
scan_wsp_edge(struct slice s, size_t from)
{
	size_t i = from;

	PN_ASSERT(from <= s.n);
	while (s.n - i > WIDE) {
		v16 hit = edges(load(s.p + i), load(s.p + i + 1)) |
		    edges(load(s.p + i + 16), load(s.p + i + 17));

		if (any(hit))
			break;
		i += WIDE;
	}
	for (; i < s.n; i++)
		if (edge_at(s, i))
			return i;
	return SLICE_NONE;
}
