/* SPDX-License-Identifier: MIT
 * Connections to Unix sockets of the configuration, for rooms with an empty root: warden makes them (ipc/dial_warden.msg).
 *
 *	dialer_init(&d, loop);				once, at start
 *	...introduce(): "warden": dialer_connect(&d, fd)	again whenever it is introduced
 *	fd = dialer_dial(&d, which, deadline);		on any thread but the loop's
 *
 * Blocks the calling thread until warden has answered, which the loop's thread hears. */
#pragma once

#include <pthread.h>

#include "lib/proc/loop.h"

struct ipc_channel;
struct dialer_waiting;

struct dialer {
	struct loop *loop;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t dialed;
	struct ipc_channel *warden; /* NULL: lost */
	struct loop_watch *watch;
	struct dialer_waiting *waiting;
	uint64_t calls;
};

/* Never freed: lives as long as its room. */
void dialer_init(struct dialer *d, struct loop *l);
/* The peer "warden": takes over fd. In the loop's thread. */
void dialer_connect(struct dialer *d, int fd);
/* A connected, non-blocking socket to the which-th milter or route, the caller's; -1: it cannot be reached, or
 * clock_mono_ms() has passed deadline_ms. */
[[nodiscard]] int dialer_dial(struct dialer *d, uint32_t which, uint64_t deadline_ms);
