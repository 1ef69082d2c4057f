/* SPDX-License-Identifier: MIT
 * Connections to milters at Unix sockets. The room milter has an empty root, and such a socket may be for a group; so
 * warden connects, to what the configuration names and to nothing else, and reads no byte of it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ipc/milter_warden.h"
#include "rooms/warden/warden.h"

struct milters {
	struct warden *w;
	struct room *r;
};

/* Never waits: a Unix socket takes a connection at once, or its queue is full. */
static int
dial(const struct config_milter *m)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	own(fd_t) fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(at.sun_path, m->path, sizeof m->path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
		return -1;
	return fd_take(&fd);
}

static void
on_dial(void *ctx, struct milter_warden_dial *m)
{
	struct milters *k = ctx;
	const struct config *c = &k->w->config;
	struct milter_warden_dialed out = { .call = m->call, .fd = -1 };

	if (m->milter < c->n_milters && c->milters[m->milter].path[0] != '\0')
		out.fd = dial(&c->milters[m->milter]);
	(void)milter_warden_dialed_send(k->r->special, &out);
	fd_t_drop(&out.fd);
}

static void
from_milter(void *arg, unsigned ready)
{
	static const struct milter_warden_server handlers = { .dial = on_dial };
	struct milters *k = arg;
	enum ipc_status st = milter_warden_server_serve(k->r->special, &handlers, k);

	(void)ready;
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	loop_unwatch(k->w->loop, &k->r->special_watch);
	if (st == IPC_HOSTILE) {
		room_alarmed(k->w, k->r, ipc_why(k->r->special));
		(void)kill(k->r->pid, SIGKILL);
	}
	free(k);
}

void
milters_serve(struct warden *w, struct room *r)
{
	struct milters *k = calloc(1, sizeof *k);
	int ends[2];

	PN_ASSERT(k != NULL);
	if (!wiring_pair(ends)) {
		free(k);
		return;
	}
	*k = (struct milters){ .w = w, .r = r };
	r->special = ipc_channel_new(ends[0], r->kind->name, "");
	r->special_watch = loop_watch(w->loop, ends[0], LOOP_READ, from_milter, k);
	room_introduce(r, "warden", "", ends[1]);
	(void)close(ends[1]);
}
