/* SPDX-License-Identifier: MIT */
#include "rooms/milter/room.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/own.h"

#define TURN 64 /* frames of one channel before the others get their turn */
/* Fields, wishes and the request of one message; what is not used is never touched. */
#define ARENA (4 * LIMIT_ARENA_MESSAGE)

/* One request: for the pool a conversation that never pauses. */
struct task {
	struct pool_conv pc; /* first */
	struct milter_room *room;
	struct arena *a; /* holds this struct and everything of the message */
	struct ipc_call call;
	bool outgoing, recipient; /* recipient: in has one, and no message yet */
	struct smtp_milter_ask in;
	int fd;
};

/* ---- in a worker's thread ---- */

static bool
answer_recipient(struct ipc_call *call, const struct smtp_milter_ask_answer *out)
{
	struct smtp_milter_recipient_answer said = { .action = out->action, .code = out->code, .enhanced = out->enhanced,
		.text = out->text };

	return smtp_milter_recipient_answer(call, &said);
}

static void
answer(struct task *t, const struct smtp_milter_ask_answer *out)
{
	struct smtp_milter_ask_answer small;

	if (t->recipient ? answer_recipient(&t->call, out) : smtp_milter_ask_answer(&t->call, out))
		return;
	/* it does not fit a frame, or the asker is gone, who then does not hear this either */
	milter_defer(&small, S("the filters want too much, try later"));
	if (t->recipient || !smtp_milter_ask_answer(&t->call, &small))
		(void)ipc_refuse(&t->call);
}

/* A file that can shrink would be a trap for whoever reads its mapping. */
static bool
sound(const struct task *t)
{
	int seals = fcntl(t->fd, F_GET_SEALS);
	struct stat st;

	return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(t->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    t->in.size > 0 && t->in.size <= t->room->settings.max_size && (uint64_t)st.st_size == t->in.size &&
	    t->in.trace_at <= t->in.size && t->in.trace <= t->in.size - t->in.trace_at;
}

static enum pool_next
run(struct pool_conv *pc, enum pool_why why)
{
	struct task *t = (struct task *)pc;
	struct smtp_milter_ask_answer out;
	void *p = MAP_FAILED;

	(void)why;
	if (t->recipient) {
		milter_recipient(&t->room->settings, &t->room->back, &t->in, t->outgoing, t->a, &out);
		answer(t, &out);
		return POOL_END;
	}
	/* private: a shared mapping would keep smtp from sealing the file against writing */
	if (sound(t))
		p = mmap(NULL, (size_t)t->in.size, PROT_READ, MAP_PRIVATE, t->fd, 0);
	if (p == MAP_FAILED) {
		milter_defer(&out, S("try later"));
		answer(t, &out);
		return POOL_END;
	}
	milter_judge(&t->room->settings, &t->room->back, &t->in, t->outgoing, slice_of(p, (size_t)t->in.size), t->fd, t->a,
	    &out);
	(void)munmap(p, (size_t)t->in.size);
	fd_t_drop(&t->fd);
	answer(t, &out);
	return POOL_END;
}

static void
end(struct pool_conv *pc)
{
	struct task *t = (struct task *)pc;
	struct milter_room *r = t->room;
	struct arena *a = t->a;

	fd_t_drop(&t->fd);
	arena_free(&a);
	if (r->stopping && pool_size(r->pool) == 0)
		loop_stop(r->loop);
}

static const struct pool_ops task_ops = { .run = run, .end = end };

/* ---- the loop's thread ---- */

/* The request outlives its frame. */
static bool
copy_request(struct arena *a, const struct smtp_milter_ask *m, struct smtp_milter_ask *to)
{
	*to = *m;
	to->fd = -1;
	to->rcpts = ARENA_ARRAY(a, m->n_rcpts, struct smtp_milter_address);
	if (to->rcpts == NULL || !arena_copy(a, m->queue_id, &to->queue_id) || !arena_copy(a, m->peer_ip, &to->peer_ip) ||
	    !arena_copy(a, m->helo, &to->helo) || !arena_copy(a, m->sender, &to->sender) ||
	    !arena_copy(a, m->login, &to->login) || !arena_copy(a, m->tls_version, &to->tls_version) ||
	    !arena_copy(a, m->cipher, &to->cipher))
		return false;
	for (size_t i = 0; i < m->n_rcpts; i++)
		if (!arena_copy(a, m->rcpts[i].address, &to->rcpts[i].address))
			return false;
	return true;
}

/* False, with nothing taken, when there is too much to do. */
static bool
begin(struct milter_asker *asker, struct ipc_call *call, struct smtp_milter_ask *m, bool recipient)
{
	struct milter_room *r = asker->room;
	struct arena *a = arena_new("message", ARENA);
	struct task *t = ARENA_NEW(a, struct task);

	PN_ASSERT(t != NULL);
	if (r->stopping || pool_size(r->pool) >= MILTER_WAITING || !copy_request(a, m, &t->in)) {
		arena_free(&a);
		return false;
	}
	t->room = r;
	t->a = a;
	t->call = *call;
	t->outgoing = asker->phase == SMTP_MILTER_PHASE_SUBMISSION;
	t->recipient = recipient;
	t->fd = fd_take(&m->fd);
	t->pc.fd = -1;
	pool_add(r->pool, &t->pc);
	return true;
}

static void
on_ask(void *ctx, struct ipc_call *call, struct smtp_milter_ask *m)
{
	struct smtp_milter_ask_answer out;

	if (begin(ctx, call, m, false))
		return;
	milter_defer(&out, S("busy, try later"));
	(void)smtp_milter_ask_answer(call, &out);
}

static void
on_recipient(void *ctx, struct ipc_call *call, struct smtp_milter_recipient *m)
{
	struct smtp_milter_address one = { m->address };
	struct smtp_milter_ask in = { .queue_id = m->queue_id, .session = m->session, .peer_ip = m->peer_ip, .helo = m->helo,
		.sender = m->sender, .login = m->login, .tls_version = m->tls_version, .cipher = m->cipher, .rcpts = &one,
		.n_rcpts = 1, .fd = -1 };
	struct smtp_milter_ask_answer out;

	if (begin(ctx, call, &in, true))
		return;
	milter_defer(&out, S("busy, try later"));
	(void)answer_recipient(call, &out);
}

static const struct smtp_milter_server handlers = { .ask = on_ask, .recipient = on_recipient };

static void
asker_drop(struct milter_asker *k)
{
	loop_unwatch(k->room->loop, &k->watch);
	ipc_channel_free(&k->ch);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct milter_asker *k = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = smtp_milter_server_serve(k->ch, &handlers, k);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && k->room->proc != NULL)
		proc_suspect(k->room->proc, k->ch);
	asker_drop(k);
}

