/* SPDX-License-Identifier: MIT
 * What the public suite leaves out: bounds under attack, the HELO identity, failures
 * of the DNS (D-003), and what may not get into a reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/chars.h"
#include "lib/base/own.h"
#include "lib/resolve/zone.h"
#include "lib/verify/spf/spf.h"

static struct spf_verdict
check(struct arena *a, struct zone *z, struct slice zone, struct slice local, struct slice domain)
{
	struct spf_query q = { .helo = S("helo.example"), .local = local, .domain = domain,
		.receiver = S("mx.example"), .now = 1700000000 };
	struct spf_verdict v;
	struct resolver r;

	if (!zone_parse(zone, a, z))
		fail_msg("zone line %zu", z->bad_line);
	r = resolver_of(zone_query, z);
	assert_true(ip_parse(S("192.0.2.1"), &q.ip));
	spf_check_mail(&q, &r, a, &v);
	assert_true(z->queries < 20);
	assert_int_equal(v.queries, z->queries);
	return v;
}

static void
results(void **state)
{
	static const struct {
		struct slice zone;
		enum spf_result result;
	} table[] = {
		{ S_INIT("x.example EXISTS\n"), SPF_NONE },
		{ S_INIT("d.example TXT \"v=spf1 ip4:192.0.2.0/30 -all\"\n"), SPF_PASS },
		{ S_INIT("d.example TXT \"v=spf1 ip4:192.0.2.0/32 ~all\"\n"), SPF_SOFTFAIL },
		{ S_INIT("d.example TXT \"v=spf1 ip4:192.0.2.0/32\"\n"), SPF_NEUTRAL },
		{ S_INIT("d.example TIMEOUT\n"), SPF_TEMPERROR },
		{ S_INIT("d.example SERVFAIL\n"), SPF_TEMPERROR },
		{ S_INIT("d.example BOGUS\n"), SPF_TEMPERROR },
		{ S_INIT("d.example TXT \"v=spf1 a:x.example all\"\nx.example TIMEOUT\n"), SPF_TEMPERROR },
		{ S_INIT("d.example TXT \"v=spf1 include:x.example all\"\nx.example BOGUS\n"), SPF_TEMPERROR },
		{ S_INIT("d.example TXT \"v=spf1 redirect=x.example\"\n"), SPF_PERMERROR },
		{ S_INIT("d.example CNAME e.example\ne.example TXT \"v=spf1 +all\"\n"), SPF_PASS },
		/* a later mechanism is not evaluated, but its syntax is checked */
		{ S_INIT("d.example TXT \"v=spf1 +all a:x.example\"\nx.example TIMEOUT\n"), SPF_PASS },
		{ S_INIT("d.example TXT \"v=spf1 +all foo:bar\"\n"), SPF_PERMERROR },
		/* the client chooses its PTR: a failure there is no error */
		{ S_INIT("d.example TXT \"v=spf1 ptr ~all\"\n1.2.0.192.in-addr.arpa TIMEOUT\n"),
			SPF_SOFTFAIL },
		{ S_INIT("d.example TXT \"v=spf1 ptr ~all\"\n1.2.0.192.in-addr.arpa PTR m.d.example\n"
			 "m.d.example A 192.0.2.1\n"), SPF_PASS },
		{ S_INIT("d.example TXT \"v=spf1 ptr ~all\"\n1.2.0.192.in-addr.arpa PTR m.xd.example\n"
			 "m.xd.example A 192.0.2.1\n"), SPF_SOFTFAIL },
		{ S_INIT("d.example TXT \"v=spf1 mx -all\"\nd.example MX 0 .\n"), SPF_FAIL },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(arena_p) a = arena_new("test", 1 << 22);
		struct zone z;
		struct spf_verdict v = check(a, &z, table[i].zone, S("u"), S("d.example"));

		if (v.result != table[i].result)
			fail_msg("%zu: %s (%s)", i, spf_result_name(v.result), v.why);
	}
}

static void
identities(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 22);
	struct slice zone = S("helo.example TXT \"v=spf1 exists:%{l}.%{o}.l.example -all\"\n"
			      "postmaster.helo.example.l.example A 127.0.0.2\n"
			      "d.example TXT \"v=spf1 -all\"\n");
	struct spf_verdict v;
	struct spf_query q = { .helo = S("helo.example"), .domain = S("d.example") };
	struct resolver r;
	struct zone z;

	/* MAIL FROM:<>: the identity is postmaster@HELO (RFC 7208 2.4) */
	v = check(a, &z, zone, S(""), S(""));
	assert_true(v.result == SPF_PASS && v.by_helo && slice_eq(v.domain, S("helo.example")));
	v = check(a, &z, zone, S("x"), S("d.example"));
	assert_true(v.result == SPF_FAIL && !v.by_helo && slice_eq(v.term, S("-all")));
	r = resolver_of(zone_query, &z);
	assert_true(ip_parse(S("::ffff:192.0.2.1"), &q.ip));
	spf_check_helo(&q, &r, a, &v);
	assert_true(v.result == SPF_PASS && v.by_helo);
	q.ip.n = 0; /* no address at all: nothing can be said */
	spf_check_helo(&q, &r, a, &v);
	assert_int_equal(v.result, SPF_NONE);
}

