/* SPDX-License-Identifier: MIT
 * The event log: log and explain. One line per event for people, one JSON object per line for
 * programs. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "cli/cli.h"
#include "ipc/cli_ledger.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/make/date.h"
#include "lib/make/dsn/words.h"

static void
print_json(const struct cli_ledger_event *e)
{
	json_t *o = json_object(), *fields = json_object();
	own(buf_t) at = { .max = 64 };

	date_format_rfc3339(&at, e->time_us / 1000000, 0);
	buf_cut(&at, at.n - 1); /* the Z comes after the fraction */
	buf_fmt(&at, ".%06dZ", (int)(e->time_us % 1000000));
	row_set(o, "time", json_of(buf_slice(&at)));
	row_set(o, "id", json_integer((json_int_t)e->id));
	row_set(o, "event", json_string(event_name(e->kind)));
	row_set(o, "room", json_of(e->room));
	if (e->session != 0)
		row_set(o, "session", json_string(session_text(e->session).z));
	if (e->queue_id.n > 0)
		row_set(o, "queue_id", json_of(e->queue_id));
	if (e->account.n > 0)
		row_set(o, "account", json_of(e->account));
	for (size_t i = 0; i < e->n_fields; i++) {
		json_t *key = json_of(e->fields[i].key);

		row_set(fields, json_string_value(key), json_of(e->fields[i].value));
		json_decref(key);
	}
	row_set(o, "fields", fields);
	(void)json_dumpf(o, stdout, JSON_COMPACT);
	(void)printf("\n");
	json_decref(o);
}

/* What another server's status code means, behind the event that has one: what queue was told. The words are
 * for the sender of a message; our own refusals have their reason beside the code. */
static void
add_words(struct buf *b, const struct cli_ledger_event *e)
{
	if (!slice_starts(slice_z(event_name(e->kind)), S("queue.")))
		return;
	for (size_t i = 0; i < e->n_fields; i++)
		if (slice_eq(e->fields[i].key, S("status")) && e->fields[i].value.n > 0)
			(void)buf_fmt(b, "\n%14s%.*s", "", SFMT(dsn_words(e->fields[i].value, 0)));
}

/* "... smtp/mx 4kq9x2m7t1abc.1: smtp.accepted: from=<a@b>, size=100": in the spirit of Postfix. */
static void
print_line(const struct cli_ledger_event *e, int64_t since_us)
{
	own(buf_t) b = { .max = 32768 };
	struct session_text session = session_text(e->session);

	if (since_us != 0) {
		buf_fmt(&b, "%+10.3f s ", (double)(e->time_us - since_us) / 1e6);
	} else {
		date_format_rfc3339(&b, e->time_us / 1000000, 0);
		buf_cut(&b, b.n - 1);
		buf_fmt(&b, ".%03dZ ", (int)(e->time_us % 1000000 / 1000));
	}
	buf_printable(&b, e->room, 40);
	buf_byte(&b, ' ');
	if (e->queue_id.n > 0)
		buf_printable(&b, e->queue_id, 60);
	else
		buf_add(&b, e->session == 0 ? S("-") : slice_z(session.z));
	buf_fmt(&b, ": %s:", event_name(e->kind));
	if (e->account.n > 0) {
		buf_add(&b, S(" account="));
		buf_printable(&b, e->account, 320);
	}
	for (size_t i = 0; i < e->n_fields; i++) {
		bool mail = slice_eq(e->fields[i].key, S("from")) || slice_eq(e->fields[i].key, S("to"));

		buf_add(&b, i == 0 && e->account.n == 0 ? S(" ") : S(", "));
		buf_printable(&b, e->fields[i].key, 32);
		buf_add(&b, mail ? S("=<") : S("="));
		buf_printable(&b, e->fields[i].value, 2048);
		buf_add(&b, mail ? S(">") : S(""));
	}
	if (since_us != 0)
		add_words(&b, e);
	(void)printf("%.*s\n", SFMT(buf_slice(&b)));
}

