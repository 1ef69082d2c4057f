/* SPDX-License-Identifier: MIT
 * Looking: snapshots, content, cache. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/store/mailbox_int.h"

#define MAP_FROM ((size_t)131072) /* larger content gets its own mapping, given back at once */
#define SET_SEARCH ((size_t)64)   /* so many keyword sets are compared before a new one is noted */

void
mailbox_snapshot_free(struct mailbox_snapshot *s)
{
	free(s->row);
	free(s->set);
	*s = (struct mailbox_snapshot){ 0 };
}

struct mailbox_kw
mailbox_snapshot_kw(const struct mailbox_snapshot *s, const struct mailbox_row *r)
{
	return r->kw == 0 || r->kw > s->sets ? (struct mailbox_kw){ 0 } : s->set[r->kw - 1];
}

/* Makes room for one more; doubling. */
static bool
grow(void **p, size_t n, size_t size)
{
	void *more;

	if (n != 0 && (n < 16 || (n & (n - 1)) != 0))
		return true;
	more = reallocarray(*p, n == 0 ? 16 : n * 2, size);
	if (more == NULL)
		return false;
	*p = more;
	return true;
}

static bool
set_number(struct mailbox_snapshot *s, struct slice blob, uint32_t *out)
{
	struct mailbox_kw k = mb_kw_of(blob);
	size_t from = s->sets < SET_SEARCH ? 0 : s->sets - SET_SEARCH;

	*out = 0;
	if (mb_kw_none(&k))
		return true;
	for (size_t i = from; i < s->sets; i++)
		if (memcmp(&s->set[i], &k, sizeof k) == 0) {
			*out = (uint32_t)i + 1;
			return true;
		}
	if (!grow((void **)&s->set, s->sets, sizeof *s->set))
		return false;
	s->set[s->sets++] = k;
	*out = (uint32_t)s->sets;
	return true;
}

static bool
add_row(struct mailbox_snapshot *s, sqlite3_stmt *q)
{
	struct mailbox_row r = { .uid = (uint32_t)db_get_int(q, 0),
		.flags = (uint32_t)db_get_int(q, 1), .size = (uint32_t)db_get_int(q, 2),
		.modseq = db_get_int(q, 3), .date = (int64_t)db_get_int(q, 4) };

	if (!set_number(s, db_get_blob(q, 5), &r.kw) ||
	    !grow((void **)&s->row, s->n, sizeof *s->row))
		return false;
	s->row[s->n++] = r;
	return true;
}

static enum store_err
read_rows(struct mailbox *m, uint64_t folder, uint32_t from_uid, uint64_t since,
    struct mailbox_snapshot *s)
{
	sqlite3_stmt *q = db_stmt(&m->db, since > 0 ? M_MESSAGES_SINCE : M_MESSAGES);

	db_int(q, 1, folder);
	db_int(q, 2, from_uid);
	if (since > 0)
		db_int(q, 3, since);
	while (db_row(&m->db, q))
		if (!add_row(s, q)) {
			db_done(q);
			return STORE_FULL;
		}
	return m->db.err;
}

enum store_err
mailbox_snapshot(struct mailbox *m, uint64_t folder, uint32_t from_uid, uint64_t since,
    struct mailbox_snapshot *out)
{
	struct mailbox_snapshot s = { 0 };
	enum store_err e;

	(void)mb_look(m, true);
	e = mb_folder(m, folder, &s.folder);
	if (e == STORE_OK && s.folder.noselect)
		e = STORE_NONE;
	if (e == STORE_OK && (since == 0 || since < s.folder.highestmodseq))
		e = read_rows(m, folder, from_uid, since, &s);
	e = mb_seen(m, e);
	if (e != STORE_OK) {
		mailbox_snapshot_free(&s);
		return e;
	}
	*out = s;
	return STORE_OK;
}

enum store_err
mailbox_vanished(struct mailbox *m, uint64_t folder, uint64_t since,
    bool (*fn)(void *ctx, uint32_t uid, uint64_t modseq), void *ctx)
{
	uint64_t forgotten = 0;
	sqlite3_stmt *q;
	enum store_err e;

	(void)mb_look(m, true);
	q = db_stmt(&m->db, M_VANISHED_FLOOR);
	db_int(q, 1, folder);
	e = db_number(&m->db, q, &forgotten);
	if (e == STORE_OK && since < forgotten)
		e = STORE_LIMIT;
	if (e != STORE_OK)
		return mb_seen(m, e);
	q = db_stmt(&m->db, M_VANISHED);
	db_int(q, 1, folder);
	db_int(q, 2, since);
	while (db_row(&m->db, q))
		if (!fn(ctx, (uint32_t)db_get_int(q, 0), db_get_int(q, 1))) {
			db_done(q);
			break;
		}
	return mb_seen(m, STORE_OK);
}

