/* SPDX-License-Identifier: MIT
 * Text of mail to UTF-8, as a stream. Known: UTF-8, US-ASCII, ISO-8859-x, Windows-125x, KOI8, a few
 * old code pages. ISO-8859-1 and US-ASCII are read as Windows-1252, which contains them, because
 * that is what senders mean. Every other name (Shift_JIS, GB18030, Big5, ISO-2022-x, UTF-7 ...), and
 * US-ASCII and no name at all, is guessed octet by octet: what is valid UTF-8 stays, other octets are
 * read as Windows-1252. So its ASCII part is right and the rest is wrong but harmless. */
#pragma once

#include "lib/base/buf.h"

struct charset {
	uint8_t kind, table;		/* private */
	uint8_t pending[4], n_pending;	/* an unfinished UTF-8 sequence */
};

/* A stream of this charset (any case, "-" and "_" ignored). */
struct charset charset_of(struct slice name);
/* True when octets are converted by the rules of the charset itself, false when they are guessed. */
bool charset_known(const struct charset *c);
/* True when both convert alike, so that one may go on where the other stopped. */
bool charset_same(const struct charset *a, const struct charset *b);
/* Appends in as UTF-8; a sequence may be cut anywhere between calls. What is invalid in UTF-8 and what
 * is unassigned becomes U+FFFD. Output is always valid UTF-8, at most 3 octets for each of in, 6 more
 * after a cut sequence. Returns !out->bad. */
bool charset_feed(struct charset *c, struct slice in, struct buf *out);
/* Ends the text: an unfinished sequence becomes U+FFFD. Returns !out->bad. */
bool charset_end(struct charset *c, struct buf *out);