void
milter_introduce(void *room, const char *peer, const char *instance, int fd)
{
	struct milter_room *r = room;
	bool submission = slice_eq(slice_z(instance), S("submission"));
	struct milter_asker *k = &r->askers[submission];

	if (slice_eq(slice_z(peer), S("warden"))) {
		dialer_connect(&r->dialer, fd);
		return;
	}
	if (!slice_eq(slice_z(peer), S("smtp")) || (!submission && !slice_eq(slice_z(instance), S("mx")))) {
		(void)close(fd);
		return;
	}
	if (k->ch != NULL)
		asker_drop(k);
	*k = (struct milter_asker){ .room = r, .ch = ipc_channel_new(fd, peer, instance),
		.phase = submission ? SMTP_MILTER_PHASE_SUBMISSION : SMTP_MILTER_PHASE_MX };
	ipc_set_phase(k->ch, k->phase);
	ipc_set_nonblocking(k->ch, true);
	k->watch = loop_watch(r->loop, ipc_fd(k->ch), LOOP_READ, on_frames, k);
}

static void
tell_event(void *ctx, enum event_kind kind, uint64_t session, struct slice queue_id, struct slice account,
    const struct event_field *fields, size_t n)
{
	(void)ctx;
	events_emit(kind, session, queue_id, account, fields, n);
}

void
milter_room_init(struct milter_room *r, struct proc *p, struct loop *l, const struct milter_settings *settings)
{
	*r = (struct milter_room){ .proc = p, .loop = l, .settings = *settings };
	dialer_init(&r->dialer, l);
	r->back = (struct milter_backend){ .connect = milter_connect, .event = tell_event, .ctx = r };
	r->pool = pool_new(l, &task_ops, MILTER_THREADS, MILTER_STACK);
}

void
milter_stop(void *room)
{
	struct milter_room *r = room;

	r->stopping = true;
	if (pool_size(r->pool) == 0)
		loop_stop(r->loop);
}
