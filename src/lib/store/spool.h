/* SPDX-License-Identifier: MIT
 * The spool: messages that were accepted and are not yet delivered. It is the promise after "250" and
 * the redo log of deliveries (DESIGN.md 3).
 *
 *   spool_begin  ->  spool_accept x n, spool_settle x m, spool_defer ...  ->  spool_commit
 *
 * One commit makes the whole batch durable with one flush of the disk. When it returns STORE_OK all of
 * it is on the disk; when it returns anything else, none of it is visible, and every sender of the
 * batch gets a 4xx. (After STORE_IO it may come back as a whole at the next opening, because nobody
 * can know how much of a failed flush reached the disk: a message twice, never a message lost.)
 *
 * Ids: a message id is never given twice, not even by a spool that was lost and made anew or was
 * restored from a backup: each opening starts at the clock if that is ahead. The delivery id
 * (message id << 10 | index of the recipient) is the id that makes a second delivery harmless, and
 * ids rise: everything below spool_floor() is settled for ever and may be forgotten by a mailbox.
 *
 * Queue time: what the schedule is kept in is not the clock on the wall, which may jump by years. It
 * goes forward by the monotonic clock while the queue runs, and by at most an hour for a time in which
 * it did not (SPOOL_GAP). The spool keeps it; `next`, `first`, `by` and `queued` are queue times, us.
 *
 * A recipient that was never put off is "fresh": its row costs what it must and stands in no index. One
 * that was put off, held or is to wait has `queued` set and stands in an index by `next`.
 *
 * One thread. A row per message (with the first 256 KiB of content), a row per open recipient; what few
 * messages have (ENVID, ORCPT, priorities ...) stands in rows of its own beside them. */
#pragma once

#include "lib/base/buf.h"
#include "lib/store/store.h"

struct spool;

#define SPOOL_RCPTS ((size_t)1000)	/* most recipients of one message; LIMIT_SMTP_RCPTS */
#define SPOOL_RCPT_BITS 10u
#define SPOOL_REASON ((size_t)512)	/* longer reasons are cut */

#define SPOOL_ENVID ((size_t)100)	/* RFC 3461 4.4 */
#define SPOOL_ORCPT ((size_t)500)	/* RFC 3461 4.2 */
#define SPOOL_FOLDER ((size_t)200)
#define SPOOL_RULES ((size_t)1000)	/* most hold rules (count) */
#define SPOOL_GAP ((uint64_t)3600000000) /* us */

/* Flags of a message. */
#define SPOOL_8BIT 1u		/* BODY=8BITMIME (RFC 6152) */
#define SPOOL_SMTPUTF8 2u	/* RFC 6531 */
#define SPOOL_REQUIRETLS 4u	/* RFC 8689 */
#define SPOOL_RET_FULL 8u	/* RFC 3461 4.3 */
#define SPOOL_RET_HDRS 16u
#define SPOOL_BY_NOTIFY 32u	/* RFC 2852: say so when its time has passed */
#define SPOOL_BY_RETURN 64u	/* RFC 2852: give up when its time has passed */
#define SPOOL_BY_TRACE 128u	/* RFC 2852: say so when it is relayed */
#define SPOOL_OWN 256u		/* a notification that the queue wrote itself */
#define SPOOL_BULK 512u		/* one of many alike: others go first */
#define SPOOL_FLAGS 1023u

/* RFC 3461 4.1, as bits; 0 when nothing was said */
#define SPOOL_NEVER 1u
#define SPOOL_SUCCESS 2u
#define SPOOL_FAILURE 4u
#define SPOOL_DELAY 8u

enum spool_state {
	SPOOL_ACTIVE = 0,	/* to be tried when its time has come */
	SPOOL_HELD = 1,		/* an operator or a rule has stopped it */
};

#define SPOOL_ONCE ((size_t)32)
#define SPOOL_ONCE_US ((uint64_t)30 * 86400 * 1000000) /* so long a key is remembered */

struct spool_rcpt {
	struct slice address;	/* as the mail system uses it now, at most LIMIT_SMTP_ADDRESS */
	struct slice original;	/* as the client gave it; empty = the same */
	uint64_t account;	/* local account id, 0 = remote */
	struct slice sender;	/* envelope sender towards this one; empty = the message's */
	struct slice orcpt;	/* "type;xtext" */
	uint32_t notify;	/* SPOOL_NEVER ... */
	bool listed;		/* it gets this by a list: notifications go to sender (not empty) ... */
	uint64_t owner;		/* ... who is this account, 0 = elsewhere */
};

