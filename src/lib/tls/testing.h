/* SPDX-License-Identifier: MIT
 * For tests and measurements only (no room links it): certificates made on the spot and a plain
 * OpenSSL client. */
#pragma once

#include <openssl/ssl.h>

#include "lib/tls/privkey.h"
#include "lib/tls/tls.h"

enum testing_kind { TESTING_EC, TESTING_RSA, TESTING_EC384 };

/* Makes a key and a self-signed certificate for example.test; appends both as PEM. */
void testing_cert(enum testing_kind kind, struct buf *cert, struct buf *key);
/* A tls_sign_fn over a struct privkey in this process. */
int testing_sign(void *key, enum tls_alg alg, struct slice digest, struct buf *sig);
/* A server with one certificate whose key stays in this process; *key is freed by the caller. */
struct tls_server *testing_server(enum testing_kind kind, struct privkey **key);
/* A client context that believes everything and speaks from version min to max (0: any), at
 * security level 0. */
SSL_CTX *testing_client(int min, int max);
/* A connected pair of non-blocking stream sockets on 127.0.0.1. */
void testing_tcp(int *client, int *server);
/* Runs both handshakes in turns on non-blocking sockets; true when both are complete. */
bool testing_handshake(SSL *client, struct tls_conn *server);
