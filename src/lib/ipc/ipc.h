/* SPDX-License-Identifier: MIT
 * Frames between rooms: one SOCK_SEQPACKET datagram each. The typed functions of every channel are
 * generated from ipc/NAME.msg on top of what stands here; doc/ipc.md lists the messages.
 *
 *   frame = type u16 | 0 u16 | call id u32 | schema u32 | body        (little-endian)
 *
 * Identity is the channel: no field says who the sender is. A frame that is malformed, unknown or
 * not permitted in the channel's phase never hurts the receiver: the channel is closed, and the
 * room tells warden (ipc_why() has the words), which ends the sender.
 *
 * Descriptors: a sender keeps its own descriptor (it is duplicated by the kernel). A receiving
 * handler owns m->fd only if it takes it with fd_take(&m->fd); otherwise it is closed after the
 * handler returns. The kernel never delivers more than one: there is no room for a second. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/cursor.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"

#define IPC_HEADER ((size_t)12)

enum ipc_status {
	IPC_OK,
	IPC_AGAIN,	 /* non-blocking receive: nothing there; send: the peer's buffer is full */
	IPC_CLOSED,	 /* the peer is gone */
	IPC_UNAVAILABLE, /* no answer before the deadline, or no peer: the caller says "try later" */
	IPC_HOSTILE,	 /* the peer broke the rules; the channel is closed now */
	IPC_TOO_BIG,	 /* what was to be sent does not fit a frame */
};

enum ipc_kind { IPC_NEVER, IPC_REQUEST, IPC_NOTE, IPC_BACK };
enum ipc_side { IPC_AT_SERVER, IPC_AT_CLIENT, IPC_AT_ASKER };

/* One row of a permit table. */
struct ipc_message {
	const char *name;
	enum ipc_kind kind;
	unsigned fds;	 /* 0 none, 1 exactly one, 2 one or none */
	unsigned phases; /* bit per phase in which it is permitted */
};

struct ipc_schema {
	const char *channel;
	uint32_t hash;
	const struct ipc_message *messages;
	size_t n;
};

/* One end of a channel. Not shared between receiving threads; sending is safe from any thread. */
struct ipc_channel;

/* Takes over fd. peer and instance (copied, 31 bytes) name the other side in events. */
struct ipc_channel *ipc_channel_new(int fd, const char *peer, const char *instance);
/* Closes; the memory goes with the last unanswered call. *ch becomes NULL; accepts NULL. */
void ipc_channel_free(struct ipc_channel **ch);
/* Ends the object but not the connection, whose descriptor becomes the caller's: for a channel that
 * another room is to go on with. No call may be open. */
int ipc_channel_give(struct ipc_channel **ch);
void ipc_set_phase(struct ipc_channel *ch, unsigned phase);
/* A receive returns IPC_AGAIN instead of waiting. */
void ipc_set_nonblocking(struct ipc_channel *ch, bool on);
int ipc_fd(const struct ipc_channel *ch);
const char *ipc_peer(const struct ipc_channel *ch);
const char *ipc_instance(const struct ipc_channel *ch);
/* Why the last status was IPC_HOSTILE: "channel.message malformed". */
const char *ipc_why(const struct ipc_channel *ch);
/* Sends wait this long for room in the peer's buffer (default 1,000 ms; 0: never wait). */
void ipc_set_send_wait(struct ipc_channel *ch, unsigned ms);
/* Would the peer's buffer take a message now? Nothing is waited for; also true where the channel is at its end. */
bool ipc_writable(const struct ipc_channel *ch);

/* ---- used by rooms that answer ---------------------------------------------------------------- */

/* A request that has to be answered once: now, or later from any thread (copy the struct). */
struct ipc_call {
	struct ipc_channel *ch;
	uint32_t id;
	uint16_t type;
};
/* Gives up a call without an answer (the asker runs into its deadline); nothing where it has ended. Always true. */
bool ipc_refuse(struct ipc_call *call);

/* ---- used by rooms that ask and wait ---------------------------------------------------------- */

/* The asking side of a channel, shared by the threads of a room. Whoever waits reads: the first
 * waiter receives for all, and hands over when its own answer has come. */
struct ipc_client;

/* A client without a peer yet; requests wait for one until their deadline. name for events. */
struct ipc_client *ipc_client_new(const char *name);
void ipc_client_free(struct ipc_client **c);
/* The peer (again): takes over fd. Calls in flight on the old channel become IPC_UNAVAILABLE. */
void ipc_client_connect(struct ipc_client *c, int fd);
bool ipc_client_connected(struct ipc_client *c);

/* ---- used by generated code -------------------------------------------------------------------- */

struct ipc_frame {
	uint16_t type;
	uint32_t id;
	struct cursor body;
	struct arena *arena; /* lists of the decoded message; ends with the frame */
	int fd;		     /* -1: none, or taken */
	struct ipc_channel *ch;
};

buf_t ipc_frame_begin(const struct ipc_schema *s, uint16_t type);
void ipc_put_bytes(struct buf *b, struct slice s, size_t max);
void ipc_put_count(struct buf *b, size_t n, size_t max);
bool ipc_get_bool(struct cursor *c);
uint8_t ipc_get_enum(struct cursor *c, unsigned n);
struct slice ipc_get_bytes(struct cursor *c, size_t max);
size_t ipc_get_count(struct cursor *c, size_t max);

/* Sends a finished frame with fd (or -1). A bytes field over its maximum gives IPC_TOO_BIG. */
enum ipc_status ipc_send(struct ipc_channel *ch, struct buf *b, uint32_t id, int fd);
/* Receives one frame and checks header, schema, permission, phase and descriptors. */
enum ipc_status ipc_receive(struct ipc_channel *ch, const struct ipc_schema *s, enum ipc_side side,
    struct ipc_frame *f);
int ipc_frame_take_fd(struct ipc_frame *f);
void ipc_frame_end(struct ipc_frame *f);
struct ipc_call ipc_call_of(struct ipc_channel *ch, const struct ipc_frame *f);
/* Sends the answer; false when the asker is gone or it does not fit a frame. Ends the call, but for an answer that did
 * not fit: the call is still open then, and a smaller answer may follow. On a call that has ended (its asker was gone, say)
 * it does nothing and is false: who tries a smaller answer need not know why the first one failed. */
bool ipc_answer(struct ipc_call *call, struct buf *b);
enum ipc_status ipc_hostile(struct ipc_channel *ch, const struct ipc_frame *f, const char *why);
/* Sends b as a request with fd (or -1), waits for its answer until deadline_ms (clock_mono_ms()),
 * leaves the answer's body in a and *out. IPC_UNAVAILABLE when there is no answer in time. */
enum ipc_status ipc_call_wait(struct ipc_client *c, const struct ipc_schema *s, struct buf *b, int fd,
    uint64_t deadline_ms, struct arena *a, struct cursor *out);
enum ipc_status ipc_client_hostile(struct ipc_client *c, const char *message);
/* Fuzzing only: sends body with a header whose type and id come from its first bytes. */
void ipc_fuzz_frame(const struct ipc_schema *s, int fd, const uint8_t *p, size_t n);

/* Checks a received descriptor before use: a memfd that nobody can change any more (all four
 * seals), of at most max bytes. Gives its size. False otherwise. */
bool ipc_sealed_memfd(int fd, uint64_t max, uint64_t *size);
