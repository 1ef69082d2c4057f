/* SPDX-License-Identifier: MIT
 * Connections to milters: TCP from here, Unix sockets through warden, because this room's root is empty. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "ipc/milter_warden.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "rooms/milter/room.h"

#define TURN 64

/* ---- TCP ---- */

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

/* ---- Unix sockets, through warden ---- */

/* Who waits for a connection; on the waiting thread's stack, in the room's list under its lock. */
struct milter_waiting {
	struct milter_waiting *next;
	uint64_t call;
	bool done;
	int fd;
};

static void
on_dialed(void *ctx, struct milter_warden_dialed *m)
{
	struct milter_room *r = ctx;

	(void)pthread_mutex_lock(&r->lock);
	for (struct milter_waiting *w = r->waiting; w != NULL; w = w->next)
		if (w->call == m->call && !w->done) {
			w->fd = fd_take(&m->fd);
			w->done = true;
		}
	(void)pthread_cond_broadcast(&r->dialed);
	(void)pthread_mutex_unlock(&r->lock);
	fd_t_drop(&m->fd); /* nobody waits for it any more */
}

static void
on_warden(void *arg, unsigned ready)
{
	static const struct milter_warden_client told = { .dialed = on_dialed };
	struct milter_room *r = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = milter_warden_client_serve(r->warden, &told, r);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	loop_unwatch(r->loop, &r->warden_watch);
	(void)pthread_mutex_lock(&r->lock);
	ipc_channel_free(&r->warden);
	(void)pthread_mutex_unlock(&r->lock);
}

void
milter_meet_warden(struct milter_room *r, int fd)
{
	loop_unwatch(r->loop, &r->warden_watch);
	(void)pthread_mutex_lock(&r->lock);
	ipc_channel_free(&r->warden);
	r->warden = ipc_channel_new(fd, "warden", "");
	ipc_set_nonblocking(r->warden, true);
	(void)pthread_mutex_unlock(&r->lock);
	r->warden_watch = loop_watch(r->loop, fd, LOOP_READ, on_warden, r);
}

static void
forget(struct milter_room *r, const struct milter_waiting *w)
{
	struct milter_waiting **at = &r->waiting;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
}

static int
through_warden(struct milter_room *r, uint32_t milter, uint64_t deadline_ms)
{
	struct timespec until = { .tv_sec = (time_t)(deadline_ms / 1000), .tv_nsec = (long)(deadline_ms % 1000) * 1000000 };
	struct milter_waiting w = { .fd = -1 };

	(void)pthread_mutex_lock(&r->lock);
	w.call = ++r->calls;
	w.next = r->waiting;
	r->waiting = &w;
	if (r->warden == NULL ||
	    milter_warden_dial_send(r->warden, &(struct milter_warden_dial){ .milter = milter, .call = w.call }) != IPC_OK)
		w.done = true;
	while (!w.done && pthread_cond_timedwait(&r->dialed, &r->lock, &until) == 0)
		;
	forget(r, &w);
	(void)pthread_mutex_unlock(&r->lock);
	return w.fd;
}

int
milter_connect(void *room, const struct milter_conf *m, uint64_t deadline_ms, const char **why)
{
	struct milter_room *r = room;
	int fd = -1;

	for (uint32_t i = 0; m->ip.n == 0 && i < r->settings.n; i++)
		if (slice_eq(r->settings.milter[i].name, m->name))
			fd = through_warden(r, i, deadline_ms);
	if (m->ip.n > 0)
		fd = dial(m, deadline_ms);
	if (fd < 0)
		*why = "cannot be reached";
	return fd;
}

void
milter_reach_init(struct milter_room *r)
{
	pthread_condattr_t monotonic;

	(void)pthread_mutex_init(&r->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&r->dialed, &monotonic);
}
