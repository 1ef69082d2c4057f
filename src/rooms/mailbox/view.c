/* SPDX-License-Identifier: MIT */
#include "rooms/mailbox/view.h"

struct run {
	uint32_t uid, seq; /* the run's first; it ends where the next begins */
};

/* Buffers come from malloc, so they are aligned for what is kept in them. */
static struct run *runs(const struct view *v) { return (void *)v->runs.p; }
static size_t n_runs(const struct view *v) { return v->runs.n / sizeof(struct run); }
static struct imap_range *recents(const struct view *v) { return (void *)v->recent.p; }
static size_t n_recents(const struct view *v) { return v->recent.n / sizeof(struct imap_range); }
static struct mailbox_row *rows(const struct view *v) { return (void *)v->rows.p; }
static size_t n_rows(const struct view *v) { return v->rows.n / sizeof(struct mailbox_row); }

void
view_init(struct view *v)
{
	*v = (struct view){ .folder = 0 };
	buf_init(&v->runs, LIMIT_VIEW);
	buf_init(&v->recent, LIMIT_VIEW);
	buf_init(&v->rows, LIMIT_VIEW);
	buf_init(&v->sets, LIMIT_VIEW);
}

void
view_rest(struct view *v)
{
	buf_free(&v->rows);
	buf_free(&v->sets);
	arena_free(&v->names_in);
	v->name = NULL;
	v->n_names = 0;
	v->loaded = false;
}

void
view_free(struct view *v)
{
	view_rest(v);
	buf_free(&v->runs);
	buf_free(&v->recent);
	view_init(v);
}

void
view_append(struct view *v, uint32_t uid)
{
	size_t n = n_runs(v);
	struct run r = { uid, ++v->exists };

	if (n > 0) {
		struct run last = runs(v)[n - 1];

		if (uid - last.uid == r.seq - last.seq)
			return; /* the run goes on */
	}
	(void)buf_add(&v->runs, slice_of(&r, sizeof r));
}

