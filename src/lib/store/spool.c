/* SPDX-License-Identifier: MIT
 *
 *   message(id, ..., content)   chunk(message, n, data)   delivery(id = message << 10 | i, ...)
 *
 *   message_more(message, ...)          delivery_more(id, ...)           only where there is something
 *   once(key, at)                       keys of messages that are taken once; they outlive them
 *
 * A message row goes with its last delivery row, and its rows of the other tables with it. Fresh
 * deliveries (queued = 0) stand in no index but that of their ids; see spool.h.
 *
 * Ids come from a block that is reserved on the disk by the transaction that first uses it, so that
 * giving one costs no write. */
#include "lib/store/spool_int.h"

#include <stdlib.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/store/memfd.h"

#define BLOCK 4096u		/* message ids reserved at a time */
#define ID_BITS 20u		/* a new spool starts at seconds << 20 */
#define TEXT_ID ((size_t)64)

static const struct db_step steps[] = {
	{ "CREATE TABLE message("
	  " id INTEGER PRIMARY KEY,"
	  " queue_id TEXT NOT NULL,"
	  " session TEXT NOT NULL,"
	  " sender TEXT NOT NULL,"
	  " submitter INTEGER NOT NULL,"
	  " received INTEGER NOT NULL,"
	  " flags INTEGER NOT NULL,"
	  " size INTEGER NOT NULL,"
	  " content BLOB NOT NULL);"
	  "CREATE TABLE chunk("
	  " message INTEGER NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL,"
	  " PRIMARY KEY(message, n));"
	  "CREATE TABLE delivery("
	  " id INTEGER PRIMARY KEY,"
	  " account INTEGER NOT NULL,"
	  " state INTEGER NOT NULL,"
	  " attempts INTEGER NOT NULL,"
	  " next INTEGER NOT NULL,"
	  " address TEXT NOT NULL,"
	  " original TEXT NOT NULL,"
	  " reason TEXT NOT NULL);"
	  "CREATE TABLE spool(one INTEGER PRIMARY KEY CHECK(one = 1),"
	  " reserved INTEGER NOT NULL, epoch INTEGER NOT NULL);"
	  "INSERT INTO spool VALUES(1, 1, 0)" },
	/* SQLite takes a partial index for a query that repeats its condition as it is here. */
	{ "CREATE TABLE message_more("
	  " message INTEGER PRIMARY KEY,"
	  " priority INTEGER NOT NULL,"
	  " by INTEGER NOT NULL,"
	  " envid TEXT NOT NULL,"
	  " folder TEXT NOT NULL);"
	  "CREATE TABLE delivery_more("
	  " id INTEGER PRIMARY KEY,"
	  " sender TEXT NOT NULL,"
	  " notify INTEGER NOT NULL,"
	  " orcpt TEXT NOT NULL);"
	  "CREATE TABLE hold_rule("
	  " id INTEGER PRIMARY KEY,"
	  " kind INTEGER NOT NULL,"
	  " pattern TEXT NOT NULL,"
	  " reason TEXT NOT NULL);"
	  "ALTER TABLE spool ADD COLUMN clock INTEGER NOT NULL DEFAULT 0;"
	  "ALTER TABLE spool ADD COLUMN wall INTEGER NOT NULL DEFAULT 0;"
	  "ALTER TABLE delivery ADD COLUMN queued INTEGER NOT NULL DEFAULT 0;"
	  "UPDATE delivery SET queued=(SELECT received FROM message WHERE message.id=delivery.id >> 10)"
	  " WHERE attempts > 0 OR state <> 0;"
	  "CREATE INDEX delivery_due ON delivery(next) WHERE queued <> 0 AND state & 1 = 0" },
	{ "CREATE TABLE once(key BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;"
	  "CREATE INDEX once_at ON once(at)" },
	/* 0: notifications go to who wrote; else by a list, and they go to sender, whose account is this less 1 */
	{ "ALTER TABLE delivery_more ADD COLUMN owner INTEGER NOT NULL DEFAULT 0" },
};

#define DELIVERY "SELECT d.id, m.id, d.account, m.submitter, m.received, d.next, m.size, m.flags," \
	" d.attempts, d.state, m.queue_id, m.session, m.sender, d.address, d.original, d.reason," \
	" d.queued, x.priority, x.by, x.envid, x.folder, y.sender, y.notify, y.orcpt, y.owner" \
	" FROM delivery d CROSS JOIN message m ON m.id = d.id >> 10" \
	" LEFT JOIN message_more x ON x.message = m.id LEFT JOIN delivery_more y ON y.id = d.id "
