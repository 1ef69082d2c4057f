/* SPDX-License-Identifier: MIT
 * The names are those of doc SECURITY 2.5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "lib/base/encode.h"
#include "lib/verify/dkim/testing.h"

#define NOW 1800000000u

struct bench {
	struct arena *a;
	struct testing_dns dns;
	EVP_PKEY *rsa, *ed, *old, *weak;
};

static struct bench bench;

static void
check(struct slice mail, struct dkim_verdicts *v)
{
	struct dkim_rules rules = { .now = NOW, .skew = 300 };
	struct resolver dns = resolver_of(testing_dns_query, &bench.dns);
	struct dkim_message m;

	assert_true(dkim_message_split(mail, bench.a, &m));
	assert_true(dkim_verify(&m, &rules, &dns, bench.a, v));
}

static int
setup(void **state)
{
	struct slice rec;

	bench.a = arena_new("test", 1u << 30);
	bench.rsa = testing_key(2048, bench.a, &rec);
	testing_dns_add(&bench.dns, S("rsa._domainkey.example.org"), rec, RESOLVE_OK);
	bench.ed = testing_key(0, bench.a, &rec);
	testing_dns_add(&bench.dns, S("ed._domainkey.example.org"), rec, RESOLVE_OK);
	testing_dns_add(&bench.dns, S("ed._domainkey.xn--bcher-kva.example"), rec, RESOLVE_OK);
	testing_dns_add(&bench.dns, S("two._domainkey.example.org"), S("v=DKIM1; p="), RESOLVE_OK);
	testing_dns_add(&bench.dns, S("two._domainkey.example.org"), rec, RESOLVE_OK);
	bench.old = testing_key(1024, bench.a, &rec);
	testing_dns_add(&bench.dns, S("old._domainkey.example.org"), rec, RESOLVE_OK);
	bench.weak = testing_key(512, bench.a, &rec);
	testing_dns_add(&bench.dns, S("weak._domainkey.example.org"), rec, RESOLVE_OK);
	testing_dns_add(&bench.dns, S("lost._domainkey.example.org"), S(""), RESOLVE_TIMEOUT);
	testing_dns_add(&bench.dns, S("bogus._domainkey.example.org"), S(""), RESOLVE_BOGUS);
	testing_dns_add(&bench.dns, S("gone._domainkey.example.org"), S("v=DKIM1; p="), RESOLVE_OK);
	return 0;
}

static int
teardown(void **state)
{
	EVP_PKEY_free(bench.rsa);
	EVP_PKEY_free(bench.ed);
	EVP_PKEY_free(bench.old);
	EVP_PKEY_free(bench.weak);
	arena_free(&bench.a);
	return 0;
}

#define MAIL "From: a@example.org\r\nTo: b@example.net\r\nSubject: s\r\n\r\nHello\r\nWorld\r\n"
#define RSA "v=1; a=rsa-sha256; d=example.org; s=rsa; c=relaxed/relaxed; "

/* One signature with these tags by that key over MAIL. */
static void
one(const char *tags, EVP_PKEY *key, struct dkim_verdict *out)
{
	own(buf_t) mail = { .max = 1 << 20 };
	struct dkim_verdicts v;

	testing_sign(&mail, S("DKIM-Signature"), DKIM_SIGNATURE, slice_z(tags), S(MAIL), key, bench.a);
	check(buf_slice(&mail), &v);
	assert_int_equal(v.n, 1);
	*out = v.v[0];
}

