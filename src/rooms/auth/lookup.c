/* SPDX-License-Identifier: MIT
 * What smtp asks about addresses, and the questions that become logins. */
#include "ipc/lobby_auth.h"
#include "ipc/smtp_auth.h"
#include "rooms/auth/house.h"

static enum smtp_auth_rcpt_status
status_of(enum store_err e, const struct resolved *to)
{
	switch (e) {
	case STORE_OK:
		return SMTP_AUTH_RCPT_STATUS_OK;
	case STORE_NONE:
		return to->local_domain ? SMTP_AUTH_RCPT_STATUS_UNKNOWN_USER :
					  SMTP_AUTH_RCPT_STATUS_NOT_LOCAL;
	case STORE_REFUSED:
		return SMTP_AUTH_RCPT_STATUS_DISABLED;
	default:
		return SMTP_AUTH_RCPT_STATUS_TRY_LATER;
	}
}

static void
on_rcpt(void *ctx, struct ipc_call *call, struct smtp_auth_rcpt *m)
{
	struct auth_room *r = ((struct auth_peer *)ctx)->room;
	own(arena_p) a = arena_new("rcpt", LIMIT_ARENA_SESSION);
	struct smtp_auth_target target[ACCOUNTS_TARGETS];
	struct resolved to;
	enum store_err e = accounts_resolve(r->accounts, m->address, &to);
	struct smtp_auth_rcpt_answer out = { .status = status_of(e, &to), .targets = target };

	for (size_t i = 0; e == STORE_OK && i < to.n; i++) {
		struct account acc;

		e = account_by_id(r->accounts, to.id[i], a, &acc);
		target[i] = (struct smtp_auth_target){ .account = (uint32_t)to.id[i],
			.address = acc.address };
	}
	out.n_targets = e == STORE_OK ? to.n : 0;
	if (out.status == SMTP_AUTH_RCPT_STATUS_OK && e != STORE_OK)
		out.status = SMTP_AUTH_RCPT_STATUS_TRY_LATER;
	(void)smtp_auth_rcpt_answer(call, &out);
}

static void
on_owns(void *ctx, struct ipc_call *call, struct smtp_auth_owns *m)
{
	struct auth_room *r = ((struct auth_peer *)ctx)->room;
	struct smtp_auth_owns_answer out = { .owns = m->account != 0 && m->n_addresses > 0 };

	for (size_t k = 0; k < m->n_addresses; k++) {
		struct resolved to;
		bool its = false;

		if (accounts_resolve(r->accounts, m->addresses[k].address, &to) == STORE_OK)
			for (size_t i = 0; i < to.n; i++)
				its = its || to.id[i] == m->account;
		out.owns = out.owns && its;
	}
	(void)smtp_auth_owns_answer(call, &out);
}

static void
on_smtp_login(void *ctx, struct ipc_call *call, struct smtp_auth_login *m)
{
	struct auth_asked q = { .call = call, .service = AUTH_SERVICE_SUBMISSION,
		.session = m->session, .peer_ip = m->peer_ip, .name = m->name,
		.password = m->password };

	auth_login(((struct auth_peer *)ctx)->room, &q);
}

static void
on_lobby_login(void *ctx, struct ipc_call *call, struct lobby_auth_login *m)
{
	struct auth_asked q = { .call = call, .service = AUTH_SERVICE_LOBBY, .session = m->session,
		.peer_ip = m->peer_ip, .name = m->name, .password = m->password };

	auth_login(((struct auth_peer *)ctx)->room, &q);
}

enum ipc_status
auth_smtp_serve(struct auth_peer *p)
{
	static const struct smtp_auth_server handlers = { .rcpt = on_rcpt, .login = on_smtp_login,
		.owns = on_owns };

	return smtp_auth_server_serve(p->ch, &handlers, p);
}

enum ipc_status
auth_lobby_serve(struct auth_peer *p)
{
	static const struct lobby_auth_server handlers = { .login = on_lobby_login };

	return lobby_auth_server_serve(p->ch, &handlers, p);
}
