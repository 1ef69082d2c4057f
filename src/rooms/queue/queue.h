/* SPDX-License-Identifier: MIT
 * The queue room: responsibility for mail between 250 and the recipient's store.
 *
 *   smtp --accept--> batch --one commit--> answers --> tasks --> boxes --deliver--> mailbox rooms
 *                      ^                                   \--> dests --relay----> send
 *                      +--- settled, put off, failed (with its bounce) ---- outcome <---+
 *
 * One thread, one loop: whatever is waiting is gathered, then one transaction makes all of it durable,
 * then everybody gets an answer.
 *
 * Memory holds tasks only: deliveries that may go now, QUEUE_TASKS at most. What was put off is in the
 * spool and comes back when it is due; times are queue times (spool.h), which no clock moves. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ipc/queue_mailbox.h"
#include "ipc/queue_send.h"
#include "ipc/smtp_queue.h"
#include "lib/proc/loop.h"
#include "lib/proc/proc.h"
#include "lib/store/spool.h"

#define QUEUE_BATCH 256u	/* messages of one commit */
#define QUEUE_SETTLE_MS 30u	/* so long a lone settling waits for a commit that is due anyway */
#define QUEUE_TASKS 50000u	/* deliveries in memory; more wait in the spool */
#define QUEUE_PLACE 10000u	/* of these to one destination or mailbox: what is over it is put off */
#define QUEUE_CONTENTS 2000u	/* memfds kept from accept to delivery */
#define QUEUE_BUCKETS 512u	/* boxes and destinations are found by account and name */
#define QUEUE_TASK_BUCKETS 16384u /* tasks are found by id */
#define QUEUE_FLIGHT 128u	/* deliveries under way to one mailbox */
#define QUEUE_ANSWER_MS 60000u	/* a mailbox that is silent so long is stuck */
#define QUEUE_JOB 100u		/* recipients of one relay */
#define QUEUE_JOBS 100u		/* relays under way: send has as many threads */
#define QUEUE_UNPROVEN 70u	/* of these to destinations that have not yet taken anything */
#define QUEUE_DOUBTFUL 20u	/* of these to destinations that could not be had the last time */
#define QUEUE_RANKS 15u

/* The message of one or more tasks. fd is -1 when it has to be read from the spool again. */
struct content {
	int fd;
	unsigned refs;
};

/* What few messages have; NULL in the task when it has none of it. */
struct more {
	uint64_t by;		/* queue time */
	int priority;
	const char *envid, *folder, *orcpt; /* one allocation with the struct's task */
};

/* One delivery that is not settled and may go. */
struct task {
	struct task *next, *hashed;
	struct content *content;
	struct more *more;
	uint64_t delivery, size, session, queued;
	int64_t received_us;
	uint32_t account, submitter, attempts;
	uint16_t flags;
	uint8_t notify, rank;
	bool warned;
	bool is_signed; /* its content is not the spool's any more */
	bool fresh;	/* never put off */
	bool dropped;	/* an administrator ended it while it was under way */
	char *sender, *rcpt, *queue_id; /* one allocation */
};

struct tasks { /* a queue of tasks, in order */
	struct task *first, **last;
};

/* Tasks to one place by rank: what goes first has the smaller one. */
struct ranks {
	struct tasks of[QUEUE_RANKS];
	unsigned n, turns;
};

/* A notification that scan has signed for us. */
#define QUEUE_SIGNINGS 64u
#define LIMIT_SIGNED ((uint64_t)1048576 + 65536) /* LIMIT_DSN, and what scan puts on top */
struct signing {
	uint32_t id; /* of the call; 0: free */
	struct task *task;
	uint64_t until_ms;
};

struct dest;
struct batch;
struct rules;

struct queue_settings {
	uint64_t retry_first, retry_most, lifetime, bounce_lifetime, warn_after; /* us */
	uint64_t high_water;	/* open deliveries; over it is stress */
	unsigned concurrency;	/* relays under way to one destination */
	bool encrypt;		/* new content is sealed */
};

