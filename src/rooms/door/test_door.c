/* SPDX-License-Identifier: MIT
 * The whole of door in one process: real clients on loopback, and the rooms played by this test at
 * the other ends of their channels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/tls/testing.h"
#include "rooms/door/house.h"
#include "rooms/door/signer.h"

struct stage {
	struct house *h;
	struct privkey *key;
	uint16_t ports[3]; /* smtp, imap, imaps */
	struct ipc_channel *smtp, *lobby, *mailbox, *warden;
};

/* What the rooms heard last. */
static struct heard {
	unsigned converse, gone, joins;
	uint64_t session, gone_session;
	unsigned tls;
	uint16_t peer_port;
	int fd; /* -1 or the test's */
	char ip_n, listener[32], tag[64], leftover[64], cipher[64];
} heard;

static void
copy(char *to, size_t n, struct slice s)
{
	s = slice_head(s, n - 1);
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	to[s.n] = 0;
}

static void
take(int *fd)
{
	if (heard.fd >= 0)
		(void)close(heard.fd);
	heard.fd = fd_take(fd);
	(void)fcntl(heard.fd, F_SETFL, O_NONBLOCK);
}

static void
on_smtp_converse(void *ctx, struct door_smtp_converse *m)
{
	heard.converse++;
	heard.session = m->session;
	heard.tls = m->tls;
	heard.peer_port = m->peer_port;
	heard.ip_n = (char)m->peer_ip.n;
	copy(heard.listener, sizeof heard.listener, m->listener);
	copy(heard.cipher, sizeof heard.cipher, m->cipher);
	take(&m->fd);
}

static void
on_lobby_converse(void *ctx, struct door_lobby_converse *m)
{
	heard.converse++;
	heard.session = m->session;
	heard.tls = m->tls;
	copy(heard.listener, sizeof heard.listener, m->listener);
	take(&m->fd);
}

static void
on_mailbox_join(void *ctx, struct door_mailbox_join *m)
{
	heard.joins++;
	heard.session = m->session;
	heard.tls = m->tls;
	copy(heard.tag, sizeof heard.tag, m->tag);
	copy(heard.leftover, sizeof heard.leftover, m->leftover);
	take(&m->fd);
}

static void
on_smtp_gone(void *ctx, struct door_smtp_gone *m)
{
	heard.gone++;
	heard.gone_session = m->session;
}

static void
on_lobby_gone(void *ctx, struct door_lobby_gone *m)
{
	heard.gone++;
	heard.gone_session = m->session;
}

static void
on_mailbox_gone(void *ctx, struct door_mailbox_gone *m)
{
	heard.gone++;
	heard.gone_session = m->session;
}

static const struct door_smtp_server smtp_side = { .converse = on_smtp_converse, .gone = on_smtp_gone };
static const struct door_lobby_server lobby_side = { .converse = on_lobby_converse,
	.gone = on_lobby_gone };
static const struct door_mailbox_server mailbox_side = { .join = on_mailbox_join,
	.gone = on_mailbox_gone };

/* One round of everybody. */
static void
turn(struct stage *st)
{
	loop_once(st->h->loop, 1);
	if (st->smtp != NULL)
		while (door_smtp_server_serve(st->smtp, &smtp_side, NULL) == IPC_OK)
			;
	if (st->lobby != NULL)
		while (door_lobby_server_serve(st->lobby, &lobby_side, NULL) == IPC_OK)
			;
	if (st->mailbox != NULL)
		while (door_mailbox_server_serve(st->mailbox, &mailbox_side, NULL) == IPC_OK)
			;
}

/* Turns until the condition holds, for two seconds or so. */
#define UNTIL(st, condition)                                                                       \
	do {                                                                                       \
		for (int until = 0; until < 2000 && !(condition); until++)                         \
			turn(st);                                                                  \
		assert_true(condition);                                                            \
	} while (0)

