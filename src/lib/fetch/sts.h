/* SPDX-License-Identifier: MIT
 * MTA-STS for a room that sends: the cache of lib/store and the room fetch behind struct tlspolicy_sts.
 *
 *	static struct sts_source source;			once, at start
 *	sts_source_init(&source, cache);
 *	...introduce(): if (strcmp(peer, "fetch") == 0) sts_source_connect(&source, fd);
 *
 *	struct sts_asker asker = { .source = &source, .session = session };	for each message, on any thread
 *	struct tlspolicy_sts sts = sts_source_of(&asker);
 *	struct tlspolicy_env env = { .sts = &sts, ... };
 *
 * A cache that fails is told as an event once a minute and treated as empty: the policy is fetched again. */
#pragma once

#include <pthread.h>

#include "lib/store/stscache.h"
#include "lib/verify/tlspolicy/tlspolicy.h"

struct sts_source {
	struct ipc_client *fetch;
	pthread_mutex_t lock; /* of the cache */
	struct stscache *cache;
	uint64_t told_ms;
};

struct sts_asker {
	struct sts_source *source;
	uint64_t session;
};

/* cache may be NULL: then every message asks afresh. It stays the caller's. */
void sts_source_init(struct sts_source *s, struct stscache *cache);
/* The peer "fetch" (again): takes over fd. */
void sts_source_connect(struct sts_source *s, int fd);
void sts_source_free(struct sts_source *s);

struct tlspolicy_sts sts_source_of(struct sts_asker *asker);
