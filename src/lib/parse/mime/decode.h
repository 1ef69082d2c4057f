/* SPDX-License-Identifier: MIT
 * Bodies as they were before transport: base64 and quoted-printable (RFC 2045 sections 6.7, 6.8), read
 * as mail programs read them. */
#pragma once

#include "lib/base/buf.h"
#include "lib/parse/mime/mime.h"

struct mime_decoder {
	struct slice in;	/* private, like the rest */
	size_t at, line_end, text_end;
	enum mime_encoding encoding;
	uint32_t held, bits;
};

/* Reads body from its start. An unknown encoding gives the octets as they are. */
struct mime_decoder mime_decoder_of(struct slice body, enum mime_encoding encoding);
/* Appends the next decoded octets, at most `most` (1 at least), and returns true as long as there
 * were any: call until false. False with out->bad when out is full. Linear in body.
 *
 * base64: octets outside the alphabet are skipped, '=' ends a group and decoding goes on behind it,
 * leftover bits are dropped. quoted-printable: blanks at the end of a line are dropped, "=" at the end
 * joins lines, "=" before what is no hexadecimal pair stays. */
bool mime_decode(struct mime_decoder *d, size_t most, struct buf *out);
