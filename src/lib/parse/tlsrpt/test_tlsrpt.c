/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/parse/tlsrpt/tlsrpt.h"

static void
fields(void **state)
{
	static const struct slice text =
	    S_INIT("v=TLSRPTv1; rua=mailto:a@b.example?subject=x , https://x.example/y%2c; ext=1;");
	struct tlsrpt_record r;
	struct slice uri, address;
	struct cursor c;

	assert_true(tlsrpt_parse(text, &r));
	c = cur_of(r.rua);
	assert_true(tlsrpt_uri_next(&c, &uri, &address) && slice_eq(address, S("a@b.example")));
	assert_true(tlsrpt_uri_next(&c, &uri, &address) && address.n == 0);
	assert_true(slice_eq(uri, S("https://x.example/y%2c")));
	assert_false(tlsrpt_uri_next(&c, &uri, &address));
	for (size_t n = 0; n < text.n; n++)
		if (tlsrpt_parse(slice_head(text, n), &r))
			assert_true(n >= 26);
}

static void
refused(void **state)
{
	static const char *const bad[] = { "", "v=TLSRPTv1", "V=TLSRPTv1; rua=mailto:a@b",
		"v=tlsrptv1; rua=mailto:a@b", "rua=mailto:a@b; v=TLSRPTv1", "v=TLSRPTv1; rua=ftp://a",
		"v=TLSRPTv1; rua=mailto:ab", "v=TLSRPTv1; rua=https:x", "v=TLSRPTv1; rua=mailto:a@b,",
		"v=TLSRPTv1; rua=mailto:a@b; rua=mailto:a@b", "v=TLSRPTv1; rua=mailto:a@b; ;x=1",
		"v=TLSRPTv1; rua=mailto:a\x80@b", "v=TLSRPTv1; rua=mailto:a@b; x=y=z" };
	struct tlsrpt_record r;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (tlsrpt_parse(slice_z(bad[i]), &r))
			fail_msg("taken: %s", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(fields), cmocka_unit_test(refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
