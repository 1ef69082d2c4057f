/* SPDX-License-Identifier: MIT
 * CAPABILITY, NOOP, CHECK (RFC 3501 6.1, 6.4.1), ID (RFC 2971), ENABLE (RFC 5161), NAMESPACE (RFC
 * 2342), IDLE (RFC 2177). */
#include "rooms/mailbox/session.h"

void
cmd_capability(struct session *s, const struct imap_command *c, struct arena *a)
{
	session_reply(s, S(""), "CAPABILITY " SESSION_CAPABILITY);
	session_done(s, c, "OK Done.");
}

/* Also CHECK: everything that was answered is on the disk already. */
void
cmd_noop(struct session *s, const struct imap_command *c, struct arena *a)
{
	session_done(s, c, "OK Done.");
}

void
cmd_id(struct session *s, const struct imap_command *c, struct arena *a)
{
	session_reply(s, S(""), "ID (\"name\" \"Postern\")");
	session_done(s, c, "OK Done.");
}

/* Nothing that needs enabling exists yet. */
void
cmd_enable(struct session *s, const struct imap_command *c, struct arena *a)
{
	session_reply(s, S(""), "ENABLED");
	session_done(s, c, "OK Done.");
}

void
cmd_namespace(struct session *s, const struct imap_command *c, struct arena *a)
{
	session_reply(s, S(""), "NAMESPACE ((\"\" \"/\")) NIL NIL");
	session_done(s, c, "OK Done.");
}

/* From here on the hub calls; the sync behind it finds what happened just before. */
void
cmd_idle(struct session *s, const struct imap_command *c, struct arena *a)
{
	PN_ASSERT(c->tag.n <= sizeof s->tag);
	memcpy(s->tag, c->tag.p, c->tag.n);
	s->tag_n = c->tag.n;
	buf_add(&s->out, S("+ idling\r\n"));
	s->idling = true;
	hub_listen(s->hub, s, s->view.folder);
	session_sync(s, true);
}

void
idle_line(struct session *s, struct slice line)
{
	struct slice tag = slice_of(s->tag, s->tag_n);

	s->idling = false;
	hub_listen(s->hub, s, 0);
	session_sync(s, true);
	session_reply(s, tag, slice_ieq(line, S("DONE")) ? "OK Done." : "BAD Expected DONE.");
}
