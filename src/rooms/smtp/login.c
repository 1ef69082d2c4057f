/* SPDX-License-Identifier: MIT
 * AUTH (RFC 4954): PLAIN and LOGIN here, SCRAM and OAUTHBEARER in scram.c. Whoever is unknown, disabled or wrong gets the same bytes (U-006);
 * the answers hold passwords, which are wiped when the command ends. */
#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/parse/sasl/sasl.h"
#include "rooms/smtp/session.h"

void
smtp_login_failed(struct smtp_session *s, struct slice name, const char *why)
{
	struct buf ip;

	buf_init(&ip, LIMIT_IP_TEXT);
	(void)ip_put(&ip, &s->peer.ip);
	SMTP_EVENT(s, EVENT_LOGIN_FAILED, EF("protocol", S("smtp")), EF("name", name),
	    EF("ip", buf_slice(&ip)), EF("reason", slice_z(why)));
	buf_free(&ip);
	if (++s->bad_logins >= SMTP_BAD_LOGINS)
		smtp_cut(s, 421, "4.7.0", "too many failed logins");
	else
		smtp_error(s, 535, "5.7.8", "name or password is wrong");
}

/* Sends a challenge; the answer comes to smtp_auth_answer(), however long the client takes: it must not
 * hold a thread meanwhile. */
void
smtp_challenge(struct smtp_session *s, struct slice text, enum smtp_answer what)
{
	struct buf line;

	buf_init(&line, 2200);
	(void)buf_add(&line, S("334 "));
	PN_ASSERT(base64_encode(&line, text) && buf_add(&line, S("\r\n")));
	if (stream_write(&s->stream, buf_slice(&line), smtp_after(SMTP_WRITE_MS)) != STREAM_OK)
		s->over = true;
	buf_free(&line);
	s->answer = what;
}

/* True when what was decoded may be asked about; otherwise the reply was given. */
bool
smtp_decoded(struct smtp_session *s, enum sasl_status st)
{
	if (st == SASL_CANCEL)
		smtp_error(s, 501, "5.7.0", "cancelled");
	else if (st == SASL_SYNTAX)
		smtp_error(s, 501, "5.5.2", "not base64");
	else if (st == SASL_REFUSE)
		smtp_login_failed(s, S(""), "malformed");
	return st == SASL_OK;
}

void
smtp_login_later(struct smtp_session *s, struct slice name)
{
	SMTP_EVENT(s, EVENT_LOGIN_UNAVAILABLE, EF("protocol", S("smtp")), EF("name", name));
	smtp_reply(s, 454, "4.7.0", "logins are not possible now, try later");
}

void
smtp_logged_in(struct smtp_session *s, uint32_t account, uint64_t revision, struct slice address, struct slice name,
    const char *mechanism)
{
	txn_reset(s);
	buf_reset(&s->account);
	PN_ASSERT(buf_add(&s->account, address));
	s->account_id = account;
	s->revision = revision;
	SMTP_EVENT(s, EVENT_LOGIN_OK, EF("protocol", S("smtp")), EF("name", name), EF("mechanism", slice_z(mechanism)));
	smtp_reply(s, 235, "2.7.0", "welcome");
}

static void
ask(struct smtp_session *s, const struct sasl_login *who, const char *mechanism, struct arena *a)
{
	struct smtp_auth_login in = { .session = s->peer.session,
		.peer_ip = slice_of(s->peer.ip.b, s->peer.ip.n),
		.name = who->name,
		.password = who->password };
	struct smtp_auth_login_answer out;
	enum ipc_status st =
	    s->back->login(s->back->ctx, &in, clock_mono_ms() + 4 * SMTP_ASK_MS, a, &out);

	if (st != IPC_OK || out.status == SMTP_AUTH_LOGIN_STATUS_TRY_LATER)
		smtp_login_later(s, who->name);
	else if (out.status != SMTP_AUTH_LOGIN_STATUS_YES || out.account == 0)
		smtp_login_failed(s, who->name,
		    out.status == SMTP_AUTH_LOGIN_STATUS_DISABLED ? "disabled" : "wrong");
	else
		smtp_logged_in(s, out.account, out.revision, out.address, who->name, mechanism);
}

