/* SPDX-License-Identifier: MIT
 * Where mail goes. Everything here is bounded: levels (ACCOUNTS_DEPTH), aliases looked at
 * (ACCOUNTS_STEPS), targets (ACCOUNTS_TARGETS), and an address that is met again on its own way leads no
 * further: a ring of aliases ends where it began. */
#include "lib/base/chars.h"
#include "lib/store/accounts_int.h"

struct hunt {
	struct accounts *a;
	struct arena *ar;
	struct resolved *out;
	struct slice path[ACCOUNTS_DEPTH + 1]; /* addresses on the way to the one that is looked at */
	struct slice watch;	/* has this address been met? Empty: nobody asks */
	unsigned steps;
	bool disabled, any, ring, met;
};

/* How one came to an address. */
struct way {
	unsigned depth;
	bool by_list, by_catch_all;
	struct slice detail;	/* with its separator: "+lists" */
};

/* What one domain does with its addresses. */
struct route {
	struct slice alias_of, separator, catch_all;
};

static enum store_err
route_of(struct hunt *h, struct slice domain, struct route *out)
{
	sqlite3_stmt *q = db_stmt(&h->a->db, Q_ROUTE);
	bool ok;

	db_text(q, 1, domain);
	if (!db_row(&h->a->db, q))
		return h->a->db.err != STORE_OK ? h->a->db.err : STORE_NONE;
	ok = arena_copy(h->ar, db_get_blob(q, 0), &out->alias_of) &&
	    arena_copy(h->ar, db_get_blob(q, 1), &out->separator) &&
	    arena_copy(h->ar, db_get_blob(q, 2), &out->catch_all);
	db_done(q);
	return ok ? STORE_OK : STORE_LIMIT;
}

/* "local" detail "@" domain, in the arena. */
static bool
joined(struct arena *ar, struct slice local, struct slice detail, struct slice domain, struct slice *out)
{
	own(buf_t) b = { .max = 2 * ACCOUNTS_ADDRESS };

	return buf_add(&b, local) && buf_add(&b, detail) && buf_byte(&b, '@') && buf_add(&b, domain) &&
	    b.n <= LIMIT_SMTP_ADDRESS && arena_copy(ar, buf_slice(&b), out);
}

static enum store_err
add_target(struct hunt *h, uint64_t account, struct slice address, const struct way *w)
{
	struct target *t;

	for (size_t i = 0; i < h->out->n; i++) {
		t = &h->out->to[i];
		if (account != 0 ? t->account == account : t->account == 0 && slice_eq(t->address, address)) {
			t->by_list = t->by_list && w->by_list;
			t->by_catch_all = t->by_catch_all && w->by_catch_all;
			return STORE_OK;
		}
	}
	if (h->out->n == ACCOUNTS_TARGETS)
		return STORE_LIMIT;
	h->out->to[h->out->n++] = (struct target){ .account = account, .address = address,
		.by_list = w->by_list, .by_catch_all = w->by_catch_all };
	return STORE_OK;
}

static enum store_err
hit(struct hunt *h, const struct account *acc, const struct way *w)
{
	struct slice address = acc->address;
	size_t at = slice_rfind_byte(address, '@');

	h->any = true;
	if (acc->state != ACCOUNT_ENABLED) {
		h->disabled = true;
		return STORE_OK;
	}
	/* a detail that does not fit is left out: the mail comes anyway */
	if (w->detail.n > 0 && at + w->detail.n <= LIMIT_SMTP_LOCAL &&
	    !joined(h->ar, slice_head(address, at), w->detail, slice_from(address, at + 1), &address))
		return STORE_LIMIT;
	return add_target(h, acc->id, address, w);
}

/* The targets of one alias, copied, because the statement is needed again one level down. */
static enum store_err
targets_of(struct hunt *h, struct slice address, struct slice *to, size_t *n)
{
	sqlite3_stmt *q = db_stmt(&h->a->db, Q_ALIAS);
	bool ok = true;

	*n = 0;
	db_text(q, 1, address);
	while (ok && db_row(&h->a->db, q)) {
		ok = *n < ACCOUNTS_TARGETS && arena_copy(h->ar, db_get_blob(q, 0), &to[*n]);
		*n += ok;
	}
	if (!ok) {
		db_done(q);
		return STORE_LIMIT;
	}
	return h->a->db.err;
}

static enum store_err hunt(struct hunt *h, struct slice address, struct way w);

