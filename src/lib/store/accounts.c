/* SPDX-License-Identifier: MIT
 * A deleted account keeps its row, without an address: its id is never given again. */
#include "lib/store/accounts.h"

#include <stdlib.h>

#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/store/db.h"

#define HOUR_US ((uint64_t)3600000000)
#define ADDRESS (LIMIT_SMTP_LOCAL + 1 + LIMIT_DOMAIN)

struct accounts {
	struct db db;
	uint64_t revision;
};

static const struct db_step steps[] = {
	{ "CREATE TABLE domain(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	  " created INTEGER NOT NULL);"
	  "CREATE TABLE account("
	  " id INTEGER PRIMARY KEY,"
	  " address TEXT UNIQUE,"		/* NULL: deleted */
	  " former TEXT NOT NULL,"
	  " hash TEXT NOT NULL,"
	  " state INTEGER NOT NULL,"
	  " created INTEGER NOT NULL,"
	  " revision INTEGER NOT NULL,"
	  " login INTEGER NOT NULL);"
	  "CREATE TABLE alias(address TEXT NOT NULL, target TEXT NOT NULL,"
	  " PRIMARY KEY(address, target)) WITHOUT ROWID;"
	  "CREATE INDEX alias_target ON alias(target);"
	  "CREATE TABLE revision(number INTEGER PRIMARY KEY, time INTEGER NOT NULL,"
	  " by TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL)" },
};

enum { Q_REVISION, Q_REVISE, Q_DOMAIN, Q_FIRST_DOMAIN, Q_DOMAIN_ADD, Q_DOMAIN_DROP, Q_DOMAIN_USED,
	Q_DOMAINS, Q_NEXT_ID, Q_ADD, Q_FIND, Q_BY_ID, Q_HASH, Q_STATE, Q_DELETE, Q_LIST, Q_LOGIN,
	Q_ALIAS, Q_ALIAS_ADD, Q_ALIAS_DROP, Q_ALIAS_DROP_ONE, Q_ALIAS_FORGET, Q_ALIAS_COUNT,
	Q_ALIASES, Q_HISTORY, Q_MAX };

#define ACCOUNT "SELECT id, revision, address, hash, state, created, login FROM account "

static const char *const text[] = {
	[Q_REVISION] = "SELECT coalesce(max(number),0) FROM revision",
	[Q_REVISE] = "INSERT INTO revision VALUES(?,?,?,?,?,?)",
	[Q_DOMAIN] = "SELECT id FROM domain WHERE name=?",
	[Q_FIRST_DOMAIN] = "SELECT name FROM domain ORDER BY id LIMIT 1",
	[Q_DOMAIN_ADD] = "INSERT INTO domain(name, created) VALUES(?,?)",
	[Q_DOMAIN_DROP] = "DELETE FROM domain WHERE name=?",
	[Q_DOMAIN_USED] = "SELECT (SELECT count(*) FROM account WHERE"
	    " substr(address, instr(address,'@')+1)=?1) + (SELECT count(*) FROM alias WHERE"
	    " substr(address, instr(address,'@')+1)=?1)",
	[Q_DOMAINS] = "SELECT name, created FROM domain WHERE name>? ORDER BY name",
	[Q_NEXT_ID] = "SELECT coalesce(max(id),0)+1 FROM account",
	[Q_ADD] = "INSERT INTO account VALUES(?1,?2,?2,?3,1,?4,?5,0)",
	[Q_FIND] = ACCOUNT "WHERE address=?",
	[Q_BY_ID] = ACCOUNT "WHERE id=? AND address IS NOT NULL",
	[Q_HASH] = "UPDATE account SET hash=?2, revision=?3 WHERE id=?1",
	[Q_STATE] = "UPDATE account SET state=?2, revision=?3 WHERE id=?1",
	[Q_DELETE] = "UPDATE account SET address=NULL, hash='', state=3, revision=?2 WHERE id=?1",
	[Q_LIST] = ACCOUNT "WHERE address>? ORDER BY address",
	[Q_LOGIN] = "UPDATE account SET login=?2 WHERE id=?1 AND login<?3",
	[Q_ALIAS] = "SELECT target FROM alias WHERE address=? ORDER BY target",
	[Q_ALIAS_ADD] = "INSERT INTO alias VALUES(?,?)",
	[Q_ALIAS_DROP] = "DELETE FROM alias WHERE address=?",
	[Q_ALIAS_DROP_ONE] = "DELETE FROM alias WHERE address=? AND target=?",
	[Q_ALIAS_FORGET] = "DELETE FROM alias WHERE target=?",
	[Q_ALIAS_COUNT] = "SELECT count(*) FROM alias WHERE address=?",
	[Q_ALIASES] = "SELECT address, target FROM alias WHERE address>?1 OR"
	    " (address=?1 AND target>?2) ORDER BY address, target",
	[Q_HISTORY] = "SELECT number, time, by, what, subject, detail FROM revision"
	    " ORDER BY number DESC LIMIT ?",
};

