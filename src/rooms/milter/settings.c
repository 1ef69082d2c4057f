/* SPDX-License-Identifier: MIT
 * What warden has told: "milters", and for each "milter.N": "NAME ADDRESS PORT TIMEOUT_MS ACCEPT IN OUT", with "-" for the
 * address of one at a Unix socket. It was checked when the configuration was read; what is wrong all the same ends the
 * room at start. */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "rooms/milter/room.h"

static bool
word(struct slice *rest, struct slice *out)
{
	if (!slice_cut(*rest, ' ', out, rest)) {
		*out = *rest;
		*rest = S("");
	}
	return out->n > 0;
}

static bool
number(struct slice *rest, uint32_t most, uint32_t *out)
{
	struct slice w;

	return word(rest, &w) && slice_u32(w, out) && *out <= most;
}

static bool
milter(struct slice text, struct milter_conf *m)
{
	uint32_t port, accept, in, out;
	struct slice address;

	if (!word(&text, &m->name) || !word(&text, &address) || !number(&text, 65535, &port) ||
	    !number(&text, MILTER_TOTAL_MS, &m->timeout_ms) || !number(&text, 1, &accept) || !number(&text, 1, &in) ||
	    !number(&text, 1, &out))
		return false;
	m->port = (uint16_t)port;
	m->accept = accept == 1;
	m->incoming = in == 1;
	m->outgoing = out == 1;
	return slice_eq(address, S("-")) || ip_parse(address, &m->ip);
}

void
milter_settings_read(const struct proc *p, struct milter_settings *out)
{
	char key[32];

	out->hostname = proc_setting(p, "hostname");
	/* what scan adds may make a message longer than what a client may send */
	out->max_size = proc_number(p, "message_size", 1024, UINT32_MAX) + 2 * LIMIT_HEADER;
	out->n = proc_number(p, "milters", 0, MILTERS);
	for (size_t i = 0; i < out->n; i++) {
		(void)snprintf(key, sizeof key, "milter.%zu", i);
		if (milter(proc_setting(p, key), &out->milter[i]))
			continue;
		(void)fprintf(stderr, "milter: setting %s: \"%.*s\"\n", key, SFMT(slice_head(proc_setting(p, key), 200)));
		exit(EX_CONFIG);
	}
}
