/* SPDX-License-Identifier: MIT
 * The key of the spool: 32 octets in a file of their own, made once and never changed. Losing it loses
 * what is on its way, nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "ipc/queue_keys.h"
#include "lib/base/own.h"
#include "rooms/keys/serve.h"

#define NAME "spool.key"
#define NEW_NAME "spool.key.new"
#define KEY_BYTES ((size_t)32)

/* The name is on the disk before anybody seals with it. */
static bool
make(void)
{
	uint8_t key[KEY_BYTES];
	own(fd_t) fd = open(NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	own(fd_t) dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && dir >= 0 && getrandom(key, sizeof key, 0) == (ssize_t)sizeof key &&
	    write(fd, key, sizeof key) == (ssize_t)sizeof key && fsync(fd) == 0 && rename(NEW_NAME, NAME) == 0 &&
	    fsync(dir) == 0;

	explicit_bzero(key, sizeof key);
	return ok;
}

static enum queue_keys_result
fetch(bool may_make, uint8_t key[static KEY_BYTES])
{
	own(fd_t) fd = open(NAME, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && !may_make)
		return QUEUE_KEYS_RESULT_NONE;
	if (fd < 0 && errno == ENOENT && make())
		fd = open(NAME, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, key, KEY_BYTES) == (ssize_t)KEY_BYTES ? QUEUE_KEYS_RESULT_OK : QUEUE_KEYS_RESULT_FAILED;
}

static void
on_spool_key(void *ctx, struct ipc_call *call, struct queue_keys_spool_key *m)
{
	uint8_t key[KEY_BYTES] = { 0 };
	struct queue_keys_spool_key_answer out = { .status = fetch(m->make, key) };

	(void)ctx;
	if (out.status == QUEUE_KEYS_RESULT_OK)
		out.key = slice_of(key, KEY_BYTES);
	(void)queue_keys_spool_key_answer(call, &out);
	explicit_bzero(key, sizeof key);
}

enum ipc_status
keys_queue_serve(struct keys_peer *p)
{
	static const struct queue_keys_server handlers = { .spool_key = on_spool_key };

	return queue_keys_server_serve(p->ch, &handlers, p);
}
