/* SPDX-License-Identifier: MIT
 * A new room: fork, exec with one descriptor, and what it is told: only its part of the
 * configuration, only its descriptors, only its channels. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/warden_room.h"
#include "lib/proc/drill.h"
#include "rooms/warden/warden.h"

static _Noreturn void
become(const struct warden *w, const struct room *r, int warden_end, int said)
{
	char path[512];
	/* libc keeps the stacks of threads that have ended, up to 40 MiB of them: not in an idle room. Nor
	 * does a mailbox, of which there are many, keep freed pieces that malloc_trim() cannot see. */
	char lean[] = "GLIBC_TUNABLES=glibc.pthread.stack_cache_size=0:glibc.malloc.tcache_count=0";
	char stacks[] = "GLIBC_TUNABLES=glibc.pthread.stack_cache_size=0";
	char *argv[] = { path, NULL };
	char *envp[] = { r->account != 0 ? lean : stacks, NULL, NULL, NULL, NULL };
	char vfs[256] = "", faults[256], preload[256];
	const char *test_vfs = getenv("POSTERN_VFS"), *shim = getenv("POSTERN_FAULTS_SHIM");
	sigset_t none;

	(void)snprintf(path, sizeof path, "%s/%s", w->config.room_dir, r->kind->name);
	if (test_vfs != NULL) {
		/* the one variable that passes: where flushes are counted and delayed, for measuring */
		(void)snprintf(vfs, sizeof vfs, "POSTERN_VFS=%s", test_vfs);
		envp[1] = vfs;
	}
	if (DRILL_BUILD && shim != NULL) {
		/* test/torture/faults: calls of libc that fail when told to */
		(void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", shim);
		(void)snprintf(faults, sizeof faults, "POSTERN_FAULTS=%s", getenv("POSTERN_FAULTS"));
		envp[test_vfs != NULL ? 2 : 1] = preload;
		envp[test_vfs != NULL ? 3 : 2] = faults;
	}
	/* both are over 3: warden keeps low numbers open */
	if (dup2(said, STDERR_FILENO) < 0 || dup2(warden_end, 3) < 0 ||
	    dup2(w->empty_dir, STDIN_FILENO) < 0 || dup2(w->empty_dir, STDOUT_FILENO) < 0)
		_exit(71);
	(void)close_range(4, ~0u, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execve(path, argv, envp);
	(void)dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
	_exit(71);
}

bool
room_spawn(struct warden *w, struct room *r)
{
	own(fd_t) theirs = -1;
	own(fd_t) said_end = -1;
	int ends[2], said[2];

	if (!wiring_pair(ends))
		return false;
	theirs = ends[1];
	if (pipe2(said, O_CLOEXEC | O_NONBLOCK) != 0) {
		(void)close(ends[0]);
		return false;
	}
	said_end = said[1];
	r->pid = fork();
	if (r->pid == 0)
		become(w, r, theirs, said_end);
	if (r->pid < 0) {
		(void)close(ends[0]);
		(void)close(said[0]);
		return false;
	}
	r->said = said[0];
	r->channel = ipc_channel_new(ends[0], r->kind->name, r->instance);
	return true;
}

static void
tell(struct room *r, const char *key, struct slice value)
{
	struct warden_room_setting m = { .key = slice_z(key), .value = value };

	(void)warden_room_setting_send(r->channel, &m);
}

static void
tell_number(struct room *r, const char *key, uint64_t value)
{
	char digits[24];

	(void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
	tell(r, key, slice_z(digits));
}

static void
hand(struct room *r, const char *name, int fd)
{
	struct warden_room_descriptor m = { .name = slice_z(name), .fd = fd };

	if (fd >= 0)
		(void)warden_room_descriptor_send(r->channel, &m);
}

/* Makes and opens a room's own directory, step by step without following links. */
static int
own_dir(struct warden *w, const char *parent, const char *name, uid_t uid)
{
	own(fd_t) at = parent == NULL ? dup(w->data_dir) : -1;
	int dir;

	if (parent != NULL) {
		(void)mkdirat(w->data_dir, parent, 0711);
		at = openat(w->data_dir, parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		/* set aside the umask: the uid of each user has to pass through */
		if (at >= 0)
			(void)fchmod(at, 0711);
	}
	if (at < 0 || (mkdirat(at, name, 0700) != 0 && errno != EEXIST))
		return -1;
	dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir >= 0 && w->as_root && fchown(dir, uid, uid) != 0)
		fd_t_drop(&dir);
	return dir;
}

static void
hand_dir(struct warden *w, struct room *r)
{
	own(fd_t) dir = -1;

	if (r->account != 0)
		dir = own_dir(w, "mail", r->instance, r->uid);
	else if (r->table != NULL)
		dir = watch_root(w, r);
	else if (r->kind->dir != NULL)
		dir = own_dir(w, NULL, r->kind->dir, r->uid);
	else
		dir = dup(w->empty_dir);
	hand(r, "dir", dir);
}

static void
hand_file(struct room *r, const char *name, const char *path)
{
	own(fd_t) fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		(void)fprintf(stderr, "warden: %s: %s\n", path, strerror(errno));
	hand(r, name, fd);
}

static void
tell_queue(struct room *r, const struct config_queue *c)
{
	tell_number(r, "retry_first", c->retry_first);
	tell_number(r, "retry_most", c->retry_most);
	tell_number(r, "lifetime", c->lifetime);
	tell_number(r, "bounce_lifetime", c->bounce_lifetime);
	tell_number(r, "warn_after", c->warn_after);
	tell_number(r, "high_water", c->high_water);
	tell_number(r, "concurrency", c->concurrency);
	tell_number(r, "encrypt", c->encrypt);
}

static void
tell_outbound(struct room *r, const struct config *c)
{
	const struct config_outbound *o = &c->outbound;
	char key[32];

	tell(r, "helo", slice_z(o->helo[0] == '\0' ? c->hostname : o->helo));
	tell_number(r, "port", o->port);
	tell(r, "ip", slice_z(o->ip));
	tell_number(r, "chunking", o->chunking);
	tell(r, "sources", slice_z(o->sources));
	tell(r, "allow", slice_z(o->allow));
	tell_number(r, "connect_ms", o->connect_timeout * 1000u);
	tell_number(r, "reply_ms", o->reply_timeout * 1000u);
	tell_number(r, "end_ms", o->end_timeout * 1000u);
	tell_number(r, "total_ms", o->conversation_timeout * 1000u);
	tell_number(r, "idle_ms", o->idle * 1000u);
	tell_number(r, "relays", o->n_relays);
	for (size_t i = 0; i < o->n_relays; i++) {
		(void)snprintf(key, sizeof key, "relay.%zu", i);
		tell(r, key, slice_z(o->relays[i]));
		(void)snprintf(key, sizeof key, "credential.%zu", i);
		if (o->credentials[i][0] != '\0')
			hand_file(r, key, o->credentials[i]);
	}
	tell_number(r, "routes", o->n_routes);
	for (size_t i = 0; i < o->n_routes; i++) {
		(void)snprintf(key, sizeof key, "route.%zu", i);
		tell(r, key, slice_z(o->routes[i]));
	}
	hand_file(r, "roots", o->roots);
}

/* What belongs to one listener has its name behind a dot: "chunking.submission". */
static void
tell_service(struct room *r, const char *what, const struct config_service *s, struct slice value)
{
	char key[64];

	(void)snprintf(key, sizeof key, "%s.%s", what, s->name);
	tell(r, key, value);
}

static void
tell_count(struct room *r, const char *what, const struct config_service *s, uint64_t n)
{
	char digits[24];

	(void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
	tell_service(r, what, s, slice_z(digits));
}

/* All that an smtp room has listeners for, whether they are configured or not. */
static void
tell_switches(struct room *r, const struct config *c)
{
	static const struct config_service names[] = { { .name = "smtp" }, { .name = "submission" },
		{ .name = "submissions" }, { .name = "lmtp" } };
	static const char *const instances[] = { "mx", "submission", "submission", "lmtp" };

	for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
		const struct config_service *s = &names[k];

		if (!slice_eq(slice_z(r->instance), slice_z(instances[k])))
			continue;
		for (size_t i = 0; i < c->n_services; i++)
			if (slice_eq(slice_z(c->services[i].name), slice_z(names[k].name)))
				s = &c->services[i];
		tell_count(r, "dsn", s, s->dsn);
		tell_count(r, "enhanced_codes", s, s->enhanced_codes);
		tell_count(r, "chunking", s, s->chunking);
		tell_count(r, "smtputf8", s, s->smtputf8);
		tell_count(r, "greet_wait", s, s->greet_wait_ms);
		tell_count(r, "tarpit", s, s->tarpit_ms);
		tell_service(r, "xclient_from", s, slice_z(s->xclient_from));
		if (slice_eq(slice_z(r->instance), S("lmtp")))
			tell_service(r, "from", s, slice_z(s->from));
	}
}

static void
tell_scram(struct room *r, const struct config *c)
{
	tell_number(r, "scram", c->scram);
	tell_number(r, "scram_require_binding", c->scram_require_binding);
}

/* Does any milter want what comes to this instance of smtp? */
static bool
wants_milters(const struct room *r, const struct config *c)
{
	bool wants = false;

	for (size_t i = 0; i < c->n_milters; i++)
		wants = wants || (slice_eq(slice_z(r->instance), S("mx")) && c->milters[i].incoming) ||
		    (slice_eq(slice_z(r->instance), S("submission")) && c->milters[i].outgoing);
	return wants;
}

static void
tell_milters(struct room *r, const struct config *c)
{
	char key[32], text[256];

	tell_number(r, "milters", c->n_milters);
	for (size_t i = 0; i < c->n_milters; i++) {
		const struct config_milter *m = &c->milters[i];

		(void)snprintf(key, sizeof key, "milter.%zu", i);
		(void)snprintf(text, sizeof text, "%s %s %u %u %d %d %d", m->name, m->path[0] != '\0' ? "-" : m->address,
		    m->port, m->timeout * 1000u, m->accept, m->incoming, m->outgoing);
		tell(r, key, slice_z(text));
	}
}

static void
tell_server(const struct warden *w, struct room *r, const struct config_watch *c)
{
	struct slice file = slice_z(c->file);

	if (c->address[0] != '\0')
		tell(r, "host", slice_z(c->address));
	else
		tell(r, "host", w->as_root ? S("/") : slice_head(file, slice_rfind_byte(file, '/')));
	tell_number(r, "port", c->port);
	tell(r, "database", slice_z(c->database));
	tell(r, "role", slice_z(c->role));
	if (c->password[0] != '\0')
		hand_file(r, "password", c->password);
}

void
room_boot(struct warden *w, struct room *r)
{
	const struct config *c = &w->config;
	struct slice kind = slice_z(r->kind->name);
	struct warden_room_go go = { 0 };

	tell(r, "instance", slice_z(r->instance));
	tell(r, "hostname", slice_z(c->hostname));
	tell_number(r, "uid", w->as_root ? r->uid : getuid());
	tell_number(r, "message_size", c->message_size);
	hand_dir(w, r);
	if (slice_eq(kind, S("door"))) {
		tell_number(r, "connections", c->connections);
		tell_number(r, "connections_per_address", c->connections_per_address);
		for (size_t i = 0; i < c->n_services; i++)
			tell_service(r, "proxy_from", &c->services[i], slice_z(c->services[i].proxy_from));
		for (size_t i = 0; i < c->n_listeners; i++)
			hand(r, c->listeners[i].name, w->listeners[i]);
		hand_file(r, "certificate", c->certificate);
	} else if (slice_eq(kind, S("keys"))) {
		hand_file(r, "key", c->key);
	} else if (slice_eq(kind, S("mailbox"))) {
		tell_number(r, "account", r->account);
		tell_number(r, "sessions_per_user", c->sessions_per_user);
	} else if (slice_eq(kind, S("smtp"))) {
		/* whoever speaks LMTP to us has judged who sent it where it came from; we could not. Rules are for all */
		tell_number(r, "scan", w->rules >= 0 || slice_eq(slice_z(r->instance), S("submission")) ||
			(slice_eq(slice_z(r->instance), S("mx")) && c->sender_authentication != CONFIG_SENDER_OFF));
		tell(r, "redirects", slice_z(w->redirects));
		tell_number(r, "milter", wants_milters(r, c));
		tell_switches(r, c);
		tell_scram(r, c);
	} else if (slice_eq(kind, S("milter"))) {
		tell_milters(r, c);
	} else if (slice_eq(kind, S("scan"))) {
		tell(r, "sender_authentication", slice_z(config_sender_word(c->sender_authentication)));
		tell(r, "arc_trusted", slice_z(c->arc_trusted));
		hand(r, "filter", w->rules);
	} else if (slice_eq(kind, S("dns"))) {
		tell(r, "dns_servers", slice_z(c->dns.servers));
		tell(r, "dns_anchors", slice_z(c->dns.anchors));
		tell_number(r, "dns_timeout", c->dns.timeout * 1000u);
		for (size_t i = 0; i < c->dns.n_anchor_files; i++)
			hand_file(r, "anchor", c->dns.anchor_files[i]);
	} else if (slice_eq(kind, S("ledger"))) {
		tell_number(r, "events_keep", c->events_keep);
	} else if (slice_eq(kind, S("queue"))) {
		tell_queue(r, &c->queue);
	} else if (slice_eq(kind, S("send"))) {
		tell_outbound(r, c);
	} else if (slice_eq(kind, S("clerk"))) {
		tell(r, "reports_from", slice_z(c->reports.from));
		tell_number(r, "reports_dmarc", c->reports.dmarc);
		tell_number(r, "reports_tls", c->reports.tls);
	} else if (slice_eq(kind, S("fetch"))) {
		tell_number(r, "fetch_port", c->fetch_port);
		tell_number(r, "fetch_timeout", c->fetch_timeout * 1000u);
		tell(r, "fetch_allow", slice_z(c->fetch_allow));
		hand_file(r, "roots", c->fetch_roots);
	} else if (slice_eq(kind, S("drop"))) {
		tell(r, "postmaster", slice_z(c->postmaster));
		tell(r, "redirects", slice_z(w->redirects));
		hand(r, "local", w->local);
		hand(r, "http", w->http);
	} else if (slice_eq(kind, S("lobby"))) {
		tell_scram(r, c);
	} else if (r->table != NULL) {
		tell(r, "table", slice_z(r->table->table));
		if (r->table->database[0] == '\0')
			tell(r, "file", slice_from(slice_z(r->table->file), slice_rfind_byte(slice_z(r->table->file), '/') + 1));
		else
			tell_server(w, r, r->table);
	} else if (slice_eq(kind, S("auth"))) {
		tell_number(r, "user_range", c->user_range);
		tell_number(r, "login_failures", c->login_failures);
		tell_number(r, "scram", c->scram);
	}
	wiring_connect(w, r);
	(void)warden_room_go_send(r->channel, &go);
}
