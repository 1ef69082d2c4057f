/* SPDX-License-Identifier: MIT
 * The rooms: which there are, how one is started, watched, found dead and started again. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/warden_room.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/proc/drill.h"
#include "rooms/warden/warden.h"

#define TURN 64 /* frames of one room before the others get their turn */

/* ledger first: whatever the others have to tell is then heard at once. */
static const struct room_kind KINDS[] = {
	{ "ledger", "", 1, "ledger", "" },
	{ "dns", "", 9, NULL, "anchor" },
	{ "fetch", "", 12, NULL, "roots" },
	{ "keys", "", 2, "keys", "key" },
	{ "auth", "", 3, "auth", "" },
	{ "queue", "", 4, "queue", "" },
	{ "send", "", 11, "send", "roots, credential.N" },
	{ "scan", "", 10, NULL, "filter" },
	{ "milter", "", 15, NULL, "" },
	{ "smtp", "mx", 5, NULL, "" },
	{ "smtp", "submission", 6, NULL, "" },
	{ "smtp", "lmtp", 16, NULL, "" },
	{ "drop", "", 14, "drop", "local, http" },
	{ "lobby", "", 7, NULL, "" },
	{ "clerk", "", 13, "clerk", "" },
	{ "reader", "", 17, NULL, "" },
	{ "door", "", 8, NULL, "listeners" },
};

static void
event_of(enum event_kind kind, const struct room *r, const char *key, struct slice value)
{
	EVENT(kind, 0, S(""), S(""), EF("room", slice_z(r->kind->name)),
	    EF("instance", slice_z(r->instance)), EN("pid", r->pid), EF(key, value));
}

struct room *
room_find(struct warden *w, struct slice name, struct slice instance)
{
	for (struct room *r = w->rooms; r != NULL; r = r->next)
		if (slice_eq(slice_z(r->kind->name), name) &&
		    (instance.n == 0 || slice_eq(slice_z(r->instance), instance)))
			return r;
	return NULL;
}

bool
room_alive(const struct room *r)
{
	return r != NULL && (r->state == ROOM_STARTING || r->state == ROOM_READY);
}

void
room_introduce(struct room *r, const char *peer, const char *instance, int fd)
{
	struct warden_room_introduce m = { .peer = slice_z(peer), .instance = slice_z(instance), .fd = fd };

	if (warden_room_introduce_send(r->channel, &m) != IPC_OK)
		event_of(EVENT_ROOM_SAID, r, "text", S("does not take a channel"));
}

/* ---- what a room tells ------------------------------------------------------------------------- */

/* Start errors reached the terminal; from now on stderr is a file beneath run_dir. */
void
leave_terminal(struct warden *w)
{
	char path[600];
	own(fd_t) log = -1;

	(void)snprintf(path, sizeof path, "%s/stderr.log", w->config.run_dir);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(fd == 2 && log >= 0 ? log : w->empty_dir, fd);
}

/* Lives only while it has work, and is started when somebody wants it. */
static bool
on_demand(const struct room *r)
{
	return slice_eq(slice_z(r->kind->name), S("reader"));
}

/* Some rooms are there only where the configuration asks for what they do. */
static bool
configured(const struct room *r)
{
	const struct config *c = &r->w->config;

	if (slice_eq(slice_z(r->kind->name), S("milter")))
		return c->n_milters > 0;
	if (!slice_eq(slice_z(r->instance), S("lmtp")))
		return true;
	for (size_t i = 0; i < c->n_services; i++)
		if (slice_eq(slice_z(c->services[i].name), S("lmtp")))
			return true;
	return false;
}

/* In drill builds all are always there, so that they can be drilled. */
bool
room_absent(const struct room *r)
{
	return (on_demand(r) || !configured(r)) && !DRILL_BUILD;
}

void
rooms_appear(struct warden *w)
{
	for (struct room *r = w->rooms; r != NULL; r = r->next)
		if (r->state == ROOM_DOWN && r->pid == 0 && !room_absent(r))
			room_start(w, r);
}

static void
all_ready(struct warden *w)
{
	if (w->ready_pipe < 0)
		return;
	for (struct room *r = w->rooms; r != NULL; r = r->next)
		if (r->state != ROOM_READY && !room_absent(r))
			return;
	(void)!write(w->ready_pipe, "ready\n", 6);
	fd_t_drop(&w->ready_pipe);
	leave_terminal(w);
}

static void
on_ready(void *ctx, struct warden_room_ready *m)
{
	struct room *r = ctx;

	r->state = ROOM_READY;
	r->landlock = m->landlock;
	r->root_dropped = m->root_dropped;
	EVENT(EVENT_ROOM_START, 0, S(""), S(""), EF("room", slice_z(r->kind->name)),
	    EF("instance", slice_z(r->instance)), EN("pid", r->pid), EN("uid", r->uid),
	    EN("landlock", m->landlock));
	all_ready(r->w);
}

