/* SPDX-License-Identifier: MIT
 * mailbox: one user's mail and nothing else. Speaks IMAP after login, takes deliveries.
 *
 * From warden: the directory "dir" (which holds mail.db), the settings "account" and
 * "sessions_per_user"; the peers "door" and "queue" come when they are needed. */
#include <stdio.h>
#include <sysexits.h>

#include "lib/clock/clock.h"
#include "lib/store/testvfs.h"
#include "rooms/mailbox/room.h"

int
main(void)
{
	static struct mailbox_room room;
	static const struct proc_peers peers = { .introduce = mailbox_introduce,
		.stop = mailbox_stop };
	static const struct proc_walls walls = { .threads = true, .files = true, .max_files = 4096,
		.max_file_size = UINT64_C(1) << 40 };
	struct proc *p = proc_boot("mailbox");
	uint64_t account = proc_number(p, "account", 1, UINT32_MAX);
	unsigned sessions = (unsigned)proc_number(p, "sessions_per_user", 1, 10000);
	struct loop *loop = loop_new();
	struct mailbox *store;
	enum store_err e;
	char who[32];
	int status;
	bool bad;

	(void)snprintf(who, sizeof who, "mail.%llu", (unsigned long long)account);
	if (!testvfs_env(slice_z(who), &bad) && bad)
		return EX_SOFTWARE;
	proc_lock(p, &walls);
	/* before the store: what lives longer lies lower, and the heap above it can be given back */
	mailbox_room_init(&room, p, loop, account, sessions);
	e = mailbox_open("mail.db", account, (uint64_t)clock_wall_us(), &store);
	if (e != STORE_OK) {
		(void)fprintf(stderr, "mailbox: mail.db of account %llu: %s\n",
		    (unsigned long long)account, store_err_name(e));
		return EX_IOERR;
	}
	room.store = store;
	status = proc_serve(p, loop, &peers, &room);
	mailbox_close(&store);
	return status;
}
