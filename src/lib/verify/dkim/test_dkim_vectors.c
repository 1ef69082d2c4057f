/* SPDX-License-Identifier: MIT
 * Messages that others signed: dkim-maildkim, dkim-arc-real (RFC 8463 appendix A among them),
 * dkim-ec-mailauth. The first is judged by its cryptographic outcome, since its keys and hashes are
 * older than RFC 8301. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/base/chars.h"
#include "lib/verify/dkim/testing.h"

#define MOST ((size_t)1 << 22)

static void
check(struct arena *a, struct testing_dns *zone, struct slice mail, uint64_t now,
    struct dkim_verdicts *v)
{
	struct dkim_rules rules = { .now = now, .skew = 300 };
	struct resolver dns = resolver_of(testing_dns_query, zone);
	struct dkim_message m;

	assert_true(dkim_message_split(mail, a, &m));
	assert_true(dkim_verify(&m, &rules, &dns, a, v));
}

/* "name white-space text" a line; NXDOMAIN and ~~error~~ as the suite writes them. */
static void
read_zone(struct slice text, struct testing_dns *zone)
{
	struct slice line;

	while (slice_cut(text, '\n', &line, &text)) {
		size_t end = 0;
		struct slice value;

		while (end < line.n && !ch_is_wsp(slice_at(line, end)) && slice_at(line, end) != '\r')
			end++;
		if (end == 0 || slice_at(line, 0) == '#')
			continue;
		value = slice_trim(slice_sub(line, end, line.n - end - 1));
		if (slice_eq(value, S("NXDOMAIN")))
			continue;
		testing_dns_add(zone, slice_head(line, end), value,
		    slice_starts(value, S("~~")) ? RESOLVE_TIMEOUT : RESOLVE_OK);
	}
}

/* What the suite calls pass, fail and invalid. */
static const char *
crypto_outcome(const struct dkim_verdict *v)
{
	bool of_its_time = v->why == DKIM_OK || v->why == DKIM_SHA1 || v->why == DKIM_KEY_SHORT ||
	    v->why == DKIM_NO_V || v->why == DKIM_BAD_V;

	if (v->crypto == DKIM_CRYPTO_GOOD && of_its_time)
		return "pass";
	if (v->crypto == DKIM_CRYPTO_BAD)
		return "fail";
	return "invalid";
}

static bool
maildkim_one(struct arena *a, struct testing_dns *zone, struct slice file, struct slice want)
{
	own(buf_t) mail = { .max = MOST };
	struct dkim_verdicts v;
	const char *got = "none";
	char path[512];

	(void)snprintf(path, sizeof path, VECTORS "/dkim-maildkim/corpus/%.*s", SFMT(file));
	assert_true(testing_slurp(path, &mail));
	check(a, zone, buf_slice(&mail), 1700000000, &v);
	for (size_t i = 0; i < v.n; i++) {
		const struct dkim_verdict *d = &v.v[i];

		got = crypto_outcome(d);
		/* RFC 8301: none of these may count today */
		if (d->sig.alg == DKIM_RSA_SHA1 || (d->key_bits < 1024 && d->key_bits != 256))
			assert_int_not_equal(d->result, DKIM_RESULT_PASS);
		if (slice_eq(slice_z(got), S("pass")))
			break;
	}
	if (slice_eq(slice_z(got), want))
		return true;
	(void)printf("dkim-maildkim: %.*s: want %.*s, got %s\n", SFMT(file), SFMT(want), got);
	for (size_t i = 0; i < v.n; i++)
		(void)printf("  %.*s\n", SFMT(dkim_why_text(v.v[i].why)));
	return false;
}

static void
maildkim(void **state)
{
	own(arena_p) a = arena_new("test", 64 * MOST);
	own(buf_t) text = { .max = MOST };
	own(buf_t) list = { .max = MOST };
	static struct testing_dns zone;
	struct slice lines, line, file, rest, want;
	unsigned n = 0, good = 0;

	assert_true(testing_slurp(VECTORS "/dkim-maildkim/FAKE_DNS.dat", &text));
	read_zone(buf_slice(&text), &zone);
	assert_true(testing_slurp(VECTORS "/dkim-maildkim/expected.tsv", &list));
	for (lines = buf_slice(&list); slice_cut(lines, '\n', &line, &lines);) {
		if (!slice_cut(line, '\t', &file, &rest) || slice_eq(file, S("file")))
			continue;
		if (!slice_cut(rest, '\t', &want, &rest))
			want = slice_head(rest, rest.n - 1);
		n++;
		good += maildkim_one(a, &zone, file, want);
	}
	(void)printf("dkim-maildkim: %u/%u (cryptographic outcome)\n", good, n);
	assert_int_equal(n, 40);
	assert_int_equal(good, n);
}

/* How many signatures of a message pass. */
static size_t
passes(const struct dkim_verdicts *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++) {
		n += v->v[i].result == DKIM_RESULT_PASS;
		if (v->v[i].result != DKIM_RESULT_PASS)
			(void)printf("  signature %zu: %.*s\n", i, SFMT(dkim_why_text(v->v[i].why)));
	}
	return n;
}

static void
real(void **state)
{
	/* how many signatures each file has, and how many pass: by the source's own tests all but
	 * those of later hops that its DNS does not hold */
	for (unsigned i = 1; i <= 6; i++) {
		own(arena_p) a = arena_new("test", 64 * MOST);
		own(buf_t) file = { .max = MOST };
		static struct testing_dns zone;
		struct dkim_verdicts v;
		char path[512];
		size_t gap;

		(void)snprintf(path, sizeof path, VECTORS "/dkim-arc-real/dkim/%03u.txt", i);
		assert_true(testing_slurp(path, &file));
		gap = slice_find(buf_slice(&file), S("\r\n\r\n"));
		zone.n = 0;
		read_zone(slice_head(buf_slice(&file), gap + 2), &zone);
		/* the time of signing is years back: x= is judged at t= */
		check(a, &zone, slice_from(buf_slice(&file), gap + 4), 1667863000, &v);
		(void)printf("dkim-arc-real/dkim/%03u: %zu signatures\n", i, v.n);
		assert_true(v.n > 0);
		assert_int_equal(passes(&v), v.n);
	}
}

static void
mailauth(void **state)
{
	own(arena_p) a = arena_new("test", 64 * MOST);
	own(buf_t) mail = { .max = MOST };
	static struct testing_dns zone;
	struct dkim_verdicts v;

	testing_dns_add(&zone, S("brisbane._domainkey.football.example.com"),
	    S("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), RESOLVE_OK);
	testing_dns_add(&zone, S("test._domainkey.football.example.com"),
	    S("v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
	      "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
	      "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
	      "Ip3G+2kryOTIKT+l/K4w3QIDAQAB"),
	    RESOLVE_OK);
	assert_true(testing_slurp(VECTORS "/dkim-ec-mailauth/signed.eml", &mail));
	check(a, &zone, buf_slice(&mail), 1700000000, &v);
	assert_int_equal(v.n, 2);
	assert_int_equal(passes(&v), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(maildkim), cmocka_unit_test(real),
		cmocka_unit_test(mailauth) };
	FILE *f = fopen(VECTORS "/dkim-maildkim/SOURCE.txt", "r");

	if (f == NULL) {
		(void)printf("SKIP: no vectors in " VECTORS "\n");
		return 77;
	}
	(void)fclose(f);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
