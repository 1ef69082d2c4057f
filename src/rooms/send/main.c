/* SPDX-License-Identifier: MIT
 * send: carries mail to other servers: SMTP out, LMTP to other stores, smarthosts. Talks to whoever is the MX of a
 * domain, so it holds nothing but the message under way, the MTA-STS policies of others and what smarthosts had: no mailbox, no private key; it
 * listens nowhere.
 *
 * From warden: settings (settings.c), the descriptor "roots" (the system's CA certificates), "credential.N" (user and
 * password of a smarthost), the directory of sts.db and relays.db, the peers "queue", "dns", "fetch" and "warden",
 * which connects to Unix sockets of routes. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sysexits.h>

#include "lib/store/relaycap.h"
#include "lib/store/testvfs.h"
#include "rooms/send/send.h"

/* AF_INET is 2, AF_INET6 is 10: no other bit, so no local and no packet socket. */
#define INTERNET (~(uint64_t)(AF_INET | AF_INET6))

static const struct sandbox_call own_calls[] = {
	SANDBOX_CALL_IF(socket, SANDBOX_CLEAR, 0, INTERNET, "a connection to a mail server"),
	SANDBOX_CALL(connect, "a connection to a mail server; Landlock knows the ports"),
	SANDBOX_CALL(bind, "the source address of the configuration; without listen() it serves nobody"),
	SANDBOX_CALL(getsockname, "which address we have towards a server"),
	SANDBOX_CALL(getsockopt, "did the connection come about"),
	SANDBOX_CALL(setsockopt, "TCP_NODELAY"),
	{ 0 },
};

/* Where connections may go to, where the kernel can tell (Landlock 4): ends with 0. */
static void
ports(const struct send_conf *conf, uint16_t out[1 + SEND_RELAYS + SEND_ROUTES + 1])
{
	size_t n = 0;

	out[n++] = conf->port;
	for (size_t i = 0; i < conf->n_relays; i++)
		out[n++] = conf->relays[i].port;
	for (size_t i = 0; i < conf->n_routes; i++)
		if (conf->routes[i].port != 0)
			out[n++] = conf->routes[i].port;
	out[n] = 0;
}

static bool
has_cap(const struct send_conf *conf)
{
	for (size_t i = 0; i < conf->n_relays; i++)
		if (conf->relays[i].per_hour > 0)
			return true;
	return false;
}

int
main(void)
{
	static struct send_house house;
	static struct send_conf conf;
	static const struct proc_peers peers = { .introduce = send_introduce, .stop = send_stop };
	struct proc *p = proc_boot("send");
	uint16_t allowed[1 + SEND_RELAYS + SEND_ROUTES + 1] = { 0 };
	struct proc_walls walls = { .own = own_calls, .threads = true, .files = true, .max_files = 4096,
		.max_file_size = (uint64_t)1 << 33, .connect_ports = allowed };
	struct loop *loop = loop_new();
	struct stscache *cache = NULL;
	struct relaycap *caps = NULL;
	int roots;
	bool bad;

	send_settings(p, &conf);
	ports(&conf, allowed);
	if (!tls_init()) {
		(void)fputs("send: OpenSSL cannot be used\n", stderr);
		return EX_SOFTWARE;
	}
	roots = proc_descriptor(p, "roots");
	if (!testvfs_env(S("send"), &bad) && bad)
		return EX_SOFTWARE;
	proc_lock(p, &walls);
	if (stscache_open("sts.db", &cache) != STORE_OK)
		(void)fputs("send: sts.db cannot be opened: MTA-STS policies are fetched each time\n", stderr);
	if (has_cap(&conf) && relaycap_open("relays.db", &caps) != STORE_OK)
		(void)fputs("send: relays.db cannot be opened: what smarthosts had is not kept over a restart\n", stderr);
	send_room_init(&house, p, loop, &conf, cache, caps);
	house.roots_fd = roots;
	return proc_serve(p, loop, &peers, &house);
}
