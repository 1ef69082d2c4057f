/* SPDX-License-Identifier: MIT */
#include "lib/parse/date/date.h"

#include "lib/base/cfws.h"
#include "lib/base/civil.h"

#define MOST_DIGITS ((size_t)9)
#define MOST_WORD ((size_t)32)

/* Between min and max digits as a number. */
static bool
digits(struct cursor *c, size_t min, size_t max, uint32_t *out)
{
	struct cursor probe = *c;
	struct slice s;

	if (!cur_take(&probe, ch_is_digit, max, &s) || s.n < min || !slice_u32(s, out))
		return false;
	*c = probe;
	return true;
}

static bool
month_name(struct cursor *c, uint8_t *out)
{
	struct cursor probe = *c;
	struct slice w;
	unsigned m;

	if (!cur_take(&probe, ch_is_alpha, MOST_WORD, &w) || w.n < 3)
		return false;
	uint8_t first[3] = { slice_at(w, 0), slice_at(w, 1), slice_at(w, 2) };
	m = civil_month(first);
	if (m == 0)
		return false;
	*out = (uint8_t)m;
	*c = probe;
	return true;
}

/* RFC 5322 4.3: two digits below 50 are 20xx, other short years count from 1900. */
static bool
year(struct cursor *c, int32_t *out)
{
	size_t from = c->at;
	uint32_t y;

	if (!digits(c, 2, MOST_DIGITS, &y))
		return false;
	if (c->at - from == 2)
		y += y < 50 ? 2000 : 1900;
	else if (c->at - from == 3)
		y += 1900;
	if (y < 1 || y > 9999)
		return false;
	*out = (int32_t)y;
	return true;
}

static bool
clock_time(struct cursor *c, struct civil *out)
{
	uint32_t h, m, s = 0;

	cur_cfws(c);
	if (!digits(c, 1, 2, &h))
		return false;
	cur_cfws(c);
	if (!cur_byte(c, ':'))
		return false;
	cur_cfws(c);
	if (!digits(c, 1, 2, &m))
		return false;
	cur_cfws(c);
	if (cur_byte(c, ':')) {
		cur_cfws(c);
		if (!digits(c, 1, 2, &s))
			return false;
	}
	out->hour = (uint8_t)h;
	out->minute = (uint8_t)m;
	out->second = (uint8_t)s;
	return true;
}

static bool
zone_offset(struct cursor *c, struct date *d)
{
	bool west = cur_peek(c) == '-';
	uint32_t v;

	if (!cur_byte(c, '+') && !cur_byte(c, '-'))
		return false;
	if (!digits(c, 4, 4, &v) || v % 100 > 59)
		return false;
	d->zone = (int16_t)(v / 100 * 60 + v % 100);
	d->zone_unknown = west && v == 0;
	if (west)
		d->zone = (int16_t)-d->zone;
	return true;
}

/* RFC 5322 4.3: the named zones; military letters and unknown names say nothing reliable. */
static void
zone_name(struct slice w, struct date *d)
{
	static const struct {
		struct slice name;
		int16_t zone;
	} known[] = {
		{ S_INIT("UT"), 0 }, { S_INIT("GMT"), 0 }, { S_INIT("UTC"), 0 }, { S_INIT("Z"), 0 },
		{ S_INIT("EST"), -300 }, { S_INIT("EDT"), -240 }, { S_INIT("CST"), -360 },
		{ S_INIT("CDT"), -300 }, { S_INIT("MST"), -420 }, { S_INIT("MDT"), -360 },
		{ S_INIT("PST"), -480 }, { S_INIT("PDT"), -420 },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (slice_ieq(known[i].name, w)) {
			d->zone = known[i].zone;
			d->zone_unknown = false;
			return;
		}
	}
}

static void
zone(struct cursor *c, struct date *d)
{
	struct cursor probe = *c;
	struct slice w;

	d->zone = 0;
	d->zone_unknown = true;
	cur_cfws(c);
	if (zone_offset(c, d))
		return;
	probe = *c;
	if (cur_take(&probe, ch_is_alpha, MOST_WORD, &w)) {
		zone_name(w, d);
		*c = probe;
	}
}

