/* SPDX-License-Identifier: MIT */
#include "rooms/scan/room.h"

#include <sys/mman.h>

#include "lib/clock/clock.h"

#define TURN 64 /* frames of one channel before the others get their turn */
/* A message up to here is read, a larger one is mapped: undoing a map interrupts the other cores. */
#define READ ((size_t)65536)
/* The judgement's own arena, a copy of the request with its answer, a short message. */
#define ARENA (LIMIT_ARENA_MESSAGE + 4 * LIMIT_IPC + READ)
#define STOP_MS 10u /* looked so often whether the last answer is given */

/* One request: for the pool a conversation that never pauses. */
struct task {
	struct pool_conv pc; /* first */
	struct scan_room *room;
	struct arena *a; /* holds this struct and everything of the message */
	struct ipc_call call;
	enum smtp_scan_phase phase;
	struct smtp_scan_judge in;
	struct scan_job job;
	int fd;
};

/* ---- in a worker's thread ---- */

static void
answer(struct task *t, const struct smtp_scan_judge_answer *out)
{
	struct smtp_scan_judge_answer small;

	if (smtp_scan_judge_answer(&t->call, out))
		return;
	/* it does not fit a frame, or the asker is gone, who then does not hear this either */
	scan_defer(&small, S("the message is too much for this server now, try again later"));
	if (!smtp_scan_judge_answer(&t->call, &small))
		(void)ipc_refuse(&t->call);
}

static void
work(struct task *t, struct slice bytes)
{
	struct smtp_scan_judge_answer out;
	bool lmtp = t->phase == SMTP_SCAN_PHASE_LMTP;
	bool own = t->phase == SMTP_SCAN_PHASE_CLERK || t->phase == SMTP_SCAN_PHASE_QUEUE;

	t->job = (struct scan_job){ .conf = lmtp ? &t->room->rules_only : &t->room->conf, .back = &t->room->back, .a = t->a, .in = &t->in,
		.now_ms = clock_mono_ms(), .now = (uint64_t)(clock_wall_us() / 1000000),
		.own = own, .filter = own ? NULL : t->room->conf.filter };
	if (t->phase == SMTP_SCAN_PHASE_MX || lmtp)
		scan_incoming(&t->job, bytes, &out);
	else
		scan_outgoing(&t->job, bytes, &out);
	answer(t, &out);
}

/* The message, in the arena or mapped. False where there is no room. */
static bool
open_message(struct task *t, size_t size, struct slice *bytes)
{
	uint8_t *p = size <= READ ? arena_alloc(t->a, size, 1) : mmap(NULL, size, PROT_READ, MAP_SHARED, t->fd, 0);

	if (p == NULL || p == MAP_FAILED || (size <= READ && pread(t->fd, p, size, 0) != (ssize_t)size))
		return false;
	*bytes = slice_of(p, size);
	return true;
}

static enum pool_next
run(struct pool_conv *pc, enum pool_why why)
{
	struct task *t = (struct task *)pc;
	struct smtp_scan_judge_answer out;
	struct slice bytes;
	uint64_t size;

	(void)why;
	if (!ipc_sealed_memfd(t->fd, t->room->max_size, &size) || size == 0 || t->in.trace > size) {
		scan_defer(&out, S("try again later"));
		answer(t, &out);
		return POOL_END;
	}
	if (!open_message(t, (size_t)size, &bytes)) {
		scan_defer(&out, S("no room now, try again later"));
		answer(t, &out);
		return POOL_END;
	}
	work(t, bytes);
	if (bytes.n > READ)
		(void)munmap((void *)(uintptr_t)bytes.p, bytes.n);
	return POOL_END;
}

static void
end(struct pool_conv *pc)
{
	struct task *t = (struct task *)pc;
	struct arena *a = t->a;

	fd_t_drop(&t->fd);
	arena_free(&a);
}

static const struct pool_ops task_ops = { .run = run, .end = end, .ends_in_worker = true };

/* ---- the loop's thread ---- */

/* The request outlives its frame. */
static bool
copy_request(struct arena *a, const struct smtp_scan_judge *m, struct smtp_scan_judge *to)
{
	*to = *m;
	to->fd = -1;
	to->rcpts = ARENA_ARRAY(a, m->n_rcpts, struct smtp_scan_rcpt);
	if (to->rcpts == NULL || !arena_copy(a, m->queue_id, &to->queue_id) ||
	    !arena_copy(a, m->peer_ip, &to->peer_ip) || !arena_copy(a, m->helo, &to->helo) ||
	    !arena_copy(a, m->sender, &to->sender) || !arena_copy(a, m->login, &to->login))
		return false;
	for (size_t i = 0; i < m->n_rcpts; i++) {
		to->rcpts[i].account = m->rcpts[i].account;
		if (!arena_copy(a, m->rcpts[i].address, &to->rcpts[i].address) ||
		    !arena_copy(a, m->rcpts[i].original, &to->rcpts[i].original))
			return false;
	}
	return true;
}

