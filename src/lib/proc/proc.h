/* SPDX-License-Identifier: MIT
 * What every room does at its start and for its warden. A room's main reads:
 *
 *	struct proc *p = proc_boot("queue");		what warden hands over, on descriptor 3
 *	...open what is needed, read settings...
 *	proc_lock(p, own_calls, ...);			the walls
 *	...name the peers...
 *	proc_serve(p, loop, &peers, ctx);		until warden says stop
 *
 * Errors at start are said on stderr (which warden turns into events) and end the room with a
 * sysexits status. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/slice.h"
#include "lib/ipc/ipc.h"
#include "lib/proc/loop.h"
#include "lib/sandbox/sandbox.h"

struct proc;

/* Reads settings, descriptors and channels from warden until it says go. Exits on any trouble. */
struct proc *proc_boot(const char *room);
/* This room's instance: "mx", "submission", the account's number; "" for most. */
const char *proc_instance(const struct proc *p);

/* A setting of this room's part of the configuration; lives as long as the process. Missing: the
 * room ends with EX_CONFIG and says which. */
struct slice proc_setting(const struct proc *p, const char *key);
/* The same as a number between least and most. */
uint64_t proc_number(const struct proc *p, const char *key, uint64_t least, uint64_t most);
/* The descriptor of this name, which becomes the caller's; -1 when there is none (left). May be
 * called again for several of one name: warden's order. */
int proc_descriptor(struct proc *p, const char *name);

/* Reads a descriptor that was handed over to its end. False where that fails or b is full. */
[[nodiscard]] bool proc_read(int fd, struct buf *b);

/* Closes the walls with the room's own rows besides sandbox_base. The directory is the descriptor
 * "dir". Exits when a wall does not stand. */
struct proc_walls {
	const struct sandbox_call *own; /* ends with a row without a name; may be NULL */
	bool threads;			/* sandbox_threads */
	bool files;			/* sandbox_files, and what is beneath "dir" */
	const uint16_t *connect_ports;	/* sandbox.connect_ports: for the few rooms that use the Internet */
	uint64_t max_files;		/* descriptors */
	uint64_t max_memory;		/* bytes of address space; 0: no limit of its own */
	uint64_t max_file_size;		/* bytes; memfds count too */
};
void proc_lock(struct proc *p, const struct proc_walls *walls);

/* What the room does with a channel: first at start, and again when the peer was restarted. Takes
 * over fd. "ledger" is handled by proc itself. */
struct proc_peers {
	void (*introduce)(void *ctx, const char *peer, const char *instance, int fd);
	/* Warden says stop: end in order, then call loop_stop(). NULL: the loop stops at once. */
	void (*stop)(void *ctx);
};
/* Tells warden "ready" and serves the loop until the end; returns the exit status. */
int proc_serve(struct proc *p, struct loop *l, const struct proc_peers *peers, void *ctx);

/* Tells warden that this peer broke the rules (ipc_why()). */
void proc_suspect(struct proc *p, const struct ipc_channel *ch);
/* Tells warden that this room has nothing to do any more. */
void proc_idle(struct proc *p);
/* Asks warden for a room that lives only while it has work; its channel comes as an introduction. */
void proc_want(struct proc *p, const char *room);
