/* SPDX-License-Identifier: MIT
 * The client's messages of SCRAM and OAUTHBEARER: U-018 and the framing of U-020. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/sasl/oauth.h"
#include "lib/parse/sasl/scram.h"

static const struct {
	struct slice in;
	bool ok;
	uint8_t flag;
	struct slice header, name, nonce;
} firsts[] = {
	{ S_INIT("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), true, 'n', S_INIT("n,,"), S_INIT("user"),
	    S_INIT("rOprNGfwEbeRWgbNEkqO") },
	{ S_INIT("y,,n=user,r=a"), true, 'y', S_INIT("y,,"), S_INIT("user"), S_INIT("a") },
	{ S_INIT("p=tls-exporter,,n=user,r=a"), true, 'p', S_INIT("p=tls-exporter,,"), S_INIT("user"), S_INIT("a") },
	{ S_INIT("n,a=user,n=user,r=a"), true, 'n', S_INIT("n,a=user,"), S_INIT("user"), S_INIT("a") },
	{ S_INIT("n,,n=a=2Cb=3Dc,r=a"), true, 'n', S_INIT("n,,"), S_INIT("a,b=c"), S_INIT("a") },
	{ S_INIT("n,,n=user,r=a,x=ext,Y=more"), true, 'n', S_INIT("n,,"), S_INIT("user"), S_INIT("a") },
	{ S_INIT("n,,n=user,r=a,m=must"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,,m=must,n=user,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,a=root,n=user,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("p=tls-unique,,n=user,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("p=,,n=user,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("p=tls-exporterX,,n=user,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("F,n,,n=user,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,,n=,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,,n=user,r="), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,,n=us=2cer,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,,n=us=er,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,,n=us\0er,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,,n=us\ner,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,,n=\xff,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,,n=user,r=a\x7f"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,,r=a,n=user"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,n=user,r=a"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
	{ S_INIT("n,,n=user,r=a,"), false, 0, S_INIT(""), S_INIT(""), S_INIT("") },
};

static void
client_first(void **state)
{
	for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
		struct scram_first f;
		enum sasl_status st = scram_first_parse(firsts[i].in, a, &f);

		if ((st == SASL_OK) != firsts[i].ok)
			print_error("%.*s\n", SFMT(firsts[i].in));
		assert_int_equal(st, firsts[i].ok ? SASL_OK : SASL_REFUSE);
		if (st == SASL_OK) {
			assert_int_equal(f.flag, firsts[i].flag);
			assert_true(slice_eq(f.header, firsts[i].header) && slice_eq(f.name, firsts[i].name) &&
			    slice_eq(f.nonce, firsts[i].nonce));
		}
		for (size_t n = 0; n < firsts[i].in.n; n++)
			if (scram_first_parse(slice_head(firsts[i].in, n), a, &f) == SASL_OK)
				assert_true(f.header.n + f.bare.n == n);
	}
}

#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static const struct {
	struct slice in;
	bool ok;
} finals[] = {
	{ S_INIT("c=biws,r=abc,p=" PROOF), true },
	{ S_INIT("c=biws,r=abc,x=ext,p=" PROOF), true },
	{ S_INIT("c=biws,r=abc"), false },
	{ S_INIT("c=biws,r=abc,p="), false },
	{ S_INIT("c=biws,r=abc,p=AAAA"), false },
	{ S_INIT("c=biws,r=abc,p=" PROOF "AAAA"), false },
	{ S_INIT("c=biws,r=abc,p=" PROOF ",x=y"), false },
	{ S_INIT("c=!!,r=abc,p=" PROOF), false },
	{ S_INIT("r=abc,c=biws,p=" PROOF), false },
	{ S_INIT("c=biws,r=,p=" PROOF), false },
	{ S_INIT("c=biws,m=x,r=abc,p=" PROOF), false },
	{ S_INIT(""), false },
};

static void
client_final(void **state)
{
	for (size_t i = 0; i < sizeof finals / sizeof finals[0]; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
		struct scram_final f;

		assert_int_equal(scram_final_parse(finals[i].in, a, &f) == SASL_OK, finals[i].ok);
		if (finals[i].ok)
			assert_true(slice_eq(f.nonce, S("abc")) && slice_eq(f.binding, S("n,,")));
		for (size_t n = 0; finals[i].ok && n + 1 < finals[i].in.n; n++) /* without its last '=' base64 is taken too */
			assert_int_equal(scram_final_parse(slice_head(finals[i].in, n), a, &f), SASL_REFUSE);
	}
}

