/* SPDX-License-Identifier: MIT
 * dane-stalwart: real chains and their TLSA records, at the certificates' own time; every byte changed in a
 * record, and every other certificate, fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/tls/dane.h"

#define IN_TIME INT64_C(1673740800) /* 2023-01-15 */
#define TOO_LATE INT64_C(1763740800)

struct chain {
	struct slice name, certs[4];
	size_t n;
};

static struct arena *arena;
static struct chain nl = { .name = S_INIT("internet.nl") }, ietf = { .name = S_INIT("mail.ietf.org") };

static bool
load(struct chain *c)
{
	for (c->n = 0; c->n < 4; c->n++) {
		char path[512];
		static uint8_t der[8192];
		size_t n;
		FILE *f;

		(void)snprintf(path, sizeof path, VECTORS "/dane-stalwart/%.*s.%zu.cert", SFMT(c->name), c->n);
		f = fopen(path, "rb");
		if (f == NULL)
			break;
		n = fread(der, 1, sizeof der, f);
		(void)fclose(f);
		if (!arena_copy(arena, slice_of(der, n), &c->certs[c->n]))
			return false;
	}
	return c->n > 0;
}

static struct tls_tlsa
record(uint8_t usage, const char *hex)
{
	struct tls_tlsa t = { .usage = usage, .selector = 1, .matching = 1 };

	assert_true(hex_decode(slice_z(hex), arena, &t.data));
	return t;
}

static enum tls_problem
verify(const struct chain *c, const struct tls_tlsa *t, struct slice name, int64_t at)
{
	return tls_dane_verify(c->certs, c->n, t, 1, &name, 1, at);
}

static void
real_chains(void **state)
{
	struct tls_tlsa ee = record(3, "D6FEA64D4E68CAEAB7CBB2E0F905D7F3CA3308B12FD88C5B469F08AD7E05C7C7");
	struct tls_tlsa ta = record(2, "E1AE9C3DE848ECE1BA72E0D991AE4D0D9EC547C6BAD1DDDAB9D6BEB0A7E0E0D8");
	struct tls_tlsa mail = record(3, "0C72AC70B745AC19998811B131D662C9AC69DBDBE7CB23E5B514B56664C5D3D6");

	(void)state;
	assert_int_equal(verify(&nl, &ee, nl.name, IN_TIME), TLS_PROBLEM_NONE);
	assert_int_equal(verify(&nl, &ta, nl.name, IN_TIME), TLS_PROBLEM_NONE);
	assert_int_equal(verify(&ietf, &mail, ietf.name, IN_TIME), TLS_PROBLEM_NONE);
	/* RFC 7672 3.1.1: usage 3 looks at neither names nor time; usage 2 at both */
	assert_int_equal(verify(&nl, &ee, S("elsewhere.example"), TOO_LATE), TLS_PROBLEM_NONE);
	assert_int_equal(verify(&nl, &ta, S("elsewhere.example"), IN_TIME), TLS_PROBLEM_NAME);
	assert_int_equal(verify(&nl, &ta, nl.name, TOO_LATE), TLS_PROBLEM_EXPIRED);
	/* usage 3 is about the leaf, usage 2 about the others */
	ee.usage = 2;
	assert_int_not_equal(verify(&nl, &ee, nl.name, IN_TIME), TLS_PROBLEM_NONE);
	ta.usage = 3;
	assert_int_not_equal(verify(&nl, &ta, nl.name, IN_TIME), TLS_PROBLEM_NONE);
	/* somebody else's chain */
	assert_int_not_equal(verify(&nl, &mail, nl.name, IN_TIME), TLS_PROBLEM_NONE);
	assert_int_not_equal(verify(&ietf, &ee, nl.name, IN_TIME), TLS_PROBLEM_NONE);
}

static void
every_byte_counts(void **state)
{
	struct tls_tlsa t[2] = { record(3, "D6FEA64D4E68CAEAB7CBB2E0F905D7F3CA3308B12FD88C5B469F08AD7E05C7C7"),
		record(2, "E1AE9C3DE848ECE1BA72E0D991AE4D0D9EC547C6BAD1DDDAB9D6BEB0A7E0E0D8") };

	(void)state;
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < 32; i++) {
			uint8_t bytes[32];
			struct tls_tlsa bad = t[k];

			memcpy(bytes, t[k].data.p, 32);
			bytes[i] ^= 1;
			bad.data = slice_of(bytes, 32);
			assert_int_equal(verify(&nl, &bad, nl.name, IN_TIME), TLS_PROBLEM_INVALID);
		}
}

