/* SPDX-License-Identifier: MIT
 * Folders, subscriptions, keywords (RFC 3501 6.3.3 to 6.3.9). */
#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/store/mailbox_int.h"

static bool
is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

bool
mailbox_name_valid(struct slice name)
{
	struct slice left = name, level;
	unsigned levels = 0;
	bool more;

	if (name.n == 0 || name.n > LIMIT_IMAP_MAILBOX || !utf8_valid(name))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (is_control(slice_at(name, i)))
			return false;
	do {
		struct slice rest = left;

		more = slice_cut(left, '/', &level, &rest);
		if (!more)
			level = left;
		left = rest;
		if (level.n == 0 || slice_eq(level, S(".")) || slice_eq(level, S("..")))
			return false;
	} while (more && ++levels < LIMIT_IMAP_LEVELS);
	return !more;
}

bool
mb_name(struct slice name, uint8_t *buf, struct slice *out)
{
	if (slice_ends(name, S("/")))
		name = slice_head(name, name.n - 1);
	if (!mailbox_name_valid(name))
		return false;
	memcpy(buf, name.p, name.n);
	if (slice_ieq(name, S("INBOX")) || slice_istarts(name, S("INBOX/")))
		memcpy(buf, "INBOX", 5);
	*out = slice_of(buf, name.n);
	return true;
}

static void
read_folder(sqlite3_stmt *q, struct mailbox_folder *f)
{
	*f = (struct mailbox_folder){ .id = db_get_int(q, 0), .name = db_get_blob(q, 1),
		.use = (enum mailbox_use)db_get_int(q, 2), .noselect = db_get_int(q, 3) != 0,
		.uidvalidity = (uint32_t)db_get_int(q, 4), .uidnext = (uint32_t)db_get_int(q, 5),
		.highestmodseq = db_get_int(q, 6), .recent = (uint32_t)db_get_int(q, 7),
		.exists = (uint32_t)db_get_int(q, 8), .unseen = (uint32_t)db_get_int(q, 9),
		.deleted = (uint32_t)db_get_int(q, 10), .bytes = db_get_int(q, 11),
		.subscribed = db_get_int(q, 12) != 0 };
}

/* read_folder() leaves the first recent UID in recent; this makes it the count. */
static enum store_err
count_recent(struct mailbox *m, struct mailbox_folder *f)
{
	uint64_t n = 0;
	enum store_err e = STORE_OK;

	if (f->recent < f->uidnext && f->exists > 0) {
		sqlite3_stmt *q = db_stmt(&m->db, M_RECENT_COUNT);

		db_int(q, 1, f->id);
		db_int(q, 2, f->recent);
		e = db_number(&m->db, q, &n);
	}
	f->recent = (uint32_t)n;
	return e;
}

enum store_err
mailbox_folders(struct mailbox *m, bool (*fn)(void *ctx, const struct mailbox_folder *f), void *ctx)
{
	struct mailbox_folder f;
	sqlite3_stmt *q;

	(void)mb_look(m, true);
	q = db_stmt(&m->db, M_FOLDERS);
	while (db_row(&m->db, q)) {
		read_folder(q, &f);
		if (count_recent(m, &f) != STORE_OK || !fn(ctx, &f)) {
			db_done(q);
			break;
		}
	}
	return mb_seen(m, STORE_OK);
}

static enum store_err
get_folder(struct mailbox *m, sqlite3_stmt *q, struct arena *a, struct mailbox_folder *out)
{
	struct mailbox_folder f;
	bool ok;
	enum store_err e;

	if (!db_row(&m->db, q))
		return m->db.err != STORE_OK ? m->db.err : STORE_NONE;
	read_folder(q, &f);
	ok = a == NULL || arena_copy(a, f.name, &f.name);
	if (a == NULL)
		f.name = slice_of(NULL, 0);
	db_done(q);
	e = ok ? count_recent(m, &f) : STORE_LIMIT;
	if (e == STORE_OK)
		*out = f;
	return e;
}

enum store_err
mailbox_folder_find(struct mailbox *m, struct slice name, struct arena *a,
    struct mailbox_folder *out)
{
	uint8_t buf[LIMIT_IMAP_MAILBOX];
	sqlite3_stmt *q;

	if (!mb_name(name, buf, &name))
		return STORE_NONE;
	(void)mb_look(m, true);
	q = db_stmt(&m->db, M_FOLDER_BY_NAME);
	db_text(q, 1, name);
	return mb_seen(m, get_folder(m, q, a, out));
}