/* U-018. */
static void
binding(void **state)
{
	static const uint8_t key[32] = { 1, 2, 3 }, other[32] = { 1, 2, 4 };
	struct slice plus = S("p=tls-exporter,,");
	own(buf_t) good = { .max = 100 }, faked = { .max = 100 };

	assert_true(buf_add(&good, plus) && buf_add(&good, slice_of(key, 32)));
	assert_true(buf_add(&faked, plus) && buf_add(&faked, slice_of(other, 32)));
	assert_true(scram_bound(plus, 'p', slice_of(key, 32), buf_slice(&good)));
	assert_false(scram_bound(plus, 'p', slice_of(key, 32), buf_slice(&faked)));
	assert_false(scram_bound(plus, 'p', slice_of(key, 32), plus));
	assert_false(scram_bound(plus, 'p', S(""), plus));
	assert_false(scram_bound(plus, 'p', slice_of(key, 32), S("n,,")));
	assert_true(scram_bound(S("n,,"), 'n', slice_of(key, 32), S("n,,")));
	assert_false(scram_bound(S("n,,"), 'n', slice_of(key, 32), S("y,,")));
	assert_false(scram_bound(S("n,,"), 'n', slice_of(key, 32), S("n,,x")));
	assert_true(scram_flag_ok('p', true, true) && scram_flag_ok('n', false, true) &&
	    scram_flag_ok('n', false, false) && scram_flag_ok('y', false, false));
	assert_false(scram_flag_ok('n', true, true)); /* `n,,` where PLUS was chosen */
	assert_false(scram_flag_ok('y', true, true));
	assert_false(scram_flag_ok('y', false, true)); /* somebody hid PLUS from the client */
	assert_false(scram_flag_ok('p', false, true));
	assert_false(scram_flag_ok('p', true, false));
	for (unsigned i = 0; i < 16; i++) {
		struct scram_offer o = { .off = (i & 1) != 0, .must_bind = (i & 2) != 0 };
		bool bound = (i & 4) != 0, bindable = (i & 8) != 0;

		assert_int_equal(scram_offered(&o, bound, bindable), !o.off && (bound ? bindable : !o.must_bind));
	}
}

static const struct {
	struct slice in;
	bool ok;
} tokens[] = {
	{ S_INIT("n,a=user@example.com,\1auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"), true },
	{ S_INIT("n,,\1auth=bearer abc\1\1"), true },
	{ S_INIT("n,a=u,\1host=server.example.com\1port=143\1auth=Bearer abc\1\1"), true },
	{ S_INIT("n,a=u,\1auth=Bearer abc\1"), false },
	{ S_INIT("n,a=u,\1auth=Bearer abc"), false },
	{ S_INIT("n,a=u,\1auth=Bearer \1\1"), false },
	{ S_INIT("n,a=u,\1auth=Basic abc\1\1"), false },
	{ S_INIT("n,a=u,\1auth=Bearer a b\1\1"), false },
	{ S_INIT("n,a=u,\1auth=Bearer ../../x;id\1\1"), false },
	{ S_INIT("n,a=u,\1auth=Bearer abc\1auth=Bearer abc\1\1"), false },
	{ S_INIT("n,a=u,\1auth=Bearer abc\1\1more"), false },
	{ S_INIT("n,a=u,\1\1"), false },
	{ S_INIT("p=tls-exporter,a=u,\1auth=Bearer abc\1\1"), false },
	{ S_INIT("n,a=u\nv,\1auth=Bearer abc\1\1"), false },
	{ S_INIT(""), false },
	{ S_INIT("\1"), false },
};

