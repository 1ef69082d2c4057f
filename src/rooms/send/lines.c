/* SPDX-License-Identifier: MIT
 * Connections: made with a deadline and from the right address, kept for some seconds after a message, because the next
 * one for the same destination often follows at once. An idle one that has something to read has nothing good to say:
 * 421, or its end. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "rooms/send/send.h"

#define LINE_ARENA ((size_t)16384)

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t
address_of(const struct ip *ip, uint16_t port, union address *out)
{
	*out = (union address){ .v6 = { 0 } };
	if (ip->n == 4) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		memcpy(&out->v4.sin_addr, ip->b, 4);
		return sizeof out->v4;
	}
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(port);
	memcpy(&out->v6.sin6_addr, ip->b, 16);
	return sizeof out->v6;
}

static struct ip
ip_of(const union address *a)
{
	struct ip ip = { .n = a->sa.sa_family == AF_INET ? 4 : a->sa.sa_family == AF_INET6 ? 16 : 0 };

	if (ip.n == 4)
		memcpy(ip.b, &a->v4.sin_addr, 4);
	else if (ip.n == 16)
		memcpy(ip.b, &a->v6.sin6_addr, 16);
	return ip;
}

static const char *
connect_words(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "connection refused";
	case ETIMEDOUT:
		return "connection timed out";
	case ENETUNREACH:
	case EAFNOSUPPORT:
	case EADDRNOTAVAIL:
		return "no route to this kind of address";
	case EHOSTUNREACH:
		return "no route to the host";
	case EACCES:
	case EPERM:
		return "a connection there is not permitted";
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return "no connection can be made now";
	default:
		return "the connection failed";
	}
}

/* Waits for a connection under way; 0 or an errno value. */
static int
finish(int fd, int64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int error = 0, ready;
	socklen_t n = sizeof error;

	do
		ready = poll(&pfd, 1, stream_poll_ms(deadline));
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return ETIMEDOUT;
	if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		return errno;
	return error;
}

