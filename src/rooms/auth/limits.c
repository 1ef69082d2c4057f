/* SPDX-License-Identifier: MIT
 * How much an account may send and receive (U-013, S-098). The table is bounded; it is written down now
 * and then, so that a restart forgives a minute at most. */
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/auth/house.h"

#define HOUR_US ((uint64_t)3600 * 1000000)
#define DAY_US (24 * HOUR_US)
#define KEEP_MS 60000u

static void
put(void *ctx, uint64_t key, uint64_t until)
{
	struct rate_slot s = { key, until };

	rate_put(ctx, &s, (uint64_t)clock_wall_us());
}

static void
keep(struct auth_room *r)
{
	uint64_t now = (uint64_t)clock_wall_us();

	if (!r->rates.changed)
		return;
	rates_begin(r->accounts);
	for (size_t i = 0; i < RATE_SETS; i++)
		for (size_t k = 0; k < RATE_WAYS; k++)
			if (r->rates.slot[i][k].until > now)
				rates_add(r->accounts, r->rates.slot[i][k].key, r->rates.slot[i][k].until);
	/* what cannot be written stays for the next time */
	r->rates.changed = rates_commit(r->accounts) != STORE_OK;
}

static void
keep_again(void *arg)
{
	struct auth_room *r = arg;

	keep(r);
	r->keep = loop_after(r->loop, KEEP_MS, keep_again, r);
}

void
auth_limits_init(struct auth_room *r)
{
	(void)rates_load(r->accounts, put, &r->rates);
	r->rates.changed = false;
	r->keep = loop_after(r->loop, KEEP_MS, keep_again, r);
}

void
auth_limits_end(struct auth_room *r)
{
	loop_cancel(r->loop, &r->keep);
	keep(r);
}

static bool
over(struct slice account, struct slice what, int64_t most, struct slice *text)
{
	EVENT(EVENT_RCPT_LIMITED, 0, S(""), account, EF("what", what), EN("limit", most));
	*text = what;
	return false;
}

bool
auth_limits_sender(struct auth_room *r, uint64_t account, bool first, struct slice *text)
{
	own(arena_p) a = arena_new("limits", LIMIT_ARENA_COMMAND);
	uint64_t now = (uint64_t)clock_wall_us(), messages = rate_key('M', account);
	struct account acc;
	struct limits l;

	if (account_by_id(r->accounts, account, a, &acc) != STORE_OK ||
	    limits_of(r->accounts, acc.address, &l) != STORE_OK)
		return *text = S("the limits cannot be read"), false;
	if (first && !rate_has(&r->rates, messages, (uint64_t)l.messages, DAY_US, now))
		return over(acc.address, S("too many messages in a day"), l.messages, text);
	if (!rate_take(&r->rates, rate_key('R', account), (uint64_t)l.rcpts, HOUR_US, now))
		return over(acc.address, S("too many recipients in an hour"), l.rcpts, text);
	if (first)
		(void)rate_take(&r->rates, messages, (uint64_t)l.messages, DAY_US, now);
	return true;
}

/* From the null sender a tenth is plenty: reports come seldom, floods of them are backscatter. */
static uint64_t
inbound(const struct limits *l, bool null_sender)
{
	uint64_t most = (uint64_t)l->inbound;

	return !null_sender || most == 0 ? most : most < 10 ? 1 : most / 10;
}

/* The numbers stand beside the account's own address, without a detail. */
static bool
limits_for(struct auth_room *r, uint64_t account, struct slice address, struct limits *l)
{
	own(arena_p) a = arena_new("limits", LIMIT_ARENA_COMMAND);
	struct account acc;

	if (account != 0) {
		if (account_by_id(r->accounts, account, a, &acc) != STORE_OK)
			return false;
		address = acc.address;
	}
	return limits_of(r->accounts, address, l) == STORE_OK;
}

bool
auth_limits_inbound(struct auth_room *r, const struct resolved *to, bool null_sender, struct slice *text)
{
	uint64_t now = (uint64_t)clock_wall_us();
	const uint8_t kind = null_sender ? 'N' : 'I';
	struct limits l;

	for (size_t i = 0; i < to->n; i++) {
		const struct target *t = &to->to[i];
		/* through a list it is the list that counts, once */
		struct slice whose = t->by_list ? to->list.address : t->address;
		uint64_t key = t->by_list || t->account == 0 ? rate_key_text(kind, whose) :
							       rate_key(kind, t->account);

		if (t->by_list && i > 0)
			continue;
		if (!limits_for(r, t->by_list ? 0 : t->account, whose, &l))
			return *text = S("the limits cannot be read"), false;
		if (!rate_take(&r->rates, key, inbound(&l, null_sender), HOUR_US, now))
			return over(whose, null_sender ? S("too many reports for one mailbox in an hour") :
			    S("too much for one mailbox in an hour"), l.inbound, text);
	}
	return true;
}
