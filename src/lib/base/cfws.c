/* SPDX-License-Identifier: MIT */
#include "lib/base/cfws.h"

bool
cur_comment(struct cursor *c, struct slice *out, bool *closed)
{
	size_t from, depth = 1;

	if (!cur_byte(c, '('))
		return false;
	from = c->at;
	for (int b; (b = cur_next(c)) != -1;) {
		if (b == '\\') {
			(void)cur_next(c);
		} else if (b == '(') {
			depth++;
		} else if (b == ')' && --depth == 0) {
			*out = slice_sub(c->in, from, c->at - 1 - from);
			*closed = true;
			return true;
		}
	}
	*out = slice_from(c->in, from);
	*closed = false;
	return true;
}

void
cur_cfws(struct cursor *c)
{
	struct slice comment;
	bool closed;

	do
		(void)cur_skip(c, ch_is_fws);
	while (cur_comment(c, &comment, &closed));
}
