/* SPDX-License-Identifier: MIT
 * Reports about our domains: who sends as us, what passes, what fails, and what may be asked for next. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/reports.h"
#include "lib/base/civil.h"
#include "lib/clock/clock.h"

#define DAY INT64_C(86400)

/* "--since 7d" as seconds since 1970; exits on nonsense. */
static uint64_t
since_option(struct cli *c, const char *usual)
{
	const char *text = usual;
	int64_t us, now = clock_wall_us();

	(void)cli_option(c, "--since", &text);
	us = cli_duration(text);
	if (us < 0)
		exit(cli_fail(EX_USAGE, "no duration (90s, 15m, 2h, 7d)", text));
	return us > now ? 0 : (uint64_t)((now - us) / 1000000);
}

static void
need(enum ipc_status st, enum cli_clerk_result result)
{
	if (st != IPC_OK || result != CLI_CLERK_RESULT_OK)
		cli_no_answer(st);
}

/* ---- senders, grouped ---- */

/* Groups are few compared with addresses: a service has many. */
static struct sender_group *
group_of(struct senders *s, struct cli *c, const struct cli_clerk_sender *one)
{
	struct slice who = S("");

	if (one->name.n == 0 || !suffix_registrable(one->name, c->arena, &who))
		who = one->name.n > 0 ? one->name : one->source;
	for (size_t i = 0; i < s->n; i++)
		if (slice_ieq(s->list[i].who, who))
			return &s->list[i];
	if (s->n == SENDERS_MOST)
		return &s->list[SENDERS_MOST - 1]; /* the tail is one group */
	s->list[s->n] = (struct sender_group){ .auth = S("") };
	if (!arena_copy(c->arena, s->n + 1 == SENDERS_MOST ? S("(others)") : who, &s->list[s->n].who) ||
	    !arena_copy(c->arena, one->auth, &s->list[s->n].auth))
		exit(cli_fail(EX_SOFTWARE, "too many senders", ""));
	return &s->list[s->n++];
}

static void
add_sender(struct senders *s, struct cli *c, const struct cli_clerk_sender *one)
{
	struct sender_group *g = group_of(s, c, one);

	g->addresses++;
	g->messages += one->messages;
	g->passed += one->passed;
	g->dkim += one->dkim;
	g->spf += one->spf;
	g->other += one->other;
	g->forwarded += one->forwarded;
	g->quarantined += one->quarantined;
	g->rejected += one->rejected;
	if (one->days > g->days)
		g->days = one->days;
}

static int
by_messages(const void *a, const void *b)
{
	const struct sender_group *x = a, *y = b;

	return x->messages < y->messages ? 1 : x->messages > y->messages ? -1 : slice_cmp(x->who, y->who);
}

void
senders_ask(struct cli *c, struct ipc_client *client, struct slice domain, uint64_t since, bool verified,
    struct senders *out)
{
	struct cli_clerk_senders in = { .domain = domain, .since = since, .verified = verified };
	struct cli_clerk_senders_answer a = { .more = true };

	while (a.more) {
		need(cli_clerk_senders(client, &in, cli_deadline(), c->arena, &a), a.status);
		for (size_t i = 0; i < a.n_senders; i++)
			add_sender(out, c, &a.senders[i]);
		in.skip += (uint32_t)a.n_senders;
		a.more = a.more && a.n_senders > 0;
	}
	qsort(out->list, out->n, sizeof *out->list, by_messages);
}

static const char *
percent(uint64_t part, uint64_t whole, char *to, size_t size)
{
	if (whole == 0)
		(void)snprintf(to, size, "-");
	else
		(void)snprintf(to, size, "%.1f %%", 100.0 * (double)part / (double)whole);
	return to;
}

/* In words: what is to be thought of it. */
static const char *
verdict_of(const struct sender_group *g)
{
	uint64_t failing = g->messages - (g->passed < g->messages ? g->passed : g->messages);

	if (failing == 0)
		return "passes";
	if (failing <= g->forwarded)
		return "passes, but for lists and forwarders";
	if (g->passed > 0)
		return g->passed >= failing ? "mostly passes" : "mostly fails";
	return g->other > 0 ? "authenticated as somebody else: a service of yours?" : "forged: passes nothing";
}

