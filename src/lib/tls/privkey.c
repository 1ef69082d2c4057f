/* SPDX-License-Identifier: MIT */
#include "lib/tls/privkey.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>

struct privkey {
	EVP_PKEY *pkey;
	EVP_PKEY_CTX *ctx[TLS_ED25519]; /* one for each alg before it, made once: half of the time */
	int kind; /* EVP_PKEY_EC, _RSA or _ED25519 */
	uint8_t *ed; /* Ed25519: seed and public half in the secure heap, for libsodium, which needs 16 us where OpenSSL
			needs 38; else NULL */
	size_t size;
};

bool
privkey_init(bool *locked)
{
	int got = CRYPTO_secure_malloc_initialized() ? 1 : CRYPTO_secure_malloc_init(262144, 16);

	*locked = got == 1;
	return got != 0 && sodium_init() >= 0;
}

/* A key file with a passphrase is refused, not asked about. */
static int
no_passphrase(char *buf, int size, int rwflag, void *u)
{
	return -1;
}

static bool
acceptable(const EVP_PKEY *pkey)
{
	char group[32];
	size_t n;
	int bits = EVP_PKEY_get_bits(pkey);

	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_EC:
		return EVP_PKEY_get_group_name(pkey, group, sizeof group, &n) == 1 &&
		    (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0);
	case EVP_PKEY_RSA:
		return bits >= 2048 && bits <= 4096;
	case EVP_PKEY_ED25519:
		return true;
	default:
		return false;
	}
}

/* False where the library fails. */
static bool
take_ed25519(struct privkey *k)
{
	uint8_t seed[crypto_sign_SEEDBYTES], public[crypto_sign_PUBLICKEYBYTES];
	size_t n = sizeof seed;
	bool ok;

	k->ed = OPENSSL_secure_zalloc(crypto_sign_SECRETKEYBYTES);
	ok = k->ed != NULL && EVP_PKEY_get_raw_private_key(k->pkey, seed, &n) == 1 && n == sizeof seed &&
	    crypto_sign_seed_keypair(public, k->ed, seed) == 0;
	OPENSSL_cleanse(seed, sizeof seed);
	return ok;
}

struct privkey *
privkey_new(struct slice pem)
{
	BIO *mem;
	EVP_PKEY *pkey;
	struct privkey *k;

	if (pem.n == 0 || pem.n > PRIVKEY_PEM_MAX)
		return NULL;
	mem = BIO_new_mem_buf(pem.p, (int)pem.n);
	PN_ASSERT(mem != NULL);
	pkey = PEM_read_bio_PrivateKey(mem, NULL, no_passphrase, NULL);
	BIO_free(mem);
	ERR_clear_error();
	if (pkey == NULL || !acceptable(pkey)) {
		EVP_PKEY_free(pkey);
		return NULL;
	}
	k = OPENSSL_zalloc(sizeof *k);
	PN_ASSERT(k != NULL);
	k->pkey = pkey;
	k->kind = EVP_PKEY_get_base_id(pkey);
	k->size = (size_t)EVP_PKEY_get_size(pkey);
	if (k->kind == EVP_PKEY_ED25519 && !take_ed25519(k))
		privkey_free(&k);
	return k;
}

void
privkey_free(struct privkey **k)
{
	if (*k == NULL)
		return;
	for (size_t i = 0; i < TLS_ED25519; i++)
		EVP_PKEY_CTX_free((*k)->ctx[i]);
	OPENSSL_secure_clear_free((*k)->ed, crypto_sign_SECRETKEYBYTES);
	EVP_PKEY_free((*k)->pkey); /* its numbers are BN_clear_free()d */
	OPENSSL_clear_free(*k, sizeof **k);
	*k = NULL;
}

const char *
privkey_kind(const struct privkey *k)
{
	return k->kind == EVP_PKEY_EC ? "EC" : k->kind == EVP_PKEY_RSA ? "RSA" : "ED25519";
}

bool
privkey_public(struct privkey *k, struct buf *out)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(k->pkey, &der);
	bool ok = n > 0 && buf_add(out, slice_of(der, (size_t)n));

	OPENSSL_free(der);
	return ok;
}

/* RFC 8017 B.2.1: out ^= MGF1(seed), n octets. */
static bool
mgf1_xor(const EVP_MD *md, struct slice seed, uint8_t *out, size_t n)
{
	uint8_t block[EVP_MAX_MD_SIZE + 4], hash[EVP_MAX_MD_SIZE];
	size_t hlen = (size_t)EVP_MD_get_size(md);

	memcpy(block, seed.p, seed.n);
	for (size_t at = 0, counter = 0; at < n; at += hlen, counter++) {
		for (size_t i = 0; i < 4; i++)
			block[seed.n + i] = (uint8_t)(counter >> (24 - 8 * i));
		if (EVP_Digest(block, seed.n + 4, hash, NULL, md, NULL) != 1)
			return false;
		for (size_t i = 0; i < hlen && at + i < n; i++)
			out[at + i] ^= hash[i];
	}
	return true;
}

