/* SPDX-License-Identifier: MIT */
#include "lib/parse/dmarc/dmarc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct dmarc_record r;
	struct dmarc_uri u;

	if (!dmarc_parse(in, &r))
		return 0;
	PN_ASSERT(dmarc_is_record(in));
	PN_ASSERT(!r.usable || r.p >= DMARC_P_NONE);
	PN_ASSERT(!r.usable || (r.sp != DMARC_P_INVALID && r.np != DMARC_P_INVALID));
	PN_ASSERT(r.pct <= 100 && (r.fo_all || r.fo_any || r.fo_dkim || r.fo_spf));
	for (int i = 0; i < 2; i++) {
		struct cursor c = cur_of(i == 0 ? r.rua : r.ruf);

		for (size_t k = 0; dmarc_uri_next(&c, &u); k++)
			PN_ASSERT(k <= n && u.uri.n > 0 && u.address.n <= u.uri.n);
	}
	return 0;
}
