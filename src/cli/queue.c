/* SPDX-License-Identifier: MIT
 * The queue. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "ipc/cli_queue.h"

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
	return row;
}

int
cmd_queue_list(struct cli *c)
{
	static const char *const columns[] = { "id", "received", "size", "from", "recipients", NULL };
	struct cli_queue_list in = { 0 };
	struct cli_queue_list_answer out = { .more = true };
	struct ipc_client *client = cli_connect(c, "queue");
	json_t *rows = json_array();

	while (out.more) {
		enum ipc_status st = cli_queue_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_QUEUE_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_messages; i++) {
			(void)json_array_append_new(rows, message_row(&out.messages[i]));
			in.after = out.messages[i].id;
		}
		out.more = out.more && out.n_messages > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}

int
cmd_queue_show(struct cli *c)
{
	static const char *const columns[] = { "recipient", "state", "attempts", "next", "reason", NULL };
	struct cli_queue_show in = { 0 };
	struct cli_queue_show_answer out = { .more = true };
	struct ipc_client *client;
	json_t *rows = json_array();

	if (!cli_args(c, 1, "queue show ID"))
		return EX_USAGE;
	client = cli_connect(c, "queue");
	in.queue_id = slice_z(c->argv[0]);
	while (out.more) {
		enum ipc_status st = cli_queue_show(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK)
			cli_no_answer(st);
		if (out.status != CLI_QUEUE_RESULT_OK)
			return cli_fail(EX_DATAERR, c->argv[0], "not in the queue; \"postern explain\" may know more");
		for (size_t i = 0; i < out.n_rcpts; i++) {
			const struct cli_queue_rcpt *r = &out.rcpts[i];
			json_t *row = json_object();

			row_set(row, "recipient", json_of(r->address));
			row_set(row, "state", json_string(cli_queue_state_name(r->state)));
			row_set(row, "attempts", json_integer(r->attempts));
			row_set(row, "next", json_time(r->next_us));
			row_set(row, "reason", json_of(r->reason));
			(void)json_array_append_new(rows, row);
		}
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
