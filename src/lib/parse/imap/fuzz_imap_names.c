/* SPDX-License-Identifier: MIT
 * The input is PATTERN LF NAME. What decodes from modified UTF-7 encodes to the same bytes; matching
 * agrees with a table over all prefixes and stays within pattern * name steps. */
#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/parse/imap/imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MOST 512

static bool
oracle(struct slice p, struct slice n)
{
	static bool row[MOST + 1], next[MOST + 1];

	for (size_t i = 0; i <= n.n; i++)
		row[i] = i == 0;
	for (size_t j = 0; j < p.n; j++) {
		uint8_t c = slice_at(p, j);

		for (size_t i = 0; i <= n.n; i++) {
			if (c == '*')
				next[i] = row[i] || (i > 0 && next[i - 1]);
			else if (c == '%')
				next[i] = row[i] ||
				    (i > 0 && slice_at(n, i - 1) != '/' && next[i - 1]);
			else
				next[i] = i > 0 && slice_at(n, i - 1) == c && row[i - 1];
		}
		memcpy(row, next, n.n + 1);
	}
	return row[n.n];
}

static void
round_trip(struct slice wire, struct arena *a)
{
	struct slice utf8;
	struct buf b;

	if (!imap_mutf7_decode(wire, a, &utf8))
		return;
	PN_ASSERT(utf8_valid(utf8));
	buf_init(&b, 4096);
	PN_ASSERT(imap_mutf7_encode(&b, utf8) && slice_eq(buf_slice(&b), wire));
	buf_free(&b);
}

/* Every valid name has a spelling that reads back as itself. */
static void
name_trip(struct slice name, struct arena *a)
{
	struct slice back;
	struct buf b;

	if (!imap_name_valid(name))
		return;
	buf_init(&b, 8192);
	PN_ASSERT(imap_mutf7_encode(&b, name));
	PN_ASSERT(imap_mutf7_decode(buf_slice(&b), a, &back) && slice_eq(back, name));
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", 65536);
	struct slice pattern, name;
	struct imap_pattern p;
	size_t steps = 0;
	bool hit;

	if (n > MOST || !slice_cut(slice_of(data, n), '\n', &pattern, &name))
		return 0;
	round_trip(pattern, a);
	round_trip(name, a);
	name_trip(name, a);
	PN_ASSERT(imap_pattern_make(S(""), pattern, a, &p));
	hit = imap_match_counted(&p, name, &steps);
	PN_ASSERT(steps <= 4 * (p.p.n + 2) * (name.n + 2));
	if (!slice_istarts(name, S("INBOX")))
		PN_ASSERT(hit == oracle(pattern, name));
	return 0;
}
