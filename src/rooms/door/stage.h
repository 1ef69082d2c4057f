/* SPDX-License-Identifier: MIT
 * The stage of test_door.c: door in this process, real clients on loopback, and the other rooms
 * played at the far ends of their channels. */
#pragma once

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
	unsigned converse, gone, joins, resumes, unavailable, crowded;
	bool crowd;
	uint64_t session, gone_session;
	unsigned tls;
	uint16_t peer_port;
	int fd; /* -1 or the test's */
	char ip_n, listener[32], tag[64], leftover[64], cipher[64];
} heard;

static inline void
copy(char *to, size_t n, struct slice s)
{
	s = slice_head(s, n - 1);
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	to[s.n] = 0;
}

static inline void
take(int *fd)
{
	if (heard.fd >= 0)
		(void)close(heard.fd);
	heard.fd = fd_take(fd);
	(void)fcntl(heard.fd, F_SETFL, O_NONBLOCK);
}

static inline void
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

static inline void
on_lobby_converse(void *ctx, struct door_lobby_converse *m)
{
	heard.converse++;
	heard.session = m->session;
	heard.tls = m->tls;
	copy(heard.listener, sizeof heard.listener, m->listener);
	take(&m->fd);
}

static inline void
on_mailbox_join(void *ctx, struct door_mailbox_join *m)
{
	heard.joins++;
	heard.session = m->session;
	heard.tls = m->tls;
	copy(heard.tag, sizeof heard.tag, m->tag);
	copy(heard.leftover, sizeof heard.leftover, m->leftover);
	take(&m->fd);
}

static inline void
on_smtp_gone(void *ctx, struct door_smtp_gone *m)
{
	heard.gone++;
	heard.gone_session = m->session;
}

static inline void
on_lobby_gone(void *ctx, struct door_lobby_gone *m)
{
	heard.gone++;
	heard.gone_session = m->session;
}

static inline void
on_lobby_unavailable(void *ctx, struct door_lobby_unavailable *m)
{
	heard.unavailable++;
	heard.session = m->session;
	copy(heard.tag, sizeof heard.tag, m->tag);
	take(&m->fd);
}

static inline void
on_mailbox_gone(void *ctx, struct door_mailbox_gone *m)
{
	heard.gone++;
	heard.gone_session = m->session;
}

static inline void
on_mailbox_resume(void *ctx, struct door_mailbox_resume *m)
{
	heard.resumes++;
	heard.session = m->session;
	take(&m->fd);
}

static inline void
on_smtp_crowded(void *ctx, struct door_smtp_crowded *m)
{
	heard.crowded++;
	heard.crowd = m->yes;
}

static const struct door_smtp_server smtp_side = { .converse = on_smtp_converse, .gone = on_smtp_gone,
	.crowded = on_smtp_crowded };
static const struct door_lobby_server lobby_side = { .converse = on_lobby_converse,
	.gone = on_lobby_gone,
	.unavailable = on_lobby_unavailable };
static const struct door_mailbox_server mailbox_side = { .join = on_mailbox_join,
	.gone = on_mailbox_gone,
	.resume = on_mailbox_resume };

/* One round of everybody. */
static inline void
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

static inline struct ipc_channel *
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

static inline uint16_t
listen_as(struct house *h, const char *name)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t n = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_int_equal(listen(fd, 1024), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
	assert_true(house_listen(h, name, fd));
	return ntohs(sin.sin_port);
}

static inline void
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

static const __attribute__((unused)) struct caps_limits wide = { .total = 100, .per_address = 50 };

static inline void
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

static inline int
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
static inline bool
reads(struct stage *st, int fd, const char *text)
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

static inline bool
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

static inline void
put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

struct secure {
	SSL_CTX *ctx;
	SSL *ssl;
};

static inline bool
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

static inline bool
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
static inline bool
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

static inline void
secure_put(struct secure *c, const char *text)
{
	assert_int_equal(SSL_write(c->ssl, text, (int)strlen(text)), strlen(text));
}

static inline void
secure_free(struct secure *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	ERR_clear_error();
}

static inline void
smtp_starttls(struct stage *st, uint64_t id, int fd)
{
	struct door_smtp_starttls m = { .session = id, .fd = fd };

	assert_int_equal(door_smtp_starttls_send(st->smtp, &m), IPC_OK);
}

static inline void
smtp_closed(struct stage *st, uint64_t id)
{
	struct door_smtp_closed m = { .session = id };

	assert_int_equal(door_smtp_closed_send(st->smtp, &m), IPC_OK);
}

static inline void
lobby_handoff(struct stage *st, uint64_t id, int fd, struct slice tag, struct slice leftover)
{
	struct door_lobby_handoff m = { .session = id, .tag = tag, .leftover = leftover, .fd = fd };

	assert_int_equal(door_lobby_handoff_send(st->lobby, &m), IPC_OK);
}

static inline void
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
