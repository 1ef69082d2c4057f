/* SPDX-License-Identifier: MIT
 * The DMARC ramp in words (lib/report/ramp.h has the thresholds), and what the clerk does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/reports.h"
#include "lib/base/civil.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/parse/dmarc/dmarc.h"
#include "lib/report/ramp.h"

#define EVIDENCE_DAYS 60
#define FOREIGN_MOST 64

static enum ramp_policy
policy_of(struct slice record)
{
	struct dmarc_record r;

	if (!dmarc_parse(record, &r) || !r.usable)
		return RAMP_NO_RECORD;
	return r.p == DMARC_P_REJECT ? RAMP_REJECT : r.p == DMARC_P_QUARANTINE ? RAMP_QUARANTINE : RAMP_NONE;
}

/* Where the DNS is not to be had, the newest report says what its writer saw. */
static enum ramp_policy
policy_now(struct cli *c, struct ipc_client *client, struct slice domain, struct slice reported,
    struct slice *record)
{
	struct cli_clerk_record in = { .domain = domain };
	struct cli_clerk_record_answer a;
	enum ipc_status st = cli_clerk_record(client, &in, cli_deadline(), c->arena, &a);

	if (st != IPC_OK)
		cli_no_answer(st);
	*record = a.dns == CLI_CLERK_DNS_OK ? a.text : S("");
	if (a.dns != CLI_CLERK_DNS_FAILED)
		return policy_of(*record);
	if (!c->json)
		(void)printf("The DNS does not answer; the policy is taken from the newest report.\n");
	return slice_eq(reported, S("reject")) ? RAMP_REJECT :
	    slice_eq(reported, S("quarantine"))  ? RAMP_QUARANTINE :
	    reported.n > 0			 ? RAMP_NONE :
						   RAMP_NO_RECORD;
}

static void
say_breaking(const struct ramp *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct ramp_sender *s = &r->senders[i];
		own(buf_t) who = { .max = 1024 };

		if (!s->breaks)
			continue;
		(void)buf_printable(&who, s->who, 300);
		(void)printf("  %.*s: %llu of its %llu messages would be hit. %s\n", SFMT(buf_slice(&who)),
		    (unsigned long long)s->hit, (unsigned long long)s->messages,
		    s->passed > 0 ? "Find out which of its mail is neither signed as the domain nor sent from SPF's addresses." :
				    "If it is yours, let it sign with DKIM as the domain, or send from SPF's addresses; if not, say --foreign with its name.");
	}
}

static void
say(const struct ramp *r)
{
	const char *next = ramp_policy_name(r->next);

	switch (r->answer) {
	case RAMP_START:
		(void)printf("There is no DMARC record. Begin with p=none, and read the reports that come.\n");
		break;
	case RAMP_WAIT:
		(void)printf("Not yet: p=%s wants %llu days with reports, %llu messages and %u receivers; there are %llu, %llu and %llu.\n",
		    next, (unsigned long long)r->want_days, (unsigned long long)r->want_messages, RAMP_ORGS,
		    (unsigned long long)r->days, (unsigned long long)r->messages, (unsigned long long)r->orgs);
		say_breaking(r);
		break;
	case RAMP_FIX:
		(void)printf("No: p=%s would hit %llu of %llu messages that look legitimate.\n", next,
		    (unsigned long long)r->hit, (unsigned long long)r->legitimate);
		say_breaking(r);
		if (r->loss)
			(void)printf("  No sender stands out; too much fails altogether.\n");
		break;
	case RAMP_GO:
		(void)printf("Yes: p=%s is safe now. %llu of %llu messages that look legitimate would be hit, and %llu forged ones.\n",
		    next, (unsigned long long)r->hit, (unsigned long long)r->legitimate, (unsigned long long)r->forged);
		break;
	case RAMP_DONE:
		(void)printf("p=reject is published already.\n");
		break;
	}
}

static const char *
answer_name(enum ramp_answer a)
{
	static const char *const names[] = { "start", "wait", "fix", "go", "done" };

	return names[a];
}

static void
print_json(const struct ramp *r, struct slice record)
{
	json_t *o = json_object(), *list = json_array();

	row_set(o, "answer", json_string(answer_name(r->answer)));
	row_set(o, "policy", json_string(ramp_policy_name(r->now)));
	row_set(o, "next", json_string(ramp_policy_name(r->next)));
	row_set(o, "days", json_integer((json_int_t)r->days));
	row_set(o, "receivers", json_integer((json_int_t)r->orgs));
	row_set(o, "messages", json_integer((json_int_t)r->messages));
	row_set(o, "legitimate", json_integer((json_int_t)r->legitimate));
	row_set(o, "hit", json_integer((json_int_t)r->hit));
	row_set(o, "forged", json_integer((json_int_t)r->forged));
	for (size_t i = 0; i < r->n; i++)
		if (r->senders[i].breaks) {
			json_t *row = json_object();

			row_set(row, "sender", json_of(r->senders[i].who));
			row_set(row, "messages", json_integer((json_int_t)r->senders[i].messages));
			row_set(row, "hit", json_integer((json_int_t)r->senders[i].hit));
			(void)json_array_append_new(list, row);
		}
	row_set(o, "breaks", list);
	row_set(o, "record", json_of(record));
	(void)json_dumpf(o, stdout, JSON_INDENT(2));
	(void)printf("\n");
	json_decref(o);
}

