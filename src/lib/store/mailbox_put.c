/* SPDX-License-Identifier: MIT
 * Putting messages in: content, rows, APPEND, deliveries.
 *
 * Content is cut into pieces of 256 KiB, each a zstd frame of its own (or the bytes as they are, where
 * zstd does not help): the first stands in the blob row, the others in chunk rows. Level 1: on mail of
 * 4 KiB it takes 19 us and leaves 46 %; level 3 takes 22 us, 90 KiB instead of 74 KiB of state (606
 * instead of 246 for larger mail) and leaves 45 %. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "lib/store/mailbox_int.h"

#define LEVEL 1
#define MOST_CACHE ((size_t)262144) /* bytes beside one message; more is not worth keeping */
#define WORTH ((size_t)256) /* shorter pieces are kept as they are */

/* Not SHA256(): that one goes through EVP and takes all of libcrypto along, 364 KiB of private memory
 * in each mailbox process. */
void
store_sha256(struct slice in, uint8_t out[static STORE_SHA256])
{
	SHA256_CTX ctx;

	(void)SHA256_Init(&ctx);
	(void)SHA256_Update(&ctx, in.p, in.n);
	(void)SHA256_Final(out, &ctx);
}

bool
mb_kw_none(const struct mailbox_kw *k)
{
	return (k->bit[0] | k->bit[1] | k->bit[2] | k->bit[3]) == 0;
}

/* Little-endian on the disk, as in memory here. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "keyword sets are kept as they lie");

struct slice
mb_kw_bytes(const struct mailbox_kw *k)
{
	struct slice s = slice_of(k->bit, sizeof k->bit);

	while (s.n > 0 && slice_at(s, s.n - 1) == 0)
		s = slice_head(s, s.n - 1);
	return s;
}

struct mailbox_kw
mb_kw_of(struct slice blob)
{
	struct mailbox_kw k = { 0 };

	if (blob.n > 0 && blob.n <= sizeof k.bit)
		memcpy(k.bit, blob.p, blob.n);
	return k;
}

void
mb_count(struct counts *c, uint32_t flags, uint32_t size, int sign)
{
	c->exists += sign;
	if ((flags & MAILBOX_SEEN) == 0)
		c->unseen += sign;
	if ((flags & MAILBOX_DELETED) != 0)
		c->deleted += sign;
	c->bytes += (int64_t)size * sign;
}

enum store_err
mb_counts(struct mailbox *m, uint64_t folder, struct counts *out)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_FOLDER_BY_ID);

	db_int(q, 1, folder);
	if (!db_row(&m->db, q))
		return m->db.err != STORE_OK ? m->db.err : STORE_NONE;
	*out = (struct counts){ .id = folder, .noselect = db_get_int(q, 3) != 0,
		.uidvalidity = (uint32_t)db_get_int(q, 4), .uidnext = (uint32_t)db_get_int(q, 5),
		.modseq = db_get_int(q, 6), .exists = (int64_t)db_get_int(q, 8),
		.unseen = (int64_t)db_get_int(q, 9), .deleted = (int64_t)db_get_int(q, 10),
		.bytes = (int64_t)db_get_int(q, 11) };
	db_done(q);
	return out->noselect ? STORE_NONE : STORE_OK;
}

enum store_err
mb_put_counts(struct mailbox *m, const struct counts *c)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_FOLDER_COUNTS);

	db_int(q, 1, c->id);
	db_int(q, 2, c->modseq);
	db_int(q, 3, c->uidnext);
	db_int(q, 4, (uint64_t)c->exists);
	db_int(q, 5, (uint64_t)c->unseen);
	db_int(q, 6, (uint64_t)c->deleted);
	db_int(q, 7, (uint64_t)c->bytes);
	return db_run(&m->db, q);
}

/* *packed is borrowed from the scratch memory, or is raw itself with codec 0. */
static enum store_err
pack(struct mailbox *m, struct slice raw, uint64_t *codec, struct slice *packed)
{
	size_t room = ZSTD_compressBound(raw.n), n;
	uint8_t *to;

	*codec = 0;
	*packed = raw;
	if (raw.n < WORTH)
		return STORE_OK;
	if (m->pack == NULL)
		m->pack = ZSTD_createCCtx();
	to = mb_scratch(m, room);
	if (m->pack == NULL || to == NULL)
		return db_fail(&m->db, STORE_FULL);
	n = ZSTD_compressCCtx(m->pack, to, room, raw.p, raw.n, LEVEL);
	if (!ZSTD_isError(n) && n < raw.n) {
		*codec = 1;
		*packed = slice_of(to, n);
	}
	return STORE_OK;
}

static enum store_err
hash_all(struct source *src, uint8_t *hash)
{
	SHA256_CTX ctx;
	struct slice part;
	enum store_err e;

	(void)SHA256_Init(&ctx);
	for (;;) {
		e = source_next(src, &part);
		if (e != STORE_OK)
			return e;
		if (part.n == 0)
			break;
		(void)SHA256_Update(&ctx, part.p, part.n);
	}
	(void)SHA256_Final(hash, &ctx);
	src->at = 0;
	return STORE_OK;
}

