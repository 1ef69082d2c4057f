/* SPDX-License-Identifier: MIT */
#include "lib/make/addr.h"

#include "lib/base/chars.h"
#include "lib/base/encode.h"

/* Dot-string of RFC 5321 section 4.1.2, with the letters of RFC 6531 section 3.3. */
static bool
is_dot_string(struct slice s)
{
	uint8_t before = '.';

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		if (c == '.' ? before == '.'
			     : c < 0x80 && !ch_is_alnum(c) && slice_find_byte(S("!#$%&'*+-/=?^_`{|}~"), c) == SLICE_NONE)
			return false;
		before = c;
	}
	return before != '.';
}

bool
addr_write(struct buf *b, struct slice local, struct slice domain)
{
	if (local.n == 0 && domain.n == 0)
		return !b->bad;
	if (!utf8_valid(local))
		b->bad = true;
	if (is_dot_string(local)) {
		(void)buf_add(b, local);
	} else {
		(void)buf_byte(b, '"');
		for (size_t i = 0; i < local.n; i++) {
			uint8_t c = slice_at(local, i);

			if (c < 0x80 && !ch_is_print(c))
				b->bad = true;
			if (c == '"' || c == '\\')
				(void)buf_byte(b, '\\');
			(void)buf_byte(b, c);
		}
		(void)buf_byte(b, '"');
	}
	if (domain.n > 0) {
		(void)buf_byte(b, '@');
		(void)buf_add(b, domain);
	}
	return !b->bad;
}