/* the first time that a fresh one does not go at once */
#define QUEUED "queued=CASE queued WHEN 0 THEN next ELSE queued END"
#define DUE "d.queued <> 0 AND d.state & 1 = 0 AND d.next >= ?1 AND (d.next > ?1 OR d.id > ?2)"

static const char *const text[] = {
	[Q_ADD] = "INSERT INTO message VALUES(?,?,?,?,?,?,?,?,?)",
	[Q_ADD_MORE] = "INSERT INTO message_more VALUES(?,?,?,?,?)",
	[Q_ADD_CHUNK] = "INSERT INTO chunk VALUES(?,?,?)",
	[Q_ADD_RCPT] = "INSERT INTO delivery VALUES(?,?,?,0,?,?,?,?,?)",
	[Q_ADD_RCPT_MORE] = "INSERT INTO delivery_more VALUES(?,?,?,?,?)",
	[Q_DROP_RCPT] = "DELETE FROM delivery WHERE id=?",
	[Q_ANY_RCPT] = "SELECT id FROM delivery WHERE id>=? AND id<=? LIMIT 1",
	[Q_DROP] = "DELETE FROM message WHERE id=?",
	[Q_DROP_CHUNKS] = "DELETE FROM chunk WHERE message=?",
	[Q_DROP_MORE] = "DELETE FROM message_more WHERE message=?",
	[Q_DROP_RCPT_MORE] = "DELETE FROM delivery_more WHERE id>=? AND id<=?",
	[Q_DEFER] = "UPDATE delivery SET attempts=attempts+1, " QUEUED ", next=?2, reason=?3 WHERE id=?1",
	[Q_POSTPONE] = "UPDATE delivery SET " QUEUED ", next=?2,"
	    " reason=CASE ?3 WHEN '' THEN reason ELSE ?3 END WHERE id=?1",
	[Q_WARNED] = "UPDATE delivery SET state=state | 2 WHERE id=?1",
	[Q_STATE] = "UPDATE delivery SET state=(state & 2) | ?2, " QUEUED ","
	    " next=CASE ?3 WHEN 0 THEN next ELSE ?3 END, reason=?4 WHERE id=?1",
	[Q_PENDING] = DELIVERY "WHERE d.id>? ORDER BY d.id LIMIT ?",
	[Q_FRESH] = DELIVERY "WHERE d.id>? AND d.queued=0 ORDER BY d.id LIMIT ?",
	[Q_DUE] = DELIVERY "WHERE " DUE " AND d.next<=?3 ORDER BY d.next, d.id LIMIT ?4",
	[Q_NEXT_DUE] = "SELECT d.next FROM delivery d WHERE " DUE " ORDER BY d.next LIMIT 1",
	[Q_FIND] = DELIVERY "WHERE d.id=?",
	[Q_BY_TEXT] = "SELECT id FROM message WHERE queue_id=? ORDER BY id DESC LIMIT 1",
	[Q_CONTENT] = "SELECT content, size, flags FROM message WHERE id=?",
	[Q_CHUNKS] = "SELECT data FROM chunk WHERE message=? ORDER BY n",
	[Q_COUNT_M] = "SELECT count(*), coalesce(sum(size),0), coalesce(min(received),0) FROM message",
	[Q_COUNT_D] = "SELECT count(*), coalesce(sum(state & 1),0) FROM delivery",
	[Q_FLOOR] = "SELECT id FROM delivery WHERE id>=? ORDER BY id LIMIT 1",
	[Q_SPOOL] = "SELECT reserved, clock, wall FROM spool",
	[Q_RESERVE] = "UPDATE spool SET reserved=?",
	[Q_CLOCK] = "UPDATE spool SET clock=?, wall=?",
	[Q_SIZE] = "SELECT size, flags FROM message WHERE id=?",
	[Q_RULE_ADD] = "INSERT INTO hold_rule VALUES(NULL,?,?,?) RETURNING id",
	[Q_RULE_DELETE] = "DELETE FROM hold_rule WHERE id=?",
	[Q_RULES] = "SELECT id, kind, pattern, reason FROM hold_rule ORDER BY id",
	[Q_RULE_COUNT] = "SELECT count(*) FROM hold_rule",
	[Q_ONCE] = "INSERT INTO once VALUES(?,?)",
	[Q_ONCE_HAS] = "SELECT count(*) FROM once WHERE key=?",
	[Q_ONCE_OLD] = "DELETE FROM once WHERE key IN (SELECT key FROM once WHERE at<? ORDER BY at LIMIT 4)",
};

