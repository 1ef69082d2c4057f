/* SPDX-License-Identifier: MIT
 * Domains, accounts, aliases, lists, limits. Every change appends a numbered revision and is durable when the call
 * returns. Addresses are compared without the case of A-Z in both parts and stored in lower case, domains
 * with A-labels, local parts beyond ASCII in normal form C (lib/idn).
 *
 * Account ids are small integers, given once and never again: the account's uid is made of it. One
 * thread. Password hashes are opaque text here: the auth room makes and checks them. */
#pragma once

#include "lib/store/store.h"

struct accounts;

#define ACCOUNTS_TARGETS 64u		/* most targets of one alias (count) */
#define ACCOUNTS_DEPTH 8u		/* aliases of aliases (levels) */
#define ACCOUNTS_STEPS 512u		/* aliases looked at for one recipient (count) */
#define ACCOUNTS_HASH ((size_t)256)	/* bytes of a password hash */

enum account_state { ACCOUNT_ENABLED = 1, ACCOUNT_DISABLED = 2, ACCOUNT_DELETED = 3 };

struct account {
	uint64_t id;
	uint64_t revision;	/* of its last change: keys caches of logins */
	struct slice address;	/* lower case */
	struct slice hash;	/* empty = no password */
	enum account_state state;
	uint64_t created;	/* us */
	uint64_t login;		/* us, to the hour; 0 = never */
};

/* Who a change is to be written down for. */
struct account_change {
	uint64_t now;		/* us */
	struct slice by;	/* printable, at most 64 bytes: "cli:root" */
};

enum store_err accounts_open(const char *path, struct accounts **out);
void accounts_close(struct accounts **a);

/* Number of the last change; rises with each. */
uint64_t accounts_revision(const struct accounts *a);

/* A domain name in A-label form; lower-cased. STORE_EXISTS, STORE_REFUSED (not a host name). */
enum store_err domain_add(struct accounts *a, struct slice name, struct account_change by);
/* STORE_REFUSED while it has accounts or aliases. */
enum store_err domain_delete(struct accounts *a, struct slice name, struct account_change by);
/* STORE_OK when the domain is ours, STORE_NONE otherwise. */
enum store_err domain_known(struct accounts *a, struct slice name);
/* Lists are in bytewise order, start behind after (empty = at the start) and stop when fn returns
 * false; slices are borrowed until fn returns; fn must not call here. */
struct domain {
	struct slice name;
	uint64_t created;	/* us */
	struct slice alias_of;	/* every address of this domain is the same one there; empty: none */
	struct slice separator;	/* between name and detail; empty: no details here */
	bool own_separator;	/* false: separator is not set, accounts_separator() counts */
	struct slice catch_all;	/* who gets mail for unknown addresses; empty: nobody */
};
enum store_err domain_list(struct accounts *a, struct slice after,
    bool (*fn)(void *ctx, const struct domain *d), void *ctx);
/* Makes a domain (added before) another name of one of ours, or with the empty target a domain of its own
 * again. STORE_NONE: one of them is not ours. STORE_REFUSED: the target is an alias itself, or one
 * points here, or this domain has addresses of its own. */
enum store_err domain_set_alias(struct accounts *a, struct slice name, struct slice of,
    struct account_change by);
/* One of "+-=._#" and the like: a printable character that may stand in a local part, no letter and no
 * digit; empty: no details. In the domain, or with the empty name wherever a domain has none of its
 * own; NULL p of *separator gives the domain's own up. STORE_REFUSED: no such character. */
enum store_err domain_set_separator(struct accounts *a, struct slice name,
    const struct slice *separator, struct account_change by);
/* Who gets mail for addresses of the domain that nobody has; empty: nobody. STORE_NONE, STORE_REFUSED
 * and STORE_LIMIT as for alias_add(). */
enum store_err domain_set_catch_all(struct accounts *a, struct slice name, struct slice target,
    struct account_change by);

