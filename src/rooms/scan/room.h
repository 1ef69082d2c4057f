/* SPDX-License-Identifier: MIT
 * The room scan: askers in the loop's thread, messages in worker threads. A message that waits costs
 * its request; one that is worked on costs an arena of its own, and is read where the asker left it. */
#pragma once

#include <pthread.h>

#include "lib/proc/pool.h"
#include "lib/proc/proc.h"
#include "lib/resolve/room.h"
#include "rooms/scan/scan.h"

#define SCAN_THREADS 32u	/* messages judged at once: most of them wait for the DNS (count) */
#define SCAN_STACK ((size_t)262144)
#define SCAN_WAITING 1024u	/* messages that wait for a thread; more: try later (count) */
#define SCAN_ASKERS 8u		/* channels to askers (count) */
#define SCAN_DNS_MS 20000u	/* for one message, with SCAN_ENFORCE */
#define SCAN_DNS_MARK_MS 1000u	/* the same, with SCAN_MARK */
#define SCAN_DNS_WAIT_MS 12000u	/* for one question */
#define SCAN_DNS_QUIET_MS 300000u /* with SCAN_MARK: not asked so long after it did not answer */
#define SCAN_KNOWN 64u		/* domains whose signers are remembered (count) */
#define SCAN_KNOWN_MS 30000u	/* so long */

struct scan_room;

struct scan_asker {
	struct scan_room *room;
	struct ipc_channel *ch; /* NULL: free */
	struct loop_watch *watch;
	enum smtp_scan_phase phase;
};

struct scan_known {
	struct arena *a; /* of this row; NULL: empty */
	struct slice domain;
	struct scan_keys_signer signers[4];
	size_t n;
	uint64_t until_ms;
};

struct scan_room {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct pool *pool;
	struct resolve_room dns;
	struct ipc_client *keys, *auth;
	struct scan_conf conf, rules_only; /* the second for LMTP */
	struct scan_backend back;
	struct scan_asker askers[SCAN_ASKERS];
	uint64_t max_size; /* bytes of one message */
	_Atomic uint64_t quiet_until_ms;
	pthread_mutex_t lock; /* of known */
	struct scan_known known[SCAN_KNOWN];
	bool stopping;
};

/* Everything but the peers; proc may be NULL; conf is copied. The room is never freed. */
void scan_room_init(struct scan_room *r, struct proc *p, struct loop *l, const struct scan_conf *conf,
    uint64_t max_size);
/* "smtp" (mx, submission, lmtp), "clerk", "queue" and "drop" ask; "dns", "keys" and "auth" are asked. */
void scan_introduce(void *room, const char *peer, const char *instance, int fd);
/* Takes nothing new, and stops the loop when the last answer is given. */
void scan_stop(void *room);

/* ask.c: the questions, bound to the channels of the room */
void scan_bind(struct scan_room *r);