static void
outcomes(void **state)
{
	struct {
		const char *tags;
		EVP_PKEY *key;
		enum dkim_result result;
		enum dkim_why why;
		enum dkim_crypto crypto;
	} table[] = {
		{ RSA "h=from:to;", bench.rsa, DKIM_RESULT_PASS, DKIM_OK, DKIM_CRYPTO_GOOD },
		{ RSA "h=from:from:to:x-none;", bench.rsa, DKIM_RESULT_PASS, DKIM_OK, DKIM_CRYPTO_GOOD },
		{ "v=1; a=ed25519-sha256; d=example.org; s=ed; h=from;", bench.ed, DKIM_RESULT_PASS,
		    DKIM_OK, DKIM_CRYPTO_GOOD },
		{ "v=1; a=ed25519-sha256; d=example.org; s=two; h=from;", bench.ed, DKIM_RESULT_PASS,
		    DKIM_OK, DKIM_CRYPTO_GOOD },
		{ "v=1; a=ed25519-sha256; d=b\xc3\xbc" "cher.example; i=@b\xc3\xbc" "cher.example; s=ed;"
		  " h=from;", bench.ed, DKIM_RESULT_PASS, DKIM_OK, DKIM_CRYPTO_GOOD },
		{ "v=1; a=rsa-sha256; d=example.org; s=old; h=from;", bench.old, DKIM_RESULT_PASS,
		    DKIM_OK, DKIM_CRYPTO_GOOD },
		{ RSA "h=from; i=x@sub.Example.org;", bench.rsa, DKIM_RESULT_PASS, DKIM_OK,
		    DKIM_CRYPTO_GOOD },
		/* the whole body under l= */
		{ RSA "h=from; l=14;", bench.rsa, DKIM_RESULT_PASS, DKIM_OK, DKIM_CRYPTO_GOOD },
		/* */
		{ RSA "h=from; l=0;", bench.rsa, DKIM_RESULT_POLICY, DKIM_BODY_PART, DKIM_CRYPTO_GOOD },
		{ RSA "h=from; l=13;", bench.rsa, DKIM_RESULT_POLICY, DKIM_BODY_PART, DKIM_CRYPTO_GOOD },
		{ RSA "h=from; l=15;", bench.rsa, DKIM_RESULT_FAIL, DKIM_BODY_SHORT, DKIM_CRYPTO_BAD },
		{ RSA "h=to:subject;", bench.rsa, DKIM_RESULT_PERMERROR, DKIM_H_NO_FROM,
		    DKIM_CRYPTO_GOOD },
		{ RSA "h=from; x=1799999000;", bench.rsa, DKIM_RESULT_PERMERROR, DKIM_EXPIRED,
		    DKIM_CRYPTO_GOOD },
		{ RSA "h=from; x=1799999800;", bench.rsa, DKIM_RESULT_PASS, DKIM_OK, DKIM_CRYPTO_GOOD },
		{ RSA "h=from; t=1800000301;", bench.rsa, DKIM_RESULT_PERMERROR, DKIM_FUTURE,
		    DKIM_CRYPTO_GOOD },
		{ RSA "h=from; t=1800000300;", bench.rsa, DKIM_RESULT_PASS, DKIM_OK, DKIM_CRYPTO_GOOD },
		{ "v=1; a=rsa-sha1; d=example.org; s=rsa; h=from;", bench.rsa, DKIM_RESULT_POLICY,
		    DKIM_SHA1, DKIM_CRYPTO_GOOD },
		{ "v=1; a=rsa-sha256; d=example.org; s=weak; h=from;", bench.weak, DKIM_RESULT_FAIL,
		    DKIM_KEY_SHORT, DKIM_CRYPTO_GOOD },
		{ RSA "h=from; i=@example.net;", bench.rsa, DKIM_RESULT_PERMERROR, DKIM_I_NOT_IN_D,
		    DKIM_CRYPTO_GOOD },
		{ RSA "h=from; i=@badexample.org;", bench.rsa, DKIM_RESULT_PERMERROR, DKIM_I_NOT_IN_D,
		    DKIM_CRYPTO_GOOD },
		/* another key under the selector */
		{ RSA "h=from;", bench.old, DKIM_RESULT_FAIL, DKIM_SIGNATURE_BAD, DKIM_CRYPTO_BAD },
		{ "v=1; a=rsa-sha256; d=example.org; s=ed; h=from;", bench.rsa, DKIM_RESULT_PERMERROR,
		    DKIM_KEY_K, DKIM_CRYPTO_NONE },
		{ "v=1; a=rsa-sha256; d=example.org; s=none; h=from;", bench.rsa, DKIM_RESULT_PERMERROR,
		    DKIM_DNS_NONE, DKIM_CRYPTO_NONE },
		{ "v=1; a=rsa-sha256; d=example.org; s=gone; h=from;", bench.rsa, DKIM_RESULT_PERMERROR,
		    DKIM_KEY_REVOKED, DKIM_CRYPTO_NONE },
		{ "v=1; a=rsa-sha256; d=example.org; s=lost; h=from;", bench.rsa, DKIM_RESULT_TEMPERROR,
		    DKIM_DNS_TEMP, DKIM_CRYPTO_NONE },
		{ "v=1; a=rsa-sha256; d=example.org; s=bogus; h=from;", bench.rsa, DKIM_RESULT_TEMPERROR,
		    DKIM_DNS_TEMP, DKIM_CRYPTO_NONE },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct dkim_verdict v;

		one(table[i].tags, table[i].key, &v);
		if (v.result != table[i].result || v.why != table[i].why ||
		    v.crypto != table[i].crypto)
			fail_msg("%s: %.*s, %.*s", table[i].tags, SFMT(dkim_result_name(v.result)),
			    SFMT(dkim_why_text(v.why)));
	}
}