/* n * m lines: prefix, i, infix, k, suffix. */
static void
lines(struct buf *b, const char *prefix, const char *infix, const char *suffix, unsigned n, unsigned m)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < m; k++)
			(void)buf_fmt(b, "%s%u%s%u%s\n", prefix, i, infix, k, suffix);
}

static void
fan_out(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 24);
	own(buf_t) b = { .max = 0 };
	struct spf_verdict v;
	struct zone z;

	buf_init(&b, 1 << 20);
	/* ten mx terms with ten names of ten addresses each: 110 queries by the letter of the RFC */
	(void)buf_add(&b, S("d.example TXT \"v=spf1"));
	for (unsigned i = 0; i < 10; i++)
		(void)buf_fmt(&b, " mx:m%u.example", i);
	(void)buf_add(&b, S(" +all\"\n"));
	lines(&b, "m", ".example MX 1 h", ".example", 10, 10);
	lines(&b, "h", ".example A 198.51.100.", "", 10, 10);
	v = check(a, &z, buf_slice(&b), S("u"), S("d.example"));
	assert_int_equal(v.result, SPF_PERMERROR);
	assert_string_equal(v.why, "too many DNS queries");
	/* eleven MX names */
	buf_reset(&b);
	(void)buf_add(&b, S("d.example TXT \"v=spf1 mx +all\"\n"));
	lines(&b, "d.example MX ", " h", ".example", 11, 1);
	v = check(a, &z, buf_slice(&b), S("u"), S("d.example"));
	assert_true(v.result == SPF_PERMERROR && z.queries == 2);
	/* eleven PTR names: only ten are looked at */
	buf_reset(&b);
	(void)buf_add(&b, S("d.example TXT \"v=spf1 ptr -all\"\nx10.0.d.example A 192.0.2.1\n"));
	lines(&b, "1.2.0.192.in-addr.arpa PTR x", ".", ".d.example", 11, 1);
	v = check(a, &z, buf_slice(&b), S("u"), S("d.example"));
	assert_true(v.result == SPF_FAIL && z.queries == 12);
}

static void
loops(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 24);
	struct spf_verdict v;
	struct zone z;

	v = check(a, &z, S("d.example TXT \"v=spf1 include:d.example -all\"\n"), S("u"), S("d.example"));
	assert_true(v.result == SPF_PERMERROR && v.lookups == 11);
	v = check(a, &z, S("d.example TXT \"v=spf1 redirect=d.example\"\n"), S("u"), S("d.example"));
	assert_true(v.result == SPF_PERMERROR && v.lookups == 11);
	v = check(a, &z, S("d.example TXT \"v=spf1 a:a.x b:b.x c:c.x +all\"\n"), S("u"), S("d.example"));
	assert_int_equal(v.result, SPF_PERMERROR);
	/* two void lookups are borne, three are not */
	v = check(a, &z, S("d.example TXT \"v=spf1 a:a.x a:b.x +all\"\n"), S("u"), S("d.example"));
	assert_true(v.result == SPF_PASS && v.voids == 2);
	v = check(a, &z, S("d.example TXT \"v=spf1 a:a.x a:b.x a:c.x +all\"\n"), S("u"), S("d.example"));
	assert_true(v.result == SPF_PERMERROR && z.queries == 4);
}

/* CVE-2021-20314, -33912, -33913, CVE-2023-42118: macro bombs, and records of 64 KiB in 255
 * character-strings. */
