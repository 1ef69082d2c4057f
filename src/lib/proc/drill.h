/* SPDX-License-Identifier: MIT
 * What a compromised room would try (SECURITY.md 4.6). Only in drill builds, which are never
 * installed; in all others the message is unpermitted and this answers EPERM. */
#pragma once

#include <stdint.h>

#ifdef PN_DRILL
#define DRILL_BUILD 1
#else
#define DRILL_BUILD 0
#endif

/* Tries attempt number (1..drill_count()). 0: it succeeded, which is a hole; else the errno. Most
 * attempts do not come back at all: the alarm ends the room. */
int64_t drill_attempt(unsigned number);
unsigned drill_count(void);
/* What attempt number tries, for the table. */
const char *drill_name(unsigned number);
