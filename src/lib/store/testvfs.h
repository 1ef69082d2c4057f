/* SPDX-License-Identifier: MIT
 * A VFS of SQLite's over the default one that counts, delays, fails and records. It exists so that
 * fault injection, power-cut replay and the cost of a slow disk need no special machine. It is
 * registered only when asked for: in a product build nothing is between SQLite and the kernel.
 *
 * From the environment (rooms in bench and fault builds; see testvfs_env()):
 *   POSTERN_VFS=delay:1000,count:/path/to/counts
 *   POSTERN_VFS=fail:sync:3:io          the 3rd sync of this process fails once with an I/O error
 *   POSTERN_VFS=fail:write:7:full:ever  from the 7th write on, every write fails: no space
 *   POSTERN_VFS=record:DIR              what each room does to its files goes to DIR/WHO.PID, with times:
 *                                       test/torture/powercut makes power cuts of the whole server of it */
#pragma once

#include <sqlite3.h>

#include "lib/base/buf.h"
#include "lib/store/store.h"

enum testvfs_op { TESTVFS_OPEN, TESTVFS_READ, TESTVFS_WRITE, TESTVFS_SYNC, TESTVFS_TRUNCATE,
	TESTVFS_DELETE, TESTVFS_OPS };

struct testvfs_fault {
	enum testvfs_op op;
	uint64_t nth;		/* 1 = the next one; 0 = no fault */
	int code;		/* SQLite's: SQLITE_IOERR_FSYNC, SQLITE_FULL, ... */
	bool ever;		/* all later ones too */
	bool torn;		/* a failing write first writes half of its bytes */
};

/* Makes the shim the default VFS of the process. Before the first database is opened. */
void testvfs_register(void);
/* Reads POSTERN_VFS: absent = false and nothing happens; malformed = false with *bad true. who names the
 * record of this process: the room's directory beneath data_dir, '/' written as '.'. */
bool testvfs_env(struct slice who, bool *bad);
/* Each sync takes us microseconds longer; syncs wait for each other, as on one disk. 0 = off. */
void testvfs_delay(uint32_t us);
/* Syncs are counted, delayed, failed and recorded, but not done: tests that kill processes or replay
 * power cuts need no real disk, and wait for none. */
void testvfs_idle_disk(bool on);
/* Arms one fault, counted from now; a zeroed struct disarms. */
void testvfs_fail(struct testvfs_fault f);
/* Calls since the start of the process. */
uint64_t testvfs_count(enum testvfs_op op);
uint64_t testvfs_written(void); /* bytes */

/* Recording. From testvfs_record(log) on, every create, write, truncate, sync (its begin and its end) and
 * delete of every file is appended to log (which bounds it); NULL ends it. The number of records so far is the clock of
 * a power cut. */
void testvfs_record(struct buf *log);
size_t testvfs_moment(void);

enum testvfs_loss {
	TESTVFS_LOSE_ALL,	/* nothing that was not synced has survived */
	TESTVFS_LOSE_SOME,	/* each unsynced write survives or not, at random */
	TESTVFS_TEAR,		/* as SOME, and survivors may be torn at sectors of 512 or 4096 */
};
/* Lays into the empty folder dir what a disk would hold after a power cut at a moment. Files keep
 * their base names. A file whose directory entry was never synced is absent (ALL) or may be (others).
 * False when dir cannot be written or the log is malformed. */
bool testvfs_replay(struct slice log, size_t moment, enum testvfs_loss how, uint64_t seed,
    const char *dir);
