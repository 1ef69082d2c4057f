/* SPDX-License-Identifier: MIT */
#include "rooms/lobby/lobby.h"

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"

#define CAPABILITY "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE"

static int64_t
write_deadline(void)
{
	return (int64_t)clock_mono_ms() + LOBBY_WRITE_MS;
}

void
lobby_say(struct lobby_session *s, struct slice tag, const char *text)
{
	(void)stream_write(&s->io, tag.n == 0 ? S("*") : tag, write_deadline());
	(void)stream_write(&s->io, S(" "), write_deadline());
	(void)stream_write(&s->io, slice_z(text), write_deadline());
	(void)stream_write(&s->io, S("\r\n"), write_deadline());
}

const char *
lobby_capability(const struct lobby_session *s)
{
	bool free = scram_offered(&s->scram, false, s->bindable), plus = scram_offered(&s->scram, true, s->bindable);

	if (!s->tls)
		return CAPABILITY " STARTTLS LOGINDISABLED";
	if (free && plus)
		return CAPABILITY " AUTH=PLAIN AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS";
	return free ? CAPABILITY " AUTH=PLAIN AUTH=SCRAM-SHA-256"
	    : plus ? CAPABILITY " AUTH=PLAIN AUTH=SCRAM-SHA-256-PLUS"
		   : CAPABILITY " AUTH=PLAIN";
}

void
lobby_keep_tag(struct lobby_session *s, struct slice tag)
{
	PN_ASSERT(tag.n <= sizeof s->tag);
	memmove(s->tag, tag.p, tag.n);
	s->tag_n = tag.n;
}

struct slice
lobby_tag(const struct lobby_session *s)
{
	return slice_of(s->tag, s->tag_n);
}

void
lobby_begin(struct lobby_session *s, uint64_t now_ms)
{
	imapio_init(&s->in, &s->io, LIMIT_IMAP_PRELOGIN, LIMIT_IMAP_PRELOGIN_LITERALS, false);
	s->until_ms = now_ms + LOBBY_LOGIN_MS;
}

void
lobby_end(struct lobby_session *s)
{
	imapio_free(&s->in);
	stream_close(&s->io);
}

static void
abuse(const struct lobby_session *s, const char *what)
{
	EVENT(EVENT_PROTOCOL_ABUSE, s->id, S(""), S(""), EF("what", slice_z(what)),
	    EN("bad_commands", s->bad));
}

enum lobby_step
lobby_bad(struct lobby_session *s, struct slice tag, const char *text)
{
	unsigned most = s->known ? LIMIT_IMAP_BAD : LOBBY_STRANGERS;

	lobby_say(s, tag, text);
	if (++s->bad < most)
		return STEP_ON;
	abuse(s, s->known ? "too many bad commands" : "does not speak IMAP");
	lobby_say(s, S(""), "BYE Too many errors.");
	return STEP_CLOSE;
}

/* The first word of another protocol's request (I-031): nobody has such tags. */
static bool
foreign(struct slice line)
{
	static const struct slice words[] = { S_INIT("GET "), S_INIT("POST "), S_INIT("PUT "),
		S_INIT("HEAD "), S_INIT("OPTIONS "), S_INIT("CONNECT "), S_INIT("PATCH "),
		S_INIT("EHLO "), S_INIT("HELO "), S_INIT("MAIL FROM:"), S_INIT("RCPT TO:"),
		S_INIT("Host: "), S_INIT("SSH-2.0"), S_INIT("PRI * HTTP") };

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (slice_istarts(line, words[i]))
			return true;
	return false;
}

static enum lobby_step
fault(struct lobby_session *s, enum imap_fault f, const struct imap_command *c, struct slice line)
{
	if (f != IMAP_BAD_ARGS && f != IMAP_OVER && f != IMAP_OVER_DEPTH && foreign(line)) {
		abuse(s, "another protocol");
		lobby_say(s, S(""), "BYE This is IMAP.");
		return STEP_CLOSE;
	}
	switch (f) {
	case IMAP_BAD_TAG:
		return lobby_bad(s, S(""), "BAD No valid tag.");
	case IMAP_BAD_VERB:
		return lobby_bad(s, c->tag, "BAD Unknown command.");
	default:
		return lobby_bad(s, c->tag, "BAD Invalid arguments.");
	}
}

static enum lobby_step
starttls(struct lobby_session *s, struct slice tag)
{
	if (s->tls)
		return lobby_bad(s, tag, "BAD TLS is active.");
	/* RFC 3501 6.2.1: what was sent ahead in the clear is never looked at (I-001) */
	if (stream_discard(&s->io) > 0)
		EVENT(EVENT_TLS_INJECTION, s->id, S(""), S(""), EF("protocol", S("imap")));
	lobby_say(s, tag, "OK Begin TLS negotiation now.");
	return STEP_STARTTLS;
}

static enum lobby_step
capability(struct lobby_session *s, struct slice tag)
{
	struct buf b;

	buf_init(&b, 512);
	buf_fmt(&b, "* CAPABILITY %s\r\n", lobby_capability(s));
	(void)stream_write(&s->io, buf_slice(&b), write_deadline());
	buf_free(&b);
	lobby_say(s, tag, "OK Done.");
	return STEP_ON;
}

