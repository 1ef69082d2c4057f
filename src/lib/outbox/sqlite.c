/* SPDX-License-Identifier: MIT
 * The table in SQLite. Not lib/store/db.c: that one owns its files, and this one is somebody else's, in whatever journal
 * mode it is, with other writers beside us. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/own.h"
#include "lib/outbox/outbox.h"

#define BUSY_MS 500
#define STEPS 20000000 /* of SQLite's machine for one statement: a table that is a trap costs no more */

enum { S_BEGIN, S_COMMIT, S_NEXT, S_CLAIM, S_DONE, S_MAX };

struct lite {
	struct outbox o; /* first */
	const char *path, *table;
	sqlite3 *db; /* NULL until needed */
	sqlite3_stmt *kept[S_MAX];
	int steps;
	unsigned looks;
};

/* $ is the table */
static const char *const sql[] = {
	[S_BEGIN] = "BEGIN IMMEDIATE",
	[S_COMMIT] = "COMMIT",
	[S_NEXT] = ("SELECT id, claim, user_id, template, data, subject, text FROM \"$\""
	    " WHERE state=?2 AND (?2='new' OR coalesce(tried_at,0)<=?1) ORDER BY id LIMIT 1"),
	[S_CLAIM] = "UPDATE \"$\" SET state='claimed', claim=?2, tried_at=?3 WHERE id=?1",
	[S_DONE] = "UPDATE \"$\" SET state=?3, answer=?4, tried_at=?5 WHERE id=?1 AND claim=?2 AND state='claimed'",
};

static void
forget(struct lite *l)
{
	for (size_t i = 0; i < S_MAX; i++) {
		(void)sqlite3_finalize(l->kept[i]);
		l->kept[i] = NULL;
	}
	(void)sqlite3_close(l->db);
	l->db = NULL;
}

/* Ends what is under way. BUSY leaves the handle as it is; anything else begins anew next time. */
static enum outbox_status
failed(struct lite *l, int rc)
{
	own(buf_t) why = { .max = sizeof l->o.why };

	if (l->db != NULL && sqlite3_get_autocommit(l->db) == 0)
		(void)sqlite3_exec(l->db, "ROLLBACK", NULL, NULL, NULL);
	if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED) {
		if (l->kept[S_MAX - 1] == NULL)
			forget(l); /* it was not even open yet */
		return OUTBOX_BUSY;
	}
	(void)buf_printable(&why, slice_z(l->db == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(l->db)), 150);
	(void)snprintf(l->o.why, sizeof l->o.why, "%.*s", SFMT(buf_slice(&why)));
	forget(l);
	return OUTBOX_FAILED;
}

static int
out_of_steps(void *arg)
{
	struct lite *l = arg;

	return ++l->steps > STEPS / 10000;
}

