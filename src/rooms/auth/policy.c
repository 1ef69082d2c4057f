/* SPDX-License-Identifier: MIT
 * Rules for domains of senders: scan asks for them, the administrator makes them. */
#include "ipc/cli_auth.h"
#include "ipc/scan_auth.h"
#include "rooms/auth/house.h"

_Static_assert((int)SCAN_AUTH_POLICY_REJECT == (int)SENDER_POLICY_REJECT, "one numbering");
_Static_assert((int)SCAN_AUTH_POLICY_QUARANTINE == (int)SENDER_POLICY_QUARANTINE, "one numbering");
_Static_assert((int)CLI_AUTH_POLICY_REJECT == (int)SENDER_POLICY_REJECT, "one numbering");
_Static_assert((int)CLI_AUTH_POLICY_UNSAID == (int)SENDER_POLICY_UNSAID, "one numbering");

static struct accounts *
store_of(void *ctx)
{
	return ((struct auth_peer *)ctx)->room->accounts;
}

static void
on_sender_policy(void *ctx, struct ipc_call *call, struct scan_auth_sender_policy *m)
{
	enum sender_policy p = SENDER_POLICY_UNSAID;
	enum store_err e = policy_of(store_of(ctx), m->domain, &p);
	struct scan_auth_sender_policy_answer out = { .status = e == STORE_OK ? SCAN_AUTH_RESULT_OK :
		    SCAN_AUTH_RESULT_TRY_LATER, .policy = (enum scan_auth_policy)p };

	(void)scan_auth_sender_policy_answer(call, &out);
}

enum ipc_status
auth_scan_serve(struct auth_peer *p)
{
	static const struct scan_auth_server handlers = { .sender_policy = on_sender_policy };

	return scan_auth_server_serve(p->ch, &handlers, p);
}

void
auth_on_policy_set(void *ctx, struct ipc_call *call, struct cli_auth_policy_set *m)
{
	static const struct auth_words words = { S_INIT(""), S_INIT("there is no rule for this domain"),
		S_INIT("no domain name") };
	enum store_err e = policy_set(store_of(ctx), m->domain, (enum sender_policy)m->policy, auth_change_now());
	struct cli_auth_policy_set_answer out = { .status = auth_result_of(e) };

	auth_changed(e, S("policy"), m->domain, slice_z(cli_auth_policy_name(m->policy)));
	out.text = auth_text_of(out.status, &words);
	(void)cli_auth_policy_set_answer(call, &out);
}

static bool
add_policy(void *ctx, struct slice domain, enum sender_policy policy)
{
	struct auth_page *p = ctx;
	struct cli_auth_rule *to = p->row;

	p->more = p->n == AUTH_ROWS;
	if (p->more)
		return false;
	to = &to[p->n++];
	to->policy = (enum cli_auth_policy)policy;
	p->failed = !arena_copy(p->a, domain, &to->domain);
	return !p->failed;
}

void
auth_on_policy_list(void *ctx, struct ipc_call *call, struct cli_auth_policy_list *m)
{
	own(arena_p) a = arena_new("list", LIMIT_ARENA_MESSAGE);
	struct auth_page p = { .a = a, .row = ARENA_ARRAY(a, AUTH_ROWS, struct cli_auth_rule) };
	enum store_err e = policy_list(store_of(ctx), m->after, add_policy, &p);
	struct cli_auth_policy_list_answer out = { .status = CLI_AUTH_RESULT_FAILED };

	if (e == STORE_OK && !p.failed)
		out = (struct cli_auth_policy_list_answer){ .status = CLI_AUTH_RESULT_OK, .rules = p.row,
			.n_rules = p.n, .more = p.more };
	(void)cli_auth_policy_list_answer(call, &out);
}
