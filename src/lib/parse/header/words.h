/* SPDX-License-Identifier: MIT
 * Header text for people: RFC 2047 encoded-words as RFC 2231 section 5 extends them (language). */
#pragma once

#include "lib/base/buf.h"

/* Appends in as UTF-8 on one line: encoded-words decoded by lib/base/charset.h, blanks between two of
 * them dropped (a character may be cut between them), folding removed. Encoded-words are taken where
 * people put them: inside quotes, glued to text, longer than 75 octets; a broken one stays as it is.
 * Octets outside of them are UTF-8, else Windows-1252. Control characters of the result become
 * blanks, so that nobody smuggles a line. The work is linear, the output at most 3 * in.n + 16
 * octets. Returns !out->bad. */
bool words_decode(struct buf *out, struct slice in);
