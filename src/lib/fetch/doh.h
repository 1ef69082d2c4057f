/* SPDX-License-Identifier: MIT
 * Asks a public resolver over HTTPS (RFC 8484) through the room fetch: for a room without network that wants to know
 * what others see. Nothing is cached. Blocks. */
#pragma once

#include "lib/ipc/ipc.h"
#include "lib/resolve/resolve.h"

struct doh {
	struct ipc_client *fetch;
	struct slice url; /* https://.../dns-query */
	uint32_t ms;	  /* for one question */
	bool silent;	  /* it did not answer once: it is not asked again */
};

/* The query function for resolver_of(doh_query, &doh). RESOLVE_TIMEOUT where there was no answer. */
void doh_query(void *self, struct slice name, enum rr_type type, struct arena *a, struct resolve_wire *out);
