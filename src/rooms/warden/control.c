/* SPDX-License-Identifier: MIT
 * The human control socket: status, stop, reload, and the way to another room ("attach": the same
 * connection goes on with that room). Whoever is not root or the server's own user is turned away
 * before a byte is read. Errors here are answered or end that connection, nothing more. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/cli_warden.h"
#include "ipc/warden_room.h"
#include "lib/events/events.h"
#include "lib/proc/drill.h"
#include "rooms/warden/warden.h"

#define MOST_CONTROLS 32

struct control {
	struct control *next;
	struct warden *w;
	struct ipc_channel *ch;
	struct loop_watch *watch;
	struct room *attach; /* after the answer: the connection goes there */
	bool stop;
};

static void
end(struct control *c)
{
	for (struct control **p = &c->w->controls; *p != NULL; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	loop_unwatch(c->w->loop, &c->watch);
	ipc_channel_free(&c->ch);
	free(c);
}

static void
row_of(const struct room *r, struct cli_warden_room *row)
{
	*row = (struct cli_warden_room){ .name = slice_z(r->kind->name),
		.instance = slice_z(r->instance),
		.pid = (uint32_t)r->pid,
		.uid = r->uid,
		.restarts = r->restarts,
		.started_us = r->started_us,
		.landlock = (uint8_t)r->landlock,
		.ready = r->state == ROOM_READY,
		.needed = !room_absent(r) };
}

static void
on_status(void *ctx, struct ipc_call *call, struct cli_warden_status *m)
{
	static struct cli_warden_room rows[200];
	static struct cli_warden_listener listeners[CONFIG_LISTENERS];
	struct warden *w = ((struct control *)ctx)->w;
	struct cli_warden_status_answer a = { .version = S(PN_VERSION),
		.started_us = w->started_us,
		.hostname = slice_z(w->config.hostname),
		.rooms = rows,
		.listeners = listeners,
		.n_listeners = w->config.n_listeners,
		.alarms = w->alarms,
		.deaths = w->deaths };

	(void)m;
	for (struct room *r = w->rooms; r != NULL && a.n_rooms < 200; r = r->next)
		row_of(r, &rows[a.n_rooms++]);
	for (struct room *r = w->mailboxes; r != NULL; r = r->next) {
		if (a.n_rooms < 200)
			row_of(r, &rows[a.n_rooms++]);
		a.mailboxes++;
	}
	for (size_t i = 0; i < w->config.n_listeners; i++)
		listeners[i] = (struct cli_warden_listener){ .name = slice_z(w->config.listeners[i].name),
			.address = slice_z(w->config.listeners[i].address),
			.port = w->config.listeners[i].port };
	(void)cli_warden_status_answer(call, &a);
}

/* Rooms read their settings once: a valid new configuration restarts all but the listeners; mail in
 * transit is retried by its senders, sessions reconnect. */
static void
on_reload(void *ctx, struct ipc_call *call, struct cli_warden_reload *m)
{
	static struct config fresh;
	struct warden *w = ((struct control *)ctx)->w;
	own(buf_t) errors = { .max = 8192 };
	struct cli_warden_reload_answer a = { .status = CLI_WARDEN_RESULT_OK };
	bool same_listeners;

	(void)m;
	if (!config_read(w->config_path, &fresh, &errors)) {
		a.status = CLI_WARDEN_RESULT_FAILED;
		a.text = slice_head(buf_slice(&errors), 1024);
		(void)cli_warden_reload_answer(call, &a);
		return;
	}
	same_listeners = fresh.n_listeners == w->config.n_listeners &&
	    memcmp(fresh.listeners, w->config.listeners, sizeof fresh.listeners) == 0;
	if (!same_listeners || strcmp(fresh.data_dir, w->config.data_dir) != 0 ||
	    fresh.uid_base != w->config.uid_base || memcmp(&fresh.drop, &w->config.drop, sizeof fresh.drop) != 0) {
		a.status = CLI_WARDEN_RESULT_FAILED;
		a.text = S("listeners, data_dir, uid_base and drop need a restart; nothing was changed");
		(void)cli_warden_reload_answer(call, &a);
		return;
	}
	if (!rules_read(w, &fresh, &errors)) {
		a.status = CLI_WARDEN_RESULT_FAILED;
		a.text = slice_head(buf_slice(&errors), 1024);
		(void)cli_warden_reload_answer(call, &a);
		return;
	}
	w->config = fresh;
	EVENT(EVENT_CONFIG_RELOAD, 0, S(""), S(""), EF("file", slice_z(w->config_path)));
	for (struct room *r = w->rooms; r != NULL; r = r->next)
		if (!slice_eq(slice_z(r->kind->name), S("ledger")))
			room_stop(w, r);
	for (struct room *r = w->mailboxes; r != NULL; r = r->next)
		room_stop(w, r);
	rooms_appear(w);
	(void)cli_warden_reload_answer(call, &a);
}

static void
on_stop(void *ctx, struct ipc_call *call, struct cli_warden_stop *m)
{
	struct control *c = ctx;
	struct cli_warden_stop_answer a = { .status = CLI_WARDEN_RESULT_OK };

	(void)m;
	c->stop = true;
	(void)cli_warden_stop_answer(call, &a);
}

static void
on_attach(void *ctx, struct ipc_call *call, struct cli_warden_attach *m)
{
	struct control *c = ctx;
	struct cli_warden_attach_answer a = { .status = CLI_WARDEN_RESULT_OK };
	bool answers = slice_eq(m->room, S("auth")) || slice_eq(m->room, S("drop")) || slice_eq(m->room, S("queue")) ||
	    slice_eq(m->room, S("ledger")) || slice_eq(m->room, S("dns")) || slice_eq(m->room, S("fetch")) ||
	    slice_eq(m->room, S("keys")) || slice_eq(m->room, S("clerk"));

	c->attach = answers ? room_find(c->w, m->room, S("")) : NULL;
	if (!answers)
		a.status = CLI_WARDEN_RESULT_UNKNOWN_ROOM;
	else if (!room_alive(c->attach))
		a.status = CLI_WARDEN_RESULT_UNAVAILABLE;
	if (a.status != CLI_WARDEN_RESULT_OK)
		c->attach = NULL;
	(void)cli_warden_attach_answer(call, &a);
}

static void
on_drill(void *ctx, struct ipc_call *call, struct cli_warden_drill *m)
{
	struct control *c = ctx;
	struct cli_warden_drill_answer a = { .status = CLI_WARDEN_RESULT_UNKNOWN_ROOM };
	struct warden_room_drill order = { .number = m->number };
	struct room *r = room_find(c->w, m->room, m->instance);

	if (slice_eq(m->room, S("mailbox")))
		for (r = c->w->mailboxes; r != NULL; r = r->next)
			if (slice_eq(slice_z(r->instance), m->instance))
				break;
	if (r == NULL || r->state != ROOM_READY || r->drill.ch != NULL) {
		a.status = r == NULL ? CLI_WARDEN_RESULT_UNKNOWN_ROOM : CLI_WARDEN_RESULT_UNAVAILABLE;
		(void)cli_warden_drill_answer(call, &a);
		return;
	}
	r->drill = *call;
	r->alarm[0] = '\0';
	(void)warden_room_drill_send(r->channel, &order);
}

void
control_drilled(struct room *r, const char *outcome)
{
	struct cli_warden_drill_answer a = { .status = CLI_WARDEN_RESULT_OK, .outcome = slice_z(outcome) };

	if (r->drill.ch != NULL)
		(void)cli_warden_drill_answer(&r->drill, &a);
}

static const struct cli_warden_server handlers = { .status = on_status,
	.reload = on_reload,
	.stop = on_stop,
	.attach = on_attach,
	.drill = DRILL_BUILD ? on_drill : NULL };

static void
from_control(void *arg, unsigned ready)
{
	struct control *c = arg;
	struct warden *w = c->w;
	enum ipc_status st = cli_warden_server_serve(c->ch, &handlers, c);

	(void)ready;
	if (st == IPC_OK && c->attach != NULL) {
		own(fd_t) fd = -1;
		struct room *to = c->attach;

		loop_unwatch(w->loop, &c->watch);
		fd = ipc_channel_give(&c->ch);
		room_introduce(to, "cli", "", fd);
		end(c);
		return;
	}
	if (st == IPC_OK && c->stop) {
		end(c);
		loop_stop(w->loop);
		return;
	}
	if (st != IPC_OK && st != IPC_AGAIN)
		end(c);
}

static void
from_listener(void *arg, unsigned ready)
{
	struct warden *w = arg;
	struct ucred peer;
	socklen_t n = sizeof peer;
	own(fd_t) fd = accept4(w->control, NULL, NULL, SOCK_CLOEXEC);
	struct control *c;
	size_t open = 0;

	(void)ready;
	for (c = w->controls; c != NULL; c = c->next)
		open++;
	if (fd < 0 || open >= MOST_CONTROLS)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0 || (peer.uid != 0 && peer.uid != geteuid())) {
		EVENT(EVENT_CONN_REFUSED, 0, S(""), S(""), EF("listener", S("control")), EN("uid", peer.uid));
		return;
	}
	c = calloc(1, sizeof *c);
	PN_ASSERT(c != NULL);
	c->w = w;
	c->ch = ipc_channel_new(fd_take(&fd), "cli", "");
	ipc_set_nonblocking(c->ch, true);
	c->watch = loop_watch(w->loop, ipc_fd(c->ch), LOOP_READ, from_control, c);
	c->next = w->controls;
	w->controls = c;
}

