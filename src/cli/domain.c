/* SPDX-License-Identifier: MIT
 * What a domain has to have in the DNS, and what the world sees of it. */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "lib/base/ip.h"
#include "lib/make/records.h"
#include "lib/resolve/stub.h"
#include "lib/verify/domain/domain.h"

static uint16_t
port_of(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_listeners; i++)
		if (strcmp(c->listeners[i].name, name) == 0)
			return c->listeners[i].port;
	return 0;
}

static void
dns_json(const struct records *r)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < r->n; i++) {
		json_t *row = json_object();

		row_set(row, "name", json_of(r->list[i].name));
		row_set(row, "type", json_string(r->list[i].type));
		row_set(row, "data", json_of(r->list[i].rdata));
		row_set(row, "why", json_string(r->list[i].why));
		row_set(row, "elsewhere", json_boolean(r->list[i].elsewhere));
		(void)json_array_append_new(rows, row);
	}
	(void)json_dumpf(rows, stdout, JSON_INDENT(2));
	(void)printf("\n");
	json_decref(rows);
}

#define MOST_DKIM 32

struct dkim_rows {
	struct records_dkim row[MOST_DKIM];
	size_t n;
};

/* What the world has to have; empty keys say that they are revoked. */
static void
add_dkim(void *ctx, const struct cli_keys_key *k)
{
	struct dkim_rows *d = ctx;

	if (d->n < MOST_DKIM)
		d->row[d->n++] = (struct records_dkim){ .selector = k->selector,
			.algorithm = k->algorithm == CLI_KEYS_ALGORITHM_RSA ? S("rsa") : S("ed25519"),
			.key = k->public };
}

#define MOST_IPS 16
#define MOST_RESOLVERS 8

/* What "domain dns" and "domain check" know of the domain. Lives as long as the command. */
struct needs {
	struct ip ips[MOST_IPS];
	size_t n_ips;
	struct dkim_rows dkim;
	uint8_t spki[32];
	struct records_tlsa tlsa;
	struct records records;
};

/* --ip ADDRESS, any number. */
static bool
take_ips(struct cli *c, struct needs *n)
{
	const char *text;

	while (cli_option(c, "--ip", &text))
		if (n->n_ips == MOST_IPS || !ip_parse(slice_z(text), &n->ips[n->n_ips++])) {
			(void)cli_fail(EX_DATAERR, "not an IP address", text);
			return false;
		}
	return true;
}

/* The addresses of this machine that are of the public Internet. */
static void
own_ips(struct needs *n)
{
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *i = all; i != NULL && n->n_ips < MOST_IPS; i = i->ifa_next) {
		struct ip ip = { .n = 0 };

		if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET) {
			ip.n = 4;
			memcpy(ip.b, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, 4);
		} else if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET6) {
			ip.n = 16;
			memcpy(ip.b, &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr, 16);
		}
		if (ip.n > 0 && ip_special(&ip) == NULL)
			n->ips[n->n_ips++] = ip;
	}
	freeifaddrs(all);
}

static bool
find_needs(struct cli *c, const char *domain, struct needs *n)
{
	struct records_input in = { .ips = n->ips, .n_ips = n->n_ips, .soft_spf = true, .domain = slice_z(domain),
		.host = slice_z(c->config.hostname), .policy = S("none") };
	own(buf_t) report = { .max = 512 };
	own(buf_t) dmarc = { .max = 512 };
	own(buf_t) tls = { .max = 512 };

	buf_fmt(&report, "postmaster@%s", domain);
	buf_fmt(&dmarc, "dmarc-reports@%s", domain);
	buf_fmt(&tls, "tls-reports@%s", domain);
	in.security = buf_slice(&report);
	in.dmarc_report = buf_slice(&dmarc);
	in.tls_report = buf_slice(&tls);
	in.imaps = port_of(&c->config, "imaps");
	in.submissions = port_of(&c->config, "submissions");
	in.submission = port_of(&c->config, "submission");
	if (cli_certificate_digest(c->config.certificate, n->spki)) {
		n->tlsa = (struct records_tlsa){ .port = 25, .usage = 3, .selector = 1, .matching = 1,
			.data = slice_of(n->spki, 32) };
		in.tlsa = &n->tlsa;
		in.n_tlsa = 1;
	}
	dkim_each(c, in.domain, add_dkim, &n->dkim);
	in.dkim = n->dkim.row;
	in.n_dkim = n->dkim.n;
	return records_make(&in, c->arena, &n->records);
}

