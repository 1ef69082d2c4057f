/* SPDX-License-Identifier: MIT
 * Changing: flags, COPY, MOVE, EXPUNGE. Each call is one transaction with one modseq per folder. */
#include "lib/store/mailbox_int.h"

#define SOME 500u /* UIDs taken at a time */

struct message {
	uint32_t uid, flags, size;
	uint64_t modseq, blob;
	int64_t date;
	struct mailbox_kw kw;
};

static enum store_err
get_message(struct mailbox *m, uint64_t folder, uint32_t uid, struct message *out)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_MESSAGE_GET);

	db_int(q, 1, folder);
	db_int(q, 2, uid);
	if (!db_row(&m->db, q))
		return m->db.err != STORE_OK ? m->db.err : STORE_NONE;
	*out = (struct message){ .uid = uid, .flags = (uint32_t)db_get_int(q, 0),
		.size = (uint32_t)db_get_int(q, 1), .modseq = db_get_int(q, 2),
		.date = (int64_t)db_get_int(q, 3), .blob = db_get_int(q, 4),
		.kw = mb_kw_of(db_get_blob(q, 5)) };
	db_done(q);
	return STORE_OK;
}

/* ---- flags ---- */

static void
new_flags(const struct mailbox_flagging *f, const struct message *old, struct message *to)
{
	*to = *old;
	if (f->op == MAILBOX_REPLACE) {
		to->flags = f->flags;
		to->kw = f->kw;
	} else if (f->op == MAILBOX_ADD) {
		to->flags |= f->flags;
		for (size_t i = 0; i < 4; i++)
			to->kw.bit[i] |= f->kw.bit[i];
	} else {
		to->flags &= ~f->flags;
		for (size_t i = 0; i < 4; i++)
			to->kw.bit[i] &= ~f->kw.bit[i];
	}
	to->flags &= MAILBOX_FLAGS;
}

static enum store_err
write_flags(struct mailbox *m, uint64_t folder, const struct message *msg)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_MESSAGE_FLAG);

	db_int(q, 1, folder);
	db_int(q, 2, msg->uid);
	db_int(q, 3, msg->flags);
	if (!mb_kw_none(&msg->kw))
		db_blob(q, 4, mb_kw_bytes(&msg->kw));
	db_int(q, 5, msg->modseq);
	return db_run(&m->db, q);
}

static enum store_err
flag_one(struct mailbox *m, struct counts *c, uint64_t modseq, uint32_t uid,
    const struct mailbox_flagging *f, struct mailbox_flagged *r)
{
	struct message old, msg;
	enum store_err e = get_message(m, c->id, uid, &old);

	if (e != STORE_OK)
		return e;
	new_flags(f, &old, &msg);
	r->conflict = old.modseq > f->unchanged_since;
	if (r->conflict)
		msg = old;
	if (msg.flags != old.flags || memcmp(&msg.kw, &old.kw, sizeof old.kw) != 0) {
		msg.modseq = modseq;
		e = write_flags(m, c->id, &msg);
		mb_count(c, old.flags, old.size, -1);
		mb_count(c, msg.flags, msg.size, 1);
		c->modseq = modseq;
	}
	r->uid = uid;
	r->flags = msg.flags;
	r->kw = msg.kw;
	r->modseq = msg.modseq;
	return e;
}

enum store_err
mailbox_flag(struct mailbox *m, uint64_t folder, const uint32_t *uid, size_t n,
    const struct mailbox_flagging *f, void (*fn)(void *ctx, const struct mailbox_flagged *r),
    void *ctx)
{
	struct counts c = { 0 };
	uint64_t modseq;
	enum store_err e;

	(void)mb_begin(m);
	e = mb_counts(m, folder, &c);
	modseq = c.modseq + 1;
	for (size_t i = 0; i < n && e == STORE_OK; i++) {
		struct mailbox_flagged r;

		e = flag_one(m, &c, modseq, uid[i], f, &r);
		if (e == STORE_OK && fn != NULL)
			fn(ctx, &r);
		if (e == STORE_NONE)
			e = STORE_OK;
	}
	if (e == STORE_OK && c.modseq == modseq)
		e = mb_put_counts(m, &c);
	return mb_end(m, e, true);
}

/* ---- leaving ---- */

enum store_err
mb_vanish(struct mailbox *m, uint64_t folder, uint64_t modseq, uint32_t uid)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_VANISHED_ADD);

	db_int(q, 1, folder);
	db_int(q, 2, modseq);
	db_int(q, 3, uid);
	return db_run(&m->db, q);
}