/* Where the queue time goes on: what passed by the clock since it was noted, within bounds. */
static uint64_t
resume(uint64_t clock, uint64_t wall, uint64_t now)
{
	if (clock == 0)
		return now;
	if (now <= wall)
		return clock;
	return clock + (now - wall < SPOOL_GAP ? now - wall : SPOOL_GAP);
}

static enum store_err
read_spool(struct spool *s, uint64_t now)
{
	uint64_t start = now / 1000000 << ID_BITS;
	sqlite3_stmt *q = db_stmt(&s->db, Q_SPOOL);

	if (!db_row(&s->db, q))
		return s->db.err != STORE_OK ? s->db.err : STORE_DAMAGED;
	s->reserved = db_get_int(q, 0);
	s->resumed = resume(db_get_int(q, 1), db_get_int(q, 2), now);
	db_done(q);
	if (s->reserved < start)
		s->reserved = start;
	s->next = s->reserved; /* what an earlier process had reserved and not given is skipped */
	return db_number(&s->db, db_stmt(&s->db, Q_COUNT_D), &s->open);
}

enum store_err
spool_open(const char *path, uint64_t now, struct spool **out)
{
	const struct db_options o = { .path = path, .sql = text, .sqls = Q_MAX, .steps = steps,
		.nsteps = sizeof steps / sizeof steps[0], .page_size = 4096, .cache_kib = 4096,
		.checkpoint_pages = 4096, .durable = true };
	struct spool *s = calloc(1, sizeof *s);
	enum store_err e;

	if (s == NULL)
		return STORE_FULL;
	e = db_open(&s->db, &o);
	if (e == STORE_OK)
		e = read_spool(s, now);
	if (e != STORE_OK) {
		db_close(&s->db);
		free(s);
		return e == STORE_NONE ? STORE_DAMAGED : e;
	}
	*out = s;
	return STORE_OK;
}

void
spool_close(struct spool **sp)
{
	struct spool *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	db_close(&s->db);
	free(s);
}

enum store_err
spool_begin(struct spool *s)
{
	return db_begin(&s->db);
}

static bool
fits(const struct spool_message *m)
{
	if (m->queue_id.n == 0 || m->queue_id.n > TEXT_ID || m->session.n > TEXT_ID ||
	    m->sender.n > LIMIT_SMTP_ADDRESS || (m->fd == -1 && m->content.n != m->size))
		return false;
	if (m->received > INT64_MAX || m->account > INT64_MAX || m->queued > INT64_MAX ||
	    m->first > INT64_MAX || m->by > INT64_MAX || m->priority < -9 || m->priority > 9 ||
	    m->once.n > SPOOL_ONCE || m->envid.n > SPOOL_ENVID || m->folder.n > SPOOL_FOLDER || m->flags > SPOOL_FLAGS)
		return false;
	for (size_t i = 0; i < m->rcpts; i++)
		if (m->rcpt[i].address.n == 0 || m->rcpt[i].address.n > LIMIT_SMTP_ADDRESS ||
		    m->rcpt[i].original.n > 2 * LIMIT_SMTP_ADDRESS ||
		    m->rcpt[i].account > INT64_MAX || m->rcpt[i].sender.n > LIMIT_SMTP_ADDRESS ||
		    m->rcpt[i].orcpt.n > SPOOL_ORCPT || m->rcpt[i].owner >= INT64_MAX ||
		    (m->rcpt[i].listed && m->rcpt[i].sender.n == 0))
			return false;
	return true;
}

static enum store_err
take_id(struct spool *s, uint64_t *id)
{
	if (s->next >= s->reserved) {
		sqlite3_stmt *q = db_stmt(&s->db, Q_RESERVE);
		enum store_err e;

		db_int(q, 1, s->next + BLOCK);
		e = db_run(&s->db, q);
		if (e != STORE_OK)
			return e;
		s->reserved = s->next + BLOCK;
	}
	*id = s->next++;
	return STORE_OK;
}

