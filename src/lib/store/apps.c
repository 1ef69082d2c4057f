/* SPDX-License-Identifier: MIT */
#include "lib/store/apps.h"

#include <stdlib.h>

#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/store/db.h"

struct apps {
	struct db db;
};

static const struct db_step steps[] = {
	{ "CREATE TABLE app(name TEXT PRIMARY KEY, uid INTEGER NOT NULL UNIQUE, senders TEXT NOT NULL,"
	  " per_hour INTEGER NOT NULL, per_recipient INTEGER NOT NULL) WITHOUT ROWID;"
	  "CREATE TABLE user(app TEXT NOT NULL, id TEXT NOT NULL, address TEXT NOT NULL,"
	  " PRIMARY KEY(app, id)) WITHOUT ROWID;"
	  "CREATE TABLE template(app TEXT NOT NULL, name TEXT NOT NULL, subject TEXT NOT NULL,"
	  " text TEXT NOT NULL, PRIMARY KEY(app, name)) WITHOUT ROWID" },
	{ "CREATE TABLE token(app TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE) WITHOUT ROWID;"
	  "CREATE TABLE rate(key INTEGER PRIMARY KEY, until INTEGER NOT NULL)" },
};

enum { Q_NAMED, Q_OF_UID, Q_SET, Q_DROP, Q_LIST, Q_USERS_DROP, Q_TEMPLATES_DROP, Q_USER_SET, Q_USER_DROP,
	Q_USER, Q_USERS, Q_TEMPLATE_SET, Q_TEMPLATE_DROP, Q_TEMPLATE, Q_TEMPLATES,
	Q_BY_NAME, Q_TOKEN_SET, Q_TOKEN_DROP, Q_OF_TOKEN, Q_RATES, Q_RATES_DROP, Q_RATE_ADD, Q_MAX };

#define APP "SELECT name, uid, senders, per_hour, per_recipient FROM app "

static const char *const text[] = {
	[Q_NAMED] = "SELECT count(*) FROM app WHERE name=?",
	[Q_OF_UID] = APP "WHERE uid=?",
	[Q_SET] = "INSERT OR REPLACE INTO app VALUES(?,?,?,?,?)",
	[Q_DROP] = "DELETE FROM app WHERE name=?",
	[Q_LIST] = APP "WHERE name>? ORDER BY name",
	[Q_USERS_DROP] = "DELETE FROM user WHERE app=?",
	[Q_TEMPLATES_DROP] = "DELETE FROM template WHERE app=?",
	[Q_USER_SET] = "INSERT OR REPLACE INTO user VALUES(?,?,?)",
	[Q_USER_DROP] = "DELETE FROM user WHERE app=? AND id=?",
	[Q_USER] = "SELECT address FROM user WHERE app=? AND id=?",
	[Q_USERS] = "SELECT id, address FROM user WHERE app=? AND id>? ORDER BY id",
	[Q_TEMPLATE_SET] = "INSERT OR REPLACE INTO template VALUES(?,?,?,?)",
	[Q_TEMPLATE_DROP] = "DELETE FROM template WHERE app=? AND name=?",
	[Q_TEMPLATE] = "SELECT name, subject, text FROM template WHERE app=? AND name=?",
	[Q_TEMPLATES] = "SELECT name, subject, text FROM template WHERE app=? AND name>? ORDER BY name",
	[Q_BY_NAME] = APP "WHERE name=?",
	[Q_TOKEN_SET] = "INSERT OR REPLACE INTO token VALUES(?,?)",
	[Q_TOKEN_DROP] = "DELETE FROM token WHERE app=?",
	[Q_OF_TOKEN] = APP "WHERE name=(SELECT app FROM token WHERE hash=?)",
	[Q_RATES] = "SELECT key, until FROM rate",
	[Q_RATES_DROP] = "DELETE FROM rate",
	[Q_RATE_ADD] = "INSERT OR REPLACE INTO rate VALUES(?,?)",
};

