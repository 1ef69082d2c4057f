/* SPDX-License-Identifier: MIT */
#include "lib/store/test_help.h"

#include "lib/store/db.h"
#include "lib/store/memfd.h"
#include "lib/store/spool.h"

#define NOW ((uint64_t)1700000000000000)
#define FIRST (NOW / 1000000 << 20)

static struct spool_rcpt bob = { .address = S_INIT("bob@example.test"), .account = 2 };

static struct spool_message
message(struct slice content)
{
	return (struct spool_message){ .queue_id = S("Q1"), .session = S("s1"),
		.sender = S("a@example.org"), .received = NOW, .size = content.n, .fd = -1,
		.content = content, .rcpt = &bob, .rcpts = 1 };
}

static struct spool *
open_spool(void)
{
	struct spool *s = NULL;

	assert_int_equal(spool_open(in_dir("queue.db"), NOW, &s), STORE_OK);
	return s;
}

static uint64_t
accept_one(struct spool *s, const struct spool_message *m)
{
	uint64_t id = 0;

	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_accept(s, m, &id), STORE_OK);
	assert_int_equal(spool_commit(s), STORE_OK);
	return id;
}

struct seen {
	size_t n;
	uint64_t id[4096];
};

static bool
see(void *ctx, const struct spool_delivery *d)
{
	struct seen *s = ctx;

	assert_true(s->n < 4096);
	s->id[s->n++] = d->id;
	return true;
}

static bool
content_is(struct spool *s, uint64_t id, struct slice want)
{
	own(fd_t) fd = -1;
	uint64_t size;
	void *p;
	bool same;

	assert_int_equal(spool_content(s, id, &fd, &size), STORE_OK);
	assert_int_equal(size, want.n);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
	    F_SEAL_SEAL);
	if (want.n == 0)
		return true;
	p = mmap(NULL, want.n, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(p != MAP_FAILED);
	same = memcmp(p, want.p, want.n) == 0;
	(void)munmap(p, want.n);
	return same;
}

/* A message with a key is taken once, also when the first one has long gone, and by another process; one that could
 * not be taken leaves no key behind. */
static void
taken_once(void **state)
{
	struct spool *s = open_spool();
	struct spool_message m = message(S("Subject: x\r\n\r\nbody\r\n"));
	struct spool_counts c;
	uint64_t id, again;

	m.once = S("0123456789abcdef");
	m.rcpts = 0;
	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_accept(s, &m, &id), STORE_REFUSED);
	assert_int_equal(spool_commit(s), STORE_OK);
	m.rcpts = 1;
	id = accept_one(s, &m);
	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_accept(s, &m, &again), STORE_EXISTS);
	assert_int_equal(spool_settle(s, spool_delivery_id(id, 0)), STORE_OK);
	assert_int_equal(spool_commit(s), STORE_OK);
	spool_close(&s);
	s = open_spool();
	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_accept(s, &m, &again), STORE_EXISTS);
	m.once = S("another");
	assert_int_equal(spool_accept(s, &m, &again), STORE_OK);
	assert_int_equal(spool_commit(s), STORE_OK);
	assert_int_equal(spool_count(s, &c), STORE_OK);
	assert_int_equal(c.messages, 1);
	/* after a month it is another message */
	m.once = S("0123456789abcdef");
	m.queued = NOW + SPOOL_ONCE_US + 1000000;
	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_accept(s, &m, &again), STORE_EXISTS);
	m.once = S("third");
	assert_int_equal(spool_accept(s, &m, &again), STORE_OK); /* takes the old ones away */
	m.once = S("0123456789abcdef");
	assert_int_equal(spool_accept(s, &m, &again), STORE_OK);
	assert_int_equal(spool_commit(s), STORE_OK);
	spool_close(&s);
}

