/* SPDX-License-Identifier: MIT
 * A header that is good is good in pieces too: every shorter one asks for more, and it never claims more
 * than was there. */
#include "lib/parse/proxy/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct proxy_header h, again;
	size_t used = 0, less;

	if (proxy_parse(in, &h, &used) != PROXY_OK)
		return 0;
	PN_ASSERT(used <= n && used <= PROXY_MOST);
	PN_ASSERT(h.local ? h.peer.n == 0 : (h.peer.n == 4 || h.peer.n == 16) && h.to.n == h.peer.n);
	for (size_t i = 0; i < used; i++)
		PN_ASSERT(proxy_parse(slice_head(in, i), &again, &less) == PROXY_MORE);
	PN_ASSERT(proxy_parse(slice_head(in, used), &again, &less) == PROXY_OK && less == used);
	return 0;
}
