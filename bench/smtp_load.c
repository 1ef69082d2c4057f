/* SPDX-License-Identifier: MIT
 * An SMTP client that loads a server and takes little CPU itself: one thread, one epoll set, N
 * sessions at a time, each sends M messages and says QUIT, until T messages have been accepted or
 * refused. Clients sit on 127.1.x.y, so that limits per address act as they do in life. Every
 * message carries a token of its own, in its Subject and its Message-ID.
 *
 * It prints one line of JSON: accepted, refused, seconds, accepted per second, and the quantiles of
 * three latencies in milliseconds: `ack` (final dot to its 250), `message` (MAIL to that 250) and
 * `session` (connect to the reply of QUIT).
 *
 * Invariants: a session never holds more than one message in flight; a reply is read whole before
 * the next step; a TLS session is never resumed and its certificate is always verified. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	IN_MAX = 8192,	/* octets of one group of replies */
	CMD_MAX = 2048, /* octets of one group of commands */
	TOKEN_LEN = 20,
	IDLE_LIMIT_S = 120, /* no event for this long: give up */
};

enum step { CONNECT, BANNER, EHLO, STARTTLS, HANDSHAKE, ENVELOPE, BODY, QUIT };

struct options {
	const char *host, *domain, *user, *cafile, *tag;
	char *name; /* OpenSSL wants it writable, and leaves it alone */
	unsigned port, sessions, per_session, total, size, rcpts, seconds;
	bool starttls, implicit, pipelining;
};

struct session {
	int fd;
	SSL *tls;
	enum step step;
	bool after_tls, want_write;
	unsigned source, pending, sub, sent;
	char in[IN_MAX];
	size_t in_n;
	char cmd[CMD_MAX];
	size_t cmd_n;
	char *body; /* owned; the message with its final dot */
	size_t body_n, token_at[2];
	const char *out;
	size_t out_n;
	uint64_t t_session, t_message, t_ack;
};

struct series {
	float *v; /* owned; milliseconds */
	size_t n, cap;
};

static char default_name[] = "localhost";
static struct options o = {
	.host = "127.0.0.1", .domain = "example.test", .user = "u%u", .name = default_name,
	.tag = "load", .port = 2525, .sessions = 1, .per_session = 20, .total = 1000, .size = 4096,
	.rcpts = 1, .pipelining = true,
};
static SSL_CTX *ctx;
static int ep;
static unsigned started, accepted, refused, broken, live;
static struct series ack, message, whole;
static char first_error[256];
static uint64_t t_first, t_last;

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
die(const char *what)
{
	fprintf(stderr, "smtp_load: %s: %s\n", what, strerror(errno));
	exit(71);
}

static void
note(struct series *s, uint64_t since)
{
	if (s->n == s->cap) {
		s->cap = s->cap != 0 ? s->cap * 2 : 4096;
		s->v = realloc(s->v, s->cap * sizeof *s->v);
		if (s->v == NULL)
			die("memory");
	}
	s->v[s->n++] = (float)((double)(now_ns() - since) / 1e6);
}

static int
by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double
quantile(const struct series *s, double q)
{
	return s->n == 0 ? 0 : (double)s->v[(size_t)((double)(s->n - 1) * q)];
}

static void
remember_error(const char *at, const char *text, size_t n)
{
	if (first_error[0] != '\0')
		return;
	int k = snprintf(first_error, sizeof first_error, "%s: %.*s", at, (int)(n < 150 ? n : 150), text);
	for (int i = 0; i < k && i < (int)sizeof first_error; i++)
		if (first_error[i] < ' ' || first_error[i] > '~' || first_error[i] == '"' ||
		    first_error[i] == '\\')
			first_error[i] = ' ';
}

