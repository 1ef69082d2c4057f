/* SPDX-License-Identifier: MIT */
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sandbox/filter.h"

/* Newer than the headers of Debian 12; see the kernel's userspace-api/landlock. */
#define ACCESS_FS_ABI1 ((UINT64_C(1) << 13) - 1)
#define ACCESS_FS_REFER (UINT64_C(1) << 13)
#define ACCESS_FS_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_FS_IOCTL (UINT64_C(1) << 15)
#define ACCESS_FS_EXECUTE (UINT64_C(1) << 0)
#define ACCESS_NET_ALL UINT64_C(3)  /* TCP bind and connect */
#define ACCESS_NET_CONNECT UINT64_C(2)
#define RULE_NET_PORT 2
#define SCOPE_ALL UINT64_C(3)	    /* abstract sockets and signals of others */

#define PR_SET_MDWE_NR 65

struct ruleset {
	uint64_t handled_fs, handled_net, scoped;
};

struct net_port {
	uint64_t allowed_access, port;
};

static void (*on_alarm)(int nr);

static void
forbidden(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (on_alarm != NULL)
		on_alarm(info->si_syscall);
	_exit(159); /* 128 + SIGSYS */
}

unsigned
sandbox_landlock_level(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return v < 0 ? 0 : (unsigned)v;
}

static bool
allow_ports(int ruleset, const uint16_t *ports)
{
	struct net_port rule = { .allowed_access = ACCESS_NET_CONNECT };

	for (size_t i = 0; ports != NULL && ports[i] != 0; i++) {
		rule.port = ports[i];
		if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) != 0)
			return false;
	}
	return true;
}

/* Landlock: nothing of the file system but what is beneath dir (and even that only with files),
 * no TCP but to the ports that the room connects to, no signals to others. */
static bool
landlock(const struct sandbox *s, int dir, unsigned level)
{
	struct ruleset r = { .handled_fs = ACCESS_FS_ABI1 };
	struct landlock_path_beneath_attr beneath = { .parent_fd = dir };
	size_t size = level >= 6 ? 24 : level >= 4 ? 16 : 8;
	int fd;
	bool ok = true;

	if (level >= 2)
		r.handled_fs |= ACCESS_FS_REFER;
	if (level >= 3)
		r.handled_fs |= ACCESS_FS_TRUNCATE;
	if (level >= 5)
		r.handled_fs |= ACCESS_FS_IOCTL;
	if (level >= 4)
		r.handled_net = ACCESS_NET_ALL;
	if (level >= 6)
		r.scoped = SCOPE_ALL;
	fd = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
	if (fd < 0)
		return false;
	if (s->files) {
		beneath.allowed_access = r.handled_fs & ~ACCESS_FS_EXECUTE;
		ok = syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0;
	}
	if (level >= 4)
		ok = ok && allow_ports(fd, s->connect_ports);
	ok = ok && syscall(SYS_landlock_restrict_self, fd, 0) == 0;
	(void)close(fd);
	return ok;
}

static void
limit(int what, uint64_t value)
{
	struct rlimit now, want = { .rlim_cur = value, .rlim_max = value };

	if (getrlimit((__rlimit_resource_t)what, &now) == 0 && now.rlim_max < value)
		want.rlim_cur = want.rlim_max = now.rlim_max;
	(void)setrlimit((__rlimit_resource_t)what, &want);
}

static void
limits(const struct sandbox *s)
{
	if (!s->core)
		limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, s->max_files);
	limit(RLIMIT_FSIZE, s->max_file_size);
	if (s->max_memory != 0)
		limit(RLIMIT_AS, s->max_memory);
}

/* With root rights: the directory becomes the root, the room gets its own uid. */
static bool
drop_root(const struct sandbox *s, const char **what)
{
	if (fchdir(s->dir) != 0 || chroot(".") != 0 || chdir("/") != 0) {
		*what = "change the root directory";
		return false;
	}
	if (setgroups(0, NULL) != 0 || setresgid(s->uid, s->uid, s->uid) != 0 ||
	    setresuid(s->uid, s->uid, s->uid) != 0 || setuid(0) == 0) {
		*what = "become its own user";
		return false;
	}
	return true;
}

bool
sandbox_enter(const struct sandbox *s, struct sandbox_result *result, const char **what)
{
	struct sigaction trap = { .sa_sigaction = forbidden, .sa_flags = SA_SIGINFO };
	unsigned level = sandbox_landlock_level();
	int dir = s->dir;

	*result = (struct sandbox_result){ 0 };
	on_alarm = s->alarm;
	(void)umask(077);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		*what = "give up new privileges";
		return false;
	}
	if (geteuid() == 0 && s->uid != 0) {
		if (!drop_root(s, what))
			return false;
		result->root_dropped = true;
	} else if (dir >= 0 && fchdir(dir) != 0) {
		*what = "enter its directory";
		return false;
	}
	(void)prctl(PR_SET_DUMPABLE, s->core ? 1 : 0, 0, 0, 0);
	(void)prctl(PR_SET_MDWE_NR, 1, 0, 0, 0); /* memory never becomes executable; Linux 6.3 */
	if (level > 0 && landlock(s, dir, level))
		result->landlock = level;
	if (dir >= 0)
		(void)close(dir);
	limits(s);
	if (sigaction(SIGSYS, &trap, NULL) != 0 || !filter_load(s)) {
		*what = "load the list of system calls";
		return false;
	}
	result->missing = !result->root_dropped ? "no own user and root directory" :
	    result->landlock == 0		? "no Landlock" :
						  NULL;
	return true;
}
