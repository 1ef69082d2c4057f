/* SPDX-License-Identifier: MIT
 * What a domain has to have in the DNS, and what the world sees of it. */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "lib/base/encode.h"
#include "lib/base/ip.h"
#include "lib/crypto/digest.h"
#include "lib/fetch/fetch.h"
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
		row_set(row, "unserved", json_boolean(r->list[i].unserved));
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
	struct cli_certificate certificate;
	bool has_certificate;
	struct records_tlsa tlsa;
	struct records_caa caa;
	char sts_id[32]; /* of the policy: it changes when the policy does */
	const char *sts_mode;
	struct buf sts, autoconfig; /* the files to serve; autoconfig is empty where there is nothing to say */
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

static void
find_certificate(struct cli *c, struct needs *n, struct records_input *in)
{
	n->has_certificate = cli_certificate(c->config.certificate, &n->certificate);
	if (n->has_certificate) {
		n->tlsa = (struct records_tlsa){ .port = 25, .usage = 3, .selector = 1, .matching = 1,
			.data = slice_of(n->certificate.spki, 32) };
		in->tlsa = &n->tlsa;
		in->n_tlsa = 1;
	}
	in->caa_only_example = !n->has_certificate || n->certificate.caa.n == 0;
	in->wildcard = n->has_certificate && n->certificate.wildcard;
	n->caa.issuer = in->caa_only_example ? S("letsencrypt.org") : n->certificate.caa;
	in->caa = &n->caa;
	in->n_caa = 1;
}

/* What a web server has to serve beside the records, and the id of the policy. */
static bool
find_files(struct needs *n, struct records_input *in)
{
	own(buf_t) hex = { .max = 64 };
	uint8_t digest[32];
	struct digest d;

	in->mta_sts_mode = slice_z(n->sts_mode == NULL ? "testing" : n->sts_mode);
	n->sts = (struct buf){ .max = 65536 };
	n->autoconfig = (struct buf){ .max = 65536 };
	if (!records_sts_policy(&n->sts, in))
		return false;
	in->autoconfig = records_autoconfig(&n->autoconfig, in);
	if (!in->autoconfig)
		buf_reset(&n->autoconfig);
	digest_begin(&d, DIGEST_SHA256);
	digest_add(&d, buf_slice(&n->sts));
	(void)digest_end(&d, digest);
	(void)hex_encode(&hex, slice_of(digest, 8));
	(void)snprintf(n->sts_id, sizeof n->sts_id, "%.*s", SFMT(buf_slice(&hex)));
	in->mta_sts_id = slice_z(n->sts_id);
	return true;
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
	find_certificate(c, n, &in);
	if (!find_files(n, &in))
		return false;
	dkim_each(c, in.domain, add_dkim, &n->dkim);
	in.dkim = n->dkim.row;
	in.n_dkim = n->dkim.n;
	return records_make(&in, c->arena, &n->records);
}

/* --sts MODE and --file NAME; *file stays NULL without it. */
static bool
take_words(struct cli *c, struct needs *n, const char **file)
{
	if (cli_option(c, "--sts", &n->sts_mode) && !slice_eq(slice_z(n->sts_mode), S("testing")) &&
	    !slice_eq(slice_z(n->sts_mode), S("enforce"))) {
		(void)cli_fail(EX_DATAERR, "testing or enforce", n->sts_mode);
		return false;
	}
	if (cli_option(c, "--file", file) && !slice_eq(slice_z(*file), S("mta-sts")) &&
	    !slice_eq(slice_z(*file), S("autoconfig"))) {
		(void)cli_fail(EX_DATAERR, "mta-sts or autoconfig", *file);
		return false;
	}
	return true;
}

/* A file as comment lines. */
static void
put_comment(struct buf *b, struct slice text)
{
	struct slice line, rest = text;

	while (slice_cut(rest, '\n', &line, &rest))
		buf_fmt(b, ";   %.*s\n", SFMT(slice_ends(line, S("\r")) ? slice_head(line, line.n - 1) : line));
}

/* What the records alone do not say. */
static void
put_files(struct buf *b, const char *domain, const struct needs *n)
{
	buf_fmt(b, "\n; This server serves no HTTPS yet. Any web server with a valid certificate may serve what follows; the names\n"
		   "; mta-sts and autoconfig have to lead to it.\n;\n"
		   "; https://mta-sts.%s/.well-known/mta-sts.txt as text/plain, lines end in CR LF\n"
		   "; (postern domain dns %s --file mta-sts):\n;\n",
	    domain, domain);
	put_comment(b, buf_slice(&n->sts));
	buf_fmt(b, ";\n; \"testing\" has failures reported to you and mail delivered all the same. When the reports tell of none\n"
		   "; (postern tls report), go on to --sts enforce: a new policy, and a new id in _mta-sts.\n");
	if (!n->has_certificate || n->certificate.self_signed)
		buf_fmt(b, "; Not before the server has a certificate that a CA gave: others would verify the one in use in vain.\n");
	if (n->autoconfig.n == 0)
		return;
	buf_fmt(b, ";\n; https://autoconfig.%s/mail/config-v1.1.xml as text/xml\n; (postern domain dns %s --file autoconfig):\n;\n",
	    domain, domain);
	put_comment(b, buf_slice(&n->autoconfig));
}

