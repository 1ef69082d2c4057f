/* SPDX-License-Identifier: MIT
 * EHLO and HELO (RFC 5321 section 4.1.1.1), STARTTLS (RFC 3207). */
#include "lib/make/reply.h"
#include "rooms/smtp/session.h"

/* True with the client's name taken; what it says is never written back (S-093). */
static bool
introduce(struct smtp_session *s, const struct smtp_command *cmd, bool esmtp)
{
	struct slice name;

	if (!smtp_helo_parse(cmd->args, &name)) {
		smtp_error(s, 501, "5.5.4", "a host name or an address literal is needed");
		return false;
	}
	txn_reset(s);
	buf_reset(&s->helo);
	PN_ASSERT(buf_add(&s->helo, name));
	s->esmtp = esmtp;
	return true;
}

void
smtp_helo(struct smtp_session *s, const struct smtp_command *cmd)
{
	struct buf b;

	if (!introduce(s, cmd, false))
		return;
	buf_init(&b, 400);
	(void)make_reply(&b, 250, NULL, s->conf->hostname);
	if (stream_write(&s->stream, buf_slice(&b), smtp_after(SMTP_WRITE_MS)) != STREAM_OK)
		s->over = true;
	buf_free(&b);
}

void
smtp_ehlo(struct smtp_session *s, const struct smtp_command *cmd)
{
	struct buf b, size;

	if (!introduce(s, cmd, true))
		return;
	buf_init(&b, 1024);
	buf_init(&size, 40);
	(void)buf_add(&size, S("SIZE "));
	(void)buf_u64(&size, s->conf->max_size);
	(void)make_reply_line(&b, 250, NULL, false, s->conf->hostname);
	(void)make_reply_line(&b, 250, NULL, false, S("PIPELINING"));
	(void)make_reply_line(&b, 250, NULL, false, buf_slice(&size));
	if (!s->peer.tls && s->conf->starttls)
		(void)make_reply_line(&b, 250, NULL, false, S("STARTTLS"));
	if (s->peer.tls && s->conf->submission && s->account_id == 0)
		(void)make_reply_line(&b, 250, NULL, false, S("AUTH PLAIN LOGIN"));
	(void)make_reply_line(&b, 250, NULL, false, S("ENHANCEDSTATUSCODES"));
	(void)make_reply_line(&b, 250, NULL, true, S("8BITMIME"));
	PN_ASSERT(!b.bad);
	if (stream_write(&s->stream, buf_slice(&b), smtp_after(SMTP_WRITE_MS)) != STREAM_OK)
		s->over = true;
	buf_free(&b);
	buf_free(&size);
}

/* The session ends here and a new one begins after the handshake: nothing that was said or sent in
 * plain text can reach into it (RFC 3207 section 4.2, S-021). */
void
smtp_starttls(struct smtp_session *s, const struct smtp_command *cmd)
{
	struct buf none;
	size_t ahead;
	int fd;

	(void)cmd;
	if (s->peer.tls) {
		smtp_error(s, 503, "5.5.1", "TLS is on already");
		return;
	}
	if (!s->conf->starttls) {
		smtp_error(s, 454, "4.7.0", "TLS is not available");
		return;
	}
	ahead = stream_discard(&s->stream);
	if (ahead > 0)
		SMTP_EVENT(s, EVENT_TLS_INJECTION, EN("bytes", ahead));
	smtp_reply(s, 220, "2.0.0", "begin");
	if (stream_flush(&s->stream, smtp_after(SMTP_WRITE_MS)) != STREAM_OK) {
		s->over = true;
		return;
	}
	buf_init(&none, 0);
	fd = stream_detach(&s->stream, &none);
	s->tls_started = true;
	s->over = true;
	s->back->starttls(s->back->ctx, s, fd);
}
