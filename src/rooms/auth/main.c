/* SPDX-License-Identifier: MIT
 * auth: who is who.
 *
 * From warden: the directory of accounts.db, the setting user_range; the peers smtp (mx, submission),
 * lobby, warden (which hears of logins) and the administrator's cli. */
#include <stdio.h>
#include <sysexits.h>

#include "lib/store/testvfs.h"
#include "rooms/auth/house.h"

int
main(void)
{
	static struct auth_room room;
	static const struct proc_peers peers = { .introduce = auth_introduce, .stop = auth_stop };
	struct proc *p = proc_boot("auth");
	uint64_t user_range = proc_number(p, "user_range", 1, UINT32_MAX);
	uint64_t login_failures = proc_number(p, "login_failures", 0, 100000);
	bool scram = proc_number(p, "scram", 0, 1) != 0;
	struct proc_walls walls = { .threads = true, .files = true, .max_files = 256,
		.max_file_size = (uint64_t)1 << 36 };
	struct loop *loop = loop_new();
	struct accounts *accounts;
	enum store_err e;
	bool bad;

	if ((!testvfs_env(S("auth"), &bad) && bad) || !hasher_prepare())
		return EX_SOFTWARE;
	proc_lock(p, &walls);
	e = accounts_open("accounts.db", &accounts);
	if (e != STORE_OK) {
		(void)fprintf(stderr, "auth: cannot open accounts.db: %s\n", store_err_name(e));
		return EX_IOERR;
	}
	if (!auth_room_init(&room, p, loop, accounts, hasher_new(loop, HASHER_OPS, HASHER_MEMORY),
	    user_range) || (!scram && auth_exchange_off(&room) != STORE_OK)) {
		(void)fprintf(stderr, "auth: accounts.db fails\n");
		return EX_IOERR;
	}
	room.login_failures = login_failures;
	return proc_serve(p, loop, &peers, &room);
}