static enum store_err
add_first(struct mailbox *m, struct slice part, uint64_t total, const uint8_t *hash)
{
	uint64_t codec = 0;
	struct slice packed;
	sqlite3_stmt *q;

	if (pack(m, part, &codec, &packed) != STORE_OK)
		return m->db.err;
	q = db_stmt(&m->db, M_BLOB_ADD);
	db_int(q, 1, total);
	db_int(q, 2, codec);
	db_blob(q, 3, slice_of(hash, SHA256_DIGEST_LENGTH));
	db_blob(q, 4, packed);
	return db_run(&m->db, q);
}

static enum store_err
add_rest(struct mailbox *m, struct source *src, uint64_t blob)
{
	for (uint64_t n = 1;; n++) {
		uint64_t codec = 0;
		struct slice part, packed;
		sqlite3_stmt *q;
		enum store_err e = source_next(src, &part);

		if (e != STORE_OK || part.n == 0)
			return e == STORE_OK ? e : db_fail(&m->db, e);
		if (pack(m, part, &codec, &packed) != STORE_OK)
			return m->db.err;
		q = db_stmt(&m->db, M_CHUNK_ADD);
		db_int(q, 1, blob);
		db_int(q, 2, n);
		db_int(q, 3, codec);
		db_blob(q, 4, packed);
		if (db_run(&m->db, q) != STORE_OK)
			return m->db.err;
	}
}

/* What the caller wants beside the content, in the same transaction: a second one would cost as much
 * as a delivery. */
static enum store_err
add_cache(struct mailbox *m, const struct mailbox_input *in, struct slice message, uint64_t blob)
{
	struct buf data;
	sqlite3_stmt *q;
	enum store_err e = STORE_OK;

	buf_init(&data, MOST_CACHE);
	if (in->cache(message, &data) && !data.bad) {
		q = db_stmt(&m->db, M_CACHE_PUT);
		db_int(q, 1, blob);
		db_int(q, 2, in->cache_version);
		db_blob(q, 3, buf_slice(&data));
		e = db_run(&m->db, q);
	}
	buf_free(&data);
	return e;
}

static enum store_err
add_content(struct mailbox *m, struct source *src, const struct mailbox_input *in, uint64_t *blob)
{
	uint64_t total = source_total(src);
	uint8_t hash[SHA256_DIGEST_LENGTH];
	struct slice part;
	enum store_err e;

	if (total > STORE_CHUNK) {
		e = hash_all(src, hash);
		if (e != STORE_OK)
			return e;
	}
	e = source_next(src, &part);
	if (e != STORE_OK)
		return e;
	if (total <= STORE_CHUNK)
		store_sha256(slice_of(part.p, part.n), hash);
	e = add_first(m, part, total, hash);
	if (e != STORE_OK)
		return e;
	*blob = (uint64_t)sqlite3_last_insert_rowid(m->db.sql);
	if (total > STORE_CHUNK)
		return add_rest(m, src, *blob);
	return in->cache != NULL ? add_cache(m, in, part, *blob) : STORE_OK;
}

enum store_err
mb_blob_add(struct mailbox *m, const struct mailbox_input *in, uint64_t *blob, uint32_t *size)
{
	struct source src = { .prefix = in->prefix, .content = in->content, .fd = in->fd,
		.size = in->fd < 0 ? in->content.n : in->size };
	enum store_err e;

	if (src.size > LIMIT_STORE_MESSAGE || source_total(&src) > LIMIT_STORE_MESSAGE)
		return STORE_LIMIT;
	e = add_content(m, &src, in, blob);
	*size = (uint32_t)source_total(&src);
	source_free(&src);
	return e;
}

enum store_err
mb_blob_share(struct mailbox *m, uint64_t blob)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_SHARED_GET);
	uint64_t refs = 1;
	enum store_err e;

	db_int(q, 1, blob);
	e = db_number(&m->db, q, &refs);
	if (e != STORE_OK && e != STORE_NONE)
		return e;
	q = db_stmt(&m->db, M_SHARED_PUT);
	db_int(q, 1, blob);
	db_int(q, 2, refs + 1);
	return db_run(&m->db, q);
}

static enum store_err
run_for(struct mailbox *m, enum mailbox_sql n, uint64_t blob)
{
	sqlite3_stmt *q = db_stmt(&m->db, n);

	db_int(q, 1, blob);
	return db_run(&m->db, q);
}

enum store_err
mb_blob_drop(struct mailbox *m, uint64_t blob)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_SHARED_GET);
	uint64_t refs = 1;
	enum store_err e;

	db_int(q, 1, blob);
	e = db_number(&m->db, q, &refs);
	if (e == STORE_OK && refs > 2) {
		q = db_stmt(&m->db, M_SHARED_PUT);
		db_int(q, 1, blob);
		db_int(q, 2, refs - 1);
		return db_run(&m->db, q);
	}
	if (e == STORE_OK)
		return run_for(m, M_SHARED_DROP, blob);
	(void)run_for(m, M_BLOB_DROP, blob);
	(void)run_for(m, M_CHUNKS_DROP, blob);
	return run_for(m, M_CACHE_DROP, blob);
}

