/* SPDX-License-Identifier: MIT
 * What we owe others: days that are counted, planned, and sent once. */
#include "lib/base/limits.h"
#include "lib/store/reports_int.h"

enum store_err
reports_period(struct reports *r, enum report_kind kind, uint64_t day, uint64_t *period)
{
	uint64_t planned = 0;
	sqlite3_stmt *q;

	(void)db_read(&r->db);
	q = db_stmt(&r->db, Q_PART);
	db_int(q, 1, kind);
	db_int(q, 2, day * REPORTS_PARTS);
	db_int(q, 3, (day + 1) * REPORTS_PARTS);
	if (db_number(&r->db, q, &planned) != STORE_OK)
		return r->db.err;
	*period = day * REPORTS_PARTS + (planned < REPORTS_PARTS ? planned : REPORTS_PARTS - 1);
	return STORE_OK;
}

enum store_err
reports_count(struct reports *r, enum report_kind kind, uint64_t period, struct slice domain,
    struct slice packed, struct slice policy, uint64_t n)
{
	sqlite3_stmt *q = db_stmt(&r->db, Q_COUNT);
	uint64_t rows = 0;

	if (domain.n > LIMIT_DOMAIN || packed.n > LIMIT_REPORT_PACKED)
		return STORE_LIMIT;
	db_int(q, 1, kind);
	db_int(q, 2, period);
	db_text(q, 3, domain);
	db_blob(q, 4, packed);
	db_int(q, 5, n);
	if (db_run(&r->db, q) == STORE_OK && db_changed(&r->db) == 0) {
		q = db_stmt(&r->db, Q_SIZE);
		db_int(q, 1, kind);
		db_int(q, 2, period);
		if (db_number(&r->db, q, &rows) == STORE_OK && rows >= LIMIT_REPORT_SEEN)
			return STORE_LIMIT;
		q = db_stmt(&r->db, Q_COUNT_NEW);
		db_int(q, 1, kind);
		db_int(q, 2, period);
		db_text(q, 3, domain);
		db_blob(q, 4, packed);
		db_int(q, 5, n);
		(void)db_run(&r->db, q);
	}
	if (policy.n == 0)
		return r->db.err;
	q = db_stmt(&r->db, Q_PUBLISH);
	db_int(q, 1, kind);
	db_int(q, 2, period);
	db_text(q, 3, domain);
	db_blob(q, 4, policy);
	return db_run(&r->db, q);
}

enum store_err
reports_position(struct reports *r, uint64_t *event)
{
	(void)db_read(&r->db);
	return db_number(&r->db, db_stmt(&r->db, Q_POSITION), event);
}

enum store_err
reports_passed(struct reports *r, uint64_t event)
{
	sqlite3_stmt *q = db_stmt(&r->db, Q_MOVE);

	db_int(q, 1, event);
	return db_run(&r->db, q);
}

enum store_err
reports_open_period(struct reports *r, enum report_kind kind, uint64_t before, uint64_t *period)
{
	sqlite3_stmt *q;

	(void)db_read(&r->db);
	q = db_stmt(&r->db, Q_DAY);
	db_int(q, 1, kind);
	db_int(q, 2, before);
	return db_number(&r->db, q, period);
}

enum store_err
reports_published(struct reports *r, enum report_kind kind, uint64_t period, struct slice domain,
    struct arena *a, struct slice *policy)
{
	struct slice found = S("");
	bool copied = true;
	sqlite3_stmt *q;

	(void)db_read(&r->db);
	q = db_stmt(&r->db, Q_PUBLISHED);
	db_int(q, 1, kind);
	db_int(q, 2, period);
	db_text(q, 3, domain);
	if (db_row(&r->db, q))
		copied = arena_copy(a, db_get_blob(q, 0), &found);
	db_done(q);
	if (r->db.err != STORE_OK || !copied)
		return copied ? r->db.err : STORE_LIMIT;
	*policy = found;
	return STORE_OK;
}

enum store_err
reports_rows(struct reports *r, enum report_kind kind, uint64_t period, struct slice domain,
    bool (*fn)(void *ctx, struct slice packed, uint64_t n), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&r->db);
	q = db_stmt(&r->db, Q_ROWS);
	db_int(q, 1, kind);
	db_int(q, 2, period);
	db_text(q, 3, domain);
	while (db_row(&r->db, q) && fn(ctx, db_get_blob(q, 0), db_get_int(q, 1)))
		;
	db_done(q);
	return r->db.err;
}

