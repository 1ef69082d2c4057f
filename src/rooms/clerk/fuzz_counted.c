/* SPDX-License-Identifier: MIT
 * Packed rows: any bytes are refused or read, what is read packs to the same bytes, and fields of any
 * content survive; signatures as scan tells them are taken apart within the bounds of a report. */
#include "lib/base/own.h"
#include "rooms/clerk/counting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("row", 65536);
	own(buf_t) b = { .max = 8192 };
	struct slice in = slice_of(data, n);
	struct counted c, again;
	struct dmarc_report_row row;
	struct dmarc_report head = { .p = S("") };

	if (counted_unpack(in, &c)) {
		(void)counted_dmarc_row(in, 1, a, &row);
		counted_pack(&b, &c);
		PN_ASSERT(counted_unpack(buf_slice(&b), &again));
	}
	for (size_t i = 0; i < COUNTED_FIELDS; i++)
		c.f[i] = in;
	buf_reset(&b);
	counted_pack(&b, &c);
	PN_ASSERT(!b.bad && counted_unpack(buf_slice(&b), &again));
	for (size_t i = 0; i < COUNTED_FIELDS; i++)
		PN_ASSERT(slice_eq(again.f[i], slice_head(in, i == 0 || i == CD_SIGNATURES ? COUNTED_LONG : 255)));
	PN_ASSERT(counted_dmarc_row(buf_slice(&b), 7, a, &row) && row.count == 7);
	PN_ASSERT(row.n_dkim <= LIMIT_DMARC_REPORT_LIST && row.n_spf <= 1 && row.n_reasons <= 1);
	counted_published(in, &head);
	PN_ASSERT(head.p.n > 0);
	return 0;
}
