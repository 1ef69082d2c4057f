/* SPDX-License-Identifier: MIT
 * A report that is read is written, and read again with the same numbers. */
#include "lib/base/own.h"
#include "lib/report/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct both {
	struct buf out;
	bool first;
};

static bool
on_policy(void *self, const struct tls_report_policy *p)
{
	struct both *both = self;

	PN_ASSERT(p->n <= LIMIT_TLS_REPORT_FAILURES && p->type.n <= LIMIT_TLS_REPORT_TEXT + 4);
	(void)tls_report_policy(&both->out, p, both->first);
	both->first = false;
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("report", 1 << 21);
	struct both once = { .first = true }, twice = { .first = true };
	struct tls_report r, again;
	bool ok;

	buf_init(&once.out, 1 << 22);
	buf_init(&twice.out, 1 << 22);
	(void)tls_report_begin(&once.out, &(struct tls_report){ .start = 0 });
	ok = tls_report_read(slice_of(data, n), a, on_policy, &once, &r) == TLS_REPORT_OK;
	if (ok && tls_report_end(&once.out)) {
		PN_ASSERT(r.policies > 0);
		PN_ASSERT(tls_report_read(buf_slice(&once.out), a, on_policy, &twice, &again) == TLS_REPORT_OK);
		PN_ASSERT(again.policies == r.policies);
	}
	buf_free(&once.out);
	buf_free(&twice.out);
	return 0;
}