/* bytes behind l=, a second From above a signature that names From once, a From under one that
 * names it twice. */
static void
additions(void **state)
{
	own(buf_t) mail = { .max = 1 << 20 };
	own(buf_t) more = { .max = 1 << 20 };
	struct dkim_verdicts v;

	testing_sign(&mail, S("DKIM-Signature"), DKIM_SIGNATURE, S(RSA "h=from; l=14;"), S(MAIL),
	    bench.rsa, bench.a);
	buf_add(&mail, S("Buy now\r\n"));
	check(buf_slice(&mail), &v);
	assert_int_equal(v.v[0].result, DKIM_RESULT_POLICY);
	assert_int_equal(v.v[0].why, DKIM_BODY_PART);
	assert_int_equal(v.v[0].unsigned_octets, 9);

	testing_sign(&mail, S("DKIM-Signature"), DKIM_SIGNATURE, S(RSA "h=from;"), S(MAIL), bench.rsa,
	    bench.a);
	buf_add(&more, S("From: evil@example.com\r\n"));
	buf_add(&more, buf_slice(&mail));
	check(buf_slice(&more), &v);
	assert_int_equal(v.v[0].crypto, DKIM_CRYPTO_GOOD);
	assert_int_equal(v.v[0].result, DKIM_RESULT_POLICY);
	assert_int_equal(v.v[0].why, DKIM_FROM_EXTRA);

	testing_sign(&mail, S("DKIM-Signature"), DKIM_SIGNATURE, S(RSA "h=from:from;"), S(MAIL),
	    bench.rsa, bench.a);
	buf_reset(&more);
	buf_add(&more, S("From: evil@example.com\r\n"));
	buf_add(&more, buf_slice(&mail));
	check(buf_slice(&more), &v);
	assert_int_equal(v.v[0].result, DKIM_RESULT_FAIL);
	assert_int_equal(v.v[0].why, DKIM_SIGNATURE_BAD);
}

