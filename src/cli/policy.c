/* SPDX-License-Identifier: MIT
 * What is done with mail whose From domain is not authenticated, by domain of the sender. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "ipc/cli_auth.h"

static int
set(struct cli *c, enum cli_auth_policy policy)
{
	struct cli_auth_policy_set in = { .domain = slice_z(c->argv[0]), .policy = policy };
	struct cli_auth_policy_set_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client = cli_connect(c, "auth");
	enum ipc_status sent = cli_auth_policy_set(client, &in, cli_deadline(), c->arena, &out);
	int st = cli_answered(sent, out.status, out.text, c->argv[0]);

	ipc_client_free(&client);
	return st;
}

int
cmd_policy_set(struct cli *c)
{
	if (!cli_args(c, 2, "policy set DOMAIN accept|quarantine|reject"))
		return EX_USAGE;
	for (int p = CLI_AUTH_POLICY_ACCEPT; p <= CLI_AUTH_POLICY_REJECT; p++)
		if (slice_eq(slice_z(c->argv[1]), slice_z(cli_auth_policy_name((enum cli_auth_policy)p))))
			return set(c, (enum cli_auth_policy)p);
	return cli_fail(EX_USAGE, "a rule is accept, quarantine or reject", c->argv[1]);
}

int
cmd_policy_delete(struct cli *c)
{
	return cli_args(c, 1, "policy delete DOMAIN") ? set(c, CLI_AUTH_POLICY_UNSAID) : EX_USAGE;
}

int
cmd_policy_list(struct cli *c)
{
	static const char *const columns[] = { "domain", "policy", NULL };
	struct cli_auth_policy_list in = { 0 };
	struct cli_auth_policy_list_answer out = { .more = true };
	struct ipc_client *client = cli_connect(c, "auth");
	json_t *rows = json_array();

	while (out.more) {
		enum ipc_status st = cli_auth_policy_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_AUTH_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_rules; i++) {
			json_t *row = json_object();

			row_set(row, "domain", json_of(out.rules[i].domain));
			row_set(row, "policy", json_string(cli_auth_policy_name(out.rules[i].policy)));
			(void)json_array_append_new(rows, row);
			in.after = out.rules[i].domain;
		}
		out.more = out.more && out.n_rules > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}
