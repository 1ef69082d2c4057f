/* SPDX-License-Identifier: MIT
 * The command line: one table of "noun verb", one file per noun. Exit status is a sysexits value. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/cli_keys.h"
#include "lib/base/own.h"
#include "lib/config/config.h"
#include "lib/ipc/ipc.h"
#include "lib/resolve/resolve.h"

#define CONFIG_DEFAULT "/etc/postern/postern.conf"
#define ANSWER_MS 30000u /* a busy server answers within this, or the command says so */

struct cli {
	const char *config_path;
	struct config config; /* filled by cli_config() */
	bool json, quiet;
	int argc;	/* what follows "noun verb" */
	char **argv;
	struct arena *arena;
};

struct command {
	const char *noun, *verb; /* verb "" for a noun that is a command itself */
	const char *args;	 /* for usage and man page */
	const char *help;
	const char *options;	 /* space-separated, for completion */
	int (*run)(struct cli *c);
};

extern const struct command commands[]; /* ends with a row without a noun */

/* Reads the configuration file; exits with EX_CONFIG and its errors. */
void cli_config(struct cli *c);
/* A connection that speaks cli_<room> with that room; exits when the server does not run. room
 * NULL: with warden itself. */
struct ipc_client *cli_connect(struct cli *c, const char *room);
/* The same for somebody who can do without: -1 in *status instead of an exit. */
int cli_control(struct cli *c);
uint64_t cli_deadline(void);
/* The end of a command that the server did not answer. Exits. */
_Noreturn void cli_no_answer(enum ipc_status st);
/* Says what auth or drop answered, where it was not ok; the exit status. result is their enum result. */
int cli_answered(enum ipc_status st, unsigned result, struct slice text, const char *subject);
/* "postern: what: detail" on stderr; gives status back. */
int cli_fail(int status, const char *what, const char *detail);
/* Takes "--name VALUE" or "--name" (value NULL) out of the arguments; false when it is not there. */
bool cli_option(struct cli *c, const char *name, const char **value);
/* "90", "15m", "2h", "7d" in microseconds; -1 when it is none. */
int64_t cli_duration(const char *text);
/* Exactly n arguments have to be left; false after saying so. */
bool cli_args(struct cli *c, int n, const char *usage);

/* "90", "15m", "2h", "7d" in microseconds; -1 when it is none. */
int64_t cli_duration(const char *text);
/* The server's own resolver; exits when it cannot be reached. */
struct resolver cli_resolver(struct cli *c);

/* ---- tables: aligned columns for people, an array of objects for programs ---------------------- */

/* rows is an array of objects; columns ends with NULL. Frees rows. */
void table_print(const struct cli *c, json_t *rows, const char *const *columns);
/* Bytes from anywhere as a JSON string: what is not printable becomes \xNN. */
json_t *json_of(struct slice s);
/* "2026-11-22T17:00:00Z", or null for 0. */
json_t *json_time(int64_t us);
/* Sets key and gives rows back. */
void row_set(json_t *row, const char *key, json_t *value);

/* ---- keys of DKIM, for the commands about domains ------------------------------------------------ */

/* Calls fn for each key of a domain, or of all with an empty one; the key lives as long as c->arena. */
void dkim_each(struct cli *c, struct slice domain, void (*fn)(void *ctx, const struct cli_keys_key *k), void *ctx);
/* Makes keys, or takes those that sign out of use; an exit status, with the reason said. */
int dkim_generate_keys(struct cli *c, const char *domain);
int dkim_retire_keys(struct cli *c, const char *domain);
int dkim_answered(enum ipc_status st, enum cli_keys_result result, struct slice text, const char *subject);

/* certificate.c: what DNS records say of the first certificate of a PEM file; false where it cannot be read. */
struct cli_certificate {
	uint8_t spki[32];   /* SHA-256 of the public key (RFC 7671 5.1) */
	bool self_signed;
	bool wildcard;	    /* it is for "*." too */
	struct slice caa;   /* what its CA calls itself in CAA records, a literal; empty: not known here */
};
bool cli_certificate(const char *path, struct cli_certificate *out);