/* A Unix socket at this path with this mode, listening; -1 with errno. */
static int
open_path(const char *path, int type, mode_t mode)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int n = snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	struct stat st;
	own(fd_t) fd = -1;

	if (n < 0 || (size_t)n >= sizeof at.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* only a socket is replaced, whatever the configuration says */
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || chmod(at.sun_path, mode) != 0 ||
	    listen(fd, 1024) != 0)
		return -1;
	return fd_take(&fd);
}

/* A socket of this name in run_dir. */
static int
open_local(const struct warden *w, const char *name, int type, mode_t mode)
{
	char path[sizeof w->config.run_dir + 16];

	(void)snprintf(path, sizeof path, "%s/%s", w->config.run_dir, name);
	return open_path(path, type, mode);
}

bool
control_open(struct warden *w)
{
	w->control = open_local(w, "control", SOCK_SEQPACKET, 0600);
	if (w->control < 0)
		return false;
	(void)loop_watch(w->loop, w->control, LOOP_READ, from_listener, w);
	return true;
}

static bool
cannot(struct buf *errors, const char *where)
{
	buf_fmt(errors, "cannot listen for local programs on %s: %s\n", where, strerror(errno));
	return false;
}

/* Everybody may connect; drop asks the kernel, or a token, who it is. */
bool
local_open(struct warden *w, struct buf *errors)
{
	const struct config_drop *d = &w->config.drop;
	struct config_listener l = { .name = "http", .port = d->http_port };

	w->http = -1;
	w->local = open_local(w, "drop", SOCK_STREAM, 0666);
	if (w->local < 0)
		return cannot(errors, "drop");
	if (d->http[0] == '\0')
		return true;
	if (d->http_port == 0) {
		w->http = open_path(d->http, SOCK_STREAM, 0666);
	} else {
		(void)snprintf(l.address, sizeof l.address, "%.60s", d->http);
		w->http = listener_open(&l);
	}
	return w->http >= 0 || cannot(errors, d->http);
}
