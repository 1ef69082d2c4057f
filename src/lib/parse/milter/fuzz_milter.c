/* SPDX-License-Identifier: MIT
 * One packet. What is understood has its numbers in range, names that are names, and no NUL in a text; a value
 * that is taken adds no field and no end to a header. */
#include "lib/parse/milter/milter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
value_is_one_field(struct slice v)
{
	struct slice line, rest = v;
	bool first = true;

	for (bool more = true; more; first = false) {
		size_t at = slice_find(rest, S("\r\n"));

		more = at != SLICE_NONE;
		line = more ? slice_head(rest, at) : rest;
		rest = more ? slice_from(rest, at + 2) : S("");
		PN_ASSERT(slice_find_byte(line, '\r') == SLICE_NONE && slice_find_byte(line, '\n') == SLICE_NONE);
		PN_ASSERT(first || slice_at(line, 0) == ' ' || slice_at(line, 0) == '\t');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct milter_said m;
	struct buf b;

	if (!milter_parse(slice_of(data, n), &m))
		return 0;
	PN_ASSERT(m.kind != MILTER_REPLY || (m.code >= 400 && m.code <= 599));
	PN_ASSERT(slice_find_byte(m.text, 0) == SLICE_NONE && slice_find_byte(m.address, 0) == SLICE_NONE);
	PN_ASSERT(slice_find_byte(m.name, ':') == SLICE_NONE && slice_find_byte(m.name, '\n') == SLICE_NONE);
	buf_init(&b, 2 * LIMIT_MILTER_PACKET);
	if (milter_value(&b, m.value))
		value_is_one_field(buf_slice(&b));
	buf_free(&b);
	return 0;
}
