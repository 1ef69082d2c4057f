/* SPDX-License-Identifier: MIT
 * Whole messages through all judges: signed and unsigned, forwarded, spoofed, and a DNS that fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/make/arc/seal.h"
#include "lib/resolve/zone.h"
#include "lib/verify/dkim/testing.h"
#include "lib/verify/judge/judge.h"

#define NOW 1800000000u
#define MAIL "From: A <a@example.org>\r\nTo: b@example.net\r\nSubject: s\r\n\r\nHello\r\n"

static struct arena *a;
static EVP_PKEY *key;
static struct slice zone;

static int
setup(void **state)
{
	struct slice record;
	struct buf b;

	a = arena_new("test", 1u << 28);
	key = testing_key(0, a, &record);
	buf_init(&b, 65536);
	(void)buf_fmt(&b, "s._domainkey.example.org TXT \"%.*s\"\ns._domainkey.relay.example TXT \"%.*s\"\n",
	    SFMT(record), SFMT(record));
	(void)buf_add(&b, S("_dmarc.example.org TXT \"v=DMARC1; p=reject\"\n"
			    "_dmarc.soft.example TXT \"v=DMARC1; p=quarantine\"\n"
			    "_dmarc.slow.example TIMEOUT\n"
			    "example.org TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
			    "relay.example TXT \"v=spf1 ip4:192.0.2.9 -all\"\n"
			    "slow-spf.example TIMEOUT TXT\n"
			    "1.2.0.192.in-addr.arpa PTR mail.example.org\n"
			    "mail.example.org A 192.0.2.1\n"));
	assert_true(arena_copy(a, buf_slice(&b), &zone));
	buf_free(&b);
	return 0;
}

static int
teardown(void **state)
{
	EVP_PKEY_free(key);
	arena_free(&a);
	return 0;
}

static struct judge_verdict *
judge(struct slice message, const char *ip, struct slice sender, const struct slice *trusted)
{
	struct judge_query q = { .message = message, .helo = S("helo.example"), .local = S("a"),
		.domain = sender, .id = S("mx.example"), .now = NOW, .trusted = trusted,
		.n_trusted = trusted != NULL };
	struct judge_verdict *v = ARENA_NEW(a, struct judge_verdict);
	struct zone z;

	assert_true(zone_parse(zone, a, &z) && v != NULL && ip_parse(slice_z(ip), &q.ip));
	judge_message(&q, zone_query, &z, a, v);
	assert_int_equal(v->queries, z.queries);
	return v;
}

static bool
says(const struct judge_verdict *v, struct slice text)
{
	return slice_find(v->field, text) != SLICE_NONE;
}

static void
by_spf(void **state)
{
	struct judge_verdict *v = judge(S(MAIL), "192.0.2.1", S("example.org"), NULL);

	assert_int_equal(v->action, JUDGE_ACCEPT);
	assert_true(slice_eq(v->field,
	    S("Authentication-Results: mx.example;\r\n"
	      "\tiprev=pass (mail.example.org) policy.iprev=192.0.2.1;\r\n"
	      "\tspf=pass smtp.mailfrom=a@example.org;\r\n"
	      "\tdkim=none;\r\n"
	      "\tdmarc=pass (p=reject dis=none) header.from=example.org\r\n")));
}

static struct slice
signed_mail(struct slice mail)
{
	struct slice out;
	struct buf b;

	buf_init(&b, 1 << 20);
	testing_sign(&b, S("DKIM-Signature"), DKIM_SIGNATURE,
	    S("v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=s; h=from:to:subject; "), mail, key, a);
	assert_true(arena_copy(a, buf_slice(&b), &out));
	buf_free(&b);
	return out;
}

static void
by_dkim(void **state)
{
	struct slice mail = signed_mail(S(MAIL));
	struct judge_verdict *v = judge(mail, "198.51.100.1", S("other.example"), NULL);

	assert_int_equal(v->action, JUDGE_ACCEPT);
	assert_true(says(v, S("dkim=pass header.d=example.org header.s=s header.b=")));
	assert_true(says(v, S("dmarc=pass")) && says(v, S("spf=none")));
	/* the same with another Subject */
	{
		struct buf b;

		buf_init(&b, 1 << 20);
		for (size_t i = 0; i < mail.n; i++)
			(void)buf_byte(&b, slice_starts(slice_from(mail, i), S("s\r\n\r\n")) ? 'x'
											     : slice_at(mail, i));
		v = judge(buf_slice(&b), "198.51.100.1", S("other.example"), NULL);
		assert_int_equal(v->action, JUDGE_REJECT);
		assert_true(says(v, S("dkim=fail")) && says(v, S("dmarc=fail")));
		buf_free(&b);
	}
}

