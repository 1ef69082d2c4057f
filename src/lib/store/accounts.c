/* SPDX-License-Identifier: MIT
 * A deleted account keeps its row, without an address: its id is never given again. */
#include "lib/store/accounts_int.h"

#include <stdlib.h>

#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/idn/idn.h"

#define HOUR_US ((uint64_t)3600000000)

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
	{ "ALTER TABLE domain ADD COLUMN alias_of TEXT NOT NULL DEFAULT '';"
	  "ALTER TABLE domain ADD COLUMN separator TEXT;" /* NULL: as everywhere; '': none */
	  "ALTER TABLE domain ADD COLUMN catch_all TEXT NOT NULL DEFAULT '';"
	  "CREATE TABLE list(address TEXT PRIMARY KEY, owner TEXT NOT NULL,"
	  " writers INTEGER NOT NULL) WITHOUT ROWID;" /* its members are rows of alias */
	  "CREATE TABLE sender(account INTEGER NOT NULL, address TEXT NOT NULL,"
	  " PRIMARY KEY(account, address)) WITHOUT ROWID;"
	  "CREATE TABLE limits(subject TEXT PRIMARY KEY, rcpts INTEGER NOT NULL,"
	  " messages INTEGER NOT NULL, inbound INTEGER NOT NULL) WITHOUT ROWID;"
	  "CREATE TABLE setting(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	  "CREATE TABLE rate(key INTEGER PRIMARY KEY, until INTEGER NOT NULL)" },
	/* what is done with unauthenticated mail of a sender's domain */
	{ "CREATE TABLE policy(domain TEXT PRIMARY KEY, policy INTEGER NOT NULL) WITHOUT ROWID" },
};

#define ACCOUNT "SELECT id, revision, address, hash, state, created, login FROM account "

