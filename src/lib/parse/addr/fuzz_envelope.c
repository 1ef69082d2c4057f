/* SPDX-License-Identifier: MIT
 * A path: what parses is printable ASCII within limits, and what the writer makes of it parses to the
 * same address. */
#include "lib/base/limits.h"
#include "lib/make/addr.h"
#include "lib/parse/addr/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cursor c = cur_of(slice_of(data, n));
	struct arena *a = arena_new("fuzz", LIMIT_ARENA_COMMAND);
	struct addr ad, again;
	struct buf text;

	buf_init(&text, 1000);
	if (addr_path(&c, a, true, true, &ad) == ADDR_OK) {
		PN_ASSERT(ad.local.n <= LIMIT_SMTP_LOCAL && ad.domain.n <= LIMIT_DOMAIN);
		for (size_t i = 0; i < ad.local.n; i++)
			PN_ASSERT(ch_is_print(slice_at(ad.local, i)));
		for (size_t i = 0; i < ad.domain.n; i++)
			PN_ASSERT(ch_is_vchar(slice_at(ad.domain, i)));
		PN_ASSERT(addr_write(&text, ad.local, ad.domain));
		/* "a b" as written may be one byte longer than the limit allows when read again */
		if (ad.domain.n > 0 && text.n - ad.domain.n - 1 <= LIMIT_SMTP_LOCAL)
			PN_ASSERT(addr_parse(buf_slice(&text), a, &again) == ADDR_OK && addr_eq(&ad, &again));
	}
	buf_free(&text);
	arena_free(&a);
	return 0;
}
