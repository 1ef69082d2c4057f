/* SPDX-License-Identifier: MIT
 * The channels of the room keys: each peer asks, keys answers, one after the other. What a peer can
 * name depends on its channel: door the keys of TLS, scan those of DKIM. No channel reaches both. */
#pragma once

#include "lib/proc/proc.h"
#include "rooms/keys/dkim.h"
#include "rooms/keys/ring.h"

/* Channels at once: a restarted peer replaces its old one. */
#define LIMIT_KEYS_PEERS 16u
/* Signatures a second for one channel: several times what one core can shake hands. */
#define LIMIT_SIGNATURES 10000u

enum keys_kind { KEYS_DOOR, KEYS_SCAN, KEYS_ADMIN, KEYS_QUEUE };

struct keys_peer {
	struct keys_room *room;
	enum keys_kind kind;
	struct ipc_channel *ch; /* NULL: free */
	struct loop_watch *watch;
	struct ring_budget budget;
	uint64_t told_ms; /* when an event told of refusals last */
};

struct keys_room {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct ring *ring;
	struct dkim_store *dkim;
	uint32_t per_second; /* signatures for each channel */
	struct keys_peer peers[LIMIT_KEYS_PEERS];
};

/* For struct proc_peers: a channel of "door" (any instance), "scan", "queue", "clerk" or "cli"; others are closed. */
void keys_introduce(void *room, const char *peer, const char *instance, int fd);
/* Wipes the keys, closes the channels and stops the loop. */
void keys_stop(void *room);

/* admin.c: signatures of DKIM, and the life of its keys. One frame. */
enum ipc_status keys_scan_serve(struct keys_peer *p);
enum ipc_status keys_admin_serve(struct keys_peer *p);
/* For dkim_on_change(): an event for each change. */
void keys_tell_change(void *ctx, const struct dkim_change *c);
/* spool.c: the key of the spool. One frame. */
enum ipc_status keys_queue_serve(struct keys_peer *p);
/* One event a minute at most about refused signatures. */
void keys_tell_refusal(struct keys_peer *p, uint64_t now_ms);
