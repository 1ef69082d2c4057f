/* SPDX-License-Identifier: MIT
 * The room milter: smtp's questions in the loop's thread, each message in a worker thread of its own, which
 * talks to one milter after the other. Nothing is kept between messages. */
#pragma once

#include "lib/dial/dial.h"
#include "lib/proc/pool.h"
#include "lib/proc/proc.h"
#include "rooms/milter/milter.h"

#define MILTER_THREADS 32u /* messages under judgement at once (count) */
#define MILTER_STACK ((size_t)262144)
#define MILTER_WAITING 1024u /* messages that wait for a thread; more: try later (count) */
#define MILTER_ASKERS 2u     /* smtp: mx, submission */

struct milter_room;

struct milter_asker {
	struct milter_room *room;
	struct ipc_channel *ch; /* NULL: free */
	struct loop_watch *watch;
	enum smtp_milter_phase phase;
};

struct milter_room {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct pool *pool;
	struct milter_settings settings;
	struct milter_backend back;
	struct milter_asker askers[MILTER_ASKERS];
	bool stopping;
	struct dialer dialer; /* Unix sockets */
};

/* Everything but the peers; proc may be NULL; settings are copied. The room is never freed. */
void milter_room_init(struct milter_room *r, struct proc *p, struct loop *l, const struct milter_settings *settings);
/* "smtp" (mx, submission) asks; "warden" connects to Unix sockets. */
void milter_introduce(void *room, const char *peer, const char *instance, int fd);
/* Takes nothing new, and stops the loop when the last answer is given. */
void milter_stop(void *room);

/* reach.c: a connection to a milter, as milter_backend wants it. ctx is the room. */
int milter_connect(void *room, const struct milter_conf *m, uint64_t deadline_ms, const char **why);

/* settings.c: what warden told; ends the room where it is wrong. */
void milter_settings_read(const struct proc *p, struct milter_settings *out);
