/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/parse/url/url.h"

static const struct {
	struct slice text;
	bool ok;
	struct slice host, path;
	uint16_t port;
} table[] = {
	{ S_INIT("https://mta-sts.example.org/.well-known/mta-sts.txt"), true, S_INIT("mta-sts.example.org"),
	    S_INIT("/.well-known/mta-sts.txt"), 443 },
	{ S_INIT("HTTPS://A.B:8443/x?y=%20"), true, S_INIT("A.B"), S_INIT("/x?y=%20"), 8443 },
	{ S_INIT("https://a.b"), true, S_INIT("a.b"), S_INIT("/"), 443 },
	{ S_INIT("https://xn--bcher-kva.example/"), true, S_INIT("xn--bcher-kva.example"), S_INIT("/"), 443 },
	{ S_INIT("http://a.b/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https:/a.b/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https:///x"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://localhost/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://127.0.0.1/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://127.1/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://2130706433/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://127.0.0.0x1/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://[::1]/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://user@a.b/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b@evil.example/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b\\@c.d/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b:/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b:0/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b:65536/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b:443:444/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a..b/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b./"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://-a.b/"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b/#x"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b/ x"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b/\r\nHost: c"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b?x"), false, S_INIT(""), S_INIT(""), 0 },
	{ S_INIT("https://a.b/\0x"), false, S_INIT(""), S_INIT(""), 0 },
};

static void
urls(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct url u = { .port = 1 };

		if (url_parse(table[i].text, &u) != table[i].ok)
			fail_msg("%.*s", SFMT(table[i].text));
		assert_int_equal(u.port, table[i].ok ? table[i].port : 1);
		if (table[i].ok)
			assert_true(slice_eq(u.host, table[i].host) && slice_eq(u.path, table[i].path));
		for (size_t n = 0; n < table[i].text.n; n++)
			if (url_parse(slice_head(table[i].text, n), &u))
				assert_true(u.host.n > 0 && u.path.n > 0 && u.port > 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(urls) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
