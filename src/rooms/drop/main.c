/* SPDX-License-Identifier: MIT
 * drop: mail of local programs.
 *
 * From warden: the directory of drop.db, the listening sockets "local" and (where configured) "http", the settings hostname,
 * message_size and postmaster (who root writes as; may be empty); the peers auth, scan, queue and the
 * administrator's cli. */
#include <stdio.h>
#include <sys/syscall.h>
#include <sysexits.h>

#include "lib/store/testvfs.h"
#include "rooms/drop/drop.h"

static const struct sandbox_call own_calls[] = {
	SANDBOX_CALL(accept4, "local programs, on the socket that warden made"),
	SANDBOX_CALL(getsockopt, "which uid is there (SO_PEERCRED)"),
	{ 0 },
};

int
main(void)
{
	static struct drop_room room;
	static const struct proc_peers peers = { .introduce = drop_introduce, .stop = drop_stop };
	struct proc *p = proc_boot("drop");
	uint64_t max_size = proc_number(p, "message_size", 1024, UINT32_MAX);
	struct slice hostname = proc_setting(p, "hostname"), postmaster = proc_setting(p, "postmaster");
	struct slice redirects = proc_setting(p, "redirects");
	int listener = proc_descriptor(p, "local"), http = proc_descriptor(p, "http");
	struct proc_walls walls = { .own = own_calls, .threads = true, .files = true, .max_files = 512,
		.max_file_size = (uint64_t)1 << 34 };
	struct loop *loop = loop_new();
	struct apps *apps;
	enum store_err e;
	bool bad;

	if (listener < 0) {
		(void)fprintf(stderr, "drop: there is no socket to listen on\n");
		return EX_CONFIG;
	}
	if (!testvfs_env(S("drop"), &bad) && bad)
		return EX_SOFTWARE;
	proc_lock(p, &walls);
	e = apps_open("drop.db", &apps);
	if (e != STORE_OK) {
		(void)fprintf(stderr, "drop: cannot open drop.db: %s\n", store_err_name(e));
		return EX_IOERR;
	}
	drop_room_init(&room, p, loop, apps);
	room.hostname = hostname;
	room.postmaster = postmaster;
	room.redirects = redirects;
	room.max_size = max_size;
	drop_listen(&room, listener);
	if (http >= 0)
		drop_listen_http(&room, http);
	return proc_serve(p, loop, &peers, &room);
}
