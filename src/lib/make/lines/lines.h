/* SPDX-License-Identifier: MIT
 * Lines of a message that are longer than RFC 5321 and 5322 let them be (998 octets without CRLF), broken into several.
 * Only for mail that begins here and is signed afterwards: it changes what a signature covers (decision 0081).
 *
 * A line is broken before the last blank that lets its beginning fit: nothing but CRLF comes into it, which unfolding
 * takes out of a header field again. Where there is no blank, CRLF and a space come in, never inside a UTF-8 sequence. The space
 * keeps what follows from being a boundary, a field or an end. In a header no line becomes blank: of runs of
 * blanks that are longer than a line one stays. */
#pragma once

#include "lib/base/slice.h"

#define LINES_MOST ((size_t)998)

/* Is there one? */
bool lines_too_long(struct slice message);
/* Hands the whole message (lines end in CRLF) to put(), piece by piece, its long lines broken; stops, false, when put()
 * refuses. *breaks: how many came in. */
[[nodiscard]] bool lines_break(struct slice message, bool (*put)(void *arg, struct slice piece), void *arg,
    size_t *breaks);
