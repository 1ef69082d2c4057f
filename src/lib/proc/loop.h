/* SPDX-License-Identifier: MIT
 * The event loop of a room's main thread: descriptors with handlers, and timers. Nothing hostile is
 * interpreted in it. Handlers run on the thread that called loop_run(); loop_watch_once(),
 * loop_watch_again() and loop_post() may be called from any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_watch;
struct loop_timer;

#define LOOP_READ 1u
#define LOOP_WRITE 2u
#define LOOP_HUP 4u /* only ever reported */

typedef void loop_handler(void *arg, unsigned ready);
typedef void loop_timeout(void *arg);

/* Never NULL. */
struct loop *loop_new(void);
void loop_free(struct loop **l);
/* Calls handler(arg, what is ready) when fd is ready for any of want (level-triggered). fd stays
 * the caller's and has to be unwatched before it is closed. */
struct loop_watch *loop_watch(struct loop *l, int fd, unsigned want, loop_handler *handler, void *arg);
/* The same, but reports once and then waits for loop_watch_again(). */
struct loop_watch *loop_watch_once(struct loop *l, int fd, unsigned want, loop_handler *handler, void *arg);
void loop_watch_again(struct loop *l, struct loop_watch *w, unsigned want);
/* Changes what a level-triggered watch waits for; 0 pauses it. */
void loop_want(struct loop *l, struct loop_watch *w, unsigned want);
/* Ends a watch; safe inside any handler, also for a watch that was ready in the same round. */
void loop_unwatch(struct loop *l, struct loop_watch **w);
/* Calls timeout(arg) once after ms milliseconds (clock_mono_ms()); the timer is gone then. */
struct loop_timer *loop_after(struct loop *l, uint64_t ms, loop_timeout *timeout, void *arg);
void loop_cancel(struct loop *l, struct loop_timer **t);
/* Has handler(arg) called once in the loop's thread soon. From any thread. */
void loop_post(struct loop *l, loop_timeout *handler, void *arg);
/* Called after each round of handlers, before waiting again: for work that is done in batches. */
void loop_on_idle(struct loop *l, loop_timeout *handler, void *arg);
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* One round, waiting at most ms. For tests. */
void loop_once(struct loop *l, int ms);
