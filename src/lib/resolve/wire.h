/* SPDX-License-Identifier: MIT
 * A question to one server as a message (RFC 1035 4.1), and what its answer says in the form of lib/resolve: for those
 * that ask another server than the room dns. Pure. */
#pragma once

#include "lib/base/buf.h"
#include "lib/resolve/resolve.h"

/* Header with RD and AD (RFC 6840 5.7), the question, EDNS with 1,232 octets. name: in wire form. Returns !b->bad. */
bool wire_question(struct buf *b, uint16_t id, struct slice name, enum rr_type type);
/* SERVFAIL for anything but a whole answer to this question. "secure" is what that server says (AD), and proves nothing.
 * Slices in a. */
void wire_answer(struct slice message, struct slice name, enum rr_type type, struct arena *a, struct resolve_wire *out);
