/* SPDX-License-Identifier: MIT
 * keys: holds the private keys, signs digests for door and scan, counts, and does nothing else.
 *
 * From warden: the private keys of TLS in PEM, each named "key", in the order of door's certificates:
 * the i-th becomes tls.i; the directory of DKIM's keys, which are made here and never leave it; the
 * peers "door", "scan", "queue" (the key of the spool), "clerk" and the administrator's cli. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include "rooms/keys/serve.h"

static const struct sandbox_call own_calls[] = {
	SANDBOX_CALL(rename, "the new file of keys takes the place of the old one"),
	{ 0 },
};

/* Every key that was handed over, or none: the room then ends and says which. */
static void
read_keys(struct proc *p, struct ring *ring)
{
	bool locked;

	if (!privkey_init(&locked)) {
		(void)fputs("keys: no memory for keys\n", stderr);
		exit(EX_OSERR);
	}
	for (int fd; (fd = proc_descriptor(p, "key")) >= 0;) {
		own(buf_t) pem = { .max = PRIVKEY_PEM_MAX };
		own(buf_t) name = { .max = LIMIT_KEY_NAME };
		own(fd_t) file = fd;

		buf_fmt(&name, "tls.%zu", ring_size(ring));
		if (!proc_read(file, &pem) || !ring_add(ring, buf_slice(&name), buf_slice(&pem))) {
			(void)fprintf(stderr, "keys: cannot use the private key %.*s\n",
			    SFMT(buf_slice(&name)));
			exit(EX_NOINPUT);
		}
	}
	if (ring_size(ring) == 0) {
		(void)fputs("keys: there is no private key\n", stderr);
		exit(EX_NOINPUT);
	}
	if (!locked)
		(void)fputs("keys: keys are not locked in memory (RLIMIT_MEMLOCK)\n", stderr);
}

int
main(void)
{
	static struct keys_room room;
	static const struct proc_peers peers = { .introduce = keys_introduce, .stop = keys_stop };
	struct proc *p = proc_boot("keys");
	struct proc_walls walls = { .own = own_calls, .files = true, .max_files = 64, .max_file_size = 2 * DKIM_FILE };
	const char *why;

	if (!tls_init())
		return EX_SOFTWARE;
	room.proc = p;
	room.loop = loop_new();
	room.ring = ring_new();
	room.per_second = LIMIT_SIGNATURES;
	read_keys(p, room.ring);
	proc_lock(p, &walls);
	room.dkim = dkim_open(&why);
	if (why != NULL)
		(void)fprintf(stderr, "keys: %s\n", why);
	dkim_on_change(room.dkim, keys_tell_change, NULL);
	return proc_serve(p, room.loop, &peers, &room);
}
