/* SPDX-License-Identifier: MIT
 * ledger: the event log.
 *
 * From warden: the directory of ledger.db, the setting events_keep (seconds); as peers every room, and the administrator's "cli". */
#include <stdio.h>
#include <sysexits.h>

#include "lib/store/testvfs.h"
#include "rooms/ledger/room.h"

int
main(void)
{
	static struct ledger_room room;
	static const struct proc_peers peers = { .introduce = ledger_introduce, .stop = ledger_stop };
	struct proc *p = proc_boot("ledger");
	uint64_t keep = proc_number(p, "events_keep", 3600, UINT32_MAX);
	struct proc_walls walls = { .files = true, .max_files = 65536,
		.max_file_size = (uint64_t)1 << 40 };
	struct loop *loop = loop_new();
	struct ledger *log;
	enum store_err e;
	bool bad;

	if (!testvfs_env(S("ledger"), &bad) && bad)
		return EX_USAGE;
	proc_lock(p, &walls);
	e = ledger_open("ledger.db", &log);
	if (e != STORE_OK) {
		(void)fprintf(stderr, "ledger: cannot open ledger.db: %s\n", store_err_name(e));
		return EX_IOERR;
	}
	ledger_room_init(&room, p, loop, log, keep * 1000000);
	return proc_serve(p, loop, &peers, &room);
}
