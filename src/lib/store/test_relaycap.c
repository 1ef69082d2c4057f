/* SPDX-License-Identifier: MIT */
#include "lib/store/test_help.h"

#include "lib/store/relaycap.h"

static void
outlives_its_process(void **state)
{
	const char *path = in_dir("relays.db");
	struct relaycap *c = NULL;
	uint64_t hour = 7;
	uint32_t used = 7;

	(void)state;
	assert_int_equal(relaycap_open(path, &c), STORE_OK);
	assert_int_equal(relaycap_get(c, S("up"), &hour, &used), STORE_NONE);
	assert_true(hour == 7 && used == 7);
	assert_int_equal(relaycap_put(c, S(""), 1, 1), STORE_REFUSED);
	assert_int_equal(relaycap_put(c, S("up"), 500000, 1), STORE_OK);
	assert_int_equal(relaycap_put(c, S("up"), 500000, 2), STORE_OK);
	assert_int_equal(relaycap_put(c, S("other"), 500001, UINT32_MAX), STORE_OK);
	relaycap_close(&c);
	assert_null(c);
	assert_int_equal(relaycap_open(path, &c), STORE_OK);
	assert_int_equal(relaycap_get(c, S("up"), &hour, &used), STORE_OK);
	assert_true(hour == 500000 && used == 2);
	assert_int_equal(relaycap_get(c, S("other"), &hour, &used), STORE_OK);
	assert_true(hour == 500001 && used == UINT32_MAX);
	relaycap_close(&c);
	relaycap_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(outlives_its_process, fresh_dir, drop_dir) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
