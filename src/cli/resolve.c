/* SPDX-License-Identifier: MIT
 * The server's own resolver behind the interface of lib/resolve, for commands. */
#include "cli/cli.h"
#include "ipc/cli_dns.h"
#include "lib/resolve/resolve.h"

static void
ask(void *self, struct slice name, enum rr_type type, struct arena *a, struct resolve_wire *out)
{
	struct cli_dns_query in = { .name = name, .type = (uint16_t)type };
	struct cli_dns_query_answer got = { .status = CLI_DNS_STATUS_TIMEOUT };
	struct slice *rdata;
	enum ipc_status st = cli_dns_query(self, &in, cli_deadline(), a, &got);

	if (st != IPC_OK)
		cli_no_answer(st);
	rdata = ARENA_ARRAY(a, got.n_rdata, struct slice);
	for (size_t i = 0; rdata != NULL && i < got.n_rdata; i++)
		rdata[i] = got.rdata[i].data;
	*out = (struct resolve_wire){ .status = rdata == NULL ? RESOLVE_SERVFAIL : (enum resolve_status)got.status,
		.secure = got.secure,
		.ttl = got.ttl,
		.name = got.name,
		.n = rdata == NULL ? 0 : got.n_rdata,
		.rdata = rdata };
}

struct resolver
cli_resolver(struct cli *c)
{
	struct resolver r = resolver_of(ask, cli_connect(c, "dns"));

	r.left = 1000; /* one person, one command */
	return r;
}
