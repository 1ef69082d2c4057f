/* SPDX-License-Identifier: MIT
 * The mailbox room: one process for one user, with a uid of the user's own. Conversations come from
 * door after auth's word, deliveries from queue; both end in the same store, and whoever is idle in a
 * folder hears of it.
 *
 * The loop's thread takes deliveries: what arrives together is one transaction and one flush, then
 * answered; from that moment queue may forget it. Conversations run in the pool's threads. */
#pragma once

#include "ipc/queue_mailbox.h"
#include "lib/proc/pool.h"
#include "lib/proc/proc.h"
#include "rooms/mailbox/session.h"

#define MAILBOX_DOORS 16u	      /* instances of door (count) */
#define MAILBOX_THREADS 24u
#define MAILBOX_STACK ((size_t)262144)
#define MAILBOX_ROW 8u		      /* conversations that lie side by side in memory (count) */
#define MAILBOX_BATCH 64u	      /* deliveries that share one flush (count) */
#define MAILBOX_GATHER_MS 40u	      /* so long deliveries wait for others while nobody listens */
#define MAILBOX_REST_MS 5000u	      /* without work so long: the store's file is closed */
#define MAILBOX_ASK_MS 1000u	      /* after so long, what door could not be told is tried again */
#define MAILBOX_LEAVE_MS 60000u	      /* without sessions and work so long: the room may end */

struct mailbox_room;

struct mailbox_link {
	struct mailbox_room *room;
	struct ipc_channel *ch; /* NULL: lost */
	struct loop_watch *watch;
	uint64_t generation;	/* rises with each new channel */
};

struct mailbox_conv {
	struct pool_conv pc; /* first */
	struct session s;
	struct mailbox_room *room;
	struct mailbox_link *link;
	uint64_t generation;		  /* of the link that brought it */
	struct mailbox_conv *next, *prev; /* all of the room, under the lock; next: of the spare ones */
	bool gone;			  /* under the lock: end at the next turn */
	bool tls;			  /* through door; without, the client's own socket is here */
	bool away;			  /* door has the stream, until ... */
	bool asked;			  /* ... which door was asked for */
	int fresh;			  /* under the lock: ... this one came; -1: none */
};

/* A delivery that waits for the transaction that all of one round share. */
struct arrival {
	struct ipc_call call;
	struct slice queue_id, rcpt, folder, prefix; /* in the arrivals' arena */
	uint64_t session, size;
	int fd;
};

struct mailbox_room {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct pool *pool;
	struct mailbox *store;
	struct hub hub;
	char account[16];  /* its number, for events */
	struct mailbox_link doors[MAILBOX_DOORS];
	pthread_mutex_t lock;
	struct mailbox_conv *first; /* changed by the loop's thread alone */
	struct arena *convs;	    /* all there ever were; these two of the loop's thread */
	struct mailbox_conv *spare;
	bool stopping, rested;	    /* of the loop's thread */
	uint64_t busy_ms;	    /* when there was work last */
	uint64_t turns, turns_seen; /* of conversations: counted by their threads; at the last look */
	/* deliveries; of the loop's thread */
	struct ipc_channel *queue;
	struct loop_watch *queue_watch;
	struct arrival batch[MAILBOX_BATCH];
	struct mailbox_delivery delivery[MAILBOX_BATCH]; /* of the same index */
	struct arena *arrivals;
	uint64_t floor; /* the highest that queue has told */
	size_t n_batch;
	struct loop_timer *gather;
	bool gathered;
};

/* Everything but the peers and r->store, which has to be there before the loop runs, in a zeroed r. proc may
 * be NULL. */
void mailbox_room_init(struct mailbox_room *r, struct proc *p, struct loop *l, uint64_t account,
    unsigned sessions);
void mailbox_introduce(void *room, const char *peer, const char *instance, int fd);
void mailbox_stop(void *room);

/* deliver.c */
void deliver_introduce(struct mailbox_room *r, int fd);
/* After each round of the loop: delivers what has come, at once where somebody listens for news, else
 * when others had the time to join: the spool has it all, so waiting risks nothing. */
void deliver_round(void *room);
/* Delivers, flushes, answers and tells what was delivered since. Ends the process when the disk has failed. */
void deliver_flush(struct mailbox_room *r);
void deliver_drop(struct mailbox_room *r);
