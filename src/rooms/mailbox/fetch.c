/* SPDX-License-Identifier: MIT
 * FETCH (RFC 3501 6.4.5, 7.4.2). A message that was expunged or whose content is damaged costs its
 * own answer only, and the tagged reply says so. */
#include "lib/base/own.h"
#include "lib/make/date.h"
#include "lib/parse/mime/section.h"
#include "rooms/mailbox/message.h"
#include "rooms/mailbox/session.h"

#define PIECE ((size_t)65536) /* a message leaves in pieces of this size */

struct job {
	struct session *s;
	const struct imap_fetch *f;
	uint32_t items;
	struct buf seen; /* UIDs (rising) that this FETCH marks \Seen */
	size_t seen_at;
	bool missing, damaged;
	const char *space; /* between items */
};

static bool
reads_body(const struct imap_fetch *f)
{
	for (size_t i = 0; i < f->n_sections; i++)
		if (!f->section[i].peek)
			return true;
	return false;
}

static void
on_seen(void *ctx, const struct mailbox_flagged *f)
{
	struct job *j = ctx;

	if (f->modseq > j->s->view.own)
		j->s->view.own = f->modseq;
	view_reflag(&j->s->view, f);
}

/* Reading a body sets \Seen: one change for all messages, before the first answer. */
static enum store_err
mark_seen(struct job *j, const uint32_t *uid, size_t n)
{
	struct session *s = j->s;
	struct mailbox_flagging f = { .op = MAILBOX_ADD, .flags = MAILBOX_SEEN,
		.unchanged_since = UINT64_MAX };
	enum store_err e;

	for (size_t i = 0; i < n; i++) {
		const struct mailbox_row *r = view_row(&s->view, uid[i]);

		if (r != NULL && (r->flags & MAILBOX_SEEN) == 0)
			(void)buf_add(&j->seen, slice_of(&uid[i], sizeof uid[i]));
	}
	if (j->seen.n == 0)
		return STORE_OK;
	session_sync(s, false);
	if (s->over)
		return STORE_NONE;
	e = mailbox_flag(s->store, s->view.folder, (const void *)j->seen.p,
	    j->seen.n / sizeof *uid, &f, on_seen, j);
	if (e == STORE_OK)
		hub_changed(s->hub, s->view.folder, s);
	return e;
}

static bool
newly_seen(struct job *j, uint32_t uid)
{
	const uint32_t *v = (const void *)j->seen.p;
	size_t n = j->seen.n / sizeof *v;

	while (j->seen_at < n && v[j->seen_at] < uid)
		j->seen_at++;
	return j->seen_at < n && v[j->seen_at] == uid;
}

static void
item(struct job *j, struct slice name)
{
	buf_add(&j->s->out, slice_z(j->space));
	buf_add(&j->s->out, name);
	j->space = " ";
}

static void
put_plain(struct job *j, const struct mailbox_row *r)
{
	struct session *s = j->s;
	struct mailbox_kw kw = view_kw(&s->view, r);
	uint32_t items = j->items | (newly_seen(j, r->uid) ? IMAP_ITEM_FLAGS : 0);

	if ((items & IMAP_ITEM_UID) != 0) {
		item(j, S("UID "));
		buf_u64(&s->out, r->uid);
	}
	if ((items & IMAP_ITEM_FLAGS) != 0) {
		item(j, S(""));
		session_put_flags(s, r->uid, r->flags, &kw);
	}
	if ((items & IMAP_ITEM_INTERNALDATE) != 0) {
		item(j, S("INTERNALDATE \""));
		(void)date_format_imap(&s->out, r->date, 0);
		buf_byte(&s->out, '"');
	}
	if ((items & IMAP_ITEM_SIZE) != 0) {
		item(j, S("RFC822.SIZE "));
		buf_u64(&s->out, r->size);
	}
}

static void
put_section_name(struct buf *b, const struct imap_section *sec)
{
	static const char *const form[] = { "BODY[", "RFC822", "RFC822.HEADER", "RFC822.TEXT" };
	static const char *const what[] = { "", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT",
		"TEXT", "MIME" };

	buf_add(b, slice_z(form[sec->form]));
	if (sec->form != IMAP_FORM_BODY) {
		buf_byte(b, ' ');
		return;
	}
	for (size_t i = 0; i < sec->n_part; i++)
		buf_fmt(b, i == 0 ? "%u" : ".%u", sec->part[i]);
	if (sec->n_part > 0 && sec->what != IMAP_SECTION_ALL)
		buf_byte(b, '.');
	buf_add(b, slice_z(what[sec->what]));
	for (size_t i = 0; i < sec->n_fields; i++) {
		buf_add(b, i == 0 ? S(" (") : S(" "));
		(void)imap_put_astring(b, sec->field[i]);
	}
	if (sec->n_fields > 0)
		buf_byte(b, ')');
	buf_byte(b, ']');
	if (sec->partial)
		buf_fmt(b, "<%llu>", (unsigned long long)sec->from);
	buf_byte(b, ' ');
}

