/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "lib/base/chars.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/make/srs/testing.h"

#define TODAY 20417u

static uint64_t secret = 42, other_secret = 43;
static const struct srs s = { test_mac, &secret }, stranger = { test_mac, &other_secret };

static struct slice
local_of(struct slice address)
{
	size_t at = slice_rfind_byte(address, '@');

	assert_true(at != SLICE_NONE && at <= LIMIT_SMTP_LOCAL);
	return slice_head(address, at);
}

static struct slice
written(struct slice sender, uint32_t day, struct arena *a)
{
	struct slice out = { 0 };

	assert_true(srs_write(&s, sender, S("ours.test"), day, a, &out));
	assert_true(slice_ends(out, S("@ours.test")) && srs_is(local_of(out)));
	return out;
}

/* There and back, in any case that the way may give it, for as long as it counts and no longer. */
static void
there_and_back(void **state)
{
	static const struct slice senders[] = { S_INIT("alice@far.example"), S_INIT("a@b"),
		S_INIT("x+y=z@sub.far.example"), S_INIT("SRS@far.example"), S_INIT("srs0x@far.example"),
		S_INIT("=@far.example"), S_INIT("o'neill@far.example") };
	own(arena_p) a = arena_new("test", 1 << 20);

	for (size_t i = 0; i < sizeof senders / sizeof senders[0]; i++) {
		struct slice out = written(senders[i], TODAY, a), back = { 0 };
		uint8_t low[LIMIT_SMTP_LOCAL];

		assert_true(slice_istarts(out, S("SRS0=")));
		assert_int_equal(srs_read(&s, local_of(out), TODAY, a, &back), SRS_OK);
		assert_true(slice_eq(back, senders[i]));
		assert_int_equal(srs_read(&s, local_of(out), TODAY + SRS_DAYS, a, &back), SRS_OK);
		assert_int_equal(srs_read(&s, local_of(out), TODAY + SRS_DAYS + 1, a, &back), SRS_EXPIRED);
		assert_int_equal(srs_read(&s, local_of(out), TODAY - 1, a, &back), SRS_EXPIRED);
		assert_int_equal(srs_read(&stranger, local_of(out), TODAY, a, &back), SRS_FORGED);
		for (size_t k = 0; k < local_of(out).n; k++)
			low[k] = ch_lower(slice_at(out, k));
		assert_int_equal(srs_read(&s, slice_of(low, local_of(out).n), TODAY, a, &back), SRS_OK);
		assert_true(slice_ieq(back, senders[i]));
	}
}

/* Every single change of a character, and every truncation, is refused. */
static void
forgeries(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	struct slice good = local_of(written(S("alice@far.example"), TODAY, a)), back = { 0 };
	uint8_t bad[LIMIT_SMTP_LOCAL];

	for (size_t n = 0; n < good.n; n++)
		assert_int_equal(srs_read(&s, slice_head(good, n), TODAY, a, &back), SRS_FORGED);
	for (size_t i = 5; i < good.n; i++)
		for (unsigned c = 0x21; c < 0x7f; c++) {
			memcpy(bad, good.p, good.n);
			if (ch_lower((uint8_t)c) == ch_lower(bad[i]))
				continue;
			bad[i] = (uint8_t)c;
			assert_int_equal(srs_read(&s, slice_of(bad, good.n), TODAY, a, &back), SRS_FORGED);
		}
	assert_int_equal(srs_read(&s, S("alice"), TODAY, a, &back), SRS_FORGED);
	assert_false(srs_is(S("SRS0")) || srs_is(S("SRS2=x")) || srs_is(S("SRS0_x")) || srs_is(S("")));
	assert_int_equal(back.n, 0);
}

/* Chains: the second forwarder's bounce goes to the first at once, however many follow. */
static void
chains(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	struct slice one, two, back = { 0 };

	one = written(S("SRS0+abcd=tt=orig.test=al@first.test"), TODAY, a);
	assert_true(slice_starts(one, S("SRS1=")));
	assert_int_equal(srs_read(&s, local_of(one), TODAY, a, &back), SRS_OK);
	assert_true(slice_eq(back, S("SRS0+abcd=tt=orig.test=al@first.test")));
	two = written(S("SRS1=hhhh=first.test==abcd=tt=orig.test=al@second.test"), TODAY, a);
	assert_true(slice_starts(two, S("SRS1=")));
	assert_int_equal(srs_read(&s, local_of(two), TODAY, a, &back), SRS_OK);
	assert_true(slice_eq(back, S("SRS0=abcd=tt=orig.test=al@first.test")));
	/* an address of ours that comes back through another forward is signed anew */
	one = written(written(S("a@b.test"), TODAY, a), TODAY, a);
	assert_int_equal(srs_read(&s, local_of(one), TODAY, a, &back), SRS_OK);
	assert_true(slice_ends(back, S("@ours.test")));
	assert_int_equal(srs_read(&s, local_of(back), TODAY, a, &back), SRS_OK);
	assert_true(slice_eq(back, S("a@b.test")));
}

/* RFC 5321 4.5.3.1.1: what does not fit in 64 bytes comes back to our postmaster. */
static void
too_long(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	struct slice back = S("untouched"), out;

	out = written(S("bounces+1234567890-abcdefgh-alice=example.test@em1234.mail.far.example"), TODAY, a);
	assert_int_equal(srs_read(&s, local_of(out), TODAY, a, &back), SRS_POSTMASTER);
	assert_true(slice_eq(back, S("untouched")));
	assert_int_equal(srs_read(&s, local_of(out), TODAY + 30, a, &back), SRS_EXPIRED);
	out = written(S("\"a b\"@far.example"), TODAY, a);
	assert_int_equal(srs_read(&s, local_of(out), TODAY, a, &back), SRS_POSTMASTER);
	out = written(S("SRS1=broken@far.example"), TODAY, a);
	assert_int_equal(srs_read(&s, local_of(out), TODAY, a, &back), SRS_POSTMASTER);
	assert_false(srs_write(&s, S("nobody"), S("ours.test"), TODAY, a, &out));
	assert_false(srs_write(&s, S("@x"), S("ours.test"), TODAY, a, &out));
	assert_false(srs_write(&s, S(""), S("ours.test"), TODAY, a, &out));
}

/* A stamp that comes round: every day of three years is today, and only then. */
static void
days(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 24);
	struct slice back = { 0 };

	for (uint32_t d = TODAY; d < TODAY + 1100; d++)
		assert_int_equal(srs_read(&s, local_of(written(S("a@b.test"), d, a)), d + 3, a, &back), SRS_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(forgeries),
		cmocka_unit_test(chains),
		cmocka_unit_test(too_long),
		cmocka_unit_test(days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
