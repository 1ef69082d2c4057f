/* SPDX-License-Identifier: MIT
 * The proxy of one TLS client, with real sockets on loopback and the room's side in this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/tls/testing.h"
#include "rooms/door/caps.h"
#include "rooms/door/conn.h"

struct bench {
	struct privkey *key;
	struct tls_server *server;
	SSL_CTX *ctx;
	SSL *client;
	struct conn *conn;
	int cfd;
	int room; /* the room's end, or -1 */
};

/* Edges are told in abundance: conn has to cope. Runs until it is idle, ended or tells something. */
static enum conn_status
step(struct bench *b)
{
	enum conn_status st;
	int turns = 0;

	conn_edge(b->conn, CONN_CLIENT, true, true);
	if (conn_fd(b->conn, CONN_ROOM) >= 0)
		conn_edge(b->conn, CONN_ROOM, true, true);
	do
		st = conn_run(b->conn);
	while (st == CONN_MORE && ++turns < 10000);
	return st;
}

/* Loopback delivers soon, not at once: runs until st comes, for two seconds at most. */
static bool
step_until(struct bench *b, enum conn_status want)
{
	for (int i = 0; i < 2000; i++) {
		if (step(b) == want)
			return true;
		(void)poll(NULL, 0, 1);
	}
	return false;
}

static void
attach(struct bench *b)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	conn_attach(b->conn, sv[0]);
	b->room = sv[1];
}

