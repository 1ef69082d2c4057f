/* SPDX-License-Identifier: MIT
 * auth: who is who. Addresses are looked up at once in the loop; passwords go to the hasher's threads;
 * the answer of a login waits for them. Nobody's password takes as long as somebody's.
 *
 * A login that was right a short while ago is right again without hashing: the cache holds a keyed
 * hash of account, revision and password, under a key that this process made for itself. A change of
 * the account is a new revision and misses the cache. */
#pragma once

#include "ipc/cli_auth.h"
#include "lib/base/ip.h"
#include "lib/ipc/ipc.h"
#include "lib/make/srs/srs.h"
#include "lib/proc/loop.h"
#include "lib/proc/proc.h"
#include "lib/rate/rate.h"
#include "lib/store/accounts.h"
#include "rooms/auth/hasher.h"
#include "lib/scram/scram.h"

#define AUTH_CACHE 512u			/* logins remembered (count) */
#define AUTH_CACHE_MS 600000u		/* so long */
#define AUTH_TAG ((size_t)16)
#define AUTH_PER_ADDRESS 8u		/* hashes that one client address may have waiting (count) */
#define AUTH_FAILURES_US ((uint64_t)600 * 1000000)	/* in which failed logins of an address are counted */
#define AUTH_KNOWN_US ((uint64_t)30 * 86400 * 1000000)	/* so long a network is an account's own after a login */
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
	struct exchange *exchanges;
	unsigned n_exchanges;
	uint8_t nobody_salt[32]; /* salts of names that nobody has */
	char nobody[HASHER_TEXT]; /* what stands in place of their hash */
	bool no_scram;		 /* no keys for SCRAM are made, kept or used */
	uint64_t user_range;	/* most account ids */
	uint64_t login_failures; /* of one address in AUTH_FAILURES_US; 0: no limit */
	uint8_t key[32];	/* of the cache */
	struct auth_cached cache[AUTH_CACHE];
	struct loop_timer *wipe;
	struct rates rates;
	struct loop_timer *keep;
	uint8_t srs_secret[crypto_auth_hmacsha256_KEYBYTES];
	bool stopping;
};

/* AUTH_MX are strangers, AUTH_DROP local programs: neither is somebody who logged in. */
enum auth_kind { AUTH_MX, AUTH_SUBMISSION, AUTH_DROP, AUTH_LOBBY, AUTH_SCAN, AUTH_CLI, AUTH_CLERK };

struct auth_peer {
	struct auth_peer *next;
	struct auth_room *room;
	struct ipc_channel *ch;
	struct loop_watch *watch;
	enum auth_kind kind;
};

/* room.c: false when accounts.db fails */
[[nodiscard]] bool auth_room_init(struct auth_room *r, struct proc *p, struct loop *loop,
    struct accounts *a, struct hasher *h, uint64_t user_range);
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
/* The second step of SCRAM was judged: the answer of scram_final. */
struct auth_proof {
	bool right;
	uint64_t account, revision;
	uint8_t signature[SCRAM_KEY];
};
void auth_proved(struct auth_room *r, const struct auth_asked *q, const struct auth_proof *p);

/* exchange.c: SCRAM between its two steps. The first answers with a challenge, or "try later". */
enum store_err auth_exchange_init(struct auth_room *r);
/* From now on there is no SCRAM: its keys are taken out of all accounts, and none are made. After
 * auth_room_init(). */
enum store_err auth_exchange_off(struct auth_room *r);
void auth_exchange_first(struct auth_room *r, const struct auth_asked *q, struct slice bare);
void auth_exchange_final(struct auth_room *r, const struct auth_asked *q, struct slice without_proof,
    struct slice proof);
void auth_exchange_end(struct auth_room *r);
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

/* limits.c: rates of accounts; text says what is over. Both count where they say yes. */
void auth_limits_init(struct auth_room *r);
void auth_limits_end(struct auth_room *r);
/* One more recipient of the account that is logged in; first of its message. */
bool auth_limits_sender(struct auth_room *r, uint64_t account, bool first, struct slice *text);
/* One more message from a stranger to each of these. */
bool auth_limits_inbound(struct auth_room *r, const struct resolved *to, bool null_sender,
    struct slice *text);

/* forward.c */
enum store_err auth_forward_init(struct auth_room *r);
/* The envelope sender for a target elsewhere: *out is empty where it stays as it is. ours is the domain
 * that the recipient has with us. False: try later. */
bool auth_forward_sender(struct auth_room *r, struct slice sender, struct slice ours, struct arena *a,
    struct slice *out);
/* Is this the way back of a forward? Then auth_forward_back() says to whom. */
bool auth_forward_is_back(struct auth_room *r, struct slice address);
enum store_err auth_forward_back(struct auth_room *r, struct slice address, struct arena *a,
    struct resolved *out);

/* clerk.c */
enum ipc_status auth_clerk_serve(struct auth_peer *p);
/* Is this one of the addresses at which reports arrive, and nobody else has it? e and *to are what
 * accounts_resolve() said. */
bool auth_for_clerk(struct slice address, enum store_err e, const struct resolved *to);

/* admin.c: what the administrator changes */
enum ipc_status auth_cli_serve(struct auth_peer *p);
struct auth_words { /* what stands behind a result, for people */
	struct slice exists, none, invalid;
};
struct auth_page { /* of a list: rows until it is full; more when one was left over */
	struct arena *a;
	void *row;
	size_t n;
	bool more, failed;
};
struct account_change auth_change_now(void);
enum cli_auth_result auth_result_of(enum store_err e);
struct slice auth_text_of(enum cli_auth_result res, const struct auth_words *w);
/* The event of a change that was made. */
void auth_changed(enum store_err e, struct slice what, struct slice subject, struct slice detail);

#define AUTH_ROWS ((size_t)50) /* of one page */

/* routes.c: the same for what domains do, lists, senders and limits */
void auth_on_domain_alias(void *ctx, struct ipc_call *call, struct cli_auth_domain_alias *m);
void auth_on_domain_separator(void *ctx, struct ipc_call *call, struct cli_auth_domain_separator *m);
void auth_on_domain_catch_all(void *ctx, struct ipc_call *call, struct cli_auth_domain_catch_all *m);
void auth_on_list_add(void *ctx, struct ipc_call *call, struct cli_auth_list_add *m);
void auth_on_list_list(void *ctx, struct ipc_call *call, struct cli_auth_list_list *m);
void auth_on_list_delete(void *ctx, struct ipc_call *call, struct cli_auth_list_delete *m);
void auth_on_sender_grant(void *ctx, struct ipc_call *call, struct cli_auth_sender_grant *m);
void auth_on_sender_list(void *ctx, struct ipc_call *call, struct cli_auth_sender_list *m);
void auth_on_limits_set(void *ctx, struct ipc_call *call, struct cli_auth_limits_set *m);
void auth_on_limits_list(void *ctx, struct ipc_call *call, struct cli_auth_limits_list *m);

/* policy.c: rules for domains of senders */
enum ipc_status auth_scan_serve(struct auth_peer *p);
void auth_on_policy_set(void *ctx, struct ipc_call *call, struct cli_auth_policy_set *m);
void auth_on_policy_list(void *ctx, struct ipc_call *call, struct cli_auth_policy_list *m);
