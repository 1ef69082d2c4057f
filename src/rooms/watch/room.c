/* SPDX-License-Identifier: MIT */
#include "rooms/watch/watch.h"

#include <errno.h>
#include <jansson.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "lib/base/encode.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"

static void look(void *arg);

static void
look_after(struct watch_room *r, uint64_t ms)
{
	loop_cancel(r->loop, &r->next);
	r->next = loop_after(r->loop, ms, look, r);
}

/* Not one event for each look at a table that is not there. */
static void
tell_failure(struct watch_room *r)
{
	uint64_t now = clock_mono_ms();

	if (r->told_ms != 0 && now - r->told_ms < 600000)
		return;
	r->told_ms = now;
	EVENT(EVENT_DROP_DEFERRED, 0, S(""), S(""), EF("program", r->program), EF("what", S("table")),
	    EF("text", slice_z(outbox_why(r->outbox))));
}

static void
row_end(struct watch_room *r)
{
	arena_free(&r->a);
	r->row = (struct outbox_row){ 0 };
}

/* Without drop the row stays claimed: it comes again, with its key. */
static void
drop_lost(struct watch_room *r)
{
	loop_unwatch(r->loop, &r->watch);
	fd_t_drop(&r->fd);
	buf_free(&r->answer);
	buf_init(&r->answer, 2048);
	row_end(r);
	look_after(r, WATCH_EVERY_MS);
}

static void
put(json_t *o, const char *key, struct slice v)
{
	if (v.n > 0)
		(void)json_object_set_new(o, key, json_stringn((const char *)v.p, v.n));
}

/* The row as a line of drop's; false when it cannot be one. */
static bool
line_of(const struct outbox_row *row, struct buf *line)
{
	json_t *o = json_object(), *values = NULL;
	uint8_t *room;
	size_t n;
	bool ok = row->text.n <= OUTBOX_TEXT && row->data.n <= OUTBOX_TEXT && row->subject.n <= OUTBOX_TEXT;

	put(o, "user", row->user);
	put(o, "template", row->template_name);
	put(o, "subject", row->subject);
	put(o, "text", row->text);
	put(o, "once", row->claim);
	if (row->data.n > 0 && ok) {
		values = json_loadb((const char *)row->data.p, row->data.n, JSON_REJECT_DUPLICATES, NULL);
		ok = json_is_object(values) && json_object_set_new(o, "values", values) == 0;
		if (!ok)
			json_decref(values);
	}
	n = ok ? json_dumpb(o, NULL, 0, JSON_COMPACT) : 0;
	room = n > 0 ? buf_room(line, n) : NULL;
	if (room != NULL)
		buf_grown(line, json_dumpb(o, (char *)room, n, JSON_COMPACT));
	json_decref(o);
	return line->n > 0;
}

static void
finish(struct watch_room *r, const char *state, struct slice answer)
{
	/* what cannot be written down is asked again: the queue takes a key once */
	if (outbox_done(r->outbox, &r->row, state, answer, clock_wall_us() / 1000000) == OUTBOX_FAILED)
		tell_failure(r);
	row_end(r);
	look_after(r, 0);
}

/* All of it, or drop is not there: a line is shorter than what a socket holds. */
static bool
say(struct watch_room *r, struct slice line)
{
	struct iovec piece[2] = { { (void *)(uintptr_t)line.p, line.n }, { (void *)(uintptr_t)"\n", 1 } };
	struct msghdr m = { .msg_iov = piece, .msg_iovlen = 2 };

	return sendmsg(r->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)(line.n + 1);
}

static void
too_late(void *arg)
{
	struct watch_room *r = arg;

	r->next = NULL;
	drop_lost(r);
}

static void
send_row(struct watch_room *r)
{
	own(buf_t) line = { .max = WATCH_LETTER };

	if (!line_of(&r->row, &line)) {
		finish(r, "refused", S("data is no JSON object, or the letter is too long"));
		return;
	}
	if (say(r, buf_slice(&line)))
		r->next = loop_after(r->loop, WATCH_ANSWER_MS, too_late, r);
	else
		drop_lost(r);
}

static void
look(void *arg)
{
	struct watch_room *r = arg;
	uint8_t random[OUTBOX_KEY / 2];
	own(buf_t) key = { .max = OUTBOX_KEY };
	enum outbox_status st;

	r->next = NULL;
	if (r->fd < 0) {
		look_after(r, WATCH_EVERY_MS);
		return;
	}
	PN_ASSERT(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random && hex_encode(&key, slice_of(random, sizeof random)));
	r->a = arena_new("row", 10 * OUTBOX_TEXT);
	st = outbox_next(r->outbox, clock_wall_us() / 1000000, buf_slice(&key), r->a, &r->row);
	if (st == OUTBOX_ROW) {
		r->told_ms = 0;
		send_row(r);
		return;
	}
	row_end(r);
	if (st == OUTBOX_FAILED)
		tell_failure(r);
	look_after(r, st == OUTBOX_FAILED ? WATCH_FAILED_MS : WATCH_EVERY_MS);
}

/* {"status":"ok"}, "later" and "refused" with a text. */
static void
answered(struct watch_room *r, struct slice line)
{
	json_t *o = json_loadb((const char *)line.p, line.n, 0, NULL);
	struct slice status = slice_z(json_string_value(json_object_get(o, "status")));
	struct slice text = slice_z(json_string_value(json_object_get(o, "text")));

	loop_cancel(r->loop, &r->next);
	if (r->a == NULL)
		drop_lost(r); /* nobody asked */
	else if (slice_eq(status, S("ok")))
		finish(r, "sent", S(""));
	else if (slice_eq(status, S("refused")))
		finish(r, "refused", text);
	else
		finish(r, "claimed", text);
	json_decref(o);
}

static void
from_drop(void *arg, unsigned ready)
{
	struct watch_room *r = arg;
	uint8_t piece[512];
	ssize_t n = recv(r->fd, piece, sizeof piece, MSG_DONTWAIT);
	size_t end;

	(void)ready;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !buf_add(&r->answer, slice_of(piece, (size_t)n))) {
		drop_lost(r);
		return;
	}
	end = slice_find_byte(buf_slice(&r->answer), '\n');
	if (end == SLICE_NONE)
		return;
	answered(r, slice_head(buf_slice(&r->answer), end));
	buf_reset(&r->answer);
}

void
watch_introduce(void *room, const char *peer, const char *instance, int fd)
{
	struct watch_room *r = room;

	(void)instance;
	if (!slice_eq(slice_z(peer), S("drop"))) {
		(void)close(fd);
		return;
	}
	drop_lost(r);
	r->fd = fd;
	r->watch = loop_watch(r->loop, fd, LOOP_READ, from_drop, r);
}

void
watch_room_init(struct watch_room *r, struct proc *p, struct loop *l, struct outbox *outbox, struct slice program)
{
	*r = (struct watch_room){ .proc = p, .loop = l, .outbox = outbox, .program = program, .fd = -1 };
	buf_init(&r->answer, 2048);
	look_after(r, WATCH_EVERY_MS);
}

void
watch_stop(void *room)
{
	struct watch_room *r = room;

	drop_lost(r);
	loop_cancel(r->loop, &r->next);
	outbox_free(&r->outbox);
	loop_stop(r->loop);
}
