/* SPDX-License-Identifier: MIT
 * Sealing and validation against each other; A-024 of SECURITY 2.5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/make/arc/seal.h"
#include "lib/verify/arc/arc.h"
#include "lib/verify/dkim/testing.h"

#define NOW 1800000000u
#define MAIL "From: a@example.org\r\nTo: b@example.net\r\nSubject: s\r\n\r\nHello\r\nWorld\r\n"

static struct arena *a;
static struct testing_dns zone;
static EVP_PKEY *key, *rsa, *weak;

static const struct dkim_signer BY_ED = { DKIM_ED25519_SHA256, S_INIT("relay.example"), S_INIT("ed") };
static const struct dkim_signer BY_RSA = { DKIM_RSA_SHA256, S_INIT("relay.example"), S_INIT("rsa") };
static const struct dkim_signer BY_WEAK = { DKIM_RSA_SHA256, S_INIT("relay.example"), S_INIT("weak") };

static bool
sign(void *ctx, const struct dkim_ask *ask, size_t n)
{
	assert_int_equal(n, 1);
	testing_sign_digest(ask->who == &BY_ED ? key : ask->who == &BY_RSA ? rsa : weak, ask->who->alg, ask->digest,
	    ask->signature);
	return true;
}

static int
setup(void **state)
{
	struct slice rec;

	a = arena_new("test", 1u << 30);
	key = testing_key(0, a, &rec);
	testing_dns_add(&zone, S("ed._domainkey.relay.example"), rec, RESOLVE_OK);
	rsa = testing_key(2048, a, &rec);
	testing_dns_add(&zone, S("rsa._domainkey.relay.example"), rec, RESOLVE_OK);
	weak = testing_key(512, a, &rec);
	testing_dns_add(&zone, S("weak._domainkey.relay.example"), rec, RESOLVE_OK);
	return 0;
}

static int
teardown(void **state)
{
	EVP_PKEY_free(key);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(weak);
	arena_free(&a);
	return 0;
}

static void
check(struct slice mail, struct arc_chain *c)
{
	struct dkim_rules rules = { .now = NOW, .skew = 300 };
	struct resolver dns = resolver_of(testing_dns_query, &zone);
	struct dkim_message m;

	assert_true(dkim_message_split(mail, a, &m));
	assert_true(arc_verify(&m, &rules, &dns, a, c));
}

/* Puts a set on top of mail with the status that it has, or with cv when lie is set. */
static enum dkim_signed
seal(struct buf *mail, const struct dkim_signer *who, bool lie, enum arc_cv cv)
{
	own(buf_t) out = { .max = 1 << 22 };
	struct arc_seal_rules rules = { .now = NOW };
	struct dkim_message m;
	struct arc_chain c;
	enum dkim_signed done;

	check(buf_slice(mail), &c);
	assert_true(dkim_message_split(buf_slice(mail), a, &m));
	if (lie)
		c.sets.why = DKIM_OK;
	done = arc_seal(&m, &c.sets, lie ? cv : c.cv, S("relay.example; spf=pass;\r\n\tdkim=none"), &rules,
	    who, sign, NULL, a, &out);
	buf_add(&out, buf_slice(mail));
	buf_reset(mail);
	buf_add(mail, buf_slice(&out));
	return done;
}

static void
grows(void **state)
{
	own(buf_t) mail = { .max = 1 << 22 };
	struct arc_chain c;

	buf_add(&mail, S(MAIL));
	check(buf_slice(&mail), &c);
	assert_true(c.cv == ARC_NONE && c.sets.none);
	for (uint32_t i = 1; i <= LIMIT_ARC_SETS; i++) {
		assert_int_equal(seal(&mail, i % 3 == 0 ? &BY_RSA : &BY_ED, false, ARC_NONE), DKIM_SIGNED);
		zone.queries = 0;
		check(buf_slice(&mail), &c);
		assert_int_equal(c.cv, ARC_PASS);
		assert_int_equal(c.sets.n, i);
		assert_true(zone.queries <= 2);
	}
	assert_true(slice_eq(c.sets.sets[4].results, S("relay.example; spf=pass;\r\n\tdkim=none")));
	assert_true(slice_eq(c.sets.sets[4].seal.domain, S("relay.example")));
	/* 51 sets are not made, and not believed */
	assert_int_equal(seal(&mail, &BY_ED, false, ARC_NONE), DKIM_SIGN_REFUSED);
	{
		own(buf_t) more = { .max = 1 << 22 };

		buf_add(&more, S("ARC-Seal: i=51; a=rsa-sha256; cv=pass; d=x.org; s=k; b=QUFB\r\n"));
		buf_add(&more, buf_slice(&mail));
		zone.queries = 0;
		check(buf_slice(&more), &c);
		assert_true(c.cv == ARC_FAIL && c.why == ARC_MANY && zone.queries == 0);
	}
}

