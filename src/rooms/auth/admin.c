/* SPDX-License-Identifier: MIT
 * What the administrator changes. A new password is hashed first; the change follows in the loop. */
#include <stdlib.h>

#include "ipc/auth_warden.h"
#include "ipc/cli_auth.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/idn/idn.h"
#include "rooms/auth/house.h"


struct account_change
auth_change_now(void)
{
	return (struct account_change){ .now = (uint64_t)clock_wall_us(), .by = S("cli") };
}

enum cli_auth_result
auth_result_of(enum store_err e)
{
	switch (e) {
	case STORE_OK:
		return CLI_AUTH_RESULT_OK;
	case STORE_EXISTS:
		return CLI_AUTH_RESULT_EXISTS;
	case STORE_NONE:
		return CLI_AUTH_RESULT_NONE;
	case STORE_REFUSED:
	case STORE_LIMIT:
		return CLI_AUTH_RESULT_INVALID;
	case STORE_FULL:
		return CLI_AUTH_RESULT_FULL;
	default:
		return CLI_AUTH_RESULT_FAILED;
	}
}

struct slice
auth_text_of(enum cli_auth_result res, const struct auth_words *w)
{
	switch (res) {
	case CLI_AUTH_RESULT_EXISTS:
		return w->exists;
	case CLI_AUTH_RESULT_NONE:
		return w->none;
	case CLI_AUTH_RESULT_INVALID:
		return w->invalid;
	case CLI_AUTH_RESULT_FULL:
		return S("no space left");
	case CLI_AUTH_RESULT_FAILED:
		return S("the account store failed");
	case CLI_AUTH_RESULT_OK:
		break;
	}
	return S("");
}

void
auth_changed(enum store_err e, struct slice what, struct slice subject, struct slice detail)
{
	if (e == STORE_OK)
		EVENT(EVENT_ADMIN_CHANGE, 0, S(""), S(""), EF("what", what), EF("subject", subject),
		    EF("detail", detail));
}

static void
end_sessions(struct auth_room *r, uint64_t account)
{
	struct auth_warden_revoke m = { .account = (uint32_t)account };

	if (r->warden != NULL)
		(void)auth_warden_revoke_send(r->warden, &m);
}

static struct auth_room *
room_of(void *ctx)
{
	return ((struct auth_peer *)ctx)->room;
}

/* ---- domains ---- */

static const struct auth_words domain_words = { S_INIT("that domain is there already"),
	S_INIT("no such domain"),
	S_INIT("no domain name, or the domain still has accounts or aliases") };

static void
on_domain_add(void *ctx, struct ipc_call *call, struct cli_auth_domain_add *m)
{
	enum store_err e = domain_add(room_of(ctx)->accounts, m->name, auth_change_now());
	struct cli_auth_domain_add_answer out = { .status = auth_result_of(e) };

	auth_changed(e, S("domain.add"), m->name, S(""));
	out.text = auth_text_of(out.status, &domain_words);
	(void)cli_auth_domain_add_answer(call, &out);
}

static void
on_domain_delete(void *ctx, struct ipc_call *call, struct cli_auth_domain_delete *m)
{
	enum store_err e = domain_delete(room_of(ctx)->accounts, m->name, auth_change_now());
	struct cli_auth_domain_delete_answer out = { .status = auth_result_of(e) };

	auth_changed(e, S("domain.delete"), m->name, S(""));
	out.text = auth_text_of(out.status, &domain_words);
	(void)cli_auth_domain_delete_answer(call, &out);
}

static bool
add_domain(void *ctx, const struct domain *row)
{
	struct auth_page *p = ctx;
	struct cli_auth_domain *d = p->row;

	p->more = p->n == AUTH_ROWS;
	if (p->more)
		return false;
	d = &d[p->n++];
	*d = (struct cli_auth_domain){ .created_us = (int64_t)row->created,
		.own_separator = row->own_separator };
	p->failed = !arena_copy(p->a, row->name, &d->name) || !arena_copy(p->a, row->alias_of, &d->alias_of) ||
	    !arena_copy(p->a, row->separator, &d->separator) ||
	    !arena_copy(p->a, row->catch_all, &d->catch_all);
	return !p->failed;
}

