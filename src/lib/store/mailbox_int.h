/* SPDX-License-Identifier: MIT
 * What the files of the mailbox store share. */
#pragma once

#include <pthread.h>
#include <zstd.h>

#include "lib/store/db.h"
#include "lib/store/mailbox.h"
#include "lib/store/memfd.h"

struct mailbox {
	struct db db;
	pthread_mutex_t lock;		/* db and all below */
	pthread_mutex_t flushing;	/* taken before lock; one flush at a time */
	uint64_t generation;
	uint64_t floor;			/* deliveries below it are settled: pruned */
	ZSTD_CCtx *pack;		/* made when needed, dropped by relax */
	ZSTD_DCtx *unpack;
	uint8_t *scratch;
	size_t scratch_cap;
	char path[256];
};

/* Numbers of the statements; the texts stand in mailbox_sql.c. */
enum mailbox_sql {
	M_ACCOUNT, M_NEW_FOLDER_ID, M_TAKE_FOLDER_ID,
	M_FOLDERS, M_FOLDER_BY_NAME, M_FOLDER_BY_ID, M_ID_BY_NAME, M_ID_BY_USE, M_RECENT_COUNT,
	M_FOLDER_ADD, M_FOLDER_DROP, M_FOLDER_REVIVE, M_FOLDER_HIDE, M_CHILD, M_RENAME, M_LONGEST,
	M_FOLDER_COUNTS, M_FOLDER_RECENT,
	M_SUB_ADD, M_SUB_DROP, M_SUBS,
	M_KEYWORDS, M_KEYWORD_ADD, M_KEYWORDS_DROP,
	M_BLOB_ADD, M_BLOB_GET, M_BLOB_DROP, M_CHUNK_ADD, M_CHUNKS, M_CHUNKS_DROP,
	M_SHARED_GET, M_SHARED_PUT, M_SHARED_DROP,
	M_MESSAGE_ADD, M_MESSAGE_GET, M_MESSAGE_BLOB, M_MESSAGE_FLAG, M_MESSAGE_DROP,
	M_MESSAGES, M_MESSAGES_SINCE, M_DELETED, M_ALL_BLOBS,
	M_CACHE_GET, M_CACHE_PUT, M_CACHE_DROP,
	M_DELIVERED_GET, M_DELIVERED_ADD, M_DELIVERED_PRUNE,
	M_VANISHED, M_VANISHED_ADD, M_VANISHED_DROP, M_VANISHED_FLOOR,
	M_RECOUNT, M_VERIFY,
	M_STATEMENTS
};
_Static_assert(M_STATEMENTS <= DB_STATEMENTS, "room for every statement");

extern const char *const mailbox_sql[M_STATEMENTS];
extern const struct db_step mailbox_steps[];
extern const size_t mailbox_nsteps;

/* What changes with messages; read, changed and written back inside one transaction. */
struct counts {
	uint64_t id;
	uint64_t modseq;
	uint32_t uidvalidity, uidnext;
	int64_t exists, unseen, deleted, bytes;
	bool noselect;
};

/* A transaction of a change. mb_begin() locks. mb_end() commits when e is STORE_OK, else rolls back,
 * unlocks, flushes where durable, and returns what became of it. */
enum store_err mb_begin(struct mailbox *m);
enum store_err mb_end(struct mailbox *m, enum store_err e, bool durable);
/* Reading. mb_look() locks; with shown it flushes what is not flushed yet. */
enum store_err mb_look(struct mailbox *m, bool shown);
enum store_err mb_seen(struct mailbox *m, enum store_err e);

/* All of it but the name. */
enum store_err mb_folder(struct mailbox *m, uint64_t folder, struct mailbox_folder *out);
/* STORE_NONE for no such folder and for a noselect one. */
enum store_err mb_counts(struct mailbox *m, uint64_t folder, struct counts *out);
enum store_err mb_put_counts(struct mailbox *m, const struct counts *c);
/* Adds (sign 1) or takes away (-1) one message. */
void mb_count(struct counts *c, uint32_t flags, uint32_t size, int sign);

/* "inbox" and "inbox/x" in any case get their capitals; one trailing '/' goes. false: not valid. buf
 * has LIMIT_IMAP_MAILBOX bytes. */
bool mb_name(struct slice name, uint8_t *buf, struct slice *out);

/* Stores content; gives the blob's id and its size. */
enum store_err mb_blob_add(struct mailbox *m, const struct mailbox_input *in, uint64_t *blob,
    uint32_t *size);
/* One more or one less message with that content; the last one removes it. */
enum store_err mb_blob_share(struct mailbox *m, uint64_t blob);
enum store_err mb_blob_drop(struct mailbox *m, uint64_t blob);
enum store_err mb_vanish(struct mailbox *m, uint64_t folder, uint64_t modseq, uint32_t uid);
/* Removes all messages of a folder. */
enum store_err mb_empty(struct mailbox *m, struct counts *c);
/* Adds a message row to *c, with the next UID and modseq c->modseq. */
enum store_err mb_message_add(struct mailbox *m, struct counts *c, uint64_t blob, uint32_t size,
    uint32_t flags, const struct mailbox_kw *kw, int64_t date, uint32_t *uid);
struct mailbox_kw mb_kw_of(struct slice blob);
/* The shortest bytes that hold the set; borrowed from *k. */
struct slice mb_kw_bytes(const struct mailbox_kw *k);
bool mb_kw_none(const struct mailbox_kw *k);
/* Inside a transaction, name already checked. */
enum store_err mb_keyword(struct mailbox *m, uint64_t folder, struct slice name, bool make,
    size_t *number);
/* Moves every message of one folder to another. */
enum store_err mb_move_all(struct mailbox *m, uint64_t from, uint64_t to);
uint8_t *mb_scratch(struct mailbox *m, size_t n);
