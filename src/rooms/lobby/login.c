/* SPDX-License-Identifier: MIT
 * LOGIN (RFC 3501 6.2.3) and AUTHENTICATE PLAIN (6.2.2, RFC 4616, RFC 4959). An unknown name, a wrong
 * password and a disabled account get the same words (I-012); before TLS nobody is asked (I-002). */
#include "lib/events/events.h"
#include "rooms/lobby/lobby.h"

static enum lobby_step
refused(struct lobby_session *s, struct slice tag)
{
	lobby_say(s, tag, "NO [AUTHENTICATIONFAILED] Authentication failed.");
	if (++s->failures < LOBBY_FAILURES)
		return STEP_ON;
	lobby_say(s, S(""), "BYE Too many failed logins.");
	return STEP_CLOSE;
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
		return refused(s, tag);
	case LOBBY_LATER:
		break;
	}
	EVENT(EVENT_LOGIN_UNAVAILABLE, s->id, S(""), who->name, EF("protocol", S("imap")));
	lobby_say(s, tag, "NO [UNAVAILABLE] Logins are not possible now, try again later.");
	return STEP_ON;
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
		return refused(s, c->tag);
	}
	return ask(s, c->tag, &who);
}

static enum lobby_step
plain(struct lobby_session *s, struct slice tag, struct slice response, struct arena *a)
{
	struct sasl_login who;

	switch (sasl_plain(response, a, &who)) {
	case SASL_OK:
		return ask(s, tag, &who);
	case SASL_CANCEL:
		return lobby_bad(s, tag, "BAD Authentication cancelled.");
	case SASL_SYNTAX:
		return lobby_bad(s, tag, "BAD Invalid base64.");
	case SASL_REFUSE:
		break;
	}
	EVENT(EVENT_LOGIN_FAILED, s->id, S(""), S(""), EF("protocol", S("imap")),
	    EF("reason", S("malformed")));
	return refused(s, tag);
}

enum lobby_step
lobby_authenticate(struct lobby_session *s, const struct imap_command *c, struct arena *a)
{
	if (!s->tls)
		return needs_tls(s, c->tag);
	if (!slice_ieq(c->u.auth.mechanism, S("PLAIN")))
		return lobby_bad(s, c->tag, "NO Unknown mechanism.");
	if (c->u.auth.has_initial)
		return plain(s, c->tag, c->u.auth.initial.n == 0 ? S("=") : c->u.auth.initial, a);
	lobby_keep_tag(s, c->tag);
	s->sasl = true;
	lobby_say(s, S("+"), "");
	return STEP_ON;
}

enum lobby_step
lobby_response(struct lobby_session *s, struct slice line, struct arena *a)
{
	enum lobby_step next = plain(s, lobby_tag(s), line, a);

	stream_wipe(&s->io);
	return next;
}
