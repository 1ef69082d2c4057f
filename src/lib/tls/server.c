/* SPDX-License-Identifier: MIT
 * Server contexts. The choices follow the criteria of SECURITY.md section 5, rows 9 to 15: what
 * Internet.nl (NCSC-NL 2025) calls good comes first, what it calls sufficient after it, and nothing
 * else is on. */
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "lib/tls/internal.h"

static const char suites13[] =
    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
static const char suites12[] = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
			       "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:"
			       "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256";
/* Not const: the macros of OpenSSL that take these two cast const away. */
static char groups[] = "X25519:P-256:P-384";
static char sigalgs[] = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:"
			"RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512";

bool
tls_init(void)
{
	uint8_t seed[32];
	uint64_t base = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT;
	bool ok = OPENSSL_init_crypto(base | OPENSSL_INIT_ADD_ALL_CIPHERS |
			      OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
		      NULL) == 1 &&
	    OPENSSL_init_ssl(base | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL) == 1 &&
	    RAND_bytes(seed, sizeof seed) == 1 && RAND_priv_bytes(seed, sizeof seed) == 1 &&
	    keyops_init() && conn_init();

	OPENSSL_cleanse(seed, sizeof seed);
	return ok;
}

const char *
tls_error_text(const char *fallback)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	ERR_clear_error();
	return reason == NULL ? fallback : reason;
}

struct tls_server *
tls_server_new(void)
{
	struct tls_server *s = OPENSSL_zalloc(sizeof *s);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	PN_ASSERT(s != NULL && ctx != NULL);
	PN_ASSERT(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
	PN_ASSERT(SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1);
	PN_ASSERT(SSL_CTX_set_cipher_list(ctx, suites12) == 1);
	PN_ASSERT(SSL_CTX_set_ciphersuites(ctx, suites13) == 1);
	PN_ASSERT(SSL_CTX_set1_groups_list(ctx, groups) == 1);
	PN_ASSERT(SSL_CTX_set1_sigalgs_list(ctx, sigalgs) == 1);
	/* Extended Master Secret (RFC 7627) is on unless SSL_OP_NO_EXTENDED_MASTER_SECRET. A socket
	 * that ends without close_notify counts as ended: mail protocols frame themselves. */
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION |
		SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* The chain is sent as it was given; without NO_AUTO_CHAIN a certificate that came alone
	 * would be verified in each handshake, in search of its issuers. */
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS |
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
		SSL_MODE_AUTO_RETRY);
	/* Nothing is resumed (tls.h says why), so no 0-RTT either. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	PN_ASSERT(SSL_CTX_set_num_tickets(ctx, 0) == 1);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_recv_max_early_data(ctx, 0);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_max_cert_list(ctx, 1024); /* no client certificate is asked for */
	/* One read for many records instead of two for each. */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_msg_callback(ctx, conn_on_message);
	SSL_CTX_set_alpn_select_cb(ctx, conn_on_alpn, NULL);
	s->ctx = ctx;
	s->refs = 1;
	return s;
}

void
tls_server_release(struct tls_server *s)
{
	PN_ASSERT(s->refs > 0);
	if (--s->refs > 0)
		return;
	SSL_CTX_free(s->ctx);
	OPENSSL_free(s);
}

void
tls_server_free(struct tls_server **s)
{
	if (*s != NULL)
		tls_server_release(*s);
	*s = NULL;
}

static bool
fail(struct buf *why, const char *what)
{
	ERR_clear_error();
	if (why != NULL)
		buf_add(why, slice_z(what));
	return false;
}

/* The certificate, and its public key dressed as the private one: OpenSSL compares the two halves
 * and finds them equal. */
static bool
use_leaf(struct tls_server *s, X509 *cert, tls_sign_fn sign, void *ctx, struct buf *why)
{
	struct keyops_signer *signer = &s->signers[s->certs];
	EVP_PKEY *key;
	bool ok;

	*signer = (struct keyops_signer){ .sign = sign, .ctx = ctx };
	key = keyops_wrap(X509_get0_pubkey(cert), signer);
	if (key == NULL)
		return fail(why, "the key is neither EC P-256/P-384 nor RSA of 2048 to 4096 bits");
	ok = SSL_CTX_use_certificate(s->ctx, cert) == 1 && SSL_CTX_use_PrivateKey(s->ctx, key) == 1;
	EVP_PKEY_free(key);
	if (!ok)
		return fail(why, tls_error_text("the certificate cannot be used"));
	s->certs++;
	return true;
}

/* Adds what follows the leaf in the PEM text. */
static bool
use_issuers(struct tls_server *s, BIO *mem, struct buf *why)
{
	bool end;

	for (size_t n = 1;; n++) {
		X509 *cert = PEM_read_bio_X509(mem, NULL, NULL, NULL);

		if (cert == NULL)
			break;
		if (n == TLS_CHAIN_MAX || SSL_CTX_add0_chain_cert(s->ctx, cert) != 1) {
			X509_free(cert);
			return fail(why, "the chain is too long");
		}
	}
	end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	return end ? true : fail(why, "a certificate of the chain cannot be read");
}

bool
tls_server_add(struct tls_server *s, struct slice chain, tls_sign_fn sign, void *ctx,
    struct buf *why)
{
	BIO *mem;
	X509 *leaf;
	bool ok;

	if (s->certs == SERVER_CERTS)
		return fail(why, "too many certificates");
	if (chain.n == 0 || chain.n > TLS_CHAIN_BYTES)
		return fail(why, "the certificate text is empty or over 64 KiB");
	mem = BIO_new_mem_buf(chain.p, (int)chain.n);
	PN_ASSERT(mem != NULL);
	leaf = PEM_read_bio_X509(mem, NULL, NULL, NULL);
	ok = leaf != NULL ? use_leaf(s, leaf, sign, ctx, why) && use_issuers(s, mem, why)
			  : fail(why, "no PEM certificate in the text");
	X509_free(leaf);
	BIO_free(mem);
	return ok;
}
