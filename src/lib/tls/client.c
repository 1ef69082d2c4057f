/* SPDX-License-Identifier: MIT
 * Client contexts and the end of a stream that speaks TLS. */
#include "lib/tls/client.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <unistd.h>

#include "lib/tls/internal.h"

#define CHAIN_BYTES ((size_t)65536)
#define CHAIN_DEPTH 10
#define KEY_BITS 8192

struct tls_client {
	SSL_CTX *ctx;
};

/* The leaf and whatever came with it are held to our sizes before anything is computed with them. */
static bool
reasonable(X509 *cert)
{
	EVP_PKEY *key = cert == NULL ? NULL : X509_get0_pubkey(cert);
	int explicit = 0;

	if (key == NULL || EVP_PKEY_get_bits(key) > KEY_BITS)
		return false;
	(void)EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit);
	ERR_clear_error();
	return explicit == 0;
}

static int
verify(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct tls_conn *c = BIO_get_data(SSL_get_rbio(ssl));
	STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
	bool ok = reasonable(X509_STORE_CTX_get0_cert(store)) && sk_X509_num(sent) <= CHAIN_DEPTH;

	(void)arg;
	for (int i = 0; ok && conn_trust(c) != TLS_TRUST_ANY && i < sk_X509_num(sent); i++)
		ok = reasonable(sk_X509_value(sent, i));
	if (!ok) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
		return 0;
	}
	if (conn_trust(c) == TLS_TRUST_ANY) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	return X509_verify_cert(store) == 1;
}

