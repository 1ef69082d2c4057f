/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>

#include "lib/base/civil.h"
#include "lib/base/own.h"
#include "lib/make/date.h"
#include "lib/parse/date/date.h"

static const struct {
	struct slice in;
	bool ok;
	int64_t seconds;
	int zone;
	bool unknown;
} table[] = {
	{ S_INIT("Thu, 1 Jan 1970 00:00:00 +0000"), true, 0, 0, false },
	{ S_INIT("Thu, 01 Jan 1970 00:00:00 -0000"), true, 0, 0, true },
	{ S_INIT("1 Jan 70 00:00 GMT"), true, 0, 0, false },
	{ S_INIT("1 Jan 1970 01:00:00 +0100"), true, 0, 60, false },
	{ S_INIT("Tue, 1 Jul 2003 10:52:37 +0200"), true, 1057049557, 120, false },
	{ S_INIT("Tue, 1 Jul 03 10:52:37 +0200"), true, 1057049557, 120, false },
	{ S_INIT("Tue, 1 Jul 103 10:52:37 +0200"), true, 1057049557, 120, false },
	{ S_INIT("Fri, 31 Dec 1999 23:59:60 Z"), true, 946684800, 0, false },
	{ S_INIT("29 Feb 2000 00:00:00 +0000"), true, 951782400, 0, false },
	{ S_INIT("Tue Jul  1 10:52:37 2003"), true, 1057056757, 0, true },
	{ S_INIT("Tue Jul  1 10:52:37 PDT 2003"), true, 1057081957, -420, false },
	{ S_INIT("Tue (c (d)) , (\\)) 1\r\n\tJul 2003 10 : 52 : 37 (x) +0200 (CEST)"), true,
	    1057049557, 120, false },
	{ S_INIT("Tue 1 July 2003 10:52:37 +0200"), true, 1057049557, 120, false },
	{ S_INIT("Thu, 10 Jul 1997 14:53:31 EST5EDT"), true, 868564411, -300, false },
	{ S_INIT("Thu, 10 Jul 1997 14:53:31 A"), true, 868546411, 0, true },
	{ S_INIT("Thu, 10 Jul 1997 14:53:31"), true, 868546411, 0, true },
	{ S_INIT("17 May 2026 22:15:15 +1400"), true, 1779005715, 840, false },
	{ S_INIT("1 Jan 9999 00:00:00 +0000"), true, 253370764800, 0, false },
	{ S_INIT(""), false, 0, 0, false },
	{ S_INIT("30 Feb 2000 00:00:00 +0000"), false, 0, 0, false },
	{ S_INIT("29 Feb 1900 00:00:00 +0000"), false, 0, 0, false },
	{ S_INIT("0 Jan 2000 00:00:00 +0000"), false, 0, 0, false },
	{ S_INIT("1 Jan 10000 00:00:00 +0000"), false, 0, 0, false },
	{ S_INIT("1 Jan 99999999999 00:00:00 +0000"), false, 0, 0, false },
	{ S_INIT("1 Jan 2000 24:00:00 +0000"), false, 0, 0, false },
	{ S_INIT("1 Jan 2000 23:60:00 +0000"), false, 0, 0, false },
	{ S_INIT("1 Jan 2000"), false, 0, 0, false },
	{ S_INIT("Tue, 7 Bog 2026 19:14:51 +0000"), false, 0, 0, false },
	{ S_INIT("Tue, 1 Jul 2003 ((never closed) 10:52:37 +0200"), false, 0, 0, false },
};

static void
rfc5322(void **state)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct date d = { .seconds = 42 };

		assert_int_equal(date_parse(table[i].in, &d), table[i].ok);
		if (table[i].ok) {
			assert_int_equal(d.seconds, table[i].seconds);
			assert_int_equal(d.zone, table[i].zone);
			assert_int_equal(d.zone_unknown, table[i].unknown);
		} else {
			assert_int_equal(d.seconds, 42);
		}
		for (size_t n = 0; n < table[i].in.n; n++) {
			void *exact = malloc(n + 1);

			memcpy(exact, table[i].in.p, n);
			(void)date_parse(slice_of(exact, n), &d);
			free(exact);
		}
	}
}

static void
imap(void **state)
{
	struct date d;
	int64_t day;

	assert_true(date_parse_imap(S("17-Jul-1996 02:44:25 -0700"), &d));
	assert_int_equal(d.seconds, 837596665);
	assert_int_equal(d.zone, -420);
	assert_true(date_parse_imap(S(" 7-jul-1996 02:44:25 +0000"), &d));
	assert_false(date_parse_imap(S("7-Jul-1996 02:44:25 +0000"), &d));
	assert_false(date_parse_imap(S("17-July-1996 2:44:25 +0000"), &d));
	assert_false(date_parse_imap(S("17-Jul-1996 02:44:25 +0000 "), &d));
	assert_false(date_parse_imap(S("32-Jul-1996 02:44:25 +0000"), &d));
	assert_false(date_parse_imap(S("17-Jul-1996 02:44:25 +0060"), &d));
	assert_false(date_parse_imap(S(""), &d));
	assert_true(date_parse_imap_day(S("1-Feb-1994"), &day) && day == 8797);
	assert_true(date_parse_imap_day(S("01-Feb-1994"), &day) && day == 8797);
	assert_false(date_parse_imap_day(S("001-Feb-1994"), &day));
	assert_false(date_parse_imap_day(S("1-Feb-94"), &day));
	assert_false(date_parse_imap_day(S("30-Feb-1994"), &day));
	assert_false(date_parse_imap_day(S("1-Febr-1994"), &day));
	assert_false(date_parse_imap_day(S("0-Feb-1994"), &day));
	assert_true(date_parse(S("1 Feb 1994 23:30:00 -0800"), &d));
	assert_int_equal(date_local_day(&d), 8797);
	assert_true(date_parse(S("31 Dec 1969 23:30:00 +0000"), &d));
	assert_int_equal(date_local_day(&d), -1);
}

