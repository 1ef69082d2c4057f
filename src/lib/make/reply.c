/* SPDX-License-Identifier: MIT */
#include "lib/make/reply.h"

#include "lib/base/chars.h"

bool
make_reply_line(struct buf *b, unsigned code, const char *enhanced, bool last, struct slice text)
{
	PN_ASSERT(code >= 200 && code <= 599);
	text = slice_head(text, REPLY_TEXT);
	(void)buf_u64(b, code);
	(void)buf_byte(b, last ? ' ' : '-');
	if (enhanced != NULL) {
		(void)buf_add(b, slice_z(enhanced));
		(void)buf_byte(b, ' ');
	}
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = slice_at(text, i);

		(void)buf_byte(b, ch_is_print(c) ? c : '?');
	}
	return buf_add(b, S("\r\n"));
}

bool
make_reply(struct buf *b, unsigned code, const char *enhanced, struct slice text)
{
	return make_reply_line(b, code, enhanced, true, text);
}
