/* SPDX-License-Identifier: MIT */
#include "lib/base/own.h"
#include "lib/report/arf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("arf", 1 << 20);
	struct arf r;

	if (!arf_parse(slice_of(data, n), a, &r))
		return 0;
	PN_ASSERT(r.type.n > 0 && r.n_rcpts <= LIMIT_ARF_LIST && r.n_domains <= LIMIT_ARF_LIST);
	PN_ASSERT(r.n_uris <= LIMIT_ARF_LIST && r.n_results <= LIMIT_ARF_LIST);
	PN_ASSERT(r.ip.n == 0 || r.ip.n == 4 || r.ip.n == 16);
	return 0;
}