static void
says(bool (*format)(struct buf *, int64_t, int), int64_t seconds, int zone, const char *want)
{
	own(buf_t) b = { .max = 0 };

	buf_init(&b, 64);
	assert_true(format(&b, seconds, zone));
	assert_true(slice_eq(buf_slice(&b), slice_z(want)));
}

static void
formats(void **state)
{
	says(date_format_rfc5322, -27723426, -210, "Thu, 13 Feb 1969 23:32:54 -0330");
	says(date_format_rfc5322, 1057049557, 120, "Tue, 01 Jul 2003 10:52:37 +0200");
	says(date_format_imap, 1057049557, 120, " 1-Jul-2003 10:52:37 +0200");
	says(date_format_imap, 837596665, -420, "17-Jul-1996 02:44:25 -0700");
	says(date_format_rfc3339, 0, 0, "1970-01-01T00:00:00Z");
	says(date_format_rfc3339, 1057049557, -210, "2003-07-01T05:22:37-03:30");
	says(date_format_rfc3339, INT64_MAX, 5999, "9999-12-31T23:59:59+99:59");
	says(date_format_rfc3339, INT64_MIN, 0, "0000-01-01T00:00:00Z");
}

/* Every day of ten thousand years goes there and back; each writer is read back. */
static void
there_and_back(void **state)
{
	own(buf_t) b = { .max = 0 };
	int64_t first = civil_days(1, 1, 1), last = civil_days(9999, 12, 31);
	struct date d;

	buf_init(&b, 64);
	assert_int_equal(civil_days(1970, 1, 1), 0);
	for (int64_t day = first; day <= last; day++) {
		struct civil c = civil_of(day * CIVIL_DAY + 86399);

		assert_int_equal(civil_days(c.year, c.month, c.day), day);
		assert_true(c.hour == 23 && c.minute == 59 && c.second == 59);
		if (day % 97 != 0 || c.year < 1000)
			continue;
		int zone = (int)(day % 1440);
		buf_reset(&b);
		date_format_rfc5322(&b, day * CIVIL_DAY + 12345, zone);
		assert_true(date_parse(buf_slice(&b), &d));
		assert_true(d.seconds == day * CIVIL_DAY + 12345 && d.zone == zone);
		buf_reset(&b);
		date_format_imap(&b, day * CIVIL_DAY + 12345, zone);
		assert_true(date_parse_imap(buf_slice(&b), &d));
		assert_true(d.seconds == day * CIVIL_DAY + 12345 && d.zone == zone);
	}
}

/* The field body that a vector's header is: up to a line end without folding, for Received what
 * stands behind the last semicolon. */
static struct slice
field_of(struct slice s)
{
	size_t semicolon;

	for (size_t i = 0; i < s.n; i++)
		if (slice_at(s, i) == '\n' && (i + 1 == s.n || !ch_is_wsp(slice_at(s, i + 1))))
			s = slice_sub(s, 0, i);
	semicolon = slice_rfind_byte(s, ';');
	return semicolon == SLICE_NONE ? s : slice_from(s, semicolon + 1);
}

static void
vectors(void **state)
{
	json_t *root = json_load_file(VECTORS "/header-mailparser/date.json", 0, NULL), *entry;
	size_t i;

	assert_non_null(root);
	assert_true(json_array_size(root) >= 20);
	json_array_foreach (root, i, entry) {
		json_t *want = json_object_get(entry, "expected");
		struct slice in = slice_z(json_string_value(json_object_get(entry, "header")));
		struct date d;
		bool ok = date_parse(field_of(in), &d);

		assert_int_equal(ok, !json_is_null(want));
		if (!ok)
			continue;
		int zone = (int)(json_integer_value(json_object_get(want, "tz_hour")) * 60 +
		    json_integer_value(json_object_get(want, "tz_minute")));
		struct civil c = {
			.year = (int32_t)json_integer_value(json_object_get(want, "year")),
			.month = (uint8_t)json_integer_value(json_object_get(want, "month")),
			.day = (uint8_t)json_integer_value(json_object_get(want, "day")),
			.hour = (uint8_t)json_integer_value(json_object_get(want, "hour")),
			.minute = (uint8_t)json_integer_value(json_object_get(want, "minute")),
			.second = (uint8_t)json_integer_value(json_object_get(want, "second")),
		};
		int64_t seconds;

		if (json_is_true(json_object_get(want, "tz_before_gmt")))
			zone = -zone;
		assert_true(civil_to_seconds(&c, &seconds));
		assert_int_equal(d.zone, zone);
		assert_int_equal(d.seconds, seconds - zone * 60);
	}
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc5322),
		cmocka_unit_test(imap),
		cmocka_unit_test(formats),
		cmocka_unit_test(there_and_back),
	};
	const struct CMUnitTest from_vectors[] = {
		cmocka_unit_test(vectors),
	};

	if (cmocka_run_group_tests(tests, NULL, NULL) != 0)
		return 1;
	if (access(VECTORS "/header-mailparser/date.json", R_OK) != 0) {
		(void)printf("SKIP: no ../shared/vectors/header-mailparser\n");
		return 77;
	}
	return cmocka_run_group_tests(from_vectors, NULL, NULL);
}
