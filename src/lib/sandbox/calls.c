/* SPDX-License-Identifier: MIT
 * System call rows that rooms share, and names for alarms. */
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Calls that an architecture does not have: no number matches -1. */
#ifndef SYS_open
#define SYS_open (-1)
#define SYS_poll (-1)
#define SYS_epoll_wait (-1)
#define SYS_unlink (-1)
#define SYS_access (-1)
#define SYS_stat (-1)
#define SYS_lstat (-1)
#define SYS_readlink (-1)
#define SYS_fork (-1)
#define SYS_vfork (-1)
#define SYS_rename (-1)
#define SYS_mkdir (-1)
#define SYS_link (-1)
#define SYS_symlink (-1)
#define SYS_chmod (-1)
#define SYS_chown (-1)
#define SYS_dup2 (-1)
#endif

const struct sandbox_call sandbox_base[] = {
	SANDBOX_CALL(read, "own descriptors"),
	SANDBOX_CALL(write, "own descriptors"),
	SANDBOX_CALL(close, "own descriptors"),
	SANDBOX_CALL(recvmsg, "frames and streams"),
	SANDBOX_CALL(sendmsg, "frames and streams"),
	SANDBOX_CALL(recvfrom, "streams"),
	SANDBOX_CALL(sendto, "streams"),
	SANDBOX_CALL(shutdown, "a stream's end"),
	SANDBOX_CALL(poll, "waiting with a deadline"),
	SANDBOX_CALL(ppoll, "waiting with a deadline"),
	SANDBOX_CALL(epoll_wait, "the loop"),
	SANDBOX_CALL(epoll_pwait, "the loop"),
	SANDBOX_CALL(epoll_ctl, "the loop"),
	SANDBOX_CALL(fstat, "checking a received descriptor"),
	SANDBOX_CALL(newfstatat, "fstat() of this libc"),
	SANDBOX_CALL(fcntl, "flags and seals of own descriptors"),
	SANDBOX_CALL(brk, "malloc"),
	SANDBOX_CALL_IF(mmap, SANDBOX_CLEAR, 2, PROT_EXEC, "malloc, mappings of memfds; nothing executable"),
	SANDBOX_CALL_IF(mprotect, SANDBOX_CLEAR, 2, PROT_EXEC, "malloc and stacks; nothing executable"),
	SANDBOX_CALL(munmap, "malloc"),
	SANDBOX_CALL(mremap, "malloc"),
	SANDBOX_CALL(madvise, "malloc gives memory back"),
	SANDBOX_CALL(futex, "locks"),
	SANDBOX_CALL(getrandom, "ids and keys"),
	SANDBOX_CALL(clock_gettime, "time, where the vDSO cannot"),
	SANDBOX_CALL(gettimeofday, "time, where the vDSO cannot"),
	SANDBOX_CALL(clock_nanosleep, "waiting"),
	SANDBOX_CALL(restart_syscall, "waiting over a stop"),
	SANDBOX_CALL(getpid, "abort()"),
	SANDBOX_CALL(gettid, "abort()"),
	SANDBOX_CALL_IF(tgkill, SANDBOX_SELF, 0, 0, "abort(): signals to ourselves only"),
	SANDBOX_CALL(rt_sigprocmask, "abort(), thread start"),
	SANDBOX_CALL(rt_sigreturn, "signal handlers"),
	SANDBOX_CALL(sched_yield, "locks"),
	SANDBOX_CALL(exit, "a thread ends"),
	SANDBOX_CALL(exit_group, "the room ends"),
	SANDBOX_CALL_FAIL(ioctl, ENOTTY, "stdio asks whether stderr is a terminal"),
	{ 0 },
};

const struct sandbox_call sandbox_threads[] = {
	SANDBOX_CALL_IF(clone, SANDBOX_SET, 0, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND,
	    "a thread of this process, never a new process"),
	SANDBOX_CALL_FAIL(clone3, ENOSYS, "its flags cannot be checked; libc falls back to clone"),
	SANDBOX_CALL(set_robust_list, "thread start"),
	SANDBOX_CALL(rseq, "thread start"),
	SANDBOX_CALL(sched_getaffinity, "malloc counts processors"),
	{ 0 },
};

const struct sandbox_call sandbox_files[] = {
	SANDBOX_CALL(openat, "files beneath the own directory; root and Landlock bound it"),
	SANDBOX_CALL(pread64, "database pages"),
	SANDBOX_CALL(pwrite64, "database pages"),
	SANDBOX_CALL(lseek, "database files"),
	SANDBOX_CALL(fdatasync, "durability"),
	SANDBOX_CALL(fsync, "durability of new files and directories"),
	SANDBOX_CALL(ftruncate, "database files"),
	SANDBOX_CALL(fallocate, "database files"),
	SANDBOX_CALL(unlink, "journal files"),
	SANDBOX_CALL(access, "does a journal exist"),
	SANDBOX_CALL(faccessat, "does a journal exist"),
	SANDBOX_CALL(stat, "database files"),
	SANDBOX_CALL(lstat, "database files"),
	SANDBOX_CALL(readlink, "full path of a database"),
	SANDBOX_CALL(getcwd, "full path of a database"),
	SANDBOX_CALL(geteuid, "SQLite: whether to chown a journal"),
	SANDBOX_CALL(getuid, "SQLite"),
	SANDBOX_CALL(getgid, "SQLite"),
	SANDBOX_CALL(getegid, "SQLite"),
	SANDBOX_CALL(memfd_create, "a message on its way to another room"),
	SANDBOX_CALL_FAIL(fchmod, EPERM, "SQLite tries; modes come from the umask"),
	SANDBOX_CALL_FAIL(fchown, EPERM, "SQLite tries as root only"),
	{ 0 },
};

