/* SPDX-License-Identifier: MIT
 * SELECT and EXAMINE (RFC 3501 6.3.1, 6.3.2), CLOSE (6.4.2), UNSELECT (RFC 3691). */
#include "lib/base/own.h"
#include "rooms/mailbox/session.h"

static uint32_t
first_unseen(const struct mailbox_snapshot *snap)
{
	for (size_t i = 0; i < snap->n; i++)
		if ((snap->row[i].flags & MAILBOX_SEEN) == 0)
			return (uint32_t)i + 1;
	return 0;
}

static void
describe(struct session *s, uint32_t unseen)
{
	const struct view *v = &s->view;

	session_put_all_flags(s);
	buf_add(&s->out, S("* OK [PERMANENTFLAGS "));
	if (v->read_only) {
		buf_add(&s->out, S("()"));
	} else {
		(void)imap_put_flags(&s->out, MAILBOX_FLAGS, v->name, v->n_names);
		buf_cut(&s->out, s->out.n - 1);
		buf_add(&s->out, S(" \\*)"));
	}
	buf_add(&s->out, S("] Limited.\r\n"));
	buf_fmt(&s->out, "* %u EXISTS\r\n* %u RECENT\r\n", v->exists, v->n_recent);
	if (unseen != 0)
		buf_fmt(&s->out, "* OK [UNSEEN %u] First unseen.\r\n", unseen);
	buf_fmt(&s->out, "* OK [UIDVALIDITY %u] UIDs valid.\r\n", v->uidvalidity);
	buf_fmt(&s->out, "* OK [UIDNEXT %u] Predicted next UID.\r\n", v->uidnext);
}

void
cmd_select(struct session *s, const struct imap_command *c, struct arena *a)
{
	struct mailbox_folder folder;
	struct mailbox_snapshot snap;
	uint32_t recent = 0, unseen;
	uint64_t generation = mailbox_generation(s->store);
	bool grew;
	enum store_err e;

	/* RFC 3501 6.3.1: a SELECT that fails leaves nothing selected */
	session_unselect(s);
	if (!session_folder(s, c, &c->u.mailbox, false, a, &folder))
		return;
	e = mailbox_snapshot(s->store, folder.id, 0, 0, &snap);
	if (e != STORE_OK) {
		session_store_error(s, c->tag, e, "NO [NONEXISTENT] No such mailbox.");
		return;
	}
	s->view.folder = folder.id;
	s->view.read_only = c->verb == IMAP_EXAMINE;
	s->view.generation = generation;
	view_take(&s->view, &snap);
	unseen = first_unseen(&snap);
	mailbox_snapshot_free(&snap);
	e = mailbox_recent(s->store, folder.id, !s->view.read_only, &recent);
	if (e == STORE_OK)
		e = view_names(&s->view, s->store, &grew);
	if (e != STORE_OK) {
		session_unselect(s);
		session_store_error(s, c->tag, e, "NO [NONEXISTENT] No such mailbox.");
		return;
	}
	view_recent(&s->view, recent, s->view.uidnext - 1);
	describe(s, unseen);
	session_done(s, c, s->view.read_only ? "OK [READ-ONLY] Done." : "OK [READ-WRITE] Done.");
}

/* Expunges silently when the mailbox may be written. */
void
cmd_close(struct session *s, const struct imap_command *c, struct arena *a)
{
	enum store_err e = STORE_OK;
	uint64_t folder = s->view.folder;

	if (!s->view.read_only)
		e = mailbox_expunge(s->store, folder, NULL, 0, NULL, NULL, NULL);
	if (e != STORE_OK && e != STORE_NONE) {
		session_store_error(s, c->tag, e, "");
		return;
	}
	hub_changed(s->hub, folder, s);
	session_unselect(s);
	session_done(s, c, "OK Done.");
}

void
cmd_unselect(struct session *s, const struct imap_command *c, struct arena *a)
{
	session_unselect(s);
	session_done(s, c, "OK Done.");
}