static void
bearer(void **state)
{
	for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++)
		for (size_t n = tokens[i].ok ? 0 : tokens[i].in.n; n <= tokens[i].in.n; n++) {
			own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
			own(buf_t) line = { .max = 1000 };
			struct oauth_bearer b;

			assert_true(base64_encode(&line, slice_head(tokens[i].in, n)));
			assert_int_equal(oauth_bearer(line.n > 0 ? buf_slice(&line) : S("="), a, &b) == SASL_OK,
			    tokens[i].ok && n == tokens[i].in.n);
		}
}

static const struct {
	struct slice in;
	bool ok;
	struct slice nonce;
	size_t salt;
	uint32_t iterations;
} challenges[] = {
	{ S_INIT("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), true,
	    S_INIT("rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"), 16, 4096 },
	{ S_INIT("r=a,s=AAAA,i=1,x=ext"), true, S_INIT("a"), 3, 1 },
	{ S_INIT("r=a,s=AAAA,i=4294967295"), true, S_INIT("a"), 3, 4294967295u },
	{ S_INIT("r=a,s=AAAA,i=4294967296"), false, S_INIT(""), 0, 0 },
	{ S_INIT("r=a,s=AAAA,i=-1"), false, S_INIT(""), 0, 0 },
	{ S_INIT("r=a,s=AAAA,i="), false, S_INIT(""), 0, 0 },
	{ S_INIT("r=a,s=,i=4096"), false, S_INIT(""), 0, 0 },
	{ S_INIT("r=a,s=A!AA,i=4096"), false, S_INIT(""), 0, 0 },
	{ S_INIT("r=,s=AAAA,i=4096"), false, S_INIT(""), 0, 0 },
	{ S_INIT("m=must,r=a,s=AAAA,i=4096"), false, S_INIT(""), 0, 0 },
	{ S_INIT("r=a,s=AAAA,i=4096,m=must"), false, S_INIT(""), 0, 0 },
	{ S_INIT("r=a,s=AAAA,i=4096 "), false, S_INIT(""), 0, 0 },
	{ S_INIT("s=AAAA,r=a,i=4096"), false, S_INIT(""), 0, 0 },
	{ S_INIT("r=a\0b,s=AAAA,i=4096"), false, S_INIT(""), 0, 0 },
};

static void
server_first(void **state)
{
	for (size_t i = 0; i < sizeof challenges / sizeof challenges[0]; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_SESSION);
		struct scram_challenge ch;
		bool ok = scram_challenge_parse(challenges[i].in, a, &ch) == SASL_OK;

		if (ok != challenges[i].ok)
			print_error("%.*s\n", SFMT(challenges[i].in));
		assert_int_equal(ok, challenges[i].ok);
		assert_true(!ok || (slice_eq(ch.nonce, challenges[i].nonce) && ch.salt.n == challenges[i].salt &&
		    ch.iterations == challenges[i].iterations));
		for (size_t n = 0; n < challenges[i].in.n; n++)
			if (scram_challenge_parse(slice_head(challenges[i].in, n), a, &ch) == SASL_OK)
				assert_true(n >= S("r=a,s=AAAA,i=1").n);
	}
}

static void
server_final(void **state)
{
	static const struct {
		struct slice in;
		bool ok;
	} rows[] = {
		{ S_INIT("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), true },
		{ S_INIT("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=ext"), true },
		{ S_INIT("e=invalid-proof"), false }, { S_INIT("v=AAAA"), false }, { S_INIT("v="), false }, { S_INIT(""), false },
		{ S_INIT("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,m=x"), false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_SESSION);
		uint8_t signature[SCRAM_PROOF];

		assert_int_equal(scram_verdict_parse(rows[i].in, a, signature) == SASL_OK, rows[i].ok);
		for (size_t n = 0; n < rows[i].in.n; n++)
			if (scram_verdict_parse(slice_head(rows[i].in, n), a, signature) == SASL_OK)
				assert_true(n >= 45); /* base64 without its last '=' is taken too */
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_first), cmocka_unit_test(server_first), cmocka_unit_test(server_final),
		cmocka_unit_test(client_final),
		cmocka_unit_test(binding),
		cmocka_unit_test(bearer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