static const char *const text[] = {
	[Q_REVISION] = "SELECT coalesce(max(number),0) FROM revision",
	[Q_REVISE] = "INSERT INTO revision VALUES(?,?,?,?,?,?)",
	[Q_DOMAIN] = "SELECT id FROM domain WHERE name=?",
	[Q_ROUTE] = "SELECT alias_of, coalesce(separator, (SELECT value FROM setting WHERE"
	    " key='separator'), '+'), catch_all FROM domain WHERE name=?",
	[Q_DOMAIN_ALIAS] = "UPDATE domain SET alias_of=?2 WHERE name=?1",
	[Q_DOMAIN_SEPARATOR] = "UPDATE domain SET separator=?2 WHERE name=?1",
	[Q_DOMAIN_SEPARATOR_NULL] = "UPDATE domain SET separator=NULL WHERE name=?1",
	[Q_DOMAIN_CATCH_ALL] = "UPDATE domain SET catch_all=?2 WHERE name=?1",
	[Q_DOMAIN_ALIASED] = "SELECT count(*) FROM domain WHERE alias_of=?",
	[Q_FIRST_DOMAIN] = "SELECT name FROM domain ORDER BY id LIMIT 1",
	[Q_DOMAIN_ADD] = "INSERT INTO domain(name, created) VALUES(?,?)",
	[Q_DOMAIN_DROP] = "DELETE FROM domain WHERE name=?",
	[Q_DOMAIN_USED] = "SELECT (SELECT count(*) FROM account WHERE"
	    " substr(address, instr(address,'@')+1)=?1) + (SELECT count(*) FROM alias WHERE"
	    " substr(address, instr(address,'@')+1)=?1) + (SELECT count(*) FROM list WHERE"
	    " substr(address, instr(address,'@')+1)=?1) + (SELECT count(*) FROM domain WHERE"
	    " alias_of=?1)",
	[Q_DOMAINS] = "SELECT name, created, alias_of, separator, catch_all FROM domain WHERE name>?"
	    " ORDER BY name",
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
	[Q_LIST_FIND] = "SELECT owner, writers FROM list WHERE address=?",
	[Q_LIST_ADD] = "INSERT OR REPLACE INTO list VALUES(?,?,?)",
	[Q_LIST_DROP] = "DELETE FROM list WHERE address=?",
	[Q_LISTS] = "SELECT address, owner, writers FROM list WHERE address>? ORDER BY address",
	[Q_SENDER] = "SELECT count(*) FROM sender WHERE account=? AND address IN (?,?)",
	[Q_SENDER_ADD] = "INSERT OR IGNORE INTO sender VALUES(?,?)",
	[Q_SENDER_DROP] = "DELETE FROM sender WHERE account=? AND address=?",
	[Q_SENDER_FORGET] = "DELETE FROM sender WHERE account=?",
	[Q_SENDERS] = "SELECT account.address, sender.address FROM sender JOIN account ON"
	    " account.id=sender.account WHERE account.address>?1 OR (account.address=?1 AND"
	    " sender.address>?2) ORDER BY 1, 2",
	[Q_LIMITS] = "SELECT rcpts, messages, inbound FROM limits WHERE subject=?",
	[Q_LIMITS_SET] = "INSERT OR REPLACE INTO limits VALUES(?,?,?,?)",
	[Q_LIMITS_DROP] = "DELETE FROM limits WHERE subject=?",
	[Q_LIMITS_ALL] = "SELECT subject, rcpts, messages, inbound FROM limits WHERE subject>?"
	    " ORDER BY subject",
	[Q_SETTING] = "SELECT value FROM setting WHERE key=?",
	[Q_SETTING_PUT] = "INSERT OR REPLACE INTO setting VALUES(?,?)",
	[Q_RATES] = "SELECT key, until FROM rate",
	[Q_RATES_DROP] = "DELETE FROM rate",
	[Q_RATE_ADD] = "INSERT OR REPLACE INTO rate VALUES(?,?)",
	[Q_POLICY] = "SELECT policy FROM policy WHERE domain=?",
	[Q_POLICY_SET] = "INSERT OR REPLACE INTO policy VALUES(?,?)",
	[Q_POLICY_DROP] = "DELETE FROM policy WHERE domain=?",
	[Q_POLICIES] = "SELECT domain, policy FROM policy WHERE domain>? ORDER BY domain",
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

/* Only then is there something to bring into form. */
static bool
beyond_ascii(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (slice_at(s, i) >= 0x80)
			return true;
	return false;
}

/* Host name labels of letters, digits and hyphens (RFC 1123 2.1), lower-cased into buf. */
bool
accounts_domain_name(struct slice name, uint8_t *buf, struct slice *out)
{
	own(arena_p) a = NULL;
	size_t label = 0;

	if (name.n == 0 || name.n > LIMIT_DOMAIN)
		return false;
	if (beyond_ascii(name)) {
		a = arena_new("domain", 4096);
		if (!idn_domain(name, a, &name))
			return false;
	}
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

/* local@domain in lower case, with A-labels and in normal form C, in buf of ADDRESS bytes; *domain is its part of it. */
bool
accounts_address(struct slice in, uint8_t *buf, struct slice *out, struct slice *domain)
{
	own(arena_p) a = NULL;
	size_t at;
	struct slice d;

	if (in.n > 2 * ACCOUNTS_ADDRESS)
		return false;
	if (beyond_ascii(in)) {
		a = arena_new("address", 8192);
		if (!idn_address(in, a, &in))
			return false;
	}
	at = slice_rfind_byte(in, '@');
	if (at == SLICE_NONE || !is_local(slice_head(in, at)) ||
	    !accounts_domain_name(slice_from(in, at + 1), &buf[at + 1], &d))
		return false;
	for (size_t i = 0; i < at; i++)
		buf[i] = ch_lower(slice_at(in, i));
	buf[at] = '@';
	*out = slice_of(buf, in.n);
	*domain = d;
	return true;
}

/* ---- changes ---- */

enum store_err
accounts_revise(struct accounts *a, struct account_change by, struct slice what, struct slice subject,
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
enum store_err
accounts_finish(struct accounts *a, enum store_err e)
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

enum store_err
accounts_domain(struct accounts *a, struct slice domain)
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

	if (!accounts_domain_name(name, buf, &name))
		return STORE_REFUSED;
	(void)db_begin(&a->db);
	e = accounts_domain(a, name);
	if (e == STORE_OK || e != STORE_NONE)
		return accounts_finish(a, e == STORE_OK ? STORE_EXISTS : e);
	q = db_stmt(&a->db, Q_DOMAIN_ADD);
	db_text(q, 1, name);
	db_int(q, 2, by.now);
	(void)db_run(&a->db, q);
	return accounts_finish(a, accounts_revise(a, by, S("domain.add"), name, S("")));
}

enum store_err
domain_delete(struct accounts *a, struct slice name, struct account_change by)
{
	uint8_t buf[LIMIT_DOMAIN];
	uint64_t used = 0;
	sqlite3_stmt *q;
	enum store_err e;

	if (!accounts_domain_name(name, buf, &name))
		return STORE_NONE;
	(void)db_begin(&a->db);
	e = accounts_domain(a, name);
	if (e != STORE_OK)
		return accounts_finish(a, e);
	q = db_stmt(&a->db, Q_DOMAIN_USED);
	db_text(q, 1, name);
	e = db_number(&a->db, q, &used);
	if (e != STORE_OK || used > 0)
		return accounts_finish(a, e != STORE_OK ? e : STORE_REFUSED);
	q = db_stmt(&a->db, Q_DOMAIN_DROP);
	db_text(q, 1, name);
	(void)db_run(&a->db, q);
	return accounts_finish(a, accounts_revise(a, by, S("domain.delete"), name, S("")));
}

enum store_err
domain_known(struct accounts *a, struct slice name)
{
	uint8_t buf[LIMIT_DOMAIN];

	if (!accounts_domain_name(name, buf, &name))
		return STORE_NONE;
	(void)db_read(&a->db);
	return accounts_domain(a, name);
}

enum store_err
domain_list(struct accounts *a, struct slice after,
    bool (*fn)(void *ctx, const struct domain *d), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_DOMAINS);
	db_text(q, 1, after);
	while (db_row(&a->db, q)) {
		struct domain d = { .name = db_get_blob(q, 0), .created = db_get_int(q, 1),
			.alias_of = db_get_blob(q, 2), .separator = db_get_blob(q, 3),
			.own_separator = sqlite3_column_type(q, 3) != SQLITE_NULL,
			.catch_all = db_get_blob(q, 4) };

		if (!fn(ctx, &d)) {
			db_done(q);
			break;
		}
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

enum store_err
accounts_by_address(struct accounts *a, struct slice address, struct arena *ar, struct account *out)
{
	sqlite3_stmt *q = db_stmt(&a->db, Q_FIND);

	db_text(q, 1, address);
	return one_account(a, q, ar, out);
}

enum store_err
account_find(struct accounts *a, struct slice address, struct arena *ar, struct account *out)
{
	uint8_t buf[ACCOUNTS_ADDRESS];
	struct slice domain;

	if (!accounts_address(address, buf, &address, &domain))
		return STORE_NONE;
	(void)db_read(&a->db);
	return accounts_by_address(a, address, ar, out);
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
	enum store_err e = accounts_by_address(a, address, NULL, &acc);

	if (e != STORE_NONE)
		return e;
	q = db_stmt(&a->db, Q_ALIAS_COUNT);
	db_text(q, 1, address);
	e = db_number(&a->db, q, &n);
	if (e != STORE_OK || n > 0)
		return e;
	return accounts_list_find(a, address, NULL, NULL);
}

enum store_err
account_add(struct accounts *a, struct slice address, struct slice hash, struct account_change by,
    uint64_t *id)
{
	uint8_t buf[ACCOUNTS_ADDRESS];
	struct slice domain;
	uint64_t made = 0;
	sqlite3_stmt *q;
	enum store_err e;

	if (!accounts_address(address, buf, &address, &domain) || hash.n > ACCOUNTS_HASH)
		return STORE_REFUSED;
	(void)db_begin(&a->db);
	e = accounts_domain(a, domain);
	if (e == STORE_OK) {
		e = taken(a, address);
		e = e == STORE_OK ? STORE_EXISTS : e == STORE_NONE ? STORE_OK : e;
	}
	if (e == STORE_OK)
		e = db_number(&a->db, db_stmt(&a->db, Q_NEXT_ID), &made);
	if (e != STORE_OK)
		return accounts_finish(a, e);
	q = db_stmt(&a->db, Q_ADD);
	db_int(q, 1, made);
	db_text(q, 2, address);
	db_text(q, 3, hash);
	db_int(q, 4, by.now);
	db_int(q, 5, a->revision + 1);
	(void)db_run(&a->db, q);
	e = accounts_finish(a, accounts_revise(a, by, S("account.add"), address, S("")));
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

	if (!accounts_address(*address, buf, address, &domain)) {
		(void)db_begin(&a->db);
		return STORE_NONE;
	}
	(void)db_begin(&a->db);
	return accounts_by_address(a, *address, NULL, acc);
}

enum store_err
account_set_hash(struct accounts *a, struct slice address, struct slice hash,
    struct account_change by)
{
	uint8_t buf[ACCOUNTS_ADDRESS];
	struct account acc;
	sqlite3_stmt *q;
	enum store_err e = hash.n > ACCOUNTS_HASH ? STORE_REFUSED : STORE_OK;

	if (e != STORE_OK)
		return e;
	e = begin_with(a, &address, buf, &acc);
	if (e != STORE_OK)
		return accounts_finish(a, e);
	q = db_stmt(&a->db, Q_HASH);
	db_int(q, 1, acc.id);
	db_text(q, 2, hash);
	db_int(q, 3, a->revision + 1);
	(void)db_run(&a->db, q);
	return accounts_finish(a, accounts_revise(a, by, S("account.password"), address, S("")));
}

enum store_err
account_set_state(struct accounts *a, struct slice address, enum account_state st,
    struct account_change by)
{
	uint8_t buf[ACCOUNTS_ADDRESS];
	struct account acc;
	sqlite3_stmt *q;
	enum store_err e;

	if (st != ACCOUNT_ENABLED && st != ACCOUNT_DISABLED)
		return STORE_REFUSED;
	e = begin_with(a, &address, buf, &acc);
	if (e != STORE_OK)
		return accounts_finish(a, e);
	q = db_stmt(&a->db, Q_STATE);
	db_int(q, 1, acc.id);
	db_int(q, 2, st);
	db_int(q, 3, a->revision + 1);
	(void)db_run(&a->db, q);
	return accounts_finish(a, accounts_revise(a, by, S("account.state"), address,
	    st == ACCOUNT_ENABLED ? S("enabled") : S("disabled")));
}

enum store_err
account_delete(struct accounts *a, struct slice address, struct account_change by, uint64_t *id)
{
	uint8_t buf[ACCOUNTS_ADDRESS];
	struct account acc;
	sqlite3_stmt *q;
	enum store_err e = begin_with(a, &address, buf, &acc);

	if (e != STORE_OK)
		return accounts_finish(a, e);
	q = db_stmt(&a->db, Q_DELETE);
	db_int(q, 1, acc.id);
	db_int(q, 2, a->revision + 1);
	(void)db_run(&a->db, q);
	q = db_stmt(&a->db, Q_ALIAS_FORGET);
	db_text(q, 1, address);
	(void)db_run(&a->db, q);
	q = db_stmt(&a->db, Q_SENDER_FORGET);
	db_int(q, 1, acc.id);
	(void)db_run(&a->db, q);
	q = db_stmt(&a->db, Q_LIMITS_DROP);
	db_text(q, 1, address);
	(void)db_run(&a->db, q);
	e = accounts_finish(a, accounts_revise(a, by, S("account.delete"), address, S("")));
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

/* May the alias have this target? Asked inside the transaction. */
static enum store_err
may_alias(struct accounts *a, struct slice address, struct slice domain, struct slice target)
{
	struct account acc;
	uint64_t n = 0;
	sqlite3_stmt *q;
	enum store_err e = accounts_domain(a, domain);

	if (e != STORE_OK)
		return e;
	e = accounts_by_address(a, address, NULL, &acc);
	if (e != STORE_NONE)
		return e == STORE_OK ? STORE_EXISTS : e;
	q = db_stmt(&a->db, Q_ALIAS_COUNT);
	db_text(q, 1, address);
	e = db_number(&a->db, q, &n);
	if (e == STORE_OK && n >= ACCOUNTS_TARGETS)
		return STORE_LIMIT;
	return e == STORE_OK ? accounts_may_lead(a, address, target) : e;
}

enum store_err
alias_add(struct accounts *a, struct slice address, struct slice target, struct account_change by)
{
	uint8_t buf[ACCOUNTS_ADDRESS], to[ACCOUNTS_ADDRESS];
	struct slice domain, unused;
	sqlite3_stmt *q;
	enum store_err e;

	if (!accounts_address(address, buf, &address, &domain) || !accounts_address(target, to, &target, &unused) ||
	    slice_eq(address, target))
		return STORE_REFUSED;
	(void)db_begin(&a->db);
	e = may_alias(a, address, domain, target);
	if (e != STORE_OK)
		return accounts_finish(a, e);
	q = db_stmt(&a->db, Q_ALIAS_ADD);
	db_text(q, 1, address);
	db_text(q, 2, target);
	(void)db_run(&a->db, q);
	return accounts_finish(a, accounts_revise(a, by, S("alias.add"), address, target));
}

enum store_err
alias_delete(struct accounts *a, struct slice address, struct slice target,
    struct account_change by)
{
	uint8_t buf[ACCOUNTS_ADDRESS], to[ACCOUNTS_ADDRESS];
	struct slice unused;
	sqlite3_stmt *q;

	if (!accounts_address(address, buf, &address, &unused) ||
	    (target.n > 0 && !accounts_address(target, to, &target, &unused)))
		return STORE_NONE;
	(void)db_begin(&a->db);
	q = db_stmt(&a->db, target.n > 0 ? Q_ALIAS_DROP_ONE : Q_ALIAS_DROP);
	db_text(q, 1, address);
	if (target.n > 0)
		db_text(q, 2, target);
	if (db_run(&a->db, q) != STORE_OK)
		return accounts_finish(a, a->db.err);
	if (db_changed(&a->db) == 0)
		return accounts_finish(a, STORE_NONE);
	return accounts_finish(a, accounts_revise(a, by, S("alias.delete"), address, target));
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
