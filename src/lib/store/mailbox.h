/* SPDX-License-Identifier: MIT
 * One account's mail: folders, messages, content; one database file, owned by one process.
 *
 * Durability. A delivery (mailbox_deliver) commits without waiting for the disk and is reported to
 * the queue only after mailbox_flush(): until then the spool still holds it, and its delivery id
 * makes the second one harmless. What a client does itself is flushed before its OK: every call below
 * whose comment says "durable" returns after the flush, which threads that wait at the same time
 * share. Whatever shows UIDs or MODSEQs to a client (status, snapshot, scan) flushes first what is
 * not yet flushed, so no UID or MODSEQ that somebody saw is ever given to something else, not even
 * after a power cut.
 *
 * Thread-safe: any number of threads may share one struct mailbox. Callbacks run with the mailbox
 * locked and must not call it.
 *
 * Content is stored as it is in bytes (CRLF and all), in zstd frames, with its SHA-256, which is
 * checked on every read: STORE_DAMAGED concerns that message, the others stay readable. COPY shares
 * it. */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/store/store.h"

struct mailbox;

/* System flags (RFC 3501 2.3.2). \Recent is not stored: see mailbox_recent(). */
#define MAILBOX_SEEN 1u
#define MAILBOX_ANSWERED 2u
#define MAILBOX_FLAGGED 4u
#define MAILBOX_DELETED 8u
#define MAILBOX_DRAFT 16u
#define MAILBOX_FLAGS 31u

/* Special use (RFC 6154), one per folder; MAILBOX_INBOX is INBOX itself. */
enum mailbox_use { MAILBOX_PLAIN, MAILBOX_INBOX, MAILBOX_DRAFTS, MAILBOX_SENT, MAILBOX_JUNK,
	MAILBOX_TRASH, MAILBOX_ARCHIVE };

/* A set of keywords of one folder: bit i = keyword number i of mailbox_keywords(). */
struct mailbox_kw {
	uint64_t bit[4];
};
_Static_assert(sizeof(struct mailbox_kw) * 8 >= LIMIT_IMAP_KEYWORDS, "a bit for every keyword");

static inline bool
mailbox_kw_has(const struct mailbox_kw *k, size_t i)
{
	return i < 256 && (k->bit[i / 64] >> (i % 64) & 1) != 0;
}
static inline void
mailbox_kw_set(struct mailbox_kw *k, size_t i)
{
	if (i < 256)
		k->bit[i / 64] |= (uint64_t)1 << (i % 64);
}

/* path: the database file of the account; account: its id, written into a new file and compared with
 * an old one (STORE_REFUSED); now: us, start of the UIDVALIDITYs of a new file. A new file gets INBOX,
 * Drafts, Sent, Junk, Trash and Archive, subscribed. *out is owned: mailbox_close(). */
enum store_err mailbox_open(const char *path, uint64_t account, uint64_t now,
    struct mailbox **out);
/* Flushes and closes; accepts NULL; *m becomes NULL. No other thread may be inside. */
void mailbox_close(struct mailbox **m);
/* Drops caches and compressor state, and closes the file until it is used again: for a mailbox whose
 * sessions are all parked. May be called at any time, from any thread. */
void mailbox_relax(struct mailbox *m);
/* All deliveries made before the call are on the disk when it returns STORE_OK. */
enum store_err mailbox_flush(struct mailbox *m);
/* Rises with every committed change of anything: a cheap "has anything happened?". */
uint64_t mailbox_generation(struct mailbox *m);

/* ---- folders ---- */

struct mailbox_folder {
	uint64_t id;		/* never reused; survives RENAME */
	struct slice name;	/* UTF-8, '/' between levels, INBOX in capitals */
	enum mailbox_use use;
	bool subscribed;
	bool noselect;		/* exists only because it has children (RFC 3501 6.3.4) */
	uint32_t uidvalidity, uidnext;
	uint64_t highestmodseq;	/* at least 1 (RFC 7162 3.1.2.1) */
	uint32_t exists, unseen, recent, deleted; /* messages: all, not \Seen, \Recent, \Deleted */
	uint64_t bytes;		/* sum of RFC822.SIZE */
};

/* A name that may be created: UTF-8 without control characters, no empty level, no level "." or "..",
 * at most LIMIT_IMAP_MAILBOX bytes and LIMIT_IMAP_LEVELS levels. */
bool mailbox_name_valid(struct slice name);
/* Every folder in order of name (bytewise, INBOX first); name is borrowed until fn returns. */
enum store_err mailbox_folders(struct mailbox *m,
    bool (*fn)(void *ctx, const struct mailbox_folder *f), void *ctx);
/* By name ("inbox" in any case is INBOX) or by id; the name is copied into a. STORE_NONE. */
enum store_err mailbox_folder_find(struct mailbox *m, struct slice name, struct arena *a,
    struct mailbox_folder *out);
