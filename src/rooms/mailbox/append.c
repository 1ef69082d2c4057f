/* SPDX-License-Identifier: MIT
 * APPEND (RFC 3501 6.3.11, UIDPLUS RFC 4315). Everything that can be refused is refused before the
 * client is told to send; what was refused later is read to its end and dropped, so that the
 * command behind it is found. Nothing is stored before the last octet has come (I-025). */
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/mailbox/message.h"
#include "rooms/mailbox/session.h"

/* The numbers of these keywords in a folder; missing ones are made. */
enum store_err
session_keywords(struct session *s, uint64_t folder, const struct imap_flags *f, bool make,
    struct mailbox_kw *out)
{
	struct mailbox_kw kw = { .bit = { 0 } };

	for (size_t i = 0; i < f->n_keywords; i++) {
		size_t number;
		enum store_err e = mailbox_keyword(s->store, folder, f->keyword[i], make, &number);

		if (e == STORE_OK)
			mailbox_kw_set(&kw, number);
		else if (make || e != STORE_NONE)
			return e;
	}
	*out = kw;
	return STORE_OK;
}

/* Reads the message's n octets: into keep, or nowhere when keep is NULL. *nul tells whether there was
 * one. */
static bool
receive(struct session *s, uint64_t n, struct buf *keep, bool *nul)
{
	*nul = false;
	while (n > 0) {
		struct slice bytes;
		int64_t deadline = (int64_t)clock_mono_ms() + SESSION_READ_MS;

		if (stream_peek(&s->io, deadline, &bytes) != STREAM_OK)
			return false;
		bytes = slice_head(bytes, n < SIZE_MAX ? (size_t)n : SIZE_MAX);
		*nul = *nul || slice_find_byte(bytes, 0) != SLICE_NONE;
		if (keep != NULL && !*nul && !buf_add(keep, bytes))
			return false;
		stream_consume(&s->io, bytes.n);
		n -= bytes.n;
	}
	return true;
}

/* What stands behind the message: nothing (MULTIAPPEND is not spoken). */
static bool
rest_is_empty(struct session *s)
{
	struct slice rest;
	int64_t deadline = (int64_t)clock_mono_ms() + SESSION_READ_MS;
	enum stream_status st = stream_line(&s->io, LIMIT_IMAP_LINE, deadline, &rest);

	if (st != STREAM_OK && st != STREAM_BAD && st != STREAM_TOO_LONG)
		s->over = true;
	return st == STREAM_OK && rest.n == 0;
}

/* The answer was NO. A client that does not wait for "+" sends the octets all the same. */
static void
skip(struct session *s, const struct imap_append *ap)
{
	bool nul;

	if (ap->sync)
		return;
	if (ap->size > LIMIT_MESSAGE) {
		session_reply(s, S(""), "BYE Too big to be skipped.");
		s->over = true;
		return;
	}
	if (!receive(s, ap->size, NULL, &nul))
		s->over = true;
	else
		(void)rest_is_empty(s);
}

static void
store(struct session *s, const struct imap_command *c, const struct mailbox_folder *folder,
    struct slice content)
{
	const struct imap_append *ap = &c->u.append;
	struct mailbox_input in = { .content = content, .fd = -1, .size = content.n,
		.date = ap->dated ? ap->date.seconds : clock_wall_us() / 1000000,
		.flags = ap->flags.system, .cache = message_cache, .cache_version = MESSAGE_CACHE };
	enum store_err e = session_keywords(s, folder->id, &ap->flags, true, &in.kw);
	uint32_t uid;

	if (e == STORE_OK)
		e = mailbox_append(s->store, folder->id, &in, &uid);
	if (e != STORE_OK) {
		session_store_error(s, c->tag, e, "NO [TRYCREATE] No such mailbox.");
		return;
	}
	hub_changed(s->hub, folder->id, s);
	EVENT(EVENT_MAILBOX_APPENDED, s->id, S(""), s->account, EF("folder", folder->name),
	    EN("uid", uid), EN("size", content.n));
	session_sync(s, true);
	buf_add(&s->out, c->tag);
	buf_fmt(&s->out, " OK [APPENDUID %u %u] Done.\r\n", folder->uidvalidity, uid);
}

void
cmd_append(struct session *s, const struct imap_command *c, struct arena *a)
{
	const struct imap_append *ap = &c->u.append;
	struct mailbox_folder folder;
	struct buf content;
	bool nul = false, whole;

	if (ap->size > LIMIT_MESSAGE) {
		session_reply(s, c->tag, "NO [TOOBIG] The message is too big.");
		skip(s, ap);
		return;
	}
	if (!session_folder(s, c, &ap->mailbox, true, a, &folder)) {
		skip(s, ap);
		return;
	}
	if (ap->sync)
		buf_add(&s->out, S("+ OK\r\n"));
	if (!session_send(s, true) ||
	    stream_flush(&s->io, session_write_deadline()) != STREAM_OK) {
		s->over = true;
		return;
	}
	buf_init(&content, LIMIT_MESSAGE);
	whole = receive(s, ap->size, &content, &nul);
	if (!whole)
		s->over = true;
	else if (!rest_is_empty(s))
		session_reply(s, c->tag, "BAD Expected the end of the command.");
	else if (nul)
		session_reply(s, c->tag, "NO [UNKNOWN-CTE] The message holds a NUL.");
	else if (content.n == 0)
		session_reply(s, c->tag, "NO [CANNOT] The message is empty.");
	else
		store(s, c, &folder, buf_slice(&content));
	buf_free(&content);
}