static void
breaks(void **state)
{
	own(buf_t) mail = { .max = 1 << 22 };
	own(buf_t) bad = { .max = 1 << 22 };
	struct arc_chain c;
	size_t at;

	buf_add(&mail, S(MAIL));
	for (int i = 0; i < 3; i++)
		assert_int_equal(seal(&mail, &BY_ED, false, ARC_NONE), DKIM_SIGNED);
	/* body and signed field: the newest message signature */
	buf_add(&bad, buf_slice(&mail));
	bad.p[bad.n - 3] ^= 1;
	check(buf_slice(&bad), &c);
	assert_true(c.cv == ARC_FAIL && c.why == DKIM_BODY_HASH && c.at == 3 && !c.seal);
	/* results of the first hop: every seal from there on, found from the top */
	buf_reset(&bad);
	buf_add(&bad, buf_slice(&mail));
	at = slice_find(buf_slice(&bad), S("ARC-Authentication-Results: i=1; relay"));
	bad.p[at + 34] ^= 1;
	check(buf_slice(&bad), &c);
	assert_true(c.cv == ARC_FAIL && c.why == DKIM_SIGNATURE_BAD && c.at == 3 && c.seal);
	/* a gap */
	buf_reset(&bad);
	buf_add(&bad, buf_slice(&mail));
	at = slice_find(buf_slice(&bad), S("ARC-Authentication-Results: i=2;"));
	bad.p[at + 30] = '5';
	check(buf_slice(&bad), &c);
	assert_true(c.cv == ARC_FAIL && c.why == ARC_INCOMPLETE);
	/* a broken chain is sealed as failed, once; that seal stands alone */
	assert_int_equal(seal(&bad, &BY_ED, false, ARC_NONE), DKIM_SIGNED);
	check(buf_slice(&bad), &c);
	assert_int_equal(c.cv, ARC_FAIL);
	assert_non_null(memmem(bad.p, bad.n, "cv=fail", 7));
}

static void
sealed_as_failed(void **state)
{
	own(buf_t) mail = { .max = 1 << 22 };
	struct arc_chain c;

	buf_add(&mail, S(MAIL));
	assert_int_equal(seal(&mail, &BY_ED, false, ARC_NONE), DKIM_SIGNED);
	mail.p[mail.n - 3] ^= 1;
	assert_int_equal(seal(&mail, &BY_ED, false, ARC_NONE), DKIM_SIGNED);
	check(buf_slice(&mail), &c);
	assert_true(c.cv == ARC_FAIL && c.why == ARC_FAILED_BEFORE && c.at == 2);
	assert_int_equal(seal(&mail, &BY_ED, false, ARC_NONE), DKIM_SIGN_REFUSED);
}

/* cv=pass on i=1; a seal of 10 MiB; and a short key. */
static void
lies(void **state)
{
	own(buf_t) mail = { .max = 1 << 24 };
	struct dkim_message m;
	struct arc_chain c;
	size_t at;

	buf_add(&mail, S(MAIL));
	assert_int_equal(seal(&mail, &BY_ED, false, ARC_NONE), DKIM_SIGNED);
	at = slice_find(buf_slice(&mail), S("cv=none"));
	memcpy(&mail.p[at], "cv=pass", 7);
	check(buf_slice(&mail), &c);
	assert_true(c.cv == ARC_FAIL && c.why == ARC_BAD_ORDER && c.at == 1);

	buf_reset(&mail);
	buf_add(&mail, S(MAIL));
	assert_int_equal(seal(&mail, &BY_WEAK, false, ARC_NONE), DKIM_SIGNED);
	check(buf_slice(&mail), &c);
	assert_true(c.cv == ARC_FAIL && c.why == DKIM_KEY_SHORT);

	buf_reset(&mail);
	buf_add(&mail, S("ARC-Seal: i=1; a=rsa-sha256; cv=none; d=x.org; s=k; b="));
	while (mail.n < 100000)
		buf_add(&mail, S("QUFB\r\n "));
	buf_add(&mail, S("\r\n" MAIL));
	check(buf_slice(&mail), &c);
	assert_true(c.cv == ARC_FAIL && c.why == DKIM_FIELD_LONG);
	buf_reset(&mail);
	buf_add(&mail, S("ARC-Seal: i=1; a=rsa-sha256; cv=none; d=x.org; s=k; b="));
	while (mail.n < 10485760)
		buf_add(&mail, S("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\r\n "));
	buf_add(&mail, S("\r\n" MAIL));
	assert_false(dkim_message_split(buf_slice(&mail), a, &m));
}

