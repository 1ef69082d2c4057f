/* SPDX-License-Identifier: MIT
 * DKIM keys: which there are, and the steps that a person takes. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "lib/make/dkim/sign.h"

int
dkim_answered(enum ipc_status st, enum cli_keys_result result, struct slice text, const char *subject)
{
	static const int statuses[] = { EX_OK, EX_NOUSER, EX_CANTCREAT, EX_DATAERR, EX_CANTCREAT, EX_TEMPFAIL };

	if (st != IPC_OK)
		cli_no_answer(st);
	if (result != CLI_KEYS_RESULT_OK)
		(void)fprintf(stderr, "postern: %s: %.*s\n", subject, SFMT(text));
	return statuses[result];
}

void
dkim_each(struct cli *c, struct slice domain, void (*fn)(void *ctx, const struct cli_keys_key *k), void *ctx)
{
	struct ipc_client *client = cli_connect(c, "keys");
	struct cli_keys_list in = { .domain = domain };
	struct cli_keys_list_answer out = { .more = true };

	while (out.more) {
		enum ipc_status st = cli_keys_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_keys; i++) {
			fn(ctx, &out.keys[i]);
			in.after = out.keys[i].domain;
			in.after_selector = out.keys[i].selector;
		}
		out.more = out.more && out.n_keys > 0;
	}
	ipc_client_free(&client);
}

/* What the owner has to do about a key, or when it goes on by itself. */
static const char *
what_next(const struct cli_keys_key *k)
{
	switch (k->state) {
	case CLI_KEYS_STATE_NEXT:
		return k->seen_us == 0 ? "publish its record" : "is switched to a day after it was seen";
	case CLI_KEYS_STATE_ACTIVE:
		return "signs";
	case CLI_KEYS_STATE_RETIRING:
		return "leave its record until it is revoked";
	case CLI_KEYS_STATE_REVOKED:
		return "publish its record with an empty p=";
	case CLI_KEYS_STATE_REMOVED:
		break;
	}
	return "";
}

static void
add_row(void *ctx, const struct cli_keys_key *k)
{
	json_t *row = json_object();

	row_set(row, "domain", json_of(k->domain));
	row_set(row, "selector", json_of(k->selector));
	row_set(row, "algorithm", json_string(cli_keys_algorithm_name(k->algorithm)));
	row_set(row, "state", json_string(cli_keys_state_name(k->state)));
	row_set(row, "created", json_time(k->created_us));
	row_set(row, "seen", json_time(k->seen_us));
	row_set(row, "activated", json_time(k->activated_us));
	row_set(row, "retired", json_time(k->retired_us));
	row_set(row, "revoked", json_time(k->revoked_us));
	row_set(row, "next", json_string(what_next(k)));
	(void)json_array_append_new(ctx, row);
}

int
cmd_dkim_list(struct cli *c)
{
	static const char *const columns[] = { "domain", "selector", "algorithm", "state", "created", "next", NULL };
	json_t *rows = json_array();

	if (!cli_args(c, 0, "dkim list"))
		return EX_USAGE;
	dkim_each(c, S(""), add_row, rows);
	table_print(c, rows, columns);
	return EX_OK;
}

/* One record in zone-file form, with what is to be done as a comment. */
static void
print_record(void *ctx, const struct cli_keys_key *k)
{
	own(buf_t) text = { .max = 8192 };
	size_t *n = ctx;

	(*n)++;
	(void)buf_fmt(&text, "; %s key, %s: %s\n%.*s._domainkey.%.*s. 3600 IN TXT ", cli_keys_algorithm_name(k->algorithm),
	    cli_keys_state_name(k->state), what_next(k), SFMT(k->selector), SFMT(k->domain));
	(void)dkim_record_zone(&text, k->algorithm == CLI_KEYS_ALGORITHM_RSA ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256,
	    k->public);
	(void)buf_byte(&text, '\n');
	(void)fwrite(text.p, 1, text.n, stdout);
}

