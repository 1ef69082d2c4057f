/* SPDX-License-Identifier: MIT
 * ledger: takes events from every room, keeps them, answers the administrator's questions. It changes
 * nothing but its own log. One thread.
 *
 * Events gather for at most LEDGER_GATHER_MS and are written in one transaction, without waiting for
 * the disk; a question writes first what has gathered. */
#pragma once

#include "lib/ipc/ipc.h"
#include "lib/proc/loop.h"
#include "lib/proc/proc.h"
#include "lib/store/ledger.h"

#define LEDGER_GATHER ((size_t)256)	/* events of one transaction at most */
#define LEDGER_GATHER_MS 50u
#define LEDGER_FLUSH_MS 2000u		/* the log reaches the disk that often while it grows */
#define LEDGER_RETIRE_MS 60000u		/* how often old events are looked for */
#define LEDGER_RETIRE ((size_t)2000)	/* so many go at a time */

struct ledger_peer;

struct ledger_room {
	struct proc *proc;	/* NULL in tests */
	struct loop *loop;
	struct ledger *log;
	struct ledger_peer *peers;
	struct arena *gathered;	/* what the events below borrow */
	struct ledger_event event[LEDGER_GATHER];
	size_t n;
	uint64_t keep_us;	/* older events go */
	uint64_t lost;		/* events that could not be written, not yet told */
	struct loop_timer *gather, *flush, *retire;
};

/* log becomes the room's. keep_us: how long an event is kept. */
void ledger_room_init(struct ledger_room *r, struct proc *p, struct loop *loop, struct ledger *log, uint64_t keep_us);
void ledger_introduce(void *room, const char *peer, const char *instance, int fd);
void ledger_stop(void *room);
/* Writes what has gathered. */
void ledger_write(struct ledger_room *r);

/* Fields as the log keeps them: per field a key (one byte of length) and a value (two). */
bool ledger_pack(struct buf *b, struct slice key, struct slice value);
/* Next field; false at the end or where the bytes are not ours. */
bool ledger_unpack(struct cursor *c, struct slice *key, struct slice *value);