static void
on_judge(void *ctx, struct ipc_call *call, struct smtp_scan_judge *m)
{
	struct scan_asker *asker = ctx;
	struct scan_room *r = asker->room;
	struct arena *a = arena_new("message", ARENA);
	struct task *t = ARENA_NEW(a, struct task);

	PN_ASSERT(t != NULL);
	if (r->stopping || pool_size(r->pool) >= SCAN_WAITING || !copy_request(a, m, &t->in) ||
	    (m->peer_ip.n != 0 && m->peer_ip.n != 4 && m->peer_ip.n != 16)) {
		struct smtp_scan_judge_answer out;

		scan_defer(&out, S("busy, try again later"));
		(void)smtp_scan_judge_answer(call, &out);
		arena_free(&a);
		return;
	}
	t->room = r;
	t->a = a;
	t->call = *call;
	t->phase = asker->phase;
	t->fd = fd_take(&m->fd);
	t->pc.fd = -1;
	pool_add(r->pool, &t->pc);
}

static const struct smtp_scan_server handlers = { .judge = on_judge };

static void
asker_drop(struct scan_asker *k)
{
	loop_unwatch(k->room->loop, &k->watch);
	ipc_channel_free(&k->ch);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct scan_asker *k = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = smtp_scan_server_serve(k->ch, &handlers, k);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && k->room->proc != NULL)
		proc_suspect(k->room->proc, k->ch);
	asker_drop(k);
}

/* Who may ask, and as what. */
static bool
phase_of(struct slice peer, struct slice instance, enum smtp_scan_phase *phase)
{
	static const struct {
		struct slice peer, instance;
		enum smtp_scan_phase phase;
	} known[] = {
		{ S_INIT("smtp"), S_INIT("mx"), SMTP_SCAN_PHASE_MX },
		{ S_INIT("smtp"), S_INIT("submission"), SMTP_SCAN_PHASE_SUBMISSION },
		{ S_INIT("smtp"), S_INIT("lmtp"), SMTP_SCAN_PHASE_LMTP },
		{ S_INIT("clerk"), S_INIT(""), SMTP_SCAN_PHASE_CLERK },
		{ S_INIT("queue"), S_INIT(""), SMTP_SCAN_PHASE_QUEUE },
		{ S_INIT("drop"), S_INIT(""), SMTP_SCAN_PHASE_DROP },
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (slice_eq(peer, known[i].peer) && slice_eq(instance, known[i].instance)) {
			*phase = known[i].phase;
			return true;
		}
	return false;
}

static void
introduce_asker(struct scan_room *r, const char *peer, const char *instance, enum smtp_scan_phase phase,
    int fd)
{
	struct scan_asker *k = NULL;

	/* an asker that was started again takes the place of its old channel */
	for (size_t i = 0; i < SCAN_ASKERS; i++)
		if (r->askers[i].ch != NULL && r->askers[i].phase == phase)
			asker_drop(&r->askers[i]);
	for (size_t i = 0; i < SCAN_ASKERS && k == NULL; i++)
		if (r->askers[i].ch == NULL)
			k = &r->askers[i];
	PN_ASSERT(k != NULL);
	*k = (struct scan_asker){ .room = r, .ch = ipc_channel_new(fd, peer, instance), .phase = phase };
	ipc_set_phase(k->ch, phase);
	ipc_set_nonblocking(k->ch, true);
	k->watch = loop_watch(r->loop, ipc_fd(k->ch), LOOP_READ, on_frames, k);
}

void
scan_introduce(void *room, const char *peer, const char *instance, int fd)
{
	struct scan_room *r = room;
	enum smtp_scan_phase phase;

	if (slice_eq(slice_z(peer), S("dns")))
		resolve_room_connect(&r->dns, fd);
	else if (slice_eq(slice_z(peer), S("keys")))
		ipc_client_connect(r->keys, fd);
	else if (slice_eq(slice_z(peer), S("auth")))
		ipc_client_connect(r->auth, fd);
	else if (phase_of(slice_z(peer), slice_z(instance), &phase))
		introduce_asker(r, peer, instance, phase, fd);
	else
		(void)close(fd);
}

void
scan_room_init(struct scan_room *r, struct proc *p, struct loop *l, const struct scan_conf *conf,
    uint64_t max_size)
{
	*r = (struct scan_room){ .proc = p, .loop = l, .conf = *conf, .rules_only = *conf, .max_size = max_size };
	r->rules_only.mode = SCAN_OFF;
	(void)pthread_mutex_init(&r->lock, NULL);
	scan_bind(r);
	r->pool = pool_new(l, &task_ops, SCAN_THREADS, SCAN_STACK);
}

static void
stop_when_empty(void *arg)
{
	struct scan_room *r = arg;

	if (pool_size(r->pool) == 0)
		loop_stop(r->loop);
	else
		(void)loop_after(r->loop, STOP_MS, stop_when_empty, r);
}

void
scan_stop(void *room)
{
	struct scan_room *r = room;

	r->stopping = true;
	stop_when_empty(r);
}
