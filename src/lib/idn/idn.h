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
/* Both of a mailbox "local@domain" (the last '@' divides); without '@' it is a local part. */
[[nodiscard]] bool idn_address(struct slice in, struct arena *a, struct slice *out);
