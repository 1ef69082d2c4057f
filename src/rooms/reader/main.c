/* SPDX-License-Identifier: MIT
 * reader: reads one report for the clerk, and ends. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "lib/base/own.h"
#include "lib/proc/proc.h"
#include "rooms/reader/read.h"

#define MOST ((uint64_t)16777216) /* LIMIT_REPORT_MAIL */
#define SEND_WAIT_MS 20000u

static struct reader {
	struct proc *proc;
	struct loop *loop;
	struct ipc_channel *ch;
	struct loop_watch *watch;
	bool done;
} room;

static void
on_read(void *ctx, struct clerk_reader_read *m)
{
	struct reader *r = ctx;
	uint64_t size;
	void *p;

	r->done = true;
	if (!ipc_sealed_memfd(m->fd, MOST, &size) || size != m->size || size == 0)
		return;
	p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, m->fd, 0);
	if (p == MAP_FAILED)
		return;
	reader_read(r->ch, slice_of(p, (size_t)size), m->hostname);
	(void)munmap(p, (size_t)size);
}

/* One mail for one life: whoever took this process over with it sees no other. */
static void
from_clerk(void *arg, unsigned ready)
{
	static const struct clerk_reader_server handlers = { .read = on_read };
	struct reader *r = arg;
	enum ipc_status st = clerk_reader_server_serve(r->ch, &handlers, r);

	(void)ready;
	if (st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE)
		proc_suspect(r->proc, r->ch);
	loop_unwatch(r->loop, &r->watch);
	ipc_channel_free(&r->ch);
	if (r->done)
		proc_idle(r->proc);
}

static void
introduce(void *ctx, const char *peer, const char *instance, int fd)
{
	struct reader *r = ctx;

	if (!slice_eq(slice_z(peer), S("clerk")) || r->done) {
		(void)close(fd);
		return;
	}
	loop_unwatch(r->loop, &r->watch);
	ipc_channel_free(&r->ch);
	r->ch = ipc_channel_new(fd, peer, instance);
	ipc_set_nonblocking(r->ch, true);
	ipc_set_send_wait(r->ch, SEND_WAIT_MS);
	r->watch = loop_watch(r->loop, fd, LOOP_READ, from_clerk, r);
}

int
main(void)
{
	static const struct proc_walls walls = { .max_files = 32, .max_memory = READER_MEMORY,
		.max_file_size = MOST };
	static const struct proc_peers peers = { .introduce = introduce };

	room.proc = proc_boot("reader");
	room.loop = loop_new();
	/* what libraries open a file for at their first use: dates in archives, a seed for hash tables */
	(void)setenv("TZ", "UTC0", 1);
	tzset();
	json_object_seed(0);
	proc_lock(room.proc, &walls);
	return proc_serve(room.proc, room.loop, &peers, &room);
}