enum store_err
mailbox_folder_get(struct mailbox *m, uint64_t folder, struct arena *a, struct mailbox_folder *out)
{
	sqlite3_stmt *q;

	(void)mb_look(m, true);
	q = db_stmt(&m->db, M_FOLDER_BY_ID);
	db_int(q, 1, folder);
	return mb_seen(m, get_folder(m, q, a, out));
}

enum store_err
mb_folder(struct mailbox *m, uint64_t folder, struct mailbox_folder *out)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_FOLDER_BY_ID);

	db_int(q, 1, folder);
	return get_folder(m, q, NULL, out);
}

enum store_err
mailbox_folder_id(struct mailbox *m, struct slice name, uint64_t *id)
{
	uint8_t buf[LIMIT_IMAP_MAILBOX];
	sqlite3_stmt *q;

	if (!mb_name(name, buf, &name))
		return STORE_NONE;
	(void)mb_look(m, false);
	q = db_stmt(&m->db, M_ID_BY_NAME);
	db_text(q, 1, name);
	return mb_seen(m, db_number(&m->db, q, id));
}

enum store_err
mailbox_use_id(struct mailbox *m, enum mailbox_use use, uint64_t *id)
{
	sqlite3_stmt *q;

	(void)mb_look(m, false);
	q = db_stmt(&m->db, M_ID_BY_USE);
	db_int(q, 1, use);
	return mb_seen(m, db_number(&m->db, q, id));
}

/* ---- changing folders; inside a transaction ---- */

struct found {
	uint64_t id;
	enum mailbox_use use;
	bool noselect;
};

static enum store_err
find(struct mailbox *m, struct slice name, struct found *out)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_FOLDER_BY_NAME);

	db_text(q, 1, name);
	if (!db_row(&m->db, q))
		return m->db.err != STORE_OK ? m->db.err : STORE_NONE;
	*out = (struct found){ .id = db_get_int(q, 0), .use = (enum mailbox_use)db_get_int(q, 2),
		.noselect = db_get_int(q, 3) != 0 };
	db_done(q);
	return STORE_OK;
}

static enum store_err
has_child(struct mailbox *m, struct slice name, bool *yes)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_CHILD);
	uint64_t id;
	enum store_err e;

	db_text(q, 1, name);
	e = db_number(&m->db, q, &id);
	if (e != STORE_OK && e != STORE_NONE)
		return e;
	*yes = e == STORE_OK;
	return STORE_OK;
}

/* Gives the next folder id and UIDVALIDITY away. */
static enum store_err
take_numbers(struct mailbox *m, uint64_t *id, uint64_t *validity)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_NEW_FOLDER_ID);

	if (!db_row(&m->db, q))
		return db_fail(&m->db, STORE_DAMAGED);
	*id = db_get_int(q, 0);
	*validity = db_get_int(q, 1);
	db_done(q);
	return db_run(&m->db, db_stmt(&m->db, M_TAKE_FOLDER_ID));
}

static enum store_err
add_folder(struct mailbox *m, struct slice name, bool noselect, uint64_t *out)
{
	uint64_t id, validity;
	sqlite3_stmt *q;
	enum store_err e = take_numbers(m, &id, &validity);

	if (e != STORE_OK)
		return e;
	q = db_stmt(&m->db, M_FOLDER_ADD);
	db_int(q, 1, id);
	db_text(q, 2, name);
	db_int(q, 3, MAILBOX_PLAIN);
	db_int(q, 4, noselect);
	db_int(q, 5, validity);
	e = db_run(&m->db, q);
	if (e == STORE_OK)
		*out = id;
	return e;
}

static enum store_err
revive(struct mailbox *m, uint64_t folder)
{
	uint64_t unused, validity;
	sqlite3_stmt *q;
	enum store_err e = take_numbers(m, &unused, &validity);

	if (e != STORE_OK)
		return e;
	q = db_stmt(&m->db, M_FOLDER_REVIVE);
	db_int(q, 1, folder);
	db_int(q, 2, validity);
	return db_run(&m->db, q);
}

/* Every level above name exists afterwards, as noselect where it was missing. */
static enum store_err
make_parents(struct mailbox *m, struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		struct slice parent = slice_head(name, i);
		struct found f;
		uint64_t id;
		enum store_err e;

		if (slice_at(name, i) != '/')
			continue;
		e = find(m, parent, &f);
		if (e == STORE_NONE)
			e = add_folder(m, parent, true, &id);
		if (e != STORE_OK)
			return e;
	}
	return STORE_OK;
}