static const struct sandbox_call tried[] = {
	SANDBOX_CALL(execve, ""), SANDBOX_CALL(execveat, ""), SANDBOX_CALL(fork, ""),
	SANDBOX_CALL(vfork, ""), SANDBOX_CALL(clone, ""), SANDBOX_CALL(ptrace, ""),
	SANDBOX_CALL(process_vm_readv, ""), SANDBOX_CALL(process_vm_writev, ""),
	SANDBOX_CALL(socket, ""), SANDBOX_CALL(connect, ""), SANDBOX_CALL(bind, ""),
	SANDBOX_CALL(listen, ""), SANDBOX_CALL(accept4, ""), SANDBOX_CALL(accept, ""),
	SANDBOX_CALL(open, ""), SANDBOX_CALL(openat, ""), SANDBOX_CALL(openat2, ""),
	SANDBOX_CALL(kill, ""), SANDBOX_CALL(tkill, ""), SANDBOX_CALL(tgkill, ""),
	SANDBOX_CALL(rt_sigaction, ""), SANDBOX_CALL(mmap, ""), SANDBOX_CALL(mprotect, ""),
	SANDBOX_CALL(memfd_create, ""), SANDBOX_CALL(io_uring_setup, ""), SANDBOX_CALL(bpf, ""),
	SANDBOX_CALL(userfaultfd, ""), SANDBOX_CALL(perf_event_open, ""), SANDBOX_CALL(keyctl, ""),
	SANDBOX_CALL(open_by_handle_at, ""), SANDBOX_CALL(pidfd_getfd, ""),
	SANDBOX_CALL(pidfd_open, ""), SANDBOX_CALL(unshare, ""), SANDBOX_CALL(setns, ""),
	SANDBOX_CALL(mount, ""), SANDBOX_CALL(umount2, ""), SANDBOX_CALL(chroot, ""),
	SANDBOX_CALL(pivot_root, ""), SANDBOX_CALL(setuid, ""), SANDBOX_CALL(setresuid, ""),
	SANDBOX_CALL(prctl, ""), SANDBOX_CALL(prlimit64, ""), SANDBOX_CALL(unlink, ""),
	SANDBOX_CALL(unlinkat, ""), SANDBOX_CALL(rename, ""), SANDBOX_CALL(mkdir, ""),
	SANDBOX_CALL(link, ""), SANDBOX_CALL(symlink, ""), SANDBOX_CALL(chmod, ""),
	SANDBOX_CALL(fchmod, ""), SANDBOX_CALL(chown, ""), SANDBOX_CALL(init_module, ""),
	SANDBOX_CALL(reboot, ""), SANDBOX_CALL(getdents64, ""), SANDBOX_CALL(readlink, ""),
	SANDBOX_CALL(stat, ""), SANDBOX_CALL(statx, ""), SANDBOX_CALL(ioctl, ""),
	SANDBOX_CALL(dup, ""), SANDBOX_CALL(dup2, ""), SANDBOX_CALL(pipe2, ""),
	SANDBOX_CALL(getuid, ""), SANDBOX_CALL(getppid, ""), SANDBOX_CALL(uname, ""),
	SANDBOX_CALL(sysinfo, ""), SANDBOX_CALL(setsockopt, ""), SANDBOX_CALL(getsockopt, ""),
	SANDBOX_CALL(getsockname, ""), SANDBOX_CALL(getpeername, ""), SANDBOX_CALL(fcntl, ""),
	SANDBOX_CALL(sched_setaffinity, ""), SANDBOX_CALL(writev, ""), SANDBOX_CALL(readv, ""),
	SANDBOX_CALL(access, ""), SANDBOX_CALL(lseek, ""), SANDBOX_CALL(pread64, ""),
	SANDBOX_CALL(pwrite64, ""), SANDBOX_CALL(fsync, ""), SANDBOX_CALL(fdatasync, ""),
	SANDBOX_CALL(ftruncate, ""), SANDBOX_CALL(getcwd, ""), SANDBOX_CALL(sendmmsg, ""),
	SANDBOX_CALL(recvmmsg, ""), SANDBOX_CALL(eventfd2, ""), SANDBOX_CALL(socketpair, ""),
	SANDBOX_CALL(sendfile, ""), SANDBOX_CALL(splice, ""), SANDBOX_CALL(timerfd_create, ""),
	SANDBOX_CALL(epoll_create1, ""), SANDBOX_CALL(sigaltstack, ""), SANDBOX_CALL(mlock, ""),
};

const char *
sandbox_call_name(int nr)
{
	for (size_t i = 0; i < sizeof tried / sizeof *tried; i++)
		if (tried[i].nr == nr)
			return tried[i].name;
	return NULL;
}
