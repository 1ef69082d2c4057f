/* SPDX-License-Identifier: MIT
 * warden: the only room with root rights. It reads the configuration, binds the ports, starts the
 * other rooms and starts them again, and hands over descriptors. It never reads a byte from the
 * network.
 *
 *   warden --config FILE [--daemon]
 *
 * With --daemon it goes to the background when every room is ready, and a keeper that does nothing
 * else starts it again if it is ever killed (under systemd, systemd is the keeper). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/sandbox/sandbox.h"
#include "rooms/warden/warden.h"

#define START_MS 15000 /* rooms are ready after a tenth of a second, or there is trouble */
#define PATIENCE_MS 2000u /* with rooms that have lost their warden */
#define CLEAR_MS 10000u	  /* with those that the kernel does not end at once */

static struct warden w = { .ready_pipe = -1, .control = -1, .empty_dir = -1, .data_dir = -1, .rules = -1 };

static int
fail(int status, const char *what, const char *detail)
{
	(void)fprintf(stderr, "postern: %s: %s\n", what, detail);
	return status;
}

/* Keeps descriptors 0 to 3 busy, so that boot.c may place a room's own there. */
static void
reserve_low_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 3);
	if (fd > 3)
		(void)close(fd);
}

static int
open_dirs(void)
{
	char path[600];

	(void)umask(022);
	(void)mkdir(w.config.data_dir, 0711);
	(void)mkdir(w.config.run_dir, 0755);
	(void)snprintf(path, sizeof path, "%s/empty", w.config.run_dir);
	(void)mkdir(path, 0555);
	w.empty_dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (w.empty_dir < 0)
		return fail(EX_CANTCREAT, path, strerror(errno));
	w.data_dir = open(w.config.data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w.data_dir < 0)
		return fail(EX_CANTCREAT, w.config.data_dir, strerror(errno));
	return EX_OK;
}

/* One server per run_dir: the lock is the file warden.pid, held as long as warden lives. */
static int
take_lock(void)
{
	char path[600];
	int fd;

	(void)snprintf(path, sizeof path, "%s/warden.pid", w.config.run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return fail(EX_CANTCREAT, path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return fail(EX_TEMPFAIL, path, "a server with this configuration runs already");
	if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return fail(EX_IOERR, path, strerror(errno));
	return EX_OK;
}

static void
from_signals(void *arg, unsigned ready)
{
	int fd = *(int *)arg;
	struct signalfd_siginfo s;

	(void)ready;
	if (read(fd, &s, sizeof s) != (ssize_t)sizeof s)
		return;
	if (s.ssi_signo == SIGCHLD)
		rooms_reap(&w);
	else
		loop_stop(w.loop);
}

static int
signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A server that is not ready in time keeps trying, but not on the starter's terminal. */
static void
leave_terminal_late(void *arg)
{
	(void)arg;
	if (w.ready_pipe >= 0)
		leave_terminal(&w);
	fd_t_drop(&w.ready_pipe);
}

static void
warn_about_walls(void)
{
	unsigned level = sandbox_landlock_level();

	if (!w.as_root)
		(void)fprintf(stderr, "postern: warning: not started as root: rooms share one user and have no empty "
				      "root; Landlock level %u and system call lists still stand\n", level);
	else if (level == 0)
		(void)fprintf(stderr, "postern: warning: this kernel has no Landlock\n");
}

static int
serve(void)
{
	own(buf_t) errors = { .max = 4096 };
	struct rlimit files = { .rlim_cur = 65536, .rlim_max = 65536 };
	int st, sigfd;

	w.as_root = geteuid() == 0;
	w.started_us = clock_wall_us();
	(void)setrlimit(RLIMIT_NOFILE, &files);
	w.loop = loop_new();
	if ((st = open_dirs()) != EX_OK || (st = take_lock()) != EX_OK)
		return st;
	if (!listeners_open(&w, &errors))
		return fail(EX_UNAVAILABLE, "ports", (const char *)buf_slice(&errors).p);
	if (!control_open(&w))
		return fail(EX_CANTCREAT, "control socket", strerror(errno));
	if (!local_open(&w, &errors))
		return fail(EX_UNAVAILABLE, "local programs", (const char *)buf_slice(&errors).p);
	warn_about_walls();
	sigfd = signals();
	(void)loop_watch(w.loop, sigfd, LOOP_READ, from_signals, &sigfd);
	rooms_start(&w);
	if (w.ready_pipe >= 0)
		(void)loop_after(w.loop, START_MS, leave_terminal_late, NULL);
	EVENT(EVENT_SERVER_START, 0, S(""), S(""), EF("version", S(PN_VERSION)),
	    EF("hostname", slice_z(w.config.hostname)), EN("landlock", sandbox_landlock_level()));
	loop_run(w.loop);
	EVENT(EVENT_SERVER_STOP, 0, S(""), S(""), EF("hostname", slice_z(w.config.hostname)));
	rooms_stop(&w);
	return EX_OK;
}

/* Whoever waits for the end of the starter's output must not wait for the keeper. */
static void
let_go_of_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void)dup2(null, fd);
}

