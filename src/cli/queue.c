/* SPDX-License-Identifier: MIT
 * The queue: list and show, what can be done to its messages, and hold rules. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "ipc/cli_auth.h"
#include "ipc/cli_queue.h"
#include "lib/make/dsn/words.h"

#define FILTERS "[--sender ADDRESS] [--recipient ADDRESS] [--domain DOMAIN] [--account ADDRESS] [--older TIME] " \
		"[--younger TIME] [--reason TEXT] [--state active|deferred|held]"

/* ---- filters ------------------------------------------------------------------------------------ */

/* The number of an account's address; exits when there is none. */
static uint32_t
account_number(struct cli *c, const char *address)
{
	struct cli_auth_account_list in = { 0 };
	struct cli_auth_account_list_answer out = { .more = true };
	struct ipc_client *client;
	uint32_t id = 0;

	if (slice_u32(slice_z(address), &id))
		return id;
	client = cli_connect(c, "auth");
	while (id == 0 && out.more) {
		enum ipc_status st = cli_auth_account_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_AUTH_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_accounts; i++) {
			if (slice_ieq(out.accounts[i].address, slice_z(address)))
				id = out.accounts[i].id;
			in.after = out.accounts[i].address;
		}
		out.more = out.more && out.n_accounts > 0;
	}
	ipc_client_free(&client);
	return id;
}

static bool
age(struct cli *c, const char *option, uint64_t *to)
{
	const char *text = NULL;
	int64_t us;

	if (!cli_option(c, option, &text))
		return true;
	us = cli_duration(text);
	if (us <= 0)
		return cli_fail(EX_USAGE, "no duration (90s, 15m, 2h, 7d)", text), false;
	*to = (uint64_t)us / 1000000;
	return true;
}

/* Takes the filters out of the arguments; *any says whether there was one. False after saying why. */
static bool
filters(struct cli *c, struct cli_queue_filter *f, bool *any)
{
	const char *sender = NULL, *recipient = NULL, *domain = NULL, *account = NULL, *reason = NULL, *state = NULL;
	int before = c->argc;

	(void)cli_option(c, "--sender", &sender);
	(void)cli_option(c, "--recipient", &recipient);
	(void)cli_option(c, "--domain", &domain);
	(void)cli_option(c, "--account", &account);
	(void)cli_option(c, "--reason", &reason);
	(void)cli_option(c, "--state", &state);
	*f = (struct cli_queue_filter){ .sender = slice_z(sender), .recipient = slice_z(recipient),
		.domain = slice_z(domain), .reason = slice_z(reason) };
	if (!age(c, "--older", &f->older) || !age(c, "--younger", &f->younger))
		return false;
	for (unsigned i = 0; state != NULL && f->state == CLI_QUEUE_WHICH_ANY; i++) {
		if (i > CLI_QUEUE_WHICH_HELD)
			return cli_fail(EX_USAGE, "no such state (active, deferred, held)", state), false;
		if (strcmp(cli_queue_which_name((enum cli_queue_which)i), state) == 0)
			f->state = (enum cli_queue_which)i;
	}
	if (account != NULL && (f->account = account_number(c, account)) == 0)
		return cli_fail(EX_DATAERR, account, "no such account"), false;
	*any = c->argc != before;
	return true;
}

/* ---- list and show ------------------------------------------------------------------------------ */

static json_t *
message_row(const struct cli_queue_message *m)
{
	json_t *row = json_object();

	row_set(row, "id", json_of(m->queue_id));
	row_set(row, "received", json_time(m->received_us));
	row_set(row, "size", json_integer((json_int_t)m->size));
	row_set(row, "from", m->sender.n == 0 ? json_string("<>") : json_of(m->sender));
	row_set(row, "account", json_integer(m->account));
	row_set(row, "recipients", json_integer(m->rcpts));
	row_set(row, "to", json_of(m->rcpt));
	row_set(row, "state", json_string(cli_queue_state_name(m->state)));
	row_set(row, "next", m->state == CLI_QUEUE_STATE_HELD ? json_null() : json_time(m->next_us));
	row_set(row, "reason", json_of(m->reason));
	return row;
}

int
cmd_queue_list(struct cli *c)
{
	static const char *const columns[] = { "id", "received", "size", "from", "to", "recipients", "state", "reason", NULL };
	struct cli_queue_filter f;
	struct cli_queue_list in = { .filters = &f, .n_filters = 1 };
	struct cli_queue_list_answer out = { .more = true };
	struct ipc_client *client;
	json_t *rows, *last = NULL;
	bool any;

	if (!filters(c, &f, &any) || !cli_args(c, 0, "queue list " FILTERS))
		return EX_USAGE;
	client = cli_connect(c, "queue");
	rows = json_array();
	while (out.more) {
		enum ipc_status st = cli_queue_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_QUEUE_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_messages; i++) {
			json_t *row = message_row(&out.messages[i]);
			json_t *id = json_object_get(row, "id");

			if (last != NULL && json_equal(json_object_get(last, "id"), id)) { /* a page ended in its recipients */
				row_set(last, "recipients", json_integer(json_integer_value(json_object_get(last,
				    "recipients")) + out.messages[i].rcpts));
				json_decref(row);
				continue;
			}
			(void)json_array_append_new(rows, row);
			last = row;
		}
		in.after = out.after;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}

