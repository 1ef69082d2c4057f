/* SPDX-License-Identifier: MIT
 * Names beyond ASCII: domains as A-labels (IDNA 2008, RFC 5891, by libidn2) and local parts in Unicode's
 * normal form C (RFC 6531 section 3.1, by libunistring). Both libraries allocate while they work; what
 * comes in is bounded, and nothing stays. */
#pragma once

#include "lib/base/arena.h"

/* A domain name with U-labels as A-labels, in lower case, at most LIMIT_DOMAIN bytes; one of ASCII is
 * copied as it is. False: no name of IDNA 2008, or no room in a. */
[[nodiscard]] bool idn_domain(struct slice in, struct arena *a, struct slice *out);
/* Valid UTF-8 of at most LIMIT_SMTP_ADDRESS bytes in normal form C; ASCII is copied as it is. False: not
 * UTF-8, or no room in a. */
[[nodiscard]] bool idn_nfc(struct slice in, struct arena *a, struct slice *out);
/* A password as SASLprep (RFC 4013) has it: spaces beyond ASCII are spaces, what is invisible is left out, and
 * the rest is in normal form KC, so that one password is the same typed on any keyboard. What is no UTF-8
 * stays as it is. False: over LIMIT_PASSWORD bytes, or no room in a. */
[[nodiscard]] bool idn_password(struct slice in, struct arena *a, struct slice *out);
/* Both of a mailbox "local@domain" (the last '@' divides); without '@' it is a local part. */
[[nodiscard]] bool idn_address(struct slice in, struct arena *a, struct slice *out);
