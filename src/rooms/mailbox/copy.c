/* SPDX-License-Identifier: MIT
 * COPY (RFC 3501 6.4.7), MOVE (RFC 6851), EXPUNGE (6.4.3) and UID EXPUNGE (RFC 4315). */
#include "lib/events/events.h"
#include "rooms/mailbox/session.h"

/* "COPYUID validity from to" of those that were there. False when none was. */
static bool
put_copyuid(struct buf *b, uint32_t validity, const uint32_t *from, const uint32_t *to, size_t n)
{
	struct buf f, t;
	size_t kept = 0;

	buf_init(&f, LIMIT_VIEW);
	buf_init(&t, LIMIT_VIEW);
	for (size_t i = 0; i < n; i++) {
		if (to[i] == 0)
			continue;
		(void)buf_add(&f, slice_of(&from[i], sizeof from[i]));
		(void)buf_add(&t, slice_of(&to[i], sizeof to[i]));
		kept++;
	}
	if (kept > 0) {
		buf_fmt(b, "[COPYUID %u ", validity);
		(void)imap_put_numbers(b, (void *)f.p, kept);
		buf_byte(b, ' ');
		(void)imap_put_numbers(b, (void *)t.p, kept);
		buf_add(b, S("]"));
	}
	buf_free(&f);
	buf_free(&t);
	return kept > 0;
}

static void
answer(struct session *s, const struct imap_command *c, struct buf *code)
{
	if (c->verb == IMAP_MOVE) {
		/* RFC 6851 4.3: the code comes before the expunges */
		if (code->n > 0) {
			buf_add(&s->out, S("* OK "));
			buf_add(&s->out, buf_slice(code));
			buf_add(&s->out, S(" Moved.\r\n"));
		}
		session_done(s, c, "OK Done.");
		return;
	}
	buf_add(code, code->n > 0 ? S(" Done.") : S("Nothing was copied."));
	session_sync(s, true);
	buf_add(&s->out, c->tag);
	buf_add(&s->out, S(" OK "));
	buf_add(&s->out, buf_slice(code));
	buf_add(&s->out, S("\r\n"));
}

static enum store_err
transfer(struct session *s, const struct imap_command *c, const struct mailbox_folder *target,
    const struct buf *uids, struct buf *code)
{
	size_t n = uids->n / sizeof(uint32_t);
	uint32_t validity = 0;
	struct buf to;
	enum store_err e;

	buf_init(&to, LIMIT_VIEW);
	if (buf_room(&to, uids->n) == NULL)
		return STORE_LIMIT;
	buf_grown(&to, uids->n);
	e = mailbox_copy(s->store, s->view.folder, (const void *)uids->p, n, target->id,
	    c->verb == IMAP_MOVE, (void *)to.p, &validity);
	if (e == STORE_OK)
		(void)put_copyuid(code, validity, (const void *)uids->p, (const void *)to.p, n);
	buf_free(&to);
	return e;
}

void
cmd_copy(struct session *s, const struct imap_command *c, struct arena *a)
{
	struct mailbox_folder target;
	struct buf uids, code;
	enum store_err e = STORE_OK;

	if (!session_uids(s, c, &c->u.copy.set, a, &uids))
		return;
	if (!session_folder(s, c, &c->u.copy.to, true, a, &target)) {
		buf_free(&uids);
		return;
	}
	buf_init(&code, LIMIT_IMAP_OUT / 2);
	if (uids.n > 0)
		e = transfer(s, c, &target, &uids, &code);
	if (code.bad || !session_send(s, true)) {
		/* a code that long says nothing worth its length: the client asks for UIDs */
		buf_reset(&code);
	}
	if (e == STORE_OK) {
		hub_changed(s->hub, target.id, s);
		if (c->verb == IMAP_MOVE)
			hub_changed(s->hub, s->view.folder, s);
		answer(s, c, &code);
	} else {
		session_store_error(s, c->tag, e, "NO [TRYCREATE] No such mailbox.");
	}
	buf_free(&code);
	buf_free(&uids);
}

static void
on_expunged(void *ctx, uint32_t uid)
{
	++*(uint32_t *)ctx;
}

void
cmd_expunge(struct session *s, const struct imap_command *c, struct arena *a)
{
	struct buf uids;
	uint32_t n = 0;
	enum store_err e = STORE_OK;

	buf_init(&uids, LIMIT_VIEW);
	if (c->uid && !session_uids(s, c, &c->u.set, a, &uids))
		return;
	if (!c->uid || uids.n > 0)
		e = mailbox_expunge(s->store, s->view.folder, c->uid ? (const void *)uids.p : NULL,
		    uids.n / sizeof(uint32_t), on_expunged, &n, NULL);
	buf_free(&uids);
	if (e != STORE_OK) {
		session_store_error(s, c->tag, e, "NO [NONEXISTENT] The mailbox is gone.");
		return;
	}
	if (n > 0) {
		hub_changed(s->hub, s->view.folder, s);
		EVENT(EVENT_MAILBOX_EXPUNGED, s->id, S(""), s->account, EN("messages", n));
	}
	session_done(s, c, "OK Done.");
}
