/* SPDX-License-Identifier: MIT
 * What a remote server meant, in words for people who never saw a status code. */
#pragma once

#include <stdint.h>

#include "lib/base/slice.h"

/* One sentence with its full stop for an enhanced status code ("5.1.1", RFC 3463 and IANA's list; the
 * class is not looked at beyond the detail) or, where there is none, for a reply code; never empty. */
struct slice dsn_words(struct slice status, uint32_t code);