enum store_err
reports_plan(struct reports *r, enum report_kind kind, uint64_t period, uint64_t next, uint64_t *n)
{
	sqlite3_stmt *q;

	(void)db_begin(&r->db);
	q = db_stmt(&r->db, Q_PLAN);
	db_int(q, 1, kind);
	db_int(q, 2, period);
	db_int(q, 3, next);
	if (db_run(&r->db, q) == STORE_OK)
		*n = db_changed(&r->db);
	q = db_stmt(&r->db, Q_PLANNED);
	db_int(q, 1, kind);
	db_int(q, 2, period);
	(void)db_run(&r->db, q);
	return db_commit(&r->db);
}

static enum owed_state
state_of(uint64_t n)
{
	static const enum owed_state states[] = { OWED_OPEN, OWED_SENDING, OWED_SENT, OWED_NONE };

	return n < 4 ? states[n] : OWED_NONE;
}

static void
read_owed(sqlite3_stmt *q, struct reports_owed *o)
{
	*o = (struct reports_owed){ .kind = db_get_int(q, 0) == REPORT_TLS ? REPORT_TLS : REPORT_DMARC,
		.period = db_get_int(q, 1), .domain = db_get_blob(q, 2), .to = db_get_blob(q, 3),
		.state = state_of(db_get_int(q, 4)), .session = db_get_int(q, 5),
		.tries = (uint32_t)db_get_int(q, 6), .next = db_get_int(q, 7), .why = db_get_blob(q, 8), .most = db_get_int(q, 9) };
}

enum store_err
reports_due(struct reports *r, uint64_t now, struct arena *a, struct reports_owed *out)
{
	struct reports_owed o;
	sqlite3_stmt *q;
	bool copied;

	(void)db_read(&r->db);
	q = db_stmt(&r->db, Q_DUE);
	db_int(q, 1, now);
	if (!db_row(&r->db, q))
		return r->db.err != STORE_OK ? r->db.err : STORE_NONE;
	read_owed(q, &o);
	copied = arena_copy(a, o.domain, &o.domain) && arena_copy(a, o.to, &o.to) &&
	    arena_copy(a, o.why, &o.why);
	db_done(q);
	if (!copied)
		return STORE_LIMIT;
	*out = o;
	return STORE_OK;
}

/* Outside a transaction it is one of its own. */
static enum store_err
write_owed(struct reports *r, unsigned n, const struct reports_owed *o)
{
	bool mine = !r->db.open_tx;
	sqlite3_stmt *q;

	if (mine)
		(void)db_begin(&r->db);
	q = db_stmt(&r->db, n);
	db_int(q, 1, o->kind);
	db_int(q, 2, o->period);
	db_text(q, 3, o->domain);
	db_text(q, 4, o->to);
	if (n == Q_OWE) {
		db_int(q, 5, o->state);
		db_int(q, 6, o->session);
		db_int(q, 7, o->tries);
		db_int(q, 8, o->next);
		db_text(q, 9, o->why);
		db_int(q, 10, o->most);
	}
	(void)db_run(&r->db, q);
	return mine ? db_commit(&r->db) : r->db.err;
}

enum store_err
reports_owe(struct reports *r, const struct reports_owed *o)
{
	return write_owed(r, Q_OWE, o);
}

enum store_err
reports_forget_owed(struct reports *r, const struct reports_owed *o)
{
	return write_owed(r, Q_UNOWE, o);
}

enum store_err
reports_owed_list(struct reports *r, size_t skip, size_t max,
    bool (*fn)(void *ctx, const struct reports_owed *o), void *ctx)
{
	struct reports_owed o;
	sqlite3_stmt *q;

	(void)db_read(&r->db);
	q = db_stmt(&r->db, Q_OWED);
	db_int(q, 1, max);
	db_int(q, 2, skip);
	while (db_row(&r->db, q)) {
		read_owed(q, &o);
		if (!fn(ctx, &o))
			break;
	}
	db_done(q);
	return r->db.err;
}

enum store_err
reports_forget_periods(struct reports *r, uint64_t before)
{
	static const unsigned what[] = { Q_FORGET_SEEN, Q_FORGET_PUBLISHED, Q_FORGET_DAYS, Q_FORGET_OWED };

	(void)db_begin(&r->db);
	for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
		sqlite3_stmt *q = db_stmt(&r->db, what[i]);

		db_int(q, 1, before);
		(void)db_run(&r->db, q);
	}
	return db_commit(&r->db);
}