static void
lives_through(void **state)
{
	struct spool *s = open_spool();
	struct spool_rcpt two[2] = { bob, { .address = S("eve@remote.example"),
		.original = S("Eve@Remote.Example") } };
	struct spool_message m = message(S("Subject: x\r\n\r\nbody\r\n"));
	struct spool_counts c;
	own(arena_p) a = arena_new("test", 65536);
	struct spool_delivery d;
	static struct seen seen;
	uint64_t id, floor, found;

	m.rcpt = two;
	m.rcpts = 2;
	m.flags = SPOOL_8BIT;
	assert_int_equal(spool_floor(s, &floor), STORE_OK);
	assert_int_equal(floor, FIRST << 10);
	id = accept_one(s, &m);
	assert_int_equal(id, FIRST);
	spool_close(&s);
	s = open_spool();
	seen.n = 0;
	assert_int_equal(spool_pending(s, 0, 100, see, &seen, &found), STORE_OK);
	assert_int_equal(seen.n, 2);
	assert_int_equal(found, spool_delivery_id(id, 1));
	assert_int_equal(spool_find(s, seen.id[1], a, &d), STORE_OK);
	assert_true(slice_eq(d.original, S("Eve@Remote.Example")) && d.account == 0);
	assert_true(slice_eq(d.sender, S("a@example.org")) && d.flags == SPOOL_8BIT);
	assert_true(content_is(s, id, m.content));
	assert_int_equal(spool_by_queue_id(s, S("Q1"), &found), STORE_OK);
	assert_int_equal(found, id);
	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_settle(s, seen.id[0]), STORE_OK);
	assert_int_equal(spool_settle(s, seen.id[0]), STORE_NONE);
	assert_int_equal(spool_defer(s, seen.id[1], NOW + 5, S("4.4.1 not now")), STORE_OK);
	assert_int_equal(spool_hold(s, seen.id[1], S("operator")), STORE_OK);
	assert_int_equal(spool_commit(s), STORE_OK);
	assert_int_equal(spool_count(s, &c), STORE_OK);
	assert_true(c.messages == 1 && c.deliveries == 1 && c.held == 1 && c.bytes == m.size);
	assert_int_equal(spool_floor(s, &floor), STORE_OK);
	assert_int_equal(floor, seen.id[1]);
	assert_int_equal(spool_find(s, seen.id[1], a, &d), STORE_OK);
	assert_true(d.attempts == 1 && d.next == NOW + 5 && d.state == SPOOL_HELD);
	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_release(s, seen.id[1], NOW + 9), STORE_OK);
	assert_int_equal(spool_settle(s, seen.id[1]), STORE_OK);
	assert_int_equal(spool_commit(s), STORE_OK);
	assert_int_equal(spool_count(s, &c), STORE_OK);
	assert_true(c.messages == 0 && c.deliveries == 0);
	spool_close(&s);
	assert_null(s);
}

static void
ids_never_come_twice(void **state)
{
	struct spool *s = open_spool();
	struct spool_message m = message(S("x"));
	uint64_t id = accept_one(s, &m), next;

	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_accept(s, &m, &next), STORE_OK);
	assert_true(next > id);
	spool_rollback(s);
	id = next;
	next = accept_one(s, &m);
	assert_true(next > id);
	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_settle(s, spool_delivery_id(next, 0)), STORE_OK);
	assert_int_equal(spool_commit(s), STORE_OK);
	spool_close(&s);
	/* the clock went back by a year: what was given stays behind */
	assert_int_equal(spool_open(in_dir("queue.db"), NOW - 31536000000000u, &s), STORE_OK);
	id = accept_one(s, &m);
	assert_true(id > next);
	spool_close(&s);
	/* lost and made anew later: ahead of all that was given */
	clear_dir(dir_name);
	assert_int_equal(spool_open(in_dir("queue.db"), NOW + 1000000, &s), STORE_OK);
	assert_true(accept_one(s, &m) > id);
	spool_close(&s);
}