enum store_err mailbox_folder_get(struct mailbox *m, uint64_t folder, struct arena *a,
    struct mailbox_folder *out);
/* Only the id, by name or by use: does not flush, for deliveries. A noselect folder is STORE_NONE. */
enum store_err mailbox_folder_id(struct mailbox *m, struct slice name, uint64_t *id);
enum store_err mailbox_use_id(struct mailbox *m, enum mailbox_use use, uint64_t *id);
/* All durable. Create makes missing parents too (RFC 3501 6.3.3) and turns a noselect folder into a
 * real one. STORE_EXISTS, STORE_REFUSED (name). */
enum store_err mailbox_create(struct mailbox *m, struct slice name, uint64_t *id);
/* With children it becomes noselect and loses its messages; INBOX is refused. A noselect folder with
 * children is STORE_REFUSED. */
enum store_err mailbox_delete(struct mailbox *m, struct slice name);
/* With all its children; subscriptions stay; missing parents of the new name are made. INBOX: its messages move to the new
 * folder and INBOX stays, empty (RFC 3501 6.3.5). STORE_NONE, STORE_EXISTS, STORE_REFUSED. */
enum store_err mailbox_rename(struct mailbox *m, struct slice from, struct slice to);
/* Subscriptions are names: one may be kept for a folder that is gone (RFC 3501 6.3.6). Unsubscribing
 * what is not subscribed is STORE_NONE. */
enum store_err mailbox_subscribe(struct mailbox *m, struct slice name, bool on);
enum store_err mailbox_subscriptions(struct mailbox *m,
    bool (*fn)(void *ctx, struct slice name), void *ctx);

/* The keywords of a folder in order of number; fn gets number and name. */
enum store_err mailbox_keywords(struct mailbox *m, uint64_t folder,
    bool (*fn)(void *ctx, size_t number, struct slice name), void *ctx);
/* The number of a keyword (compared without case of A-Z); with make it is added when it is missing.
 * STORE_NONE; STORE_LIMIT at LIMIT_IMAP_KEYWORDS; STORE_REFUSED when no atom or too long. */
enum store_err mailbox_keyword(struct mailbox *m, uint64_t folder, struct slice name, bool make,
    size_t *number);

/* ---- putting messages in ---- */

struct mailbox_input {
	struct slice prefix;	/* put before the content: Return-Path, Delivered-To, Received; or empty */
	struct slice content;	/* with fd == -1 */
	int fd;			/* content is read from it at 0 (pread), or -1 */
	uint64_t size;		/* bytes of content, at most LIMIT_MESSAGE */
	int64_t date;		/* INTERNALDATE, seconds since 1970 */
	uint32_t flags;		/* MAILBOX_* */
	struct mailbox_kw kw;	/* numbers of the target folder */
	/* Writes what mailbox_cache_get() shall find from the start, of the version cache_version; false:
	 * nothing. Pure; called in the transaction with the whole message (prefix and content), when it is
	 * one piece of the store (256 KiB). NULL: nothing is kept. */
	bool (*cache)(struct slice message, struct buf *out);
	uint32_t cache_version;
};

/* APPEND (RFC 3501 6.3.11): durable. STORE_NONE: no such folder; STORE_LIMIT: too big. */
enum store_err mailbox_append(struct mailbox *m, uint64_t folder, const struct mailbox_input *in,
    uint32_t *uid);
/* A delivery of the queue. delivery: its id; floor: ids below it are settled and may be forgotten.
 * *fresh is false when this delivery was made before: then nothing is changed, and uid is that of
 * the first time (0 when unknown by now). Not durable: mailbox_flush() before it is reported. */
enum store_err mailbox_deliver(struct mailbox *m, uint64_t delivery, uint64_t floor,
    uint64_t folder, const struct mailbox_input *in, uint32_t *uid, bool *fresh);

/* Many deliveries in one transaction, which costs half of as many single ones. Each d[i] gets its own
 * err: STORE_NONE and STORE_LIMIT concern that one alone; the answer is the error of all, when nothing
 * was delivered. Not durable, as above. */
struct mailbox_delivery {
	uint64_t id, folder;
	struct mailbox_input in;
	enum store_err err;
	uint32_t uid;
	bool fresh;
};
enum store_err mailbox_deliver_many(struct mailbox *m, uint64_t floor, struct mailbox_delivery *d,
    size_t n);

/* ---- looking ---- */

/* One message as SELECT, FETCH FLAGS and SEARCH by flag, size and date need it. */
struct mailbox_row {
	uint32_t uid;
	uint32_t flags;
	uint32_t size;		/* RFC822.SIZE */
	uint32_t kw;		/* 0 = no keywords, else index + 1 into the sets of the snapshot */
	uint64_t modseq;
	int64_t date;		/* INTERNALDATE, seconds since 1970 */
};