enum store_err
accounts_open(const char *path, struct accounts **out)
{
	const struct db_options o = { .path = path, .sql = text, .sqls = Q_MAX, .steps = steps,
		.nsteps = sizeof steps / sizeof steps[0], .page_size = 4096, .cache_kib = 1024,
		.checkpoint_pages = 256, .durable = true, .secure_delete = true };
	struct accounts *a = calloc(1, sizeof *a);
	enum store_err e;

	if (a == NULL)
		return STORE_FULL;
	e = db_open(&a->db, &o);
	if (e == STORE_OK)
		e = db_number(&a->db, db_stmt(&a->db, Q_REVISION), &a->revision);
	if (e != STORE_OK) {
		db_close(&a->db);
		free(a);
		return e;
	}
	*out = a;
	return STORE_OK;
}

void
accounts_close(struct accounts **ap)
{
	struct accounts *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	db_close(&a->db);
	free(a);
}

uint64_t
accounts_revision(const struct accounts *a)
{
	return a->revision;
}

/* ---- names ---- */

/* Host name labels of letters, digits and hyphens (RFC 1123 2.1), lower-cased into buf. */
static bool
domain_name(struct slice name, uint8_t *buf, struct slice *out)
{
	size_t label = 0;

	if (name.n == 0 || name.n > LIMIT_DOMAIN)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = slice_at(name, i);
		bool last = i + 1 == name.n || slice_at(name, i + 1) == '.';

		buf[i] = ch_lower(c);
		if (c == '.' ? label == 0 : (!ch_is_alnum(c) && (c != '-' || label == 0 || last)))
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	*out = slice_of(buf, name.n);
	return label > 0;
}

static bool
is_local(struct slice s)
{
	if (s.n == 0 || s.n > LIMIT_SMTP_LOCAL || !utf8_valid(s))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (slice_at(s, i) <= 0x20 || slice_at(s, i) == 0x7f || slice_at(s, i) == '@')
			return false;
	return true;
}

/* local@domain in lower case, in buf of ADDRESS bytes; *domain is its part of it. */
static bool
address_of(struct slice in, uint8_t *buf, struct slice *out, struct slice *domain)
{
	size_t at = slice_rfind_byte(in, '@');
	struct slice d;

	if (at == SLICE_NONE || !is_local(slice_head(in, at)) ||
	    !domain_name(slice_from(in, at + 1), &buf[at + 1], &d))
		return false;
	for (size_t i = 0; i < at; i++)
		buf[i] = ch_lower(slice_at(in, i));
	buf[at] = '@';
	*out = slice_of(buf, in.n);
	*domain = d;
	return true;
}

/* ---- changes ---- */

static enum store_err
revise(struct accounts *a, struct account_change by, struct slice what, struct slice subject,
    struct slice detail)
{
	sqlite3_stmt *q = db_stmt(&a->db, Q_REVISE);

	db_int(q, 1, a->revision + 1);
	db_int(q, 2, by.now);
	db_text(q, 3, slice_head(by.by, 64));
	db_text(q, 4, what);
	db_text(q, 5, subject);
	db_text(q, 6, detail);
	return db_run(&a->db, q);
}

/* Ends a change: with e, or with the commit. */
static enum store_err
finish(struct accounts *a, enum store_err e)
{
	if (e != STORE_OK) {
		db_rollback(&a->db);
		return e;
	}
	e = db_commit(&a->db);
	if (e == STORE_OK)
		a->revision++;
	return e;
}

static enum store_err
known(struct accounts *a, struct slice domain)
{
	uint64_t id;
	sqlite3_stmt *q = db_stmt(&a->db, Q_DOMAIN);

	db_text(q, 1, domain);
	return db_number(&a->db, q, &id);
}

