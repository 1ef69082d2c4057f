/* SPDX-License-Identifier: MIT
 * The mailbox room alone, for tests and measurements: its real threads and store, with door and queue
 * played here and no walls. Never installed.
 *
 *	imap_bare DIR		says "port N" on stdout, serves 127.0.0.1:N until stdin ends
 *
 * Whoever connects is logged in: the first line is the answer to tag "login". A line on stdin is
 * delivered into INBOX as a message with that subject; "delivered MICROSECONDS" answers when the room
 * has answered. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ipc/door_mailbox.h"
#include "lib/clock/clock.h"
#include "rooms/mailbox/room.h"

struct bare {
	struct mailbox_room room;
	struct loop *loop;
	struct ipc_channel *door;
	struct ipc_client *queue;
	int listener;
};

static void *
serve(void *arg)
{
	loop_run(((struct bare *)arg)->loop);
	return NULL;
}

static void
on_closed(void *ctx, struct door_mailbox_closed *m)
{
}

static void *
hear(void *arg)
{
	static const struct door_mailbox_client side = { .closed = on_closed };
	struct bare *b = arg;

	while (door_mailbox_client_serve(b->door, &side, b) == IPC_OK)
		;
	return NULL;
}

static void *
accept_all(void *arg)
{
	struct bare *b = arg;
	uint64_t session = 1;

	for (;;) {
		int fd = accept(b->listener, NULL, NULL);
		struct door_mailbox_join m = { .session = session++, .tag = S("login"), .fd = fd,
			.peer_ip = S("\x7f\0\0\1") };

		if (fd < 0)
			return NULL;
		(void)door_mailbox_join_send(b->door, &m);
		(void)close(fd);
	}
}

static bool
listen_on(struct bare *b, unsigned *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;

	b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(b->listener, (struct sockaddr *)&at, n) != 0 || listen(b->listener, 1024) != 0 ||
	    getsockname(b->listener, (struct sockaddr *)&at, &n) != 0)
		return false;
	*port = ntohs(at.sin_port);
	return true;
}

static int
message_fd(const char *subject, uint64_t *size)
{
	static const char body[] = "\r\nFrom: a@example.test\r\n\r\nbody\r\n";
	int fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ssize_t n = write(fd, "Subject: ", 9) + write(fd, subject, strlen(subject)) +
	    write(fd, body, sizeof body - 1);

	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	*size = (uint64_t)n;
	return fd;
}

static void
deliver(struct bare *b, const char *subject)
{
	static uint64_t id;
	own(arena_p) a = arena_new("deliver", 65536);
	struct queue_mailbox_deliver m = { .delivery = ++id, .sender = S("a@example.test"),
		.rcpt = S("b@example.test"), .received_us = clock_wall_us() };
	struct queue_mailbox_deliver_answer out;
	own(fd_t) fd = message_fd(subject, &m.size);
	int64_t began = clock_wall_us();
	enum ipc_status st;

	m.fd = fd;
	st = queue_mailbox_deliver(b->queue, &m, clock_mono_ms() + 10000, a, &out);
	(void)printf("%s %lld\n", st == IPC_OK && out.status == 0 ? "delivered" : "failed",
	    (long long)(clock_wall_us() - began));
}

int
main(int argc, char **argv)
{
	static struct bare b;
	struct mailbox *store;
	char path[512], line[512];
	int d[2], q[2];
	pthread_t serving, hearing, accepting;
	unsigned port;

	(void)snprintf(path, sizeof path, "%s/mail.db", argc > 1 ? argv[1] : ".");
	if (mailbox_open(path, 1, (uint64_t)clock_wall_us(), &store) != STORE_OK ||
	    !listen_on(&b, &port) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, d) != 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, q) != 0)
		return 1;
	b.loop = loop_new();
	mailbox_room_init(&b.room, NULL, b.loop, 1, 20000);
	b.room.store = store;
	mailbox_introduce(&b.room, "door", "", d[0]);
	mailbox_introduce(&b.room, "queue", "", q[0]);
	b.door = ipc_channel_new(d[1], "mailbox", "");
	b.queue = ipc_client_new("mailbox");
	ipc_client_connect(b.queue, q[1]);
	if (pthread_create(&serving, NULL, serve, &b) != 0 ||
	    pthread_create(&hearing, NULL, hear, &b) != 0 ||
	    pthread_create(&accepting, NULL, accept_all, &b) != 0)
		return 1;
	(void)printf("port %u\n", port);
	(void)fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		deliver(&b, line);
		(void)fflush(stdout);
	}
	loop_post(b.loop, mailbox_stop, &b.room);
	(void)pthread_join(serving, NULL);
	mailbox_close(&store);
	return 0;
}