int
cmd_dkim_show(struct cli *c)
{
	static const char *const columns[] = { "domain", "selector", "algorithm", "state", "created", "seen", "activated",
		"retired", "revoked", "next", NULL };
	json_t *rows = json_array();
	size_t n = 0;

	if (!cli_args(c, 1, "dkim show DOMAIN"))
		return EX_USAGE;
	if (c->json) {
		dkim_each(c, slice_z(c->argv[0]), add_row, rows);
		n = json_array_size(rows);
		table_print(c, rows, columns);
	} else {
		json_decref(rows);
		dkim_each(c, slice_z(c->argv[0]), print_record, &n);
	}
	return n > 0 ? EX_OK : cli_fail(EX_NOUSER, "no DKIM keys; \"postern dkim rotate\" makes them", c->argv[0]);
}

int
dkim_generate_keys(struct cli *c, const char *domain)
{
	struct ipc_client *client = cli_connect(c, "keys");
	struct cli_keys_generate in = { .domain = slice_z(domain) };
	struct cli_keys_generate_answer out = { .status = CLI_KEYS_RESULT_FAILED };
	enum ipc_status st = cli_keys_generate(client, &in, cli_deadline(), c->arena, &out);

	ipc_client_free(&client);
	return dkim_answered(st, out.status, out.text, domain);
}

int
dkim_retire_keys(struct cli *c, const char *domain)
{
	struct ipc_client *client = cli_connect(c, "keys");
	struct cli_keys_retire in = { .domain = slice_z(domain) };
	struct cli_keys_retire_answer out = { .status = CLI_KEYS_RESULT_FAILED };
	enum ipc_status st = cli_keys_retire(client, &in, cli_deadline(), c->arena, &out);

	ipc_client_free(&client);
	/* a domain that never had keys has nothing to retire */
	if (st == IPC_OK && (out.status == CLI_KEYS_RESULT_NONE || out.status == CLI_KEYS_RESULT_INVALID))
		return EX_OK;
	return dkim_answered(st, out.status, out.text, domain);
}

int
cmd_dkim_rotate(struct cli *c)
{
	size_t n = 0;
	int st;

	if (!cli_args(c, 1, "dkim rotate DOMAIN"))
		return EX_USAGE;
	st = dkim_generate_keys(c, c->argv[0]);
	if (st == EX_OK && !c->quiet)
		dkim_each(c, slice_z(c->argv[0]), print_record, &n);
	return st;
}

int
cmd_dkim_activate(struct cli *c)
{
	struct ipc_client *client;
	struct cli_keys_activate in;
	struct cli_keys_activate_answer out = { .status = CLI_KEYS_RESULT_FAILED };
	enum ipc_status st;

	if (!cli_args(c, 2, "dkim activate DOMAIN SELECTOR"))
		return EX_USAGE;
	client = cli_connect(c, "keys");
	in = (struct cli_keys_activate){ .domain = slice_z(c->argv[0]), .selector = slice_z(c->argv[1]) };
	st = cli_keys_activate(client, &in, cli_deadline(), c->arena, &out);
	ipc_client_free(&client);
	return dkim_answered(st, out.status, out.text, c->argv[1]);
}

int
cmd_dkim_revoke(struct cli *c)
{
	struct ipc_client *client;
	struct cli_keys_revoke in;
	struct cli_keys_revoke_answer out = { .status = CLI_KEYS_RESULT_FAILED };
	enum ipc_status st;

	if (!cli_args(c, 2, "dkim revoke DOMAIN SELECTOR"))
		return EX_USAGE;
	client = cli_connect(c, "keys");
	in = (struct cli_keys_revoke){ .domain = slice_z(c->argv[0]), .selector = slice_z(c->argv[1]) };
	st = cli_keys_revoke(client, &in, cli_deadline(), c->arena, &out);
	ipc_client_free(&client);
	return dkim_answered(st, out.status, out.text, c->argv[1]);
}
