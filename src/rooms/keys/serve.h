/* SPDX-License-Identifier: MIT
 * The channels of the room keys: each peer asks, keys answers, one after the other. */
#pragma once

#include "lib/proc/proc.h"
#include "rooms/keys/ring.h"

/* Channels at once: a restarted peer replaces its old one. */
#define LIMIT_KEYS_PEERS 8u
/* Signatures a second for one channel: several times what one core can shake hands. */
#define LIMIT_SIGNATURES 10000u

struct keys_peer {
	struct keys_room *room;
	struct ipc_channel *ch; /* NULL: free */
	struct loop_watch *watch;
	struct ring_budget budget;
	uint64_t told_ms; /* when an event told of refusals last */
};

struct keys_room {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct ring *ring;
	uint32_t per_second; /* signatures for each channel */
	struct keys_peer peers[LIMIT_KEYS_PEERS];
};

/* For struct proc_peers: a channel of the peer "door" (any instance); others are closed. */
void keys_introduce(void *room, const char *peer, const char *instance, int fd);
/* Wipes the keys, closes the channels and stops the loop. */
void keys_stop(void *room);