/* Levels above name that exist only for children they no longer have. */
static enum store_err
drop_parents(struct mailbox *m, struct slice name)
{
	size_t at;

	while ((at = slice_rfind_byte(name, '/')) != SLICE_NONE) {
		struct found f;
		bool child = false;
		sqlite3_stmt *q;
		enum store_err e;

		name = slice_head(name, at);
		e = find(m, name, &f);
		if (e == STORE_OK)
			e = has_child(m, name, &child);
		if (e != STORE_OK)
			return e;
		if (!f.noselect || child)
			return STORE_OK;
		q = db_stmt(&m->db, M_FOLDER_DROP);
		db_int(q, 1, f.id);
		if (db_run(&m->db, q) != STORE_OK)
			return m->db.err;
	}
	return STORE_OK;
}

enum store_err
mailbox_create(struct mailbox *m, struct slice name, uint64_t *id)
{
	uint8_t buf[LIMIT_IMAP_MAILBOX];
	struct found f;
	uint64_t made = 0;
	enum store_err e;

	if (!mb_name(name, buf, &name))
		return STORE_REFUSED;
	e = mb_begin(m);
	if (e == STORE_OK)
		e = make_parents(m, name);
	if (e == STORE_OK) {
		e = find(m, name, &f);
		if (e == STORE_NONE) {
			e = add_folder(m, name, false, &made);
		} else if (e == STORE_OK) {
			made = f.id;
			e = f.noselect ? revive(m, f.id) : STORE_EXISTS;
		}
	}
	e = mb_end(m, e, true);
	if (e == STORE_OK)
		*id = made;
	return e;
}

static enum store_err
forget_folder(struct mailbox *m, uint64_t folder)
{
	static const enum mailbox_sql of[] = { M_KEYWORDS_DROP, M_VANISHED_DROP };
	struct counts c;
	enum store_err e = mb_counts(m, folder, &c);

	if (e == STORE_NONE)
		return STORE_OK;
	if (e == STORE_OK)
		e = mb_empty(m, &c);
	if (e == STORE_OK)
		e = mb_put_counts(m, &c);
	for (size_t i = 0; i < sizeof of / sizeof of[0] && e == STORE_OK; i++) {
		sqlite3_stmt *q = db_stmt(&m->db, of[i]);

		db_int(q, 1, folder);
		e = db_run(&m->db, q);
	}
	return e;
}

enum store_err
mailbox_delete(struct mailbox *m, struct slice name)
{
	uint8_t buf[LIMIT_IMAP_MAILBOX];
	struct found f = { 0 };
	bool child = false;
	enum store_err e;

	if (!mb_name(name, buf, &name))
		return STORE_NONE;
	e = mb_begin(m);
	if (e == STORE_OK)
		e = find(m, name, &f);
	if (e == STORE_OK)
		e = has_child(m, name, &child);
	if (e == STORE_OK && (f.use == MAILBOX_INBOX || (f.noselect && child)))
		e = STORE_REFUSED;
	if (e == STORE_OK)
		e = forget_folder(m, f.id);
	if (e == STORE_OK) {
		sqlite3_stmt *q = db_stmt(&m->db, child ? M_FOLDER_HIDE : M_FOLDER_DROP);

		db_int(q, 1, f.id);
		e = db_run(&m->db, q);
	}
	if (e == STORE_OK && !child)
		e = drop_parents(m, name);
	return mb_end(m, e, true);
}

static enum store_err
rename_tree(struct mailbox *m, struct slice from, struct slice to)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_RENAME);
	uint64_t longest = 0;
	enum store_err e;

	db_text(q, 1, from);
	db_text(q, 2, to);
	e = db_run(&m->db, q);
	if (e == STORE_OK)
		e = db_number(&m->db, db_stmt(&m->db, M_LONGEST), &longest);
	if (e == STORE_OK && longest > LIMIT_IMAP_MAILBOX)
		e = STORE_REFUSED;
	return e == STORE_OK ? drop_parents(m, from) : e;
}

/* RFC 3501 6.3.5: INBOX stays, its messages go. */
static enum store_err
rename_inbox(struct mailbox *m, struct slice to, uint64_t inbox, uint64_t *made)
{
	enum store_err e = add_folder(m, to, false, made);

	if (e != STORE_OK)
		return e;
	return mb_move_all(m, inbox, *made);
}

