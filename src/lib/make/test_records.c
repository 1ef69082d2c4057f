/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/make/records.h"

static const struct ip ips[] = { { { 192, 0, 2, 1 }, 4 },
	{ { 0x20, 1, 0xd, 0xb8, [15] = 1 }, 16 } };
static const struct records_dkim dkim[] = { { S_INIT("p2026a"), S_INIT("ed25519"), S_INIT("abc") },
	{ S_INIT("p2025a"), S_INIT("rsa"), S_INIT("") } };
static const struct records_tlsa tlsa[] = { { 25, 3, 1, 1, S_INIT("\x00\xff") } };
static const struct records_caa caa[] = { { S_INIT("letsencrypt.org"),
	S_INIT("https://acme.example/acct/1") } };
static const struct slice backup[] = { S_INIT("mx2.example.net") };
static const struct slice includes[] = { S_INIT("_spf.news.example") };

static struct records_input
full(void)
{
	return (struct records_input){ .domain = S("example.org"), .host = S("mail.example.net"),
		.ips = ips, .n_ips = 2, .backup = backup, .n_backup = 1, .includes = includes,
		.n_includes = 1, .dkim = dkim, .n_dkim = 2, .policy = S("quarantine"),
		.sub_policy = S("reject"), .np_policy = S("reject"), .testing = true,
		.dmarc_report = S("dmarc@example.net"), .tls_report = S("tls@example.org"),
		.mta_sts_id = S("20260101T000000"), .tlsa = tlsa, .n_tlsa = 1, .caa = caa, .n_caa = 1,
		.security = S("security@example.org"), .imaps = 993, .submissions = 465,
		.submission = 587, .sieve = 4190, .autoconfig = true };
}

static const char *const expected =
    "; where mail for the domain goes\n"
    "example.org. IN MX 10 mail.example.net.\n"
    "example.org. IN MX 20 mx2.example.net.\n"
    "\n; addresses of the server\n"
    "mail.example.net. IN A 192.0.2.1\n"
    "mail.example.net. IN AAAA 2001:db8::1\n"
    "\n; SPF: who may send for the domain\n"
    "example.org. IN TXT \"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 include:_spf.news.example -all\"\n"
    "\n; SPF of the server's own name: bounces have no other\n"
    "mail.example.net. IN TXT \"v=spf1 a -all\"\n"
    "\n; DKIM: keys of our signatures\n"
    "p2026a._domainkey.example.org. IN TXT \"v=DKIM1; k=ed25519; p=YWJj\"\n"
    "p2025a._domainkey.example.org. IN TXT \"v=DKIM1; k=rsa; p=\"\n"
    "\n; DMARC: what to do with mail that only claims to be ours\n"
    "_dmarc.example.org. IN TXT \"v=DMARC1; p=quarantine; sp=reject; np=reject; t=y; "
    "rua=mailto:dmarc@example.net\"\n"
    "\n; TLS-RPT: where others report failures of TLS\n"
    "_smtp._tls.example.org. IN TXT \"v=TLSRPTv1; rua=mailto:tls@example.org\"\n"
    "\n; DANE: the key of the server (only with DNSSEC)\n"
    "_25._tcp.mail.example.net. IN TLSA 3 1 1 00ff\n"
    "\n; CAA: who may issue certificates for the server's name\n"
    "mail.example.net. IN CAA 0 issue \"letsencrypt.org; accounturi=https://acme.example/acct/1\"\n"
    "mail.example.net. IN CAA 0 issuewild \";\"\n"
    "mail.example.net. IN CAA 0 iodef \"mailto:security@example.org\"\n"
    "\n; so that mail programs configure themselves\n"
    "_submissions._tcp.example.org. IN SRV 0 1 465 mail.example.net.\n"
    "_submission._tcp.example.org. IN SRV 0 1 587 mail.example.net.\n"
    "_imaps._tcp.example.org. IN SRV 0 1 993 mail.example.net.\n"
    "_imap._tcp.example.org. IN SRV 0 0 0 .\n"
    "_pop3s._tcp.example.org. IN SRV 0 0 0 .\n"
    "_pop3._tcp.example.org. IN SRV 0 0 0 .\n"
    "_sieve._tcp.example.org. IN SRV 0 1 4190 mail.example.net.\n"
    "\n; MTA-STS: others must deliver over TLS. Publish it when a web server of the name mta-sts serves the policy\n"
    "; _mta-sts.example.org. IN TXT \"v=STSv1; id=20260101T000000\"\n"
    "; mta-sts.example.org. IN CNAME mail.example.net.\n"
    "\n; autoconfig: the same for Thunderbird and others. Publish it when a web server of that name serves the file\n"
    "; autoconfig.example.org. IN CNAME mail.example.net.\n"
    "\n; reverse name: set by the provider of the address\n"
    "; 1.2.0.192.in-addr.arpa. IN PTR mail.example.net.\n"
    "; 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. IN PTR "
    "mail.example.net.\n"
    "\n; consent of the receiver of DMARC reports\n"
    "; example.org._report._dmarc.example.net. IN TXT \"v=DMARC1\"\n";

static void
zone_file(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	own(buf_t) b = { .max = 0 };
	struct records_input in = full();
	struct records r;

	buf_init(&b, 65536);
	assert_true(records_make(&in, a, &r));
	assert_true(records_write(&b, &r));
	(void)buf_byte(&b, '\0');
	assert_string_equal((const char *)b.p, expected);
}

