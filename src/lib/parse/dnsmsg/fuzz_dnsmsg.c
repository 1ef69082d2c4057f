/* SPDX-License-Identifier: MIT
 * Input: the type, the length of the name, the name, the message. */
#include "lib/base/own.h"
#include "lib/parse/dnsmsg/dnsmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n), name;
	own(arena_p) a = arena_new("fuzz", 1 << 22);
	struct dnsmsg_answer out;

	if (n < 2 || n < (size_t)2 + slice_at(in, 1))
		return 0;
	name = slice_sub(in, 2, slice_at(in, 1));
	in = slice_from(in, 2 + name.n);
	if (!dnsmsg_answer_parse(in, name, data[0], a, &out))
		return 0;
	PN_ASSERT(out.n <= LIMIT_DNSMSG_RRS && out.rcode < 16);
	PN_ASSERT(out.owner.n >= 1 && out.owner.n <= LIMIT_DNSMSG_NAME && slice_at(out.owner, out.owner.n - 1) == 0);
	for (size_t i = 0; i < out.n; i++)
		PN_ASSERT(out.rdata[i].n <= 65535);
	return 0;
}
