/* SPDX-License-Identifier: MIT
 * DKIM keys and their life. Each key is one (domain, selector); a domain has RSA-2048 and Ed25519 keys,
 * and each kind goes its own way:
 *
 *        made for the first time
 *   +------------------------------+
 *   |                              v
 *   next --seen for DKIM_SETTLE--> active --the next one became active--> retiring
 *   (published, signs nothing)     (signs)                                (published, signs no more)
 *                                                                            | DKIM_RETIRE
 *                                         removed <--DKIM_REVOKED-- revoked <+
 *                                                                   (p= empty, private key gone)
 *
 * There is no moment in which nothing signs, and none in which a signature that may still be under way
 * has no record. A next key that the world never sees stays next, and the active one signs on.
 *
 * Everything is one file, written anew, flushed and renamed for each change: what a call has answered
 * is on the disk. Private keys stand in it as PEM, and are in memory only while they are used. One
 * thread. Times are microseconds since 1970 and come from the caller. */
#pragma once

#include "lib/tls/privkey.h"

#define DKIM_KEYS_MOST 1024u		/* keys of all domains (count) */
#define DKIM_KEYS_LOADED 64u		/* private keys in memory (count) */
#define DKIM_PUBLIC ((size_t)800)	/* bytes of p=: RSA-4096 needs 550 */
#define DKIM_FILE ((size_t)8388608)	/* bytes of the file */

#define DKIM_DAY INT64_C(86400000000)
#define DKIM_SETTLE (1 * DKIM_DAY)	/* longest that a resolver remembers that there was no record */
#define DKIM_YEAR (365 * DKIM_DAY)	/* a key signs so long */
#define DKIM_LEAD (30 * DKIM_DAY)	/* the next one is made so long before */
#define DKIM_RETIRE (7 * DKIM_DAY)	/* the queue gives up after 5 days; the other side has a queue too */
#define DKIM_REVOKED (30 * DKIM_DAY)	/* the empty record stays so long */
#define DKIM_GRACE (DKIM_DAY / 288)	/* a signature asked for just before the switch is still made */

/* The values of ipc/cli_keys.msg. */
enum dkim_state { DKIM_NEXT, DKIM_ACTIVE, DKIM_RETIRING, DKIM_REVOKED_KEY, DKIM_REMOVED };
enum dkim_kind_of_key { DKIM_KEY_RSA, DKIM_KEY_ED25519 };
enum dkim_result_of { DKIM_DONE, DKIM_NONE, DKIM_EXISTS, DKIM_INVALID, DKIM_FULL, DKIM_FAILED };

struct dkim_key {
	struct dkim_key *next; /* by domain, then selector */
	char domain[256], selector[64];
	enum dkim_kind_of_key kind;
	enum dkim_state state;
	int64_t created, seen, activated, retired, revoked; /* 0: not yet */
	uint8_t public[DKIM_PUBLIC]; /* what p= holds; empty once revoked */
	size_t public_n;
	size_t pem_at, pem_n;	 /* in the file; 0: none */
	struct buf made;	 /* the PEM, until it is in the file */
	struct privkey *private; /* NULL: not in memory */
	uint64_t used;
};

struct dkim_change {
	const char *domain, *selector; /* borrowed until the next call */
	enum dkim_state state;
};

struct dkim_store;

/* Reads the file in the working directory, or begins without one. Never NULL; a file that cannot be
 * read makes a store that answers DKIM_FAILED to everything, and says why once: *why (a literal). */
struct dkim_store *dkim_open(const char **why);
void dkim_close(struct dkim_store **s);
const struct dkim_key *dkim_first(const struct dkim_store *s);
/* False when the file cannot be read: nothing can be said about any key then. */
bool dkim_usable(const struct dkim_store *s);

/* told is called for each change, after it is durable. */
typedef void dkim_told(void *ctx, const struct dkim_change *c);
void dkim_on_change(struct dkim_store *s, dkim_told *told, void *ctx);

/* See cli_keys.msg. domain is folded to lower case. An empty selector: all that can take the step. */
enum dkim_result_of dkim_generate(struct dkim_store *s, struct slice domain, int64_t now);
enum dkim_result_of dkim_activate(struct dkim_store *s, struct slice domain, struct slice selector,
    int64_t now);
enum dkim_result_of dkim_retire(struct dkim_store *s, struct slice domain, struct slice selector,
    int64_t now);
enum dkim_result_of dkim_revoke(struct dkim_store *s, struct slice domain, struct slice selector,
    int64_t now);
enum dkim_result_of dkim_seen(struct dkim_store *s, struct slice domain, struct slice selector,
    int64_t now);
/* One step of everything that is due, at most DKIM_STEP changes; *more: call again. */
#define DKIM_STEP 60u
enum dkim_result_of dkim_tick(struct dkim_store *s, int64_t now, bool *more);

/* The active keys of domain in out, RSA first; how many (4 at most). */
size_t dkim_signers(const struct dkim_store *s, struct slice domain, const struct dkim_key *out[static 4]);
/* Signs a SHA-256 with a key that may sign now. DKIM_NONE: no such key, or not one that signs. */
enum dkim_result_of dkim_make_signature(struct dkim_store *s, struct slice domain, struct slice selector,
    struct slice digest, int64_t now, struct buf *signature);

/* ---- dkimfile.c ---------------------------------------------------------------------------------- */

/* Reads all keys; *first gets them in order. False on anything but a whole file or none. */
bool dkimfile_read(struct dkim_key **first);
/* Writes all keys, flushed, in the place of the old file; sets pem_at and ends made. False: nothing
 * changed on the disk. */
bool dkimfile_write(struct dkim_key *first);
/* The PEM of k, appended to pem. */
bool dkimfile_pem(const struct dkim_key *k, struct buf *pem);
struct dkim_key *dkim_key_new(void);
/* Wipes and frees one key. */
void dkim_key_free(struct dkim_key **k);
