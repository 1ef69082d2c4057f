/* SPDX-License-Identifier: MIT
 *
 *   message(id, ..., content)   chunk(message, n, data)   delivery(id = message << 10 | i, ...)
 *
 * A message row goes with its last delivery row. Nothing is indexed but the ids: the queue holds the
 * schedule in memory, and lists walk in order of id.
 *
 * Ids come from a block that is reserved on the disk by the transaction that first uses it, so that
 * giving one costs no write. */
#include "lib/store/spool.h"

#include <stdlib.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/store/db.h"
#include "lib/store/memfd.h"

#define BLOCK 4096u		/* message ids reserved at a time */
#define ID_BITS 20u		/* a new spool starts at seconds << 20 */
#define TEXT_ID ((size_t)64)

struct spool {
	struct db db;
	uint64_t next, reserved;	/* message ids: next to give, first not reserved */
	uint64_t floor;			/* no open delivery is below it */
};

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
};

enum { Q_ADD, Q_ADD_CHUNK, Q_ADD_RCPT, Q_DROP_RCPT, Q_ANY_RCPT, Q_DROP, Q_DROP_CHUNKS, Q_DEFER,
	Q_STATE, Q_PENDING, Q_FIND, Q_BY_TEXT, Q_CONTENT, Q_CHUNKS, Q_COUNT_M, Q_COUNT_D, Q_FLOOR,
	Q_RESERVED, Q_RESERVE, Q_SIZE, Q_MAX };

#define DELIVERY "SELECT d.id, m.id, d.account, m.submitter, m.received, d.next, m.size, m.flags," \
	" d.attempts, d.state, m.queue_id, m.session, m.sender, d.address, d.original, d.reason" \
	" FROM delivery d JOIN message m ON m.id = d.id >> 10 "

static const char *const text[] = {
	[Q_ADD] = "INSERT INTO message VALUES(?,?,?,?,?,?,?,?,?)",
	[Q_ADD_CHUNK] = "INSERT INTO chunk VALUES(?,?,?)",
	[Q_ADD_RCPT] = "INSERT INTO delivery VALUES(?,?,0,0,?,?,?,'')",
	[Q_DROP_RCPT] = "DELETE FROM delivery WHERE id=?",
	[Q_ANY_RCPT] = "SELECT id FROM delivery WHERE id>=? AND id<=? LIMIT 1",
	[Q_DROP] = "DELETE FROM message WHERE id=?",
	[Q_DROP_CHUNKS] = "DELETE FROM chunk WHERE message=?",
	[Q_DEFER] = "UPDATE delivery SET attempts=attempts+1, next=?2, reason=?3 WHERE id=?1",
	[Q_STATE] = "UPDATE delivery SET state=?2, next=CASE ?3 WHEN 0 THEN next ELSE ?3 END,"
	    " reason=?4 WHERE id=?1",
	[Q_PENDING] = DELIVERY "WHERE d.id>? ORDER BY d.id LIMIT ?",
	[Q_FIND] = DELIVERY "WHERE d.id=?",
	[Q_BY_TEXT] = "SELECT id FROM message WHERE queue_id=? ORDER BY id DESC LIMIT 1",
	[Q_CONTENT] = "SELECT content, size FROM message WHERE id=?",
	[Q_CHUNKS] = "SELECT data FROM chunk WHERE message=? ORDER BY n",
	[Q_COUNT_M] = "SELECT count(*), coalesce(sum(size),0), coalesce(min(received),0)"
	    " FROM message",
	[Q_COUNT_D] = "SELECT count(*), coalesce(sum(state),0) FROM delivery",
	[Q_FLOOR] = "SELECT id FROM delivery WHERE id>=? ORDER BY id LIMIT 1",
	[Q_RESERVED] = "SELECT reserved FROM spool",
	[Q_RESERVE] = "UPDATE spool SET reserved=?",
	[Q_SIZE] = "SELECT size FROM message WHERE id=?",
};