enum store_err
domain_add(struct accounts *a, struct slice name, struct account_change by)
{
	uint8_t buf[LIMIT_DOMAIN];
	sqlite3_stmt *q;
	enum store_err e;

	if (!domain_name(name, buf, &name))
		return STORE_REFUSED;
	(void)db_begin(&a->db);
	e = known(a, name);
	if (e == STORE_OK || e != STORE_NONE)
		return finish(a, e == STORE_OK ? STORE_EXISTS : e);
	q = db_stmt(&a->db, Q_DOMAIN_ADD);
	db_text(q, 1, name);
	db_int(q, 2, by.now);
	(void)db_run(&a->db, q);
	return finish(a, revise(a, by, S("domain.add"), name, S("")));
}

enum store_err
domain_delete(struct accounts *a, struct slice name, struct account_change by)
{
	uint8_t buf[LIMIT_DOMAIN];
	uint64_t used = 0;
	sqlite3_stmt *q;
	enum store_err e;

	if (!domain_name(name, buf, &name))
		return STORE_NONE;
	(void)db_begin(&a->db);
	e = known(a, name);
	if (e != STORE_OK)
		return finish(a, e);
	q = db_stmt(&a->db, Q_DOMAIN_USED);
	db_text(q, 1, name);
	e = db_number(&a->db, q, &used);
	if (e != STORE_OK || used > 0)
		return finish(a, e != STORE_OK ? e : STORE_REFUSED);
	q = db_stmt(&a->db, Q_DOMAIN_DROP);
	db_text(q, 1, name);
	(void)db_run(&a->db, q);
	return finish(a, revise(a, by, S("domain.delete"), name, S("")));
}

enum store_err
domain_known(struct accounts *a, struct slice name)
{
	uint8_t buf[LIMIT_DOMAIN];

	if (!domain_name(name, buf, &name))
		return STORE_NONE;
	(void)db_read(&a->db);
	return known(a, name);
}

enum store_err
domain_list(struct accounts *a, struct slice after,
    bool (*fn)(void *ctx, struct slice name, uint64_t created), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_DOMAINS);
	db_text(q, 1, after);
	while (db_row(&a->db, q))
		if (!fn(ctx, db_get_blob(q, 0), db_get_int(q, 1))) {
			db_done(q);
			break;
		}
	return a->db.err;
}

/* ---- accounts ---- */

static void
read_account(sqlite3_stmt *q, struct account *out)
{
	*out = (struct account){ .id = db_get_int(q, 0), .revision = db_get_int(q, 1),
		.address = db_get_blob(q, 2), .hash = db_get_blob(q, 3),
		.state = (enum account_state)db_get_int(q, 4), .created = db_get_int(q, 5),
		.login = db_get_int(q, 6) };
}

static enum store_err
one_account(struct accounts *a, sqlite3_stmt *q, struct arena *ar, struct account *out)
{
	struct account acc;
	bool ok;

	if (!db_row(&a->db, q))
		return a->db.err != STORE_OK ? a->db.err : STORE_NONE;
	read_account(q, &acc);
	ok = ar == NULL || (arena_copy(ar, acc.address, &acc.address) &&
	    arena_copy(ar, acc.hash, &acc.hash));
	if (ar == NULL)
		acc.address = acc.hash = slice_of(NULL, 0);
	db_done(q);
	if (!ok)
		return STORE_LIMIT;
	*out = acc;
	return STORE_OK;
}

static enum store_err
by_address(struct accounts *a, struct slice address, struct arena *ar, struct account *out)
{
	sqlite3_stmt *q = db_stmt(&a->db, Q_FIND);

	db_text(q, 1, address);
	return one_account(a, q, ar, out);
}

enum store_err
account_find(struct accounts *a, struct slice address, struct arena *ar, struct account *out)
{
	uint8_t buf[ADDRESS];
	struct slice domain;

	if (!address_of(address, buf, &address, &domain))
		return STORE_NONE;
	(void)db_read(&a->db);
	return by_address(a, address, ar, out);
}

enum store_err
account_by_id(struct accounts *a, uint64_t id, struct arena *ar, struct account *out)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_BY_ID);
	db_int(q, 1, id);
	return one_account(a, q, ar, out);
}

enum store_err
account_list(struct accounts *a, struct slice after,
    bool (*fn)(void *ctx, const struct account *acc), void *ctx)
{
	struct account acc;
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_LIST);
	db_text(q, 1, after);
	while (db_row(&a->db, q)) {
		read_account(q, &acc);
		if (!fn(ctx, &acc)) {
			db_done(q);
			break;
		}
	}
	return a->db.err;
}

