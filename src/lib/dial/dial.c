/* SPDX-License-Identifier: MIT */
#include "lib/dial/dial.h"

#include <time.h>

#include "ipc/dial_warden.h"
#include "lib/base/own.h"

#define TURN 64

/* Who waits for a connection; on the waiting thread's stack, in the dialer's list under its lock. */
struct dialer_waiting {
	struct dialer_waiting *next;
	uint64_t call;
	bool done;
	int fd;
};

static void
on_dialed(void *ctx, struct dial_warden_dialed *m)
{
	struct dialer *d = ctx;

	(void)pthread_mutex_lock(&d->lock);
	for (struct dialer_waiting *w = d->waiting; w != NULL; w = w->next)
		if (w->call == m->call && !w->done) {
			w->fd = fd_take(&m->fd);
			w->done = true;
		}
	(void)pthread_cond_broadcast(&d->dialed);
	(void)pthread_mutex_unlock(&d->lock);
	fd_t_drop(&m->fd); /* nobody waits for it any more */
}

static void
on_warden(void *arg, unsigned ready)
{
	static const struct dial_warden_client told = { .dialed = on_dialed };
	struct dialer *d = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = dial_warden_client_serve(d->warden, &told, d);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	loop_unwatch(d->loop, &d->watch);
	(void)pthread_mutex_lock(&d->lock);
	ipc_channel_free(&d->warden);
	(void)pthread_mutex_unlock(&d->lock);
}

void
dialer_connect(struct dialer *d, int fd)
{
	loop_unwatch(d->loop, &d->watch);
	(void)pthread_mutex_lock(&d->lock);
	ipc_channel_free(&d->warden);
	d->warden = ipc_channel_new(fd, "warden", "");
	ipc_set_nonblocking(d->warden, true);
	(void)pthread_mutex_unlock(&d->lock);
	d->watch = loop_watch(d->loop, fd, LOOP_READ, on_warden, d);
}

static void
forget(struct dialer *d, const struct dialer_waiting *w)
{
	struct dialer_waiting **at = &d->waiting;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
}

int
dialer_dial(struct dialer *d, uint32_t which, uint64_t deadline_ms)
{
	struct timespec until = { .tv_sec = (time_t)(deadline_ms / 1000), .tv_nsec = (long)(deadline_ms % 1000) * 1000000 };
	struct dialer_waiting w = { .fd = -1 };

	(void)pthread_mutex_lock(&d->lock);
	w.call = ++d->calls;
	w.next = d->waiting;
	d->waiting = &w;
	if (d->warden == NULL ||
	    dial_warden_dial_send(d->warden, &(struct dial_warden_dial){ .which = which, .call = w.call }) != IPC_OK)
		w.done = true;
	while (!w.done && pthread_cond_timedwait(&d->dialed, &d->lock, &until) == 0)
		;
	forget(d, &w);
	(void)pthread_mutex_unlock(&d->lock);
	return w.fd;
}

void
dialer_init(struct dialer *d, struct loop *l)
{
	pthread_condattr_t monotonic;

	*d = (struct dialer){ .loop = l };
	(void)pthread_mutex_init(&d->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&d->dialed, &monotonic);
}
