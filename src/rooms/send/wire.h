/* SPDX-License-Identifier: MIT
 * A message as it goes over the wire, whatever it is in the spool (O-005): every line ends in CRLF and nothing else is a
 * CR or an LF, so that no server can see an end of data where there is none. */
#pragma once

#include "lib/base/slice.h"

/* Calls put() with the pieces of body in order, as large as they can be: borrowed from body, or literals. A bare CR or
 * LF becomes CRLF; text without a line end at its end gets one; with dots, a leading dot is doubled (RFC 5321 4.5.2; not
 * for BDAT). False as soon as put() says false. */
bool wire_body(struct slice body, bool dots, bool (*put)(void *arg, struct slice piece), void *arg);
/* How many octets wire_body() would put. */
uint64_t wire_size(struct slice body, bool dots);
/* The header block with the empty line; all of a body that has none. */
struct slice wire_header(struct slice body);
