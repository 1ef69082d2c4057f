/* SPDX-License-Identifier: MIT
 * Reads one report file in 256 MiB of address space and prints what was understood as lines of JSON,
 * the parts first, for check_reports.py: driver dmarc|tls|arf FILE. Exit 0: a report; 1: cleanly refused. */
#include <stdio.h>
#include <sys/resource.h>

#include <jansson.h>

#include "lib/base/own.h"
#include "lib/report/arf.h"
#include "lib/report/dmarc.h"
#include "lib/report/tls.h"

static json_t *
text(struct slice s)
{
	return json_stringn(s.n == 0 ? "" : (const char *)s.p, s.n);
}

static json_t *
auth(const struct dmarc_report_auth *list, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(out,
		    json_pack("{so so so so so}", "domain", text(list[i].domain), "selector",
			text(list[i].selector), "scope", text(list[i].scope), "result",
			text(list[i].result), "human", text(list[i].human)));
	return out;
}

/* One line of JSON: nothing is kept. */
static bool
print(json_t *v)
{
	bool ok = json_dumpf(v, stdout, JSON_COMPACT) == 0;

	json_decref(v);
	return putchar('\n') != EOF && ok;
}

static bool
on_row(void *self, const struct dmarc_report_row *row)
{
	json_t *reasons = json_array();

	for (size_t i = 0; i < row->n_reasons; i++)
		(void)json_array_append_new(reasons, json_pack("{so so}", "type",
		    text(row->reasons[i].type), "comment", text(row->reasons[i].comment)));
	(void)self;
	return print(json_pack("{so sI so so so so so so so so so si}", "source", text(row->source), "count",
		       (json_int_t)row->count, "disposition", text(row->disposition), "dkim",
		       text(row->dkim), "spf", text(row->spf), "envelope_to", text(row->envelope_to),
		       "envelope_from", text(row->envelope_from), "header_from", text(row->header_from),
		       "reasons", reasons, "dkim_auth", auth(row->dkim_auth, row->n_dkim), "spf_auth",
		       auth(row->spf_auth, row->n_spf), "ip", (int)row->ip.n));
}

static int
dmarc(struct slice in)
{
	own(arena_p) a = arena_new("report", 262144);
	enum dmarc_report_status status;
	struct dmarc_report r;

	status = dmarc_report_read(in, a, on_row, NULL, &r);
	if (status != DMARC_REPORT_OK) {
		(void)printf("%s\n", dmarc_report_status_name(status));
		return 1;
	}
	return print(json_pack("{so so so so so sI sI so so so so so so so so so so sb}", "version",
	    text(r.version), "org_name", text(r.org_name), "email", text(r.email), "extra_contact",
	    text(r.extra_contact), "report_id", text(r.report_id), "begin", (json_int_t)r.begin, "end",
	    (json_int_t)r.end, "generator", text(r.generator), "error", text(r.error), "domain",
	    text(r.domain), "p", text(r.p), "sp", text(r.sp), "np", text(r.np), "adkim",
	    text(r.adkim), "aspf", text(r.aspf), "fo", text(r.fo), "testing", text(r.testing), "damaged", (int)r.damaged))
		   ? 0
		   : 2;
}

static bool
on_policy(void *self, const struct tls_report_policy *p)
{
	json_t *failures = json_array();

	(void)self;
	for (size_t i = 0; i < p->n; i++) {
		const struct tls_report_failure *f = &p->failures[i];

		(void)json_array_append_new(failures,
		    json_pack("{so so so so sI so so}", "type", text(f->type), "sending", text(f->sending_ip),
			"receiving", text(f->receiving_ip), "mx", text(f->receiving_mx), "sessions",
			(json_int_t)f->sessions, "info", text(f->info), "reason", text(f->reason)));
	}
	return print(json_pack("{so so so so sI sI so}", "type", text(p->type), "domain", text(p->domain),
	    "string", text(p->string), "mx", text(p->mx), "successes", (json_int_t)p->successes, "failed",
	    (json_int_t)p->failed, "failures", failures));
}

static int
tls(struct slice in)
{
	own(arena_p) a = arena_new("report", 2097152);
	enum tls_report_status status;
	struct tls_report r;

	status = tls_report_read(in, a, on_policy, NULL, &r);
	if (status != TLS_REPORT_OK) {
		(void)printf("%s\n", tls_report_status_name(status));
		return 1;
	}
	return print(json_pack("{so so so sI sI sI sI}", "organization", text(r.organization), "contact",
		   text(r.contact), "id", text(r.id), "start", (json_int_t)r.start, "end",
		   (json_int_t)r.end, "successes", (json_int_t)r.successes, "failures",
		   (json_int_t)r.failures))
		   ? 0
		   : 2;
}

static json_t *
list(const struct slice *s, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(out, text(s[i]));
	return out;
}

static int
arf(struct slice in)
{
	own(arena_p) a = arena_new("report", 2 * LIMIT_ARF);
	static struct arf r;

	if (!arf_parse(in, a, &r)) {
		(void)printf("bad\n");
		return 1;
	}
	return print(json_pack("{so so si so so so so so sI si so so so so so so so so so so}", "type",
		   text(r.type), "user_agent", text(r.user_agent), "version", (int)r.version,
		   "original_mail_from", text(r.mail_from), "original_envelope_id", text(r.envelope_id),
		   "original_rcpt_to", list(r.rcpts, r.n_rcpts), "reporting_mta", text(r.reporting_mta),
		   "source_ip", text(r.source), "arrival_date", (json_int_t)r.arrival, "incidents",
		   (int)r.incidents, "auth_failure", text(r.auth_failure), "delivery_result",
		   text(r.delivery_result), "dkim_domain", text(r.dkim_domain), "dkim_identity",
		   text(r.dkim_identity), "dkim_selector", text(r.dkim_selector),
		   "dkim_canonicalized_body", text(r.dkim_body), "spf_dns", text(r.spf_dns),
		   "reported_domain", list(r.domains, r.n_domains), "reported_uri",
		   list(r.uris, r.n_uris), "authentication_results", list(r.results, r.n_results)))
		   ? 0
		   : 2;
}

int
main(int argc, char **argv)
{
	static const struct rlimit memory = { MEMORY_LIMIT, MEMORY_LIMIT };
	own(buf_t) b = { .max = 0 };
	uint8_t piece[1024];
	size_t got;
	FILE *f;

	if (argc != 3 || (f = fopen(argv[2], "rb")) == NULL)
		return 2;
	/* sanitizers reserve terabytes of addresses: there the limit is 0, none */
	if (MEMORY_LIMIT > 0 && setrlimit(RLIMIT_AS, &memory) != 0)
		return 2;
	buf_init(&b, 16777216);
	while ((got = fread(piece, 1, sizeof piece, f)) > 0)
		(void)buf_add(&b, slice_of(piece, got));
	(void)fclose(f);
	if (strcmp(argv[1], "tls") == 0)
		return tls(buf_slice(&b));
	return strcmp(argv[1], "arf") == 0 ? arf(buf_slice(&b)) : dmarc(buf_slice(&b));
}
