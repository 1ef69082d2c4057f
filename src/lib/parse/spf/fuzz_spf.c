/* SPDX-License-Identifier: MIT
 * A record that is taken must give the same terms again, each inside the record, in linear work. */
#include "lib/parse/spf/spf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
inside(struct slice all, struct slice part)
{
	PN_ASSERT(part.n == 0 || (part.p >= all.p && part.p + part.n <= all.p + all.n));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct cursor text = cur_of(in);
	struct spf_record r;
	struct spf_term t;
	struct spf_macro m;
	size_t terms = 0, steps = 0;

	while (spf_macro_next(&text, true, &m))
		PN_ASSERT(++steps <= n && (m.letter != 0) == (m.literal.n == 0));
	if (!spf_parse(in, &r))
		return 0;
	struct cursor c = cur_of(r.text);
	while (spf_next(&c, &t)) {
		struct cursor spec = cur_of(t.domain);

		terms++;
		inside(in, t.text);
		inside(t.text, t.domain);
		PN_ASSERT(t.bits4 <= 32 && t.bits6 <= 128);
		while (spf_macro_next(&spec, t.kind == SPF_OTHER, &m))
			;
		PN_ASSERT(cur_done(&spec));
	}
	PN_ASSERT(cur_done(&c) && terms == r.terms);
#ifdef PN_FUZZ
	PN_ASSERT(c.steps <= 8 * n + 64);
#endif
	return 0;
}