/* "5.1.1 no such user (mx.example)" -> what that means. */
static struct slice
words_of(struct slice reason)
{
	struct slice status = S(""), rest;

	(void)slice_cut(reason, ' ', &status, &rest);
	return status.n >= 5 && slice_find_byte(S("245"), slice_at(status, 0)) != SLICE_NONE ? dsn_words(status, 0) : S("");
}

static json_t *
rcpt_row(const struct cli_queue_rcpt *r)
{
	json_t *row = json_object();

	row_set(row, "recipient", json_of(r->address));
	row_set(row, "state", json_string(cli_queue_state_name(r->state)));
	row_set(row, "attempts", json_integer(r->attempts));
	row_set(row, "next", json_time(r->next_us));
	row_set(row, "reason", json_of(r->reason));
	row_set(row, "means", json_of(words_of(r->reason)));
	return row;
}

int
cmd_queue_show(struct cli *c)
{
	static const char *const columns[] = { "recipient", "state", "attempts", "next", "means", "reason", NULL };
	struct cli_queue_show in = { 0 };
	struct cli_queue_show_answer out = { .more = true };
	struct ipc_client *client;
	json_t *rows;

	if (!cli_args(c, 1, "queue show ID"))
		return EX_USAGE;
	client = cli_connect(c, "queue");
	rows = json_array();
	in.queue_id = slice_z(c->argv[0]);
	while (out.more) {
		enum ipc_status st = cli_queue_show(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK)
			cli_no_answer(st);
		if (out.status != CLI_QUEUE_RESULT_OK)
			return cli_fail(EX_DATAERR, c->argv[0], "not in the queue; \"postern explain\" may know more");
		for (size_t i = 0; i < out.n_rcpts; i++)
			(void)json_array_append_new(rows, rcpt_row(&out.rcpts[i]));
		in.after_rcpt += (uint32_t)out.n_rcpts;
		out.more = out.more && out.n_rcpts > 0;
	}
	ipc_client_free(&client);
	if (!c->json && out.n_message == 1)
		(void)printf("%.*s from <%.*s>, %llu bytes\n", SFMT(out.message->queue_id), SFMT(out.message->sender),
		    (unsigned long long)out.message->size);
	table_print(c, rows, columns);
	return EX_OK;
}

/* ---- changes ------------------------------------------------------------------------------------ */

/* All pages of one change; the number of deliveries. */
static uint64_t
change_all(struct cli *c, struct ipc_client *client, struct cli_queue_change *in)
{
	struct cli_queue_change_answer out = { .more = true };
	uint64_t n = 0;

	in->after = 0;
	while (out.more) {
		enum ipc_status st = cli_queue_change(client, in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status == CLI_QUEUE_RESULT_FAILED)
			cli_no_answer(st);
		n += out.deliveries;
		in->after = out.after;
	}
	return n;
}

static int
change(struct cli *c, enum cli_queue_action action, const char *usage)
{
	bool yes = cli_option(c, "--yes", NULL), any;
	struct cli_queue_filter f;
	struct cli_queue_change in = { .action = action, .filters = &f, .n_filters = 1 };
	struct ipc_client *client;
	uint64_t n;

	if (!filters(c, &f, &any))
		return EX_USAGE;
	if (c->argc == 1)
		f.queue_id = slice_z(c->argv[0]);
	else if (!any || c->argc != 0)
		return fprintf(stderr, "usage: postern %s\n", usage), EX_USAGE;
	client = cli_connect(c, "queue");
	in.count = c->argc == 0 && !yes;
	n = change_all(c, client, &in);
	ipc_client_free(&client);
	if (in.count) {
		(void)printf("%llu recipients match; nothing was done. With --yes it is.\n", (unsigned long long)n);
		return EX_OK;
	}
	if (n == 0)
		return cli_fail(EX_DATAERR, c->argc == 1 ? c->argv[0] : "nothing",
		    c->argc == 1 ? "not in the queue, or not in a state for that" : "matches");
	if (!c->quiet)
		(void)printf("%llu recipients\n", (unsigned long long)n);
	return EX_OK;
}

#define USAGE(verb) "queue " verb " ID | " FILTERS " [--yes]"

