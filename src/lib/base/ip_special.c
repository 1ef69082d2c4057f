/* SPDX-License-Identifier: MIT
 * IANA's special-purpose address registries (RFC 6890), as far as something could answer there. */
#include "lib/base/ip.h"

static const struct {
	uint8_t n, bits;
	uint8_t b[16];
	const char *word;
} NETS[] = {
	{ 4, 8, { 0 }, "this network" },
	{ 4, 8, { 10 }, "private" },
	{ 4, 10, { 100, 64 }, "carrier NAT" },
	{ 4, 8, { 127 }, "loopback" },
	{ 4, 16, { 169, 254 }, "link-local" },
	{ 4, 12, { 172, 16 }, "private" },
	{ 4, 24, { 192, 0, 0 }, "protocol assignments" },
	{ 4, 24, { 192, 0, 2 }, "documentation" },
	{ 4, 24, { 192, 88, 99 }, "6to4" },
	{ 4, 16, { 192, 168 }, "private" },
	{ 4, 15, { 198, 18 }, "benchmarking" },
	{ 4, 24, { 198, 51, 100 }, "documentation" },
	{ 4, 24, { 203, 0, 113 }, "documentation" },
	{ 4, 4, { 224 }, "multicast" },
	{ 4, 4, { 240 }, "reserved" },
	/* of IPv6 everything outside 2000::/3 is special anyway */
	{ 16, 32, { 0x20, 0x01, 0x0d, 0xb8 }, "documentation" },
	{ 16, 23, { 0x20, 0x01 }, "protocol assignments" },
	{ 16, 16, { 0x20, 0x02 }, "6to4" },
	{ 16, 20, { 0x3f, 0xff }, "documentation" },
};

const char *
ip_special(const struct ip *ip)
{
	struct ip it = ip_unmap(*ip);

	for (size_t i = 0; i < sizeof NETS / sizeof *NETS; i++) {
		struct ip net = { .n = NETS[i].n };

		memcpy(net.b, NETS[i].b, sizeof net.b);
		if (ip_in(&it, &net, NETS[i].bits))
			return NETS[i].word;
	}
	if (it.n == 16 && it.b[0] >> 5 != 1)
		return "not global unicast";
	return it.n == 0 ? "none" : NULL;
}

bool
ip_net_parse(struct slice text, struct ip *net, unsigned *bits)
{
	struct slice address = text, length;
	struct ip ip;
	uint32_t n;
	bool cut = slice_cut(text, '/', &address, &length);

	if (!ip_parse(address, &ip))
		return false;
	n = ip.n * 8u;
	if (cut && (!slice_u32(length, &n) || n > ip.n * 8u))
		return false;
	*net = ip;
	*bits = n;
	return true;
}