enum store_err
mailbox_recent(struct mailbox *m, uint64_t folder, bool take, uint32_t *from)
{
	uint32_t first = 0, next = 0;
	sqlite3_stmt *q;
	enum store_err e;

	if (take)
		(void)mb_begin(m);
	else
		(void)mb_look(m, true);
	q = db_stmt(&m->db, M_FOLDER_BY_ID);
	db_int(q, 1, folder);
	e = STORE_NONE;
	if (db_row(&m->db, q)) {
		next = (uint32_t)db_get_int(q, 5);
		first = (uint32_t)db_get_int(q, 7);
		db_done(q);
		e = STORE_OK;
	} else if (m->db.err != STORE_OK) {
		e = m->db.err;
	}
	if (take && e == STORE_OK && first < next) {
		q = db_stmt(&m->db, M_FOLDER_RECENT);
		db_int(q, 1, folder);
		db_int(q, 2, next);
		e = db_run(&m->db, q);
	}
	/* Losing it in a power cut shows messages as recent once more: no flush. */
	e = take ? mb_end(m, e, false) : mb_seen(m, e);
	if (e == STORE_OK)
		*from = first;
	return e;
}

/* ---- content ---- */

static bool
content_room(struct mailbox_content *c, size_t n)
{
	void *p;

	if (n < MAP_FROM) {
		p = malloc(n == 0 ? 1 : n);
		c->memory = p;
		return p != NULL;
	}
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	c->memory = p;
	c->mapped = n;
	return true;
}

void
mailbox_content_free(struct mailbox_content *c)
{
	if (c->mapped > 0)
		(void)munmap(c->memory, c->mapped);
	else
		free(c->memory);
	*c = (struct mailbox_content){ 0 };
}

/* One stored piece, which must give exactly n bytes at to. */
static enum store_err
unpack(struct mailbox *m, uint64_t codec, struct slice data, uint8_t *to, size_t n)
{
	if (codec == 0) {
		if (data.n != n)
			return STORE_DAMAGED;
		if (n > 0)
			memcpy(to, data.p, n);
		return STORE_OK;
	}
	if (codec != 1)
		return STORE_DAMAGED;
	if (m->unpack == NULL)
		m->unpack = ZSTD_createDCtx();
	if (m->unpack == NULL)
		return STORE_FULL;
	return ZSTD_decompressDCtx(m->unpack, to, n, data.p, data.n) == n ? STORE_OK :
	    STORE_DAMAGED;
}

static size_t
piece(uint64_t size, uint64_t at)
{
	return size - at < STORE_CHUNK ? (size_t)(size - at) : STORE_CHUNK;
}

/* The chunks after the first one, as far as want bytes need them. */
static enum store_err
read_rest(struct mailbox *m, uint64_t blob, uint64_t size, uint64_t want, uint8_t *to, uint64_t *had)
{
	uint64_t at = STORE_CHUNK;
	sqlite3_stmt *q = db_stmt(&m->db, M_CHUNKS);

	db_int(q, 1, blob);
	while (at < want && db_row(&m->db, q)) {
		size_t n = piece(size, at);
		enum store_err e = unpack(m, db_get_int(q, 0), db_get_blob(q, 1), &to[at], n);

		if (e != STORE_OK) {
			db_done(q);
			return e;
		}
		at += n;
	}
	if (m->db.err == STORE_OK)
		db_done(q);
	*had = at;
	return m->db.err;
}

/* Rounded up to whole pieces, so that each can be unpacked in place. */
static uint64_t
whole_pieces(uint64_t size, uint64_t max)
{
	uint64_t n = max >= size ? size : (max / STORE_CHUNK + 1) * STORE_CHUNK;

	return n < size ? n : size;
}

