/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/resolve/zone.h"

static const struct slice text = S_INIT("# a zone\n"
					"example.com A 192.0.2.1\n"
					"example.com A 192.0.2.2\r\n"
					"example.com TXT \"v=spf1 \" \"-all\\009\\\"\"\n"
					"\n"
					"Example.com MX 10 mail.example.com.\n"
					"mail.example.com AAAA 2001:db8::1\n"
					"www.example.com CNAME example.com\n"
					"loop.example CNAME loop.example\n"
					"slow.example TIMEOUT\n"
					"slow.example A 192.0.2.3\n"
					"half.example SERVFAIL TXT\n"
					"half.example A 192.0.2.4\n"
					"forged.example BOGUS\n"
					"safe.example SECURE\n"
					"safe.example TLSA 3 1 1 00ff\n"
					"to-safe.example CNAME safe.example\n"
					"a.b.deep.example EXISTS\n"
					"s.example SRV 1 2 443 t.example\n"
					"c.example CAA 128 issue \"ca.example\"\n");

static void
answers(void **state)
{
	static const struct {
		struct slice name;
		enum rr_type type;
		enum resolve_status status;
		size_t n;
	} table[] = {
		{ S_INIT("example.com"), RR_A, RESOLVE_OK, 2 },
		{ S_INIT("EXAMPLE.COM."), RR_A, RESOLVE_OK, 2 },
		{ S_INIT("www.example.com"), RR_A, RESOLVE_OK, 2 },
		{ S_INIT("www.example.com"), RR_CNAME, RESOLVE_OK, 1 },
		{ S_INIT("example.com"), RR_AAAA, RESOLVE_NODATA, 0 },
		{ S_INIT("com"), RR_A, RESOLVE_NODATA, 0 },
		{ S_INIT("b.deep.example"), RR_A, RESOLVE_NODATA, 0 },
		{ S_INIT("ple.com"), RR_A, RESOLVE_NXDOMAIN, 0 },
		{ S_INIT("x.example.com"), RR_A, RESOLVE_NXDOMAIN, 0 },
		{ S_INIT("loop.example"), RR_A, RESOLVE_SERVFAIL, 0 },
		{ S_INIT("slow.example"), RR_TXT, RESOLVE_TIMEOUT, 0 },
		{ S_INIT("slow.example"), RR_A, RESOLVE_OK, 1 },
		{ S_INIT("half.example"), RR_TXT, RESOLVE_SERVFAIL, 0 },
		{ S_INIT("half.example"), RR_A, RESOLVE_OK, 1 },
		{ S_INIT("forged.example"), RR_MX, RESOLVE_BOGUS, 0 },
		{ S_INIT("a..b"), RR_A, RESOLVE_NXDOMAIN, 0 },
		{ S_INIT(".a"), RR_A, RESOLVE_NXDOMAIN, 0 },
		{ S_INIT("a\\9"), RR_A, RESOLVE_NXDOMAIN, 0 },
	};
	own(arena_p) a = arena_new("test", 1 << 20);
	struct zone z;

	assert_true(zone_parse(text, a, &z));
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct resolver r = resolver_of(zone_query, &z);
		struct resolve_answer ans;

		resolve(&r, table[i].name, table[i].type, a, &ans);
		if (ans.status != table[i].status || ans.n != table[i].n)
			fail_msg("%.*s: %s, %zu records", SFMT(table[i].name),
			    resolve_status_name(ans.status), ans.n);
	}
}

static void
records(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	struct resolve_answer ans;
	const struct rr *rr;
	struct resolver r;
	struct zone z;
	size_t at = 0;

	assert_true(zone_parse(text, a, &z));
	r = resolver_of(zone_query, &z);
	resolve(&r, S("example.com"), RR_TXT, a, &ans);
	assert_true(rr_next(&ans, &at, &rr));
	assert_true(slice_eq(rr->text, S("v=spf1 -all\t\"")));
	assert_int_equal(rr->strings, 2);
	assert_false(rr_next(&ans, &at, &rr));
	resolve(&r, S("example.com"), RR_MX, a, &ans);
	at = 0;
	assert_true(rr_next(&ans, &at, &rr) && rr->preference == 10);
	assert_true(slice_eq(rr->name, S("mail.example.com")));
	resolve(&r, S("mail.example.com"), RR_AAAA, a, &ans);
	assert_true(ans.n == 1 && ans.rr->ip[0] == 0x20 && ans.rr->ip[15] == 1);
	resolve(&r, S("s.example"), RR_SRV, a, &ans);
	assert_true(ans.n == 1 && ans.rr->port == 443 && ans.rr->weight == 2);
	resolve(&r, S("c.example"), RR_CAA, a, &ans);
	assert_true(ans.n == 1 && ans.rr->usage == 128 && slice_eq(ans.rr->name, S("issue")) &&
		    slice_eq(ans.rr->text, S("ca.example")));
	resolve(&r, S("safe.example"), RR_TLSA, a, &ans);
	assert_true(ans.n == 1 && ans.secure && slice_eq(ans.rr->text, S("\0\xff")));
	/* an insecure alias of a secure name is insecure */
	resolve(&r, S("to-safe.example"), RR_TLSA, a, &ans);
	assert_true(ans.n == 1 && !ans.secure && slice_eq(ans.name, S("safe.example")));
}

