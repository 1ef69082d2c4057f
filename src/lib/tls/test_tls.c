/* SPDX-License-Identifier: MIT
 * Real sockets on loopback, a plain OpenSSL client, and the private key in another process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/tls/testing.h"

/* --- a key holder in a child process: one octet alg, then the digest -> the signature */

static pid_t
key_child(struct slice pem, int *fd)
{
	int sv[2];
	pid_t pid;
	bool locked;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		uint8_t in[1 + TLS_SIGN_MAX];
		struct privkey *k;
		struct buf sig;
		ssize_t n;

		(void)close(sv[0]);
		if (!privkey_init(&locked) || (k = privkey_new(pem)) == NULL)
			_exit(1);
		buf_init(&sig, TLS_SIGN_MAX);
		while ((n = recv(sv[1], in, sizeof in, 0)) > 1) {
			buf_reset(&sig);
			if (!privkey_sign(k, in[0], slice_of(in + 1, (size_t)n - 1), &sig))
				buf_byte(&sig, 0); /* shorter than any signature: a refusal */
			if (send(sv[1], sig.p, sig.n, MSG_NOSIGNAL) < 0)
				break;
		}
		buf_free(&sig);
		privkey_free(&k);
		_exit(0);
	}
	(void)close(sv[1]);
	*fd = sv[0];
	return pid;
}

struct remote {
	int fd;
	int asked;
	enum tls_alg last;
};

static int
remote_sign(void *ctx, enum tls_alg alg, struct slice digest, struct buf *sig)
{
	struct remote *r = ctx;
	uint8_t frame[1 + TLS_SIGN_MAX], out[TLS_SIGN_MAX];
	ssize_t n;

	r->asked++;
	r->last = alg;
	frame[0] = (uint8_t)alg;
	memcpy(frame + 1, digest.p, digest.n);
	if (send(r->fd, frame, digest.n + 1, MSG_NOSIGNAL) < 0)
		return -1;
	n = recv(r->fd, out, sizeof out, 0);
	if (n <= 1)
		return -1;
	return buf_add(sig, slice_of(out, (size_t)n)) ? 0 : -1;
}

/* --- one connection of a client with a server */

struct pair {
	SSL_CTX *ctx;
	SSL *client;
	struct tls_conn *server;
	int cfd, sfd;
};

static void
pair_open(struct pair *p, struct tls_server *s, int min, int max)
{
	testing_tcp(&p->cfd, &p->sfd);
	p->ctx = testing_client(min, max);
	p->client = SSL_new(p->ctx);
	SSL_set_fd(p->client, p->cfd);
	p->server = tls_conn_new(s, p->sfd);
}

static void
pair_close(struct pair *p)
{
	SSL_free(p->client);
	SSL_CTX_free(p->ctx);
	tls_conn_free(&p->server);
	(void)close(p->cfd);
	(void)close(p->sfd);
}

/* Loopback delivers soon, not at once. */
static bool
arrives(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 2000) == 1;
}

static bool
echo_works(struct pair *p)
{
	uint8_t in[16];
	size_t n = 0, put = 0;
	char out[16];

	if (SSL_write(p->client, "hello", 5) != 5 || !arrives(p->sfd) ||
	    tls_read(p->server, in, sizeof in, &n) != TLS_OK || n != 5 ||
	    tls_read(p->server, in, sizeof in, &n) != TLS_WANT_READ ||
	    tls_write(p->server, S("world!"), &put) != TLS_OK || put != 6 ||
	    !arrives(p->cfd))
		return false;
	return SSL_read(p->client, out, sizeof out) == 6 && memcmp(out, "world!", 6) == 0;
}

