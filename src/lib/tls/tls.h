/* SPDX-License-Identifier: MIT
 * The server side of TLS 1.2 and 1.3 on OpenSSL 3.0, for an event loop (the client's is client.h). Three decisions shape it:
 *
 * - The private key is not here. A server context gets a certificate chain and a function that has
 *   a digest signed by whoever holds the key (the room `keys`); see keyops.c and privkey.h.
 * - Nothing is resumed: no tickets, no session cache. There is then no ticket key to steal or to
 *   rotate, no ticket of one service that opens another one (a ticket cannot outlive its listener
 *   because there is none), and no state that a stranger can grow. It costs one ECDSA signature per
 *   connection, which is less than the key exchange that TLS 1.3 repeats on resumption anyway.
 * - The name that a client asks for (SNI) selects nothing and becomes no path: everybody gets the
 *   default certificate. The name is kept for the event log only.
 *
 * No call blocks on the socket, and each does a bounded amount of work: a peer that sends without
 * end gets TLS_AGAIN and waits for its next turn. Nothing here logs or reads the clock. One
 * connection is used by one thread; OpenSSL's error queue is cleared by each call. */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/slice.h"

/* What is signed: the values of `algorithm` in ipc/door_keys.msg. */
enum tls_alg {
	TLS_ECDSA,	/* digest of 32, 48 or 64 octets -> DER Ecdsa-Sig-Value (RFC 8422 5.4) */
	TLS_RSA_SHA256, /* digest of 32 octets -> RSASSA-PKCS1-v1_5 (RFC 8017 8.2) */
	TLS_RSA_SHA384, /* 48 octets */
	TLS_RSA_SHA512, /* 64 octets */
	TLS_RSA_PSS,	/* EMSA-PSS block as long as the modulus (RFC 8017 9.1.1), salt = hash */
	TLS_ED25519,	/* message of 1..64 octets (a digest: RFC 8463 3) -> 64 octets (RFC 8032) */
};
/* Longest thing that is signed, and longest signature: RSA of 4096 bits. */
#define TLS_SIGN_MAX ((size_t)512)

/* Has digest signed with the private key that belongs to a certificate and appends the signature
 * to sig (bounded by TLS_SIGN_MAX). 0, or -1 for any failure: the handshake then fails. It may
 * block for a bounded time; it must not use the connection. */
typedef int (*tls_sign_fn)(void *ctx, enum tls_alg alg, struct slice digest, struct buf *sig);

/* Loads everything OpenSSL would otherwise load later (no configuration file, no environment) and
 * seeds the generator from getrandom(2). Call it once, before the sandbox closes; needs no file.
 * False where the generator cannot be seeded or the algorithms are missing. */
[[nodiscard]] bool tls_init(void);

struct tls_server;

/* A context without certificate. Never NULL (panics when memory is exhausted). */
struct tls_server *tls_server_new(void);
/* Drops the context; connections that still run keep what they need. *s becomes NULL. */
void tls_server_free(struct tls_server **s);
/* Adds a certificate: chain is PEM text, the server's own certificate first, issuers after it, at
 * most TLS_CHAIN_MAX of them. One ECDSA (P-256 or P-384) and one RSA (2048..4096 bits) certificate
 * may live side by side. sign(ctx, ...) is called in handshakes; ctx is borrowed for the life of
 * the server. False, with the reason appended to why (may be NULL), where the text is no
 * certificate or the key is of another kind. */
#define TLS_CHAIN_MAX 8u
#define TLS_CHAIN_BYTES ((size_t)65536)
[[nodiscard]] bool tls_server_add(struct tls_server *s, struct slice chain, tls_sign_fn sign,
    void *ctx, struct buf *why);

struct tls_conn;

enum tls_result {
	TLS_OK,		/* done, or at least one octet moved */
	TLS_WANT_READ,	/* call again when the socket can be read */
	TLS_WANT_WRITE, /* call again when the socket can be written */
	TLS_AGAIN,	/* the share of this turn is used up: call again without waiting */
	TLS_EOF,	/* the peer has ended its direction (close_notify, or just the socket) */
	TLS_FAIL,	/* protocol or socket error; only tls_conn_free() is left. See tls_reason() */
};

/* A connection in the state before the handshake. fd is borrowed: a stream socket, blocking or not
 * (every call is made with MSG_DONTWAIT). Never NULL. */
struct tls_conn *tls_conn_new(struct tls_server *s, int fd);
/* Before the handshake: the protocol spoken here, as ALPN names it (RFC 7301: "imap", "pop3"; a
 * literal; NULL where none is registered, as for SMTP). A client that offers it gets it. One that
 * offers only others is served all the same (mail clients need not know of ALPN), but not one that
 * offers HTTP: that is a browser that somebody has lured here (ALPACA, CVE-2021-3618). */
void tls_expect(struct tls_conn *c, const char *alpn);
/* Wipes and frees; sends nothing; leaves fd open. *c becomes NULL; accepts NULL. */
void tls_conn_free(struct tls_conn **c);
/* One step of the handshake. TLS_OK when it is complete. */
enum tls_result tls_handshake(struct tls_conn *c);
/* Reads at most max octets of plain text to p; *n is set with TLS_OK only (then 1..max). */
enum tls_result tls_read(struct tls_conn *c, uint8_t *p, size_t max, size_t *n);
/* Writes from the front of s (not empty); *n, the octets taken, is set with TLS_OK only. After
 * TLS_WANT_READ or TLS_WANT_WRITE the next call must come with the same octets at the front. */
enum tls_result tls_write(struct tls_conn *c, struct slice s, size_t *n);
/* Sends close_notify: the direction to the peer has ended. TLS_OK once it is in the socket. */
enum tls_result tls_shutdown(struct tls_conn *c);
/* True where tls_read() may give something without the socket becoming readable. */
bool tls_pending(const struct tls_conn *c);

/* After the handshake: "TLSv1.3", and the name of the cipher suite as OpenSSL prints it. Static. */
const char *tls_version(const struct tls_conn *c);
const char *tls_cipher(const struct tls_conn *c);
/* What a login may be bound to (tls-exporter, RFC 9266). False where TLS 1.2 has no extended master
 * secret, as nothing may be bound to that (section 3). */
#define TLS_BINDING ((size_t)32)
[[nodiscard]] bool tls_binding(const struct tls_conn *c, uint8_t out[static TLS_BINDING]);
/* The server name that the client sent (RFC 6066 section 3), as it came: untrusted, 0..255 octets,
 * no NUL in it. Borrowed from the connection. */
struct slice tls_sni(const struct tls_conn *c);
/* Why the last call gave TLS_FAIL, in a few words of ours or of OpenSSL; static text. */
const char *tls_reason(const struct tls_conn *c);
