/* SPDX-License-Identifier: MIT
 * What we write, we read; and every truncation of it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/report/arf.h"
#include "lib/report/tls.h"

static const struct tls_report_failure failures[] = {
	{ S_INIT("certificate-expired"), S_INIT("192.0.2.1"), S_INIT("2001:db8::1"), S_INIT("mx.d.example"),
	    S_INIT("helo"), 12, S_INIT("a \"quoted\" \\ text"), S_INIT("X509") },
	{ .type = S_INIT("starttls-not-supported"), .sessions = 1 } };
static const struct tls_report_policy policies[] = {
	{ .type = S_INIT("sts"), .domain = S_INIT("d.example"), .string = S_INIT("version: STSv1\nmode: enforce"),
	    .mx = S_INIT("*.d.example, mx.d.example"), .successes = 100, .failed = 13, .n = 2,
	    .failures = failures },
	{ .type = S_INIT("no-policy-found"), .successes = 5 } };
static const struct tls_report report = { .organization = S_INIT("Us \xc3\xa4"), .contact = S_INIT("a@b.example"),
	.id = S_INIT("1\x01\xff"), .start = 1700000000, .end = 1700086399 };

static void
same(struct slice a, struct slice b)
{
	if (!slice_eq(a, b))
		fail_msg("\"%.*s\" is not \"%.*s\"", SFMT(a), SFMT(b));
}

static bool
compare(void *self, const struct tls_report_policy *p)
{
	const struct tls_report_policy *want = &policies[(*(size_t *)self)++];

	same(p->type, want->type);
	same(p->domain, want->domain);
	same(p->string, want->string);
	same(p->mx, want->mx);
	assert_true(p->successes == want->successes && p->failed == want->failed && p->n == want->n);
	for (size_t i = 0; i < p->n; i++) {
		same(p->failures[i].type, want->failures[i].type);
		same(p->failures[i].sending_ip, want->failures[i].sending_ip);
		same(p->failures[i].receiving_ip, want->failures[i].receiving_ip);
		same(p->failures[i].receiving_mx, want->failures[i].receiving_mx);
		same(p->failures[i].receiving_helo, want->failures[i].receiving_helo);
		same(p->failures[i].info, want->failures[i].info);
		same(p->failures[i].reason, want->failures[i].reason);
		assert_true(p->failures[i].sessions == want->failures[i].sessions);
	}
	return true;
}

static void
write_all(struct buf *b)
{
	assert_true(tls_report_begin(b, &report));
	assert_true(tls_report_policy(b, &policies[0], true));
	assert_true(tls_report_policy(b, &policies[1], false));
	assert_true(tls_report_end(b));
}

static void
round_trip(void **state)
{
	own(arena_p) a = arena_new("report", 1 << 20);
	own(buf_t) b = { .max = 0 };
	struct tls_report r;
	size_t seen = 0;

	buf_init(&b, 65536);
	write_all(&b);
	assert_int_equal(tls_report_read(buf_slice(&b), a, compare, &seen, &r), TLS_REPORT_OK);
	assert_true(seen == 2 && r.policies == 2 && r.successes == 105 && r.failures == 13);
	assert_true(r.start == report.start && r.end == report.end);
	same(r.organization, report.organization);
	same(r.contact, report.contact);
	same(r.id, S("1 ?"));
	for (size_t n = 0; n + 2 < b.n; n++) {
		seen = 0;
		assert_int_equal(tls_report_read(slice_head(buf_slice(&b), n), a, compare, &seen, &r),
		    TLS_REPORT_BAD);
		assert_int_equal(seen, 0);
	}
}

static void
full_arena(void **state)
{
	own(buf_t) b = { .max = 0 };
	enum tls_report_status status = TLS_REPORT_BAD;

	buf_init(&b, 65536);
	write_all(&b);
	for (size_t ceiling = 0; ceiling < 8192; ceiling += 64) {
		own(arena_p) a = arena_new("report", ceiling);
		struct tls_report r;
		size_t seen = 0;

		status = tls_report_read(buf_slice(&b), a, compare, &seen, &r);
		assert_true(status == TLS_REPORT_OK || status == TLS_REPORT_BIG);
	}
	assert_int_equal(status, TLS_REPORT_OK);
}

static void
dates(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = { { "2016-04-01T00:00:00Z", 1459468800 }, { "2016-04-01T02:00:00+02:00", 1459468800 },
		{ "2016-03-31T23:30:00.5-00:30", 1459468800 }, { "2016-04-01 00:00:00Z", 1459468800 },
		{ "2016-13-01T00:00:00Z", 0 }, { "yesterday", 0 }, { "2016-04-01", 0 }, { "", 0 } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		own(arena_p) a = arena_new("report", 1 << 20);
		own(buf_t) b = { .max = 0 };
		struct tls_report r;
		size_t seen = 1;

		buf_init(&b, 4096);
		(void)buf_fmt(&b, "{\"date-range\":{\"start-datetime\":\"%s\"},\"policies\":[{\"policy\":"
				  "{\"policy-type\":\"no-policy-found\"},\"summary\":{"
				  "\"total-successful-session-count\":\"5\"}}]}", rows[i].text);
		assert_int_equal(tls_report_read(buf_slice(&b), a, compare, &seen, &r), TLS_REPORT_OK);
		if (r.start != rows[i].seconds)
			fail_msg("%s: %lld", rows[i].text, (long long)r.start);
	}
}

static void
feedback(void **state)
{
	static const struct slice text = S_INIT("\r\nFeedback-Type: Abuse\r\nVersion: 1\r\nSource-IP: 192.0.2.1\r\n"
						"Source-Port: 4711\r\nReported-Domain: D.Example\r\n"
						"Reporting-MTA: dns; mail.example\r\nReported-URI: a\r\n"
						"Reported-URI: b\r\nIncidents: x\r\nWhat-Else: y\r\n"
						"Arrival-Date: Thu, 8 Mar 2005 14:00:00 EDT\r\n");
	own(arena_p) a = arena_new("arf", 1 << 22);
	struct arf r;

	assert_true(arf_parse(text, a, &r));
	same(r.type, S("abuse"));
	same(r.domains[0], S("d.example"));
	same(r.reporting_mta, S("mail.example"));
	assert_true(r.n_uris == 2 && r.incidents == 1 && r.source_port == 4711 && r.ip.n == 4);
	assert_true(r.has_arrival && r.arrival == 1110304800);
	assert_false(arf_parse(S("Version: 1\r\n"), a, &r));
	for (size_t n = 0; n < text.n; n++)
		if (arf_parse(slice_head(text, n), a, &r))
			assert_true(n >= 17);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(round_trip), cmocka_unit_test(full_arena),
		cmocka_unit_test(dates), cmocka_unit_test(feedback) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
