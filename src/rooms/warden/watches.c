/* SPDX-License-Identifier: MIT
 * Rooms that watch a table of an application. Each runs as the application: the uid that owns the directory of the
 * database, which becomes the room's root; or, for PostgreSQL, the user that the configuration names, and the root holds
 * the server's socket alone. So nobody has to be let into anything: not the room into files of others, nor
 * the application into ours (doc/decisions/0070). */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rooms/warden/warden.h"

static const struct room_kind watch_kind = { "watch", "", 0, NULL, "" };
static const struct room_kind server_kind = { "watchpg", "", 0, NULL, "password" };

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

/* Never root, and never a room of ours or a user's mail. */
static bool
applications(const struct warden *w, uid_t uid)
{
	uint64_t ours = w->config.uid_base, end = ours + 1000 + w->config.user_range;

	return uid != 0 && (uid < ours || uid > end);
}

/* The owner of the directory, or the user of this name or number. */
static bool
runs_as(const struct warden *w, const struct config_watch *c, int dir, uid_t *uid)
{
	const struct passwd *user = c->user[0] == '\0' ? NULL : getpwnam(c->user);
	struct stat st;
	uint32_t n;

	if (c->database[0] == '\0') {
		if (fstat(dir, &st) != 0)
			return false;
		*uid = st.st_uid;
	} else if (user != NULL) {
		*uid = user->pw_uid;
	} else if (slice_u32(slice_z(c->user), &n)) {
		*uid = n;
	} else {
		return false;
	}
	return applications(w, *uid);
}

int
watch_root(const struct warden *w, const struct room *r)
{
	int dir = -1;

	if (r->table->database[0] == '\0')
		return dup(r->watch_dir);
	/* opened for each life of the room: PostgreSQL may have made another one */
	if (r->table->file[0] != '\0' && (dir = open_dir(r->table->file)) < 0)
		(void)fprintf(stderr, "warden: %s: %s\n", r->table->file, strerror(errno));
	return dir >= 0 ? dir : dup(w->empty_dir);
}

void
watches_add(struct warden *w, struct room **last)
{
	for (size_t i = 0; i < w->config.drop.n_watches; i++) {
		const struct config_watch *c = &w->config.drop.watches[i];
		struct room *r = calloc(1, sizeof *r);
		uid_t uid = getuid();

		PN_ASSERT(r != NULL);
		bool lite = c->database[0] == '\0';

		r->watch_dir = lite ? open_dir(c->file) : -1;
		if ((lite && r->watch_dir < 0) || (w->as_root && !runs_as(w, c, r->watch_dir, &uid))) {
			(void)fprintf(stderr, "warden: the table of %s is not watched: %s: %s\n", c->program, lite ? c->file : c->user,
			    !lite ? "it takes a user of the application, not root" : r->watch_dir < 0 ? strerror(errno) :
			    "the directory has to belong to the application, not to root");
			fd_t_drop(&r->watch_dir);
			free(r);
			continue;
		}
		r->w = w;
		r->kind = lite ? &watch_kind : &server_kind;
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
