/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "lib/base/ip.h"
#include "lib/base/own.h"

static void
table(void **state)
{
	/* text, canonical text; NULL: refused */
	static const char *const rows[][2] = { { "192.0.2.1", "192.0.2.1" }, { "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" }, { "256.1.1.1", NULL }, { "1.2.3", NULL },
		{ "01.2.3.4", NULL }, { "1.2.3.4.", NULL }, { "1.2.3.4 ", NULL }, { "", NULL },
		{ "00.2.3.4", NULL }, { "::", "::" }, { "::1", "::1" }, { "1::", "1::" },
		{ "2001:DB8::1", "2001:db8::1" }, { "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
		{ "1:0:0:2:0:0:0:3", "1:0:0:2::3" }, { "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
		{ "1:2:3:4:5:6:7:8::", NULL }, { "::1:2:3:4:5:6:7:8", NULL }, { "1::2::3", NULL },
		{ ":1", NULL }, { "1:", NULL }, { ":::", NULL }, { "12345::", NULL }, { "g::", NULL },
		{ "::ffff:1.2.3.4", "::ffff:1.2.3.4" }, { "::1.2.3.4", "::102:304" },
		{ "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" }, { "1:2:3:4:5:6:7:1.2.3.4", NULL },
		{ "::1.2.3.4:5", NULL }, { "1.2.3.4::", NULL }, { "fe80::1%eth0", NULL },
		{ "cafe:babe:8000::", "cafe:babe:8000::" } };
	own(buf_t) b = { .max = 0 };

	buf_init(&b, LIMIT_IP_TEXT);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned char theirs[16];
		struct ip ip = { .n = 0 };
		bool v6 = strchr(rows[i][0], ':') != NULL;
		bool ok = ip_parse(slice_z(rows[i][0]), &ip);

		if (ok != (rows[i][1] != NULL))
			fail_msg("%s: %d", rows[i][0], ok);
		assert_int_equal(ok, inet_pton(v6 ? AF_INET6 : AF_INET, rows[i][0], theirs) == 1);
		if (!ok)
			continue;
		assert_memory_equal(ip.b, theirs, ip.n);
		buf_reset(&b);
		assert_true(ip_put(&b, &ip));
		if (!slice_eq(buf_slice(&b), slice_z(rows[i][1])))
			fail_msg("%s: %.*s", rows[i][0], SFMT(buf_slice(&b)));
	}
}

static void
networks(void **state)
{
	struct ip ip, net;

	assert_true(ip_parse(S("10.1.2.3"), &ip) && ip_parse(S("10.1.0.0"), &net));
	assert_true(ip_in(&ip, &net, 0) && ip_in(&ip, &net, 16) && ip_in(&ip, &net, 22));
	assert_false(ip_in(&ip, &net, 23) || ip_in(&ip, &net, 32) || ip_in(&ip, &net, 99));
	assert_true(ip_parse(S("::ffff:10.1.2.3"), &net));
	assert_false(ip_in(&ip, &net, 0));
	net = ip_unmap(net);
	assert_true(ip_in(&ip, &net, 32));
}

static void
reverse(void **state)
{
	own(buf_t) b = { .max = 0 };
	struct ip ip;

	buf_init(&b, 100);
	assert_true(ip_parse(S("192.0.2.1"), &ip) && ip_reverse(&b, &ip));
	assert_true(slice_eq(buf_slice(&b), S("1.2.0.192.in-addr.arpa")));
	buf_reset(&b);
	assert_true(ip_parse(S("2001:db8::cb"), &ip) && ip_reverse(&b, &ip));
	assert_true(slice_eq(buf_slice(&b), S("b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
					      "8.b.d.0.1.0.0.2.ip6.arpa")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(networks),
		cmocka_unit_test(reverse) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