static void
large_and_refused(void **state)
{
	struct spool *s = open_spool();
	size_t n = 3 * STORE_CHUNK + 17;
	uint8_t *p = malloc(n);
	own(fd_t) fd = memfd_new("t");
	struct spool_message m = message(S("x"));
	static struct spool_rcpt many[1000];
	struct spool_counts c;
	uint64_t id = 7, big;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rng();
	assert_int_equal(memfd_write(fd, slice_of(p, n)), STORE_OK);
	m.fd = fd;
	m.size = n;
	big = accept_one(s, &m);
	assert_true(content_is(s, big, slice_of(p, n)));
	assert_int_equal(spool_begin(s), STORE_OK);
	m.size = n + 1; /* the descriptor holds less than was said: sticky, since rows were written */
	assert_int_equal(spool_accept(s, &m, &id), STORE_IO);
	assert_int_equal(spool_commit(s), STORE_IO);
	m = message(S("y"));
	assert_int_equal(spool_begin(s), STORE_OK);
	m.rcpts = 0;
	assert_int_equal(spool_accept(s, &m, &id), STORE_REFUSED);
	m.rcpts = 1001;
	assert_int_equal(spool_accept(s, &m, &id), STORE_LIMIT);
	m.rcpts = 1;
	m.queue_id = S("");
	assert_int_equal(spool_accept(s, &m, &id), STORE_REFUSED);
	assert_int_equal(id, 7);
	m.queue_id = S("Q2");
	m.rcpt = many;
	m.rcpts = 1000;
	for (size_t i = 0; i < 1000; i++)
		many[i] = bob;
	assert_int_equal(spool_accept(s, &m, &id), STORE_OK);
	assert_int_equal(spool_settle(s, spool_delivery_id(big, 0)), STORE_OK);
	assert_int_equal(spool_commit(s), STORE_OK);
	assert_int_equal(spool_count(s, &c), STORE_OK);
	assert_true(c.messages == 1 && c.deliveries == 1000);
	assert_int_equal(spool_content(s, big, &fd, NULL), STORE_NONE);
	spool_close(&s);
	free(p);
}

/* A cipher for the test: XOR, with what it has to bind in front. */
static bool
toy(uint64_t message, uint64_t part, bool last, struct slice in, struct buf *out, bool open)
{
	uint8_t head[3] = { (uint8_t)message, (uint8_t)part, last };

	if (open && (in.n < 3 || memcmp(in.p, head, 3) != 0))
		return false;
	if (!open)
		(void)buf_add(out, slice_of(head, 3));
	for (size_t i = open ? 3 : 0; i < in.n; i++)
		(void)buf_byte(out, slice_at(in, i) ^ 0x5a);
	return !out->bad;
}

static bool
toy_seal(void *ctx, uint64_t message, uint64_t part, bool last, struct slice in, struct buf *out)
{
	return ctx == NULL && toy(message, part, last, in, out, false);
}

static bool
toy_open(void *ctx, uint64_t message, uint64_t part, bool last, struct slice in, struct buf *out)
{
	return ctx == NULL && toy(message, part, last, in, out, true);
}

static bool
file_has(const char *text)
{
	own(fd_t) fd = open(in_dir("queue.db"), O_RDONLY);
	off_t n = lseek(fd, 0, SEEK_END);
	void *p = mmap(NULL, (size_t)n, PROT_READ, MAP_PRIVATE, fd, 0);
	bool has = slice_find(slice_of(p, (size_t)n), slice_z(text)) != SLICE_NONE;

	(void)munmap(p, (size_t)n);
	return has;
}

static void
sealed_content(void **state)
{
	static const struct spool_cipher cipher = { .seal = toy_seal, .open = toy_open };
	static const size_t sizes[] = { 1, 17, STORE_CHUNK - 1, STORE_CHUNK, STORE_CHUNK + 1, 2 * STORE_CHUNK, 3 * STORE_CHUNK + 5 };
	struct spool *s = open_spool();
	static uint8_t big[3 * STORE_CHUNK + 5];
	struct spool_message m = message(S("plain before the key\r\n"));
	uint64_t before = accept_one(s, &m), id[7];
	own(fd_t) fd = -1;

	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (uint8_t)rng();
	spool_set_cipher(s, &cipher, true);
	for (size_t i = 0; i < 7; i++) {
		m = message(slice_of(big, sizes[i]));
		id[i] = accept_one(s, &m);
		assert_true(content_is(s, id[i], m.content));
	}
	assert_true(content_is(s, before, S("plain before the key\r\n")));
	m = message(S("Subject: nobody reads this on the disk\r\n"));
	before = accept_one(s, &m);
	spool_close(&s);
	assert_true(file_has("plain before the key") && !file_has("nobody reads this"));
	s = open_spool();
	assert_int_equal(spool_content(s, before, &fd, NULL), STORE_DAMAGED); /* no key, no content */
	spool_set_cipher(s, &cipher, false); /* and it may be turned off again */
	for (size_t i = 0; i < 7; i++)
		assert_true(content_is(s, id[i], slice_of(big, sizes[i])));
	m = message(S("plain after\r\n"));
	(void)accept_one(s, &m);
	spool_close(&s);
	assert_true(file_has("plain after"));
}

