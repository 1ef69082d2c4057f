/* SPDX-License-Identifier: MIT
 * fetch: outgoing HTTPS for rooms that have no network: policies, certificates, storage. Holds nothing but
 * the request in hand.
 *
 * From warden: the settings "fetch_port", "fetch_timeout" (ms) and "fetch_allow", the CA certificates in the descriptor "roots", the
 * peers dns and whoever asks. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <time.h>

#include "rooms/fetch/fetch.h"

/* AF_INET is 2, AF_INET6 is 10: no other bit, so no local and no packet socket. */
#define INTERNET (~(uint64_t)(AF_INET | AF_INET6))

static const struct sandbox_call own_calls[] = {
	SANDBOX_CALL_IF(socket, SANDBOX_CLEAR, 0, INTERNET, "the connection to a web server"),
	SANDBOX_CALL(connect, "the same; where Landlock can tell, to the port of HTTPS only"),
	SANDBOX_CALL(setsockopt, "no delay, keep-alive"),
	SANDBOX_CALL(getsockopt, "did the connection come about"),
	SANDBOX_CALL(getsockname, "libcurl notes its own address"),
	SANDBOX_CALL(getpeername, "libcurl notes the other address"),
	SANDBOX_CALL_FAIL(socketpair, EPERM, "libcurl would like to be woken; it does without"),
	{ 0 },
};

/* CA certificates stay a mapping of the file: read when a request needs them, and no memory of ours. */
static struct slice
map_roots(struct proc *p)
{
	own(fd_t) fd = proc_descriptor(p, "roots");
	struct stat st;
	void *at;

	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= 0)
		return S("");
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	return at == MAP_FAILED ? S("") : slice_of(at, (size_t)st.st_size);
}

static void
read_allowed(struct slice list, struct fetch_conf *conf)
{
	struct slice one, rest = list;

	for (bool more = list.n > 0; more && conf->n_allowed < LIMIT_FETCH_ALLOWED; conf->n_allowed++) {
		more = slice_cut(rest, ' ', &one, &rest);
		if (!ip_net_parse(more ? one : rest, &conf->allowed[conf->n_allowed],
			&conf->allowed_bits[conf->n_allowed])) {
			(void)fputs("fetch: fetch_allow is no list of networks\n", stderr);
			exit(EX_CONFIG);
		}
	}
}

int
main(void)
{
	static struct fetch_room room;
	static const struct proc_peers peers = { .introduce = fetch_introduce, .stop = fetch_stop };
	struct proc *p = proc_boot("fetch");
	uint16_t ports[2] = { 0 };
	struct proc_walls walls = { .own = own_calls, .threads = true, .max_files = 256, .max_file_size = LIMIT_FETCH_BODY,
		.connect_ports = ports };

	/* libcurl asks for the local time of certificates: without this libc would look for /etc/localtime */
	(void)setenv("TZ", "UTC0", 1);
	tzset();
	room.proc = p;
	room.loop = loop_new();
	room.conf.port = ports[0] = (uint16_t)proc_number(p, "fetch_port", 1, 65535);
	room.conf.most_ms = (uint32_t)proc_number(p, "fetch_timeout", 1000, 3600000);
	room.conf.roots = map_roots(p);
	read_allowed(proc_setting(p, "fetch_allow"), &room.conf);
	if (!fetch_init()) {
		(void)fputs("fetch: libcurl is not the one with OpenSSL\n", stderr);
		return EX_SOFTWARE;
	}
	fetch_room_init(&room);
	proc_lock(p, &walls);
	return proc_serve(p, room.loop, &peers, &room);
}
