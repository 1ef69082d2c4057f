/* SPDX-License-Identifier: MIT
 * The fast body against the plain one of canon_ref.h, cut into chunks by the first bytes of the input;
 * a header field ends in CRLF and never grows. */
#include "lib/base/own.h"
#include "lib/parse/dkim/canon_ref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(buf_t) fast = { .max = 2 * n + 64 };
	own(buf_t) plain = { .max = 2 * n + 64 };
	struct slice body;
	size_t step;

	if (n < 2)
		return 0;
	step = (size_t)data[0] + 1;
	body = slice_from(slice_of(data, n), 1);
	for (int canon = DKIM_SIMPLE; canon <= DKIM_RELAXED; canon++) {
		struct dkim_body b;
		uint64_t len;

		buf_reset(&fast);
		buf_reset(&plain);
		dkim_body_init(&b, (enum dkim_canon)canon, ref_sink, &fast);
		for (size_t at = 0; at < body.n; at += step)
			dkim_body_feed(&b, slice_head(slice_from(body, at), step));
		len = dkim_body_end(&b);
		PN_ASSERT(len == fast.n && !fast.bad);
		ref_body(&plain, body, (enum dkim_canon)canon);
		PN_ASSERT(slice_eq(buf_slice(&fast), buf_slice(&plain)));
		buf_reset(&fast);
		dkim_header_canon((enum dkim_canon)canon, body, ref_sink, &fast);
		PN_ASSERT(slice_ends(buf_slice(&fast), S("\r\n")) && fast.n <= body.n + 2);
	}
	return 0;
}
