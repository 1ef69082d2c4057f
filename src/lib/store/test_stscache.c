/* SPDX-License-Identifier: MIT */
#include "lib/store/test_help.h"

#include "lib/store/stscache.h"

#define T0 INT64_C(1700000000)

static void
keeps_and_replaces(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	struct stscache *c = NULL;
	struct stscache_row row = { .id = S("one"), .text = S("version: STSv1\r\n"), .fetched = T0, .expires = T0 + 100 };
	struct stscache_row got = { .fetched = 7 };
	const char *path = in_dir("sts.db");

	(void)state;
	assert_int_equal(stscache_open(path, &c), STORE_OK);
	assert_int_equal(stscache_get(c, S("a.example"), a, &got), STORE_NONE);
	assert_int_equal(got.fetched, 7);
	assert_int_equal(stscache_put(c, S("a.example"), &row, T0), STORE_OK);
	row.id = S("two");
	row.tried = T0 + 5;
	assert_int_equal(stscache_put(c, S("a.example"), &row, T0), STORE_OK);
	stscache_close(&c);
	/* it lives on over a restart (RFC 8461 5.1) */
	assert_int_equal(stscache_open(path, &c), STORE_OK);
	assert_int_equal(stscache_get(c, S("a.example"), a, &got), STORE_OK);
	assert_true(slice_eq(got.id, S("two")) && slice_eq(got.text, row.text));
	assert_int_equal(got.fetched, T0);
	assert_int_equal(got.expires, T0 + 100);
	assert_int_equal(got.tried, T0 + 5);
	assert_int_equal(stscache_get(c, S("b.example"), a, &got), STORE_NONE);
	stscache_close(&c);
	assert_null(c);
}

static void
refuses_and_forgets(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	static uint8_t large[LIMIT_STSCACHE_TEXT + 1];
	struct stscache *c = NULL;
	struct stscache_row row = { .id = S("one"), .text = slice_of(large, sizeof large), .expires = T0 };
	uint64_t n = 0;

	(void)state;
	assert_int_equal(stscache_open(in_dir("sts2.db"), &c), STORE_OK);
	assert_int_equal(stscache_put(c, S("a.example"), &row, T0), STORE_REFUSED);
	row.text = slice_of(large, LIMIT_STSCACHE_TEXT);
	assert_int_equal(stscache_put(c, S(""), &row, T0), STORE_REFUSED);
	assert_int_equal(stscache_put(c, S("a.example"), &row, T0), STORE_OK);
	/* a full arena is no "none" */
	own(arena_p) small = arena_new("small", 1024);
	assert_int_equal(stscache_get(c, S("a.example"), small, &row), STORE_LIMIT);
	/* 300 that expired long ago go with the next look */
	row = (struct stscache_row){ .id = S("old"), .text = S("x"), .expires = T0 - 200000 };
	for (unsigned i = 0; i < 300; i++) {
		own(buf_t) name = { .max = 64 };

		(void)buf_fmt(&name, "d%u.example", i);
		assert_int_equal(stscache_put(c, buf_slice(&name), &row, T0), STORE_OK);
	}
	assert_int_equal(stscache_count(c, &n), STORE_OK);
	assert_true(n < 100);
	assert_int_equal(stscache_get(c, S("a.example"), a, &row), STORE_OK);
	stscache_close(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keeps_and_replaces, fresh_dir, drop_dir),
		cmocka_unit_test_setup_teardown(refuses_and_forgets, fresh_dir, drop_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
