/* SPDX-License-Identifier: MIT
 * What else stands in accounts.db: what a domain does with its addresses, lists, granted senders, limits,
 * and what auth keeps for itself. */
#include "lib/base/chars.h"
#include "lib/store/accounts_int.h"

/* ---- domains ---- */

/* Begins a change of a domain of ours; *name is lower-cased into buf. */
static enum store_err
begin_domain(struct accounts *a, struct slice *name, uint8_t *buf)
{
	bool ok = accounts_domain_name(*name, buf, name);

	(void)db_begin(&a->db);
	return ok ? accounts_domain(a, *name) : STORE_NONE;
}

static enum store_err
may_be_alias(struct accounts *a, struct slice name, struct slice of)
{
	uint64_t used = 0, pointed = 0;
	bool chained;
	sqlite3_stmt *q = db_stmt(&a->db, Q_ROUTE);
	enum store_err e;

	db_text(q, 1, of);
	if (!db_row(&a->db, q))
		return a->db.err != STORE_OK ? a->db.err : STORE_NONE;
	chained = db_get_blob(q, 0).n > 0;
	db_done(q);
	q = db_stmt(&a->db, Q_DOMAIN_USED); /* domains that point here count */
	db_text(q, 1, name);
	e = db_number(&a->db, q, &used);
	q = db_stmt(&a->db, Q_DOMAIN_ALIASED);
	db_text(q, 1, name);
	if (e == STORE_OK)
		e = db_number(&a->db, q, &pointed);
	if (e != STORE_OK)
		return e;
	return chained || used > 0 || pointed > 0 || slice_eq(name, of) ? STORE_REFUSED : STORE_OK;
}

enum store_err
domain_set_alias(struct accounts *a, struct slice name, struct slice of, struct account_change by)
{
	uint8_t buf[LIMIT_DOMAIN], buf2[LIMIT_DOMAIN];
	sqlite3_stmt *q;
	enum store_err e = begin_domain(a, &name, buf);

	if (e == STORE_OK && of.n > 0)
		e = accounts_domain_name(of, buf2, &of) ? may_be_alias(a, name, of) : STORE_NONE;
	if (e != STORE_OK)
		return accounts_finish(a, e);
	q = db_stmt(&a->db, Q_DOMAIN_ALIAS);
	db_text(q, 1, name);
	db_text(q, 2, of);
	(void)db_run(&a->db, q);
	return accounts_finish(a, accounts_revise(a, by, S("domain.alias"), name, of));
}

static bool
is_separator(struct slice s)
{
	return s.n == 0 || (s.n == 1 && ch_is_vchar(slice_at(s, 0)) && !ch_is_alnum(slice_at(s, 0)) &&
	    slice_find_byte(S("@\"\\<>(),:;[]"), slice_at(s, 0)) == SLICE_NONE);
}

enum store_err
domain_set_separator(struct accounts *a, struct slice name, const struct slice *separator,
    struct account_change by)
{
	uint8_t buf[LIMIT_DOMAIN];
	struct slice to = separator == NULL ? S("+") : *separator;
	sqlite3_stmt *q;
	enum store_err e;

	if (!is_separator(to))
		return STORE_REFUSED;
	if (name.n == 0) {
		(void)db_begin(&a->db);
		q = db_stmt(&a->db, Q_SETTING_PUT);
		db_text(q, 1, S("separator"));
		db_text(q, 2, to);
	} else {
		e = begin_domain(a, &name, buf);
		if (e != STORE_OK)
			return accounts_finish(a, e);
		q = db_stmt(&a->db, separator == NULL ? Q_DOMAIN_SEPARATOR_NULL : Q_DOMAIN_SEPARATOR);
		db_text(q, 1, name);
		if (separator != NULL)
			db_text(q, 2, to);
	}
	(void)db_run(&a->db, q);
	return accounts_finish(a, accounts_revise(a, by, S("domain.separator"), name,
	    separator == NULL ? S("default") : to));
}

enum store_err
domain_set_catch_all(struct accounts *a, struct slice name, struct slice target,
    struct account_change by)
{
	uint8_t buf[LIMIT_DOMAIN], to[ACCOUNTS_ADDRESS];
	struct slice unused;
	sqlite3_stmt *q;
	enum store_err e;

