/* SPDX-License-Identifier: MIT
 * Any line: what is taken is bounded and printable, in addresses UTF-8 without controls, so that it may stand in a
 * header and in an event. */
#include "lib/base/chars.h"
#include "lib/base/encode.h"
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
		PN_ASSERT(ch_is_print(slice_at(l.text, i)) ||
		    ((l.word == DROP_TO || l.word == DROP_FROM) && slice_at(l.text, i) >= 0x80));
	PN_ASSERT(utf8_valid(l.text));
	if (l.word == DROP_TO)
		PN_ASSERT(l.text.n > 0);
	return 0;
}