/* The message is made once per session; only its token changes. */
static void
body_make(struct session *s, unsigned index)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789 ";
	size_t cap = (size_t)o.size + 1024;
	uint64_t r = 0x9e3779b97f4a7c15u * (index + 1u);

	s->body = malloc(cap);
	if (s->body == NULL)
		die("memory");
	int n = snprintf(s->body, cap,
	    "From: Load <load@sender.test>\r\nTo: <somebody@%s>\r\n"
	    "Date: Mon, 02 Feb 2026 10:00:00 +0000\r\nMessage-ID: <", o.domain);
	s->token_at[0] = (size_t)n;
	n += snprintf(s->body + n, cap - (size_t)n, "%*s@sender.test>\r\nSubject: ", TOKEN_LEN, "");
	s->token_at[1] = (size_t)n;
	n += snprintf(s->body + n, cap - (size_t)n,
	    "%*s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
	    TOKEN_LEN, "");
	size_t at = (size_t)n, column = 0;
	while (at + 2 < o.size) {
		if (column == 72) {
			s->body[at++] = '\r';
			s->body[at++] = '\n';
			column = 0;
			continue;
		}
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		s->body[at++] = alphabet[r % (sizeof alphabet - 1)];
		column++;
	}
	static const char end[] = "\r\n.\r\n";
	memcpy(s->body + at, end, sizeof end - 1);
	s->body_n = at + sizeof end - 1;
}

static void
body_mark(struct session *s, unsigned serial)
{
	char token[TOKEN_LEN + 1];

	snprintf(token, sizeof token, "%10.10s-%09u", o.tag, serial % 1000000000u);
	for (size_t i = 0; i < TOKEN_LEN; i++)
		if (token[i] == ' ')
			token[i] = 'x';
	for (size_t k = 0; k < 2; k++)
		memcpy(s->body + s->token_at[k], token, TOKEN_LEN);
}

static void
want(struct session *s, bool write)
{
	if (s->want_write == write)
		return;
	s->want_write = write;
	struct epoll_event e = { .events = EPOLLIN | (write ? EPOLLOUT : 0u), .data.ptr = s };
	if (epoll_ctl(ep, EPOLL_CTL_MOD, s->fd, &e) != 0)
		die("epoll");
}

/* True when all is written. A failure shows up as the end of the connection at the next read. */
static bool
flush(struct session *s)
{
	while (s->out_n > 0) {
		ssize_t k;
		if (s->tls != NULL) {
			size_t done = 0;
			k = SSL_write_ex(s->tls, s->out, s->out_n, &done) == 1 ? (ssize_t)done : -1;
			if (k < 0 && SSL_get_error(s->tls, -1) == SSL_ERROR_SSL)
				ERR_clear_error();
		} else {
			k = send(s->fd, s->out, s->out_n, MSG_NOSIGNAL);
		}
		if (k <= 0) {
			want(s, true);
			return false;
		}
		s->out += k;
		s->out_n -= (size_t)k;
	}
	want(s, false);
	return true;
}

static void
say(struct session *s, const char *p, size_t n, unsigned replies)
{
	s->out = p;
	s->out_n = n;
	s->pending = replies;
	s->sub = 0;
	flush(s);
}

static void
command(struct session *s, enum step step, const char *line)
{
	s->step = step;
	s->cmd_n = (size_t)snprintf(s->cmd, sizeof s->cmd, "%s\r\n", line);
	say(s, s->cmd, s->cmd_n, 1);
}

static void
recipient(char *buf, size_t cap, unsigned serial)
{
	static unsigned turn;
	char user[64];
	unsigned which = turn++ % o.rcpts;
	const char *mark = strstr(o.user, "%u");

	(void)serial;
	if (mark == NULL)
		snprintf(user, sizeof user, "%s", o.user);
	else
		snprintf(user, sizeof user, "%.*s%u%s", (int)(mark - o.user), o.user, which, mark + 2);
	snprintf(buf, cap, "RCPT TO:<%s@%s>", user, o.domain);
}

static void
next_message(struct session *s)
{
	bool timed_out = o.seconds != 0 && now_ns() - t_first > (uint64_t)o.seconds * 1000000000u;

	if (s->sent == o.per_session || started >= o.total || timed_out) {
		command(s, QUIT, "QUIT");
		return;
	}
	char rcpt[512];
	s->sent++;
	recipient(rcpt, sizeof rcpt, started);
	body_mark(s, started++);
	s->t_message = now_ns();
	s->step = ENVELOPE;
	if (o.pipelining) {
		s->cmd_n = (size_t)snprintf(s->cmd, sizeof s->cmd,
		    "MAIL FROM:<load@sender.test>\r\n%s\r\nDATA\r\n", rcpt);
		say(s, s->cmd, s->cmd_n, 3);
		return;
	}
	/* the three commands stay in the buffer, one is sent at a time */
	s->cmd_n = (size_t)snprintf(s->cmd, sizeof s->cmd, "%s\r\nDATA\r\n", rcpt);
	static const char mail[] = "MAIL FROM:<load@sender.test>\r\n";
	say(s, mail, sizeof mail - 1, 3);
}

