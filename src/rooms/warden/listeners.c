/* SPDX-License-Identifier: MIT
 * The listening sockets: bound once, here, where the rights for low ports are; they outlive every
 * restart of door. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "rooms/warden/warden.h"

/* A Unix socket; what is left of an earlier one goes, if nobody but a socket stands there. */
static int
bound_local(const struct config_listener *l)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	own(fd_t) fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	memcpy(at.sun_path, l->address, sizeof l->address);
	if (lstat(at.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(at.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || chmod(at.sun_path, l->mode) != 0 ||
	    listen(fd, 1024) != 0)
		return -1;
	return fd_take(&fd);
}

static int
bound(const struct config_listener *l)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(l->port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(l->port) };
	bool six = inet_pton(AF_INET6, l->address, &a6.sin6_addr) == 1;
	own(fd_t) fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0 || (!six && inet_pton(AF_INET, l->address, &a4.sin_addr) != 1))
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (six)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, six ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4, six ? sizeof a6 : sizeof a4) != 0 ||
	    listen(fd, 1024) != 0)
		return -1;
	return fd_take(&fd);
}

int
listener_open(const struct config_listener *l)
{
	int fd = l->port == 0 ? bound_local(l) : bound(l);

	/* rooms of a warden that was killed need a moment to let go */
	for (int tries = 0; fd < 0 && errno == EADDRINUSE && tries < 20; tries++) {
		struct timespec t = { .tv_nsec = 100000000 };

		(void)nanosleep(&t, NULL);
		fd = l->port == 0 ? bound_local(l) : bound(l);
	}
	return fd;
}

bool
listeners_open(struct warden *w, struct buf *errors)
{
	for (size_t i = 0; i < w->config.n_listeners; i++) {
		const struct config_listener *l = &w->config.listeners[i];

		w->listeners[i] = listener_open(l);
		if (w->listeners[i] < 0 && errno == EAFNOSUPPORT) {
			/* a machine without IPv6 serves IPv4 alone */
			continue;
		}
		if (w->listeners[i] < 0) {
			buf_fmt(errors, "cannot listen for %s on %s port %u: %s\n", l->name, l->address, l->port,
			    strerror(errno));
			return false;
		}
	}
	return true;
}
