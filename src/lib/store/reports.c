/* SPDX-License-Identifier: MIT
 * What comes in: mails that wait to be read, and what they said. */
#include "lib/store/reports.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/store/memfd.h"
#include "lib/store/reports_int.h"

#define WHY ((size_t)200)

static const struct db_step steps[] = {
	{ "CREATE TABLE taken(delivery INTEGER PRIMARY KEY);"
	  "CREATE TABLE inbox(id INTEGER PRIMARY KEY AUTOINCREMENT, delivery INTEGER NOT NULL,"
	  " source INTEGER NOT NULL, at INTEGER NOT NULL, sender TEXT NOT NULL, rcpt TEXT NOT NULL,"
	  " size INTEGER NOT NULL, tries INTEGER NOT NULL, why TEXT NOT NULL);"
	  "CREATE TABLE piece(mail INTEGER NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL,"
	  " PRIMARY KEY(mail, n));"
	  "CREATE TABLE report(id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, source INTEGER,"
	  " at INTEGER, verified INTEGER, damaged INTEGER, sender TEXT, org TEXT, email TEXT,"
	  " report_id TEXT, domain TEXT, begin INTEGER, end INTEGER, policy TEXT, rows INTEGER,"
	  " messages INTEGER, failures INTEGER);"
	  "CREATE INDEX report_end ON report(end);"
	  "CREATE INDEX report_same ON report(report_id);"
	  "CREATE TABLE row(report INTEGER NOT NULL, source TEXT NOT NULL, header_from TEXT NOT NULL,"
	  " envelope_from TEXT NOT NULL, auth TEXT NOT NULL, count INTEGER NOT NULL, flags INTEGER NOT NULL);"
	  "CREATE INDEX row_report ON row(report);"
	  "CREATE TABLE tls_row(report INTEGER NOT NULL, policy TEXT NOT NULL, domain TEXT NOT NULL,"
	  " type TEXT NOT NULL, mx TEXT NOT NULL, ip TEXT NOT NULL, reason TEXT NOT NULL,"
	  " sessions INTEGER NOT NULL, failures INTEGER NOT NULL);"
	  "CREATE INDEX tls_row_report ON tls_row(report);"
	  "CREATE TABLE complaint(report INTEGER PRIMARY KEY, type TEXT NOT NULL, source TEXT NOT NULL,"
	  " mail_from TEXT NOT NULL, rcpt TEXT NOT NULL, domain TEXT NOT NULL, auth_failure TEXT NOT NULL,"
	  " result TEXT NOT NULL, arrival INTEGER NOT NULL, incidents INTEGER NOT NULL);"
	  "CREATE TABLE name(ip TEXT PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL);"
	  "CREATE TABLE seen(kind INTEGER NOT NULL, period INTEGER NOT NULL, domain TEXT NOT NULL,"
	  " packed BLOB NOT NULL, n INTEGER NOT NULL, PRIMARY KEY(kind, period, domain, packed));"
	  "CREATE TABLE published(kind INTEGER NOT NULL, period INTEGER NOT NULL, domain TEXT NOT NULL,"
	  " policy BLOB NOT NULL, PRIMARY KEY(kind, period, domain));"
	  "CREATE TABLE planned(kind INTEGER NOT NULL, period INTEGER NOT NULL, PRIMARY KEY(kind, period));"
	  "CREATE TABLE owed(kind INTEGER NOT NULL, period INTEGER NOT NULL, domain TEXT NOT NULL,"
	  " dest TEXT NOT NULL, state INTEGER NOT NULL, session INTEGER NOT NULL, tries INTEGER NOT NULL,"
	  " next INTEGER NOT NULL, why TEXT NOT NULL, most INTEGER NOT NULL,"
	  " PRIMARY KEY(kind, period, domain, dest));"
	  "CREATE TABLE state(one INTEGER PRIMARY KEY CHECK(one = 1), position INTEGER NOT NULL);"
	  "INSERT INTO state VALUES(1, 0)" },
};