/* STORE_NONE when the address is free: no account and no alias has it. */
static enum store_err
taken(struct accounts *a, struct slice address)
{
	struct account acc;
	uint64_t n = 0;
	sqlite3_stmt *q;
	enum store_err e = by_address(a, address, NULL, &acc);

	if (e != STORE_NONE)
		return e;
	q = db_stmt(&a->db, Q_ALIAS_COUNT);
	db_text(q, 1, address);
	e = db_number(&a->db, q, &n);
	return e == STORE_OK && n == 0 ? STORE_NONE : e;
}

enum store_err
account_add(struct accounts *a, struct slice address, struct slice hash, struct account_change by,
    uint64_t *id)
{
	uint8_t buf[ADDRESS];
	struct slice domain;
	uint64_t made = 0;
	sqlite3_stmt *q;
	enum store_err e;

	if (!address_of(address, buf, &address, &domain) || hash.n > ACCOUNTS_HASH)
		return STORE_REFUSED;
	(void)db_begin(&a->db);
	e = known(a, domain);
	if (e == STORE_OK) {
		e = taken(a, address);
		e = e == STORE_OK ? STORE_EXISTS : e == STORE_NONE ? STORE_OK : e;
	}
	if (e == STORE_OK)
		e = db_number(&a->db, db_stmt(&a->db, Q_NEXT_ID), &made);
	if (e != STORE_OK)
		return finish(a, e);
	q = db_stmt(&a->db, Q_ADD);
	db_int(q, 1, made);
	db_text(q, 2, address);
	db_text(q, 3, hash);
	db_int(q, 4, by.now);
	db_int(q, 5, a->revision + 1);
	(void)db_run(&a->db, q);
	e = finish(a, revise(a, by, S("account.add"), address, S("")));
	if (e == STORE_OK)
		*id = made;
	return e;
}

enum store_err
account_next_id(struct accounts *a, uint64_t *id)
{
	(void)db_read(&a->db);
	return db_number(&a->db, db_stmt(&a->db, Q_NEXT_ID), id);
}

/* Begins a change of an existing account; *address is normalised into buf. */
static enum store_err
begin_with(struct accounts *a, struct slice *address, uint8_t *buf, struct account *acc)
{
	struct slice domain;

	if (!address_of(*address, buf, address, &domain)) {
		(void)db_begin(&a->db);
		return STORE_NONE;
	}
	(void)db_begin(&a->db);
	return by_address(a, *address, NULL, acc);
}

enum store_err
account_set_hash(struct accounts *a, struct slice address, struct slice hash,
    struct account_change by)
{
	uint8_t buf[ADDRESS];
	struct account acc;
	sqlite3_stmt *q;
	enum store_err e = hash.n > ACCOUNTS_HASH ? STORE_REFUSED : STORE_OK;

	if (e != STORE_OK)
		return e;
	e = begin_with(a, &address, buf, &acc);
	if (e != STORE_OK)
		return finish(a, e);
	q = db_stmt(&a->db, Q_HASH);
	db_int(q, 1, acc.id);
	db_text(q, 2, hash);
	db_int(q, 3, a->revision + 1);
	(void)db_run(&a->db, q);
	return finish(a, revise(a, by, S("account.password"), address, S("")));
}

enum store_err
account_set_state(struct accounts *a, struct slice address, enum account_state st,
    struct account_change by)
{
	uint8_t buf[ADDRESS];
	struct account acc;
	sqlite3_stmt *q;
	enum store_err e;

	if (st != ACCOUNT_ENABLED && st != ACCOUNT_DISABLED)
		return STORE_REFUSED;
	e = begin_with(a, &address, buf, &acc);
	if (e != STORE_OK)
		return finish(a, e);
	q = db_stmt(&a->db, Q_STATE);
	db_int(q, 1, acc.id);
	db_int(q, 2, st);
	db_int(q, 3, a->revision + 1);
	(void)db_run(&a->db, q);
	return finish(a, revise(a, by, S("account.state"), address,
	    st == ACCOUNT_ENABLED ? S("enabled") : S("disabled")));
}

enum store_err
account_delete(struct accounts *a, struct slice address, struct account_change by, uint64_t *id)
{
	uint8_t buf[ADDRESS];
	struct account acc;
	sqlite3_stmt *q;
	enum store_err e = begin_with(a, &address, buf, &acc);

	if (e != STORE_OK)
		return finish(a, e);
	q = db_stmt(&a->db, Q_DELETE);
	db_int(q, 1, acc.id);
	db_int(q, 2, a->revision + 1);
	(void)db_run(&a->db, q);
	q = db_stmt(&a->db, Q_ALIAS_FORGET);
	db_text(q, 1, address);
	(void)db_run(&a->db, q);
	e = finish(a, revise(a, by, S("account.delete"), address, S("")));
	if (e == STORE_OK && id != NULL)
		*id = acc.id;
	return e;
}