static void
on_domain_list(void *ctx, struct ipc_call *call, struct cli_auth_domain_list *m)
{
	own(arena_p) a = arena_new("list", LIMIT_ARENA_MESSAGE);
	struct auth_page p = { .a = a, .row = ARENA_ARRAY(a, AUTH_ROWS, struct cli_auth_domain) };
	enum store_err e = domain_list(room_of(ctx)->accounts, m->after, add_domain, &p);
	struct cli_auth_domain_list_answer out = { .status = CLI_AUTH_RESULT_FAILED };

	if (e == STORE_OK && !p.failed)
		out = (struct cli_auth_domain_list_answer){ .status = CLI_AUTH_RESULT_OK,
			.domains = p.row, .n_domains = p.n, .more = p.more };
	(void)cli_auth_domain_list_answer(call, &out);
}

/* ---- passwords: hashed in another thread, then stored ---- */

static const struct auth_words account_words = { S_INIT("an account or an alias has this address"),
	S_INIT("no such account, or the domain is not ours"), S_INIT("this is no address") };

struct setting {
	struct hash_job job;	/* first */
	struct auth_room *room;
	struct ipc_call call;
	char address[LIMIT_LOGIN_NAME];
	size_t address_n;
	bool add;
};

static void
answer_setting(struct setting *s, enum cli_auth_result res, struct slice text, uint64_t id)
{
	if (s->add) {
		struct cli_auth_account_add_answer out = { .status = res, .text = text,
			.id = (uint32_t)id };

		(void)cli_auth_account_add_answer(&s->call, &out);
	} else {
		struct cli_auth_account_passwd_answer out = { .status = res, .text = text };

		(void)cli_auth_account_passwd_answer(&s->call, &out);
	}
	sodium_memzero(s, sizeof *s);
	free(s);
}

static void
set_password(struct setting *s, struct slice address, struct slice hash)
{
	struct auth_room *r = s->room;
	struct account acc = { 0 };
	own(arena_p) a = arena_new("passwd", LIMIT_ARENA_COMMAND);
	enum store_err e = account_set_hash(r->accounts, address, hash, auth_change_now());
	enum cli_auth_result res = auth_result_of(e);

	auth_changed(e, S("account.password"), address, S(""));
	if (e == STORE_OK && account_find(r->accounts, address, a, &acc) == STORE_OK)
		end_sessions(r, acc.id);
	answer_setting(s, res, auth_text_of(res, &account_words), acc.id);
}

static void
password_hashed(struct hash_job *j)
{
	struct setting *s = (struct setting *)j; /* job stands first */
	struct slice address = slice_of(s->address, s->address_n), hash = slice_z(j->hash);
	enum cli_auth_result res;
	enum store_err e;
	uint64_t id = 0;

	if (!j->ok) {
		answer_setting(s, CLI_AUTH_RESULT_FAILED, S("no memory to hash the password"), 0);
		return;
	}
	if (!s->add) {
		set_password(s, address, hash);
		return;
	}
	e = account_add(s->room->accounts, address, hash, auth_change_now(), &id);
	res = auth_result_of(e);
	auth_changed(e, S("account.add"), address, S(""));
	answer_setting(s, res, auth_text_of(res, &account_words), id);
}

static bool
range_full(struct auth_room *r)
{
	uint64_t next = 0;

	return account_next_id(r->accounts, &next) == STORE_OK && next > r->user_range;
}

static void
start_setting(struct auth_room *r, struct ipc_call *call, bool add, struct slice address,
    struct slice password)
{
	own(arena_p) a = arena_new("passwd", LIMIT_ARENA_COMMAND);
	struct setting *s = calloc(1, sizeof *s);

