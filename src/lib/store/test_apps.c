/* SPDX-License-Identifier: MIT */
#include "lib/store/test_help.h"

#include "lib/store/apps.h"

static bool
on_user(void *ctx, struct slice id, struct slice address)
{
	(void)id;
	(void)address;
	return ++*(unsigned *)ctx < 100;
}

static void
programs(void **state)
{
	own(arena_p) ar = arena_new("test", 65536);
	struct app shop = { S("shop"), 1001, S("shop@example.test @example.test"), 10, 2 }, out;
	struct apps *a = NULL;

	assert_int_equal(apps_open(in_dir("drop.db"), &a), STORE_OK);
	assert_int_equal(app_set(a, &shop), STORE_OK);
	assert_int_equal(app_set(a, &(struct app){ S("other"), 1001, S("a@b.test"), 0, 0 }), STORE_EXISTS);
	assert_int_equal(app_set(a, &(struct app){ S("a b"), 1, S("a@b.test"), 0, 0 }), STORE_REFUSED);
	assert_int_equal(app_set(a, &(struct app){ S("x"), 1, S("@b.test"), 0, 0 }), STORE_REFUSED);
	assert_int_equal(app_set(a, &(struct app){ S("x"), 1, S("a@b.test  c@d.test"), 0, 0 }), STORE_REFUSED);
	assert_int_equal(app_set(a, &(struct app){ S("x"), 1, S("a@b.test\nc@d.test"), 0, 0 }), STORE_REFUSED);
	assert_int_equal(app_of(a, 1001, ar, &out), STORE_OK);
	assert_true(slice_eq(out.name, S("shop")) && out.per_hour == 10 && out.per_recipient == 2);
	assert_int_equal(app_of(a, 1002, ar, &out), STORE_NONE);
	assert_int_equal(app_set(a, &(struct app){ S("any"), APPS_ANYBODY, S("n@b.test"), 0, 0 }), STORE_OK);
	assert_int_equal(app_of(a, 1002, ar, &out), STORE_OK);
	assert_true(slice_eq(out.name, S("any")));
	assert_int_equal(app_of(a, 0, ar, &out), STORE_NONE); /* root is nobody's default */
	apps_close(&a);
	assert_int_equal(apps_open(in_dir("drop.db"), &a), STORE_OK);
	assert_int_equal(app_of(a, 1001, ar, &out), STORE_OK);
	assert_int_equal(app_delete(a, S("shop")), STORE_OK);
	assert_int_equal(app_delete(a, S("shop")), STORE_NONE);
	apps_close(&a);
}

static void
people_and_templates(void **state)
{
	own(arena_p) ar = arena_new("test", 65536);
	struct app_template t = { S("hi"), S("Hello {{name}}"), S("Dear {{name}}\n") }, out;
	struct slice address;
	struct apps *a = NULL;
	unsigned n = 0;

	assert_int_equal(apps_open(in_dir("drop.db"), &a), STORE_OK);
	assert_int_equal(app_user_begin(a, S("shop")), STORE_NONE);
	assert_int_equal(app_template_set(a, S("shop"), &t), STORE_NONE);
	assert_int_equal(app_set(a, &(struct app){ S("shop"), 7, S("s@b.test"), 0, 0 }), STORE_OK);
	assert_int_equal(app_set(a, &(struct app){ S("blog"), 8, S("b@b.test"), 0, 0 }), STORE_OK);
	assert_int_equal(app_user_begin(a, S("shop")), STORE_OK);
	assert_int_equal(app_user_set(a, S("shop"), S("42"), S("alice@far.test")), STORE_OK);
	assert_int_equal(app_user_set(a, S("shop"), S("43"), S("no address")), STORE_REFUSED);
	assert_int_equal(app_user_commit(a), STORE_REFUSED); /* all or none */
	assert_int_equal(app_user_address(a, S("shop"), S("42"), ar, &address), STORE_NONE);
	assert_int_equal(app_user_begin(a, S("shop")), STORE_OK);
	assert_int_equal(app_user_set(a, S("shop"), S("42"), S("alice@far.test")), STORE_OK);
	assert_int_equal(app_user_commit(a), STORE_OK);
	assert_int_equal(app_user_address(a, S("shop"), S("42"), ar, &address), STORE_OK);
	assert_true(slice_eq(address, S("alice@far.test")));
	/* the people of one program are not those of another */
	assert_int_equal(app_user_address(a, S("blog"), S("42"), ar, &address), STORE_NONE);
	assert_int_equal(app_user_list(a, S("shop"), S(""), on_user, &n), STORE_OK);
	assert_int_equal(n, 1);
	assert_int_equal(app_template_set(a, S("shop"), &t), STORE_OK);
	t.subject = S("two\nlines");
	assert_int_equal(app_template_set(a, S("shop"), &t), STORE_REFUSED);
	assert_int_equal(app_template_get(a, S("shop"), S("hi"), ar, &out), STORE_OK);
	assert_true(slice_eq(out.text, S("Dear {{name}}\n")));
	assert_int_equal(app_template_get(a, S("blog"), S("hi"), ar, &out), STORE_NONE);
	assert_int_equal(app_delete(a, S("shop")), STORE_OK);
	assert_int_equal(app_user_address(a, S("shop"), S("42"), ar, &address), STORE_NONE);
	assert_int_equal(app_template_get(a, S("shop"), S("hi"), ar, &out), STORE_NONE);
	apps_close(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh_dir, drop_dir)
		T(programs), T(people_and_templates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
