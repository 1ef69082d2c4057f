/* SPDX-License-Identifier: MIT
 * The public suffix list, over libpsl: which part of a name was registered by somebody. DMARC does not
 * use it (RFC 9989 walks the DNS); filters and reports that group names for people do. */
#pragma once

#include "lib/base/arena.h"

/* The registrable domain of a name (one label more than its public suffix), in lower case, in the
 * arena: "a.b.example.co.uk" gives "example.co.uk". A-labels and UTF-8 are taken. False, with *out
 * untouched, when the name is itself a suffix, has a leading dot, is no UTF-8 or is longer than a name
 * can be, or at the ceiling. Reads the list that is built into the library: no file. */
[[nodiscard]] bool suffix_registrable(struct slice name, struct arena *a, struct slice *out);