	PN_ASSERT(s != NULL && address.n <= sizeof s->address);
	s->room = r;
	s->call = *call;
	s->add = add;
	s->address_n = address.n;
	if (address.n > 0)
		memcpy(s->address, address.p, address.n);
	s->job.make = true;
	s->job.no_scram = r->no_scram;
	s->job.done = password_hashed;
	if (!idn_password(password, a, &password) || password.n < AUTH_PASSWORD_LEAST ||
	    password.n > LIMIT_PASSWORD) {
		answer_setting(s, CLI_AUTH_RESULT_INVALID, S("a password has 8 to 1024 bytes"), 0);
	} else if (add && range_full(r)) {
		answer_setting(s, CLI_AUTH_RESULT_FULL, S("the range of user ids is used up"), 0);
	} else {
		hash_job_fill(&s->job, password, S(""));
		if (!hasher_add(r->hasher, &s->job))
			answer_setting(s, CLI_AUTH_RESULT_FAILED, S("too many logins at once"), 0);
	}
}

static void
on_account_add(void *ctx, struct ipc_call *call, struct cli_auth_account_add *m)
{
	start_setting(room_of(ctx), call, true, m->address, m->password);
}

static void
on_account_passwd(void *ctx, struct ipc_call *call, struct cli_auth_account_passwd *m)
{
	start_setting(room_of(ctx), call, false, m->address, m->password);
}

/* ---- accounts ---- */

static void
on_account_enable(void *ctx, struct ipc_call *call, struct cli_auth_account_enable *m)
{
	struct auth_room *r = room_of(ctx);
	own(arena_p) a = arena_new("enable", LIMIT_ARENA_COMMAND);
	struct account acc;
	enum store_err e = account_set_state(r->accounts, m->address,
	    m->enabled ? ACCOUNT_ENABLED : ACCOUNT_DISABLED, auth_change_now());
	struct cli_auth_account_enable_answer out = { .status = auth_result_of(e) };

	auth_changed(e, S("account.state"), m->address, m->enabled ? S("enabled") : S("disabled"));
	if (e == STORE_OK && !m->enabled &&
	    account_find(r->accounts, m->address, a, &acc) == STORE_OK)
		end_sessions(r, acc.id);
	out.text = auth_text_of(out.status, &account_words);
	(void)cli_auth_account_enable_answer(call, &out);
}

static void
on_account_delete(void *ctx, struct ipc_call *call, struct cli_auth_account_delete *m)
{
	struct auth_room *r = room_of(ctx);
	uint64_t id = 0;
	enum store_err e = account_delete(r->accounts, m->address, auth_change_now(), &id);
	struct cli_auth_account_delete_answer out = { .status = auth_result_of(e) };
	struct auth_warden_forget forget = { .account = (uint32_t)id };

	auth_changed(e, S("account.delete"), m->address, S(""));
	if (e == STORE_OK && r->warden != NULL)
		(void)auth_warden_forget_send(r->warden, &forget);
	out.text = auth_text_of(out.status, &account_words);
	(void)cli_auth_account_delete_answer(call, &out);
}

static bool
add_account(void *ctx, const struct account *acc)
{
	struct auth_page *p = ctx;
	struct cli_auth_account *all = p->row, *to;

	p->more = p->n == AUTH_ROWS;
	if (p->more)
		return false;
	to = &all[p->n++];
	*to = (struct cli_auth_account){ .id = (uint32_t)acc->id,
		.enabled = acc->state == ACCOUNT_ENABLED, .created_us = (int64_t)acc->created,
		.login_us = (int64_t)acc->login };
	p->failed = !arena_copy(p->a, acc->address, &to->address);
	return !p->failed;
}

static void
on_account_list(void *ctx, struct ipc_call *call, struct cli_auth_account_list *m)
{
	own(arena_p) a = arena_new("list", LIMIT_ARENA_MESSAGE);
	struct auth_page p = { .a = a, .row = ARENA_ARRAY(a, AUTH_ROWS, struct cli_auth_account) };
	enum store_err e = account_list(room_of(ctx)->accounts, m->after, add_account, &p);
	struct cli_auth_account_list_answer out = { .status = CLI_AUTH_RESULT_FAILED };

	if (e == STORE_OK && !p.failed)
		out = (struct cli_auth_account_list_answer){ .status = CLI_AUTH_RESULT_OK,
			.accounts = p.row, .n_accounts = p.n, .more = p.more };
	(void)cli_auth_account_list_answer(call, &out);
}

