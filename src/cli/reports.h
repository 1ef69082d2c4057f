/* SPDX-License-Identifier: MIT
 * Senders in the name of a domain, grouped by who they are: the registrable domain of the confirmed
 * reverse name, or the address. */
#pragma once

#include "cli/cli.h"
#include "ipc/cli_clerk.h"
#include "lib/suffix/suffix.h"

#define SENDERS_MOST ((size_t)5000) /* groups; what is left is one of its own */

struct sender_group {
	struct slice who, auth;
	uint64_t addresses, messages, passed, dkim, spf, other, forwarded, quarantined, rejected, days;
};

struct senders {
	struct sender_group list[SENDERS_MOST];
	size_t n;
};

/* Asks for all senders, groups them, most messages first. Exits without an answer. */
void senders_ask(struct cli *c, struct ipc_client *client, struct slice domain, uint64_t since, bool verified,
    struct senders *out);
