/* SPDX-License-Identifier: MIT
 * Reading the spool: deliveries, contents, counts; and the administrator's hold rules. */
#include "lib/base/own.h"
#include "lib/store/memfd.h"
#include "lib/store/spool_int.h"

static void
read_delivery(sqlite3_stmt *q, struct spool_delivery *d)
{
	uint64_t state = db_get_int(q, 9);

	*d = (struct spool_delivery){ .id = db_get_int(q, 0), .message = db_get_int(q, 1),
		.account = db_get_int(q, 2), .submitter = db_get_int(q, 3),
		.received = db_get_int(q, 4), .next = db_get_int(q, 5), .size = db_get_int(q, 6),
		.flags = (uint32_t)db_get_int(q, 7) & SPOOL_FLAGS,
		.attempts = (uint32_t)db_get_int(q, 8),
		.state = (state & 1) != 0 ? SPOOL_HELD : SPOOL_ACTIVE, .warned = (state & 2) != 0,
		.queue_id = db_get_blob(q, 10), .session = db_get_blob(q, 11),
		.sender = db_get_blob(q, 12), .address = db_get_blob(q, 13),
		.original = db_get_blob(q, 14), .reason = db_get_blob(q, 15),
		.queued = db_get_int(q, 16), .priority = (int)(int64_t)db_get_int(q, 17),
		.by = db_get_int(q, 18), .envid = db_get_blob(q, 19), .folder = db_get_blob(q, 20),
		.rcpt_sender = db_get_blob(q, 21), .notify = (uint32_t)db_get_int(q, 22),
		.orcpt = db_get_blob(q, 23) };
	uint64_t owner = db_get_int(q, 24);

	d->listed = owner > 0;
	d->owner = owner > 0 ? owner - 1 : 0;
	if (d->queued == 0)
		d->queued = d->next;
}

/* *last gets the last that fn took, or saw. */
static enum store_err
walk(struct spool *s, sqlite3_stmt *q, bool (*fn)(void *ctx, const struct spool_delivery *d), void *ctx,
    struct spool_due *last, bool count_refused)
{
	struct spool_delivery d;

	while (db_row(&s->db, q)) {
		bool took;

		read_delivery(q, &d);
		took = fn(ctx, &d);
		if (took || count_refused)
			*last = (struct spool_due){ .next = d.next, .id = d.id };
		if (!took) {
			db_done(q);
			break;
		}
	}
	return s->db.err;
}

static enum store_err
by_id(struct spool *s, unsigned statement, uint64_t after, size_t max,
    bool (*fn)(void *ctx, const struct spool_delivery *d), void *ctx, uint64_t *last, bool count_refused)
{
	struct spool_due seen = { .id = after };
	sqlite3_stmt *q;
	enum store_err e;

	(void)db_read(&s->db);
	q = db_stmt(&s->db, statement);
	db_int(q, 1, after);
	db_int(q, 2, max);
	e = walk(s, q, fn, ctx, &seen, count_refused);
	if (e == STORE_OK && last != NULL)
		*last = seen.id;
	return e;
}

enum store_err
spool_pending(struct spool *s, uint64_t after, size_t max,
    bool (*fn)(void *ctx, const struct spool_delivery *d), void *ctx, uint64_t *last)
{
	return by_id(s, Q_PENDING, after, max, fn, ctx, last, true);
}

enum store_err
spool_fresh(struct spool *s, uint64_t after, size_t max,
    bool (*fn)(void *ctx, const struct spool_delivery *d), void *ctx, uint64_t *last)
{
	return by_id(s, Q_FRESH, after, max, fn, ctx, last, false);
}

enum store_err
spool_due(struct spool *s, struct spool_due *at, uint64_t now, size_t max,
    bool (*fn)(void *ctx, const struct spool_delivery *d), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&s->db);
	q = db_stmt(&s->db, Q_DUE);
	db_int(q, 1, at->next);
	db_int(q, 2, at->id);
	db_int(q, 3, now);
	db_int(q, 4, max);
	return walk(s, q, fn, ctx, at, false);
}