/* Takes the row away, not the content. */
static enum store_err
drop_row(struct mailbox *m, struct counts *c, const struct message *msg)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_MESSAGE_DROP);

	db_int(q, 1, c->id);
	db_int(q, 2, msg->uid);
	if (db_run(&m->db, q) != STORE_OK)
		return m->db.err;
	mb_count(c, msg->flags, msg->size, -1);
	return mb_vanish(m, c->id, c->modseq, msg->uid);
}

/* Up to SOME UIDs of a folder from *from on: those with \Deleted, or all. *from moves behind them. */
static enum store_err
some_uids(struct mailbox *m, uint64_t folder, bool deleted, uint32_t *from, uint32_t *uid,
    size_t *n)
{
	sqlite3_stmt *q = db_stmt(&m->db, deleted ? M_DELETED : M_ALL_BLOBS);

	*n = 0;
	db_int(q, 1, folder);
	if (deleted)
		db_int(q, 2, *from);
	while (*n < SOME && db_row(&m->db, q))
		uid[(*n)++] = (uint32_t)db_get_int(q, 0);
	db_done(q);
	if (*n > 0)
		*from = uid[*n - 1] + 1;
	return m->db.err;
}

struct expunging {
	void (*fn)(void *ctx, uint32_t uid);
	void *ctx;
	struct counts *c;
	uint64_t modseq;	/* of this removal, once something was removed */
};

static enum store_err
expunge_one(struct mailbox *m, struct expunging *x, uint32_t uid)
{
	struct message msg;
	enum store_err e = get_message(m, x->c->id, uid, &msg);

	if (e == STORE_NONE || (e == STORE_OK && (msg.flags & MAILBOX_DELETED) == 0))
		return STORE_OK;
	x->c->modseq = x->modseq;
	if (e == STORE_OK)
		e = drop_row(m, x->c, &msg);
	if (e == STORE_OK)
		e = mb_blob_drop(m, msg.blob);
	if (e == STORE_OK && x->fn != NULL)
		x->fn(x->ctx, uid);
	return e;
}

static enum store_err
expunge_all(struct mailbox *m, struct expunging *x)
{
	uint32_t uid[SOME] = { 0 }, from = 1;
	size_t n = 0;

	do {
		enum store_err e = some_uids(m, x->c->id, true, &from, uid, &n);

		for (size_t i = 0; i < n && e == STORE_OK; i++)
			e = expunge_one(m, x, uid[i]);
		if (e != STORE_OK)
			return e;
	} while (n == SOME);
	return STORE_OK;
}

enum store_err
mailbox_expunge(struct mailbox *m, uint64_t folder, const uint32_t *uid, size_t n,
    void (*fn)(void *ctx, uint32_t uid), void *ctx, uint64_t *modseq)
{
	struct counts c = { 0 };
	struct expunging x = { .fn = fn, .ctx = ctx, .c = &c };
	enum store_err e;

	(void)mb_begin(m);
	e = mb_counts(m, folder, &c);
	x.modseq = c.modseq + 1;
	if (e == STORE_OK && uid == NULL)
		e = expunge_all(m, &x);
	for (size_t i = 0; uid != NULL && i < n && e == STORE_OK; i++)
		e = expunge_one(m, &x, uid[i]);
	if (e == STORE_OK && c.modseq == x.modseq)
		e = mb_put_counts(m, &c);
	e = mb_end(m, e, true);
	if (e == STORE_OK && modseq != NULL)
		*modseq = c.modseq;
	return e;
}

enum store_err
mb_empty(struct mailbox *m, struct counts *c)
{
	uint32_t uid[SOME] = { 0 }, from = 1;
	size_t n = 0;

	c->modseq++;
	do {
		enum store_err e = some_uids(m, c->id, false, &from, uid, &n);

		for (size_t i = 0; i < n && e == STORE_OK; i++) {
			struct message msg;

			e = get_message(m, c->id, uid[i], &msg);
			if (e == STORE_OK)
				e = drop_row(m, c, &msg);
			if (e == STORE_OK)
				e = mb_blob_drop(m, msg.blob);
		}
		if (e != STORE_OK)
			return e == STORE_NONE ? db_fail(&m->db, STORE_DAMAGED) : e;
	} while (n == SOME);
	return STORE_OK;
}

/* ---- copying ---- */

/* From keyword numbers of one folder to those of another, by name. */
struct kw_map {
	uint64_t known[4];
	uint8_t to[256];
};

