/* SPDX-License-Identifier: MIT
 * For the tests of lib/store: a folder of its own, children that are killed, disks that lose power. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/base/own.h"
#include "lib/store/testvfs.h"

static char dir_name[64];
static char path_text[6][128];

/* A path inside the folder of this test; six live at a time. */
static const char *
in_dir(const char *name)
{
	static unsigned at;
	char *p = path_text[at++ % 6];

	(void)snprintf(p, sizeof path_text[0], "%s/%s", dir_name, name);
	return p;
}

static void
clear_dir(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		(void)closedir(d);
}

static int
fresh_dir(void **state)
{
	(void)snprintf(dir_name, sizeof dir_name, "store-test-%d", (int)getpid());
	clear_dir(dir_name);
	return mkdir(dir_name, 0700) == 0 || errno == EEXIST ? 0 : -1;
}

static int
drop_dir(void **state)
{
	testvfs_fail((struct testvfs_fault){ 0 });
	testvfs_record(NULL);
	clear_dir(dir_name);
	return rmdir(dir_name);
}

/* How often a random test is repeated: ten times as often with TORTURE set (./check --torture). */
__attribute__((unused)) static unsigned
rounds(unsigned n)
{
	return secure_getenv("TORTURE") != NULL ? 10 * n : n;
}

static uint64_t rng_state = 0x9e3779b97f4a7c15u;

__attribute__((unused)) static uint64_t
rng(void)
{
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return rng_state * 2685821657736338717u;
}

/* What a killed child had acknowledged: shared memory that outlives it. */
__attribute__((unused)) static void *
shared(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* Runs work(ctx) in a child and kills it after us microseconds (it may end before: 0 then). */
__attribute__((unused)) static void
killed(void (*work)(void *ctx), void *ctx, uint64_t us)
{
	struct timespec t = { .tv_sec = 0, .tv_nsec = (long)(us * 1000) };
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		work(ctx);
		_exit(0);
	}
	(void)nanosleep(&t, NULL);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	else
		assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* Flips bits of a file, n of them, at random. */
__attribute__((unused)) static void
flip_bits(const char *path, size_t n)
{
	own(fd_t) fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	assert_true(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0);
	for (size_t i = 0; i < n; i++) {
		off_t at = (off_t)(rng() % (uint64_t)st.st_size);
		uint8_t b;

		assert_int_equal(pread(fd, &b, 1, at), 1);
		b = (uint8_t)(b ^ (1u << (rng() % 8)));
		assert_int_equal(pwrite(fd, &b, 1, at), 1);
	}
}

__attribute__((unused)) static void
copy_file(const char *from, const char *to)
{
	own(fd_t) in = open(from, O_RDONLY | O_CLOEXEC);
	own(fd_t) out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static uint8_t b[65536];
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, b, sizeof b)) > 0)
		assert_int_equal(write(out, b, (size_t)n), n);
}
