/* SPDX-License-Identifier: MIT
 * Zone, NUL, then domains each ended by NUL: From, From, then alternately SPF and DKIM. Whatever the
 * zone says, the work is bounded and the verdict is consistent. */
#include "lib/base/own.h"
#include "lib/resolve/zone.h"
#include "lib/verify/dmarc/dmarc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", 1 << 22);
	struct slice rest = slice_of(data, n), head, tail, from[2], ids[2][20];
	struct dmarc_query q = { .from_fields = 1, .from = from, .spf = ids[0], .dkim = ids[1] };
	struct dmarc_verdict v;
	struct resolver r;
	struct zone z;
	struct buf b;

	if (!slice_cut(rest, '\0', &head, &rest))
		return 0;
	(void)zone_parse(head, a, &z);
	while (slice_cut(rest, '\0', &head, &tail)) {
		rest = tail;
		if (q.n_from < 2)
			from[q.n_from++] = head;
		else if (q.n_spf <= q.n_dkim && q.n_spf < 20)
			ids[0][q.n_spf++] = head;
		else if (q.n_dkim < 20)
			ids[1][q.n_dkim++] = head;
	}
	r = resolver_of(zone_query, &z);
	dmarc_check(&q, &r, a, &v);
	PN_ASSERT(z.queries <= LIMIT_DMARC_QUERIES + 2);
	PN_ASSERT(v.result == DMARC_FAIL || v.disposition == DMARC_P_NONE);
	PN_ASSERT(v.disposition <= v.published && v.published >= DMARC_P_NONE);
	PN_ASSERT(v.result != DMARC_PASS || v.spf_aligned.n > 0 || v.dkim_aligned.n > 0);
	PN_ASSERT(v.result != DMARC_FAIL || (v.policy_domain.n > 0 && v.record.usable));
	buf_init(&b, 200);
	PN_ASSERT(dmarc_comment(&b, &v, "pass"));
	buf_free(&b);
	return 0;
}