static enum store_err
read_blob(struct mailbox *m, uint64_t blob, size_t max, struct mailbox_content *c)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_BLOB_GET);
	uint8_t hash[SHA256_DIGEST_LENGTH], got[SHA256_DIGEST_LENGTH];
	uint64_t size, want, had;
	struct slice h;
	enum store_err e;

	db_int(q, 1, blob);
	if (!db_row(&m->db, q))
		return m->db.err != STORE_OK ? m->db.err : STORE_DAMAGED;
	size = db_get_int(q, 0);
	h = db_get_blob(q, 2);
	want = size > LIMIT_STORE_MESSAGE ? 0 : whole_pieces(size, max);
	e = h.n != sizeof hash || size > LIMIT_STORE_MESSAGE ? STORE_DAMAGED : STORE_OK;
	if (e == STORE_OK) {
		memcpy(hash, h.p, h.n);
		e = content_room(c, (size_t)want) ? STORE_OK : STORE_FULL;
	}
	had = piece(size, 0);
	if (e == STORE_OK)
		e = unpack(m, db_get_int(q, 1), db_get_blob(q, 3), c->memory, (size_t)had);
	db_done(q);
	if (e == STORE_OK && want > STORE_CHUNK)
		e = read_rest(m, blob, size, want, c->memory, &had);
	if (e == STORE_OK && had < want)
		e = STORE_DAMAGED;
	c->bytes = slice_of(c->memory, (size_t)want);
	if (e == STORE_OK && want == size) {
		store_sha256(slice_of(c->memory, (size_t)size), got);
		if (memcmp(hash, got, sizeof hash) != 0)
			e = STORE_DAMAGED;
	}
	c->bytes = slice_head(c->bytes, max);
	return e;
}

static enum store_err
blob_of(struct mailbox *m, uint64_t folder, uint32_t uid, uint64_t *blob)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_MESSAGE_BLOB);

	db_int(q, 1, folder);
	db_int(q, 2, uid);
	return db_number(&m->db, q, blob);
}

enum store_err
mailbox_content_head(struct mailbox *m, uint64_t folder, uint32_t uid, size_t max,
    struct mailbox_content *out)
{
	struct mailbox_content c = { 0 };
	uint64_t blob;
	enum store_err e;

	(void)mb_look(m, false);
	e = blob_of(m, folder, uid, &blob);
	if (e == STORE_OK)
		e = read_blob(m, blob, max, &c);
	e = mb_seen(m, e);
	if (e != STORE_OK)
		mailbox_content_free(&c);
	else
		*out = c;
	return e;
}

enum store_err
mailbox_content(struct mailbox *m, uint64_t folder, uint32_t uid, struct mailbox_content *out)
{
	return mailbox_content_head(m, folder, uid, SIZE_MAX, out);
}

/* ---- cache ---- */

enum store_err
mailbox_cache_get(struct mailbox *m, uint64_t folder, uint32_t uid, uint32_t version,
    struct arena *a, struct slice *out)
{
	uint64_t blob;
	sqlite3_stmt *q;
	enum store_err e;

	(void)mb_look(m, false);
	e = blob_of(m, folder, uid, &blob);
	if (e != STORE_OK)
		return mb_seen(m, e);
	q = db_stmt(&m->db, M_CACHE_GET);
	db_int(q, 1, blob);
	e = STORE_NONE;
	if (db_row(&m->db, q)) {
		if (db_get_int(q, 0) == version)
			e = arena_copy(a, db_get_blob(q, 1), out) ? STORE_OK : STORE_LIMIT;
		db_done(q);
	}
	return mb_seen(m, m->db.err != STORE_OK ? m->db.err : e);
}

enum store_err
mailbox_cache_put(struct mailbox *m, uint64_t folder, uint32_t uid, uint32_t version,
    struct slice data)
{
	uint64_t blob = 0;
	sqlite3_stmt *q;
	enum store_err e;

	(void)mb_begin(m);
	e = blob_of(m, folder, uid, &blob);
	q = db_stmt(&m->db, M_CACHE_PUT);
	db_int(q, 1, blob);
	db_int(q, 2, version);
	db_blob(q, 3, data);
	if (e == STORE_OK)
		e = db_run(&m->db, q);
	else
		db_done(q);
	return mb_end(m, e, false);
}

/* ---- checking ---- */

static enum store_err
check_counts(struct mailbox *m)
{
	uint64_t wrong = 0;
	sqlite3_stmt *q;
	enum store_err e = db_number(&m->db, db_stmt(&m->db, M_RECOUNT), &wrong);

	if (e != STORE_OK || wrong > 0)
		return e != STORE_OK ? e : STORE_DAMAGED;
	q = db_stmt(&m->db, M_VERIFY);
	while (db_row(&m->db, q)) {
		struct mailbox_content c = { 0 };
		uint64_t blob = db_get_int(q, 0);

		e = db_get_int(q, 1) == db_get_int(q, 2) ? read_blob(m, blob, SIZE_MAX, &c) :
		    STORE_DAMAGED;
		mailbox_content_free(&c);
		if (e != STORE_OK) {
			db_done(q);
			return e;
		}
	}
	return m->db.err;
}

enum store_err
mailbox_verify(struct mailbox *m)
{
	enum store_err e = mb_look(m, false);

	if (e == STORE_OK)
		e = db_verify(&m->db);
	if (e == STORE_OK)
		e = check_counts(m);
	return mb_seen(m, e);
}