static json_t *
sender_row(const struct sender_group *g)
{
	json_t *row = json_object();
	char text[32];

	row_set(row, "sender", json_of(g->who));
	row_set(row, "addresses", json_integer((json_int_t)g->addresses));
	row_set(row, "messages", json_integer((json_int_t)g->messages));
	row_set(row, "passed", json_string(percent(g->passed, g->messages, text, sizeof text)));
	row_set(row, "dkim", json_string(percent(g->dkim, g->messages, text, sizeof text)));
	row_set(row, "spf", json_string(percent(g->spf, g->messages, text, sizeof text)));
	row_set(row, "quarantined", json_integer((json_int_t)g->quarantined));
	row_set(row, "rejected", json_integer((json_int_t)g->rejected));
	row_set(row, "verdict", json_string(verdict_of(g)));
	row_set(row, "auth", json_of(g->auth));
	return row;
}

static void
say_summary(struct slice domain, const struct cli_clerk_summary_answer *s)
{
	own(buf_t) name = { .max = 1024 };
	char text[32];

	(void)buf_printable(&name, domain.n == 0 ? S("all domains") : domain, 300);
	if (s->reports == 0) {
		(void)printf("No reports about %.*s in this time. Receivers send them to the rua= address of the DMARC record.\n",
		    SFMT(buf_slice(&name)));
		return;
	}
	(void)printf("%.*s: %llu messages in its name, seen by %llu receivers on %llu days, %llu reports; %s pass DMARC.\n",
	    SFMT(buf_slice(&name)), (unsigned long long)s->messages, (unsigned long long)s->orgs,
	    (unsigned long long)s->days, (unsigned long long)s->reports,
	    percent(s->passed, s->messages, text, sizeof text));
	if (s->unverified > 0)
		(void)printf("%llu of the reports came from senders that could not be verified.\n",
		    (unsigned long long)s->unverified);
	if (s->damaged > 0)
		(void)printf("%llu were damaged: what could be read of them counts.\n", (unsigned long long)s->damaged);
}

int
cmd_dmarc_report(struct cli *c)
{
	static const char *const columns[] = { "sender", "addresses", "messages", "passed", "dkim", "spf",
		"quarantined", "rejected", "verdict", NULL };
	static struct senders senders;
	struct cli_clerk_summary in = { .since = since_option(c, "7d") };
	struct cli_clerk_summary_answer s;
	struct ipc_client *client;
	const char *domain = NULL;
	json_t *rows = json_array();

	(void)cli_option(c, "--domain", &domain);
	in.verified = cli_option(c, "--verified", NULL);
	if (!cli_args(c, 0, "dmarc report [--domain DOMAIN] [--since DURATION] [--verified]"))
		return EX_USAGE;
	in.domain = slice_z(domain);
	client = cli_connect(c, "clerk");
	need(cli_clerk_summary(client, &in, cli_deadline(), c->arena, &s), s.status);
	senders_ask(c, client, in.domain, in.since, in.verified, &senders);
	ipc_client_free(&client);
	for (size_t i = 0; i < senders.n; i++)
		(void)json_array_append_new(rows, sender_row(&senders.list[i]));
	if (!c->json && !c->quiet)
		say_summary(in.domain, &s);
	if (c->json || senders.n > 0)
		table_print(c, rows, columns);
	else
		json_decref(rows);
	return EX_OK;
}

/* ---- the reports themselves ---- */

static json_t *
head_row(const struct cli_clerk_head *h)
{
	json_t *row = json_object();

	row_set(row, "received", json_time(h->at_us));
	row_set(row, "from", json_of(h->org));
	row_set(row, "domain", json_of(h->domain));
	row_set(row, "begin", json_time((int64_t)h->begin * 1000000));
	row_set(row, "end", json_time((int64_t)h->end * 1000000));
	row_set(row, "rows", json_integer((json_int_t)h->rows));
	row_set(row, "messages", json_integer((json_int_t)h->messages));
	row_set(row, "failures", json_integer((json_int_t)h->failures));
	row_set(row, "policy", json_of(h->policy));
	row_set(row, "verified", json_boolean(h->verified));
	row_set(row, "damaged", json_boolean(h->damaged));
	row_set(row, "id", json_of(h->report_id));
	row_set(row, "sender", json_of(h->sender));
	return row;
}

