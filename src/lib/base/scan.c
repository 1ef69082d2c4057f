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

/* How many whole words of eight lanes stand before the first one with a hit: 0 to 3, 4 without. */
static inline size_t
words_before(v16 low, v16 high)
{
	uint64_t w[4];

	memcpy(w, &low, sizeof low);
	memcpy(w + 2, &high, sizeof high);
	if ((w[0] | w[1] | w[2] | w[3]) == 0)
		return 4;
	return w[0] != 0 ? 0 : w[1] != 0 ? 1 : w[2] != 0 ? 2 : 3;
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
		size_t words = words_before(edges(load(s.p + i), load(s.p + i + 1)),
		    edges(load(s.p + i + 16), load(s.p + i + 17)));

		i += 8 * words;
		if (words < 4)
			break;
	}
	for (; i < s.n; i++)
		if (edge_at(s, i))
			return i;
	return SLICE_NONE;
}
