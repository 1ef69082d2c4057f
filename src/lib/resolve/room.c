/* SPDX-License-Identifier: MIT */
#include "lib/resolve/room.h"

#include "ipc/room_dns.h"
#include "lib/clock/clock.h"

_Static_assert((int)ROOM_DNS_STATUS_OK == (int)RESOLVE_OK, "one numbering");
_Static_assert((int)ROOM_DNS_STATUS_NXDOMAIN == (int)RESOLVE_NXDOMAIN, "one numbering");
_Static_assert((int)ROOM_DNS_STATUS_BOGUS == (int)RESOLVE_BOGUS, "one numbering");

void
resolve_room_init(struct resolve_room *r, uint32_t wait_ms)
{
	*r = (struct resolve_room){ .client = ipc_client_new("dns"), .wait_ms = wait_ms };
}

void
resolve_room_connect(struct resolve_room *r, int fd)
{
	ipc_client_connect(r->client, fd);
}

void
resolve_room_free(struct resolve_room *r)
{
	ipc_client_free(&r->client);
}

static void
ask(void *self, struct slice name, enum rr_type type, struct arena *a, struct resolve_wire *out)
{
	struct resolve_asker *asker = self;
	struct room_dns_query in = { .name = name, .type = (uint16_t)type, .session = asker->session };
	struct room_dns_query_answer got = { .status = ROOM_DNS_STATUS_SERVFAIL };
	uint64_t until = clock_mono_ms() + asker->room->wait_ms;
	struct slice *rdata;
	enum ipc_status st;

	*out = (struct resolve_wire){ .status = RESOLVE_TIMEOUT };
	if (asker->deadline_ms != 0 && asker->deadline_ms < until)
		until = asker->deadline_ms;
	st = room_dns_query(asker->room->client, &in, until, a, &got);
	if (st != IPC_OK) {
		if (st != IPC_UNAVAILABLE)
			out->status = RESOLVE_SERVFAIL;
		return;
	}
	rdata = ARENA_ARRAY(a, got.n_rdata, struct slice);
	if (rdata == NULL) {
		out->status = RESOLVE_SERVFAIL;
		return;
	}
	for (size_t i = 0; i < got.n_rdata; i++)
		rdata[i] = got.rdata[i].data;
	*out = (struct resolve_wire){ .status = (enum resolve_status)got.status,
		.secure = got.secure,
		.ttl = got.ttl,
		.name = got.name,
		.n = got.n_rdata,
		.rdata = rdata };
}

struct resolver
resolve_via_room(struct resolve_asker *asker)
{
	return resolver_of(ask, asker);
}
