/* SPDX-License-Identifier: MIT
 * LOGIN (RFC 3501 6.2.3) and AUTHENTICATE PLAIN (6.2.2, RFC 4616, RFC 4959). An unknown name, a wrong
 * password and a disabled account get the same words (I-012); before TLS nobody is asked (I-002). */
#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/events/events.h"
#include "rooms/lobby/lobby.h"

enum lobby_step
lobby_refused(struct lobby_session *s, struct slice tag)
{
	lobby_say(s, tag, "NO [AUTHENTICATIONFAILED] Authentication failed.");
	if (++s->failures < LOBBY_FAILURES)
		return STEP_ON;
	lobby_say(s, S(""), "BYE Too many failed logins.");
	return STEP_CLOSE;
}

enum lobby_step
lobby_unavailable(struct lobby_session *s, struct slice tag, struct slice name)
{
	EVENT(EVENT_LOGIN_UNAVAILABLE, s->id, S(""), name, EF("protocol", S("imap")));
	lobby_say(s, tag, "NO [UNAVAILABLE] Logins are not possible now, try again later.");
	return STEP_ON;
}

enum lobby_step
lobby_undecoded(struct lobby_session *s, struct slice tag, enum sasl_status st)
{
	if (st == SASL_CANCEL)
		return lobby_bad(s, tag, "BAD Authentication cancelled.");
	if (st == SASL_SYNTAX)
		return lobby_bad(s, tag, "BAD Invalid base64.");
	EVENT(EVENT_LOGIN_FAILED, s->id, S(""), S(""), EF("protocol", S("imap")),
	    EF("reason", S("malformed")));
	return lobby_refused(s, tag);
}

enum lobby_step
lobby_challenge(struct lobby_session *s, struct slice text, enum lobby_sasl at)
{
	own(buf_t) line = { .max = 2200 };

	PN_ASSERT(base64_encode(&line, text) && buf_byte(&line, 0));
	s->sasl = true;
	s->sasl_at = at;
	lobby_say(s, S("+"), (const char *)line.p);
	return STEP_ON;
}

/* auth tells the log how it went; here only what auth never heard of. */
static enum lobby_step
ask(struct lobby_session *s, struct slice tag, const struct sasl_login *who)
{
	struct slice ip = slice_of(s->peer_ip, s->peer_ip_n);

	switch (s->ops->login(s->ctx, s->id, ip, who)) {
	case LOBBY_YES:
		lobby_keep_tag(s, tag);
		return STEP_HANDOFF;
	case LOBBY_NO:
		return lobby_refused(s, tag);
	case LOBBY_LATER:
		break;
	}
	return lobby_unavailable(s, tag, who->name);
}

static enum lobby_step
needs_tls(struct lobby_session *s, struct slice tag)
{
	return lobby_bad(s, tag, "NO [PRIVACYREQUIRED] Use STARTTLS first.");
}

enum lobby_step
lobby_login(struct lobby_session *s, const struct imap_command *c)
{
	struct sasl_login who = { c->u.login.user, c->u.login.password };

	if (!s->tls)
		return needs_tls(s, c->tag);
	if (!sasl_name_ok(who.name) || !sasl_password_ok(who.password)) {
		EVENT(EVENT_LOGIN_FAILED, s->id, S(""), who.name, EF("protocol", S("imap")),
		    EF("reason", S("malformed")));
		return lobby_refused(s, c->tag);
	}
	return ask(s, c->tag, &who);
}

static enum lobby_step
plain(struct lobby_session *s, struct slice tag, struct slice response, struct arena *a)
{
	struct sasl_login who;
	enum sasl_status st = sasl_plain(response, a, &who);

	return st == SASL_OK ? ask(s, tag, &who) : lobby_undecoded(s, tag, st);
}

/* The mechanisms, and what the first response of each is for. */
static bool
mechanism(struct lobby_session *s, struct slice name)
{
	bool plus = slice_ieq(name, S("SCRAM-SHA-256-PLUS"));

	if (slice_ieq(name, S("PLAIN")))
		s->sasl_at = LOBBY_PLAIN;
	else if ((plus || slice_ieq(name, S("SCRAM-SHA-256"))) && scram_offered(&s->scram, plus, s->bindable))
		s->sasl_at = LOBBY_SCRAM_FIRST;
	else if (slice_ieq(name, S("OAUTHBEARER")))
		s->sasl_at = LOBBY_OAUTH;
	else
		return false;
	s->scram_plus = plus;
	return true;
}

enum lobby_step
lobby_authenticate(struct lobby_session *s, const struct imap_command *c, struct arena *a)
{
	if (!s->tls)
		return needs_tls(s, c->tag);
	if (!mechanism(s, c->u.auth.mechanism))
		return lobby_bad(s, c->tag, "NO Unknown mechanism.");
	lobby_keep_tag(s, c->tag);
	if (!c->u.auth.has_initial)
		return lobby_challenge(s, S(""), s->sasl_at);
	if (s->sasl_at != LOBBY_PLAIN)
		return lobby_scram(s, c->u.auth.initial.n == 0 ? S("=") : c->u.auth.initial, a);
	return plain(s, c->tag, c->u.auth.initial.n == 0 ? S("=") : c->u.auth.initial, a);
}

enum lobby_step
lobby_response(struct lobby_session *s, struct slice line, struct arena *a)
{
	enum lobby_step next = s->sasl_at == LOBBY_PLAIN ? plain(s, lobby_tag(s), line, a)
							 : lobby_scram(s, line, a);

	stream_wipe(&s->io);
	return next;
}
