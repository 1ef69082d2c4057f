/* SPDX-License-Identifier: MIT
 * Private keys that live elsewhere, on the method tables of OpenSSL 1.1 and 3.0 (EC_KEY_METHOD,
 * RSA_METHOD). They are deprecated and gone in 4.0, where a provider has to take their place: that
 * is why they stand in this one file and nowhere else.
 *
 * A key with a method of its own is "foreign": libcrypto does not export it to a provider and takes
 * the old code path, which ends in the functions below. ECDSA and RSA PKCS#1 come as a digest; for
 * PSS (all of TLS 1.3) libcrypto pads first and asks for a raw private operation on the block. The
 * holder of the key checks that block (privkey.c), so that it is no oracle for raw RSA. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>

#include "lib/tls/keyops.h"

static EC_KEY_METHOD *ec_method;
static RSA_METHOD *rsa_method;
static int ec_slot = -1, rsa_slot = -1;

/* Calls the signer and copies the signature out; 0 or its length (<= room). */
static size_t
ask(struct keyops_signer *s, enum tls_alg alg, struct slice digest, uint8_t *out, size_t room)
{
	struct buf sig;
	size_t n = 0;

	if (s == NULL)
		return 0;
	buf_init(&sig, TLS_SIGN_MAX);
	if (s->sign(s->ctx, alg, digest, &sig) == 0 && !sig.bad && sig.n > 0 && sig.n <= room) {
		n = sig.n;
		memcpy(out, sig.p, n);
	}
	buf_free(&sig);
	return n;
}

static int
ec_sign(int type, const unsigned char *dgst, int dlen, unsigned char *sig, unsigned int *siglen,
    const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
	int room = ECDSA_size(key);
	size_t n;

	if (dlen <= 0 || room <= 0)
		return 0;
	n = ask(EC_KEY_get_ex_data(key, ec_slot), TLS_ECDSA, slice_of(dgst, (size_t)dlen), sig,
	    (size_t)room);
	*siglen = (unsigned)n;
	return n > 0;
}

static int
rsa_sign(int type, const unsigned char *m, unsigned int mlen, unsigned char *sig,
    unsigned int *siglen, const RSA *rsa)
{
	size_t room = (size_t)RSA_size(rsa), n;
	enum tls_alg alg;

	if (type == NID_sha256)
		alg = TLS_RSA_SHA256;
	else if (type == NID_sha384)
		alg = TLS_RSA_SHA384;
	else if (type == NID_sha512)
		alg = TLS_RSA_SHA512;
	else
		return 0;
	n = ask(RSA_get_ex_data(rsa, rsa_slot), alg, slice_of(m, mlen), sig, room);
	*siglen = (unsigned)n;
	return n > 0;
}

/* The raw private operation: only for a block that was padded for PSS, never for decryption. */
static int
rsa_priv_enc(int flen, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
	size_t room = (size_t)RSA_size(rsa), n;

	if (padding != RSA_NO_PADDING || flen < 0 || (size_t)flen != room)
		return -1;
	n = ask(RSA_get_ex_data(rsa, rsa_slot), TLS_RSA_PSS, slice_of(from, room), to, room);
	return n == 0 ? -1 : (int)n;
}

static int
rsa_priv_dec(int flen, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
	return -1;
}

bool
keyops_init(void)
{
	if (ec_method != NULL)
		return true;
	ec_method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	rsa_method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
	ec_slot = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	rsa_slot = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (ec_method == NULL || rsa_method == NULL || ec_slot < 0 || rsa_slot < 0)
		return false;
	EC_KEY_METHOD_set_sign(ec_method, ec_sign, NULL, NULL);
	return RSA_meth_set_sign(rsa_method, rsa_sign) == 1 &&
	    RSA_meth_set_priv_enc(rsa_method, rsa_priv_enc) == 1 &&
	    RSA_meth_set_priv_dec(rsa_method, rsa_priv_dec) == 1;
}

static EVP_PKEY *
wrap_ec(const EC_KEY *pub, struct keyops_signer *signer)
{
	int curve = pub == NULL ? NID_undef : EC_GROUP_get_curve_name(EC_KEY_get0_group(pub));
	EVP_PKEY *pkey = EVP_PKEY_new();
	EC_KEY *key;

	if (curve != NID_X9_62_prime256v1 && curve != NID_secp384r1) {
		EVP_PKEY_free(pkey);
		return NULL;
	}
	key = EC_KEY_dup(pub);
	if (key != NULL && EC_KEY_set_method(key, ec_method) == 1 &&
	    EC_KEY_set_ex_data(key, ec_slot, signer) == 1 && EVP_PKEY_assign_EC_KEY(pkey, key) == 1)
		return pkey;
	EC_KEY_free(key);
	EVP_PKEY_free(pkey);
	return NULL;
}

static EVP_PKEY *
wrap_rsa(const RSA *pub, struct keyops_signer *signer)
{
	int bits = pub == NULL ? 0 : RSA_bits(pub);
	EVP_PKEY *pkey = EVP_PKEY_new();
	RSA *key;

	if (bits < 2048 || bits > 4096) {
		EVP_PKEY_free(pkey);
		return NULL;
	}
	key = RSAPublicKey_dup(pub);
	if (key != NULL && RSA_set_method(key, rsa_method) == 1 &&
	    RSA_set_ex_data(key, rsa_slot, signer) == 1 && EVP_PKEY_assign_RSA(pkey, key) == 1)
		return pkey;
	RSA_free(key);
	EVP_PKEY_free(pkey);
	return NULL;
}

EVP_PKEY *
keyops_wrap(const EVP_PKEY *pub, struct keyops_signer *signer)
{
	switch (EVP_PKEY_get_base_id(pub)) {
	case EVP_PKEY_EC:
		return wrap_ec(EVP_PKEY_get0_EC_KEY(pub), signer);
	case EVP_PKEY_RSA:
		return wrap_rsa(EVP_PKEY_get0_RSA(pub), signer);
	default:
		return NULL;
	}
}
