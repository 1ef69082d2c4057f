/* SPDX-License-Identifier: MIT
 * A thread while a conversation is active, parked while it is idle.
 *
 *   pool_add()  --> queued --> a worker thread calls run() --> POOL_PARK --> parked (no thread)
 *                     ^                                          |             |
 *                     +---- input, pool_wake() or its deadline --+-------------+
 *                                                            POOL_END --> end(), gone
 *
 * run() talks in straight-line blocking code as long as there is something to say, lingers a few
 * milliseconds for the next command, and parks. Only one thread is ever inside one conversation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/proc/loop.h"

enum pool_next {
	POOL_PARK, /* wait for input, pool_wake() or the deadline */
	POOL_END,  /* over: end() is called, then the pool forgets it */
};

enum pool_why {
	POOL_INPUT,    /* there is input, or it is new */
	POOL_WOKEN,    /* pool_wake() was called; there may be input too */
	POOL_DEADLINE, /* its deadline passed while it was parked */
};

#define POOL_IDLE_MS 4000u /* shorter than what rooms call quiet: their last trim finds all stacks gone */

struct pool;

/* Stands first in the room's own conversation struct. */
struct pool_conv {
	/* The room's, before pool_add() and inside run(): */
	int fd;			 /* waited on while parked; -1: nothing is, until pool_wake() */
	uint64_t deadline_ms;	 /* for parking (clock_mono_ms()); 0: none */
	bool nap;		 /* park until the deadline (to a twentieth of a second) or pool_wake(), whatever comes in */
	/* The pool's: */
	struct pool *pool;
	struct pool_conv *next, *prev_parked, *next_parked;
	struct loop_watch *watch;
	unsigned state;
	enum pool_why why;
	bool woken, timed_out;
};

struct pool_ops {
	enum pool_next (*run)(struct pool_conv *c, enum pool_why why);
	/* After POOL_END, in the loop's thread: frees the conversation, closes its descriptor. */
	void (*end)(struct pool_conv *c);
	/* For conversations that never park and are never woken: end() is called by the worker, which spares the loop a
	 * wake. The pool's size counts the conversation until end() has returned. */
	bool ends_in_worker;
};

/* At most max_threads workers with stacks of stack_bytes; they are made when needed and go after
 * POOL_IDLE_MS without work. Parked conversations wait in the loop. Never NULL. */
struct pool *pool_new(struct loop *l, const struct pool_ops *ops, unsigned max_threads,
    size_t stack_bytes);
/* When all conversations have ended, in the loop's thread: waits for the threads, running the loop meanwhile. Rooms end
 * with the process instead. */
void pool_free(struct pool **p);
/* Starts a conversation; the pool calls end() one day. Only from the loop's thread. */
void pool_add(struct pool *p, struct pool_conv *c);
/* Has run() called soon with POOL_WOKEN, parked or not. From any thread, but the caller has to know
 * that c has not ended (a lock that its end() takes). */
void pool_wake(struct pool *p, struct pool_conv *c);
/* From the loop's thread: takes a parked conversation out of the pool's hands, as if it ran here, and stops
 * watching its descriptor. False where it is not parked. pool_put_back() follows in the same handler. */
[[nodiscard]] bool pool_hold(struct pool *p, struct pool_conv *c);
/* Parks it again, or has it run where pool_wake() was called meanwhile. */
void pool_put_back(struct pool *p, struct pool_conv *c);
/* Conversations that have not ended. */
unsigned pool_size(struct pool *p);
/* Threads that exist now. */
unsigned pool_threads(struct pool *p);
