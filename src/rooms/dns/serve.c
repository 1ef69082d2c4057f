/* SPDX-License-Identifier: MIT
 * The channels of dns: rooms that ask, and command lines. */
#include <unistd.h>

#include "ipc/cli_dns.h"
#include "ipc/room_dns.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/dns/dns.h"

_Static_assert((int)ROOM_DNS_STATUS_BOGUS == (int)RESOLVE_BOGUS, "one numbering");
_Static_assert((int)ROOM_DNS_STATUS_TIMEOUT == (int)RESOLVE_TIMEOUT, "one numbering");
_Static_assert((int)CLI_DNS_STATUS_BOGUS == (int)RESOLVE_BOGUS, "one numbering");
_Static_assert((int)CLI_DNS_STATUS_TIMEOUT == (int)RESOLVE_TIMEOUT, "one numbering");

/* Frames of one channel before the others get their turn. */
#define TURN 32
/* Events of one second: a broken zone must not flood the log. */
#define TOLD 20u

/* Types that are answered. */
static bool
type_known(uint16_t type)
{
	switch (type) {
	case RR_A:
	case RR_NS:
	case RR_CNAME:
	case RR_SOA:
	case RR_PTR:
	case RR_MX:
	case RR_TXT:
	case RR_AAAA:
	case RR_SRV:
	case RR_TLSA:
	case RR_CAA:
		return true;
	default:
		return false;
	}
}

/* What failed, and for whom: a deferral has its reason here. */
static void
tell(const struct dns_query *q, const struct dns_answer *answer)
{
	struct dns_room *r = q->room;
	uint64_t now = clock_mono_ms();
	own(arena_p) a = arena_new("told", LIMIT_ARENA_COMMAND);
	struct slice name;

	if (!resolve_failed(answer->status) || q->n_wire == 0)
		return;
	if (r->told_second != now / 1000) {
		r->told_second = now / 1000;
		r->told = 0;
	}
	if (r->told++ >= TOLD || !name_from_wire(slice_of(q->wire, q->n_wire), a, &name))
		return;
	EVENT(EVENT_DNS_FAILED, q->session, S(""), S(""), EF("name", name), EN("type", q->type),
	    EF("status", slice_z(resolve_status_name(answer->status))), EF("why", slice_z(answer->why)),
	    EN("ms", now - q->started_ms));
}

static void
answer_room(struct dns_query *q, const struct dns_answer *answer)
{
	own(arena_p) a = arena_new("frame", LIMIT_ARENA_MESSAGE);
	struct room_dns_query_answer out = { .status = (enum room_dns_status)answer->status,
		.secure = answer->secure,
		.ttl = answer->ttl,
		.name = answer->name };

	tell(q, answer);
	out.rdata = ARENA_ARRAY(a, answer->n, struct room_dns_rdata);
	for (size_t i = 0; out.rdata != NULL && i < answer->n; i++)
		out.rdata[i].data = answer->rdata[i];
	out.n_rdata = out.rdata == NULL ? 0 : answer->n;
	if (out.rdata != NULL && room_dns_query_answer(&q->call, &out))
		return;
	if (q->call.ch == NULL)
		return; /* the asker is gone */
	out = (struct room_dns_query_answer){ .status = ROOM_DNS_STATUS_SERVFAIL }; /* too large for a frame */
	(void)room_dns_query_answer(&q->call, &out);
}

static void
answer_cli(struct dns_query *q, const struct dns_answer *answer)
{
	own(arena_p) a = arena_new("frame", LIMIT_ARENA_MESSAGE);
	struct cli_dns_query_answer out = { .status = (enum cli_dns_status)answer->status,
		.secure = answer->secure,
		.ttl = answer->ttl,
		.name = answer->name,
		.why = slice_head(slice_z(answer->why), 400),
		.ms = (uint32_t)(clock_mono_ms() - q->started_ms) };

	out.rdata = ARENA_ARRAY(a, answer->n, struct cli_dns_rdata);
	for (size_t i = 0; out.rdata != NULL && i < answer->n; i++)
		out.rdata[i].data = answer->rdata[i];
	out.n_rdata = out.rdata == NULL ? 0 : answer->n;
	if (out.rdata != NULL && cli_dns_query_answer(&q->call, &out))
		return;
	if (q->call.ch == NULL)
		return;
	out = (struct cli_dns_query_answer){ .status = CLI_DNS_STATUS_SERVFAIL, .why = S("too large for a frame") };
	(void)cli_dns_query_answer(&q->call, &out);
}

