/* SPDX-License-Identifier: MIT
 * What the administrator changes about the ways of mail: domains, lists, granted senders, limits. */
#include "rooms/auth/house.h"

#include "lib/events/events.h"

_Static_assert((int)CLI_AUTH_WRITERS_ANYONE + 1 == LIST_ANYONE &&
    (int)CLI_AUTH_WRITERS_OWNERS + 1 == LIST_OWNERS, "one numbering");

static struct accounts *
store_of(void *ctx)
{
	return ((struct auth_peer *)ctx)->room->accounts;
}

static const struct auth_words domain_words = { S_INIT("that is there already"),
	S_INIT("no such domain, or nobody has the target's address"),
	S_INIT("a domain with addresses of its own cannot be an alias, nor be the alias of one; a catch-all must "
	       "not lead in circles; a separator is one character, no letter and no digit") };
static const struct auth_words list_words = { S_INIT("an account has this address"),
	S_INIT("no such list, or its domain is not ours, or nobody has the owner's address"),
	S_INIT("no address, or the owner's mail would come back to the list") };
static const struct auth_words sender_words = { S_INIT("it may write as that already"),
	S_INIT("no such account, or it was not granted that"),
	S_INIT("neither an address nor \"@domain\"") };
static const struct auth_words limits_words = { S_INIT(""), S_INIT("no such account or domain"),
	S_INIT("a limit is a number, or \"default\"") };

void
auth_on_domain_alias(void *ctx, struct ipc_call *call, struct cli_auth_domain_alias *m)
{
	enum store_err e = domain_set_alias(store_of(ctx), m->name, m->target, auth_change_now());
	struct cli_auth_domain_alias_answer out = { .status = auth_result_of(e) };

	auth_changed(e, S("domain.alias"), m->name, m->target);
	out.text = auth_text_of(out.status, &domain_words);
	(void)cli_auth_domain_alias_answer(call, &out);
}

void
auth_on_domain_separator(void *ctx, struct ipc_call *call, struct cli_auth_domain_separator *m)
{
	enum store_err e = domain_set_separator(store_of(ctx), m->name, m->own ? &m->separator : NULL,
	    auth_change_now());
	struct cli_auth_domain_separator_answer out = { .status = auth_result_of(e) };

	auth_changed(e, S("domain.separator"), m->name, m->separator);
	out.text = auth_text_of(out.status, &domain_words);
	(void)cli_auth_domain_separator_answer(call, &out);
}

void
auth_on_domain_catch_all(void *ctx, struct ipc_call *call, struct cli_auth_domain_catch_all *m)
{
	enum store_err e = domain_set_catch_all(store_of(ctx), m->name, m->target,
	    auth_change_now());
	struct cli_auth_domain_catch_all_answer out = { .status = auth_result_of(e) };

	auth_changed(e, S("domain.catch-all"), m->name, m->target);
	out.text = auth_text_of(out.status, &domain_words);
	(void)cli_auth_domain_catch_all_answer(call, &out);
}

void
auth_on_list_add(void *ctx, struct ipc_call *call, struct cli_auth_list_add *m)
{
	struct list l = { m->address, m->owner, (enum list_writers)((int)m->writers + 1) };
	enum store_err e = list_add(store_of(ctx), &l, auth_change_now());
	struct cli_auth_list_add_answer out = { .status = auth_result_of(e) };

	auth_changed(e, S("list.add"), m->address, m->owner);
	out.text = auth_text_of(out.status, &list_words);
	(void)cli_auth_list_add_answer(call, &out);
}

void
auth_on_list_delete(void *ctx, struct ipc_call *call, struct cli_auth_list_delete *m)
{
	enum store_err e = list_delete(store_of(ctx), m->address, auth_change_now());
	struct cli_auth_list_delete_answer out = { .status = auth_result_of(e) };

	auth_changed(e, S("list.delete"), m->address, S(""));
	out.text = auth_text_of(out.status, &list_words);
	(void)cli_auth_list_delete_answer(call, &out);
}

void
auth_on_sender_grant(void *ctx, struct ipc_call *call, struct cli_auth_sender_grant *m)
{
	enum store_err e = m->grant ?
	    sender_grant(store_of(ctx), m->account, m->address, auth_change_now()) :
	    sender_revoke(store_of(ctx), m->account, m->address, auth_change_now());
	struct cli_auth_sender_grant_answer out = { .status = auth_result_of(e) };

	auth_changed(e, m->grant ? S("sender.grant") : S("sender.revoke"), m->account, m->address);
	out.text = auth_text_of(out.status, &sender_words);
	(void)cli_auth_sender_grant_answer(call, &out);
}

