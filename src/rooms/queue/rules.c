/* SPDX-License-Identifier: MIT
 * Hold rules: which new mail waits for the administrator. They stand in the spool, and in memory. */
#include <stdio.h>
#include <stdlib.h>

#include "rooms/queue/queue.h"

struct rules {
	struct arena *arena;
	struct spool_rule rule[SPOOL_RULES];
	size_t n;
};

static bool
keep(void *ctx, const struct spool_rule *r)
{
	struct rules *all = ctx;
	struct spool_rule *mine = &all->rule[all->n];

	if (all->n == SPOOL_RULES)
		return false;
	*mine = *r;
	if (!arena_copy(all->arena, r->pattern, &mine->pattern) || !arena_copy(all->arena, r->reason, &mine->reason))
		return false;
	all->n++;
	return true;
}

void
rules_load(struct queue *q)
{
	enum store_err e;

	if (q->rules == NULL)
		q->rules = calloc(1, sizeof *q->rules);
	PN_ASSERT(q->rules != NULL);
	arena_free(&q->rules->arena);
	q->rules->arena = arena_new("hold rules", SPOOL_RULES * 1024);
	q->rules->n = 0;
	e = spool_rules(q->spool, keep, q->rules);
	if (e != STORE_OK)
		queue_die(q, "loading the hold rules", e);
}

/* An address, or "@domain" and all of it. */
static bool
address_is(struct slice address, struct slice pattern)
{
	size_t at = slice_rfind_byte(address, '@');

	if (slice_ieq(address, pattern))
		return true;
	return slice_starts(pattern, S("@")) && at != SLICE_NONE && slice_ieq(slice_from(address, at), pattern);
}

static bool
matches(const struct spool_rule *r, const struct spool_message *m)
{
	uint64_t account;

	if (r->kind == SPOOL_RULE_ACCOUNT)
		return slice_u64(r->pattern, &account) && account == m->account && account != 0;
	if (r->kind == SPOOL_RULE_SENDER)
		return address_is(m->sender, r->pattern) || (m->sender.n == 0 && slice_eq(r->pattern, S("<>")));
	for (size_t i = 0; i < m->rcpts; i++)
		if (address_is(m->rcpt[i].address, r->pattern))
			return true;
	return false;
}

struct slice
rules_match(const struct queue *q, const struct spool_message *m)
{
	for (size_t i = 0; i < q->rules->n; i++)
		if (matches(&q->rules->rule[i], m))
			return q->rules->rule[i].reason.n > 0 ? q->rules->rule[i].reason : S("hold rule");
	return S("");
}
