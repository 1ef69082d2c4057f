/* SPDX-License-Identifier: MIT
 * door: accepts clients, does their TLS, hands conversations to rooms, and reads no mail protocol.
 *
 * From warden: the listening sockets, named as their listener (house_service()), any number each; the
 * certificate chains in PEM, each named "certificate" (at most one EC and one RSA), the i-th of which
 * keys knows by the key tls.i; the settings "connections" and "connections_per_address" (0: no
 * limit); the peers keys, warden, smtp (mx, submission) and lobby. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sysexits.h>

#include "lib/base/own.h"
#include "rooms/door/house.h"
#include "rooms/door/signer.h"

#define MOST_CERTIFICATES 2u

static const struct sandbox_call own_calls[] = {
	SANDBOX_CALL(accept4, "clients, on the sockets that warden made"),
	SANDBOX_CALL_IF(socketpair, SANDBOX_EQUAL, 0, AF_UNIX, "the plain side of a TLS conversation"),
	SANDBOX_CALL(setsockopt, "buffer sizes of pairs"),
	SANDBOX_CALL(getsockopt, "is a socket that came back a stream"),
	SANDBOX_CALL(getsockname, "which of our addresses the client used"),
	SANDBOX_CALL(getpeername, "is a socket that came back the client's"),
	{ 0 },
};

static _Noreturn void
die(int status, const char *what, struct slice which)
{
	(void)fprintf(stderr, "door: %s: %.*s\n", what, SFMT(slice_head(which, 200)));
	exit(status);
}

static void
take_listeners(struct proc *p, struct house *h)
{
	const char *name;
	struct ip_nets nets;
	char key[64];

	for (size_t i = 0; (name = house_service(i)) != NULL; i++) {
		bool any = false;

		for (int fd; (fd = proc_descriptor(p, name)) >= 0; any = true)
			if (!house_listen(h, name, fd))
				die(EX_CONFIG, "too many listeners", slice_z(name));
		(void)snprintf(key, sizeof key, "proxy_from.%s", name);
		if (any && ip_nets_parse(proc_setting(p, key), &nets))
			house_proxies(h, name, &nets);
	}
}

static void
take_certificates(struct proc *p, struct tls_server *tls, struct signer *signer)
{
	static struct signer_key keys[MOST_CERTIFICATES] = { { .name = S_INIT("tls.0") },
		{ .name = S_INIT("tls.1") } };
	size_t n = 0;

	for (int fd; (fd = proc_descriptor(p, "certificate")) >= 0; n++) {
		own(buf_t) chain = { .max = TLS_CHAIN_BYTES };
		own(buf_t) why = { .max = 512 };
		own(fd_t) file = fd;

		if (n == MOST_CERTIFICATES)
			die(EX_CONFIG, "too many certificates", S("at most two"));
		keys[n].signer = signer;
		if (!proc_read(file, &chain))
			die(EX_NOINPUT, "cannot read the certificate", S(""));
		if (!tls_server_add(tls, buf_slice(&chain), signer_sign, &keys[n], &why))
			die(EX_DATAERR, "cannot use the certificate", buf_slice(&why));
	}
	if (n == 0)
		die(EX_NOINPUT, "there is no certificate", S(""));
}

static struct caps *
take_limits(struct proc *p)
{
	struct caps_limits limits = { .total = (uint32_t)proc_number(p, "connections", 1, 1000000),
		.per_address = (uint32_t)proc_number(p, "connections_per_address", 0, 1000000) };
	uint8_t secret[16];

	/* A busy client of many connections reconnects half of them each second, and all at once now
	 * and then. No setting of its own: the two only make sense together. */
	limits.handshakes = (limits.per_address + 1) / 2;
	limits.burst = 5 * limits.per_address;
	PN_ASSERT(getrandom(secret, sizeof secret, 0) == (ssize_t)sizeof secret);
	return caps_new(&limits, secret);
}

int
main(void)
{
	static struct house house;
	static struct signer signer;
	static const struct proc_peers peers = { .introduce = house_introduce, .stop = house_stop };
	struct proc *p = proc_boot("door");
	struct proc_walls walls = { .own = own_calls };

	if (!tls_init())
		return EX_SOFTWARE;
	signer_init(&signer);
	house.proc = p;
	house.loop = loop_new();
	house.tls = tls_server_new();
	house.keys = signer_connect;
	house.keys_ctx = &signer;
	house.caps = take_limits(p);
	take_listeners(p, &house);
	take_certificates(p, house.tls, &signer);
	walls.max_files = 2 * proc_number(p, "connections", 1, 1000000) + 512;
	proc_lock(p, &walls);
	return proc_serve(p, house.loop, &peers, &house);
}