struct mailbox_snapshot {
	struct mailbox_folder folder;	/* name left empty */
	struct mailbox_row *row;	/* rising UIDs */
	size_t n;
	struct mailbox_kw *set;
	size_t sets;
};
/* All messages of a folder with uid >= from_uid and modseq > since (0, 0 = all). Flushes first. Heap
 * memory, 32 bytes per message: mailbox_snapshot_free(). */
enum store_err mailbox_snapshot(struct mailbox *m, uint64_t folder, uint32_t from_uid,
    uint64_t since, struct mailbox_snapshot *out);
void mailbox_snapshot_free(struct mailbox_snapshot *s);
/* The keywords of a row; none gives the empty set. */
struct mailbox_kw mailbox_snapshot_kw(const struct mailbox_snapshot *s,
    const struct mailbox_row *r);
/* UIDs expunged after modseq since, rising by modseq. STORE_LIMIT: the past is not remembered that far
 * back (compare whole snapshots instead). */
enum store_err mailbox_vanished(struct mailbox *m, uint64_t folder, uint64_t since,
    bool (*fn)(void *ctx, uint32_t uid, uint64_t modseq), void *ctx);
/* \Recent: the UIDs >= *from are recent for the session that asks; with take no later session gets
 * them (SELECT), without it they stay (EXAMINE). */
enum store_err mailbox_recent(struct mailbox *m, uint64_t folder, bool take, uint32_t *from);

/* The content of one message, whole. Owned: mailbox_content_free(). */
struct mailbox_content {
	struct slice bytes;
	void *memory;
	size_t mapped;		/* 0 = heap */
};
/* STORE_NONE: expunged meanwhile. STORE_DAMAGED: this message only. */
enum store_err mailbox_content(struct mailbox *m, uint64_t folder, uint32_t uid,
    struct mailbox_content *out);
/* At most the first max bytes: header fetches of large messages need not unpack all of it. The hash
 * is checked only when the whole message was read. */
enum store_err mailbox_content_head(struct mailbox *m, uint64_t folder, uint32_t uid, size_t max,
    struct mailbox_content *out);
void mailbox_content_free(struct mailbox_content *c);

/* A cache beside the content, for pre-parsed ENVELOPE and BODYSTRUCTURE: bytes of the caller's with a
 * version of the caller's; shared by copies. Losing it is harmless: never flushed. STORE_NONE: not
 * there, or another version. */
enum store_err mailbox_cache_get(struct mailbox *m, uint64_t folder, uint32_t uid,
    uint32_t version, struct arena *a, struct slice *out);
enum store_err mailbox_cache_put(struct mailbox *m, uint64_t folder, uint32_t uid,
    uint32_t version, struct slice data);

/* ---- changing ---- */

enum mailbox_flag_op { MAILBOX_REPLACE, MAILBOX_ADD, MAILBOX_REMOVE };

struct mailbox_flagging {
	enum mailbox_flag_op op;
	uint32_t flags;
	struct mailbox_kw kw;
	uint64_t unchanged_since; /* UINT64_MAX = always; else rows with a higher modseq are left */
};
/* What became of one message: changed, or left because of unchanged_since (conflict). */
struct mailbox_flagged {
	uint32_t uid, flags;
	struct mailbox_kw kw;
	uint64_t modseq;
	bool conflict;
};
/* STORE of n UIDs (rising). fn (may be NULL) per message that exists; one modseq for all. Durable. A
 * message whose flags are already so keeps its modseq. */
enum store_err mailbox_flag(struct mailbox *m, uint64_t folder, const uint32_t *uid, size_t n,
    const struct mailbox_flagging *f, void (*fn)(void *ctx, const struct mailbox_flagged *r),
    void *ctx);
/* COPY and MOVE (RFC 6851) of n UIDs (rising): flags, keywords by name and date go along; to[i] is
 * the new UID of uid[i], 0 when it was gone. *uidvalidity is the target's. All or none. Durable. */
enum store_err mailbox_copy(struct mailbox *m, uint64_t folder, const uint32_t *uid, size_t n,
    uint64_t target, bool move, uint32_t *to, uint32_t *uidvalidity);
/* EXPUNGE: removes messages that have \Deleted: all of them (uid NULL) or those of n UIDs (rising).
 * fn (may be NULL) per removed UID, rising. *modseq (may be NULL) is that of the removal. Durable. */
enum store_err mailbox_expunge(struct mailbox *m, uint64_t folder, const uint32_t *uid, size_t n,
    void (*fn)(void *ctx, uint32_t uid), void *ctx, uint64_t *modseq);

/* Counters recounted, references, hashes: STORE_OK or STORE_DAMAGED. For `check` and tests. */
enum store_err mailbox_verify(struct mailbox *m);
