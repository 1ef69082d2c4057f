/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/idn/idn.h"

static const struct {
	struct slice in;
	bool ok;
	struct slice out;
} addresses[] = {
	{ S_INIT("bob@b.example"), true, S_INIT("bob@b.example") },
	{ S_INIT("Bob@B.example"), true, S_INIT("Bob@B.example") },
	{ S_INIT("bob@b\xc3\xbc" "cher.example"), true, S_INIT("bob@xn--bcher-kva.example") },
	{ S_INIT("bob@B\xc3\x9c" "CHER.example"), true, S_INIT("bob@xn--bcher-kva.example") },
	/* u and a combining diaeresis */
	{ S_INIT("bob@bu\xcc\x88" "cher.example"), true, S_INIT("bob@xn--bcher-kva.example") },
	{ S_INIT("ju\xcc\x88rgen@b.example"), true, S_INIT("j\xc3\xbcrgen@b.example") },
	{ S_INIT("j\xc3\xbcrgen@b.example"), true, S_INIT("j\xc3\xbcrgen@b.example") },
	{ S_INIT("\xd0\xb8@\xd0\xbf\xd1\x80.\xd1\x80\xd1\x84"), true, S_INIT("\xd0\xb8@xn--o1ac.xn--p1ai") },
	{ S_INIT("a\"@\"b@\xc3\xa9.example"), true, S_INIT("a\"@\"b@xn--9ca.example") },
	{ S_INIT("postmaster"), true, S_INIT("postmaster") },
	{ S_INIT("bob@\xff.example"), false, S_INIT("") },
	{ S_INIT("\xff@b.example"), false, S_INIT("") },
	{ S_INIT("bob@a\xe2\x80\x8b" "b\xe2\x98\x83..example"), false, S_INIT("") },
	{ S_INIT("bob@-\xc3\xbc.example"), false, S_INIT("") },
};

static void
table(void **state)
{
	for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
		own(arena_p) a = arena_new("test", 65536);
		struct slice out = S("");

		if (idn_address(addresses[i].in, a, &out) != addresses[i].ok ||
		    !slice_eq(out, addresses[i].out))
			print_error("%.*s: %.*s\n", SFMT(addresses[i].in), SFMT(out));
		assert_true(slice_eq(out, addresses[i].out));
		for (size_t n = 0; n < addresses[i].in.n; n++)
			if (idn_address(slice_head(addresses[i].in, n), a, &out))
				assert_true(out.n <= LIMIT_SMTP_ADDRESS + 1 + LIMIT_DOMAIN);
	}
}

static const struct {
	struct slice in, out;
} passwords[] = {
	{ S_INIT("correct horse"), S_INIT("correct horse") },
	{ S_INIT("j\xc3\xb6rg"), S_INIT("j\xc3\xb6rg") },
	{ S_INIT("jo\xcc\x88rg"), S_INIT("j\xc3\xb6rg") },	      /* o and a combining diaeresis */
	{ S_INIT("I\xc2\xadX"), S_INIT("IX") },			      /* RFC 4013 section 3, example 1 */
	{ S_INIT("\xc2\xaa"), S_INIT("a") },			      /* example 4 */
	{ S_INIT("\xe2\x85\xa8"), S_INIT("IX") },		      /* example 5: one Roman numeral */
	{ S_INIT("user"), S_INIT("user") }, { S_INIT("USER"), S_INIT("USER") }, /* examples 2, 3 */
	{ S_INIT("a\xc2\xa0" "b\xe3\x80\x80" "c"), S_INIT("a b c") },
	{ S_INIT("\xef\xbd\x81\xef\xbd\x82"), S_INIT("ab") },	      /* full width */
	{ S_INIT("\xf6\xff" "latin"), S_INIT("\xf6\xff" "latin") }, /* no UTF-8 */
	{ S_INIT("\xe2\x80\x8b"), S_INIT("") },
	{ S_INIT(""), S_INIT("") },
};

static void
prepared(void **state)
{
	own(arena_p) small = arena_new("test", 65536);
	own(buf_t) long_one = { .max = 4000 };
	struct slice out;

	for (size_t i = 0; i < sizeof passwords / sizeof passwords[0]; i++) {
		own(arena_p) a = arena_new("test", 65536);
		struct slice again;

		assert_true(idn_password(passwords[i].in, a, &out));
		if (!slice_eq(out, passwords[i].out))
			print_error("%zu: %.*s\n", i, SFMT(out));
		assert_true(slice_eq(out, passwords[i].out));
		assert_true(idn_password(out, a, &again) && slice_eq(out, again));
		for (size_t n = 0; n < passwords[i].in.n; n++)
			assert_true(idn_password(slice_head(passwords[i].in, n), a, &out));
	}
	for (int i = 0; i < 341; i++) /* each becomes eighteen characters */
		assert_true(buf_add(&long_one, S("\xef\xb7\xba")));
	assert_false(idn_password(buf_slice(&long_one), small, &out));
	assert_true(buf_add(&long_one, S("xx")));
	assert_false(idn_password(buf_slice(&long_one), small, &out));
}

/* Labels and names that grow over their limits, and an arena that is full. */
static void
limits(void **state)
{
	own(arena_p) a = arena_new("test", 65536);
	own(arena_p) none = arena_new("full", 16);
	own(buf_t) long_name = { .max = 4000 };
	struct slice out;

	for (int i = 0; i < 60; i++)
		assert_true(buf_add(&long_name, S("\xc3\xbc" "abcd.")));
	assert_false(idn_domain(buf_slice(&long_name), a, &out));
	assert_false(idn_domain(S("b\xc3\xbc" "cher.example-that-is-long"), none, &out));
	assert_false(idn_nfc(buf_slice(&long_name), a, &out));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(prepared), cmocka_unit_test(limits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
