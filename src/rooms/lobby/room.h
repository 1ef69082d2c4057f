/* SPDX-License-Identifier: MIT
 * The lobby as a room: conversations come from door, logins are asked of auth, and a conversation
 * leaves to door again, for TLS or for the user's mailbox.
 *
 * The loop's thread owns the links; a worker that sends takes the lock, because a link may be lost
 * at any moment. A conversation belongs to the link that brought it. */
#pragma once

#include <pthread.h>

#include "lib/proc/pool.h"
#include "lib/proc/proc.h"
#include "rooms/lobby/lobby.h"

#define LOBBY_DOORS 16u		/* instances of door (count) */
#define LOBBY_THREADS 32u
#define LOBBY_STACK ((size_t)131072)
#define LOBBY_AUTH_MS 20000u	/* an answer of auth that takes longer is none */

struct lobby_room;

struct lobby_link {
	struct lobby_room *room;
	struct ipc_channel *ch; /* NULL: lost */
	struct loop_watch *watch;
	uint64_t generation;	/* rises with each new channel */
};

struct lobby_conv {
	struct pool_conv pc; /* first */
	struct lobby_session s;
	struct lobby_room *room;
	struct lobby_link *link;
	uint64_t generation; /* of the link that brought it */
	struct arena *arena; /* holds this struct */
	struct lobby_conv *next, *prev; /* all of the room, under the lock */
	bool gone;	     /* under the lock: end at the next turn */
	int handed;	     /* our copy of a descriptor that went to door, or -1 */
};

struct lobby_room {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct pool *pool;
	struct ipc_client *auth;
	struct lobby_link links[LOBBY_DOORS];
	pthread_mutex_t lock;
	struct lobby_conv *first; /* changed by the loop's thread alone */
	bool stopping;		  /* of the loop's thread */
	struct scram_offer scram; /* set after lobby_room_init() where it is not the usual */
};

/* Everything but the peers; proc may be NULL. The room is never freed. */
void lobby_room_init(struct lobby_room *r, struct proc *p, struct loop *l);
void lobby_introduce(void *room, const char *peer, const char *instance, int fd);
void lobby_stop(void *room);