static enum store_err
keyword_name(struct mailbox *m, uint64_t folder, size_t n, struct slice *name, uint8_t *buf)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_KEYWORDS);

	db_int(q, 1, folder);
	while (db_row(&m->db, q)) {
		struct slice s = db_get_blob(q, 1);

		if (db_get_int(q, 0) != n || s.n > LIMIT_IMAP_KEYWORD)
			continue;
		memcpy(buf, s.p, s.n);
		*name = slice_of(buf, s.n);
		db_done(q);
		return STORE_OK;
	}
	return m->db.err != STORE_OK ? m->db.err : STORE_NONE;
}

static enum store_err
map_one(struct mailbox *m, struct kw_map *map, uint64_t from, uint64_t to, size_t i)
{
	uint8_t buf[LIMIT_IMAP_KEYWORD];
	struct slice name;
	size_t number = 255;
	enum store_err e = keyword_name(m, from, i, &name, buf);

	if (e == STORE_OK)
		e = mb_keyword(m, to, name, true, &number);
	if (e != STORE_OK && e != STORE_NONE && e != STORE_LIMIT)
		return e;
	map->to[i] = (uint8_t)number; /* 255: nameless, or no room there: it is left behind */
	map->known[i / 64] |= (uint64_t)1 << (i % 64);
	return STORE_OK;
}

static enum store_err
map_keywords(struct mailbox *m, struct kw_map *map, uint64_t from, uint64_t to,
    struct mailbox_kw *kw)
{
	struct mailbox_kw out = { 0 };

	if (mb_kw_none(kw) || from == to)
		return STORE_OK;
	for (size_t i = 0; i < LIMIT_IMAP_KEYWORDS; i++) {
		enum store_err e = STORE_OK;

		if (!mailbox_kw_has(kw, i))
			continue;
		if ((map->known[i / 64] >> (i % 64) & 1) == 0)
			e = map_one(m, map, from, to, i);
		if (e != STORE_OK)
			return e;
		if (map->to[i] != 255)
			mailbox_kw_set(&out, map->to[i]);
	}
	*kw = out;
	return STORE_OK;
}

static enum store_err
copy_one(struct mailbox *m, struct counts *from, struct counts *to, struct kw_map *map,
    uint32_t uid, bool move, uint32_t *made)
{
	struct message msg;
	enum store_err e = get_message(m, from->id, uid, &msg);

	if (e != STORE_OK)
		return e;
	if (move)
		e = drop_row(m, from, &msg);
	else
		e = mb_blob_share(m, msg.blob);
	if (e == STORE_OK)
		e = map_keywords(m, map, from->id, to->id, &msg.kw);
	if (e != STORE_OK)
		return e;
	return mb_message_add(m, to, msg.blob, msg.size, msg.flags, &msg.kw, msg.date, made);
}

static enum store_err
copy_all(struct mailbox *m, uint64_t folder, const uint32_t *uid, size_t n, uint64_t target,
    bool move, uint32_t *to, uint32_t *uidvalidity)
{
	struct counts source, other, *dest = folder == target ? &source : &other;
	struct kw_map map = { 0 };
	enum store_err e = mb_counts(m, folder, &source);

	if (e == STORE_OK && dest == &other)
		e = mb_counts(m, target, &other);
	if (e != STORE_OK)
		return e;
	if (dest == &other)
		other.modseq++;
	if (move || dest == &source)
		source.modseq++;
	for (size_t i = 0; i < n; i++) {
		uint32_t made = 0;

		e = copy_one(m, &source, dest, &map, uid[i], move, &made);
		if (e != STORE_OK && e != STORE_NONE)
			return e;
		if (to != NULL)
			to[i] = made;
	}
	*uidvalidity = dest->uidvalidity;
	e = mb_put_counts(m, dest);
	return e == STORE_OK && move && dest == &other ? mb_put_counts(m, &source) : e;
}

enum store_err
mailbox_copy(struct mailbox *m, uint64_t folder, const uint32_t *uid, size_t n, uint64_t target,
    bool move, uint32_t *to, uint32_t *uidvalidity)
{
	uint32_t validity = 0;
	enum store_err e = mb_begin(m);

	if (e == STORE_OK)
		e = copy_all(m, folder, uid, n, target, move, to, &validity);
	e = mb_end(m, e, true);
	if (e == STORE_OK)
		*uidvalidity = validity;
	return e;
}

enum store_err
mb_move_all(struct mailbox *m, uint64_t from, uint64_t to)
{
	uint32_t uid[SOME] = { 0 }, first = 1, validity;
	size_t n = 0;

	do {
		enum store_err e = some_uids(m, from, false, &first, uid, &n);

		if (e == STORE_OK && n > 0)
			e = copy_all(m, from, uid, n, to, true, NULL, &validity);
		if (e != STORE_OK)
			return e;
	} while (n == SOME);
	return STORE_OK;
}