struct spool_message {
	struct slice queue_id;	/* printable ASCII, 1..64 bytes */
	struct slice session;	/* session id, 0..64 bytes */
	struct slice sender;	/* envelope sender; empty = the null sender */
	uint64_t account;	/* who submitted it, 0 = a stranger */
	uint64_t received;	/* us */
	uint64_t queued;	/* queue time now; 0 = the same as received */
	uint64_t first;		/* not before this queue time (RFC 4865); 0 = at once */
	uint64_t by;		/* with SPOOL_BY_...: until this queue time */
	int priority;		/* RFC 6710: -9..9 */
	uint32_t flags;		/* SPOOL_8BIT ... */
	struct slice envid;	/* xtext, as it was given */
	struct slice folder;	/* where local recipients find it; empty = INBOX */
	struct slice once;	/* not empty: a key of at most SPOOL_ONCE bytes; a message with it is taken once */
	struct slice held;	/* not empty: waits for the administrator, and why */
	uint64_t size;		/* bytes of content, at most LIMIT_STORE_MESSAGE */
	int fd;			/* content is read from it at 0 (pread); -1 = take content below */
	struct slice content;	/* only with fd == -1; content.n == size */
	const struct spool_rcpt *rcpt;
	size_t rcpts;		/* 1..SPOOL_RCPTS */
};

/* One recipient that is still open, with what a delivery needs of its message. The slices are
 * borrowed until the callback returns. */
struct spool_delivery {
	uint64_t id;		/* delivery id */
	uint64_t message;	/* message id */
	struct slice queue_id, session, sender, address, original, reason;
	uint64_t account;	/* of the recipient, 0 = remote */
	uint64_t submitter;	/* account that submitted, 0 = a stranger */
	uint64_t received;	/* us, by the clock on the wall */
	uint64_t next, queued;	/* queue times; queued is when it came */
	uint64_t size;
	uint32_t flags;
	uint32_t attempts;
	enum spool_state state;
	bool warned;		/* the sender knows of the delay */
	/* what few have */
	int priority;
	uint64_t by;
	struct slice envid, folder, rcpt_sender, orcpt;
	uint32_t notify;
	bool listed;
	uint64_t owner;
};

struct spool_counts {
	uint64_t messages, deliveries, held, bytes;
	uint64_t oldest;	/* received time (us) of the oldest message, 0 = empty */
	uint64_t commits;	/* since the opening */
};

static inline uint64_t
spool_delivery_id(uint64_t message, size_t rcpt)
{
	return message << SPOOL_RCPT_BITS | rcpt;
}

/* path: the database file; now: us, must be after 1970. *out is owned: spool_close(). */
enum store_err spool_open(const char *path, uint64_t now, struct spool **out);
/* Accepts NULL; *s becomes NULL. */
void spool_close(struct spool **s);

/* Content at rest, sealed in parts: with it goes which message and which part it is, and whether it is the
 * last, so that none can be exchanged, moved or left out. Both append to out; false: no. */
struct spool_cipher {
	void *ctx;
	bool (*seal)(void *ctx, uint64_t message, uint64_t part, bool last, struct slice in, struct buf *out);
	bool (*open)(void *ctx, uint64_t message, uint64_t part, bool last, struct slice in, struct buf *out);
};
/* From now on sealed content can be read, and with seals new content is sealed. Without a cipher
 * sealed content is STORE_DAMAGED. */
void spool_set_cipher(struct spool *s, const struct spool_cipher *c, bool seals);

/* A batch. STORE_REFUSED and STORE_LIMIT of spool_accept() (a malformed message) touch nothing and the
 * batch goes on, and so with STORE_EXISTS (a message with this key, once, was taken: nothing is done, nothing is owed);
 * any other error is sticky and the batch can only be rolled back. */
enum store_err spool_begin(struct spool *s);
enum store_err spool_accept(struct spool *s, const struct spool_message *m, uint64_t *id);
/* Delivered, bounced or deleted: the recipient is done; the message goes with its last one.
 * STORE_NONE (not sticky) when it is unknown: a second report is harmless. */