/* STORE_NONE: the domain is not ours. STORE_EXISTS: an account or an alias has the address.
 * STORE_REFUSED: no address. */
enum store_err account_add(struct accounts *a, struct slice address, struct slice hash,
    struct account_change by, uint64_t *id);
enum store_err account_set_hash(struct accounts *a, struct slice address, struct slice hash,
    struct account_change by);
enum store_err account_set_state(struct accounts *a, struct slice address, enum account_state st,
    struct account_change by);
/* The address becomes free, the id and the history stay; alias rows that point to it go. *id (may be
 * NULL) tells whose mail it was. */
enum store_err account_delete(struct accounts *a, struct slice address, struct account_change by,
    uint64_t *id);
/* By address (an account only, not an alias) or by id. Deleted ones: STORE_NONE. Strings live in ar. */
enum store_err account_find(struct accounts *a, struct slice address, struct arena *ar,
    struct account *out);
enum store_err account_by_id(struct accounts *a, uint64_t id, struct arena *ar,
    struct account *out);
/* Without deleted ones. */
enum store_err account_list(struct accounts *a, struct slice after,
    bool (*fn)(void *ctx, const struct account *acc), void *ctx);
/* The id that the next account will get. */
enum store_err account_next_id(struct accounts *a, uint64_t *id);
/* Notes a login; written at most once an hour per account, and no revision. */
enum store_err account_note_login(struct accounts *a, uint64_t id, uint64_t now);

/* Adds one target (an address of ours that somebody gets mail for, or one elsewhere) to the alias, which
 * appears with its first target; on a list, a member. STORE_NONE: the domain or the target is unknown.
 * STORE_EXISTS: that pair is there, or an account has the address. STORE_REFUSED: it would come back to
 * itself, or no address. STORE_LIMIT. */
enum store_err alias_add(struct accounts *a, struct slice address, struct slice target,
    struct account_change by);
/* Removes one target, or with the empty target the whole alias. */
enum store_err alias_delete(struct accounts *a, struct slice address, struct slice target,
    struct account_change by);
enum store_err alias_list(struct accounts *a, struct slice after, struct slice after_target,
    bool (*fn)(void *ctx, struct slice address, struct slice target), void *ctx);

enum list_writers { LIST_ANYONE = 1, LIST_MEMBERS = 2, LIST_OWNERS = 3 };
struct list {
	struct slice address, owner;
	enum list_writers writers;
};
/* Makes the address a list (or changes the one that is there); members are its targets as an alias. The
 * owner, an address of ours or elsewhere, gets the bounces; without one the postmaster. Errors as for alias_add(). */
enum store_err list_add(struct accounts *a, const struct list *l, struct account_change by);
/* With its members. */
enum store_err list_delete(struct accounts *a, struct slice address, struct account_change by);
enum store_err list_list(struct accounts *a, struct slice after,
    bool (*fn)(void *ctx, const struct list *l), void *ctx);

/* What the account may write as besides what it gets mail for: an address, or "@domain" for a whole
 * domain. STORE_NONE: no such account. */
enum store_err sender_grant(struct accounts *a, struct slice account, struct slice address,
    struct account_change by);
enum store_err sender_revoke(struct accounts *a, struct slice account, struct slice address,
    struct account_change by);
enum store_err sender_list(struct accounts *a, struct slice after, struct slice after_address,
    bool (*fn)(void *ctx, struct slice account, struct slice address), void *ctx);

/* ---- limits ---- */

#define LIMITS_UNSET (-1) /* as the domain, or the default, has it */
struct limits {
	int64_t rcpts;	  /* recipients that an account writes to, an hour; 0: no limit */
	int64_t messages; /* messages of an account, a day */
	int64_t inbound;  /* messages from strangers to one account, an hour */
};
#define LIMITS_DEFAULT ((struct limits){ .rcpts = 100, .messages = 1000, .inbound = 1000 })
/* What counts for an address in lower case: its own, else its domain's, else the default's, each number by
 * itself; none is LIMITS_UNSET then. */
