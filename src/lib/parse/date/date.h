/* SPDX-License-Identifier: MIT
 * Dates as mail writes them: RFC 5322 section 3.3 with the obsolete forms of section 4.3, and the two
 * forms of IMAP (RFC 3501 section 9: date-time, date). Pure: no clock, no locale. */
#pragma once

#include "lib/base/cursor.h"

struct date {
	int64_t seconds;	/* since 1970-01-01T00:00:00Z */
	int16_t zone;		/* minutes east of UTC, -5999..5999 */
	bool zone_unknown;	/* "-0000", an obsolete letter, or no zone at all: zone is 0 */
};

/* The body of a Date field. Comments, folding, a missing weekday, missing seconds, years of two and
 * three digits, named and military zones, a missing zone and the asctime() order ("Thu Feb 13
 * 23:32:54 1969") are taken. What stands behind the zone is ignored; a weekday that does not fit the
 * date too. False, with *out untouched, when no date comes out. */
[[nodiscard]] bool date_parse(struct slice in, struct date *out);
/* IMAP date-time without its quotes: "dd-Mon-yyyy hh:mm:ss +zzzz", the day also as " d". Nothing may
 * follow. RFC 3501 section 9. */
[[nodiscard]] bool date_parse_imap(struct slice in, struct date *out);
/* IMAP date: "d-Mon-yyyy" or "dd-Mon-yyyy" without quotes, as days since 1970-01-01. */
[[nodiscard]] bool date_parse_imap_day(struct slice in, int64_t *day);
/* The calendar day that the date shows in its own zone, as days since 1970-01-01: what SENTON and its
 * kin compare ("disregarding time and timezone", RFC 3501 section 6.4.4). */
int64_t date_local_day(const struct date *d);