static struct ipc_channel *
introduce(struct stage *st, const char *peer, const char *instance)
{
	struct ipc_channel *ch;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	house_introduce(st->h, peer, instance, sv[1]);
	ch = ipc_channel_new(sv[0], "door", "");
	ipc_set_nonblocking(ch, true);
	return ch;
}

static uint16_t
listen_as(struct house *h, const char *name)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t n = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
	assert_true(house_listen(h, name, fd));
	return ntohs(sin.sin_port);
}

static void
begin(struct stage *st, struct caps_limits limits)
{
	static const uint8_t secret[16] = { 1, 2, 3 };

	*st = (struct stage){ .h = calloc(1, sizeof *st->h) };
	heard = (struct heard){ .fd = -1 };
	st->h->loop = loop_new();
	st->h->caps = caps_new(&limits, secret);
	st->h->tls = testing_server(TESTING_EC, &st->key);
	st->ports[0] = listen_as(st->h, "smtp");
	st->ports[1] = listen_as(st->h, "imap");
	st->ports[2] = listen_as(st->h, "imaps");
	assert_false(house_listen(st->h, "gopher", -1));
	st->smtp = introduce(st, "smtp", "mx");
	st->lobby = introduce(st, "lobby", "");
	st->warden = introduce(st, "warden", "");
}

static const struct caps_limits wide = { .total = 100, .per_address = 50 };

static void
end(struct stage *st)
{
	struct house *h = st->h;

	ipc_channel_free(&st->smtp);
	ipc_channel_free(&st->lobby);
	ipc_channel_free(&st->mailbox);
	ipc_channel_free(&st->warden);
	for (size_t i = 0; i < ID_BUCKETS; i++)
		while (h->ids[i] != NULL)
			session_free(h, h->ids[i]);
	for (int i = 0; i < 5; i++)
		loop_once(h->loop, 0); /* lost rooms, posted work */
	assert_int_equal(caps_total(h->caps), 0);
	listeners_close(h);
	loop_free(&h->loop);
	caps_free(&h->caps);
	tls_server_free(&h->tls);
	privkey_free(&st->key);
	free(h);
	if (heard.fd >= 0)
		(void)close(heard.fd);
	ERR_clear_error();
}

static int
client(uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* Both directions of bare descriptors. */
static bool
gets(struct stage *st, int fd, const char *text)
{
	char got[256];
	size_t n = 0, want = strlen(text);

	for (int i = 0; i < 2000 && n < want; i++) {
		ssize_t r = recv(fd, got + n, want - n, MSG_DONTWAIT);

		if (r > 0)
			n += (size_t)r;
		else if (r == 0)
			break;
		else
			turn(st);
	}
	return n == want && memcmp(got, text, n) == 0;
}

static bool
sees_end(struct stage *st, int fd)
{
	char c;
	ssize_t r = -1;

	for (int i = 0; i < 2000 && r < 0; i++) {
		r = recv(fd, &c, 1, MSG_DONTWAIT);
		if (r < 0 && errno != EAGAIN)
			return true;
		turn(st);
	}
	return r == 0;
}

static void
put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

struct secure {
	SSL_CTX *ctx;
	SSL *ssl;
};

static bool
shake(struct stage *st, struct secure *c, int fd)
{
	c->ctx = testing_client(0, 0);
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, fd);
	for (int i = 0; i < 2000; i++) {
		int ret = SSL_connect(c->ssl), e = SSL_get_error(c->ssl, ret);

		if (ret == 1)
			return true;
		if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
			return false;
		turn(st);
	}
	return false;
}

static bool
secure_gets(struct stage *st, struct secure *c, const char *text)
{
	char got[256];
	size_t n = 0, want = strlen(text);

	for (int i = 0; i < 2000 && n < want; i++) {
		int r = SSL_read(c->ssl, got + n, (int)(want - n));

		if (r > 0)
			n += (size_t)r;
		else
			turn(st);
	}
	return n == want && memcmp(got, text, n) == 0;
}