static void
session_end(struct session *s, bool clean)
{
	if (clean)
		note(&whole, s->t_session);
	else
		broken++;
	if (s->tls != NULL) {
		SSL_free(s->tls);
		s->tls = NULL;
	}
	close(s->fd);
	s->fd = -1;
	live--;
}

static void
session_start(struct session *s)
{
	static unsigned address;
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
	int one = 1;

	*s = (struct session){ .body = s->body, .body_n = s->body_n,
		.token_at = { s->token_at[0], s->token_at[1] } };
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("socket");
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	from.sin_addr.s_addr = htonl(0x7f010001u + (address++ % 60000u));
	to.sin_port = htons((uint16_t)o.port);
	if (inet_pton(AF_INET, o.host, &to.sin_addr) != 1)
		die("host");
	if (bind(s->fd, (struct sockaddr *)&from, sizeof from) != 0)
		die("bind");
	if (connect(s->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
		die("connect");
	s->step = CONNECT;
	s->want_write = true;
	s->t_session = now_ns();
	live++;
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = s };
	if (epoll_ctl(ep, EPOLL_CTL_ADD, s->fd, &e) != 0)
		die("epoll");
}

static void
tls_begin(struct session *s)
{
	s->tls = SSL_new(ctx);
	if (s->tls == NULL || SSL_set_fd(s->tls, s->fd) != 1 || SSL_set1_host(s->tls, o.name) != 1 ||
	    SSL_set_tlsext_host_name(s->tls, o.name) != 1)
		die("tls");
	SSL_set_connect_state(s->tls);
	s->step = HANDSHAKE;
}

/* False when the handshake has failed for good. */
static bool
handshake(struct session *s)
{
	int r = SSL_do_handshake(s->tls);

	if (r == 1) {
		s->after_tls = true;
		want(s, false);
		s->pending = 1;
		if (o.implicit)
			s->step = BANNER;
		else
			command(s, EHLO, "EHLO load.sender.test");
		return true;
	}
	int e = SSL_get_error(s->tls, r);
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
		want(s, e == SSL_ERROR_WANT_WRITE);
		return true;
	}
	const char *text = ERR_reason_error_string(ERR_peek_last_error());
	remember_error("handshake", text != NULL ? text : "closed", text != NULL ? strlen(text) : 6);
	ERR_clear_error();
	return false;
}

/* One whole reply. `code` is its first digit. False ends the session. */
static bool
on_reply(struct session *s, char code, const char *line, size_t n)
{
	static const char good[] = { [BANNER] = '2', [EHLO] = '2', [STARTTLS] = '2', [BODY] = '2',
		[QUIT] = '2' };
	char expect = s->step == ENVELOPE ? (s->sub == 2 ? '3' : '2') : good[s->step];

	if (code != expect) {
		remember_error(s->step == BODY ? "body" : s->step == ENVELOPE ? "envelope" : "session",
		    line, n);
		if (s->step == ENVELOPE || s->step == BODY)
			refused++;
		return false;
	}
	s->sub++;
	if (--s->pending > 0) {
		if (o.pipelining || s->step != ENVELOPE)
			return true;
		const char *split = memchr(s->cmd, '\n', s->cmd_n);
		size_t first = split != NULL ? (size_t)(split - s->cmd) + 1 : s->cmd_n;
		s->out = s->sub == 1 ? s->cmd : s->cmd + first;
		s->out_n = s->sub == 1 ? first : s->cmd_n - first;
		flush(s);
		return true;
	}
	switch (s->step) {
	case BANNER:
		command(s, EHLO, "EHLO load.sender.test");
		return true;
	case EHLO:
		if (o.starttls && !s->after_tls)
			command(s, STARTTLS, "STARTTLS");
		else
			next_message(s);
		return true;
	case STARTTLS:
		tls_begin(s);
		return handshake(s);
	case ENVELOPE:
		s->step = BODY;
		s->t_ack = now_ns();
		say(s, s->body, s->body_n, 1);
		return true;
	case BODY:
		accepted++;
		t_last = now_ns();
		note(&ack, s->t_ack);
		note(&message, s->t_message);
		next_message(s);
		return true;
	default:
		session_end(s, true);
		return true;
	}
}

