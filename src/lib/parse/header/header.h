/* SPDX-License-Identifier: MIT
 * Header blocks of stored mail (RFC 5322 section 2.2): fields as slices of the message, folding kept.
 * One reading for everybody: IMAP, filter, DKIM, DMARC and webmail all stand on header_next().
 *
 * Where the bytes are not as they should be, the reading is fixed and simple:
 * - a line ends at LF, with or without CR before it; a CR elsewhere is a byte of the line;
 * - the block ends at the first empty line, or with the input;
 * - a line that begins with space or tab belongs to the field before it, even a blank one;
 * - a line without a proper name and colon (an mbox "From " line, text, a continuation that opens the
 *   block) is a field with the empty name, whose body is the line: junk, but in its place. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/cursor.h"

struct header_field {
	struct slice raw;	/* name, colon, body, folding and the final line end, if there is one */
	struct slice name;	/* without the colon and blanks before it; empty for junk */
	struct slice body;	/* behind the colon, folding kept, without the final line end */
};

/* The next field of the block at the cursor. False at the end of the block, with the cursor behind
 * the empty line (or at the end of the input); *out is then untouched. Needs no memory and never
 * fails; each byte is looked at twice at most. */
bool header_next(struct cursor *c, struct header_field *out);

struct header {
	struct slice block;		/* the whole block with its empty line, if it has one */
	struct slice rest;		/* what follows the block: the body */
	struct header_field *field;
	size_t n;
};

/* Splits a message. False, with *out untouched, when the block is longer than LIMIT_HEADER, has more
 * than LIMIT_HEADER_FIELDS fields, or the arena is at its ceiling: such a message is unparsable.
 * Everything in *out borrows message; the array lives in a. */
[[nodiscard]] bool header_split(struct slice message, struct arena *a, struct header *out);
/* Index of the first field of this name, in any case, at or behind index from; SLICE_NONE when there
 * is none. */
size_t header_find(const struct header *h, struct slice name, size_t from);
/* Length of the block at the start of message, with the empty line. */
size_t header_length(struct slice message);

/* A field body on one line: every CR and LF is dropped, blanks at both ends too (RFC 5322 section
 * 2.2.3). The result borrows body where nothing stands between, else it lives in a; false, with *out
 * untouched, at the arena's ceiling. */
[[nodiscard]] bool header_unfold(struct slice body, struct arena *a, struct slice *out);

/* The next message identifier of a Message-ID, In-Reply-To or References body, without its angle
 * brackets, white space inside removed (RFC 5322 sections 3.6.4 and 4.5.4); words outside angle
 * brackets are skipped. False at the end or at the arena's ceiling (which sets c->bad). */
[[nodiscard]] bool msgid_next(struct cursor *c, struct arena *a, struct slice *out);
