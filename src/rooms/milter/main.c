/* SPDX-License-Identifier: MIT
 * milter: shows messages to the milters of the administrator (rspamd, opendkim, ...) and brings back what they say. It is
 * there only where the configuration has one. It reads what those programs send, and messages; it holds nothing between
 * two messages, opens no file and listens nowhere.
 *
 * From warden: settings (settings.c), the peers "smtp" (mx, submission) and "warden", which connects to Unix sockets. */
#include <sys/socket.h>
#include <sys/syscall.h>

#include "rooms/milter/room.h"

/* AF_INET is 2, AF_INET6 is 10: no other bit, so no local and no packet socket. */
#define INTERNET (~(uint64_t)(AF_INET | AF_INET6))

static const struct sandbox_call own_calls[] = {
	SANDBOX_CALL_IF(socket, SANDBOX_CLEAR, 0, INTERNET, "a connection to a milter"),
	SANDBOX_CALL(connect, "a connection to a milter; Landlock knows the ports"),
	SANDBOX_CALL(getsockopt, "did the connection come about"),
	SANDBOX_CALL(setsockopt, "TCP_NODELAY"),
	SANDBOX_CALL(pwrite64, "the message as the milters want it"),
	{ 0 },
};

int
main(void)
{
	static struct milter_room room;
	static struct milter_settings settings;
	static const struct proc_peers peers = { .introduce = milter_introduce, .stop = milter_stop };
	uint16_t ports[MILTERS + 1] = { 0 };
	struct proc *p = proc_boot("milter");
	struct proc_walls walls = { .own = own_calls, .threads = true, .max_files = 4096, .connect_ports = ports };
	size_t n = 0;

	milter_settings_read(p, &settings);
	for (size_t i = 0; i < settings.n; i++)
		if (settings.milter[i].port != 0)
			ports[n++] = settings.milter[i].port;
	walls.max_file_size = 2 * settings.max_size + 2 * LIMIT_HEADER;
	milter_room_init(&room, p, loop_new(), &settings);
	proc_lock(p, &walls);
	return proc_serve(p, room.loop, &peers, &room);
}