enum store_err
reports_open(const char *path, struct reports **out)
{
	const struct db_options o = { .path = path, .sql = reports_sql, .sqls = Q_MAX, .steps = steps,
		.nsteps = sizeof steps / sizeof steps[0], .page_size = 4096, .cache_kib = 1024,
		.checkpoint_pages = 1024, .durable = true };
	struct reports *r = calloc(1, sizeof *r);
	enum store_err e;

	if (r == NULL)
		return STORE_FULL;
	e = db_open(&r->db, &o);
	if (e != STORE_OK) {
		db_close(&r->db);
		free(r);
		return e;
	}
	*out = r;
	return STORE_OK;
}

void
reports_close(struct reports **rp)
{
	struct reports *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	db_close(&r->db);
	free(r);
}

void reports_rest(struct reports *r) { db_rest(&r->db); }
enum store_err reports_begin(struct reports *r) { return db_begin(&r->db); }
enum store_err reports_commit(struct reports *r) { return db_commit(&r->db); }
void reports_rollback(struct reports *r) { db_rollback(&r->db); }

/* ---- the inbox ---- */

static void
add_pieces(struct reports *r, uint64_t id, uint64_t size, int fd)
{
	struct source src = { .fd = fd, .size = size };

	for (uint64_t n = 0; src.at < size && r->db.err == STORE_OK; n++) {
		sqlite3_stmt *q = db_stmt(&r->db, Q_PIECE);
		struct slice data = S("");

		(void)db_fail(&r->db, source_next(&src, &data));
		db_int(q, 1, id);
		db_int(q, 2, n);
		db_blob(q, 3, data);
		(void)db_run(&r->db, q);
	}
	source_free(&src);
}

static enum store_err
may_take(struct reports *r, const struct reports_mail *m)
{
	uint64_t there = 0, unread = 0;
	sqlite3_stmt *q;

	if (m->size > LIMIT_REPORT_MAIL || m->sender.n > LIMIT_SMTP_ADDRESS ||
	    m->rcpt.n > LIMIT_SMTP_ADDRESS)
		return STORE_LIMIT;
	(void)db_read(&r->db);
	q = db_stmt(&r->db, Q_TAKEN);
	db_int(q, 1, m->delivery);
	if (m->delivery != 0 && db_number(&r->db, q, &there) == STORE_OK && there > 0)
		return STORE_EXISTS;
	if (m->source == REPORT_BY_MAIL)
		(void)db_number(&r->db, db_stmt(&r->db, Q_UNREAD), &unread);
	return r->db.err != STORE_OK ? r->db.err : unread >= LIMIT_REPORT_INBOX ? STORE_FULL : STORE_OK;
}

enum store_err
reports_take(struct reports *r, const struct reports_mail *m, uint64_t floor, int fd, uint64_t *id)
{
	enum store_err e = may_take(r, m);
	uint64_t new;
	sqlite3_stmt *q;

	if (e != STORE_OK)
		return e;
	(void)db_begin(&r->db);
	q = db_stmt(&r->db, Q_UNTAKE);
	db_int(q, 1, floor);
	(void)db_run(&r->db, q);
	if (m->delivery != 0) {
		q = db_stmt(&r->db, Q_TAKE);
		db_int(q, 1, m->delivery);
		(void)db_run(&r->db, q);
	}
	q = db_stmt(&r->db, Q_MAIL);
	db_int(q, 1, m->delivery);
	db_int(q, 2, m->source);
	db_int(q, 3, m->at);
	db_text(q, 4, m->sender);
	db_text(q, 5, m->rcpt);
	db_int(q, 6, m->size);
	(void)db_run(&r->db, q);
	new = (uint64_t)sqlite3_last_insert_rowid(r->db.sql);
	add_pieces(r, new, m->size, fd);
	e = db_commit(&r->db);
	if (e == STORE_OK && id != NULL)
		*id = new;
	return e;
}

static void
read_mail(sqlite3_stmt *q, struct reports_mail *m)
{
	*m = (struct reports_mail){ .id = db_get_int(q, 0), .delivery = db_get_int(q, 1),
		.source = db_get_int(q, 2) == REPORT_BY_FILE ? REPORT_BY_FILE : REPORT_BY_MAIL,
		.at = db_get_int(q, 3), .sender = db_get_blob(q, 4), .rcpt = db_get_blob(q, 5),
		.size = db_get_int(q, 6), .tries = (uint32_t)db_get_int(q, 7), .why = db_get_blob(q, 8) };
}