static int
list_heads(struct cli *c, enum cli_clerk_kind kind, const char *usage)
{
	static const char *const dmarc[] = { "received", "from", "domain", "begin", "rows", "messages", "policy",
		"verified", "damaged", NULL };
	static const char *const tls[] = { "received", "from", "domain", "begin", "messages", "failures", "verified",
		NULL };
	struct cli_clerk_list in = { .kind = kind, .since = since_option(c, "30d") };
	struct cli_clerk_list_answer a = { .more = true };
	struct ipc_client *client;
	const char *domain = NULL;
	json_t *rows = json_array();

	(void)cli_option(c, "--domain", &domain);
	if (!cli_args(c, 0, usage))
		return EX_USAGE;
	in.domain = slice_z(domain);
	client = cli_connect(c, "clerk");
	while (a.more) {
		need(cli_clerk_list(client, &in, cli_deadline(), c->arena, &a), a.status);
		for (size_t i = 0; i < a.n_heads; i++)
			(void)json_array_append_new(rows, head_row(&a.heads[i]));
		in.skip += (uint32_t)a.n_heads;
		a.more = a.more && a.n_heads > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, kind == CLI_CLERK_KIND_TLS ? tls : dmarc);
	return EX_OK;
}

int
cmd_dmarc_list(struct cli *c)
{
	return list_heads(c, CLI_CLERK_KIND_DMARC, "dmarc list [--domain DOMAIN] [--since DURATION]");
}

int
cmd_tls_list(struct cli *c)
{
	return list_heads(c, CLI_CLERK_KIND_TLS, "tls list [--domain DOMAIN] [--since DURATION]");
}

