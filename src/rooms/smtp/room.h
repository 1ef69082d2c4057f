/* SPDX-License-Identifier: MIT
 * An smtp room: conversations come from door and go back to it for TLS; recipients and logins are
 * asked of auth, messages go to queue. Instance mx talks to strangers, submission to accounts.
 *
 * The loop's thread owns the links to door; a worker that sends takes the lock, because a link may be
 * lost at any moment. A conversation belongs to the link that brought it. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/proc/pool.h"
#include "lib/proc/proc.h"
#include "rooms/smtp/session.h"

#define SMTP_DOORS 16u /* instances of door (count) */
#define SMTP_THREADS 256u
#define SMTP_STACK ((size_t)131072)

struct smtp_room;

struct smtp_link {
	struct smtp_room *room;
	struct ipc_channel *ch; /* NULL: lost */
	struct loop_watch *watch;
	uint64_t generation; /* rises with each new channel */
	bool crowded;	     /* this door said so; under the lock */
};

struct smtp_conv {
	struct pool_conv pc; /* first */
	struct smtp_session s;
	struct smtp_room *room;
	struct smtp_link *link;
	uint64_t generation;	      /* of the link that brought it */
	struct arena *arena;	      /* holds this struct */
	struct smtp_conv *next, *prev; /* all of the room, under the lock */
	bool gone, stopping, hurry;   /* under the lock: for the next turn */
	int handed;		      /* our copy of a socket that went to door, or -1 */
};

struct smtp_room {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct pool *pool;
	struct ipc_client *auth, *queue, *scan, *milter;
	struct smtp_config conf;
	struct smtp_backend back;
	struct smtp_link links[SMTP_DOORS];
	pthread_mutex_t lock;
	struct smtp_conv *first; /* changed by the loop's thread alone */
	bool stopping;		 /* of the loop's thread */
	bool queue_full;	 /* queue said so; under the lock */
	atomic_bool stressed;	 /* what follows from it and from the doors */
};

/* Everything but the peers; proc may be NULL. conf is copied, its hostname is kept. The room is never
 * freed. */
void smtp_room_init(struct smtp_room *r, struct proc *p, struct loop *l, const struct smtp_config *conf);
void smtp_introduce(void *room, const char *peer, const char *instance, int fd);
void smtp_stop(void *room);
