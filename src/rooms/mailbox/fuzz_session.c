/* SPDX-License-Identifier: MIT
 * Whatever a client sends after login, the real session over memory against a real store: nothing
 * dies, and what comes back is framed: lines of printable text ended by CRLF, literals as long as
 * they say (I-034), one tagged reply at most for each command. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rooms/mailbox/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct mailbox *store;
static struct hub hub;
static char dir[64], path[96];

static void
no_wake(void *ctx, struct session *s)
{
}

static void
forget(void)
{
	char wal[112];

	mailbox_close(&store);
	(void)snprintf(wal, sizeof wal, "%s-wal", path);
	(void)unlink(wal);
	(void)unlink(path);
	(void)rmdir(dir);
}

static void
open_store(void)
{
	struct stat st;

	(void)snprintf(dir, sizeof dir, "%s/postern-fuzz-XXXXXX",
	    stat("/dev/shm", &st) == 0 ? "/dev/shm" : "/tmp");
	PN_ASSERT(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof path, "%s/mail.db", dir);
	PN_ASSERT(mailbox_open(path, 1, 1700000000000000u, &store) == STORE_OK);
	hub_init(&hub, 10, no_wake, NULL);
	(void)atexit(forget);
}

/* Reads the answers as a strict client does. */
static void
check(struct slice out)
{
	while (out.n > 0) {
		size_t end = slice_find(out, S("\r\n"));
		struct slice line;
		uint64_t size = 0;

		if (end == SLICE_NONE)
			return; /* cut: the session ended in the middle of a piece */
		line = slice_head(out, end);
		for (size_t i = 0; i < line.n; i++)
			PN_ASSERT(ch_is_print(slice_at(line, i)) || slice_at(line, i) == '\t');
		out = slice_from(out, end + 2);
		if (imap_literal_at_end(line, &size) != IMAP_LITERAL_NONE) {
			PN_ASSERT(slice_find_byte(slice_head(out, (size_t)size), 0) == SLICE_NONE);
			out = slice_from(out, size < out.n ? (size_t)size : out.n);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct stream_memory m = { .in = slice_of(data, n) };
	struct session s = { .id = 1, .hub = &hub, .account = S("1") };

	if (store == NULL)
		open_store();
	s.store = store;
	buf_init(&m.out, 1 << 24);
	stream_init_memory(&s.io, &m);
	session_begin(&s, S("t"));
	while (session_turn(&s, SESSION_INPUT) == SESSION_PARK)
		;
	check(buf_slice(&m.out));
	session_end(&s);
	buf_free(&m.out);
	return 0;
}