enum store_err limits_of(struct accounts *a, struct slice address, struct limits *out);
/* Of an account, a domain, or with the empty subject of all others. All unset: the row goes. */
enum store_err limits_set(struct accounts *a, struct slice subject, const struct limits *l,
    struct account_change by);
enum store_err limits_own(struct accounts *a, struct slice subject, struct limits *out);
enum store_err limits_list(struct accounts *a, bool more, struct slice after,
    bool (*fn)(void *ctx, struct slice subject, const struct limits *l), void *ctx);

/* ---- what auth keeps for itself: no revision ---- */

enum store_err setting_get(struct accounts *a, struct slice key, struct arena *ar, struct slice *out);
enum store_err setting_put(struct accounts *a, struct slice key, struct slice value);
enum store_err rates_load(struct accounts *a, void (*fn)(void *ctx, uint64_t key, uint64_t until),
    void *ctx);
/* Replaces them all: rates_begin(), one rates_add() for each, rates_commit(). */
void rates_begin(struct accounts *a);
void rates_add(struct accounts *a, uint64_t key, uint64_t until);
enum store_err rates_commit(struct accounts *a);

/* ---- where mail goes ---- */

struct target {
	uint64_t account;	/* 0: elsewhere */
	struct slice address;	/* of an account with the detail of the recipient, "alice+x@example.org" */
	bool by_list, by_catch_all;
};

struct resolved {
	bool local_domain;	/* the domain is ours */
	struct slice domain;	/* the domain that the recipient has with us, behind a domain alias */
	struct list list;	/* the first list on the way; an empty address: none */
	size_t n;		/* enabled accounts and addresses elsewhere, each once */
	struct target to[ACCOUNTS_TARGETS];
};
/* Who gets mail for an address: in this order the account or the alias of that name, the same for the
 * name without its detail ("user+x"), the domain's catch-all. An address without a domain ("postmaster",
 * RFC 5321 4.5.1) is looked up in the domain that was added first. *out is set in every case, its texts
 * live in ar. STORE_NONE: nobody. STORE_REFUSED: only disabled accounts. STORE_LIMIT: a ring without a
 * way out, too many targets, or too deep. */
enum store_err accounts_resolve(struct accounts *a, struct slice address, struct arena *ar,
    struct resolved *out);
/* May the account write as this address? Yes where it gets mail for it, but not through a list or a
 * catch-all, and where it was granted. STORE_NONE: no. */
enum store_err accounts_owns(struct accounts *a, uint64_t account, struct slice address);
/* May this sender (an envelope address, empty for the null sender; account 0 for strangers) write to the
 * list? STORE_NONE: no. */
enum store_err accounts_may_write(struct accounts *a, const struct list *l, struct slice sender,
    uint64_t account);

/* What is done with mail whose From domain is not authenticated. */
enum sender_policy { SENDER_POLICY_UNSAID, SENDER_POLICY_ACCEPT, SENDER_POLICY_QUARANTINE, SENDER_POLICY_REJECT };
/* UNSAID takes the rule back: STORE_NONE where there is none. STORE_REFUSED: no host name. */
enum store_err policy_set(struct accounts *a, struct slice domain, enum sender_policy p,
    struct account_change by);
/* The rule for domain or else for the nearest one above it; UNSAID without one. */
enum store_err policy_of(struct accounts *a, struct slice domain, enum sender_policy *out);
enum store_err policy_list(struct accounts *a, struct slice after,
    bool (*fn)(void *ctx, struct slice domain, enum sender_policy p), void *ctx);

/* The history, newest first, at most max. */
struct revision {
	uint64_t number, time;
	struct slice by, what, subject, detail;
};
enum store_err revision_list(struct accounts *a, size_t max,
    bool (*fn)(void *ctx, const struct revision *r), void *ctx);
