/* SPDX-License-Identifier: MIT
 * Domains, accounts, aliases. Every change appends a numbered revision and is durable when the call
 * returns. Addresses are compared without the case of A-Z in both parts and stored in lower case.
 *
 * Account ids are small integers, given once and never again: the account's uid is made of it. One
 * thread. Password hashes are opaque text here: the auth room makes and checks them. */
#pragma once

#include "lib/store/store.h"

struct accounts;

#define ACCOUNTS_TARGETS 64u		/* most targets of one alias (count) */
#define ACCOUNTS_DEPTH 8u		/* aliases of aliases (levels) */
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
enum store_err domain_list(struct accounts *a, struct slice after,
    bool (*fn)(void *ctx, struct slice name, uint64_t created), void *ctx);

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

/* Adds one target (an address of ours: account or alias) to the alias, which appears with its first
 * target. STORE_NONE: a domain or the target is unknown. STORE_EXISTS: that pair is there, or an account
 * has the address. STORE_REFUSED: it would point to itself, or no address. STORE_LIMIT. */
enum store_err alias_add(struct accounts *a, struct slice address, struct slice target,
    struct account_change by);
/* Removes one target, or with the empty target the whole alias. */
enum store_err alias_delete(struct accounts *a, struct slice address, struct slice target,
    struct account_change by);
enum store_err alias_list(struct accounts *a, struct slice after, struct slice after_target,
    bool (*fn)(void *ctx, struct slice address, struct slice target), void *ctx);

struct resolved {
	bool local_domain;	/* the domain is ours */
	size_t n;		/* enabled accounts that get the mail, each once */
	uint64_t id[ACCOUNTS_TARGETS];
};
/* Who gets mail for an address: the account or the accounts behind an alias. "user+tag" falls back to
 * "user". An address without a domain ("postmaster", RFC 5321 4.5.1) is looked up in the domain that
 * was added first. *out is set in every case. STORE_NONE: nobody. STORE_REFUSED: only disabled
 * accounts. STORE_LIMIT: too many targets or too deep. 4 us for an account, so nothing is cached. */
enum store_err accounts_resolve(struct accounts *a, struct slice address, struct resolved *out);

/* The history, newest first, at most max. */
struct revision {
	uint64_t number, time;
	struct slice by, what, subject, detail;
};
enum store_err revision_list(struct accounts *a, size_t max,
    bool (*fn)(void *ctx, const struct revision *r), void *ctx);