int
cmd_dmarc_failures(struct cli *c)
{
	static const char *const columns[] = { "arrival", "type", "source", "from", "to", "domain", "failure",
		"result", NULL };
	struct cli_clerk_complaints in = { .since = since_option(c, "30d") };
	struct cli_clerk_complaints_answer a = { .more = true };
	struct ipc_client *client;
	const char *domain = NULL;
	json_t *rows = json_array();

	(void)cli_option(c, "--domain", &domain);
	if (!cli_args(c, 0, "dmarc failures [--domain DOMAIN] [--since DURATION]"))
		return EX_USAGE;
	in.domain = slice_z(domain);
	client = cli_connect(c, "clerk");
	while (a.more) {
		need(cli_clerk_complaints(client, &in, cli_deadline(), c->arena, &a), a.status);
		for (size_t i = 0; i < a.n_complaints; i++) {
			const struct cli_clerk_complaint *f = &a.complaints[i];
			json_t *row = json_object();

			row_set(row, "arrival", json_time(f->arrival * 1000000));
			row_set(row, "type", json_of(f->type));
			row_set(row, "source", json_of(f->source));
			row_set(row, "from", json_of(f->mail_from));
			row_set(row, "to", json_of(f->rcpt));
			row_set(row, "domain", json_of(f->domain));
			row_set(row, "failure", json_of(f->auth_failure));
			row_set(row, "result", json_of(f->result));
			(void)json_array_append_new(rows, row);
		}
		in.skip += (uint32_t)a.n_complaints;
		a.more = a.more && a.n_complaints > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}

static json_t *
tls_row(const struct cli_clerk_tls *t)
{
	json_t *row = json_object();

	row_set(row, "domain", json_of(t->domain));
	row_set(row, "policy", json_of(t->policy));
	row_set(row, "result", t->type.n == 0 ? json_string("all sessions") : json_of(t->type));
	row_set(row, "successes", json_integer((json_int_t)t->sessions));
	row_set(row, "failures", json_integer((json_int_t)t->failures));
	row_set(row, "mx", json_of(t->mx));
	row_set(row, "address", json_of(t->ip));
	row_set(row, "reason", json_of(t->reason));
	row_set(row, "reporter", json_of(t->org));
	row_set(row, "reports", json_integer((json_int_t)t->reports));
	return row;
}

int
cmd_tls_report(struct cli *c)
{
	static const char *const columns[] = { "domain", "policy", "result", "successes", "failures", "mx", "address",
		"reason", "reporter", NULL };
	struct cli_clerk_tls_sums in = { .since = since_option(c, "7d") };
	struct cli_clerk_tls_sums_answer a = { .more = true };
	struct ipc_client *client;
	const char *domain = NULL;
	json_t *rows = json_array();
	uint64_t good = 0, bad = 0;
	char text[32];

	(void)cli_option(c, "--domain", &domain);
	if (!cli_args(c, 0, "tls report [--domain DOMAIN] [--since DURATION]"))
		return EX_USAGE;
	in.domain = slice_z(domain);
	client = cli_connect(c, "clerk");
	while (a.more) {
		need(cli_clerk_tls_sums(client, &in, cli_deadline(), c->arena, &a), a.status);
		for (size_t i = 0; i < a.n_rows; i++) {
			good += a.rows[i].type.n == 0 ? a.rows[i].sessions : 0;
			bad += a.rows[i].type.n == 0 ? a.rows[i].failures : 0;
			(void)json_array_append_new(rows, tls_row(&a.rows[i]));
		}
		in.skip += (uint32_t)a.n_rows;
		a.more = a.more && a.n_rows > 0;
	}
	ipc_client_free(&client);
	if (!c->json && !c->quiet && good + bad > 0)
		(void)printf("%llu TLS sessions to us, %s without fault.\n", (unsigned long long)(good + bad),
		    percent(good, good + bad, text, sizeof text));
	table_print(c, rows, columns);
	return EX_OK;
}

/* ---- a report from a file ---- */

/* The file's content in a sealed memfd, and its size; -1 with errno. */
static int
sealed_copy(int from, uint64_t *size)
{
	own(fd_t) to = memfd_create("import", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	static char piece[65536];
	ssize_t n = 0;

	*size = 0;
	while (to >= 0 && (n = read(from, piece, sizeof piece)) > 0) {
		if (write(to, piece, (size_t)n) != n)
			return -1;
		*size += (uint64_t)n;
	}
	if (to < 0 || n < 0 || fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return -1;
	return fd_take(&to);
}

static int
import_one(struct cli *c, struct ipc_client *client, const char *path)
{
	static const int statuses[] = { EX_OK, EX_DATAERR, EX_DATAERR, EX_TEMPFAIL, EX_TEMPFAIL };
	struct cli_clerk_import in = { .size = 0 };
	struct cli_clerk_import_answer a;
	own(fd_t) file = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	own(fd_t) copy = -1;
	own(buf_t) why = { .max = 1024 };
	enum ipc_status st;

	if (file < 0 || (copy = sealed_copy(file, &in.size)) < 0)
		return cli_fail(EX_NOINPUT, path, strerror(errno));
	in.fd = copy;
	st = cli_clerk_import(client, &in, cli_deadline(), c->arena, &a);
	if (st != IPC_OK)
		cli_no_answer(st);
	(void)buf_printable(&why, a.text, 800);
	if (!c->quiet && (a.reports > 0 || a.dropped > 0))
		(void)printf("%s: %u stored, %u dropped%s%.*s\n", path, a.reports, a.dropped, why.n > 0 ? ": " : "",
		    SFMT(buf_slice(&why)));
	else if (a.status != CLI_CLERK_RESULT_OK)
		(void)fprintf(stderr, "postern: %s: %.*s\n", path, SFMT(why.n > 0 ? buf_slice(&why) : S("no report")));
	return statuses[a.status];
}

int
cmd_dmarc_import(struct cli *c)
{
	struct ipc_client *client;
	int status = EX_OK, one;

	if (c->argc < 1)
		return cli_args(c, 1, "dmarc import FILE|-..."), EX_USAGE;
	client = cli_connect(c, "clerk");
	for (int i = 0; i < c->argc; i++)
		if ((one = import_one(c, client, c->argv[i])) != EX_OK)
			status = one;
	ipc_client_free(&client);
	return status;
}
