/* SPDX-License-Identifier: MIT
 * What scan and the administrator ask about DKIM keys. */
#include <stdlib.h>

#include "ipc/cli_keys.h"
#include "ipc/scan_keys.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/keys/serve.h"

#define PAGE ((size_t)40)

_Static_assert((int)CLI_KEYS_STATE_REMOVED == (int)DKIM_REMOVED, "one numbering");
_Static_assert((int)CLI_KEYS_STATE_RETIRING == (int)DKIM_RETIRING, "one numbering");
_Static_assert((int)CLI_KEYS_ALGORITHM_ED25519 == (int)DKIM_KEY_ED25519, "one numbering");
_Static_assert((int)CLI_KEYS_RESULT_INVALID == (int)DKIM_INVALID, "one numbering");
_Static_assert((int)CLI_KEYS_RESULT_FAILED == (int)DKIM_FAILED, "one numbering");
_Static_assert((int)SCAN_KEYS_ALGORITHM_ED25519 == (int)DKIM_KEY_ED25519, "one numbering");

static struct dkim_store *
store_of(void *ctx)
{
	return ((struct keys_peer *)ctx)->room->dkim;
}

void
keys_tell_change(void *ctx, const struct dkim_change *c)
{
	(void)ctx;
	EVENT(EVENT_DKIM_KEY, 0, S(""), S(""), EF("domain", slice_z(c->domain)), EF("selector", slice_z(c->selector)),
	    EF("state", slice_z(cli_keys_state_name((enum cli_keys_state)c->state))));
}

/* ---- scan ---- */

static void
on_signers(void *ctx, struct ipc_call *call, struct scan_keys_signers *m)
{
	struct scan_keys_signer signers[4];
	struct scan_keys_signers_answer out = { .signers = signers };
	const struct dkim_key *keys[4];

	if (!dkim_usable(store_of(ctx))) { /* nobody knows whether this domain signs: try later */
		(void)ipc_refuse(call);
		return;
	}
	out.n_signers = dkim_signers(store_of(ctx), m->domain, keys);
	for (size_t i = 0; i < out.n_signers; i++)
		signers[i] = (struct scan_keys_signer){ .selector = slice_z(keys[i]->selector),
			.algorithm = (enum scan_keys_algorithm)keys[i]->kind };
	(void)scan_keys_signers_answer(call, &out);
}

static enum scan_keys_status
sign_part(struct keys_peer *p, struct slice domain, const struct scan_keys_part *part, uint64_t now_ms,
    struct buf *signature)
{
	if (!ring_spend(&p->budget, now_ms)) {
		keys_tell_refusal(p, now_ms);
		return SCAN_KEYS_STATUS_REFUSED;
	}
	switch (dkim_make_signature(p->room->dkim, domain, part->selector, part->digest, clock_wall_us(), signature)) {
	case DKIM_DONE:
		p->budget.signatures++;
		return SCAN_KEYS_STATUS_OK;
	case DKIM_NONE:
		return SCAN_KEYS_STATUS_UNKNOWN_KEY;
	case DKIM_FAILED:
		return SCAN_KEYS_STATUS_FAILED;
	default:
		return SCAN_KEYS_STATUS_REFUSED;
	}
}

/* All parts, or none: a message does not go out with half of its signatures. */
static void
on_sign(void *ctx, struct ipc_call *call, struct scan_keys_sign *m)
{
	own(buf_t) bytes = { .max = 4 * TLS_SIGN_MAX };
	struct scan_keys_made made[4];
	struct scan_keys_sign_answer out = { .status = SCAN_KEYS_STATUS_OK, .signatures = made };
	uint64_t now_ms = clock_mono_ms();
	size_t end[4];

	for (size_t i = 0; i < m->n_parts && out.status == SCAN_KEYS_STATUS_OK; i++) {
		out.status = sign_part(ctx, m->domain, &m->parts[i], now_ms, &bytes);
		end[i] = bytes.n;
	}
	for (size_t i = 0, from = 0; i < m->n_parts && out.status == SCAN_KEYS_STATUS_OK; from = end[i++])
		made[out.n_signatures++].signature = slice_sub(buf_slice(&bytes), from, end[i] - from);
	(void)scan_keys_sign_answer(call, &out);
}

enum ipc_status
keys_scan_serve(struct keys_peer *p)
{
	static const struct scan_keys_server handlers = { .signers = on_signers, .sign = on_sign };

	return scan_keys_server_serve(p->ch, &handlers, p);
}

/* ---- the administrator and the clerk ---- */

static struct slice
text_of(enum dkim_result_of r)
{
	switch (r) {
	case DKIM_DONE:
		return S("");
	case DKIM_NONE:
		return S("there is no such key");
	case DKIM_EXISTS:
		return S("the next keys are there already");
	case DKIM_INVALID:
		return S("no domain name, or no key of it stands where this step begins");
	case DKIM_FULL:
		return S("too many keys");
	case DKIM_FAILED:
		break;
	}
	return S("the keys could not be read or written");
}