static void
bombs(void **state)
{
	static const char *const macros[] = { "%{S}", "%{l100r-}", "%{i}", "%{L99999999999r+-.,/_=}",
		"%{H}", "%%%_%-" };
	own(arena_p) a = arena_new("test", 1 << 24);
	own(buf_t) b = { .max = 0 };
	uint8_t local[64];
	struct spf_verdict v;
	struct zone z;

	memset(local, 0xff, sizeof local);
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < sizeof macros / sizeof *macros; i++) {
		buf_reset(&b);
		(void)buf_add(&b, S("d.example TXT \"v=spf1 exists:\""));
		for (size_t k = 0; k < 1000; k++)
			(void)buf_fmt(&b, " \"%s\"", macros[i]);
		(void)buf_add(&b, S(" \".x.example -all exp=e.example\"\n"
				    "e.example TXT \"%{S}%{S}%{S}%{S}%{S}\"\n"));
		v = check(a, &z, buf_slice(&b), slice_of(local, sizeof local), S("d.example"));
		assert_true(v.result == SPF_PERMERROR || v.result == SPF_FAIL);
		assert_int_equal(v.explanation.n, 0); /* too long, and not printable */
	}
	buf_reset(&b);
	(void)buf_add(&b, S("d.example TXT \"v=spf1 \""));
	for (size_t k = 0; k < 255; k++)
		(void)buf_add(&b, S(" \"a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a \""));
	(void)buf_add(&b, S(" \"+all\"\n"));
	v = check(a, &z, buf_slice(&b), S("u"), S("d.example"));
	assert_true(v.result == SPF_PERMERROR && z.queries == 1);
	assert_string_equal(v.why, "record too long");
}

static void
explanations(void **state)
{
	static const struct {
		struct slice txt, text;
	} table[] = {
		{ S_INIT("\"%{i} is not %{p} for %{s} (%{d}, %{r}, %{t})\""),
			S_INIT("192.0.2.1 is not unknown for u@d.example (d.example, mx.example, 1700000000)") },
		{ S_INIT("\"see http://x.example/%{S}\""), S_INIT("see http://x.example/u%40d.example") },
		{ S_INIT("\"a\\013\\010250 injected\""), S_INIT("") },
		{ S_INIT("\"%{\""), S_INIT("") },
		{ S_INIT("\"\""), S_INIT("") },
	};
	own(arena_p) a = arena_new("test", 1 << 22);
	own(buf_t) b = { .max = 0 };

	buf_init(&b, 4096);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct spf_verdict v;
		struct zone z;

		buf_reset(&b);
		(void)buf_fmt(&b, "d.example TXT \"v=spf1 -all exp=e.%%{d}\"\ne.d.example TXT %.*s\n",
		    SFMT(table[i].txt));
		v = check(a, &z, buf_slice(&b), S("u"), S("d.example"));
		assert_int_equal(v.result, SPF_FAIL);
		if (!slice_eq(v.explanation, table[i].text))
			fail_msg("%zu: %.*s", i, SFMT(v.explanation));
	}
}

/* %{p} prefers the domain itself, then a name below it, then any (7.3). */
static void
client_names(void **state)
{
	static const struct slice zone = S_INIT("d.example TXT \"v=spf1 exists:%{p}.l.example -all\"\n"
						"1.2.0.192.in-addr.arpa PTR other.example\n"
						"1.2.0.192.in-addr.arpa PTR m.d.example\n"
						"1.2.0.192.in-addr.arpa PTR liar.d.example\n"
						"other.example A 192.0.2.1\n"
						"m.d.example A 192.0.2.1\n"
						"liar.d.example A 192.0.2.2\n"
						"m.d.example.l.example A 127.0.0.1\n");
	own(arena_p) a = arena_new("test", 1 << 22);
	struct zone z;

	assert_int_equal(check(a, &z, zone, S("u"), S("d.example")).result, SPF_PASS);
}

static void
full_arena(void **state)
{
	static const struct slice text = S_INIT("d.example TXT \"v=spf1 mx a:x.example ip4:192.0.2.1 -all\"\n"
						"d.example MX 10 m.example\nm.example A 192.0.2.7\n"
						"x.example A 192.0.2.7\n");
	own(arena_p) big = arena_new("zone", 1 << 20);
	struct zone z;
	bool passed = false;

	assert_true(zone_parse(text, big, &z));
	for (size_t ceiling = 0; ceiling < 16384; ceiling += 61) {
		own(arena_p) a = arena_new("test", ceiling);
		struct resolver r = resolver_of(zone_query, &z);
		struct spf_query q = { .domain = S("d.example") };
		struct spf_verdict v;

		assert_true(ip_parse(S("192.0.2.1"), &q.ip));
		spf_check_mail(&q, &r, a, &v);
		assert_true(v.result == SPF_PASS || v.result == SPF_TEMPERROR);
		passed = v.result == SPF_PASS;
	}
	assert_true(passed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(results), cmocka_unit_test(identities),
		cmocka_unit_test(fan_out), cmocka_unit_test(loops), cmocka_unit_test(bombs),
		cmocka_unit_test(explanations), cmocka_unit_test(client_names),
		cmocka_unit_test(full_arena) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
