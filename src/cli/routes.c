/* SPDX-License-Identifier: MIT
 * The ways of mail: what domains do with their addresses, lists, who may write as whom, and how much. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "ipc/cli_auth.h"

#define LEAVE (-2)
#define UNSET (-1)

/* An argument that may be "none". */
static struct slice
or_none(const char *text)
{
	return strcmp(text, "none") == 0 ? S("") : slice_z(text);
}

int
cmd_domain_alias(struct cli *c)
{
	struct cli_auth_domain_alias in = { 0 };
	struct cli_auth_domain_alias_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 2, "domain alias DOMAIN TARGET|none"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.name = slice_z(c->argv[0]);
	in.target = or_none(c->argv[1]);
	sent = cli_auth_domain_alias(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

int
cmd_domain_separator(struct cli *c)
{
	struct cli_auth_domain_separator in = { 0 };
	struct cli_auth_domain_separator_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 2, "domain separator DOMAIN|all CHARACTER|none|default"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.name = strcmp(c->argv[0], "all") == 0 ? S("") : slice_z(c->argv[0]);
	in.own = strcmp(c->argv[1], "default") != 0;
	in.separator = in.own ? or_none(c->argv[1]) : S("");
	sent = cli_auth_domain_separator(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

int
cmd_domain_catch_all(struct cli *c)
{
	struct cli_auth_domain_catch_all in = { 0 };
	struct cli_auth_domain_catch_all_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 2, "domain catch-all DOMAIN ADDRESS|none"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.name = slice_z(c->argv[0]);
	in.target = or_none(c->argv[1]);
	sent = cli_auth_domain_catch_all(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

/* ---- lists ------------------------------------------------------------------------------------- */

static bool
writers_of(const char *text, enum cli_auth_writers *out)
{
	static const char *const words[] = { "anyone", "members", "owners" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(words[i], text) == 0)
			return *out = (enum cli_auth_writers)i, true;
	return false;
}

int
cmd_list_add(struct cli *c)
{
	const char *usage = "list add ADDRESS [--owner ADDRESS] [--write anyone|members|owners]";
	struct cli_auth_list_add in = { .writers = CLI_AUTH_WRITERS_MEMBERS };
	struct cli_auth_list_add_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	const char *owner = "", *write = "members";
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	(void)cli_option(c, "--owner", &owner);
	(void)cli_option(c, "--write", &write);
	if (!cli_args(c, 1, usage))
		return EX_USAGE;
	if (!writers_of(write, &in.writers))
		return cli_fail(EX_USAGE, "who may write is anyone, members or owners", write);
	client = cli_connect(c, "auth");
	in.address = slice_z(c->argv[0]);
	in.owner = slice_z(owner);
	sent = cli_auth_list_add(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

int
cmd_list_delete(struct cli *c)
{
	struct cli_auth_list_delete in = { 0 };
	struct cli_auth_list_delete_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 1, "list delete ADDRESS"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.address = slice_z(c->argv[0]);
	sent = cli_auth_list_delete(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

int
cmd_list_list(struct cli *c)
{
	static const char *const columns[] = { "address", "owner", "write", NULL };
	struct cli_auth_list_list in = { 0 };
	struct cli_auth_list_list_answer out = { .more = true };
	struct ipc_client *client = cli_connect(c, "auth");
	json_t *rows = json_array();

	while (out.more) {
		enum ipc_status st = cli_auth_list_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_AUTH_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_lists; i++) {
			json_t *row = json_object();

			row_set(row, "address", json_of(out.lists[i].address));
			row_set(row, "owner", json_of(out.lists[i].owner));
			row_set(row, "write", json_string(cli_auth_writers_name(out.lists[i].writers)));
			(void)json_array_append_new(rows, row);
			in.after = out.lists[i].address;
		}
		out.more = out.more && out.n_lists > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}

/* ---- who may write as whom --------------------------------------------------------------------- */

static int
grant(struct cli *c, bool on)
{
	struct cli_auth_sender_grant in = { .grant = on };
	struct cli_auth_sender_grant_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 2, on ? "sender grant ACCOUNT ADDRESS|@DOMAIN" : "sender revoke ACCOUNT ADDRESS|@DOMAIN"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.account = slice_z(c->argv[0]);
	in.address = slice_z(c->argv[1]);
	sent = cli_auth_sender_grant(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

int cmd_sender_grant(struct cli *c) { return grant(c, true); }
int cmd_sender_revoke(struct cli *c) { return grant(c, false); }

int
cmd_sender_list(struct cli *c)
{
	static const char *const columns[] = { "account", "address", NULL };
	struct cli_auth_sender_list in = { 0 };
	struct cli_auth_sender_list_answer out = { .more = true };
	struct ipc_client *client = cli_connect(c, "auth");
	json_t *rows = json_array();

	while (out.more) {
		enum ipc_status st = cli_auth_sender_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_AUTH_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_senders; i++) {
			json_t *row = json_object();

			row_set(row, "account", json_of(out.senders[i].account));
			row_set(row, "address", json_of(out.senders[i].address));
			(void)json_array_append_new(rows, row);
			in.after = out.senders[i].account;
			in.after_address = out.senders[i].address;
		}
		out.more = out.more && out.n_senders > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}

/* ---- limits ------------------------------------------------------------------------------------ */

/* A number, "default" for none of its own; false on anything else. */
static bool
limit_option(struct cli *c, const char *name, int64_t *out)
{
	const char *text;
	uint32_t n = 0;

	*out = LEAVE;
	if (!cli_option(c, name, &text))
		return true;
	if (strcmp(text, "default") == 0)
		return *out = UNSET, true;
	if (!slice_u32(slice_z(text), &n))
		return false;
	*out = n;
	return true;
}

int
cmd_account_limit(struct cli *c)
{
	struct cli_auth_limits_set in = { 0 };
	struct cli_auth_limits_set_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!limit_option(c, "--recipients", &in.rcpts) || !limit_option(c, "--messages", &in.messages) ||
	    !limit_option(c, "--inbound", &in.inbound))
		return cli_fail(EX_USAGE, "a limit is a number, 0 for none, or \"default\"", "");
	if (!cli_args(c, 1, "account limit ACCOUNT|DOMAIN|default [--recipients N] [--messages N] [--inbound N]"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.subject = strcmp(c->argv[0], "default") == 0 ? S("") : slice_z(c->argv[0]);
	sent = cli_auth_limits_set(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

int
cmd_account_limits(struct cli *c)
{
	static const char *const columns[] = { "subject", "recipients/hour", "messages/day", "inbound/hour", NULL };
	struct cli_auth_limits_list in = { 0 };
	struct cli_auth_limits_list_answer out = { .more = true };
	struct ipc_client *client = cli_connect(c, "auth");
	json_t *rows = json_array();

	while (out.more) {
		enum ipc_status st = cli_auth_limits_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_AUTH_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_limits; i++) {
			const struct cli_auth_limits *l = &out.limits[i];
			json_t *row = json_object();

			row_set(row, "subject", json_of(l->subject.n == 0 ? S("default") : l->subject));
			row_set(row, "recipients/hour", l->rcpts < 0 ? json_null() : json_integer(l->rcpts));
			row_set(row, "messages/day", l->messages < 0 ? json_null() : json_integer(l->messages));
			row_set(row, "inbound/hour", l->inbound < 0 ? json_null() : json_integer(l->inbound));
			(void)json_array_append_new(rows, row);
			in.after = l->subject;
			in.more = true;
		}
		out.more = out.more && out.n_limits > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}
