/* SPDX-License-Identifier: MIT
 * queue: durable accept, delivery into mailboxes and to send, retries, bounces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/store/testvfs.h"
#include "rooms/queue/queue.h"

static const struct sandbox_call own_calls[] = { { 0 } };

void
queue_die(struct queue *q, const char *what, enum store_err e)
{
	(void)q;
	EVENT(EVENT_STORE_ERROR, 0, S(""), S(""), EF("what", slice_z(what)), EF("error", slice_z(store_err_name(e))));
	(void)fprintf(stderr, "%s: %s\n", what, store_err_name(e));
	exit(EX_IOERR);
}

static void
introduce(void *ctx, const char *peer, const char *instance, int fd)
{
	struct queue *q = ctx;

	if (strcmp(peer, "smtp") == 0 || strcmp(peer, "drop") == 0 || strcmp(peer, "clerk") == 0)
		batch_introduce(q, peer, instance, fd);
	else if (strcmp(peer, "warden") == 0)
		deliver_warden(q, fd);
	else if (strcmp(peer, "send") == 0)
		remote_send(q, fd);
	else if (strcmp(peer, "scan") == 0)
		signing_scan(q, fd);
	else if (strcmp(peer, "keys") == 0)
		cipher_keys(q, fd);
	else if (strcmp(peer, "cli") == 0)
		admin_introduce(q, fd);
	else
		(void)close(fd);
}

/* In us; what is told are seconds. */
static uint64_t
seconds(const struct queue *q, const char *key, uint64_t least, uint64_t most)
{
	return proc_number(q->proc, key, least, most) * 1000000;
}

static void
settings(struct queue *q)
{
	q->message_size = proc_number(q->proc, "message_size", 1, UINT64_C(1) << 40);
	q->hostname = proc_setting(q->proc, "hostname");
	q->set = (struct queue_settings){ .retry_first = seconds(q, "retry_first", 1, 86400),
		.retry_most = seconds(q, "retry_most", 1, 864000),
		.lifetime = seconds(q, "lifetime", 1, 8640000),
		.bounce_lifetime = seconds(q, "bounce_lifetime", 1, 8640000),
		.warn_after = seconds(q, "warn_after", 1, 8640000),
		.high_water = proc_number(q->proc, "high_water", 1, UINT64_C(1) << 32),
		.concurrency = (unsigned)proc_number(q->proc, "concurrency", 1, 200),
		.encrypt = proc_number(q->proc, "encrypt", 0, 1) != 0 };
	q->locked = true;
}

static void
stop(void *ctx)
{
	struct queue *q = ctx;

	q->stopping = true;
	batch_commit(q);
	schedule_stop(q);
	loop_stop(q->loop);
}

static void
idle(void *arg)
{
	batch_round(arg);
}

int
main(void)
{
	static const struct proc_walls walls = { .own = own_calls, .files = true, .max_files = 8192,
		.max_file_size = UINT64_C(1) << 40 };
	static const struct proc_peers peers = { .introduce = introduce, .stop = stop };
	static struct queue q;
	enum store_err e;
	bool bad;

	q.proc = proc_boot("queue");
	settings(&q);
	q.loop = loop_new();
	if (!cipher_init() || (!testvfs_env(S("queue"), &bad) && bad))
		return EX_SOFTWARE;
	proc_lock(q.proc, &walls);
	e = spool_open("queue.db", (uint64_t)clock_wall_us(), &q.spool);
	if (e != STORE_OK)
		queue_die(&q, "queue.db cannot be opened", e);
	batch_init(&q);
	rules_load(&q);
	remote_init(&q);
	schedule_init(&q);
	loop_on_idle(q.loop, idle, &q);
	return proc_serve(q.proc, q.loop, &peers, &q);
}