/* none of them is a pass, or a name, for x.com. */
static void
names(void **state)
{
	static const struct slice bad[] = { S_INIT("d=x.com(.evil; s=a"), S_INIT("d=x'a.evil; s=a"),
		S_INIT("d=evil.org; s=x.com._domainkey.\\.a"), S_INIT("d=x.com\"; s=a"),
		S_INIT("d=x.com; s=a\0b"), S_INIT("d=x.com/.evil.org; s=a"), S_INIT("d=x.com..; s=a") };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		own(buf_t) mail = { .max = 4096 };
		struct dkim_verdicts v;

		buf_add(&mail, S("DKIM-Signature: v=1; a=rsa-sha256; h=from; bh=QQ==; b=QQ==; "));
		buf_add(&mail, bad[i]);
		buf_add(&mail, S("\r\n" MAIL));
		bench.dns.queries = 0;
		check(buf_slice(&mail), &v);
		assert_int_equal(v.v[0].result, DKIM_RESULT_PERMERROR);
		assert_int_equal(bench.dns.queries, 0);
	}
}

/* 1 000 signatures, a header of 1 MiB, keys over 4096 bits. */
static void
limits(void **state)
{
	own(buf_t) mail = { .max = 1 << 22 };
	own(buf_t) key = { .max = 1 << 16 };
	struct dkim_verdicts v;
	struct slice record;
	struct dkim_message m;

	for (size_t i = 0; i < 1000; i++)
		buf_add(&mail, S("DKIM-Signature: " RSA "h=from; bh=QUFB; b=QUFB\r\n"));
	buf_add(&mail, S(MAIL));
	bench.dns.queries = 0;
	check(buf_slice(&mail), &v);
	assert_int_equal(v.n, LIMIT_DKIM_SIGNATURES);
	assert_int_equal(v.over, 1000 - LIMIT_DKIM_SIGNATURES);
	assert_int_equal(bench.dns.queries, LIMIT_DKIM_SIGNATURES);

	buf_reset(&mail);
	buf_add(&mail, S("DKIM-Signature: " RSA "h=from; bh=QUFB; b="));
	while (mail.n < LIMIT_HEADER - 1000)
		buf_add(&mail, S("QUFB\r\n "));
	buf_add(&mail, S("\r\n" MAIL));
	check(buf_slice(&mail), &v);
	assert_int_equal(v.v[0].why, DKIM_FIELD_LONG);
	buf_reset(&mail);
	while (mail.n <= LIMIT_HEADER)
		buf_add(&mail, S("X-Filler: 0123456789012345678901234567890123456789012345678901234567890"
				 "123456789012345678901234567890123456789012345678901234567890123456789"
				 "\r\n"));
	assert_false(dkim_message_split(buf_slice(&mail), bench.a, &m));

	/* RSA of 4104 bits: n = 0xff * 513, e = 3 */
	buf_add(&key, S("\x30\x82\x02\x09\x02\x82\x02\x02\x00"));
	for (size_t i = 0; i < 513; i++)
		buf_byte(&key, 0xff);
	buf_add(&key, S("\x02\x01\x03"));
	buf_reset(&mail);
	buf_add(&mail, S("p="));
	base64_encode(&mail, buf_slice(&key));
	assert_true(arena_copy(bench.a, buf_slice(&mail), &record));
	testing_dns_add(&bench.dns, S("long._domainkey.example.org"), record, RESOLVE_OK);
	buf_reset(&mail);
	buf_add(&mail, S("DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=long; h=from; bh=QUFB;"
			 " b=QUFB\r\n" MAIL));
	check(buf_slice(&mail), &v);
	assert_int_equal(v.v[0].result, DKIM_RESULT_PERMERROR);
	assert_int_equal(v.v[0].why, DKIM_KEY_LONG);
}

/* The largest header there may be, 10 000 fields, and 8 signatures that name 1 024 of them each: it
 * fits the arena of a message and takes less than a second. */
