/* SPDX-License-Identifier: MIT
 * Byte 0 is the size of the pieces, byte 1 the longest line; the rest is input. The lines that come
 * out must be those of a splitter that sees all input at once, whatever the pieces. */
#include "lib/stream/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What stream_line() must report for the line at the start of in; *used: bytes consumed. */
static enum stream_status
reference(struct slice in, size_t max, size_t *used, struct slice *line)
{
	size_t at = slice_find(in, S("\r\n"));

	if (at == SLICE_NONE)
		return STREAM_EOF;
	*used = at + 2;
	*line = slice_head(in, at);
	if (at > max)
		return STREAM_TOO_LONG;
	for (size_t i = 0; i < at; i++)
		if (slice_at(*line, i) == '\r' || slice_at(*line, i) == '\n' || slice_at(*line, i) == 0)
			return STREAM_BAD;
	return STREAM_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n), line, want;
	enum stream_status st, expected;
	struct stream_memory m;
	struct stream s;
	size_t used, max;

	if (n < 2 || n > 60000)
		return 0;
	max = slice_at(in, 1);
	m = (struct stream_memory){ .in = slice_from(in, 2), .chunk = slice_at(in, 0) };
	in = m.in;
	stream_init_memory(&s, &m);
	do {
		expected = reference(in, max, &used, &want);
		st = stream_line(&s, max, 0, &line);
		PN_ASSERT(st == expected);
		if (st == STREAM_OK)
			PN_ASSERT(slice_eq(line, want));
		if (st != STREAM_EOF)
			in = slice_from(in, used);
	} while (st != STREAM_EOF);
	stream_close(&s);
	return 0;
}