int
cmd_domain_dns(struct cli *c)
{
	static struct needs needs;
	own(buf_t) zone = { .max = 65536 };

	cli_config(c);
	if (!take_ips(c, &needs))
		return EX_DATAERR;
	if (!cli_args(c, 1, "domain dns DOMAIN [--ip ADDRESS]..."))
		return EX_USAGE;
	if (needs.n_ips == 0)
		own_ips(&needs);
	if (!find_needs(c, c->argv[0], &needs))
		return cli_fail(EX_DATAERR, "no domain name", c->argv[0]);
	if (c->json) {
		dns_json(&needs.records);
		return EX_OK;
	}
	if (needs.n_ips == 0)
		buf_fmt(&zone, "; This machine has no public address of its own. Publish A and AAAA records for\n"
			       "; %s with those that the world sees, or name them with --ip.\n\n", c->config.hostname);
	(void)records_write(&zone, &needs.records);
	(void)fwrite(zone.p, 1, zone.n, stdout);
	return EX_OK;
}

/* ---- domain check ------------------------------------------------------------------------------- */

/* Who is asked, and what it said. */
struct viewer {
	char name[64];
	struct stub stub;
	struct domain_findings findings;
};

struct views {
	struct viewer list[MOST_RESOLVERS + 1];
	size_t n;
};

static bool
add_viewer(struct views *v, const char *address)
{
	struct viewer *w = &v->list[v->n];

	if (v->n == MOST_RESOLVERS + 1 || !stub_parse(slice_z(address), &w->stub))
		return false;
	(void)snprintf(w->name, sizeof w->name, "%s", address);
	v->n++;
	return true;
}

/* --resolver ADDRESS[@PORT]; without it three that everybody can ask. The server's own comes first. */
static bool
take_resolvers(struct cli *c, struct views *v)
{
	static const char *const PUBLIC[] = { "9.9.9.9", "1.1.1.1", "8.8.8.8" };
	const char *text;

	(void)snprintf(v->list[0].name, sizeof v->list[0].name, "own");
	v->n = 1;
	while (cli_option(c, "--resolver", &text))
		if (!add_viewer(v, text)) {
			(void)cli_fail(EX_DATAERR, "not ADDRESS or ADDRESS@PORT, or too many", text);
			return false;
		}
	for (size_t i = 0; v->n == 1 + i && i < sizeof PUBLIC / sizeof *PUBLIC; i++)
		(void)add_viewer(v, PUBLIC[i]);
	return true;
}

static bool
look(struct cli *c, const struct records *records, struct views *v)
{
	for (size_t i = 0; i < v->n; i++) {
		struct resolver r = i == 0 ? cli_resolver(c) : resolver_of(stub_query, &v->list[i].stub);

		r.left = (unsigned)(2 * records->n);
		if (!domain_check(records, &r, c->arena, &v->list[i].findings))
			return false;
	}
	return true;
}

/* TLSA records count in a signed zone only (RFC 7672 2.2): elsewhere they are no duty. */
static const char *
hint(const struct views *v, size_t at)
{
	const struct domain_finding *own = &v->list[0].findings.list[at];

	if (strcmp(own->record->type, "TLSA") != 0 || own->secure || own->state == DOMAIN_UNKNOWN)
		return NULL;
	return "the zone is not signed (DNSSEC), so that DANE is off";
}

