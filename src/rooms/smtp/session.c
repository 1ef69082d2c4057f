/* SPDX-License-Identifier: MIT
 * The verb table and the loop around it. */
#include "lib/clock/clock.h"
#include "lib/make/reply.h"
#include "rooms/smtp/content.h"

#define CRLF ((size_t)2) /* counts in the limits of lines: RFC 5321 section 4.5.3.1.4 */

static void
quit_4_1_1_10(struct smtp_session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	smtp_cut(s, 221, "2.0.0", "bye");
}

static void
rset_4_1_1_5(struct smtp_session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	txn_reset(s);
	smtp_reply(s, 250, "2.0.0", "ok");
}

static void
noop_4_1_1_9(struct smtp_session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	smtp_reply(s, 250, "2.0.0", "ok");
}

/* The same for every address, known or not (S-036). */
static void
vrfy_4_1_1_6(struct smtp_session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	smtp_reply(s, 252, "2.5.2", "send mail, and it will be tried");
}

static void
expn_4_1_1_7(struct smtp_session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	smtp_error(s, 502, "5.5.1", "not offered");
}

static void
help_4_1_1_8(struct smtp_session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	smtp_reply(s, 214, "2.0.0", "see RFC 5321");
}

/* HTTP: what follows is not meant as commands, so nothing of it is read. */
static void
foreign(struct smtp_session *s, const struct smtp_command *cmd)
{
	SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("foreign protocol")), EF("word", cmd->word));
	smtp_cut(s, 554, "5.5.1", "this is SMTP");
}

static void
unknown_4_2_4(struct smtp_session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	smtp_error(s, 500, "5.5.1", "unknown command");
}

static const struct {
	unsigned flags;
	void (*run)(struct smtp_session *s, const struct smtp_command *cmd);
} verbs[SMTP_VERBS] = {
	[SMTP_EHLO] = { ENDS_GROUP | JUNK | ONLY_SMTP, smtp_ehlo },
	[SMTP_HELO] = { ENDS_GROUP | JUNK | ONLY_SMTP, smtp_helo },
	[SMTP_LHLO] = { ENDS_GROUP | JUNK | ONLY_LMTP, smtp_ehlo },
	[SMTP_STARTTLS] = { NO_ARGS | ONLY_SMTP, smtp_starttls },
	[SMTP_AUTH] = { ONLY_SMTP | NEEDS_HELO | NEEDS_TLS | ENDS_GROUP, smtp_auth },
	[SMTP_MAIL] = { NEEDS_HELO | NEEDS_TLS | NEEDS_AUTH | ANY_BYTES, smtp_mail },
	[SMTP_RCPT] = { NEEDS_HELO | NEEDS_TLS | NEEDS_AUTH | NEEDS_MAIL | ANY_BYTES, smtp_rcpt },
	[SMTP_DATA] = { NEEDS_HELO | NEEDS_TLS | NEEDS_AUTH | NEEDS_MAIL | ENDS_GROUP | NO_ARGS,
	    smtp_data_begin },
	[SMTP_BDAT] = { ANY_BYTES, smtp_bdat }, /* judges for itself: its octets come in any case */
	[SMTP_RSET] = { JUNK | NO_ARGS, rset_4_1_1_5 },
	[SMTP_NOOP] = { JUNK, noop_4_1_1_9 },
	[SMTP_VRFY] = { JUNK, vrfy_4_1_1_6 },
	[SMTP_EXPN] = { JUNK, expn_4_1_1_7 },
	[SMTP_HELP] = { JUNK, help_4_1_1_8 },
	[SMTP_QUIT] = { 0, quit_4_1_1_10 },
	[SMTP_FOREIGN] = { ANY_BYTES, foreign },
	[SMTP_XCLIENT] = { ENDS_GROUP | ONLY_SMTP, smtp_xclient },
	[SMTP_UNKNOWN] = { ANY_BYTES, unknown_4_2_4 },
};

int64_t
smtp_after(uint64_t ms)
{
	return (int64_t)(clock_mono_ms() + ms);
}

