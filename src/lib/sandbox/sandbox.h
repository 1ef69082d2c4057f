/* SPDX-License-Identifier: MIT
 * The walls of a room, closed once and for good, in this order: no new privileges, not dumpable,
 * empty root (or the room's own directory as its root), own uid without groups, Landlock at the
 * level that the kernel has, rlimits, and last the list of permitted system calls.
 *
 * A forbidden system call calls the alarm and ends the process: it is never carried out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What has to be true of one argument for the call to be permitted. */
enum sandbox_check {
	SANDBOX_ANY,	    /* no condition */
	SANDBOX_CLEAR,	    /* (arg & value) == 0 */
	SANDBOX_SET,	    /* (arg & value) == value */
	SANDBOX_EQUAL,	    /* arg == value */
	SANDBOX_SELF,	    /* arg == this process's pid */
	SANDBOX_FAIL,	    /* not permitted, but answered with errno value instead of the alarm */
};

/* One row of a room's list; reason is required reading for whoever changes it. */
struct sandbox_call {
	int nr;
	const char *name, *reason;
	enum sandbox_check check;
	unsigned arg;
	uint64_t value;
};

#define SANDBOX_CALL(call, why) { .nr = SYS_##call, .name = #call, .reason = (why) }
#define SANDBOX_CALL_IF(call, how, n, v, why)                                                      \
	{ .nr = SYS_##call, .name = #call, .reason = (why), .check = (how), .arg = (n), .value = (v) }
#define SANDBOX_CALL_FAIL(call, err, why)                                                          \
	{ .nr = SYS_##call, .name = #call, .reason = (why), .check = SANDBOX_FAIL, .value = (err) }

/* Rows that many rooms share: memory, waiting, own descriptors, an orderly end. */
extern const struct sandbox_call sandbox_base[];
/* Threads of the same process; a new process stays forbidden. */
extern const struct sandbox_call sandbox_threads[];
/* Files beneath the room's own directory, for SQLite. */
extern const struct sandbox_call sandbox_files[];

struct sandbox {
	const char *room;
	const struct sandbox_call *groups[4]; /* each ends with a row without a name */
	const struct sandbox_call *own;	      /* the same */
	int dir;			      /* becomes the root; closed; -1 only without root rights */
	bool files;			      /* may use what is beneath dir; else nothing at all */
	const uint16_t *connect_ports;	      /* TCP ports to connect to where Landlock can tell (level 4); ends with
						 0; NULL: none */
	uid_t uid;			      /* also the gid; not changed where it is ours already */
	uint64_t max_files, max_memory, max_file_size; /* rlimits; 0: system default kept (memory) */
	bool core;			      /* keep core dumps (test builds) */
	void (*alarm)(int nr);		      /* async-signal-safe; may be NULL */
};

struct sandbox_result {
	unsigned landlock; /* ABI level in force, 0 for none */
	bool root_dropped; /* uid and root changed */
	const char *missing; /* words for the one warning line, or NULL when all walls stand */
};

/* Closes the walls. False when a wall that has to stand (no_new_privs, seccomp, and with root
 * rights uid and root) could not be built; *what then says which. */
[[nodiscard]] bool sandbox_enter(const struct sandbox *s, struct sandbox_result *result, const char **what);

/* The name of a system call number where it is one that a drill or an attacker tries, else NULL. */
const char *sandbox_call_name(int nr);
/* The level of Landlock that this kernel offers; 0 for none. */
unsigned sandbox_landlock_level(void);
