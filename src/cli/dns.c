/* SPDX-License-Identifier: MIT
 * What the server's own resolver says, for people: status, DNSSEC, TTL, records. */
#include <stdio.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "ipc/cli_dns.h"
#include "lib/base/encode.h"
#include "lib/base/ip.h"
#include "lib/resolve/resolve.h"

static const struct {
	const char *name;
	enum rr_type type;
} TYPES[] = { { "A", RR_A }, { "AAAA", RR_AAAA }, { "MX", RR_MX }, { "TXT", RR_TXT }, { "TLSA", RR_TLSA },
	{ "PTR", RR_PTR }, { "NS", RR_NS }, { "CNAME", RR_CNAME }, { "SOA", RR_SOA }, { "SRV", RR_SRV },
	{ "CAA", RR_CAA } };

static bool
type_of(const char *name, enum rr_type *out)
{
	for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
		if (slice_ieq(slice_z(name), slice_z(TYPES[i].name))) {
			*out = TYPES[i].type;
			return true;
		}
	return false;
}

/* As a zone file has it, near enough for eyes. */
static void
put_record(struct buf *b, const struct rr *rr)
{
	struct ip ip = { .n = rr->type == RR_A ? 4 : 16 };

	memcpy(ip.b, rr->ip, ip.n);
	switch (rr->type) {
	case RR_A:
	case RR_AAAA:
		(void)ip_put(b, &ip);
		break;
	case RR_MX:
		(void)buf_fmt(b, "%u %.*s.", rr->preference, SFMT(rr->name));
		break;
	case RR_SRV:
		(void)buf_fmt(b, "%u %u %u %.*s.", rr->preference, rr->weight, rr->port, SFMT(rr->name));
		break;
	case RR_TXT:
		(void)buf_byte(b, '"');
		(void)buf_printable(b, rr->text, 4000);
		(void)buf_byte(b, '"');
		break;
	case RR_TLSA:
		(void)buf_fmt(b, "%u %u %u ", rr->usage, rr->selector, rr->matching);
		(void)hex_encode(b, slice_head(rr->text, 1024));
		break;
	case RR_CAA:
		(void)buf_fmt(b, "%u ", rr->usage);
		(void)buf_printable(b, rr->name, 255);
		(void)buf_add(b, S(" \""));
		(void)buf_printable(b, rr->text, 1024);
		(void)buf_byte(b, '"');
		break;
	default:
		(void)buf_fmt(b, "%.*s.", SFMT(rr->name));
	}
}

static json_t *
records(struct cli *c, enum rr_type type, const struct cli_dns_query_answer *out)
{
	json_t *list = json_array();

	for (size_t i = 0; i < out->n_rdata; i++) {
		own(buf_t) text = { .max = 8192 };
		struct rr rr;

		if (!rr_decode(type, out->rdata[i].data, c->arena, &rr))
			buf_add(&text, S("(malformed)"));
		else
			put_record(&text, &rr);
		(void)json_array_append_new(list, json_of(buf_slice(&text)));
	}
	return list;
}

static void
print_answer(const struct cli *c, const struct cli_dns_query_answer *out, json_t *list)
{
	json_t *one = json_object(), *line;
	size_t i;

	row_set(one, "status", json_string(cli_dns_status_name(out->status)));
	row_set(one, "secure", json_boolean(out->secure));
	row_set(one, "ttl", json_integer(out->ttl));
	row_set(one, "ms", json_integer(out->ms));
	row_set(one, "name", json_of(out->name));
	row_set(one, "why", json_of(out->why));
	row_set(one, "records", list);
	if (c->json) {
		(void)json_dumpf(one, stdout, JSON_INDENT(2));
		(void)printf("\n");
	} else {
		(void)printf("%s%s, %u ms", cli_dns_status_name(out->status), out->secure ? ", secure (DNSSEC)" : "", out->ms);
		if (out->n_rdata > 0)
			(void)printf(", ttl %u, at %.*s", out->ttl, SFMT(out->name));
		(void)printf("%s%.*s\n", out->why.n > 0 ? ": " : "", SFMT(out->why));
		json_array_foreach (list, i, line)
			(void)printf("  %s\n", json_string_value(line));
	}
	json_decref(one);
}

int
cmd_dns_query(struct cli *c)
{
	struct cli_dns_query in = { 0 };
	struct cli_dns_query_answer out = { .status = CLI_DNS_STATUS_SERVFAIL };
	struct ipc_client *client;
	enum rr_type type = RR_A;
	enum ipc_status st;

	if (c->argc == 2 && !type_of(c->argv[1], &type))
		return cli_fail(EX_USAGE, c->argv[1], "A, AAAA, MX, TXT, TLSA, PTR, NS, CNAME, SOA, SRV or CAA");
	if (c->argc != 1 && !cli_args(c, 2, "dns query NAME [TYPE]"))
		return EX_USAGE;
	client = cli_connect(c, "dns");
	in.name = slice_z(c->argv[0]);
	in.type = (uint16_t)type;
	st = cli_dns_query(client, &in, cli_deadline(), c->arena, &out);
	if (st != IPC_OK)
		cli_no_answer(st);
	print_answer(c, &out, records(c, type, &out));
	ipc_client_free(&client);
	return resolve_failed((enum resolve_status)out.status) ? EX_TEMPFAIL : EX_OK;
}
