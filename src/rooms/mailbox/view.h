/* SPDX-License-Identifier: MIT
 * What one session knows of its selected mailbox. Sequence numbers belong to the session, not to the
 * store: they change only when the session has told its client (RFC 3501 5.5, 7.4.1).
 *
 *   runs    UIDs in order of sequence number, as runs of neighbours: 8 bytes a run. All that an
 *           idle session keeps.
 *   rows    flags, sizes and dates (32 bytes a message), loaded by the first command that needs
 *           them, brought up to date by what changed, given back before parking. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/parse/imap/imap.h"
#include "lib/store/mailbox.h"

#define LIMIT_VIEW ((size_t)268435456) /* bytes of runs, rows, or a list of UIDs: 8 million messages */

struct view {
	uint64_t folder; /* 0: nothing is selected */
	uint32_t uidvalidity;
	bool read_only;
	struct buf runs;
	uint32_t exists;
	uint32_t uidnext;	/* UIDs below are in runs, or known to be gone */
	uint64_t modseq;	/* flags and new messages are known up to here */
	uint64_t gone;		/* expunges are told up to here */
	uint64_t own;		/* this modseq is the session's own change, already told */
	uint64_t generation;	/* of the store, when it was last looked at */
	bool owing;		/* expunges that could not be told yet */
	struct buf recent;	/* ranges of UIDs that are \Recent here */
	uint32_t n_recent;
	/* given back by view_rest() */
	struct buf rows, sets;	/* struct mailbox_row, struct mailbox_kw */
	bool loaded;
	struct arena *names_in;
	struct slice *name;	/* keywords by number */
	size_t n_names;
};

void view_init(struct view *v);
void view_free(struct view *v);
/* Forgets rows and keywords: before parking. */
void view_rest(struct view *v);

/* Takes a whole snapshot as the new view (SELECT), rows included. The caller sets folder and the like. */
void view_take(struct view *v, const struct mailbox_snapshot *s);
/* UIDs of [from, to] count as \Recent from now on; those in the view are counted. */
void view_recent(struct view *v, uint32_t from, uint32_t to);
bool view_is_recent(const struct view *v, uint32_t uid);

/* seq 1..exists to UID; outside is a bug. */
uint32_t view_uid(const struct view *v, uint32_t seq);
/* UID to its number, or 0. */
uint32_t view_seq(const struct view *v, uint32_t uid);
/* A new message at the end; uid is above all others. */
void view_append(struct view *v, uint32_t uid);
/* Removes n UIDs (rising), each of which is in the view. */
void view_remove(struct view *v, const uint32_t *uid, size_t n);

/* Whether all sequence numbers of a set exist; else the answer is BAD (RFC 3501 9, seq-number). "n:*"
 * is always taken, as clients expect. */
bool view_valid(const struct view *v, const struct imap_set *set);
/* The UIDs of a set (rising), as an array of uint32_t in out. uid: the set holds UIDs, else sequence
 * numbers. False when a sequence number does not exist. */
[[nodiscard]] bool view_list(const struct view *v, const struct imap_set *set, bool uid,
    struct arena *a, struct buf *out);

/* Loads rows and keywords where they are not there, or brings them up to date. */
enum store_err view_load(struct view *v, struct mailbox *m);
/* Puts rows that changed into the loaded rows; nothing when none are loaded. */
void view_merge(struct view *v, const struct mailbox_snapshot *s);
/* The row of a UID, or NULL; valid until the next load, merge or rest. */
struct mailbox_row *view_row(const struct view *v, uint32_t uid);
struct mailbox_kw view_kw(const struct view *v, const struct mailbox_row *r);
/* Notes new flags of a loaded row. */
void view_reflag(struct view *v, const struct mailbox_flagged *f);
/* Reads the keywords; *grew tells whether there are more than before. */
enum store_err view_names(struct view *v, struct mailbox *m, bool *grew);
