/* SPDX-License-Identifier: MIT */
#include "lib/store/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* As much of the chunk as the descriptor owes. */
static enum store_err
fill(struct source *s, uint64_t from, size_t at, size_t want)
{
	while (want > 0) {
		ssize_t n = pread(s->fd, &s->chunk[at], want, (off_t)from);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return STORE_IO;
		at += (size_t)n;
		from += (uint64_t)n;
		want -= (size_t)n;
	}
	return STORE_OK;
}

enum store_err
source_next(struct source *s, struct slice *out)
{
	uint64_t left = source_total(s) - s->at;
	size_t want = left < STORE_CHUNK ? (size_t)left : STORE_CHUNK, head = 0;
	enum store_err e = STORE_OK;

	if (s->fd < 0 && s->prefix.n == 0) { /* no copy */
		*out = slice_sub(s->content, (size_t)s->at, want);
		s->at += want;
		return STORE_OK;
	}
	if (s->cap < want) {
		free(s->chunk);
		s->chunk = malloc(want);
		s->cap = s->chunk == NULL ? 0 : want;
		if (s->chunk == NULL)
			return STORE_FULL;
	}
	if (s->at < s->prefix.n) {
		struct slice p = slice_head(slice_from(s->prefix, (size_t)s->at), want);

		memcpy(s->chunk, p.p, p.n);
		head = p.n;
	}
	if (want > head) {
		uint64_t from = s->at + head - s->prefix.n;

		if (s->fd >= 0)
			e = fill(s, from, head, want - head);
		else
			memcpy(&s->chunk[head],
			    slice_sub(s->content, (size_t)from, want - head).p, want - head);
	}
	if (e != STORE_OK)
		return e;
	s->at += want;
	*out = slice_of(s->chunk, want);
	return STORE_OK;
}

void
source_free(struct source *s)
{
	free(s->chunk);
	s->chunk = NULL;
	s->cap = 0;
}

int
memfd_new(const char *name)
{
	return memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

enum store_err
memfd_write(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return errno == ENOSPC || errno == ENOMEM ? STORE_FULL : STORE_IO;
		s = slice_from(s, (size_t)n);
	}
	return STORE_OK;
}

enum store_err
memfd_seal(int fd)
{
	if (lseek(fd, 0, SEEK_SET) != 0 || fcntl(fd, F_ADD_SEALS,
	    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
		return STORE_IO;
	return STORE_OK;
}