static void
on_query(void *ctx, struct ipc_call *call, struct room_dns_query *m)
{
	struct dns_peer *p = ctx;
	struct dns_query *q = type_known(m->type) ? dns_query_new(p->room, p) : NULL;
	struct room_dns_query_answer full = { .status = ROOM_DNS_STATUS_SERVFAIL };

	if (q == NULL) {
		(void)room_dns_query_answer(call, &full);
		return;
	}
	q->call = *call;
	q->session = m->session;
	q->done = answer_room;
	dns_ask(p->room, q, m->name, m->type);
}

static void
on_cli_query(void *ctx, struct ipc_call *call, struct cli_dns_query *m)
{
	struct dns_peer *p = ctx;
	struct dns_query *q = type_known(m->type) ? dns_query_new(p->room, p) : NULL;
	struct cli_dns_query_answer full = { .status = CLI_DNS_STATUS_SERVFAIL,
		.why = S("dns is busy, or does not answer this type") };

	if (q == NULL) {
		(void)cli_dns_query_answer(call, &full);
		return;
	}
	q->call = *call;
	q->done = answer_cli;
	dns_ask(p->room, q, m->name, m->type);
}

static const struct room_dns_server room_handlers = { .query = on_query };
static const struct cli_dns_server cli_handlers = { .query = on_cli_query };

/* Questions under way go on without an asker: their answers are cached. */
static void
peer_drop(struct dns_peer *p)
{
	for (size_t i = 0; i < LIMIT_DNS_FLIGHT; i++)
		if (p->room->queries[i].room != NULL && p->room->queries[i].peer == p)
			p->room->queries[i].peer = NULL;
	loop_unwatch(p->room->loop, &p->watch);
	ipc_channel_free(&p->ch);
	p->flight = 0;
}

static void
on_frames(void *arg, unsigned ready)
{
	struct dns_peer *p = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = p->cli ? cli_dns_server_serve(p->ch, &cli_handlers, p) : room_dns_server_serve(p->ch, &room_handlers, p);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && !p->cli && p->room->proc != NULL)
		proc_suspect(p->room->proc, p->ch);
	peer_drop(p);
}

/* The old channel of a room that was restarted, else a free one. Command lines come one by one. */
static struct dns_peer *
slot_for(struct dns_room *r, struct slice peer, struct slice instance, bool cli)
{
	struct dns_peer *empty = NULL;

	for (size_t i = 0; i < LIMIT_DNS_PEERS; i++) {
		struct dns_peer *p = &r->peers[i];

		if (p->ch == NULL) {
			if (empty == NULL)
				empty = p;
		} else if (!cli && slice_eq(slice_z(ipc_peer(p->ch)), peer) &&
		    slice_eq(slice_z(ipc_instance(p->ch)), instance)) {
			return p;
		}
	}
	return empty;
}

void
dns_introduce(void *room, const char *peer, const char *instance, int fd)
{
	struct dns_room *r = room;
	bool cli = slice_eq(slice_z(peer), S("cli"));
	struct dns_peer *p = slot_for(r, slice_z(peer), slice_z(instance), cli);

	if (p == NULL) {
		(void)close(fd);
		return;
	}
	if (p->ch != NULL)
		peer_drop(p);
	*p = (struct dns_peer){ .room = r, .ch = ipc_channel_new(fd, peer, instance), .cli = cli };
	ipc_set_nonblocking(p->ch, true);
	ipc_set_send_wait(p->ch, 0); /* an asker that does not read its answers loses them */
	p->watch = loop_watch(r->loop, ipc_fd(p->ch), LOOP_READ, on_frames, p);
}

void
dns_stop(void *room)
{
	struct dns_room *r = room;

	for (size_t i = 0; i < LIMIT_DNS_PEERS; i++)
		if (r->peers[i].ch != NULL)
			peer_drop(&r->peers[i]);
	loop_stop(r->loop);
}
