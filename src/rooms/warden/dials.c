/* SPDX-License-Identifier: MIT
 * Connections to Unix sockets of the configuration: milters, for the room milter, and LMTP stores, for send. Neither sees
 * the file system, and such a socket may be for a group; so warden connects, to what the configuration names and to
 * nothing else, and reads no byte of it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ipc/dial_warden.h"
#include "rooms/warden/warden.h"

/* The paths are those of the configuration that the room was started with: after a reload its numbers would mean
 * others, and mail would go to another store. */
struct dials {
	struct warden *w;
	struct room *r;
	char paths[CONFIG_ROUTES][CONFIG_SOCKET];
	size_t n;
};

_Static_assert(CONFIG_MILTERS <= CONFIG_ROUTES, "both fit");

/* Never waits: a Unix socket takes a connection at once, or its queue is full. */
static int
dial(const char path[static CONFIG_SOCKET])
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	own(fd_t) fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(at.sun_path, path, CONFIG_SOCKET);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
		return -1;
	return fd_take(&fd);
}

static void
on_dial(void *ctx, struct dial_warden_dial *m)
{
	struct dials *k = ctx;
	struct dial_warden_dialed out = { .call = m->call, .fd = -1 };

	if (m->which < k->n && k->paths[m->which][0] != '\0')
		out.fd = dial(k->paths[m->which]);
	(void)dial_warden_dialed_send(k->r->special, &out);
	fd_t_drop(&out.fd);
}

static void
from_room(void *arg, unsigned ready)
{
	static const struct dial_warden_server handlers = { .dial = on_dial };
	struct dials *k = arg;
	enum ipc_status st = dial_warden_server_serve(k->r->special, &handlers, k);

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

static void
learn(struct dials *k)
{
	const struct config *c = &k->w->config;
	bool milter = slice_eq(slice_z(k->r->kind->name), S("milter"));

	k->n = milter ? c->n_milters : c->outbound.n_routes;
	for (size_t i = 0; i < k->n; i++)
		memcpy(k->paths[i], milter ? c->milters[i].path : c->outbound.route_paths[i], CONFIG_SOCKET);
}

void
dials_serve(struct warden *w, struct room *r)
{
	struct dials *k = calloc(1, sizeof *k);
	int ends[2];

	PN_ASSERT(k != NULL);
	if (!wiring_pair(ends)) {
		free(k);
		return;
	}
	*k = (struct dials){ .w = w, .r = r };
	learn(k);
	r->special = ipc_channel_new(ends[0], r->kind->name, "");
	r->special_watch = loop_watch(w->loop, ends[0], LOOP_READ, from_room, k);
	room_introduce(r, "warden", "", ends[1]);
	(void)close(ends[1]);
}