static bool
finish(const struct civil *when, struct date *d, struct date *out)
{
	if (!civil_to_seconds(when, &d->seconds))
		return false;
	d->seconds -= (int64_t)d->zone * 60;
	*out = *d;
	return true;
}

/* A weekday, with or without its comma; a word that is a month stays. */
static void
weekday(struct cursor *c)
{
	struct cursor probe;
	struct slice w;
	uint8_t month;

	cur_cfws(c);
	probe = *c;
	if (month_name(&probe, &month)) {
		cur_cfws(&probe);
		if (cur_peek(&probe) != ',')
			return;
	}
	probe = *c;
	if (cur_take(&probe, ch_is_alpha, MOST_WORD, &w)) {
		cur_cfws(&probe);
		*c = probe;
	}
	if (cur_byte(c, ','))
		cur_cfws(c);
}

bool
date_parse(struct slice in, struct date *out)
{
	struct cursor c = cur_of(in);
	struct civil when = { 0 };
	struct date d = { 0 };
	uint32_t day;
	bool month_first;

	weekday(&c);
	month_first = month_name(&c, &when.month);
	cur_cfws(&c);
	if (!digits(&c, 1, 2, &day))
		return false;
	when.day = (uint8_t)day;
	cur_cfws(&c);
	if (month_first) {
		if (!clock_time(&c, &when))
			return false;
		struct cursor probe = c;
		cur_cfws(&probe);
		if (ch_is_alpha((uint8_t)(cur_peek(&probe) & 0xff)) ||
		    cur_peek(&probe) == '+' || cur_peek(&probe) == '-')
			zone(&c, &d);
		else
			d.zone_unknown = true;
		cur_cfws(&c);
		return year(&c, &when.year) && finish(&when, &d, out);
	}
	if (!month_name(&c, &when.month))
		return false;
	cur_cfws(&c);
	if (!year(&c, &when.year) || !clock_time(&c, &when))
		return false;
	zone(&c, &d);
	return finish(&when, &d, out);
}

static bool
imap_day(struct cursor *c, struct civil *when, size_t min)
{
	uint32_t day, y;

	if (!digits(c, min, 2, &day) || !cur_byte(c, '-'))
		return false;
	if (cur_left(c) < 4 || !month_name(c, &when->month) || !cur_byte(c, '-') ||
	    !digits(c, 4, 4, &y))
		return false;
	when->day = (uint8_t)day;
	when->year = (int32_t)y;
	return true;
}

/* The month of the IMAP forms has three letters, no more. */
static bool
imap_month_is_short(struct slice in)
{
	size_t dash = slice_find_byte(in, '-');

	return dash != SLICE_NONE && in.n - dash > 4 && slice_at(in, dash + 4) == '-';
}

bool
date_parse_imap(struct slice in, struct date *out)
{
	struct cursor c = cur_of(in);
	struct civil when = { 0 };
	struct date d = { 0 };
	uint32_t h, m, s;
	size_t min = cur_byte(&c, ' ') ? 1 : 2;

	if (!imap_month_is_short(in) || in.n != 26 || !imap_day(&c, &when, min) ||
	    !cur_byte(&c, ' ') || !digits(&c, 2, 2, &h) || !cur_byte(&c, ':') ||
	    !digits(&c, 2, 2, &m) || !cur_byte(&c, ':') || !digits(&c, 2, 2, &s) ||
	    !cur_byte(&c, ' ') || !zone_offset(&c, &d) || !cur_done(&c))
		return false;
	when.hour = (uint8_t)h;
	when.minute = (uint8_t)m;
	when.second = (uint8_t)s;
	return finish(&when, &d, out);
}

bool
date_parse_imap_day(struct slice in, int64_t *day)
{
	struct cursor c = cur_of(in);
	struct civil when = { 0 };

	if (!imap_month_is_short(in) || !imap_day(&c, &when, 1) || !cur_done(&c) ||
	    when.day < 1 || when.day > civil_month_days(when.year, when.month))
		return false;
	*day = civil_days(when.year, when.month, when.day);
	return true;
}

int64_t
date_local_day(const struct date *d)
{
	int64_t local = d->seconds + (int64_t)d->zone * 60;

	return local / CIVIL_DAY - (local % CIVIL_DAY < 0 ? 1 : 0);
}
