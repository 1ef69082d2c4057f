/* SPDX-License-Identifier: MIT
 * Commands about the server itself. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>

#include "cli/cli.h"
#include "lib/filter/filter.h"
#include "ipc/cli_warden.h"
#include "lib/clock/clock.h"
#include "lib/proc/drill.h"

int
cmd_start(struct cli *c)
{
	bool foreground = cli_option(c, "--foreground", NULL);
	char path[512];
	own(fd_t) running = -1;

	cli_config(c);
	running = cli_control(c);
	if (running >= 0)
		return cli_fail(EX_TEMPFAIL, "the server runs already", c->config.run_dir);
	(void)snprintf(path, sizeof path, "%s/warden", c->config.room_dir);
	(void)execl(path, "warden", "--config", c->config_path, foreground ? NULL : "--daemon", NULL);
	return cli_fail(EX_UNAVAILABLE, path, strerror(errno));
}

int
cmd_stop(struct cli *c)
{
	struct ipc_client *client = cli_connect(c, NULL);
	struct cli_warden_stop in = { 0 };
	struct cli_warden_stop_answer out;
	enum ipc_status st = cli_warden_stop(client, &in, cli_deadline(), c->arena, &out);
	int fd;

	if (st != IPC_OK)
		cli_no_answer(st);
	ipc_client_free(&client);
	/* gone when nobody listens on the control socket any more */
	for (int i = 0; i < 1500; i++) {
		struct timespec t = { .tv_nsec = 20000000 };

		fd = cli_control(c);
		if (fd < 0)
			return EX_OK;
		fd_t_drop(&fd);
		(void)nanosleep(&t, NULL);
	}
	return cli_fail(EX_TEMPFAIL, "the server is still stopping", "");
}

int
cmd_reload(struct cli *c)
{
	struct ipc_client *client = cli_connect(c, NULL);
	struct cli_warden_reload in = { 0 };
	struct cli_warden_reload_answer out;
	enum ipc_status st = cli_warden_reload(client, &in, cli_deadline(), c->arena, &out);

	if (st != IPC_OK)
		cli_no_answer(st);
	if (out.status != CLI_WARDEN_RESULT_OK)
		return (void)fprintf(stderr, "%.*s\n", SFMT(out.text)), EX_CONFIG;
	return EX_OK;
}

static json_t *
room_row(const struct cli_warden_room *r)
{
	json_t *row = json_object();

	row_set(row, "room", json_of(r->name));
	row_set(row, "instance", json_of(r->instance));
	row_set(row, "pid", json_integer(r->pid));
	row_set(row, "uid", json_integer(r->uid));
	row_set(row, "state", json_string(r->ready ? "ready" : r->pid != 0 ? "starting" : r->needed ? "down" : "not needed"));
	row_set(row, "landlock", json_integer(r->landlock));
	row_set(row, "restarts", json_integer(r->restarts));
	row_set(row, "started", json_time(r->started_us));
	return row;
}

static int
status_json(const struct cli_warden_status_answer *s, json_t *rooms)
{
	json_t *all = json_object(), *ports = json_array();

	for (size_t i = 0; i < s->n_listeners; i++) {
		json_t *l = json_object();

		row_set(l, "name", json_of(s->listeners[i].name));
		row_set(l, "address", json_of(s->listeners[i].address));
		row_set(l, "port", json_integer(s->listeners[i].port));
		(void)json_array_append_new(ports, l);
	}
	row_set(all, "version", json_of(s->version));
	row_set(all, "hostname", json_of(s->hostname));
	row_set(all, "started", json_time(s->started_us));
	row_set(all, "alarms", json_integer(s->alarms));
	row_set(all, "deaths", json_integer(s->deaths));
	row_set(all, "mailboxes", json_integer(s->mailboxes));
	row_set(all, "listeners", ports);
	row_set(all, "rooms", rooms);
	(void)json_dumpf(all, stdout, JSON_INDENT(2));
	(void)printf("\n");
	json_decref(all);
	return EX_OK;
}

