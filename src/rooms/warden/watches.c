/* SPDX-License-Identifier: MIT
 * Rooms that watch a table of an application. Each runs as the application: the uid that owns the directory of the
 * database, which becomes the room's root. So nobody has to be let into anything: not the room into files of others, nor
 * the application into ours (doc/decisions/0070). */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rooms/warden/warden.h"

static const struct room_kind watch_kind = { "watch", "", 0, NULL, "" };

/* The directory of the file, without following a link anywhere (L-001). */
static int
open_dir(const char *file)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	size_t slash = slice_rfind_byte(slice_z(file), '/');
	char path[sizeof ((struct config_watch *)NULL)->file];

	(void)snprintf(path, sizeof path, "%.*s", (int)slash, file);
	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

/* Whose it is: never root's, and never that of a room of ours or of a user's mail. */
static bool
owner(const struct warden *w, int dir, uid_t *uid)
{
	uint64_t ours = w->config.uid_base, end = ours + 1000 + w->config.user_range;
	struct stat st;

	if (fstat(dir, &st) != 0 || st.st_uid == 0 || (st.st_uid >= ours && st.st_uid <= end))
		return false;
	*uid = st.st_uid;
	return true;
}

void
watches_add(struct warden *w, struct room **last)
{
	for (size_t i = 0; i < w->config.drop.n_watches; i++) {
		const struct config_watch *c = &w->config.drop.watches[i];
		struct room *r = calloc(1, sizeof *r);
		uid_t uid = getuid();

		PN_ASSERT(r != NULL);
		r->watch_dir = open_dir(c->file);
		if (r->watch_dir < 0 || (w->as_root && !owner(w, r->watch_dir, &uid))) {
			(void)fprintf(stderr, "warden: the table of %s is not watched: %s: %s\n", c->program, c->file,
			    r->watch_dir < 0 ? strerror(errno) : "the directory has to belong to the application, not to root");
			fd_t_drop(&r->watch_dir);
			free(r);
			continue;
		}
		r->w = w;
		r->kind = &watch_kind;
		r->uid = uid;
		r->said = -1;
		r->table = c;
		(void)snprintf(r->instance, sizeof r->instance, "%s", c->program);
		*last = r;
		last = &r->next;
	}
}

void
watch_join(struct warden *w, struct room *r)
{
	struct room *drop = room_find(w, S("drop"), S(""));
	int ends[2];

	if (!room_alive(r) || !room_alive(drop) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return;
	room_introduce(drop, "watch", r->instance, ends[0]);
	room_introduce(r, "drop", "", ends[1]);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

void
watches_join(struct warden *w)
{
	for (struct room *r = w->rooms; r != NULL; r = r->next)
		if (r->table != NULL)
			watch_join(w, r);
}
