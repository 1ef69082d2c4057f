/* SPDX-License-Identifier: MIT
 *
 *   SQLite -> shim file { methods, name, real } -> the default VFS -> kernel
 *
 * The shim offers no shared memory, which an exclusively locked WAL database does not need. */
#include "lib/store/testvfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/own.h"

struct counts {
	uint64_t op[TESTVFS_OPS];
	uint64_t written;
};

struct shim {
	sqlite3_file base;
	sqlite3_file *real;
	const char *name;	/* base name inside SQLite's own copy of the path */
	bool dirsync;		/* the next sync is also one of the folder */
};

static struct {
	sqlite3_vfs vfs, *real;
	pthread_mutex_t lock;
	struct counts here, *counts;	/* counts: here, or a mapping shared by several rooms */
	int lock_fd;			/* of that mapping, or -1 */
	uint32_t delay;
	struct testvfs_fault fault;
	struct buf *log;
	size_t moment;
	int sink; /* a file that takes the record too, or -1 */
	bool registered, idle_disk;
} g = { .lock = PTHREAD_MUTEX_INITIALIZER, .counts = &g.here, .lock_fd = -1, .sink = -1 };

/* Counts one call; true when it must fail. */
static bool
strikes(enum testvfs_op op)
{
	bool hit = false;

	(void)__atomic_add_fetch(&g.counts->op[op], 1, __ATOMIC_RELAXED);
	(void)pthread_mutex_lock(&g.lock);
	if (g.fault.nth > 0 && g.fault.op == op) {
		if (g.fault.nth > 1)
			g.fault.nth--;
		else
			hit = true;
		if (hit && !g.fault.ever)
			g.fault.nth = 0;
	}
	(void)pthread_mutex_unlock(&g.lock);
	return hit;
}

static void
put_record(struct buf *b, char what, const char *name, uint64_t at, const void *data, size_t n)
{
	size_t len = slice_z(name).n;

	(void)buf_byte(b, (uint8_t)what);
	(void)buf_put_u16le(b, (uint16_t)len);
	(void)buf_add(b, slice_of(name, len));
	(void)buf_put_u64le(b, at);
	(void)buf_put_u64le(b, n);
	if (data != NULL)
		(void)buf_add(b, slice_of(data, n));
}

/* Into the file: the time of CLOCK_MONOTONIC in ns goes before each record, so that the records of all
 * rooms have one order. A record that cannot be written makes the whole measurement worthless. */
static void
sink_record(char what, const char *name, uint64_t at, const void *data, size_t n)
{
	own(buf_t) b = { .max = n + 1024 };
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)buf_put_u64le(&b, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	put_record(&b, what, name, at, data, n);
	PN_ASSERT(!b.bad && write(g.sink, b.p, b.n) == (ssize_t)b.n);
}

static void
record(char what, const char *name, uint64_t at, const void *data, size_t n)
{
	(void)pthread_mutex_lock(&g.lock);
	if (g.log != NULL) {
		put_record(g.log, what, name, at, data, n);
		g.moment++;
	}
	if (g.sink >= 0)
		sink_record(what, name, at, data, n);
	(void)pthread_mutex_unlock(&g.lock);
}

static struct shim *
shim_of(sqlite3_file *f)
{
	return (struct shim *)(void *)f;
}

static int
x_close(sqlite3_file *f)
{
	struct shim *s = shim_of(f);

	return s->real->pMethods == NULL ? SQLITE_OK : s->real->pMethods->xClose(s->real);
}

static int
x_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	struct shim *s = shim_of(f);

	if (strikes(TESTVFS_READ))
		return g.fault.code;
	return s->real->pMethods->xRead(s->real, p, n, at);
}

static int
x_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	struct shim *s = shim_of(f);
	int rc;

	if (strikes(TESTVFS_WRITE)) {
		int half = n / 2;

		if (g.fault.torn && s->real->pMethods->xWrite(s->real, p, half, at) == SQLITE_OK)
			record('W', s->name, (uint64_t)at, p, (size_t)half);
		return g.fault.code;
	}
	rc = s->real->pMethods->xWrite(s->real, p, n, at);
	if (rc == SQLITE_OK) {
		(void)__atomic_add_fetch(&g.counts->written, (uint64_t)n, __ATOMIC_RELAXED);
		record('W', s->name, (uint64_t)at, p, (size_t)n);
	}
	return rc;
}

static int
x_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct shim *s = shim_of(f);
	int rc;

	if (strikes(TESTVFS_TRUNCATE))
		return g.fault.code;
	rc = s->real->pMethods->xTruncate(s->real, size);
	if (rc == SQLITE_OK)
		record('T', s->name, (uint64_t)size, NULL, 0);
	return rc;
}

