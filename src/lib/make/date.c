/* SPDX-License-Identifier: MIT */
#include "lib/make/date.h"

#include "lib/base/civil.h"

#define MOST_ZONE 5999

/* Two digits with this pad. */
static void
two(struct buf *b, unsigned v, char pad)
{
	buf_byte(b, v < 10 ? (uint8_t)pad : (uint8_t)('0' + v / 10 % 10));
	buf_byte(b, (uint8_t)('0' + v % 10));
}

static void
four(struct buf *b, int32_t v)
{
	two(b, (unsigned)v / 100, '0');
	two(b, (unsigned)v % 100, '0');
}

static void
clock_time(struct buf *b, const struct civil *c)
{
	two(b, c->hour, '0');
	buf_byte(b, ':');
	two(b, c->minute, '0');
	buf_byte(b, ':');
	two(b, c->second, '0');
}

static void
zone_offset(struct buf *b, int zone, struct slice between)
{
	unsigned away = zone < 0 ? (unsigned)-zone : (unsigned)zone;

	buf_byte(b, zone < 0 ? '-' : '+');
	two(b, away / 60, '0');
	buf_add(b, between);
	two(b, away % 60, '0');
}

static struct civil
local(int64_t seconds, int zone)
{
	PN_ASSERT(zone >= -MOST_ZONE && zone <= MOST_ZONE);
	/* far from both ends of int64_t, the calendar clamps more tightly anyway */
	if (seconds > INT64_MAX - CIVIL_DAY * 5 || seconds < INT64_MIN + CIVIL_DAY * 5)
		return civil_of(seconds);
	return civil_of(seconds + (int64_t)zone * 60);
}

bool
date_format_rfc5322(struct buf *b, int64_t seconds, int zone)
{
	struct civil c = local(seconds, zone);

	buf_add(b, slice_z(civil_weekday_name(c.weekday)));
	buf_add(b, S(", "));
	two(b, c.day, '0');
	buf_byte(b, ' ');
	buf_add(b, slice_z(civil_month_name(c.month)));
	buf_byte(b, ' ');
	four(b, c.year);
	buf_byte(b, ' ');
	clock_time(b, &c);
	buf_byte(b, ' ');
	zone_offset(b, zone, S(""));
	return !b->bad;
}

bool
date_format_imap(struct buf *b, int64_t seconds, int zone)
{
	struct civil c = local(seconds, zone);

	two(b, c.day, ' ');
	buf_byte(b, '-');
	buf_add(b, slice_z(civil_month_name(c.month)));
	buf_byte(b, '-');
	four(b, c.year);
	buf_byte(b, ' ');
	clock_time(b, &c);
	buf_byte(b, ' ');
	zone_offset(b, zone, S(""));
	return !b->bad;
}

bool
date_format_rfc3339(struct buf *b, int64_t seconds, int zone)
{
	struct civil c = local(seconds, zone);

	four(b, c.year);
	buf_byte(b, '-');
	two(b, c.month, '0');
	buf_byte(b, '-');
	two(b, c.day, '0');
	buf_byte(b, 'T');
	clock_time(b, &c);
	if (zone == 0)
		buf_byte(b, 'Z');
	else
		zone_offset(b, zone, S(":"));
	return !b->bad;
}
