/* SPDX-License-Identifier: MIT
 * Whatever is read as a date is written and read again as the same date. */
#include "lib/base/own.h"
#include "lib/base/civil.h"
#include "lib/make/date.h"
#include "lib/parse/date/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct date d, again;
	int64_t day;
	own(buf_t) b = { .max = 0 };

	buf_init(&b, 64);
	if (date_parse_imap_day(in, &day))
		PN_ASSERT(day >= civil_days(0, 1, 1) && day <= civil_days(9999, 12, 31));
	if (!date_parse_imap(in, &d) && !date_parse(in, &d))
		return 0;
	PN_ASSERT(date_format_imap(&b, d.seconds, d.zone));
	/* a zone can push the year over either end */
	if (d.seconds < civil_days(1, 1, 6) * CIVIL_DAY ||
	    d.seconds > civil_days(9999, 12, 26) * CIVIL_DAY)
		return 0;
	PN_ASSERT(date_parse_imap(buf_slice(&b), &again));
	PN_ASSERT(again.seconds == d.seconds && again.zone == d.zone);
	buf_reset(&b);
	PN_ASSERT(date_format_rfc5322(&b, d.seconds, d.zone));
	PN_ASSERT(date_parse(buf_slice(&b), &again));
	PN_ASSERT(again.seconds == d.seconds && again.zone == d.zone);
	return 0;
}
