/* SPDX-License-Identifier: MIT
 * postern: the table of commands and how one is found. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "lib/clock/clock.h"
#include "lib/proc/drill.h"

#define QUEUE_FILTERS "--sender --recipient --domain --account --older --younger --reason --state --yes"

const struct command commands[] = {
	{ "start", "", "[--foreground]", "start the server and wait until it is ready", "--foreground", cmd_start },
	{ "stop", "", "", "stop the server", "", cmd_stop },
	{ "reload", "", "", "read the configuration again", "", cmd_reload },
	{ "status", "", "", "rooms, ports and counters", "", cmd_status },
	{ "account", "add", "ADDRESS [--random | --password-stdin]", "add an account", "--random --password-stdin",
	    cmd_account_add },
	{ "account", "list", "", "all accounts", "", cmd_account_list },
	{ "account", "passwd", "ADDRESS [--random | --password-stdin]", "set a new password and end all sessions",
	    "--random --password-stdin", cmd_account_passwd },
	{ "account", "disable", "ADDRESS", "no login and no mail, nothing is deleted", "", cmd_account_disable },
	{ "account", "enable", "ADDRESS", "the opposite of disable", "", cmd_account_enable },
	{ "account", "delete", "ADDRESS", "delete an account; its mail is set aside", "", cmd_account_delete },
	{ "account", "limit", "ACCOUNT|DOMAIN|default [--recipients N] [--messages N] [--inbound N]",
	    "recipients an hour, messages a day, mail from strangers an hour; 0: no limit",
	    "--recipients --messages --inbound", cmd_account_limit },
	{ "account", "limits", "", "all limits that were set", "", cmd_account_limits },
	{ "alias", "add", "ADDRESS TARGET", "mail for ADDRESS goes to TARGET (too), here or elsewhere", "",
	    cmd_alias_add },
	{ "alias", "list", "", "all aliases", "", cmd_alias_list },
	{ "alias", "delete", "ADDRESS TARGET", "delete an alias", "", cmd_alias_delete },
	{ "list", "add", "ADDRESS [--owner ADDRESS] [--write anyone|members|owners]", "make a mailing list, or change it",
	    "--owner --write", cmd_list_add },
	{ "list", "list", "", "all lists", "", cmd_list_list },
	{ "list", "delete", "ADDRESS", "delete a list and its members", "", cmd_list_delete },
	{ "list", "join", "LIST ADDRESS", "add a member", "", cmd_alias_add },
	{ "list", "leave", "LIST ADDRESS", "remove a member", "", cmd_alias_delete },
	{ "sender", "grant", "ACCOUNT ADDRESS|@DOMAIN", "let an account write as another address too", "",
	    cmd_sender_grant },
	{ "sender", "list", "", "what was granted", "", cmd_sender_list },
	{ "sender", "revoke", "ACCOUNT ADDRESS|@DOMAIN", "take it back", "", cmd_sender_revoke },
	{ "app", "add", "NAME --uid UID|USER|any --from ADDRESS... [--per-hour N] [--per-recipient N]",
	    "let a local program send mail, or change how", "--uid --from --per-hour --per-recipient", cmd_app_add },
	{ "app", "list", "", "local programs that may send", "", cmd_app_list },
	{ "app", "token", "NAME [--revoke]", "a new token with which the program is known over HTTP; the old one is void",
	    "--revoke", cmd_app_token },
	{ "app", "delete", "NAME", "delete a program with its users and templates", "", cmd_app_delete },
	{ "app-user", "set", "APP ID ADDRESS", "whom the program means by ID", "", cmd_app_user_set },
	{ "app-user", "import", "APP FILE|-", "the same for lines of \"ID ADDRESS\"", "", cmd_app_user_import },
	{ "app-user", "list", "APP", "all of them", "", cmd_app_user_list },
	{ "app-user", "delete", "APP ID", "forget one", "", cmd_app_user_delete },
	{ "app-template", "set", "APP NAME --subject TEXT <FILE", "store a text with {{placeholders}}", "--subject",
	    cmd_app_template_set },
	{ "app-template", "list", "APP", "all templates of a program", "", cmd_app_template_list },
	{ "app-template", "delete", "APP NAME", "delete one", "", cmd_app_template_delete },
	{ "domain", "add", "DOMAIN", "receive mail for a domain", "", cmd_domain_add },
	{ "domain", "list", "", "all domains", "", cmd_domain_list },
	{ "domain", "delete", "DOMAIN", "no longer receive mail for a domain", "", cmd_domain_delete },
	{ "domain", "alias", "DOMAIN TARGET|none", "every address of DOMAIN is the same one of TARGET", "",
	    cmd_domain_alias },
	{ "domain", "catch-all", "DOMAIN ADDRESS|none", "who gets mail for addresses that nobody has", "",
	    cmd_domain_catch_all },
	{ "domain", "separator", "DOMAIN|all CHARACTER|none|default", "what stands between name and detail (+)", "",
	    cmd_domain_separator },
	{ "domain", "check", "DOMAIN [--resolver ADDRESS[@PORT]]... [--ip ADDRESS]...",
	    "what the world sees of those records, and what to do about it", "--resolver --ip", cmd_domain_check },
	{ "domain", "dns", "DOMAIN [--ip ADDRESS]... [--sts testing|enforce] [--file mta-sts|autoconfig]",
	    "the DNS records to publish, and the files that go with them", "--ip --sts --file", cmd_domain_dns },
	{ "dns", "query", "NAME [TYPE]", "what the server's own resolver says: records, TTL, DNSSEC", "", cmd_dns_query },
	{ "dkim", "list", "", "all DKIM keys and where they stand", "", cmd_dkim_list },
	{ "dkim", "show", "DOMAIN", "the DKIM records of a domain", "", cmd_dkim_show },
	{ "dkim", "rotate", "DOMAIN", "make the next keys of a domain (its first ones where it has none)", "",
	    cmd_dkim_rotate },
	{ "dkim", "activate", "DOMAIN SELECTOR", "sign with the next key now", "", cmd_dkim_activate },
	{ "dkim", "revoke", "DOMAIN SELECTOR", "end a key at once", "", cmd_dkim_revoke },
	{ "policy", "set", "DOMAIN accept|quarantine|reject", "what to do with unauthenticated mail of a sender's domain",
	    "accept quarantine reject", cmd_policy_set },
	{ "policy", "list", "", "those rules", "", cmd_policy_list },
	{ "policy", "delete", "DOMAIN", "do as the domain itself asks", "", cmd_policy_delete },
	{ "dmarc", "report", "[--domain DOMAIN] [--since DURATION] [--verified]",
	    "who sends in our name, what passes, what fails", "--domain --since --verified", cmd_dmarc_report },
	{ "dmarc", "ramp", "DOMAIN [--foreign SENDER]...", "is the next step to p=reject safe, and what to publish",
	    "--foreign", cmd_dmarc_ramp },
	{ "dmarc", "list", "[--domain DOMAIN] [--since DURATION]", "aggregate reports that came in", "--domain --since",
	    cmd_dmarc_list },
	{ "dmarc", "failures", "[--domain DOMAIN] [--since DURATION]", "complaints and failure reports that came in",
	    "--domain --since", cmd_dmarc_failures },
	{ "dmarc", "import", "FILE|-...", "read reports (xml, json, gz, zip, a mail) from files", "", cmd_dmarc_import },
	{ "tls", "report", "[--domain DOMAIN] [--since DURATION]", "how others fare with our TLS", "--domain --since",
	    cmd_tls_report },
	{ "tls", "list", "[--domain DOMAIN] [--since DURATION]", "TLS reports that came in", "--domain --since", cmd_tls_list },
	{ "tls", "policy", "DOMAIN", "what a destination demands of TLS: DANE, MTA-STS", "", cmd_tls_policy },
	{ "clerk", "run", "dmarc|tls [--day DAY]", "send now what we owe others for a day", "--day", cmd_clerk_run },
	{ "clerk", "owed", "", "reports that we owe, and what became of them", "", cmd_clerk_owed },
	{ "clerk", "inbox", "", "report mail that is not read yet, or is none", "", cmd_clerk_inbox },
	{ "queue", "list", "[FILTER]...", "messages that are on their way", QUEUE_FILTERS, cmd_queue_list },
	{ "queue", "show", "ID", "one message and its recipients", "", cmd_queue_show },
	{ "queue", "hold", "ID | FILTER... [--yes]", "keep them until they are released", QUEUE_FILTERS, cmd_queue_hold },
	{ "queue", "release", "ID | FILTER... [--yes]", "the opposite of hold", QUEUE_FILTERS, cmd_queue_release },
	{ "queue", "retry", "ID | FILTER... [--yes]", "try them now", QUEUE_FILTERS, cmd_queue_retry },
	{ "queue", "fail", "ID | FILTER... [--yes]", "give them up; the sender is told", QUEUE_FILTERS, cmd_queue_fail },
	{ "queue", "drop", "ID | FILTER... [--yes]", "delete them; nobody is told", QUEUE_FILTERS, cmd_queue_drop },
	{ "queue", "hold-rule", "add OPTION | list | delete RULE", "hold new mail that matches",
	    "--sender --recipient --domain --account --reason", cmd_queue_hold_rule },
	{ "filter", "test", "FILE|- [--rules FILE] [--direction in|out] [--message]",
	    "what the rules would do with a message", "--rules --direction --message", cmd_filter_test },
	{ "filter", "check", "[FILE]", "read the rules and say what is wrong with them", "", cmd_filter_check },
	{ "log", "", "[--follow] [--since DURATION] [--session ID] [--account ADDRESS] [--kind NAME] [--last N]",
	    "the event log", "--follow --since --session --account --kind --last", cmd_log },
	{ "explain", "", "ID", "what happened to a session or message, step by step", "", cmd_explain },
	{ "config", "check", "", "read the configuration and say what is wrong with it", "", cmd_config_check },
	{ "completion", "", "", "print the completion for bash", "", cmd_completion },
	{ "help", "", "", "this list", "", cmd_help },
	{ "drill", "", "", "drill builds only: try what must be denied, room by room", "",
	    DRILL_BUILD ? cmd_drill : NULL },
	{ NULL, NULL, NULL, NULL, NULL, NULL },
};

int
cli_fail(int status, const char *what, const char *detail)
{
	(void)fprintf(stderr, "postern: %s%s%s\n", what, detail[0] == '\0' ? "" : ": ", detail);
	return status;
}

bool
cli_option(struct cli *c, const char *name, const char **value)
{
	for (int i = 0; i < c->argc; i++) {
		int take = value == NULL ? 1 : 2;

		if (!slice_eq(slice_z(c->argv[i]), slice_z(name)) || i + take > c->argc)
			continue;
		if (value != NULL)
			*value = c->argv[i + 1];
		for (int k = i + take; k < c->argc; k++)
			c->argv[k - take] = c->argv[k];
		c->argc -= take;
		return true;
	}
	return false;
}

bool
cli_args(struct cli *c, int n, const char *usage)
{
	if (c->argc == n)
		return true;
	(void)fprintf(stderr, "usage: postern %s\n", usage);
	return false;
}

int
cmd_help(struct cli *c)
{
	(void)c;
	(void)printf("usage: postern [--config FILE] [--json] [--quiet] COMMAND\n\n");
	for (const struct command *k = commands; k->noun != NULL; k++) {
		char line[160];

		if (k->run == NULL)
			continue;
		(void)snprintf(line, sizeof line, "%s%s%s %s", k->noun, k->verb[0] == '\0' ? "" : " ", k->verb, k->args);
		if (strlen(line) > 44)
			(void)printf("  %s\n  %-44s  %s\n", line, "", k->help);
		else
			(void)printf("  %-44s  %s\n", line, k->help);
	}
	(void)printf("\nExit status: sysexits(3). Manual: postern(1), postern.conf(5).\n");
	return EX_OK;
}

/* bash knows nothing of Postern but this text, made from the table above. */
int
cmd_completion(struct cli *c)
{
	const char *last = "";

	(void)c;
	(void)printf("# bash completion for postern(1), printed by \"postern completion\"\n_postern() {\n"
		     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} i words=()\n"
		     "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tcase ${COMP_WORDS[i]} in\n"
		     "\t\t--config) ((i++)) ;;\n\t\t-*) ;;\n\t\t*) words+=(\"${COMP_WORDS[i]}\") ;;\n\t\tesac\n\tdone\n"
		     "\tcase \"${words[*]}\" in\n\t'') COMPREPLY=($(compgen -W '--config --json --quiet");
	for (const struct command *k = commands; k->noun != NULL; k++) {
		if (k->run != NULL && strcmp(k->noun, last) != 0)
			(void)printf(" %s", k->noun);
		last = k->noun;
	}
	(void)printf("' -- \"$cur\")) ;;\n");
	last = "";
	for (const struct command *k = commands; k->noun != NULL; k++) {
		if (k->verb[0] != '\0' && strcmp(k->noun, last) != 0) {
			(void)printf("\t%s) COMPREPLY=($(compgen -W '", k->noun);
			for (const struct command *v = commands; v->noun != NULL; v++)
				if (strcmp(v->noun, k->noun) == 0)
					(void)printf("%s ", v->verb);
			(void)printf("' -- \"$cur\")) ;;\n");
		}
		last = k->noun;
		if (k->options[0] != '\0')
			(void)printf("\t'%s%s%s'*) COMPREPLY=($(compgen -W '%s' -- \"$cur\")) ;;\n", k->noun,
			    k->verb[0] == '\0' ? "" : " ", k->verb, k->options);
	}
	(void)printf("\tesac\n}\ncomplete -F _postern postern\n");
	return EX_OK;
}

