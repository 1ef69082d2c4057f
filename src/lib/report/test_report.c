/* SPDX-License-Identifier: MIT
 * What we write, we read: every field of a report, hostile texts included, packed and unpacked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/report/dmarc.h"
#include "lib/report/unpack.h"

static const struct dmarc_report report = { .org_name = S_INIT("A & B <x>"), .email = S_INIT("r@mx.example"),
	.extra_contact = S_INIT("https://mx.example/?a=1&b=2"), .report_id = S_INIT("17-abc"),
	.generator = S_INIT("Postern"), .begin = 1700000000, .end = 1700086399,
	.domain = S_INIT("d.example"), .p = S_INIT("reject"), .sp = S_INIT("none"), .np = S_INIT("reject"),
	.adkim = S_INIT("s"), .aspf = S_INIT("r"), .fo = S_INIT("1:d"), .testing = S_INIT("y"),
	.discovery = S_INIT("treewalk") };

static const struct dmarc_report_row rows[] = {
	{ .ip = { { 192, 0, 2, 1 }, 4 }, .count = 7, .disposition = S_INIT("reject"),
	    .dkim = S_INIT("fail"), .spf = S_INIT("pass"), .envelope_to = S_INIT("to.example"),
	    .envelope_from = S_INIT("from.example"), .header_from = S_INIT("d.example"), .n_reasons = 1,
	    .reasons = { { S_INIT("trusted_forwarder"), S_INIT("]]>&amp;<script>") } }, .n_dkim = 2,
	    .dkim_auth = { { S_INIT("d.example"), S_INIT("Sel1"), S_INIT(""), S_INIT("fail"), S_INIT("") },
		{ S_INIT("e.example"), S_INIT("s2"), S_INIT(""), S_INIT("pass"), S_INIT("ok") } },
	    .n_spf = 1,
	    .spf_auth = { { S_INIT("from.example"), S_INIT(""), S_INIT("mfrom"), S_INIT("pass"),
		S_INIT("") } } },
	{ .ip = { { 0x20, 1, 0xd, 0xb8, [15] = 9 }, 16 }, .count = UINT64_MAX,
	    .disposition = S_INIT("none"), .header_from = S_INIT("\x01\xff d.example") },
};

struct seen {
	size_t n;
};

static void
same(struct slice a, struct slice b)
{
	if (!slice_eq(a, b))
		fail_msg("\"%.*s\" is not \"%.*s\"", SFMT(a), SFMT(b));
}

static bool
compare(void *self, const struct dmarc_report_row *row)
{
	struct seen *seen = self;
	const struct dmarc_report_row *want = &rows[seen->n++];

	assert_true(row->ip.n == want->ip.n && memcmp(row->ip.b, want->ip.b, row->ip.n) == 0);
	assert_true(row->count == want->count);
	same(row->disposition, want->disposition);
	same(row->dkim, want->dkim);
	same(row->spf, want->spf);
	same(row->envelope_to, want->envelope_to);
	same(row->envelope_from, want->envelope_from);
	same(row->header_from, seen->n == 2 ? S("?? d.example") : want->header_from);
	assert_true(row->n_reasons == want->n_reasons && row->n_dkim == want->n_dkim &&
		    row->n_spf == want->n_spf);
	for (size_t i = 0; i < row->n_reasons; i++)
		same(row->reasons[i].comment, want->reasons[i].comment);
	for (size_t i = 0; i < row->n_dkim; i++) {
		same(row->dkim_auth[i].domain, want->dkim_auth[i].domain);
		same(row->dkim_auth[i].selector, want->dkim_auth[i].selector);
		same(row->dkim_auth[i].result, want->dkim_auth[i].result);
		same(row->dkim_auth[i].human, want->dkim_auth[i].human);
	}
	for (size_t i = 0; i < row->n_spf; i++)
		same(row->spf_auth[i].scope, want->spf_auth[i].scope);
	return true;
}

static void
write_all(struct buf *b)
{
	assert_true(dmarc_report_begin(b, &report));
	assert_true(dmarc_report_row(b, &rows[0]) && dmarc_report_row(b, &rows[1]));
	assert_true(dmarc_report_end(b));
}

static void
round_trip(void **state)
{
	own(arena_p) a = arena_new("report", 262144);
	own(buf_t) b = { .max = 0 }, z = { .max = 0 };
	struct dmarc_report r;

	buf_init(&b, 65536);
	buf_init(&z, 65536);
	write_all(&b);
	assert_true(report_gzip(&z, buf_slice(&b)) && z.n < b.n);
	for (int packed = 0; packed < 2; packed++) {
		struct seen seen = { 0 };

		assert_int_equal(dmarc_report_read(buf_slice(packed ? &z : &b), a, compare, &seen, &r),
		    DMARC_REPORT_OK);
		assert_true(seen.n == 2 && r.rows == 2 && r.messages == UINT64_MAX && !r.damaged);
		same(r.org_name, report.org_name);
		same(r.email, report.email);
		same(r.extra_contact, report.extra_contact);
		same(r.report_id, report.report_id);
		same(r.generator, report.generator);
		same(r.domain, report.domain);
		same(r.p, report.p);
		same(r.sp, report.sp);
		same(r.np, report.np);
		same(r.adkim, report.adkim);
		same(r.aspf, report.aspf);
		same(r.fo, report.fo);
		same(r.testing, report.testing);
		same(r.discovery, report.discovery);
		same(r.version, S("1.0"));
		assert_true(r.begin == report.begin && r.end == report.end);
	}
	/* a report that does not fit says so */
	buf_free(&z);
	buf_init(&z, 100);
	assert_false(report_gzip(&z, buf_slice(&b)));
}