/* filter.c: the rules of a file; exits with EX_CONFIG and their errors. They live as long as the process. */
struct filter;
struct filter *cli_rules(const char *path);

/* The commands */
int cmd_start(struct cli *c);
int cmd_stop(struct cli *c);
int cmd_reload(struct cli *c);
int cmd_status(struct cli *c);
int cmd_drill(struct cli *c);
int cmd_config_check(struct cli *c);
int cmd_account_add(struct cli *c);
int cmd_account_list(struct cli *c);
int cmd_account_passwd(struct cli *c);
int cmd_account_disable(struct cli *c);
int cmd_account_enable(struct cli *c);
int cmd_account_delete(struct cli *c);
int cmd_alias_add(struct cli *c);
int cmd_alias_list(struct cli *c);
int cmd_alias_delete(struct cli *c);
int cmd_domain_alias(struct cli *c);
int cmd_domain_separator(struct cli *c);
int cmd_domain_catch_all(struct cli *c);
int cmd_list_add(struct cli *c);
int cmd_list_list(struct cli *c);
int cmd_list_delete(struct cli *c);
int cmd_sender_grant(struct cli *c);
int cmd_sender_revoke(struct cli *c);
int cmd_sender_list(struct cli *c);
int cmd_account_limit(struct cli *c);
int cmd_account_limits(struct cli *c);
int cmd_app_add(struct cli *c);
int cmd_app_list(struct cli *c);
int cmd_app_token(struct cli *c);
int cmd_app_delete(struct cli *c);
int cmd_app_user_set(struct cli *c);
int cmd_app_user_import(struct cli *c);
int cmd_app_user_list(struct cli *c);
int cmd_app_user_delete(struct cli *c);
int cmd_app_template_set(struct cli *c);
int cmd_app_template_list(struct cli *c);
int cmd_app_template_delete(struct cli *c);
int cmd_domain_add(struct cli *c);
int cmd_domain_list(struct cli *c);
int cmd_domain_delete(struct cli *c);
int cmd_domain_dns(struct cli *c);
int cmd_domain_check(struct cli *c);
int cmd_dns_query(struct cli *c);
int cmd_tls_policy(struct cli *c);
int cmd_dkim_list(struct cli *c);
int cmd_dkim_show(struct cli *c);
int cmd_dkim_rotate(struct cli *c);
int cmd_dkim_activate(struct cli *c);
int cmd_dkim_revoke(struct cli *c);
int cmd_policy_set(struct cli *c);
int cmd_policy_delete(struct cli *c);
int cmd_policy_list(struct cli *c);
int cmd_dmarc_report(struct cli *c);
int cmd_dmarc_list(struct cli *c);
int cmd_dmarc_failures(struct cli *c);
int cmd_dmarc_import(struct cli *c);
int cmd_dmarc_ramp(struct cli *c);
int cmd_tls_report(struct cli *c);
int cmd_tls_list(struct cli *c);
int cmd_clerk_run(struct cli *c);
int cmd_clerk_owed(struct cli *c);
int cmd_clerk_inbox(struct cli *c);
int cmd_queue_list(struct cli *c);
int cmd_queue_show(struct cli *c);
int cmd_queue_hold(struct cli *c);
int cmd_queue_release(struct cli *c);
int cmd_queue_retry(struct cli *c);
int cmd_queue_fail(struct cli *c);
int cmd_queue_drop(struct cli *c);
int cmd_queue_hold_rule(struct cli *c);
int cmd_filter_test(struct cli *c);
int cmd_filter_check(struct cli *c);
int cmd_log(struct cli *c);
int cmd_explain(struct cli *c);
int cmd_completion(struct cli *c);
int cmd_help(struct cli *c);
