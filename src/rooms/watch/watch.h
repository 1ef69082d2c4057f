/* SPDX-License-Identifier: MIT
 * watch: takes letters out of a table of an application and gives them to drop, one at a time. It runs as the
 * application itself (the uid that owns the database), in the application's own directory: what a table that is a trap
 * can make of this process is nothing that the application could not do before. The directory of people and addresses is
 * drop's; all that comes back is an answer.
 *
 *   the table --claimed--> a JSON line --(stream)--> drop --> an answer --> the table */
#pragma once

#include "lib/base/own.h"
#include "lib/outbox/outbox.h"
#include "lib/proc/proc.h"

#define WATCH_EVERY_MS 1000u	/* how often the table is looked at */
#define WATCH_FAILED_MS 10000u	/* and after a failure */
#define WATCH_ANSWER_MS 300000u /* drop has to answer: auth, scan and queue have less */
#define WATCH_LETTER ((size_t)65535) /* bytes of one JSON line: drop's */

struct watch_room {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct outbox *outbox;
	struct slice program;
	struct loop_timer *next;
	int fd; /* the stream to drop; -1 */
	struct loop_watch *watch;
	struct buf answer;
	struct arena *a; /* of the row under way; NULL: none */
	struct outbox_row row;
	uint64_t told_ms; /* when a failure was last told */
};

/* outbox becomes the room's. */
void watch_room_init(struct watch_room *r, struct proc *p, struct loop *l, struct outbox *outbox, struct slice program);
void watch_introduce(void *room, const char *peer, const char *instance, int fd);
void watch_stop(void *room);
