/* SPDX-License-Identifier: MIT
 * Signature fields of the three kinds (the first byte chooses): names that come out are safe to print,
 * and work on memory is bounded by the input. */
#include "lib/base/chars.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/dkim/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		PN_ASSERT(ch_is_alnum(c) || c == '.' || c == '-' || c == '_' || c >= 0x80);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", LIMIT_ARENA_MESSAGE);
	struct slice in = slice_of(data, n);
	struct dkim_sig s;
	enum dkim_kind kind = n == 0 ? DKIM_SIGNATURE : (enum dkim_kind)(data[0] % 3);
	bool good;

	good = dkim_sig_parse(n == 0 ? in : slice_from(in, 1), kind, a, &s);
	PN_ASSERT(good == (s.defect == DKIM_OK));
	PN_ASSERT(!good || s.usable);
	PN_ASSERT(arena_used(a) <= 40 * n + LIMIT_DKIM_TAGS * 64);
	check_name(s.domain);
	check_name(s.selector);
	check_name(s.auid_domain);
	if (!s.usable)
		return 0;
	PN_ASSERT(s.b.n > 0 && s.domain.n > 0 && s.selector.n > 0);
	PN_ASSERT(s.b_from <= s.b_end && s.b_end <= n - 1);
	PN_ASSERT(kind == DKIM_ARC_SEAL || s.bh.n > 0);
	PN_ASSERT(kind != DKIM_SIGNATURE || s.n_h > 0);
	PN_ASSERT(kind == DKIM_SIGNATURE || (s.instance >= 1 && s.instance <= LIMIT_ARC_SETS));
	return 0;
}
