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

int
main(int argc, char **argv)
{
	bool bad;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_store FOLDER\n");
		return 64;
	}
	if (!testvfs_env(&bad) && bad)
		return 64;
	testvfs_register();
	spool_run(argv[1], 4096, 1, 4000);
	spool_run(argv[1], 4096, 20, 40000);
	spool_run(argv[1], 4096, 100, 40000);
	spool_run(argv[1], 65536, 20, 4000);
	return 0;
}
