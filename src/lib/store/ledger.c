/* SPDX-License-Identifier: MIT
 * Rows stand in order of id, which is nearly the order of time; only session and queue id have an
 * index, and only where they are set. A question by time alone finds its first row by bisection. */
#include "lib/store/ledger.h"

#include <stdlib.h>

#include "lib/base/limits.h"
#include "lib/store/db.h"

#define TEXT ((size_t)64)
#define SLACK_US ((uint64_t)60000000) /* so late may an event be written behind younger ones */
#define AT_MOST ((size_t)1000)

struct ledger {
	struct db db;
	uint64_t last;
};

static const struct db_step steps[] = {
	{ "CREATE TABLE event("
	  " id INTEGER PRIMARY KEY,"
	  " time INTEGER NOT NULL,"
	  " kind INTEGER NOT NULL,"
	  " session INTEGER NOT NULL,"
	  " room TEXT NOT NULL,"
	  " queue_id TEXT NOT NULL,"
	  " account TEXT NOT NULL,"
	  " fields BLOB NOT NULL);"
	  "CREATE INDEX event_session ON event(session) WHERE session<>0;"
	  "CREATE INDEX event_queue_id ON event(queue_id) WHERE queue_id<>'';"
	  "CREATE TABLE ledger(one INTEGER PRIMARY KEY CHECK(one = 1), retired INTEGER NOT NULL);"
	  "INSERT INTO ledger VALUES(1, 0)" },
};

enum { Q_LAST, Q_ADD, Q_RETIRE, Q_RETIRED, Q_FIRST, Q_TIME, Q_FORWARD, Q_BACK, Q_SESSION,
	Q_SESSION_BACK, Q_QUEUE, Q_QUEUE_BACK, Q_EITHER, Q_EITHER_BACK, Q_MAX };

#define EVENT "SELECT id, time, kind, session, room, queue_id, account, fields FROM event WHERE "
/* ?1 ?2: bounds of id; ?3 session; ?4 ?5: queue id from, up to */
#define BOUNDS "id>?1 AND id<?2 "
#define BY_SESSION "session=?3 AND session<>0 AND " BOUNDS
#define BY_QUEUE "queue_id>=?4 AND queue_id<?5 AND queue_id<>'' AND " BOUNDS
#define BY_EITHER "((session=?3 AND session<>0) OR (queue_id>=?4 AND queue_id<?5 AND" \
	" queue_id<>'')) AND " BOUNDS
#define UP "ORDER BY id"
#define DOWN "ORDER BY id DESC"

static const char *const text[] = {
	[Q_LAST] = "SELECT coalesce(max(id),0) FROM event",
	[Q_ADD] = "INSERT INTO event VALUES(?,?,?,?,?,?,?,?)",
	/* the newest row stays, so that its id is not given again */
	[Q_RETIRE] = "DELETE FROM event WHERE id<?",
	[Q_RETIRED] = "SELECT id, time FROM event WHERE id<(SELECT max(id) FROM event)"
	    " ORDER BY id LIMIT ?",
	[Q_FIRST] = "SELECT coalesce(min(id),0) FROM event",
	[Q_TIME] = "SELECT time FROM event WHERE id>=? ORDER BY id LIMIT 1",
	[Q_FORWARD] = EVENT BOUNDS UP,
	[Q_BACK] = EVENT BOUNDS DOWN,
	[Q_SESSION] = EVENT BY_SESSION UP,
	[Q_SESSION_BACK] = EVENT BY_SESSION DOWN,
	[Q_QUEUE] = EVENT BY_QUEUE UP,
	[Q_QUEUE_BACK] = EVENT BY_QUEUE DOWN,
	[Q_EITHER] = EVENT BY_EITHER UP,
	[Q_EITHER_BACK] = EVENT BY_EITHER DOWN,
};

enum store_err
ledger_open(const char *path, struct ledger **out)
{
	const struct db_options o = { .path = path, .sql = text, .sqls = Q_MAX, .steps = steps,
		.nsteps = sizeof steps / sizeof steps[0], .page_size = 4096, .cache_kib = 1024,
		.checkpoint_pages = 1024 };
	struct ledger *l = calloc(1, sizeof *l);
	enum store_err e;

	if (l == NULL)
		return STORE_FULL;
	e = db_open(&l->db, &o);
	if (e == STORE_OK)
		e = db_number(&l->db, db_stmt(&l->db, Q_LAST), &l->last);
	if (e != STORE_OK) {
		db_close(&l->db);
		free(l);
		return e;
	}
	*out = l;
	return STORE_OK;
}

void
ledger_close(struct ledger **lp)
{
	struct ledger *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	(void)db_flush(&l->db);
	db_close(&l->db);
	free(l);
}

uint64_t
ledger_last(const struct ledger *l)
{
	return l->last;
}

enum store_err
ledger_flush(struct ledger *l)
{
	return db_flush(&l->db);
}

enum store_err
ledger_add(struct ledger *l, const struct ledger_event *e, size_t n, uint64_t *last)
{
	enum store_err err;

	for (size_t i = 0; i < n; i++)
		if (e[i].room.n > TEXT || e[i].queue_id.n > TEXT ||
		    e[i].account.n > LIMIT_SMTP_ADDRESS || e[i].fields.n > LIMIT_LEDGER_FIELDS)
			return STORE_LIMIT;
	(void)db_begin(&l->db);
	for (size_t i = 0; i < n; i++) {
		sqlite3_stmt *q = db_stmt(&l->db, Q_ADD);

		db_int(q, 1, l->last + 1 + i);
		db_int(q, 2, e[i].time);
		db_int(q, 3, e[i].kind);
		db_int(q, 4, e[i].session);
		db_text(q, 5, e[i].room);
		db_text(q, 6, e[i].queue_id);
		db_text(q, 7, e[i].account);
		db_blob(q, 8, e[i].fields);
		(void)db_run(&l->db, q);
	}
	err = db_commit(&l->db);
	if (err != STORE_OK)
		return err;
	l->last += n;
	if (last != NULL)
		*last = l->last;
	return STORE_OK;
}

