/* SPDX-License-Identifier: MIT
 * The event log (DESIGN.md 6): rows that are only added, read and, by age, deleted. What the kinds
 * and fields mean is lib/events' business: here an event is a number and packed bytes.
 *
 * Written without waiting for the disk; ledger_flush() now and then. One thread. */
#pragma once

#include "lib/store/store.h"

struct ledger;

struct ledger_event {
	uint64_t id;		/* given by the ledger: rises, never reused; ignored when added */
	uint64_t time;		/* us */
	uint32_t kind;
	uint64_t session;	/* 0 = none */
	struct slice room;	/* 0..64 bytes, as the other texts but account */
	struct slice queue_id;
	struct slice account;	/* an address, at most LIMIT_SMTP_ADDRESS; empty = none */
	struct slice fields;	/* packed by lib/events; at most LIMIT_LEDGER_FIELDS */
};

#define LIMIT_LEDGER_FIELDS ((size_t)32768)

enum store_err ledger_open(const char *path, struct ledger **out);
void ledger_close(struct ledger **l);

/* Adds a batch in one transaction: all or none. *last (may be NULL) gets the id of the last one. */
enum store_err ledger_add(struct ledger *l, const struct ledger_event *e, size_t n, uint64_t *last);
enum store_err ledger_flush(struct ledger *l);

struct ledger_query {
	uint64_t session;	/* 0 = any */
	struct slice queue_id;	/* exact or, with prefix, what it starts with; empty = any */
	bool prefix;
	bool either;		/* session or queue_id may match (for `explain ID`); else both must */
	struct slice account;	/* empty = any; exact */
	uint32_t kind;		/* 0 = any */
	uint64_t from, to;	/* us, from <= time < to; to 0 = no end */
	uint64_t after;		/* only ids above (newest_first: below, 0 = no bound) */
	bool newest_first;
	size_t max;		/* at most so many rows, 0 = 1000 */
};
/* Calls fn per row; slices are borrowed until it returns; false stops. Paging and following: ask
 * again with after = last id seen. */
enum store_err ledger_find(struct ledger *l, const struct ledger_query *q,
    bool (*fn)(void *ctx, const struct ledger_event *e), void *ctx);
/* Highest id given so far, 0 = none. */
uint64_t ledger_last(const struct ledger *l);
/* Deletes events older than before (us), at most max rows; *deleted may be NULL. Call it until it
 * deletes fewer than max: each call is short. */
enum store_err ledger_retire(struct ledger *l, uint64_t before, size_t max, size_t *deleted);
