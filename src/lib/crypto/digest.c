/* SPDX-License-Identifier: MIT */
#include "lib/crypto/digest.h"

#include <openssl/evp.h>

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
