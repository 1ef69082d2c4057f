/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/x509.h>

#include "lib/base/encode.h"
#include "lib/make/dkim/sign.h"
#include "lib/verify/dkim/testing.h"

#define NOW 1800000000u
#define MAIL                                                                                       \
	"Received: from here\r\nFrom: a@example.org\r\nTo: b@example.net\r\nSubject: folded\r\n"     \
	" subject\r\nSubject: two\r\nX-Other: free\r\n\r\nHello  \r\n\tWorld\r\n\r\n"

struct ring {
	EVP_PKEY *rsa, *ed;
	bool locked;
	unsigned calls, used;
};

static bool
ask(void *ctx, const struct dkim_ask *ask, size_t n)
{
	struct ring *r = ctx;

	r->calls++;
	if (r->locked)
		return false;
	for (size_t i = 0; i < n; i++, r->used++) {
		assert_int_equal(ask[i].digest.n, 32);
		testing_sign_digest(ask[i].who->alg == DKIM_RSA_SHA256 ? r->rsa : r->ed, ask[i].who->alg,
		    ask[i].digest, ask[i].signature);
	}
	return true;
}

static const struct dkim_signer DUAL[] = {
	{ DKIM_RSA_SHA256, S_INIT("example.org"), S_INIT("r2026") },
	{ DKIM_ED25519_SHA256, S_INIT("example.org"), S_INIT("e2026") },
};

static void
verify(struct arena *a, struct testing_dns *zone, struct slice mail, struct dkim_verdicts *v)
{
	struct dkim_rules rules = { .now = NOW, .skew = 300 };
	struct resolver dns = resolver_of(testing_dns_query, zone);
	struct dkim_message m;

	assert_true(dkim_message_split(mail, a, &m));
	assert_true(dkim_verify(&m, &rules, &dns, a, v));
}

static enum dkim_result
with_line_on_top(struct arena *a, struct testing_dns *zone, const char *line, struct slice mail)
{
	own(buf_t) b = { .max = 1 << 20 };
	struct dkim_verdicts v;

	buf_add(&b, slice_z(line));
	buf_add(&b, mail);
	verify(a, zone, buf_slice(&b), &v);
	assert_int_equal(v.n, 2);
	assert_int_equal(v.v[0].result, v.v[1].result);
	return v.v[0].result;
}

static void
round_trip(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 26);
	own(buf_t) out = { .max = 1 << 20 };
	static struct testing_dns zone;
	struct dkim_sign_rules rules = { .now = NOW, .lifetime = 7 * 86400 };
	struct dkim_verdicts v;
	struct dkim_message m;
	struct slice rec, left, line;
	struct ring ring = { 0 };

	ring.rsa = testing_key(2048, a, &rec);
	testing_dns_add(&zone, S("r2026._domainkey.example.org"), rec, RESOLVE_OK);
	ring.ed = testing_key(0, a, &rec);
	testing_dns_add(&zone, S("e2026._domainkey.example.org"), rec, RESOLVE_OK);
	assert_true(dkim_message_split(S(MAIL), a, &m));
	assert_int_equal(dkim_sign(&m, &rules, DUAL, 2, ask, &ring, a, &out), DKIM_SIGNED);
	assert_true(ring.used == 2 && ring.calls == 1);
	for (left = buf_slice(&out); slice_cut(left, '\n', &line, &left);)
		assert_true(line.n <= 78);
	buf_add(&out, S(MAIL));
	verify(a, &zone, buf_slice(&out), &v);
	assert_int_equal(v.n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(v.v[i].result, DKIM_RESULT_PASS);
		assert_true(slice_eq(v.v[i].domain, S("example.org")));
		assert_true(v.v[i].sig.x == NOW + 7 * 86400 && v.v[i].sig.t == NOW);
		assert_false(v.v[i].sig.has_l);
	}
	assert_true(v.v[0].key_bits == 2048 && v.v[1].sig.alg == DKIM_ED25519_SHA256);
	/* nothing that a reader sees can be added; what is on the way can */
	assert_int_equal(with_line_on_top(a, &zone, "From: x@evil\r\n", buf_slice(&out)),
	    DKIM_RESULT_FAIL);
	assert_int_equal(with_line_on_top(a, &zone, "Subject: x\r\n", buf_slice(&out)),
	    DKIM_RESULT_FAIL);
	assert_int_equal(with_line_on_top(a, &zone, "Reply-To: x@evil\r\n", buf_slice(&out)),
	    DKIM_RESULT_FAIL);
	assert_int_equal(with_line_on_top(a, &zone, "Content-Type: text/html\r\n", buf_slice(&out)),
	    DKIM_RESULT_FAIL);
	assert_int_equal(with_line_on_top(a, &zone, "Received: next\r\n", buf_slice(&out)),
	    DKIM_RESULT_PASS);
	assert_int_equal(with_line_on_top(a, &zone, "List-Id: <l>\r\n", buf_slice(&out)),
	    DKIM_RESULT_PASS);
	EVP_PKEY_free(ring.rsa);
	EVP_PKEY_free(ring.ed);
}