/* Who comes while the one before still goes out waits for him. */
static void
next_owner(void **state)
{
	struct spool *s = NULL, *other = NULL;
	int status, go[2];
	pid_t pid;
	char c = 0;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork(); /* before anything is open: SQLite takes locks for those of its own process */
	if (pid == 0) {
		(void)!read(go[0], &c, 1);
		_exit(spool_open(in_dir("queue.db"), NOW, &other) == STORE_OK ? 0 : 1);
	}
	s = open_spool();
	assert_int_equal(write(go[1], &c, 1), 1);
	(void)nanosleep(&(struct timespec){ .tv_nsec = 400000000 }, NULL);
	spool_close(&s);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	(void)close(go[0]);
	(void)close(go[1]);
}

static void
one_owner(void **state)
{
	struct spool *s = open_spool(), *other = NULL;
	uint64_t id, n;
	struct spool_message m = message(S("x"));
	pid_t pid = fork();
	int status;

	/* locks belong to processes: another one is needed to see it */
	if (pid == 0)
		_exit(spool_open(in_dir("queue.db"), NOW, &other) == STORE_BUSY ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	n = testvfs_count(TESTVFS_SYNC);
	assert_int_equal(spool_begin(s), STORE_OK);
	for (int i = 0; i < 20; i++)
		assert_int_equal(spool_accept(s, &m, &id), STORE_OK);
	assert_int_equal(testvfs_count(TESTVFS_SYNC), n);
	assert_int_equal(spool_commit(s), STORE_OK);
	assert_true(testvfs_count(TESTVFS_SYNC) <= n + 2); /* the first commit also syncs the header */
	n = testvfs_count(TESTVFS_SYNC);
	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_accept(s, &m, &id), STORE_OK);
	assert_int_equal(spool_commit(s), STORE_OK);
	assert_int_equal(testvfs_count(TESTVFS_SYNC), n + 1);
	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_commit(s), STORE_OK);
	assert_int_equal(testvfs_count(TESTVFS_SYNC), n + 1);
	spool_close(&s);
}

/* ---- kill -9 ---- */

struct promise {
	uint64_t accepted, settled; /* ids: all of 1..n in order of acceptance */
	uint64_t id[4096];
	bool ready;
};

static void
churn(void *ctx)
{
	struct promise *p = ctx;
	struct spool *s = NULL;
	struct spool_message m = message(S("Subject: kill\r\n\r\nme\r\n"));

	if (spool_open(in_dir("queue.db"), NOW, &s) != STORE_OK)
		_exit(9);
	while (p->accepted < 4000) {
		uint64_t id[8], n = 1 + rng() % 8, done = p->settled;

		if (spool_begin(s) != STORE_OK)
			_exit(2);
		for (size_t i = 0; i < n; i++)
			if (spool_accept(s, &m, &id[i]) != STORE_OK)
				_exit(3);
		for (; done + 20 < p->accepted; done++)
			if (spool_settle(s, spool_delivery_id(p->id[done], 0)) > STORE_NONE)
				_exit(4);
		if (spool_commit(s) != STORE_OK)
			_exit(5);
		for (size_t i = 0; i < n; i++)
			p->id[p->accepted + i] = id[i];
		__atomic_store_n(&p->accepted, p->accepted + n, __ATOMIC_SEQ_CST);
		__atomic_store_n(&p->settled, done, __ATOMIC_SEQ_CST);
	}
}

static void
nothing_lost(struct spool *s, const uint64_t *id, uint64_t settled, uint64_t accepted)
{
	struct seen *seen = calloc(1, sizeof *seen);
	size_t at = 0;

	assert_int_equal(spool_pending(s, 0, 4096, see, seen, NULL), STORE_OK);
	for (uint64_t i = settled; i < accepted; i++) {
		while (at < seen->n && seen->id[at] < spool_delivery_id(id[i], 0))
			at++;
		/* a settle may have been committed without having been counted yet: 8 at most follow */
		if (at == seen->n || seen->id[at] != spool_delivery_id(id[i], 0))
			assert_true(i < settled + 8 && i + 20 < accepted + 8);
		else
			assert_true(content_is(s, id[i], S("Subject: kill\r\n\r\nme\r\n")));
	}
	free(seen);
}

