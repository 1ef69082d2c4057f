/* SPDX-License-Identifier: MIT */
#include "lib/parse/tags/tags.h"

bool
tag_next(struct cursor *c, struct tag *out)
{
	struct slice piece, name, value;

	if (cur_left(c) == 0)
		return false;
	if (!cur_until(c, ';', &piece)) {
		piece = cur_rest(c);
		if (slice_trim(piece).n == 0)
			return false;
	}
	piece = slice_trim(piece);
	*out = (struct tag){ .name = slice_head(piece, 0), .value = piece };
	if (slice_cut(piece, '=', &name, &value)) {
		out->name = slice_trim(name);
		out->value = slice_trim(value);
	}
	return true;
}