static void
take_senders(struct cli *c, const struct senders *from, const char *const *foreign, size_t n_foreign, struct ramp *r)
{
	r->senders = ARENA_ARRAY(c->arena, from->n, struct ramp_sender);
	if (r->senders == NULL)
		exit(cli_fail(EX_SOFTWARE, "too many senders", ""));
	for (size_t i = 0; i < from->n; i++) {
		const struct sender_group *g = &from->list[i];

		r->senders[i] = (struct ramp_sender){ .who = g->who, .messages = g->messages, .passed = g->passed,
			.other = g->other, .forwarded = g->forwarded, .days = g->days };
		for (size_t k = 0; k < n_foreign; k++)
			r->senders[i].foreign = r->senders[i].foreign || slice_ieq(slice_z(foreign[k]), g->who);
	}
	r->n = from->n;
}

int
cmd_dmarc_ramp(struct cli *c)
{
	static struct senders senders;
	const char *foreign[FOREIGN_MOST];
	size_t n_foreign = 0;
	struct cli_clerk_summary in = { .verified = true };
	struct cli_clerk_summary_answer s;
	struct ipc_client *client;
	struct ramp r = { 0 };
	struct slice record;
	own(buf_t) next = { .max = 4096 };

	while (n_foreign < FOREIGN_MOST && cli_option(c, "--foreign", &foreign[n_foreign]))
		n_foreign++;
	if (!cli_args(c, 1, "dmarc ramp DOMAIN [--foreign SENDER]..."))
		return EX_USAGE;
	in.domain = slice_z(c->argv[0]);
	in.since = (uint64_t)(clock_wall_us() / 1000000 - EVIDENCE_DAYS * CIVIL_DAY);
	client = cli_connect(c, "clerk");
	if (cli_clerk_summary(client, &in, cli_deadline(), c->arena, &s) != IPC_OK || s.status != CLI_CLERK_RESULT_OK)
		cli_no_answer(IPC_UNAVAILABLE);
	senders_ask(c, client, in.domain, in.since, true, &senders);
	r.now = policy_now(c, client, in.domain, s.policy, &record);
	ipc_client_free(&client);
	r.days = s.days;
	r.orgs = s.orgs;
	r.messages = s.messages;
	take_senders(c, &senders, foreign, n_foreign, &r);
	ramp_weigh(&r);
	(void)ramp_record(&next, record, in.domain, r.answer == RAMP_GO || r.answer == RAMP_START ? r.next : r.now);
	if (c->json) {
		print_json(&r, buf_slice(&next));
		return EX_OK;
	}
	say(&r);
	if (r.answer == RAMP_GO || r.answer == RAMP_START)
		(void)printf("Publish:\n  _dmarc.%s. TXT \"%.*s\"\n", c->argv[0], SFMT(buf_slice(&next)));
	return EX_OK;
}

/* ---- the clerk ---- */

/* "YYYY-MM-DD", "today" or "yesterday" as a day since 1970. */
static bool
day_of(const char *text, uint64_t *day)
{
	uint64_t today = (uint64_t)(clock_wall_us() / 1000000 / CIVIL_DAY);
	struct slice s = slice_z(text), year, month, rest;
	struct civil c = { 0 };
	uint32_t y, m, d;
	int64_t seconds;

	if (slice_eq(s, S("today")) || slice_eq(s, S("yesterday"))) {
		*day = today - (s.n == 9 ? 1 : 0);
		return true;
	}
	if (!slice_cut(s, '-', &year, &rest) || !slice_cut(rest, '-', &month, &rest) || !slice_u32(year, &y) ||
	    !slice_u32(month, &m) || !slice_u32(rest, &d) || y > 9999 || m > 12 || d > 31)
		return false;
	c.year = (int32_t)y;
	c.month = (uint8_t)m;
	c.day = (uint8_t)d;
	if (!civil_to_seconds(&c, &seconds) || seconds < 0)
		return false;
	*day = (uint64_t)(seconds / CIVIL_DAY);
	return true;
}

