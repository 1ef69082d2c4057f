/* SPDX-License-Identifier: MIT
 * Accounts, aliases and domains. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "ipc/cli_auth.h"

int
cli_answered(enum ipc_status st, unsigned result, struct slice text, const char *subject)
{
	static const int statuses[] = { EX_OK, EX_CANTCREAT, EX_NOUSER, EX_DATAERR, EX_CANTCREAT, EX_TEMPFAIL };

	if (st != IPC_OK)
		cli_no_answer(st);
	if (result != CLI_AUTH_RESULT_OK)
		(void)fprintf(stderr, "postern: %s: %.*s%s%s\n", subject, SFMT(text), text.n > 0 ? "" : "refused: ",
		    text.n > 0 ? "" : cli_auth_result_name((enum cli_auth_result)result));
	return statuses[result];
}

/* ---- passwords ---------------------------------------------------------------------------------- */

/* 20 characters of 31, without those that look alike: 99 bits. */
static void
random_password(char *to, size_t n)
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz2346789";
	size_t have = 0;

	while (have < n) {
		uint8_t byte;

		if (getrandom(&byte, 1, 0) == 1 && byte < 248)
			to[have++] = letters[byte % 31];
	}
}

/* Asks without echo; false at the end of input. */
static bool
ask(const char *prompt, char *line, size_t size)
{
	struct termios was, quiet;
	bool tty = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &was) == 0, ok;

	if (tty) {
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
		(void)fprintf(stderr, "%s: ", prompt);
	}
	ok = fgets(line, (int)size, stdin) != NULL;
	if (tty) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		(void)fprintf(stderr, "\n");
	}
	line[strcspn(line, "\r\n")] = '\0';
	return ok;
}

/* The new password into line; *shown when it was made up here and has to be printed. */
static int
new_password(struct cli *c, char *line, size_t size, bool *shown)
{
	char again[1100];

	*shown = cli_option(c, "--random", NULL);
	if (*shown) {
		memset(line, 0, size);
		random_password(line, 20);
		return EX_OK;
	}
	if (cli_option(c, "--password-stdin", NULL) || !isatty(STDIN_FILENO)) {
		if (!ask("", line, size) || line[0] == '\0')
			return cli_fail(EX_DATAERR, "no password on standard input", "");
		return EX_OK;
	}
	if (!ask("New password", line, size) || !ask("Again", again, sizeof again) || strcmp(line, again) != 0)
		return cli_fail(EX_DATAERR, "the two passwords differ", "");
	explicit_bzero(again, sizeof again);
	return line[0] == '\0' ? cli_fail(EX_DATAERR, "the password is empty", "") : EX_OK;
}

static void
show_password(const struct cli *c, const char *address, const char *password)
{
	if (c->json) {
		json_t *o = json_pack("{s:s, s:s}", "address", address, "password", password);

		(void)json_dumpf(o, stdout, JSON_INDENT(2));
		(void)printf("\n");
		json_decref(o);
	} else {
		(void)printf("%s %s\n", address, password);
	}
}

/* ---- accounts ----------------------------------------------------------------------------------- */

