/* SPDX-License-Identifier: MIT
 * Local programs: who may send as what, whom they may write to by number, and their templates. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "ipc/cli_drop.h"
#include "lib/base/cursor.h"

#define USERS 50u /* of one request */

_Static_assert((int)CLI_DROP_RESULT_FAILED == 5, "the numbering that cli_answered() knows");

/* A number, or the name of a user of this machine, or "any". */
static bool
uid_of(const char *text, uint32_t *uid)
{
	const struct passwd *p;

	if (strcmp(text, "any") == 0)
		return *uid = UINT32_MAX, true;
	if (slice_u32(slice_z(text), uid))
		return true;
	p = getpwnam(text);
	if (p != NULL)
		*uid = p->pw_uid;
	return p != NULL;
}

static bool
count_option(struct cli *c, const char *name, uint32_t *n)
{
	const char *text;

	return !cli_option(c, name, &text) || slice_u32(slice_z(text), n);
}

int
cmd_app_add(struct cli *c)
{
	const char *usage = "app add NAME --uid UID|USER|any --from ADDRESS... [--per-hour N] [--per-recipient N]";
	struct cli_drop_app_set in = { .per_hour = 100, .per_recipient = 10 };
	struct cli_drop_app_set_answer out = { .status = CLI_DROP_RESULT_FAILED };
	const char *uid = NULL, *from;
	own(buf_t) senders = { .max = 1000 };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	while (cli_option(c, "--from", &from))
		if ((senders.n > 0 && !buf_byte(&senders, ' ')) || !buf_add(&senders, slice_z(from)))
			return cli_fail(EX_DATAERR, "too many addresses", from);
	if (!count_option(c, "--per-hour", &in.per_hour) || !count_option(c, "--per-recipient", &in.per_recipient))
		return cli_fail(EX_USAGE, "a limit is a number, 0 for none", "");
	if (!cli_option(c, "--uid", &uid) || senders.n == 0 || c->argc != 1)
		return cli_fail(EX_USAGE, "usage: postern", usage);
	if (!uid_of(uid, &in.uid))
		return cli_fail(EX_NOUSER, "no such user of this machine", uid);
	client = cli_connect(c, "drop");
	in.name = slice_z(c->argv[0]);
	in.senders = buf_slice(&senders);
	sent = cli_drop_app_set(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

int
cmd_app_delete(struct cli *c)
{
	struct cli_drop_app_delete in = { 0 };
	struct cli_drop_app_delete_answer out = { .status = CLI_DROP_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 1, "app delete NAME"))
		return EX_USAGE;
	client = cli_connect(c, "drop");
	in.name = slice_z(c->argv[0]);
	sent = cli_drop_app_delete(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

int
cmd_app_token(struct cli *c)
{
	struct cli_drop_app_token in = { .revoke = cli_option(c, "--revoke", NULL) };
	struct cli_drop_app_token_answer out = { .status = CLI_DROP_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 1, "app token NAME [--revoke]"))
		return EX_USAGE;
	client = cli_connect(c, "drop");
	in.name = slice_z(c->argv[0]);
	sent = cli_drop_app_token(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, S("no such program"), c->argv[0]);
	if (st == EX_OK && out.token.n > 0)
		(void)printf("%.*s\n", SFMT(out.token));
	ipc_client_free(&client);
	return st;
}

int
cmd_app_list(struct cli *c)
{
	static const char *const columns[] = { "name", "uid", "from", "per hour", "per recipient", NULL };
	struct cli_drop_app_list in = { 0 };
	struct cli_drop_app_list_answer out = { .more = true };
	struct ipc_client *client = cli_connect(c, "drop");
	json_t *rows = json_array();

	while (out.more) {
		enum ipc_status st = cli_drop_app_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_DROP_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_apps; i++) {
			const struct cli_drop_app *a = &out.apps[i];
			json_t *row = json_object();

			row_set(row, "name", json_of(a->name));
			row_set(row, "uid", a->uid == UINT32_MAX ? json_string("any") : json_integer(a->uid));
			row_set(row, "from", json_of(a->senders));
			row_set(row, "per hour", json_integer(a->per_hour));
			row_set(row, "per recipient", json_integer(a->per_recipient));
			(void)json_array_append_new(rows, row);
			in.after = a->name;
		}
		out.more = out.more && out.n_apps > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}

/* ---- the people that a program writes to ------------------------------------------------------- */

static int
set_users(struct cli *c, struct ipc_client *client, struct slice app, struct cli_drop_user *users, size_t n)
{
	struct cli_drop_user_set in = { .app = app, .users = users, .n_users = n };
	struct cli_drop_user_set_answer out = { .status = CLI_DROP_RESULT_FAILED };
	enum ipc_status sent = cli_drop_user_set(client, &in, cli_deadline(), c->arena, &out);

	return cli_answered(sent, out.status, out.text, c->argv[0]);
}

int
cmd_app_user_set(struct cli *c)
{
	struct cli_drop_user one;
	struct ipc_client *client;
	int st;

	if (!cli_args(c, 3, "app-user set APP ID ADDRESS"))
		return EX_USAGE;
	one = (struct cli_drop_user){ slice_z(c->argv[1]), slice_z(c->argv[2]) };
	client = cli_connect(c, "drop");
	st = set_users(c, client, slice_z(c->argv[0]), &one, 1);
	ipc_client_free(&client);
	return st;
}

/* "ID ADDRESS", or "ID,ADDRESS", one a line; empty lines and lines that begin with # are skipped. */
static bool
user_line(struct cli *c, struct slice line, struct cli_drop_user *out)
{
	struct slice id, address;

	line = slice_trim(line);
	if (!slice_cut(line, ',', &id, &address) && !slice_cut(line, ' ', &id, &address) &&
	    !slice_cut(line, '\t', &id, &address))
		return false;
	return arena_copy(c->arena, slice_trim(id), &out->id) && arena_copy(c->arena, slice_trim(address), &out->address);
}

int
cmd_app_user_import(struct cli *c)
{
	struct cli_drop_user users[USERS];
	char text[1024];
	struct ipc_client *client;
	size_t n = 0, number = 0, all = 0;
	int st = EX_OK;
	FILE *f;

	if (!cli_args(c, 2, "app-user import APP FILE|-"))
		return EX_USAGE;
	f = strcmp(c->argv[1], "-") == 0 ? stdin : fopen(c->argv[1], "re");
	if (f == NULL)
		return cli_fail(EX_NOINPUT, "cannot read", c->argv[1]);
	client = cli_connect(c, "drop");
	while (st == EX_OK && fgets(text, sizeof text, f) != NULL) {
		struct slice line = slice_of(text, strcspn(text, "\r\n"));

		number++;
		if (slice_trim(line).n == 0 || text[0] == '#')
			continue;
		if (!user_line(c, line, &users[n++])) {
			(void)snprintf(text, sizeof text, "line %zu", number);
			st = cli_fail(EX_DATAERR, "not \"ID ADDRESS\"", text);
		} else if (n == USERS) {
			st = set_users(c, client, slice_z(c->argv[0]), users, n);
			all += n;
			n = 0;
		}
	}
	if (st == EX_OK && n > 0) {
		st = set_users(c, client, slice_z(c->argv[0]), users, n);
		all += n;
	}
	if (f != stdin)
		(void)fclose(f);
	ipc_client_free(&client);
	if (st == EX_OK && !c->quiet)
		(void)printf("%zu users\n", all);
	return st;
}

int
cmd_app_user_delete(struct cli *c)
{
	struct cli_drop_user_delete in = { 0 };
	struct cli_drop_user_delete_answer out = { .status = CLI_DROP_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 2, "app-user delete APP ID"))
		return EX_USAGE;
	client = cli_connect(c, "drop");
	in.app = slice_z(c->argv[0]);
	in.id = slice_z(c->argv[1]);
	sent = cli_drop_user_delete(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[1]);
	ipc_client_free(&client);
	return st;
}

int
cmd_app_user_list(struct cli *c)
{
	static const char *const columns[] = { "id", "address", NULL };
	struct cli_drop_user_list in = { 0 };
	struct cli_drop_user_list_answer out = { .more = true };
	struct ipc_client *client;
	json_t *rows = json_array();

	if (!cli_args(c, 1, "app-user list APP"))
		return EX_USAGE;
	client = cli_connect(c, "drop");
	in.app = slice_z(c->argv[0]);
	while (out.more) {
		enum ipc_status st = cli_drop_user_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_DROP_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_users; i++) {
			json_t *row = json_object();

			row_set(row, "id", json_of(out.users[i].id));
			row_set(row, "address", json_of(out.users[i].address));
			(void)json_array_append_new(rows, row);
			in.after = out.users[i].id;
		}
		out.more = out.more && out.n_users > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}

/* ---- templates --------------------------------------------------------------------------------- */

int
cmd_app_template_set(struct cli *c)
{
	struct cli_drop_template_set in = { 0 };
	struct cli_drop_template_set_answer out = { .status = CLI_DROP_RESULT_FAILED };
	static char text[32001];
	const char *subject = "";
	struct ipc_client *client;
	enum ipc_status sent;
	size_t n;
	int st;

	if (!cli_option(c, "--subject", &subject) || !cli_args(c, 2, "app-template set APP NAME --subject TEXT <FILE"))
		return cli_fail(EX_USAGE, "app-template set", "the text is read from standard input, --subject is needed");
	n = fread(text, 1, sizeof text, stdin);
	if (n == 0 || n == sizeof text)
		return cli_fail(EX_DATAERR, "a text has 1 to 32000 bytes", "");
	client = cli_connect(c, "drop");
	in.app = slice_z(c->argv[0]);
	in.name = slice_z(c->argv[1]);
	in.subject = slice_z(subject);
	in.text = slice_of(text, n);
	sent = cli_drop_template_set(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[1]);
	ipc_client_free(&client);
	return st;
}

int
cmd_app_template_delete(struct cli *c)
{
	struct cli_drop_template_delete in = { 0 };
	struct cli_drop_template_delete_answer out = { .status = CLI_DROP_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 2, "app-template delete APP NAME"))
		return EX_USAGE;
	client = cli_connect(c, "drop");
	in.app = slice_z(c->argv[0]);
	in.name = slice_z(c->argv[1]);
	sent = cli_drop_template_delete(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[1]);
	ipc_client_free(&client);
	return st;
}

int
cmd_app_template_list(struct cli *c)
{
	static const char *const columns[] = { "name", "subject", NULL };
	struct cli_drop_template_list in = { 0 };
	struct cli_drop_template_list_answer out = { .more = true };
	struct ipc_client *client;
	json_t *rows = json_array();

	if (!cli_args(c, 1, "app-template list APP"))
		return EX_USAGE;
	client = cli_connect(c, "drop");
	in.app = slice_z(c->argv[0]);
	while (out.more) {
		enum ipc_status st = cli_drop_template_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_DROP_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_templates; i++) {
			json_t *row = json_object();

			row_set(row, "name", json_of(out.templates[i].name));
			row_set(row, "subject", json_stringn((const char *)out.templates[i].subject.p, out.templates[i].subject.n));
			row_set(row, "text", json_stringn((const char *)out.templates[i].text.p, out.templates[i].text.n));
			(void)json_array_append_new(rows, row);
			in.after = out.templates[i].name;
		}
		out.more = out.more && out.n_templates > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}
