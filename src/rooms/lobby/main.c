/* SPDX-License-Identifier: MIT
 * lobby: IMAP before login. Holds conversations of strangers; sees no mail, hashes no password.
 *
 * From warden: the peers "door" (any number) and "auth". */
#include "rooms/lobby/room.h"

int
main(void)
{
	static struct lobby_room room;
	static const struct proc_peers peers = { .introduce = lobby_introduce, .stop = lobby_stop };
	struct proc *p = proc_boot("lobby");
	struct proc_walls walls = { .threads = true, .max_files = 65536 };
	struct loop *loop = loop_new();

	lobby_room_init(&room, p, loop);
	room.scram = (struct scram_offer){ .off = proc_number(p, "scram", 0, 1) == 0,
		.must_bind = proc_number(p, "scram_require_binding", 0, 1) != 0 };
	proc_lock(p, &walls);
	return proc_serve(p, loop, &peers, &room);
}
