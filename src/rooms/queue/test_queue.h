/* SPDX-License-Identifier: MIT
 * A queue room in a test: a real spool, real channels, and the other ends of them. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/queue_warden.h"
#include "lib/clock/clock.h"
#include "lib/store/testvfs.h"
#include "rooms/queue/queue.h"

#define SECOND ((uint64_t)1000000)
#define PATIENCE 3000 /* turns of the loop until what has to come is missing: no judge of speed */
#define TEXT "Received: by test\r\nSubject: q\r\n\r\nbody\r\n"

__attribute__((unused)) static struct queue lives[32]; /* one a start; they stay, as in a room that never ends */
__attribute__((unused)) static size_t life;
__attribute__((unused)) static struct queue *q;
__attribute__((unused)) static struct ipc_channel *smtp, *warden, *box, *sender, *notary;

void
queue_die(struct queue *dying, const char *what, enum store_err e)
{
	(void)fprintf(stderr, "queue: %s: %s\n", what, store_err_name(e));
	abort();
}

__attribute__((unused)) static int
pair(int *theirs)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	*theirs = ends[0];
	return ends[1];
}

/* A file of this process: the test programs run side by side. */
__attribute__((unused)) static const char *
spool_file(void)
{
	static char name[64];

	(void)snprintf(name, sizeof name, "queue-test-%d.db", (int)getpid());
	return name;
}

__attribute__((unused)) static void
idle(void *arg)
{
	batch_round(arg);
}

__attribute__((unused)) static void
start(void)
{
	int fd;

	q = &lives[life++];
	q->loop = loop_new();
	q->message_size = 1 << 20;
	assert_int_equal(spool_open(spool_file(), (uint64_t)clock_wall_us(), &q->spool), STORE_OK);
	q->hostname = S("mail.example.test");
	q->set = (struct queue_settings){ .retry_first = 300 * SECOND, .retry_most = 3600 * SECOND,
		.lifetime = 432000 * SECOND, .bounce_lifetime = 86400 * SECOND, .warn_after = 14400 * SECOND,
		.high_water = 1000000, .concurrency = 20 };
	batch_init(q);
	rules_load(q);
	remote_init(q);
	schedule_init(q);
	loop_on_idle(q->loop, idle, q);
	smtp = ipc_channel_new(pair(&fd), "queue", "");
	ipc_set_nonblocking(smtp, true);
	batch_introduce(q, "smtp", "mx", fd);
	warden = ipc_channel_new(pair(&fd), "queue", "");
	ipc_set_nonblocking(warden, true);
	deliver_warden(q, fd);
}

/* As a kill would: nothing is committed that was not. */
__attribute__((unused)) static void
stop(void)
{
	ipc_channel_free(&smtp);
	ipc_channel_free(&warden);
	ipc_channel_free(&box);
	ipc_channel_free(&sender);
	ipc_channel_free(&notary);
	for (int i = 0; i < 4; i++) /* it finds its channels closed and gives them up */
		loop_once(q->loop, 1);
	spool_close(&q->spool);
}

__attribute__((unused)) static int
open_queue(void **state)
{
	(void)unlink(spool_file());
	start();
	return 0;
}

__attribute__((unused)) static int
close_queue(void **state)
{
	testvfs_fail((struct testvfs_fault){ 0 });
	clock_real();
	stop();
	return unlink(spool_file());
}

/* ---- smtp ---- */

__attribute__((unused)) static int
memfd(bool sealed)
{
	int fd = memfd_create("m", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, TEXT, sizeof TEXT - 1), sizeof TEXT - 1);
	if (sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
		    F_SEAL_SEAL), 0);
	return fd;
}

__attribute__((unused)) static void
offer(uint32_t id, uint32_t account, uint32_t rcpt_account, bool sealed)
{
	struct smtp_queue_rcpt to = { .address = rcpt_account == 0 ? S("bob") : S("<bob@example.test>"),
		.account = rcpt_account };
	struct smtp_queue_accept m = { .queue_id = S("abc.1"), .session = 77,
		.sender = S("<a@example.org>"), .account = account, .size = sizeof TEXT - 1,
		.received_us = clock_wall_us(), .rcpts = &to, .n_rcpts = 1, .fd = memfd(sealed) };

	assert_int_equal(smtp_queue_accept_ask(smtp, id, &m), IPC_OK);
	(void)close(m.fd);
}

struct heard {
	size_t n, ok;
	enum smtp_queue_accept_status last;
};

__attribute__((unused)) static void
on_status(void *ctx, uint32_t id, struct smtp_queue_accept_answer *m)
{
	struct heard *h = ctx;

	h->n++;
	h->ok += m->status == SMTP_QUEUE_ACCEPT_STATUS_OK;
	h->last = m->status;
}

__attribute__((unused)) static struct heard
hear(size_t n)
{
	static const struct smtp_queue_answers answers = { .accept = on_status };
	struct heard h = { 0 };

	for (int i = 0; i < PATIENCE && h.n < n; i++) {
		loop_once(q->loop, 20);
		while (smtp_queue_answers_serve(smtp, &answers, &h) == IPC_OK)
			;
	}
	assert_int_equal(h.n, n);
	return h;
}

__attribute__((unused)) static struct spool_counts
counts(void)
{
	struct spool_counts c;

	assert_int_equal(spool_count(q->spool, &c), STORE_OK);
	return c;
}

__attribute__((unused)) static void
settles(uint64_t messages)
{
	for (int i = 0; i < PATIENCE && counts().messages != messages; i++)
		loop_once(q->loop, 20);
	assert_int_equal(counts().messages, messages);
}
