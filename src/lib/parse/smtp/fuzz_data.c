/* SPDX-License-Identifier: MIT
 * Byte 0 chooses the size of the pieces; the rest is DATA. Held against data_reference(). */
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/parse/smtp/data_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool
take(void *arg, struct slice piece)
{
	return buf_add(arg, piece);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct data_reference want;
	struct smtp_data_sink sink = { .body = take };
	struct smtp_data d;
	uint8_t *content;
	struct buf got;
	size_t piece, used, at = 0;
	bool end = false;

	if (n < 1)
		return 0;
	piece = (size_t)slice_at(in, 0) % 40 + 1;
	in = slice_from(in, 1);
	content = malloc(n);
	if (content == NULL)
		return 0;
	want = data_reference(in, content);
	buf_init(&got, LIMIT_MESSAGE);
	sink.arg = &got;
	smtp_data_start(&d, LIMIT_MESSAGE);
	while (!end && at < in.n) {
		end = smtp_data_feed(&d, slice_head(slice_from(in, at), piece), &sink, &used);
		at += used;
	}
	PN_ASSERT(end == want.end && at == want.used && d.faults == want.faults);
	if (end && d.faults == 0) {
		PN_ASSERT(slice_eq(buf_slice(&got), slice_of(content, want.n)));
		PN_ASSERT(d.longest_line == want.longest && d.header_size == want.header_size);
	}
	buf_reset(&got);
	smtp_data_start_chunked(&d, LIMIT_MESSAGE);
	for (at = 0; at < in.n; at += used)
		PN_ASSERT(!smtp_data_feed(&d, slice_head(slice_from(in, at), piece), &sink, &used));
	smtp_data_finish(&d, &sink);
	if (d.faults == 0)
		PN_ASSERT(slice_eq(slice_head(buf_slice(&got), in.n), in) &&
		    (got.n == in.n ? in.n == 0 || slice_ends(in, S("\r\n")) : got.n == in.n + 2));
	buf_free(&got);
	free(content);
	return 0;
}
