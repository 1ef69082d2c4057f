/* SPDX-License-Identifier: MIT */
#include "lib/parse/tlsrpt/tlsrpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n), uri, address;
	struct tlsrpt_record r;
	struct cursor c;
	size_t uris = 0;

	if (!tlsrpt_parse(in, &r))
		return 0;
	PN_ASSERT(tlsrpt_is_record(in));
	c = cur_of(r.rua);
	while (tlsrpt_uri_next(&c, &uri, &address)) {
		PN_ASSERT(uri.n > 0 && address.n < uri.n);
		uris++;
	}
	PN_ASSERT(uris > 0 && uris <= n);
	return 0;
}
