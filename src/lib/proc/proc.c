/* SPDX-License-Identifier: MIT */
#include "lib/proc/proc.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/warden_room.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/proc/drill.h"

#define WARDEN_FD 3
#define MOST_SETTINGS 64
#define MOST_HANDED 64
#define RESEND_MS 5u /* ledger takes 200 events at once, and writes a transaction meanwhile */

struct handed {
	char name[64], instance[32];
	int fd; /* -1: taken */
};

struct proc {
	const char *room;
	char instance[32];
	struct arena *arena; /* settings */
	struct ipc_channel *warden;
	struct slice keys[MOST_SETTINGS], values[MOST_SETTINGS];
	struct handed *descriptors, *peers; /* MOST_HANDED of each, until it serves */
	size_t n_settings, n_descriptors, n_peers;
	bool go;
	struct sandbox_result walls;
	struct loop *loop;
	const struct proc_peers *serve;
	void *ctx;
};

/* What the SIGSYS handler sends: a finished warden_room.alarm frame with room for the words. */
static struct {
	uint8_t bytes[256];
	size_t head;
} alarm_frame;

static _Noreturn void
die(const struct proc *p, int status, const char *what, const char *detail)
{
	(void)fprintf(stderr, "%s: %s%s%s\n", p->room, what, detail[0] == '\0' ? "" : ": ", detail);
	exit(status);
}

static void
on_setting(void *ctx, struct warden_room_setting *m)
{
	struct proc *p = ctx;

	if (p->n_settings == MOST_SETTINGS || !arena_copy(p->arena, m->key, &p->keys[p->n_settings]) ||
	    !arena_copy(p->arena, m->value, &p->values[p->n_settings]))
		die(p, EX_SOFTWARE, "too many settings", "");
	p->n_settings++;
}

static void
put_name(char *to, size_t size, struct slice name)
{
	(void)snprintf(to, size, "%.*s", SFMT(slice_head(name, size - 1)));
}

static void
on_descriptor(void *ctx, struct warden_room_descriptor *m)
{
	struct proc *p = ctx;
	struct handed *h;

	if (p->n_descriptors == MOST_HANDED)
		die(p, EX_SOFTWARE, "too many descriptors", "");
	h = &p->descriptors[p->n_descriptors++];
	put_name(h->name, sizeof h->name, m->name);
	h->fd = fd_take(&m->fd);
}

static void
on_introduce(void *ctx, struct warden_room_introduce *m)
{
	struct proc *p = ctx;
	struct handed h = { .fd = fd_take(&m->fd) };

	put_name(h.name, sizeof h.name, m->peer);
	put_name(h.instance, sizeof h.instance, m->instance);
	if (slice_eq(m->peer, S("ledger"))) {
		events_connect(h.fd);
	} else if (p->serve != NULL && p->serve->introduce != NULL) {
		p->serve->introduce(p->ctx, h.name, h.instance, h.fd);
	} else if (p->n_peers < MOST_HANDED) {
		p->peers[p->n_peers++] = h;
	} else {
		die(p, EX_SOFTWARE, "too many peers", "");
	}
}

static void
on_go(void *ctx, struct warden_room_go *m)
{
	(void)m;
	((struct proc *)ctx)->go = true;
}

static void
on_stop(void *ctx, struct warden_room_stop *m)
{
	struct proc *p = ctx;

	(void)m;
	if (p->serve->stop != NULL)
		p->serve->stop(p->ctx);
	else
		loop_stop(p->loop);
}

static void
on_drill(void *ctx, struct warden_room_drill *m)
{
	struct proc *p = ctx;
	struct warden_room_drilled out = { .number = m->number, .error = drill_attempt(m->number) };

	(void)warden_room_drilled_send(p->warden, &out);
}

static const struct warden_room_server handlers = { .setting = on_setting,
	.descriptor = on_descriptor,
	.introduce = on_introduce,
	.go = on_go,
	.stop = on_stop,
	.drill = DRILL_BUILD ? on_drill : NULL };

struct proc *
proc_boot(const char *room)
{
	struct proc *p = calloc(1, sizeof *p);

	PN_ASSERT(p != NULL);
	p->room = room;
	p->descriptors = calloc(MOST_HANDED, sizeof *p->descriptors);
	p->peers = calloc(MOST_HANDED, sizeof *p->peers);
	PN_ASSERT(p->descriptors != NULL && p->peers != NULL);
	p->arena = arena_new("settings", LIMIT_ARENA_SESSION);
	p->warden = ipc_channel_new(WARDEN_FD, "warden", "");
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setvbuf(stderr, NULL, _IOLBF, 512);
	while (!p->go) {
		enum ipc_status st = warden_room_server_serve(p->warden, &handlers, p);

		if (st != IPC_OK)
			die(p, EX_USAGE, "is started by postern, not by hand",
			    st == IPC_HOSTILE ? ipc_why(p->warden) : "");
	}
	if (p->n_settings > 0)
		put_name(p->instance, sizeof p->instance, proc_setting(p, "instance"));
	ipc_set_phase(p->warden, WARDEN_ROOM_PHASE_SERVE);
	return p;
}

const char *
proc_instance(const struct proc *p)
{
	return p->instance;
}

struct slice
proc_setting(const struct proc *p, const char *key)
{
	for (size_t i = 0; i < p->n_settings; i++)
		if (slice_eq(p->keys[i], slice_z(key)))
			return p->values[i];
	die(p, EX_CONFIG, "setting is missing", key);
}

uint64_t
proc_number(const struct proc *p, const char *key, uint64_t least, uint64_t most)
{
	uint64_t v;

	if (!slice_u64(proc_setting(p, key), &v) || v < least || v > most)
		die(p, EX_CONFIG, "setting is no number in its range", key);
	return v;
}

