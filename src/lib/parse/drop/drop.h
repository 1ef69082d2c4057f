/* SPDX-License-Identifier: MIT
 * What local programs say to drop, one line each (ended by LF, a CR before it is dropped), before the
 * content of the message:
 *
 *   mail 1			the first line: what follows is one message
 *   from ADDRESS		the envelope sender; "from <>" for none; left out: the program's own
 *   name TEXT			the full name of who writes, for a From field that is missing
 *   to ADDRESS			any number
 *   recipients header		those of To, Cc and Bcc too
 *   size N			how many bytes follow the empty line
 *   (empty line)
 *
 * Addresses are as in RFC 5321 section 4.1.2 (in "to", the domain may be missing), with the UTF-8 of
 * RFC 6531: domains may have U-labels. */
#pragma once

#include "lib/base/arena.h"

#define DROP_LINE ((size_t)1024) /* bytes of a line without its end */

enum drop_word { DROP_MAIL, DROP_FROM, DROP_NAME, DROP_TO, DROP_HEADER, DROP_SIZE, DROP_END };

struct drop_line {
	enum drop_word word;
	struct slice text; /* an address, a name, the rest of "mail"; empty for the null sender */
	uint64_t number;   /* of "size" */
};

/* One line without its end. False, with *out untouched, when it is none of these. Slices point into
 * line. */
[[nodiscard]] bool drop_line_parse(struct slice line, struct drop_line *out);
/* local "@" domain, or local alone, that may stand in "from" and "to". */
bool drop_address_ok(struct slice s);
