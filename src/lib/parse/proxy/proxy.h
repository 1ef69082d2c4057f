/* SPDX-License-Identifier: MIT
 * The header of the PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): who the client of a
 * front end is. Only what comes from a listed front end is ever read with this. */
#pragma once

#include "lib/base/ip.h"

/* The longest header that is taken: version 2 with 192 bytes of TLVs, which are read over. */
#define PROXY_MOST ((size_t)232)

struct proxy_header {
	bool local; /* the front end's own check: nobody is behind it */
	struct ip peer, to;
	uint16_t peer_port, to_port;
};

enum proxy_status {
	PROXY_OK,   /* *used bytes are the header */
	PROXY_MORE, /* what is there may become one */
	PROXY_BAD,
};

/* Reads the header at the start of in; what follows belongs to the conversation. *out and *used stay
 * untouched but for PROXY_OK. */
enum proxy_status proxy_parse(struct slice in, struct proxy_header *out, size_t *used);
