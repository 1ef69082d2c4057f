/* SPDX-License-Identifier: MIT
 * What durability costs. bench_store FOLDER: makes databases there and prints CPU time (user + system),
 * wall time, flushes and bytes written per message. POSTERN_VFS=delay:1000 makes the disk slow. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/store/mailbox.h"
#include "lib/store/spool.h"
#include "lib/store/testvfs.h"

static double
cpu_us(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double
wall_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct {
	double cpu, wall;
	uint64_t syncs, written;
} t0;

static void
start(void)
{
	t0.cpu = cpu_us();
	t0.wall = wall_us();
	t0.syncs = testvfs_count(TESTVFS_SYNC);
	t0.written = testvfs_written();
}

static void
stop(const char *what, size_t n)
{
	double d = (double)n;

	printf("%-44s %7.1f us CPU %8.1f us wall %6.3f flushes %8.0f B written\n", what,
	    (cpu_us() - t0.cpu) / d, (wall_us() - t0.wall) / d,
	    (double)(testvfs_count(TESTVFS_SYNC) - t0.syncs) / d,
	    (double)(testvfs_written() - t0.written) / d);
}

static void
must(enum store_err e, const char *what)
{
	if (e != STORE_OK) {
		fprintf(stderr, "bench_store: %s: %s\n", what, store_err_name(e));
		exit(1);
	}
}

/* A mail of n bytes: header, then text of words that compress about as mail does. */
static struct slice
mail(uint8_t *p, size_t n)
{
	static const char *const word[] = { "the", "report", "of", "Monday", "meeting", "please",
		"find", "attached", "invoice", "regards", "thank", "you", "server", "delivery",
		"because", "project", "number", "between", "quite", "another" };
	int at = snprintf((char *)p, n, "Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nFrom: A <a@example."
	    "org>\r\nTo: B <b@example.test>\r\nSubject: number %u\r\nMessage-ID: <%u.%u@x>\r\n\r\n",
	    (unsigned)rand(), (unsigned)rand(), (unsigned)rand());
	size_t i = (size_t)at;

	while (i + 16 < n) {
		const char *w = word[(unsigned)rand() % 20];

		while (*w != 0)
			p[i++] = (uint8_t)*w++;
		p[i++] = rand() % 12 == 0 ? '\n' : ' ';
		if (rand() % 4 == 0)
			p[i++] = (uint8_t)('a' + rand() % 26);
	}
	while (i < n)
		p[i++] = 'x';
	return slice_of(p, n);
}

static void
spool_run(const char *dir, size_t size, size_t batch, size_t n)
{
	struct spool *s;
	char path[512], what[80];
	uint8_t *p = malloc(size);
	struct spool_rcpt r = { .address = S("bob@example.test"), .account = 2 };
	struct spool_message m = { .queue_id = S("4ab3dPq9Zz"), .session = S("s7f3Kd01x2"),
		.sender = S("alice@example.org"), .received = 1, .fd = -1, .rcpt = &r, .rcpts = 1 };
	uint64_t *id = calloc(batch, sizeof *id);

	(void)snprintf(path, sizeof path, "%s/spool-%zu-%zu.db", dir, size, batch);
	must(spool_open(path, 1700000000000000, &s), "open");
	m.content = mail(p, size);
	m.size = size;
	start();
	for (size_t i = 0; i < n; i += batch) {
		must(spool_begin(s), "begin");
		for (size_t k = 0; k < batch; k++) {
			if (id[k] != 0)
				must(spool_settle(s, spool_delivery_id(id[k], 0)), "settle");
			must(spool_accept(s, &m, &id[k]), "accept");
		}
		must(spool_commit(s), "commit");
	}
	(void)snprintf(what, sizeof what, "spool accept+settle %zu B, batch %zu", size, batch);
	stop(what, n);
	spool_close(&s);
	free(p);
	free(id);
}

static void
mailbox_run(const char *dir, size_t size, size_t each, size_t n)
{
	struct mailbox *m;
	char path[512], what[80];
	uint8_t *p = malloc(size);
	struct mailbox_input in = { .fd = -1, .prefix = S("Return-Path: <alice@example.org>\r\n"
	    "Delivered-To: bob@example.test\r\n") };
	uint64_t inbox;
	uint32_t uid = 0;
	bool fresh;

	(void)snprintf(path, sizeof path, "%s/mailbox-%zu-%zu.db", dir, size, each);
	must(mailbox_open(path, 1, 1700000000000000, &m), "open");
	must(mailbox_use_id(m, MAILBOX_INBOX, &inbox), "inbox");
	start();
	for (size_t i = 0; i < n; i++) {
		if (i % 16 == 0)
			in.content = mail(p, size);
		must(mailbox_deliver(m, (i + 1) << 10, i << 10, inbox, &in, &uid, &fresh),
		    "deliver");
		if (i % each == each - 1)
			must(mailbox_flush(m), "flush");
	}
	(void)snprintf(what, sizeof what, "mailbox deliver %zu B, flush every %zu", size, each);
	stop(what, n);
	start();
	for (size_t i = 0; i < n; i += each) {
		static struct mailbox_delivery d[100];

		for (size_t k = 0; k < each; k++) {
			if (k % 16 == 0)
				in.content = mail(p, size);
			d[k] = (struct mailbox_delivery){ .id = (n + i + k + 1) << 10,
				.folder = inbox, .in = in };
		}
		must(mailbox_deliver_many(m, (n + i) << 10, d, each), "deliver");
		must(mailbox_flush(m), "flush");
		uid = d[each - 1].uid;
	}
	(void)snprintf(what, sizeof what, "mailbox deliver %zu B, %zu at a time", size, each);
	stop(what, n);
	start();
	for (uint32_t i = 1; i <= uid; i++) {
		struct mailbox_content c;

		must(mailbox_content(m, inbox, i, &c), "content");
		mailbox_content_free(&c);
	}
	stop("mailbox content, whole, hash checked", uid);
	start();
	for (int i = 0; i < 20; i++) {
		struct mailbox_snapshot s;

		must(mailbox_snapshot(m, inbox, 0, 0, &s), "snapshot");
		mailbox_snapshot_free(&s);
	}
	stop("mailbox snapshot, per message", (size_t)uid * 20);
	start();
	in.content = mail(p, size);
	for (size_t i = 0; i < 200; i++)
		must(mailbox_append(m, inbox, &in, &uid), "append");
	stop("mailbox append, durable", 200);
	mailbox_close(&m);
	free(p);
}

int
main(int argc, char **argv)
{
	bool bad;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_store FOLDER\n");
		return 64;
	}
	if (!testvfs_env(S("bench"), &bad) && bad)
		return 64;
	testvfs_register();
	spool_run(argv[1], 4096, 1, 4000);
	spool_run(argv[1], 4096, 20, 40000);
	spool_run(argv[1], 4096, 100, 40000);
	spool_run(argv[1], 65536, 20, 4000);
	mailbox_run(argv[1], 4096, 1, 2000);
	mailbox_run(argv[1], 4096, 20, 20000);
	mailbox_run(argv[1], 65536, 20, 1000);
	return 0;
}
