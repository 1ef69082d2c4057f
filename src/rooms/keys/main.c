/* SPDX-License-Identifier: MIT
 * keys: holds the private keys, signs digests for door, counts, and does nothing else.
 *
 * From warden: the setting "keys" (names, separated by spaces), for each name the descriptor
 * "key:NAME" (a PEM file, open for reading), the setting "signatures_per_second"; the peer "door". */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "rooms/keys/serve.h"

static bool
read_all(int fd, struct buf *b)
{
	for (;;) {
		uint8_t *p = buf_room(b, 4096);
		ssize_t n = p == NULL ? -1 : read(fd, p, 4096);

		if (n <= 0)
			return n == 0;
		buf_grown(b, (size_t)n);
	}
}

static bool
read_key(struct proc *p, struct ring *ring, struct slice name)
{
	own(buf_t) descriptor = { .max = LIMIT_KEY_NAME + 8 };
	own(buf_t) pem = { .max = PRIVKEY_PEM_MAX };
	own(fd_t) fd = -1;

	buf_add(&descriptor, S("key:"));
	buf_add(&descriptor, name);
	if (!buf_byte(&descriptor, 0))
		return false;
	fd = proc_descriptor(p, (const char *)descriptor.p);
	return fd >= 0 && read_all(fd, &pem) && ring_add(ring, name, buf_slice(&pem));
}

/* Every key that the setting names, or none: the room then ends and says which. */
static void
read_keys(struct proc *p, struct ring *ring)
{
	struct slice rest = proc_setting(p, "keys"), name;
	bool locked;

	if (!privkey_init(&locked)) {
		(void)fputs("keys: no memory for keys\n", stderr);
		exit(EX_OSERR);
	}
	for (bool more = rest.n > 0; more;) {
		more = slice_cut(rest, ' ', &name, &rest);
		if (!more)
			name = rest;
		if (!read_key(p, ring, name)) {
			(void)fprintf(stderr, "keys: cannot use the private key \"%.*s\"\n",
			    SFMT(slice_head(name, LIMIT_KEY_NAME)));
			exit(EX_NOINPUT);
		}
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
	struct proc_walls walls = { .max_files = 64 };

	if (!tls_init())
		return EX_SOFTWARE;
	room.proc = p;
	room.loop = loop_new();
	room.ring = ring_new();
	room.per_second = (uint32_t)proc_number(p, "signatures_per_second", 1, 1000000);
	read_keys(p, room.ring);
	proc_lock(p, &walls);
	return proc_serve(p, room.loop, &peers, &room);
}
