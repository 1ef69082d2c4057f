/* SPDX-License-Identifier: MIT
 * Where mail goes and where it must not: MX, null MX, loops, addresses (D-003, O-006), and the message as it goes over the
 * wire (O-005). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/base/limits.h"
#include "lib/resolve/zone.h"
#include "rooms/send/hosts.h"
#include "rooms/send/wire.h"

static const struct slice text =
    S_INIT("plain.test A 192.3.2.1\n"
	   "two.test MX 20 b.two.test\n"
	   "two.test MX 10 a.two.test\n"
	   "a.two.test A 192.3.2.2\n"
	   "a.two.test AAAA 2600::2\n"
	   "b.two.test A 192.3.2.3\n"
	   "null.test MX 0 .\n"
	   "slow.test TIMEOUT\n"
	   "broken.test SERVFAIL\n"
	   "forged.test BOGUS MX\n"
	   "empty.test TXT \"x\"\n"
	   "nohost.test MX 10 gone.nohost.test\n"
	   "half.test MX 10 slow.test\n"
	   "half.test MX 20 plain.test\n"
	   "late.test MX 10 slow.test\n"
	   "us.test MX 10 MAIL.us.example\n"
	   "backup.test MX 10 plain.test\n"
	   "backup.test MX 20 mail.us.example\n"
	   "backup.test MX 20 b.two.test\n"
	   "backup.test MX 30 a.two.test\n"
	   "mine.test MX 10 plain.test\n"
	   "mine.test MX 20 own.test\n"
	   "mine.test MX 30 b.two.test\n"
	   "own.test A 198.52.100.9\n"
	   "loopback.test MX 10 inner.test\n"
	   "inner.test A 127.0.0.1\n"
	   "inner.test A 10.1.2.3\n"
	   "inner.test A 169.254.169.254\n"
	   "inner.test AAAA ::1\n"
	   "inner.test AAAA ::ffff:10.0.0.1\n"
	   "mixed.test MX 10 inner.test\n"
	   "mixed.test MX 20 plain.test\n"
	   "many.test MX 10 m4.test\n"
	   "many.test MX 10 m6.test\n"
	   "m4.test A 192.3.2.4\nm4.test A 192.3.2.5\nm4.test A 192.3.2.6\n"
	   "m6.test AAAA 2600::4\nm6.test AAAA 2600::5\n"
	   "safe.test SECURE\nsafe.test MX 10 safehost.test\n"
	   "safehost.test SECURE\nsafehost.test A 192.3.2.7\n"
	   "half-safe.test SECURE\nhalf-safe.test MX 10 plain.test\n");

static struct reach reach;

static void
find(struct slice name, uint64_t random, struct arena *a, struct hosts *out)
{
	struct zone zone = { 0 };
	struct resolver r = resolver_of(zone_query, &zone);
	struct hosts_rules rules = { .hostname = S("mail.us.example"), .reach = &reach, .v4 = true, .v6 = true,
		.random = random };

	if (!zone_parse(text, a, &zone))
		print_error("zone: line %zu\n", zone.bad_line);
	assert_int_equal(zone.bad_line, 0);
	hosts_find(&r, &rules, name, a, out);
}

static void
destinations(void **state)
{
	static const struct {
		struct slice name;
		enum hosts_status status;
		const char *enhanced;
		size_t n;
		struct slice first;
	} table[] = {
		{ S_INIT("plain.test"), HOSTS_OK, "", 1, S_INIT("plain.test") }, /* no MX: the domain itself */
		{ S_INIT("two.test"), HOSTS_OK, "", 3, S_INIT("a.two.test") },
		{ S_INIT("null.test"), HOSTS_FAILED, "5.1.10", 0, S_INIT("") },
		{ S_INIT("nowhere.test"), HOSTS_FAILED, "5.1.2", 0, S_INIT("") },
		/* D-003: what is not known is not absent */
		{ S_INIT("slow.test"), HOSTS_TRY_LATER, "4.4.3", 0, S_INIT("") },
		{ S_INIT("broken.test"), HOSTS_TRY_LATER, "4.4.3", 0, S_INIT("") },
		{ S_INIT("forged.test"), HOSTS_TRY_LATER, "4.4.3", 0, S_INIT("") },
		{ S_INIT("late.test"), HOSTS_TRY_LATER, "4.4.3", 0, S_INIT("") },
		{ S_INIT("half.test"), HOSTS_OK, "", 1, S_INIT("plain.test") },
		{ S_INIT("empty.test"), HOSTS_FAILED, "5.4.4", 0, S_INIT("") },
		{ S_INIT("nohost.test"), HOSTS_FAILED, "5.4.4", 0, S_INIT("") },
		{ S_INIT("us.test"), HOSTS_FAILED, "5.4.6", 0, S_INIT("") },
		{ S_INIT("backup.test"), HOSTS_OK, "", 1, S_INIT("plain.test") },
		{ S_INIT("mine.test"), HOSTS_OK, "", 1, S_INIT("plain.test") },
		{ S_INIT("own.test"), HOSTS_FAILED, "5.4.6", 0, S_INIT("") },
		/* O-006 */
		{ S_INIT("loopback.test"), HOSTS_FAILED, "5.4.4", 0, S_INIT("") },
		{ S_INIT("mixed.test"), HOSTS_OK, "", 1, S_INIT("plain.test") },
		{ S_INIT("[127.0.0.1]"), HOSTS_FAILED, "5.4.4", 0, S_INIT("") },
		{ S_INIT("[IPv6:::1]"), HOSTS_FAILED, "5.4.4", 0, S_INIT("") },
		{ S_INIT("[ipv6:::ffff:192.3.2.1]"), HOSTS_FAILED, "5.4.4", 0, S_INIT("") },
		{ S_INIT("[IPv6:64:ff9b::7f00:1]"), HOSTS_FAILED, "5.4.4", 0, S_INIT("") },
		{ S_INIT("[198.52.100.9]"), HOSTS_FAILED, "5.4.4", 0, S_INIT("") },
		{ S_INIT("[192.3.2.1]"), HOSTS_OK, "", 1, S_INIT("[192.3.2.1]") },
		{ S_INIT("[IPv6:2600::1]"), HOSTS_OK, "", 1, S_INIT("[IPv6:2600::1]") },
		{ S_INIT("[]"), HOSTS_FAILED, "5.1.2", 0, S_INIT("") },
		{ S_INIT("[x]"), HOSTS_FAILED, "5.1.3", 0, S_INIT("") },
		{ S_INIT("[2130706433]"), HOSTS_FAILED, "5.1.3", 0, S_INIT("") },
	};

	reach = (struct reach){ .n_own = 1 };
	assert_true(ip_parse(S("198.52.100.9"), &reach.own[0]));
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_MESSAGE);
		struct hosts got;

		find(table[i].name, i, a, &got);
		if (got.status != table[i].status || got.n != table[i].n)
			print_error("%.*s: %d, %zu hosts, %.*s\n", SFMT(table[i].name), (int)got.status, got.n,
			    SFMT(got.text));
		assert_int_equal(got.status, table[i].status);
		assert_string_equal(got.enhanced, table[i].enhanced);
		assert_int_equal(got.n, table[i].n);
		assert_int_equal(got.text.n > 0, got.status != HOSTS_OK);
		if (got.n > 0)
			assert_true(slice_eq(got.host[0].name, table[i].first));
	}
}

