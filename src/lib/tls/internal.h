/* SPDX-License-Identifier: MIT
 * Inside lib/tls: what server.c and conn.c share. */
#pragma once

#include <openssl/ssl.h>

#include "lib/tls/keyops.h"

/* One ECDSA and one RSA certificate. */
#define SERVER_CERTS 2u

/* Counted: one reference for the owner and one for each connection, so that a certificate can be
 * replaced while connections made with the old one live on. */
struct tls_server {
	SSL_CTX *ctx;
	size_t refs;
	size_t certs;
	struct keyops_signer signers[SERVER_CERTS];
};

/* The reason of the first error in OpenSSL's queue, or fallback; the queue is cleared. */
const char *tls_error_text(const char *fallback);
void tls_server_release(struct tls_server *s);

/* conn.c: the BIO that connections use, and the watch on messages after the handshake. */
bool conn_init(void);
void conn_on_message(int write, int version, int type, const void *p, size_t n, SSL *ssl, void *arg);
/* Chooses among the protocols that a client offers. */
int conn_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
    unsigned int len, void *arg);