static void
survives_kills(void **state)
{
	struct promise *p = shared(sizeof *p);

	for (unsigned i = 0; i < rounds(60); i++) {
		struct spool *s = NULL;
		uint64_t next;
		struct spool_message m = message(S("x"));

		if (p->accepted > 3000 || i % 50 == 0) {
			clear_dir(dir_name);
			memset(p, 0, sizeof *p);
		}
		killed(churn, p, rng() % 12000);
		rng_state += i;
		s = open_spool();
		nothing_lost(s, p->id, p->settled, p->accepted);
		next = accept_one(s, &m);
		assert_true(p->accepted == 0 || next > p->id[p->accepted - 1]);
		assert_int_equal(spool_begin(s), STORE_OK);
		assert_int_equal(spool_settle(s, spool_delivery_id(next, 0)), STORE_OK);
		assert_int_equal(spool_commit(s), STORE_OK);
		spool_close(&s);
	}
	(void)munmap(p, sizeof *p);
}

/* ---- power cuts ---- */

static void
survives_power_cuts(void **state)
{
	own(buf_t) log = { 0 };
	struct spool *s;
	struct spool_message m = message(S("Subject: kill\r\n\r\nme\r\n"));
	static uint64_t id[400], count[400], settled[400];
	static size_t moment[400];
	size_t marks = 0, n = 0, done = 0;
	char disk[80];

	buf_init(&log, (size_t)1 << 28);
	(void)snprintf(disk, sizeof disk, "%s.disk", dir_name);
	(void)mkdir(disk, 0700);
	testvfs_record(&log);
	s = open_spool();
	for (; marks < 60; marks++) {
		assert_int_equal(spool_begin(s), STORE_OK);
		for (uint64_t k = 1 + rng() % 6; k > 0; k--)
			assert_int_equal(spool_accept(s, &m, &id[n++]), STORE_OK);
		for (; done + 20 < n; done++)
			assert_int_equal(spool_settle(s, spool_delivery_id(id[done], 0)), 0);
		assert_int_equal(spool_commit(s), STORE_OK);
		moment[marks] = testvfs_moment();
		count[marks] = n;
		settled[marks] = done;
	}
	testvfs_record(NULL);
	spool_close(&s);
	assert_false(log.bad);
	for (unsigned i = 0; i < rounds(90); i++) {
		size_t mark = rng() % marks, from = moment[mark];
		size_t to = mark + 1 < marks ? moment[mark + 1] : from + 1;
		size_t cut = from + rng() % (to - from);
		char file[100];

		clear_dir(disk);
		assert_true(testvfs_replay(buf_slice(&log), cut, (enum testvfs_loss)(i % 3), i,
		    disk));
		(void)snprintf(file, sizeof file, "%s/queue.db", disk);
		assert_int_equal(spool_open(file, NOW, &s), STORE_OK);
		nothing_lost(s, id, settled[mark], count[mark]);
		spool_close(&s);
	}
	clear_dir(disk);
	(void)rmdir(disk);
}

/* The flush is the last thing of a commit: one record earlier the message must be gone, or the replay
 * above proves nothing. */
static void
replay_does_lose(void **state)
{
	own(buf_t) log = { 0 };
	struct spool *s = open_spool();
	struct spool_message m = message(S("x"));
	struct spool_counts c;
	char disk[80], file[100];
	size_t end;

	spool_close(&s);
	clear_dir(dir_name);
	buf_init(&log, (size_t)1 << 26);
	(void)snprintf(disk, sizeof disk, "%s.disk", dir_name);
	(void)snprintf(file, sizeof file, "%s/queue.db", disk);
	(void)mkdir(disk, 0700);
	testvfs_record(&log);
	s = open_spool();
	(void)accept_one(s, &m);
	end = testvfs_moment();
	testvfs_record(NULL);
	spool_close(&s);
	for (size_t cut = end - 1; cut <= end; cut++) {
		clear_dir(disk);
		assert_true(testvfs_replay(buf_slice(&log), cut, TESTVFS_LOSE_ALL, 1, disk));
		assert_int_equal(spool_open(file, NOW, &s), STORE_OK);
		assert_int_equal(spool_count(s, &c), STORE_OK);
		assert_int_equal(c.messages, cut == end ? 1 : 0);
		spool_close(&s);
	}
	clear_dir(disk);
	(void)rmdir(disk);
}

