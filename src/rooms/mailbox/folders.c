/* SPDX-License-Identifier: MIT
 * CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS (RFC 3501 6.3.3 to 6.3.10). Names are rows of
 * a table here, never paths; what could be mistaken for one is refused all the same (I-021). */
#include "lib/events/events.h"
#include "rooms/mailbox/session.h"

static void
cannot(struct session *s, const struct imap_command *c)
{
	session_reply(s, c->tag, "NO [CANNOT] That name is not possible.");
}

static void
changed(struct session *s, const char *what, struct slice name)
{
	EVENT(EVENT_MAILBOX_CHANGED, s->id, S(""), s->account, EF("what", slice_z(what)),
	    EF("name", name));
}

/* A trailing delimiter only says that children will follow (RFC 3501 6.3.3). */
static bool
creatable(const struct imap_mailbox *m, struct slice *name)
{
	*name = m->name;
	if (m->valid && name->n > 1 && slice_at(*name, name->n - 1) == IMAP_DELIMITER)
		*name = slice_sub(*name, 0, name->n - 1);
	return m->valid && imap_name_valid(*name) && mailbox_name_valid(*name);
}

void
cmd_create(struct session *s, const struct imap_command *c, struct arena *a)
{
	struct slice name;
	uint64_t id;
	enum store_err e;

	if (!creatable(&c->u.mailbox, &name)) {
		cannot(s, c);
		return;
	}
	e = mailbox_create(s->store, name, &id);
	if (e != STORE_OK) {
		session_store_error(s, c->tag, e, "NO Not created.");
		return;
	}
	changed(s, "create", name);
	session_done(s, c, "OK Done.");
}

void
cmd_delete(struct session *s, const struct imap_command *c, struct arena *a)
{
	const struct imap_mailbox *m = &c->u.mailbox;
	struct mailbox_folder folder;
	enum store_err e;

	if (!m->valid || !imap_name_valid(m->name)) {
		cannot(s, c);
		return;
	}
	e = mailbox_folder_find(s->store, m->name, a, &folder);
	if (e == STORE_OK)
		e = mailbox_delete(s->store, m->name);
	if (e != STORE_OK) {
		session_store_error(s, c->tag, e, "NO [NONEXISTENT] No such mailbox.");
		return;
	}
	if (folder.id == s->view.folder)
		session_unselect(s);
	hub_changed(s->hub, folder.id, s);
	changed(s, "delete", m->name);
	session_done(s, c, "OK Done.");
}

void
cmd_rename(struct session *s, const struct imap_command *c, struct arena *a)
{
	const struct imap_mailbox *from = &c->u.rename.from;
	struct mailbox_folder inbox;
	struct slice to;
	enum store_err e;

	if (!creatable(&c->u.rename.to, &to) || !from->valid || !imap_name_valid(from->name)) {
		cannot(s, c);
		return;
	}
	e = mailbox_rename(s->store, from->name, to);
	if (e != STORE_OK) {
		session_store_error(s, c->tag, e, "NO [NONEXISTENT] No such mailbox.");
		return;
	}
	/* INBOX stays and loses its messages; of others only the name changes */
	if (imap_name_is_inbox(from->name) &&
	    mailbox_folder_find(s->store, from->name, a, &inbox) == STORE_OK)
		hub_changed(s->hub, inbox.id, s);
	changed(s, "rename", to);
	session_done(s, c, "OK Done.");
}

void
cmd_subscribe(struct session *s, const struct imap_command *c, struct arena *a)
{
	struct mailbox_folder folder;
	const struct imap_mailbox *m = &c->u.mailbox;
	enum store_err e = STORE_NONE;

	if (m->valid && imap_name_valid(m->name))
		e = mailbox_folder_find(s->store, m->name, a, &folder);
	if (e == STORE_OK)
		e = mailbox_subscribe(s->store, folder.name, true);
	if (e != STORE_OK && e != STORE_EXISTS) {
		session_store_error(s, c->tag, e, "NO [NONEXISTENT] No such mailbox.");
		return;
	}
	session_done(s, c, "OK Done.");
}

void
cmd_unsubscribe(struct session *s, const struct imap_command *c, struct arena *a)
{
	const struct imap_mailbox *m = &c->u.mailbox;
	enum store_err e = m->valid ? mailbox_subscribe(s->store, m->name, false) : STORE_NONE;

	if (e != STORE_OK) {
		session_store_error(s, c->tag, e, "NO [NONEXISTENT] Not subscribed.");
		return;
	}
	session_done(s, c, "OK Done.");
}

void
cmd_status(struct session *s, const struct imap_command *c, struct arena *a)
{
	struct mailbox_folder f;
	struct imap_status_values v;

	if (!session_folder(s, c, &c->u.status.mailbox, false, a, &f))
		return;
	v = (struct imap_status_values){ .messages = f.exists, .recent = f.recent,
		.uidnext = f.uidnext, .uidvalidity = f.uidvalidity, .unseen = f.unseen,
		.size = f.bytes };
	(void)imap_put_status(&s->out, f.name, c->u.status.items, &v);
	buf_add(&s->out, S("\r\n"));
	session_done(s, c, "OK Done.");
}
