/* SPDX-License-Identifier: MIT
 * The administrator's rules for mail: read whole, looked at, and kept in a sealed memfd. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "rooms/warden/warden.h"

static int
copy_of(const char *path)
{
	own(fd_t) file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	own(fd_t) kept = memfd_create("filter", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t all = 0;
	char piece[2048];
	ssize_t n;

	if (file < 0 || kept < 0)
		return -1;
	while ((n = read(file, piece, sizeof piece)) > 0 && (all += (size_t)n) <= LIMIT_FILTER_FILE + sizeof piece)
		if (write(kept, piece, (size_t)n) != n)
			return -1;
	if (n < 0 || fcntl(kept, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return -1;
	return fd_take(&kept);
}

static void
add_redirect(void *ctx, struct slice address)
{
	struct buf *b = ctx;

	(void)buf_add(b, address);
	(void)buf_byte(b, ' ');
}

bool
rules_read(struct warden *w, const struct config *c, struct buf *errors)
{
	own(buf_t) redirects = { .max = LIMIT_FILTER_REDIRECTS };
	static struct filter_errors wrong; /* large */
	own(fd_t) kept = -1;
	struct filter *f;

	wrong.n = 0;
	if (c->filter[0] != '\0') {
		kept = copy_of(c->filter);
		f = kept < 0 ? NULL : filter_read(kept, &wrong);
		if (f == NULL) {
			if (wrong.n == 0)
				(void)buf_fmt(errors, "%s: cannot be read: %s\n", c->filter, strerror(errno));
			filter_tell_errors(c->filter, &wrong, errors);
			return false;
		}
		filter_redirects(f, add_redirect, &redirects);
		filter_free(&f);
	}
	fd_t_drop(&w->rules);
	w->rules = fd_take(&kept);
	(void)snprintf(w->redirects, sizeof w->redirects, "%.*s", SFMT(buf_slice(&redirects)));
	return true;
}
