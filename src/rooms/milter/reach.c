/* SPDX-License-Identifier: MIT
 * Connections to milters: TCP from here, Unix sockets through warden, because this room's root is empty. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "rooms/milter/room.h"

static int
finish(int fd, uint64_t deadline_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int error = 0, ready;
	socklen_t n = sizeof error;

	do
		ready = poll(&pfd, 1, stream_poll_ms((int64_t)deadline_ms));
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return ETIMEDOUT;
	return ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 ? errno : error;
}

static int
dial(const struct milter_conf *m, uint64_t deadline_ms)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(m->port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(m->port) };
	bool is_six = m->ip.n == 16;
	own(fd_t) fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, st;

	if (fd < 0)
		return -1;
	memcpy(&six.sin6_addr, m->ip.b, 16);
	memcpy(&four.sin_addr, m->ip.b, 4);
	st = is_six ? connect(fd, (struct sockaddr *)&six, sizeof six) : connect(fd, (struct sockaddr *)&four, sizeof four);
	if (st != 0 && (errno != EINPROGRESS || finish(fd, deadline_ms) != 0))
		return -1;
	/* a stage is one small packet, and its answer waits for it: Nagle's delay would be each one's */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd_take(&fd);
}

int
milter_connect(void *room, const struct milter_conf *m, uint64_t deadline_ms, const char **why)
{
	struct milter_room *r = room;
	int fd = -1;

	for (uint32_t i = 0; m->ip.n == 0 && i < r->settings.n; i++)
		if (slice_eq(r->settings.milter[i].name, m->name))
			fd = dialer_dial(&r->dialer, i, deadline_ms);
	if (m->ip.n > 0)
		fd = dial(m, deadline_ms);
	if (fd < 0)
		*why = "cannot be reached";
	return fd;
}