int
cmd_status(struct cli *c)
{
	static const char *const columns[] = { "room", "instance", "pid", "uid", "state", "landlock", "restarts",
		"started", NULL };
	struct ipc_client *client = cli_connect(c, NULL);
	struct cli_warden_status in = { 0 };
	struct cli_warden_status_answer out;
	enum ipc_status st = cli_warden_status(client, &in, cli_deadline(), c->arena, &out);
	json_t *rooms = json_array();

	if (st != IPC_OK)
		cli_no_answer(st);
	for (size_t i = 0; i < out.n_rooms; i++)
		(void)json_array_append_new(rooms, room_row(&out.rooms[i]));
	ipc_client_free(&client);
	if (c->json)
		return status_json(&out, rooms);
	(void)printf("postern %.*s on %.*s: %u mailboxes open, %u rooms died, %u alarms\n", SFMT(out.version),
	    SFMT(out.hostname), out.mailboxes, out.deaths, out.alarms);
	for (size_t i = 0; i < out.n_listeners; i++)
		(void)printf("  %-12.*s %.*s port %u\n", SFMT(out.listeners[i].name), SFMT(out.listeners[i].address),
		    out.listeners[i].port);
	table_print(c, rooms, columns);
	return EX_OK;
}

int
cmd_config_check(struct cli *c)
{
	struct filter *rules = NULL;

	if (!cli_args(c, 0, "config check"))
		return EX_USAGE;
	cli_config(c);
	if (c->config.filter[0] != '\0')
		rules = cli_rules(c->config.filter);
	filter_free(&rules);
	if (!c->quiet)
		(void)printf("%s: good\n", c->config_path);
	return EX_OK;
}

/* ---- drills ------------------------------------------------------------------------------------- */

/* One attempt in one room, waiting for the room to be back from the one before. Gives the outcome,
 * which lives in a. */
static struct slice
drill(struct cli *c, struct slice room, struct slice instance, unsigned number, struct arena *a)
{
	struct cli_warden_drill in = { .room = room, .instance = instance, .number = (uint16_t)number };

	for (int tries = 0; tries < 500; tries++) {
		struct ipc_client *client = cli_connect(c, NULL);
		struct cli_warden_drill_answer out = { .status = CLI_WARDEN_RESULT_FAILED };
		enum ipc_status st = cli_warden_drill(client, &in, cli_deadline(), a, &out);
		struct timespec t = { .tv_nsec = 20000000 };

		ipc_client_free(&client);
		if (st == IPC_OK && out.status == CLI_WARDEN_RESULT_OK)
			return out.outcome;
		if (st == IPC_OK && out.status == CLI_WARDEN_RESULT_UNKNOWN_ROOM)
			return S("gone");
		(void)nanosleep(&t, NULL);
	}
	return S("no answer");
}

int
cmd_drill(struct cli *c)
{
	static const char *const columns[] = { "room", "attempt", "outcome", NULL };
	struct cli_warden_status in = { 0 };
	struct cli_warden_status_answer out;
	struct ipc_client *client = cli_connect(c, NULL);
	json_t *rows = json_array();
	unsigned holes = 0;

	if (cli_warden_status(client, &in, cli_deadline(), c->arena, &out) != IPC_OK)
		cli_no_answer(IPC_UNAVAILABLE);
	ipc_client_free(&client);
	for (size_t i = 0; i < out.n_rooms; i++)
		for (unsigned k = 1; k <= drill_count(); k++) {
			own(arena_p) a = arena_new("drill", LIMIT_ARENA_SESSION);
			struct slice said = drill(c, out.rooms[i].name, out.rooms[i].instance, k, a);
			json_t *row = json_object();

			if (slice_eq(said, S("gone")))
				break;
			row_set(row, "room", json_sprintf("%.*s%s%.*s", SFMT(out.rooms[i].name),
			    out.rooms[i].instance.n > 0 ? "/" : "", SFMT(out.rooms[i].instance)));
			row_set(row, "attempt", json_string(drill_name(k)));
			row_set(row, "outcome", json_of(said));
			(void)json_array_append_new(rows, row);
			holes += slice_eq(said, S("SUCCEEDED")) || slice_eq(said, S("no answer"));
		}
	table_print(c, rows, columns);
	return holes == 0 ? EX_OK : cli_fail(EX_SOFTWARE, "a wall has a hole", "");
}