	if (target.n > 0 && !accounts_address(target, to, &target, &unused))
		return STORE_REFUSED;
	e = begin_domain(a, &name, buf);
	if (e == STORE_OK && target.n > 0)
		e = accounts_may_lead(a, S("*"), target); /* a ring through it is bounded when it is met */
	if (e != STORE_OK)
		return accounts_finish(a, e);
	q = db_stmt(&a->db, Q_DOMAIN_CATCH_ALL);
	db_text(q, 1, name);
	db_text(q, 2, target);
	(void)db_run(&a->db, q);
	return accounts_finish(a, accounts_revise(a, by, S("domain.catch-all"), name, target));
}

/* ---- lists ---- */

enum store_err
accounts_list_find(struct accounts *a, struct slice address, struct arena *ar, struct list *out)
{
	sqlite3_stmt *q = db_stmt(&a->db, Q_LIST_FIND);
	struct list l = { .address = address };
	bool ok = true;

	db_text(q, 1, address);
	if (!db_row(&a->db, q))
		return a->db.err != STORE_OK ? a->db.err : STORE_NONE;
	l.writers = (enum list_writers)db_get_int(q, 1);
	if (ar != NULL)
		ok = arena_copy(ar, db_get_blob(q, 0), &l.owner) && arena_copy(ar, address, &l.address);
	db_done(q);
	if (!ok)
		return STORE_LIMIT;
	if (out != NULL)
		*out = l;
	return STORE_OK;
}

enum store_err
list_add(struct accounts *a, const struct list *l, struct account_change by)
{
	uint8_t buf[ACCOUNTS_ADDRESS], to[ACCOUNTS_ADDRESS];
	struct slice address = l->address, owner = l->owner, domain, unused;
	struct account acc;
	sqlite3_stmt *q;
	enum store_err e;

	if (!accounts_address(address, buf, &address, &domain) || (owner.n > 0 && !accounts_address(owner, to, &owner, &unused)) ||
	    l->writers < LIST_ANYONE || l->writers > LIST_OWNERS)
		return STORE_REFUSED;
	(void)db_begin(&a->db);
	e = accounts_domain(a, domain);
	if (e == STORE_OK) {
		e = accounts_by_address(a, address, NULL, &acc);
		e = e == STORE_OK ? STORE_EXISTS : e != STORE_NONE ? e : owner.n > 0 ? accounts_may_lead(a, address, owner) : STORE_OK;
	}
	if (e != STORE_OK)
		return accounts_finish(a, e);
	q = db_stmt(&a->db, Q_LIST_ADD);
	db_text(q, 1, address);
	db_text(q, 2, owner);
	db_int(q, 3, l->writers);
	(void)db_run(&a->db, q);
	return accounts_finish(a, accounts_revise(a, by, S("list.add"), address, owner));
}

enum store_err
list_delete(struct accounts *a, struct slice address, struct account_change by)
{
	uint8_t buf[ACCOUNTS_ADDRESS];
	struct slice domain;
	sqlite3_stmt *q;

	if (!accounts_address(address, buf, &address, &domain))
		return STORE_NONE;
	(void)db_begin(&a->db);
	q = db_stmt(&a->db, Q_LIST_DROP);
	db_text(q, 1, address);
	if (db_run(&a->db, q) != STORE_OK)
		return accounts_finish(a, a->db.err);
	if (db_changed(&a->db) == 0)
		return accounts_finish(a, STORE_NONE);
	q = db_stmt(&a->db, Q_ALIAS_DROP);
	db_text(q, 1, address);
	(void)db_run(&a->db, q);
	return accounts_finish(a, accounts_revise(a, by, S("list.delete"), address, S("")));
}

enum store_err
list_list(struct accounts *a, struct slice after, bool (*fn)(void *ctx, const struct list *l), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_LISTS);
	db_text(q, 1, after);
	while (db_row(&a->db, q)) {
		struct list l = { .address = db_get_blob(q, 0), .owner = db_get_blob(q, 1),
			.writers = (enum list_writers)db_get_int(q, 2) };

		if (!fn(ctx, &l)) {
			db_done(q);
			break;
		}
	}
	return a->db.err;
}

/* ---- granted senders ---- */

static enum store_err
change_sender(struct accounts *a, struct slice account, struct slice address, bool grant,
    struct account_change by)
{
	uint8_t buf[ACCOUNTS_ADDRESS], buf2[ACCOUNTS_ADDRESS];
	struct slice unused, domain;
	struct account acc;
	sqlite3_stmt *q;
	enum store_err e;
	bool whole = address.n > 1 && slice_at(address, 0) == '@';