struct queue {
	struct proc *proc;
	struct loop *loop;
	struct spool *spool;
	struct slice hostname;
	struct queue_settings set;
	struct ipc_channel *warden, *send, *keys, *scan;
	struct loop_watch *warden_watch, *send_watch, *keys_watch, *scan_watch;
	uint64_t message_size, floor, floor_at_ms;
	struct batch *batch;
	struct rules *rules;
	struct box *boxes[QUEUE_BUCKETS];
	struct dest *dests[QUEUE_BUCKETS], *ready[QUEUE_RANKS], **ready_last[QUEUE_RANKS];
	struct dest *blocked, **blocked_last; /* not proven, and enough of those are tried */
	struct job *jobs[QUEUE_JOBS]; /* index + 1 is the call id */
	unsigned n_jobs, n_unproven, n_doubtful, picks;
	struct signing signings[QUEUE_SIGNINGS];
	uint32_t sign_id;
	struct task *by_id[QUEUE_TASK_BUCKETS];
	unsigned n_tasks, n_contents;
	struct loop_timer *settle, *ask_key;
	bool locked; /* the key of the spool has not come yet */
	bool scanning, stopping, settle_due, stress;
	uint64_t scan_after, next_due, base_us, base_ms, noted_ms, random;
	struct spool_due due;
};

/* batch.c: accept and settle, group commit */
void batch_init(struct queue *q);
void batch_introduce(struct queue *q, const char *peer, const char *instance, int fd);
/* After each round of the loop: commits when somebody waits for it. Settling alone waits for company
 * (QUEUE_SETTLE_MS): forgetting late is harmless, because a mailbox takes a delivery once. */
void batch_round(struct queue *q);
/* Commits what has been gathered. */
void batch_commit(struct queue *q);

/* What became of one delivery, to be written with the next commit. */
enum done_what { DONE_SETTLED, DONE_DEFERRED, DONE_POSTPONED, DONE_HELD, DONE_RELEASED };
enum done_tell { TELL_NOBODY, TELL_FAILED, TELL_DELAYED, TELL_DELIVERED, TELL_RELAYED };
#define DONE_TEXT ((size_t)400)
struct done {
	uint64_t delivery;
	uint64_t next;		/* queue time; deferred, postponed, released */
	enum done_what what;
	enum done_tell tell;	/* the sender gets a notification in the same transaction */
	uint32_t code;		/* of the remote server, 0: none */
	char status[16];	/* "5.1.1" */
	char *reason, *remote;	/* allocated, or NULL */
};
/* d is copied; reason and remote are cut to DONE_TEXT, may be empty, and are printable. */
void batch_done(struct queue *q, const struct done *d, struct slice reason, struct slice remote);

/* tasks.c */
struct content *content_new(struct queue *q, int fd);
void content_unref(struct queue *q, struct content **c);
/* The content as a descriptor again; STORE_NONE when the message is settled already. */
enum store_err content_ready(struct queue *q, struct task *t);
/* Takes a reference of content (may be NULL). */
struct task *task_new(struct queue *q, const struct spool_delivery *d, struct content *content);
void task_free(struct queue *q, struct task *t);
struct task *task_find(struct queue *q, uint64_t delivery);
void tasks_init(struct tasks *t);
void tasks_put(struct tasks *t, struct task *task);
struct task *tasks_take(struct tasks *t);
void ranks_init(struct ranks *r);
void ranks_put(struct ranks *r, struct task *t);
/* In front of its equals: it has waited already. */
void ranks_back(struct ranks *r, struct task *t);
/* The next one, which stays; NULL when there is none. Every eighth turn is of the least urgent. */
struct task *ranks_peek(struct ranks *r);
struct task *ranks_take(struct ranks *r);
/* The best rank that waits; QUEUE_RANKS when none does. */
unsigned ranks_best(const struct ranks *r);

