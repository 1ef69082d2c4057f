/* SPDX-License-Identifier: MIT */
#include "lib/edits/edits.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/make/lines/lines.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static bool
in_order(const struct smtp_scan_edit *edits, size_t n, uint64_t size, uint64_t most)
{
	uint64_t at = 0, added = 0;

	for (size_t i = 0; i < n; i++) {
		const struct smtp_scan_edit *e = &edits[i];

		if (e->at < at || e->at > size || e->remove > size - e->at)
			return false;
		at = e->at + e->remove;
		added += e->insert.n;
	}
	return size + added <= most;
}

bool
edits_write(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n <= 0)
			return false;
		s = slice_from(s, (size_t)n);
	}
	return true;
}

bool
edits_may_redirect(struct slice list, struct slice address)
{
	struct slice one, rest = list;

	while (slice_cut(rest, ' ', &one, &rest))
		if (slice_eq(one, address))
			return true;
	return false;
}

bool
edits_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS) == 0;
}

static bool
write_edited(int fd, struct slice from, const struct smtp_scan_edit *edits, size_t n, uint64_t *size)
{
	size_t at = 0;

	*size = from.n;
	for (size_t i = 0; i < n; i++) {
		const struct smtp_scan_edit *e = &edits[i];

		if (!edits_write(fd, slice_sub(from, at, (size_t)e->at - at)) || !edits_write(fd, e->insert))
			return false;
		at = (size_t)(e->at + e->remove);
		*size += e->insert.n;
		*size -= e->remove;
	}
	return edits_write(fd, slice_from(from, at)) && edits_seal(fd);
}

bool
edits_apply(int *fd, uint64_t *size, const struct smtp_scan_edit *edits, size_t n, uint64_t most)
{
	own(fd_t) made = -1;
	uint64_t length;
	void *p;
	bool ok;

	if (n == 0)
		return true;
	if (!in_order(edits, n, *size, most))
		return false;
	made = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	p = mmap(NULL, (size_t)*size, PROT_READ, MAP_SHARED, *fd, 0);
	if (p == MAP_FAILED)
		return false;
	ok = made >= 0 && write_edited(made, slice_of(p, (size_t)*size), edits, n, &length);
	(void)munmap(p, (size_t)*size);
	if (!ok)
		return false;
	(void)close(*fd);
	*fd = fd_take(&made);
	*size = length;
	return true;
}

#define PIECE ((size_t)65536)

struct writing {
	int fd;
	struct buf b; /* short pieces: one system call for many */
	uint64_t size;
};

static bool
flush(struct writing *w)
{
	bool ok = edits_write(w->fd, buf_slice(&w->b));

	buf_reset(&w->b);
	return ok;
}

static bool
collect(void *arg, struct slice piece)
{
	struct writing *w = arg;

	w->size += piece.n;
	if (w->b.n + piece.n > PIECE && !flush(w))
		return false;
	return piece.n > PIECE ? edits_write(w->fd, piece) : buf_add(&w->b, piece);
}

bool
edits_break_lines(int *fd, uint64_t *size, size_t *breaks)
{
	struct writing w = { .fd = -1 };
	own(fd_t) made = -1;
	bool ok = true, needed;
	struct slice message;
	void *p = mmap(NULL, (size_t)*size, PROT_READ, MAP_SHARED, *fd, 0);

	if (p == MAP_FAILED)
		return false;
	*breaks = 0;
	message = slice_of(p, (size_t)*size);
	needed = lines_too_long(message);
	if (needed) {
		buf_init(&w.b, PIECE);
		made = w.fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		ok = made >= 0 && lines_break(message, collect, &w, breaks) && flush(&w) && edits_seal(made);
		buf_free(&w.b);
	}
	(void)munmap(p, (size_t)*size);
	if (!ok || !needed)
		return ok;
	(void)close(*fd);
	*fd = fd_take(&made);
	*size = w.size;
	return true;
}