/* Equal hosts change places, IPv6 and IPv4 take turns, whatever the order; preference always counts. */
static void
order(void **state)
{
	unsigned first6 = 0;

	reach = (struct reach){ 0 };
	for (uint64_t seed = 0; seed < 64; seed++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_MESSAGE);
		struct hosts got;

		find(S("many.test"), seed, a, &got);
		assert_int_equal(got.n, 5);
		for (size_t i = 1; i < 4; i++)
			assert_int_not_equal(got.host[i].ip.n, got.host[i - 1].ip.n);
		first6 += got.host[0].ip.n == 16;
		find(S("two.test"), seed, a, &got);
		assert_true(got.host[0].preference == 10 && got.host[1].preference == 10 && got.host[2].preference == 20);
	}
	assert_true(first6 > 8 && first6 < 56);
}

static void
secure_ways(void **state)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_MESSAGE);
	struct hosts got;

	reach = (struct reach){ 0 };
	find(S("safe.test"), 1, a, &got);
	assert_true(got.secure && got.n == 1 && got.host[0].secure);
	find(S("half-safe.test"), 1, a, &got);
	assert_true(got.secure && got.n == 1 && !got.host[0].secure);
	find(S("two.test"), 1, a, &got);
	assert_true(!got.secure && !got.host[0].secure);
}

