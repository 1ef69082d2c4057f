/* SPDX-License-Identifier: MIT
 * Opening, locking, flushing. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/store/mailbox_int.h"

/* The house's folders; INBOX is folder 1. */
static const struct {
	struct slice name;
	enum mailbox_use use;
} first_folders[] = {
	{ S_INIT("INBOX"), MAILBOX_INBOX }, { S_INIT("Drafts"), MAILBOX_DRAFTS },
	{ S_INIT("Sent"), MAILBOX_SENT }, { S_INIT("Junk"), MAILBOX_JUNK },
	{ S_INIT("Trash"), MAILBOX_TRASH }, { S_INIT("Archive"), MAILBOX_ARCHIVE },
};

static enum store_err
furnish(struct mailbox *m, uint64_t account, uint64_t now)
{
	struct db *d = &m->db;
	uint64_t n = sizeof first_folders / sizeof first_folders[0];
	/* UIDVALIDITY is 32 bits that are not zero (RFC 3501 2.3.1.1): seconds last until 2106. */
	uint64_t validity = now / 1000000 % UINT32_MAX + 1;
	char text[120];

	(void)db_begin(d);
	(void)snprintf(text, sizeof text, "INSERT INTO mailbox VALUES(1,%llu,0,%llu,%llu)",
	    (unsigned long long)account, (unsigned long long)n + 1,
	    (unsigned long long)(validity + n));
	if (sqlite3_exec(d->sql, text, NULL, NULL, NULL) != SQLITE_OK)
		(void)db_fail(d, STORE_IO);
	for (size_t i = 0; i < n; i++) {
		sqlite3_stmt *q = db_stmt(d, M_FOLDER_ADD);

		db_int(q, 1, i + 1);
		db_text(q, 2, first_folders[i].name);
		db_int(q, 3, first_folders[i].use);
		db_int(q, 4, 0);
		db_int(q, 5, validity + i);
		(void)db_run(d, q);
		q = db_stmt(d, M_SUB_ADD);
		db_text(q, 1, first_folders[i].name);
		(void)db_run(d, q);
	}
	return db_commit(d);
}

static enum store_err
check_account(struct mailbox *m, uint64_t account, uint64_t now)
{
	uint64_t owner;
	enum store_err e = db_number(&m->db, db_stmt(&m->db, M_ACCOUNT), &owner);

	if (e == STORE_NONE) {
		e = furnish(m, account, now);
		return e == STORE_OK ? db_flush(&m->db) : e;
	}
	return e == STORE_OK && owner != account ? STORE_REFUSED : e;
}

enum store_err
mailbox_open(const char *path, uint64_t account, uint64_t now, struct mailbox **out)
{
	struct db_options o = { .sql = mailbox_sql, .sqls = M_STATEMENTS,
		.steps = mailbox_steps, .nsteps = mailbox_nsteps, .page_size = 4096,
		.cache_kib = 2048, .checkpoint_pages = 1024, .secure_delete = true };
	struct mailbox *m = calloc(1, sizeof *m);
	enum store_err e;

	if (m == NULL)
		return STORE_FULL;
	PN_ASSERT(snprintf(m->path, sizeof m->path, "%s", path) < (int)sizeof m->path);
	o.path = m->path;
	e = db_open(&m->db, &o);
	if (e == STORE_OK)
		e = check_account(m, account, now);
	if (e != STORE_OK) {
		db_close(&m->db);
		free(m);
		return e;
	}
	(void)pthread_mutex_init(&m->lock, NULL);
	(void)pthread_mutex_init(&m->flushing, NULL);
	*out = m;
	return STORE_OK;
}

static void
drop_tools(struct mailbox *m)
{
	(void)ZSTD_freeCCtx(m->pack);
	(void)ZSTD_freeDCtx(m->unpack);
	free(m->scratch);
	m->pack = NULL;
	m->unpack = NULL;
	m->scratch = NULL;
	m->scratch_cap = 0;
}

void
mailbox_close(struct mailbox **mp)
{
	struct mailbox *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	(void)db_flush(&m->db);
	db_close(&m->db);
	drop_tools(m);
	(void)pthread_mutex_destroy(&m->lock);
	(void)pthread_mutex_destroy(&m->flushing);
	free(m);
}

void
mailbox_relax(struct mailbox *m)
{
	(void)pthread_mutex_lock(&m->flushing);
	(void)pthread_mutex_lock(&m->lock);
	drop_tools(m);
	db_rest(&m->db);
	(void)pthread_mutex_unlock(&m->lock);
	(void)pthread_mutex_unlock(&m->flushing);
}

/* Waits until transaction seq is on the disk. Who comes while a flush is under way waits for it, and
 * the next one then covers all who waited. */
static enum store_err
flush_to(struct mailbox *m, uint64_t seq)
{
	enum store_err e = STORE_OK;
	uint64_t target;
	bool done;

	(void)pthread_mutex_lock(&m->flushing);
	(void)pthread_mutex_lock(&m->lock);
	target = m->db.commits;
	done = m->db.flushed >= seq;
	if (m->db.broken)
		e = STORE_IO;
	(void)pthread_mutex_unlock(&m->lock);
	if (e == STORE_OK && !done) {
		e = db_sync(&m->db);
		(void)pthread_mutex_lock(&m->lock);
		if (e != STORE_OK)
			db_broke(&m->db);
		else if (m->db.flushed < target)
			m->db.flushed = target;
		(void)pthread_mutex_unlock(&m->lock);
	}
	(void)pthread_mutex_unlock(&m->flushing);
	return e;
}

enum store_err
mailbox_flush(struct mailbox *m)
{
	uint64_t seq;

	(void)pthread_mutex_lock(&m->lock);
	seq = m->db.commits;
	(void)pthread_mutex_unlock(&m->lock);
	return flush_to(m, seq);
}

uint64_t
mailbox_generation(struct mailbox *m)
{
	return __atomic_load_n(&m->generation, __ATOMIC_ACQUIRE);
}

enum store_err
mb_begin(struct mailbox *m)
{
	(void)pthread_mutex_lock(&m->lock);
	return db_begin(&m->db);
}

enum store_err
mb_end(struct mailbox *m, enum store_err e, bool durable)
{
	uint64_t had = m->db.commits, seq;

	if (e == STORE_OK)
		e = db_commit(&m->db);
	else
		db_rollback(&m->db);
	seq = m->db.commits;
	if (seq != had)
		(void)__atomic_add_fetch(&m->generation, 1, __ATOMIC_RELEASE);
	(void)pthread_mutex_unlock(&m->lock);
	return e == STORE_OK && durable ? flush_to(m, seq) : e;
}

enum store_err
mb_look(struct mailbox *m, bool shown)
{
	enum store_err e;

	(void)pthread_mutex_lock(&m->lock);
	e = db_read(&m->db);
	return e == STORE_OK && shown ? db_flush(&m->db) : e;
}

enum store_err
mb_seen(struct mailbox *m, enum store_err e)
{
	if (e == STORE_OK)
		e = m->db.err;
	(void)pthread_mutex_unlock(&m->lock);
	return e;
}

uint8_t *
mb_scratch(struct mailbox *m, size_t n)
{
	if (m->scratch_cap < n) {
		free(m->scratch);
		m->scratch = malloc(n);
		m->scratch_cap = m->scratch == NULL ? 0 : n;
	}
	return m->scratch;
}
