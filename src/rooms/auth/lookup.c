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
	case STORE_LIMIT:
		return SMTP_AUTH_RCPT_STATUS_LOOP;
	default:
		return SMTP_AUTH_RCPT_STATUS_TRY_LATER;
	}
}

/* One of those whom mail for an address that is to hear of failures reaches; not through a list, which would send it
 * round. False: nobody. */
static bool
hears(struct auth_room *r, struct slice address, struct arena *a, struct smtp_auth_target *out)
{
	struct resolved *to = ARENA_NEW(a, struct resolved);
	enum store_err e = to == NULL || address.n == 0 ? STORE_LIMIT : accounts_resolve(r->accounts, address, a, to);

	out->sender = address;
	out->owner = 0;
	if (e == STORE_NONE)
		return !to->local_domain;
	for (size_t i = 0; e == STORE_OK && i < to->n; i++)
		if (!to->to[i].by_list && to->to[i].account != 0) {
			out->owner = (uint32_t)to->to[i].account;
			return true;
		}
	for (size_t i = 0; e == STORE_OK && i < to->n; i++)
		if (!to->to[i].by_list) {
			out->sender = to->to[i].address;
			return true;
		}
	return false;
}

/* Mail of a list has its owner as the envelope sender (RFC 5321 section 3.9.2), who hears of what cannot be
 * delivered; where there is none (any more), the postmaster of the list's domain, or of the first one. */
static bool
from_list(struct auth_room *r, const struct list *l, struct arena *a, struct smtp_auth_target *out)
{
	own(buf_t) b = { .max = 2 * LIMIT_SMTP_ADDRESS };
	size_t at = slice_rfind_byte(l->address, '@');
	struct slice postmaster;

	if (hears(r, l->owner, a, out))
		return true;
	if (at == SLICE_NONE || !buf_add(&b, S("postmaster")) || !buf_add(&b, slice_from(l->address, at)) ||
	    !arena_copy(a, buf_slice(&b), &postmaster))
		return false;
	if (!hears(r, postmaster, a, out) && hears(r, S("postmaster"), a, out))
		out->sender = postmaster;
	return true;
}

/* Fills targets: what differs from the envelope is the sender of what goes through a list or elsewhere. */
static enum store_err
write_targets(struct auth_room *r, const struct smtp_auth_rcpt *m, const struct resolved *to, bool back,
    struct arena *a, struct smtp_auth_target *target)
{
	struct smtp_auth_target list = { 0 };

	if (to->list.address.n > 0 && !from_list(r, &to->list, a, &list))
		return STORE_FULL;
	for (size_t i = 0; i < to->n; i++) {
		const struct target *t = &to->to[i];

		target[i] = (struct smtp_auth_target){ .account = (uint32_t)t->account,
			.address = t->address };
		if (t->by_list) {
			target[i].sender = list.sender;
			target[i].owner = list.owner;
			target[i].listed = true;
		} else if (t->account == 0 && !back &&
		    !auth_forward_sender(r, m->sender, to->domain, a, &target[i].sender))
			return STORE_FULL;
	}
	return STORE_OK;
}

/* Of those who could be reached: is this sender too many, or not wanted on the list? */
static enum smtp_auth_rcpt_status
permitted(struct auth_peer *p, const struct smtp_auth_rcpt *m, const struct resolved *to,
    enum smtp_auth_rcpt_status st, struct slice *text)
{
	struct auth_room *r = p->room;
	uint64_t account = p->kind == AUTH_SUBMISSION ? m->account : 0;
	bool reached = st == SMTP_AUTH_RCPT_STATUS_OK;

	if (reached && to->list.address.n > 0) {
		enum store_err e = accounts_may_write(r->accounts, &to->list, m->sender, account);

		if (e != STORE_OK) {
			*text = S("this list does not take mail from you");
			return e == STORE_NONE ? SMTP_AUTH_RCPT_STATUS_REFUSED :
						 SMTP_AUTH_RCPT_STATUS_TRY_LATER;
		}
	}
	if (account != 0 && (reached || st == SMTP_AUTH_RCPT_STATUS_NOT_LOCAL) &&
	    !auth_limits_sender(r, account, m->first, text))
		return SMTP_AUTH_RCPT_STATUS_SLOW_DOWN;
	if (p->kind == AUTH_MX && reached && !auth_limits_inbound(r, to, m->sender.n == 0, text))
		return SMTP_AUTH_RCPT_STATUS_SLOW_DOWN;
	return st;
}

