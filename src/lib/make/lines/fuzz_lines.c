/* SPDX-License-Identifier: MIT
 * Any text, each octet from 0x10 to 0x1f standing for a run of letters so that lines grow long: what comes out has no long
 * line, the same octets but for blanks and line ends, and no blank line in its header that was not there. */
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/make/lines/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool
put(void *arg, struct slice piece)
{
	return buf_add(arg, piece);
}

/* The next octet that is neither blank nor CR or LF; -1 at the end. */
static int
next(const struct buf *b, size_t *at)
{
	while (*at < b->n) {
		uint8_t c = b->p[(*at)++];

		if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			return c;
	}
	return -1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf in, out;
	size_t i = 0, k = 0, breaks = 0;
	int c;

	buf_init(&in, 1048576);
	buf_init(&out, 4194304);
	for (size_t j = 0; j < n && j < 2000; j++)
		for (unsigned times = data[j] >= 0x10 && data[j] < 0x20 ? (data[j] - 0x0fu) * 61u : 1u; times > 0; times--)
			(void)buf_byte(&in, data[j] >= 0x18 && data[j] < 0x20 ? ' ' : data[j] >= 0x10 && data[j] < 0x18 ? 'x' : data[j]);
	PN_ASSERT(lines_break(buf_slice(&in), put, &out, &breaks));
	PN_ASSERT(!lines_too_long(buf_slice(&out)));
	PN_ASSERT(lines_too_long(buf_slice(&in)) || (breaks == 0 && slice_eq(buf_slice(&in), buf_slice(&out))));
	do {
		c = next(&in, &i);
		PN_ASSERT(c == next(&out, &k));
	} while (c != -1);
	buf_free(&in);
	buf_free(&out);
	return 0;
}