static enum store_err
through_alias(struct hunt *h, struct slice address, struct way w, bool *found)
{
	struct slice *to = ARENA_ARRAY(h->ar, ACCOUNTS_TARGETS, struct slice);
	struct list l = { 0 };
	size_t n = 0;
	enum store_err e = to == NULL ? STORE_LIMIT : targets_of(h, address, to, &n);

	if (e == STORE_OK)
		e = accounts_list_find(h->a, address, h->ar, &l);
	if (e == STORE_OK) {
		w.by_list = true;
		w.detail = S("");
		if (h->out->list.address.n == 0)
			h->out->list = l;
	} else if (e == STORE_NONE) {
		e = STORE_OK;
	}
	*found = n > 0 || l.address.n > 0;
	h->any = h->any || *found;
	w.depth++;
	for (size_t i = 0; i < n && e == STORE_OK; i++)
		e = hunt(h, to[i], w);
	return e;
}

/* The account or the alias of exactly this address. */
static enum store_err
exactly(struct hunt *h, struct slice address, const struct way *w, bool *found)
{
	struct account acc;
	enum store_err e = accounts_by_address(h->a, address, h->ar, &acc);

	*found = e == STORE_OK;
	if (e == STORE_OK)
		return hit(h, &acc, w);
	return e == STORE_NONE ? through_alias(h, address, *w, found) : e;
}

/* The same for the name before the first separator, and the domain's catch-all. */
static enum store_err
otherwise(struct hunt *h, struct slice local, struct slice domain, const struct route *r, struct way w)
{
	size_t cut = r->separator.n == 1 ? slice_find_byte(local, slice_at(r->separator, 0)) : SLICE_NONE;
	struct slice shorter;
	bool found = false;
	enum store_err e = STORE_OK;

	if (cut != SLICE_NONE && cut > 0) {
		if (!joined(h->ar, slice_head(local, cut), S(""), domain, &shorter))
			return STORE_LIMIT;
		w.detail = slice_from(local, cut);
		h->path[w.depth] = shorter;
		h->met = h->met || (h->watch.n > 0 && slice_eq(h->watch, shorter));
		e = exactly(h, shorter, &w, &found);
	}
	if (e != STORE_OK || found || r->catch_all.n == 0)
		return e;
	w.by_catch_all = true;
	w.detail = S("");
	w.depth++;
	return hunt(h, r->catch_all, w);
}

static bool
on_the_way(const struct hunt *h, struct slice address, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		if (slice_eq(h->path[i], address))
			return true;
	return false;
}

static enum store_err
hunt(struct hunt *h, struct slice address, struct way w)
{
	size_t at = slice_rfind_byte(address, '@');
	struct slice local = slice_head(address, at), domain = slice_from(address, at + 1);
	struct route r;
	bool found = false;
	enum store_err e;

	if (w.depth > ACCOUNTS_DEPTH || h->steps++ == ACCOUNTS_STEPS)
		return STORE_LIMIT;
	e = route_of(h, domain, &r);
	if (e == STORE_NONE && w.depth > 0) {
		h->any = true;
		return add_target(h, 0, address, &w);
	}
	if (e == STORE_OK && r.alias_of.n > 0) {
		domain = r.alias_of;
		if (!joined(h->ar, local, S(""), domain, &address))
			return STORE_LIMIT;
		e = route_of(h, domain, &r);
	}
	if (e != STORE_OK)
		return e;
	if (w.depth == 0) {
		h->out->local_domain = true;
		h->out->domain = domain;
	}
	h->met = h->met || (h->watch.n > 0 && slice_eq(h->watch, address));
	if (on_the_way(h, address, w.depth)) {
		h->ring = true;
		return STORE_OK;
	}
	h->path[w.depth] = address;
	e = exactly(h, address, &w, &found);
	return e != STORE_OK || found ? e : otherwise(h, local, domain, &r, w);
}

/* The address as it is looked up: in lower case, with a domain. */
static enum store_err
complete(struct accounts *a, struct slice in, struct arena *ar, struct slice *address)
{
	uint8_t buf[ACCOUNTS_ADDRESS];
	struct slice domain, whole = in;
	sqlite3_stmt *q;
	bool ok;

	if (slice_find_byte(in, '@') == SLICE_NONE) {
		q = db_stmt(&a->db, Q_FIRST_DOMAIN);
		if (!db_row(&a->db, q))
			return a->db.err != STORE_OK ? a->db.err : STORE_NONE;
		ok = in.n <= LIMIT_SMTP_LOCAL && joined(ar, in, S(""), db_get_blob(q, 0), &whole);
		db_done(q);
		if (!ok)
			return STORE_NONE;
	}
	if (!accounts_address(whole, buf, address, &domain))
		return STORE_NONE;
	return arena_copy(ar, *address, address) ? STORE_OK : STORE_LIMIT;
}