/* RFC 8017 9.1.2, steps 4 to 10, with a salt as long as the hash: is em a block that PSS makes? The
 * hash of the message inside it stays unknown; what counts is that em was not chosen freely. */
static bool
is_pss_block(const EVP_MD *md, struct slice em)
{
	uint8_t db[TLS_SIGN_MAX];
	size_t hlen = (size_t)EVP_MD_get_size(md), dblen;

	if (em.n < 2 * hlen + 2 || em.n > sizeof db || slice_at(em, em.n - 1) != 0xbc ||
	    (slice_at(em, 0) & 0x80) != 0)
		return false;
	dblen = em.n - hlen - 1;
	memcpy(db, em.p, dblen);
	if (!mgf1_xor(md, slice_sub(em, dblen, hlen), db, dblen))
		return false;
	db[0] &= 0x7f; /* the modulus has a multiple of 8 bits, the block one bit less */
	for (size_t i = 0; i < dblen - hlen - 1; i++)
		if (db[i] != 0)
			return false;
	return db[dblen - hlen - 1] == 0x01;
}

bool
privkey_fits(const struct privkey *k, enum tls_alg alg, struct slice digest)
{
	switch (alg) {
	case TLS_ECDSA:
		return k->kind == EVP_PKEY_EC &&
		    (digest.n == 32 || digest.n == 48 || digest.n == 64);
	case TLS_RSA_SHA256:
		return k->kind == EVP_PKEY_RSA && digest.n == 32;
	case TLS_RSA_SHA384:
		return k->kind == EVP_PKEY_RSA && digest.n == 48;
	case TLS_RSA_SHA512:
		return k->kind == EVP_PKEY_RSA && digest.n == 64;
	case TLS_RSA_PSS:
		return k->kind == EVP_PKEY_RSA && digest.n == k->size &&
		    EVP_PKEY_get_bits(k->pkey) % 8 == 0 &&
		    (is_pss_block(EVP_sha256(), digest) || is_pss_block(EVP_sha384(), digest) ||
			is_pss_block(EVP_sha512(), digest));
	case TLS_ED25519:
		return k->kind == EVP_PKEY_ED25519 && digest.n >= 1 && digest.n <= 64;
	}
	return false;
}

/* Ready to sign digests for alg with its padding; NULL where the library fails. */
static EVP_PKEY_CTX *
context(struct privkey *k, enum tls_alg alg)
{
	const EVP_MD *md = alg == TLS_RSA_SHA256 ? EVP_sha256()
	    : alg == TLS_RSA_SHA384		 ? EVP_sha384()
	    : alg == TLS_RSA_SHA512		 ? EVP_sha512()
						 : NULL;
	EVP_PKEY_CTX *ctx;

	if (k->ctx[alg] != NULL)
		return k->ctx[alg];
	ctx = EVP_PKEY_CTX_new(k->pkey, NULL);
	if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1 ||
	    (alg == TLS_RSA_PSS && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) != 1) ||
	    (md != NULL && (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1 ||
			       EVP_PKEY_CTX_set_signature_md(ctx, md) != 1))) {
		EVP_PKEY_CTX_free(ctx);
		return NULL;
	}
	k->ctx[alg] = ctx;
	return ctx;
}

/* The signature's length or 0. */
static size_t
sign_digest(struct privkey *k, enum tls_alg alg, struct slice digest, uint8_t *out, size_t room)
{
	EVP_PKEY_CTX *ctx = context(k, alg);
	size_t n = room;

	return ctx != NULL && EVP_PKEY_sign(ctx, out, &n, digest.p, digest.n) == 1 ? n : 0;
}

static size_t
sign_ed25519(const struct privkey *k, struct slice digest, uint8_t *out)
{
	return crypto_sign_detached(out, NULL, digest.p, digest.n, k->ed) == 0 ? crypto_sign_BYTES : 0;
}

bool
privkey_sign(struct privkey *k, enum tls_alg alg, struct slice digest, struct buf *sig)
{
	uint8_t out[TLS_SIGN_MAX];
	size_t n;

	if (!privkey_fits(k, alg, digest))
		return false;
	n = alg == TLS_ED25519 ? sign_ed25519(k, digest, out)
			       : sign_digest(k, alg, digest, out, sizeof out);
	ERR_clear_error();
	return n > 0 && buf_add(sig, slice_of(out, n));
}

bool
privkey_make(enum privkey_new_kind kind, struct buf *pem)
{
	EVP_PKEY *made = kind == PRIVKEY_RSA_2048 ? EVP_RSA_gen(2048) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO *mem = BIO_new(BIO_s_secmem());
	char *text;
	long n;
	bool ok = made != NULL && mem != NULL && PEM_write_bio_PrivateKey(mem, made, NULL, NULL, 0, NULL, NULL) == 1;

	if (ok) {
		n = BIO_get_mem_data(mem, &text);
		ok = n > 0 && buf_add(pem, slice_of(text, (size_t)n));
	}
	BIO_free(mem); /* secure memory is wiped */
	EVP_PKEY_free(made);
	ERR_clear_error();
	return ok;
}