enum store_err
account_note_login(struct accounts *a, uint64_t id, uint64_t now)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_LOGIN);
	db_int(q, 1, id);
	db_int(q, 2, now);
	db_int(q, 3, now < HOUR_US ? 0 : now - HOUR_US);
	return db_run(&a->db, q);
}

/* ---- aliases ---- */

static enum store_err
may_alias(struct accounts *a, struct slice address, struct slice domain, struct slice target)
{
	struct account acc;
	uint64_t n = 0;
	sqlite3_stmt *q;
	enum store_err e = known(a, domain);

	if (e == STORE_OK)
		e = taken(a, target);
	if (e != STORE_OK)
		return e;
	e = by_address(a, address, NULL, &acc);
	if (e != STORE_NONE)
		return e == STORE_OK ? STORE_EXISTS : e;
	q = db_stmt(&a->db, Q_ALIAS_COUNT);
	db_text(q, 1, address);
	e = db_number(&a->db, q, &n);
	return e == STORE_OK && n >= ACCOUNTS_TARGETS ? STORE_LIMIT : e;
}

enum store_err
alias_add(struct accounts *a, struct slice address, struct slice target, struct account_change by)
{
	uint8_t buf[ADDRESS], to[ADDRESS];
	struct slice domain, unused;
	sqlite3_stmt *q;
	enum store_err e;

	if (!address_of(address, buf, &address, &domain) || !address_of(target, to, &target, &unused) ||
	    slice_eq(address, target))
		return STORE_REFUSED;
	(void)db_begin(&a->db);
	e = may_alias(a, address, domain, target);
	if (e != STORE_OK)
		return finish(a, e);
	q = db_stmt(&a->db, Q_ALIAS_ADD);
	db_text(q, 1, address);
	db_text(q, 2, target);
	(void)db_run(&a->db, q);
	return finish(a, revise(a, by, S("alias.add"), address, target));
}

enum store_err
alias_delete(struct accounts *a, struct slice address, struct slice target,
    struct account_change by)
{
	uint8_t buf[ADDRESS], to[ADDRESS];
	struct slice unused;
	sqlite3_stmt *q;

	if (!address_of(address, buf, &address, &unused) ||
	    (target.n > 0 && !address_of(target, to, &target, &unused)))
		return STORE_NONE;
	(void)db_begin(&a->db);
	q = db_stmt(&a->db, target.n > 0 ? Q_ALIAS_DROP_ONE : Q_ALIAS_DROP);
	db_text(q, 1, address);
	if (target.n > 0)
		db_text(q, 2, target);
	if (db_run(&a->db, q) != STORE_OK)
		return finish(a, a->db.err);
	if (db_changed(&a->db) == 0)
		return finish(a, STORE_NONE);
	return finish(a, revise(a, by, S("alias.delete"), address, target));
}

enum store_err
alias_list(struct accounts *a, struct slice after, struct slice after_target,
    bool (*fn)(void *ctx, struct slice address, struct slice target), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_ALIASES);
	db_text(q, 1, after);
	db_text(q, 2, after_target);
	while (db_row(&a->db, q))
		if (!fn(ctx, db_get_blob(q, 0), db_get_blob(q, 1))) {
			db_done(q);
			break;
		}
	return a->db.err;
}

/* ---- resolving ---- */

struct hunt {
	struct resolved *out;
	bool disabled;	/* a disabled account was met */
	bool any;	/* an account or an alias was met */
};

static enum store_err
hit(struct hunt *h, const struct account *acc)
{
	h->any = true;
	if (acc->state != ACCOUNT_ENABLED) {
		h->disabled = true;
		return STORE_OK;
	}
	for (size_t i = 0; i < h->out->n; i++)
		if (h->out->id[i] == acc->id)
			return STORE_OK;
	if (h->out->n == ACCOUNTS_TARGETS)
		return STORE_LIMIT;
	h->out->id[h->out->n++] = acc->id;
	return STORE_OK;
}

