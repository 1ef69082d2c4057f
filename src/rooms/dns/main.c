/* SPDX-License-Identifier: MIT
 * dns: asks the DNS for the other rooms, validates (DNSSEC), remembers, and does nothing else.
 *
 * From warden: the settings "dns_servers" and "dns_timeout", trust anchors as text in "dns_anchors" and as
 * files in the descriptors "anchor", the peers that ask. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "rooms/dns/dns.h"

/* AF_INET is 2, AF_INET6 is 10: no other bit, so no local and no packet socket. */
#define INTERNET (~(uint64_t)(AF_INET | AF_INET6))

static const struct sandbox_call own_calls[] = {
	SANDBOX_CALL_IF(socket, SANDBOX_CLEAR, 0, INTERNET, "questions to name servers, a new socket each"),
	SANDBOX_CALL(bind, "a random port for each question; without listen() it serves nobody"),
	SANDBOX_CALL(connect, "the kernel drops what comes from elsewhere; TCP for long answers"),
	SANDBOX_CALL(writev, "a question over TCP: its length, then itself"),
	SANDBOX_CALL(setsockopt, "no fragments, address reuse"),
	SANDBOX_CALL(getsockopt, "did the connection come about"),
	{ 0 },
};

static void
read_anchors(struct proc *p, struct buf *anchors)
{
	buf_add(anchors, proc_setting(p, "dns_anchors"));
	for (int fd; (fd = proc_descriptor(p, "anchor")) >= 0;) {
		own(fd_t) file = fd;

		buf_byte(anchors, '\n');
		if (!proc_read(file, anchors)) {
			(void)fputs("dns: a file with trust anchors cannot be read or is too long\n", stderr);
			exit(EX_NOINPUT);
		}
	}
}

/* Where a TCP connection may go to, where the kernel can tell (Landlock 4): ends with 0. */
static void
read_ports(struct slice servers, uint16_t ports[LIMIT_DNS_SERVERS + 1])
{
	struct slice one, address, rest = servers;
	size_t n = 0;

	ports[n] = servers.n == 0 ? 53 : 0;
	for (bool more = servers.n > 0; more && n < LIMIT_DNS_SERVERS;) {
		more = slice_cut(rest, ' ', &one, &rest);
		if (dns_server_parse(more ? one : rest, &address, &ports[n]))
			n++;
	}
}

int
main(void)
{
	static struct dns_room room;
	static const struct proc_peers peers = { .introduce = dns_introduce, .stop = dns_stop };
	struct proc *p = proc_boot("dns");
	struct slice servers = proc_setting(p, "dns_servers");
	own(buf_t) anchors = { .max = LIMIT_DNS_ANCHORS };
	uint16_t ports[LIMIT_DNS_SERVERS + 1] = { 0 };
	struct proc_walls walls = { .own = own_calls, .max_files = 1024, .connect_ports = ports };
	const char *wrong;

	room.proc = p;
	room.loop = loop_new();
	room.timeout_ms = proc_number(p, "dns_timeout", 100, 60000);
	read_anchors(p, &anchors);
	read_ports(servers, ports);
	wrong = dns_open(&room, servers, buf_slice(&anchors));
	if (wrong != NULL) {
		(void)fprintf(stderr, "dns: cannot start the resolver: %s\n", wrong);
		return EX_CONFIG;
	}
	proc_lock(p, &walls);
	return proc_serve(p, room.loop, &peers, &room);
}