static void
refusals(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 26);
	own(buf_t) out = { .max = 1 << 20 };
	own(buf_t) tiny = { .max = 100 };
	own(buf_t) mail = { .max = 1 << 20 };
	struct dkim_sign_rules rules = { .now = NOW };
	struct dkim_message m;
	struct slice rec;
	struct ring ring = { .locked = true };

	ring.ed = testing_key(0, a, &rec);
	assert_true(dkim_message_split(S(MAIL), a, &m));
	buf_add(&out, S("before"));
	assert_int_equal(dkim_sign(&m, &rules, DUAL + 1, 1, ask, &ring, a, &out), DKIM_SIGN_NO_KEY);
	assert_true(slice_eq(buf_slice(&out), S("before")));
	ring.locked = false;
	assert_int_equal(dkim_sign(&m, &rules, DUAL + 1, 1, ask, &ring, a, &tiny), DKIM_SIGN_NO_MEMORY);
	assert_true(dkim_message_split(S("To: x\r\n\r\n"), a, &m));
	assert_int_equal(dkim_sign(&m, &rules, DUAL + 1, 1, ask, &ring, a, &out), DKIM_SIGN_REFUSED);
	for (size_t i = 0; i < 1100; i++)
		buf_add(&mail, S("From: a\r\n"));
	assert_true(dkim_message_split(buf_slice(&mail), a, &m));
	assert_int_equal(dkim_sign(&m, &rules, DUAL + 1, 1, ask, &ring, a, &out), DKIM_SIGN_REFUSED);
	EVP_PKEY_free(ring.ed);
}

static void
records(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	own(buf_t) out = { .max = 1 << 16 };
	struct slice rec, at, word, rest;
	EVP_PKEY *key = testing_key(2048, a, &rec);
	uint8_t *der = NULL;
	size_t n = (size_t)i2d_PUBKEY(key, &der), total = 0;

	assert_true(dkim_record_text(&out, DKIM_RSA_SHA256, slice_of(der, n)));
	assert_true(slice_eq(buf_slice(&out), rec));
	buf_reset(&out);
	assert_true(dkim_record_zone(&out, DKIM_RSA_SHA256, slice_of(der, n)));
	assert_true(slice_starts(buf_slice(&out), S("\"v=DKIM1; k=rsa; p=")));
	/* "first" "second": quotes at every other cut */
	for (at = buf_slice(&out); slice_cut(at, '"', &word, &rest) && slice_cut(rest, '"', &word, &at);) {
		assert_true(word.n <= 255);
		total += word.n;
	}
	assert_int_equal(total, rec.n);
	buf_reset(&out);
	assert_true(dkim_record_text(&out, DKIM_ED25519_SHA256, S("")));
	assert_true(slice_eq(buf_slice(&out), S("v=DKIM1; k=ed25519; p=")));
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(round_trip), cmocka_unit_test(refusals),
		cmocka_unit_test(records) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