/* close_notify, then the end of the socket. */
static bool
secure_ends(struct stage *st, struct secure *c)
{
	char byte;

	for (int i = 0; i < 2000; i++) {
		if (SSL_read(c->ssl, &byte, 1) == 0 &&
		    (SSL_get_shutdown(c->ssl) & SSL_RECEIVED_SHUTDOWN) != 0)
			return true;
		turn(st);
	}
	return false;
}

static void
secure_put(struct secure *c, const char *text)
{
	assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), strlen(text));
}

static void
secure_free(struct secure *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	ERR_clear_error();
}

static void
smtp_starttls(struct stage *st, uint64_t id, int fd)
{
	struct door_smtp_starttls m = { .session = id, .fd = fd };

	assert_int_equal(door_smtp_starttls_send(st->smtp, &m), IPC_OK);
}

static void
smtp_closed(struct stage *st, uint64_t id)
{
	struct door_smtp_closed m = { .session = id };

	assert_int_equal(door_smtp_closed_send(st->smtp, &m), IPC_OK);
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void
bare_socket(void **state)
{
	struct stage st;
	struct sockaddr_in sin;
	socklen_t n = sizeof sin;
	int c;

	begin(&st, wide);
	c = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	assert_true(heard.session != 0);
	assert_int_equal(heard.tls, DOOR_SMTP_TLS_NONE);
	assert_int_equal(heard.ip_n, 4);
	assert_string_equal(heard.listener, "smtp");
	assert_int_equal(getsockname(c, (struct sockaddr *)&sin, &n), 0);
	assert_int_equal(heard.peer_port, ntohs(sin.sin_port));
	put(heard.fd, "220 here\r\n");
	assert_true(gets(&st, c, "220 here\r\n"));
	put(c, "QUIT\r\n");
	assert_true(gets(&st, heard.fd, "QUIT\r\n"));
	/* only the room that has it can end it, and only once */
	smtp_closed(&st, heard.session ^ 1);
	for (int i = 0; i < 5; i++)
		turn(&st);
	assert_int_equal(caps_total(st.h->caps), 1);
	smtp_closed(&st, heard.session);
	smtp_closed(&st, heard.session);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	(void)close(heard.fd);
	heard.fd = -1;
	assert_true(sees_end(&st, c)); /* door kept nothing of it */
	(void)close(c);
	end(&st);
}

/* S-021. What stands behind STARTTLS in plain text never reaches the conversation under TLS. */
static void
starttls(void **state)
{
	struct stage st;
	struct secure tls;
	char got[64];
	int c;

	/* the room has read it all and drops what it had buffered */
	begin(&st, wide);
	c = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	put(c, "STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n");
	assert_true(gets(&st, heard.fd, "STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n"));
	put(heard.fd, "220 go\r\n");
	assert_true(gets(&st, c, "220 go\r\n"));
	smtp_starttls(&st, heard.session, heard.fd);
	(void)close(heard.fd);
	heard.fd = -1;
	assert_true(shake(&st, &tls, c));
	UNTIL(&st, heard.converse == 2);
	assert_int_equal(heard.tls, DOOR_SMTP_TLS_TLS13);
	assert_string_equal(heard.cipher, "TLS_AES_256_GCM_SHA384");
	assert_int_equal(recv(heard.fd, got, sizeof got, 0), -1);
	secure_put(&tls, "EHLO x\r\n");
	assert_true(gets(&st, heard.fd, "EHLO x\r\n"));
	put(heard.fd, "221 bye\r\n");
	smtp_closed(&st, heard.session); /* before the stream's end: the last words still arrive */
	for (int i = 0; i < 5; i++)
		turn(&st);
	(void)close(heard.fd);
	heard.fd = -1;
	assert_true(secure_gets(&st, &tls, "221 bye\r\n"));
	assert_true(secure_ends(&st, &tls));
	(void)close(c);
	secure_free(&tls);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	end(&st);

	/* the injected line was still in the socket: it is no ClientHello, and that is the end */
	begin(&st, wide);
	c = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	put(c, "STARTTLS\r\n");
	assert_true(gets(&st, heard.fd, "STARTTLS\r\n"));
	put(c, "MAIL FROM:<evil@example.com>\r\n");
	smtp_starttls(&st, heard.session, heard.fd);
	(void)close(heard.fd);
	heard.fd = -1;
	assert_false(shake(&st, &tls, c));
	UNTIL(&st, heard.gone == 1);
	assert_int_equal(heard.gone_session, heard.session);
	assert_int_equal(heard.converse, 1);
	(void)close(c);
	secure_free(&tls);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	end(&st);
}

/* A room that sends back something else than the client's socket hurts its own conversation only. */
static void
wrong_descriptors(void **state)
{
	struct stage st;
	int pipes[2], sv[2], c, other;

	begin(&st, wide);
	other = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	for (int i = 0; i < 4; i++) {
		int fd;

		assert_int_equal(pipe(pipes), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		c = client(st.ports[0]);
		UNTIL(&st, heard.converse == (unsigned)i + 2);
		fd = i == 0 ? pipes[0] : i == 1 ? sv[0] : i == 2 ? other : open("/dev/null", O_RDONLY);
		smtp_starttls(&st, heard.session, fd);
		UNTIL(&st, heard.gone == (unsigned)i + 1);
		assert_int_equal(caps_total(st.h->caps), 1);
		if (i == 3)
			(void)close(fd);
		(void)close(c);
		(void)close(pipes[0]);
		(void)close(pipes[1]);
		(void)close(sv[0]);
		(void)close(sv[1]);
	}
	(void)close(other);
	end(&st);
}

static void
lobby_handoff(struct stage *st, uint64_t id, int fd, struct slice tag, struct slice leftover)
{
	struct door_lobby_handoff m = { .session = id, .tag = tag, .leftover = leftover, .fd = fd };

	assert_int_equal(door_lobby_handoff_send(st->lobby, &m), IPC_OK);
}

static void
warden_join(struct stage *st, uint64_t id, uint32_t account)
{
	struct warden_door_join m = { .session = id, .account = account, .fd = -1 };
	int sv[2] = { -1, -1 };

	if (st->mailbox == NULL) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
		m.fd = sv[1];
		st->mailbox = ipc_channel_new(sv[0], "door", "");
		ipc_set_nonblocking(st->mailbox, true);
	}
	assert_int_equal(warden_door_join_send(st->warden, &m), IPC_OK);
	if (sv[1] >= 0)
		(void)close(sv[1]);
}

static void
login(bool implicit, bool join_first)
{
	struct stage st;
	struct secure tls = { 0 };
	uint64_t id;
	int c, old;

	begin(&st, wide);
	c = client(st.ports[implicit ? 2 : 1]);
	if (implicit)
		assert_true(shake(&st, &tls, c));
	UNTIL(&st, heard.converse == 1);
	assert_int_equal(heard.tls, implicit ? DOOR_LOBBY_TLS_TLS13 : DOOR_LOBBY_TLS_NONE);
	assert_string_equal(heard.listener, implicit ? "imaps" : "imap");
	id = heard.session;
	if (implicit)
		secure_put(&tls, "a LOGIN x y\r\nb SEL");
	else
		put(c, "a LOGIN x y\r\nb SEL");
	/* lobby reads the login and a piece more; the rest is underway */
	assert_true(gets(&st, heard.fd, "a LOGIN x y\r\nb"));
	put(heard.fd, "* CAPABILITY\r\n");
	old = fd_take(&heard.fd);
	if (join_first) {
		warden_join(&st, id, 1001);
		for (int i = 0; i < 5; i++)
			turn(&st);
	}
	lobby_handoff(&st, id, old, S("a"), S("b"));
	(void)close(old);
	if (implicit)
		secure_put(&tls, "ECT\r\n");
	else
		put(c, "ECT\r\n");
	for (int i = 0; i < 5; i++)
		turn(&st);
	assert_int_equal(heard.joins, join_first ? 1 : 0);
	if (!join_first)
		warden_join(&st, id, 1001);
	UNTIL(&st, heard.joins == 1);
	assert_int_equal(heard.session, id);
	assert_string_equal(heard.tag, "a");
	assert_string_equal(heard.leftover, "b");
	assert_true(gets(&st, heard.fd, " SELECT\r\n"));
	put(heard.fd, "a OK\r\n");
	if (implicit)
		assert_true(secure_gets(&st, &tls, "* CAPABILITY\r\na OK\r\n"));
	else
		assert_true(gets(&st, c, "* CAPABILITY\r\na OK\r\n"));
	/* lobby has no say any more */
	assert_int_equal(
	    door_lobby_closed_send(st.lobby, &(struct door_lobby_closed){ .session = id }), IPC_OK);
	for (int i = 0; i < 5; i++)
		turn(&st);
	assert_int_equal(caps_total(st.h->caps), 1);
	/* the mailbox room ends */
	(void)close(heard.fd);
	heard.fd = -1;
	ipc_channel_free(&st.mailbox);
	if (implicit)
		assert_true(secure_ends(&st, &tls));
	else
		assert_true(sees_end(&st, c));
	(void)close(c);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	secure_free(&tls);
	end(&st);
}

static void
logins(void **state)
{
	login(true, false);
	login(true, true);
	login(false, false);
	login(false, true);
}

static void
no_mailbox(void **state)
{
	struct stage st;
	struct secure tls;
	struct warden_door_unavailable m;
	int c, old;

	begin(&st, wide);
	c = client(st.ports[2]);
	assert_true(shake(&st, &tls, c));
	UNTIL(&st, heard.converse == 1);
	old = fd_take(&heard.fd);
	lobby_handoff(&st, heard.session, old, S("a"), S(""));
	(void)close(old);
	turn(&st);
	m.session = heard.session;
	assert_int_equal(warden_door_unavailable_send(st.warden, &m), IPC_OK);
	assert_true(secure_ends(&st, &tls));
	(void)close(c);
	secure_free(&tls);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	end(&st);
}

/* A room dies: its conversations end cleanly, new clients wait for its successor. */
static void
room_restarts(void **state)
{
	struct stage st;
	struct secure tls;
	int c, waiting;

	begin(&st, wide);
	c = client(st.ports[2]);
	assert_true(shake(&st, &tls, c));
	UNTIL(&st, heard.converse == 1);
	put(heard.fd, "* OK ready\r\n");
	assert_true(secure_gets(&st, &tls, "* OK ready\r\n"));
	ipc_channel_free(&st.lobby);
	assert_true(secure_ends(&st, &tls));
	(void)close(c);
	secure_free(&tls);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	waiting = client(st.ports[1]);
	for (int i = 0; i < 20; i++)
		turn(&st);
	assert_int_equal(heard.converse, 1);
	st.lobby = introduce(&st, "lobby", "");
	UNTIL(&st, heard.converse == 2);
	assert_string_equal(heard.listener, "imap");
	(void)close(waiting);
	end(&st);
}

/* Three kinds of flood by one address. */
static void
limits(void **state)
{
	struct stage st;
	struct secure tls[4];
	int c[4];

	begin(&st, (struct caps_limits){ .total = 10, .per_address = 2, .handshakes = 1, .burst = 2 });
	c[0] = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	c[1] = client(st.ports[0]);
	UNTIL(&st, heard.converse == 2);
	c[2] = client(st.ports[0]);
	assert_true(sees_end(&st, c[2]));
	assert_int_equal(heard.converse, 2);
	smtp_closed(&st, heard.session);
	UNTIL(&st, caps_total(st.h->caps) == 1);
	for (int i = 0; i < 3; i++)
		(void)close(c[i]);
	/* two handshakes are saved up, the third is one too many */
	for (int i = 0; i < 3; i++) {
		c[i] = client(st.ports[2]);
		assert_int_equal(shake(&st, &tls[i], c[i]), i < 2);
		if (i < 2)
			UNTIL(&st, heard.converse == 3 + (unsigned)i);
		(void)close(c[i]);
		if (heard.fd >= 0)
			(void)close(heard.fd);
		heard.fd = -1;
		UNTIL(&st, caps_total(st.h->caps) == 1);
		secure_free(&tls[i]);
	}
	end(&st);
}

/* S-023: a client that says nothing, or text, where a handshake belongs is cut within 10 s. */
static void
no_hello(void **state)
{
	struct stage st;
	int quiet, text, slow;
	uint64_t now = 1000000;

	begin(&st, wide);
	clock_fake(now, 0);
	quiet = client(st.ports[2]);
	text = client(st.ports[2]);
	slow = client(st.ports[2]);
	put(text, "a LOGIN x y\r\n");
	UNTIL(&st, caps_total(st.h->caps) == 3);
	assert_true(sees_end(&st, text)); /* at once */
	(void)close(text);
	UNTIL(&st, caps_total(st.h->caps) == 2);
	for (int i = 0; i < 38; i++) {
		clock_fake(now += 250, 0);
		put(slow, i == 0 ? "\x16" : i == 1 ? "\x03" : i == 2 ? "\x01" : "\x10"); /* drip */
		turn(&st);
		assert_int_equal(caps_total(st.h->caps), i < 37 ? 2 : caps_total(st.h->caps));
	}
	clock_fake(now += 500, 0);
	for (int i = 0; i < 4; i++)
		turn(&st);
	assert_int_equal(caps_total(st.h->caps), 0);
	assert_true(sees_end(&st, quiet));
	assert_true(sees_end(&st, slow));
	assert_int_equal(heard.converse, 0);
	clock_real();
	(void)close(quiet);
	(void)close(slow);
	end(&st);
}

/* Without the room keys no handshake completes, and nothing waits for it. */
static void
no_keys(void **state)
{
	struct stage st;
	struct signer signer;
	struct signer_key key = { .signer = &signer, .name = S("tls") };
	struct secure tls;
	struct buf cert, pem;
	uint64_t before;
	int c;

	begin(&st, wide);
	signer_init(&signer);
	buf_init(&cert, TLS_CHAIN_BYTES);
	buf_init(&pem, PRIVKEY_PEM_MAX);
	testing_cert(TESTING_EC, &cert, &pem);
	tls_server_free(&st.h->tls);
	st.h->tls = tls_server_new();
	assert_true(tls_server_add(st.h->tls, buf_slice(&cert), signer_sign, &key, NULL));
	c = client(st.ports[2]);
	before = clock_mono_ms();
	assert_false(shake(&st, &tls, c));
	assert_true(clock_mono_ms() - before < 1000);
	assert_int_equal(signer.failed, 1);
	secure_free(&tls);
	(void)close(c);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	ipc_client_free(&signer.client);
	arena_free(&signer.arena);
	buf_free(&cert);
	buf_free(&pem);
	end(&st);
}

/* A room that breaks the rules of its channel loses its conversations, door goes on. */
static void
hostile_room(void **state)
{
	struct stage st;
	int c;

	begin(&st, wide);
	c = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	assert_int_equal(send(ipc_fd(st.smtp), "\xff\xff rubbish", 10, 0), 10);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	(void)close(c);
	ipc_channel_free(&st.smtp);
	st.smtp = introduce(&st, "smtp", "mx");
	c = client(st.ports[0]);
	UNTIL(&st, heard.converse == 2);
	(void)close(c);
	end(&st);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bare_socket),
		cmocka_unit_test(starttls),
		cmocka_unit_test(wrong_descriptors),
		cmocka_unit_test(logins),
		cmocka_unit_test(no_mailbox),
		cmocka_unit_test(room_restarts),
		cmocka_unit_test(limits),
		cmocka_unit_test(no_hello),
		cmocka_unit_test(no_keys),
		cmocka_unit_test(hostile_room),
	};

	if (!tls_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