void
room_alarmed(struct warden *w, struct room *r, const char *what)
{
	(void)snprintf(r->alarm, sizeof r->alarm, "%s", what);
	w->alarms++;
	event_of(EVENT_ROOM_ALARM, r, "what", slice_z(what));
}

static void
on_alarm(void *ctx, struct warden_room_alarm *m)
{
	struct room *r = ctx;
	char what[128];

	(void)snprintf(what, sizeof what, "%.*s", SFMT(slice_head(m->what, 100)));
	room_alarmed(r->w, r, what);
}

/* A room says that a peer broke the rules: the peer is ended, and comes back fresh. */
static void
on_suspect(void *ctx, struct warden_room_suspect *m)
{
	struct room *r = ctx;
	struct room *bad = room_find(r->w, m->peer, m->instance);
	char what[300];

	if (slice_eq(m->peer, S("mailbox")))
		for (bad = r->w->mailboxes; bad != NULL; bad = bad->next)
			if (slice_eq(slice_z(bad->instance), m->instance))
				break;
	if (bad == NULL || !room_alive(bad))
		return;
	(void)snprintf(what, sizeof what, "%.*s", SFMT(m->what));
	event_of(EVENT_ROOM_SUSPECT, bad, "what", slice_z(what));
	room_alarmed(r->w, bad, what);
	(void)kill(bad->pid, SIGKILL);
}

static void
on_idle(void *ctx, struct warden_room_idle *m)
{
	struct room *r = ctx;

	(void)m;
	if (r->account != 0 || room_absent(r))
		room_stop(r->w, r);
}

/* Only the clerk has such a room. One that is about to end comes again when it has ended. */
static void
on_want(void *ctx, struct warden_room_want *m)
{
	struct room *r = ctx, *wanted = room_find(r->w, m->room, S(""));

	if (wanted == NULL || !on_demand(wanted) || !slice_eq(slice_z(r->kind->name), S("clerk")) ||
	    r->w->stopping)
		return;
	if (wanted->state == ROOM_DOWN)
		room_start(r->w, wanted);
	else
		wanted->wanted = true;
}

static void
on_drilled(void *ctx, struct warden_room_drilled *m)
{
	struct room *r = ctx;
	char outcome[128];

	if (m->error == 0)
		(void)snprintf(outcome, sizeof outcome, "SUCCEEDED");
	else
		(void)snprintf(outcome, sizeof outcome, "denied: %s", strerrorname_np((int)m->error));
	control_drilled(r, outcome);
}

static const struct warden_room_client told = { .ready = on_ready,
	.alarm = on_alarm,
	.suspect = on_suspect,
	.idle = on_idle,
	.want = on_want,
	.drilled = DRILL_BUILD ? on_drilled : NULL };

static void
from_room(void *arg, unsigned ready)
{
	struct room *r = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = warden_room_client_serve(r->channel, &told, r);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	loop_unwatch(r->w->loop, &r->watch);
	if (st == IPC_HOSTILE) {
		room_alarmed(r->w, r, ipc_why(r->channel));
		(void)kill(r->pid, SIGKILL);
	}
}

/* What a room writes to stderr (start errors, panics) becomes events, line by line. */
static void
from_stderr(void *arg, unsigned ready)
{
	struct room *r = arg;
	char text[1024];
	ssize_t n = read(r->said, text, sizeof text);
	struct slice rest = slice_of(text, n < 0 ? 0 : (size_t)n), line;

	(void)ready;
	while (rest.n > 0) {
		if (!slice_cut(rest, '\n', &line, &rest)) {
			line = rest;
			rest = S("");
		}
		event_of(EVENT_ROOM_SAID, r, "text", line);
		(void)fprintf(stderr, "%s%s%s: %.*s\n", r->kind->name, r->instance[0] != '\0' ? "/" : "",
		    r->instance, SFMT(line));
	}
	if (n <= 0) {
		loop_unwatch(r->w->loop, &r->said_watch);
		}
}

/* ---- start, death, start again ------------------------------------------------------------------ */

static void
restart_later(void *arg)
{
	struct room *r = arg;

	if (!r->w->stopping && r->state == ROOM_DOWN)
		room_start(r->w, r);
}

void
room_start(struct warden *w, struct room *r)
{
	r->state = ROOM_STARTING;
	r->wanted = false;
	r->started_us = clock_wall_us();
	r->started_ms = clock_mono_ms();
	r->alarm[0] = '\0';
	if (!room_spawn(w, r)) {
		event_of(EVENT_ROOM_SAID, r, "text", slice_z(strerror(errno)));
		r->state = ROOM_DOWN;
		if (r->account == 0 && !room_absent(r))
			(void)loop_after(w->loop, 1000, restart_later, r);
		return;
	}
	ipc_set_nonblocking(r->channel, true);
	r->watch = loop_watch(w->loop, ipc_fd(r->channel), LOOP_READ, from_room, r);
	r->said_watch = loop_watch(w->loop, r->said, LOOP_READ, from_stderr, r);
	room_boot(w, r);
}

