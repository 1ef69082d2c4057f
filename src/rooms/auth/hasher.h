/* SPDX-License-Identifier: MIT
 * What is stored of a password is one text of two lines: Argon2id's, and the keys of SCRAM-SHA-256 (scram.h).
 * Argon2id in at most two threads: 19 MiB and two passes each (OWASP's first choice), so that a flood
 * of logins takes 38 MiB and two cores at most, and the loop never waits. */
#pragma once

#include <sodium.h>

#include "lib/base/limits.h"
#include "lib/base/slice.h"
#include "lib/proc/loop.h"

#define HASHER_THREADS 2u
#define HASHER_QUEUE 256u	/* jobs that wait (count): over it, "try later" */
#define HASHER_OPS 2u
#define HASHER_AHEAD 32u	/* over it, for those that go ahead (count) */
#define HASHER_MEMORY ((size_t)19 * 1024 * 1024)
#define HASHER_TEXT ((size_t)257) /* ACCOUNTS_HASH and a NUL */

struct hasher;

/* Stands first in the caller's own struct. */
struct hash_job {
	struct hash_job *next;		/* the hasher's */
	struct hasher *hasher;		/* the hasher's */
	bool make;			/* in: make a hash; else check one */
	bool no_scram;			/* in, with make: Argon2id's line alone */
	bool ahead;			/* in: before all that wait, and even when too many do */
	char password[LIMIT_PASSWORD];	/* in; wiped before done() */
	size_t password_n;
	char hash[HASHER_TEXT];		/* in: to check, "" = nobody's; out: made; NUL-terminated */
	bool ok;			/* out: made, or the password is right */
	bool failed;			/* out: no memory; ok is false then */
	void (*done)(struct hash_job *j); /* in the loop's thread */
};

/* Before the walls close: libsodium is made ready. False when it cannot. */
bool hasher_prepare(void);
/* After the walls: the threads start when there is work. ops and memory are as HASHER_OPS and
 * HASHER_MEMORY; tests take less. Never NULL. */
struct hasher *hasher_new(struct loop *l, unsigned long long ops, size_t memory);
/* Waits for the threads; jobs that wait, or that the loop has not heard of, are dropped without done(). In the
 * loop's thread. */
void hasher_free(struct hasher **h);
/* False when too many wait: the job is not taken. Checking nobody's hash takes as long as checking
 * somebody's, and fails. */
[[nodiscard]] bool hasher_add(struct hasher *h, struct hash_job *j);
/* Copies; the password must not be longer than LIMIT_PASSWORD, the hash shorter than HASHER_TEXT. */
void hash_job_fill(struct hash_job *j, struct slice password, struct slice hash);