/* What the request leaves as it is comes from what is there. */
static enum store_err
set_limits(struct accounts *a, const struct cli_auth_limits_set *m)
{
	struct limits l = { LIMITS_UNSET, LIMITS_UNSET, LIMITS_UNSET };
	enum store_err e = limits_own(a, m->subject, &l);

	if (e != STORE_OK && e != STORE_NONE)
		return e;
	l.rcpts = m->rcpts == -2 ? l.rcpts : m->rcpts;
	l.messages = m->messages == -2 ? l.messages : m->messages;
	l.inbound = m->inbound == -2 ? l.inbound : m->inbound;
	return limits_set(a, m->subject, &l, auth_change_now());
}

void
auth_on_limits_set(void *ctx, struct ipc_call *call, struct cli_auth_limits_set *m)
{
	enum store_err e = set_limits(store_of(ctx), m);
	struct cli_auth_limits_set_answer out = { .status = auth_result_of(e) };
	own(buf_t) words = { .max = 200 };

	buf_fmt(&words, "recipients %lld messages %lld inbound %lld", (long long)m->rcpts,
	    (long long)m->messages, (long long)m->inbound);
	auth_changed(e, S("limits"), m->subject, buf_slice(&words));
	out.text = auth_text_of(out.status, &limits_words);
	(void)cli_auth_limits_set_answer(call, &out);
}

static bool
add_list_list(void *ctx, const struct list *l)
{
	struct auth_page *p = ctx;
	struct cli_auth_list_row *to = p->row;

	p->more = p->n == AUTH_ROWS;
	if (p->more)
		return false;
	to = &to[p->n++];
	*to = (struct cli_auth_list_row){ .writers = (enum cli_auth_writers)((int)l->writers - 1) };
	p->failed = !arena_copy(p->a, l->address, &to->address) || !arena_copy(p->a, l->owner, &to->owner);
	return !p->failed;
}

void
auth_on_list_list(void *ctx, struct ipc_call *call, struct cli_auth_list_list *m)
{
	own(arena_p) a = arena_new("list", LIMIT_ARENA_MESSAGE);
	struct auth_page p = { .a = a, .row = ARENA_ARRAY(a, AUTH_ROWS, struct cli_auth_list_row) };
	enum store_err e = list_list(store_of(ctx), m->after, add_list_list, &p);
	struct cli_auth_list_list_answer out = { .status = CLI_AUTH_RESULT_FAILED };

	if (e == STORE_OK && !p.failed)
		out = (struct cli_auth_list_list_answer){ .status = CLI_AUTH_RESULT_OK,
			.lists = p.row, .n_lists = p.n, .more = p.more };
	(void)cli_auth_list_list_answer(call, &out);
}

static bool
add_sender_list(void *ctx, struct slice account, struct slice address)
{
	struct auth_page *p = ctx;
	struct cli_auth_sender *to = p->row;

	p->more = p->n == AUTH_ROWS;
	if (p->more)
		return false;
	to = &to[p->n++];
	p->failed = !arena_copy(p->a, account, &to->account) || !arena_copy(p->a, address, &to->address);
	return !p->failed;
}

void
auth_on_sender_list(void *ctx, struct ipc_call *call, struct cli_auth_sender_list *m)
{
	own(arena_p) a = arena_new("list", LIMIT_ARENA_MESSAGE);
	struct auth_page p = { .a = a, .row = ARENA_ARRAY(a, AUTH_ROWS, struct cli_auth_sender) };
	enum store_err e = sender_list(store_of(ctx), m->after, m->after_address, add_sender_list, &p);
	struct cli_auth_sender_list_answer out = { .status = CLI_AUTH_RESULT_FAILED };

	if (e == STORE_OK && !p.failed)
		out = (struct cli_auth_sender_list_answer){ .status = CLI_AUTH_RESULT_OK,
			.senders = p.row, .n_senders = p.n, .more = p.more };
	(void)cli_auth_sender_list_answer(call, &out);
}

static bool
add_limits_list(void *ctx, struct slice subject, const struct limits *l)
{
	struct auth_page *p = ctx;
	struct cli_auth_limits *to = p->row;

	p->more = p->n == AUTH_ROWS;
	if (p->more)
		return false;
	to = &to[p->n++];
	*to = (struct cli_auth_limits){ .rcpts = l->rcpts, .messages = l->messages,
		.inbound = l->inbound };
	p->failed = !arena_copy(p->a, subject, &to->subject);
	return !p->failed;
}

void
auth_on_limits_list(void *ctx, struct ipc_call *call, struct cli_auth_limits_list *m)
{
	own(arena_p) a = arena_new("list", LIMIT_ARENA_MESSAGE);
	struct auth_page p = { .a = a, .row = ARENA_ARRAY(a, AUTH_ROWS, struct cli_auth_limits) };
	enum store_err e = limits_list(store_of(ctx), m->more, m->after, add_limits_list, &p);
	struct cli_auth_limits_list_answer out = { .status = CLI_AUTH_RESULT_FAILED };

	if (e == STORE_OK && !p.failed)
		out = (struct cli_auth_limits_list_answer){ .status = CLI_AUTH_RESULT_OK,
			.limits = p.row, .n_limits = p.n, .more = p.more };
	(void)cli_auth_limits_list_answer(call, &out);
}
