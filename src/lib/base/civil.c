/* SPDX-License-Identifier: MIT
 * Days are counted in years that begin in March, so that the leap day is the last of its year; an
 * era is 400 years, 146097 days. */
#include "lib/base/civil.h"

#include "lib/base/chars.h"

#define ERA_DAYS 146097
#define SHIFT_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	"Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char weekdays[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0 ? 1 : 0);
}

int64_t
civil_days(int32_t year, unsigned month, unsigned day)
{
	int64_t y = (int64_t)year - (month <= 2 ? 1 : 0);
	int64_t era = floor_div(y, 400);
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 +
	    (int64_t)day - 1;

	return era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	    day_of_year - SHIFT_DAYS;
}

unsigned
civil_month_days(int32_t year, unsigned month)
{
	static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[(month - 1) % 12] + (month == 2 && leap ? 1u : 0u);
}

bool
civil_to_seconds(const struct civil *c, int64_t *out)
{
	if (c->year < 0 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 ||
	    c->day > civil_month_days(c->year, c->month) || c->hour > 23 || c->minute > 59 ||
	    c->second > 60)
		return false;
	*out = civil_days(c->year, c->month, c->day) * CIVIL_DAY + c->hour * 3600 + c->minute * 60 +
	    c->second;
	return true;
}

struct civil
civil_of(int64_t seconds)
{
	int64_t first = civil_days(0, 1, 1) * CIVIL_DAY;
	int64_t last = civil_days(9999, 12, 31) * CIVIL_DAY + CIVIL_DAY - 1;

	seconds = seconds < first ? first : seconds > last ? last : seconds;
	int64_t days = floor_div(seconds, CIVIL_DAY), rest = seconds - days * CIVIL_DAY;
	int64_t z = days + SHIFT_DAYS, era = floor_div(z, ERA_DAYS), doe = z - era * ERA_DAYS;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	int64_t month = mp < 10 ? mp + 3 : mp - 9;
	int64_t weekday = (days + 4) % 7; /* 1970-01-01 was a Thursday */

	return (struct civil){
		.year = (int32_t)(yoe + era * 400 + (month <= 2 ? 1 : 0)),
		.month = (uint8_t)month,
		.day = (uint8_t)(doy - (153 * mp + 2) / 5 + 1),
		.hour = (uint8_t)(rest / 3600),
		.minute = (uint8_t)(rest / 60 % 60),
		.second = (uint8_t)(rest % 60),
		.weekday = (uint8_t)(weekday < 0 ? weekday + 7 : weekday),
	};
}

unsigned
civil_month(const uint8_t name[static 3])
{
	for (unsigned m = 0; m < 12; m++)
		if (ch_upper(name[0]) == (uint8_t)months[m][0] &&
		    ch_lower(name[1]) == (uint8_t)months[m][1] &&
		    ch_lower(name[2]) == (uint8_t)months[m][2])
			return m + 1;
	return 0;
}

const char *
civil_month_name(unsigned month)
{
	return months[(month + 11) % 12];
}

const char *
civil_weekday_name(unsigned weekday)
{
	return weekdays[weekday % 7];
}