void
smtp_event(struct smtp_session *s, enum event_kind kind, const struct event_field *fields, size_t n)
{
	s->back->event(s->back->ctx, kind, s->peer.session, slice_z(s->txn.queue_id),
	    buf_slice(&s->account), fields, n);
}

void
smtp_reply(struct smtp_session *s, unsigned code, const char *enhanced, const char *text)
{
	struct buf b;

	if (!smtp_on(s)->enhanced_codes)
		enhanced = NULL;
	buf_init(&b, 1024);
	PN_ASSERT(make_reply(&b, code, enhanced, slice_z(text)));
	for (size_t i = 0; i == 0 || (i < s->txn.replies && !s->over); i++)
		if (stream_write(&s->stream, buf_slice(&b), smtp_after(SMTP_WRITE_MS)) != STREAM_OK)
			s->over = true;
	buf_free(&b);
}

void
smtp_cut(struct smtp_session *s, unsigned code, const char *enhanced, const char *text)
{
	smtp_reply(s, code, enhanced, text);
	s->over = true;
}

/* Who errs again and again is answered at once, and then not heard for a while, which grows. */
static void
tarpit(struct smtp_session *s)
{
	uint64_t ms = smtp_on(s)->tarpit_ms;

	if (s->account_id != 0 || s->errors <= SMTP_FREE_ERRORS || ms == 0)
		return;
	ms *= s->errors - SMTP_FREE_ERRORS;
	s->nap_until_ms = clock_mono_ms() + (ms < SMTP_NAP_MS ? ms : SMTP_NAP_MS);
}

void
smtp_error(struct smtp_session *s, unsigned code, const char *enhanced, const char *text)
{
	if (++s->errors < smtp_bounds(s)->errors) {
		smtp_reply(s, code, enhanced, text);
		tarpit(s);
		return;
	}
	SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("too many errors")), EF("last", slice_z(text)));
	smtp_cut(s, 421, "4.7.0", "too many errors");
}

void
smtp_refuse(struct smtp_session *s, const char *where, struct slice address, unsigned code,
    const char *enhanced, const char *text)
{
	struct buf ip;

	buf_init(&ip, LIMIT_IP_TEXT);
	(void)ip_put(&ip, &s->peer.ip);
	SMTP_EVENT(s, code >= 500 ? EVENT_SMTP_REJECTED : EVENT_SMTP_DEFERRED, EF("at", slice_z(where)),
	    EF("address", address), EF("from", s->txn.sender), EF("ip", buf_slice(&ip)),
	    EF("helo", buf_slice(&s->helo)), EN("code", code), EF("status", slice_z(enhanced)),
	    EF("reason", slice_z(text)));
	buf_free(&ip);
	if (code >= 500 && !s->conf->lmtp) /* an MTA that passes on what others wrote does not err */
		smtp_error(s, code, enhanced, text);
	else
		smtp_reply(s, code, enhanced, text);
}

void
txn_reset(struct smtp_session *s)
{
	if (s->txn.content != NULL)
		smtp_content_drop(s->txn.content);
	arena_free(&s->txn.arena);
	s->txn = (struct txn){ 0 };
}

const struct smtp_switches *
smtp_on(const struct smtp_session *s)
{
	return &s->conf->at[s->peer.listener];
}

const struct smtp_refusal *
smtp_in_the_way(const struct smtp_session *s, unsigned flags)
{
	static const struct smtp_refusal helo = { 503, "5.5.1", "say EHLO first" },
					 lhlo = { 503, "5.5.1", "say LHLO first" },
					 tls = { 530, "5.7.0", "say STARTTLS first" },
					 login = { 530, "5.7.0", "log in first" },
					 mail = { 503, "5.5.1", "say MAIL first" };

	if ((flags & NEEDS_HELO) != 0 && s->helo.n == 0)
		return s->conf->lmtp ? &lhlo : &helo;
	if ((flags & NEEDS_TLS) != 0 && s->conf->submission && !s->peer.tls)
		return &tls;
	if ((flags & NEEDS_AUTH) != 0 && s->conf->submission && s->account_id == 0)
		return &login;
	return (flags & NEEDS_MAIL) != 0 && s->txn.arena == NULL ? &mail : NULL;
}

