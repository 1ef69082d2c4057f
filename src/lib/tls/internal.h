/* SPDX-License-Identifier: MIT
 * Inside lib/tls: what server.c, client.c and conn.c share. */
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
/* A connection that would be a client's, with a BIO over fd. Never NULL. */
struct tls_conn *tls_conn_make(SSL_CTX *ctx, int fd);
SSL *conn_ssl(struct tls_conn *c);
/* A client's enum tls_trust, for the function that verifies. */
void conn_set_trust(struct tls_conn *c, int trust);
int conn_trust(const struct tls_conn *c);
/* Chooses among the protocols that a client offers. */
int conn_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
    unsigned int len, void *arg);
