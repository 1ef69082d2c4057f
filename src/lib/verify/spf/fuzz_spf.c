/* SPDX-License-Identifier: MIT
 * The input up to the first NUL is a zone, behind it HELO, local part and domain, each ended by
 * NUL. Whatever the zone says, the work is bounded, and what would go into a reply is printable. */
#include "lib/base/chars.h"
#include "lib/base/own.h"
#include "lib/resolve/zone.h"
#include "lib/verify/spf/spf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct slice
field(struct slice *rest, struct slice otherwise)
{
	struct slice head, tail;

	if (!slice_cut(*rest, '\0', &head, &tail))
		return otherwise;
	*rest = tail;
	return head;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", 1 << 22);
	struct slice rest = slice_of(data, n), zone = rest;
	struct zone z;

	zone = field(&rest, zone);
	(void)zone_parse(zone, a, &z);
	for (int v6 = 0; v6 < 2; v6++) {
		struct resolver r = resolver_of(zone_query, &z);
		struct slice in = rest;
		struct spf_query q = { .receiver = S("mx.example"), .now = 1 };
		struct spf_verdict v;

		PN_ASSERT(ip_parse(v6 ? S("2001:db8::1") : S("192.0.2.1"), &q.ip));
		q.helo = field(&in, S("h.example"));
		q.local = field(&in, S("user"));
		q.domain = field(&in, S("d.example"));
		z.queries = 0;
		spf_check_mail(&q, &r, a, &v);
		PN_ASSERT(z.queries <= LIMIT_SPF_QUERIES && v.queries <= LIMIT_SPF_QUERIES);
		PN_ASSERT(v.lookups <= LIMIT_SPF_LOOKUPS + 1 && v.voids <= LIMIT_SPF_VOIDS + 1);
		PN_ASSERT(v.result == SPF_PERMERROR || v.lookups <= LIMIT_SPF_LOOKUPS);
		PN_ASSERT(v.explanation.n <= LIMIT_SPF_EXPLANATION);
		PN_ASSERT(v.explanation.n == 0 || v.result == SPF_FAIL);
		for (size_t i = 0; i < v.explanation.n; i++)
			PN_ASSERT(ch_is_print(slice_at(v.explanation, i)));
	}
	return 0;
}