/* ---- asking ---- */

/* The time of the first event with that id or a higher one; past the end: UINT64_MAX. */
static enum store_err
time_at(struct ledger *l, uint64_t id, uint64_t *time)
{
	sqlite3_stmt *q = db_stmt(&l->db, Q_TIME);
	enum store_err e;

	db_int(q, 1, id);
	e = db_number(&l->db, q, time);
	if (e == STORE_NONE) {
		*time = UINT64_MAX;
		e = STORE_OK;
	}
	return e;
}

/* An id such that everything from time t on has a higher one. */
static enum store_err
before_time(struct ledger *l, uint64_t t, uint64_t *out)
{
	uint64_t low = 0, high = l->last + 1, at;
	enum store_err e = db_number(&l->db, db_stmt(&l->db, Q_FIRST), &low);

	t = t < SLACK_US ? 0 : t - SLACK_US;
	while (e == STORE_OK && low < high) {
		uint64_t mid = low + (high - low) / 2;

		e = time_at(l, mid, &at);
		if (at < t)
			low = mid + 1;
		else
			high = mid;
	}
	*out = low == 0 ? 0 : low - 1;
	return e;
}

static bool
matches(const struct ledger_query *q, const struct ledger_event *e)
{
	if ((q->kind != 0 && e->kind != q->kind) || e->time < q->from ||
	    (q->to != 0 && e->time >= q->to) ||
	    (q->account.n > 0 && !slice_ieq(e->account, q->account)))
		return false;
	return q->either || q->session == 0 || e->session == q->session;
}

static unsigned
question(const struct ledger_query *q)
{
	unsigned n = Q_FORWARD;

	if (q->either && q->session != 0 && q->queue_id.n > 0)
		n = Q_EITHER;
	else if (q->queue_id.n > 0)
		n = Q_QUEUE;
	else if (q->session != 0)
		n = Q_SESSION;
	return n + (q->newest_first ? 1 : 0);
}

/* The first text behind all that start with t (or that equal it): t then the highest byte, or t and
 * a NUL. */
static struct slice
queue_end(const struct ledger_query *q, uint8_t *buf)
{
	struct slice t = slice_head(q->queue_id, TEXT);

	if (t.n > 0)
		memcpy(buf, t.p, t.n);
	buf[t.n] = q->prefix ? 0xff : 0;
	return slice_of(buf, t.n + 1);
}

static void
read_event(sqlite3_stmt *s, struct ledger_event *e)
{
	*e = (struct ledger_event){ .id = db_get_int(s, 0), .time = db_get_int(s, 1),
		.kind = (uint32_t)db_get_int(s, 2), .session = db_get_int(s, 3),
		.room = db_get_blob(s, 4), .queue_id = db_get_blob(s, 5),
		.account = db_get_blob(s, 6), .fields = db_get_blob(s, 7) };
}

enum store_err
ledger_find(struct ledger *l, const struct ledger_query *q,
    bool (*fn)(void *ctx, const struct ledger_event *e), void *ctx)
{
	uint64_t low = 0, high = l->last + 1;
	size_t left = q->max == 0 ? AT_MOST : q->max;
	uint8_t end[TEXT + 1];
	unsigned n = question(q);
	struct ledger_event e;
	sqlite3_stmt *s;

	if (db_read(&l->db) == STORE_OK && q->from > 0)
		(void)before_time(l, q->from, &low);
	if (!q->newest_first && q->after > low)
		low = q->after;
	if (q->newest_first && q->after != 0 && q->after < high)
		high = q->after;
	s = db_stmt(&l->db, n);
	db_int(s, 1, low);
	db_int(s, 2, high);
	if (n >= Q_SESSION && n != Q_QUEUE && n != Q_QUEUE_BACK)
		db_int(s, 3, q->session);
	if (n >= Q_QUEUE) {
		db_text(s, 4, slice_head(q->queue_id, TEXT));
		db_text(s, 5, queue_end(q, end));
	}
	while (left > 0 && db_row(&l->db, s)) {
		bool past;

		read_event(s, &e);
		past = q->to != 0 && !q->newest_first && e.time >= q->to + SLACK_US;
		if (past)
			break;
		if (!matches(q, &e))
			continue;
		left--;
		if (!fn(ctx, &e))
			break;
	}
	db_done(s);
	return l->db.err;
}

enum store_err
ledger_retire(struct ledger *l, uint64_t before, size_t max, size_t *deleted)
{
	uint64_t first = 0;
	size_t n = 0;
	sqlite3_stmt *q;
	enum store_err e;

	(void)db_begin(&l->db);
	q = db_stmt(&l->db, Q_RETIRED);
	db_int(q, 1, max);
	while (db_row(&l->db, q) && db_get_int(q, 1) < before) {
		first = db_get_int(q, 0) + 1;
		n++;
	}
	db_done(q);
	if (n > 0) {
		q = db_stmt(&l->db, Q_RETIRE);
		db_int(q, 1, first);
		(void)db_run(&l->db, q);
	}
	e = db_commit(&l->db);
	if (e == STORE_OK && deleted != NULL)
		*deleted = n;
	return e;
}