static void
fill(const struct dkim_key *k, struct cli_keys_key *row)
{
	*row = (struct cli_keys_key){ .domain = slice_z(k->domain),
		.selector = slice_z(k->selector),
		.algorithm = (enum cli_keys_algorithm)k->kind,
		.state = (enum cli_keys_state)k->state,
		.created_us = k->created,
		.seen_us = k->seen,
		.activated_us = k->activated,
		.retired_us = k->retired,
		.revoked_us = k->revoked,
		.public = slice_of(k->public, k->public_n) };
}

static bool
is_behind(const struct dkim_key *k, const struct cli_keys_list *m)
{
	int order = slice_cmp(slice_z(k->domain), m->after);

	return order > 0 || (order == 0 && slice_cmp(slice_z(k->selector), m->after_selector) > 0);
}

static void
on_list(void *ctx, struct ipc_call *call, struct cli_keys_list *m)
{
	struct cli_keys_key rows[PAGE];
	struct cli_keys_list_answer out = { .keys = rows };

	for (const struct dkim_key *k = dkim_first(store_of(ctx)); k != NULL && !out.more; k = k->next) {
		if ((m->domain.n > 0 && !slice_ieq(slice_z(k->domain), m->domain)) || !is_behind(k, m))
			continue;
		out.more = out.n_keys == PAGE;
		if (!out.more)
			fill(k, &rows[out.n_keys++]);
	}
	(void)cli_keys_list_answer(call, &out);
}

static void
on_generate(void *ctx, struct ipc_call *call, struct cli_keys_generate *m)
{
	enum dkim_result_of r = dkim_generate(store_of(ctx), m->domain, clock_wall_us());
	struct cli_keys_generate_answer out = { .status = (enum cli_keys_result)r, .text = text_of(r) };

	(void)cli_keys_generate_answer(call, &out);
}

static void
on_activate(void *ctx, struct ipc_call *call, struct cli_keys_activate *m)
{
	enum dkim_result_of r = dkim_activate(store_of(ctx), m->domain, m->selector, clock_wall_us());
	struct cli_keys_activate_answer out = { .status = (enum cli_keys_result)r, .text = text_of(r) };

	(void)cli_keys_activate_answer(call, &out);
}

static void
on_retire(void *ctx, struct ipc_call *call, struct cli_keys_retire *m)
{
	enum dkim_result_of r = dkim_retire(store_of(ctx), m->domain, m->selector, clock_wall_us());
	struct cli_keys_retire_answer out = { .status = (enum cli_keys_result)r, .text = text_of(r) };

	(void)cli_keys_retire_answer(call, &out);
}

static void
on_revoke(void *ctx, struct ipc_call *call, struct cli_keys_revoke *m)
{
	enum dkim_result_of r = dkim_revoke(store_of(ctx), m->domain, m->selector, clock_wall_us());
	struct cli_keys_revoke_answer out = { .status = (enum cli_keys_result)r, .text = text_of(r) };

	(void)cli_keys_revoke_answer(call, &out);
}

static void
on_seen(void *ctx, struct ipc_call *call, struct cli_keys_seen *m)
{
	enum dkim_result_of r = dkim_seen(store_of(ctx), m->domain, m->selector, clock_wall_us());
	struct cli_keys_seen_answer out = { .status = (enum cli_keys_result)r };

	(void)cli_keys_seen_answer(call, &out);
}

/* The changes of one tick, kept until it is answered: their keys may be gone by then. */
struct noted {
	struct arena *a;
	struct cli_keys_change rows[DKIM_STEP + 4];
	size_t n;
};

static void
note(void *ctx, const struct dkim_change *c)
{
	struct noted *t = ctx;
	struct cli_keys_change *row = &t->rows[t->n];

	keys_tell_change(NULL, c);
	row->state = (enum cli_keys_state)c->state;
	if (arena_copy(t->a, slice_z(c->domain), &row->domain) && arena_copy(t->a, slice_z(c->selector), &row->selector))
		t->n++;
}

static void
on_tick(void *ctx, struct ipc_call *call, struct cli_keys_tick *m)
{
	own(arena_p) a = arena_new("tick", LIMIT_ARENA_COMMAND);
	struct noted *t = ARENA_NEW(a, struct noted);
	struct cli_keys_tick_answer out = { .status = CLI_KEYS_RESULT_FAILED };

	(void)m;
	PN_ASSERT(t != NULL);
	t->a = a;
	dkim_on_change(store_of(ctx), note, t);
	out.status = (enum cli_keys_result)dkim_tick(store_of(ctx), clock_wall_us(), &out.more);
	dkim_on_change(store_of(ctx), keys_tell_change, NULL);
	out.changes = t->rows;
	out.n_changes = t->n;
	(void)cli_keys_tick_answer(call, &out);
}

enum ipc_status
keys_admin_serve(struct keys_peer *p)
{
	static const struct cli_keys_server handlers = { .list = on_list, .generate = on_generate,
		.activate = on_activate, .retire = on_retire, .revoke = on_revoke, .seen = on_seen, .tick = on_tick };

	return cli_keys_server_serve(p->ch, &handlers, p);
}
