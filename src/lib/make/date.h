/* SPDX-License-Identifier: MIT
 * Dates as text. Each appends to b and returns !b->bad. seconds count from 1970-01-01T00:00:00Z (the
 * years 0..9999, others are moved to the nearer end), zone is minutes east of UTC, which the caller
 * knows: libraries ask no clock and no time zone database. |zone| above 5999 is a bug. */
#pragma once

#include "lib/base/buf.h"

/* "Thu, 13 Feb 1969 23:32:54 -0330": Date and Received fields, RFC 5322 section 3.3. 31 octets. */
bool date_format_rfc5322(struct buf *b, int64_t seconds, int zone);
/* "13-Feb-1969 23:32:54 -0330", without quotes, a day below 10 as " 3": INTERNALDATE, RFC 3501
 * section 9 (date-day-fixed). 26 octets. */
bool date_format_imap(struct buf *b, int64_t seconds, int zone);
/* "1969-02-13T23:32:54-03:30", or "...Z" for zone 0: events, JMAP, HTTP APIs, RFC 3339 section 5.6. */
bool date_format_rfc3339(struct buf *b, int64_t seconds, int zone);
