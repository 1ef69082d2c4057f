/* SPDX-License-Identifier: MIT
 * DANE and MTA-STS against an in-memory zone, a cache in memory and a fetcher that says what the case wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/resolve/zone.h"
#include "lib/verify/tlspolicy/tlspolicy.h"

#define SHA "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define NOW INT64_C(1700000000)

static const struct slice zone_text = S_INIT(
    /* safe: everything is proved */
    "mx.safe.test A 192.0.2.1\nmx.safe.test SECURE\n"
    "_25._tcp.mx.safe.test TLSA 3 1 1 " SHA "\n_25._tcp.mx.safe.test TLSA 1 1 1 " SHA "\n_25._tcp.mx.safe.test SECURE\n"
    /* none of the records is usable */
    "mx.odd.test A 192.0.2.1\nmx.odd.test SECURE\n"
    "_25._tcp.mx.odd.test TLSA 1 1 1 " SHA "\n_25._tcp.mx.odd.test TLSA 3 1 1 00\n_25._tcp.mx.odd.test SECURE\n"
    /* no TLSA; TLSA without proof; addresses without proof */
    "mx.plain.test A 192.0.2.1\nmx.plain.test SECURE\n"
    "mx.lax.test A 192.0.2.1\nmx.lax.test SECURE\n_25._tcp.mx.lax.test TLSA 3 1 1 " SHA "\n"
    "mx.open.test A 192.0.2.1\n_25._tcp.mx.open.test TLSA 3 1 1 " SHA "\n_25._tcp.mx.open.test SECURE\n"
    /* the DNS fails at each step */
    "mx.fail.test A 192.0.2.1\nmx.fail.test SECURE\n_25._tcp.mx.fail.test SERVFAIL\n"
    "mx.slow.test A 192.0.2.1\nmx.slow.test SECURE\n_25._tcp.mx.slow.test TIMEOUT\n"
    "mx.forged.test A 192.0.2.1\nmx.forged.test SECURE\n_25._tcp.mx.forged.test BOGUS\n"
    "mx.half.test A 192.0.2.1\nmx.half.test SERVFAIL AAAA\n_25._tcp.mx.half.test TLSA 3 1 1 " SHA "\n"
    "mx.dead.test SERVFAIL\n"
    /* aliases: to a place with records, to one without, to one that is not proved */
    "alias.safe.test CNAME mx.safe.test\nalias.safe.test SECURE\n"
    "alias.plain.test CNAME mx.plain.test\nalias.plain.test SECURE\n"
    "_25._tcp.alias.plain.test TLSA 3 1 1 " SHA "\n_25._tcp.alias.plain.test SECURE\n"
    "alias.open.test CNAME mx.open.test\nalias.open.test SECURE\n"
    "_25._tcp.alias.open.test TLSA 3 1 1 " SHA "\n_25._tcp.alias.open.test SECURE\n"
    /* MTA-STS */
    "_mta-sts.sts.test TXT \"v=STSv1; id=one;\"\n"
    "_mta-sts.two.test TXT \"v=STSv1; id=one;\"\n_mta-sts.two.test TXT \"v=STSv1; id=two;\"\n"
    "_mta-sts.fails.test SERVFAIL\n_mta-sts.new.test TXT \"v=STSv1; id=new;\"\n"
    "_mta-sts.safe.test TXT \"v=STSv1; id=one;\"\n_mta-sts.odd.test TXT \"v=STSv1; id=one;\"\n"
    "mx.sts.test A 192.0.2.1\nother.sts.test A 192.0.2.1\n");

static struct zone zone;
static struct arena *zone_arena;

/* ---- a cache and a fetcher --------------------------------------------------------------------- */

static struct {
	bool has;
	struct tlspolicy_sts_entry entry;
	uint8_t text[1024];
	uint8_t id[32];
	unsigned fetches, puts;
	enum tlspolicy_fetch fetch;
	struct slice serve;
} world;

static bool
get(void *self, struct slice domain, struct arena *a, struct tlspolicy_sts_entry *out)
{
	(void)self;
	(void)domain;
	(void)a;
	*out = world.entry;
	return world.has;
}

static void
put(void *self, struct slice domain, const struct tlspolicy_sts_entry *e)
{
	(void)self;
	(void)domain;
	world.has = true;
	world.puts++;
	world.entry = *e;
	memmove(world.text, e->text.p, e->text.n);
	memmove(world.id, e->id.p, e->id.n);
	world.entry.text = slice_of(world.text, e->text.n);
	world.entry.id = slice_of(world.id, e->id.n);
}