int
cmd_account_add(struct cli *c)
{
	char password[1100];
	bool shown;
	int st = new_password(c, password, sizeof password, &shown);
	struct cli_auth_account_add in = { .password = slice_z(password) };
	struct cli_auth_account_add_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;

	if (st != EX_OK || !cli_args(c, 1, "account add ADDRESS [--random | --password-stdin]"))
		return st != EX_OK ? st : EX_USAGE;
	client = cli_connect(c, "auth");
	in.address = slice_z(c->argv[0]);
	sent = cli_auth_account_add(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	if (st == EX_OK && shown)
		show_password(c, c->argv[0], password);
	explicit_bzero(password, sizeof password);
	ipc_client_free(&client);
	return st;
}

int
cmd_account_passwd(struct cli *c)
{
	char password[1100];
	bool shown;
	int st = new_password(c, password, sizeof password, &shown);
	struct cli_auth_account_passwd in = { .password = slice_z(password) };
	struct cli_auth_account_passwd_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;

	if (st != EX_OK || !cli_args(c, 1, "account passwd ADDRESS [--random | --password-stdin]"))
		return st != EX_OK ? st : EX_USAGE;
	client = cli_connect(c, "auth");
	in.address = slice_z(c->argv[0]);
	sent = cli_auth_account_passwd(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	if (st == EX_OK && shown)
		show_password(c, c->argv[0], password);
	explicit_bzero(password, sizeof password);
	ipc_client_free(&client);
	return st;
}

static int
enable(struct cli *c, bool enabled)
{
	struct cli_auth_account_enable in = { .enabled = enabled };
	struct cli_auth_account_enable_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 1, enabled ? "account enable ADDRESS" : "account disable ADDRESS"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.address = slice_z(c->argv[0]);
	sent = cli_auth_account_enable(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

int cmd_account_enable(struct cli *c) { return enable(c, true); }
int cmd_account_disable(struct cli *c) { return enable(c, false); }

int
cmd_account_delete(struct cli *c)
{
	struct cli_auth_account_delete in;
	struct cli_auth_account_delete_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 1, "account delete ADDRESS"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.address = slice_z(c->argv[0]);
	sent = cli_auth_account_delete(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	if (st == EX_OK && !c->quiet)
		(void)printf("deleted; the mail is set aside beneath %s/mail\n", c->config.data_dir);
	return st;
}

int
cmd_account_list(struct cli *c)
{
	static const char *const columns[] = { "address", "id", "enabled", "created", "last login", NULL };
	struct cli_auth_account_list in = { 0 };
	struct cli_auth_account_list_answer out = { .more = true };
	struct ipc_client *client = cli_connect(c, "auth");
	json_t *rows = json_array();

	while (out.more) {
		enum ipc_status st = cli_auth_account_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_AUTH_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_accounts; i++) {
			const struct cli_auth_account *a = &out.accounts[i];
			json_t *row = json_object();

			row_set(row, "address", json_of(a->address));
			row_set(row, "id", json_integer(a->id));
			row_set(row, "enabled", json_boolean(a->enabled));
			row_set(row, "created", json_time(a->created_us));
			row_set(row, "last login", json_time(a->login_us));
			(void)json_array_append_new(rows, row);
			in.after = a->address;
		}
		out.more = out.more && out.n_accounts > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}

/* ---- aliases ------------------------------------------------------------------------------------ */

int
cmd_alias_add(struct cli *c)
{
	struct cli_auth_alias_add in;
	struct cli_auth_alias_add_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 2, "alias add ADDRESS TARGET"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.address = slice_z(c->argv[0]);
	in.target = slice_z(c->argv[1]);
	sent = cli_auth_alias_add(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

int
cmd_alias_delete(struct cli *c)
{
	struct cli_auth_alias_delete in;
	struct cli_auth_alias_delete_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 2, "alias delete ADDRESS TARGET"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.address = slice_z(c->argv[0]);
	in.target = slice_z(c->argv[1]);
	sent = cli_auth_alias_delete(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st;
}

int
cmd_alias_list(struct cli *c)
{
	static const char *const columns[] = { "address", "target", NULL };
	struct cli_auth_alias_list in = { 0 };
	struct cli_auth_alias_list_answer out = { .more = true };
	struct ipc_client *client = cli_connect(c, "auth");
	json_t *rows = json_array();

	while (out.more) {
		enum ipc_status st = cli_auth_alias_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_AUTH_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_aliases; i++) {
			json_t *row = json_object();

			row_set(row, "address", json_of(out.aliases[i].address));
			row_set(row, "target", json_of(out.aliases[i].target));
			(void)json_array_append_new(rows, row);
			in.after = out.aliases[i].address;
			in.after_target = out.aliases[i].target;
		}
		out.more = out.more && out.n_aliases > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}

/* ---- domains ------------------------------------------------------------------------------------ */

int
cmd_domain_add(struct cli *c)
{
	struct cli_auth_domain_add in;
	struct cli_auth_domain_add_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 1, "domain add DOMAIN"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.name = slice_z(c->argv[0]);
	sent = cli_auth_domain_add(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	/* its mail is signed from the first one on */
	return st == EX_OK ? dkim_generate_keys(c, c->argv[0]) : st;
}

int
cmd_domain_delete(struct cli *c)
{
	struct cli_auth_domain_delete in;
	struct cli_auth_domain_delete_answer out = { .status = CLI_AUTH_RESULT_FAILED };
	struct ipc_client *client;
	enum ipc_status sent;
	int st;

	if (!cli_args(c, 1, "domain delete DOMAIN"))
		return EX_USAGE;
	client = cli_connect(c, "auth");
	in.name = slice_z(c->argv[0]);
	sent = cli_auth_domain_delete(client, &in, cli_deadline(), c->arena, &out);
	st = cli_answered(sent, out.status, out.text, c->argv[0]);
	ipc_client_free(&client);
	return st == EX_OK ? dkim_retire_keys(c, c->argv[0]) : st;
}

int
cmd_domain_list(struct cli *c)
{
	static const char *const columns[] = { "domain", "alias of", "separator", "catch-all", "created", NULL };
	struct cli_auth_domain_list in = { 0 };
	struct cli_auth_domain_list_answer out = { .more = true };
	struct ipc_client *client = cli_connect(c, "auth");
	json_t *rows = json_array();

	while (out.more) {
		enum ipc_status st = cli_auth_domain_list(client, &in, cli_deadline(), c->arena, &out);

		if (st != IPC_OK || out.status != CLI_AUTH_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < out.n_domains; i++) {
			const struct cli_auth_domain *d = &out.domains[i];
			json_t *row = json_object();

			row_set(row, "domain", json_of(d->name));
			row_set(row, "alias of", d->alias_of.n > 0 ? json_of(d->alias_of) : json_null());
			row_set(row, "separator", d->own_separator ? json_of(d->separator) : json_null());
			row_set(row, "catch-all", d->catch_all.n > 0 ? json_of(d->catch_all) : json_null());
			row_set(row, "created", json_time(out.domains[i].created_us));
			(void)json_array_append_new(rows, row);
			in.after = out.domains[i].name;
		}
		out.more = out.more && out.n_domains > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}