int64_t
cli_duration(const char *text)
{
	struct slice s = slice_z(text);
	uint64_t n, unit = 1;

	if (s.n > 1) {
		switch (s.p[s.n - 1]) {
		case 's':
			break;
		case 'm':
			unit = 60;
			break;
		case 'h':
			unit = 3600;
			break;
		case 'd':
			unit = 86400;
			break;
		default:
			unit = 0;
		}
		s = unit == 0 || (unit == 1 && s.p[s.n - 1] != 's') ? s : slice_head(s, s.n - 1);
		unit = unit == 0 ? 1 : unit;
	}
	if (!slice_u64(s, &n) || n > 100000000)
		return -1;
	return (int64_t)(n * unit) * 1000000;
}

struct printed {
	size_t n;
	int64_t first_us;
	bool relative;
};

/* One page; *in is moved on. False when there was no more. */
static bool
page(struct cli *c, struct ipc_client *client, struct cli_ledger_query *in, struct printed *p)
{
	own(arena_p) a = arena_new("page", LIMIT_ARENA_MESSAGE);
	struct cli_ledger_query_answer out;
	enum ipc_status st = cli_ledger_query(client, in, cli_deadline(), a, &out);

	if (st != IPC_OK || out.status != CLI_LEDGER_RESULT_OK)
		cli_no_answer(st);
	for (size_t i = 0; i < out.n_events; i++) {
		const struct cli_ledger_event *e = &out.events[i];

		if (p->n++ == 0)
			p->first_us = e->time_us;
		if (c->json)
			print_json(e);
		else
			print_line(e, p->relative ? p->first_us : 0);
		in->after = e->id;
	}
	return out.more && out.n_events > 0;
}

int
cmd_log(struct cli *c)
{
	bool follow = cli_option(c, "--follow", NULL);
	const char *since = NULL, *session = NULL, *account = NULL, *kind = NULL, *last = NULL;
	struct cli_ledger_query in = { .most = 1000 };
	struct printed p = { 0 };
	struct ipc_client *client;
	uint64_t most = 100;

	(void)cli_option(c, "--since", &since);
	(void)cli_option(c, "--session", &session);
	(void)cli_option(c, "--account", &account);
	(void)cli_option(c, "--kind", &kind);
	(void)cli_option(c, "--last", &last);
	if (!cli_args(c, 0, "log [--follow] [--since DURATION] [--session ID] [--account ADDRESS] [--kind NAME] [--last N]"))
		return EX_USAGE;
	if (since != NULL && cli_duration(since) < 0)
		return cli_fail(EX_USAGE, "no duration (90s, 15m, 2h, 7d)", since);
	if (session != NULL && !session_parse(slice_z(session), &in.session))
		return cli_fail(EX_USAGE, "no session or queue id", session);
	if (kind != NULL && (in.kind = (uint16_t)event_kind_of(slice_z(kind))) == EVENT_NONE)
		return cli_fail(EX_USAGE, "no such kind of event", kind);
	if (last != NULL && !slice_u64(slice_z(last), &most))
		return cli_fail(EX_USAGE, "no number", last);
	in.account = slice_z(account);
	in.since_us = since == NULL ? 0 : clock_wall_us() - cli_duration(since);
	client = cli_connect(c, "ledger");
	if (since == NULL && session == NULL) { /* where the last ones begin */
		in.newest = true;
		in.most = (uint32_t)most;
	}
	while (page(c, client, &in, &p))
		in.newest = false;
	in.newest = false;
	while (follow) {
		struct timespec t = { .tv_nsec = 200000000 };

		(void)fflush(stdout);
		while (page(c, client, &in, &p))
			;
		(void)nanosleep(&t, NULL);
	}
	ipc_client_free(&client);
	return EX_OK;
}

int
cmd_explain(struct cli *c)
{
	struct cli_ledger_query in = { .most = 1000 };
	struct printed p = { .relative = !c->json };
	struct ipc_client *client;

	if (!cli_args(c, 1, "explain ID"))
		return EX_USAGE;
	if (!session_parse(slice_z(c->argv[0]), &in.session))
		return cli_fail(EX_DATAERR, c->argv[0], "no session or queue id");
	client = cli_connect(c, "ledger");
	while (page(c, client, &in, &p))
		;
	ipc_client_free(&client);
	return p.n > 0 ? EX_OK : cli_fail(EX_DATAERR, c->argv[0], "no event of it in the log");
}