static enum tlspolicy_fetch
fetch(void *self, struct slice domain, struct arena *a, struct slice *text)
{
	(void)self;
	(void)domain;
	world.fetches++;
	if (world.fetch == TLSPOLICY_FETCHED)
		assert_true(arena_copy(a, world.serve, text));
	return world.fetch;
}

static const struct tlspolicy_sts sts = { get, put, fetch, NULL };

static void
new_world(struct slice serve)
{
	memset(&world, 0, sizeof world);
	world.serve = serve;
}

#define POLICY(mode, age) S("version: STSv1\r\nmode: " mode "\r\nmx: mx.sts.test\r\nmx: *.more.test\r\nmax_age: " age "\r\n")

static void
domain_at(int64_t now, struct slice domain, struct arena *a, struct tlspolicy_domain *d)
{
	struct resolver r = resolver_of(zone_query, &zone);
	struct tlspolicy_env env = { .r = &r, .sts = &sts, .now = now, .dane = true };

	tlspolicy_domain(&env, domain, a, d);
	assert_true(LIMIT_RESOLVE_QUERIES - r.left <= LIMIT_TLSPOLICY_QUERIES);
}

static void
host_of(const struct tlspolicy_domain *d, struct slice host, bool secure, struct arena *a, struct tlspolicy_host *h)
{
	struct resolver r = resolver_of(zone_query, &zone);
	struct tlspolicy_env env = { .r = &r, .sts = &sts, .now = NOW, .dane = true };
	struct tlspolicy_at at = { .host = host, .port = 25, .mx = true, .secure = secure };

	tlspolicy_host(&env, d, &at, a, h);
	assert_true(LIMIT_RESOLVE_QUERIES - r.left <= LIMIT_TLSPOLICY_QUERIES);
}

/* ---- DANE --------------------------------------------------------------------------------------- */

static void
dane_rows(void **state)
{
	static const struct {
		struct slice host;
		bool secure;
		enum tlspolicy_level level;
		size_t n_tlsa;
		const char *type, *result;
		struct slice sni;
	} table[] = {
		{ S_INIT("mx.safe.test"), true, TLSPOLICY_DANE, 1, "tlsa", NULL, S_INIT("mx.safe.test") },
		{ S_INIT("mx.safe.test"), false, TLSPOLICY_MAY, 0, "no-policy-found", NULL, S_INIT("mx.safe.test") },
		{ S_INIT("mx.odd.test"), true, TLSPOLICY_ENCRYPT, 0, "tlsa", NULL, S_INIT("mx.odd.test") },
		{ S_INIT("mx.plain.test"), true, TLSPOLICY_MAY, 0, "no-policy-found", NULL, S_INIT("mx.plain.test") },
		{ S_INIT("mx.lax.test"), true, TLSPOLICY_MAY, 0, "no-policy-found", NULL, S_INIT("mx.lax.test") },
		{ S_INIT("mx.open.test"), true, TLSPOLICY_MAY, 0, "no-policy-found", NULL, S_INIT("mx.open.test") },
		/* D-003: never skip DANE on SERVFAIL */
		{ S_INIT("mx.fail.test"), true, TLSPOLICY_DEFER, 0, "tlsa", "dnssec-invalid", S_INIT("mx.fail.test") },
		{ S_INIT("mx.slow.test"), true, TLSPOLICY_DEFER, 0, "tlsa", "dnssec-invalid", S_INIT("mx.slow.test") },
		{ S_INIT("mx.forged.test"), true, TLSPOLICY_DEFER, 0, "tlsa", "dnssec-invalid", S_INIT("mx.forged.test") },
		{ S_INIT("mx.half.test"), true, TLSPOLICY_DEFER, 0, "tlsa", "dnssec-invalid", S_INIT("mx.half.test") },
		{ S_INIT("mx.dead.test"), true, TLSPOLICY_DEFER, 0, "tlsa", "dnssec-invalid", S_INIT("mx.dead.test") },
		/* RFC 7672 2.2.2, 2.2.3 */
		{ S_INIT("alias.safe.test"), true, TLSPOLICY_DANE, 1, "tlsa", NULL, S_INIT("mx.safe.test") },
		{ S_INIT("alias.plain.test"), true, TLSPOLICY_DANE, 1, "tlsa", NULL, S_INIT("alias.plain.test") },
		{ S_INIT("alias.open.test"), true, TLSPOLICY_DANE, 1, "tlsa", NULL, S_INIT("alias.open.test") },
		{ S_INIT("nowhere.test"), true, TLSPOLICY_MAY, 0, "no-policy-found", NULL, S_INIT("nowhere.test") },
	};
	struct tlspolicy_domain none = { .domain = S("next.test") };

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(arena_p) a = arena_new("test", 1 << 20);
		struct tlspolicy_host h;

		host_of(&none, table[i].host, table[i].secure, a, &h);
		if (h.level != table[i].level || h.n_tlsa != table[i].n_tlsa || !slice_eq(h.sni, table[i].sni))
			fail_msg("%.*s: %s, %zu records, %.*s", SFMT(table[i].host), tlspolicy_level_name(h.level), h.n_tlsa,
			    SFMT(h.sni));
		assert_string_equal(h.type, table[i].type);
		assert_true(table[i].result == NULL ? h.result == NULL : slice_eq(slice_z(h.result), slice_z(table[i].result)));
		assert_true(h.n_names >= 1);
	}
}