enum store_err
mb_message_add(struct mailbox *m, struct counts *c, uint64_t blob, uint32_t size, uint32_t flags,
    const struct mailbox_kw *kw, int64_t date, uint32_t *uid)
{
	sqlite3_stmt *q;

	if (c->uidnext == UINT32_MAX) /* RFC 3501 2.3.1.1 would need a new UIDVALIDITY */
		return STORE_LIMIT;
	q = db_stmt(&m->db, M_MESSAGE_ADD);
	db_int(q, 1, c->id);
	db_int(q, 2, c->uidnext);
	db_int(q, 3, flags & MAILBOX_FLAGS);
	db_int(q, 4, size);
	db_int(q, 5, c->modseq);
	db_int(q, 6, (uint64_t)date);
	db_int(q, 7, blob);
	if (!mb_kw_none(kw))
		db_blob(q, 8, mb_kw_bytes(kw));
	if (db_run(&m->db, q) != STORE_OK)
		return m->db.err;
	*uid = c->uidnext++;
	mb_count(c, flags, size, 1);
	return STORE_OK;
}

static enum store_err
put_message(struct mailbox *m, uint64_t folder, const struct mailbox_input *in, uint32_t *uid)
{
	struct counts c;
	uint64_t blob = 0;
	uint32_t size = 0;
	enum store_err e = mb_counts(m, folder, &c);

	if (e != STORE_OK)
		return e;
	if (c.uidnext == UINT32_MAX) /* before anything is written for it */
		return STORE_LIMIT;
	c.modseq++;
	e = mb_blob_add(m, in, &blob, &size);
	if (e == STORE_OK)
		e = mb_message_add(m, &c, blob, size, in->flags, &in->kw, in->date, uid);
	return e == STORE_OK ? mb_put_counts(m, &c) : e;
}

enum store_err
mailbox_append(struct mailbox *m, uint64_t folder, const struct mailbox_input *in, uint32_t *uid)
{
	uint32_t made = 0;
	enum store_err e = mb_begin(m);

	if (e == STORE_OK)
		e = put_message(m, folder, in, &made);
	e = mb_end(m, e, true);
	if (e == STORE_OK)
		*uid = made;
	return e;
}

static enum store_err
deliver_one(struct mailbox *m, struct mailbox_delivery *d)
{
	uint64_t before = 0;
	sqlite3_stmt *q = db_stmt(&m->db, M_DELIVERED_GET);
	enum store_err e;

	d->fresh = false;
	d->uid = 0;
	db_int(q, 1, d->id);
	e = db_number(&m->db, q, &before);
	if (e == STORE_OK || (e == STORE_NONE && d->id < m->floor)) {
		d->uid = (uint32_t)before;
		return STORE_OK;
	}
	if (e != STORE_NONE)
		return e;
	e = put_message(m, d->folder, &d->in, &d->uid);
	if (e != STORE_OK)
		return e;
	d->fresh = true;
	q = db_stmt(&m->db, M_DELIVERED_ADD);
	db_int(q, 1, d->id);
	db_int(q, 2, d->uid);
	return db_run(&m->db, q);
}

static enum store_err
prune(struct mailbox *m, uint64_t floor)
{
	sqlite3_stmt *q;

	if (floor <= m->floor)
		return STORE_OK;
	q = db_stmt(&m->db, M_DELIVERED_PRUNE);
	db_int(q, 1, floor);
	return db_run(&m->db, q);
}

enum store_err
mailbox_deliver_many(struct mailbox *m, uint64_t floor, struct mailbox_delivery *d, size_t n)
{
	enum store_err e;

	(void)mb_begin(m);
	for (size_t i = 0; i < n && m->db.err == STORE_OK; i++)
		d[i].err = deliver_one(m, &d[i]);
	e = prune(m, floor);
	if (e == STORE_OK)
		e = m->db.err;
	if (e == STORE_OK && floor > m->floor)
		m->floor = floor; /* if the commit fails there is only more left to prune */
	e = mb_end(m, e, false);
	for (size_t i = 0; i < n && e != STORE_OK; i++)
		d[i].err = e;
	return e;
}

enum store_err
mailbox_deliver(struct mailbox *m, uint64_t delivery, uint64_t floor, uint64_t folder,
    const struct mailbox_input *in, uint32_t *uid, bool *fresh)
{
	struct mailbox_delivery d = { .id = delivery, .folder = folder, .in = *in };
	enum store_err e = mailbox_deliver_many(m, floor, &d, 1);

	if (e == STORE_OK)
		e = d.err;
	if (e == STORE_OK) {
		*uid = d.uid;
		*fresh = d.fresh;
	}
	return e;
}
