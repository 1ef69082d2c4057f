/* SPDX-License-Identifier: MIT
 * The addresses at which reports about our domains arrive, and what the clerk may ask. An account or
 * alias of the same name goes first: then its owner reads the reports, and the clerk does not. */
#include "ipc/clerk_auth.h"
#include "rooms/auth/house.h"

#define DOMAINS ((size_t)100)
#define TARGETS ((size_t)20)

/* The local parts that `domain dns` puts into rua= of what is to be published. */
bool
auth_for_clerk(struct slice address, enum store_err e, const struct resolved *to)
{
	struct slice local, domain;
	bool taken = e != STORE_NONE && e != STORE_OK;

	/* a catch-all takes what nobody else does */
	for (size_t i = 0; e == STORE_OK && i < to->n; i++)
		taken = taken || !to->to[i].by_catch_all;
	return to->local_domain && !taken && slice_cut(address, '@', &local, &domain) &&
	    (slice_ieq(local, S("dmarc-reports")) || slice_ieq(local, S("tls-reports")));
}

struct page {
	struct arena *a;
	struct clerk_auth_domain *rows;
	size_t n;
	bool more, failed;
};

static bool
add_domain(void *ctx, const struct domain *d)
{
	struct page *p = ctx;

	p->more = p->n == DOMAINS;
	if (p->more)
		return false;
	p->failed = !arena_copy(p->a, d->name, &p->rows[p->n++].name) || p->failed;
	return !p->failed;
}

static void
on_domains(void *ctx, struct ipc_call *call, struct clerk_auth_domains *m)
{
	struct auth_room *r = ((struct auth_peer *)ctx)->room;
	own(arena_p) a = arena_new("domains", LIMIT_ARENA_SESSION);
	struct page p = { .a = a, .rows = ARENA_ARRAY(a, DOMAINS, struct clerk_auth_domain) };
	struct clerk_auth_domains_answer out = { .failed = true };

	if (p.rows != NULL && domain_list(r->accounts, m->after, add_domain, &p) == STORE_OK && !p.failed)
		out = (struct clerk_auth_domains_answer){ .domains = p.rows, .n_domains = p.n, .more = p.more };
	(void)clerk_auth_domains_answer(call, &out);
}

static enum clerk_auth_place
place_of(enum store_err e, const struct resolved *to)
{
	if (e == STORE_OK)
		return CLERK_AUTH_PLACE_HERE;
	if (e == STORE_NONE)
		return to->local_domain ? CLERK_AUTH_PLACE_NOBODY : CLERK_AUTH_PLACE_ELSEWHERE;
	return e == STORE_REFUSED ? CLERK_AUTH_PLACE_NOBODY : CLERK_AUTH_PLACE_FAILED;
}

static void
on_resolve(void *ctx, struct ipc_call *call, struct clerk_auth_resolve *m)
{
	struct auth_room *r = ((struct auth_peer *)ctx)->room;
	own(arena_p) a = arena_new("resolve", LIMIT_ARENA_MESSAGE);
	struct clerk_auth_target *target = ARENA_ARRAY(a, TARGETS, struct clerk_auth_target);
	struct resolved *to = ARENA_NEW(a, struct resolved);
	struct clerk_auth_resolve_answer out = { .targets = target };
	enum store_err e;

	PN_ASSERT(target != NULL && to != NULL);
	e = accounts_resolve(r->accounts, m->address, a, to);
	if (auth_for_clerk(m->address, e, to)) {
		target[0] = (struct clerk_auth_target){ .account = ACCOUNT_CLERK, .address = m->address };
		out.place = CLERK_AUTH_PLACE_HERE;
		out.n_targets = 1;
		(void)clerk_auth_resolve_answer(call, &out);
		return;
	}
	out.place = place_of(e, to);
	if (out.place == CLERK_AUTH_PLACE_HERE)
		for (size_t i = 0; i < to->n && i < TARGETS; i++)
			target[out.n_targets++] = (struct clerk_auth_target){ .account = (uint32_t)to->to[i].account,
				.address = to->to[i].address };
	(void)clerk_auth_resolve_answer(call, &out);
}

enum ipc_status
auth_clerk_serve(struct auth_peer *p)
{
	static const struct clerk_auth_server handlers = { .domains = on_domains, .resolve = on_resolve };

	return clerk_auth_server_serve(p->ch, &handlers, p);
}