	if (whole) { /* the name that the store knows an address by has '@' before it */
		if (!accounts_domain_name(slice_from(address, 1), &buf2[1], &domain))
			return STORE_REFUSED;
		buf2[0] = '@';
		address = slice_of(buf2, domain.n + 1);
	} else if (!accounts_address(address, buf2, &address, &unused)) {
		return STORE_REFUSED;
	}
	(void)db_begin(&a->db);
	if (!accounts_address(account, buf, &account, &unused))
		return accounts_finish(a, STORE_NONE);
	e = accounts_by_address(a, account, NULL, &acc);
	if (e != STORE_OK)
		return accounts_finish(a, e);
	q = db_stmt(&a->db, grant ? Q_SENDER_ADD : Q_SENDER_DROP);
	db_int(q, 1, acc.id);
	db_text(q, 2, address);
	if (db_run(&a->db, q) == STORE_OK && db_changed(&a->db) == 0)
		return accounts_finish(a, grant ? STORE_EXISTS : STORE_NONE);
	return accounts_finish(a, accounts_revise(a, by, grant ? S("sender.grant") : S("sender.revoke"),
	    account, address));
}

enum store_err
sender_grant(struct accounts *a, struct slice account, struct slice address, struct account_change by)
{
	return change_sender(a, account, address, true, by);
}

enum store_err
sender_revoke(struct accounts *a, struct slice account, struct slice address, struct account_change by)
{
	return change_sender(a, account, address, false, by);
}

enum store_err
sender_list(struct accounts *a, struct slice after, struct slice after_address,
    bool (*fn)(void *ctx, struct slice account, struct slice address), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_SENDERS);
	db_text(q, 1, after);
	db_text(q, 2, after_address);
	while (db_row(&a->db, q))
		if (!fn(ctx, db_get_blob(q, 0), db_get_blob(q, 1))) {
			db_done(q);
			break;
		}
	return a->db.err;
}

/* ---- limits ---- */

/* The subject as it is stored: empty, a domain or an address of an account. */
static bool
subject_of(struct slice in, uint8_t *buf, struct slice *out)
{
	struct slice domain;

	if (in.n == 0)
		return *out = in, true;
	return slice_find_byte(in, '@') == SLICE_NONE ? accounts_domain_name(in, buf, out) :
							accounts_address(in, buf, out, &domain);
}

enum store_err
limits_own(struct accounts *a, struct slice subject, struct limits *out)
{
	uint8_t buf[ACCOUNTS_ADDRESS];
	sqlite3_stmt *q;

	if (!subject_of(subject, buf, &subject))
		return STORE_NONE;
	q = db_stmt(&a->db, Q_LIMITS);
	db_text(q, 1, subject);
	if (!db_row(&a->db, q))
		return a->db.err != STORE_OK ? a->db.err : STORE_NONE;
	*out = (struct limits){ (int64_t)db_get_int(q, 0), (int64_t)db_get_int(q, 1),
		(int64_t)db_get_int(q, 2) };
	db_done(q);
	return STORE_OK;
}

static void
fill(int64_t *to, int64_t from)
{
	if (*to == LIMITS_UNSET)
		*to = from;
}

enum store_err
limits_of(struct accounts *a, struct slice address, struct limits *out)
{
	size_t at = slice_rfind_byte(address, '@');
	const struct slice by[] = { address, at == SLICE_NONE ? address : slice_from(address, at + 1),
		S("") };
	struct limits l = { LIMITS_UNSET, LIMITS_UNSET, LIMITS_UNSET }, more;
	const struct limits last = LIMITS_DEFAULT;

	(void)db_read(&a->db);
	for (size_t i = 0; i < sizeof by / sizeof by[0]; i++) {
		enum store_err e = limits_own(a, by[i], &more);

		if (e == STORE_NONE)
			continue;
		if (e != STORE_OK)
			return e;
		fill(&l.rcpts, more.rcpts);
		fill(&l.messages, more.messages);
		fill(&l.inbound, more.inbound);
	}
	fill(&l.rcpts, last.rcpts);
	fill(&l.messages, last.messages);
	fill(&l.inbound, last.inbound);
	*out = l;
	return STORE_OK;
}

