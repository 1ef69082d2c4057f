/* SPDX-License-Identifier: MIT
 * A zone up to the first NUL, then a message. Bounded queries, and a field that is ours alone: what we
 * remove as ours is exactly what we wrote. */
#include "lib/base/own.h"
#include "lib/make/authres.h"
#include "lib/resolve/zone.h"
#include "lib/verify/judge/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", 1 << 23);
	struct slice in = slice_of(data, n), zone, message;
	static struct judge_verdict v;
	struct judge_query q = { .helo = S("h.example"), .local = S("a"), .domain = S("example.org"),
		.id = S("mx.example"), .now = 1700000000 };
	own(buf_t) left = { .max = 0 };
	struct zone z;
	size_t removed;

	if (!slice_cut(in, '\0', &zone, &message))
		return 0;
	(void)zone_parse(zone, a, &z);
	q.message = message;
	PN_ASSERT(ip_parse(S("192.0.2.1"), &q.ip));
	judge_message(&q, zone_query, &z, a, &v);
	PN_ASSERT(z.queries <= LIMIT_RESOLVE_QUERIES && v.queries == z.queries);
	PN_ASSERT((v.action == JUDGE_ACCEPT) == (v.why[0] == '\0'));
	PN_ASSERT(v.action != JUDGE_ACCEPT || v.from.ok);
	buf_init(&left, LIMIT_AUTHRES);
	PN_ASSERT(authres_remove(&left, v.field, S("mx.example"), &removed));
	PN_ASSERT(left.n == 0 && removed == (v.field.n > 0));
	PN_ASSERT(authres_reports(slice_from(v.field, v.field.n > 23 ? 23 : v.field.n), S("dmarc"),
		      S("pass")) == (v.field.n > 0 && v.dmarc.result == DMARC_PASS));
	return 0;
}