int
cmd_domain_dns(struct cli *c)
{
	static struct needs needs;
	own(buf_t) zone = { .max = 65536 };
	const char *file = NULL;

	cli_config(c);
	if (!take_ips(c, &needs) || !take_words(c, &needs, &file))
		return EX_DATAERR;
	if (!cli_args(c, 1, "domain dns DOMAIN [--ip ADDRESS]... [--sts testing|enforce] [--file mta-sts|autoconfig]"))
		return EX_USAGE;
	if (needs.n_ips == 0)
		own_ips(&needs);
	if (!find_needs(c, c->argv[0], &needs))
		return cli_fail(EX_DATAERR, "no domain name", c->argv[0]);
	if (file != NULL) {
		const struct buf *b = slice_eq(slice_z(file), S("mta-sts")) ? &needs.sts : &needs.autoconfig;

		(void)fwrite(b->p, 1, b->n, stdout);
		return b->n > 0 ? EX_OK : cli_fail(EX_DATAERR, "no listener imaps, or none to submit to", file);
	}
	if (c->json) {
		dns_json(&needs.records);
		return EX_OK;
	}
	if (needs.n_ips == 0)
		buf_fmt(&zone, "; This machine has no public address of its own. Publish A and AAAA records for\n"
			       "; %s with those that the world sees, or name them with --ip.\n\n", c->config.hostname);
	(void)records_write(&zone, &needs.records);
	put_files(&zone, c->argv[0], &needs);
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

		r.left = (unsigned)(2 * records->n + 127);
		if (!domain_check(records, &r, c->arena, &v->list[i].findings))
			return false;
	}
	return true;
}

/* TLSA records count in a signed zone only (RFC 7672 2.2): elsewhere they are no duty. Nor are those that want more than
 * this server, until somebody publishes them. */
static const char *
hint(const struct views *v, size_t at)
{
	const struct domain_finding *own = &v->list[0].findings.list[at];
	bool missing = own->record->optional;

	for (size_t i = 0; i < v->n; i++)
		missing = missing && (v->list[i].findings.list[at].state == DOMAIN_MISSING ||
		    v->list[i].findings.list[at].state == DOMAIN_UNKNOWN);
	if (missing && own->state != DOMAIN_UNKNOWN)
		return "not published, which is no fault";
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
		return strcmp(first->record->type, "CAA") == 0 ? "the CA of the certificate in use may not issue the next one" :
								  "change it";
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

/* ---- the policy of MTA-STS, where its record is published ---- */

static bool
publishes_sts(const struct views *v)
{
	const struct domain_findings *own = &v->list[0].findings;

	for (size_t i = 0; i < own->n; i++)
		if (slice_starts(own->list[i].record->value, S("v=STSv1")) && own->list[i].state == DOMAIN_OK)
			return true;
	return false;
}

/* NULL: others fetch a policy that fits this server. */
static const char *
sts_fault(struct cli *c, const char *domain, const char **detail)
{
	struct slice text = S(""), why = S("");
	struct mtasts_policy policy;
	enum tlspolicy_fetch got = fetch_sts_policy(cli_connect(c, "fetch"), slice_z(domain), 0, c->arena, &text, &why);

	*detail = why.n > 0 ? arena_z(c->arena, why) : NULL;
	if (got == TLSPOLICY_FETCH_UNTRUSTED)
		return "the certificate of that web server is not valid: others find no policy";
	if (got != TLSPOLICY_FETCHED)
		return "the policy cannot be fetched: others find none";
	if (!mtasts_policy_parse(text, &policy))
		return "what is served there is no policy";
	if (policy.mode == MTASTS_NONE)
		return "the policy says none: it takes MTA-STS back";
	if (!mtasts_matches(&policy, slice_z(c->config.hostname)))
		return policy.mode == MTASTS_ENFORCE ? "the policy does not name this server: others do not deliver to it" :
						       "the policy does not name this server";
	return NULL;
}

/* One more row; how many are to be looked after. */
static size_t
check_sts(struct cli *c, const char *domain, const struct needs *n, json_t *rows)
{
	const char *detail = NULL, *todo = sts_fault(c, domain, &detail);
	own(buf_t) url = { .max = 400 };
	json_t *row = json_object();

	buf_fmt(&url, "https://mta-sts.%s/.well-known/mta-sts.txt", domain);
	row_set(row, "name", json_of(buf_slice(&url)));
	row_set(row, "type", json_string("HTTPS"));
	row_set(row, "wanted", json_of(buf_slice(&n->sts)));
	row_set(row, "why", json_string("MTA-STS: the policy that the record announces"));
	row_set(row, "elsewhere", json_false());
	row_set(row, "hint", detail == NULL ? json_null() : json_string(detail));
	row_set(row, "advice", todo == NULL ? json_null() : json_string(todo));
	row_set(row, "resolvers", json_array());
	(void)json_array_append_new(rows, row);
	if (!c->json)
		(void)printf("%-9s %.*s%s%s%s%s\n", todo != NULL ? "WRONG" : "ok", SFMT(buf_slice(&url)), todo != NULL ? ": " : "",
		    todo != NULL ? todo : "", detail != NULL ? ": " : "", detail != NULL ? detail : "");
	return todo != NULL;
}

int
cmd_domain_check(struct cli *c)
{
	static struct needs needs;
	static struct views v;
	json_t *rows = json_array();
	size_t wrong = 0, n;

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
	n = needs.records.n;
	if (publishes_sts(&v)) {
		wrong += check_sts(c, c->argv[0], &needs, rows);
		n++;
	}
	if (c->json) {
		(void)json_dumpf(rows, stdout, JSON_INDENT(2));
		(void)printf("\n");
	} else {
		(void)printf("%zu records, %zu to look after\n", n, wrong);
	}
	json_decref(rows);
	return wrong == 0 ? EX_OK : EX_DATAERR;
}