/* A part as it is stored: itself, or sealed in b. */
static enum store_err
sealed(struct spool *s, uint64_t id, uint64_t n, const struct source *src, struct slice *part, struct buf *b)
{
	if (!s->seals)
		return STORE_OK;
	buf_reset(b);
	if (!s->cipher.seal(s->cipher.ctx, id, n, src->at == source_total(src), *part, b) || b->bad)
		return STORE_FULL;
	*part = buf_slice(b);
	return STORE_OK;
}

static enum store_err
add_chunks(struct spool *s, uint64_t id, struct source *src, struct buf *b)
{
	for (uint64_t n = 1; src->at < source_total(src); n++) {
		struct slice part;
		sqlite3_stmt *q;
		enum store_err e = source_next(src, &part);

		if (e == STORE_OK)
			e = sealed(s, id, n, src, &part, b);
		if (e != STORE_OK)
			return db_fail(&s->db, e);
		q = db_stmt(&s->db, Q_ADD_CHUNK);
		db_int(q, 1, id);
		db_int(q, 2, n);
		db_blob(q, 3, part);
		if (db_run(&s->db, q) != STORE_OK)
			return s->db.err;
	}
	return STORE_OK;
}

static bool
has_more(const struct spool_message *m)
{
	return m->priority != 0 || m->by != 0 || m->envid.n > 0 || m->folder.n > 0;
}

static bool
rcpt_has_more(const struct spool_rcpt *r)
{
	return r->notify != 0 || r->sender.n > 0 || r->orcpt.n > 0;
}

static uint32_t
flags_of(const struct spool_message *m)
{
	uint32_t flags = m->flags | (has_more(m) ? SPOOL_MORE : 0);

	for (size_t i = 0; i < m->rcpts; i++)
		if (rcpt_has_more(&m->rcpt[i]))
			return flags | SPOOL_RCPT_MORE;
	return flags;
}

static enum store_err
add_more(struct spool *s, uint64_t id, const struct spool_message *m)
{
	sqlite3_stmt *q = db_stmt(&s->db, Q_ADD_MORE);

	db_int(q, 1, id);
	db_int(q, 2, (uint64_t)(int64_t)m->priority);
	db_int(q, 3, m->by);
	db_text(q, 4, m->envid);
	db_text(q, 5, m->folder);
	return db_run(&s->db, q);
}

static enum store_err
add_message(struct spool *s, uint64_t id, const struct spool_message *m)
{
	struct source src = { .content = m->content, .fd = m->fd, .size = m->size };
	own(buf_t) b = { .max = STORE_CHUNK + SPOOL_SEAL_ROOM };
	struct slice first;
	sqlite3_stmt *q;
	enum store_err e = source_next(&src, &first);

	if (e == STORE_OK)
		e = sealed(s, id, 0, &src, &first, &b);
	if (e != STORE_OK) { /* nothing written yet: only this message fails */
		source_free(&src);
		return e == STORE_IO ? STORE_REFUSED : e;
	}
	q = db_stmt(&s->db, Q_ADD);
	db_int(q, 1, id);
	db_text(q, 2, m->queue_id);
	db_text(q, 3, m->session);
	db_text(q, 4, m->sender);
	db_int(q, 5, m->account);
	db_int(q, 6, m->received);
	db_int(q, 7, flags_of(m) | (s->seals ? SPOOL_SEALED : 0));
	db_int(q, 8, m->size);
	db_blob(q, 9, first);
	e = db_run(&s->db, q);
	if (e == STORE_OK)
		e = add_chunks(s, id, &src, &b);
	source_free(&src);
	if (e == STORE_OK && has_more(m))
		e = add_more(s, id, m);
	return e;
}

