/* SPDX-License-Identifier: MIT
 * AUTH SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677, 9266): here the framing and the channel
 * binding, the secrets are with auth. AUTH OAUTHBEARER (RFC 7628): nobody issues tokens for us yet, so
 * each one, well-formed or not, is refused in the RFC's words. */
#include "lib/parse/sasl/scram.h"
#include "lib/base/encode.h"
#include "lib/clock/clock.h"
#include "lib/parse/sasl/oauth.h"
#include "rooms/smtp/session.h"

static void
first(struct smtp_session *s, struct slice line, struct arena *a)
{
	struct smtp_auth_scram_first_answer out;
	struct smtp_auth_scram_first in = { .session = s->peer.session,
		.peer_ip = slice_of(s->peer.ip.b, s->peer.ip.n) };
	struct scram_first f;
	struct slice message;
	enum sasl_status st = sasl_decode(line, a, &message);

	if (st == SASL_OK)
		st = scram_first_parse(message, a, &f);
	if (!smtp_decoded(s, st))
		return;
	if (!scram_flag_ok(f.flag, s->scram_plus, s->peer.bindable)) {
		smtp_login_failed(s, f.name, "channel binding was kept away"); /* U-018 */
		return;
	}
	in.name = f.name;
	in.bare = f.bare;
	if (s->back->scram_first(s->back->ctx, &in, clock_mono_ms() + SMTP_ASK_MS, a, &out) != IPC_OK ||
	    out.status != SMTP_AUTH_LOGIN_STATUS_YES) {
		smtp_login_later(s, f.name);
		return;
	}
	s->scram_flag = f.flag;
	buf_reset(&s->login_name);
	PN_ASSERT(buf_add(&s->login_name, f.header));
	smtp_challenge(s, out.challenge, SMTP_ANSWER_SCRAM_FINAL);
}

static bool
bound(const struct smtp_session *s, struct slice said)
{
	struct slice binding = s->peer.bindable ? slice_of(s->peer.binding, SCRAM_BINDING) : S("");

	return scram_bound(buf_slice(&s->login_name), s->scram_flag, binding, said);
}

static void
final(struct smtp_session *s, struct slice line, struct arena *a)
{
	struct smtp_auth_scram_final in = { .session = s->peer.session };
	struct smtp_auth_scram_final_answer out;
	struct scram_final f;
	struct slice message;
	enum sasl_status st = sasl_decode(line, a, &message);
	struct buf text;

	if (st == SASL_OK)
		st = scram_final_parse(message, a, &f);
	if (!smtp_decoded(s, st))
		return;
	if (!bound(s, f.binding)) {
		smtp_login_failed(s, S(""), "wrong channel binding");
		return;
	}
	in.without_proof = f.without_proof;
	in.proof = slice_of(f.proof, SCRAM_PROOF);
	if (s->back->scram_final(s->back->ctx, &in, clock_mono_ms() + SMTP_ASK_MS, a, &out) != IPC_OK ||
	    out.status == SMTP_AUTH_LOGIN_STATUS_TRY_LATER) {
		smtp_login_later(s, S(""));
		return;
	}
	if (out.status != SMTP_AUTH_LOGIN_STATUS_YES || out.account == 0) {
		smtp_login_failed(s, S(""), out.status == SMTP_AUTH_LOGIN_STATUS_DISABLED ? "disabled" : "wrong");
		return;
	}
	s->proved_id = out.account;
	s->proved_revision = out.revision;
	buf_reset(&s->login_name);
	PN_ASSERT(buf_add(&s->login_name, out.address));
	buf_init(&text, 100);
	PN_ASSERT(buf_add(&text, S("v=")) && base64_encode(&text, out.signature));
	smtp_challenge(s, buf_slice(&text), SMTP_ANSWER_SCRAM_LAST);
	buf_free(&text);
}

/* RFC 4954 section 4: a last challenge wants an answer, which is empty. */
static void
last(struct smtp_session *s, struct slice line, struct arena *a)
{
	uint32_t id = s->proved_id;
	struct slice nothing, address;

	s->proved_id = 0;
	if (!smtp_decoded(s, sasl_decode(line, a, &nothing)))
		return;
	PN_ASSERT(arena_copy(a, buf_slice(&s->login_name), &address));
	if (nothing.n > 0)
		smtp_login_failed(s, address, "malformed");
	else
		smtp_logged_in(s, id, s->proved_revision, address, address,
		    s->scram_plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256");
}

void
smtp_scram_answer(struct smtp_session *s, enum smtp_answer what, struct slice line, struct arena *a)
{
	if (what == SMTP_ANSWER_SCRAM_FIRST)
		first(s, line, a);
	else if (what == SMTP_ANSWER_SCRAM_FINAL)
		final(s, line, a);
	else
		last(s, line, a);
	if (s->answer == SMTP_ANSWER_NONE)
		buf_free(&s->login_name);
}

void
smtp_scram_begin(struct smtp_session *s, bool plus, struct slice initial, struct arena *a)
{
	s->scram_plus = plus;
	if (initial.p == NULL)
		smtp_challenge(s, S(""), SMTP_ANSWER_SCRAM_FIRST);
	else
		smtp_scram_answer(s, SMTP_ANSWER_SCRAM_FIRST, initial, a);
}

void
smtp_oauth(struct smtp_session *s, struct slice line, struct arena *a)
{
	struct oauth_bearer b;

	if (smtp_decoded(s, oauth_bearer(line, a, &b)))
		smtp_challenge(s, S(OAUTH_INVALID), SMTP_ANSWER_OAUTH_LAST);
}
