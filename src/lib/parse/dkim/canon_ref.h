/* SPDX-License-Identifier: MIT
 * Canonicalisation as slowly and plainly as RFC 6376 3.4 words it: what the fast one is compared with
 * in tests and by the fuzzer. Lines are found first, then each rule is applied to a line at a time. */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/chars.h"
#include "lib/parse/dkim/canon.h"

/* One line without its CRLF; relaxed: runs of WSP become one SP, WSP at the end goes. */
static inline void
ref_line(struct buf *out, struct slice line, enum dkim_canon canon)
{
	size_t start = out->n;

	for (size_t i = 0; i < line.n; i++) {
		uint8_t c = line.p[i];

		if (canon == DKIM_SIMPLE || !ch_is_wsp(c))
			buf_byte(out, c);
		else if (i == 0 || !ch_is_wsp(line.p[i - 1]))
			buf_byte(out, ' ');
	}
	if (canon == DKIM_RELAXED && out->n > start && out->p[out->n - 1] == ' ')
		buf_cut(out, out->n - 1);
}

static inline void
ref_body(struct buf *out, struct slice body, enum dkim_canon canon)
{
	while (body.n > 0) {
		size_t end = slice_find(body, S("\r\n"));
		struct slice line = end == SLICE_NONE ? body : slice_head(body, end);

		ref_line(out, line, canon);
		buf_add(out, S("\r\n"));
		body = end == SLICE_NONE ? S("") : slice_from(body, end + 2);
	}
	while (slice_ends(buf_slice(out), S("\r\n\r\n")))
		buf_cut(out, out->n - 2);
	if (slice_eq(buf_slice(out), S("\r\n")))
		buf_cut(out, 0);
	if (out->n == 0 && canon == DKIM_SIMPLE)
		buf_add(out, S("\r\n"));
}

static inline void
ref_sink(void *ctx, struct slice s)
{
	struct buf *b = ctx;

	buf_add(b, s);
}