enum store_err
apps_open(const char *path, struct apps **out)
{
	const struct db_options o = { .path = path, .sql = text, .sqls = Q_MAX, .steps = steps,
		.nsteps = sizeof steps / sizeof steps[0], .page_size = 4096, .cache_kib = 256,
		.checkpoint_pages = 256, .durable = true, .secure_delete = true };
	struct apps *a = calloc(1, sizeof *a);
	enum store_err e;

	if (a == NULL)
		return STORE_FULL;
	e = db_open(&a->db, &o);
	if (e != STORE_OK) {
		db_close(&a->db);
		free(a);
		return e;
	}
	*out = a;
	return STORE_OK;
}

void
apps_close(struct apps **ap)
{
	struct apps *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	db_close(&a->db);
	free(a);
}

/* ---- what may be written ---- */

static bool
is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_alnum(slice_at(s, i)) && slice_find_byte(S("-_."), slice_at(s, i)) == SLICE_NONE)
			return false;
	return s.n > 0 && s.n <= APPS_NAME;
}

static bool
is_id(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_print(slice_at(s, i)))
			return false;
	return s.n > 0 && s.n <= APPS_USER_ID;
}

static bool
is_address(struct slice s, bool whole_domain)
{
	size_t at = slice_rfind_byte(s, '@');

	if (at == SLICE_NONE || s.n > LIMIT_SMTP_MAILBOX || at + 1 == s.n || (at == 0 && !whole_domain) ||
	    at > LIMIT_SMTP_LOCAL)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_vchar(slice_at(s, i)))
			return false;
	return true;
}

static bool
are_senders(struct slice s)
{
	struct slice one, rest = s;
	bool first = true;

	if (s.n > APPS_SENDERS)
		return false;
	for (bool more = true; more; first = false) {
		more = slice_cut(rest, ' ', &one, &rest);
		if (!is_address(more ? one : rest, !first))
			return false;
	}
	return true;
}

static enum store_err
finish(struct apps *a, enum store_err e)
{
	if (e == STORE_OK)
		return db_commit(&a->db);
	db_rollback(&a->db);
	return e;
}

static enum store_err
named(struct apps *a, struct slice name)
{
	sqlite3_stmt *q = db_stmt(&a->db, Q_NAMED);
	uint64_t n = 0;
	enum store_err e;

	db_text(q, 1, name);
	e = db_number(&a->db, q, &n);
	return e == STORE_OK && n == 0 ? STORE_NONE : e;
}

/* ---- programs ---- */

static struct app
read_app(sqlite3_stmt *q)
{
	return (struct app){ .name = db_get_blob(q, 0), .uid = (uint32_t)db_get_int(q, 1),
		.senders = db_get_blob(q, 2), .per_hour = (uint32_t)db_get_int(q, 3),
		.per_recipient = (uint32_t)db_get_int(q, 4) };
}

enum store_err
app_set(struct apps *a, const struct app *app)
{
	sqlite3_stmt *q;
	bool other = false;

	if (!is_name(app->name) || !are_senders(app->senders))
		return STORE_REFUSED;
	(void)db_begin(&a->db);
	q = db_stmt(&a->db, Q_OF_UID);
	db_int(q, 1, app->uid);
	if (db_row(&a->db, q)) {
		other = !slice_eq(db_get_blob(q, 0), app->name);
		db_done(q);
	}
	if (other)
		return finish(a, STORE_EXISTS);
	q = db_stmt(&a->db, Q_SET);
	db_text(q, 1, app->name);
	db_int(q, 2, app->uid);
	db_text(q, 3, app->senders);
	db_int(q, 4, app->per_hour);
	db_int(q, 5, app->per_recipient);
	return finish(a, db_run(&a->db, q));
}

enum store_err
app_delete(struct apps *a, struct slice name)
{
	static const unsigned all[] = { Q_USERS_DROP, Q_TEMPLATES_DROP, Q_TOKEN_DROP, Q_DROP };
	enum store_err e;

	(void)db_begin(&a->db);
	e = named(a, name);
	for (size_t i = 0; e == STORE_OK && i < sizeof all / sizeof all[0]; i++) {
		sqlite3_stmt *q = db_stmt(&a->db, all[i]);

		db_text(q, 1, name);
		e = db_run(&a->db, q);
	}
	return finish(a, e);
}