int
cmd_clerk_run(struct cli *c)
{
	static const int statuses[] = { EX_OK, EX_DATAERR, EX_DATAERR, EX_TEMPFAIL, EX_TEMPFAIL };
	struct cli_clerk_run in = { .kind = CLI_CLERK_KIND_DMARC };
	struct cli_clerk_run_answer a;
	struct ipc_client *client;
	const char *day = "yesterday";
	enum ipc_status st;

	(void)cli_option(c, "--day", &day);
	if (!cli_args(c, 1, "clerk run dmarc|tls [--day YYYY-MM-DD|today|yesterday]"))
		return EX_USAGE;
	if (slice_eq(slice_z(c->argv[0]), S("tls")))
		in.kind = CLI_CLERK_KIND_TLS;
	else if (!slice_eq(slice_z(c->argv[0]), S("dmarc")))
		return cli_fail(EX_USAGE, c->argv[0], "dmarc or tls");
	if (!day_of(day, &in.day))
		return cli_fail(EX_USAGE, "no day (YYYY-MM-DD, today, yesterday)", day);
	client = cli_connect(c, "clerk");
	st = cli_clerk_run(client, &in, cli_deadline(), c->arena, &a);
	if (st != IPC_OK)
		cli_no_answer(st);
	if (a.status == CLI_CLERK_RESULT_OK && !c->quiet)
		(void)printf("%u domains get a report\n", a.planned);
	else if (a.status != CLI_CLERK_RESULT_OK)
		(void)fprintf(stderr, "postern: %.*s\n", SFMT(a.text));
	ipc_client_free(&client);
	return statuses[a.status];
}

static json_t *
owed_row(const struct cli_clerk_owed *o)
{
	json_t *row = json_object();
	struct civil d = civil_of((int64_t)o->day * CIVIL_DAY);
	char text[32];

	(void)snprintf(text, sizeof text, "%04d-%02u-%02u", d.year, d.month, d.day);
	row_set(row, "day", json_string(text));
	row_set(row, "kind", json_string(cli_clerk_kind_name(o->kind)));
	row_set(row, "domain", json_of(o->domain));
	row_set(row, "to", json_of(o->to));
	row_set(row, "state", json_string(cli_clerk_state_name(o->state)));
	row_set(row, "tries", json_integer(o->tries));
	row_set(row, "next", o->state == CLI_CLERK_STATE_OPEN ? json_time(o->next_us) : json_null());
	(void)snprintf(text, sizeof text, "%s.1", session_text(o->session).z);
	row_set(row, "mail", o->session == 0 ? json_null() : json_string(text));
	row_set(row, "why", json_of(o->why));
	return row;
}

int
cmd_clerk_owed(struct cli *c)
{
	static const char *const columns[] = { "day", "kind", "domain", "to", "state", "tries", "next", "mail", "why",
		NULL };
	struct cli_clerk_owing in = { 0 };
	struct cli_clerk_owing_answer a = { .more = true };
	struct ipc_client *client;
	json_t *rows = json_array();

	if (!cli_args(c, 0, "clerk owed"))
		return EX_USAGE;
	client = cli_connect(c, "clerk");
	while (a.more) {
		enum ipc_status st = cli_clerk_owing(client, &in, cli_deadline(), c->arena, &a);

		if (st != IPC_OK || a.status != CLI_CLERK_RESULT_OK)
			cli_no_answer(st);
		for (size_t i = 0; i < a.n_owed; i++)
			(void)json_array_append_new(rows, owed_row(&a.owed[i]));
		in.skip += (uint32_t)a.n_owed;
		a.more = a.more && a.n_owed > 0;
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}

int
cmd_clerk_inbox(struct cli *c)
{
	static const char *const columns[] = { "received", "from", "size", "tries", "why", NULL };
	struct cli_clerk_inbox in = { 0 };
	struct cli_clerk_inbox_answer a;
	struct ipc_client *client;
	json_t *rows = json_array();
	enum ipc_status st;

	if (!cli_args(c, 0, "clerk inbox"))
		return EX_USAGE;
	client = cli_connect(c, "clerk");
	st = cli_clerk_inbox(client, &in, cli_deadline(), c->arena, &a);
	if (st != IPC_OK || a.status != CLI_CLERK_RESULT_OK)
		cli_no_answer(st);
	for (size_t i = 0; i < a.n_mails; i++) {
		json_t *row = json_object();

		row_set(row, "received", json_time(a.mails[i].at_us));
		row_set(row, "from", a.mails[i].file ? json_string("(a file)") : json_of(a.mails[i].sender));
		row_set(row, "size", json_integer((json_int_t)a.mails[i].size));
		row_set(row, "tries", json_integer(a.mails[i].tries));
		row_set(row, "why", json_of(a.mails[i].why));
		(void)json_array_append_new(rows, row);
	}
	ipc_client_free(&client);
	table_print(c, rows, columns);
	return EX_OK;
}
