/* SPDX-License-Identifier: MIT
 * From rules (A-001..A-018 as far as they are DMARC's), several From domains, failures, budgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/resolve/zone.h"
#include "lib/verify/dmarc/dmarc.h"

static const struct slice zone = S_INIT(
    "_dmarc.bank.example TXT \"v=DMARC1; p=reject; sp=quarantine; np=reject\"\n"
    "www.bank.example A 192.0.2.1\n"
    "_dmarc.none.example TXT \"v=DMARC1; p=none\"\n"
    "_dmarc.test.example TXT \"v=DMARC1; p=reject; t=y\"\n"
    "_dmarc.strict.example TXT \"v=DMARC1; p=quarantine; pct=0; adkim=s; aspf=s\"\n"
    "_dmarc.slow.example TIMEOUT\n"
    "_dmarc.psd.suffix TXT \"v=DMARC1; p=reject; psd=y; np=quarantine\"\n"
    "_dmarc.own.psd.suffix TXT \"v=DMARC1; p=none\"\n"
    "real.psd.suffix A 192.0.2.1\n"
    "_dmarc.half.example TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.x.half.example SERVFAIL\n");

static struct dmarc_verdict
check(struct arena *a, const struct dmarc_query *q)
{
	struct dmarc_verdict v;
	struct resolver r;
	struct zone z;

	assert_true(zone_parse(zone, a, &z));
	r = resolver_of(zone_query, &z);
	dmarc_check(q, &r, a, &v);
	assert_int_equal(v.queries, z.queries);
	return v;
}

static void
table(void **state)
{
	static const struct {
		struct slice from, spf, dkim;
		enum dmarc_result result;
		enum dmarc_policy disposition;
	} rows[] = {
		{ S_INIT("bank.example"), S_INIT("BANK.example"), S_INIT(""), DMARC_PASS, DMARC_P_NONE },
		{ S_INIT("Bank.Example."), S_INIT(""), S_INIT("www.bank.example"), DMARC_PASS, DMARC_P_NONE },
		{ S_INIT("bank.example"), S_INIT("xbank.example"), S_INIT("example"), DMARC_FAIL,
			DMARC_P_REJECT },
		{ S_INIT("bank.example"), S_INIT(""), S_INIT("bank.example.evil.example"), DMARC_FAIL,
			DMARC_P_REJECT },
		{ S_INIT("www.bank.example"), S_INIT(""), S_INIT(""), DMARC_FAIL, DMARC_P_QUARANTINE },
		{ S_INIT("no.bank.example"), S_INIT(""), S_INIT(""), DMARC_FAIL, DMARC_P_REJECT },
		{ S_INIT("none.example"), S_INIT(""), S_INIT(""), DMARC_FAIL, DMARC_P_NONE },
		{ S_INIT("test.example"), S_INIT(""), S_INIT(""), DMARC_FAIL, DMARC_P_QUARANTINE },
		{ S_INIT("strict.example"), S_INIT("m.strict.example"), S_INIT("m.strict.example"),
			DMARC_FAIL, DMARC_P_QUARANTINE }, /* pct=0 is history */
		{ S_INIT("strict.example"), S_INIT(""), S_INIT("strict.example"), DMARC_PASS,
			DMARC_P_NONE },
		{ S_INIT("nothing.example"), S_INIT(""), S_INIT("nothing.example"), DMARC_NONE,
			DMARC_P_NONE },
		{ S_INIT("slow.example"), S_INIT(""), S_INIT("slow.example"), DMARC_TEMPERROR,
			DMARC_P_NONE },
		/* below a public suffix: the suffix's np for names that do not exist, its p for others */
		{ S_INIT("fake.psd.suffix"), S_INIT(""), S_INIT("other.psd.suffix"), DMARC_FAIL,
			DMARC_P_QUARANTINE },
		{ S_INIT("real.psd.suffix"), S_INIT(""), S_INIT("psd.suffix"), DMARC_FAIL,
			DMARC_P_REJECT },
		{ S_INIT("a.b.own.psd.suffix"), S_INIT(""), S_INIT("c.own.psd.suffix"), DMARC_PASS,
			DMARC_P_NONE },
		/* the walk of a signer fails: not decided, unless another one is aligned */
		{ S_INIT("half.example"), S_INIT(""), S_INIT("x.half.example"), DMARC_TEMPERROR,
			DMARC_P_NONE },
		{ S_INIT("half.example"), S_INIT("half.example"), S_INIT("x.half.example"), DMARC_PASS,
			DMARC_P_NONE },
		{ S_INIT("[192.0.2.1]"), S_INIT(""), S_INIT(""), DMARC_REFUSE, DMARC_P_NONE },
		{ S_INIT(""), S_INIT(""), S_INIT(""), DMARC_REFUSE, DMARC_P_NONE },
		{ S_INIT("a..example"), S_INIT(""), S_INIT(""), DMARC_REFUSE, DMARC_P_NONE },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		own(arena_p) a = arena_new("test", 1 << 22);
		struct dmarc_query q = { .from_fields = 1, .from = &rows[i].from, .n_from = 1,
			.spf = &rows[i].spf, .n_spf = 1, .dkim = &rows[i].dkim, .n_dkim = 1 };
		struct dmarc_verdict v = check(a, &q);

		if (v.result != rows[i].result || v.disposition != rows[i].disposition)
			fail_msg("%zu: %s %s (%s)", i, dmarc_result_name(v.result),
			    dmarc_policy_name(v.disposition), v.why);
	}
}

