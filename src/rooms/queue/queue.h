/* SPDX-License-Identifier: MIT
 * The queue room: responsibility for mail between 250 and the recipient's store.
 *
 *   smtp --accept--> batch --one commit--> answers --> tasks --> boxes --deliver--> mailbox rooms
 *                      ^                                            |
 *                      +------------- settled, deferred ------------+
 *
 * One thread, one loop: whatever is waiting is gathered, then one transaction makes all of it durable,
 * then everybody gets an answer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ipc/queue_mailbox.h"
#include "ipc/smtp_queue.h"
#include "lib/proc/loop.h"
#include "lib/proc/proc.h"
#include "lib/store/spool.h"

#define QUEUE_BATCH 256u	/* messages of one commit */
#define QUEUE_SETTLE_MS 30u	/* so long a lone settling waits for a commit that is due anyway */
#define QUEUE_TASKS 50000u	/* deliveries in memory; more wait in the spool */
#define QUEUE_CONTENTS 2000u	/* memfds kept from accept to delivery */
#define QUEUE_BUCKETS 512u	/* boxes are found by account */
#define QUEUE_FLIGHT 128u	/* deliveries under way to one mailbox */
#define QUEUE_ANSWER_MS 60000u	/* a mailbox that is silent so long is stuck */

/* The message of one or more tasks. fd is -1 when it has to be read from the spool again. */
struct content {
	int fd;
	unsigned refs;
};

/* One delivery that is not settled. */
struct task {
	struct task *next;
	struct content *content;
	uint64_t delivery, size, session, due_ms;
	int64_t received_us;
	uint32_t account, attempts;
	char *sender, *rcpt, *queue_id; /* one allocation */
};

struct tasks { /* a queue of tasks, in order */
	struct task *first, **last;
};

struct queue {
	struct proc *proc;
	struct loop *loop;
	struct spool *spool;
	struct ipc_channel *warden;
	struct loop_watch *warden_watch;
	uint64_t message_size, floor, floor_at_ms;
	struct batch *batch;
	struct box *boxes[QUEUE_BUCKETS];
	struct tasks later; /* deferred; unsorted, due_ms says when */
	unsigned n_tasks, n_contents;
	struct loop_timer *settle;
	bool scanning, stopping, settle_due;
	uint64_t scan_after;
};

/* batch.c: accept and settle, group commit */
void batch_init(struct queue *q);
void batch_introduce(struct queue *q, const char *peer, const char *instance, int fd);
void batch_settle(struct queue *q, uint64_t delivery);
void batch_defer(struct queue *q, uint64_t delivery, int64_t next_us, struct slice reason);
/* After each round of the loop: commits when somebody waits for it. Settling alone waits for company
 * (QUEUE_SETTLE_MS): forgetting late is harmless, because a mailbox takes a delivery once. */
void batch_round(struct queue *q);
/* Commits what has been gathered. */
void batch_commit(struct queue *q);

/* deliver.c: tasks on their way to mailboxes */
void deliver_init(struct queue *q);
/* A new task; takes a reference of content (may be NULL). False when memory is for others: it will
 * come from the spool. */
bool deliver_add(struct queue *q, const struct spool_delivery *d, struct content *content);
void deliver_warden(struct queue *q, int fd);
struct content *content_new(struct queue *q, int fd);
void content_unref(struct queue *q, struct content **c);

/* admin.c */
void admin_introduce(struct queue *q, int fd);

/* The spool failed in a way that only a fresh start can judge: says so and ends the room. */
_Noreturn void queue_die(struct queue *q, const char *what, enum store_err e);
