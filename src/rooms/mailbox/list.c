/* SPDX-License-Identifier: MIT
 * LIST and LSUB (RFC 3501 6.3.8, 6.3.9; CHILDREN RFC 3348, SPECIAL-USE RFC 6154, the selection and
 * return options of RFC 5258 and 5819). */
#include "rooms/mailbox/session.h"

struct entry {
	struct slice name;
	struct mailbox_folder f;
	bool exists, subscribed;
};

struct names {
	struct arena *a;
	struct buf entries; /* struct entry, sorted by name bytewise */
	bool full;
};

static struct entry *entries(const struct names *n) { return (void *)n->entries.p; }
static size_t count(const struct names *n) { return n->entries.n / sizeof(struct entry); }

static bool
on_folder(void *ctx, const struct mailbox_folder *f)
{
	struct names *n = ctx;
	struct entry e = { .f = *f, .exists = true };

	if (!arena_copy(n->a, f->name, &e.name) ||
	    !buf_add(&n->entries, slice_of(&e, sizeof e)))
		n->full = true;
	return !n->full;
}

/* Index of the first name that is not before s. */
static size_t
lower(const struct names *n, struct slice s)
{
	size_t lo = 0, hi = count(n);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (slice_cmp(entries(n)[mid].name, s) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct entry *
find(const struct names *n, struct slice name)
{
	size_t i = lower(n, name);

	return i < count(n) && slice_eq(entries(n)[i].name, name) ? &entries(n)[i] : NULL;
}

static void
insert(struct names *n, const struct entry *e)
{
	size_t i = lower(n, e->name);

	if (!buf_add(&n->entries, slice_of(e, sizeof *e))) {
		n->full = true;
		return;
	}
	for (size_t k = count(n) - 1; k > i; k--)
		entries(n)[k] = entries(n)[k - 1];
	entries(n)[i] = *e;
}

static bool
on_subscription(void *ctx, struct slice name)
{
	struct names *n = ctx;
	struct entry e = { .subscribed = true }, *old = find(n, name);

	if (old != NULL)
		old->subscribed = true;
	else if (arena_copy(n->a, name, &e.name))
		insert(n, &e);
	else
		n->full = true;
	return !n->full;
}

/* The store gives INBOX first; here it stands where its name sorts. */
static void
sort_inbox(struct names *n)
{
	struct entry inbox;
	size_t i = 0;

	if (count(n) == 0)
		return;
	inbox = entries(n)[0];
	for (; i + 1 < count(n) && slice_cmp(entries(n)[i + 1].name, inbox.name) < 0; i++)
		entries(n)[i] = entries(n)[i + 1];
	entries(n)[i] = inbox;
}

static enum store_err
gather(struct session *s, struct arena *a, struct names *n)
{
	enum store_err e;

	*n = (struct names){ .a = a };
	buf_init(&n->entries, LIMIT_VIEW);
	e = mailbox_folders(s->store, on_folder, n);
	sort_inbox(n);
	if (e == STORE_OK)
		e = mailbox_subscriptions(s->store, on_subscription, n);
	return e == STORE_OK && n->full ? STORE_LIMIT : e;
}

static bool
has_children(struct session *s, const struct names *n, struct slice name)
{
	struct buf prefix;
	size_t i;
	bool has = false;

	buf_init(&prefix, LIMIT_IMAP_MAILBOX + 2);
	buf_add(&prefix, name);
	buf_byte(&prefix, IMAP_DELIMITER);
	for (i = lower(n, buf_slice(&prefix)); i < count(n) && !has; i++) {
		if (!slice_starts(entries(n)[i].name, buf_slice(&prefix)))
			break;
		has = entries(n)[i].exists;
	}
	buf_free(&prefix);
	return has;
}

static uint32_t
special(enum mailbox_use use)
{
	switch (use) {
	case MAILBOX_DRAFTS: return IMAP_ATTR_DRAFTS;
	case MAILBOX_SENT: return IMAP_ATTR_SENT;
	case MAILBOX_JUNK: return IMAP_ATTR_JUNK;
	case MAILBOX_TRASH: return IMAP_ATTR_TRASH;
	case MAILBOX_ARCHIVE: return IMAP_ATTR_ARCHIVE;
	case MAILBOX_PLAIN: case MAILBOX_INBOX: break;
	}
	return 0;
}

struct matcher {
	struct imap_pattern *p;
	size_t n;
};

static bool
compile(const struct imap_list *l, struct arena *a, struct matcher *m)
{
	m->p = ARENA_ARRAY(a, l->n_patterns, struct imap_pattern);
	m->n = 0;
	if (m->p == NULL)
		return false;
	for (size_t i = 0; i < l->n_patterns; i++) {
		/* what is no name matches no name */
		if (!l->pattern[i].valid || !l->ref.valid)
			continue;
		if (!imap_pattern_make(l->ref.name, l->pattern[i].name, a, &m->p[m->n]))
			return false;
		m->n++;
	}
	return true;
}

static bool
matches(const struct matcher *m, struct slice name)
{
	for (size_t i = 0; i < m->n; i++)
		if (imap_match(&m->p[i], name))
			return true;
	return false;
}

static uint32_t
attributes(struct session *s, const struct names *n, const struct entry *e, uint32_t opts)
{
	uint32_t at = has_children(s, n, e->name) ? IMAP_ATTR_HASCHILDREN : IMAP_ATTR_HASNOCHILDREN;

	if (!e->exists)
		return IMAP_ATTR_NONEXISTENT | IMAP_ATTR_SUBSCRIBED;
	if (e->f.noselect)
		at |= IMAP_ATTR_NOSELECT;
	if (e->subscribed && (opts & (IMAP_LIST_SUBSCRIBED | IMAP_LIST_RET_SUBSCRIBED)) != 0)
		at |= IMAP_ATTR_SUBSCRIBED;
	return at | special(e->f.use);
}

static void
put_status(struct session *s, const struct entry *e, uint32_t items)
{
	struct imap_status_values v = { .messages = e->f.exists, .recent = e->f.recent,
		.uidnext = e->f.uidnext, .uidvalidity = e->f.uidvalidity, .unseen = e->f.unseen,
		.size = e->f.bytes };

	if (!e->exists || e->f.noselect || items == 0)
		return;
	(void)imap_put_status(&s->out, e->name, items, &v);
	buf_add(&s->out, S("\r\n"));
}

static bool
selected(const struct entry *e, uint32_t opts)
{
	if ((opts & IMAP_LIST_SUBSCRIBED) != 0)
		return e->subscribed;
	if ((opts & IMAP_LIST_SPECIAL) != 0 && special(e->f.use) == 0)
		return false;
	return e->exists;
}

void
cmd_list(struct session *s, const struct imap_command *c, struct arena *a)
{
	const struct imap_list *l = &c->u.list;
	struct names n;
	struct matcher m;
	enum store_err e;

	/* RFC 3501 6.3.8: an empty pattern asks for the delimiter */
	if (l->n_patterns == 1 && l->pattern[0].name.n == 0 &&
	    (l->opts & IMAP_LIST_EXTENDED) == 0) {
		(void)imap_put_list(&s->out, S("LIST"), IMAP_ATTR_NOSELECT, S(""));
		buf_add(&s->out, S("\r\n"));
		session_done(s, c, "OK Done.");
		return;
	}
	e = gather(s, a, &n);
	if (e == STORE_OK && !compile(l, a, &m))
		e = STORE_LIMIT;
	for (size_t i = 0; e == STORE_OK && i < count(&n) && session_send(s, false); i++) {
		const struct entry *x = &entries(&n)[i];

		if (!selected(x, l->opts) || !matches(&m, x->name))
			continue;
		(void)imap_put_list(&s->out, S("LIST"), attributes(s, &n, x, l->opts), x->name);
		buf_add(&s->out, S("\r\n"));
		put_status(s, x, l->status);
	}
	buf_free(&n.entries);
	if (e != STORE_OK)
		session_store_error(s, c->tag, e, "");
	else
		session_done(s, c, "OK Done.");
}

/* With "%", a level above subscribed names is shown too, as \Noselect (RFC 3501 6.3.9). */
static void
put_parents(struct session *s, const struct matcher *m, const struct names *n,
    const struct entry *e, struct slice *last)
{
	for (size_t i = 0; i < e->name.n; i++) {
		struct slice parent = slice_head(e->name, i);
		const struct entry *own;

		if (i == 0 || slice_at(e->name, i) != IMAP_DELIMITER || !matches(m, parent))
			continue;
		own = find(n, parent);
		if ((own != NULL && own->subscribed) || slice_eq(parent, *last))
			continue;
		*last = parent;
		(void)imap_put_list(&s->out, S("LSUB"), IMAP_ATTR_NOSELECT, parent);
		buf_add(&s->out, S("\r\n"));
	}
}

void
cmd_lsub(struct session *s, const struct imap_command *c, struct arena *a)
{
	struct names n;
	struct matcher m;
	struct slice last = S("");
	enum store_err e = gather(s, a, &n);

	if (e == STORE_OK && !compile(&c->u.list, a, &m))
		e = STORE_LIMIT;
	for (size_t i = 0; e == STORE_OK && i < count(&n) && session_send(s, false); i++) {
		const struct entry *x = &entries(&n)[i];

		if (!x->subscribed)
			continue;
		if (matches(&m, x->name)) {
			(void)imap_put_list(&s->out, S("LSUB"),
			    x->exists && x->f.noselect ? IMAP_ATTR_NOSELECT : 0, x->name);
			buf_add(&s->out, S("\r\n"));
		} else {
			put_parents(s, &m, &n, x, &last);
		}
	}
	buf_free(&n.entries);
	if (e != STORE_OK)
		session_store_error(s, c->tag, e, "");
	else
		session_done(s, c, "OK Done.");
}