static void
key_elsewhere(enum testing_kind kind, int version, enum tls_alg expect)
{
	struct tls_server *s = tls_server_new();
	struct buf cert, key;
	struct remote r = { 0 };
	struct pair p;
	pid_t pid;
	int status;

	buf_init(&cert, TLS_CHAIN_BYTES);
	buf_init(&key, PRIVKEY_PEM_MAX);
	testing_cert(kind, &cert, &key);
	pid = key_child(buf_slice(&key), &r.fd);
	buf_free(&key);
	assert_true(tls_server_add(s, buf_slice(&cert), remote_sign, &r, NULL));
	buf_free(&cert);
	pair_open(&p, s, version, version);
	SSL_set_tlsext_host_name(p.client, "mail.example.test");
	tls_server_free(&s); /* the connection keeps what it needs */
	assert_true(testing_handshake(p.client, p.server));
	assert_int_equal(r.asked, 1);
	assert_int_equal(r.last, expect);
	assert_true(echo_works(&p));
	assert_string_equal(tls_version(p.server), version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2");
	assert_true(slice_eq(tls_sni(p.server), S("mail.example.test")));
	if (version == TLS1_2_VERSION) /* 1.3 has no need of it */
		assert_int_equal(SSL_get_extms_support(p.client), 1);
	pair_close(&p);
	(void)close(r.fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
remote_keys(void **state)
{
	key_elsewhere(TESTING_EC, TLS1_3_VERSION, TLS_ECDSA);
	key_elsewhere(TESTING_EC, TLS1_2_VERSION, TLS_ECDSA);
	key_elsewhere(TESTING_EC384, TLS1_3_VERSION, TLS_ECDSA);
	key_elsewhere(TESTING_RSA, TLS1_3_VERSION, TLS_RSA_PSS);
	key_elsewhere(TESTING_RSA, TLS1_2_VERSION, TLS_RSA_PSS);
}

/* A 1.2 client without PSS gets PKCS#1 v1.5: the key sees a digest. */
static void
rsa_pkcs1(void **state)
{
	struct privkey *key;
	struct tls_server *s = testing_server(TESTING_RSA, &key);
	struct pair p;

	pair_open(&p, s, TLS1_2_VERSION, TLS1_2_VERSION);
	assert_int_equal(SSL_set1_sigalgs_list(p.client, "RSA+SHA256"), 1);
	assert_true(testing_handshake(p.client, p.server));
	assert_true(echo_works(&p));
	pair_close(&p);
	tls_server_free(&s);
	privkey_free(&key);
}

static bool
connects(struct tls_server *s, int min, int max, const char *suites12, const char *suites13,
    const char *groups, char *cipher, size_t n)
{
	struct pair p;
	bool ok;

	pair_open(&p, s, min, max);
	if (suites12 != NULL)
		assert_int_equal(SSL_set_cipher_list(p.client, suites12), 1);
	if (suites13 != NULL)
		assert_int_equal(SSL_set_ciphersuites(p.client, suites13), 1);
	if (groups != NULL)
		assert_int_equal(SSL_set1_groups_list(p.client, groups), 1);
	ok = testing_handshake(p.client, p.server);
	if (ok && cipher != NULL)
		(void)snprintf(cipher, n, "%s", tls_cipher(p.server));
	if (!ok)
		assert_true(tls_reason(p.server) != NULL);
	pair_close(&p);
	return ok;
}

/* SECURITY.md section 5, rows 9 to 12 and 15. */
static void
policy(void **state)
{
	struct privkey *ec, *rsa;
	struct tls_server *s = testing_server(TESTING_EC, &ec);
	struct tls_server *r = testing_server(TESTING_RSA, &rsa);
	char cipher[64];
	static const char *const refused[] = { "AES128-GCM-SHA256", "AES256-SHA",
		"ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384", "DHE-RSA-AES256-GCM-SHA384",
		"ECDHE-ARIA256-GCM-SHA384", "aNULL", "eNULL",
		"AECDH-AES128-SHA" };

	assert_false(connects(s, TLS1_VERSION, TLS1_VERSION, NULL, NULL, NULL, NULL, 0));
	assert_false(connects(s, TLS1_1_VERSION, TLS1_1_VERSION, NULL, NULL, NULL, NULL, 0));
	assert_true(connects(s, TLS1_VERSION, TLS1_2_VERSION, NULL, NULL, NULL, NULL, 0));
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_false(
		    connects(r, TLS1_2_VERSION, TLS1_2_VERSION, refused[i], NULL, NULL, NULL, 0));
	/* the server's order wins */
	assert_true(connects(s, TLS1_2_VERSION, TLS1_2_VERSION,
	    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", NULL, NULL, cipher,
	    sizeof cipher));
	assert_string_equal(cipher, "ECDHE-ECDSA-AES256-GCM-SHA384");
	assert_true(connects(s, TLS1_3_VERSION, TLS1_3_VERSION, NULL,
	    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384", NULL, cipher, sizeof cipher));
	assert_string_equal(cipher, "TLS_AES_256_GCM_SHA384");
	assert_false(connects(s, TLS1_3_VERSION, TLS1_3_VERSION, NULL, "TLS_AES_128_CCM_8_SHA256",
	    NULL, NULL, 0));
	assert_false(connects(s, TLS1_3_VERSION, TLS1_3_VERSION, NULL, NULL, "ffdhe2048", NULL, 0));
	assert_false(connects(s, TLS1_2_VERSION, TLS1_2_VERSION, NULL, NULL, "P-521", NULL, 0));
	assert_true(connects(s, TLS1_3_VERSION, TLS1_3_VERSION, NULL, NULL, "P-384", NULL, 0));
	tls_server_free(&s);
	tls_server_free(&r);
	privkey_free(&ec);
	privkey_free(&rsa);
}

static void
nothing_resumed(int version)
{
	struct privkey *key;
	struct tls_server *s = testing_server(TESTING_EC, &key);
	struct pair p;
	SSL_SESSION *session;

	pair_open(&p, s, version, version);
	assert_true(testing_handshake(p.client, p.server));
	assert_true(echo_works(&p));
	session = SSL_get1_session(p.client);
	assert_false(version == TLS1_3_VERSION && SSL_SESSION_is_resumable(session));
	assert_false(SSL_SESSION_has_ticket(session));
	pair_close(&p);
	pair_open(&p, s, version, version);
	(void)SSL_set_session(p.client, session);
	assert_true(testing_handshake(p.client, p.server));
	assert_int_equal(SSL_session_reused(p.client), 0);
	pair_close(&p);
	SSL_SESSION_free(session);
	tls_server_free(&s);
	privkey_free(&key);
}

static void
no_resumption(void **state)
{
	nothing_resumed(TLS1_2_VERSION);
	nothing_resumed(TLS1_3_VERSION);
}

/* T-003: no renegotiation ever completes, and whoever keeps asking is cut. */
static void
renegotiation(void **state)
{
	struct privkey *key;
	struct tls_server *s = testing_server(TESTING_EC, &key);
	struct pair p;
	uint8_t in[64];
	size_t n;
	enum tls_result r = TLS_WANT_READ;

	pair_open(&p, s, TLS1_2_VERSION, TLS1_2_VERSION);
	assert_true(testing_handshake(p.client, p.server));
	assert_int_equal(SSL_renegotiate(p.client), 1);
	(void)SSL_do_handshake(p.client);
	assert_true(arrives(p.sfd));
	assert_int_equal(tls_read(p.server, in, sizeof in, &n), TLS_WANT_READ);
	assert_true(arrives(p.cfd));
	assert_true(SSL_do_handshake(p.client) <= 0); /* no_renegotiation came back */
	assert_int_equal(SSL_get_error(p.client, -1), SSL_ERROR_SSL);
	ERR_clear_error();
	pair_close(&p);

	/* the same class in TLS 1.3: key updates without end */
	pair_open(&p, s, TLS1_3_VERSION, TLS1_3_VERSION);
	assert_true(testing_handshake(p.client, p.server));
	for (int i = 0; i < 200 && r == TLS_WANT_READ; i++) {
		if (SSL_key_update(p.client, SSL_KEY_UPDATE_REQUESTED) != 1 ||
		    SSL_do_handshake(p.client) != 1)
			break;
		assert_true(arrives(p.sfd));
		(void)SSL_read(p.client, in, sizeof in);
		r = tls_read(p.server, in, sizeof in, &n);
		assert_true(i > 8 || r == TLS_WANT_READ); /* some are fine */
	}
	assert_int_equal(r, TLS_FAIL);
	assert_string_equal(tls_reason(p.server), "too many renegotiations or key updates");
	ERR_clear_error();
	pair_close(&p);
	tls_server_free(&s);
	privkey_free(&key);
}

/* T-004: whatever name is asked for, the default certificate answers and the name is only noted. */
static void
server_names(void **state)
{
	struct privkey *key;
	struct tls_server *s = testing_server(TESTING_EC, &key);
	char long255[256];
	static const char *const names[] = { "../x", "/etc/passwd", "a b", "xn--", "." };
	struct pair p;

	memset(long255, 'a', 255);
	long255[255] = 0;
	for (size_t i = 0; i < 2 * (sizeof names / sizeof *names + 1); i++) {
		const char *name = i / 2 < sizeof names / sizeof *names ? names[i / 2] : long255;
		int version = i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION;

		pair_open(&p, s, version, version);
		assert_int_equal(SSL_set_tlsext_host_name(p.client, name), 1);
		assert_true(testing_handshake(p.client, p.server));
		assert_true(slice_eq(tls_sni(p.server), slice_z(name)));
		pair_close(&p);
	}
	pair_open(&p, s, 0, 0);
	assert_true(testing_handshake(p.client, p.server));
	assert_int_equal(tls_sni(p.server).n, 0);
	pair_close(&p);
	tls_server_free(&s);
	privkey_free(&key);
}

/* ALPACA: who offers HTTP does not want mail. Others are served, with or without ALPN. */
static void
protocols(void **state)
{
	static const struct {
		const char *ours;
		struct slice offer, chosen;
		bool served;
	} rows[] = {
		{ "imap", S_INIT("\4imap"), S_INIT("imap"), true },
		{ "imap", S_INIT("\2h2\4imap"), S_INIT("imap"), true },
		{ "imap", S_INIT("\4pop3"), S_INIT(""), true },
		{ "imap", S_INIT("\10http/1.1"), S_INIT(""), false },
		{ "imap", S_INIT("\2h2\10http/1.1"), S_INIT(""), false },
		{ NULL, S_INIT("\2h2"), S_INIT(""), false },
		{ NULL, S_INIT("\4smtp"), S_INIT(""), true },
		{ NULL, S_INIT("\4imap"), S_INIT(""), true },
	};
	struct privkey *key;
	struct tls_server *s = testing_server(TESTING_EC, &key);
	struct pair p;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const unsigned char *got = NULL;
		unsigned int n = 0;

		pair_open(&p, s, 0, 0);
		tls_expect(p.server, rows[i].ours);
		assert_int_equal(SSL_set_alpn_protos(p.client, rows[i].offer.p,
		    (unsigned)rows[i].offer.n), 0);
		assert_int_equal(testing_handshake(p.client, p.server), rows[i].served);
		SSL_get0_alpn_selected(p.client, &got, &n);
		assert_true(slice_eq(slice_of(got, n), rows[i].chosen));
		pair_close(&p);
		ERR_clear_error();
	}
	tls_server_free(&s);
	privkey_free(&key);
}

/* T-004: a name with a NUL in it is no host name (RFC 6066 3): refused with unrecognized_name. */
static void
server_name_with_nul(void **state)
{
	struct privkey *key;
	struct tls_server *s = testing_server(TESTING_EC, &key);
	struct pair p;
	BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());
	uint8_t *flight, alert[8];
	size_t at;
	long n;

	pair_open(&p, s, 0, 0);
	SSL_set_bio(p.client, down, up);
	assert_int_equal(SSL_set_tlsext_host_name(p.client, "mail.example.test"), 1);
	assert_int_equal(SSL_connect(p.client), -1);
	n = BIO_get_mem_data(up, &flight);
	at = slice_find(slice_of(flight, (size_t)n), S("mail.example.test"));
	assert_true(at != SLICE_NONE);
	flight[at + 4] = 0;
	assert_int_equal(send(p.cfd, flight, (size_t)n, 0), n);
	assert_true(arrives(p.sfd));
	assert_int_equal(tls_handshake(p.server), TLS_FAIL);
	assert_int_equal(tls_sni(p.server).n, 0);
	assert_true(arrives(p.cfd));
	assert_int_equal(recv(p.cfd, alert, sizeof alert, 0), 7);
	assert_int_equal(alert[0], SSL3_RT_ALERT);
	assert_int_equal(alert[6], SSL_AD_UNRECOGNIZED_NAME);
	pair_close(&p);
	tls_server_free(&s);
	privkey_free(&key);
}

/* T-003: the client's flight in records of one octet. */
static void
tiny_records(void **state)
{
	struct privkey *key;
	struct tls_server *s = testing_server(TESTING_EC, &key);
	struct pair p;
	BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());
	static uint8_t in[4096];
	uint8_t *flight, one[6];
	long n;
	ssize_t got;
	enum tls_result r = TLS_WANT_READ;

	pair_open(&p, s, TLS1_2_VERSION, TLS1_3_VERSION);
	SSL_set_bio(p.client, down, up);
	assert_int_equal(SSL_connect(p.client), -1);
	n = BIO_get_mem_data(up, &flight);
	assert_true(n > 100 && flight[0] == 22);
	for (long i = 5; i < n; i++) { /* behind the header of the one record */
		memcpy(one, flight, 3);
		one[3] = 0;
		one[4] = 1;
		one[5] = flight[i];
		assert_int_equal(send(p.cfd, one, 6, 0), 6);
		if (i + 1 < n && i % 16 == 0) {
			r = tls_handshake(p.server);
			assert_int_equal(r, TLS_WANT_READ);
		}
	}
	(void)BIO_reset(up);
	r = tls_handshake(p.server);
	assert_int_equal(r, TLS_WANT_READ); /* our flight is out, Finished is awaited */
	assert_true(arrives(p.cfd));
	got = recv(p.cfd, in, sizeof in, 0);
	assert_true(got > 0 && BIO_write(down, in, (int)got) == got);
	assert_int_equal(SSL_connect(p.client), 1);
	n = BIO_get_mem_data(up, &flight);
	assert_int_equal(send(p.cfd, flight, (size_t)n, 0), n);
	assert_true(arrives(p.sfd));
	assert_int_equal(tls_handshake(p.server), TLS_OK);
	pair_close(&p);
	tls_server_free(&s);
	privkey_free(&key);
}

/* A peer that only sends gets its share and no more in one call. */
static void
bounded_turn(void **state)
{
	struct privkey *key;
	struct tls_server *s = testing_server(TESTING_EC, &key);
	struct pair p;
	static uint8_t junk[16384];
	size_t total = 0, n, turns = 0;
	int size = 1 << 20;

	pair_open(&p, s, 0, 0);
	(void)setsockopt(p.sfd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	assert_true(testing_handshake(p.client, p.server));
	memset(junk, 'x', sizeof junk);
	for (int i = 0; i < 20; i++)
		if (SSL_write(p.client, junk, sizeof junk) == (int)sizeof junk)
			total += sizeof junk;
	for (;; turns++) {
		enum tls_result r = tls_read(p.server, junk, sizeof junk, &n);

		if (r == TLS_WANT_READ) {
			if (total == 0 || !arrives(p.sfd))
				break;
			continue;
		}
		assert_int_equal(r, TLS_OK);
		assert_true(n <= sizeof junk && n <= total);
		total -= n;
	}
	assert_int_equal(total, 0);
	pair_close(&p);
	tls_server_free(&s);
	privkey_free(&key);
}

static void
garbage(void **state)
{
	struct privkey *key;
	struct tls_server *s = testing_server(TESTING_EC, &key);
	static const struct slice texts[] = { S_INIT("EHLO client.example\r\n"),
		S_INIT("\x16\x03\x01\x00\x05hello"), S_INIT("\x80\x2e\x01\x03\x01"),
		S_INIT("\x15\x03\x03\x00\x02\x02\x28"), S_INIT("GET / HTTP/1.0\r\n\r\n"),
		S_INIT("\x16\x03\x01\xff\xff\x01") };
	struct pair p;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		enum tls_result r = TLS_OK;

		pair_open(&p, s, 0, 0);
		assert_int_equal(send(p.cfd, texts[i].p, texts[i].n, 0), texts[i].n);
		assert_int_equal(shutdown(p.cfd, SHUT_WR), 0);
		for (int j = 0; j < 3 && arrives(p.sfd); j++)
			if ((r = tls_handshake(p.server)) == TLS_FAIL)
				break;
		assert_int_equal(r, TLS_FAIL);
		assert_true(*tls_reason(p.server) != 0);
		pair_close(&p);
	}
	tls_server_free(&s);
	privkey_free(&key);
}

static void
ends(void **state)
{
	struct privkey *key;
	struct tls_server *s = testing_server(TESTING_EC, &key);
	struct pair p;
	uint8_t in[64];
	size_t n;
	char c;

	/* close_notify from the client leaves our direction open (RFC 8446 6.1) */
	pair_open(&p, s, 0, 0);
	assert_true(testing_handshake(p.client, p.server));
	assert_true(SSL_shutdown(p.client) >= 0);
	assert_true(arrives(p.sfd));
	assert_int_equal(tls_read(p.server, in, sizeof in, &n), TLS_EOF);
	assert_int_equal(tls_write(p.server, S("bye"), &n), TLS_OK);
	assert_int_equal(tls_shutdown(p.server), TLS_OK);
	assert_true(arrives(p.cfd));
	assert_int_equal(SSL_read(p.client, in, sizeof in), 3);
	assert_true(SSL_has_pending(p.client) || arrives(p.cfd));
	assert_true(SSL_read(p.client, &c, 1) <= 0);
	assert_int_equal(SSL_get_shutdown(p.client), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	pair_close(&p);
	/* the bare end of the socket */
	pair_open(&p, s, 0, 0);
	assert_true(testing_handshake(p.client, p.server));
	assert_int_equal(shutdown(p.cfd, SHUT_WR), 0);
	assert_true(arrives(p.sfd));
	assert_int_equal(tls_read(p.server, in, sizeof in, &n), TLS_EOF);
	pair_close(&p);
	/* a write into a closed socket raises no signal */
	pair_open(&p, s, 0, 0);
	assert_true(testing_handshake(p.client, p.server));
	(void)close(p.cfd);
	p.cfd = -1;
	for (int i = 0; i < 3; i++) {
		(void)tls_write(p.server, S("x"), &n);
		assert_true(arrives(p.sfd));
	}
	assert_int_equal(tls_write(p.server, S("x"), &n), TLS_FAIL);
	pair_close(&p);
	tls_server_free(&s);
	privkey_free(&key);
}

static void
bad_certificates(void **state)
{
	struct tls_server *s = tls_server_new();
	struct buf cert, key, why;

	buf_init(&cert, TLS_CHAIN_BYTES);
	buf_init(&key, PRIVKEY_PEM_MAX);
	buf_init(&why, 512);
	testing_cert(TESTING_EC, &cert, &key);
	assert_false(tls_server_add(s, S(""), testing_sign, NULL, NULL));
	assert_false(tls_server_add(s, S("no pem"), testing_sign, NULL, &why));
	assert_true(slice_eq(buf_slice(&why), S("no PEM certificate in the text")));
	for (size_t n = 0; n + 1 < cert.n; n += 7)
		assert_false(tls_server_add(s, slice_head(buf_slice(&cert), n), testing_sign, NULL,
		    NULL));
	assert_false(tls_server_add(s, buf_slice(&key), testing_sign, NULL, NULL));
	buf_free(&cert);
	buf_free(&key);
	buf_free(&why);
	tls_server_free(&s);
}

/* --- what a private key signs, and what it refuses */

static void
private_keys(void **state)
{
	struct buf cert, pem, sig;
	struct privkey *ec, *rsa;
	uint8_t digest[64] = { 1, 2, 3 }, raw[256];

	buf_init(&cert, TLS_CHAIN_BYTES);
	buf_init(&pem, PRIVKEY_PEM_MAX);
	buf_init(&sig, TLS_SIGN_MAX);
	testing_cert(TESTING_EC, &cert, &pem);
	ec = privkey_new(buf_slice(&pem));
	assert_string_equal(privkey_kind(ec), "EC");
	for (size_t n = 0; n < pem.n - 2; n += 5)
		assert_null(privkey_new(slice_head(buf_slice(&pem), n)));
	buf_reset(&pem);
	testing_cert(TESTING_RSA, &cert, &pem);
	rsa = privkey_new(buf_slice(&pem));
	assert_string_equal(privkey_kind(rsa), "RSA");

	assert_true(privkey_sign(ec, TLS_ECDSA, slice_of(digest, 32), &sig));
	assert_true(sig.n >= 68 && sig.n <= 72);
	buf_reset(&sig);
	for (size_t n = 0; n <= 64; n++)
		if (n != 32 && n != 48 && n != 64)
			assert_false(privkey_sign(ec, TLS_ECDSA, slice_of(digest, n), &sig));
	for (enum tls_alg a = TLS_RSA_SHA256; a <= TLS_ED25519; a++)
		assert_false(privkey_sign(ec, a, slice_of(digest, 32), &sig));
	assert_false(privkey_sign(ec, (enum tls_alg)77, slice_of(digest, 32), &sig));
	assert_false(privkey_sign(rsa, TLS_ECDSA, slice_of(digest, 32), &sig));
	assert_false(privkey_sign(rsa, TLS_RSA_SHA256, slice_of(digest, 31), &sig));
	assert_true(privkey_sign(rsa, TLS_RSA_SHA256, slice_of(digest, 32), &sig));
	assert_int_equal(sig.n, 256);
	buf_reset(&sig);
	/* no raw RSA: neither free octets nor a PKCS#1 block pass for PSS */
	memset(raw, 0, sizeof raw);
	raw[255] = 2;
	assert_false(privkey_sign(rsa, TLS_RSA_PSS, slice_of(raw, sizeof raw), &sig));
	memset(raw, 0x41, sizeof raw);
	raw[255] = 0xbc;
	assert_false(privkey_sign(rsa, TLS_RSA_PSS, slice_of(raw, sizeof raw), &sig));
	assert_false(privkey_sign(rsa, TLS_RSA_PSS, slice_of(raw, 255), &sig));
	assert_int_equal(sig.n, 0);
	privkey_free(&ec);
	privkey_free(&rsa);
	privkey_free(&rsa);
	buf_free(&cert);
	buf_free(&pem);
	buf_free(&sig);
}

/* RFC 8032 7.1 test 1's key with RFC 8463's way of signing a digest: deterministic, so checkable. */
static void
ed25519(void **state)
{
	static const struct slice pem = S_INIT("-----BEGIN PRIVATE KEY-----\n"
	    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
	    "-----END PRIVATE KEY-----\n");
	struct privkey *k = privkey_new(pem);
	struct buf sig, again, spki;
	uint8_t digest[32] = { 7 };
	const uint8_t *der;
	EVP_PKEY *pub;
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	assert_non_null(k);
	buf_init(&sig, TLS_SIGN_MAX);
	buf_init(&again, TLS_SIGN_MAX);
	buf_init(&spki, 256);
	assert_true(privkey_sign(k, TLS_ED25519, slice_of(digest, 32), &sig));
	assert_true(privkey_sign(k, TLS_ED25519, slice_of(digest, 32), &again));
	assert_true(sig.n == 64 && slice_eq(buf_slice(&sig), buf_slice(&again)));
	assert_true(privkey_public(k, &spki));
	der = spki.p;
	pub = d2i_PUBKEY(NULL, &der, (long)spki.n);
	assert_non_null(pub);
	assert_int_equal(EVP_DigestVerifyInit(md, NULL, NULL, NULL, pub), 1);
	assert_int_equal(EVP_DigestVerify(md, sig.p, sig.n, digest, 32), 1);
	assert_false(privkey_sign(k, TLS_ED25519, slice_of(digest, 0), &sig));
	assert_false(privkey_sign(k, TLS_ECDSA, slice_of(digest, 32), &sig));
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(pub);
	buf_free(&sig);
	buf_free(&again);
	buf_free(&spki);
	privkey_free(&k);
}

static int
refuse(void *ctx, enum tls_alg alg, struct slice digest, struct buf *sig)
{
	*(int *)ctx += 1;
	return -1;
}

/* A key holder that refuses, is dead or answers nonsense ends the handshake, nothing else. */
static void
signer_fails(void **state)
{
	struct buf cert, key;
	int asked = 0;

	for (enum testing_kind kind = TESTING_EC; kind <= TESTING_RSA; kind++) {
		struct tls_server *s = tls_server_new();
		struct pair p;

		buf_init(&cert, TLS_CHAIN_BYTES);
		buf_init(&key, PRIVKEY_PEM_MAX);
		testing_cert(kind, &cert, &key);
		assert_true(tls_server_add(s, buf_slice(&cert), refuse, &asked, NULL));
		pair_open(&p, s, 0, 0);
		assert_false(testing_handshake(p.client, p.server));
		assert_int_equal(asked, (int)kind + 1);
		pair_close(&p);
		ERR_clear_error();
		tls_server_free(&s);
		buf_free(&cert);
		buf_free(&key);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remote_keys),
		cmocka_unit_test(rsa_pkcs1),
		cmocka_unit_test(policy),
		cmocka_unit_test(no_resumption),
		cmocka_unit_test(renegotiation),
		cmocka_unit_test(server_names),
		cmocka_unit_test(protocols),
		cmocka_unit_test(server_name_with_nul),
		cmocka_unit_test(tiny_records),
		cmocka_unit_test(bounded_turn),
		cmocka_unit_test(garbage),
		cmocka_unit_test(ends),
		cmocka_unit_test(bad_certificates),
		cmocka_unit_test(private_keys),
		cmocka_unit_test(ed25519),
		cmocka_unit_test(signer_fails),
	};

	if (!tls_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
