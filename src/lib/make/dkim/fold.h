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
/* Writes text that may be broken anywhere (base64). */
void fold_text(struct fold *f, struct slice text);
/* Writes the CRLF. Returns false when the buffer was too small. */
bool fold_end(struct fold *f);