static int
open_file(struct lite *l)
{
	int rc = sqlite3_open_v2(l->path, &l->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL);
	own(buf_t) text = { .max = 500 };

	if (rc != SQLITE_OK)
		return rc;
	(void)sqlite3_busy_timeout(l->db, BUSY_MS);
	(void)sqlite3_extended_result_codes(l->db, 1);
	(void)sqlite3_limit(l->db, SQLITE_LIMIT_LENGTH, 1048576);
	(void)sqlite3_limit(l->db, SQLITE_LIMIT_ATTACHED, 0);
	(void)sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(l->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_db_config(l->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	(void)sqlite3_db_config(l->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_progress_handler(l->db, 10000, out_of_steps, l);
	/* a claim is on the disk before its letter is sent; the cache is small, and no file is mapped */
	rc = sqlite3_exec(l->db, "PRAGMA synchronous=FULL; PRAGMA cache_size=-256; PRAGMA mmap_size=0;"
	    " PRAGMA temp_store=MEMORY", NULL, NULL, NULL);
	for (size_t i = 0; i < S_MAX && rc == SQLITE_OK; i++) {
		struct slice whole = slice_z(sql[i]), head = whole, tail = S("");

		buf_reset(&text);
		(void)buf_add(&text, slice_cut(whole, '$', &head, &tail) ? head : whole);
		(void)buf_add(&text, head.n < whole.n ? slice_z(l->table) : S(""));
		(void)buf_add(&text, tail);
		rc = sqlite3_prepare_v3(l->db, (const char *)text.p, (int)text.n, SQLITE_PREPARE_PERSISTENT, &l->kept[i], NULL);
	}
	return rc;
}

/* Runs a statement that gives no rows. */
static int
run(struct lite *l, unsigned n)
{
	int rc = sqlite3_step(l->kept[n]);

	(void)sqlite3_reset(l->kept[n]);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void
bind(struct lite *l, unsigned n, int col, struct slice s)
{
	(void)sqlite3_bind_text(l->kept[n], col, s.n == 0 ? "" : (const char *)s.p, (int)s.n, SQLITE_STATIC);
}

/* A column as text, NULL as the empty one. A longer one is cut, which no letter survives. */
static bool
column(sqlite3_stmt *q, int i, struct arena *a, struct slice *out)
{
	const void *p = sqlite3_column_text(q, i);

	return arena_copy(a, slice_head(slice_of(p, p == NULL ? 0 : (size_t)sqlite3_column_bytes(q, i)), OUTBOX_TEXT + 1), out);
}

/* The next row in this state. SQLITE_ROW, SQLITE_DONE without one, or an error. */
static int
find_in(struct lite *l, int64_t now, const char *state, struct arena *a, struct outbox_row *row)
{
	sqlite3_stmt *q = l->kept[S_NEXT];
	struct slice *to[] = { &row->id, &row->claim, &row->user, &row->template_name, &row->data, &row->subject, &row->text };
	int rc;

	(void)sqlite3_bind_int64(q, 1, now - OUTBOX_AGAIN_S);
	(void)sqlite3_bind_text(q, 2, state, -1, SQLITE_STATIC);
	rc = sqlite3_step(q);
	for (int i = 0; rc == SQLITE_ROW && i < 7; i++)
		if (!column(q, i, a, to[i]))
			rc = SQLITE_NOMEM;
	(void)sqlite3_reset(q);
	return rc;
}

/* New rows go before those that were told "later", but for every eighth. */
static int
find(struct lite *l, int64_t now, struct arena *a, struct outbox_row *row, bool *fresh)
{
	static const char *const states[] = { "new", "claimed" };
	unsigned first = l->looks % 8 == 7;
	int rc = find_in(l, now, states[first], a, row);

	*fresh = (rc == SQLITE_ROW) == (first == 0);
	return rc == SQLITE_DONE ? find_in(l, now, states[1 - first], a, row) : rc;
}

static enum outbox_status
lite_next(struct outbox *o, int64_t now, struct slice key, struct arena *a, struct outbox_row *row)
{
	struct lite *l = (struct lite *)o;
	int rc = l->db == NULL ? open_file(l) : SQLITE_OK;
	struct outbox_row found = { 0 };
	bool fresh = false;

	l->steps = 0;
	if (rc == SQLITE_OK)
		rc = find(l, now, a, &found, &fresh);
	if (rc == SQLITE_DONE)
		return OUTBOX_NONE;
	if (rc != SQLITE_ROW || (rc = run(l, S_BEGIN)) != SQLITE_OK)
		return failed(l, rc);
	/* again, now that nobody else writes */
	rc = find(l, now, a, &found, &fresh);
	if (rc == SQLITE_ROW) {
		if (fresh || found.claim.n != OUTBOX_KEY)
			rc = arena_copy(a, key, &found.claim) ? SQLITE_ROW : SQLITE_NOMEM;
		bind(l, S_CLAIM, 1, found.id);
		bind(l, S_CLAIM, 2, found.claim);
		(void)sqlite3_bind_int64(l->kept[S_CLAIM], 3, now);
		if (rc == SQLITE_ROW && (rc = run(l, S_CLAIM)) == SQLITE_OK)
			rc = sqlite3_changes(l->db) == 1 ? SQLITE_ROW : SQLITE_MISMATCH;
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return failed(l, rc);
	l->looks++;
	if (run(l, S_COMMIT) != SQLITE_OK)
		return failed(l, sqlite3_extended_errcode(l->db));
	if (rc == SQLITE_DONE)
		return OUTBOX_NONE;
	*row = found;
	return OUTBOX_ROW;
}

static enum outbox_status
lite_done(struct outbox *o, const struct outbox_row *row, const char *state, struct slice answer, int64_t now)
{
	struct lite *l = (struct lite *)o;
	int rc = l->db == NULL ? open_file(l) : SQLITE_OK;

	l->steps = 0;
	if (rc != SQLITE_OK)
		return failed(l, rc);
	bind(l, S_DONE, 1, row->id);
	bind(l, S_DONE, 2, row->claim);
	bind(l, S_DONE, 3, slice_z(state));
	bind(l, S_DONE, 4, answer);
	(void)sqlite3_bind_int64(l->kept[S_DONE], 5, now);
	rc = run(l, S_DONE);
	return rc == SQLITE_OK ? OUTBOX_ROW : failed(l, rc);
}

static void
lite_free(struct outbox *o)
{
	forget((struct lite *)o);
	free(o);
}

struct outbox *
outbox_sqlite(const char *path, const char *table)
{
	static const struct outbox_ops ops = { .next = lite_next, .done = lite_done, .free = lite_free };
	struct lite *l = calloc(1, sizeof *l);

	PN_ASSERT(l != NULL);
	*l = (struct lite){ .o = { .ops = &ops }, .path = path, .table = table };
	return &l->o;
}
