/* SPDX-License-Identifier: MIT
 * The channels of fetch: each request becomes a job with a thread of its own, at most LIMIT_FETCH_THREADS at
 * a time; what is over LIMIT_FETCH_JOBS is answered "slow" at once. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/fetch/fetch.h"

#define TURN 16 /* frames of one channel before the others get their turn */
/* What a job holds: its request (a frame), DNS answers, the answer. */
#define JOB_ARENA (LIMIT_ARENA_MESSAGE)
/* For one question to dns. */
#define DNS_MS 6000u

struct job {
	struct pool_conv pc; /* first */
	struct fetch_room *room;
	struct arena *a; /* holds this struct too */
	struct ipc_call call;
	struct room_fetch_fetch m;
	int body;
};

static void
answer(struct job *j, const struct fetch_result *r)
{
	struct room_fetch_fetch_answer out = { .status = r->status,
		.code = r->code,
		.size = r->size,
		.type = r->type,
		.why = r->why,
		.fields = (struct room_fetch_field *)(uintptr_t)r->fields,
		.n_fields = r->n_fields };

	if (room_fetch_fetch_answer(&j->call, &out) || j->call.ch == NULL)
		return;
	out = (struct room_fetch_fetch_answer){ .status = ROOM_FETCH_STATUS_BROKEN, .why = S("the answer is too long") };
	(void)room_fetch_fetch_answer(&j->call, &out);
}

/* An empty memfd that can be written. */
static bool
body_ok(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	return seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_GROW)) == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size == 0;
}

static enum pool_next
run(struct pool_conv *pc, enum pool_why why)
{
	struct job *j = (struct job *)pc;
	uint64_t start = clock_mono_ms();
	struct resolve_asker asker = { .room = &j->room->dns, .session = j->m.session,
		.deadline_ms = start + (j->m.ms < j->room->conf.most_ms ? j->m.ms : j->room->conf.most_ms) };
	struct resolver dns = resolve_via_room(&asker);
	struct fetch_result r = { .status = ROOM_FETCH_STATUS_REFUSED, .why = S("no empty memfd for the body") };

	(void)why;
	if (body_ok(j->body))
		fetch_exchange(&j->room->conf, &dns, &j->m, j->body, j->a, &r);
	EVENT(EVENT_FETCH, j->m.session, S(""), S(""), EF("url", slice_head(j->m.url, 300)),
	    EF("status", slice_z(room_fetch_status_name(r.status))), EN("code", r.code), EN("size", r.size),
	    EF("why", r.why), EN("ms", clock_mono_ms() - start));
	answer(j, &r);
	return POOL_END;
}

static void
end(struct pool_conv *pc)
{
	struct job *j = (struct job *)pc;
	struct arena *a = j->a;

	fd_t_drop(&j->body);
	arena_free(&a);
}

static const struct pool_ops ops = { .run = run, .end = end };

/* The request lives in the frame: what the job needs of it is copied. */
static bool
copy_request(struct job *j, const struct room_fetch_fetch *m)
{
	struct room_fetch_field *fields = ARENA_ARRAY(j->a, m->n_fields, struct room_fetch_field);

	j->m = *m;
	j->m.fields = fields;
	if (fields == NULL || !arena_copy(j->a, m->url, &j->m.url) || !arena_copy(j->a, m->body, &j->m.body) ||
	    !arena_copy(j->a, m->type, &j->m.type))
		return false;
	for (size_t i = 0; i < m->n_fields; i++)
		if (!arena_copy(j->a, m->fields[i].name, &fields[i].name) ||
		    !arena_copy(j->a, m->fields[i].value, &fields[i].value))
			return false;
	return true;
}

static void
on_fetch(void *ctx, struct ipc_call *call, struct room_fetch_fetch *m)
{
	struct fetch_room *r = ((struct fetch_peer *)ctx)->room;
	struct room_fetch_fetch_answer busy = { .status = ROOM_FETCH_STATUS_SLOW, .why = S("too many requests at once") };
	struct arena *a = NULL;
	struct job *j = NULL;

	if (pool_size(r->pool) < LIMIT_FETCH_JOBS) {
		a = arena_new("fetch", JOB_ARENA);
		j = ARENA_NEW(a, struct job);
	}
	if (j != NULL) {
		*j = (struct job){ .room = r, .a = a, .call = *call, .body = -1, .pc = { .fd = -1 } };
		if (copy_request(j, m)) {
			j->body = fd_take(&m->fd);
			pool_add(r->pool, &j->pc);
			return;
		}
	}
	arena_free(&a);
	(void)room_fetch_fetch_answer(call, &busy);
}

static const struct room_fetch_server handlers = { .fetch = on_fetch };

static void
peer_drop(struct fetch_peer *p)
{
	loop_unwatch(p->room->loop, &p->watch);
	ipc_channel_free(&p->ch);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct fetch_peer *p = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = room_fetch_server_serve(p->ch, &handlers, p);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && p->room->proc != NULL && !slice_eq(slice_z(ipc_peer(p->ch)), S("cli")))
		proc_suspect(p->room->proc, p->ch);
	peer_drop(p);
}

/* The old channel of a room that was restarted, else a free one. Command lines come one by one. */
static struct fetch_peer *
slot_for(struct fetch_room *r, struct slice peer, struct slice instance)
{
	struct fetch_peer *empty = NULL;

	for (size_t i = 0; i < LIMIT_FETCH_PEERS; i++) {
		struct fetch_peer *p = &r->peers[i];

		if (p->ch == NULL)
			empty = empty == NULL ? p : empty;
		else if (!slice_eq(peer, S("cli")) && slice_eq(slice_z(ipc_peer(p->ch)), peer) && slice_eq(slice_z(ipc_instance(p->ch)), instance))
			return p;
	}
	return empty;
}

void
fetch_room_init(struct fetch_room *r)
{
	resolve_room_init(&r->dns, DNS_MS);
	r->pool = pool_new(r->loop, &ops, LIMIT_FETCH_THREADS, FETCH_STACK);
}

void
fetch_introduce(void *room, const char *peer, const char *instance, int fd)
{
	struct fetch_room *r = room;
	struct fetch_peer *p;

	if (slice_eq(slice_z(peer), S("dns"))) {
		resolve_room_connect(&r->dns, fd);
		return;
	}
	p = slot_for(r, slice_z(peer), slice_z(instance));
	if (p == NULL) {
		(void)close(fd);
		return;
	}
	if (p->ch != NULL)
		peer_drop(p);
	*p = (struct fetch_peer){ .room = r, .ch = ipc_channel_new(fd, peer, instance) };
	ipc_set_nonblocking(p->ch, true);
	ipc_set_send_wait(p->ch, 0); /* an asker that does not read its answers loses them */
	p->watch = loop_watch(r->loop, ipc_fd(p->ch), LOOP_READ, on_frames, p);
}

/* Exchanges under way have their deadlines; nobody waits for them when the server stops. */
void
fetch_stop(void *room)
{
	struct fetch_room *r = room;

	for (size_t i = 0; i < LIMIT_FETCH_PEERS; i++)
		if (r->peers[i].ch != NULL)
			peer_drop(&r->peers[i]);
	loop_stop(r->loop);
}