/* The one program that a bound question finds. */
static enum store_err
one_app(struct apps *a, sqlite3_stmt *q, struct arena *ar, struct app *out)
{
	struct app app;
	bool ok;

	if (!db_row(&a->db, q))
		return a->db.err != STORE_OK ? a->db.err : STORE_NONE;
	app = read_app(q);
	ok = arena_copy(ar, app.name, &app.name) && arena_copy(ar, app.senders, &app.senders);
	db_done(q);
	if (ok)
		*out = app;
	return ok ? STORE_OK : STORE_LIMIT;
}

static enum store_err
of_uid(struct apps *a, uint32_t uid, struct arena *ar, struct app *out)
{
	sqlite3_stmt *q = db_stmt(&a->db, Q_OF_UID);

	db_int(q, 1, uid);
	return one_app(a, q, ar, out);
}

enum store_err
app_of(struct apps *a, uint32_t uid, struct arena *ar, struct app *out)
{
	enum store_err e;

	(void)db_read(&a->db);
	e = of_uid(a, uid, ar, out);
	return e == STORE_NONE && uid != 0 ? of_uid(a, APPS_ANYBODY, ar, out) : e;
}

enum store_err
app_list(struct apps *a, struct slice after, bool (*fn)(void *ctx, const struct app *app), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_LIST);
	db_text(q, 1, after);
	while (db_row(&a->db, q)) {
		struct app app = read_app(q);

		if (!fn(ctx, &app)) {
			db_done(q);
			break;
		}
	}
	return a->db.err;
}

enum store_err
app_named(struct apps *a, struct slice name, struct arena *ar, struct app *out)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_BY_NAME);
	db_text(q, 1, name);
	return one_app(a, q, ar, out);
}

/* ---- tokens: 256 random bits, so that a plain hash keeps them ---- */

enum store_err
app_token_set(struct apps *a, struct slice name, struct slice random, struct buf *token)
{
	uint8_t hash[STORE_SHA256];
	enum store_err e;
	sqlite3_stmt *q;

	if (random.n > 0 && (random.n != 32 || !buf_add(token, S("pd_")) || !hex_encode(token, random)))
		return STORE_LIMIT;
	store_sha256(buf_slice(token), hash);
	(void)db_begin(&a->db);
	e = named(a, name);
	if (e != STORE_OK)
		return finish(a, e);
	q = db_stmt(&a->db, random.n > 0 ? Q_TOKEN_SET : Q_TOKEN_DROP);
	db_text(q, 1, name);
	if (random.n > 0)
		db_blob(q, 2, slice_of(hash, sizeof hash));
	return finish(a, db_run(&a->db, q));
}

enum store_err
app_of_token(struct apps *a, struct slice token, struct arena *ar, struct app *out)
{
	uint8_t hash[STORE_SHA256];
	sqlite3_stmt *q;

	if (token.n != APPS_TOKEN)
		return STORE_NONE;
	store_sha256(token, hash);
	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_OF_TOKEN);
	db_blob(q, 1, slice_of(hash, sizeof hash));
	return one_app(a, q, ar, out);
}

/* ---- what was counted ---- */

enum store_err
app_rates_load(struct apps *a, void (*fn)(void *ctx, uint64_t key, uint64_t until), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_RATES);
	while (db_row(&a->db, q))
		fn(ctx, db_get_int(q, 0), db_get_int(q, 1));
	return a->db.err;
}

void
app_rates_begin(struct apps *a)
{
	(void)db_begin(&a->db);
	(void)db_run(&a->db, db_stmt(&a->db, Q_RATES_DROP));
}

void
app_rates_add(struct apps *a, uint64_t key, uint64_t until)
{
	sqlite3_stmt *q = db_stmt(&a->db, Q_RATE_ADD);

	db_int(q, 1, key);
	db_int(q, 2, until);
	(void)db_run(&a->db, q);
}

enum store_err
app_rates_commit(struct apps *a)
{
	return db_commit(&a->db);
}

/* ---- people ---- */

enum store_err
app_user_begin(struct apps *a, struct slice app)
{
	enum store_err e;

	(void)db_begin(&a->db);
	e = named(a, app);
	if (e != STORE_OK)
		db_rollback(&a->db);
	return e;
}

enum store_err
app_user_set(struct apps *a, struct slice app, struct slice id, struct slice address)
{
	sqlite3_stmt *q;

	if (!is_id(id) || !is_address(address, false))
		return db_fail(&a->db, STORE_REFUSED);
	q = db_stmt(&a->db, Q_USER_SET);
	db_text(q, 1, app);
	db_text(q, 2, id);
	db_text(q, 3, address);
	return db_run(&a->db, q);
}

