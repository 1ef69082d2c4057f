/* SPDX-License-Identifier: MIT
 * Which addresses mail may be carried to (SECURITY.md O-006): whoever controls a domain chooses its MX, and must not
 * choose our loopback, our own network, or the metadata service of a cloud with it. */
#pragma once

#include "lib/base/ip.h"

#define REACH_ALLOWED 32u
#define REACH_OWN 64u

struct reach_net {
	struct ip ip;
	unsigned bits;
};

struct reach {
	struct reach_net allowed[REACH_ALLOWED]; /* of the configuration; before every other rule */
	size_t n_allowed;
	struct ip own[REACH_OWN]; /* addresses of this machine */
	size_t n_own;
};

/* Reads "10.0.0.0/8", "fd00::/8" or a single address; false on anything else. */
bool reach_net_parse(struct slice text, struct reach_net *out);
bool reach_own(const struct reach *r, const struct ip *ip);
bool reach_allowed(const struct reach *r, const struct ip *ip);
/* NULL where mail may go there, else what is against it: what ip_special() says, "this machine", "IPv4-mapped". A literal. */
const char *reach_refused(const struct reach *r, const struct ip *ip);
