/* SPDX-License-Identifier: MIT
 * STORE (RFC 3501 6.4.6). What the client did itself is answered here, unless it asked for silence;
 * what others did meanwhile comes with the sync at the end. */
#include "rooms/mailbox/session.h"

struct telling {
	struct session *s;
	bool silent, uid;
};

static void
on_flagged(void *ctx, const struct mailbox_flagged *f)
{
	struct telling *t = ctx;
	struct session *s = t->s;
	uint32_t seq = view_seq(&s->view, f->uid);

	if (f->modseq > s->view.own)
		s->view.own = f->modseq;
	view_reflag(&s->view, f);
	if (t->silent || seq == 0)
		return;
	buf_fmt(&s->out, "* %u FETCH (", seq);
	if (t->uid)
		buf_fmt(&s->out, "UID %u ", f->uid);
	session_put_flags(s, f->uid, f->flags, &f->kw);
	buf_add(&s->out, S(")\r\n"));
}

static enum mailbox_flag_op
op_of(enum imap_store_op op)
{
	return op == IMAP_STORE_SET ? MAILBOX_REPLACE :
	    op == IMAP_STORE_ADD    ? MAILBOX_ADD :
				      MAILBOX_REMOVE;
}

void
cmd_store(struct session *s, const struct imap_command *c, struct arena *a)
{
	const struct imap_store_args *st = &c->u.store;
	struct mailbox_flagging f = { .op = op_of(st->op), .flags = st->flags.system,
		.unchanged_since = UINT64_MAX };
	struct telling t = { s, st->silent, c->uid };
	struct buf uids;
	bool grew = false;
	enum store_err e;

	if (!session_uids(s, c, &st->set, a, &uids))
		return;
	/* what others changed before is not taken for our own change */
	session_sync(s, false);
	e = session_keywords(s, s->view.folder, &st->flags, st->op != IMAP_STORE_REMOVE, &f.kw);
	if (e == STORE_OK)
		e = view_names(&s->view, s->store, &grew);
	if (grew)
		session_put_all_flags(s);
	if (e == STORE_OK && uids.n > 0)
		e = mailbox_flag(s->store, s->view.folder, (void *)uids.p,
		    uids.n / sizeof(uint32_t), &f, on_flagged, &t);
	buf_free(&uids);
	if (e != STORE_OK) {
		session_store_error(s, c->tag, e, "NO [NONEXISTENT] The mailbox is gone.");
		return;
	}
	hub_changed(s->hub, s->view.folder, s);
	session_done(s, c, "OK Done.");
}
