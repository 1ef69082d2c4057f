/* SPDX-License-Identifier: MIT
 * EHLO and HELO (RFC 5321 section 4.1.1.1), STARTTLS (RFC 3207). */
#include "lib/base/civil.h"
#include "lib/clock/clock.h"
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

unsigned
smtp_offers(const struct smtp_session *s)
{
	const struct smtp_switches *on = smtp_on(s);
	unsigned offers = 0;

	if (s->conf->submission)
		offers |= SMTP_OFFER_AUTH;
	if (on->smtputf8)
		offers |= SMTP_OFFER_UTF8;
	if (on->dsn)
		offers |= SMTP_OFFER_DSN;
	if (s->peer.tls) /* RFC 8689 section 4.1 */
		offers |= SMTP_OFFER_REQUIRETLS;
	if (s->account_id != 0)
		offers |= SMTP_OFFER_HOLD | SMTP_OFFER_BY | SMTP_OFFER_PRIORITY;
	return offers;
}

/* One keyword of EHLO, with a number behind it where there is one. */
static void
keyword(struct buf *b, const char *text, uint64_t number)
{
	struct buf line;

	buf_init(&line, 100);
	(void)buf_add(&line, slice_z(text));
	if (number != 0)
		(void)buf_u64(&line, number);
	(void)make_reply_line(b, 250, NULL, false, buf_slice(&line));
	buf_free(&line);
}

/* RFC 4865 section 3: the longest wait, and when that ends. */
static void
future_release(struct buf *b)
{
	struct civil t = civil_of(clock_wall_us() / 1000000 + SMTP_HOLD_S);
	struct buf line;

	buf_init(&line, 100);
	(void)buf_fmt(&line, "FUTURERELEASE %u %04d-%02u-%02uT%02u:%02u:%02uZ", SMTP_HOLD_S, t.year, t.month,
	    t.day, t.hour, t.minute, t.second);
	(void)make_reply_line(b, 250, NULL, false, buf_slice(&line));
	buf_free(&line);
}

static void
mechanisms(struct buf *b, const struct smtp_session *s)
{
	struct buf line;

	buf_init(&line, 100);
	(void)buf_add(&line, S("AUTH PLAIN LOGIN"));
	if (scram_offered(&s->conf->scram, false, s->peer.bindable))
		(void)buf_add(&line, S(" SCRAM-SHA-256"));
	if (scram_offered(&s->conf->scram, true, s->peer.bindable))
		(void)buf_add(&line, S(" SCRAM-SHA-256-PLUS"));
	(void)make_reply_line(b, 250, NULL, false, buf_slice(&line));
	buf_free(&line);
}

/* RFC 9422 */
static void
limits(struct buf *b, const struct smtp_bounds *bounds)
{
	struct buf line;

	buf_init(&line, 100);
	(void)buf_fmt(&line, "LIMITS MAILMAX=%u RCPTMAX=%zu", bounds->transactions, bounds->rcpts);
	(void)make_reply_line(b, 250, NULL, false, buf_slice(&line));
	buf_free(&line);
}

void
smtp_ehlo(struct smtp_session *s, const struct smtp_command *cmd)
{
	const struct smtp_switches *on = smtp_on(s);
	unsigned offers;
	struct buf b;

	if (!introduce(s, cmd, true))
		return;
	offers = smtp_offers(s);
	buf_init(&b, 2048);
	(void)make_reply_line(&b, 250, NULL, false, s->conf->hostname);
	keyword(&b, "PIPELINING", 0);
	keyword(&b, "SIZE ", s->conf->max_size);
	if (!s->peer.tls && s->conf->starttls)
		keyword(&b, "STARTTLS", 0);
	if (s->peer.tls && s->conf->submission && s->account_id == 0)
		mechanisms(&b, s);
	if (on->enhanced_codes)
		keyword(&b, "ENHANCEDSTATUSCODES", 0);
	if (on->dsn)
		keyword(&b, "DSN", 0);
	if (on->chunking)
		keyword(&b, "CHUNKING", 0);
	if (on->smtputf8)
		keyword(&b, "SMTPUTF8", 0);
	if ((offers & SMTP_OFFER_REQUIRETLS) != 0)
		keyword(&b, "REQUIRETLS", 0);
	if ((offers & SMTP_OFFER_HOLD) != 0)
		future_release(&b);
	if ((offers & SMTP_OFFER_BY) != 0)
		keyword(&b, "DELIVERBY", 0);
	if ((offers & SMTP_OFFER_PRIORITY) != 0)
		keyword(&b, "MT-PRIORITY", 0);
	if (ip_nets_have(&on->xclient_from, &s->peer.door_ip))
		keyword(&b, "XCLIENT NAME ADDR PORT PROTO HELO", 0);
	limits(&b, smtp_bounds(s));
	(void)make_reply_line(&b, 250, NULL, true, S("8BITMIME"));
	PN_ASSERT(!b.bad);
	if (stream_write(&s->stream, buf_slice(&b), smtp_after(SMTP_WRITE_MS)) != STREAM_OK)
		s->over = true;
	buf_free(&b);
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
