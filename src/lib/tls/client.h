/* SPDX-License-Identifier: MIT
 * The client side of TLS 1.2 and 1.3, for mail that goes out: blocking, over a lib/stream, with deadlines. There is no
 * private key and no client certificate; nothing is resumed.
 *
 * A connection is made with one of three kinds of trust:
 * - TLS_TRUST_ANY: encrypted, whoever it is (opportunistic TLS, RFC 7435). No chain is built: none can cost time.
 * - TLS_TRUST_NAME: a chain to one of the given roots, in time, and one of the names (RFC 6125: DNS-ID, a wildcard as
 *   the whole first label; the subject's common name only where there is no DNS-ID).
 * - TLS_TRUST_DANE: the TLSA records (RFC 7672): usage 3 needs no name and no time, usage 2 needs one of the names.
 *   Usages 0 and 1 are unusable (section 3.1.3).
 *
 * A hostile chain is bounded (T-005): 64 KiB, ten certificates, keys of 8,192 bits, no explicit curve parameters. */
#pragma once

#include "lib/stream/stream.h"
#include "lib/tls/tls.h"

struct tls_client;

enum tls_trust { TLS_TRUST_ANY, TLS_TRUST_NAME, TLS_TRUST_DANE };

/* Data of one TLSA record. */
struct tls_tlsa {
	uint8_t usage, selector, matching;
	struct slice data;
};

struct tls_want {
	enum tls_trust trust;
	struct slice sni;	   /* server name to ask for: a host name; empty: none */
	const struct slice *names; /* who it may be; at least one but with TLS_TRUST_ANY */
	size_t n_names;
	const struct tls_tlsa *tlsa; /* with TLS_TRUST_DANE; borrowed during the call only */
	size_t n_tlsa;
};

/* Why a handshake failed, in the classes of RFC 8460 4.3. */
enum tls_problem {
	TLS_PROBLEM_NONE,
	TLS_PROBLEM_HANDSHAKE, /* no common ground, reset, time: "validation-failure" is not the word for it */
	TLS_PROBLEM_NAME,      /* certificate-host-mismatch */
	TLS_PROBLEM_EXPIRED,   /* certificate-expired */
	TLS_PROBLEM_UNTRUSTED, /* certificate-not-trusted */
	TLS_PROBLEM_INVALID,   /* validation-failure: a chain that is wrong in another way, or no TLSA record matched */
	TLS_PROBLEM_TLSA,      /* tlsa-invalid: no usable record among them */
};

/* The class of a verdict of OpenSSL (X509_V_ERR_). */
enum tls_problem tls_problem_of(long verdict);

/* A context that trusts nobody yet. Needs tls_init(). Shared by threads. Never NULL. */
struct tls_client *tls_client_new(void);
void tls_client_free(struct tls_client **c);
/* Adds trust anchors: PEM text of any number of certificates; text that is none is skipped, certificates that cannot be
 * read too. Returns how many were added. Call it before the threads start, or from one thread at a time. */
size_t tls_client_roots(struct tls_client *c, struct slice pem);

/* What stands between a stream and its socket from tls_client_start() on. */
struct tls_link {
	struct tls_conn *conn;
	int fd;
	short waits_for; /* POLLIN, POLLOUT; 0: nothing, try again */
	enum tls_problem problem;
	const char *reason; /* static text; "" with TLS_PROBLEM_NONE */
};

/* The handshake over the socket of s, whose buffers are empty (stream_discard(), stream_flush()). On true, s speaks TLS
 * from here on: link stands behind it, has to outlive it, and ends with stream_close(s). On false link->problem and
 * link->reason say why, and only stream_close(s) is left. */
[[nodiscard]] bool tls_client_start(struct tls_client *c, struct stream *s, struct tls_link *link,
    const struct tls_want *want, int64_t deadline);