enum store_err spool_settle(struct spool *s, uint64_t delivery);
/* Not now: counts the attempt, notes when next and why. Does not change a hold. */
enum store_err spool_defer(struct spool *s, uint64_t delivery, uint64_t next, struct slice reason);
/* The same without an attempt: it was not its turn. An empty reason leaves the old one. */
enum store_err spool_postpone(struct spool *s, uint64_t delivery, uint64_t next, struct slice reason);
/* The sender was told of the delay. */
enum store_err spool_warned(struct spool *s, uint64_t delivery);
enum store_err spool_hold(struct spool *s, uint64_t delivery, struct slice reason);
/* Ends a hold; next is when to try. */
enum store_err spool_release(struct spool *s, uint64_t delivery, uint64_t next);
/* Durable or nothing. With an empty batch no flush happens. */
enum store_err spool_commit(struct spool *s);
void spool_rollback(struct spool *s);

/* Calls fn for open deliveries with id > after, in rising order, at most max; stops early when fn
 * returns false. *last (may be NULL) gets the last id seen, or after. For loading after a restart in
 * pages, and for lists. fn must not call the spool. */
enum store_err spool_pending(struct spool *s, uint64_t after, size_t max,
    bool (*fn)(void *ctx, const struct spool_delivery *d), void *ctx, uint64_t *last);
/* The same for fresh ones alone, which is quick however many others there are; *last is the last that
 * fn took. */
enum store_err spool_fresh(struct spool *s, uint64_t after, size_t max,
    bool (*fn)(void *ctx, const struct spool_delivery *d), void *ctx, uint64_t *last);
/* Where a walk through what is due has come to: born zeroed. */
struct spool_due {
	uint64_t next, id;
};
/* The same for those that were put off and whose time has come by now (queue time), the earliest first,
 * held ones left out; moves *at behind the last that fn took. */
enum store_err spool_due(struct spool *s, struct spool_due *at, uint64_t now, size_t max,
    bool (*fn)(void *ctx, const struct spool_delivery *d), void *ctx);
/* When the next one behind *at is due; STORE_NONE when there is none. */
enum store_err spool_next_due(struct spool *s, const struct spool_due *at, uint64_t *next);
/* One open delivery; STORE_NONE. Strings live in a. */
enum store_err spool_find(struct spool *s, uint64_t delivery, struct arena *a,
    struct spool_delivery *out);
/* The message id of a queue id (exact); STORE_NONE. Walks the spool: for people, not for mail. */
enum store_err spool_by_queue_id(struct spool *s, struct slice queue_id, uint64_t *message);
/* The content in a new sealed memfd, read position 0, owned by the caller; *size may be NULL. */
enum store_err spool_content(struct spool *s, uint64_t message, int *fd, uint64_t *size);
/* Walks everything: for people and tests. */
enum store_err spool_count(struct spool *s, struct spool_counts *out);
/* Open deliveries, kept while the spool is open: costs nothing. */
uint64_t spool_open_deliveries(const struct spool *s);
/* The queue time at which this opening goes on. */
uint64_t spool_resumed(const struct spool *s);
/* Notes, within a batch, what the queue time is and what the clock says. */
enum store_err spool_note_time(struct spool *s, uint64_t queue_time, uint64_t now);

/* Rules of the administrator: new mail that matches waits. */
enum spool_rule_kind { SPOOL_RULE_SENDER, SPOOL_RULE_RECIPIENT, SPOOL_RULE_ACCOUNT };
struct spool_rule {
	uint64_t id;
	enum spool_rule_kind kind;
	struct slice pattern;	/* address, "@domain", or the account's number; 1..320 bytes */
	struct slice reason;
};
/* Outside a batch; durable when it returns. STORE_LIMIT when there are SPOOL_RULES. */
enum store_err spool_rule_add(struct spool *s, const struct spool_rule *r, uint64_t *id);
enum store_err spool_rule_delete(struct spool *s, uint64_t id);
enum store_err spool_rules(struct spool *s, bool (*fn)(void *ctx, const struct spool_rule *r), void *ctx);
/* The smallest delivery id that may still be delivered; with nothing open, the next one to be given.
 * Only outside a batch. */
enum store_err spool_floor(struct spool *s, uint64_t *out);
