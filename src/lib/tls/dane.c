/* SPDX-License-Identifier: MIT */
#include "lib/tls/dane.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "lib/tls/internal.h"

static bool
readable(const struct tls_tlsa *t)
{
	const unsigned char *p = t->data.p;
	bool ok = false;

	if (t->data.n == 0 || t->data.n > LIMIT_DANE_CERTIFICATE)
		return false;
	if (t->selector == 0) {
		X509 *cert = d2i_X509(NULL, &p, (long)t->data.n);

		ok = cert != NULL && p == t->data.p + t->data.n && X509_get0_pubkey(cert) != NULL;
		X509_free(cert);
	} else {
		EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)t->data.n);

		ok = key != NULL && p == t->data.p + t->data.n;
		EVP_PKEY_free(key);
	}
	ERR_clear_error();
	return ok;
}

bool
tls_tlsa_usable(const struct tls_tlsa *t)
{
	if ((t->usage != 2 && t->usage != 3) || t->selector > 1)
		return false;
	switch (t->matching) {
	case 0:
		return readable(t);
	case 1:
		return t->data.n == 32;
	case 2:
		return t->data.n == 64;
	default:
		return false;
	}
}

/* An unconnected SSL is what carries TLSA records for a store context. */
static bool
set_up(SSL *ssl, const struct tls_tlsa *tlsa, size_t n_tlsa, const struct slice *names, size_t n_names)
{
	char z[LIMIT_DOMAIN + 1];
	size_t added = 0;

	for (size_t i = 0; i < n_names; i++) {
		if (names[i].n == 0 || names[i].n > LIMIT_DOMAIN || slice_find_byte(names[i], 0) != SLICE_NONE)
			return false;
		memcpy(z, names[i].p, names[i].n);
		z[names[i].n] = '\0';
		if (i == 0 ? SSL_dane_enable(ssl, z) <= 0 : SSL_add1_host(ssl, z) != 1)
			return false;
	}
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	(void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < n_tlsa; i++)
		if (tls_tlsa_usable(&tlsa[i]))
			added += SSL_dane_tlsa_add(ssl, tlsa[i].usage, tlsa[i].selector, tlsa[i].matching, tlsa[i].data.p,
				     tlsa[i].data.n) > 0;
	return n_names > 0 && added > 0;
}

static bool
read_chain(const struct slice *chain, size_t n, STACK_OF(X509) *to)
{
	for (size_t i = 0; i < n; i++) {
		const unsigned char *p = chain[i].p;
		X509 *cert = chain[i].n > LIMIT_DANE_CERTIFICATE ? NULL : d2i_X509(NULL, &p, (long)chain[i].n);

		if (cert == NULL || sk_X509_push(to, cert) == 0) {
			X509_free(cert);
			return false;
		}
	}
	return n > 0 && n <= LIMIT_DANE_CHAIN;
}

static enum tls_problem
judge(SSL *ssl, STACK_OF(X509) *certs, X509_STORE *none, int64_t at)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	enum tls_problem problem = TLS_PROBLEM_INVALID;

	if (ctx != NULL && X509_STORE_CTX_init(ctx, none, sk_X509_value(certs, 0), certs) == 1 &&
	    X509_STORE_CTX_set_default(ctx, "ssl_server") == 1) {
		X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

		X509_VERIFY_PARAM_set1(param, SSL_get0_param(ssl));
		X509_VERIFY_PARAM_set_time(param, (time_t)at);
		X509_STORE_CTX_set0_dane(ctx, SSL_get0_dane(ssl));
		problem = X509_verify_cert(ctx) == 1 ? TLS_PROBLEM_NONE : tls_problem_of(X509_STORE_CTX_get_error(ctx));
	}
	X509_STORE_CTX_free(ctx);
	return problem;
}

enum tls_problem
tls_dane_verify(const struct slice *chain, size_t n_chain, const struct tls_tlsa *tlsa, size_t n_tlsa,
    const struct slice *names, size_t n_names, int64_t at)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = NULL;
	STACK_OF(X509) *certs = sk_X509_new_null();
	X509_STORE *none = X509_STORE_new();
	enum tls_problem problem = TLS_PROBLEM_TLSA;

	PN_ASSERT(context != NULL && certs != NULL && none != NULL && SSL_CTX_dane_enable(context) == 1);
	ssl = SSL_new(context);
	PN_ASSERT(ssl != NULL);
	if (set_up(ssl, tlsa, n_tlsa, names, n_names))
		problem = read_chain(chain, n_chain, certs) ? judge(ssl, certs, none, at) : TLS_PROBLEM_INVALID;
	ERR_clear_error();
	sk_X509_pop_free(certs, X509_free);
	X509_STORE_free(none);
	SSL_free(ssl);
	SSL_CTX_free(context);
	return problem;
}
