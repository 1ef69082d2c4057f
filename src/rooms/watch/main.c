/* SPDX-License-Identifier: MIT
 * watch: a table of an application.
 *
 * From warden: the application's directory, the settings table and file (in that directory); the peer drop, over a
 * stream. */
#include <stdio.h>
#include <sys/syscall.h>

#include <jansson.h>

#include "rooms/watch/watch.h"

static char path[256], table[OUTBOX_TABLE + 1];

int
main(void)
{
	static struct watch_room room;
	static const struct proc_peers peers = { .introduce = watch_introduce, .stop = watch_stop };
	static const struct sandbox_call own_calls[] = {
		SANDBOX_CALL(recvfrom, "answers of drop"),
		{ 0 },
	};
	static const struct proc_walls walls = { .own = own_calls, .files = true, .max_files = 64,
		.max_file_size = (uint64_t)1 << 34 };
	struct proc *p = proc_boot("watch");
	struct slice file = proc_setting(p, "file");
	struct loop *loop = loop_new();

	(void)snprintf(path, sizeof path, "/%.*s", SFMT(slice_head(file, 250)));
	(void)snprintf(table, sizeof table, "%.*s", SFMT(slice_head(proc_setting(p, "table"), OUTBOX_TABLE)));
	json_object_seed(0);
	proc_lock(p, &walls);
	watch_room_init(&room, p, loop, outbox_sqlite(path, table), proc_setting(p, "instance"));
	return proc_serve(p, loop, &peers, &room);
}
