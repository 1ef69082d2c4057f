/* SPDX-License-Identifier: MIT */
#include "rooms/ledger/room.h"

#include <stdio.h>
#include <stdlib.h>

#include "ipc/room_ledger.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/ledger/answer.h"

#define TURN 64 /* frames of one channel before the others get their turn */

struct ledger_peer {
	struct ledger_room *room;
	struct ledger_peer *next;
	struct ipc_channel *ch;
	struct loop_watch *watch;
	char name[66]; /* as events show it: "smtp/mx" */
	bool cli;
};

bool
ledger_pack(struct buf *b, struct slice key, struct slice value)
{
	if (key.n > UINT8_MAX || value.n > UINT16_MAX)
		return false;
	(void)buf_byte(b, (uint8_t)key.n);
	(void)buf_add(b, key);
	(void)buf_put_u16le(b, (uint16_t)value.n);
	return buf_add(b, value);
}

bool
ledger_unpack(struct cursor *c, struct slice *key, struct slice *value)
{
	struct slice k, v;

	if (cur_left(c) == 0 || !cur_bytes(c, cur_get_u8(c), &k) ||
	    !cur_bytes(c, cur_get_u16le(c), &v))
		return false;
	*key = k;
	*value = v;
	return true;
}

/* ---- writing ---- */

static void
flush_now(void *arg)
{
	struct ledger_room *r = arg;

	r->flush = NULL;
	if (ledger_flush(r->log) != STORE_OK) {
		(void)fputs("ledger: the disk failed at a flush\n", stderr);
		exit(1); /* the handle is dead for ever: begin anew */
	}
}

static void
count_lost(struct ledger_room *r)
{
	char n[24];
	int len = snprintf(n, sizeof n, "%llu", (unsigned long long)r->lost);
	own(buf_t) f = { .max = 64 };
	struct ledger_event e = { .time = (uint64_t)clock_wall_us(), .kind = EVENT_EVENTS_LOST,
		.room = S("ledger") };

	if (r->lost == 0 || !ledger_pack(&f, S("count"), slice_of(n, (size_t)len)))
		return;
	e.fields = buf_slice(&f);
	if (ledger_add(r->log, &e, 1, NULL) == STORE_OK)
		r->lost = 0;
}

void
ledger_write(struct ledger_room *r)
{
	enum store_err e;

	loop_cancel(r->loop, &r->gather);
	if (r->n == 0)
		return;
	count_lost(r);
	e = ledger_add(r->log, r->event, r->n, NULL);
	if (e != STORE_OK) {
		/* a full disk must not stop the mail: the events are counted, and told later */
		r->lost += r->n;
		(void)fprintf(stderr, "ledger: %zu events lost: %s\n", r->n, store_err_name(e));
		if (e == STORE_IO || e == STORE_DAMAGED)
			exit(1);
	} else if (r->flush == NULL) {
		r->flush = loop_after(r->loop, LEDGER_FLUSH_MS, flush_now, r);
	}
	r->n = 0;
	arena_free(&r->gathered);
	r->gathered = arena_new("events", (size_t)16 << 20);
}

static void
gathered(void *arg)
{
	struct ledger_room *r = arg;

	r->gather = NULL;
	ledger_write(r);
}

static void
on_event(void *ctx, struct room_ledger_event *m)
{
	struct ledger_peer *p = ctx;
	struct ledger_room *r = p->room;
	struct ledger_event *e = &r->event[r->n];
	own(buf_t) f = { .max = LIMIT_LEDGER_FIELDS };

	for (size_t i = 0; i < m->n_fields; i++)
		(void)ledger_pack(&f, m->fields[i].key, m->fields[i].value);
	*e = (struct ledger_event){ .time = m->time_us < 0 ? 0 : (uint64_t)m->time_us,
		.kind = m->kind, .session = m->session };
	if (f.bad || !arena_copy(r->gathered, slice_z(p->name), &e->room) ||
	    !arena_copy(r->gathered, m->queue_id, &e->queue_id) ||
	    !arena_copy(r->gathered, m->account, &e->account) ||
	    !arena_copy(r->gathered, buf_slice(&f), &e->fields)) {
		r->lost++;
		return;
	}
	if (++r->n == LEDGER_GATHER)
		ledger_write(r);
	else if (r->gather == NULL)
		r->gather = loop_after(r->loop, LEDGER_GATHER_MS, gathered, r);
}

static void
retire(void *arg)
{
	struct ledger_room *r = arg;
	uint64_t now = (uint64_t)clock_wall_us(), keep = r->keep_us;
	size_t gone = 0;

	if (now > keep && ledger_retire(r->log, now - keep, LEDGER_RETIRE, &gone) != STORE_OK)
		gone = 0;
	r->retire = loop_after(r->loop, gone == LEDGER_RETIRE ? 100 : LEDGER_RETIRE_MS, retire, r);
}

/* ---- peers ---- */

static const struct room_ledger_server handlers = { .event = on_event };

static void
peer_drop(struct ledger_peer *p)
{
	struct ledger_peer **at = &p->room->peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	loop_unwatch(p->room->loop, &p->watch);
	ipc_channel_free(&p->ch);
	free(p);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct ledger_peer *p = arg;
	enum ipc_status st = IPC_OK;

	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = p->cli ? ledger_answer_serve(p->room, p->ch) :
			      room_ledger_server_serve(p->ch, &handlers, p);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && p->room->proc != NULL)
		proc_suspect(p->room->proc, p->ch);
	peer_drop(p);
}

void
ledger_introduce(void *room, const char *peer, const char *instance, int fd)
{
	struct ledger_room *r = room;
	struct ledger_peer *p = calloc(1, sizeof *p);

	if (p == NULL) {
		(void)close(fd);
		return;
	}
	p->room = r;
	/* the clerk has two channels: one to tell, one to ask */
	p->cli = slice_eq(slice_z(peer), S("cli")) || slice_eq(slice_z(instance), S("asks"));
	p->ch = ipc_channel_new(fd, peer, p->cli ? "" : instance);
	(void)snprintf(p->name, sizeof p->name, "%s%s%s", peer, *instance == 0 ? "" : "/", instance);
	ipc_set_nonblocking(p->ch, true);
	ipc_set_send_wait(p->ch, 0);
	p->watch = loop_watch(r->loop, fd, LOOP_READ, on_frames, p);
	p->next = r->peers;
	r->peers = p;
}

void
ledger_room_init(struct ledger_room *r, struct proc *p, struct loop *loop, struct ledger *log, uint64_t keep_us)
{
	*r = (struct ledger_room){ .proc = p, .loop = loop, .log = log, .keep_us = keep_us,
		.gathered = arena_new("events", (size_t)16 << 20) };
	r->retire = loop_after(loop, LEDGER_RETIRE_MS, retire, r);
}

void
ledger_stop(void *room)
{
	struct ledger_room *r = room;

	/* the last words of those who ended before us */
	for (struct ledger_peer *p = r->peers, *next; p != NULL; p = next) {
		next = p->next;
		on_frames(p, LOOP_READ);
	}
	ledger_write(r);
	while (r->peers != NULL)
		peer_drop(r->peers);
	loop_cancel(r->loop, &r->flush);
	loop_cancel(r->loop, &r->retire);
	ledger_close(&r->log);
	arena_free(&r->gathered);
	loop_stop(r->loop);
}
