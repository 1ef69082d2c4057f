/* SPDX-License-Identifier: MIT */
#include "rooms/keys/serve.h"

#include "ipc/cli_keys.h"
#include "ipc/door_keys.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"

_Static_assert((int)DOOR_KEYS_ALGORITHM_ECDSA == (int)TLS_ECDSA, "one numbering");
_Static_assert((int)DOOR_KEYS_ALGORITHM_RSA_SHA256 == (int)TLS_RSA_SHA256, "one numbering");
_Static_assert((int)DOOR_KEYS_ALGORITHM_RSA_SHA384 == (int)TLS_RSA_SHA384, "one numbering");
_Static_assert((int)DOOR_KEYS_ALGORITHM_RSA_SHA512 == (int)TLS_RSA_SHA512, "one numbering");
_Static_assert((int)DOOR_KEYS_ALGORITHM_RSA_PSS == (int)TLS_RSA_PSS, "one numbering");
_Static_assert((int)DOOR_KEYS_ALGORITHM_ED25519 == (int)TLS_ED25519, "one numbering");

/* Frames of one channel before the others get their turn. */
#define TURN 32

static enum door_keys_status
status_of(enum ring_result r)
{
	switch (r) {
	case RING_OK:
		return DOOR_KEYS_STATUS_OK;
	case RING_UNKNOWN:
		return DOOR_KEYS_STATUS_UNKNOWN_KEY;
	case RING_REFUSED:
		return DOOR_KEYS_STATUS_REFUSED;
	case RING_FAILED:
		break;
	}
	return DOOR_KEYS_STATUS_FAILED;
}

/* One event a minute at most: whoever floods us must not flood the log. */
void
keys_tell_refusal(struct keys_peer *p, uint64_t now_ms)
{
	if (p->told_ms != 0 && now_ms - p->told_ms < 60000)
		return;
	p->told_ms = now_ms;
	EVENT(EVENT_PROTOCOL_ABUSE, 0, S(""), S(""), EF("what", S("signature refused")),
	    EF("peer", slice_z(ipc_peer(p->ch))), EN("refused", p->budget.refused),
	    EN("signed", p->budget.signatures));
}

static void
on_sign(void *ctx, struct ipc_call *call, struct door_keys_sign *m)
{
	struct keys_peer *p = ctx;
	uint64_t now = clock_mono_ms();
	own(buf_t) sig = { .max = TLS_SIGN_MAX };
	enum ring_result r = ring_sign(p->room->ring, &p->budget, now, m->key,
	    (enum tls_alg)m->algorithm, m->digest, &sig);
	struct door_keys_sign_answer out = { .status = status_of(r), .signature = buf_slice(&sig) };

	if (r == RING_REFUSED)
		keys_tell_refusal(p, now);
	(void)door_keys_sign_answer(call, &out);
}

static const struct door_keys_server handlers = { .sign = on_sign };

static void
peer_drop(struct keys_peer *p)
{
	loop_unwatch(p->room->loop, &p->watch);
	ipc_channel_free(&p->ch);
}

static enum ipc_status
serve_one(struct keys_peer *p)
{
	switch (p->kind) {
	case KEYS_DOOR:
		return door_keys_server_serve(p->ch, &handlers, p);
	case KEYS_SCAN:
		return keys_scan_serve(p);
	case KEYS_QUEUE:
		return keys_queue_serve(p);
	case KEYS_ADMIN:
		break;
	}
	return keys_admin_serve(p);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct keys_peer *p = arg;
	enum ipc_status st = IPC_OK;

	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = serve_one(p);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && p->room->proc != NULL)
		proc_suspect(p->room->proc, p->ch);
	peer_drop(p);
}

/* The place of an older channel of the same peer, which it replaces, or a free one. Several
 * administrators may be there at once. */
static struct keys_peer *
slot_for(struct keys_room *r, struct slice peer, const char *instance)
{
	struct keys_peer *empty = NULL;

	for (size_t i = 0; i < LIMIT_KEYS_PEERS; i++) {
		struct keys_peer *p = &r->peers[i];

		if (p->ch != NULL && slice_eq(slice_z(ipc_peer(p->ch)), peer) && !slice_eq(peer, S("cli")) &&
		    slice_eq(slice_z(ipc_instance(p->ch)), slice_z(instance)))
			return p;
		if (p->ch == NULL && empty == NULL)
			empty = p;
	}
	return empty;
}

void
keys_introduce(void *room, const char *peer, const char *instance, int fd)
{
	static const struct {
		struct slice name;
		enum keys_kind kind;
	} known[] = { { S_INIT("door"), KEYS_DOOR }, { S_INIT("scan"), KEYS_SCAN }, { S_INIT("clerk"), KEYS_ADMIN },
		{ S_INIT("cli"), KEYS_ADMIN }, { S_INIT("queue"), KEYS_QUEUE } };
	struct keys_room *r = room;
	struct keys_peer *p = NULL;
	enum keys_kind kind = KEYS_DOOR;

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (slice_eq(slice_z(peer), known[i].name)) {
			kind = known[i].kind;
			p = slot_for(r, known[i].name, instance);
		}
	if (p == NULL) {
		(void)close(fd);
		return;
	}
	if (p->ch != NULL)
		peer_drop(p);
	*p = (struct keys_peer){ .room = r, .kind = kind, .ch = ipc_channel_new(fd, peer, instance),
		.budget = { .per_second = r->per_second } };
	if (kind == KEYS_ADMIN)
		ipc_set_phase(p->ch, slice_eq(slice_z(peer), S("clerk")) ? CLI_KEYS_PHASE_CLERK : CLI_KEYS_PHASE_CLI);
	ipc_set_nonblocking(p->ch, true);
	ipc_set_send_wait(p->ch, 0); /* an asker that does not read its answers loses them */
	p->watch = loop_watch(r->loop, ipc_fd(p->ch), LOOP_READ, on_frames, p);
}

void
keys_stop(void *room)
{
	struct keys_room *r = room;

	for (size_t i = 0; i < LIMIT_KEYS_PEERS; i++)
		if (r->peers[i].ch != NULL)
			peer_drop(&r->peers[i]);
	ring_free(&r->ring);
	dkim_close(&r->dkim);
	loop_stop(r->loop);
}
