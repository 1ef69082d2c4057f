/* SPDX-License-Identifier: MIT
 * A whole verification: the key record is drawn from the input up to its first NUL (none: the name
 * does not exist; "!": the query fails), the message is the rest. */
#include "lib/base/own.h"
#include "lib/verify/dkim/dkim.h"

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
	if (left.n == 0 || slice_eq(left, S("!")) || rdata == NULL)
		return;
	while (left.n > 0) {
		struct slice part = slice_head(left, 255);

		buf_byte(&b, (uint8_t)part.n);
		buf_add(&b, part);
		left = slice_from(left, part.n);
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
	struct dkim_verdicts v;
	struct dkim_message m;

	(void)slice_cut(mail, 0, &txt, &mail);
	zone.txt = txt;
	if (!dkim_message_split(mail, a, &m))
		return 0;
	PN_ASSERT(dkim_verify(&m, &rules, &dns, a, &v));
	PN_ASSERT(v.n <= LIMIT_DKIM_SIGNATURES && zone.queries <= v.n);
	for (size_t i = 0; i < v.n; i++) {
		const struct dkim_verdict *d = &v.v[i];

		PN_ASSERT((d->result == DKIM_RESULT_PASS) == (d->why == DKIM_OK));
		if (d->result != DKIM_RESULT_PASS)
			continue;
		/* no key in the corpus signs anything else than what is in the corpus */
		PN_ASSERT(d->crypto == DKIM_CRYPTO_GOOD && d->sig.alg != DKIM_RSA_SHA1);
		PN_ASSERT(dkim_domain_ok(d->domain, 2) && d->unsigned_octets == 0);
	}
	return 0;
}
