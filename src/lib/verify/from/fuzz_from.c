/* SPDX-License-Identifier: MIT
 * A taken From has one field and nothing but plain lower-case domains. */
#include "lib/base/chars.h"
#include "lib/base/own.h"
#include "lib/verify/from/from.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", 1 << 22);
	struct from_verdict v;
	struct header h;

	if (!header_split(slice_of(data, n), a, &h))
		return 0;
	from_judge(&h, a, &v);
	PN_ASSERT(v.ok == (v.n > 0) && v.n <= LIMIT_FROM_MAILBOXES && (!v.ok || v.fields == 1));
	for (size_t i = 0; i < v.n; i++)
		for (size_t k = 0; k < v.domains[i].n; k++) {
			uint8_t c = slice_at(v.domains[i], k);

			PN_ASSERT(ch_is_lower(c) || ch_is_digit(c) || c == '-' || c == '_' || c == '.');
		}
	return 0;
}
