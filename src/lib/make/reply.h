/* SPDX-License-Identifier: MIT
 * SMTP replies: RFC 5321 section 4.2 with the enhanced codes of RFC 2034. Whatever goes into the text,
 * a reply holds printable ASCII (0x20..0x7e) and its line ends only: other bytes become '?'. */
#pragma once

#include "lib/base/buf.h"

#define REPLY_TEXT ((size_t)400) /* longest text of one line, RFC 5321 section 4.5.3.1.5 says 512 in all */

/* "250 2.1.0 text CRLF". enhanced is "2.1.0", or NULL for none (greeting, EHLO, 334, 354). Text is cut
 * at REPLY_TEXT bytes. Code must be 200..599. Returns !b->bad. */
bool make_reply(struct buf *b, unsigned code, const char *enhanced, struct slice text);
/* One line of several: "250-text CRLF" where more follow, "250 text CRLF" for the last. */
bool make_reply_line(struct buf *b, unsigned code, const char *enhanced, bool last, struct slice text);
