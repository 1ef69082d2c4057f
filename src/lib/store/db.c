/* SPDX-License-Identifier: MIT
 *
 * Why the checkpoint is ours and not SQLite's automatic one: that one ignores its own errors. A flush
 * that fails inside it marks dirty pages clean in the kernel, and the next flush would "succeed"
 * without them. Here such a failure makes the handle broken for ever.
 *
 * Why a WAL that was left behind is moved into the database at opening: after a failed flush the page
 * cache may show what the disk does not hold. Writing it to the other file, and syncing that, makes
 * it true. db_rest() leaves an empty WAL behind, so waking up has nothing to move. */
#include "lib/store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"

static enum store_err
code_err(struct db *d, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return STORE_OK;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
		return STORE_DAMAGED;
	case SQLITE_FULL:
	case SQLITE_NOMEM:
		return STORE_FULL;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return STORE_BUSY;
	case SQLITE_CONSTRAINT:
		return STORE_EXISTS;
	case SQLITE_TOOBIG:
		return STORE_LIMIT;
	default:
		break;
	}
	if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
		d->broken = true;
	if (rc == SQLITE_IOERR_NOMEM)
		return STORE_FULL;
	if (rc == SQLITE_IOERR_CORRUPTFS || rc == SQLITE_IOERR_DATA)
		return STORE_DAMAGED;
	if (d->sql != NULL && !d->broken) {
		int os = sqlite3_system_errno(d->sql);

		if (os == EDQUOT || os == ENOSPC || os == EFBIG)
			return STORE_FULL;
	}
	return STORE_IO;
}

static void
configure_once(void)
{
	/* Counting every allocation takes a lock each; nobody reads the count. */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* The owner alone may read it; SQLite gives the WAL the mode of the database file. */
static enum store_err
make_private(const char *path)
{
	own(fd_t) fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		return STORE_OK;
	return errno == ENOSPC || errno == EDQUOT ? STORE_FULL : STORE_IO;
}

static enum store_err
exec(struct db *d, const char *text)
{
	return db_fail(d, code_err(d, sqlite3_exec(d->sql, text, NULL, NULL, NULL)));
}

static enum store_err
pragma(struct db *d, const char *name, long value)
{
	char text[80];

	(void)snprintf(text, sizeof text, "PRAGMA %s=%ld", name, value);
	return exec(d, text);
}

/* Runs a statement for its first number. A statement that gives none: STORE_NONE. */
static enum store_err
ask(struct db *d, const char *text, uint64_t *out)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(d->sql, text, -1, &s, NULL);
	enum store_err e;

	if (rc != SQLITE_OK)
		return code_err(d, rc);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		*out = (uint64_t)sqlite3_column_int64(s, 0);
		e = STORE_OK;
	} else {
		e = rc == SQLITE_DONE ? STORE_NONE : code_err(d, rc);
	}
	(void)sqlite3_finalize(s);
	return e;
}

