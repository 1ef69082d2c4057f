/* SPDX-License-Identifier: MIT
 * Which part of a mail is a report? Decided by what a part holds, unpacked where it is packed, and
 * not by its name or type: reporters write application/octet-stream, wrong names, or text/plain. */
#pragma once

#include "lib/base/buf.h"
#include "lib/parse/mime/mime.h"

#define LIMIT_REPORT_PARTS 20u /* of one mail that are decoded (count) */

enum report_form {
	REPORT_FORM_NONE,
	REPORT_FORM_DMARC, /* XML, or packed XML */
	REPORT_FORM_TLS,   /* JSON, or packed JSON */
	REPORT_FORM_ARF,   /* the body of message/feedback-report */
};

/* What these bytes (a file, a decoded part) are. Never ARF, which only its type tells. */
enum report_form report_form(struct slice bytes);

/* A walk over the parts of one mail. */
struct report_walk {
	const struct mime_part *top, *at;
	unsigned decoded;
};
struct report_walk report_walk_of(const struct mime *m);
/* The next part that is a report by its looks, decoded into *out (whose maximum bounds it; a longer
 * part is passed over). REPORT_FORM_NONE at the end, or after LIMIT_REPORT_PARTS. */
enum report_form report_next(struct report_walk *w, struct buf *out);

/* Did our own server, whose name stands first in Authentication-Results, say dmarc=pass? message is the
 * whole mail: scan removed what others wrote in our name, and put its own field on top. */
bool report_verified(struct slice message, struct slice id);