/* Takes whole lines out of s->in. False ends the session. */
static bool
digest(struct session *s)
{
	size_t from = 0;

	while (s->fd >= 0) {
		const char *line = s->in + from;
		const char *end = memchr(line, '\n', s->in_n - from);
		if (end == NULL)
			break;
		size_t n = (size_t)(end - line) + 1;
		if (n < 5) {
			remember_error("short line", line, n);
			return false;
		}
		from += n;
		if (line[3] == '-')
			continue;
		if (s->step == CONNECT)
			s->step = BANNER;
		if (s->pending == 0 && s->step != BANNER) {
			remember_error("unasked reply", line, n);
			return false;
		}
		if (s->step == BANNER)
			s->pending = 1;
		if (!on_reply(s, line[0], line, n))
			return false;
	}
	if (s->fd < 0)
		return true;
	memmove(s->in, s->in + from, s->in_n - from);
	s->in_n -= from;
	return s->in_n < IN_MAX;
}

static bool
readable(struct session *s)
{
	for (;;) {
		ssize_t k;
		if (s->tls != NULL) {
			size_t got = 0;
			int r = SSL_read_ex(s->tls, s->in + s->in_n, IN_MAX - s->in_n, &got);
			int e = r == 1 ? 0 : SSL_get_error(s->tls, r);
			if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
				return true;
			k = r == 1 ? (ssize_t)got : 0;
			ERR_clear_error();
		} else {
			k = recv(s->fd, s->in + s->in_n, IN_MAX - s->in_n, 0);
			if (k < 0 && errno == EAGAIN)
				return true;
		}
		if (k <= 0) {
			const char *text = k < 0 ? strerror(errno) : "closed by the server";
			remember_error("connection", text, strlen(text));
			return false;
		}
		s->in_n += (size_t)k;
		SSL *before = s->tls;
		if (!digest(s))
			return false;
		if (s->fd < 0 || s->step == HANDSHAKE)
			return true;
		if (before == NULL && s->tls == NULL && s->in_n == 0)
			return true; /* a plain socket: the next event tells */
	}
}

static bool
on_event(struct session *s, uint32_t events)
{
	if (s->step == CONNECT && (events & (EPOLLOUT | EPOLLERR)) != 0) {
		int e = 0;
		socklen_t n = sizeof e;
		getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &e, &n);
		if (e != 0) {
			remember_error("connect", strerror(e), strlen(strerror(e)));
			return false;
		}
		s->step = BANNER;
		s->pending = 1;
		want(s, false);
		if (o.implicit) {
			tls_begin(s);
			return handshake(s);
		}
	}
	if (s->step == HANDSHAKE)
		return handshake(s);
	if ((events & EPOLLOUT) != 0)
		flush(s);
	return (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 ? readable(s) : true;
}

static void
run(struct session *all)
{
	struct epoll_event events[256];

	t_first = now_ns();
	t_last = t_first;
	for (unsigned i = 0; i < o.sessions; i++) {
		body_make(&all[i], i);
		session_start(&all[i]);
	}
	while (live > 0) {
		int n = epoll_wait(ep, events, 256, IDLE_LIMIT_S * 1000);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			remember_error("stalled", "no event", 8);
			broken += live;
			return;
		}
		for (int i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;
			if (s->fd >= 0 && !on_event(s, events[i].events))
				session_end(s, false);
			bool late = o.seconds != 0 &&
			    now_ns() - t_first > (uint64_t)o.seconds * 1000000000u;
			if (s->fd < 0 && started < o.total && !late && broken < 1000)
				session_start(s);
		}
	}
}

