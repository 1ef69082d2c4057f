/* SPDX-License-Identifier: MIT */
#include "lib/verify/iprev/iprev.h"

static bool
confirms(const struct resolve_answer *ans, const struct ip *ip)
{
	const struct rr *rr;

	for (size_t at = 0; rr_next(ans, &at, &rr);)
		if (memcmp(rr->ip, ip->b, ip->n) == 0)
			return true;
	return false;
}

void
iprev_check(const struct ip *client, struct resolver *r, struct arena *a, struct iprev_verdict *out)
{
	struct iprev_verdict v = { .result = IPREV_PERMERROR };
	struct ip ip = ip_unmap(*client);
	struct resolve_answer ptr, host;
	const struct rr *rr;
	struct buf name;

	buf_init(&name, 80);
	(void)ip_reverse(&name, &ip);
	resolve(r, buf_slice(&name), RR_PTR, a, &ptr);
	buf_free(&name);
	v.queries++;
	if (resolve_failed(ptr.status))
		v.result = IPREV_TEMPERROR;
	if (ptr.n > 0) {
		v.result = IPREV_FAIL;
		v.name = ptr.rr[0].name;
	}
	for (size_t at = 0; at < LIMIT_IPREV_NAMES && rr_next(&ptr, &at, &rr);) {
		struct arena_mark mark = arena_mark(a);
		bool same;

		resolve(r, rr->name, ip.n == 16 ? RR_AAAA : RR_A, a, &host);
		v.queries++;
		if (resolve_failed(host.status))
			v.result = IPREV_TEMPERROR;
		same = confirms(&host, &ip);
		arena_rewind(a, mark);
		if (same) {
			v.result = IPREV_PASS;
			v.name = rr->name;
			break;
		}
	}
	*out = v;
}

const char *
iprev_result_name(enum iprev_result r)
{
	static const char *const names[] = { "pass", "fail", "temperror", "permerror" };

	return (unsigned)r < sizeof names / sizeof *names ? names[r] : "temperror";
}
