/* SPDX-License-Identifier: MIT */
#include "rooms/send/reach.h"

bool
reach_net_parse(struct slice text, struct reach_net *out)
{
	return ip_net_parse(text, &out->ip, &out->bits);
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
	if (ip->n == 16 && ip_unmap(*ip).n == 4) /* no MX has such an address but to mislead */
		return "IPv4-mapped";
	return ip_special(ip);
}
