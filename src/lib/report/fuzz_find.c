/* SPDX-License-Identifier: MIT
 * Any bytes as a mail and as a bare report: what is found lies within its bounds, and is what it is said
 * to be when it is looked at again. */
#include "lib/base/own.h"
#include "lib/report/find.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("mail", 4194304);
	own(buf_t) part = { .max = 65536 };
	struct slice in = slice_of(data, n);
	enum report_form form = report_form(in);
	struct report_walk w;
	unsigned found = 0;
	struct mime m;

	PN_ASSERT(form == report_form(in) && form != REPORT_FORM_ARF);
	(void)report_verified(in, S("mx.example"));
	if (!mime_parse(in, a, &m))
		return 0;
	w = report_walk_of(&m);
	while ((form = report_next(&w, &part)) != REPORT_FORM_NONE) {
		PN_ASSERT(part.n > 0 && part.n <= part.max && !part.bad);
		PN_ASSERT(form == REPORT_FORM_ARF || report_form(buf_slice(&part)) == form);
		found++;
	}
	PN_ASSERT(found <= LIMIT_REPORT_PARTS && w.decoded <= LIMIT_REPORT_PARTS);
	return 0;
}
