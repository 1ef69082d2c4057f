/* SPDX-License-Identifier: MIT */
#include "lib/proc/drill.h"

#include <errno.h>

#ifdef PN_DRILL

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Each gives -1 with errno, or anything else when it was let through. The raw calls are made, as
 * injected code would. */
static long try_shadow(void) { return syscall(SYS_openat, AT_FDCWD, "/etc/shadow", O_RDONLY); }
static long try_key(void) { return syscall(SYS_openat, AT_FDCWD, "/etc/postern/tls/key.pem", O_RDONLY); }
static long try_up(void) { return syscall(SYS_openat, AT_FDCWD, "../../../../etc/passwd", O_RDONLY); }
static long try_other_mail(void) { return syscall(SYS_openat, AT_FDCWD, "../2/mail.db", O_RDONLY); }
static long try_proc(void) { return syscall(SYS_openat, AT_FDCWD, "/proc/1/environ", O_RDONLY); }
static long try_write_etc(void) { return syscall(SYS_openat, AT_FDCWD, "/etc/cron.d/x", O_WRONLY | O_CREAT, 0644); }
/* A room that may use the Internet may have a socket, but no raw one. */
static long try_socket(void) { return syscall(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_TCP); }
static long try_unix(void) { return syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0); }

/* A room with the socket of a database may connect there; /etc/passwd is not there, where the root is its own: anybody
 * else would hear that it may not, or that nobody listens. */
static long
try_local(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/../etc/passwd" };
	int fd = (int)syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);

	return fd < 0 || (syscall(SYS_connect, fd, &to, sizeof to) != 0 && errno == ENOENT) ? -1 : 0;
}

/* To a port that is no room's business. Where a connection was really tried, no wall stood: what the
 * other side said to it does not matter. */
static long
try_connect(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(22),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || (syscall(SYS_connect, fd, &to, sizeof to) != 0 && errno != ECONNREFUSED && errno != ETIMEDOUT))
		return -1;
	return 0;
}

/* A room that asks name servers binds its sockets; none may be a server. */
static long
try_serve(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(4444) };
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || syscall(SYS_bind, fd, &at, sizeof at) != 0)
		return -1;
	return syscall(SYS_listen, fd, 1);
}

static long try_ptrace(void) { return syscall(SYS_ptrace, PTRACE_ATTACH, getpid() - 1, 0, 0); }
static long try_vm_read(void) { return syscall(SYS_process_vm_readv, getpid() - 1, NULL, 0, NULL, 0, 0); }
static long try_fork(void) { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }
static long try_exec(void) { return syscall(SYS_execve, "/bin/sh", NULL, NULL); }
static long try_memfd_exec(void) { return syscall(SYS_execveat, 3, "", NULL, NULL, AT_EMPTY_PATH); }
static long try_kill_warden(void) { return syscall(SYS_kill, getpid() - 1, SIGKILL); }
static long try_kill_all(void) { return syscall(SYS_kill, -1, SIGKILL); }
static long try_uring(void) { return syscall(SYS_io_uring_setup, 8, NULL); }
static long try_bpf(void) { return syscall(SYS_bpf, 0, NULL, 0); }
static long try_setuid(void) { return syscall(SYS_setresuid, 0, 0, 0); }
static long try_chroot(void) { return syscall(SYS_chroot, "/"); }
static long try_mount(void) { return syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL); }
static long try_unshare(void) { return syscall(SYS_unshare, 0x10000000); }
static long try_handler(void) { return syscall(SYS_rt_sigaction, SIGSYS, NULL, NULL, 8); }

static long
try_exec_memory(void)
{
	long p = syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == -1 ? -1 : 0;
}

/* Two seconds: warden ends us long before; if it does not, the attempt counts as let through. */
static void
wait_for_the_end(void)
{
	struct timespec t = { .tv_sec = 2 };

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* A frame that no schema knows, to warden: it must end us, not itself. */
static long
try_malformed_ipc(void)
{
	char junk[64];

	memset(junk, 0xee, sizeof junk);
	(void)send(3, junk, sizeof junk, MSG_NOSIGNAL);
	wait_for_the_end();
	return 0;
}

/* Three descriptors where one at most is expected. */
static long
try_three_descriptors(void)
{
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = { .bytes = { 0 } };
	char frame[64] = { 1 };
	struct iovec iov = { .iov_base = frame, .iov_len = sizeof frame };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes };
	int fds[3] = { 3, 3, 3 };

	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(&control.h), fds, sizeof fds);
	(void)sendmsg(3, &m, MSG_NOSIGNAL);
	wait_for_the_end();
	return 0;
}

static const struct {
	const char *name;
	long (*attempt)(void);
} attempts[] = {
	{ "open /etc/shadow", try_shadow },
	{ "open the TLS key", try_key },
	{ "open ../../etc/passwd", try_up },
	{ "open another user's database", try_other_mail },
	{ "open /proc/1/environ", try_proc },
	{ "create a file in /etc", try_write_etc },
	{ "create a raw Internet socket", try_socket },
	{ "create a local socket", try_unix },
	{ "connect to a local path", try_local },
	{ "connect out", try_connect },
	{ "listen on a port", try_serve },
	{ "ptrace a sibling", try_ptrace },
	{ "read a sibling's memory", try_vm_read },
	{ "fork", try_fork },
	{ "exec /bin/sh", try_exec },
	{ "exec a descriptor", try_memfd_exec },
	{ "kill warden", try_kill_warden },
	{ "kill everybody", try_kill_all },
	{ "io_uring", try_uring },
	{ "bpf", try_bpf },
	{ "become root", try_setuid },
	{ "chroot", try_chroot },
	{ "mount", try_mount },
	{ "new user namespace", try_unshare },
	{ "replace the alarm", try_handler },
	{ "executable memory", try_exec_memory },
	{ "malformed message to warden", try_malformed_ipc },
	{ "three descriptors to warden", try_three_descriptors },
};

int64_t
drill_attempt(unsigned number)
{
	if (number == 0 || number > drill_count())
		return EINVAL;
	errno = 0;
	return attempts[number - 1].attempt() == -1 ? errno : 0;
}

unsigned
drill_count(void)
{
	return sizeof attempts / sizeof *attempts;
}

const char *
drill_name(unsigned number)
{
	return number == 0 || number > drill_count() ? "" : attempts[number - 1].name;
}

#else

int64_t
drill_attempt(unsigned number)
{
	(void)number;
	return EPERM;
}

unsigned
drill_count(void)
{
	return 0;
}

const char *
drill_name(unsigned number)
{
	(void)number;
	return "";
}

#endif
