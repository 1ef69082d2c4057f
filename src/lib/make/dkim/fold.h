/* SPDX-License-Identifier: MIT
 * Writes a header field of tags, folded before column 78 (RFC 5322 2.1.1). */
#pragma once

#include "lib/base/buf.h"

struct fold {
	struct buf *b;
	size_t col; /* of the next octet */
};

/* Writes "Name:". */
void fold_begin(struct fold *f, struct buf *b, struct slice name);
/* Writes a word that is not to be broken, on a new line where it does not fit; space: with a space
 * before it on the same line. */
void fold_word(struct fold *f, struct slice word, bool space);
/* Writes " tag value;" as one word; tag comes with its "=". At most 512 octets together. */
void fold_pair(struct fold *f, struct slice tag, struct slice value);
void fold_number(struct fold *f, struct slice tag, uint64_t value);
/* Writes " h=a:b:c;". Lines are broken behind a colon only. */
void fold_names(struct fold *f, const struct slice *names, size_t n);
/* Goes on on a new line. */
void fold_line(struct fold *f);
/* Writes text that may be broken anywhere (base64). */
void fold_text(struct fold *f, struct slice text);
/* Writes the CRLF. Returns false when the buffer was too small. */
bool fold_end(struct fold *f);