static void
worst_case(void **state)
{
	own(arena_p) a = arena_new("message", LIMIT_ARENA_MESSAGE);
	own(buf_t) mail = { .max = 1 << 22 };
	struct dkim_rules rules = { .now = NOW, .skew = 300 };
	struct resolver dns = resolver_of(testing_dns_query, &bench.dns);
	struct dkim_verdicts v;
	struct dkim_message m;
	struct timespec from, to;

	for (size_t k = 0; k < LIMIT_DKIM_SIGNATURES; k++) {
		buf_add(&mail, S("DKIM-Signature: " RSA "bh=QUFB; b=QUFB; h=from"));
		for (size_t i = 1; i < LIMIT_DKIM_SIGNED; i++)
			buf_fmt(&mail, ":x-%zu", (i * 7919 + k) % 9000);
		buf_add(&mail, S("\r\n"));
	}
	buf_add(&mail, S("From: a@example.org\r\n"));
	for (size_t i = 0; i < LIMIT_HEADER_FIELDS - LIMIT_DKIM_SIGNATURES - 1; i++)
		buf_fmt(&mail, "X-%zu: %060zu 0123456789\r\n", i, i);
	while (mail.n < LIMIT_HEADER - 8)
		buf_add(&mail, S("\t1234"));
	buf_add(&mail, S("\r\n\r\nbody\r\n"));
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	assert_true(dkim_message_split(buf_slice(&mail), a, &m));
	assert_int_equal(m.n, LIMIT_HEADER_FIELDS);
	assert_true(dkim_verify(&m, &rules, &dns, a, &v));
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	assert_int_equal(v.n, LIMIT_DKIM_SIGNATURES);
	for (size_t k = 0; k < v.n; k++)
		assert_int_equal(v.v[k].result, DKIM_RESULT_FAIL);
	assert_true((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 < 1000);
}

/* Every changed octet of header or body that is signed is noticed; relaxed lets white space pass. */
static void
every_octet(void **state)
{
	own(buf_t) mail = { .max = 1 << 20 };
	struct dkim_verdicts v;
	size_t from;

	testing_sign(&mail, S("DKIM-Signature"), DKIM_SIGNATURE, S(RSA "h=from:to:subject;"), S(MAIL),
	    bench.rsa, bench.a);
	check(buf_slice(&mail), &v);
	assert_int_equal(v.v[0].result, DKIM_RESULT_PASS);
	from = slice_find(buf_slice(&mail), S("From: "));
	for (size_t i = from + 6; i < mail.n; i++) {
		if (mail.p[i] == '\r' || mail.p[i] == '\n' || mail.p[i] == ':' || mail.p[i] == ' ')
			continue;
		mail.p[i] ^= 1;
		check(buf_slice(&mail), &v);
		assert_int_not_equal(v.v[0].result, DKIM_RESULT_PASS);
		mail.p[i] ^= 1;
	}
	buf_add(&mail, S("  \r\n\r\n"));
	check(buf_slice(&mail), &v);
	assert_int_equal(v.v[0].result, DKIM_RESULT_PASS);
}

static void
testing_and_strict_keys(void **state)
{
	struct slice rec;
	own(buf_t) b = { .max = 4096 };
	EVP_PKEY *key = testing_key(0, bench.a, &rec);
	struct dkim_verdict v;

	buf_add(&b, rec);
	buf_add(&b, S("; t=y:s; h=sha256"));
	testing_dns_add(&bench.dns, S("ts._domainkey.example.org"), buf_slice(&b), RESOLVE_OK);
	one("v=1; a=ed25519-sha256; d=example.org; s=ts; h=from;", key, &v);
	assert_true(v.result == DKIM_RESULT_PASS && v.testing);
	one("v=1; a=ed25519-sha256; d=example.org; i=@sub.example.org; s=ts; h=from;", key, &v);
	assert_true(v.result == DKIM_RESULT_PERMERROR && v.why == DKIM_KEY_STRICT);
	EVP_PKEY_free(key);
	bench.dns.n--;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(outcomes), cmocka_unit_test(additions),
		cmocka_unit_test(names), cmocka_unit_test(limits), cmocka_unit_test(worst_case),
		cmocka_unit_test(every_octet),
		cmocka_unit_test(testing_and_strict_keys) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