static enum store_err
content(struct reports *r, uint64_t id, int *fd)
{
	sqlite3_stmt *q = db_stmt(&r->db, Q_PIECES);
	own(fd_t) mem = memfd_new("report");
	enum store_err e = mem < 0 ? STORE_FULL : STORE_OK;

	db_int(q, 1, id);
	while (e == STORE_OK && db_row(&r->db, q))
		e = memfd_write(mem, db_get_blob(q, 0));
	db_done(q);
	if (e == STORE_OK)
		e = r->db.err;
	if (e == STORE_OK)
		e = memfd_seal(mem);
	if (e == STORE_OK)
		*fd = fd_take(&mem);
	return e;
}

enum store_err
reports_next(struct reports *r, struct arena *a, struct reports_mail *m, int *fd)
{
	enum store_err e = db_read(&r->db);
	struct reports_mail one;
	sqlite3_stmt *q = db_stmt(&r->db, Q_NEXT);
	bool copied;

	if (!db_row(&r->db, q))
		return e != STORE_OK || r->db.err != STORE_OK ? r->db.err : STORE_NONE;
	read_mail(q, &one);
	copied = arena_copy(a, one.sender, &one.sender) && arena_copy(a, one.rcpt, &one.rcpt);
	db_done(q);
	if (!copied)
		return STORE_LIMIT;
	one.why = S("");
	e = content(r, one.id, fd);
	if (e == STORE_OK)
		*m = one;
	return e;
}

enum store_err
reports_unread(struct reports *r, uint64_t *n)
{
	(void)db_read(&r->db);
	return db_number(&r->db, db_stmt(&r->db, Q_UNREAD), n);
}

static void
drop_mail(struct reports *r, uint64_t id)
{
	static const unsigned what[] = { Q_DROP_PIECES, Q_DROP_MAIL };

	for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
		sqlite3_stmt *q = db_stmt(&r->db, what[i]);

		db_int(q, 1, id);
		(void)db_run(&r->db, q);
	}
}

enum store_err
reports_read(struct reports *r, uint64_t id)
{
	drop_mail(r, id);
	return r->db.err;
}

static enum store_err
alone(struct reports *r, unsigned n, uint64_t id, struct slice text)
{
	sqlite3_stmt *q;

	(void)db_begin(&r->db);
	q = db_stmt(&r->db, n);
	db_int(q, 1, id);
	if (text.n > 0)
		db_text(q, 2, text);
	(void)db_run(&r->db, q);
	return db_commit(&r->db);
}

enum store_err
reports_unreadable(struct reports *r, uint64_t id, struct slice why)
{
	return alone(r, Q_WHY, id, why.n == 0 ? S("unreadable") : slice_head(why, WHY));
}

enum store_err
reports_tried(struct reports *r, uint64_t id)
{
	return alone(r, Q_TRIED, id, S(""));
}

enum store_err
reports_inbox(struct reports *r, size_t max, bool (*fn)(void *ctx, const struct reports_mail *m), void *ctx)
{
	struct reports_mail m;
	sqlite3_stmt *q;

	(void)db_read(&r->db);
	q = db_stmt(&r->db, Q_INBOX);
	db_int(q, 1, max);
	while (db_row(&r->db, q)) {
		read_mail(q, &m);
		if (!fn(ctx, &m))
			break;
	}
	db_done(q);
	return r->db.err;
}

/* ---- what was read ---- */

enum store_err
reports_new(struct reports *r, uint64_t *id)
{
	if (db_run(&r->db, db_stmt(&r->db, Q_NEW)) == STORE_OK)
		*id = (uint64_t)sqlite3_last_insert_rowid(r->db.sql);
	return r->db.err;
}

static bool
is_there(struct reports *r, const struct reports_head *h)
{
	sqlite3_stmt *q = db_stmt(&r->db, Q_SAME);
	uint64_t n = 0;

	db_int(q, 1, h->kind);
	db_text(q, 2, h->report_id);
	db_text(q, 3, h->org);
	db_text(q, 4, h->domain);
	db_int(q, 5, h->begin);
	return h->report_id.n > 0 && db_number(&r->db, q, &n) == STORE_OK && n > 0;
}