enum store_err
accounts_resolve(struct accounts *a, struct slice address, struct arena *ar, struct resolved *out)
{
	struct hunt h = { .a = a, .ar = ar, .out = out };
	enum store_err e;

	*out = (struct resolved){ 0 };
	(void)db_read(&a->db);
	e = complete(a, address, ar, &address);
	if (e == STORE_OK)
		e = hunt(&h, address, (struct way){ 0 });
	if (e != STORE_OK) {
		out->n = 0;
		return e;
	}
	if (out->n > 0)
		return STORE_OK;
	return h.ring ? STORE_LIMIT : h.disabled ? STORE_REFUSED : STORE_NONE;
}

enum store_err
accounts_may_lead(struct accounts *a, struct slice address, struct slice target)
{
	own(arena_p) ar = arena_new("lead", (size_t)1 << 20);
	struct resolved out = { 0 };
	struct hunt h = { .a = a, .ar = ar, .out = &out, .watch = address };
	enum store_err e;

	if (slice_eq(address, target))
		return STORE_REFUSED;
	e = hunt(&h, target, (struct way){ .depth = 1 });
	if (h.met || h.ring)
		return STORE_REFUSED;
	return e == STORE_OK && !h.any ? STORE_NONE : e;
}

static bool
reaches(const struct resolved *r, uint64_t account)
{
	for (size_t i = 0; account != 0 && i < r->n; i++)
		if (r->to[i].account == account)
			return true;
	return false;
}

enum store_err
accounts_owns(struct accounts *a, uint64_t account, struct slice address)
{
	own(arena_p) ar = arena_new("owns", (size_t)1 << 20);
	struct slice local, whole;
	struct resolved r;
	uint64_t n = 0;
	sqlite3_stmt *q;
	enum store_err e = accounts_resolve(a, address, ar, &r);

	if (account == 0 || slice_find_byte(address, '@') == SLICE_NONE)
		return STORE_NONE;
	if (e != STORE_OK && e != STORE_NONE && e != STORE_REFUSED && e != STORE_LIMIT)
		return e;
	for (size_t i = 0; e == STORE_OK && i < r.n; i++)
		if (r.to[i].account == account && !r.to[i].by_list && !r.to[i].by_catch_all)
			return STORE_OK;
	e = complete(a, address, ar, &address);
	if (e != STORE_OK)
		return e;
	local = slice_head(address, slice_rfind_byte(address, '@'));
	if (r.domain.n > 0 && !joined(ar, local, S(""), r.domain, &address))
		return STORE_LIMIT;
	whole = slice_from(address, slice_rfind_byte(address, '@'));
	q = db_stmt(&a->db, Q_SENDER);
	db_int(q, 1, account);
	db_text(q, 2, address);
	db_text(q, 3, whole);
	e = db_number(&a->db, q, &n);
	return e == STORE_OK && n == 0 ? STORE_NONE : e;
}

/* Is the sender among those that mail for address goes to? */
static enum store_err
among(struct accounts *a, struct slice address, struct slice sender, uint64_t account)
{
	own(arena_p) ar = arena_new("among", (size_t)1 << 21);
	struct resolved *all = ARENA_NEW(ar, struct resolved), *his = ARENA_NEW(ar, struct resolved);
	enum store_err e;

	if (all == NULL || his == NULL)
		return STORE_LIMIT;
	e = accounts_resolve(a, address, ar, all);
	if (e != STORE_OK)
		return e == STORE_REFUSED || e == STORE_LIMIT ? STORE_NONE : e;
	if (account != 0) /* who is logged in is known, whatever the envelope says */
		return reaches(all, account) ? STORE_OK : STORE_NONE;
	for (size_t i = 0; i < all->n; i++)
		if (all->to[i].account == 0 && slice_ieq(all->to[i].address, sender))
			return STORE_OK;
	if (accounts_resolve(a, sender, ar, his) != STORE_OK || his->n != 1)
		return STORE_NONE;
	return reaches(all, his->to[0].account) ? STORE_OK : STORE_NONE;
}

enum store_err
accounts_may_write(struct accounts *a, const struct list *l, struct slice sender, uint64_t account)
{
	enum store_err e;

	if (sender.n == 0) /* a report of a failure has no business on a list */
		return STORE_NONE;
	if (l->writers == LIST_ANYONE)
		return STORE_OK;
	e = l->owner.n == 0 ? STORE_NONE :
	    slice_ieq(l->owner, sender) && account == 0 ? STORE_OK : among(a, l->owner, sender, account);
	if (e != STORE_NONE || l->writers == LIST_OWNERS)
		return e;
	return among(a, l->address, sender, account);
}
