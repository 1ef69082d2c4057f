/* SPDX-License-Identifier: MIT
 * The zone file that make/records writes, read back as a zone, must satisfy the check; every single
 * record that is taken away, changed or contradicted must be found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/resolve/zone.h"
#include "lib/verify/domain/domain.h"

static const struct ip ips[] = { { { 192, 0, 2, 1 }, 4 }, { { 0x20, 1, 0xd, 0xb8, [15] = 1 }, 16 } };
static const struct records_dkim dkim[] = { { S_INIT("a"), S_INIT("ed25519"), S_INIT("abc") } };
static const struct records_tlsa tlsa[] = { { 25, 3, 1, 1, S_INIT("\x00\xff") } };
static const struct records_caa caa[] = { { S_INIT("letsencrypt.org"), S_INIT("https://acme.example/1") } };
static const struct records_input input = { .domain = S_INIT("example.org"), .host = S_INIT("mail.example.net"),
	.ips = ips, .n_ips = 2, .dkim = dkim, .n_dkim = 1, .policy = S_INIT("reject"),
	.dmarc_report = S_INIT("d@example.net"), .tls_report = S_INIT("t@example.org"),
	.mta_sts_id = S_INIT("1"), .tlsa = tlsa, .n_tlsa = 1, .caa = caa, .n_caa = 1, .imaps = 993,
	.submissions = 465, .autoconfig = true };

/* The records as a zone, without number skip, and with a line more. */
static void
make_zone(const struct records *r, size_t skip, const char *more, struct arena *a, struct zone *z)
{
	own(buf_t) b = { .max = 0 };
	struct slice text;

	buf_init(&b, 65536);
	for (size_t i = 0; i < r->n; i++)
		if (i != skip)
			(void)buf_fmt(&b, "%.*s %s %.*s\n", SFMT(r->list[i].name), r->list[i].type,
			    SFMT(r->list[i].rdata));
	(void)buf_fmt(&b, "%s\n", more);
	assert_true(arena_copy(a, buf_slice(&b), &text));
	if (!zone_parse(text, a, z))
		fail_msg("line %zu of\n%.*s", z->bad_line, SFMT(text));
}

static struct domain_findings
check(const struct records *r, size_t skip, const char *more, struct arena *a)
{
	struct domain_findings f;
	struct resolver dns;
	struct zone z;

	make_zone(r, skip, more, a, &z);
	dns = resolver_of(zone_query, &z);
	dns.left = 1000;
	assert_true(domain_check(r, &dns, a, &f));
	assert_int_equal(f.n, r->n);
	return f;
}

static void
complete(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 24);
	struct records r;
	struct domain_findings f;

	assert_true(records_make(&input, a, &r));
	f = check(&r, SIZE_MAX, "", a);
	for (size_t i = 0; i < f.n; i++)
		if (f.list[i].state != DOMAIN_OK)
			fail_msg("%.*s %s: %s %.*s", SFMT(f.list[i].record->name), f.list[i].record->type,
			    domain_state_name(f.list[i].state), SFMT(f.list[i].seen));
	assert_true(f.wrong == 0 && f.unknown == 0);
}

static void
one_missing(void **state)
{
	own(arena_p) big = arena_new("test", 1 << 22);
	struct records r;

	assert_true(records_make(&input, big, &r));
	for (size_t i = 0; i < r.n; i++) {
		own(arena_p) a = arena_new("test", 1 << 22);
		struct domain_findings f = check(&r, i, "", a);

		if (f.wrong != !r.list[i].optional || f.list[i].state != DOMAIN_MISSING)
			fail_msg("%.*s %s: %zu wrong, %s", SFMT(r.list[i].name), r.list[i].type, f.wrong,
			    domain_state_name(f.list[i].state));
	}
}

static const struct record *
find(const struct domain_findings *f, const char *type, struct slice name, enum domain_state *state,
    struct slice *seen)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->list[i].record->type, type) == 0 && slice_eq(f->list[i].record->name, name)) {
			*state = f->list[i].state;
			*seen = f->list[i].seen;
			return f->list[i].record;
		}
	return NULL;
}

static void
contradicted(void **state)
{
	static const struct {
		const char *more, *type;
		struct slice name;
		enum domain_state state;
		struct slice seen;
	} rows[] = {
		{ "example.org TXT \"v=spf1 +all\"", "TXT", S_INIT("example.org"), DOMAIN_EXTRA,
		    S_INIT("v=spf1 +all") },
		{ "example.org TXT \"google-site-verification=x\"", "TXT", S_INIT("example.org"), DOMAIN_OK,
		    S_INIT("") },
		{ "example.org MX 5 old.example", "MX", S_INIT("example.org"), DOMAIN_EXTRA,
		    S_INIT("5 old.example.") },
		{ "_dmarc.example.org TXT \"v=DMARC1; p=none\\007\"", "TXT", S_INIT("_dmarc.example.org"),
		    DOMAIN_EXTRA, S_INIT("v=DMARC1; p=none\\x07") },
		{ "mail.example.net A 192.0.2.99", "A", S_INIT("mail.example.net"), DOMAIN_EXTRA,
		    S_INIT("192.0.2.99") },
		{ "_25._tcp.mail.example.net TLSA 3 1 1 aa", "TLSA", S_INIT("_25._tcp.mail.example.net"),
		    DOMAIN_OK, S_INIT("3 1 1 aa") },
		{ "_imaps._tcp.example.org TIMEOUT SRV", "SRV", S_INIT("_imaps._tcp.example.org"),
		    DOMAIN_UNKNOWN, S_INIT("timeout") },
	};
	own(arena_p) big = arena_new("test", 1 << 22);
	struct records r;

	assert_true(records_make(&input, big, &r));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		own(arena_p) a = arena_new("test", 1 << 22);
		struct domain_findings f = check(&r, SIZE_MAX, rows[i].more, a);
		enum domain_state got;
		struct slice seen;

		assert_non_null(find(&f, rows[i].type, rows[i].name, &got, &seen));
		if (got != rows[i].state || !slice_eq(seen, rows[i].seen))
			fail_msg("%s: %s \"%.*s\"", rows[i].more, domain_state_name(got), SFMT(seen));
	}
}

