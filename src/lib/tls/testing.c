/* SPDX-License-Identifier: MIT */
#include "lib/tls/testing.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void
take_pem(BIO *mem, struct buf *out)
{
	char *p;
	long n = BIO_get_mem_data(mem, &p);

	PN_ASSERT(n > 0 && buf_add(out, slice_of(p, (size_t)n)));
	BIO_free(mem);
}

void
testing_cert(enum testing_kind kind, struct buf *cert, struct buf *key)
{
	EVP_PKEY *pkey = kind == TESTING_EC ? EVP_EC_gen("P-256")
	    : kind == TESTING_EC384	    ? EVP_EC_gen("P-384")
					    : EVP_RSA_gen(2048);
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	BIO *mem = BIO_new(BIO_s_mem());

	PN_ASSERT(pkey != NULL && X509_set_version(x, 2) == 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"example.test", -1,
	    -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, pkey);
	PN_ASSERT(X509_sign(x, pkey, EVP_sha256()) > 0);
	PN_ASSERT(PEM_write_bio_X509(mem, x) == 1);
	take_pem(mem, cert);
	mem = BIO_new(BIO_s_mem());
	PN_ASSERT(PEM_write_bio_PrivateKey(mem, pkey, NULL, NULL, 0, NULL, NULL) == 1);
	take_pem(mem, key);
	X509_free(x);
	EVP_PKEY_free(pkey);
}

int
testing_sign(void *key, enum tls_alg alg, struct slice digest, struct buf *sig)
{
	return privkey_sign(key, alg, digest, sig) ? 0 : -1;
}

struct tls_server *
testing_server(enum testing_kind kind, struct privkey **key)
{
	struct tls_server *s = tls_server_new();
	struct buf cert, pem;

	buf_init(&cert, TLS_CHAIN_BYTES);
	buf_init(&pem, PRIVKEY_PEM_MAX);
	testing_cert(kind, &cert, &pem);
	*key = privkey_new(buf_slice(&pem));
	PN_ASSERT(*key != NULL);
	PN_ASSERT(tls_server_add(s, buf_slice(&cert), testing_sign, *key, NULL));
	buf_free(&cert);
	buf_free(&pem);
	return s;
}

SSL_CTX *
testing_client(int min, int max)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	PN_ASSERT(ctx != NULL);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_security_level(ctx, 0);
	PN_ASSERT(SSL_CTX_set_min_proto_version(ctx, min) == 1);
	PN_ASSERT(SSL_CTX_set_max_proto_version(ctx, max) == 1);
	return ctx;
}

void
testing_tcp(int *client, int *server)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t n = sizeof sin;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	PN_ASSERT(bind(listener, (struct sockaddr *)&sin, sizeof sin) == 0);
	PN_ASSERT(listen(listener, 1) == 0);
	PN_ASSERT(getsockname(listener, (struct sockaddr *)&sin, &n) == 0);
	*client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	PN_ASSERT(connect(*client, (struct sockaddr *)&sin, sizeof sin) == 0);
	*server = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	PN_ASSERT(*server >= 0);
	PN_ASSERT(fcntl(*client, F_SETFL, O_NONBLOCK) == 0);
	(void)close(listener);
}

bool
testing_handshake(SSL *client, struct tls_conn *server)
{
	bool up = false, down = false;

	for (int i = 0; i < 1000 && !(up && down); i++) {
		struct timespec pause = { .tv_nsec = 200000 };

		if (i > 4)
			(void)nanosleep(&pause, NULL);
		if (!up) {
			int ret = SSL_connect(client);
			int e = SSL_get_error(client, ret);

			up = ret == 1;
			if (!up && e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
				return false;
		}
		if (!down) {
			enum tls_result r = tls_handshake(server);

			down = r == TLS_OK;
			if (r == TLS_FAIL || r == TLS_EOF)
				return false;
		}
	}
	return up && down;
}
