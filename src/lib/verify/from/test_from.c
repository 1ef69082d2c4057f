/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/verify/from/from.h"

static const struct {
	struct slice header;
	const char *why; /* "": taken */
	struct slice address;
	struct slice domain;
	bool claims;
} table[] = {
	{ S_INIT("From: a@b.example\r\n"), "", S_INIT("a@b.example"), S_INIT("b.example"), false },
	{ S_INIT("FROM:\r\n A B <a@B.Example>\r\n"), "", S_INIT("a@B.Example"), S_INIT("b.example"), false },
	{ S_INIT("To: x\r\nFrom: \"x@bank.example\" <a@b.example>\r\n"), "", S_INIT("a@b.example"),
	    S_INIT("b.example"), true },
	{ S_INIT("From: =?utf-8?q?x=40bank.example?= <a@b.example>\r\n"), "", S_INIT("a@b.example"),
	    S_INIT("b.example"), true },
	{ S_INIT("From: \"a@b.example\" <a@b.example>\r\n"), "", S_INIT("a@b.example"),
	    S_INIT("b.example"), false },
	{ S_INIT("From: a@b.example, c@d.example\r\n"), "", S_INIT("a@b.example"), S_INIT("b.example"),
	    false },
	{ S_INIT("From: a@m\xc3\xbcnchen.example\r\n"), "", S_INIT("a@m\xc3\xbcnchen.example"),
	    S_INIT("xn--mnchen-3ya.example"), false },
	{ S_INIT("To: x\r\n"), "no From field", S_INIT(""), S_INIT(""), false },
	{ S_INIT("From: a@b.example\r\nFrom: c@d.example\r\n"), "several From fields", S_INIT(""), S_INIT(""),
	    false },
	{ S_INIT("From: a@b.example\r\nfrom : c@d.example\r\n"), "several From fields", S_INIT(""), S_INIT(""),
	    false },
	{ S_INIT("From: a@b.example\r\nFr\x01om: c@d.example\r\n"), "several From fields", S_INIT(""),
	    S_INIT(""), false },
	{ S_INIT("From : a@b.example\r\n"), "From field with a broken name", S_INIT(""), S_INIT(""), false },
	{ S_INIT("From\r\n : a@b.example\r\n"), "From field with a broken name", S_INIT(""), S_INIT(""),
	    false },
	{ S_INIT(" From: a@b.example\r\n"), "From field with a broken name", S_INIT(""), S_INIT(""), false },
	{ S_INIT("From: \r\n"), "From without an address", S_INIT(""), S_INIT(""), false },
	{ S_INIT("From: x\r\n"), "From is no clean address", S_INIT(""), S_INIT(""), false },
	{ S_INIT("From: <@x.example:a@b.example>\r\n"), "From with a route", S_INIT(""), S_INIT(""), false },
	{ S_INIT("From: g: a@b.example;\r\n"), "From with a group", S_INIT(""), S_INIT(""), false },
	{ S_INIT("From: a@[192.0.2.1]\r\n"), "From without a domain", S_INIT(""), S_INIT(""), false },
	{ S_INIT("From: a@b\r\n"), "From without a domain", S_INIT(""), S_INIT(""), false },
	{ S_INIT("From: <a@b.example>c@d.example\r\n"), "From is no clean address", S_INIT(""), S_INIT(""),
	    false },
};

static void
judged(void **state)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		for (size_t n = table[i].header.n + 1; n-- > 0;) {
			own(arena_p) a = arena_new("test", 1 << 20);
			struct from_verdict v;
			struct header h;

			assert_true(header_split(slice_head(table[i].header, n), a, &h));
			from_judge(&h, a, &v);
			assert_int_equal(v.ok, v.why[0] == '\0');
			assert_int_equal(v.ok, v.n > 0);
			assert_false(v.full);
			if (n < table[i].header.n)
				continue;
			if (strcmp(v.why, table[i].why) != 0 || !slice_eq(v.address, table[i].address) ||
			    (v.ok && !slice_eq(v.domains[0], table[i].domain)) ||
			    v.name_claims != table[i].claims)
				fail_msg("%zu: \"%s\" %.*s", i, v.why, SFMT(v.address));
		}
}

static void
many(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 22);
	struct from_verdict v;
	struct header h;
	struct buf b;

	buf_init(&b, 1 << 20);
	(void)buf_add(&b, S("From: a@b.example"));
	for (int i = 0; i < 10000; i++)
		(void)buf_add(&b, S(",\r\n a@b.example"));
	(void)buf_add(&b, S("\r\n\r\n"));
	assert_true(header_split(buf_slice(&b), a, &h));
	from_judge(&h, a, &v);
	assert_string_equal(v.why, "From with too many addresses");
	buf_free(&b);
}

static void
full_arena(void **state)
{
	static const struct slice text = S_INIT("From: \"x\" <a@b.example>, c@d.example\r\n\r\n");
	own(arena_p) big = arena_new("header", 1 << 20);
	struct from_verdict v = { .ok = false };
	struct header h;

	assert_true(header_split(text, big, &h));
	for (size_t ceiling = 0; ceiling < 8192; ceiling += 16) {
		own(arena_p) a = arena_new("test", ceiling);

		from_judge(&h, a, &v);
		if (!v.ok)
			assert_true(v.full);
	}
	assert_true(v.ok && v.n == 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(judged), cmocka_unit_test(many),
		cmocka_unit_test(full_arena) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
