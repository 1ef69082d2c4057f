/* SPDX-License-Identifier: MIT
 * A whole chain: the key record is drawn from the input up to its first NUL, the message is the rest. */
#include "lib/base/own.h"
#include "lib/verify/arc/arc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct zone {
	struct slice txt;
	unsigned queries;
};

static void
answer(void *self, struct slice name, enum rr_type type, struct arena *a, struct resolve_wire *out)
{
	struct zone *z = self;
	struct slice *rdata = ARENA_NEW(a, struct slice);
	struct slice left = z->txt;
	own(buf_t) b = { .max = 1 << 20 };

	z->queries++;
	*out = (struct resolve_wire){ .status = left.n == 0 ? RESOLVE_NXDOMAIN : RESOLVE_SERVFAIL };
	if (left.n == 0 || rdata == NULL)
		return;
	for (; left.n > 0; left = slice_from(left, slice_head(left, 255).n)) {
		struct slice part = slice_head(left, 255);

		buf_byte(&b, (uint8_t)part.n);
		buf_add(&b, part);
	}
	if (!arena_copy(a, buf_slice(&b), rdata))
		return;
	*out = (struct resolve_wire){ .status = RESOLVE_OK, .name = name, .n = 1, .rdata = rdata };
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", 4 * LIMIT_ARENA_MESSAGE);
	struct slice txt = S(""), mail = slice_of(data, n);
	struct zone zone = { .queries = 0 };
	struct resolver dns = resolver_of(answer, &zone);
	struct dkim_rules rules = { .now = 1528638000, .skew = 300 };
	struct dkim_message m;
	struct arc_chain c;

	(void)slice_cut(mail, 0, &txt, &mail);
	zone.txt = txt;
	if (!dkim_message_split(mail, a, &m))
		return 0;
	PN_ASSERT(arc_verify(&m, &rules, &dns, a, &c));
	PN_ASSERT((c.cv == ARC_FAIL) == (c.why != DKIM_OK));
	PN_ASSERT((c.cv == ARC_NONE) == c.sets.none);
	PN_ASSERT(c.sets.n <= LIMIT_ARC_SETS && c.sets.highest <= LIMIT_ARC_SETS);
	PN_ASSERT(zone.queries <= c.sets.n + 1);
	PN_ASSERT(c.cv != ARC_PASS || c.sets.n > 0);
	for (size_t i = 0; i < c.sets.n; i++) {
		const struct arc_set *s = &c.sets.sets[i];

		PN_ASSERT(s->seal.instance == i + 1 && s->ams.instance == i + 1 && s->aar != NULL);
		PN_ASSERT(s->seal.cv == (i == 0 ? ARC_NONE : ARC_PASS));
	}
	return 0;
}
