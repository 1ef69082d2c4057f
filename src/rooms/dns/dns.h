/* SPDX-License-Identifier: MIT
 * Shared by the files of dns: libunbound on this room's loop, and the channels that ask it.
 *
 * Invariants: at most LIMIT_DNS_FLIGHT questions are under way, of one channel at most LIMIT_DNS_PEER;
 * each is answered exactly once: by libunbound, by its deadline, or at once where there is no room.
 * What cannot be told from an answer is never "absent". */
#pragma once

#include <unbound-event.h>

#include "lib/proc/proc.h"
#include "lib/resolve/resolve.h"

/* Questions under way, in all and of one channel (count): one message may ask 64, one after the other. */
#define LIMIT_DNS_FLIGHT 512u
#define LIMIT_DNS_PEER 256u
/* Channels at once (count): rooms, and command lines that look something up. */
#define LIMIT_DNS_PEERS 64u
/* Trust anchors as text: the root has two or three keys of 400 bytes. */
#define LIMIT_DNS_ANCHORS ((size_t)65536)
/* Servers that questions are forwarded to (count). */
#define LIMIT_DNS_SERVERS 8u

struct dns_room;

/* What is known at the end of a question. Slices end with the call of done. */
struct dns_answer {
	enum resolve_status status;
	bool secure;
	uint32_t ttl;
	struct slice name; /* text: the owner behind CNAMEs */
	size_t n;
	const struct slice *rdata;
	const char *why; /* why it is bogus; "" */
};

struct dns_query;
typedef void dns_done(struct dns_query *q, const struct dns_answer *answer);

struct dns_peer {
	struct dns_room *room;
	struct ipc_channel *ch; /* NULL: free */
	struct loop_watch *watch;
	unsigned flight;
	bool cli;
};

struct dns_query {
	struct dns_room *room; /* NULL: free */
	struct dns_peer *peer; /* NULL when the channel is gone */
	struct ipc_call call;
	dns_done *done;
	struct loop_timer *timer;
	uint64_t session, started_ms;
	uint16_t type;
	bool asked; /* async_id counts */
	int async_id;
	uint8_t wire[255]; /* the name */
	size_t n_wire;
};

struct dns_room {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct ub_ctx *ub;
	struct ub_event_base *base;
	uint64_t timeout_ms;
	uint64_t told_second; /* events of this second */
	unsigned told, flight;
	struct dns_peer peers[LIMIT_DNS_PEERS];
	struct dns_query queries[LIMIT_DNS_FLIGHT];
};

/* loopbase.c: an event base of libunbound on a loop. Never NULL. */
struct ub_event_base *loopbase_new(struct loop *l);
void loopbase_free(struct ub_event_base **b);

/* resolver.c */

/* A server to forward to: "ADDRESS" or "ADDRESS@PORT". False when it is neither; *port as it says, or 53. */
bool dns_server_parse(struct slice text, struct slice *address, uint16_t *port);
/* Makes the context: servers separated by spaces ("": full recursion from the root), trust anchors in
 * zone form, one a line. NULL when it works, else what is wrong. Before the walls are closed. */
const char *dns_open(struct dns_room *r, struct slice servers, struct slice anchors);
/* Asks. q is a free query with peer, call, session and done set; name is text (lib/resolve). done is
 * called once: perhaps before this returns. */
void dns_ask(struct dns_room *r, struct dns_query *q, struct slice name, uint16_t type);
/* A free query, counted for the peer; NULL when there is none. */
struct dns_query *dns_query_new(struct dns_room *r, struct dns_peer *p);
/* libunbound's answer to (wire name, type) in words of lib/resolve; sec is 0 insecure, 1 bogus,
 * 2 secure. Pure, for the tests and the fuzz target. Slices of *out live in a. */
void dns_convert(struct slice wire, uint16_t type, int rcode, struct slice packet, int sec, struct arena *a,
    struct dns_answer *out);
void dns_close(struct dns_room *r);

/* serve.c: for struct proc_peers */
void dns_introduce(void *room, const char *peer, const char *instance, int fd);
void dns_stop(void *room);
