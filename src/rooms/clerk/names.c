/* SPDX-License-Identifier: MIT
 * Reverse names of the addresses that send as us, looked up behind: what a report shows says who it is.
 * A name counts only where it leads back to the address (RFC 8601 section 2.7.3, iprev). */
#include "lib/base/ip.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/verify/iprev/iprev.h"
#include "rooms/clerk/clerk.h"

#define AT_ONCE ((size_t)4)
#define SOON_MS 200u
#define LATER_MS 600000u
#define FRESH_US UINT64_C(2592000000000) /* a name is looked up again after 30 days */
#define FAILED_US UINT64_C(86400000000)	 /* or a day, where the DNS failed */
#define QUERIES 4u			 /* for one address: nobody else is heard meanwhile */

void
clerk_query(void *self, struct slice name, enum rr_type type, struct arena *a, struct resolve_wire *out)
{
	struct clerk *c = self;
	struct resolve_asker asker = { .room = &c->dns };
	struct resolver r = resolve_via_room(&asker);

	*out = (struct resolve_wire){ .status = RESOLVE_TIMEOUT };
	if (ipc_client_connected(c->dns.client)) /* else it would be waited for */
		r.query(r.self, name, type, a, out);
}

struct unnamed {
	struct arena *a;
	struct slice ip[AT_ONCE];
	size_t n;
};

static bool
on_unnamed(void *ctx, struct slice ip)
{
	struct unnamed *u = ctx;

	if (arena_copy(u->a, ip, &u->ip[u->n]))
		u->n++;
	return u->n < AT_ONCE;
}

/* False when the DNS does not answer: not now, then. The next one is looked up all the same. */
static bool
look_up(struct clerk *c, struct slice text)
{
	own(arena_p) a = arena_new("name", LIMIT_ARENA_MESSAGE);
	struct resolver r = resolver_of(clerk_query, c);
	struct iprev_verdict v = { .result = IPREV_PERMERROR };
	uint64_t at = (uint64_t)clock_wall_us();
	struct ip ip;

	r.left = QUERIES;
	if (ip_parse(text, &ip))
		iprev_check(&ip, &r, a, &v);
	if (v.result == IPREV_TEMPERROR)
		at -= FRESH_US - FAILED_US;
	clerk_store("name", reports_name(c->reports, text, v.result == IPREV_PASS ? v.name : S(""), at));
	return v.result != IPREV_TEMPERROR;
}

static void
look(void *arg)
{
	struct clerk *c = arg;
	own(arena_p) a = arena_new("unnamed", (size_t)4096);
	struct unnamed u = { .a = a };
	bool go_on = ipc_client_connected(c->dns.client);

	c->names = NULL;
	if (go_on)
		(void)reports_unnamed(c->reports, (uint64_t)clock_wall_us() - FRESH_US, AT_ONCE, on_unnamed, &u);
	for (size_t i = 0; i < u.n && go_on; i++)
		go_on = look_up(c, u.ip[i]);
	c->names = loop_after(c->loop, go_on && u.n > 0 ? SOON_MS : LATER_MS, look, c);
}

void
names_kick(struct clerk *c)
{
	loop_cancel(c->loop, &c->names);
	c->names = loop_after(c->loop, SOON_MS, look, c);
}