void
rooms_start(struct warden *w)
{
	struct room **last = &w->rooms;

	for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
		struct room *r = calloc(1, sizeof *r);

		PN_ASSERT(r != NULL);
		r->w = w;
		r->kind = &KINDS[i];
		r->uid = w->as_root ? w->config.uid_base + KINDS[i].uid : getuid();
		r->said = -1;
		(void)snprintf(r->instance, sizeof r->instance, "%s", KINDS[i].instance);
		*last = r;
		last = &r->next;
	}
	watches_add(w, last);
	for (struct room *r = w->rooms; r != NULL; r = r->next)
		if (!room_absent(r))
			room_start(w, r);
}

static void
let_go(struct warden *w, struct room *r)
{
	/* first what it still had to tell: an alarm comes right before the end */
	while (r->watch != NULL && r->channel != NULL) {
		if (warden_room_client_serve(r->channel, &told, r) != IPC_OK)
			break;
	}
	loop_unwatch(w->loop, &r->watch);
	if (r->said_watch != NULL)
		from_stderr(r, LOOP_READ);
	loop_unwatch(w->loop, &r->said_watch);
	loop_unwatch(w->loop, &r->special_watch);
	ipc_channel_free(&r->channel);
	ipc_channel_free(&r->special);
	fd_t_drop(&r->said);
}

/* How long until a dead room is tried again, in ms: at once after a decent life; a room that keeps
 * dying waits longer and longer, but one that somebody else keeps killing never over 0.4 s. */
static uint64_t
back_off(struct room *r, bool killed)
{
	uint64_t ms;

	if (clock_mono_ms() - r->started_ms >= 1000) {
		r->short_lives = 0;
		return 0;
	}
	ms = UINT64_C(25) << (r->short_lives < 10 ? r->short_lives : 10);
	if (!DRILL_BUILD) /* whose rooms die once for each attempt */
		r->short_lives++;
	return killed && ms > 400 ? 400 : ms > 30000 ? 30000 : ms;
}

static void
room_died(struct warden *w, struct room *r, int status)
{
	bool wanted = r->state == ROOM_STOPPING || w->stopping, drilled = r->drill.ch != NULL;
	char how[64];

	if (WIFSIGNALED(status))
		(void)snprintf(how, sizeof how, "signal %s", sigabbrev_np(WTERMSIG(status)));
	else
		(void)snprintf(how, sizeof how, "exit %d", WEXITSTATUS(status));
	let_go(w, r);
	if (!wanted)
		w->deaths++;
	event_of(EVENT_ROOM_END, r, "how", slice_z(how));
	if (drilled)
		control_drilled(r, r->alarm[0] != '\0' ? r->alarm : how);
	r->state = ROOM_DOWN;
	r->pid = 0;
	mailboxes_forgotten_by(w, r->kind->name);
	if (r->account != 0 && !drilled) { /* a drill has more attempts for it */
		mailbox_gone(w, r);
	} else if (!w->stopping && (!room_absent(r) || r->wanted)) {
		r->restarts++;
		(void)loop_after(w->loop, back_off(r, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL),
		    restart_later, r);
	}
}

static struct room *
by_pid(struct warden *w, pid_t pid)
{
	for (struct room *r = w->rooms; r != NULL; r = r->next)
		if (r->pid == pid)
			return r;
	for (struct room *r = w->mailboxes; r != NULL; r = r->next)
		if (r->pid == pid)
			return r;
	return NULL;
}

void
rooms_reap(struct warden *w)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct room *r = by_pid(w, pid);

		if (r != NULL)
			room_died(w, r, status);
	}
}

void
room_stop(struct warden *w, struct room *r)
{
	struct warden_room_stop m = { 0 };

	(void)w;
	if (!room_alive(r))
		return;
	r->state = ROOM_STOPPING;
	if (warden_room_stop_send(r->channel, &m) != IPC_OK)
		(void)kill(r->pid, SIGTERM);
}

/* door and smtp first, so that nothing new comes in; ledger last, so that all is told. */
void
rooms_stop(struct warden *w)
{
	struct room *order[32];
	size_t n = 0;

	w->stopping = true;
	for (struct room *r = w->rooms; r != NULL && n < 32; r = r->next)
		order[n++] = r;
	while (n > 0) {
		struct room *r = order[--n];
		pid_t pid = r->pid;

		if (n == 0)
			for (struct room *m = w->mailboxes; m != NULL; m = m->next)
				if (room_alive(m))
					(void)kill(m->pid, SIGKILL);
		room_stop(w, r);
		for (int i = 0; pid != 0 && i < 500 && r->pid == pid; i++) {
			loop_once(w->loop, 10);
			rooms_reap(w);
		}
		if (r->pid == pid && pid != 0)
			(void)kill(pid, SIGKILL);
		if (slice_eq(slice_z(r->kind->name), S("lobby")))
			for (struct room *m = w->mailboxes; m != NULL; m = m->next)
				room_stop(w, m);
	}
}