/* ---- every fault ---- */

static enum store_err
scenario(uint64_t *accepted, size_t *n, bool *settled)
{
	struct spool *s = NULL;
	struct spool_message m = message(S("Subject: fault\r\n\r\nx\r\n"));
	enum store_err e = spool_open(in_dir("queue.db"), NOW, &s);

	for (int i = 0; i < 3 && e == STORE_OK; i++) {
		uint64_t id = 0;

		e = spool_begin(s);
		if (e == STORE_OK)
			e = spool_accept(s, &m, &id);
		if (e == STORE_OK && i == 2)
			e = spool_settle(s, spool_delivery_id(accepted[0], 0));
		if (s != NULL) {
			enum store_err c = spool_commit(s);

			e = e == STORE_OK ? c : e;
		}
		if (e == STORE_OK)
			accepted[(*n)++] = id;
		if (e == STORE_OK && i == 2)
			*settled = true;
	}
	spool_close(&s);
	return e;
}

static void
every_fault(void **state)
{
	static const struct { enum testvfs_op op; int code; } kind[] = {
		{ TESTVFS_OPEN, SQLITE_CANTOPEN }, { TESTVFS_READ, SQLITE_IOERR_READ },
		{ TESTVFS_WRITE, SQLITE_FULL }, { TESTVFS_WRITE, SQLITE_IOERR_WRITE },
		{ TESTVFS_SYNC, SQLITE_IOERR_FSYNC }, { TESTVFS_TRUNCATE, SQLITE_IOERR_TRUNCATE },
	};
	size_t failed = 0;

	for (size_t k = 0; k < 2 * (sizeof kind / sizeof kind[0]); k++)
		/* every second call of each kind, in turn; with TORTURE every one */
		for (uint64_t nth = 1 + k % 2; nth < 500; nth += rounds(1) == 1 ? 2 : 1) {
			uint64_t id[8] = { 0 };
			size_t n = 0;
			bool settled = false;
			static struct seen seen;
			struct spool *s;
			enum store_err e;

			clear_dir(dir_name);
			testvfs_fail((struct testvfs_fault){ .op = kind[k / 2].op, .nth = nth,
				.code = kind[k / 2].code, .ever = k % 2 == 1, .torn = nth % 2 });
			e = scenario(id, &n, &settled);
			testvfs_fail((struct testvfs_fault){ 0 });
			s = open_spool();
			seen.n = 0;
			assert_int_equal(spool_pending(s, 0, 100, see, &seen, NULL), STORE_OK);
			/* a commit whose flush failed may have happened, as a whole */
			for (size_t i = settled || (n == 2 && e == STORE_IO) ? 1 : 0, at = 0; i < n;
			    i++, at++) {
				while (at < seen.n && seen.id[at] != spool_delivery_id(id[i], 0))
					at++;
				assert_true(at < seen.n);
			}
			spool_close(&s);
			if (e == STORE_OK && n == 3 && nth > 40)
				break;
			failed += e != STORE_OK;
			assert_true(e == STORE_OK || e == STORE_IO || e == STORE_FULL);
		}
	assert_true(failed > 30);
}

static void
failed_flush_is_final(void **state)
{
	struct spool *s = open_spool();
	struct spool_message m = message(S("x"));
	uint64_t id;

	(void)accept_one(s, &m);
	testvfs_fail((struct testvfs_fault){ .op = TESTVFS_SYNC, .nth = 1,
		.code = SQLITE_IOERR_FSYNC });
	assert_int_equal(spool_begin(s), STORE_OK);
	assert_int_equal(spool_accept(s, &m, &id), STORE_OK);
	assert_int_equal(spool_commit(s), STORE_IO);
	/* the fault is over, but this handle has seen dirty pages turn clean */
	assert_int_equal(spool_begin(s), STORE_IO);
	assert_int_equal(spool_accept(s, &m, &id), STORE_IO);
	assert_int_equal(spool_commit(s), STORE_IO);
	spool_close(&s);
	s = open_spool();
	(void)accept_one(s, &m);
	spool_close(&s);
}

