/* SPDX-License-Identifier: MIT
 * Text of messages against the strings of SEARCH: decoded, as UTF-8, without regard to case. */
#pragma once

#include "rooms/mailbox/message.h"

enum match_result { MATCH_NO, MATCH_YES, MATCH_FAILED };

/* The form in which texts are compared: lower case of ASCII, Latin, Greek and Cyrillic, of the same
 * length. False at the arena's ceiling. */
[[nodiscard]] bool match_fold(struct slice in, struct arena *a, struct slice *out);
/* needle is folded; the empty one is found everywhere. */
/* A field of this name holds it. */
enum match_result match_header(struct message *m, struct slice field, struct slice needle);
/* A text part of the body holds it. */
enum match_result match_body(struct message *m, struct slice needle);
/* Header or body. */
enum match_result match_text(struct message *m, struct slice needle);