/* ---- aliases ---- */

static const struct auth_words alias_words = { S_INIT("that is there already"),
	S_INIT("no such alias, or its domain or target is unknown"),
	S_INIT("no address, or its mail would come back to itself, or too many or too deep") };

static void
on_alias_add(void *ctx, struct ipc_call *call, struct cli_auth_alias_add *m)
{
	enum store_err e = alias_add(room_of(ctx)->accounts, m->address, m->target, auth_change_now());
	struct cli_auth_alias_add_answer out = { .status = auth_result_of(e) };

	auth_changed(e, S("alias.add"), m->address, m->target);
	out.text = auth_text_of(out.status, &alias_words);
	(void)cli_auth_alias_add_answer(call, &out);
}

static void
on_alias_delete(void *ctx, struct ipc_call *call, struct cli_auth_alias_delete *m)
{
	enum store_err e = alias_delete(room_of(ctx)->accounts, m->address, m->target,
	    auth_change_now());
	struct cli_auth_alias_delete_answer out = { .status = auth_result_of(e) };

	auth_changed(e, S("alias.delete"), m->address, m->target);
	out.text = auth_text_of(out.status, &alias_words);
	(void)cli_auth_alias_delete_answer(call, &out);
}

static bool
add_alias(void *ctx, struct slice address, struct slice target)
{
	struct auth_page *p = ctx;
	struct cli_auth_alias *all = p->row, *to;

	p->more = p->n == AUTH_ROWS;
	if (p->more)
		return false;
	to = &all[p->n++];
	p->failed = !arena_copy(p->a, address, &to->address) ||
	    !arena_copy(p->a, target, &to->target);
	return !p->failed;
}

static void
on_alias_list(void *ctx, struct ipc_call *call, struct cli_auth_alias_list *m)
{
	own(arena_p) a = arena_new("list", LIMIT_ARENA_MESSAGE);
	struct auth_page p = { .a = a, .row = ARENA_ARRAY(a, AUTH_ROWS, struct cli_auth_alias) };
	enum store_err e = alias_list(room_of(ctx)->accounts, m->after, m->after_target, add_alias,
	    &p);
	struct cli_auth_alias_list_answer out = { .status = CLI_AUTH_RESULT_FAILED };

	if (e == STORE_OK && !p.failed)
		out = (struct cli_auth_alias_list_answer){ .status = CLI_AUTH_RESULT_OK,
			.aliases = p.row, .n_aliases = p.n, .more = p.more };
	(void)cli_auth_alias_list_answer(call, &out);
}

enum ipc_status
auth_cli_serve(struct auth_peer *p)
{
	static const struct cli_auth_server handlers = { .domain_add = on_domain_add,
		.domain_list = on_domain_list, .domain_delete = on_domain_delete,
		.account_add = on_account_add, .account_list = on_account_list,
		.account_passwd = on_account_passwd, .account_enable = on_account_enable,
		.account_delete = on_account_delete, .alias_add = on_alias_add,
		.alias_list = on_alias_list, .alias_delete = on_alias_delete,
		.domain_alias = auth_on_domain_alias, .domain_separator = auth_on_domain_separator,
		.domain_catch_all = auth_on_domain_catch_all, .list_add = auth_on_list_add,
		.list_list = auth_on_list_list, .list_delete = auth_on_list_delete,
		.sender_grant = auth_on_sender_grant, .sender_list = auth_on_sender_list,
		.limits_set = auth_on_limits_set, .limits_list = auth_on_limits_list,
		.policy_set = auth_on_policy_set, .policy_list = auth_on_policy_list };

	return cli_auth_server_serve(p->ch, &handlers, p);
}