static void
addresses(void **state)
{
	static const struct slice no[] = { S_INIT("0.0.0.0"), S_INIT("10.0.0.1"), S_INIT("100.64.0.1"),
		S_INIT("100.127.255.255"), S_INIT("127.1.2.3"), S_INIT("169.254.169.254"), S_INIT("172.16.0.1"),
		S_INIT("172.31.255.255"), S_INIT("192.168.1.1"), S_INIT("198.18.0.1"), S_INIT("224.0.0.1"), S_INIT("192.0.2.1"),
		S_INIT("198.51.100.9"), S_INIT("203.0.113.1"), S_INIT("192.88.99.1"), S_INIT("192.0.0.8"), S_INIT("2001:db8::1"),
		S_INIT("2001:2::1"), S_INIT("3fff::1"),
		S_INIT("255.255.255.255"), S_INIT("::"), S_INIT("::1"), S_INIT("::ffff:8.8.8.8"), S_INIT("::8.8.8.8"),
		S_INIT("64:ff9b::808:808"), S_INIT("2002:7f00:1::1"), S_INIT("2001:0:1::1"), S_INIT("fc00::1"),
		S_INIT("fd00::1"), S_INIT("fe80::1"), S_INIT("fec0::1"), S_INIT("ff02::1"), S_INIT("4000::1") };
	static const struct slice yes[] = { S_INIT("8.8.8.8"), S_INIT("100.63.255.255"), S_INIT("100.128.0.0"),
		S_INIT("172.32.0.1"), S_INIT("192.169.0.1"), S_INIT("2600::1"), S_INIT("2a00::1") };
	struct reach_net net;
	struct ip ip;

	reach = (struct reach){ 0 };
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
		assert_true(ip_parse(no[i], &ip));
		if (reach_refused(&reach, &ip) == NULL)
			print_error("%.*s is permitted\n", SFMT(no[i]));
		assert_non_null(reach_refused(&reach, &ip));
	}
	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
		assert_true(ip_parse(yes[i], &ip) && reach_refused(&reach, &ip) == NULL);
	assert_true(reach_net_parse(S("10.0.0.0/8"), &reach.allowed[reach.n_allowed++]));
	assert_true(ip_parse(S("10.9.9.9"), &ip) && reach_refused(&reach, &ip) == NULL);
	assert_true(ip_parse(S("11.0.0.1"), &ip) && reach_refused(&reach, &ip) == NULL);
	assert_true(ip_parse(S("127.0.0.1"), &ip) && reach_refused(&reach, &ip) != NULL);
	assert_false(reach_net_parse(S("10.0.0.0/33"), &net));
	assert_false(reach_net_parse(S("10.0.0.0/"), &net));
	assert_false(reach_net_parse(S("x"), &net));
	assert_true(reach_net_parse(S("fd00::1"), &net) && net.bits == 128);
}

static bool
collect(void *arg, struct slice piece)
{
	return buf_add(arg, piece);
}

static void
over_the_wire(void **state)
{
	static const struct {
		struct slice in, dots, plain;
	} table[] = {
		{ S_INIT("a\r\nb\r\n"), S_INIT("a\r\nb\r\n"), S_INIT("a\r\nb\r\n") },
		{ S_INIT(""), S_INIT(""), S_INIT("") },
		{ S_INIT("a"), S_INIT("a\r\n"), S_INIT("a\r\n") },
		{ S_INIT("."), S_INIT("..\r\n"), S_INIT(".\r\n") },
		{ S_INIT(".\r\n..\r\n.x\r\n"), S_INIT("..\r\n...\r\n..x\r\n"), S_INIT(".\r\n..\r\n.x\r\n") },
		{ S_INIT("a\nb\n"), S_INIT("a\r\nb\r\n"), S_INIT("a\r\nb\r\n") },
		{ S_INIT("a\rb\r"), S_INIT("a\r\nb\r\n"), S_INIT("a\r\nb\r\n") },
		{ S_INIT("a\n.\nb"), S_INIT("a\r\n..\r\nb\r\n"), S_INIT("a\r\n.\r\nb\r\n") },
		{ S_INIT("a\r.\rb"), S_INIT("a\r\n..\r\nb\r\n"), S_INIT("a\r\n.\r\nb\r\n") },
		{ S_INIT("a\r\r\n.\n\r\n"), S_INIT("a\r\n\r\n..\r\n\r\n"), S_INIT("a\r\n\r\n.\r\n\r\n") },
		{ S_INIT("\n\r\r\n\n"), S_INIT("\r\n\r\n\r\n\r\n"), S_INIT("\r\n\r\n\r\n\r\n") },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		for (size_t n = 0; n <= table[i].in.n; n++) {
			struct slice in = slice_head(table[i].in, n);

			for (int dots = 0; dots < 2; dots++) {
				own(buf_t) out = { .max = 200 };

				assert_true(wire_body(in, dots == 1, collect, &out));
				assert_int_equal(out.n, wire_size(in, dots == 1));
				if (n == table[i].in.n)
					assert_true(slice_eq(buf_slice(&out), dots == 1 ? table[i].dots : table[i].plain));
				for (size_t k = 0; k < out.n; k++) /* never a CR or an LF alone */
					assert_true((out.p[k] != '\n' || (k > 0 && out.p[k - 1] == '\r')) &&
					    (out.p[k] != '\r' || (k + 1 < out.n && out.p[k + 1] == '\n')));
				assert_true(dots == 0 || slice_find(buf_slice(&out), S("\r\n.\r\n")) == SLICE_NONE);
			}
		}
	assert_true(slice_eq(wire_header(S("a: b\r\n\r\nc")), S("a: b\r\n\r\n")));
	assert_true(slice_eq(wire_header(S("a: b\r\n")), S("a: b\r\n")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(destinations),
		cmocka_unit_test(order),
		cmocka_unit_test(secure_ways),
		cmocka_unit_test(addresses),
		cmocka_unit_test(over_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