static enum lobby_step
dispatch(struct lobby_session *s, const struct imap_command *c, struct arena *a)
{
	s->known = true;
	switch (c->verb) {
	case IMAP_CAPABILITY:
		return capability(s, c->tag);
	case IMAP_NOOP:
		/* I-010: doing nothing for ever is no login */
		if (++s->bad >= LIMIT_IMAP_BAD)
			return lobby_bad(s, c->tag, "BAD Log in.");
		lobby_say(s, c->tag, "OK Done.");
		return STEP_ON;
	case IMAP_ID:
		lobby_say(s, S(""), "ID (\"name\" \"Postern\")");
		lobby_say(s, c->tag, "OK Done.");
		return STEP_ON;
	case IMAP_LOGOUT:
		lobby_say(s, S(""), "BYE Logging out.");
		lobby_say(s, c->tag, "OK Done.");
		return STEP_CLOSE;
	case IMAP_STARTTLS:
		return starttls(s, c->tag);
	case IMAP_LOGIN:
		return lobby_login(s, c);
	case IMAP_AUTHENTICATE:
		return lobby_authenticate(s, c, a);
	default:
		return lobby_bad(s, c->tag, "BAD Log in first.");
	}
}

static enum lobby_step
command(struct lobby_session *s, struct slice line)
{
	own(arena_p) a = arena_new("command", LIMIT_ARENA_COMMAND);
	struct imap_command c = { .uid = false };
	struct cursor cur = cur_of(line);
	enum imap_fault f = imap_parse(&cur, a, &c);

	return f == IMAP_FINE ? dispatch(s, &c, a) : fault(s, f, &c, line);
}

/* What has no place in a command: too long, or octets that are none of text. */
static enum lobby_step
misframed(struct lobby_session *s, enum imapio_status st, struct slice begun)
{
	struct cursor cur = cur_of(begun);
	struct slice tag = S("");

	if (!cur_until(&cur, ' ', &tag) || tag.n > LIMIT_IMAP_TAG)
		tag = S("");
	if (st == IMAPIO_CUT) {
		abuse(s, "literal over the limit");
		lobby_say(s, tag, "BAD Literal is too big.");
		lobby_say(s, S(""), "BYE Too big.");
		return STEP_CLOSE;
	}
	if (st == IMAPIO_TOO_LONG)
		return lobby_bad(s, tag, begun.n > 0 ? "BAD Literal is too big." : "BAD Line is too long.");
	return lobby_bad(s, S(""), "BAD Octets that no command has.");
}

/* Waits for and carries out one command or response. */
static enum lobby_step
step(struct lobby_session *s, int64_t deadline, bool *idle)
{
	struct slice line = S("");

	if (s->sasl) {
		own(arena_p) a = arena_new("response", LIMIT_ARENA_COMMAND);
		enum stream_status st = stream_line(&s->io, LIMIT_IMAP_PRELOGIN, deadline, &line);

		*idle = st == STREAM_TIMEOUT;
		if (*idle)
			return STEP_ON;
		s->sasl = false;
		if (st == STREAM_OK)
			return lobby_response(s, line, a);
		return st == STREAM_BAD || st == STREAM_TOO_LONG ?
		    lobby_bad(s, lobby_tag(s), "BAD Invalid response.") : STEP_CLOSE;
	}
	enum imapio_status st = imapio_read(&s->in, deadline, &line);
	enum lobby_step next = STEP_ON;

	*idle = st == IMAPIO_TIMEOUT;
	if (st == IMAPIO_GONE)
		return STEP_CLOSE;
	if (st == IMAPIO_COMMAND)
		next = command(s, line);
	else if (!*idle)
		next = misframed(s, st, line);
	if (!*idle)
		imapio_wipe(&s->in);
	return next;
}

static void
greet(struct lobby_session *s)
{
	struct buf b;

	s->greeted = true;
	if (s->quiet)
		return;
	buf_init(&b, 512);
	buf_fmt(&b, "OK [CAPABILITY %s] Ready.", lobby_capability(s));
	buf_byte(&b, 0);
	lobby_say(s, S(""), (const char *)b.p);
	buf_free(&b);
}

enum lobby_next
lobby_turn(struct lobby_session *s, bool expired)
{
	enum lobby_step next = STEP_ON;
	bool idle = false;

	if (s->refused) {
		lobby_say(s, lobby_tag(s), "NO [UNAVAILABLE] Your mail cannot be reached at the moment.");
		lobby_say(s, S(""), "BYE Try again later.");
		next = STEP_CLOSE;
	} else if (expired) {
		lobby_say(s, S(""), "BYE Took too long.");
		next = STEP_CLOSE;
	} else if (!s->greeted) {
		greet(s);
	}
	while (next == STEP_ON && !idle)
		next = step(s, (int64_t)clock_mono_ms() + LOBBY_LINGER_MS, &idle);
	if (stream_flush(&s->io, write_deadline()) != STREAM_OK)
		return LOBBY_CLOSE;
	switch (next) {
	case STEP_ON:
		imapio_idle(&s->in);
		return LOBBY_PARK;
	case STEP_STARTTLS:
		return LOBBY_STARTTLS;
	case STEP_HANDOFF:
		return LOBBY_HANDOFF;
	case STEP_CLOSE:
		break;
	}
	return LOBBY_CLOSE;
}
