/* SPDX-License-Identifier: MIT
 * The computing half of SCRAM against the exchanges that RFC 7677 prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/scram/scram.h"

/* The value of an attribute: "x=" up to the next comma. */
static struct slice
attribute(struct slice message, const char *key)
{
	size_t at = slice_find(message, slice_z(key)), end;
	struct slice rest;

	assert_true(at != SLICE_NONE);
	rest = slice_from(message, at + slice_z(key).n);
	end = slice_find_byte(rest, ',');
	return end == SLICE_NONE ? rest : slice_head(rest, end);
}

static struct slice
member(json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	assert_non_null(text);
	return slice_z(text);
}

static void
one(json_t *v)
{
	own(arena_p) a = arena_new("test", 65536);
	own(buf_t) said = { .max = 2000 }, sig = { .max = 100 };
	struct slice first = member(v, "server_first"), final = member(v, "client_final"), salt, proof;
	struct scram_keys k = { 0 };
	uint8_t signature[SCRAM_KEY], mine[SCRAM_KEY], theirs[SCRAM_KEY];
	uint64_t i;

	assert_true(base64_decode(attribute(first, ",s="), a, &salt));
	assert_true(base64_decode(attribute(final, ",p="), a, &proof) && proof.n == SCRAM_KEY);
	assert_true(slice_u64(attribute(first, ",i="), &i));
	k.iterations = (uint32_t)i;
	scram_derive(&k, salt, member(v, "password"));
	assert_true(buf_add(&said, S("n=")) && buf_add(&said, member(v, "user")) && buf_add(&said, S(",r=")) &&
	    buf_add(&said, member(v, "client_nonce")) && buf_byte(&said, ',') && buf_add(&said, first) &&
	    buf_byte(&said, ',') && buf_add(&said, slice_head(final, slice_find(final, S(",p=")))));
	assert_true(scram_verify(&k, buf_slice(&said), proof.p, signature));
	assert_true(base64_encode(&sig, slice_of(signature, SCRAM_KEY)));
	assert_true(slice_eq(buf_slice(&sig), attribute(member(v, "server_final"), "v=")));
	scram_prove(member(v, "password"), salt, (uint32_t)i, buf_slice(&said), mine, theirs); /* the client's half */
	assert_memory_equal(mine, proof.p, SCRAM_KEY);
	assert_true(scram_equal(theirs, signature));
	theirs[SCRAM_KEY - 1] ^= 1;
	assert_false(scram_equal(theirs, signature));
	for (size_t n = 0; n < said.n; n++) { /* every bit of the message counts */
		said.p[n] ^= 1;
		assert_false(scram_verify(&k, buf_slice(&said), proof.p, signature));
		said.p[n] ^= 1;
	}
}

static void
vectors(void **state)
{
	json_t *root = json_load_file(VECTORS "/sasl-scram/vectors.json", 0, NULL), *v;
	size_t i, n = 0;

	assert_non_null(root);
	json_array_foreach(root, i, v)
	{
		if (!slice_eq(member(v, "mech"), S("SCRAM-SHA-256")))
			continue; /* SHA-1 is not offered */
		one(v);
		n++;
	}
	assert_true(n >= 1);
	json_decref(root);
}

static void
there_and_back(void **state)
{
	own(buf_t) text = { .max = 257 };
	struct scram_keys k, again = { 0 };

	scram_make(&k, S("pencil"));
	assert_true(buf_add(&text, S("$argon2id$...\n")) && scram_put(&text, &k));
	assert_true(text.n < 160 && scram_read(buf_slice(&text), &again));
	assert_memory_equal(k.stored, again.stored, SCRAM_KEY);
	assert_memory_equal(k.server, again.server, SCRAM_KEY);
	assert_memory_equal(k.salt, again.salt, SCRAM_SALT);
	assert_int_equal(again.iterations, SCRAM_ITERATIONS);
	for (size_t n = 0; n + 1 < text.n; n++) /* without its last '=' base64 is taken too */
		assert_false(scram_read(slice_head(buf_slice(&text), n), &again));
	assert_false(scram_read(S("$argon2id$..."), &again));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(there_and_back) };
	const struct CMUnitTest others[] = { cmocka_unit_test(vectors) };
	int failed;

	assert_true(sodium_init() >= 0);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (failed != 0)
		return failed;
	if (access(VECTORS "/sasl-scram", R_OK) != 0) {
		(void)printf("SKIP: no ../shared/vectors/sasl-scram\n");
		return 77;
	}
	return cmocka_run_group_tests(others, NULL, NULL);
}
