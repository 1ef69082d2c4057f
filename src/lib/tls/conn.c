/* SPDX-License-Identifier: MIT
 * One connection. The socket is read and written through a BIO of ours that (1) never blocks and
 * never raises SIGPIPE, and (2) has a share of octets for each call of this module. When the share
 * is used up the BIO says "would block", and the call returns TLS_AGAIN: OpenSSL loops inside
 * SSL_read() as long as the peer sends records that carry no data, and the share ends that. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "lib/base/cursor.h"
#include "lib/tls/internal.h"

/* Octets of records read in one call. */
#define SHARE ((size_t)65536)
/* Handshake messages that a peer may send after the handshake: KeyUpdate (RFC 8446 4.6.3) and
 * ClientHello that asks for renegotiation. Each costs us work and no sane client needs many. */
#define LATE_MESSAGES 32u

struct tls_conn {
	SSL *ssl;
	struct tls_server *server;
	const char *reason;
	const char *alpn; /* what tls_expect() said */
	size_t share;
	int fd;
	uint8_t late;
	bool starved;  /* the share ended, not the socket */
	bool abused;   /* too many late messages */
	bool greeted;  /* handshake complete */
	int trust;     /* of a client: enum tls_trust */
};

static BIO_METHOD *method;

static int
sock_read(BIO *bio, char *p, int n)
{
	struct tls_conn *c = BIO_get_data(bio);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (c->abused || n <= 0)
		return -1;
	if (c->share == 0) {
		c->starved = true;
		BIO_set_retry_read(bio);
		return -1;
	}
	do
		got = recv(c->fd, p, (size_t)n, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_read(bio);
	if (got == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	if (got > 0)
		c->share -= (size_t)got < c->share ? (size_t)got : c->share;
	return (int)got;
}

static int
sock_write(BIO *bio, const char *p, int n)
{
	struct tls_conn *c = BIO_get_data(bio);
	ssize_t put;

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	do
		put = send(c->fd, p, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_write(bio);
	return (int)put;
}

static long
sock_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	default:
		return 0;
	}
}

bool
conn_init(void)
{
	if (method != NULL)
		return true;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "postern socket");
	return method != NULL && BIO_meth_set_read(method, sock_read) == 1 &&
	    BIO_meth_set_write(method, sock_write) == 1 &&
	    BIO_meth_set_ctrl(method, sock_ctrl) == 1;
}

void
conn_on_message(int write, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	struct tls_conn *c = arg;

	if (c == NULL || !c->greeted || write != 0 || type != SSL3_RT_HANDSHAKE)
		return;
	if (++c->late > LATE_MESSAGES)
		c->abused = true;
}

