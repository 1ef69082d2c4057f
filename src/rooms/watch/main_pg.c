/* SPDX-License-Identifier: MIT
 * watchpg: a table of an application in PostgreSQL. An executable of its own, so that libpq is in no other.
 *
 * From warden: the directory of the server's Unix socket (or an empty one, for TCP), the settings host, port, database,
 * role and table, the descriptor password where there is one; the peer drop, over a stream. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <jansson.h>

#include "lib/crypto/digest.h"
#include "lib/outbox/postgres.h"
#include "rooms/watch/watch.h"

/* AF_INET is 2, AF_INET6 is 10: no other bit, so no local and no packet socket. */
#define INTERNET (~(uint64_t)(AF_INET | AF_INET6))
#define MEMORY ((uint64_t)268435456) /* of address space: a server that sends without end is out of memory */
#define CALLS \
	SANDBOX_CALL(connect, "a connection to the server; the root has its socket alone, or Landlock knows the port"), \
	SANDBOX_CALL(getsockopt, "did the connection come about"), \
	SANDBOX_CALL(getsockname, "libpq keeps its own address"), \
	SANDBOX_CALL(pread64, "the file with the password, at each connection")

static const struct sandbox_call local_calls[] = {
	SANDBOX_CALL_IF(socket, SANDBOX_EQUAL, 0, AF_UNIX, "a connection to the server's socket"),
	CALLS,
	{ 0 },
};
static const struct sandbox_call tcp_calls[] = {
	SANDBOX_CALL_IF(socket, SANDBOX_CLEAR, 0, INTERNET, "a connection to the server"),
	SANDBOX_CALL(setsockopt, "TCP_NODELAY, keep-alives"),
	CALLS,
	{ 0 },
};

static char host[256], port[8], database[64], role[64], table[OUTBOX_TABLE + 1];

static const char *
setting(struct proc *p, const char *key, char *to, size_t size)
{
	(void)snprintf(to, size, "%.*s", SFMT(slice_head(proc_setting(p, key), size - 1)));
	return to;
}

int
main(void)
{
	static struct watch_room room;
	static struct outbox_server at;
	static const struct proc_peers peers = { .introduce = watch_introduce, .stop = watch_stop };
	struct proc *p = proc_boot("watchpg");
	uint16_t ports[2] = { (uint16_t)proc_number(p, "port", 1, 65535), 0 };
	struct proc_walls walls = { .max_files = 64, .max_memory = MEMORY, .max_file_size = 4096 };
	struct loop *loop = loop_new();

	PN_ASSERT(clearenv() == 0); /* nothing there is libpq's */
	at = (struct outbox_server){ .host = setting(p, "host", host, sizeof host),
		.port = setting(p, "port", port, sizeof port),
		.database = setting(p, "database", database, sizeof database),
		.role = setting(p, "role", role, sizeof role), .password = proc_descriptor(p, "password") };
	walls.own = at.host[0] == '/' ? local_calls : tcp_calls;
	walls.connect_ports = at.host[0] == '/' ? NULL : ports;
	if (at.password >= 0)
		crypto_init(); /* SCRAM: OpenSSL reads its surroundings before the walls are closed */
	json_object_seed(0);
	proc_lock(p, &walls);
	watch_room_init(&room, p, loop, outbox_postgres(&at, setting(p, "table", table, sizeof table)),
	    proc_setting(p, "instance"));
	return proc_serve(p, loop, &peers, &room);
}
