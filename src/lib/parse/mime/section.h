/* SPDX-License-Identifier: MIT
 * Which octets of a message an IMAP body section names: RFC 3501 section 6.4.5. */
#pragma once

#include "lib/base/buf.h"
#include "lib/parse/mime/mime.h"

enum mime_section_what {
	MIME_SECTION_ALL, MIME_SECTION_HEADER, MIME_SECTION_FIELDS, MIME_SECTION_FIELDS_NOT,
	MIME_SECTION_TEXT, MIME_SECTION_MIME
};

struct mime_section {
	enum mime_section_what what;
	const uint32_t *part;		/* "1.2.3": n_part numbers */
	size_t n_part;
	const struct slice *field;	/* names for FIELDS and FIELDS_NOT */
	size_t n_fields;
};

/* The octets of a section. They borrow the message, but those of FIELDS and FIELDS_NOT, which are
 * gathered in scratch (appended; *out borrows it until its next change). False, with *out untouched,
 * where there is no such part, where HEADER or TEXT is asked of a part that is no message (the answer
 * is NIL), or where scratch is full (scratch->bad).
 *
 * Part 1 of a message that is no multipart is its body; "1.MIME" of it is the message's header. A
 * multipart without parts has an empty part 1, as BODYSTRUCTURE says. */
[[nodiscard]] bool mime_section(const struct mime *m, const struct mime_section *s,
    struct buf *scratch, struct slice *out);
/* The part that numbers name, for BINARY, webmail and the filter; NULL where there is none (also for
 * the empty part of a multipart without parts). */
const struct mime_part *mime_find(const struct mime *m, const uint32_t *number, size_t n);
/* Octets from.. of a section, at most count: <from.count>. Beyond the end is empty. */
struct slice mime_partial(struct slice section, uint64_t from, uint64_t count);