int
conn_on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
    unsigned int len, void *arg)
{
	struct tls_conn *c = BIO_get_data(SSL_get_rbio(ssl));
	struct cursor cur = cur_of(slice_of(in, len));
	struct slice ours = slice_z(c->alpn), name;
	bool browser = false;

	while (cur_left(&cur) > 0) {
		if (!cur_bytes(&cur, cur_get_u8(&cur), &name))
			return SSL_TLSEXT_ERR_ALERT_FATAL;
		if (ours.n > 0 && slice_eq(name, ours)) {
			*out = name.p;
			*n = (unsigned char)name.n;
			return SSL_TLSEXT_ERR_OK;
		}
		browser |= slice_starts(name, S("http/")) || slice_eq(name, S("h2"));
	}
	return browser ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

void
tls_expect(struct tls_conn *c, const char *alpn)
{
	c->alpn = alpn;
}

struct tls_conn *
tls_conn_make(SSL_CTX *ctx, int fd)
{
	struct tls_conn *c = OPENSSL_zalloc(sizeof *c);
	BIO *bio = BIO_new(method);

	PN_ASSERT(c != NULL && bio != NULL);
	c->ssl = SSL_new(ctx);
	PN_ASSERT(c->ssl != NULL);
	c->fd = fd;
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(c->ssl, bio, bio);
	SSL_set_msg_callback_arg(c->ssl, c);
	SSL_set_connect_state(c->ssl);
	return c;
}

SSL *
conn_ssl(struct tls_conn *c)
{
	return c->ssl;
}

void
conn_set_trust(struct tls_conn *c, int trust)
{
	c->trust = trust;
}

int
conn_trust(const struct tls_conn *c)
{
	return c->trust;
}

struct tls_conn *
tls_conn_new(struct tls_server *s, int fd)
{
	struct tls_conn *c = tls_conn_make(s->ctx, fd);

	c->server = s;
	s->refs++;
	SSL_set_accept_state(c->ssl);
	return c;
}

void
tls_conn_free(struct tls_conn **c)
{
	if (*c == NULL)
		return;
	SSL_set_quiet_shutdown((*c)->ssl, 1);
	SSL_free((*c)->ssl);
	if ((*c)->server != NULL)
		tls_server_release((*c)->server);
	OPENSSL_clear_free(*c, sizeof **c);
	*c = NULL;
	ERR_clear_error();
}

static void
begin(struct tls_conn *c)
{
	ERR_clear_error();
	c->share = SHARE;
	c->starved = false;
	errno = 0;
}

/* What a call that returned ret <= 0 means. */
static enum tls_result
outcome(struct tls_conn *c, int ret)
{
	int saved = errno;

	if (c->abused) {
		c->reason = "too many renegotiations or key updates";
		ERR_clear_error();
		return TLS_FAIL;
	}
	switch (SSL_get_error(c->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return c->starved ? TLS_AGAIN : TLS_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		if (c->greeted)
			return TLS_EOF;
		c->reason = "the peer left during the handshake";
		return TLS_FAIL;
	case SSL_ERROR_SYSCALL:
		c->reason = saved == ECONNRESET ? "connection reset"
		    : saved == EPIPE		? "connection closed"
						: "connection lost";
		ERR_clear_error();
		return TLS_FAIL;
	default:
		c->reason = tls_error_text("protocol error");
		return TLS_FAIL;
	}
}

enum tls_result
tls_handshake(struct tls_conn *c)
{
	int ret;

	begin(c);
	ret = SSL_do_handshake(c->ssl);
	if (ret != 1)
		return outcome(c, ret);
	c->greeted = true;
	return TLS_OK;
}

enum tls_result
tls_read(struct tls_conn *c, uint8_t *p, size_t max, size_t *n)
{
	size_t got = 0;
	int ret;

	begin(c);
	ret = SSL_read_ex(c->ssl, p, max, &got);
	if (ret != 1)
		return outcome(c, ret);
	*n = got;
	return TLS_OK;
}

enum tls_result
tls_write(struct tls_conn *c, struct slice s, size_t *n)
{
	size_t put = 0;
	int ret;

	PN_ASSERT(s.n > 0);
	begin(c);
	ret = SSL_write_ex(c->ssl, s.p, s.n, &put);
	if (ret != 1)
		return outcome(c, ret);
	*n = put;
	return TLS_OK;
}

enum tls_result
tls_shutdown(struct tls_conn *c)
{
	int ret;

	begin(c);
	ret = SSL_shutdown(c->ssl);
	return ret >= 0 ? TLS_OK : outcome(c, ret);
}

bool
tls_pending(const struct tls_conn *c)
{
	return SSL_has_pending(c->ssl) == 1;
}

const char *
tls_version(const struct tls_conn *c)
{
	return SSL_get_version(c->ssl);
}

bool
tls_binding(const struct tls_conn *c, uint8_t out[static TLS_BINDING])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	bool ok = SSL_version(c->ssl) == TLS1_3_VERSION || SSL_get_extms_support(c->ssl) == 1;

	ok = ok && SSL_export_keying_material(c->ssl, out, TLS_BINDING, label, sizeof label - 1,
			   (const unsigned char *)"", 0, 1) == 1;
	ERR_clear_error();
	return ok;
}

const char *
tls_cipher(const struct tls_conn *c)
{
	return SSL_get_cipher_name(c->ssl);
}

struct slice
tls_sni(const struct tls_conn *c)
{
	return slice_z(SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name));
}

const char *
tls_reason(const struct tls_conn *c)
{
	return c->reason == NULL ? "" : c->reason;
}