static enum store_err
enter_wal(struct db *d)
{
	sqlite3_stmt *s = NULL;
	enum store_err e;
	int rc = sqlite3_prepare_v2(d->sql, "PRAGMA journal_mode=WAL", -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	e = code_err(d, rc);
	if (e == STORE_OK && (rc != SQLITE_ROW ||
	    !slice_eq(slice_z((const char *)sqlite3_column_text(s, 0)), S("wal"))))
		e = STORE_IO;
	(void)sqlite3_finalize(s);
	return e;
}

static int
on_wal(void *ctx, sqlite3 *sql, const char *name, int pages)
{
	struct db *d = ctx;

	d->commits++;
	d->wal_pages = pages;
	return SQLITE_OK;
}

/* how: SQLITE_CHECKPOINT_PASSIVE or _TRUNCATE. No space for it is no error: the WAL keeps all. */
static enum store_err
checkpoint(struct db *d, int how)
{
	int all = -1, done = -1;
	uint64_t had = d->commits;
	int rc = sqlite3_wal_checkpoint_v2(d->sql, "main", how, &all, &done);
	enum store_err e = code_err(d, rc);

	if (e == STORE_OK && all == done) {
		d->flushed = had;
		d->wal_pages = 0;
	}
	return e;
}

static enum store_err
settings(struct db *d)
{
	const struct db_options *o = &d->o;
	int now;

	(void)sqlite3_extended_result_codes(d->sql, 1);
	(void)sqlite3_db_config(d->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, &now);
	(void)sqlite3_db_config(d->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &now);
	(void)sqlite3_limit(d->sql, SQLITE_LIMIT_ATTACHED, 0);
	(void)pragma(d, "locking_mode=EXCLUSIVE; PRAGMA cell_size_check", 1);
	(void)pragma(d, "temp_store", 2);
	(void)pragma(d, "page_size", o->page_size);
	/* SQLite's own 120 KiB for small objects would be touched once and then lie idle in every mailbox */
	(void)sqlite3_db_config(d->sql, SQLITE_DBCONFIG_LOOKASIDE, NULL, 128, 64);
	(void)pragma(d, "cache_size", -(long)o->cache_kib);
	/* A new file and the step into WAL mode always take the safe way. */
	(void)pragma(d, "synchronous", 2);
	if (d->err == STORE_OK)
		(void)db_fail(d, enter_wal(d));
	(void)pragma(d, "wal_autocheckpoint", 0);
	(void)pragma(d, "journal_size_limit", 2L * o->checkpoint_pages * o->page_size);
	(void)exec(d, o->secure_delete ? "PRAGMA secure_delete=FAST" : "PRAGMA secure_delete=OFF");
	return d->err;
}

static enum store_err
find_wal(struct db *d)
{
	uint64_t unused;
	enum store_err e = ask(d, "SELECT count(*) FROM sqlite_master", &unused);

	if (e != STORE_OK)
		return e;
	if (sqlite3_file_control(d->sql, "main", SQLITE_FCNTL_JOURNAL_POINTER, &d->wal) !=
	    SQLITE_OK || d->wal == NULL || d->wal->pMethods == NULL)
		return STORE_IO;
	return STORE_OK;
}

static enum store_err
migrate(struct db *d)
{
	const struct db_options *o = &d->o;
	uint64_t at = 0;
	enum store_err e;

	(void)exec(d, "CREATE TABLE IF NOT EXISTS migration(step INTEGER PRIMARY KEY,"
	    " program TEXT NOT NULL)");
	if (d->err != STORE_OK)
		return d->err;
	e = ask(d, "SELECT coalesce(max(step),0) FROM migration", &at);
	if (e != STORE_OK)
		return e;
	if (at > o->nsteps)
		return STORE_NEWER;
	for (; at < o->nsteps; at++) {
		char text[120];

		(void)snprintf(text, sizeof text, "INSERT INTO migration VALUES(%llu,'%s')",
		    (unsigned long long)at + 1, PN_VERSION);
		(void)db_begin(d);
		(void)exec(d, o->steps[at].sql);
		(void)exec(d, text);
		e = db_commit(d);
		if (e != STORE_OK)
			return e;
	}
	return STORE_OK;
}

/* Opens the file and reads it for the first time. On failure there is no d->sql. One process has a file, but the one
 * before us may still be on its way out. */
static enum store_err
enter(struct db *d)
{
	int rc = sqlite3_open_v2(d->o.path, &d->sql,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
	enum store_err e;

	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(d->sql, LIMIT_STORE_WAIT_MS);
	e = rc == SQLITE_OK ? settings(d) : code_err(d, rc);
	if (e == STORE_OK)
		e = find_wal(d);
	if (e == STORE_OK) {
		(void)sqlite3_wal_hook(d->sql, on_wal, d);
		return STORE_OK;
	}
	(void)sqlite3_close(d->sql);
	d->sql = NULL;
	return e;
}

static enum store_err
set_up(struct db *d)
{
	enum store_err e = enter(d);

	if (e == STORE_OK)
		e = checkpoint(d, SQLITE_CHECKPOINT_TRUNCATE);
	if (e == STORE_OK)
		e = migrate(d);
	if (e == STORE_OK)
		e = checkpoint(d, SQLITE_CHECKPOINT_TRUNCATE);
	if (e == STORE_OK)
		e = pragma(d, "synchronous", d->o.durable ? 2 : 1);
	/* The first sync of a fresh WAL syncs the folder too: both names are on the disk then. */
	return e == STORE_OK ? db_sync(d) : e;
}

enum store_err
db_open(struct db *d, const struct db_options *o)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	enum store_err e = make_private(o->path);

	PN_ASSERT(o->sqls <= DB_STATEMENTS);
	*d = (struct db){ .o = *o };
	if (e != STORE_OK)
		return e;
	(void)pthread_once(&once, configure_once);
	e = set_up(d);
	if (e != STORE_OK)
		db_close(d);
	return e;
}

static void
drop_statements(struct db *d)
{
	for (size_t i = 0; i < sizeof d->kept / sizeof *d->kept; i++) {
		(void)sqlite3_finalize(d->kept[i]);
		d->kept[i] = NULL;
	}
}

void
db_close(struct db *d)
{
	if (d->sql == NULL)
		return;
	db_rollback(d);
	drop_statements(d);
	/* A broken file is left as it is: a checkpoint from doubtful pages must not happen. */
	if (d->broken)
		(void)sqlite3_db_config(d->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(d->sql);
	*d = (struct db){ .broken = d->broken };
}

void
db_rest(struct db *d)
{
	int keep = 1;

	if (d->sql == NULL || d->open_tx || d->broken)
		return;
	drop_statements(d);
	if (checkpoint(d, SQLITE_CHECKPOINT_TRUNCATE) != STORE_OK || d->flushed != d->commits)
		return;
	/* both names stay, so that waking up writes nothing */
	(void)sqlite3_file_control(d->sql, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	(void)sqlite3_db_config(d->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_close(d->sql);
	d->sql = NULL;
	d->wal = NULL;
}

/* Begins anew with an empty sticky error, and opens again what rests. */
static void
wake(struct db *d)
{
	d->err = d->broken ? STORE_IO : STORE_OK;
	if (d->sql != NULL || d->err != STORE_OK)
		return;
	if (db_fail(d, enter(d)) == STORE_OK)
		(void)pragma(d, "synchronous", d->o.durable ? 2 : 1);
}

enum store_err
db_fail(struct db *d, enum store_err e)
{
	if (d->err == STORE_OK)
		d->err = e;
	return d->err;
}

enum store_err
db_begin(struct db *d)
{
	PN_ASSERT(!d->open_tx);
	wake(d);
	d->open_tx = true;
	return db_run(d, db_stmt(d, DB_BEGIN));
}

void
db_rollback(struct db *d)
{
	if (!d->open_tx)
		return;
	d->open_tx = false;
	/* SQLite has ended the transaction by itself after some errors. */
	if (d->sql != NULL && sqlite3_get_autocommit(d->sql) == 0)
		(void)sqlite3_exec(d->sql, "ROLLBACK", NULL, NULL, NULL);
	d->err = STORE_OK;
}

enum store_err
db_commit(struct db *d)
{
	enum store_err e;

	PN_ASSERT(d->open_tx);
	e = db_run(d, db_stmt(d, DB_COMMIT));
	if (e != STORE_OK) {
		db_rollback(d);
		return e;
	}
	d->open_tx = false;
	if (d->durable)
		d->flushed = d->commits;
	if (d->o.checkpoint_pages > 0 && d->wal_pages >= d->o.checkpoint_pages)
		(void)checkpoint(d, SQLITE_CHECKPOINT_PASSIVE);
	return STORE_OK;
}

enum store_err
db_sync(const struct db *d)
{
	return d->wal->pMethods->xSync(d->wal, SQLITE_SYNC_NORMAL) == SQLITE_OK ? STORE_OK :
	    STORE_IO;
}

void
db_broke(struct db *d)
{
	d->broken = true;
}

enum store_err
db_flush(struct db *d)
{
	uint64_t had = d->commits;

	if (d->broken)
		return STORE_IO;
	if (d->flushed == had)
		return STORE_OK;
	if (db_sync(d) != STORE_OK) {
		db_broke(d);
		return STORE_IO;
	}
	d->flushed = had;
	return STORE_OK;
}

sqlite3_stmt *
db_stmt(struct db *d, unsigned n)
{
	static const char *const own_text[] = { [DB_BEGIN - DB_STATEMENTS] = "BEGIN IMMEDIATE",
		[DB_COMMIT - DB_STATEMENTS] = "COMMIT" };
	sqlite3_stmt *s;

	if (d->broken)
		(void)db_fail(d, STORE_IO);
	if (d->err != STORE_OK)
		return NULL;
	PN_ASSERT(n < d->o.sqls || n == DB_BEGIN || n == DB_COMMIT);
	s = d->kept[n];
	if (s == NULL) {
		int rc = sqlite3_prepare_v3(d->sql, n < DB_STATEMENTS ? d->o.sql[n] :
		    own_text[n - DB_STATEMENTS], -1, SQLITE_PREPARE_PERSISTENT, &s, NULL);

		/* SQLITE_ERROR: the text does not fit the schema, which is then not ours. */
		PN_ASSERT(rc != SQLITE_MISUSE);
		if (rc != SQLITE_OK) {
			(void)db_fail(d, rc == SQLITE_ERROR ? STORE_DAMAGED : code_err(d, rc));
			return NULL;
		}
		d->kept[n] = s;
	}
	return s;
}

void
db_int(sqlite3_stmt *s, int col, uint64_t v)
{
	if (s != NULL)
		(void)sqlite3_bind_int64(s, col, (sqlite3_int64)v);
}

/* SQLite takes a NULL pointer for NULL, whatever the length. */
static const void *
bytes_of(struct slice v)
{
	return v.p == NULL ? (const void *)"" : v.p;
}

void
db_text(sqlite3_stmt *s, int col, struct slice v)
{
	if (s != NULL)
		(void)sqlite3_bind_text64(s, col, bytes_of(v), v.n, SQLITE_STATIC, SQLITE_UTF8);
}

void
db_blob(sqlite3_stmt *s, int col, struct slice v)
{
	if (s != NULL)
		(void)sqlite3_bind_blob64(s, col, bytes_of(v), v.n, SQLITE_STATIC);
}

static void
end_stmt(sqlite3_stmt *s)
{
	(void)sqlite3_reset(s);
	(void)sqlite3_clear_bindings(s);
}

enum store_err
db_run(struct db *d, sqlite3_stmt *s)
{
	int rc;

	if (s == NULL)
		return d->err;
	if (d->err == STORE_OK) {
		rc = sqlite3_step(s);
		if (rc != SQLITE_DONE && rc != SQLITE_ROW)
			(void)db_fail(d, code_err(d, rc));
	}
	end_stmt(s);
	return d->err;
}

bool
db_row(struct db *d, sqlite3_stmt *s)
{
	int rc;

	if (s == NULL)
		return false;
	rc = d->err == STORE_OK ? sqlite3_step(s) : SQLITE_DONE;
	if (rc == SQLITE_ROW)
		return true;
	(void)db_fail(d, code_err(d, rc));
	end_stmt(s);
	return false;
}

void
db_done(sqlite3_stmt *s)
{
	if (s != NULL)
		end_stmt(s);
}

uint64_t
db_get_int(sqlite3_stmt *s, int col)
{
	return (uint64_t)sqlite3_column_int64(s, col);
}

struct slice
db_get_blob(sqlite3_stmt *s, int col)
{
	const void *p = sqlite3_column_blob(s, col);
	int n = sqlite3_column_bytes(s, col);

	return slice_of(p, p == NULL || n < 0 ? 0 : (size_t)n);
}

enum store_err
db_number(struct db *d, sqlite3_stmt *s, uint64_t *out)
{
	if (!db_row(d, s))
		return d->err != STORE_OK ? d->err : STORE_NONE;
	*out = db_get_int(s, 0);
	db_done(s);
	return STORE_OK;
}

size_t
db_changed(const struct db *d)
{
	return (size_t)sqlite3_changes(d->sql);
}

enum store_err
db_read(struct db *d)
{
	if (!d->open_tx)
		wake(d);
	return d->err;
}

enum store_err
db_verify(struct db *d)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(d->sql, "PRAGMA integrity_check(1)", -1, &s, NULL);
	enum store_err e;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	e = code_err(d, rc);
	if (e == STORE_OK && (rc != SQLITE_ROW ||
	    !slice_eq(slice_z((const char *)sqlite3_column_text(s, 0)), S("ok"))))
		e = STORE_DAMAGED;
	(void)sqlite3_finalize(s);
	return e;
}