/* What the flags of a verb demand; false after a reply that refuses it. */
static bool
permitted(struct smtp_session *s, const struct smtp_command *cmd, unsigned flags)
{
	const struct smtp_refusal *no;

	if (!smtp_speaks(s, flags)) {
		unknown_4_2_4(s, cmd);
		return false;
	}
	if (!cmd->ascii && (flags & ANY_BYTES) == 0) {
		smtp_error(s, 500, "5.5.2", "commands are ASCII");
		return false;
	}
	if ((flags & NO_ARGS) != 0 && cmd->args.n > 0) {
		smtp_error(s, 501, "5.5.4", "no arguments are taken");
		return false;
	}
	no = smtp_in_the_way(s, flags);
	if (no != NULL) {
		smtp_error(s, no->code, no->enhanced, no->text);
		return false;
	}
	if ((flags & ENDS_GROUP) != 0 && stream_buffered(&s->stream) > 0) {
		/* what was sent ahead was meant for a server that does not check: S-020, S-024 */
		SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("talks ahead")), EF("word", cmd->word));
		smtp_cut(s, 554, "5.5.0", "wait for replies");
		return false;
	}
	if ((flags & JUNK) != 0 && ++s->junk > smtp_bounds(s)->junk) {
		SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("too many idle commands")));
		smtp_cut(s, 421, "4.7.0", "send mail or go");
		return false;
	}
	return true;
}

static void
command(struct smtp_session *s, struct slice line)
{
	struct smtp_command cmd;

	s->commands++;
	if (!smtp_command_parse(line, &cmd))
		smtp_error(s, 500, "5.5.2", "not a command");
	else if (permitted(s, &cmd, verbs[cmd.verb].flags))
		verbs[cmd.verb].run(s, &cmd);
}

/* A client that talks TLS to a port that begins in plain text (S-023) may never end a line. */
static bool
is_client_hello(struct smtp_session *s)
{
	struct slice ahead;

	return s->commands == 0 &&
	    stream_peek(&s->stream, smtp_after(SMTP_LINGER_MS), &ahead) == STREAM_OK &&
	    slice_at(ahead, 0) == 0x16;
}

static void
wait_from_now(struct smtp_session *s)
{
	s->deadline_ms =
	    clock_mono_ms() + (s->answer == SMTP_ANSWER_NONE ? smtp_bounds(s)->idle_ms : SMTP_LOGIN_MS);
}

/* One command, one answer or one piece of content. False when the client pauses. */
static bool
next(struct smtp_session *s)
{
	struct slice line = S("");
	enum stream_status st;

	if (smtp_in_content(s)) {
		bool went_on = s->chunk.under_way ? smtp_bdat_continue(s) : smtp_data_continue(s);

		if (!smtp_in_content(s))
			wait_from_now(s);
		return went_on;
	}
	if (is_client_hello(s)) {
		SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("TLS on a plain port")));
		smtp_cut(s, 554, "5.5.1", "this port begins in plain text");
		return true;
	}
	st = stream_line(&s->stream,
	    (s->conf->submission ? LIMIT_SMTP_AUTH_LINE : LIMIT_SMTP_LINE) - CRLF,
	    smtp_after(SMTP_LINGER_MS), &line);
	if (s->answer != SMTP_ANSWER_NONE &&
	    (st == STREAM_OK || st == STREAM_BAD || st == STREAM_TOO_LONG)) {
		smtp_auth_answer(s, st, line);
		wait_from_now(s);
		return true;
	}
	if (st == STREAM_OK && line.n > LIMIT_SMTP_LINE - CRLF && !slice_istarts(line, S("AUTH ")))
		st = STREAM_TOO_LONG;
	switch (st) {
	case STREAM_OK:
		command(s, line);
		break;
	case STREAM_TOO_LONG:
		smtp_error(s, 500, "5.5.2", "line too long");
		break;
	case STREAM_BAD:
		smtp_error(s, 500, "5.5.2", "lines end in CRLF, and hold no CR, LF or NUL");
		break;
	case STREAM_TIMEOUT:
		return false;
	default: /* the client has gone */
		s->over = true;
		return true;
	}
	wait_from_now(s);
	return true;
}

