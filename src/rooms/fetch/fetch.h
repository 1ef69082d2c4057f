/* SPDX-License-Identifier: MIT
 * Shared by the files of fetch: one HTTPS exchange, and the channels that ask for one.
 *
 * Invariants: a connection goes only to an address that dns gave for the host of the URL and that is neither
 * special (RFC 6890) nor ours; the certificate is verified for that host; nothing is followed, no proxy, no
 * cookie, no credential but what the request carries. Each request is answered exactly once. */
#pragma once

#include "ipc/room_fetch.h"
#include "lib/base/ip.h"
#include "lib/parse/url/url.h"
#include "lib/proc/pool.h"
#include "lib/proc/proc.h"
#include "lib/resolve/room.h"

/* Exchanges at once, and waiting for a thread (count). */
#define LIMIT_FETCH_THREADS 8u
#define LIMIT_FETCH_JOBS 64u
/* Stack of one: OpenSSL's deepest chain needs 60 KiB. */
#define FETCH_STACK ((size_t)262144)
/* Channels at once (count). */
#define LIMIT_FETCH_PEERS 8u
/* Networks that may be asked though they are special (count). */
#define LIMIT_FETCH_ALLOWED 16u
/* Addresses of one host that are tried (count). */
#define LIMIT_FETCH_ADDRESSES 8u
/* The most that one body may be: what an asker may demand. */
#define LIMIT_FETCH_BODY (UINT64_C(1) << 32)

struct fetch_conf {
	struct slice roots; /* CA certificates in PEM, mapped for as long as the process lives */
	uint16_t port;	    /* what stands in for 443: tests have their servers elsewhere */
	uint32_t most_ms;   /* for one exchange, whatever the asker says */
	struct ip allowed[LIMIT_FETCH_ALLOWED];
	unsigned allowed_bits[LIMIT_FETCH_ALLOWED];
	size_t n_allowed;
};

/* What came of it. Slices in the arena of the job. */
struct fetch_result {
	enum room_fetch_status status;
	uint16_t code;
	uint64_t size;
	struct slice type, why;
	struct room_fetch_field fields[8];
	size_t n_fields;
};

/* get.c: one exchange, in a thread of its own. body: a memfd. dns: blocks. */
void fetch_exchange(const struct fetch_conf *conf, struct resolver *dns, const struct room_fetch_fetch *m, int body,
    struct arena *a, struct fetch_result *out);
/* May this address be connected to? */
bool fetch_address_ok(const struct fetch_conf *conf, const struct ip *ip);
/* Before the walls and the threads; false when libcurl is not the one with OpenSSL. */
bool fetch_init(void);

/* serve.c */
struct fetch_room;
struct fetch_peer {
	struct fetch_room *room;
	struct ipc_channel *ch; /* NULL: free */
	struct loop_watch *watch;
};

struct fetch_room {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct pool *pool;
	struct fetch_conf conf;
	struct resolve_room dns;
	struct fetch_peer peers[LIMIT_FETCH_PEERS];
};

/* Everything but proc, loop and conf. */
void fetch_room_init(struct fetch_room *r);
/* For struct proc_peers. */
void fetch_introduce(void *room, const char *peer, const char *instance, int fd);
void fetch_stop(void *room);