enum store_err
app_user_commit(struct apps *a)
{
	return db_commit(&a->db);
}

static enum store_err
drop_one(struct apps *a, unsigned statement, struct slice app, struct slice key)
{
	sqlite3_stmt *q;

	(void)db_begin(&a->db);
	q = db_stmt(&a->db, statement);
	db_text(q, 1, app);
	db_text(q, 2, key);
	if (db_run(&a->db, q) != STORE_OK)
		return finish(a, a->db.err);
	return finish(a, db_changed(&a->db) == 0 ? STORE_NONE : STORE_OK);
}

enum store_err
app_user_delete(struct apps *a, struct slice app, struct slice id)
{
	return drop_one(a, Q_USER_DROP, app, id);
}

enum store_err
app_user_address(struct apps *a, struct slice app, struct slice id, struct arena *ar, struct slice *address)
{
	sqlite3_stmt *q;
	bool ok;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_USER);
	db_text(q, 1, app);
	db_text(q, 2, id);
	if (!db_row(&a->db, q))
		return a->db.err != STORE_OK ? a->db.err : STORE_NONE;
	ok = arena_copy(ar, db_get_blob(q, 0), address);
	db_done(q);
	return ok ? STORE_OK : STORE_LIMIT;
}

enum store_err
app_user_list(struct apps *a, struct slice app, struct slice after,
    bool (*fn)(void *ctx, struct slice id, struct slice address), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_USERS);
	db_text(q, 1, app);
	db_text(q, 2, after);
	while (db_row(&a->db, q))
		if (!fn(ctx, db_get_blob(q, 0), db_get_blob(q, 1))) {
			db_done(q);
			break;
		}
	return a->db.err;
}

/* ---- templates ---- */

enum store_err
app_template_set(struct apps *a, struct slice app, const struct app_template *t)
{
	sqlite3_stmt *q;
	enum store_err e;

	if (!is_name(t->name) || t->subject.n > APPS_SUBJECT || t->text.n > APPS_TEXT ||
	    !utf8_valid(t->subject) || !utf8_valid(t->text) ||
	    slice_find_byte(t->subject, '\n') != SLICE_NONE || slice_find_byte(t->subject, '\r') != SLICE_NONE)
		return STORE_REFUSED;
	(void)db_begin(&a->db);
	e = named(a, app);
	if (e != STORE_OK)
		return finish(a, e);
	q = db_stmt(&a->db, Q_TEMPLATE_SET);
	db_text(q, 1, app);
	db_text(q, 2, t->name);
	db_text(q, 3, t->subject);
	db_text(q, 4, t->text);
	return finish(a, db_run(&a->db, q));
}

enum store_err
app_template_delete(struct apps *a, struct slice app, struct slice name)
{
	return drop_one(a, Q_TEMPLATE_DROP, app, name);
}

enum store_err
app_template_get(struct apps *a, struct slice app, struct slice name, struct arena *ar,
    struct app_template *out)
{
	struct app_template t;
	sqlite3_stmt *q;
	bool ok;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_TEMPLATE);
	db_text(q, 1, app);
	db_text(q, 2, name);
	if (!db_row(&a->db, q))
		return a->db.err != STORE_OK ? a->db.err : STORE_NONE;
	ok = arena_copy(ar, db_get_blob(q, 0), &t.name) && arena_copy(ar, db_get_blob(q, 1), &t.subject) &&
	    arena_copy(ar, db_get_blob(q, 2), &t.text);
	db_done(q);
	if (ok)
		*out = t;
	return ok ? STORE_OK : STORE_LIMIT;
}

enum store_err
app_template_list(struct apps *a, struct slice app, struct slice after,
    bool (*fn)(void *ctx, const struct app_template *t), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_TEMPLATES);
	db_text(q, 1, app);
	db_text(q, 2, after);
	while (db_row(&a->db, q)) {
		struct app_template t = { db_get_blob(q, 0), db_get_blob(q, 1), db_get_blob(q, 2) };

		if (!fn(ctx, &t)) {
			db_done(q);
			break;
		}
	}
	return a->db.err;
}
