/* SPDX-License-Identifier: MIT */
#include "rooms/send/reach.h"

/* IANA's special-purpose registries (RFC 6890), as far as something could answer there. */
static const struct {
	uint8_t n, bits;
	uint8_t b[16];
	const char *word;
} nets[] = {
	{ 4, 8, { 0 }, "this network" },
	{ 4, 8, { 10 }, "private" },
	{ 4, 10, { 100, 64 }, "carrier NAT" },
	{ 4, 8, { 127 }, "loopback" },
	{ 4, 16, { 169, 254 }, "link-local" },
	{ 4, 12, { 172, 16 }, "private" },
	{ 4, 24, { 192, 0, 0 }, "protocol assignments" },
	{ 4, 24, { 192, 88, 99 }, "6to4 relay" },
	{ 4, 16, { 192, 168 }, "private" },
	{ 4, 15, { 198, 18 }, "benchmarking" },
	{ 4, 4, { 224 }, "multicast" },
	{ 4, 4, { 240 }, "reserved" },
	{ 16, 128, { [15] = 1 }, "loopback" },
	{ 16, 96, { 0 }, "IPv4-compatible" },
	{ 16, 96, { [10] = 0xff, 0xff }, "IPv4-mapped" },
	{ 16, 96, { 0x00, 0x64, 0xff, 0x9b }, "NAT64" },
	{ 16, 48, { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, "NAT64" },
	{ 16, 32, { 0x20, 0x01 }, "Teredo" },
	{ 16, 16, { 0x20, 0x02 }, "6to4" },
	{ 16, 7, { 0xfc }, "private" },
	{ 16, 10, { 0xfe, 0x80 }, "link-local" },
	{ 16, 10, { 0xfe, 0xc0 }, "site-local" },
	{ 16, 8, { 0xff }, "multicast" },
};

bool
reach_net_parse(struct slice text, struct reach_net *out)
{
	struct slice address = text, length;
	struct reach_net net = { 0 };
	uint32_t bits = 0;
	bool cut = slice_cut(text, '/', &address, &length);

	if (!ip_parse(cut ? address : text, &net.ip))
		return false;
	net.bits = net.ip.n * 8u;
	if (cut && (!slice_u32(length, &bits) || bits > net.bits))
		return false;
	if (cut)
		net.bits = bits;
	*out = net;
	return true;
}

bool
reach_own(const struct reach *r, const struct ip *ip)
{
	for (size_t i = 0; i < r->n_own; i++)
		if (ip_in(ip, &r->own[i], r->own[i].n * 8u))
			return true;
	return false;
}

bool
reach_allowed(const struct reach *r, const struct ip *ip)
{
	for (size_t i = 0; i < r->n_allowed; i++)
		if (ip_in(ip, &r->allowed[i].ip, r->allowed[i].bits))
			return true;
	return false;
}

const char *
reach_refused(const struct reach *r, const struct ip *ip)
{
	if (reach_allowed(r, ip))
		return NULL;
	if (reach_own(r, ip))
		return "this machine";
	for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
		struct ip net = { .n = nets[i].n };

		memcpy(net.b, nets[i].b, sizeof net.b);
		if (ip_in(ip, &net, nets[i].bits))
			return nets[i].word;
	}
	if (ip->n == 16 && ip->b[0] >> 5 != 1)
		return "not global unicast";
	return NULL;
}
