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

/* The names stand in the table itself: pointers would be written into it in each process. */
#define TRIED(call) { SYS_##call, #call }
static const struct {
	int nr;
	char name[20];
} tried[] = {
	TRIED(execve), TRIED(execveat), TRIED(fork), TRIED(vfork), TRIED(clone), TRIED(ptrace),
	TRIED(process_vm_readv), TRIED(process_vm_writev), TRIED(socket), TRIED(connect),
	TRIED(bind), TRIED(listen), TRIED(accept4), TRIED(accept), TRIED(open), TRIED(openat),
	TRIED(openat2), TRIED(kill), TRIED(tkill), TRIED(tgkill), TRIED(rt_sigaction), TRIED(mmap),
	TRIED(mprotect), TRIED(memfd_create), TRIED(io_uring_setup), TRIED(bpf),
	TRIED(userfaultfd), TRIED(perf_event_open), TRIED(keyctl), TRIED(open_by_handle_at),
	TRIED(pidfd_getfd), TRIED(pidfd_open), TRIED(unshare), TRIED(setns), TRIED(mount),
	TRIED(umount2), TRIED(chroot), TRIED(pivot_root), TRIED(setuid), TRIED(setresuid),
	TRIED(prctl), TRIED(prlimit64), TRIED(unlink), TRIED(unlinkat), TRIED(rename),
	TRIED(mkdir), TRIED(link), TRIED(symlink), TRIED(chmod), TRIED(fchmod), TRIED(chown),
	TRIED(init_module), TRIED(reboot), TRIED(getdents64), TRIED(readlink), TRIED(stat),
	TRIED(statx), TRIED(ioctl), TRIED(dup), TRIED(dup2), TRIED(pipe2), TRIED(getuid),
	TRIED(getppid), TRIED(uname), TRIED(sysinfo), TRIED(setsockopt), TRIED(getsockopt),
	TRIED(getsockname), TRIED(getpeername), TRIED(fcntl), TRIED(sched_setaffinity),
	TRIED(writev), TRIED(readv), TRIED(access), TRIED(lseek), TRIED(pread64), TRIED(pwrite64),
	TRIED(fsync), TRIED(fdatasync), TRIED(ftruncate), TRIED(getcwd), TRIED(sendmmsg),
	TRIED(recvmmsg), TRIED(eventfd2), TRIED(socketpair), TRIED(sendfile), TRIED(splice),
	TRIED(timerfd_create), TRIED(epoll_create1), TRIED(sigaltstack), TRIED(mlock),
};

const char *
sandbox_call_name(int nr)
{
	for (size_t i = 0; i < sizeof tried / sizeof *tried; i++)
		if (tried[i].nr == nr)
			return tried[i].name;
	return NULL;
}