int
proc_descriptor(struct proc *p, const char *name)
{
	for (size_t i = 0; i < p->n_descriptors; i++)
		if (p->descriptors[i].fd >= 0 &&
		    slice_eq(slice_z(p->descriptors[i].name), slice_z(name)))
			return fd_take(&p->descriptors[i].fd);
	return -1;
}

/* Async-signal-safe: the frame was prepared, only the words are added. */
static void
alarm_now(int nr)
{
	const char *name = sandbox_call_name(nr);
	struct slice word = slice_z(name == NULL ? "system call " : name);
	uint8_t *p = alarm_frame.bytes;
	size_t at = alarm_frame.head + 2;

	for (size_t i = 0; i < word.n; i++)
		p[at++] = slice_at(word, i);
	if (name == NULL)
		for (int d = 1000; d > 0; d /= 10)
			p[at++] = (uint8_t)('0' + nr / d % 10);
	p[alarm_frame.head] = (uint8_t)(at - alarm_frame.head - 2);
	(void)send(WARDEN_FD, p, at, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
prepare_alarm(void)
{
	enum { ALARM = 8 }; /* the number of warden_room.alarm; test_proc checks it */
	own(buf_t) b = ipc_frame_begin(&warden_room_schema, ALARM);

	memcpy(alarm_frame.bytes, b.p, b.n);
	alarm_frame.head = b.n;
}

static void *
nothing(void *arg)
{
	return arg;
}

/* libc installs its signal handler for threads with the first one: rt_sigaction is on no list. */
static void
first_thread(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, nothing, NULL) == 0)
		(void)pthread_join(t, NULL);
}

bool
proc_read(int fd, struct buf *b)
{
	for (;;) {
		uint8_t *p = buf_room(b, 4096);
		ssize_t n = p == NULL ? -1 : read(fd, p, 4096);

		if (n <= 0)
			return n == 0;
		buf_grown(b, (size_t)n);
	}
}

void
proc_lock(struct proc *p, const struct proc_walls *walls)
{
	struct sandbox s = { .room = p->room,
		.groups = { sandbox_base, walls->threads ? sandbox_threads : NULL,
		    walls->files ? sandbox_files : NULL },
		.own = walls->own,
		.dir = proc_descriptor(p, "dir"),
		.files = walls->files,
		.connect_ports = walls->connect_ports,
		.uid = (uid_t)proc_number(p, "uid", 0, UINT32_MAX),
		.max_files = walls->max_files,
		.max_memory = walls->max_memory,
		.max_file_size = walls->max_file_size,
		.alarm = alarm_now };
	const char *what = "";

	prepare_alarm();
	/* one arena: with several, malloc opens files beneath /sys and /proc when many threads allocate and free
	 * (how many processors there are, how memory is committed); one is also what a small machine wants */
	(void)mallopt(M_ARENA_MAX, 1);
	if (walls->threads)
		first_thread();
	if (!sandbox_enter(&s, &p->walls, &what))
		die(p, EX_OSERR, "cannot lock itself in: could not", what);
}

static void
from_warden(void *arg, unsigned ready)
{
	struct proc *p = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	while (st == IPC_OK)
		st = warden_room_server_serve(p->warden, &handlers, p);
	if (st != IPC_AGAIN)
		exit(EX_OK); /* warden is gone: its successor starts everything anew */
}

/* ---- events that ledger did not take at once ---- */

static void
resend(void *arg)
{
	struct loop *l = arg;

	if (events_resend())
		(void)loop_after(l, RESEND_MS, resend, l);
}

static void
resend_soon(void *arg)
{
	struct loop *l = arg;

	(void)loop_after(l, RESEND_MS, resend, l);
}

/* In any thread. */
static void
kept(void *arg)
{
	loop_post(arg, resend_soon, arg);
}

int
proc_serve(struct proc *p, struct loop *l, const struct proc_peers *peers, void *ctx)
{
	struct warden_room_ready ready = { .landlock = (uint8_t)p->walls.landlock,
		.root_dropped = p->walls.root_dropped };

	p->loop = l;
	p->ctx = ctx;
	p->serve = peers;
	for (size_t i = 0; i < p->n_descriptors; i++)
		fd_t_drop(&p->descriptors[i].fd);
	for (size_t i = 0; i < p->n_peers; i++)
		peers->introduce(ctx, p->peers[i].name, p->peers[i].instance, fd_take(&p->peers[i].fd));
	free(p->descriptors);
	free(p->peers);
	p->descriptors = p->peers = NULL;
	p->n_descriptors = p->n_peers = 0;
	ipc_set_nonblocking(p->warden, true);
	(void)loop_watch(l, WARDEN_FD, LOOP_READ, from_warden, p);
	if (warden_room_ready_send(p->warden, &ready) != IPC_OK)
		die(p, EX_OSERR, "warden does not listen", "");
	events_on_kept(kept, l);
	loop_run(l);
	events_on_kept(NULL, NULL);
	(void)events_resend();
	return EX_OK;
}

void
proc_suspect(struct proc *p, const struct ipc_channel *ch)
{
	struct warden_room_suspect m = { .peer = slice_z(ipc_peer(ch)),
		.instance = slice_z(ipc_instance(ch)),
		.what = slice_head(slice_z(ipc_why(ch)), 128) };

	(void)warden_room_suspect_send(p->warden, &m);
}

void
proc_idle(struct proc *p)
{
	struct warden_room_idle m = { 0 };

	(void)warden_room_idle_send(p->warden, &m);
}

void
proc_want(struct proc *p, const char *room)
{
	struct warden_room_want m = { .room = slice_z(room) };

	(void)warden_room_want_send(p->warden, &m);
}
