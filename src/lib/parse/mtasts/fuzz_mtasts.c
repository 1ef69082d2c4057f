/* SPDX-License-Identifier: MIT */
#include "lib/parse/mtasts/mtasts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct mtasts_record r;
	struct mtasts_policy p;

	if (mtasts_record_parse(in, &r))
		PN_ASSERT(mtasts_is_record(in) && r.id.n >= 1 && r.id.n <= 32);
	if (mtasts_policy_parse(in, &p)) {
		PN_ASSERT(p.max_age <= LIMIT_MTASTS_MAX_AGE && (p.n_mx > 0 || p.mode == MTASTS_NONE));
		(void)mtasts_matches(&p, S("mail.example.com"));
		PN_ASSERT(!mtasts_matches(&p, S("")));
	}
	return 0;
}