static void
plain(struct smtp_session *s, struct slice line, struct arena *a)
{
	struct sasl_login who;

	if (smtp_decoded(s, sasl_plain(line, a, &who)))
		ask(s, &who, "PLAIN", a);
}

static void
login_name(struct smtp_session *s, struct slice line, struct arena *a)
{
	struct slice name;

	if (!smtp_decoded(s, sasl_login_name(line, a, &name)))
		return;
	buf_reset(&s->login_name);
	PN_ASSERT(buf_add(&s->login_name, name));
	smtp_challenge(s, S("Password:"), SMTP_ANSWER_PASSWORD);
}

static void
login_password(struct smtp_session *s, struct slice line, struct arena *a)
{
	struct sasl_login who = { .name = buf_slice(&s->login_name) };

	if (smtp_decoded(s, sasl_login_password(line, a, &who.password)))
		ask(s, &who, "LOGIN", a);
	buf_free(&s->login_name);
}

void
smtp_auth_answer(struct smtp_session *s, enum stream_status st, struct slice line)
{
	own(arena_p) a = arena_new("login", LIMIT_ARENA_COMMAND);
	enum smtp_answer what = s->answer;

	s->answer = SMTP_ANSWER_NONE;
	if (st != STREAM_OK)
		smtp_error(s, 500, "5.5.6", "not a SASL response");
	else if (what == SMTP_ANSWER_PLAIN)
		plain(s, line, a);
	else if (what == SMTP_ANSWER_NAME)
		login_name(s, line, a);
	else if (what == SMTP_ANSWER_PASSWORD)
		login_password(s, line, a);
	else if (what == SMTP_ANSWER_OAUTH)
		smtp_oauth(s, line, a);
	else if (what == SMTP_ANSWER_OAUTH_LAST)
		smtp_login_failed(s, S(""), "no issuer of tokens");
	else
		smtp_scram_answer(s, what, line, a);
	stream_wipe(&s->stream);
}

void
smtp_auth(struct smtp_session *s, const struct smtp_command *cmd)
{
	own(arena_p) a = arena_new("login", LIMIT_ARENA_COMMAND);
	struct slice mechanism, initial;

	if (!s->conf->submission)
		smtp_error(s, 503, "5.5.1", "AUTH is not offered here");
	else if (s->account_id != 0 || s->txn.arena != NULL)
		smtp_error(s, 503, "5.5.1", "not now");
	else if (!smtp_auth_parse(cmd->args, &mechanism, &initial))
		smtp_error(s, 501, "5.5.4", "a mechanism is needed");
	else if (slice_ieq(mechanism, S("PLAIN")) && initial.p == NULL)
		smtp_challenge(s, S(""), SMTP_ANSWER_PLAIN);
	else if (slice_ieq(mechanism, S("PLAIN")))
		plain(s, initial, a);
	else if (slice_ieq(mechanism, S("LOGIN")) && initial.p == NULL)
		smtp_challenge(s, S("Username:"), SMTP_ANSWER_NAME);
	else if (slice_ieq(mechanism, S("LOGIN")))
		login_name(s, initial, a);
	else if (slice_ieq(mechanism, S("SCRAM-SHA-256")) && scram_offered(&s->conf->scram, false, s->peer.bindable))
		smtp_scram_begin(s, false, initial, a);
	else if (slice_ieq(mechanism, S("SCRAM-SHA-256-PLUS")) && scram_offered(&s->conf->scram, true, s->peer.bindable))
		smtp_scram_begin(s, true, initial, a);
	else if (slice_ieq(mechanism, S("OAUTHBEARER")) && initial.p == NULL)
		smtp_challenge(s, S(""), SMTP_ANSWER_OAUTH);
	else if (slice_ieq(mechanism, S("OAUTHBEARER")))
		smtp_oauth(s, initial, a);
	else
		smtp_error(s, 504, "5.5.4", "mechanism is not offered");
	stream_wipe(&s->stream);
}