/* Exactly one From field; with several mailboxes every domain must pass and the strictest counts. */
static void
several(void **state)
{
	static const struct slice two[] = { S_INIT("none.example"), S_INIT("bank.example") },
				  dup[] = { S_INIT("bank.example"), S_INIT("BANK.example") },
				  many[] = { S_INIT("a"), S_INIT("b"), S_INIT("c"), S_INIT("d"), S_INIT("e") };
	own(arena_p) a = arena_new("test", 1 << 22);
	struct dmarc_query q = { .from_fields = 1, .from = two, .n_from = 2, .dkim = two, .n_dkim = 1 };
	struct dmarc_verdict v = check(a, &q);

	assert_true(v.result == DMARC_FAIL && v.disposition == DMARC_P_REJECT);
	assert_true(slice_eq(v.from, S("bank.example")));
	q.n_dkim = 2;
	assert_int_equal(check(a, &q).result, DMARC_PASS);
	q.from = dup;
	q.dkim = dup;
	q.n_dkim = 1;
	assert_int_equal(check(a, &q).result, DMARC_PASS);
	q.from = many;
	q.n_from = 5;
	assert_int_equal(check(a, &q).result, DMARC_REFUSE);
	q.from = dup;
	q.n_from = 1;
	for (size_t fields = 0; fields < 4; fields++) {
		q.from_fields = fields;
		assert_int_equal(check(a, &q).result, fields == 1 ? DMARC_PASS : DMARC_REFUSE);
	}
	q.from_fields = 1;
	q.n_from = 0;
	assert_int_equal(check(a, &q).result, DMARC_REFUSE);
}

static void
overrides(void **state)
{
	static const struct slice bank = S_INIT("bank.example"), none = S_INIT("none.example");
	own(arena_p) a = arena_new("test", 1 << 22);
	struct dmarc_query q = { .from_fields = 1, .from = &bank, .n_from = 1, .arc_trusted = true };
	struct dmarc_verdict v = check(a, &q);

	assert_true(v.result == DMARC_FAIL && v.disposition == DMARC_P_NONE);
	assert_true(v.override == DMARC_OVERRIDE_ARC && v.published == DMARC_P_REJECT);
	/* SPF or DKIM in temperror: "fail, reject" would be premature; "fail, none" harms nobody */
	q.arc_trusted = false;
	q.incomplete = true;
	assert_int_equal(check(a, &q).result, DMARC_TEMPERROR);
	q.from = &none;
	assert_int_equal(check(a, &q).result, DMARC_FAIL);
}