/* What somebody has to do about a record, or NULL. States are those that resolvers who answered agree on. */
static const char *
advice(const struct views *v, size_t at)
{
	const struct domain_finding *first = NULL;
	bool differ = false;

	for (size_t i = 0; i < v->n; i++) {
		const struct domain_finding *f = &v->list[i].findings.list[at];

		if (f->state == DOMAIN_UNKNOWN)
			continue;
		differ = differ || (first != NULL && first->state != f->state);
		if (first == NULL || f->state != DOMAIN_OK)
			first = f;
	}
	if (first == NULL)
		return "no resolver could say; try again";
	if (hint(v, at) != NULL)
		return NULL;
	if (differ)
		return "resolvers disagree: an older answer is still cached, or the zone's servers differ";
	switch (first->state) {
	case DOMAIN_MISSING:
		return "publish it";
	case DOMAIN_DIFFERENT:
		return "change it";
	case DOMAIN_EXTRA:
		return "remove the other one";
	case DOMAIN_OK:
	case DOMAIN_UNKNOWN:
		break;
	}
	return NULL;
}

static json_t *
check_row(const struct views *v, size_t at)
{
	const struct record *record = v->list[0].findings.list[at].record;
	const char *todo = advice(v, at);
	json_t *row = json_object(), *seen = json_array();

	row_set(row, "name", json_of(record->name));
	row_set(row, "type", json_string(record->type));
	row_set(row, "wanted", json_of(record->rdata));
	row_set(row, "why", json_string(record->why));
	row_set(row, "elsewhere", json_boolean(record->elsewhere));
	row_set(row, "hint", hint(v, at) == NULL ? json_null() : json_string(hint(v, at)));
	row_set(row, "advice", todo == NULL ? json_null() : json_string(todo));
	for (size_t i = 0; i < v->n; i++) {
		const struct domain_finding *f = &v->list[i].findings.list[at];
		json_t *one = json_object();

		row_set(one, "resolver", json_string(v->list[i].name));
		row_set(one, "state", json_string(domain_state_name(f->state)));
		row_set(one, "seen", json_of(f->seen));
		row_set(one, "secure", json_boolean(f->secure));
		(void)json_array_append_new(seen, one);
	}
	row_set(row, "resolvers", seen);
	return row;
}

static void
print_one(const struct views *v, size_t at)
{
	const struct record *record = v->list[0].findings.list[at].record;
	const char *todo = advice(v, at);

	(void)printf("%-9s %.*s %s%s%s\n", todo != NULL ? "WRONG" : hint(v, at) != NULL ? "-" : "ok", SFMT(record->name),
	    record->type, hint(v, at) != NULL ? ": " : "", hint(v, at) != NULL ? hint(v, at) : "");
	if (todo == NULL)
		return;
	(void)printf("          %s: %s\n          wanted: %.*s\n", record->why, todo, SFMT(record->rdata));
	for (size_t i = 0; i < v->n; i++) {
		const struct domain_finding *f = &v->list[i].findings.list[at];

		(void)printf("          %s: %s%s%.*s\n", v->list[i].name, domain_state_name(f->state),
		    f->seen.n > 0 ? ", " : "", SFMT(f->seen));
	}
}

int
cmd_domain_check(struct cli *c)
{
	static struct needs needs;
	static struct views v;
	json_t *rows = json_array();
	size_t wrong = 0;

	cli_config(c);
	if (!take_ips(c, &needs) || !take_resolvers(c, &v))
		return EX_DATAERR;
	if (!cli_args(c, 1, "domain check DOMAIN [--resolver ADDRESS[@PORT]]... [--ip ADDRESS]..."))
		return EX_USAGE;
	if (needs.n_ips == 0)
		own_ips(&needs);
	if (!find_needs(c, c->argv[0], &needs))
		return cli_fail(EX_DATAERR, "no domain name", c->argv[0]);
	if (!look(c, &needs.records, &v))
		return cli_fail(EX_OSERR, c->argv[0], "the answers are too long");
	for (size_t i = 0; i < needs.records.n; i++) {
		wrong += advice(&v, i) != NULL;
		if (c->json)
			(void)json_array_append_new(rows, check_row(&v, i));
		else
			print_one(&v, i);
	}
	if (c->json) {
		(void)json_dumpf(rows, stdout, JSON_INDENT(2));
		(void)printf("\n");
	} else {
		(void)printf("%zu records, %zu to look after\n", needs.records.n, wrong);
	}
	json_decref(rows);
	return wrong == 0 ? EX_OK : EX_DATAERR;
}
