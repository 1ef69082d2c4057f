/* SPDX-License-Identifier: MIT
 * Text without regard to case, for searching: a form of the same length that two spellings share. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Folds n octets of UTF-8 in place: A-Z, and the capitals of Latin-1, Latin Extended-A, Greek and
 * Cyrillic, whose small letters have two octets as well. Everything else, also what is no UTF-8, stays.
 * A code point that the end of the range cuts stays too, so cut between code points. */
void fold_utf8(uint8_t *p, size_t n);
