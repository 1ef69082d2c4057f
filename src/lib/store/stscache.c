/* SPDX-License-Identifier: MIT */
#include "lib/store/stscache.h"

#include <stdlib.h>

#include "lib/base/limits.h"
#include "lib/store/db.h"

#define DAY INT64_C(86400)
/* Puts between two looks for rows that can go. */
#define SWEEP 256u

struct stscache {
	struct db db;
	unsigned puts;
};

static const struct db_step steps[] = {
	{ "CREATE TABLE policy("
	  " domain TEXT PRIMARY KEY,"
	  " id TEXT NOT NULL,"
	  " text BLOB NOT NULL,"
	  " fetched INTEGER NOT NULL,"
	  " expires INTEGER NOT NULL,"
	  " tried INTEGER NOT NULL) WITHOUT ROWID;"
	  "CREATE INDEX policy_expires ON policy(expires)" },
};

enum { Q_GET, Q_PUT, Q_SWEEP, Q_MANY, Q_COUNT, Q_MAX };

static const char *const text[] = {
	[Q_GET] = "SELECT id, text, fetched, expires, tried FROM policy WHERE domain=?",
	[Q_PUT] = ("INSERT INTO policy VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(domain) DO UPDATE SET"
		   " id=?2, text=?3, fetched=?4, expires=?5, tried=?6"),
	[Q_SWEEP] = "DELETE FROM policy WHERE expires<?1 AND tried<?1",
	[Q_MANY] = "DELETE FROM policy WHERE domain IN (SELECT domain FROM policy ORDER BY expires LIMIT ?)",
	[Q_COUNT] = "SELECT count(*) FROM policy",
};

enum store_err
stscache_open(const char *path, struct stscache **out)
{
	const struct db_options o = { .path = path, .sql = text, .sqls = Q_MAX, .steps = steps,
		.nsteps = sizeof steps / sizeof steps[0], .page_size = 4096, .cache_kib = 128, .checkpoint_pages = 256 };
	struct stscache *c = calloc(1, sizeof *c);
	enum store_err e;

	if (c == NULL)
		return STORE_FULL;
	e = db_open(&c->db, &o);
	if (e != STORE_OK) {
		db_close(&c->db);
		free(c);
		return e;
	}
	db_rest(&c->db);
	*out = c;
	return STORE_OK;
}

void
stscache_close(struct stscache **cp)
{
	struct stscache *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	(void)db_flush(&c->db);
	db_close(&c->db);
	free(c);
}

enum store_err
stscache_get(struct stscache *c, struct slice domain, struct arena *a, struct stscache_row *out)
{
	enum store_err e = db_read(&c->db);
	struct stscache_row row = { .fetched = 0 };
	sqlite3_stmt *s;

	if (e != STORE_OK)
		return e;
	s = db_stmt(&c->db, Q_GET);
	db_text(s, 1, domain);
	e = STORE_NONE;
	if (db_row(&c->db, s)) {
		row.fetched = (int64_t)db_get_int(s, 2);
		row.expires = (int64_t)db_get_int(s, 3);
		row.tried = (int64_t)db_get_int(s, 4);
		e = arena_copy(a, db_get_blob(s, 0), &row.id) && arena_copy(a, db_get_blob(s, 1), &row.text) ? STORE_OK :
													      STORE_LIMIT;
		db_done(s);
	} else if (c->db.err != STORE_OK) {
		e = c->db.err;
	}
	if (e == STORE_OK)
		*out = row;
	db_rest(&c->db);
	return e;
}

/* What nobody can use any more, and what is too much. */
static void
sweep(struct stscache *c, int64_t now)
{
	sqlite3_stmt *s = db_stmt(&c->db, Q_SWEEP);
	uint64_t n = 0;

	db_int(s, 1, now > DAY ? (uint64_t)(now - DAY) : 0);
	(void)db_run(&c->db, s);
	if (db_number(&c->db, db_stmt(&c->db, Q_COUNT), &n) != STORE_OK || n <= LIMIT_STSCACHE_ROWS)
		return;
	s = db_stmt(&c->db, Q_MANY);
	db_int(s, 1, n - LIMIT_STSCACHE_ROWS);
	(void)db_run(&c->db, s);
}

enum store_err
stscache_put(struct stscache *c, struct slice domain, const struct stscache_row *row, int64_t now)
{
	enum store_err e;
	sqlite3_stmt *s;

	if (domain.n == 0 || domain.n > LIMIT_DOMAIN || row->text.n > LIMIT_STSCACHE_TEXT || row->id.n > 64)
		return STORE_REFUSED;
	e = db_begin(&c->db);
	if (e != STORE_OK)
		return e;
	s = db_stmt(&c->db, Q_PUT);
	db_text(s, 1, domain);
	db_text(s, 2, row->id);
	db_blob(s, 3, row->text);
	db_int(s, 4, (uint64_t)row->fetched);
	db_int(s, 5, (uint64_t)row->expires);
	db_int(s, 6, (uint64_t)row->tried);
	(void)db_run(&c->db, s);
	if (c->puts++ % SWEEP == 0)
		sweep(c, now);
	e = db_commit(&c->db);
	db_rest(&c->db);
	return e;
}

enum store_err
stscache_count(struct stscache *c, uint64_t *out)
{
	enum store_err e = db_read(&c->db);

	if (e == STORE_OK)
		e = db_number(&c->db, db_stmt(&c->db, Q_COUNT), out);
	db_rest(&c->db);
	return e;
}
