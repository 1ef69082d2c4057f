/* SPDX-License-Identifier: MIT
 * What a disk holds after a power cut, from a record of testvfs.c.
 *
 *   name -> inode now, inode on disk        (a folder sync makes the second the first)
 *   inode -> bytes on disk, then the operations since its last sync (not yet sure) */
#include "lib/store/testvfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/cursor.h"
#include "lib/base/own.h"

#define NAMES 16u
#define INODES 256u
#define DISK ((size_t)1 << 30)

struct change {
	char what;
	uint64_t at;
	struct slice data;
};

struct inode {
	struct buf disk;
	struct change *pending;
	size_t n, cap;
	size_t covered; /* of these, how many were there when the sync under way began */
};

struct entry {
	struct slice name;
	int now, disk; /* index of an inode, -1 = absent */
};

struct world {
	struct entry entry[NAMES];
	size_t entries;
	struct inode inode[INODES];
	size_t inodes;
	uint64_t seed;
};

/* xorshift64*: the same loss for the same seed. */
static uint64_t
dice(struct world *w)
{
	w->seed ^= w->seed >> 12;
	w->seed ^= w->seed << 25;
	w->seed ^= w->seed >> 27;
	return w->seed * 2685821657736338717u;
}

static bool
coin(struct world *w)
{
	return (dice(w) >> 40 & 1) != 0;
}

static bool
put(struct buf *b, uint64_t at, struct slice data)
{
	static const uint8_t zero[4096];

	while (b->n < at)
		if (!buf_add(b, slice_of(zero, at - b->n < sizeof zero ? at - b->n : sizeof zero)))
			return false;
	if (b->n < at + data.n && buf_room(b, at + data.n - b->n) != NULL)
		buf_grown(b, at + data.n - b->n);
	if (b->bad)
		return false;
	if (data.n > 0)
		memcpy(&b->p[at], data.p, data.n);
	return true;
}

static bool
apply(struct buf *b, const struct change *c)
{
	if (c->what == 'W')
		return put(b, c->at, c->data);
	if (c->at < b->n)
		buf_cut(b, c->at);
	return put(b, c->at, slice_of(NULL, 0));
}

static bool
sync_inode(struct inode *i)
{
	for (size_t k = 0; k < i->covered; k++)
		if (!apply(&i->disk, &i->pending[k]))
			return false;
	i->n -= i->covered;
	if (i->n > 0)
		memmove(i->pending, &i->pending[i->covered], i->n * sizeof *i->pending);
	i->covered = 0;
	return true;
}

static bool
remember(struct inode *i, struct change c)
{
	if (i->n == i->cap) {
		i->cap = i->cap == 0 ? 64 : i->cap * 2;
		i->pending = reallocarray(i->pending, i->cap, sizeof *i->pending);
		PN_ASSERT(i->pending != NULL);
	}
	i->pending[i->n++] = c;
	return true;
}

static struct entry *
entry_of(struct world *w, struct slice name)
{
	for (size_t i = 0; i < w->entries; i++)
		if (slice_eq(w->entry[i].name, name))
			return &w->entry[i];
	PN_ASSERT(w->entries < NAMES);
	w->entry[w->entries] = (struct entry){ .name = name, .now = -1, .disk = -1 };
	return &w->entry[w->entries++];
}

static bool
step(struct world *w, char what, struct slice name, struct change c)
{
	struct entry *e;

	if (what == 'D') {
		for (size_t i = 0; i < w->entries; i++)
			w->entry[i].disk = w->entry[i].now;
		return true;
	}
	e = entry_of(w, name);
	if (what == 'X') {
		e->now = -1;
		return true;
	}
	if (e->now < 0) {
		PN_ASSERT(w->inodes < INODES);
		e->now = (int)w->inodes;
		buf_init(&w->inode[w->inodes++].disk, DISK);
	}
	if (what == 'C')
		return true;
	if (what == 's') {
		w->inode[e->now].covered = w->inode[e->now].n;
		return true;
	}
	if (what == 'S')
		return sync_inode(&w->inode[e->now]);
	return (what == 'W' || what == 'T') && remember(&w->inode[e->now], c);
}

static bool
run(struct world *w, struct slice log, size_t moment)
{
	struct cursor c = cur_of(log);

	for (size_t i = 0; i < moment && cur_left(&c) > 0; i++) {
		struct change ch = { .what = (char)cur_get_u8(&c) };
		struct slice name = { 0 };
		uint64_t n;

		(void)cur_bytes(&c, cur_get_u16le(&c), &name);
		ch.at = cur_get_u64le(&c);
		n = cur_get_u64le(&c);
		if (ch.what == 'W')
			(void)cur_bytes(&c, (size_t)n, &ch.data);
		if (c.bad || !step(w, ch.what, name, ch))
			return false;
	}
	return true;
}

/* A write of which each sector, of 512 or 4096 bytes, has reached the disk or not. */
static bool
tear(struct world *w, struct buf *b, const struct change *c)
{
	size_t sector = coin(w) ? 512 : 4096, at = 0;

	while (at < c->data.n) {
		size_t n = sector - (size_t)((c->at + at) % sector);

		if (n > c->data.n - at)
			n = c->data.n - at;
		if (coin(w) && !put(b, c->at + at, slice_sub(c->data, at, n)))
			return false;
		at += n;
	}
	return true;
}

static bool
lose(struct world *w, struct inode *i, enum testvfs_loss how)
{
	for (size_t k = 0; k < i->n && how != TESTVFS_LOSE_ALL; k++) {
		const struct change *c = &i->pending[k];
		bool ok = true;

		if (!coin(w))
			continue;
		if (how == TESTVFS_TEAR && c->what == 'W' && coin(w))
			ok = tear(w, &i->disk, c);
		else
			ok = apply(&i->disk, c);
		if (!ok)
			return false;
	}
	return true;
}

static bool
write_out(const char *dir, struct slice name, struct slice bytes)
{
	char path[512];
	own(fd_t) fd = -1;

	(void)snprintf(path, sizeof path, "%s/%.*s", dir, SFMT(name));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return fd >= 0 && (bytes.n == 0 ||
	    pwrite(fd, bytes.p, bytes.n, 0) == (ssize_t)bytes.n);
}

bool
testvfs_replay(struct slice log, size_t moment, enum testvfs_loss how, uint64_t seed,
    const char *dir)
{
	struct world *w = calloc(1, sizeof *w);
	bool ok;

	PN_ASSERT(w != NULL);
	w->seed = seed * 2 + 1;
	ok = run(w, log, moment);
	for (size_t i = 0; i < w->entries && ok; i++) {
		struct entry *e = &w->entry[i];
		int which = how != TESTVFS_LOSE_ALL && coin(w) ? e->now : e->disk;

		if (which < 0)
			continue;
		ok = lose(w, &w->inode[which], how) &&
		    write_out(dir, e->name, buf_slice(&w->inode[which].disk));
	}
	for (size_t i = 0; i < w->inodes; i++) {
		buf_free(&w->inode[i].disk);
		free(w->inode[i].pending);
	}
	free(w);
	return ok;
}