int cmd_queue_hold(struct cli *c) { return change(c, CLI_QUEUE_ACTION_HOLD, USAGE("hold")); }
int cmd_queue_release(struct cli *c) { return change(c, CLI_QUEUE_ACTION_RELEASE, USAGE("release")); }
int cmd_queue_retry(struct cli *c) { return change(c, CLI_QUEUE_ACTION_RETRY, USAGE("retry")); }
int cmd_queue_fail(struct cli *c) { return change(c, CLI_QUEUE_ACTION_FAIL, USAGE("fail")); }
int cmd_queue_drop(struct cli *c) { return change(c, CLI_QUEUE_ACTION_DROP, USAGE("drop")); }

/* ---- hold rules --------------------------------------------------------------------------------- */

static int
rule_add(struct cli *c)
{
	static const char *const options[] = { "--sender", "--recipient", "--domain", "--account" };
	const char *value = NULL, *reason = NULL;
	struct cli_queue_rule_add in = { 0 };
	struct cli_queue_rule_add_answer out = { 0 };
	struct ipc_client *client;
	enum ipc_status st;
	char text[300];
	size_t i = 0;

	(void)cli_option(c, "--reason", &reason);
	while (i < 4 && !cli_option(c, options[i], &value))
		i++;
	if (i == 4 || c->argc != 0)
		return fprintf(stderr, "usage: postern queue hold-rule add --sender ADDRESS | --recipient ADDRESS | --domain DOMAIN "
			       "| --account ADDRESS [--reason TEXT]\n"), EX_USAGE;
	in.kind = i == 0 ? CLI_QUEUE_RULE_KIND_SENDER : i == 3 ? CLI_QUEUE_RULE_KIND_ACCOUNT : CLI_QUEUE_RULE_KIND_RECIPIENT;
	(void)snprintf(text, sizeof text, "%s%s", i == 2 ? "@" : "", value);
	if (i == 3 && snprintf(text, sizeof text, "%u", account_number(c, value)) == 1 && text[0] == '0')
		return cli_fail(EX_DATAERR, value, "no such account");
	in.pattern = slice_z(text);
	in.reason = slice_z(reason);
	client = cli_connect(c, "queue");
	st = cli_queue_rule_add(client, &in, cli_deadline(), c->arena, &out);
	ipc_client_free(&client);
	if (st != IPC_OK || out.status == CLI_QUEUE_RESULT_FAILED)
		cli_no_answer(st);
	if (out.status != CLI_QUEUE_RESULT_OK)
		return cli_fail(EX_CANTCREAT, text, "there is no room for more rules");
	if (!c->quiet)
		(void)printf("rule %llu\n", (unsigned long long)out.id);
	return EX_OK;
}

static int
rule_list(struct cli *c)
{
	static const char *const columns[] = { "rule", "kind", "pattern", "reason", NULL };
	struct cli_queue_rule_list in = { 0 };
	struct cli_queue_rule_list_answer out = { .more = true };
	struct ipc_client *client = cli_connect(c, "queue");
	json_t *rows = json_array();

	while (out.more) {
		enum ipc_status st = cli_queue_rule_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_QUEUE_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_rules; i++) {
			json_t *row = json_object();

			row_set(row, "rule", json_integer((json_int_t)out.rules[i].id));
			row_set(row, "kind", json_string(cli_queue_rule_kind_name(out.rules[i].kind)));
			row_set(row, "pattern", json_of(out.rules[i].pattern));
			row_set(row, "reason", json_of(out.rules[i].reason));
			(void)json_array_append_new(rows, row);
			in.after = out.rules[i].id;
		}
		out.more = out.more && out.n_rules > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}

static int
rule_delete(struct cli *c)
{
	struct cli_queue_rule_delete in = { 0 };
	struct cli_queue_rule_delete_answer out = { 0 };
	struct ipc_client *client;
	enum ipc_status st;

	if (!cli_args(c, 1, "queue hold-rule delete RULE"))
		return EX_USAGE;
	if (!slice_u64(slice_z(c->argv[0]), &in.id))
		return cli_fail(EX_USAGE, "no number of a rule", c->argv[0]);
	client = cli_connect(c, "queue");
	st = cli_queue_rule_delete(client, &in, cli_deadline(), c->arena, &out);
	ipc_client_free(&client);
	if (st != IPC_OK || out.status == CLI_QUEUE_RESULT_FAILED)
		cli_no_answer(st);
	return out.status == CLI_QUEUE_RESULT_OK ? EX_OK : cli_fail(EX_DATAERR, c->argv[0], "no such rule");
}

int
cmd_queue_hold_rule(struct cli *c)
{
	static const struct {
		const char *verb;
		int (*run)(struct cli *c);
	} verbs[] = { { "add", rule_add }, { "list", rule_list }, { "delete", rule_delete } };

	for (size_t i = 0; c->argc > 0 && i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(c->argv[0], verbs[i].verb) == 0) {
			c->argc--;
			for (int k = 0; k < c->argc; k++)
				c->argv[k] = c->argv[k + 1];
			return verbs[i].run(c);
		}
	return fprintf(stderr, "usage: postern queue hold-rule add ... | list | delete RULE\n"), EX_USAGE;
}
