/* SPDX-License-Identifier: MIT
 * What door keeps: its listeners, the rooms it hands conversations to, and every conversation from
 * accept to end. All of it belongs to the one thread of the loop.
 *
 *   accept --plain--> the room has the bare socket (nothing of it is open here) --closed--> end
 *      |                   | starttls: the socket comes back
 *      |                   v
 *      +--implicit--> conn: handshake --> converse, one end of a pair --> octets until an end
 *                          ^                             | handoff (after login), and warden's join
 *                          +----- the mailbox room <-----+
 *
 * A conversation is known by a random number of 64 bits, which rooms name in their messages. A room
 * can only name conversations that it has now. */
#pragma once

#include "ipc/door_lobby.h"
#include "ipc/door_mailbox.h"
#include "ipc/door_smtp.h"
#include "ipc/warden_door.h"
#include "lib/base/ip.h"
#include "lib/events/events.h"
#include "lib/proc/proc.h"
#include "rooms/door/caps.h"
#include "rooms/door/conn.h"

#define LIMIT_LISTENERS 32u
#define LIMIT_ROOMS 4u		/* smtp (mx, submission, lmtp) and lobby */
#define LIMIT_IMPLICIT_MS 10000u	/* S-023: a handshake that takes longer is cut */
#define LIMIT_JOIN_MS 10000u	/* from login to the mailbox room */
#define LIMIT_FLUSH_MS 30000u	/* a client that does not take the last words */
#define LIMIT_LINGER_MS 2000u
#define LIMIT_PROXY_MS 5000u	/* a front end that does not say whom it brings */
#define LIMIT_STOP_MS 250u
#define LIMIT_TICK_MS 250u
#define LIMIT_ACCEPTS 64		/* of one listener in one turn */
#define LIMIT_FRAMES 64		/* of one channel in one turn */
#define LIMIT_PAIR ((size_t)65536)	/* kernel buffer of a pair, each way */
#define LIMIT_QUIET_MS 3000u
#define LIMIT_PAUSE_MS 200u
#define LIMIT_BEHIND_MS 5u	/* so long clients wait in the backlog for a room that is behind */
#define LIMIT_CROWD ((size_t)100)	/* connections whose memory is given back when half have gone */
#define LIMIT_TOLD 20u		/* refusals a second that become events; the rest are counted */
#define LIMIT_UNSENT 131072	/* octets that TCP takes for a client that does not read */

enum peer_kind { PEER_SMTP, PEER_LOBBY, PEER_MAILBOX, PEER_WARDEN };

struct session;

/* A list of sessions through one of their links. */
enum link_kind { LINK_ROOM, LINK_DEADLINE, LINK_READY, LINKS };
struct list {
	struct session *first, *last;
};

/* A room that takes conversations. */
struct room {
	struct house *house;
	enum peer_kind kind;
	const char *peer, *instance; /* of the rooms named at start: what introduce must match */
	uint32_t account;	     /* of a mailbox */
	struct ipc_channel *ch;	     /* NULL: not there now */
	struct loop_watch *watch;
	struct list sessions;
	struct room *next; /* mailboxes of one bucket */
};

/* One listening socket. */
struct listener {
	struct house *house;
	const struct service *service;
	struct room *room;
	int fd;
	struct loop_watch *watch;
	struct ip_nets proxies; /* front ends, which say first who the client is (PROXY protocol) */
};

/* What a listener's name means: who gets its conversations, and whether TLS comes first. */
struct service {
	const char *name, *peer, *instance;
	const char *alpn; /* the protocol's name in ALPN, NULL where it has none */
	enum peer_kind kind;
	enum door_lobby_protocol protocol;
	bool implicit_tls;
};

enum deadline {
	DEADLINE_SHAKE,
	DEADLINE_JOIN,
	DEADLINE_FLUSH,
	DEADLINE_LINGER,
	DEADLINE_PROXY,
	DEADLINES,
	NO_DEADLINE,
};

/* What lobby said when it gave a conversation up. */
struct handoff {
	uint8_t tag[64], leftover[8192];
	size_t tag_n, leftover_n;
};

struct session {
	uint64_t id;
	struct session *next_id;
	struct session *prev[LINKS], *next[LINKS];
	struct list *in[LINKS];
	uint64_t deadline_ms;
	enum deadline deadline;
	const struct listener *listener;
	struct room *room; /* who has it; NULL between two */
	struct caps_address *address;
	bool unknown; /* counted in the total only: its front end has not said yet who it is */
	struct conn *conn; /* NULL: no TLS here */
	struct loop_watch *watch[2];
	uint8_t wants[2];
	int watched[2];
	bool hung[2]; /* EPOLLHUP was seen: it would be reported for ever */
	int bare;     /* the client's socket between lobby and mailbox, without TLS */
	struct handoff *handoff;
	bool joined, tls, closed, stopping;
	bool resting; /* its room has given the stream back, and keeps the session */
	bool woken;   /* while it rests: the room wants to say something */
	uint32_t account;
	struct ip peer_ip, local_ip;
	uint16_t peer_port, local_port;
	struct ip socket_ip; /* whom the socket is connected to: the client, or a front end */
	uint16_t socket_port;
};

