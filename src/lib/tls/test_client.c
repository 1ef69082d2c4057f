/* SPDX-License-Identifier: MIT
 * Our client against our server, over loopback, the server in a thread of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/sha.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/tls/client.h"
#include "lib/tls/testing.h"

static struct buf cert, key_pem;
static struct privkey *key;
static struct tls_server *server;
static uint8_t spki[32];

static int64_t
in_ms(int64_t ms)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms;
}

/* Shakes hands and echoes until the end. */
static void *
echo(void *arg)
{
	int fd = *(int *)arg;
	struct tls_conn *c = tls_conn_new(server, fd);
	uint8_t p[2048];
	size_t n = 0, put;
	bool shaken = false;

	for (;;) {
		enum tls_result r = shaken ? tls_read(c, p, sizeof p, &n) : tls_handshake(c);
		struct pollfd pfd = { .fd = fd, .events = r == TLS_WANT_WRITE ? POLLOUT : POLLIN };

		if (r == TLS_OK && shaken && tls_write(c, slice_of(p, n), &put) != TLS_OK)
			break;
		if (r == TLS_OK) {
			shaken = true;
			continue;
		}
		if (r == TLS_FAIL || r == TLS_EOF || poll(&pfd, 1, 2000) <= 0)
			break;
	}
	tls_conn_free(&c);
	(void)close(fd);
	return NULL;
}

static const struct slice good = S_INIT("example.test"), other = S_INIT("other.test");

/* One connection; true and a line that came back, or the problem. */
static enum tls_problem
attempt(struct tls_client *c, const struct tls_want *want)
{
	pthread_t t;
	int fd, peer;
	struct stream s;
	struct tls_link link;
	struct slice line;
	enum tls_problem problem;

	testing_tcp(&fd, &peer);
	assert_int_equal(pthread_create(&t, NULL, echo, &peer), 0);
	stream_init_fd(&s, fd);
	if (tls_client_start(c, &s, &link, want, in_ms(3000))) {
		assert_int_equal(stream_write(&s, S("hello\r\n"), in_ms(1000)), STREAM_OK);
		assert_int_equal(stream_line(&s, 100, in_ms(1000), &line), STREAM_OK);
		assert_true(slice_eq(line, S("hello")));
		assert_true(stream_idle(&s));
	} else {
		assert_true(link.reason[0] != '\0');
	}
	problem = link.problem;
	stream_close(&s);
	assert_int_equal(pthread_join(t, NULL), 0);
	return problem;
}

static void
anybody(void **state)
{
	struct tls_client *c = tls_client_new();
	struct tls_want want = { .trust = TLS_TRUST_ANY, .sni = other };

	assert_int_equal(attempt(c, &want), TLS_PROBLEM_NONE);
	tls_client_free(&c);
}

static void
by_name(void **state)
{
	struct tls_client *c = tls_client_new();
	struct tls_want want = { .trust = TLS_TRUST_NAME, .sni = good, .names = &good, .n_names = 1 };

	assert_int_equal(attempt(c, &want), TLS_PROBLEM_UNTRUSTED);
	assert_int_equal(tls_client_roots(c, S("no certificate")), 0);
	assert_int_equal(tls_client_roots(c, buf_slice(&cert)), 1);
	assert_int_equal(attempt(c, &want), TLS_PROBLEM_NONE);
	want.names = &other;
	assert_int_equal(attempt(c, &want), TLS_PROBLEM_NAME);
	want.n_names = 0;
	assert_int_equal(attempt(c, &want), TLS_PROBLEM_INVALID);
	tls_client_free(&c);
}

static void
by_dane(void **state)
{
	struct tls_client *c = tls_client_new();
	struct tls_tlsa tlsa = { .usage = 3, .selector = 1, .matching = 1, .data = slice_of(spki, sizeof spki) };
	struct tls_want want = { .trust = TLS_TRUST_DANE, .sni = other, .names = &other, .n_names = 1, .tlsa = &tlsa,
		.n_tlsa = 1 };

	assert_int_equal(attempt(c, &want), TLS_PROBLEM_NONE); /* usage 3: the name does not count */
	tlsa.usage = 1;
	assert_int_equal(attempt(c, &want), TLS_PROBLEM_TLSA);
	tlsa.usage = 3;
	tlsa.data = slice_head(tlsa.data, 19); /* D-001: a record that is too short */
	assert_int_equal(attempt(c, &want), TLS_PROBLEM_TLSA);
	tlsa.data = slice_of(spki, sizeof spki);
	spki[0] ^= 1;
	assert_int_equal(attempt(c, &want), TLS_PROBLEM_INVALID);
	spki[0] ^= 1;
	tls_client_free(&c);
}

static void
no_tls_there(void **state)
{
	struct tls_client *c = tls_client_new();
	struct tls_want want = { .trust = TLS_TRUST_ANY };
	struct tls_link link;
	struct stream s;
	int fd, peer;

	for (int silent = 0; silent < 2; silent++) {
		testing_tcp(&fd, &peer);
		stream_init_fd(&s, fd);
		if (silent == 0)
			assert_int_equal(send(peer, "454 no\r\n", 8, 0), 8);
		assert_false(tls_client_start(c, &s, &link, &want, in_ms(silent == 0 ? 3000 : 50)));
		assert_int_equal(link.problem, TLS_PROBLEM_HANDSHAKE);
		stream_close(&s);
		(void)close(peer);
	}
	tls_client_free(&c);
}

static int
setup(void **state)
{
	BIO *mem;
	X509 *x;
	uint8_t *der = NULL;
	int n;

	if (!tls_init())
		return -1;
	buf_init(&cert, TLS_CHAIN_BYTES);
	buf_init(&key_pem, PRIVKEY_PEM_MAX);
	testing_cert(TESTING_EC, &cert, &key_pem);
	key = privkey_new(buf_slice(&key_pem));
	server = tls_server_new();
	mem = BIO_new_mem_buf(cert.p, (int)cert.n);
	x = PEM_read_bio_X509(mem, NULL, NULL, NULL);
	n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	if (n <= 0 || !tls_server_add(server, buf_slice(&cert), testing_sign, key, NULL))
		return -1;
	(void)SHA256(der, (size_t)n, spki);
	OPENSSL_free(der);
	X509_free(x);
	BIO_free(mem);
	return 0;
}

static int
teardown(void **state)
{
	tls_server_free(&server);
	privkey_free(&key);
	buf_free(&cert);
	buf_free(&key_pem);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anybody),
		cmocka_unit_test(by_name),
		cmocka_unit_test(by_dane),
		cmocka_unit_test(no_tls_there),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