static void
no_injection(void **state)
{
	own(buf_t) out = { .max = 1 << 20 };
	static const struct slice bad[] = { S_INIT("x; a=pass\r\nBcc: y"), S_INIT("x\n y"), S_INIT("x\r y"),
		S_INIT("x\0y"), S_INIT("x\r\n") };
	struct arc_seal_rules rules = { .now = NOW };
	struct dkim_message m;
	struct arc_sets none;

	assert_true(dkim_message_split(S(MAIL), a, &m));
	assert_true(arc_sets_find(&m, a, &none));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(arc_seal(&m, &none, ARC_NONE, bad[i], &rules, &BY_ED, sign, NULL, a, &out),
		    DKIM_SIGN_REFUSED);
	assert_int_equal(out.n, 0);
}

static void
results(void **state)
{
	own(buf_t) out = { .max = 1 << 20 };
	struct dkim_message m;

	assert_true(dkim_message_split(S("Authentication-Results: Us.example 1; spf=pass;\r\n"
					 "Authentication-Results: them.example; dkim=pass\r\n"
					 "Authentication-Results:\r\n us.example; dkim=none \r\n"
					 "Authentication-Results: us.example.evil; dmarc=pass\r\n"
					 "Authentication-Results: us.example;\r\n\r\n"),
	    a, &m));
	assert_true(arc_results_of(&m, S("us.example"), &out));
	assert_true(slice_eq(buf_slice(&out), S("us.example; spf=pass; dkim=none")));
	assert_false(arc_results_of(&m, S("example"), &out));
}

static void
instances(void **state)
{
	struct slice rest;
	uint32_t i = 7;

	assert_true(arc_results_parse(S(" i=1; x"), &i, &rest) && i == 1 && slice_eq(rest, S("x")));
	assert_true(arc_results_parse(S("\r\n i = 50 ;x"), &i, &rest) && i == 50);
	assert_false(arc_results_parse(S("i=51; x"), &i, &rest) || arc_results_parse(S("i=0;"), &i, &rest));
	assert_false(arc_results_parse(S("i=01;"), &i, &rest) || arc_results_parse(S("x; i=1;"), &i, &rest));
	assert_false(arc_results_parse(S("i=1 x;"), &i, &rest) || arc_results_parse(S("i=;"), &i, &rest));
	assert_int_equal(i, 50);
	for (size_t cut = 0; cut < 8; cut++)
		assert_false(arc_results_parse(slice_head(S(" i = 50 ; x"), cut), &i, &rest));
}

/* Every truncation of a sealed message is judged, and none of them passes. */
static void
truncations(void **state)
{
	own(buf_t) mail = { .max = 1 << 22 };
	struct arc_chain c;

	buf_add(&mail, S(MAIL));
	assert_int_equal(seal(&mail, &BY_ED, false, ARC_NONE), DKIM_SIGNED);
	assert_int_equal(seal(&mail, &BY_ED, false, ARC_NONE), DKIM_SIGNED);
	for (size_t cut = 0; cut + 2 < mail.n; cut++) {
		check(slice_head(buf_slice(&mail), cut), &c);
		assert_int_not_equal(c.cv, ARC_PASS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(grows), cmocka_unit_test(breaks),
		cmocka_unit_test(sealed_as_failed), cmocka_unit_test(lies), cmocka_unit_test(no_injection),
		cmocka_unit_test(results), cmocka_unit_test(instances), cmocka_unit_test(truncations) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
