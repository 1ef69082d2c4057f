/* SPDX-License-Identifier: MIT
 * LD_PRELOAD shim: counts fsync and fdatasync of every process that shares one
 * counter file, and makes each flush cost a given time, one after the other across processes, as
 * one disk would.
 *
 *   SLOWSYNC_FILE  the shared counter file (made when absent, 0666)
 *   SLOWSYNC_US    microseconds that a flush takes at least; 0 only counts
 *
 * The flush itself is done as well: the delay is added to it, never put in its place. The file
 * holds two 64-bit numbers in the machine's order: flushes, nanoseconds spent in them. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct shared {
	_Atomic uint64_t flushes, ns;
};

static struct shared *shared;
static int lock_fd = -1;
static uint64_t delay_ns;
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

__attribute__((constructor)) static void
slowsync_init(void)
{
	const char *path = getenv("SLOWSYNC_FILE"), *us = getenv("SLOWSYNC_US");

	*(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
	*(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
	if (path == NULL)
		return;
	for (; us != NULL && *us >= '0' && *us <= '9'; us++)
		delay_ns = delay_ns * 10 + (uint64_t)(*us - '0') * 1000u;
	lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (lock_fd < 0)
		return;
	fchmod(lock_fd, 0666);
	if (ftruncate(lock_fd, sizeof *shared) != 0)
		return;
	void *p = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, lock_fd, 0);
	shared = p == MAP_FAILED ? NULL : p;
	/* high out of the way: daemons close the low descriptors that they do not know */
	int high = fcntl(lock_fd, F_DUPFD_CLOEXEC, 900);
	if (high >= 0) {
		close(lock_fd);
		lock_fd = high;
	}
}

static int
slow(int (*real)(int), int fd)
{
	if (shared == NULL)
		return real(fd);
	uint64_t start = now_ns();
	bool locked = false;
	if (delay_ns != 0) {
		struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 4096, .l_len = 1 };
		while (fcntl(lock_fd, F_SETLKW, &l) != 0 && errno == EINTR)
			;
		locked = true;
	}
	uint64_t mine = now_ns();
	int r = real(fd), saved = errno;
	uint64_t spent = now_ns() - mine;
	if (delay_ns > spent) {
		uint64_t rest = delay_ns - spent;
		struct timespec t = { .tv_sec = (time_t)(rest / 1000000000u),
			.tv_nsec = (long)(rest % 1000000000u) };
		while (nanosleep(&t, &t) != 0 && errno == EINTR)
			;
	}
	if (locked) {
		struct flock l = { .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 4096, .l_len = 1 };
		fcntl(lock_fd, F_SETLK, &l);
	}
	atomic_fetch_add(&shared->flushes, 1u);
	atomic_fetch_add(&shared->ns, now_ns() - start);
	errno = saved;
	return r;
}

int
fsync(int fd)
{
	return slow(real_fsync, fd);
}

int
fdatasync(int fd)
{
	return slow(real_fdatasync, fd);
}