static void
whole_certificates(void **state)
{
	struct tls_tlsa t = { .usage = 3, .selector = 0, .matching = 0, .data = nl.certs[0] };

	(void)state;
	assert_int_equal(verify(&nl, &t, nl.name, IN_TIME), TLS_PROBLEM_NONE);
	t.data = nl.certs[1];
	assert_int_not_equal(verify(&nl, &t, nl.name, IN_TIME), TLS_PROBLEM_NONE);
	t.usage = 2;
	assert_int_equal(verify(&nl, &t, nl.name, IN_TIME), TLS_PROBLEM_NONE);
}

/* D-001: TLSA of 0, 3 and 19 octets, and what RFC 7672 3.1.3 leaves out. */
static void
usable_records(void **state)
{
	static const struct {
		uint8_t usage, selector, matching;
		size_t n;
		bool ok;
	} table[] = {
		{ 3, 1, 1, 32, true }, { 2, 0, 1, 32, true }, { 3, 1, 2, 64, true }, { 2, 0, 2, 64, true },
		{ 0, 1, 1, 32, false }, { 1, 1, 1, 32, false }, { 4, 1, 1, 32, false }, { 255, 1, 1, 32, false },
		{ 3, 2, 1, 32, false }, { 3, 1, 3, 32, false }, { 3, 1, 1, 31, false }, { 3, 1, 1, 33, false },
		{ 3, 1, 2, 32, false }, { 3, 1, 1, 0, false }, { 3, 1, 1, 16, false }, { 3, 1, 0, 0, false },
		{ 3, 1, 0, 16, false }, { 3, 0, 0, 16, false },
	};
	static const uint8_t bytes[64];
	struct slice name = S("a.example");

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct tls_tlsa t = { table[i].usage, table[i].selector, table[i].matching, slice_of(bytes, table[i].n) };

		if (tls_tlsa_usable(&t) != table[i].ok)
			fail_msg("row %zu", i);
		if (!table[i].ok)
			assert_int_equal(tls_dane_verify(nl.certs, nl.n, &t, 1, &name, 1, IN_TIME), TLS_PROBLEM_TLSA);
	}
}

/* T-005: what is no certificate, too many, or nothing at all. */
static void
broken_chains(void **state)
{
	struct tls_tlsa t = record(3, "D6FEA64D4E68CAEAB7CBB2E0F905D7F3CA3308B12FD88C5B469F08AD7E05C7C7");
	struct slice many[LIMIT_DANE_CHAIN + 1];

	(void)state;
	for (size_t i = 0; i < LIMIT_DANE_CHAIN + 1; i++)
		many[i] = nl.certs[0];
	assert_int_equal(tls_dane_verify(many, LIMIT_DANE_CHAIN, &t, 1, &nl.name, 1, IN_TIME), TLS_PROBLEM_NONE);
	assert_int_equal(tls_dane_verify(many, LIMIT_DANE_CHAIN + 1, &t, 1, &nl.name, 1, IN_TIME), TLS_PROBLEM_INVALID);
	assert_int_equal(tls_dane_verify(many, 0, &t, 1, &nl.name, 1, IN_TIME), TLS_PROBLEM_INVALID);
	for (size_t n = 0; n < nl.certs[0].n; n += 7) {
		struct slice cut = slice_head(nl.certs[0], n);

		assert_int_equal(tls_dane_verify(&cut, 1, &t, 1, &nl.name, 1, IN_TIME), TLS_PROBLEM_INVALID);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(real_chains), cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(whole_certificates), cmocka_unit_test(usable_records),
		cmocka_unit_test(broken_chains) };
	int status;

	arena = arena_new("test", 1 << 20);
	if (!load(&nl) || !load(&ietf)) {
		(void)printf("SKIP: no vectors in " VECTORS "\n");
		return 77;
	}
	status = cmocka_run_group_tests(tests, NULL, NULL);
	arena_free(&arena);
	return status;
}
