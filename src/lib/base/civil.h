/* SPDX-License-Identifier: MIT
 * The proleptic Gregorian calendar in UTC, as arithmetic: no locale, no time zone database, no
 * libc. Seconds count from 1970-01-01T00:00:00Z without leap seconds (POSIX time). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CIVIL_DAY 86400

struct civil {
	int32_t year;			/* 1..9999 in everything that mail writes */
	uint8_t month, day;		/* 1..12, 1..31 */
	uint8_t hour, minute, second;	/* 0..23, 0..59, 0..60 */
	uint8_t weekday;		/* 0 is Sunday; ignored on the way in */
};

/* Days from 1970-01-01 to this date; month and day must be in range (the day is not checked against
 * the month). */
int64_t civil_days(int32_t year, unsigned month, unsigned day);
/* Days of this month, 28..31. */
unsigned civil_month_days(int32_t year, unsigned month);
/* Fields to seconds. False, with *out untouched, when a field is out of its range: year 0..9999, day
 * within the month, second 60 allowed (counted as the first of the next minute). */
[[nodiscard]] bool civil_to_seconds(const struct civil *c, int64_t *out);
/* Seconds to fields. Everything outside the years 0..9999 is moved to the nearer end. */
struct civil civil_of(int64_t seconds);
/* 1..12 of an English month name in any case, by its first three letters; 0 when it is none.
 * RFC 5322 section 3.3. */
unsigned civil_month(const uint8_t name[static 3]);
/* "Jan" of 1, "Sun" of 0; the argument is taken modulo. */
const char *civil_month_name(unsigned month);
const char *civil_weekday_name(unsigned weekday);