static const struct command *
find(struct cli *c)
{
	for (const struct command *k = commands; k->noun != NULL; k++) {
		int words = k->verb[0] == '\0' ? 1 : 2;

		if (k->run == NULL || c->argc < words || strcmp(k->noun, c->argv[0]) != 0)
			continue;
		if (words == 2 && strcmp(k->verb, c->argv[1]) != 0)
			continue;
		c->argc -= words;
		for (int i = 0; i < c->argc; i++)
			c->argv[i] = c->argv[i + words];
		return k;
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	static struct cli c = { .config_path = CONFIG_DEFAULT };
	const struct command *k;
	int status;

	c.argc = argc - 1;
	c.argv = argc > 0 ? &argv[1] : argv;
	c.json = cli_option(&c, "--json", NULL);
	c.quiet = cli_option(&c, "--quiet", NULL);
	(void)cli_option(&c, "--config", &c.config_path);
	if (cli_option(&c, "--help", NULL) || cli_option(&c, "-h", NULL) || c.argc <= 0)
		return cmd_help(&c), argc <= 1 ? EX_USAGE : EX_OK;
	if (cli_option(&c, "--version", NULL))
		return printf("postern %s\n", PN_VERSION), EX_OK;
	k = find(&c);
	if (k == NULL)
		return cli_fail(EX_USAGE, c.argv[0], "no such command; \"postern help\" lists them");
	c.arena = arena_new("cli", 64 * LIMIT_ARENA_MESSAGE);
	status = k->run(&c);
	arena_free(&c.arena);
	return status;
}