static void
budget(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	struct resolve_answer ans;
	struct resolver r;
	struct zone z;

	assert_true(zone_parse(text, a, &z));
	r = resolver_of(zone_query, &z);
	for (unsigned i = 0; i < LIMIT_RESOLVE_QUERIES; i++) {
		resolve(&r, S("example.com"), RR_A, a, &ans);
		assert_int_equal(ans.status, RESOLVE_OK);
	}
	resolve(&r, S("example.com"), RR_A, a, &ans);
	assert_int_equal(ans.status, RESOLVE_SERVFAIL);
	assert_true(r.spent);
	assert_int_equal(z.queries, LIMIT_RESOLVE_QUERIES);
}

static void
full_arena(void **state)
{
	own(arena_p) big = arena_new("zone", 1 << 20);
	struct zone z;

	assert_true(zone_parse(text, big, &z));
	for (size_t ceiling = 0; ceiling < 4096; ceiling += 7) {
		own(arena_p) a = arena_new("test", ceiling);
		struct resolver r = resolver_of(zone_query, &z);
		struct resolve_answer ans;

		resolve(&r, S("example.com"), RR_MX, a, &ans);
		assert_true(ans.status == RESOLVE_OK || ans.status == RESOLVE_SERVFAIL);
	}
}

static void
names(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	uint8_t longest[300];
	struct slice wire, out;

	/* 3 * 63 + 61 bytes of labels: exactly 255 in wire form; one more is too long */
	memset(longest, 'a', sizeof longest);
	longest[63] = longest[127] = longest[191] = '.';
	assert_true(name_to_wire(slice_of(longest, 253), a, &wire) && wire.n == 255);
	assert_false(name_to_wire(slice_of(longest, 254), a, &wire));
	longest[63] = 'a';
	assert_false(name_to_wire(slice_of(longest, 70), a, &wire));
	assert_true(name_to_wire(S(""), a, &wire) && wire.n == 1);
	assert_true(name_to_wire(S("."), a, &wire) && wire.n == 1);
	assert_false(name_from_wire(S("\x01" "a\0\0"), a, &out)); /* bytes behind it */
	assert_true(name_from_wire(S("\x04" "a.\\ \x00"), a, &out));
	assert_true(slice_eq(out, S("a\\046\\092\\032")));
	assert_false(name_from_wire(S("\xc0\x00"), a, &out));
	assert_false(name_from_wire(S("\x05" "abc"), a, &out));
}

static void
broken_lines(void **state)
{
	static const char *bad[] = { "x", "x A", "x A 1.2.3", "x A 1.2.3.4 y", "x TXT", "x TXT \"a",
		"x TXT \"\\300\"", "x MX 65536 a", "x WHAT 1", "x TIMEOUT WHAT", "x TLSA 3 1 1 0g" };
	own(arena_p) a = arena_new("test", 1 << 20);
	struct zone z;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (zone_parse(slice_z(bad[i]), a, &z))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(z.bad_line, 1);
	}
	for (size_t n = 0; n < text.n; n++)
		(void)zone_parse(slice_head(text, n), a, &z);
}

/* Every truncation of every kind of RDATA is refused or decoded, never over-read (sanitizers). */
static void
truncated(void **state)
{
	static const struct {
		enum rr_type type;
		struct slice rdata;
	} table[] = { { RR_A, S_INIT("abcd") }, { RR_AAAA, S_INIT("abcdefghijklmnop") },
		{ RR_MX, S_INIT("\0\x0a\x01" "a\0") }, { RR_SRV, S_INIT("\0\1\0\1\0\1\1a\0") },
		{ RR_TXT, S_INIT("\x03" "abc\x02" "de") }, { RR_NS, S_INIT("\1a\2bc\0") } };
	own(arena_p) a = arena_new("test", 1 << 20);
	struct rr rr;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		for (size_t n = 0; n < table[i].rdata.n; n++)
			if (rr_decode(table[i].type, slice_head(table[i].rdata, n), a, &rr))
				assert_true(table[i].type == RR_TXT && n == 4);
		assert_true(rr_decode(table[i].type, table[i].rdata, a, &rr));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(answers), cmocka_unit_test(records),
		cmocka_unit_test(budget), cmocka_unit_test(full_arena), cmocka_unit_test(names),
		cmocka_unit_test(broken_lines), cmocka_unit_test(truncated) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
