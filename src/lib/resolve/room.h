/* SPDX-License-Identifier: MIT
 * The resolver of every room but dns: asks the dns room over a channel.
 *
 *	static struct resolve_room dns;			once, at start
 *	resolve_room_init(&dns, 6000);
 *	...introduce(): if (strcmp(peer, "dns") == 0) resolve_room_connect(&dns, fd);
 *
 *	struct resolve_asker asker = { .room = &dns, .session = session };	for each message, on any thread
 *	struct resolver r = resolve_via_room(&asker);
 *	resolve(&r, name, RR_MX, arena, &answer);
 *
 * Blocks the calling thread. No answer is never "absent": without dns, or after the deadline, it is
 * RESOLVE_TIMEOUT; an answer that breaks the channel's rules is RESOLVE_SERVFAIL. */
#pragma once

#include "lib/ipc/ipc.h"
#include "lib/resolve/resolve.h"

struct resolve_room {
	struct ipc_client *client;
	uint32_t wait_ms; /* for one question; a little more than the room's own deadline (dns.timeout) */
};

/* Who asks: the session stands in the events of dns. Outlives its resolver. */
struct resolve_asker {
	struct resolve_room *room;
	uint64_t session;
	uint64_t deadline_ms; /* clock_mono_ms() that no question waits beyond; 0: none */
};

void resolve_room_init(struct resolve_room *r, uint32_t wait_ms);
/* The peer "dns" (again): takes over fd. */
void resolve_room_connect(struct resolve_room *r, int fd);
void resolve_room_free(struct resolve_room *r);

/* A resolver with the budget of one message. Its answers live in the arena of each call. */
struct resolver resolve_via_room(struct resolve_asker *asker);