/* Sixteen deep signers below the author's domain: the query budget holds. */
static void
budget(void **state)
{
	static const struct slice bank = S_INIT("bank.example");
	own(arena_p) a = arena_new("test", 1 << 24);
	struct slice ids[16];
	struct dmarc_query q = { .from_fields = 1, .from = &bank, .n_from = 1, .dkim = ids, .n_dkim = 16 };
	struct dmarc_verdict v;
	struct buf b;

	for (size_t i = 0; i < 16; i++) {
		buf_init(&b, 253);
		(void)buf_fmt(&b, "a%zu.b%zu.c%zu.d%zu.e%zu.f%zu.g%zu.bank.example", i, i, i, i, i, i, i);
		assert_true(arena_copy(a, buf_slice(&b), &ids[i]));
		buf_free(&b);
	}
	v = check(a, &q);
	assert_int_equal(v.result, DMARC_PASS); /* the first one is aligned: 7 queries more */
	assert_true(v.queries <= 10);
	for (size_t i = 0; i < 16; i++)
		ids[i] = slice_sub(ids[i], 0, ids[i].n - 12); /* a...g: not below the author at all */
	v = check(a, &q);
	assert_true(v.result == DMARC_FAIL && v.queries <= 3);
}

static void
reports(void **state)
{
	static const struct slice text = S_INIT("_dmarc.d.example TXT \"v=DMARC1; p=none\"\n"
						"_dmarc.e.example TXT \"v=DMARC1; p=none\"\n"
						"d.example._report._dmarc.e.example TXT \"v=DMARC1\"\n"
						"d.example._report._dmarc.f.example TXT \"no\"\n");
	own(arena_p) a = arena_new("test", 1 << 22);
	struct resolver r;
	struct slice org;
	struct zone z;

	assert_true(zone_parse(text, a, &z));
	r = resolver_of(zone_query, &z);
	assert_true(dmarc_report_allowed(S("d.example"), S("D.example"), &r, a));
	assert_true(dmarc_report_allowed(S("d.example"), S("in.d.example"), &r, a));
	assert_true(dmarc_report_allowed(S("d.example"), S("e.example"), &r, a));
	assert_false(dmarc_report_allowed(S("e.example"), S("d.example"), &r, a));
	assert_false(dmarc_report_allowed(S("d.example"), S("f.example"), &r, a));
	assert_true(dmarc_org_domain(S("x.y.d.example"), &r, a, &org) && slice_eq(org, S("d.example")));
	assert_true(dmarc_org_domain(S("x.y.example"), &r, a, &org) && slice_eq(org, S("x.y.example")));
}

static void
full_arena(void **state)
{
	static const struct slice from = S_INIT("www.bank.example"), id = S_INIT("bank.example");
	own(arena_p) big = arena_new("zone", 1 << 20);
	enum dmarc_result last = DMARC_NONE;
	struct zone z;

	assert_true(zone_parse(zone, big, &z));
	for (size_t ceiling = 0; ceiling < 65536; ceiling += 331) {
		own(arena_p) a = arena_new("test", ceiling);
		struct resolver r = resolver_of(zone_query, &z);
		struct dmarc_query q = { .from_fields = 1, .from = &from, .n_from = 1, .dkim = &id,
			.n_dkim = 1 };
		struct dmarc_verdict v;

		dmarc_check(&q, &r, a, &v);
		assert_true(v.result == DMARC_PASS || v.result == DMARC_TEMPERROR);
		last = v.result;
	}
	assert_int_equal(last, DMARC_PASS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(several),
		cmocka_unit_test(overrides), cmocka_unit_test(budget), cmocka_unit_test(reports),
		cmocka_unit_test(full_arena) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