/* Sums of what strangers claim stay within what SQL adds without overflow. */
static uint64_t
bounded(uint64_t n)
{
	const uint64_t most = UINT64_C(1) << 40;

	return n < most ? n : most;
}

enum store_err
reports_head(struct reports *r, const struct reports_head *h)
{
	sqlite3_stmt *q;

	if (is_there(r, h))
		return STORE_EXISTS;
	q = db_stmt(&r->db, Q_HEAD);
	db_int(q, 1, h->id);
	db_int(q, 2, h->kind);
	db_int(q, 3, h->source);
	db_int(q, 4, h->at);
	db_int(q, 5, h->verified ? 1 : 0);
	db_int(q, 6, h->damaged ? 1 : 0);
	db_text(q, 7, h->sender);
	db_text(q, 8, h->org);
	db_text(q, 9, h->email);
	db_text(q, 10, h->report_id);
	db_text(q, 11, h->domain);
	db_int(q, 12, bounded(h->begin));
	db_int(q, 13, bounded(h->end));
	db_text(q, 14, h->policy);
	db_int(q, 15, bounded(h->rows));
	db_int(q, 16, bounded(h->messages));
	db_int(q, 17, bounded(h->failures));
	return db_run(&r->db, q);
}

enum store_err
reports_add_row(struct reports *r, const struct reports_row *row)
{
	sqlite3_stmt *q = db_stmt(&r->db, Q_ROW);

	db_int(q, 1, row->report);
	db_text(q, 2, row->source);
	db_text(q, 3, row->header_from);
	db_text(q, 4, row->envelope_from);
	db_text(q, 5, row->auth);
	db_int(q, 6, bounded(row->count));
	db_int(q, 7, row->flags);
	return db_run(&r->db, q);
}

enum store_err
reports_add_tls(struct reports *r, const struct reports_tls *t)
{
	sqlite3_stmt *q = db_stmt(&r->db, Q_TLS);

	db_int(q, 1, t->report);
	db_text(q, 2, t->policy);
	db_text(q, 3, t->domain);
	db_text(q, 4, t->type);
	db_text(q, 5, t->mx);
	db_text(q, 6, t->ip);
	db_text(q, 7, t->reason);
	db_int(q, 8, bounded(t->sessions));
	db_int(q, 9, bounded(t->failures));
	return db_run(&r->db, q);
}

enum store_err
reports_add_complaint(struct reports *r, const struct reports_complaint *c)
{
	sqlite3_stmt *q = db_stmt(&r->db, Q_COMPLAINT);

	db_int(q, 1, c->report);
	db_text(q, 2, c->type);
	db_text(q, 3, c->source);
	db_text(q, 4, c->mail_from);
	db_text(q, 5, c->rcpt);
	db_text(q, 6, c->domain);
	db_text(q, 7, c->auth_failure);
	db_text(q, 8, c->result);
	db_int(q, 9, c->arrival < 0 ? 0 : (uint64_t)c->arrival);
	db_int(q, 10, bounded(c->incidents));
	return db_run(&r->db, q);
}

static void
drop_report(struct reports *r, uint64_t id)
{
	static const unsigned what[] = { Q_DROP_ROWS, Q_DROP_TLS, Q_DROP_COMPLAINTS, Q_DROP };

	for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
		sqlite3_stmt *q = db_stmt(&r->db, what[i]);

		db_int(q, 1, id);
		(void)db_run(&r->db, q);
	}
}

enum store_err
reports_retire(struct reports *r, uint64_t reports_before, uint64_t bad_before, size_t max)
{
	uint64_t id;
	sqlite3_stmt *q;

	(void)db_begin(&r->db);
	for (size_t i = 0; i < max; i++) {
		q = db_stmt(&r->db, Q_OLD);
		db_int(q, 1, reports_before);
		if (db_number(&r->db, q, &id) != STORE_OK)
			break;
		drop_report(r, id);
	}
	for (size_t i = 0; i < max; i++) {
		q = db_stmt(&r->db, Q_BAD_OLD);
		db_int(q, 1, bad_before);
		if (db_number(&r->db, q, &id) != STORE_OK)
			break;
		drop_mail(r, id);
	}
	return db_commit(&r->db);
}
