/* SPDX-License-Identifier: MIT */
#include "lib/crypto/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

void
digest_begin(struct digest *d, enum digest_kind kind)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	PN_ASSERT(ctx != NULL);
	PN_ASSERT(EVP_DigestInit_ex(ctx, kind == DIGEST_SHA1 ? EVP_sha1() : EVP_sha256(), NULL) == 1);
	d->ctx = ctx;
	d->kind = kind;
	d->n = 0;
}

static void
flush(struct digest *d)
{
	PN_ASSERT(EVP_DigestUpdate(d->ctx, d->bytes, d->n) == 1);
	d->n = 0;
}

void
digest_add(struct digest *d, struct slice s)
{
	if (s.n > sizeof d->bytes - d->n)
		flush(d);
	if (s.n >= sizeof d->bytes) {
		PN_ASSERT(EVP_DigestUpdate(d->ctx, s.p, s.n) == 1);
		return;
	}
	if (s.n > 0)
		memcpy(&d->bytes[d->n], s.p, s.n);
	d->n += s.n;
}

void
digest_copy(const struct digest *d, struct digest *to)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	PN_ASSERT(ctx != NULL && EVP_MD_CTX_copy_ex(ctx, d->ctx) == 1);
	to->ctx = ctx;
	to->kind = d->kind;
	to->n = d->n;
	memcpy(to->bytes, d->bytes, d->n);
}

size_t
digest_end(struct digest *d, uint8_t out[static DIGEST_MOST])
{
	unsigned n = 0;

	flush(d);
	PN_ASSERT(EVP_DigestFinal_ex(d->ctx, out, &n) == 1 && n <= DIGEST_MOST);
	digest_free(d);
	return n;
}

void
digest_free(struct digest *d)
{
	EVP_MD_CTX_free(d->ctx);
	d->ctx = NULL;
}

void
crypto_init(void)
{
	uint8_t seed[16];

	PN_ASSERT(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT |
			  OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
	    NULL) == 1);
	PN_ASSERT(RAND_bytes(seed, sizeof seed) == 1); /* RSA blinding asks for it */
	OPENSSL_cleanse(seed, sizeof seed);
}