/* Rooms of a warden that was killed see that and end; the keeper, whose children they have become, waits for them and
 * ends those that do not, so that the next warden finds ports, databases and its lock free. */
static void
clear_house(pid_t group)
{
	uint64_t began = clock_mono_ms();
	struct timespec t = { .tv_nsec = 5000000 };
	pid_t pid;

	while (((pid = waitpid(-1, NULL, WNOHANG)) >= 0 || errno == EINTR) && clock_mono_ms() - began < CLEAR_MS) {
		if (pid > 0)
			continue;
		if (clock_mono_ms() - began > PATIENCE_MS)
			(void)kill(-group, SIGKILL);
		(void)nanosleep(&t, NULL);
	}
}

/* Restarts warden as long as it is ended by somebody else's signal. */
static int
keep(void)
{
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (;;) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			(void)setpgid(0, 0); /* and all rooms */
			return serve();
		}
		let_go_of_terminal();
		while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (pid < 0 || WIFEXITED(status))
			exit(pid < 0 ? EX_OSERR : WEXITSTATUS(status));
		clear_house(pid);
		fd_t_drop(&w.ready_pipe);
	}
}

/* The starter waits until the server is ready, or shows why not. */
static int
wait_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[64];

	if (poll(&p, 1, START_MS) <= 0)
		(void)fprintf(stderr, "postern: not every room was ready within %d s; see stderr.log in run_dir\n",
		    START_MS / 1000);
	else if (read(fd, text, sizeof text) > 0)
		return EX_OK;
	else
		(void)fprintf(stderr, "postern: the server did not start\n");
	return EX_UNAVAILABLE;
}

static int
to_background(void)
{
	int ready[2];
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) != 0)
		return fail(EX_OSERR, "pipe", strerror(errno));
	pid = fork();
	if (pid < 0)
		return fail(EX_OSERR, "fork", strerror(errno));
	if (pid > 0) {
		(void)close(ready[1]);
		return wait_ready(ready[0]);
	}
	(void)close(ready[0]);
	(void)setsid();
	w.ready_pipe = ready[1];
	exit(keep());
}

int
main(int argc, char **argv)
{
	own(buf_t) errors = { .max = 4096 };
	bool daemon = argc == 4 && strcmp(argv[3], "--daemon") == 0;

	if ((argc != 3 && !daemon) || strcmp(argv[1], "--config") != 0)
		return fail(EX_USAGE, "usage", "warden --config FILE [--daemon]");
	reserve_low_descriptors();
	w.config_path = argv[2];
	if (!config_read(w.config_path, &w.config, &errors)) {
		(void)fprintf(stderr, "%.*s", SFMT(buf_slice(&errors)));
		return EX_CONFIG;
	}
	if (!rules_read(&w, &w.config, &errors)) {
		(void)fprintf(stderr, "%.*s", SFMT(buf_slice(&errors)));
		return EX_CONFIG;
	}
	return daemon ? to_background() : serve();
}