static void
full_disk_recovers(void **state)
{
	struct spool *s = open_spool();
	struct spool_message m = message(S("x"));
	uint64_t id;

	testvfs_fail((struct testvfs_fault){ .op = TESTVFS_WRITE, .nth = 1, .code = SQLITE_FULL,
		.ever = true });
	for (int i = 0; i < 3; i++) {
		assert_int_equal(spool_begin(s), STORE_OK);
		(void)spool_accept(s, &m, &id);
		assert_int_equal(spool_commit(s), STORE_FULL);
	}
	testvfs_fail((struct testvfs_fault){ 0 });
	(void)accept_one(s, &m);
	spool_close(&s);
}

static void
damage_is_reported(void **state)
{
	struct spool *s = open_spool();
	struct spool_message m = message(S("Subject: flip\r\n\r\nx\r\n"));
	size_t seen_damage = 0;

	for (int i = 0; i < 200; i++)
		(void)accept_one(s, &m);
	spool_close(&s);
	copy_file(in_dir("queue.db"), in_dir("good"));
	for (unsigned i = 0; i < rounds(60); i++) {
		static struct seen seen;
		enum store_err e;
		uint64_t id;

		copy_file(in_dir("good"), in_dir("queue.db"));
		flip_bits(in_dir("queue.db"), 1 + rng() % 40);
		s = NULL;
		seen.n = 0;
		e = spool_open(in_dir("queue.db"), NOW, &s);
		if (e == STORE_OK)
			e = spool_pending(s, 0, 4096, see, &seen, NULL);
		if (e == STORE_OK) {
			e = spool_begin(s);
			for (size_t k = 0; k < seen.n && e <= STORE_NONE; k++)
				e = spool_settle(s, seen.id[k]);
			(void)spool_accept(s, &m, &id);
			if (e <= STORE_NONE)
				e = spool_commit(s);
			else
				spool_rollback(s);
		}
		seen_damage += e == STORE_DAMAGED;
		spool_close(&s);
	}
	assert_true(seen_damage > 4);
	{
		own(fd_t) fd = open(in_dir("queue.db"), O_WRONLY | O_TRUNC | O_CLOEXEC);

		assert_int_equal(write(fd, "this is no database at all, not even a little", 45), 45);
	}
	s = NULL;
	assert_int_equal(spool_open(in_dir("queue.db"), NOW, &s), STORE_DAMAGED);
	assert_null(s);
}

static void
newer_schema(void **state)
{
	static const struct db_step one[] = { { "CREATE TABLE a(x INTEGER)" },
		{ "CREATE TABLE b(x INTEGER); INSERT INTO b SELECT x FROM a" } };
	struct db d;
	struct db_options o = { .path = in_dir("m.db"), .steps = one, .nsteps = 1,
		.page_size = 4096, .cache_kib = 64, .checkpoint_pages = 100 };

	/* from nothing to step 1, to step 2, and a program that knows only step 1 */
	assert_int_equal(db_open(&d, &o), STORE_OK);
	assert_int_equal(sqlite3_exec(d.sql, "INSERT INTO a VALUES(7)", 0, 0, 0), SQLITE_OK);
	db_close(&d);
	o.path = in_dir("m.db");
	o.nsteps = 2;
	assert_int_equal(db_open(&d, &o), STORE_OK);
	assert_int_equal(sqlite3_exec(d.sql, "UPDATE b SET x=8 WHERE x=7", 0, 0, 0), SQLITE_OK);
	assert_int_equal(db_changed(&d), 1);
	db_close(&d);
	o.nsteps = 1;
	assert_int_equal(db_open(&d, &o), STORE_NEWER);
	assert_null(d.sql);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh_dir, drop_dir)
		T(lives_through), T(taken_once), T(ids_never_come_twice), T(large_and_refused), T(sealed_content),
		T(next_owner), T(one_owner), T(survives_kills), T(survives_power_cuts), T(replay_does_lose), T(every_fault),
		T(failed_flush_is_final), T(full_disk_recovers), T(damage_is_reported),
		T(newer_schema),
	};

	testvfs_register();
	testvfs_idle_disk(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
