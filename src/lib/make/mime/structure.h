/* SPDX-License-Identifier: MIT
 * What FETCH says about the structure of a message: ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501
 * section 7.4.2). Every octet that comes from the mail leaves as a quoted string or a counted
 * literal (I-034).
 *
 * No message makes an answer impossible: from LIMIT_STRUCTURE octets on, what may be NIL is NIL and
 * address lists end, so that an answer has at most LIMIT_STRUCTURE + LIMIT_HEADER octets and 160 for
 * each part. Honest mail stays far below.
 *
 * scratch is for what must be put together on the way (unfolded lines, addresses, parameters); it is
 * rewound before the functions return. LIMIT_ARENA_MESSAGE always suffices. All append to b and
 * return false when b is full or scratch at its ceiling; b then holds a part of the answer. */
#pragma once

#include "lib/base/buf.h"
#include "lib/parse/mime/mime.h"

/* The parenthesised envelope of a message: part is the root or an embedded message (part->envelope is
 * not NULL, else it is a bug). Sender and Reply-To fall back to From. Fields that are absent are NIL;
 * Date, Subject, In-Reply-To and Message-ID that are empty are "". An address without '@' has the host
 * "MISSING_DOMAIN", one without a local part the mailbox "MISSING_MAILBOX", because NIL would mean a
 * group there. To, Cc and Bcc that come more than once are one list. */
[[nodiscard]] bool structure_put_envelope(struct buf *b, const struct mime_part *part,
    struct arena *scratch);
/* The body structure of part (the root for the whole message); with extended set BODYSTRUCTURE, else
 * BODY. Sizes are of the octets as they stand in the message, lines count line ends. Parameters come as
 * written, continuations put together (RFC 2231 section 6), text without a charset says us-ascii. A
 * multipart without parts has one empty text/plain part, because the grammar wants one; multipart and
 * messages that lie below LIMIT_MIME_DEPTH are application/octet-stream. */
[[nodiscard]] bool structure_put_body(struct buf *b, const struct mime_part *part, bool extended,
    struct arena *scratch);
