/* SPDX-License-Identifier: MIT
 * Inside lib/tls: a key that OpenSSL takes for a private one and that consists of the public half
 * and a function. */
#pragma once

#include <openssl/evp.h>

#include "lib/tls/tls.h"

/* The function of one certificate. It outlives every key made with it. */
struct keyops_signer {
	tls_sign_fn sign;
	void *ctx;
};

/* Loads the method tables; once, from tls_init(). */
bool keyops_init(void);
/* A new key for the public key pub: EC on P-256 or P-384, or RSA of 2048..4096 bits. NULL where it
 * is of another kind. The caller frees it with EVP_PKEY_free(). */
EVP_PKEY *keyops_wrap(const EVP_PKEY *pub, struct keyops_signer *signer);
