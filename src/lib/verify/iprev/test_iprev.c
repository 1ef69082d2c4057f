/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/resolve/zone.h"
#include "lib/verify/iprev/iprev.h"

static const struct slice zone = S_INIT(
    "1.2.0.192.in-addr.arpa PTR other.example\n"
    "1.2.0.192.in-addr.arpa PTR mail.example\n"
    "mail.example A 192.0.2.9\n"
    "mail.example A 192.0.2.1\n"
    "2.2.0.192.in-addr.arpa PTR mail.example\n"
    "3.2.0.192.in-addr.arpa TIMEOUT\n"
    "4.2.0.192.in-addr.arpa PTR slow.example\n"
    "slow.example TIMEOUT\n"
    "5.2.0.192.in-addr.arpa EXISTS\n"
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR mail6.example\n"
    "mail6.example AAAA 2001:db8::1\n");

static void
table(void **state)
{
	static const struct {
		const char *ip;
		enum iprev_result result;
		struct slice name;
	} rows[] = { { "192.0.2.1", IPREV_PASS, S_INIT("mail.example") },
		{ "::ffff:192.0.2.1", IPREV_PASS, S_INIT("mail.example") },
		{ "192.0.2.2", IPREV_FAIL, S_INIT("mail.example") },
		{ "192.0.2.3", IPREV_TEMPERROR, S_INIT("") },
		{ "192.0.2.4", IPREV_TEMPERROR, S_INIT("slow.example") },
		{ "192.0.2.5", IPREV_PERMERROR, S_INIT("") },
		{ "192.0.2.6", IPREV_PERMERROR, S_INIT("") },
		{ "2001:db8::1", IPREV_PASS, S_INIT("mail6.example") },
		{ "2001:db8::2", IPREV_PERMERROR, S_INIT("") } };
	own(arena_p) a = arena_new("test", 1 << 20);
	struct iprev_verdict v;
	struct zone z;

	assert_true(zone_parse(zone, a, &z));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct resolver r = resolver_of(zone_query, &z);
		struct ip ip;

		assert_true(ip_parse(slice_z(rows[i].ip), &ip));
		iprev_check(&ip, &r, a, &v);
		if (v.result != rows[i].result || !slice_eq(v.name, rows[i].name))
			fail_msg("%s: %s %.*s", rows[i].ip, iprev_result_name(v.result), SFMT(v.name));
	}
}

/* A thousand PTR records cost eleven queries. */
static void
many_names(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 22);
	struct iprev_verdict v;
	struct resolver r;
	struct zone z;
	struct buf b;
	struct ip ip;

	buf_init(&b, 1 << 20);
	for (unsigned i = 0; i < 1000; i++)
		(void)buf_fmt(&b, "1.2.0.192.in-addr.arpa PTR h%u.example\n", i);
	assert_true(zone_parse(buf_slice(&b), a, &z));
	r = resolver_of(zone_query, &z);
	assert_true(ip_parse(S("192.0.2.1"), &ip));
	iprev_check(&ip, &r, a, &v);
	assert_true(v.result == IPREV_FAIL && z.queries == 11 && v.queries == 11);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(many_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
