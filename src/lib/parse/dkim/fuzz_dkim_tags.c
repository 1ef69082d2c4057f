/* SPDX-License-Identifier: MIT
 * Tag lists: slices lie inside the input, names are unique, and the list written again from what was
 * found gives the same tags. */
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/dkim/taglist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool
inside(struct slice s, struct slice in)
{
	return s.p >= in.p && s.n <= in.n && (size_t)(s.p - in.p) <= in.n - s.n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", LIMIT_ARENA_MESSAGE);
	own(buf_t) again = { .max = 2 * n + 16 };
	struct slice in = slice_of(data, n);
	struct dkim_tags t, u;
	enum dkim_why why = DKIM_OK;

	if (!dkim_tags_parse(in, a, &t, &why)) {
		PN_ASSERT(why != DKIM_OK);
		return 0;
	}
	for (size_t i = 0; i < t.n; i++) {
		PN_ASSERT(inside(t.tags[i].name, in) && inside(t.tags[i].value, in));
		PN_ASSERT(t.tags[i].from <= t.tags[i].end && t.tags[i].end <= n);
		PN_ASSERT(dkim_tags_find(&t, t.tags[i].name) == &t.tags[i]);
		buf_add(&again, t.tags[i].name);
		buf_byte(&again, '=');
		buf_add(&again, t.tags[i].value);
		buf_byte(&again, ';');
	}
	PN_ASSERT(dkim_tags_parse(buf_slice(&again), a, &u, &why) && u.n == t.n);
	for (size_t i = 0; i < t.n; i++)
		PN_ASSERT(slice_eq(t.tags[i].value, u.tags[i].value));
	return 0;
}