/* The connected socket, or -1 and *why. */
static int
dial(const struct ip *ip, uint16_t port, const struct ip *source, int64_t deadline, struct ip *local, const char **why)
{
	union address to, from;
	socklen_t n = address_of(ip, port, &to), m = sizeof from;
	own(fd_t) fd = socket(to.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0, on = 1;

	if (fd < 0)
		error = errno;
	if (error == 0 && source->n == ip->n && bind(fd, &from.sa, address_of(source, 0, &from)) != 0)
		error = errno;
	if (error == 0 && connect(fd, &to.sa, n) != 0)
		error = errno == EINPROGRESS ? finish(fd, deadline) : errno;
	if (error == 0 && getsockname(fd, &from.sa, &m) != 0)
		error = errno;
	if (error != 0) {
		*why = connect_words(error);
		return -1;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	*local = ip_of(&from);
	return fd_take(&fd);
}

/* A line of its own for a connected socket, which it owns. */
static struct line *
made(struct send_house *h, struct arena **a, struct line *l, int fd, int64_t total)
{
	stream_init_fd(&l->t.s, fd);
	l->t.times = &h->conf->times;
	l->t.total = total;
	l->arena = TAKE(*a);
	return l;
}

struct line *
lines_connect(struct send_house *h, const struct host *host, uint16_t port, const struct send_source *source,
    int64_t total, const char **why)
{
	own(arena_p) a = arena_new("connection", LINE_ARENA);
	struct line *l = ARENA_NEW(a, struct line);
	int64_t until = (int64_t)clock_mono_ms() + h->conf->times.connect;
	int fd;

	PN_ASSERT(l != NULL && arena_copy(a, host->name, &l->host));
	fd = dial(&host->ip, port, host->ip.n == 4 ? &source->v4 : &source->v6, until < total ? until : total, &l->local,
	    why);
	if (fd < 0)
		return NULL;
	/* the kernel took the other side's address for ours: we would talk to ourselves (O-006) */
	if (ip_in(&l->local, &host->ip, 128) && !reach_allowed(&h->conf->reach, &host->ip)) {
		(void)close(fd);
		*why = "this is a connection to ourselves";
		return NULL;
	}
	l->ip = host->ip;
	return made(h, &a, l, fd, total);
}

struct line *
lines_connect_local(struct send_house *h, const struct send_route *route, int64_t total, const char **why)
{
	own(arena_p) a = arena_new("connection", LINE_ARENA);
	struct line *l = ARENA_NEW(a, struct line);
	int64_t until = (int64_t)clock_mono_ms() + h->conf->times.connect;
	int fd;

	PN_ASSERT(l != NULL && arena_copy(a, route->host, &l->host));
	fd = dialer_dial(&h->dialer, (uint32_t)(route - h->conf->routes), (uint64_t)(until < total ? until : total));
	if (fd < 0) {
		*why = "the local socket cannot be reached";
		return NULL;
	}
	return made(h, &a, l, fd, total);
}

void
lines_drop(struct line **l)
{
	struct arena *a;

	if (*l == NULL)
		return;
	a = (*l)->arena;
	talk_close(&(*l)->t);
	*l = NULL;
	arena_free(&a);
}

static bool
serves(const struct line *l, struct slice key, struct slice destination, const struct ip *ip)
{
	if (!slice_eq(l->key, key))
		return false;
	if (destination.n > 0)
		return slice_eq(l->destination, destination);
	return l->level <= SEND_MAY && ip_in(&l->ip, ip, 128);
}

struct line *
lines_take(struct send_house *h, struct slice key, struct slice destination, const struct ip *ip)
{
	struct line *l = NULL;

	(void)pthread_mutex_lock(&h->lock);
	for (struct line **at = &h->idle; *at != NULL && l == NULL;) {
		if (serves(*at, key, destination, ip)) {
			l = *at;
			*at = l->next;
			h->n_idle--;
		} else {
			at = &(*at)->next;
		}
	}
	(void)pthread_mutex_unlock(&h->lock);
	if (l == NULL)
		return NULL;
	l->next = NULL;
	l->reused = true;
	if (stream_readable(&l->t.s)) {
		l->t.dead = true;
		lines_drop(&l);
	}
	return l;
}

void
lines_keep(struct send_house *h, struct line *l, struct slice key, struct slice destination)
{
	bool keep = !l->t.dead && l->t.used < SEND_LINE_USES && h->conf->times.idle > 0 && stream_idle(&l->t.s);
	struct line *oldest = NULL;

	keep = keep && (l->key.n > 0 || (arena_copy(l->arena, key, &l->key) &&
					   arena_copy(l->arena, destination, &l->destination)));
	if (!keep) {
		lines_drop(&l);
		return;
	}
	l->idle_until = clock_mono_ms() + (uint64_t)h->conf->times.idle;
	(void)pthread_mutex_lock(&h->lock);
	if (h->n_idle == SEND_LINES) {
		struct line **at = &h->idle;

		while ((*at)->next != NULL)
			at = &(*at)->next;
		oldest = *at;
		*at = NULL;
		h->n_idle--;
	}
	l->next = h->idle;
	h->idle = l;
	h->n_idle++;
	(void)pthread_mutex_unlock(&h->lock);
	lines_drop(&oldest);
}

void
lines_expire(struct send_house *h, bool all)
{
	uint64_t now = clock_mono_ms();
	struct line *gone = NULL;

	(void)pthread_mutex_lock(&h->lock);
	for (struct line **at = &h->idle; *at != NULL;) {
		struct line *l = *at;

		if (all || l->idle_until <= now) {
			*at = l->next;
			l->next = gone;
			gone = l;
			h->n_idle--;
		} else {
			at = &l->next;
		}
	}
	(void)pthread_mutex_unlock(&h->lock);
	while (gone != NULL) {
		struct line *l = gone;

		gone = l->next;
		lines_drop(&l);
	}
}
