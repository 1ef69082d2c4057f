/* SPDX-License-Identifier: MIT */
#include "lib/scram/scram.h"

#include <sodium.h>

#include "lib/base/cursor.h"
#include "lib/base/encode.h"
#include "lib/base/own.h"

#define PREFIX "SCRAM-SHA-256$"

static void
hmac(const uint8_t *key, size_t n, struct slice text, uint8_t out[static SCRAM_KEY])
{
	crypto_auth_hmacsha256_state st;

	(void)crypto_auth_hmacsha256_init(&st, key, n);
	(void)crypto_auth_hmacsha256_update(&st, text.p == NULL ? (const uint8_t *)"" : text.p, text.n);
	(void)crypto_auth_hmacsha256_final(&st, out);
	sodium_memzero(&st, sizeof st);
}

/* Hi() of RFC 5802 section 2.2: PBKDF2 with one block. */
static void
salted(struct slice password, struct slice salt, uint32_t iterations, uint8_t out[static SCRAM_KEY])
{
	crypto_auth_hmacsha256_state keyed, st;
	static const uint8_t one[4] = { 0, 0, 0, 1 };
	uint8_t u[SCRAM_KEY];

	(void)crypto_auth_hmacsha256_init(&keyed, password.p, password.n);
	st = keyed;
	(void)crypto_auth_hmacsha256_update(&st, salt.p, salt.n);
	(void)crypto_auth_hmacsha256_update(&st, one, sizeof one);
	(void)crypto_auth_hmacsha256_final(&st, u);
	memcpy(out, u, SCRAM_KEY);
	for (uint32_t i = 1; i < iterations; i++) {
		st = keyed;
		(void)crypto_auth_hmacsha256_update(&st, u, sizeof u);
		(void)crypto_auth_hmacsha256_final(&st, u);
		for (size_t k = 0; k < SCRAM_KEY; k++)
			out[k] ^= u[k];
	}
	sodium_memzero(&keyed, sizeof keyed);
	sodium_memzero(&st, sizeof st);
	sodium_memzero(u, sizeof u);
}

void
scram_derive(struct scram_keys *k, struct slice salt, struct slice password)
{
	uint8_t whole[SCRAM_KEY], client[SCRAM_KEY];

	salted(password, salt, k->iterations, whole);
	hmac(whole, sizeof whole, S("Client Key"), client);
	(void)crypto_hash_sha256(k->stored, client, sizeof client);
	hmac(whole, sizeof whole, S("Server Key"), k->server);
	sodium_memzero(whole, sizeof whole);
	sodium_memzero(client, sizeof client);
}

void
scram_make(struct scram_keys *k, struct slice password)
{
	*k = (struct scram_keys){ .iterations = SCRAM_ITERATIONS };
	randombytes_buf(k->salt, sizeof k->salt);
	scram_derive(k, slice_of(k->salt, sizeof k->salt), password);
}

bool
scram_put(struct buf *b, const struct scram_keys *k)
{
	(void)buf_add(b, S(PREFIX));
	(void)buf_u64(b, k->iterations);
	(void)buf_byte(b, ':');
	(void)base64_encode(b, slice_of(k->salt, sizeof k->salt));
	(void)buf_byte(b, '$');
	(void)base64_encode(b, slice_of(k->stored, sizeof k->stored));
	(void)buf_byte(b, ':');
	return base64_encode(b, slice_of(k->server, sizeof k->server));
}

static bool
octets(struct slice text, struct arena *a, uint8_t *out, size_t n)
{
	struct slice got;

	if (!base64_decode(text, a, &got) || got.n != n)
		return false;
	memcpy(out, got.p, n);
	return true;
}

bool
scram_read(struct slice hash, struct scram_keys *k)
{
	own(arena_p) a = arena_new("scram", 4096);
	struct slice first, line, salt, stored;
	struct scram_keys got = { 0 };
	struct cursor c;

	if (!slice_cut(hash, '\n', &first, &line))
		return false;
	c = cur_of(line);
	if (!cur_word(&c, S(PREFIX)) || !cur_u32(&c, 10000000, &got.iterations) || !cur_byte(&c, ':') ||
	    !cur_until(&c, '$', &salt) || !cur_until(&c, ':', &stored) ||
	    !octets(salt, a, got.salt, SCRAM_SALT) || !octets(stored, a, got.stored, SCRAM_KEY) ||
	    !octets(cur_rest(&c), a, got.server, SCRAM_KEY))
		return false;
	*k = got;
	return true;
}

bool
scram_verify(const struct scram_keys *k, struct slice auth_message, const uint8_t proof[static SCRAM_KEY],
    uint8_t signature[static SCRAM_KEY])
{
	uint8_t key[SCRAM_KEY], hash[SCRAM_KEY];

	hmac(k->stored, SCRAM_KEY, auth_message, key);
	for (size_t i = 0; i < SCRAM_KEY; i++)
		key[i] ^= proof[i];
	(void)crypto_hash_sha256(hash, key, sizeof key);
	hmac(k->server, SCRAM_KEY, auth_message, signature);
	sodium_memzero(key, sizeof key);
	return sodium_memcmp(hash, k->stored, SCRAM_KEY) == 0;
}

void
scram_prove(struct slice password, struct slice salt, uint32_t iterations, struct slice auth_message,
    uint8_t proof[static SCRAM_KEY], uint8_t signature[static SCRAM_KEY])
{
	uint8_t whole[SCRAM_KEY], client[SCRAM_KEY], stored[SCRAM_KEY], server[SCRAM_KEY];

	salted(password, salt, iterations, whole);
	hmac(whole, sizeof whole, S("Client Key"), client);
	(void)crypto_hash_sha256(stored, client, sizeof client);
	hmac(stored, sizeof stored, auth_message, proof);
	for (size_t i = 0; i < SCRAM_KEY; i++)
		proof[i] ^= client[i];
	hmac(whole, sizeof whole, S("Server Key"), server);
	hmac(server, sizeof server, auth_message, signature);
	sodium_memzero(whole, sizeof whole);
	sodium_memzero(client, sizeof client);
	sodium_memzero(server, sizeof server);
}

bool
scram_equal(const uint8_t *x, const uint8_t *y)
{
	return sodium_memcmp(x, y, SCRAM_KEY) == 0;
}