/* The targets of one alias, copied, because the statement is needed again one level down. */
static enum store_err
targets_of(struct accounts *a, struct slice address, struct arena *ar, struct slice *to, size_t *n)
{
	sqlite3_stmt *q = db_stmt(&a->db, Q_ALIAS);
	bool ok = true;

	*n = 0;
	db_text(q, 1, address);
	while (ok && db_row(&a->db, q)) {
		ok = *n < ACCOUNTS_TARGETS && arena_copy(ar, db_get_blob(q, 0), &to[*n]);
		*n += ok;
	}
	if (!ok) {
		db_done(q);
		return STORE_LIMIT;
	}
	return a->db.err;
}

static enum store_err
hunt(struct accounts *a, struct slice address, struct hunt *h, struct arena *ar, unsigned depth)
{
	struct account acc;
	struct slice *to;
	size_t n = 0;
	enum store_err e = by_address(a, address, NULL, &acc);

	if (e == STORE_OK)
		return hit(h, &acc);
	if (e != STORE_NONE)
		return e;
	if (depth == ACCOUNTS_DEPTH)
		return STORE_LIMIT;
	to = ARENA_ARRAY(ar, ACCOUNTS_TARGETS, struct slice);
	e = to == NULL ? STORE_LIMIT : targets_of(a, address, ar, to, &n);
	h->any = h->any || n > 0;
	for (size_t i = 0; i < n && e == STORE_OK; i++)
		e = hunt(a, to[i], h, ar, depth + 1);
	return e;
}

/* "user+tag@domain" -> "user@domain", in place. */
static bool
without_tag(uint8_t *buf, struct slice *address)
{
	size_t at = slice_rfind_byte(*address, '@'), plus = slice_find_byte(*address, '+');

	if (plus == SLICE_NONE || plus == 0 || plus >= at)
		return false;
	memmove(&buf[plus], &buf[at], address->n - at);
	*address = slice_of(buf, plus + address->n - at);
	return true;
}

static enum store_err
complete(struct accounts *a, struct slice in, uint8_t *buf, struct slice *address,
    struct slice *domain)
{
	uint8_t whole[ADDRESS];
	sqlite3_stmt *q;
	size_t n = 0;

	if (slice_find_byte(in, '@') != SLICE_NONE)
		return address_of(in, buf, address, domain) ? STORE_OK : STORE_NONE;
	q = db_stmt(&a->db, Q_FIRST_DOMAIN);
	if (!db_row(&a->db, q))
		return a->db.err != STORE_OK ? a->db.err : STORE_NONE;
	if (in.n <= LIMIT_SMTP_LOCAL && db_get_blob(q, 0).n <= LIMIT_DOMAIN) {
		memcpy(whole, in.p, in.n);
		whole[in.n] = '@';
		memcpy(&whole[in.n + 1], db_get_blob(q, 0).p, db_get_blob(q, 0).n);
		n = in.n + 1 + db_get_blob(q, 0).n;
	}
	db_done(q);
	return address_of(slice_of(whole, n), buf, address, domain) ? STORE_OK : STORE_NONE;
}

enum store_err
accounts_resolve(struct accounts *a, struct slice address, struct resolved *out)
{
	uint8_t buf[ADDRESS];
	struct hunt h = { .out = out };
	struct slice domain;
	struct arena *ar;
	enum store_err e;

	*out = (struct resolved){ 0 };
	(void)db_read(&a->db);
	e = complete(a, address, buf, &address, &domain);
	if (e == STORE_OK)
		e = known(a, domain);
	if (e != STORE_OK)
		return e;
	out->local_domain = true;
	ar = arena_new("resolve", (size_t)1 << 20);
	e = hunt(a, address, &h, ar, 0);
	if (e == STORE_OK && !h.any && without_tag(buf, &address))
		e = hunt(a, address, &h, ar, 0);
	arena_free(&ar);
	if (e != STORE_OK)
		return e;
	if (out->n > 0)
		return STORE_OK;
	return h.disabled ? STORE_REFUSED : STORE_NONE;
}

enum store_err
revision_list(struct accounts *a, size_t max, bool (*fn)(void *ctx, const struct revision *r),
    void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_HISTORY);
	db_int(q, 1, max);
	while (db_row(&a->db, q)) {
		struct revision r = { .number = db_get_int(q, 0), .time = db_get_int(q, 1),
			.by = db_get_blob(q, 2), .what = db_get_blob(q, 3),
			.subject = db_get_blob(q, 4), .detail = db_get_blob(q, 5) };

		if (!fn(ctx, &r)) {
			db_done(q);
			break;
		}
	}
	return a->db.err;
}
