/* SPDX-License-Identifier: MIT
 * Preloaded into the rooms of a drill build: makes the n-th call of one function of libc fail, in the rooms
 * of one name, when the driver (test/torture/faults) says so. They share one small file, which is mapped
 * before the walls close. A call that is not to fail costs one comparison. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { F_WRITE = 1, F_PWRITE, F_FSYNC, F_FDATASYNC, F_FTRUNCATE, F_OPENAT, F_MMAP, F_MALLOC, F_SENDMSG,
	F_SOCKET, F_ACCEPT4, F_MEMFD, F_CONNECT };

/* As test/torture/faults packs it. */
struct control {
	atomic_uint armed, function, nth, error, ever, count, fired;
	char room[32];
};

static struct control *control;

__attribute__((constructor)) static void
map_control(void)
{
	const char *path = secure_getenv("POSTERN_FAULTS");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return;
	p = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (p != MAP_FAILED)
		control = p;
}

static int
fails(unsigned function)
{
	unsigned n;

	if (control == NULL || atomic_load(&control->armed) == 0 || atomic_load(&control->function) != function ||
	    strcmp(control->room, program_invocation_short_name) != 0)
		return 0;
	n = atomic_fetch_add(&control->count, 1) + 1;
	if (n != atomic_load(&control->nth) && !(atomic_load(&control->ever) && n > atomic_load(&control->nth)))
		return 0;
	(void)atomic_fetch_add(&control->fired, 1);
	errno = (int)atomic_load(&control->error);
	return 1;
}

/* The function that stands behind the shim's. */
#define REAL(name)                                                                                                 \
	static __typeof__(name) *real;                                                                             \
	if (real == NULL)                                                                                          \
		*(void **)&real = dlsym(RTLD_NEXT, #name)

#define SHIM(function, type, bad, name, params, ...)                                                               \
	type name params                                                                                           \
	{                                                                                                          \
		REAL(name);                                                                                        \
		return fails(function) ? bad : real(__VA_ARGS__);                                                  \
	}

SHIM(F_WRITE, ssize_t, -1, write, (int fd, const void *p, size_t n), fd, p, n)
SHIM(F_WRITE, ssize_t, -1, writev, (int fd, const struct iovec *v, int n), fd, v, n)
SHIM(F_PWRITE, ssize_t, -1, pwrite, (int fd, const void *p, size_t n, off_t at), fd, p, n, at)
SHIM(F_PWRITE, ssize_t, -1, pwrite64, (int fd, const void *p, size_t n, off64_t at), fd, p, n, at)
SHIM(F_FSYNC, int, -1, fsync, (int fd), fd)
SHIM(F_FDATASYNC, int, -1, fdatasync, (int fd), fd)
SHIM(F_FTRUNCATE, int, -1, ftruncate, (int fd, off_t n), fd, n)
SHIM(F_FTRUNCATE, int, -1, ftruncate64, (int fd, off64_t n), fd, n)
SHIM(F_MMAP, void *, MAP_FAILED, mmap, (void *a, size_t n, int prot, int flags, int fd, off_t at), a, n, prot, flags, fd, at)
SHIM(F_MMAP, void *, MAP_FAILED, mmap64, (void *a, size_t n, int prot, int flags, int fd, off64_t at), a, n, prot, flags, fd, at)
SHIM(F_SENDMSG, ssize_t, -1, sendmsg, (int fd, const struct msghdr *m, int flags), fd, m, flags)
SHIM(F_SENDMSG, ssize_t, -1, send, (int fd, const void *p, size_t n, int flags), fd, p, n, flags)
SHIM(F_SOCKET, int, -1, socket, (int domain, int type, int protocol), domain, type, protocol)
SHIM(F_SOCKET, int, -1, socketpair, (int domain, int type, int protocol, int sv[2]), domain, type, protocol, sv)
SHIM(F_ACCEPT4, int, -1, accept4, (int fd, __SOCKADDR_ARG a, socklen_t *restrict n, int flags), fd, a, n, flags)
SHIM(F_CONNECT, int, -1, connect, (int fd, __CONST_SOCKADDR_ARG a, socklen_t n), fd, a, n)
SHIM(F_MEMFD, int, -1, memfd_create, (const char *name, unsigned flags), name, flags)

/* The mode is there with O_CREAT and O_TMPFILE only. */
static mode_t
mode_of(int flags, va_list ap)
{
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
}

#define SHIM_OPEN(name)                                                                                            \
	int name(const char *path, int flags, ...)                                                                 \
	{                                                                                                          \
		mode_t mode;                                                                                       \
		va_list ap;                                                                                        \
		REAL(name);                                                                                        \
		va_start(ap, flags);                                                                               \
		mode = mode_of(flags, ap);                                                                         \
		va_end(ap);                                                                                        \
		return fails(F_OPENAT) ? -1 : real(path, flags, mode);                                             \
	}
#define SHIM_OPENAT(name)                                                                                          \
	int name(int dir, const char *path, int flags, ...)                                                        \
	{                                                                                                          \
		mode_t mode;                                                                                       \
		va_list ap;                                                                                        \
		REAL(name);                                                                                        \
		va_start(ap, flags);                                                                               \
		mode = mode_of(flags, ap);                                                                         \
		va_end(ap);                                                                                        \
		return fails(F_OPENAT) ? -1 : real(dir, path, flags, mode);                                        \
	}
SHIM_OPEN(open)
SHIM_OPEN(open64)
SHIM_OPENAT(openat)
SHIM_OPENAT(openat64)

/* dlsym() itself allocates: these three know their real names. */
extern void *__libc_malloc(size_t n), *__libc_calloc(size_t n, size_t size), *__libc_realloc(void *p, size_t n);

void *
malloc(size_t n)
{
	return fails(F_MALLOC) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return fails(F_MALLOC) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return fails(F_MALLOC) ? NULL : __libc_realloc(p, n);
}
