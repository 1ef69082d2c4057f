/* SPDX-License-Identifier: MIT
 * DKIM keys rotate: once an hour keys is told that time passes, after the clerk has looked whether the
 * world sees the records of those that wait. The world: our own resolver, and those public ones that answer; all of
 * them have to see the key. One that somebody does not see is never switched to: then the one before goes on signing. */
#include <stdio.h>

#include "ipc/cli_keys.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/fetch/doh.h"
#include "lib/parse/dkim/keyrec.h"
#include "rooms/clerk/clerk.h"

#define FIRST_MS 60000u
#define EVERY_MS 3600000u
#define ROUNDS 64u /* pages of keys, and steps, of one hour */

/* Those of `postern domain check`, where no port but that of HTTPS is open to us. */
static const struct slice PUBLIC[] = { S_INIT("https://dns.quad9.net/dns-query"), S_INIT("https://cloudflare-dns.com/dns-query"),
	S_INIT("https://dns.google/dns-query") };

#define N_PUBLIC (sizeof PUBLIC / sizeof *PUBLIC)

enum view { SEES, SEES_NOT, SAYS_NOTHING };

/* Is the key's record there, with this key in it, for one resolver? */
static enum view
view_of(struct resolver r, const struct cli_keys_key *k)
{
	own(arena_p) a = arena_new("record", LIMIT_ARENA_MESSAGE);
	own(buf_t) name = { .max = 400 };
	struct resolve_answer answer;
	struct dkim_keyrec rec;
	enum dkim_why why;
	const struct rr *rr;
	size_t at = 0;

	r.left = 2;
	(void)buf_fmt(&name, "%.*s._domainkey.%.*s", SFMT(k->selector), SFMT(k->domain));
	resolve(&r, buf_slice(&name), RR_TXT, a, &answer);
	while (rr_next(&answer, &at, &rr))
		if (dkim_keyrec_parse(rr->text, a, &rec, &why) && slice_eq(rec.public, k->public))
			return SEES;
	return resolve_failed(answer.status) ? SAYS_NOTHING : SEES_NOT;
}

/* others: those that were silent once are not asked for the rest of the hour's keys. */
static bool
seen(struct clerk *c, struct doh *others, const struct cli_keys_key *k)
{
	if (view_of(resolver_of(clerk_query, c), k) != SEES)
		return false;
	for (size_t i = 0; i < N_PUBLIC; i++)
		if (view_of(resolver_of(doh_query, &others[i]), k) == SEES_NOT)
			return false;
	return true;
}

/* Keys that wait to be seen, page after page. */
static void
look_at_all(struct clerk *c)
{
	struct cli_keys_list in = { .domain = S("") };
	struct cli_keys_list_answer out = { .more = true };
	char domain[256] = "", selector[64] = "";
	struct doh others[N_PUBLIC];

	for (size_t i = 0; i < N_PUBLIC; i++)
		others[i] = (struct doh){ .fetch = c->fetch, .url = PUBLIC[i], .ms = CLERK_ASK_MS };

	for (unsigned i = 0; i < ROUNDS && out.more; i++) {
		own(arena_p) a = arena_new("keys", LIMIT_ARENA_SESSION);

		if (cli_keys_list(c->keys, &in, clock_mono_ms() + CLERK_ASK_MS, a, &out) != IPC_OK)
			return;
		for (size_t k = 0; k < out.n_keys; k++) {
			const struct cli_keys_key *key = &out.keys[k];
			struct cli_keys_seen it = { .domain = key->domain, .selector = key->selector };
			struct cli_keys_seen_answer answer;

			if (key->state == CLI_KEYS_STATE_NEXT && key->seen_us == 0 && seen(c, others, key))
				(void)cli_keys_seen(c->keys, &it, clock_mono_ms() + CLERK_ASK_MS, a, &answer);
			(void)snprintf(domain, sizeof domain, "%.*s", SFMT(key->domain));
			(void)snprintf(selector, sizeof selector, "%.*s", SFMT(key->selector));
		}
		out.more = out.more && out.n_keys > 0;
		in.after = slice_z(domain);
		in.after_selector = slice_z(selector);
	}
}

void
rotation_step(struct clerk *c)
{
	struct cli_keys_tick in = { 0 };
	struct cli_keys_tick_answer out = { .more = true };

	if (!ipc_client_connected(c->keys))
		return;
	look_at_all(c);
	for (unsigned i = 0; i < ROUNDS && out.more; i++) {
		own(arena_p) a = arena_new("tick", LIMIT_ARENA_SESSION);

		if (cli_keys_tick(c->keys, &in, clock_mono_ms() + CLERK_ASK_MS, a, &out) != IPC_OK)
			return;
	}
}

static void
hourly(void *arg)
{
	struct clerk *c = arg;

	rotation_step(c);
	c->rotate = loop_after(c->loop, EVERY_MS, hourly, c);
}

void
rotation_kick(struct clerk *c)
{
	c->rotate = loop_after(c->loop, FIRST_MS, hourly, c);
}