/* One disk: while one flush is under way the others wait, in this process and in those that share
 * the counts. */
static void
slow_flush(void)
{
	struct timespec t = { .tv_sec = g.delay / 1000000, .tv_nsec = g.delay % 1000000 * 1000L };
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;

	(void)pthread_mutex_lock(&disk);
	if (g.lock_fd >= 0)
		(void)fcntl(g.lock_fd, F_OFD_SETLKW, &l);
	while (nanosleep(&t, &t) == -1 && errno == EINTR)
		;
	l.l_type = F_UNLCK;
	if (g.lock_fd >= 0)
		(void)fcntl(g.lock_fd, F_OFD_SETLK, &l);
	(void)pthread_mutex_unlock(&disk);
}

static int
x_sync(sqlite3_file *f, int flags)
{
	struct shim *s = shim_of(f);
	int rc;

	if (strikes(TESTVFS_SYNC))
		return g.fault.code;
	record('s', s->name, 0, NULL, 0); /* what is written from here on is not covered */
	rc = g.idle_disk ? SQLITE_OK : s->real->pMethods->xSync(s->real, flags);
	if (g.delay > 0)
		slow_flush();
	if (rc == SQLITE_OK) {
		record('S', s->name, 0, NULL, 0);
		if (s->dirsync)
			record('D', "", 0, NULL, 0);
		s->dirsync = false;
	}
	return rc;
}

static int
x_size(sqlite3_file *f, sqlite3_int64 *size)
{
	struct shim *s = shim_of(f);

	return s->real->pMethods->xFileSize(s->real, size);
}

static int
x_lock(sqlite3_file *f, int how)
{
	struct shim *s = shim_of(f);

	return s->real->pMethods->xLock(s->real, how);
}

static int
x_unlock(sqlite3_file *f, int how)
{
	struct shim *s = shim_of(f);

	return s->real->pMethods->xUnlock(s->real, how);
}

static int
x_reserved(sqlite3_file *f, int *out)
{
	struct shim *s = shim_of(f);

	return s->real->pMethods->xCheckReservedLock(s->real, out);
}

static int
x_control(sqlite3_file *f, int op, void *arg)
{
	struct shim *s = shim_of(f);

	return s->real->pMethods->xFileControl(s->real, op, arg);
}

static int
x_sector(sqlite3_file *f)
{
	struct shim *s = shim_of(f);

	return s->real->pMethods->xSectorSize(s->real);
}

static int
x_device(sqlite3_file *f)
{
	struct shim *s = shim_of(f);

	return s->real->pMethods->xDeviceCharacteristics(s->real);
}

static const sqlite3_io_methods methods = {
	.iVersion = 1, .xClose = x_close, .xRead = x_read, .xWrite = x_write,
	.xTruncate = x_truncate, .xSync = x_sync, .xFileSize = x_size, .xLock = x_lock,
	.xUnlock = x_unlock, .xCheckReservedLock = x_reserved, .xFileControl = x_control,
	.xSectorSize = x_sector, .xDeviceCharacteristics = x_device,
};

static const char *
base_name(const char *path)
{
	size_t at;

	if (path == NULL)
		return "";
	at = slice_rfind_byte(slice_z(path), '/');
	return at == SLICE_NONE ? path : &path[at + 1];
}

static int
x_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *out)
{
	struct shim *s = shim_of(f);
	sqlite3_int64 size = 0;
	int rc;

	s->base.pMethods = NULL;
	s->real = (sqlite3_file *)(void *)&s[1];
	s->name = base_name(path);
	s->dirsync = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
	if (strikes(TESTVFS_OPEN))
		return g.fault.code;
	rc = g.real->xOpen(g.real, path, s->real, flags, out);
	if (s->real->pMethods != NULL)
		s->base.pMethods = &methods;
	if (rc == SQLITE_OK && path != NULL &&
	    s->real->pMethods->xFileSize(s->real, &size) == SQLITE_OK && size == 0)
		record('C', s->name, 0, NULL, 0);
	return rc;
}

static int
x_delete(sqlite3_vfs *v, const char *path, int dirsync)
{
	int rc;

	if (strikes(TESTVFS_DELETE))
		return g.fault.code;
	rc = g.real->xDelete(g.real, path, dirsync);
	if (rc == SQLITE_OK) {
		record('X', base_name(path), 0, NULL, 0);
		if (dirsync)
			record('D', "", 0, NULL, 0);
	}
	return rc;
}

