/* SPDX-License-Identifier: MIT
 * auth: who is who. Addresses are looked up at once in the loop; passwords go to the hasher's threads;
 * the answer of a login waits for them. Nobody's password takes as long as somebody's.
 *
 * A login that was right a short while ago is right again without hashing: the cache holds a keyed
 * hash of account, revision and password, under a key that this process made for itself. A change of
 * the account is a new revision and misses the cache. */
#pragma once

#include "lib/base/ip.h"
#include "lib/ipc/ipc.h"
#include "lib/proc/loop.h"
#include "lib/proc/proc.h"
#include "lib/store/accounts.h"
#include "rooms/auth/hasher.h"

#define AUTH_CACHE 512u			/* logins remembered (count) */
#define AUTH_CACHE_MS 600000u		/* so long */
#define AUTH_TAG ((size_t)16)
#define AUTH_PER_ADDRESS 8u		/* hashes that one client address may have waiting (count) */
#define AUTH_PASSWORD_LEAST ((size_t)8)	/* bytes of a new password */

struct auth_peer;
struct login;

struct auth_cached {
	uint8_t tag[AUTH_TAG];
	uint64_t until_ms;	/* 0: empty */
};

struct auth_room {
	struct proc *proc;	/* NULL in tests */
	struct loop *loop;
	struct accounts *accounts;
	struct hasher *hasher;
	struct ipc_channel *warden;
	struct loop_watch *warden_watch;
	struct auth_peer *peers;
	struct login *logins;	/* under way */
	uint64_t user_range;	/* most account ids */
	uint8_t key[32];	/* of the cache */
	struct auth_cached cache[AUTH_CACHE];
	struct loop_timer *wipe;
	bool stopping;
};

enum auth_kind { AUTH_SMTP, AUTH_LOBBY, AUTH_CLI };

struct auth_peer {
	struct auth_peer *next;
	struct auth_room *room;
	struct ipc_channel *ch;
	struct loop_watch *watch;
	enum auth_kind kind;
};

/* room.c */
void auth_room_init(struct auth_room *r, struct proc *p, struct loop *loop, struct accounts *a,
    struct hasher *h, uint64_t user_range);
void auth_introduce(void *room, const char *peer, const char *instance, int fd);
void auth_stop(void *room);

/* lookup.c: what smtp asks */
enum ipc_status auth_smtp_serve(struct auth_peer *p);
enum ipc_status auth_lobby_serve(struct auth_peer *p);

/* login.c */
enum auth_service { AUTH_SERVICE_SUBMISSION, AUTH_SERVICE_LOBBY };
struct auth_asked {
	struct ipc_call *call;
	enum auth_service service;
	uint64_t session;
	struct slice peer_ip, name, password;
};
void auth_login(struct auth_room *r, const struct auth_asked *q);
/* Drops logins that wait without an answer; after the hasher was ended. */
void auth_logins_end(struct auth_room *r);

/* cache.c: times are clock_mono_ms() */
void auth_cache_init(struct auth_room *r);
bool auth_cache_has(struct auth_room *r, const struct account *acc, struct slice password,
    uint64_t now_ms);
/* What auth_cache_has() compares; computed while the password is still there. */
void auth_cache_tag(const struct auth_room *r, const struct account *acc, struct slice password,
    uint8_t tag[static AUTH_TAG]);
void auth_cache_put(struct auth_room *r, const uint8_t tag[static AUTH_TAG], uint64_t now_ms);
/* Wipes what is too old (all of it with now_ms UINT64_MAX). */
void auth_cache_wipe(struct auth_room *r, uint64_t now_ms);

/* admin.c: what the administrator changes */
enum ipc_status auth_cli_serve(struct auth_peer *p);