static void
begin(struct bench *b)
{
	int sfd;

	*b = (struct bench){ .room = -1 };
	b->server = testing_server(TESTING_EC, &b->key);
	b->ctx = testing_client(0, 0);
	testing_tcp(&b->cfd, &sfd);
	b->client = SSL_new(b->ctx);
	SSL_set_fd(b->client, b->cfd);
	SSL_set_mode(b->client, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	b->conn = conn_new(b->server, sfd, NULL);
}

static void
shake(struct bench *b)
{
	bool told = false;

	for (int i = 0; i < 2000; i++) {
		int ret = SSL_connect(b->client);

		if (!told)
			told = step(b) == CONN_SHOOK;
		if (ret == 1 && told)
			break;
		(void)poll(NULL, 0, 1);
	}
	assert_true(told);
	assert_int_equal(conn_phase(b->conn), CONN_WAITING);
	attach(b);
}

static void
end(struct bench *b)
{
	conn_free(&b->conn);
	if (b->room >= 0)
		(void)close(b->room);
	if (b->cfd >= 0)
		(void)close(b->cfd);
	SSL_free(b->client);
	SSL_CTX_free(b->ctx);
	tls_server_free(&b->server);
	privkey_free(&b->key);
	ERR_clear_error();
}

/* Reads at the room's end until n octets came; false after two seconds. */
static bool
room_gets(struct bench *b, const char *text)
{
	char got[256];
	size_t n = 0, want = strlen(text);

	for (int i = 0; i < 2000 && n < want; i++) {
		ssize_t r;

		(void)step(b);
		r = recv(b->room, got + n, want - n, 0);
		if (r > 0)
			n += (size_t)r;
		else
			(void)poll(NULL, 0, 1);
	}
	return n == want && memcmp(got, text, n) == 0;
}

static bool
client_gets(struct bench *b, const char *text)
{
	char got[256];
	size_t n = 0, want = strlen(text);

	for (int i = 0; i < 2000 && n < want; i++) {
		int r;

		(void)step(b);
		r = SSL_read(b->client, got + n, (int)(want - n));
		if (r > 0)
			n += (size_t)r;
		else
			(void)poll(NULL, 0, 1);
	}
	return n == want && memcmp(got, text, n) == 0;
}

/* The client sees close_notify and then the end of the socket, not a reset. */
static bool
client_sees_end(struct bench *b)
{
	char c;

	for (int i = 0; i < 2000; i++) {
		(void)step(b);
		if (SSL_read(b->client, &c, 1) == 0 &&
		    (SSL_get_shutdown(b->client) & SSL_RECEIVED_SHUTDOWN) != 0)
			return true;
		(void)poll(NULL, 0, 1);
	}
	return false;
}

static void
both_ways(void **state)
{
	struct bench b;

	begin(&b);
	shake(&b);
	assert_int_equal(send(b.room, "220 hello\r\n", 11, 0), 11);
	assert_true(client_gets(&b, "220 hello\r\n"));
	assert_int_equal(SSL_write(b.client, "EHLO x\r\n", 8), 8);
	assert_true(room_gets(&b, "EHLO x\r\n"));
	assert_int_equal(conn_up(b.conn), 8);
	assert_int_equal(conn_down(b.conn), 11);
	/* the room says goodbye and closes; the words arrive before the end, and no reset follows */
	assert_int_equal(SSL_write(b.client, "never read", 10), 10);
	assert_int_equal(send(b.room, "221 bye\r\n", 9, 0), 9);
	(void)close(b.room);
	b.room = -1;
	assert_true(client_gets(&b, "221 bye\r\n"));
	assert_true(client_sees_end(&b));
	assert_int_equal(conn_phase(b.conn), CONN_LINGER);
	(void)close(b.cfd);
	b.cfd = -1;
	assert_true(step_until(&b, CONN_ENDED));
	assert_false(conn_failed(b.conn));
	end(&b);
}

static void
half_close(void **state)
{
	struct bench b;
	char c;

	begin(&b);
	shake(&b);
	assert_int_equal(SSL_write(b.client, "last words", 10), 10);
	assert_true(SSL_shutdown(b.client) >= 0);
	assert_int_equal(shutdown(b.cfd, SHUT_WR), 0);
	assert_true(room_gets(&b, "last words"));
	assert_int_equal(recv(b.room, &c, 1, 0), 0); /* the client's end, once it is all there */
	assert_int_equal(conn_phase(b.conn), CONN_OPEN);
	assert_int_equal(send(b.room, "answer", 6, 0), 6);
	assert_true(client_gets(&b, "answer"));
	(void)close(b.room);
	b.room = -1;
	assert_true(client_sees_end(&b));
	assert_true(step_until(&b, CONN_ENDED));
	end(&b);
}

/* A mebibyte in both directions at once through small buffers, everything in order. */
static void
much(void **state)
{
	enum { TOTAL = 1 << 20, PIECE = 5000 };
	static uint8_t data[TOTAL], got[2][TOTAL];
	size_t sent[2] = { 0 }, came[2] = { 0 };
	struct bench b;

	for (size_t i = 0; i < TOTAL; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	begin(&b);
	shake(&b);
	for (int i = 0; i < 200000 && (came[0] < TOTAL || came[1] < TOTAL); i++) {
		ssize_t n;
		int r;

		if (sent[0] < TOTAL) {
			size_t left = TOTAL - sent[0];

			r = SSL_write(b.client, data + sent[0], (int)(left < PIECE ? left : PIECE));
			sent[0] += r > 0 ? (size_t)r : 0;
			n = send(b.room, data + sent[1], TOTAL - sent[1] < PIECE ? TOTAL - sent[1] : PIECE,
			    MSG_DONTWAIT);
			sent[1] += n > 0 ? (size_t)n : 0;
		}
		(void)step(&b);
		n = recv(b.room, got[0] + came[0], TOTAL - came[0], 0);
		came[0] += n > 0 ? (size_t)n : 0;
		r = SSL_read(b.client, got[1] + came[1], (int)(TOTAL - came[1]));
		came[1] += r > 0 ? (size_t)r : 0;
		if (sent[0] == TOTAL && sent[1] < TOTAL) {
			n = send(b.room, data + sent[1], TOTAL - sent[1], MSG_DONTWAIT);
			sent[1] += n > 0 ? (size_t)n : 0;
		}
	}
	assert_int_equal(came[0], TOTAL);
	assert_int_equal(came[1], TOTAL);
	assert_memory_equal(got[0], data, TOTAL);
	assert_memory_equal(got[1], data, TOTAL);
	end(&b);
}

/* Whoever does not read is not read for: what piles up in us is one hold. */
static void
back_pressure(void **state)
{
	static char block[16384];
	struct bench b;
	int size = 65536, idle = 0;
	size_t into = 0, out = 0;
	
	begin(&b);
	(void)setsockopt(b.cfd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	shake(&b);
	(void)setsockopt(conn_fd(b.conn, CONN_CLIENT), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	memset(block, 'd', sizeof block);
	/* the room talks, the client does not read */
	while (idle < 50) {
		ssize_t n = send(b.room, block, sizeof block, MSG_DONTWAIT);

		into += n > 0 ? (size_t)n : 0;
		assert_int_equal(step(&b), CONN_IDLE);
		idle = n > 0 ? 0 : idle + 1;
		assert_true(into < (size_t)8 << 20);
		(void)poll(NULL, 0, 1);
	}
	assert_true(into - conn_down(b.conn) < (size_t)1 << 20);
	/* in the meantime the other direction works */
	assert_int_equal(SSL_write(b.client, "NOOP\r\n", 6), 6);
	assert_true(room_gets(&b, "NOOP\r\n"));
	/* the room has ended; the rest still arrives in full */
	(void)close(b.room);
	b.room = -1;
	for (int i = 0; i < 5000 && out < into; i++) {
		int r = SSL_read(b.client, block, sizeof block);

		if (r <= 0)
			(void)poll(NULL, 0, 1);

		out += r > 0 ? (size_t)r : 0;
		(void)step(&b);
	}
	assert_int_equal(out, into);
	assert_true(client_sees_end(&b));
	end(&b);

	/* the client talks, the room does not read */
	begin(&b);
	shake(&b);
	into = 0;
	for (idle = 0; idle < 50; idle++) {
		int r = SSL_write(b.client, block, sizeof block);

		if (r > 0) {
			into += (size_t)r;
			idle = 0;
		}
		assert_int_equal(step(&b), CONN_IDLE);
		assert_true(into < (size_t)32 << 20);
		(void)poll(NULL, 0, 1);
	}
	/* the other direction works */
	assert_int_equal(send(b.room, "421 busy\r\n", 10, 0), 10);
	assert_true(client_gets(&b, "421 busy\r\n"));
	out = 0;
	for (int i = 0; i < 100000 && out < into; i++) {
		ssize_t n = recv(b.room, block, sizeof block, 0);

		out += n > 0 ? (size_t)n : 0;
		(void)step(&b);
	}
	assert_int_equal(out, into);
	end(&b);
}

/* After a login the room changes under the client: nothing is lost, doubled or reordered, although
 * the first room has read only a part. */
static void
change_of_room(void **state)
{
	struct bench b;
	int old;
	char c;

	begin(&b);
	shake(&b);
	assert_int_equal(SSL_write(b.client, "a LOGIN x y\r\nb SELECT INBOX\r\n", 29), 29);
	assert_true(room_gets(&b, "a LOGIN x y\r\n"));
	assert_int_equal(send(b.room, "* from the first\r\n", 18, 0), 18);
	old = b.room;
	assert_true(conn_switch(b.conn, old));
	assert_false(conn_switch(b.conn, old)); /* once */
	(void)close(old);
	b.room = -1;
	assert_int_equal(SSL_write(b.client, "c NOOP\r\n", 8), 8);
	assert_true(step_until(&b, CONN_DRAINED));
	assert_int_equal(conn_phase(b.conn), CONN_WAITING);
	assert_int_equal(step(&b), CONN_IDLE);
	attach(&b);
	assert_true(room_gets(&b, "b SELECT INBOX\r\nc NOOP\r\n"));
	assert_int_equal(recv(b.room, &c, 1, 0), -1);
	assert_int_equal(send(b.room, "a OK\r\n", 6, 0), 6);
	assert_true(client_gets(&b, "* from the first\r\na OK\r\n"));
	assert_int_equal(conn_up(b.conn), 37);
	end(&b);

	/* the client has gone in the middle: the next room gets what it said, and the end */
	begin(&b);
	shake(&b);
	assert_int_equal(SSL_write(b.client, "a LOGOUT\r\n", 10), 10);
	assert_true(SSL_shutdown(b.client) >= 0);
	for (int i = 0; i < 50; i++) {
		(void)step(&b);
		(void)poll(NULL, 0, 1);
	}
	old = b.room;
	assert_true(conn_switch(b.conn, old));
	(void)close(old);
	assert_true(step_until(&b, CONN_DRAINED));
	attach(&b);
	assert_true(room_gets(&b, "a LOGOUT\r\n"));
	(void)step(&b);
	assert_int_equal(recv(b.room, &c, 1, 0), 0);
	end(&b);
}

/* The room has said a last word and hung up. That is told once: what was read was not all. */
static void
hung_up(void **state)
{
	struct bench b;
	enum conn_status st;
	uint8_t c;

	begin(&b);
	shake(&b);
	assert_int_equal(step(&b), CONN_IDLE);
	assert_int_equal(send(b.room, "221 bye\r\n", 9, 0), 9);
	(void)close(b.room);
	b.room = -1;
	conn_hung(b.conn, CONN_ROOM);
	do
		st = conn_run(b.conn);
	while (st == CONN_MORE);
	assert_int_equal(conn_phase(b.conn), CONN_LINGER);
	assert_true(client_gets(&b, "221 bye\r\n"));
	assert_true(SSL_read(b.client, &c, 1) <= 0);
	end(&b);
}

/* Nothing is read twice to learn that there is no more: a short read says so itself, and the loop is asked. */
static void
short_reads(void **state)
{
	struct bench b;

	begin(&b);
	shake(&b);
	assert_int_equal(step(&b), CONN_IDLE);
	assert_int_equal(send(b.room, "250 ok\r\n", 8, 0), 8);
	conn_edge(b.conn, CONN_ROOM, true, false);
	(void)conn_run(b.conn);
	assert_true(conn_wants_read(b.conn, CONN_ROOM));
	assert_int_equal(send(b.room, "250 ok\r\n", 8, 0), 8);
	(void)conn_run(b.conn); /* not told: not read */
	assert_int_equal(conn_down(b.conn), 8);
	conn_edge(b.conn, CONN_ROOM, true, false);
	(void)conn_run(b.conn);
	assert_int_equal(conn_down(b.conn), 16);
	assert_true(client_gets(&b, "250 ok\r\n250 ok\r\n"));
	end(&b);
}

/* S-023: text where a ClientHello belongs is cut without an answer in words. */
static void
text_for_tls(void **state)
{
	struct bench b;
	char got[64];
	ssize_t n;

	begin(&b);
	assert_int_equal(send(b.cfd, "EHLO x\r\nQUIT\r\n", 14, 0), 14);
	for (int i = 0; i < 2000 && conn_phase(b.conn) == CONN_SHAKE; i++) {
		(void)step(&b);
		(void)poll(NULL, 0, 1);
	}
	assert_int_equal(conn_phase(b.conn), CONN_LINGER);
	assert_true(conn_failed(b.conn));
	assert_true(*tls_reason(conn_tls(b.conn)) != 0);
	assert_true(poll(&(struct pollfd){ .fd = b.cfd, .events = POLLIN }, 1, 2000) == 1);
	n = recv(b.cfd, got, sizeof got, 0);
	assert_true(n == 0 || (n > 0 && n <= 7 && got[0] == 0x15)); /* an alert, if anything */
	(void)close(b.cfd);
	b.cfd = -1;
	assert_true(step_until(&b, CONN_ENDED));
	end(&b);
}

static void
cut_off(void **state)
{
	struct bench b;
	struct linger now = { .l_onoff = 1 };
	char c;

	/* conn_close() in the middle: what was taken from the room arrives, then a clean end */
	begin(&b);
	shake(&b);
	assert_int_equal(send(b.room, "421 closing\r\n", 13, 0), 13);
	assert_int_equal(step(&b), CONN_IDLE);
	conn_close(b.conn);
	assert_int_equal(conn_fd(b.conn, CONN_ROOM), -1);
	assert_int_equal(recv(b.room, &c, 1, 0), 0);
	assert_true(client_gets(&b, "421 closing\r\n"));
	assert_true(client_sees_end(&b));
	end(&b);

	/* a reset of the client reaches the room as an end */
	begin(&b);
	shake(&b);
	(void)setsockopt(b.cfd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	(void)close(b.cfd);
	b.cfd = -1;
	assert_true(step_until(&b, CONN_ENDED));
	assert_int_equal(recv(b.room, &c, 1, 0), 0);
	end(&b);

	/* a client that never stops talking after the end is cut after 64 KiB */
	begin(&b);
	shake(&b);
	(void)close(b.room);
	b.room = -1;
	for (int i = 0; i < 20000 && step(&b) != CONN_ENDED; i++)
		(void)send(b.cfd, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 40, MSG_NOSIGNAL);
	assert_int_equal(conn_phase(b.conn), CONN_OVER);
	end(&b);
}

static struct ip
v4(uint8_t last)
{
	return (struct ip){ .b = { 192, 0, 2, last }, .n = 4 };
}

static void
caps(void **state)
{
	static const uint8_t secret[16] = { 3, 1, 4, 1, 5, 9, 2, 6 };
	struct caps_limits limits = { .total = 10, .per_address = 3, .handshakes = 10, .burst = 5 };
	struct caps *c = caps_new(&limits, secret);
	struct caps_address *a[10], *over = NULL;
	struct ip e = v4(1), six = { .b = { 0x20, 1, 0xd, 0xb8 }, .n = 16 };
	uint64_t now = 1000;

	for (int i = 0; i < 3; i++)
		assert_int_equal(caps_enter(c, &e, now, &a[i]), CAPS_OK);
	assert_int_equal(caps_enter(c, &e, now, &over), CAPS_ADDRESS);
	assert_null(over);
	/* a /64 is one address */
	for (int i = 3; i < 6; i++) {
		six.b[15] = (uint8_t)i;
		assert_int_equal(caps_enter(c, &six, now, &a[i]), CAPS_OK);
	}
	six.b[8] = 77;
	assert_int_equal(caps_enter(c, &six, now, &over), CAPS_ADDRESS);
	for (int i = 6; i < 10; i++) {
		e = v4((uint8_t)(10 + i));
		assert_int_equal(caps_enter(c, &e, now, &a[i]), CAPS_OK);
	}
	e = v4(99);
	assert_int_equal(caps_enter(c, &e, now, &over), CAPS_TOTAL);
	/* handshakes: a burst of five, then ten a second */
	for (int i = 0; i < 5; i++)
		assert_true(caps_handshake(c, a[0], now));
	assert_false(caps_handshake(c, a[0], now));
	assert_true(caps_handshake(c, a[9], now));
	assert_false(caps_handshake(c, a[0], now + 99));
	assert_true(caps_handshake(c, a[0], now + 100));
	assert_false(caps_handshake(c, a[0], now + 100));
	/* leaving does not give handshakes back, and time forgets the address */
	for (int i = 0; i < 10; i++)
		caps_leave(c, &a[i], now);
	assert_int_equal(caps_total(c), 0);
	assert_int_equal(caps_enter(c, &(struct ip){ .b = { 192, 0, 2, 1 }, .n = 4 }, now + 101,
	    &a[0]), CAPS_OK);
	assert_false(caps_handshake(c, a[0], now + 101));
	caps_leave(c, &a[0], now);
	/* memory: 10,000 passers-by leave nothing behind */
	for (int i = 0; i < 10000; i++) {
		struct ip p = { .b = { 10, 0, (uint8_t)(i >> 8), (uint8_t)i }, .n = 4 };

		now += 10;
		assert_int_equal(caps_enter(c, &p, now, &a[0]), CAPS_OK);
		(void)caps_handshake(c, a[0], now);
		caps_leave(c, &a[0], now);
	}
	assert_true(caps_addresses(c) < 5000);
	caps_free(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(half_close),
		cmocka_unit_test(much),
		cmocka_unit_test(back_pressure),
		cmocka_unit_test(change_of_room),
		cmocka_unit_test(hung_up),
		cmocka_unit_test(short_reads),
		cmocka_unit_test(text_for_tls),
		cmocka_unit_test(cut_off),
		cmocka_unit_test(caps),
	};

	if (!tls_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