static enum store_err
limited(struct accounts *a, struct slice subject)
{
	struct account acc;

	if (subject.n == 0)
		return STORE_OK;
	return slice_find_byte(subject, '@') == SLICE_NONE ? accounts_domain(a, subject) :
							     accounts_by_address(a, subject, NULL, &acc);
}

enum store_err
limits_set(struct accounts *a, struct slice subject, const struct limits *l, struct account_change by)
{
	uint8_t buf[ACCOUNTS_ADDRESS];
	bool unset = l->rcpts == LIMITS_UNSET && l->messages == LIMITS_UNSET && l->inbound == LIMITS_UNSET;
	own(buf_t) words = { .max = 200 };
	sqlite3_stmt *q;
	enum store_err e;

	if (!subject_of(subject, buf, &subject) || l->rcpts < LIMITS_UNSET || l->messages < LIMITS_UNSET ||
	    l->inbound < LIMITS_UNSET)
		return STORE_REFUSED;
	(void)db_begin(&a->db);
	e = limited(a, subject);
	if (e != STORE_OK)
		return accounts_finish(a, e);
	q = db_stmt(&a->db, unset ? Q_LIMITS_DROP : Q_LIMITS_SET);
	db_text(q, 1, subject);
	if (!unset) {
		db_int(q, 2, (uint64_t)l->rcpts);
		db_int(q, 3, (uint64_t)l->messages);
		db_int(q, 4, (uint64_t)l->inbound);
	}
	(void)db_run(&a->db, q);
	buf_fmt(&words, "recipients %lld messages %lld inbound %lld", (long long)l->rcpts,
	    (long long)l->messages, (long long)l->inbound);
	return accounts_finish(a, accounts_revise(a, by, S("limits"), subject, buf_slice(&words)));
}

enum store_err
limits_list(struct accounts *a, bool more, struct slice after,
    bool (*fn)(void *ctx, struct slice subject, const struct limits *l), void *ctx)
{
	sqlite3_stmt *q;
	struct limits l;

	(void)db_read(&a->db);
	if (!more && limits_own(a, S(""), &l) == STORE_OK && !fn(ctx, S(""), &l))
		return STORE_OK;
	q = db_stmt(&a->db, Q_LIMITS_ALL);
	db_text(q, 1, after);
	while (db_row(&a->db, q)) {
		l = (struct limits){ (int64_t)db_get_int(q, 1), (int64_t)db_get_int(q, 2),
			(int64_t)db_get_int(q, 3) };
		if (!fn(ctx, db_get_blob(q, 0), &l)) {
			db_done(q);
			break;
		}
	}
	return a->db.err;
}

/* ---- settings and rates ---- */

enum store_err
setting_get(struct accounts *a, struct slice key, struct arena *ar, struct slice *out)
{
	sqlite3_stmt *q;
	bool ok;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_SETTING);
	db_text(q, 1, key);
	if (!db_row(&a->db, q))
		return a->db.err != STORE_OK ? a->db.err : STORE_NONE;
	ok = arena_copy(ar, db_get_blob(q, 0), out);
	db_done(q);
	return ok ? STORE_OK : STORE_LIMIT;
}

enum store_err
setting_put(struct accounts *a, struct slice key, struct slice value)
{
	sqlite3_stmt *q;

	(void)db_begin(&a->db);
	q = db_stmt(&a->db, Q_SETTING_PUT);
	db_text(q, 1, key);
	db_blob(q, 2, value);
	(void)db_run(&a->db, q);
	return db_commit(&a->db);
}

enum store_err
rates_load(struct accounts *a, void (*fn)(void *ctx, uint64_t key, uint64_t until), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_RATES);
	while (db_row(&a->db, q))
		fn(ctx, db_get_int(q, 0), db_get_int(q, 1));
	return a->db.err;
}

void
rates_begin(struct accounts *a)
{
	(void)db_begin(&a->db);
	(void)db_run(&a->db, db_stmt(&a->db, Q_RATES_DROP));
}

void
rates_add(struct accounts *a, uint64_t key, uint64_t until)
{
	sqlite3_stmt *q = db_stmt(&a->db, Q_RATE_ADD);

	db_int(q, 1, key);
	db_int(q, 2, until);
	(void)db_run(&a->db, q);
}

enum store_err
rates_commit(struct accounts *a)
{
	return db_commit(&a->db);
}
