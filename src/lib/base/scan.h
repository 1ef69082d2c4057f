/* SPDX-License-Identifier: MIT
 * Searches over whole chunks, many bytes at a time, for code that copies or hashes what lies between
 * the hits. */
#pragma once

#include "lib/base/slice.h"

/* Position, from position from on, of the first white space that is not a single space between two
 * other bytes: a tab, or a space before a space, a tab, a CR or the end of s. SLICE_NONE where all
 * white space is of that plain kind. from > s.n is a bug (panic). */
size_t scan_wsp_edge(struct slice s, size_t from);
