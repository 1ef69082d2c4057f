/* SPDX-License-Identifier: MIT
 * One client whose TLS door does: the client's socket on one side, a stream to a room on the other,
 * plain octets passed between them and never looked at.
 *
 *      client ==TLS== [ conn ] --stream-- room           up: client -> room, down: room -> client
 *
 *   SHAKE --> WAITING --conn_attach()--> OPEN --room ends--> FLUSH --> LINGER --> end
 *                ^                         |
 *                +---- conn_switch() ------+   the room changes (after login), TLS stays
 *
 * What cannot be passed on at once is held, at most CONN_HOLD octets each way, and nothing more is
 * read from that side until it is gone: back-pressure reaches the sender. An idle conn holds
 * nothing but OpenSSL's state. All work is bounded by the call; conn knows no clock and no epoll:
 * its owner tells it which descriptors may be ready, edge by edge, and how long a phase may last. */
#pragma once

#include "lib/base/slice.h"
#include "lib/tls/tls.h"

#define CONN_HOLD ((size_t)16384)

enum conn_phase {
	CONN_SHAKE,   /* handshake under way */
	CONN_WAITING, /* no room yet, or between two rooms */
	CONN_OPEN,
	CONN_FLUSH,   /* the room has ended; the client still gets what it said */
	CONN_LINGER,  /* our end is said; what the client still sends is thrown away */
	CONN_OVER,
};

enum conn_status {
	CONN_IDLE,    /* nothing to do before an edge */
	CONN_MORE,    /* the share of this turn is used up: run again */
	CONN_SHOOK,   /* once: the handshake is complete, a room is wanted */
	CONN_LOST,    /* once, after conn_await(): the room has ended without a word */
	CONN_DRAINED, /* once, after conn_switch(): the old room's last words are taken over */
	CONN_WANTED,  /* after conn_rest(): the client has said something, and a room is wanted */
	CONN_ENDED,   /* free it */
};

enum conn_side { CONN_CLIENT, CONN_ROOM };

struct conn;

/* Takes over the client's socket. alpn: see tls_expect(). Never NULL. */
struct conn *conn_new(struct tls_server *server, int client, const char *alpn);
/* Closes both sides at once; *c becomes NULL; accepts NULL. */
void conn_free(struct conn **c);
/* The descriptor of a side, or -1; borrowed. The room's changes with attach, switch and end. */
int conn_fd(const struct conn *c, enum conn_side side);
enum conn_phase conn_phase(const struct conn *c);
/* TLS facts and, after a failure, tls_reason(). */
const struct tls_conn *conn_tls(const struct conn *c);
/* True where the conversation ended by an error of the client's side; see tls_reason(). */
bool conn_failed(const struct conn *c);
/* Octets passed so far. */
uint64_t conn_up(const struct conn *c);
uint64_t conn_down(const struct conn *c);

/* An edge: the descriptor may be read, may be written, or both. */
void conn_edge(struct conn *c, enum conn_side side, bool readable, bool writable);
/* This side has hung up, and nothing reports it from now on: it is read until its end. */
void conn_hung(struct conn *c, enum conn_side side);
/* Is there a reason to wait until this side can be read (written)? False where an edge would change
 * nothing: what holds the conn up is on the other side. */
bool conn_wants_read(const struct conn *c, enum conn_side side);
bool conn_wants_write(const struct conn *c, enum conn_side side);
/* Does what can be done, at most four full buffers each way. */
enum conn_status conn_run(struct conn *c);
/* In CONN_WAITING: the room's stream, which is taken over. */
void conn_attach(struct conn *c, int room);
/* In CONN_OPEN: the room gives the conversation up. returned is the room's own end of the stream
 * (borrowed): what it has not read is taken back and goes to the next room. After CONN_DRAINED the
 * phase is CONN_WAITING again. False where it is not open or the octets underway are more than
 * CONN_BACKLOG: the caller then ends it. */
#define CONN_BACKLOG ((size_t)262144)
[[nodiscard]] bool conn_switch(struct conn *c, int returned);
/* In CONN_WAITING: nobody is wanted before the client says something, or its end; until conn_attach(). */
void conn_rest(struct conn *c);
/* After conn_attach(): if the room ends before it has said anything, conn_run() gives CONN_LOST instead
 * of ending the conn, and the phase is CONN_WAITING again. */
void conn_await(struct conn *c);
/* Whether it still waits for the room's first octet. */
bool conn_awaits(const struct conn *c);
/* In CONN_OPEN: cuts the room off, with what was on the way to it; the phase is CONN_WAITING again. No
 * effect elsewhere. */
void conn_detach(struct conn *c);
/* Begins the end: a room that is attached is cut off; the client gets what was already taken from
 * the room, and a clean close. */
void conn_close(struct conn *c);