enum store_err
mailbox_rename(struct mailbox *m, struct slice from, struct slice to)
{
	uint8_t a[LIMIT_IMAP_MAILBOX], b[LIMIT_IMAP_MAILBOX];
	struct found f = { 0 }, other;
	uint64_t made;
	enum store_err e;

	if (!mb_name(from, a, &from))
		return STORE_NONE;
	if (!mb_name(to, b, &to))
		return STORE_REFUSED;
	e = mb_begin(m);
	if (e == STORE_OK)
		e = find(m, from, &f);
	if (e == STORE_OK) {
		e = find(m, to, &other);
		e = e == STORE_OK ? STORE_EXISTS : e == STORE_NONE ? STORE_OK : e;
	}
	/* into itself: a -> a/b */
	if (e == STORE_OK && slice_starts(to, from) && slice_at(to, from.n) == '/' &&
	    f.use != MAILBOX_INBOX)
		e = STORE_REFUSED;
	if (e == STORE_OK)
		e = make_parents(m, to);
	if (e == STORE_OK)
		e = f.use == MAILBOX_INBOX ? rename_inbox(m, to, f.id, &made) :
		    rename_tree(m, from, to);
	return mb_end(m, e, true);
}

enum store_err
mailbox_subscribe(struct mailbox *m, struct slice name, bool on)
{
	uint8_t buf[LIMIT_IMAP_MAILBOX];
	sqlite3_stmt *q;
	enum store_err e;

	if (!mb_name(name, buf, &name))
		return STORE_REFUSED;
	(void)mb_begin(m);
	q = db_stmt(&m->db, on ? M_SUB_ADD : M_SUB_DROP);
	db_text(q, 1, name);
	e = db_run(&m->db, q);
	if (e == STORE_OK && !on && db_changed(&m->db) == 0)
		e = STORE_NONE;
	return mb_end(m, e, true);
}

enum store_err
mailbox_subscriptions(struct mailbox *m, bool (*fn)(void *ctx, struct slice name), void *ctx)
{
	sqlite3_stmt *q;

	(void)mb_look(m, false);
	q = db_stmt(&m->db, M_SUBS);
	while (db_row(&m->db, q))
		if (!fn(ctx, db_get_blob(q, 0))) {
			db_done(q);
			break;
		}
	return mb_seen(m, STORE_OK);
}

/* ---- keywords ---- */

enum store_err
mailbox_keywords(struct mailbox *m, uint64_t folder,
    bool (*fn)(void *ctx, size_t number, struct slice name), void *ctx)
{
	sqlite3_stmt *q;

	(void)mb_look(m, false);
	q = db_stmt(&m->db, M_KEYWORDS);
	db_int(q, 1, folder);
	while (db_row(&m->db, q))
		if (!fn(ctx, (size_t)db_get_int(q, 0), db_get_blob(q, 1))) {
			db_done(q);
			break;
		}
	return mb_seen(m, STORE_OK);
}

/* flag-keyword = atom (RFC 3501 9) */
static bool
is_keyword(struct slice name)
{
	if (name.n == 0 || name.n > LIMIT_IMAP_KEYWORD)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = slice_at(name, i);

		if (!ch_is_vchar(c) || slice_find_byte(S("(){%*\"\\]"), c) != SLICE_NONE)
			return false;
	}
	return true;
}

enum store_err
mb_keyword(struct mailbox *m, uint64_t folder, struct slice name, bool make, size_t *number)
{
	sqlite3_stmt *q = db_stmt(&m->db, M_KEYWORDS);
	size_t n = 0;

	db_int(q, 1, folder);
	for (; db_row(&m->db, q); n++)
		if (slice_ieq(db_get_blob(q, 1), name)) {
			*number = (size_t)db_get_int(q, 0);
			db_done(q);
			return STORE_OK;
		}
	if (m->db.err != STORE_OK)
		return m->db.err;
	if (!make)
		return STORE_NONE;
	if (n >= LIMIT_IMAP_KEYWORDS)
		return STORE_LIMIT;
	q = db_stmt(&m->db, M_KEYWORD_ADD);
	db_int(q, 1, folder);
	db_int(q, 2, n);
	db_text(q, 3, name);
	*number = n;
	return db_run(&m->db, q);
}

enum store_err
mailbox_keyword(struct mailbox *m, uint64_t folder, struct slice name, bool make, size_t *number)
{
	struct counts c;
	size_t n = 0;
	enum store_err e;

	if (!is_keyword(name))
		return STORE_REFUSED;
	if (!make) {
		(void)mb_look(m, false);
		e = mb_seen(m, mb_keyword(m, folder, name, false, &n));
	} else {
		(void)mb_begin(m);
		e = mb_counts(m, folder, &c);
		if (e == STORE_OK)
			e = mb_keyword(m, folder, name, true, &n);
		e = mb_end(m, e, false);
	}
	if (e == STORE_OK)
		*number = n;
	return e;
}