/* Index of the last run that begins at or below the key; SLICE_NONE: none does. */
static size_t
find(const struct view *v, uint32_t key, bool by_uid)
{
	size_t lo = 0, hi = n_runs(v);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		struct run r = runs(v)[mid];

		if ((by_uid ? r.uid : r.seq) <= key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == 0 ? SLICE_NONE : lo - 1;
}

static uint32_t
length(const struct view *v, size_t i)
{
	uint32_t end = i + 1 < n_runs(v) ? runs(v)[i + 1].seq : v->exists + 1;

	return end - runs(v)[i].seq;
}

uint32_t
view_uid(const struct view *v, uint32_t seq)
{
	size_t i = find(v, seq, false);

	PN_ASSERT(seq >= 1 && seq <= v->exists && i != SLICE_NONE);
	return runs(v)[i].uid + (seq - runs(v)[i].seq);
}

uint32_t
view_seq(const struct view *v, uint32_t uid)
{
	size_t i = find(v, uid, true);

	if (i == SLICE_NONE || uid - runs(v)[i].uid >= length(v, i))
		return 0;
	return runs(v)[i].seq + (uid - runs(v)[i].uid);
}

void
view_remove(struct view *v, const uint32_t *uid, size_t n)
{
	struct buf old = v->runs;
	uint32_t exists = v->exists;
	size_t at = 0, n_old = old.n / sizeof(struct run);
	const struct run *r = (const void *)old.p;

	buf_init(&v->runs, LIMIT_VIEW);
	v->exists = 0;
	for (size_t i = 0; i < n_old; i++) {
		uint32_t end = (i + 1 < n_old ? r[i + 1].seq : exists + 1) - r[i].seq + r[i].uid;

		for (uint32_t u = r[i].uid; u != end; u++) {
			if (at < n && uid[at] == u) {
				v->n_recent -= view_is_recent(v, u) ? 1 : 0;
				at++;
			} else {
				view_append(v, u);
			}
		}
	}
	PN_ASSERT(at == n);
	buf_free(&old);
}

void
view_recent(struct view *v, uint32_t from, uint32_t to)
{
	struct imap_range r = { from, to };
	size_t n = n_recents(v);

	if (from > to)
		return;
	for (size_t i = find(v, to, true); i != SLICE_NONE; i = i == 0 ? SLICE_NONE : i - 1) {
		uint32_t lo = runs(v)[i].uid, hi = lo + length(v, i) - 1;

		if (hi < from)
			break;
		v->n_recent += (hi < to ? hi : to) - (lo > from ? lo : from) + 1;
	}
	if (n > 0 && recents(v)[n - 1].hi + 1 == from)
		recents(v)[n - 1].hi = to;
	else
		(void)buf_add(&v->recent, slice_of(&r, sizeof r));
}

bool
view_is_recent(const struct view *v, uint32_t uid)
{
	for (size_t i = n_recents(v); i-- > 0;)
		if (uid >= recents(v)[i].lo && uid <= recents(v)[i].hi)
			return true;
	return false;
}

void
view_take(struct view *v, const struct mailbox_snapshot *s)
{
	for (size_t i = 0; i < s->n; i++)
		view_append(v, s->row[i].uid);
	v->uidvalidity = s->folder.uidvalidity;
	v->uidnext = s->folder.uidnext;
	v->modseq = v->gone = s->folder.highestmodseq;
	v->loaded = true;
	view_merge(v, s);
}

/* ---- lists of UIDs ---- */

static void
list_uids(const struct view *v, struct imap_range want, struct buf *out)
{
	size_t i = find(v, want.lo, true);

	for (i = i == SLICE_NONE ? 0 : i; i < n_runs(v) && runs(v)[i].uid <= want.hi; i++) {
		uint32_t first = runs(v)[i].uid, last = first + length(v, i) - 1;

		first = first < want.lo ? want.lo : first;
		last = last > want.hi ? want.hi : last;
		for (uint32_t u = first; u <= last && u >= first; u++)
			(void)buf_add(out, slice_of(&u, sizeof u));
	}
}

bool
view_valid(const struct view *v, const struct imap_set *set)
{
	return set->n == 0 || set->r[set->n - 1].hi <= v->exists;
}

bool
view_list(const struct view *v, const struct imap_set *set, bool uid, struct arena *a,
    struct buf *out)
{
	struct imap_set r;
	uint32_t largest = v->exists == 0 || !uid ? v->exists : view_uid(v, v->exists);

	if (!uid && !view_valid(v, set))
		return false;
	if (!imap_set_resolve(set, largest, a, &r))
		return false;
	for (size_t i = 0; i < r.n; i++) {
		if (uid) {
			list_uids(v, r.r[i], out);
			continue;
		}
		for (uint32_t q = r.r[i].lo; q <= r.r[i].hi && q <= v->exists; q++) {
			uint32_t u = view_uid(v, q);

			(void)buf_add(out, slice_of(&u, sizeof u));
		}
	}
	return !out->bad;
}

/* ---- rows ---- */

/* Index of the first row with at least this UID. */
static size_t
lower(const struct view *v, uint32_t uid)
{
	size_t lo = 0, hi = n_rows(v);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rows(v)[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct mailbox_row *
view_row(const struct view *v, uint32_t uid)
{
	size_t i = lower(v, uid);

	return i < n_rows(v) && rows(v)[i].uid == uid ? &rows(v)[i] : NULL;
}

struct mailbox_kw
view_kw(const struct view *v, const struct mailbox_row *r)
{
	const struct mailbox_kw *set = (const void *)v->sets.p;

	return r->kw == 0 ? (struct mailbox_kw){ .bit = { 0 } } : set[r->kw - 1];
}

/* Number + 1 of this set among the kept ones. */
static uint32_t
keep_set(struct view *v, const struct mailbox_kw *k)
{
	size_t n = v->sets.n / sizeof *k;
	const struct mailbox_kw *set = (const void *)v->sets.p;

	if ((k->bit[0] | k->bit[1] | k->bit[2] | k->bit[3]) == 0)
		return 0;
	for (size_t i = n < 64 ? n : 64; i-- > 0;)
		if (memcmp(&set[n - 1 - i], k, sizeof *k) == 0)
			return (uint32_t)(n - i);
	(void)buf_add(&v->sets, slice_of(k, sizeof *k));
	return (uint32_t)(n + 1);
}

void
view_merge(struct view *v, const struct mailbox_snapshot *s)
{
	if (!v->loaded)
		return;
	for (size_t i = 0; i < s->n; i++) {
		struct mailbox_row r = s->row[i], *old = view_row(v, r.uid);

		if (r.kw != 0)
			r.kw = keep_set(v, &s->set[r.kw - 1]);
		if (old != NULL)
			*old = r;
		else if (n_rows(v) == 0 || rows(v)[n_rows(v) - 1].uid < r.uid)
			(void)buf_add(&v->rows, slice_of(&r, sizeof r));
	}
}

void
view_reflag(struct view *v, const struct mailbox_flagged *f)
{
	struct mailbox_row *r = v->loaded ? view_row(v, f->uid) : NULL;

	if (r == NULL)
		return;
	r->flags = f->flags;
	r->modseq = f->modseq;
	r->kw = keep_set(v, &f->kw);
}

struct naming {
	struct view *v;
	struct arena *a;
	struct slice name[256];
	size_t n;
};

static bool
on_name(void *ctx, size_t number, struct slice name)
{
	struct naming *k = ctx;

	if (number >= 256 || !arena_copy(k->a, name, &k->name[number]))
		return false;
	if (number >= k->n)
		k->n = number + 1;
	return true;
}

enum store_err
view_names(struct view *v, struct mailbox *m, bool *grew)
{
	struct arena *a = arena_new("keywords", LIMIT_ARENA_SESSION);
	struct naming *k = ARENA_NEW(a, struct naming);
	enum store_err e;

	PN_ASSERT(k != NULL);
	*k = (struct naming){ .v = v, .a = a };
	e = mailbox_keywords(m, v->folder, on_name, k);
	if (e != STORE_OK) {
		arena_free(&a);
		return e;
	}
	*grew = k->n > v->n_names;
	arena_free(&v->names_in);
	v->names_in = a;
	v->name = k->name;
	v->n_names = k->n;
	return STORE_OK;
}

enum store_err
view_load(struct view *v, struct mailbox *m)
{
	struct mailbox_snapshot s;
	bool grew;
	enum store_err e = v->names_in == NULL ? view_names(v, m, &grew) : STORE_OK;

	if (e != STORE_OK || v->loaded)
		return e;
	e = mailbox_snapshot(m, v->folder, 0, 0, &s);
	if (e != STORE_OK)
		return e;
	v->loaded = true;
	view_merge(v, &s);
	mailbox_snapshot_free(&s);
	return STORE_OK;
}