static void
spoofed(void **state)
{
	struct judge_verdict *v = judge(S(MAIL), "198.51.100.1", S("attack.example"), NULL);

	assert_int_equal(v->action, JUDGE_REJECT);
	assert_true(says(v, S("dmarc=fail (p=reject dis=reject)")) && v->why[0] != '\0');
	v = judge(S("From: a@soft.example\r\n\r\nx\r\n"), "198.51.100.1", S("attack.example"), NULL);
	assert_int_equal(v->action, JUDGE_QUARANTINE);
	v = judge(S("From: a@nobody.example\r\n\r\nx\r\n"), "198.51.100.1", S("attack.example"), NULL);
	assert_int_equal(v->action, JUDGE_ACCEPT);
	assert_true(says(v, S("dmarc=none")));
	v = judge(S("From: a@nobody.example\r\nFrom: a@example.org\r\n\r\nx\r\n"), "192.0.2.1", S("example.org"),
	    NULL);
	assert_int_equal(v->action, JUDGE_REJECT);
	assert_true(says(v, S("dmarc=permerror reason=\"several From fields\"")));
	assert_int_equal(judge(S("\r\nx\r\n"), "192.0.2.1", S("example.org"), NULL)->action, JUDGE_REJECT);
}

/* D-003: no final word while the DNS fails, unless it cannot matter. */
static void
failing_dns(void **state)
{
	struct judge_verdict *v = judge(S("From: a@slow.example\r\n\r\nx\r\n"), "192.0.2.1", S("x.example"), NULL);

	assert_int_equal(v->action, JUDGE_DEFER);
	assert_true(says(v, S("dmarc=temperror")));
	v = judge(S(MAIL), "198.51.100.1", S("slow-spf.example"), NULL);
	assert_int_equal(v->action, JUDGE_DEFER);
	v = judge(signed_mail(S(MAIL)), "198.51.100.1", S("slow-spf.example"), NULL);
	assert_int_equal(v->action, JUDGE_ACCEPT);
	v = judge(S("From: a@nobody.example\r\n\r\nx\r\n"), "198.51.100.1", S("slow-spf.example"), NULL);
	assert_int_equal(v->action, JUDGE_ACCEPT);
}

static bool
sign(void *ctx, const struct dkim_ask *ask, size_t n)
{
	assert_int_equal(n, 1);
	testing_sign_digest(key, ask->who->alg, ask->digest, ask->signature);
	return true;
}

/* A list changed the mail and sealed what it had seen before. */
static void
forwarded(void **state)
{
	static const struct dkim_signer relay = { DKIM_ED25519_SHA256, S_INIT("relay.example"), S_INIT("s") };
	static const struct slice yes = S_INIT("relay.example"), no = S_INIT("other.example");
	static const struct slice results[] = { S_INIT("relay.example; dmarc=pass header.from=example.org"),
		S_INIT("relay.example; dmarc=fail reason=\"; dmarc=pass\"") };

	for (size_t i = 0; i < 2; i++) {
		struct arc_seal_rules rules = { .now = NOW };
		struct dkim_message m;
		struct arc_sets none;
		struct judge_verdict *v;
		struct buf b;

		buf_init(&b, 1 << 20);
		assert_true(dkim_message_split(S(MAIL), a, &m) && arc_sets_find(&m, a, &none));
		assert_int_equal(arc_seal(&m, &none, ARC_NONE, results[i], &rules, &relay, sign, NULL, a, &b),
		    DKIM_SIGNED);
		(void)buf_add(&b, S(MAIL));
		v = judge(buf_slice(&b), "192.0.2.9", S("relay.example"), &yes);
		assert_true(v->arc.cv == ARC_PASS && says(v, S("arc=pass header.d=relay.example")));
		assert_int_equal(v->action, i == 0 ? JUDGE_ACCEPT : JUDGE_REJECT);
		assert_int_equal(says(v, S("trusted forwarder")), i == 0);
		/* the same chain of somebody whom we do not trust */
		assert_int_equal(judge(buf_slice(&b), "192.0.2.9", S("relay.example"), &no)->action, JUDGE_REJECT);
		assert_int_equal(judge(buf_slice(&b), "192.0.2.9", S("relay.example"), NULL)->action, JUDGE_REJECT);
		buf_free(&b);
	}
}

static void
too_large(void **state)
{
	struct judge_verdict *v;
	struct buf b;

	buf_init(&b, 1 << 22);
	for (size_t i = 0; i <= LIMIT_HEADER_FIELDS; i++)
		(void)buf_add(&b, S("X: y\r\n"));
	(void)buf_add(&b, S(MAIL));
	v = judge(buf_slice(&b), "192.0.2.1", S("example.org"), NULL);
	assert_true(v->action == JUDGE_REJECT && v->field.n == 0);
	buf_free(&b);
}

static void
full_arena(void **state)
{
	struct slice mail = signed_mail(S(MAIL));
	static struct judge_verdict v;
	struct zone z;

	assert_true(zone_parse(zone, a, &z));
	for (size_t ceiling = 0; ceiling < 262144; ceiling += 1009) {
		struct arena *small = arena_new("small", ceiling);
		struct judge_query q = { .message = mail, .helo = S("h"), .local = S("a"),
			.domain = S("x.example"), .id = S("mx.example"), .now = NOW };

		assert_true(ip_parse(S("198.51.100.1"), &q.ip));
		judge_message(&q, zone_query, &z, small, &v);
		assert_true(v.action == JUDGE_ACCEPT || v.action == JUDGE_DEFER);
		arena_free(&small);
	}
	assert_int_equal(v.action, JUDGE_ACCEPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(by_spf), cmocka_unit_test(by_dkim),
		cmocka_unit_test(spoofed), cmocka_unit_test(failing_dns), cmocka_unit_test(forwarded),
		cmocka_unit_test(too_large), cmocka_unit_test(full_arena) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
