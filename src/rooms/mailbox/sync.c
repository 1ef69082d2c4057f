/* SPDX-License-Identifier: MIT
 * What others changed, told at the moments the protocol allows (RFC 3501 5.2, 7.4.1): EXISTS, RECENT
 * and FETCH at the end of any command; EXPUNGE not after FETCH, STORE and SEARCH by sequence number,
 * where it is owed until the next moment. */
#include "rooms/mailbox/session.h"

void
session_put_flags(struct session *s, uint32_t uid, uint32_t flags, const struct mailbox_kw *kw)
{
	struct slice word[LIMIT_IMAP_KEYWORDS];
	size_t n = 0;

	for (size_t i = 0; i < s->view.n_names && n < LIMIT_IMAP_KEYWORDS; i++)
		if (mailbox_kw_has(kw, i))
			word[n++] = s->view.name[i];
	if (view_is_recent(&s->view, uid))
		flags |= IMAP_RECENT;
	buf_add(&s->out, S("FLAGS "));
	(void)imap_put_flags(&s->out, flags, word, n);
}

void
session_put_all_flags(struct session *s)
{
	buf_add(&s->out, S("* FLAGS "));
	(void)imap_put_flags(&s->out, MAILBOX_FLAGS, s->view.name, s->view.n_names);
	buf_add(&s->out, S("\r\n"));
}

struct gone {
	const struct view *v;
	uint64_t upto;
	struct buf uids;
};

static bool
on_gone(void *ctx, uint32_t uid, uint64_t modseq)
{
	struct gone *g = ctx;

	/* later ones are told next time: the snapshot may still hold them */
	if (modseq <= g->upto && view_seq(g->v, uid) != 0)
		(void)buf_add(&g->uids, slice_of(&uid, sizeof uid));
	return true;
}

static void
sort(uint32_t *v, size_t n)
{
	for (size_t gap = n / 2; gap > 0; gap /= 2)
		for (size_t i = gap; i < n; i++)
			for (size_t j = i; j >= gap && v[j - gap] > v[j]; j -= gap) {
				uint32_t t = v[j];

				v[j] = v[j - gap];
				v[j - gap] = t;
			}
}

/* The store does not remember that far back: what a whole snapshot lacks is gone. */
static enum store_err
compare_all(struct session *s, struct gone *g)
{
	struct mailbox_snapshot all;
	enum store_err e = mailbox_snapshot(s->store, s->view.folder, 0, 0, &all);
	size_t at = 0;

	if (e != STORE_OK)
		return e;
	buf_reset(&g->uids);
	for (uint32_t seq = 1; seq <= s->view.exists; seq++) {
		uint32_t uid = view_uid(&s->view, seq);

		while (at < all.n && all.row[at].uid < uid)
			at++;
		if (at == all.n || all.row[at].uid != uid)
			(void)buf_add(&g->uids, slice_of(&uid, sizeof uid));
	}
	mailbox_snapshot_free(&all);
	return STORE_OK;
}

static enum store_err
tell_expunged(struct session *s, uint64_t upto)
{
	struct gone g = { .v = &s->view, .upto = upto };
	enum store_err e;
	uint32_t *uid;
	size_t n;

	buf_init(&g.uids, LIMIT_VIEW);
	e = mailbox_vanished(s->store, s->view.folder, s->view.gone, on_gone, &g);
	if (e == STORE_LIMIT)
		e = compare_all(s, &g);
	uid = (void *)g.uids.p;
	n = g.uids.n / sizeof *uid;
	if (e == STORE_OK) {
		sort(uid, n);
		/* from the end, so that the numbers of the others stand still meanwhile */
		for (size_t i = n; i-- > 0 && session_send(s, false);)
			buf_fmt(&s->out, "* %u EXPUNGE\r\n", view_seq(&s->view, uid[i]));
		if (n > 0)
			view_remove(&s->view, uid, n);
		s->view.gone = upto;
		s->view.owing = false;
	}
	buf_free(&g.uids);
	return e;
}

static void
tell_new(struct session *s, const struct mailbox_snapshot *snap)
{
	struct view *v = &s->view;
	uint32_t before = v->exists, from = 0, first = 0;

	for (size_t i = 0; i < snap->n; i++) {
		if (snap->row[i].uid < v->uidnext)
			continue;
		if (v->exists == before)
			first = snap->row[i].uid;
		view_append(v, snap->row[i].uid);
	}
	v->uidnext = snap->folder.uidnext;
	if (v->exists == before)
		return;
	if (mailbox_recent(s->store, v->folder, !v->read_only, &from) == STORE_OK)
		view_recent(v, from > first ? from : first, v->uidnext - 1);
	buf_fmt(&s->out, "* %u EXISTS\r\n* %u RECENT\r\n", v->exists, v->n_recent);
}

static void
tell_flags(struct session *s, const struct mailbox_snapshot *snap, uint32_t before)
{
	bool grew = false;

	for (size_t i = 0; i < snap->n && session_send(s, false); i++) {
		const struct mailbox_row *r = &snap->row[i];
		struct mailbox_kw kw = mailbox_snapshot_kw(snap, r);
		uint32_t seq = view_seq(&s->view, r->uid);

		if (seq == 0 || r->uid >= before || r->modseq == s->view.own)
			continue;
		if (s->view.names_in == NULL || r->kw != 0)
			(void)view_names(&s->view, s->store, &grew);
		if (grew)
			session_put_all_flags(s);
		grew = false;
		/* with the UID: a client that thinks in UIDs is spared a question */
		buf_fmt(&s->out, "* %u FETCH (UID %u ", seq, r->uid);
		session_put_flags(s, r->uid, r->flags, &kw);
		buf_add(&s->out, S(")\r\n"));
	}
}

static void
deleted(struct session *s)
{
	session_reply(s, S(""), "BYE The mailbox was deleted.");
	session_unselect(s);
	s->over = true;
}

void
session_sync(struct session *s, bool expunge)
{
	struct view *v = &s->view;
	uint64_t generation = mailbox_generation(s->store);
	struct mailbox_snapshot snap;
	enum store_err e;
	uint32_t before = v->uidnext;

	if (v->folder == 0 || (generation == v->generation && !(expunge && v->owing)))
		return;
	e = mailbox_snapshot(s->store, v->folder, 0, v->modseq, &snap);
	if (e == STORE_NONE)
		deleted(s);
	if (e != STORE_OK)
		return; /* said by the next command that needs the store */
	v->generation = generation;
	if (snap.folder.highestmodseq > v->gone || v->owing) {
		v->owing = true;
		if (expunge)
			(void)tell_expunged(s, snap.folder.highestmodseq);
	}
	tell_new(s, &snap);
	tell_flags(s, &snap, before);
	v->modseq = snap.folder.highestmodseq;
	view_merge(v, &snap);
	mailbox_snapshot_free(&snap);
}
