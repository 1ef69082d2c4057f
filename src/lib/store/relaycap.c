/* SPDX-License-Identifier: MIT */
#include "lib/store/relaycap.h"

#include <stdlib.h>

#include "lib/store/db.h"

struct relaycap {
	struct db db;
};

static const struct db_step steps[] = {
	{ "CREATE TABLE used(relay TEXT PRIMARY KEY, hour INTEGER NOT NULL, n INTEGER NOT NULL) WITHOUT ROWID;" },
};

enum { Q_GET, Q_PUT, Q_MAX };

static const char *const text[] = {
	[Q_GET] = "SELECT hour, n FROM used WHERE relay=?",
	[Q_PUT] = "INSERT INTO used VALUES(?1,?2,?3) ON CONFLICT(relay) DO UPDATE SET hour=?2, n=?3",
};

enum store_err
relaycap_open(const char *path, struct relaycap **out)
{
	const struct db_options o = { .path = path, .sql = text, .sqls = Q_MAX, .steps = steps,
		.nsteps = sizeof steps / sizeof steps[0], .page_size = 4096, .cache_kib = 64, .checkpoint_pages = 64,
		.durable = true };
	struct relaycap *c = calloc(1, sizeof *c);
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
relaycap_close(struct relaycap **cp)
{
	struct relaycap *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	db_close(&c->db);
	free(c);
}

enum store_err
relaycap_get(struct relaycap *c, struct slice relay, uint64_t *hour, uint32_t *used)
{
	enum store_err e = db_read(&c->db);
	sqlite3_stmt *s;

	if (e != STORE_OK)
		return e;
	s = db_stmt(&c->db, Q_GET);
	db_text(s, 1, relay);
	e = STORE_NONE;
	if (db_row(&c->db, s)) {
		uint64_t n = db_get_int(s, 1);

		*hour = db_get_int(s, 0);
		*used = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
		e = STORE_OK;
		db_done(s);
	} else if (c->db.err != STORE_OK) {
		e = c->db.err;
	}
	db_rest(&c->db);
	return e;
}

enum store_err
relaycap_put(struct relaycap *c, struct slice relay, uint64_t hour, uint32_t used)
{
	enum store_err e;
	sqlite3_stmt *s;

	if (relay.n == 0 || relay.n > 63)
		return STORE_REFUSED;
	e = db_begin(&c->db);
	if (e != STORE_OK)
		return e;
	s = db_stmt(&c->db, Q_PUT);
	db_text(s, 1, relay);
	db_int(s, 2, hour);
	db_int(s, 3, used);
	(void)db_run(&c->db, s);
	e = db_commit(&c->db);
	db_rest(&c->db);
	return e;
}
