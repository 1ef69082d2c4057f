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

/* W-015 and O-006: what must never be connected to on a stranger's word. */
static void
special(void **state)
{
	static const struct {
		const char *text, *word;
	} table[] = {
		{ "0.0.0.0", "this network" }, { "10.1.2.3", "private" }, { "100.64.0.1", "carrier NAT" },
		{ "100.128.0.1", NULL }, { "127.0.0.1", "loopback" }, { "127.255.255.254", "loopback" },
		{ "169.254.169.254", "link-local" }, { "172.15.0.1", NULL }, { "172.16.0.1", "private" },
		{ "172.31.255.255", "private" }, { "172.32.0.0", NULL }, { "192.0.0.8", "protocol assignments" },
		{ "192.0.2.1", "documentation" }, { "192.168.1.1", "private" }, { "198.18.0.1", "benchmarking" },
		{ "198.19.255.255", "benchmarking" }, { "198.20.0.1", NULL }, { "203.0.113.9", "documentation" },
		{ "224.0.0.1", "multicast" }, { "255.255.255.255", "reserved" }, { "8.8.8.8", NULL },
		{ "::", "not global unicast" }, { "::1", "not global unicast" }, { "::ffff:127.0.0.1", "loopback" },
		{ "::ffff:8.8.8.8", NULL }, { "::127.0.0.1", "not global unicast" }, { "64:ff9b::7f00:1", "not global unicast" },
		{ "fe80::1", "not global unicast" }, { "fc00::1", "not global unicast" }, { "fd12::1", "not global unicast" },
		{ "ff02::1", "not global unicast" }, { "2001:db8::1", "documentation" }, { "2002:7f00:1::1", "6to4" },
		{ "2001::1", "protocol assignments" }, { "2001:200::1", NULL }, { "2606:4700::1", NULL },
		{ "3fff::1", "documentation" },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct ip ip;
		const char *got;

		assert_true(ip_parse(slice_z(table[i].text), &ip));
		got = ip_special(&ip);
		if (!slice_eq(slice_z(got), slice_z(table[i].word)))
			fail_msg("%s: %s", table[i].text, got == NULL ? "public" : got);
	}
}

static void
nets(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		unsigned bits;
	} table[] = { { "10.0.0.0/8", true, 8 }, { "fd00::/8", true, 8 }, { "127.0.0.1", true, 32 }, { "::1", true, 128 },
		{ "10.0.0.0/33", false, 0 }, { "10.0.0.0/", false, 0 }, { "10.0.0/8", false, 0 }, { "::/129", false, 0 },
		{ "", false, 0 }, { "/8", false, 0 } };

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct ip ip;
		unsigned bits = 0;

		assert_int_equal(ip_net_parse(slice_z(table[i].text), &ip, &bits), table[i].ok);
		assert_int_equal(bits, table[i].bits);
	}
}

static void
lists_of_nets(void **state)
{
	static const struct slice bad[] = { S_INIT("192.0.2.1/24"), S_INIT("192.0.2.0/33"), S_INIT("x"),
		S_INIT("192.0.2.0/"), S_INIT("192.0.2.0/-1"), S_INIT("192.0.2.0  ::1"), S_INIT("::1/129"), S_INIT(" ") };
	struct ip_nets n = { .n = 77 };
	struct ip ip;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(ip_nets_parse(bad[i], &n));
	assert_int_equal(n.n, 77);
	assert_true(ip_nets_parse(S(""), &n) && n.n == 0);
	assert_true(ip_nets_parse(S("192.0.2.0/24 2001:db8::/32 127.0.0.1"), &n) && n.n == 3);
	assert_true(ip_parse(S("192.0.2.200"), &ip) && ip_nets_have(&n, &ip));
	assert_true(ip_parse(S("127.0.0.1"), &ip) && ip_nets_have(&n, &ip));
	assert_true(ip_parse(S("2001:db8:1::1"), &ip) && ip_nets_have(&n, &ip));
	assert_true(ip_parse(S("127.0.0.2"), &ip) && !ip_nets_have(&n, &ip));
	assert_true(ip_parse(S("2001:db9::1"), &ip) && !ip_nets_have(&n, &ip));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(networks),
		cmocka_unit_test(reverse), cmocka_unit_test(special), cmocka_unit_test(lists_of_nets),
		cmocka_unit_test(nets) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
