/* SPDX-License-Identifier: MIT
 * The structure of a message (RFC 2045, 2046): a tree over one slice, copying nothing. IMAP, filter
 * and webmail all read mail through it, so that what one sees the others see.
 *
 *   root (message) -- multipart/mixed -- text/plain
 *                                     -- message/rfc822 -- embedded message -- ...
 *
 * The reading of what is not as it should be is fixed:
 * - the first field of a name counts, repetitions are a defect (M-020..028);
 * - a delimiter is a line that begins with "--" and the boundary, and closes when "--" follows (RFC
 *   2046 section 5.1.1: "an exact match of the entire candidate line is not required"); the longest
 *   boundary takes it, of equal ones the innermost; the line end before it belongs to it. Text behind
 *   it is a defect, because many programs do not see a delimiter there;
 * - a delimiter ends the header of a part that has no empty line;
 * - a Content-Type that cannot be read, or multipart without a boundary, is text/plain (RFC 2045
 *   section 5.2), with a defect;
 * - a transfer encoding on multipart or message is ignored, with a defect.
 *
 * Bounds: LIMIT_MIME_DEPTH levels and LIMIT_MIME_PARTS nodes, what lies deeper or behind is text of
 * the last node and marked; nothing recurses; only a line that begins with "--" is compared with the
 * boundaries that are open, LIMIT_MIME_DEPTH at most, by their first eight octets. */
#pragma once

#include "lib/base/arena.h"

/* What is broken. A message whose defects meet MIME_OVER must count as unparsable: nobody has seen all
 * of it. */
enum mime_defect {
	MIME_REPEATED_FIELD = 1 << 0,	/* a Content- field of the same name twice */
	MIME_BAD_TYPE = 1 << 1,		/* Content-Type that cannot be read */
	MIME_NO_BOUNDARY = 1 << 2,	/* multipart without a usable boundary */
	MIME_REPEATED_PARAM = 1 << 3,	/* Content-Type of a multipart with broken parameters */
	MIME_UNCLOSED = 1 << 4,		/* multipart without its closing delimiter */
	MIME_EMPTY_MULTIPART = 1 << 5,	/* multipart without a part */
	MIME_ENCODED_STRUCTURE = 1 << 6, /* base64 or quoted-printable on multipart or message */
	MIME_JUNK_HEADER = 1 << 7,	/* a header line that is no field */
	MIME_NO_EMPTY_LINE = 1 << 8,	/* a header that does not end in an empty line */
	MIME_NEAR_DELIMITER = 1 << 9,	/* a delimiter with text behind it */
	MIME_TOO_DEEP = 1 << 10,
	MIME_TOO_MANY = 1 << 11,
	MIME_LONG_HEADER = 1 << 12,	/* over LIMIT_HEADER or LIMIT_HEADER_FIELDS */
};
#define MIME_OVER (MIME_TOO_DEEP | MIME_TOO_MANY | MIME_LONG_HEADER)

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART,		/* children: the parts, perhaps none */
	MIME_MESSAGE,		/* message/rfc822 or message/global; one child: the embedded message */
};

enum mime_encoding { MIME_IDENTITY, MIME_QUOTED_PRINTABLE, MIME_BASE64, MIME_UNKNOWN_ENCODING };

/* Bodies of the fields that ENVELOPE needs, folding kept; p is NULL where the field is absent. */
struct mime_envelope {
	struct slice date, subject, from, sender, reply_to, to, cc, bcc, in_reply_to, message_id;
	/* To, Cc or Bcc comes more than once: the rest stands in the header (RFC 5322 section 4.5.3). */
	bool more;
};

struct mime_part {
	struct mime_part *parent, *first, *last, *next;
	struct slice header;		/* with its empty line, if it has one */
	struct slice body;		/* as it stands in the message: encoded */
	size_t body_at;			/* offset of body in the message, octets */
	struct slice type, subtype;	/* as written, or the default; any case; never empty */
	/* Field bodies, folding kept; p is NULL where the field is absent (content_type also where it
	 * cannot be read, so that the default holds). */
	struct slice content_type, disposition, transfer_encoding, id, description, language,
	    location, md5;
	struct mime_envelope *envelope;	/* of a message (the root, an embedded one), else NULL */
	enum mime_kind kind;
	enum mime_encoding encoding;	/* of the body; identity for multipart and message */
	uint32_t number;		/* 1.. among its siblings */
	uint32_t depth;			/* root is 0 */
	uint32_t defects;		/* enum mime_defect, of this node alone */
	uint64_t lines;			/* line ends in body */
};

struct mime {
	struct slice in;
	struct mime_part *root;
	uint32_t parts;			/* nodes, embedded messages counted */
	uint32_t defects;		/* of all nodes */
};

/* Reads a message. Any octets are a message. False, with *out untouched, only at the arena's ceiling
 * (400 octets a node are enough, LIMIT_ARENA_MESSAGE for the most that there can be). Everything
 * borrows message. */
[[nodiscard]] bool mime_parse(struct slice message, struct arena *a, struct mime *out);

/* The next node in the order of the message, parents first; NULL at the end. Walks the whole tree of
 * which part is the root, when it starts with that: mime_next(part, part). */
struct mime_part *mime_next(const struct mime_part *part, const struct mime_part *top);

/* True when the part has this type in any case; an empty subtype stands for all. */
bool mime_is(const struct mime_part *part, struct slice type, struct slice subtype);
