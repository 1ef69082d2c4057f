/* SPDX-License-Identifier: MIT
 * Whether a message holds a text: SEARCH of IMAP (RFC 3501 section 6.4.4), later of webmail. Header
 * and body are compared as people read them: encoded-words, transfer encoding and charset resolved
 * (lib/base/charset.h says which), without regard to case (lib/base/fold.h). Bodies stream: memory is
 * bounded whatever their size. */
#pragma once

#include "lib/base/buf.h"
#include "lib/parse/header/header.h"
#include "lib/parse/mime/mime.h"

/* A search for one text, to be used for many messages. */
struct search {
	struct slice needle;		/* private, like the rest */
	struct buf folded, text, piece;
};

/* needle is UTF-8 of any case; the empty one is found wherever there is something to look at. */
void search_begin(struct search *s, struct slice needle);
/* Frees; accepts a zeroed struct. */
void search_end(struct search *s);
/* A field of this name holds the text: its body decoded, and, where it is an address field, each
 * address as ENVELOPE shows it ("local@domain"). block is a header block. scratch is rewound. */
bool search_header(struct search *s, struct slice block, struct slice name, struct arena *scratch);
/* A field of the block holds the text; "name: body" is looked through. */
bool search_block(struct search *s, struct slice block);
/* The body of the message holds it: text parts, and the headers of embedded messages. */
bool search_body(struct search *s, const struct mime *m, struct arena *scratch);
/* This part holds it, whatever its type is. */
bool search_part(struct search *s, const struct mime_part *part, struct arena *scratch);