static void
on_rcpt(void *ctx, struct ipc_call *call, struct smtp_auth_rcpt *m)
{
	struct auth_peer *p = ctx;
	struct auth_room *r = p->room;
	own(arena_p) a = arena_new("rcpt", LIMIT_ARENA_MESSAGE);
	struct smtp_auth_target *target = ARENA_ARRAY(a, ACCOUNTS_TARGETS, struct smtp_auth_target);
	struct resolved *to = ARENA_NEW(a, struct resolved);
	struct smtp_auth_rcpt_answer out = { .status = SMTP_AUTH_RCPT_STATUS_TRY_LATER,
		.targets = target };
	bool back = auth_forward_is_back(r, m->address);
	enum store_err e = STORE_NONE;

	PN_ASSERT(target != NULL && to != NULL);
	to->local_domain = back;
	if (!back)
		e = accounts_resolve(r->accounts, m->address, a, to);
	else if (m->sender.n == 0) /* nothing but a bounce comes back */
		e = auth_forward_back(r, m->address, a, to);
	if (!back && auth_for_clerk(m->address, e, to)) {
		target[0] = (struct smtp_auth_target){ .account = ACCOUNT_CLERK, .address = m->address };
		out.status = SMTP_AUTH_RCPT_STATUS_OK;
		out.n_targets = 1;
		(void)smtp_auth_rcpt_answer(call, &out);
		return;
	}
	out.status = permitted(p, m, to, status_of(e, to), &out.text);
	if (out.status == SMTP_AUTH_RCPT_STATUS_OK) {
		out.n_targets = to->n;
		out.list = to->list.address;
		if (write_targets(r, m, to, back, a, target) != STORE_OK)
			out = (struct smtp_auth_rcpt_answer){ .status = SMTP_AUTH_RCPT_STATUS_TRY_LATER };
	}
	(void)smtp_auth_rcpt_answer(call, &out);
}

static void
on_owns(void *ctx, struct ipc_call *call, struct smtp_auth_owns *m)
{
	struct auth_room *r = ((struct auth_peer *)ctx)->room;
	own(arena_p) a = arena_new("owns", LIMIT_ARENA_COMMAND);
	struct smtp_auth_owns_answer out = { 0 };
	struct account acc;
	enum store_err e = account_by_id(r->accounts, m->account, a, &acc);

	out.ended = e == STORE_NONE || (e == STORE_OK && (acc.state != ACCOUNT_ENABLED || acc.revision != m->revision));
	out.owns = e == STORE_OK && !out.ended;
	for (size_t i = 0; out.owns && i < m->n_addresses; i++) {
		e = accounts_owns(r->accounts, m->account, m->addresses[i].address);
		out.owns = e == STORE_OK;
	}
	if (e != STORE_OK && e != STORE_NONE)
		(void)ipc_refuse(call); /* the asker says "try later" */
	else
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

static void
on_smtp_scram_first(void *ctx, struct ipc_call *call, struct smtp_auth_scram_first *m)
{
	struct auth_asked q = { .call = call, .service = AUTH_SERVICE_SUBMISSION,
		.session = m->session, .peer_ip = m->peer_ip, .name = m->name };

	auth_exchange_first(((struct auth_peer *)ctx)->room, &q, m->bare);
}

static void
on_smtp_scram_final(void *ctx, struct ipc_call *call, struct smtp_auth_scram_final *m)
{
	struct auth_asked q = { .call = call, .service = AUTH_SERVICE_SUBMISSION, .session = m->session };

	auth_exchange_final(((struct auth_peer *)ctx)->room, &q, m->without_proof, m->proof);
}

static void
on_lobby_scram_first(void *ctx, struct ipc_call *call, struct lobby_auth_scram_first *m)
{
	struct auth_asked q = { .call = call, .service = AUTH_SERVICE_LOBBY, .session = m->session,
		.peer_ip = m->peer_ip, .name = m->name };

	auth_exchange_first(((struct auth_peer *)ctx)->room, &q, m->bare);
}

static void
on_lobby_scram_final(void *ctx, struct ipc_call *call, struct lobby_auth_scram_final *m)
{
	struct auth_asked q = { .call = call, .service = AUTH_SERVICE_LOBBY, .session = m->session };

	auth_exchange_final(((struct auth_peer *)ctx)->room, &q, m->without_proof, m->proof);
}

enum ipc_status
auth_smtp_serve(struct auth_peer *p)
{
	static const struct smtp_auth_server handlers = { .rcpt = on_rcpt, .login = on_smtp_login,
		.owns = on_owns, .scram_first = on_smtp_scram_first,
		.scram_final = on_smtp_scram_final };

	return smtp_auth_server_serve(p->ch, &handlers, p);
}

enum ipc_status
auth_lobby_serve(struct auth_peer *p)
{
	static const struct lobby_auth_server handlers = { .login = on_lobby_login,
		.scram_first = on_lobby_scram_first, .scram_final = on_lobby_scram_final };

	return lobby_auth_server_serve(p->ch, &handlers, p);
}