enum store_err
spool_open(const char *path, uint64_t now, struct spool **out)
{
	const struct db_options o = { .path = path, .sql = text, .sqls = Q_MAX, .steps = steps,
		.nsteps = sizeof steps / sizeof steps[0], .page_size = 4096, .cache_kib = 4096,
		.checkpoint_pages = 4096, .durable = true };
	struct spool *s = calloc(1, sizeof *s);
	uint64_t start = now / 1000000 << ID_BITS;
	enum store_err e;

	if (s == NULL)
		return STORE_FULL;
	e = db_open(&s->db, &o);
	if (e == STORE_OK)
		e = db_number(&s->db, db_stmt(&s->db, Q_RESERVED), &s->reserved);
	if (e != STORE_OK) {
		db_close(&s->db);
		free(s);
		return e == STORE_NONE ? STORE_DAMAGED : e;
	}
	if (s->reserved < start)
		s->reserved = start;
	s->next = s->reserved; /* what an earlier process had reserved and not given is skipped */
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
	if (m->received > INT64_MAX || m->account > INT64_MAX)
		return false;
	for (size_t i = 0; i < m->rcpts; i++)
		if (m->rcpt[i].address.n == 0 || m->rcpt[i].address.n > LIMIT_SMTP_ADDRESS ||
		    m->rcpt[i].original.n > 2 * LIMIT_SMTP_ADDRESS ||
		    m->rcpt[i].account > INT64_MAX)
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

static enum store_err
add_chunks(struct spool *s, uint64_t id, struct source *src)
{
	for (uint64_t n = 1; src->at < source_total(src); n++) {
		struct slice part;
		sqlite3_stmt *q;
		enum store_err e = source_next(src, &part);

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

static enum store_err
add_message(struct spool *s, uint64_t id, const struct spool_message *m)
{
	struct source src = { .content = m->content, .fd = m->fd, .size = m->size };
	struct slice first;
	sqlite3_stmt *q;
	enum store_err e = source_next(&src, &first);

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
	db_int(q, 7, m->flags);
	db_int(q, 8, m->size);
	db_blob(q, 9, first);
	e = db_run(&s->db, q);
	if (e == STORE_OK)
		e = add_chunks(s, id, &src);
	source_free(&src);
	return e;
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
	e = take_id(s, &mine);
	if (e == STORE_OK)
		e = add_message(s, mine, m);
	if (e != STORE_OK)
		return e;
	for (size_t i = 0; i < m->rcpts; i++) {
		sqlite3_stmt *q = db_stmt(&s->db, Q_ADD_RCPT);

		db_int(q, 1, spool_delivery_id(mine, i));
		db_int(q, 2, m->rcpt[i].account);
		db_int(q, 3, m->received);
		db_text(q, 4, m->rcpt[i].address);
		db_text(q, 5, m->rcpt[i].original);
		if (db_run(&s->db, q) != STORE_OK)
			return s->db.err;
	}
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

enum store_err
spool_settle(struct spool *s, uint64_t delivery)
{
	uint64_t message = delivery >> SPOOL_RCPT_BITS, other, size;
	sqlite3_stmt *q;
	enum store_err e;

	PN_ASSERT(s->db.open_tx);
	q = db_stmt(&s->db, Q_DROP_RCPT);
	db_int(q, 1, delivery);
	e = change(s, q);
	if (e != STORE_OK)
		return e;
	q = db_stmt(&s->db, Q_ANY_RCPT);
	db_int(q, 1, spool_delivery_id(message, 0));
	db_int(q, 2, spool_delivery_id(message, 1023));
	e = db_number(&s->db, q, &other);
	if (e != STORE_NONE)
		return e;
	q = db_stmt(&s->db, Q_SIZE);
	db_int(q, 1, message);
	e = db_number(&s->db, q, &size);
	if (e != STORE_OK)
		return e == STORE_NONE ? db_fail(&s->db, STORE_DAMAGED) : e;
	if (size > STORE_CHUNK) {
		q = db_stmt(&s->db, Q_DROP_CHUNKS);
		db_int(q, 1, message);
		(void)db_run(&s->db, q);
	}
	q = db_stmt(&s->db, Q_DROP);
	db_int(q, 1, message);
	return db_run(&s->db, q);
}

enum store_err
spool_defer(struct spool *s, uint64_t delivery, uint64_t next, struct slice reason)
{
	sqlite3_stmt *q;

	PN_ASSERT(s->db.open_tx);
	q = db_stmt(&s->db, Q_DEFER);
	db_int(q, 1, delivery);
	db_int(q, 2, next);
	db_text(q, 3, slice_head(reason, SPOOL_REASON));
	return change(s, q);
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
forget_block(struct spool *s)
{
	s->reserved = s->next;
}

enum store_err
spool_commit(struct spool *s)
{
	enum store_err e = db_commit(&s->db);

	if (e != STORE_OK)
		forget_block(s);
	return e;
}

void
spool_rollback(struct spool *s)
{
	db_rollback(&s->db);
	forget_block(s);
}

static void
read_delivery(sqlite3_stmt *q, struct spool_delivery *d)
{
	*d = (struct spool_delivery){ .id = db_get_int(q, 0), .message = db_get_int(q, 1),
		.account = db_get_int(q, 2), .submitter = db_get_int(q, 3),
		.received = db_get_int(q, 4), .next = db_get_int(q, 5), .size = db_get_int(q, 6),
		.flags = (uint32_t)db_get_int(q, 7), .attempts = (uint32_t)db_get_int(q, 8),
		.state = db_get_int(q, 9) == SPOOL_HELD ? SPOOL_HELD : SPOOL_ACTIVE,
		.queue_id = db_get_blob(q, 10), .session = db_get_blob(q, 11),
		.sender = db_get_blob(q, 12), .address = db_get_blob(q, 13),
		.original = db_get_blob(q, 14), .reason = db_get_blob(q, 15) };
}

enum store_err
spool_pending(struct spool *s, uint64_t after, size_t max,
    bool (*fn)(void *ctx, const struct spool_delivery *d), void *ctx, uint64_t *last)
{
	struct spool_delivery d;
	uint64_t seen = after;
	sqlite3_stmt *q;

	(void)db_read(&s->db);
	q = db_stmt(&s->db, Q_PENDING);
	db_int(q, 1, after);
	db_int(q, 2, max);
	while (db_row(&s->db, q)) {
		read_delivery(q, &d);
		seen = d.id;
		if (!fn(ctx, &d)) {
			db_done(q);
			break;
		}
	}
	if (s->db.err == STORE_OK && last != NULL)
		*last = seen;
	return s->db.err;
}

enum store_err
spool_find(struct spool *s, uint64_t delivery, struct arena *a, struct spool_delivery *out)
{
	struct spool_delivery d;
	sqlite3_stmt *q;
	bool ok;

	(void)db_read(&s->db);
	q = db_stmt(&s->db, Q_FIND);
	db_int(q, 1, delivery);
	if (!db_row(&s->db, q))
		return s->db.err != STORE_OK ? s->db.err : STORE_NONE;
	read_delivery(q, &d);
	ok = arena_copy(a, d.queue_id, &d.queue_id) && arena_copy(a, d.session, &d.session) &&
	    arena_copy(a, d.sender, &d.sender) && arena_copy(a, d.address, &d.address) &&
	    arena_copy(a, d.original, &d.original) && arena_copy(a, d.reason, &d.reason);
	db_done(q);
	if (!ok)
		return STORE_LIMIT;
	*out = d;
	return STORE_OK;
}

enum store_err
spool_by_queue_id(struct spool *s, struct slice queue_id, uint64_t *message)
{
	sqlite3_stmt *q;

	(void)db_read(&s->db);
	q = db_stmt(&s->db, Q_BY_TEXT);
	db_text(q, 1, queue_id);
	return db_number(&s->db, q, message);
}

static enum store_err
write_content(struct spool *s, uint64_t message, int fd, uint64_t *size)
{
	uint64_t had = 0, want;
	sqlite3_stmt *q = db_stmt(&s->db, Q_CONTENT);
	struct slice part;
	enum store_err e;

	db_int(q, 1, message);
	if (!db_row(&s->db, q))
		return s->db.err != STORE_OK ? s->db.err : STORE_NONE;
	part = db_get_blob(q, 0);
	want = db_get_int(q, 1);
	had = part.n;
	e = memfd_write(fd, part);
	db_done(q);
	if (e != STORE_OK)
		return e;
	if (want > STORE_CHUNK) {
		q = db_stmt(&s->db, Q_CHUNKS);
		db_int(q, 1, message);
		while (e == STORE_OK && db_row(&s->db, q)) {
			part = db_get_blob(q, 0);
			had += part.n;
			e = memfd_write(fd, part);
		}
		db_done(q);
	}
	if (e == STORE_OK)
		e = s->db.err;
	if (e == STORE_OK && had != want)
		e = STORE_DAMAGED;
	if (e == STORE_OK)
		*size = want;
	return e;
}

enum store_err
spool_content(struct spool *s, uint64_t message, int *fd, uint64_t *size)
{
	own(fd_t) mem = memfd_new("message");
	uint64_t n = 0;
	enum store_err e = db_read(&s->db);

	if (mem < 0)
		return STORE_FULL;
	if (e == STORE_OK)
		e = write_content(s, message, mem, &n);
	if (e == STORE_OK)
		e = memfd_seal(mem);
	if (e != STORE_OK)
		return e;
	*fd = fd_take(&mem);
	if (size != NULL)
		*size = n;
	return STORE_OK;
}

enum store_err
spool_count(struct spool *s, struct spool_counts *out)
{
	struct spool_counts c = { .commits = s->db.commits };
	sqlite3_stmt *q;

	(void)db_read(&s->db);
	q = db_stmt(&s->db, Q_COUNT_M);
	if (db_row(&s->db, q)) {
		c.messages = db_get_int(q, 0);
		c.bytes = db_get_int(q, 1);
		c.oldest = db_get_int(q, 2);
		db_done(q);
	}
	q = db_stmt(&s->db, Q_COUNT_D);
	if (db_row(&s->db, q)) {
		c.deliveries = db_get_int(q, 0);
		c.held = db_get_int(q, 1);
		db_done(q);
	}
	if (s->db.err == STORE_OK)
		*out = c;
	return s->db.err;
}

enum store_err
spool_floor(struct spool *s, uint64_t *out)
{
	uint64_t found;
	sqlite3_stmt *q;
	enum store_err e;

	PN_ASSERT(!s->db.open_tx);
	(void)db_read(&s->db);
	q = db_stmt(&s->db, Q_FLOOR);
	db_int(q, 1, s->floor);
	e = db_number(&s->db, q, &found);
	if (e == STORE_NONE) {
		found = spool_delivery_id(s->next, 0);
		e = STORE_OK;
	}
	if (e == STORE_OK)
		*out = s->floor = found;
	return e;
}