enum store_err
spool_next_due(struct spool *s, const struct spool_due *at, uint64_t *next)
{
	sqlite3_stmt *q;

	(void)db_read(&s->db);
	q = db_stmt(&s->db, Q_NEXT_DUE);
	db_int(q, 1, at->next);
	db_int(q, 2, at->id);
	return db_number(&s->db, q, next);
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
	    arena_copy(a, d.original, &d.original) && arena_copy(a, d.reason, &d.reason) &&
	    arena_copy(a, d.envid, &d.envid) && arena_copy(a, d.folder, &d.folder) &&
	    arena_copy(a, d.rcpt_sender, &d.rcpt_sender) && arena_copy(a, d.orcpt, &d.orcpt);
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

/* What writes a content out, part by part. */
struct out {
	int fd;
	uint64_t message, parts, had, want;
	bool sealed;
	struct buf plain;
};

static enum store_err
write_part(const struct spool *s, struct out *o, struct slice part)
{
	uint64_t room = o->want - o->had;

	if (o->sealed) {
		buf_reset(&o->plain);
		/* it is the last when all is there with it; more than that would be damage */
		if (s->cipher.open == NULL || !s->cipher.open(s->cipher.ctx, o->message, o->parts, room <= STORE_CHUNK,
		    part, &o->plain) || o->plain.bad)
			return STORE_DAMAGED;
		part = buf_slice(&o->plain);
	}
	o->parts++;
	o->had += part.n;
	return part.n > room ? STORE_DAMAGED : memfd_write(o->fd, part);
}

static enum store_err
write_chunks(struct spool *s, struct out *o)
{
	sqlite3_stmt *q = db_stmt(&s->db, Q_CHUNKS);
	enum store_err e = STORE_OK;

	db_int(q, 1, o->message);
	while (e == STORE_OK && db_row(&s->db, q))
		e = write_part(s, o, db_get_blob(q, 0));
	db_done(q);
	return e;
}

static enum store_err
write_content(struct spool *s, struct out *o)
{
	sqlite3_stmt *q = db_stmt(&s->db, Q_CONTENT);
	enum store_err e;

	db_int(q, 1, o->message);
	if (!db_row(&s->db, q))
		return s->db.err != STORE_OK ? s->db.err : STORE_NONE;
	o->want = db_get_int(q, 1);
	o->sealed = (db_get_int(q, 2) & SPOOL_SEALED) != 0;
	e = write_part(s, o, db_get_blob(q, 0));
	db_done(q);
	if (e == STORE_OK && o->want > STORE_CHUNK)
		e = write_chunks(s, o);
	if (e == STORE_OK)
		e = s->db.err;
	return e == STORE_OK && o->had != o->want ? STORE_DAMAGED : e;
}

enum store_err
spool_content(struct spool *s, uint64_t message, int *fd, uint64_t *size)
{
	own(fd_t) mem = memfd_new("message");
	struct out o = { .fd = mem, .message = message };
	enum store_err e = db_read(&s->db);

	if (mem < 0)
		return STORE_FULL;
	buf_init(&o.plain, STORE_CHUNK);
	if (e == STORE_OK)
		e = write_content(s, &o);
	buf_free(&o.plain);
	if (e == STORE_OK)
		e = memfd_seal(mem);
	if (e != STORE_OK)
		return e;
	*fd = fd_take(&mem);
	if (size != NULL)
		*size = o.want;
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

/* ---- hold rules --------------------------------------------------------------------------------- */

enum store_err
spool_rule_add(struct spool *s, const struct spool_rule *r, uint64_t *id)
{
	uint64_t had = 0, given = 0;
	sqlite3_stmt *q;
	enum store_err e;

	if (r->pattern.n == 0 || r->pattern.n > 320)
		return STORE_REFUSED;
	(void)db_read(&s->db);
	if (db_number(&s->db, db_stmt(&s->db, Q_RULE_COUNT), &had) == STORE_OK && had >= SPOOL_RULES)
		return STORE_LIMIT;
	(void)db_begin(&s->db);
	q = db_stmt(&s->db, Q_RULE_ADD);
	db_int(q, 1, r->kind);
	db_text(q, 2, r->pattern);
	db_text(q, 3, slice_head(r->reason, SPOOL_REASON));
	(void)db_number(&s->db, q, &given);
	e = db_commit(&s->db);
	if (e == STORE_OK)
		*id = given;
	return e;
}

enum store_err
spool_rule_delete(struct spool *s, uint64_t id)
{
	sqlite3_stmt *q;
	bool none;
	enum store_err e;

	(void)db_begin(&s->db);
	q = db_stmt(&s->db, Q_RULE_DELETE);
	db_int(q, 1, id);
	(void)db_run(&s->db, q);
	none = db_changed(&s->db) == 0;
	e = db_commit(&s->db);
	return e == STORE_OK && none ? STORE_NONE : e;
}

enum store_err
spool_rules(struct spool *s, bool (*fn)(void *ctx, const struct spool_rule *r), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&s->db);
	q = db_stmt(&s->db, Q_RULES);
	while (db_row(&s->db, q)) {
		struct spool_rule r = { .id = db_get_int(q, 0), .kind = (enum spool_rule_kind)db_get_int(q, 1),
			.pattern = db_get_blob(q, 2), .reason = db_get_blob(q, 3) };

		if (!fn(ctx, &r)) {
			db_done(q);
			break;
		}
	}
	return s->db.err;
}
