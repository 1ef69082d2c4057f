/* SPDX-License-Identifier: MIT
 * What the room asks others: dns, keys and auth. */
#include <stdatomic.h>

#include "lib/clock/clock.h"
#include "rooms/scan/room.h"

/* A machine without any DNS marks its mail all the same, and not later for each message. */
static bool
is_quiet(struct scan_room *r, uint64_t now_ms)
{
	return r->conf.mode == SCAN_MARK &&
	    (!ipc_client_connected(r->dns.client) || now_ms < atomic_load(&r->quiet_until_ms));
}

static void
ask_dns(void *ctx, struct slice name, enum rr_type type, uint64_t session, uint64_t deadline_ms,
    struct arena *a, struct resolve_wire *out)
{
	struct scan_room *r = ctx;
	struct resolve_asker asker = { .room = &r->dns, .session = session, .deadline_ms = deadline_ms };
	struct resolver via = resolve_via_room(&asker);
	uint64_t now;

	*out = (struct resolve_wire){ .status = RESOLVE_TIMEOUT };
	if (is_quiet(r, clock_mono_ms()))
		return;
	via.query(via.self, name, type, a, out);
	now = clock_mono_ms();
	if (out->status == RESOLVE_TIMEOUT && now >= deadline_ms)
		atomic_store(&r->quiet_until_ms, now + SCAN_DNS_QUIET_MS);
}

static enum ipc_status
ask_policy(void *ctx, const struct scan_auth_sender_policy *in, uint64_t deadline_ms, struct arena *a,
    struct scan_auth_sender_policy_answer *out)
{
	return scan_auth_sender_policy(((struct scan_room *)ctx)->auth, in, deadline_ms, a, out);
}

/* ---- who signs for a domain, remembered for a while: keys keep signing longer than that after a change */

static bool
recall(struct scan_room *r, struct slice domain, struct arena *a, struct scan_keys_signers_answer *out)
{
	uint64_t now = clock_mono_ms();
	bool found = false;

	(void)pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < SCAN_KNOWN && !found; i++) {
		struct scan_known *k = &r->known[i];

		if (k->a == NULL || now >= k->until_ms || !slice_ieq(k->domain, domain))
			continue;
		out->signers = ARENA_ARRAY(a, 4, struct scan_keys_signer);
		found = out->signers != NULL;
		for (size_t s = 0; found && s < k->n; s++) {
			out->signers[s] = k->signers[s];
			found = arena_copy(a, k->signers[s].selector, &out->signers[s].selector);
		}
		out->n_signers = k->n;
	}
	(void)pthread_mutex_unlock(&r->lock);
	return found;
}

/* Into the row of the domain, or the oldest one. */
static void
remember(struct scan_room *r, struct slice domain, const struct scan_keys_signers_answer *s)
{
	struct scan_known *k = &r->known[0];

	(void)pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < SCAN_KNOWN; i++) {
		if (r->known[i].a != NULL && slice_ieq(r->known[i].domain, domain)) {
			k = &r->known[i];
			break;
		}
		if (r->known[i].until_ms < k->until_ms)
			k = &r->known[i];
	}
	arena_free(&k->a);
	*k = (struct scan_known){ .a = arena_new("signers", 2048), .until_ms = clock_mono_ms() + SCAN_KNOWN_MS };
	if (!arena_copy(k->a, domain, &k->domain))
		k->until_ms = 0;
	for (; k->n < s->n_signers && k->n < 4; k->n++) {
		k->signers[k->n] = s->signers[k->n];
		if (!arena_copy(k->a, s->signers[k->n].selector, &k->signers[k->n].selector))
			k->until_ms = 0;
	}
	(void)pthread_mutex_unlock(&r->lock);
}

static void
forget(struct scan_room *r, struct slice domain)
{
	(void)pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < SCAN_KNOWN; i++)
		if (r->known[i].a != NULL && slice_ieq(r->known[i].domain, domain))
			r->known[i].until_ms = 0;
	(void)pthread_mutex_unlock(&r->lock);
}

static enum ipc_status
ask_signers(void *ctx, const struct scan_keys_signers *in, uint64_t deadline_ms, struct arena *a,
    struct scan_keys_signers_answer *out)
{
	struct scan_room *r = ctx;
	enum ipc_status st;

	if (recall(r, in->domain, a, out))
		return IPC_OK;
	st = scan_keys_signers(r->keys, in, deadline_ms, a, out);
	if (st == IPC_OK && out->n_signers > 0)
		remember(r, in->domain, out);
	return st;
}

static enum ipc_status
ask_sign(void *ctx, const struct scan_keys_sign *in, uint64_t deadline_ms, struct arena *a,
    struct scan_keys_sign_answer *out)
{
	struct scan_room *r = ctx;
	enum ipc_status st = scan_keys_sign(r->keys, in, deadline_ms, a, out);

	if (st == IPC_OK && out->status != SCAN_KEYS_STATUS_OK)
		forget(r, in->domain);
	return st;
}

static void
tell_event(void *ctx, enum event_kind kind, uint64_t session, struct slice queue_id,
    struct slice account, const struct event_field *fields, size_t n)
{
	(void)ctx;
	events_emit(kind, session, queue_id, account, fields, n);
}

void
scan_bind(struct scan_room *r)
{
	resolve_room_init(&r->dns, SCAN_DNS_WAIT_MS);
	r->keys = ipc_client_new("keys");
	r->auth = ipc_client_new("auth");
	r->back = (struct scan_backend){ ask_dns, ask_policy, ask_signers, ask_sign, tell_event, r };
}
