/* SPDX-License-Identifier: MIT
 * Base64 (RFC 4648 section 4), hexadecimal and UTF-8 (RFC 3629). */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"

/* Strict: alphabet, padding and zero trailing bits must be right, no white space. False, with *out
 * untouched, on anything else or at the arena's ceiling. */
[[nodiscard]] bool base64_decode(struct slice in, struct arena *a, struct slice *out);
bool base64_encode(struct buf *b, struct slice in);
bool hex_encode(struct buf *b, struct slice in);
[[nodiscard]] bool hex_decode(struct slice in, struct arena *a, struct slice *out);

/* Valid UTF-8: shortest forms only, no surrogates, nothing over U+10FFFF. */
bool utf8_valid(struct slice s);
/* Next code point of s from *at on, moving *at; -1 at the end, -2 (and *at + 1) on a bad sequence. */
int32_t utf8_next(struct slice s, size_t *at);
/* Appends code point cp (a bad one becomes U+FFFD). */
bool utf8_put(struct buf *b, uint32_t cp);
/* True when every byte is 0x01..0x7f. */
bool ascii_only(struct slice s);