static bool
any(void *self, const struct dmarc_report_row *row)
{
	return (*(size_t *)self)++ < 1;
}

/* Every truncation, plain and packed: refused, or damaged with its whole rows. */
static void
truncations(void **state)
{
	own(buf_t) b = { .max = 0 }, z = { .max = 0 };
	size_t damaged = 0;

	buf_init(&b, 65536);
	buf_init(&z, 65536);
	write_all(&b);
	assert_true(report_gzip(&z, buf_slice(&b)));
	for (size_t n = 0; n < b.n; n++) {
		own(arena_p) a = arena_new("report", 262144);
		struct dmarc_report r = { .rows = 0 };
		size_t seen = 0;

		if (dmarc_report_read(slice_head(buf_slice(&b), n), a, any, &seen, &r) == DMARC_REPORT_OK &&
		    r.damaged)
			damaged += r.rows == 1;
	}
	assert_true(damaged > 100);
	for (size_t n = 0; n < z.n; n += 3) {
		own(arena_p) a = arena_new("report", 262144);
		struct dmarc_report r;
		size_t seen = 0;

		assert_int_not_equal(dmarc_report_read(slice_head(buf_slice(&z), n), a, any, &seen, &r),
		    DMARC_REPORT_MEMORY);
	}
}

static void
stopped(void **state)
{
	own(arena_p) a = arena_new("report", 262144);
	own(buf_t) b = { .max = 0 };
	struct dmarc_report r;
	size_t seen = 0;

	buf_init(&b, 65536);
	write_all(&b);
	assert_int_equal(dmarc_report_read(buf_slice(&b), a, any, &seen, &r), DMARC_REPORT_STOPPED);
	assert_int_equal(seen, 2);
}

static void
names(void **state)
{
	struct dmarc_report r = report;
	own(buf_t) b = { .max = 0 };

	buf_init(&b, 1024);
	r.report_id = S("a/../b\r\n>");
	assert_true(dmarc_report_filename(&b, &r, S("mx.example")));
	same(buf_slice(&b), S("mx.example!d.example!1700000000!1700086399!a_.._b___.xml.gz"));
	buf_reset(&b);
	assert_true(dmarc_report_subject(&b, &r, S("mx.example")));
	same(buf_slice(&b), S("Report Domain: d.example Submitter: mx.example Report-ID: <a_.._b___>"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(round_trip), cmocka_unit_test(truncations),
		cmocka_unit_test(stopped), cmocka_unit_test(names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