void
testvfs_register(void)
{
	if (g.registered)
		return;
	g.real = sqlite3_vfs_find(NULL);
	PN_ASSERT(g.real != NULL);
	g.vfs = *g.real;
	g.vfs.zName = "postern-test";
	g.vfs.szOsFile = (int)sizeof(struct shim) + g.real->szOsFile;
	g.vfs.xOpen = x_open;
	g.vfs.xDelete = x_delete;
	PN_ASSERT(sqlite3_vfs_register(&g.vfs, 1) == SQLITE_OK);
	g.registered = true;
}

void
testvfs_delay(uint32_t us)
{
	g.delay = us;
}

void
testvfs_idle_disk(bool on)
{
	g.idle_disk = on;
}

void
testvfs_fail(struct testvfs_fault f)
{
	(void)pthread_mutex_lock(&g.lock);
	g.fault = f;
	(void)pthread_mutex_unlock(&g.lock);
}

uint64_t
testvfs_count(enum testvfs_op op)
{
	return __atomic_load_n(&g.counts->op[op], __ATOMIC_RELAXED);
}

uint64_t
testvfs_written(void)
{
	return __atomic_load_n(&g.counts->written, __ATOMIC_RELAXED);
}

void
testvfs_record(struct buf *log)
{
	(void)pthread_mutex_lock(&g.lock);
	g.log = log;
	g.moment = 0;
	(void)pthread_mutex_unlock(&g.lock);
}

size_t
testvfs_moment(void)
{
	return g.moment;
}

/* ---- the environment ---- */

/* The counts of all rooms that name the same file add up in it: seven little numbers of 64 bits, in
 * the order of enum testvfs_op, then the bytes written. */
static bool
count_in(struct slice path)
{
	own(arena_p) a = arena_new("testvfs", 4096);
	const char *z = arena_z(a, path);
	own(fd_t) fd = -1;
	void *p;

	if (z == NULL || path.n == 0)
		return false;
	fd = open(z, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || ftruncate(fd, sizeof *g.counts) != 0)
		return false;
	p = mmap(NULL, sizeof *g.counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return false;
	g.counts = p;
	g.lock_fd = fd_take(&fd);
	return true;
}

/* DIR/WHO.PID takes the record of this process; it is opened before the walls close. */
static bool
record_in(struct slice dir, struct slice who)
{
	char path[600];

	if (dir.n == 0 || dir.n > 400 || who.n > 100)
		return false;
	(void)snprintf(path, sizeof path, "%.*s/%.*s.%d", SFMT(dir), SFMT(who), (int)getpid());
	g.sink = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return g.sink >= 0;
}

static bool
fault_of(struct slice text, struct testvfs_fault *out)
{
	static const struct slice op[TESTVFS_OPS] = { S_INIT("open"), S_INIT("read"),
		S_INIT("write"), S_INIT("sync"), S_INIT("truncate"), S_INIT("delete") };
	struct testvfs_fault f = { .op = TESTVFS_OPS };
	struct slice w;

	if (!slice_cut(text, ':', &w, &text))
		return false;
	for (size_t i = 0; i < TESTVFS_OPS; i++)
		if (slice_eq(w, op[i]))
			f.op = (enum testvfs_op)i;
	if (f.op == TESTVFS_OPS || !slice_cut(text, ':', &w, &text) || !slice_u64(w, &f.nth) ||
	    f.nth == 0)
		return false;
	if (slice_cut(text, ':', &w, &text)) {
		if (!slice_eq(text, S("ever")))
			return false;
		f.ever = true;
	} else {
		w = text;
	}
	if (slice_eq(w, S("full")))
		f.code = SQLITE_FULL;
	else if (slice_eq(w, S("io")))
		f.code = f.op == TESTVFS_SYNC ? SQLITE_IOERR_FSYNC : SQLITE_IOERR;
	else
		return false;
	*out = f;
	return true;
}

bool
testvfs_env(struct slice who, bool *bad)
{
	struct slice left = slice_z(secure_getenv("POSTERN_VFS"));

	*bad = false;
	if (left.n == 0)
		return false;
	while (left.n > 0) {
		struct slice item, name, value;
		struct testvfs_fault f;
		uint32_t us;

		if (!slice_cut(left, ',', &item, &left)) {
			item = left;
			left = slice_of(NULL, 0);
		}
		*bad = true;
		if (!slice_cut(item, ':', &name, &value))
			return false;
		if (slice_eq(name, S("delay")) && slice_u32(value, &us))
			testvfs_delay(us);
		else if ((slice_eq(name, S("count")) && count_in(value)) ||
		    (slice_eq(name, S("record")) && record_in(value, who)))
			;
		else if (slice_eq(name, S("fail")) && fault_of(value, &f))
			testvfs_fail(f);
		else
			return false;
		*bad = false;
	}
	testvfs_register();
	return true;
}