struct tls_client *
tls_client_new(void)
{
	struct tls_client *c = OPENSSL_zalloc(sizeof *c);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	PN_ASSERT(c != NULL && ctx != NULL);
	PN_ASSERT(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
	PN_ASSERT(SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(ctx, CHAIN_BYTES);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_msg_callback(ctx, conn_on_message);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_verify_depth(ctx, CHAIN_DEPTH);
	SSL_CTX_set_cert_verify_callback(ctx, verify, NULL);
	PN_ASSERT(SSL_CTX_dane_enable(ctx) == 1);
	SSL_CTX_dane_set_flags(ctx, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	c->ctx = ctx;
	return c;
}

void
tls_client_free(struct tls_client **c)
{
	if (*c == NULL)
		return;
	SSL_CTX_free((*c)->ctx);
	OPENSSL_free(*c);
	*c = NULL;
}

size_t
tls_client_roots(struct tls_client *c, struct slice pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(c->ctx);
	BIO *mem = pem.n > INT_MAX ? NULL : BIO_new_mem_buf(pem.p, (int)pem.n);
	size_t added = 0;

	for (bool more = mem != NULL; more;) {
		X509 *cert = PEM_read_bio_X509(mem, NULL, NULL, NULL);

		if (cert != NULL && X509_STORE_add_cert(store, cert) == 1)
			added++;
		/* one that cannot be read is behind us; without a further begin line it is over */
		more = cert != NULL || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
		X509_free(cert);
		ERR_clear_error();
	}
	BIO_free(mem);
	return added;
}

/* ---- the end of a stream ------------------------------------------------------------------------ */

static ssize_t
blocked(struct tls_link *l, enum tls_result r)
{
	l->waits_for = r == TLS_WANT_READ ? POLLIN : r == TLS_WANT_WRITE ? POLLOUT : 0;
	errno = r == TLS_FAIL ? ECONNRESET : EAGAIN;
	return -1;
}

static ssize_t
link_read(struct stream_end *e, void *p, size_t n)
{
	struct tls_link *l = e->self;
	size_t got = 0;
	enum tls_result r = tls_read(l->conn, p, n, &got);

	if (r == TLS_EOF)
		return 0;
	return r == TLS_OK ? (ssize_t)got : blocked(l, r);
}

static ssize_t
link_write(struct stream_end *e, const void *p, size_t n)
{
	struct tls_link *l = e->self;
	size_t put = 0;
	enum tls_result r = tls_write(l->conn, slice_of(p, n), &put);

	if (r == TLS_EOF) {
		errno = EPIPE;
		return -1;
	}
	return r == TLS_OK ? (ssize_t)put : blocked(l, r);
}

static int
wait_fd(int fd, short events, int64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int ready;

	do
		ready = poll(&pfd, 1, deadline <= 0 ? 0 : stream_poll_ms(deadline));
	while (ready < 0 && errno == EINTR);
	return ready;
}

static int
link_wait(struct stream_end *e, short events, int64_t deadline)
{
	struct tls_link *l = e->self;
	short want = l->waits_for;

	l->waits_for = events; /* what a wait without a try before it means */
	if ((events == POLLIN && tls_pending(l->conn)) || want == 0)
		return 1;
	return wait_fd(l->fd, want, deadline);
}

static void
link_close(struct stream_end *e)
{
	struct tls_link *l = e->self;

	if (l->problem == TLS_PROBLEM_NONE)
		(void)tls_shutdown(l->conn);
	tls_conn_free(&l->conn);
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = e->fd = -1;
}

/* ---- the handshake ------------------------------------------------------------------------------ */

static const char *
z_of(struct slice name, char z[LIMIT_DOMAIN + 1])
{
	if (name.n == 0 || name.n > LIMIT_DOMAIN || slice_find_byte(name, 0) != SLICE_NONE)
		return NULL;
	memcpy(z, name.p, name.n);
	z[name.n] = '\0';
	return z;
}

static bool
add_names(SSL *ssl, const struct tls_want *want)
{
	char z[LIMIT_DOMAIN + 1];

	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (size_t i = 0; i < want->n_names; i++)
		if (z_of(want->names[i], z) == NULL || SSL_add1_host(ssl, z) != 1)
			return false;
	return want->n_names > 0;
}

/* False where no record is usable. */
static bool
add_tlsa(SSL *ssl, const struct tls_want *want)
{
	char z[LIMIT_DOMAIN + 1];
	size_t usable = 0;

	if (want->n_names == 0 || z_of(want->names[0], z) == NULL || SSL_dane_enable(ssl, z) <= 0)
		return false;
	for (size_t i = 0; i < want->n_tlsa; i++) {
		const struct tls_tlsa *t = &want->tlsa[i];

		if (t->usage == 2 || t->usage == 3)
			usable += SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching, t->data.p, t->data.n) > 0;
	}
	ERR_clear_error();
	return usable > 0;
}

static bool
prepare(SSL *ssl, struct tls_link *link, const struct tls_want *want)
{
	char z[LIMIT_DOMAIN + 1];
	bool ok = true;

	/* who is not to be trusted may have an old key; plain text would be worse */
	SSL_set_security_level(ssl, want->trust == TLS_TRUST_ANY ? 1 : 2);
	link->problem = TLS_PROBLEM_INVALID;
	link->reason = "no name to look for";
	if (want->trust == TLS_TRUST_DANE && !add_tlsa(ssl, want)) {
		link->problem = TLS_PROBLEM_TLSA;
		link->reason = "no usable TLSA record";
		return false;
	}
	if (want->trust != TLS_TRUST_ANY)
		ok = add_names(ssl, want);
	if (ok && z_of(want->sni, z) != NULL)
		ok = SSL_set_tlsext_host_name(ssl, z) == 1;
	return ok;
}

enum tls_problem
tls_problem_of(long verdict)
{
	switch (verdict) {
	case X509_V_OK:
		return TLS_PROBLEM_HANDSHAKE;
	case X509_V_ERR_HOSTNAME_MISMATCH:
		return TLS_PROBLEM_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_PROBLEM_EXPIRED;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return TLS_PROBLEM_UNTRUSTED;
	default:
		return TLS_PROBLEM_INVALID;
	}
}

/* Turns of the handshake until its end or the deadline. */
static bool
shake(struct tls_link *link, SSL *ssl, int64_t deadline)
{
	for (;;) {
		enum tls_result r = tls_handshake(link->conn);
		short events = r == TLS_WANT_WRITE ? POLLOUT : POLLIN;

		if (r == TLS_OK)
			return true;
		if (r == TLS_FAIL || r == TLS_EOF) {
			long verdict = SSL_get_verify_result(ssl);

			link->problem = tls_problem_of(verdict);
			link->reason = verdict == X509_V_OK ? tls_reason(link->conn)
							    : X509_verify_cert_error_string(verdict);
			return false;
		}
		/* TLS_AGAIN waits too: not for long, the rest of its input is there */
		if (wait_fd(link->fd, events, deadline) <= 0 || stream_poll_ms(deadline) == 0) {
			link->problem = TLS_PROBLEM_HANDSHAKE;
			link->reason = "the handshake took too long";
			return false;
		}
	}
}

bool
tls_client_start(struct tls_client *c, struct stream *s, struct tls_link *link, const struct tls_want *want,
    int64_t deadline)
{
	static const struct stream_ops ops = { link_read, link_write, link_wait, link_close };
	SSL *ssl;

	*link = (struct tls_link){ .fd = s->end.fd, .reason = "" };
	PN_ASSERT(link->fd >= 0 && stream_buffered(s) == 0 && s->out.n == 0);
	link->conn = tls_conn_make(c->ctx, link->fd);
	conn_set_trust(link->conn, (int)want->trust);
	ssl = conn_ssl(link->conn);
	if (!prepare(ssl, link, want) || !shake(link, ssl, deadline)) {
		tls_conn_free(&link->conn);
		return false;
	}
	link->problem = TLS_PROBLEM_NONE;
	link->reason = "";
	link->waits_for = POLLIN;
	s->end = (struct stream_end){ .ops = &ops, .self = link, .fd = link->fd };
	return true;
}