/* True while a stranger on a plain port is to wait for the greeting. */
static bool
makes_wait(struct smtp_session *s)
{
	uint32_t ms = smtp_on(s)->greet_wait_ms;

	if (s->waited || ms == 0 || s->conf->submission || s->peer.tls || stream_readable(&s->stream))
		return false;
	s->waited = true;
	s->nap_until_ms = clock_mono_ms() + ms;
	return true;
}

/* RFC 5321 section 3.1. Whoever speaks before us does not listen either (S-020). */
static void
greet(struct smtp_session *s)
{
	struct buf b;

	s->greeted = true;
	wait_from_now(s);
	if (s->peer.after_starttls || !smtp_lmtp_welcome(s))
		return;
	if (!s->peer.tls && stream_readable(&s->stream)) {
		SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("talks before the greeting")));
		smtp_cut(s, 554, "5.5.1", "talks before the greeting");
		return;
	}
	buf_init(&b, 400);
	PN_ASSERT(buf_add(&b, s->conf->hostname) && buf_add(&b, s->conf->lmtp ? S(" LMTP Postern") : S(" ESMTP Postern")) && buf_byte(&b, 0));
	smtp_reply(s, 220, NULL, (const char *)b.p);
	buf_free(&b);
}

void
smtp_session_init(struct smtp_session *s, const struct smtp_config *conf,
    const struct smtp_backend *back, const struct smtp_peer *peer)
{
	*s = (struct smtp_session){ .stream = s->stream, .owner = s->owner, .conf = conf,
		.back = back, .peer = *peer };
	s->peer.door_ip = peer->ip;
	buf_init(&s->helo, LIMIT_DOMAIN);
	buf_init(&s->account, LIMIT_LOGIN_NAME);
	buf_init(&s->login_name, LIMIT_LOGIN_NAME);
}

/* Ends a nap whose time has come. */
static bool
napping(struct smtp_session *s, enum smtp_why *why)
{
	if (s->nap_until_ms == 0)
		return false;
	if (*why != SMTP_STOPPING && clock_mono_ms() < s->nap_until_ms)
		return true;
	s->nap_until_ms = 0;
	if (*why == SMTP_DEADLINE || *why == SMTP_HURRY)
		*why = SMTP_INPUT; /* the nap is over, not the client's time */
	if (s->greeted)
		wait_from_now(s);
	return false;
}

static enum smtp_next
park(struct smtp_session *s)
{
	uint64_t latest = clock_mono_ms() + smtp_bounds(s)->idle_ms;

	(void)stream_idle(&s->stream);
	if (smtp_in_content(s))
		s->deadline_ms = smtp_data_deadline(s);
	else if (s->deadline_ms > latest)
		s->deadline_ms = latest;
	if (s->nap_until_ms != 0)
		s->deadline_ms = s->nap_until_ms;
	return SMTP_PARK;
}

enum smtp_next
smtp_session_run(struct smtp_session *s, enum smtp_why why)
{
	if (napping(s, &why) || (!s->greeted && why != SMTP_STOPPING && makes_wait(s)))
		return park(s);
	if (why == SMTP_HURRY && s->greeted)
		return park(s);
	if (!s->greeted)
		greet(s);
	if (why == SMTP_STOPPING)
		smtp_cut(s, 421, "4.3.2", "the server is being restarted");
	if (why == SMTP_DEADLINE)
		smtp_cut(s, 421, "4.4.2", "waited too long");
	while (!s->over && s->nap_until_ms == 0 && next(s))
		;
	/* a flush that does not succeed in time ends the session: nobody waits for a writable socket */
	if (!s->tls_started && stream_flush(&s->stream, smtp_after(SMTP_WRITE_MS)) != STREAM_OK)
		s->over = true;
	return s->over ? SMTP_END : park(s);
}

void
smtp_session_end(struct smtp_session *s)
{
	txn_reset(s);
	stream_close(&s->stream);
	buf_free(&s->helo);
	buf_free(&s->account);
	buf_free(&s->login_name);
}