static struct slice
cut(struct slice bytes, const struct imap_section *sec)
{
	return sec->partial ? mime_partial(bytes, sec->from, sec->count) : bytes;
}

/* Octets of any number, in pieces. */
static void
put_octets(struct session *s, struct slice bytes)
{
	while (bytes.n > 0 && session_send(s, bytes.n > PIECE)) {
		struct slice piece = slice_head(bytes, PIECE);

		(void)imap_put_octets(&s->out, piece);
		bytes = slice_from(bytes, piece.n);
	}
}

static void
put_literal(struct session *s, struct slice bytes)
{
	buf_fmt(&s->out, "{%zu}\r\n", bytes.n);
	put_octets(s, bytes);
}

static void
put_structure(struct job *j, struct message *m)
{
	static const struct {
		uint32_t item;
		struct slice name;
	} all[] = {
		{ IMAP_ITEM_ENVELOPE, S_INIT("ENVELOPE ") },
		{ IMAP_ITEM_BODY, S_INIT("BODY ") },
		{ IMAP_ITEM_BODYSTRUCTURE, S_INIT("BODYSTRUCTURE ") },
	};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if ((j->items & all[i].item) == 0)
			continue;
		item(j, all[i].name);
		put_octets(j->s, message_answer(m, all[i].item));
	}
}

static bool
put_sections(struct job *j, struct message *m)
{
	for (size_t i = 0; i < j->f->n_sections; i++) {
		const struct imap_section *sec = &j->f->section[i];
		struct slice bytes;
		bool nil;

		(void)session_send(j->s, false);
		if (!message_section(m, sec, &bytes, &nil))
			return false;
		item(j, S(""));
		put_section_name(&j->s->out, sec);
		if (nil)
			buf_add(&j->s->out, S("NIL"));
		else
			put_literal(j->s, cut(bytes, sec));
	}
	return true;
}

/* Reads what the answer needs before its first octet is written, so that a message that cannot be
 * read costs no half answer. */
static bool
ready(struct job *j, struct message *m)
{
	struct slice bytes;
	bool header = false, all = false;

	for (size_t i = 0; i < j->f->n_sections; i++) {
		const struct imap_section *sec = &j->f->section[i];
		bool head = sec->n_part == 0 && sec->what != IMAP_SECTION_ALL &&
		    sec->what != IMAP_SECTION_TEXT;

		header = header || head;
		all = all || !head;
	}
	if (all && !message_all(m, &bytes))
		return false;
	return message_structure(m, j->items) && (!header || message_header(m, &bytes));
}

static void
fetch_one(struct job *j, uint32_t uid)
{
	struct session *s = j->s;
	const struct mailbox_row *r = view_row(&s->view, uid);
	struct message m;

	if (r == NULL) {
		j->missing = true;
		return;
	}
	message_begin(&m, s->store, s->view.folder, uid, r->size);
	if (ready(j, &m)) {
		buf_fmt(&s->out, "* %u FETCH (", view_seq(&s->view, uid));
		j->space = "";
		put_plain(j, r);
		put_structure(j, &m);
		if (!put_sections(j, &m))
			s->lost = true; /* in the middle of an answer: there is no way to take it back */
		buf_add(&s->out, S(")\r\n"));
	} else if (m.err == STORE_NONE) {
		j->missing = true;
	} else {
		j->damaged = true;
	}
	message_end(&m);
}

void
cmd_fetch(struct session *s, const struct imap_command *c, struct arena *a)
{
	struct job j = { .s = s, .f = &c->u.fetch, .items = c->u.fetch.items |
		    (c->uid ? IMAP_ITEM_UID : 0) };
	struct buf uids;
	const uint32_t *uid;
	size_t n;
	enum store_err e;

	if (!session_uids(s, c, &c->u.fetch.set, a, &uids))
		return;
	uid = (const void *)uids.p;
	n = uids.n / sizeof *uid;
	buf_init(&j.seen, LIMIT_VIEW);
	session_sync(s, false); /* so that rows kept from before are those of now */
	e = view_load(&s->view, s->store);
	if (e == STORE_OK && reads_body(&c->u.fetch) && !s->view.read_only)
		e = mark_seen(&j, uid, n);
	for (size_t i = 0; e == STORE_OK && i < n && session_send(s, false); i++)
		fetch_one(&j, uid[i]);
	buf_free(&j.seen);
	buf_free(&uids);
	if (e != STORE_OK)
		session_store_error(s, c->tag, e, "NO [NONEXISTENT] The mailbox is gone.");
	else if (j.damaged)
		session_done(s, c, "NO [CONTACTADMIN] A message could not be read.");
	else if (j.missing)
		session_done(s, c, "NO [EXPUNGEISSUED] Some messages are gone.");
	else
		session_done(s, c, "OK Done.");
}