/* Spaces and case do not matter, the case of a key does; an alias may be written as addresses. */
static void
spellings(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 24);
	struct records_input in = { .domain = S("example.org"), .host = S("mail.example.org"), .dkim = dkim,
		.n_dkim = 1, .autoconfig = true };
	enum domain_state got;
	struct domain_findings f;
	struct resolver dns;
	struct records r;
	struct slice seen;
	struct zone z;

	assert_true(records_make(&in, a, &r));
	assert_true(zone_parse(S("example.org MX 10 MAIL.Example.org\n"
				 "example.org TXT \"v=spf1 \" \"mx  -all\"\n"
				 "a._domainkey.example.org TXT \"v=DKIM1;k=ed25519;p=yWJj\"\n"
				 "autoconfig.example.org A 192.0.2.1\n"), a, &z));
	dns = resolver_of(zone_query, &z);
	assert_true(domain_check(&r, &dns, a, &f));
	assert_true(find(&f, "MX", S("example.org"), &got, &seen) && got == DOMAIN_OK);
	assert_true(find(&f, "TXT", S("example.org"), &got, &seen) && got == DOMAIN_OK);
	assert_true(find(&f, "TXT", S("a._domainkey.example.org"), &got, &seen) && got == DOMAIN_DIFFERENT);
	assert_true(find(&f, "CNAME", S("autoconfig.example.org"), &got, &seen) && got == DOMAIN_OK);
}

/* Where CAs look, and what is there in another form than ours. */
static void
others(void **state)
{
	static const struct {
		const char *zone, *type;
		struct slice name;
		enum domain_state state;
		struct slice seen;
	} rows[] = {
		{ "mail.example.net CAA 0 issue \"letsencrypt.org\"", "CAA", S_INIT("mail.example.net"), DOMAIN_OK, S_INIT("") },
		{ "example.net CAA 0 issue \" LetsEncrypt.org ; x=y\"", "CAA", S_INIT("mail.example.net"), DOMAIN_OK, S_INIT("") },
		{ "example.net CAA 0 issue \"other.example\"", "CAA", S_INIT("mail.example.net"), DOMAIN_DIFFERENT,
		    S_INIT("other.example") },
		{ "mail.example.net CAA 0 issue \";\"\nexample.net CAA 0 issue \"letsencrypt.org\"", "CAA",
		    S_INIT("mail.example.net"), DOMAIN_DIFFERENT, S_INIT(";") },
		{ "mail.example.net CAA 0 iodef \"mailto:a@b.example\"", "CAA", S_INIT("mail.example.net"), DOMAIN_MISSING, S_INIT("") },
		{ "example.net TIMEOUT CAA", "CAA", S_INIT("mail.example.net"), DOMAIN_UNKNOWN, S_INIT("timeout") },
		{ "_mta-sts.example.org TXT \"v=STSv1; id=other\"", "TXT", S_INIT("_mta-sts.example.org"), DOMAIN_OK,
		    S_INIT("v=STSv1; id=other") },
		{ "_mta-sts.example.org TXT \"v=STSv1; id=-\"", "TXT", S_INIT("_mta-sts.example.org"), DOMAIN_DIFFERENT,
		    S_INIT("v=STSv1; id=-") },
		{ "_mta-sts.example.org TXT \"v=STSv1; id=1\"\n_mta-sts.example.org TXT \"v=STSv1; id=2\"", "TXT",
		    S_INIT("_mta-sts.example.org"), DOMAIN_EXTRA, S_INIT("v=STSv1; id=2") },
		{ "mta-sts.example.org CNAME web.example.com", "CNAME", S_INIT("mta-sts.example.org"), DOMAIN_OK,
		    S_INIT("web.example.com.") },
		{ "autoconfig.example.org AAAA 2001:db8::7", "CNAME", S_INIT("autoconfig.example.org"), DOMAIN_OK, S_INIT("") },
	};
	own(arena_p) big = arena_new("test", 1 << 22);
	struct records r;

	assert_true(records_make(&input, big, &r));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		own(arena_p) a = arena_new("test", 1 << 22);
		struct domain_findings f;
		enum domain_state got;
		struct resolver dns;
		struct slice seen;
		struct zone z;

		assert_true(zone_parse(slice_z(rows[i].zone), a, &z));
		dns = resolver_of(zone_query, &z);
		dns.left = 1000;
		assert_true(domain_check(&r, &dns, a, &f));
		assert_non_null(find(&f, rows[i].type, rows[i].name, &got, &seen));
		if (got != rows[i].state || !slice_eq(seen, rows[i].seen))
			fail_msg("%s: %s \"%.*s\"", rows[i].zone, domain_state_name(got), SFMT(seen));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(complete), cmocka_unit_test(one_missing),
		cmocka_unit_test(contradicted), cmocka_unit_test(spellings),
		cmocka_unit_test(others) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