static enum store_err
add_rcpt(struct spool *s, uint64_t id, const struct spool_message *m, const struct spool_rcpt *r)
{
	uint64_t now = m->queued != 0 ? m->queued : m->received;
	bool waits = m->first > now;
	sqlite3_stmt *q = db_stmt(&s->db, Q_ADD_RCPT);

	db_int(q, 1, id);
	db_int(q, 2, r->account);
	db_int(q, 3, m->held.n > 0 ? SPOOL_HELD : SPOOL_ACTIVE);
	db_int(q, 4, waits ? m->first : now);
	db_text(q, 5, r->address);
	db_text(q, 6, r->original);
	db_text(q, 7, slice_head(m->held, SPOOL_REASON));
	db_int(q, 8, waits || m->held.n > 0 ? now : 0);
	if (db_run(&s->db, q) != STORE_OK || !rcpt_has_more(r))
		return s->db.err;
	q = db_stmt(&s->db, Q_ADD_RCPT_MORE);
	db_int(q, 1, id);
	db_text(q, 2, r->sender);
	db_int(q, 3, r->notify);
	db_text(q, 4, r->orcpt);
	db_int(q, 5, r->listed ? r->owner + 1 : 0);
	return db_run(&s->db, q);
}

/* Was a message with this key taken before? */
static enum store_err
first_of_key(struct spool *s, const struct spool_message *m)
{
	sqlite3_stmt *q = db_stmt(&s->db, Q_ONCE_HAS);
	uint64_t n = 0;
	enum store_err e;

	db_blob(q, 1, m->once);
	e = db_number(&s->db, q, &n);
	return e == STORE_OK && n > 0 ? STORE_EXISTS : e;
}

/* In the transaction that takes the message, and only when it is taken; some old keys go. */
static enum store_err
keep_key(struct spool *s, const struct spool_message *m)
{
	uint64_t now = m->queued != 0 ? m->queued : m->received;
	sqlite3_stmt *q = db_stmt(&s->db, Q_ONCE_OLD);

	db_int(q, 1, now > SPOOL_ONCE_US ? now - SPOOL_ONCE_US : 0);
	(void)db_run(&s->db, q);
	q = db_stmt(&s->db, Q_ONCE);
	db_blob(q, 1, m->once);
	db_int(q, 2, now);
	return db_run(&s->db, q);
}

enum store_err
spool_accept(struct spool *s, const struct spool_message *m, uint64_t *id)
{
	uint64_t mine;
	enum store_err e;

	PN_ASSERT(s->db.open_tx);
	if (s->db.err != STORE_OK)
		return s->db.err;
	if (m->size > LIMIT_STORE_MESSAGE || m->rcpts > SPOOL_RCPTS)
		return STORE_LIMIT;
	if (m->rcpts == 0 || !fits(m))
		return STORE_REFUSED;
	e = m->once.n > 0 ? first_of_key(s, m) : STORE_OK;
	if (e != STORE_OK)
		return e;
	e = take_id(s, &mine);
	if (e == STORE_OK)
		e = add_message(s, mine, m);
	if (e != STORE_OK)
		return e;
	for (size_t i = 0; i < m->rcpts; i++)
		if (add_rcpt(s, spool_delivery_id(mine, i), m, &m->rcpt[i]) != STORE_OK)
			return s->db.err;
	if (m->once.n > 0 && keep_key(s, m) != STORE_OK)
		return s->db.err;
	s->added += m->rcpts;
	*id = mine;
	return STORE_OK;
}

/* Runs a change of one delivery; STORE_NONE when there is no such row. */
static enum store_err
change(struct spool *s, sqlite3_stmt *q)
{
	enum store_err e = db_run(&s->db, q);

	if (e != STORE_OK)
		return e;
	return db_changed(&s->db) == 0 ? STORE_NONE : STORE_OK;
}

static enum store_err
drop(struct spool *s, unsigned statement, uint64_t first, uint64_t last)
{
	sqlite3_stmt *q = db_stmt(&s->db, statement);

	db_int(q, 1, first);
	if (last != 0)
		db_int(q, 2, last);
	return db_run(&s->db, q);
}

/* The message has no recipient any more: all of it goes. */
static enum store_err
drop_message(struct spool *s, uint64_t message)
{
	uint64_t size, flags;
	sqlite3_stmt *q = db_stmt(&s->db, Q_SIZE);

	db_int(q, 1, message);
	if (!db_row(&s->db, q))
		return db_fail(&s->db, STORE_DAMAGED);
	size = db_get_int(q, 0);
	flags = db_get_int(q, 1);
	db_done(q);
	if (size > STORE_CHUNK)
		(void)drop(s, Q_DROP_CHUNKS, message, 0);
	if ((flags & SPOOL_MORE) != 0)
		(void)drop(s, Q_DROP_MORE, message, 0);
	if ((flags & SPOOL_RCPT_MORE) != 0)
		(void)drop(s, Q_DROP_RCPT_MORE, spool_delivery_id(message, 0), spool_delivery_id(message, 1023));
	return drop(s, Q_DROP, message, 0);
}

