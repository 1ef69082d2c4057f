/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/rate/rate.h"

#define HOUR ((uint64_t)3600000000)
#define NOW ((uint64_t)1700000000000000)

static struct rates r;

static int
empty(void **state)
{
	memset(&r, 0, sizeof r);
	return 0;
}

static void
counts(void **state)
{
	uint64_t k = rate_key('R', 7);

	for (int i = 0; i < 100; i++)
		assert_true(rate_take(&r, k, 100, HOUR, NOW));
	assert_false(rate_has(&r, k, 100, HOUR, NOW));
	assert_false(rate_take(&r, k, 100, HOUR, NOW));
	assert_true(rate_take(&r, rate_key('R', 8), 100, HOUR, NOW));
	assert_true(rate_take(&r, rate_key('M', 7), 100, HOUR, NOW));
	/* one comes back every 36 seconds, and all of them after an hour */
	assert_false(rate_take(&r, k, 100, HOUR, NOW + 35000000));
	assert_true(rate_take(&r, k, 100, HOUR, NOW + 36000000));
	assert_false(rate_take(&r, k, 100, HOUR, NOW + 36000001));
	for (int i = 0; i < 100; i++)
		assert_true(rate_take(&r, k, 100, HOUR, NOW + 3 * HOUR));
	assert_false(rate_take(&r, k, 100, HOUR, NOW + 3 * HOUR));
	for (int i = 0; i < 100000; i++)
		assert_true(rate_take(&r, k, 0, HOUR, NOW));
	/* a clock that was set back by years shuts nobody out */
	assert_true(rate_take(&r, k, 100, HOUR, NOW - 1000 * HOUR));
}

/* A flood of other keys forgets no key that is at its limit. */
static void
floods(void **state)
{
	uint64_t k = rate_key_text('I', S("victim"));

	for (int i = 0; i < 10; i++)
		assert_true(rate_take(&r, k, 10, HOUR, NOW));
	for (uint64_t i = 0; i < 200000; i++)
		assert_true(rate_take(&r, rate_key('I', i), 10, HOUR, NOW + i));
	assert_false(rate_take(&r, k, 10, HOUR, NOW + 1000000));
}

static void
kept(void **state)
{
	struct rate_slot s = { rate_key('R', 1), NOW + HOUR };

	rate_put(&r, &s, NOW);
	assert_false(rate_take(&r, s.key, 10, HOUR, NOW));
	s = (struct rate_slot){ rate_key('R', 2), NOW - 1 };
	rate_put(&r, &s, NOW);
	s = (struct rate_slot){ rate_key('R', 3), NOW + 1000 * HOUR };
	rate_put(&r, &s, NOW);
	assert_true(rate_has(&r, rate_key('R', 2), 1, HOUR, NOW) && rate_has(&r, rate_key('R', 3), 1, HOUR, NOW));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(counts, empty),
		cmocka_unit_test_setup(floods, empty),
		cmocka_unit_test_setup(kept, empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