#define ID_BUCKETS 4096u
#define MAILBOX_BUCKETS 256u

struct house {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct tls_server *tls;
	struct caps *caps;
	struct listener listeners[LIMIT_LISTENERS];
	size_t n_listeners;
	struct room rooms[LIMIT_ROOMS];
	size_t n_rooms;
	struct room *mailboxes[MAILBOX_BUCKETS];
	struct ipc_channel *warden;
	struct loop_watch *warden_watch;
	struct session *ids[ID_BUCKETS];
	struct list deadlines[DEADLINES], ready;
	bool posted; /* ready is going to be run */
	bool stopping;
	bool crowded; /* what the smtp rooms were told */
	size_t crowd; /* most connections since memory was given back */
	uint64_t told_since_ms, untold; /* refusals: see house_refused() */
	uint32_t told;
	struct loop_timer *tick, *stop_timer, *quiet, *pause;
	void (*keys)(void *ctx, int fd); /* a channel to the room keys */
	void *keys_ctx;
};

/* table.c: sessions by id, lists, deadlines */
struct session *session_new(struct house *h, const struct listener *l);
struct session *session_find(struct house *h, uint64_t id);
/* Takes it out of everything and frees it; a conn and a bare socket are closed at once. */
void session_free(struct house *h, struct session *s);
void list_put(struct list *list, enum link_kind k, struct session *s);
void list_drop(enum link_kind k, struct session *s);
/* Replaces its deadline; NO_DEADLINE takes it away. */
void deadline_set(struct house *h, struct session *s, enum deadline d);

/* accept.c */
/* The event of a connection or a handshake that was refused or failed (s NULL: before there was a
 * session). A flood of refusals is no flood of events: the next event says how many were not told. */
void house_refused(struct house *h, enum event_kind kind, const struct listener *l,
    const struct session *s, const struct ip *ip, struct slice reason);
/* Serves a listening socket (taken over) by its name: "smtp", "imaps", ... False for a name that is
 * unknown or one too many. */
bool house_listen(struct house *h, const char *name, int fd);
/* Front ends of all listeners of this name; after house_listen(). */
void house_proxies(struct house *h, const char *name, const struct ip_nets *nets);
/* The i-th name that house_listen() knows, NULL behind the last. */
const char *house_service(size_t i);
/* IPv4-mapped addresses become IPv4; *ip has n == 0 for another family. */
struct sockaddr_storage;
void house_address(const struct sockaddr_storage *ss, struct ip *ip, uint16_t *port);
/* Accepts while the listener's room is there, waits in the kernel's backlog while it is not. */
void listeners_watch(struct house *h);
void listeners_close(struct house *h);

/* serve.c: sessions with TLS */
/* Begins a handshake on fd (taken over), which the address has paid for (caps_handshake()). The
 * session may be gone afterwards. */
void session_shake(struct house *h, struct session *s, int fd);
/* Runs its conn and does what follows from it. The session may be gone afterwards. */
void session_run(struct house *h, struct session *s);
/* Gives the conn a new pair and returns the room's end of it, or -1. */
int session_pair(struct house *h, struct session *s);
/* Ends a conversation from our side: a TLS client gets a clean close, a bare socket is closed. The
 * session may be gone afterwards. */
void session_end(struct house *h, struct session *s);

/* rooms.c */
struct room *house_room(struct house *h, enum peer_kind kind, const char *peer, const char *instance);
/* Hands fd (borrowed) to the session's room. False: the room is not there or does not take it. */
bool room_converse(struct session *s, int fd);
/* Tells smtp rooms when the total of connections comes near its end, and when that is over. */
void house_crowding(struct house *h);
/* Tells the room that has it that the session is over. */
void room_gone(struct session *s);
/* Lobby has given it up and warden has said whose it is: hands it to the mailbox room, once what is
 * underway is taken over. The session may be gone afterwards. */
void session_join(struct house *h, struct session *s);
/* A resting session's stream is drained: waits for the client or the room. */
void session_rest(struct house *h, struct session *s);
/* A resting session goes on, with a new pair. The session may be gone afterwards. */
void session_resume(struct house *h, struct session *s);
/* Forgets what lobby said. */
void handoff_free(struct session *s);
/* The mailbox cannot be had: the client hears so from lobby, where it still waits for the answer to its
 * login; else the conversation ends. The session may be gone afterwards. */
void session_unavailable(struct house *h, struct session *s);
/* For struct proc_peers. */
void house_introduce(void *house, const char *peer, const char *instance, int fd);
void house_stop(void *house);
