/* SPDX-License-Identifier: MIT
 * Any bytes as a report: bounded, rows consistent, texts without control characters. */
#include "lib/base/own.h"
#include "lib/report/dmarc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
clean(struct slice s)
{
	PN_ASSERT(s.n <= LIMIT_DMARC_REPORT_TEXT);
	for (size_t i = 0; i < s.n; i++)
		PN_ASSERT(slice_at(s, i) >= 0x20 && slice_at(s, i) != 0x7f);
}

static bool
on_row(void *self, const struct dmarc_report_row *row)
{
	PN_ASSERT(row->n_dkim <= LIMIT_DMARC_REPORT_LIST && row->n_spf <= LIMIT_DMARC_REPORT_LIST &&
		  row->n_reasons <= LIMIT_DMARC_REPORT_LIST);
	clean(row->source);
	clean(row->header_from);
	for (size_t i = 0; i < row->n_dkim; i++)
		clean(row->dkim_auth[i].selector);
	for (size_t i = 0; i < row->n_reasons; i++)
		clean(row->reasons[i].comment);
	return ++*(size_t *)self < 1000;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("report", 262144);
	struct dmarc_report r;
	size_t rows = 0;

	if (dmarc_report_read(slice_of(data, n), a, on_row, &rows, &r) != DMARC_REPORT_OK)
		return 0;
	PN_ASSERT(r.rows == rows && rows > 0);
	clean(r.org_name);
	clean(r.report_id);
	clean(r.domain);
	return 0;
}