/* A certificate that no known CA made: the records are an example. One with a wildcard: it stays allowed. */
static void
certificates(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	own(buf_t) b = { .max = 65536 };
	struct records_input in = full();
	struct records r;

	in.caa_only_example = in.wildcard = true;
	assert_true(records_make(&in, a, &r) && records_write(&b, &r));
	assert_int_not_equal(slice_find(buf_slice(&b), S("\n; mail.example.net. IN CAA 0 issue ")), SLICE_NONE);
	assert_int_equal(slice_find(buf_slice(&b), S("\nmail.example.net. IN CAA")), SLICE_NONE);
	assert_int_equal(slice_find(buf_slice(&b), S("issuewild")), SLICE_NONE);
}

static void
files(void **state)
{
	own(buf_t) b = { .max = 65536 };
	struct records_input in = full();

	assert_true(records_sts_policy(&b, &in));
	assert_true(slice_eq(buf_slice(&b), S("version: STSv1\r\nmode: testing\r\nmx: mail.example.net\r\n"
					      "mx: mx2.example.net\r\nmax_age: 604800\r\n")));
	in.host = S("a\nmode: none");
	assert_false(records_sts_policy(&b, &in));
	assert_false(records_autoconfig(&b, &in));
	in = full();
	buf_reset(&b);
	in.submission = 0;
	assert_true(records_autoconfig(&b, &in));
	assert_int_not_equal(slice_find(buf_slice(&b), S("<incomingServer type=\"imap\">\n      <hostname>mail.example.net</hostname>\n"
							 "      <port>993</port>\n      <socketType>SSL</socketType>\n")), SLICE_NONE);
	assert_int_equal(slice_find(buf_slice(&b), S("STARTTLS")), SLICE_NONE);
	in.imaps = 0;
	assert_false(records_autoconfig(&b, &in));
}

static void
smallest(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	own(buf_t) b = { .max = 0 };
	struct records_input in = { .domain = S("example.org"), .host = S("example.org") };
	struct records r;

	buf_init(&b, 65536);
	assert_true(records_make(&in, a, &r));
	assert_true(records_write(&b, &r));
	assert_int_not_equal(slice_find(buf_slice(&b), S("TXT \"v=spf1 mx -all\"\n")), SLICE_NONE);
	assert_int_not_equal(slice_find(buf_slice(&b), S("TXT \"v=DMARC1; p=none\"\n")), SLICE_NONE);
	assert_int_equal(slice_find(buf_slice(&b), S("CAA")), SLICE_NONE);
}

static void
refused(void **state)
{
	static const char *const names[] = { "", ".", "a b", "a..b", "a.", "a\"b", "a;b", "x\ny", "a(b" };
	static const char *const addresses[] = { "@a", "a", "a@", "a b@c", "a\"@c", "a;b@c", "a@b;c",
		"a,b@c", "a!10m@c", "a\n@c", "a%@c" };
	own(arena_p) a = arena_new("test", 1 << 24);
	struct records_input in;
	struct records r = { .n = 77 };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct records_dkim k = { slice_z(names[i]), S("rsa"), S("x") };

		in = full();
		in.domain = slice_z(names[i]);
		assert_false(records_make(&in, a, &r));
		in = full();
		in.host = slice_z(names[i]);
		assert_false(records_make(&in, a, &r));
		in = full();
		in.dkim = &k;
		in.n_dkim = 1;
		assert_false(records_make(&in, a, &r));
	}
	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
		in = full();
		in.dmarc_report = slice_z(addresses[i]);
		assert_false(records_make(&in, a, &r));
		in = full();
		in.tls_report = slice_z(addresses[i]);
		assert_false(records_make(&in, a, &r));
	}
	in = full();
	in.policy = S("rejekt");
	assert_false(records_make(&in, a, &r));
	in = full();
	in.mta_sts_id = S("123456789012345678901234567890123");
	assert_false(records_make(&in, a, &r));
	assert_int_equal(r.n, 77);
}

static void
long_key(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	uint8_t raw[550];
	struct records_dkim k = { S("s"), S("rsa"), slice_of(raw, sizeof raw) };
	struct records_input in = { .domain = S("example.org"), .host = S("example.org"), .dkim = &k,
		.n_dkim = 1 };
	struct records r;

	memset(raw, 1, sizeof raw);
	assert_true(records_make(&in, a, &r));
	for (size_t i = 0; i < r.n; i++) {
		struct slice rest = r.list[i].rdata, head, tail;
		size_t strings = 0;

		if (!slice_istarts(r.list[i].value, S("v=DKIM1")))
			continue;
		while (slice_cut(rest, '"', &head, &tail)) {
			assert_true(head.n <= 255);
			rest = tail;
			strings++;
		}
		assert_int_equal(strings, 6); /* quotes: 754 bytes in three strings */
		assert_int_equal(r.list[i].value.n, 18 + 736);
	}
}

static void
full_arena(void **state)
{
	struct records_input in = full();
	bool made = false;

	for (size_t ceiling = 0; ceiling < 40000; ceiling += 97) {
		own(arena_p) a = arena_new("test", ceiling);
		struct records r;

		r.n = 0;
		assert_true(records_make(&in, a, &r) || !made);
		made = r.n > 0;
	}
	assert_true(made);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(zone_file), cmocka_unit_test(smallest),
		cmocka_unit_test(certificates), cmocka_unit_test(files),
		cmocka_unit_test(refused), cmocka_unit_test(long_key), cmocka_unit_test(full_arena) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
