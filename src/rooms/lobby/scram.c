/* SPDX-License-Identifier: MIT
 * AUTHENTICATE SCRAM-SHA-256, SCRAM-SHA-256-PLUS and OAUTHBEARER (RFC 5802, 7677, 9266, 7628): the
 * framing and the channel binding; the secrets are with auth. */
#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/events/events.h"
#include "lib/parse/sasl/oauth.h"
#include "rooms/lobby/lobby.h"

static void
told(struct lobby_session *s, struct slice name, const char *why)
{
	EVENT(EVENT_LOGIN_FAILED, s->id, S(""), name, EF("protocol", S("imap")), EF("reason", slice_z(why)));
}

static enum lobby_step
first(struct lobby_session *s, struct slice message, struct arena *a)
{
	struct slice tag = lobby_tag(s), challenge, ip = slice_of(s->peer_ip, s->peer_ip_n);
	struct scram_first f;
	enum sasl_status st = scram_first_parse(message, a, &f);

	if (st != SASL_OK)
		return lobby_undecoded(s, tag, st);
	if (!scram_flag_ok(f.flag, s->scram_plus, s->bindable)) {
		told(s, f.name, "channel binding was kept away"); /* U-018 */
		return lobby_refused(s, tag);
	}
	if (s->ops->scram_first(s->ctx, s->id, ip, &f, a, &challenge) != LOBBY_YES)
		return lobby_unavailable(s, tag, f.name);
	s->scram_flag = f.flag;
	memcpy(s->scram_header, f.header.p, f.header.n);
	s->scram_header_n = f.header.n;
	return lobby_challenge(s, challenge, LOBBY_SCRAM_FINAL);
}

static enum lobby_step
final(struct lobby_session *s, struct slice message, struct arena *a)
{
	struct slice tag = lobby_tag(s), signature = S("");
	struct slice binding = s->bindable ? slice_of(s->binding, SCRAM_BINDING) : S("");
	own(buf_t) text = { .max = 100 };
	struct scram_final f;
	enum sasl_status st = scram_final_parse(message, a, &f);

	if (st != SASL_OK)
		return lobby_undecoded(s, tag, st);
	if (!scram_bound(slice_of(s->scram_header, s->scram_header_n), s->scram_flag, binding, f.binding)) {
		told(s, S(""), "wrong channel binding");
		return lobby_refused(s, tag);
	}
	switch (s->ops->scram_final(s->ctx, s->id, &f, a, &signature)) {
	case LOBBY_YES:
		PN_ASSERT(buf_add(&text, S("v=")) && base64_encode(&text, signature));
		return lobby_challenge(s, buf_slice(&text), LOBBY_SCRAM_LAST);
	case LOBBY_NO:
		return lobby_refused(s, tag);
	case LOBBY_LATER:
		break;
	}
	return lobby_unavailable(s, tag, S(""));
}

enum lobby_step
lobby_scram(struct lobby_session *s, struct slice line, struct arena *a)
{
	struct oauth_bearer b;
	struct slice message;
	enum sasl_status st = sasl_decode(line, a, &message);

	if (s->sasl_at == LOBBY_OAUTH_LAST) {
		told(s, S(""), "no issuer of tokens");
		return lobby_refused(s, lobby_tag(s));
	}
	if (st != SASL_OK)
		return lobby_undecoded(s, lobby_tag(s), st);
	switch (s->sasl_at) {
	case LOBBY_SCRAM_FIRST:
		return first(s, message, a);
	case LOBBY_SCRAM_FINAL:
		return final(s, message, a);
	case LOBBY_SCRAM_LAST: /* auth has said yes; our signature wants an empty answer */
		return message.n == 0 ? STEP_HANDOFF : lobby_undecoded(s, lobby_tag(s), SASL_SYNTAX);
	default:
		st = oauth_bearer(line, a, &b);
		return st == SASL_OK ? lobby_challenge(s, S(OAUTH_INVALID), LOBBY_OAUTH_LAST)
				     : lobby_undecoded(s, lobby_tag(s), st);
	}
}
