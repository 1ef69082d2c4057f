/* SPDX-License-Identifier: MIT
 * White space, folding and comments of RFC 5322 section 3.2.2, which dates, addresses, parameters
 * and message ids share. The input is one field body, already delimited: every CR and LF in it is
 * folding. */
#pragma once

#include "lib/base/cursor.h"

/* Space, tab, CR or LF. */
static inline bool
ch_is_fws(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Skips white space and comments. A comment that is never closed reaches to the end of the input;
 * nothing is read twice, so a field of '(' costs linear time. Comments nest to any depth. */
void cur_cfws(struct cursor *c);
/* Consumes one comment at '(' and gives what stands inside its outer parentheses, as it is; false is
 * a mismatch. A comment that is never closed reaches to the end of the input; *closed says so. */
bool cur_comment(struct cursor *c, struct slice *out, bool *closed);
