/* SPDX-License-Identifier: MIT
 * What the files of the spool share. */
#pragma once

#include "lib/store/db.h"
#include "lib/store/spool.h"

/* In the flags of a message row: which other tables have rows of it. */
#define SPOOL_MORE 65536u
#define SPOOL_RCPT_MORE 131072u
/* The content is sealed. */
#define SPOOL_SEALED 262144u
#define SPOOL_SEAL_ROOM ((size_t)64) /* octets that a cipher may add to a part */

struct spool {
	struct db db;
	uint64_t next, reserved;	/* message ids: next to give, first not reserved */
	uint64_t floor;			/* no open delivery is below it */
	uint64_t open;			/* open deliveries on the disk */
	uint64_t added, dropped;	/* of this batch */
	uint64_t resumed;
	struct spool_cipher cipher;	/* seal NULL: content is stored as it is */
	bool seals;			/* new content is sealed */
};

enum { Q_ADD, Q_ADD_MORE, Q_ADD_CHUNK, Q_ADD_RCPT, Q_ADD_RCPT_MORE, Q_DROP_RCPT, Q_ANY_RCPT, Q_DROP,
	Q_DROP_CHUNKS, Q_DROP_MORE, Q_DROP_RCPT_MORE, Q_DEFER, Q_POSTPONE, Q_WARNED, Q_STATE, Q_PENDING,
	Q_FRESH, Q_DUE, Q_NEXT_DUE, Q_FIND, Q_BY_TEXT, Q_CONTENT, Q_CHUNKS, Q_COUNT_M, Q_COUNT_D, Q_FLOOR,
	Q_SPOOL, Q_RESERVE, Q_CLOCK, Q_SIZE, Q_RULE_ADD, Q_RULE_DELETE, Q_RULES, Q_RULE_COUNT, Q_ONCE,
	Q_ONCE_HAS, Q_ONCE_OLD, Q_MAX };