enum store_err
spool_settle(struct spool *s, uint64_t delivery)
{
	uint64_t message = delivery >> SPOOL_RCPT_BITS, other;
	sqlite3_stmt *q;
	enum store_err e;

	PN_ASSERT(s->db.open_tx);
	q = db_stmt(&s->db, Q_DROP_RCPT);
	db_int(q, 1, delivery);
	e = change(s, q);
	if (e != STORE_OK)
		return e;
	s->dropped++;
	q = db_stmt(&s->db, Q_ANY_RCPT);
	db_int(q, 1, spool_delivery_id(message, 0));
	db_int(q, 2, spool_delivery_id(message, 1023));
	e = db_number(&s->db, q, &other);
	return e == STORE_NONE ? drop_message(s, message) : e;
}

static enum store_err
put_off(struct spool *s, unsigned statement, uint64_t delivery, uint64_t next, struct slice reason)
{
	sqlite3_stmt *q;

	PN_ASSERT(s->db.open_tx);
	q = db_stmt(&s->db, statement);
	db_int(q, 1, delivery);
	db_int(q, 2, next);
	db_text(q, 3, slice_head(reason, SPOOL_REASON));
	return change(s, q);
}

enum store_err
spool_defer(struct spool *s, uint64_t delivery, uint64_t next, struct slice reason)
{
	return put_off(s, Q_DEFER, delivery, next, reason);
}

enum store_err
spool_postpone(struct spool *s, uint64_t delivery, uint64_t next, struct slice reason)
{
	return put_off(s, Q_POSTPONE, delivery, next, reason);
}

enum store_err
spool_warned(struct spool *s, uint64_t delivery)
{
	sqlite3_stmt *q;

	PN_ASSERT(s->db.open_tx);
	q = db_stmt(&s->db, Q_WARNED);
	db_int(q, 1, delivery);
	return change(s, q);
}

enum store_err
spool_note_time(struct spool *s, uint64_t queue_time, uint64_t now)
{
	sqlite3_stmt *q;

	PN_ASSERT(s->db.open_tx);
	q = db_stmt(&s->db, Q_CLOCK);
	db_int(q, 1, queue_time);
	db_int(q, 2, now);
	return db_run(&s->db, q);
}

static enum store_err
set_state(struct spool *s, uint64_t delivery, enum spool_state st, uint64_t next,
    struct slice reason)
{
	sqlite3_stmt *q;

	PN_ASSERT(s->db.open_tx);
	q = db_stmt(&s->db, Q_STATE);
	db_int(q, 1, delivery);
	db_int(q, 2, st);
	db_int(q, 3, next);
	db_text(q, 4, slice_head(reason, SPOOL_REASON));
	return change(s, q);
}

enum store_err
spool_hold(struct spool *s, uint64_t delivery, struct slice reason)
{
	return set_state(s, delivery, SPOOL_HELD, 0, reason);
}

enum store_err
spool_release(struct spool *s, uint64_t delivery, uint64_t next)
{
	return set_state(s, delivery, SPOOL_ACTIVE, next, S(""));
}

/* After a rollback the reservation of this batch may be gone: ids already used in it are not given
 * again all the same. */
static void
forget_batch(struct spool *s)
{
	s->reserved = s->next;
	s->added = s->dropped = 0;
}

enum store_err
spool_commit(struct spool *s)
{
	enum store_err e = db_commit(&s->db);

	if (e != STORE_OK) {
		forget_batch(s);
		return e;
	}
	s->open += s->added;
	s->open -= s->dropped;
	s->added = s->dropped = 0;
	return STORE_OK;
}

void
spool_rollback(struct spool *s)
{
	db_rollback(&s->db);
	forget_batch(s);
}

void
spool_set_cipher(struct spool *s, const struct spool_cipher *c, bool seals)
{
	s->cipher = *c;
	s->seals = seals;
}

uint64_t
spool_open_deliveries(const struct spool *s)
{
	return s->open;
}

uint64_t
spool_resumed(const struct spool *s)
{
	return s->resumed;
}