/* outcome.c: what follows from a try */
struct outcome {
	struct slice status;	/* "4.4.1" or empty */
	struct slice reason, remote, tls;
	uint32_t code;
	bool passed_on;	   /* DSN: the next server reports */
	bool by_passed_on; /* DELIVERBY: the next server looks after the time */
};
void outcome_delivered(struct queue *q, struct task *t, const struct outcome *o);
void outcome_failed(struct queue *q, struct task *t, const struct outcome *o);
/* Comes back in about us microseconds, or fails because its time is over. tried: it counts. */
void outcome_put_off(struct queue *q, struct task *t, uint64_t us, bool tried, const struct outcome *o);
/* How long until the next try, by how often it was tried: us, with jitter. */
uint64_t outcome_retry_remote(struct queue *q, unsigned attempts);
uint64_t outcome_retry_local(struct queue *q, unsigned attempts);
/* us, changed by up to a quarter either way. */
uint64_t outcome_jitter(struct queue *q, uint64_t us);

/* bounce.c: in a transaction that is open */
/* Writes the notification of the first entries of n, which are of one message and one kind: those that the same
 * one hears of, *told of them, at least 1. *id gets its message id, or 0 when nobody is to be told. */
enum store_err bounce_write(struct queue *q, const struct done *d, size_t n, size_t *told, uint64_t *id);

/* schedule.c: what comes from the spool, and when */
void schedule_init(struct queue *q);
/* Within a batch: writes down what time it is, when that was not done for a minute. */
enum store_err schedule_note(struct queue *q);
void schedule_stop(struct queue *q);
uint64_t queue_now(const struct queue *q);
/* A queue time as the clock on the wall will show it. */
int64_t queue_wall(const struct queue *q, uint64_t queue_time);
/* A new task; takes a reference of content (may be NULL). False when memory is for others: it will
 * come from the spool. */
bool schedule_add(struct queue *q, const struct spool_delivery *d, struct content *content);
/* Something was put off until then. */
void schedule_later(struct queue *q, uint64_t next);

/* deliver.c: tasks on their way to mailboxes */
void deliver_add(struct queue *q, struct task *t);
void deliver_warden(struct queue *q, int fd);
void deliver_tick(struct queue *q);

/* remote.c: tasks on their way to other servers */
void remote_init(struct queue *q);
void remote_add(struct queue *q, struct task *t);
void remote_send(struct queue *q, int fd);
void remote_tick(struct queue *q);
void remote_round(struct queue *q);
/* Ends the pause of an address's destination: somebody wants to try. */
void remote_awake(struct queue *q, struct slice address);

/* A task that was taken to be signed: to the front of its destination again. */
void remote_signed(struct queue *q, struct task *t);

/* signing.c: our own notifications */
/* Has it to be signed before it goes elsewhere? */
bool signing_wanted(const struct queue *q, const struct task *t);
/* Its content is ready; takes the task until remote_signed(), or puts it off. */
void signing_begin(struct queue *q, struct task *t);
void signing_scan(struct queue *q, int fd);
void signing_tick(struct queue *q);

/* rules.c: which new mail waits for the administrator */
void rules_load(struct queue *q);
/* Why the message waits; empty when it does not. */
struct slice rules_match(const struct queue *q, const struct spool_message *m);

/* cipher.c: the spool at rest */
/* Before the walls close. */
bool cipher_init(void);
void cipher_keys(struct queue *q, int fd);
/* With the key of 32 octets: sealed content can be read. */
void cipher_use(struct queue *q, struct slice key);

/* admin.c */
void admin_introduce(struct queue *q, int fd);

/* The spool failed in a way that only a fresh start can judge: says so and ends the room. */
_Noreturn void queue_die(struct queue *q, const char *what, enum store_err e);