/* RFC 7672 3.2.2: for usage 2 the base domain, the name of the MX record and the domain itself. */
static void
dane_names(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	own(buf_t) b = { .max = 1024 };
	struct tlspolicy_domain none = { .domain = S("next.test") };
	struct tlspolicy_host h;

	(void)state;
	host_of(&none, S("alias.safe.test"), true, a, &h);
	assert_int_equal(h.n_names, 3);
	assert_true(slice_eq(h.names[0], S("mx.safe.test")));
	assert_true(slice_eq(h.names[1], S("alias.safe.test")));
	assert_true(slice_eq(h.names[2], S("next.test")));
	assert_true(tlspolicy_string(&b, &none, &h));
	assert_true(slice_eq(buf_slice(&b), S("3 1 1 " SHA)));
}

/* ---- MTA-STS ------------------------------------------------------------------------------------ */

static void
sts_modes(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	struct tlspolicy_domain d;
	struct tlspolicy_host h;

	(void)state;
	new_world(POLICY("enforce", "86400"));
	domain_at(NOW, S("sts.test"), a, &d);
	assert_true(d.sts);
	assert_null(d.result);
	host_of(&d, S("mx.sts.test"), false, a, &h);
	assert_int_equal(h.level, TLSPOLICY_NAME);
	assert_string_equal(h.type, "sts");
	assert_int_equal(h.n_names, 1);
	host_of(&d, S("a.more.test"), false, a, &h);
	assert_int_equal(h.level, TLSPOLICY_NAME);
	host_of(&d, S("other.sts.test"), false, a, &h);
	assert_int_equal(h.level, TLSPOLICY_REFUSED);
	assert_string_equal(h.result, "validation-failure");

	new_world(POLICY("testing", "86400"));
	domain_at(NOW, S("sts.test"), a, &d);
	host_of(&d, S("mx.sts.test"), false, a, &h);
	assert_int_equal(h.level, TLSPOLICY_MAY);
	assert_true(h.testing && h.result == NULL);
	assert_string_equal(tlspolicy_result(&h, false, TLS_PROBLEM_NONE), "starttls-not-supported");
	host_of(&d, S("other.sts.test"), false, a, &h);
	assert_int_equal(h.level, TLSPOLICY_MAY);
	assert_string_equal(tlspolicy_result(&h, true, TLS_PROBLEM_NONE), "validation-failure");

	new_world(POLICY("none", "86400"));
	domain_at(NOW, S("sts.test"), a, &d);
	assert_false(d.sts);
	assert_int_equal(world.fetches, 1);
}

/* DANE goes first; STS may not take it away, and adds to records that nobody can use. */
static void
sts_beside_dane(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	struct tlspolicy_domain d;
	struct tlspolicy_host h;

	(void)state;
	new_world(POLICY("enforce", "86400"));
	domain_at(NOW, S("safe.test"), a, &d);
	assert_true(d.sts);
	host_of(&d, S("mx.safe.test"), true, a, &h);
	assert_int_equal(h.level, TLSPOLICY_DANE);
	assert_string_equal(h.type, "tlsa");
	host_of(&d, S("mx.fail.test"), true, a, &h);
	assert_int_equal(h.level, TLSPOLICY_DEFER);
	host_of(&d, S("mx.odd.test"), true, a, &h);
	assert_int_equal(h.level, TLSPOLICY_REFUSED);
}

