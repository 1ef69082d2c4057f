/* SPDX-License-Identifier: MIT
 * Textual IP addresses: RFC 4291 section 2.2 and dotted quads without leading zeros, both ways.
 * An address is 4 or 16 bytes in network order; n says which. */
#pragma once

#include "lib/base/buf.h"

/* The longest text that ip_put() writes: eight groups of four digits. */
#define LIMIT_IP_TEXT ((size_t)45)

struct ip {
	uint8_t b[16];
	uint8_t n; /* 4 or 16; 0: none */
};

/* Reads "192.0.2.1" or "2001:db8::1" (also "::ffff:192.0.2.1"), nothing around it, no zone id.
 * False, with *out untouched, on anything else. */
bool ip_parse(struct slice text, struct ip *out);
bool ip4_parse(struct slice text, struct ip *out);
bool ip6_parse(struct slice text, struct ip *out);

/* Appends the canonical text (RFC 5952). Returns !b->bad. */
bool ip_put(struct buf *b, const struct ip *ip);

/* An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) becomes its IPv4 address; others stay. */
struct ip ip_unmap(struct ip ip);

/* True when the first bits of both are equal and both are of one family. bits is at most 8 * n;
 * more compares all. */
bool ip_in(const struct ip *ip, const struct ip *net, unsigned bits);

/* NULL for an address of the public Internet, else what is special about it (RFC 6890 and IANA's registries):
 * "loopback", "private", "link-local", ... A literal. An IPv4-mapped address is judged as its IPv4 address. */
const char *ip_special(const struct ip *ip);

/* "10.0.0.0/8", "fd00::/8" or a single address. False, with *net and *bits untouched, on anything else. */
bool ip_net_parse(struct slice text, struct ip *net, unsigned *bits);

/* Appends the name that has the PTR records of an address, without a final dot: d.c.b.a.in-addr.arpa
 * (RFC 1035 3.5), or the nibbles under ip6.arpa (RFC 3596 2.5). Returns !b->bad. */
bool ip_reverse(struct buf *b, const struct ip *ip);

/* A network: the first bits of ip count. */
struct ip_net {
	struct ip ip;
	uint8_t bits;
};
#define LIMIT_IP_NETS ((size_t)32) /* networks of one list (count) */
struct ip_nets {
	struct ip_net net[LIMIT_IP_NETS];
	size_t n;
};
/* Reads a list with one blank between: "192.0.2.0/24 2001:db8::1". An address alone is itself; bits behind
 * the mask must be zero. False, with *out untouched, on anything else. */
bool ip_nets_parse(struct slice text, struct ip_nets *out);
bool ip_nets_have(const struct ip_nets *nets, const struct ip *ip);
