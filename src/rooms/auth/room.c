/* SPDX-License-Identifier: MIT
 * Peers, timers, the end. */
#include <stdlib.h>

#include "ipc/smtp_auth.h"
#include "lib/clock/clock.h"
#include "rooms/auth/house.h"

#define TURN 64 /* frames of one channel before the others get their turn */
#define WIPE_MS 60000u

static void
wipe(void *arg)
{
	struct auth_room *r = arg;

	auth_cache_wipe(r, clock_mono_ms());
	r->wipe = loop_after(r->loop, WIPE_MS, wipe, r);
}

bool
auth_room_init(struct auth_room *r, struct proc *p, struct loop *loop, struct accounts *a,
    struct hasher *h, uint64_t user_range)
{
	*r = (struct auth_room){ .proc = p, .loop = loop, .accounts = a, .hasher = h,
		.user_range = user_range };
	auth_cache_init(r);
	r->wipe = loop_after(loop, WIPE_MS, wipe, r);
	auth_limits_init(r);
	return auth_forward_init(r) == STORE_OK && auth_exchange_init(r) == STORE_OK;
}

static void
peer_drop(struct auth_peer *p)
{
	struct auth_peer **at = &p->room->peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	loop_unwatch(p->room->loop, &p->watch);
	ipc_channel_free(&p->ch);
	free(p);
}

static enum ipc_status
serve_one(struct auth_peer *p)
{
	switch (p->kind) {
	case AUTH_MX:
	case AUTH_SUBMISSION:
	case AUTH_DROP:
		return auth_smtp_serve(p);
	case AUTH_LOBBY:
		return auth_lobby_serve(p);
	case AUTH_SCAN:
		return auth_scan_serve(p);
	case AUTH_CLERK:
		return auth_clerk_serve(p);
	case AUTH_CLI:
		break;
	}
	return auth_cli_serve(p);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct auth_peer *p = arg;
	enum ipc_status st = IPC_OK;

	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = serve_one(p);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && p->room->proc != NULL)
		proc_suspect(p->room->proc, p->ch);
	peer_drop(p);
}

/* Warden says nothing on this channel: what comes is its end. */
static void
on_warden(void *arg, unsigned ready)
{
	struct auth_room *r = arg;

	loop_unwatch(r->loop, &r->warden_watch);
	ipc_channel_free(&r->warden);
}

static void
meet_warden(struct auth_room *r, int fd)
{
	loop_unwatch(r->loop, &r->warden_watch);
	ipc_channel_free(&r->warden);
	r->warden = ipc_channel_new(fd, "warden", "");
	r->warden_watch = loop_watch(r->loop, fd, LOOP_READ, on_warden, r);
}

void
auth_introduce(void *room, const char *peer, const char *instance, int fd)
{
	static const struct {
		struct slice name, instance;
		enum auth_kind kind;
		unsigned phase;
	} known[] = { { S_INIT("smtp"), S_INIT("mx"), AUTH_MX, SMTP_AUTH_PHASE_MX },
		{ S_INIT("smtp"), S_INIT("lmtp"), AUTH_MX, SMTP_AUTH_PHASE_MX },
		{ S_INIT("smtp"), S_INIT("submission"), AUTH_SUBMISSION, SMTP_AUTH_PHASE_SUBMISSION },
		{ S_INIT("drop"), S_INIT(""), AUTH_DROP, SMTP_AUTH_PHASE_DROP },
		{ S_INIT("lobby"), S_INIT(""), AUTH_LOBBY, 0 },
		{ S_INIT("scan"), S_INIT(""), AUTH_SCAN, 0 }, { S_INIT("cli"), S_INIT(""), AUTH_CLI, 0 },
		{ S_INIT("clerk"), S_INIT(""), AUTH_CLERK, 0 } };
	struct auth_room *r = room;
	struct auth_peer *p = NULL;
	unsigned phase = 0;

	if (slice_eq(slice_z(peer), S("warden"))) {
		meet_warden(r, fd);
		return;
	}
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (slice_eq(slice_z(peer), known[i].name) &&
		    (known[i].instance.n == 0 || slice_eq(slice_z(instance), known[i].instance))) {
			p = calloc(1, sizeof *p);
			PN_ASSERT(p != NULL);
			p->kind = known[i].kind;
			phase = known[i].phase;
		}
	if (p == NULL) {
		(void)close(fd);
		return;
	}
	p->room = r;
	p->ch = ipc_channel_new(fd, peer, instance);
	if (p->kind <= AUTH_DROP)
		ipc_set_phase(p->ch, phase);
	ipc_set_nonblocking(p->ch, true);
	ipc_set_send_wait(p->ch, 0);
	p->watch = loop_watch(r->loop, fd, LOOP_READ, on_frames, p);
	p->next = r->peers;
	r->peers = p;
}

void
auth_stop(void *room)
{
	struct auth_room *r = room;

	hasher_free(&r->hasher);
	auth_logins_end(r);
	auth_exchange_end(r);
	while (r->peers != NULL)
		peer_drop(r->peers);
	loop_unwatch(r->loop, &r->warden_watch);
	ipc_channel_free(&r->warden);
	loop_cancel(r->loop, &r->wipe);
	auth_cache_wipe(r, UINT64_MAX);
	sodium_memzero(r->key, sizeof r->key);
	auth_limits_end(r);
	sodium_memzero(r->srs_secret, sizeof r->srs_secret);
	accounts_close(&r->accounts);
	loop_stop(r->loop);
}