static void
sts_no_policy(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	struct tlspolicy_domain d;

	(void)state;
	new_world(POLICY("enforce", "86400"));
	domain_at(NOW, S("none.test"), a, &d); /* no record */
	assert_false(d.sts);
	domain_at(NOW, S("two.test"), a, &d); /* two records are none */
	assert_false(d.sts);
	domain_at(NOW, S("fails.test"), a, &d);
	assert_false(d.sts);
	assert_int_equal(world.fetches, 0);

	world.fetch = TLSPOLICY_FETCH_ERROR;
	domain_at(NOW, S("sts.test"), a, &d);
	assert_false(d.sts);
	assert_string_equal(d.result, "sts-policy-fetch-error");
	/* not again at once, but later */
	domain_at(NOW + 10, S("sts.test"), a, &d);
	assert_int_equal(world.fetches, 1);
	world.fetch = TLSPOLICY_FETCH_UNTRUSTED;
	domain_at(NOW + 301, S("sts.test"), a, &d);
	assert_int_equal(world.fetches, 2);
	assert_string_equal(d.result, "sts-webpki-invalid");
	world.fetch = TLSPOLICY_FETCHED;
	world.serve = S("version: STSv1\nmode: enforce\nmax_age: 10\n");
	domain_at(NOW + 700, S("sts.test"), a, &d);
	assert_string_equal(d.result, "sts-policy-invalid");
	assert_false(d.sts);
}

/* RFC 8461 5.1: what is cached holds until it expires, whatever the DNS and the web server say. */
static void
sts_cache(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	struct tlspolicy_domain d;

	(void)state;
	new_world(POLICY("enforce", "3600"));
	domain_at(NOW, S("sts.test"), a, &d);
	domain_at(NOW + 60, S("sts.test"), a, &d);
	assert_int_equal(world.fetches, 1);
	/* no record, a failing DNS, a failing server */
	domain_at(NOW + 60, S("none.test"), a, &d);
	assert_true(d.sts && d.policy.mode == MTASTS_ENFORCE);
	domain_at(NOW + 60, S("fails.test"), a, &d);
	assert_true(d.sts);
	assert_int_equal(world.fetches, 1);
	world.fetch = TLSPOLICY_FETCH_ERROR;
	domain_at(NOW + 60, S("new.test"), a, &d);
	assert_int_equal(world.fetches, 2);
	assert_true(d.sts && d.policy.mode == MTASTS_ENFORCE);
	assert_string_equal(d.result, "sts-policy-fetch-error");
	/* a new id brings a new policy at the next try */
	world.fetch = TLSPOLICY_FETCHED;
	world.serve = POLICY("testing", "9999999999");
	domain_at(NOW + 60 + 300, S("new.test"), a, &d);
	assert_int_equal(world.fetches, 3);
	assert_true(d.sts && d.policy.mode == MTASTS_TESTING);
	assert_null(d.result);
	/* T-006: a year at most */
	assert_int_equal(world.entry.expires - world.entry.fetched, LIMIT_MTASTS_MAX_AGE);
	/* the same id: again after a day; a broken answer leaves what there is */
	world.serve = S("<html>");
	domain_at(NOW + 360 + 86399, S("new.test"), a, &d);
	assert_int_equal(world.fetches, 3);
	domain_at(NOW + 360 + 86400, S("new.test"), a, &d);
	assert_int_equal(world.fetches, 4);
	assert_true(d.sts && d.policy.mode == MTASTS_TESTING);
	assert_string_equal(d.result, "sts-policy-invalid");
	/* expired, and the server still fails: there is none */
	domain_at(NOW + 360 + (int64_t)LIMIT_MTASTS_MAX_AGE, S("none.test"), a, &d);
	assert_false(d.sts);
}

static void
results(void **state)
{
	static const struct {
		bool offered;
		enum tls_problem problem;
		const char *says;
	} table[] = {
		{ true, TLS_PROBLEM_NONE, NULL },
		{ false, TLS_PROBLEM_NONE, "starttls-not-supported" },
		{ true, TLS_PROBLEM_NAME, "certificate-host-mismatch" },
		{ true, TLS_PROBLEM_EXPIRED, "certificate-expired" },
		{ true, TLS_PROBLEM_UNTRUSTED, "certificate-not-trusted" },
		{ true, TLS_PROBLEM_INVALID, "validation-failure" },
		{ true, TLS_PROBLEM_HANDSHAKE, "validation-failure" },
		{ true, TLS_PROBLEM_TLSA, "tlsa-invalid" },
	};
	struct tlspolicy_host h = { .level = TLSPOLICY_DANE };

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const char *got = tlspolicy_result(&h, table[i].offered, table[i].problem);

		assert_true(got == table[i].says || slice_eq(slice_z(got), slice_z(table[i].says)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(dane_rows), cmocka_unit_test(dane_names),
		cmocka_unit_test(sts_modes), cmocka_unit_test(sts_beside_dane), cmocka_unit_test(sts_no_policy),
		cmocka_unit_test(sts_cache), cmocka_unit_test(results) };
	int status;

	zone_arena = arena_new("zone", 1 << 20);
	if (!zone_parse(zone_text, zone_arena, &zone))
		fail_msg("zone line %zu", zone.bad_line);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&zone_arena);
	return status;
}
