/* SPDX-License-Identifier: MIT
 * A table of an application in which it leaves letters. doc/applications.md has its columns:
 *
 *   id, user_id, template, data, subject, text, state, claim, answer, tried_at
 *
 *   new --(claimed with a random key, durable)--> claimed --> sent | refused
 *
 * A row is claimed before anything is done about it. Whoever finds a claimed row whose outcome nobody wrote down (after
 * a crash, or an answer "later") tries again with the same key, and the queue takes a message with a key once: that is
 * what makes it exactly one letter for a row. A row that the application makes new again gets another key.
 *
 * The table is the application's, and may be whatever it likes: what is read is bounded, nothing of its schema is run
 * (triggers, views, functions), and whatever fails is tried again later. */
#pragma once

#include "lib/base/arena.h"

#define OUTBOX_KEY ((size_t)32)	      /* characters of a claim */
#define OUTBOX_TEXT ((size_t)65536)   /* bytes of one column */
#define OUTBOX_AGAIN_S 15	      /* seconds until a claimed row is tried again */
#define OUTBOX_TABLE ((size_t)63)     /* bytes of a table's name: letters, digits and '_' */

struct outbox;

struct outbox_row {
	struct slice id, claim, user, template_name, data, subject, text;
};

enum outbox_status {
	OUTBOX_ROW,
	OUTBOX_NONE,  /* nothing to do */
	OUTBOX_BUSY,  /* somebody writes: again soon */
	OUTBOX_FAILED /* see outbox_why(); again later, perhaps with a fresh handle */
};

/* The file is opened at the first question, and again after a failure. path and table outlive the handle. */
struct outbox *outbox_sqlite(const char *path, const char *table);
void outbox_free(struct outbox **o);

/* The next row to do something about, claimed by now with key (a new row) or again with the key that it has. Strings are
 * in a. now: seconds since 1970. */
enum outbox_status outbox_next(struct outbox *o, int64_t now, struct slice key, struct arena *a, struct outbox_row *row);
/* Writes down what became of it: "sent", "refused", or "claimed" for later. A failure is harmless: see above. */
enum outbox_status outbox_done(struct outbox *o, const struct outbox_row *row, const char *state, struct slice answer,
    int64_t now);
/* What failed last; printable, never NULL. */
const char *outbox_why(const struct outbox *o);

/* What an implementation gives; inside lib/outbox. */
struct outbox_ops {
	enum outbox_status (*next)(struct outbox *o, int64_t now, struct slice key, struct arena *a, struct outbox_row *row);
	enum outbox_status (*done)(struct outbox *o, const struct outbox_row *row, const char *state, struct slice answer,
	    int64_t now);
	void (*free)(struct outbox *o);
};
struct outbox { /* first in each of them */
	const struct outbox_ops *ops;
	char why[200];
};
