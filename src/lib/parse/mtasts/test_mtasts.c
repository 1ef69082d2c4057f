/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/parse/mtasts/mtasts.h"

static const struct slice policy = S_INIT("version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n"
					  "mx: *.example.net\r\nmax_age: 99999999\r\nmode: none\r\n");

static void
fields(void **state)
{
	static const struct {
		struct slice host;
		bool matches;
	} hosts[] = { { S_INIT("mail.example.com"), true }, { S_INIT("MAIL.Example.com."), true },
		{ S_INIT("a.mail.example.com"), false }, { S_INIT("a.example.net"), true },
		{ S_INIT("a.b.example.net"), false }, { S_INIT("example.net"), false },
		{ S_INIT(".example.net"), false }, { S_INIT("xexample.net"), false },
		{ S_INIT(""), false }, { S_INIT("*.example.net"), true } };
	struct mtasts_policy p;
	struct mtasts_record r;

	assert_true(mtasts_policy_parse(policy, &p));
	assert_true(p.mode == MTASTS_ENFORCE && p.n_mx == 2 && p.max_age == LIMIT_MTASTS_MAX_AGE);
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
		if (mtasts_matches(&p, hosts[i].host) != hosts[i].matches)
			fail_msg("%.*s", SFMT(hosts[i].host));
	assert_true(mtasts_record_parse(S("v = STSv1 ;\tid=abc; "), &r) && slice_eq(r.id, S("abc")));
	assert_false(mtasts_record_parse(S("v=STSv1; id=a; id=b"), &r));
	for (size_t n = 0; n < policy.n; n++)
		if (mtasts_policy_parse(slice_head(policy, n), &p))
			assert_true(p.n_mx == 2);
}

static void
too_much(void **state)
{
	static uint8_t text[LIMIT_MTASTS_POLICY + 1];
	struct mtasts_policy p;
	size_t n;

	memcpy(text, "version:STSv1\nmode:none\nmax_age:0\n", 34);
	for (n = 34; n + 9 <= 34 + 9 * (LIMIT_MTASTS_MX + 1); n += 9)
		memcpy(&text[n], "mx:a.bcd\n", 9);
	assert_false(mtasts_policy_parse(slice_of(text, n), &p));
	assert_true(mtasts_policy_parse(slice_of(text, n - 9), &p));
	memset(text, '\n', sizeof text);
	assert_false(mtasts_policy_parse(slice_of(text, sizeof text), &p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(fields), cmocka_unit_test(too_much) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
