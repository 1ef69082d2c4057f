/* SPDX-License-Identifier: MIT
 * powercut RECORDS NANOSECONDS all|some|torn SEED DATA_DIR: lays into DATA_DIR what the disk would hold had
 * the power of the whole machine failed at that moment of CLOCK_MONOTONIC. RECORDS is the directory of
 * POSTERN_VFS=record:RECORDS. A file WHO.PID in it becomes the folder WHO ("mail.3": mail/3); several
 * processes that followed each other in one folder are one record. Prints the number of folders.
 *
 *   how   all   nothing that was not synced has survived
 *         some  each unsynced write has survived or not
 *         torn  the same, and survivors may be torn at sectors
 *
 * Exits 64 on bad arguments, 65 on a malformed record, 73 when DATA_DIR cannot be written. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/base/cursor.h"
#include "lib/base/own.h"
#include "lib/store/testvfs.h"

#define RECORD ((size_t)1 << 31)

/* One file of RECORDS. */
struct part {
	char name[256];
	uint64_t first; /* time of its first record */
	struct buf bytes;
};

static bool
read_part(const char *dir, const char *name, struct part *p)
{
	char path[1024];
	own(fd_t) fd = -1;
	struct stat st;
	struct cursor c;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	(void)snprintf(p->name, sizeof p->name, "%s", name);
	*strrchr(p->name, '.') = '\0'; /* WHO */
	buf_init(&p->bytes, RECORD);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return false;
	if (st.st_size > 0) {
		uint8_t *to = buf_room(&p->bytes, (size_t)st.st_size);

		if (to == NULL || read(fd, to, (size_t)st.st_size) != st.st_size)
			return false;
		buf_grown(&p->bytes, (size_t)st.st_size);
	}
	c = cur_of(buf_slice(&p->bytes));
	p->first = cur_get_u64le(&c);
	return true;
}

static int
by_name_and_time(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int names = strcmp(x->name, y->name);

	return names != 0 ? names : x->first < y->first ? -1 : x->first > y->first;
}

/* The records of p up to the moment, without their times, behind what is in log. */
static bool
take_until(struct part *p, uint64_t moment, struct buf *log)
{
	struct cursor c = cur_of(buf_slice(&p->bytes));

	while (cur_left(&c) > 0) {
		uint64_t when = cur_get_u64le(&c), n;
		size_t from = c.at;
		struct slice skipped;
		uint8_t what = cur_get_u8(&c);

		(void)cur_bytes(&c, cur_get_u16le(&c), &skipped);
		(void)cur_get_u64le(&c);
		n = cur_get_u64le(&c);
		if (what == 'W')
			(void)cur_bytes(&c, (size_t)n, &skipped);
		if (c.bad)
			return false;
		if (when <= moment && !buf_add(log, slice_sub(c.in, from, c.at - from)))
			return false;
	}
	return true;
}

/* DATA_DIR/WHO with '.' as '/', made where it is missing. */
static void
make_folder(char path[static 1024], const char *data_dir, const char *who)
{
	char *dot;

	(void)mkdir(data_dir, 0711);
	(void)snprintf(path, 1024, "%s/%s", data_dir, who);
	dot = strchr(&path[strlen(data_dir)], '.');
	if (dot != NULL) {
		*dot = '\0';
		(void)mkdir(path, 0711);
		*dot = '/';
	}
	(void)mkdir(path, 0700);
}

static int
cut(struct part *parts, size_t n, uint64_t moment, enum testvfs_loss how, uint64_t seed, const char *data_dir)
{
	size_t folders = 0;

	qsort(parts, n, sizeof *parts, by_name_and_time);
	for (size_t i = 0; i < n; folders++) {
		own(buf_t) log = { .max = RECORD };
		const char *who = parts[i].name;
		char path[1024];

		for (; i < n && strcmp(parts[i].name, who) == 0; i++)
			if (!take_until(&parts[i], moment, &log)) {
				(void)fprintf(stderr, "powercut: the record of %s is malformed\n", who);
				return EX_DATAERR;
			}
		make_folder(path, data_dir, who);
		if (!testvfs_replay(buf_slice(&log), SIZE_MAX, how, seed + folders, path)) {
			(void)fprintf(stderr, "powercut: %s cannot be laid\n", path);
			return EX_CANTCREAT;
		}
	}
	(void)printf("%zu\n", folders);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct part parts[4096];
	enum testvfs_loss how = TESTVFS_LOSE_ALL;
	uint64_t moment, seed;
	size_t n = 0;
	DIR *d;

	if (argc != 6 || !slice_u64(slice_z(argv[2]), &moment) || !slice_u64(slice_z(argv[4]), &seed)) {
		(void)fputs("usage: powercut RECORDS NANOSECONDS all|some|torn SEED DATA_DIR\n", stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[3], "all") != 0)
		how = strcmp(argv[3], "torn") == 0 ? TESTVFS_TEAR : TESTVFS_LOSE_SOME;
	d = opendir(argv[1]);
	if (d == NULL) {
		(void)fprintf(stderr, "powercut: %s cannot be read\n", argv[1]);
		return EX_NOINPUT;
	}
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		if (strchr(e->d_name, '.') == NULL || e->d_name[0] == '.')
			continue;
		if (n == sizeof parts / sizeof *parts || !read_part(argv[1], e->d_name, &parts[n++])) {
			(void)fprintf(stderr, "powercut: %s cannot be read\n", e->d_name);
			return EX_NOINPUT;
		}
	}
	(void)closedir(d);
	return cut(parts, n, moment, how, seed, argv[5]);
}
