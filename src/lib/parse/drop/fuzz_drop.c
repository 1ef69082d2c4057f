/* SPDX-License-Identifier: MIT
 * Any line: what is taken is printable and bounded, so that it may stand in a header and in an event. */
#include "lib/base/chars.h"
#include "lib/parse/drop/drop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct drop_line l;

	if (!drop_line_parse(slice_of(data, n), &l))
		return 0;
	PN_ASSERT(l.text.n <= DROP_LINE);
	for (size_t i = 0; i < l.text.n; i++)
		PN_ASSERT(ch_is_print(slice_at(l.text, i)));
	if (l.word == DROP_TO)
		PN_ASSERT(l.text.n > 0);
	return 0;
}