static void
print_series(const char *name, struct series *s)
{
	qsort(s->v, s->n, sizeof *s->v, by_value);
	printf(", \"%s_ms\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f, \"n\": %zu}", name,
	    quantile(s, 0.50), quantile(s, 0.99), quantile(s, 1.0), s->n);
}

static unsigned
number(const char *text)
{
	uint64_t v = 0;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || v > 1000000000u) {
			fprintf(stderr, "smtp_load: not a number: %s\n", text);
			exit(64);
		}
		v = v * 10 + (uint64_t)(*p - '0');
	}
	return (unsigned)v;
}

static void
usage(void)
{
	fputs("usage: smtp_load [--host A] [--port N] [--sessions N] [--per-session M] [--total T]\n"
	      "  [--seconds S] [--size OCTETS] [--user PATTERN] [--rcpts R] [--domain D] [--tag T]\n"
	      "  [--starttls | --implicit] [--cafile PEM] [--name HOST] [--no-pipelining]\n"
	      "PATTERN may hold %u, which counts 0..R-1.\n", stderr);
	exit(64);
}

static void
arguments(int argc, char **argv)
{
	static const struct option known[] = {
		{ "host", 1, NULL, 'h' }, { "port", 1, NULL, 'p' }, { "sessions", 1, NULL, 'n' },
		{ "per-session", 1, NULL, 'm' }, { "total", 1, NULL, 't' }, { "seconds", 1, NULL, 'x' },
		{ "size", 1, NULL, 's' }, { "user", 1, NULL, 'u' }, { "rcpts", 1, NULL, 'r' },
		{ "domain", 1, NULL, 'd' }, { "tag", 1, NULL, 'g' }, { "starttls", 0, NULL, 'T' },
		{ "implicit", 0, NULL, 'I' }, { "cafile", 1, NULL, 'c' }, { "name", 1, NULL, 'v' },
		{ "no-pipelining", 0, NULL, 'P' }, { NULL, 0, NULL, 0 },
	};

	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		switch (c) {
		case 'h': o.host = optarg; break;
		case 'p': o.port = number(optarg); break;
		case 'n': o.sessions = number(optarg); break;
		case 'm': o.per_session = number(optarg); break;
		case 't': o.total = number(optarg); break;
		case 'x': o.seconds = number(optarg); break;
		case 's': o.size = number(optarg); break;
		case 'u': o.user = optarg; break;
		case 'r': o.rcpts = number(optarg); break;
		case 'd': o.domain = optarg; break;
		case 'g': o.tag = optarg; break;
		case 'T': o.starttls = true; break;
		case 'I': o.implicit = true; break;
		case 'c': o.cafile = optarg; break;
		case 'v': o.name = optarg; break;
		case 'P': o.pipelining = false; break;
		default: usage();
		}
	}
	if (o.sessions == 0 || o.per_session == 0 || o.total == 0 || o.rcpts == 0 || o.port > 65535)
		usage();
}

int
main(int argc, char **argv)
{
	arguments(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0)
		die("epoll");
	if (o.starttls || o.implicit) {
		ctx = SSL_CTX_new(TLS_client_method());
		if (ctx == NULL || o.cafile == NULL ||
		    SSL_CTX_load_verify_locations(ctx, o.cafile, NULL) != 1) {
			fputs("smtp_load: TLS needs a readable --cafile\n", stderr);
			return 64;
		}
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	}
	struct session *all = calloc(o.sessions, sizeof *all);
	if (all == NULL)
		die("memory");
	run(all);
	double seconds = (double)(t_last - t_first) / 1e9;
	printf("{\"accepted\": %u, \"refused\": %u, \"broken\": %u, \"seconds\": %.4f, "
	       "\"accepted_per_s\": %.1f",
	    accepted, refused, broken, seconds, seconds > 0 ? accepted / seconds : 0.0);
	print_series("ack", &ack);
	print_series("message", &message);
	print_series("session", &whole);
	printf(", \"first_error\": \"%s\"}\n", first_error);
	for (unsigned i = 0; i < o.sessions; i++)
		free(all[i].body);
	free(all);
	SSL_CTX_free(ctx);
	return accepted > 0 && refused == 0 && broken == 0 ? 0 : 1;
}
