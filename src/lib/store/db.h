/* SPDX-License-Identifier: MIT
 * One SQLite file: opening with the house's settings, migration, prepared statements that are kept,
 * transactions with a sticky error, and flushing. Only lib/store includes this header.
 *
 * WAL mode. With durable = true (synchronous=FULL) a commit has reached the disk when it returns.
 * With durable = false (synchronous=NORMAL) a commit is atomic and ordered but may vanish in a power
 * cut until db_flush() has returned; a kill of the process loses nothing in either mode.
 *
 * The sticky error: the first failure inside a transaction is remembered, every later statement of
 * it does nothing and returns the same error, and db_commit() rolls back and returns it. A caller
 * may therefore write a row of calls and look once.
 *
 * Not thread-safe: one thread at a time, except db_sync() (see there). */
#pragma once

#include <sqlite3.h>

#include "lib/store/store.h"

#define DB_STATEMENTS 96u	/* most kept statements of one file (count) */
#define DB_BEGIN DB_STATEMENTS	/* two more are db.c's own */
#define DB_COMMIT (DB_STATEMENTS + 1u)

/* One step of a schema: sql may hold several statements. The steps of a file are numbered from 1 in
 * the order of their table; a step is never changed once released, only followed by another. */
struct db_step {
	const char *sql;
};

struct db_options {
	const char *path;		/* has to last until the last db_rest() */
	const char *const *sql;		/* statement texts; index = number for db_stmt() */
	size_t sqls;
	const struct db_step *steps;
	size_t nsteps;
	int page_size;			/* bytes, only for a new file */
	int cache_kib;			/* page cache ceiling */
	int checkpoint_pages;		/* WAL pages that start a checkpoint */
	bool durable;
	bool secure_delete;		/* zero what is deleted where that costs no extra page */
};

struct db {
	sqlite3 *sql;			/* NULL while it rests */
	sqlite3_file *wal;		/* borrowed from SQLite, valid while sql is open */
	sqlite3_stmt *kept[DB_STATEMENTS + 2];
	struct db_options o;		/* as it was opened */
	enum store_err err;		/* sticky inside a transaction */
	bool broken;			/* a flush failed: sticky for ever */
	bool open_tx;
	bool durable;
	int wal_pages;
	uint64_t commits;		/* transactions that wrote something */
	uint64_t flushed;		/* of these, known to be on the disk */
};

/* Opens or creates the file, moves what a WAL left behind into it, migrates it to the newest step.
 * The directory entry is on the disk when it returns. On failure d is closed. STORE_BUSY: another process has it, and
 * has not let go of it within LIMIT_STORE_WAIT_MS. */
enum store_err db_open(struct db *d, const struct db_options *o);
/* Checkpoints and closes; accepts a zeroed or failed struct. */
void db_close(struct db *d);

enum store_err db_begin(struct db *d);
/* Commits, or rolls back and returns the sticky error. The transaction is over either way. */
enum store_err db_commit(struct db *d);
void db_rollback(struct db *d);
/* Remembers e as the error of the transaction (STORE_OK is ignored); returns the sticky error. */
enum store_err db_fail(struct db *d, enum store_err e);

/* Everything committed so far is on the disk when it returns STORE_OK: nothing to do in durable mode
 * or when nothing is new, one flush of the WAL otherwise. */
enum store_err db_flush(struct db *d);
/* The flush alone: syncs the WAL file. May run in one thread while another uses d, of which it reads
 * only what never changes; the caller keeps the count of what it covers, and on failure calls
 * db_broke() (under its lock), which makes the handle fail for ever. */
enum store_err db_sync(const struct db *d);
void db_broke(struct db *d);

/* Before reading outside a transaction: forgets the error of an earlier reading. */
enum store_err db_read(struct db *d);
/* The kept statement with that number, reset and without bindings; NULL after a sticky error. */
sqlite3_stmt *db_stmt(struct db *d, unsigned n);
/* Binders; a NULL statement is accepted and ignored. Slices must live until the statement was run. */
void db_int(sqlite3_stmt *s, int col, uint64_t v);
void db_text(sqlite3_stmt *s, int col, struct slice v);
/* An empty slice binds an empty blob, never NULL. */
void db_blob(sqlite3_stmt *s, int col, struct slice v);
/* Runs a statement that gives no rows and resets it; returns the sticky error. */
enum store_err db_run(struct db *d, sqlite3_stmt *s);
/* Next row: true with a row; false at the end or on error (see d->err), the statement then reset. */
bool db_row(struct db *d, sqlite3_stmt *s);
/* Ends reading before the last row. */
void db_done(sqlite3_stmt *s);
uint64_t db_get_int(sqlite3_stmt *s, int col);
/* Borrowed until the statement is stepped or reset. */
struct slice db_get_blob(sqlite3_stmt *s, int col);
/* Runs a statement that gives one number. STORE_NONE without a row (that is not sticky). */
enum store_err db_number(struct db *d, sqlite3_stmt *s, uint64_t *out);
/* Rows changed by the last db_run(). */
size_t db_changed(const struct db *d);

/* Moves the WAL into the file and closes it until the next db_begin() or db_read(), which open it again
 * (about 0.2 ms) or fail like any reading: what an idle process need not hold. Whoever calls db_sync()
 * elsewhere must not do so meanwhile. Stays open where the WAL could not be emptied. */
void db_rest(struct db *d);
/* Reads every page and checks it: STORE_OK or STORE_DAMAGED. Slow: for `check` and tests. */
enum store_err db_verify(struct db *d);
