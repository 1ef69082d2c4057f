/* SPDX-License-Identifier: MIT
 * Where mail for a domain goes: RFC 5321 section 5, RFC 7505 (null MX), over a lib/resolve resolver. The result is the
 * list of addresses in the order in which they are tried: by preference, hosts of equal preference in random order, IPv6
 * and IPv4 in turns, so that a broken family costs one attempt and not all of them. */
#pragma once

#include "lib/resolve/resolve.h"
#include "rooms/send/reach.h"

#define LIMIT_MX_HOSTS 16u	/* hosts whose addresses are asked for: two queries each */
#define LIMIT_MX_ADDRESSES 64u	/* addresses in the list */

struct host {
	struct slice name; /* lower case without final dot; of a literal: the literal */
	struct ip ip;
	uint16_t preference;
	bool secure; /* DNSSEC proved the way here: MX and address records (RFC 7672 2.2) */
};

enum hosts_status {
	HOSTS_OK,	 /* at least one address */
	HOSTS_TRY_LATER, /* the DNS did not answer: defer, never bounce (D-003) */
	HOSTS_FAILED,	 /* permanent: enhanced and text say why */
};

struct hosts {
	enum hosts_status status;
	const char *enhanced; /* "5.1.10"; a literal; not with HOSTS_OK */
	struct slice text;    /* printable, in the arena */
	bool mx;	      /* the domain has MX records */
	bool secure;	      /* that answer was secure */
	size_t n;
	struct host host[LIMIT_MX_ADDRESSES];
};

struct hosts_rules {
	struct slice hostname; /* ours: an MX of this name is us */
	const struct reach *reach;
	bool v4, v6;
	uint64_t random; /* for the order among equals */
};

/* destination: a domain in lower case (A-labels), or an address literal with its brackets. *out is filled always. */
void hosts_find(struct resolver *r, const struct hosts_rules *rules, struct slice destination, struct arena *a,
    struct hosts *out);
/* The addresses of one host, without asking for MX: a smarthost, an LMTP server. */
void hosts_of_name(struct resolver *r, const struct hosts_rules *rules, struct slice name, struct arena *a,
    struct hosts *out);
