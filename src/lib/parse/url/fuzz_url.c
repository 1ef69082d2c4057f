/* SPDX-License-Identifier: MIT */
#include "lib/parse/url/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct url u;

	if (!url_parse(in, &u))
		return 0;
	PN_ASSERT(n <= LIMIT_URL && u.host.n >= 3 && u.host.n <= 253 && u.port > 0);
	PN_ASSERT(slice_at(u.path, 0) == '/');
	for (size_t i = 0; i < u.host.n; i++)
		PN_ASSERT(ch_is_alnum(slice_at(u.host, i)) || slice_at(u.host, i) == '-' || slice_at(u.host, i) == '.');
	PN_ASSERT(slice_find_byte(in, '@') == SLICE_NONE || slice_find_byte(u.path, '@') != SLICE_NONE);
	return 0;
}
