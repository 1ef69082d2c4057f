/* SPDX-License-Identifier: MIT
 * Delivery status notifications: multipart/report (RFC 6522) with a part for people, the fields of RFC
 * 3464 and what is returned of the message; RFC 3461 6 says what of the sender's parameters is echoed,
 * RFC 6533 how addresses beyond ASCII are written (in the form that is ASCII itself).
 *
 * Everything that came from elsewhere is escaped: no octet of it outside printable ASCII reaches a
 * field, no line of it starts a line. */
#pragma once

#include "lib/base/buf.h"

#define LIMIT_DSN ((size_t)1048576)	/* a whole notification */
#define LIMIT_DSN_FULL ((size_t)65536)	/* the most of a message that is returned whole */
#define LIMIT_DSN_HEADER ((size_t)32768) /* the most of a header that is returned */
#define LIMIT_DSN_RCPTS ((size_t)200)	/* told of one by one; the rest is counted */

enum dsn_kind { DSN_FAILED, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED };

struct dsn_rcpt {
	struct slice address;	/* where it was to go */
	struct slice orcpt;	/* RFC 3461 4.2: "type;xtext", or empty */
	struct slice status;	/* "5.1.1"; empty or of another class: made to fit the kind */
	uint32_t code;		/* of the remote reply, 0: there was none */
	struct slice remote;	/* name of the remote server, or empty */
	struct slice said;	/* its text, or ours */
};

struct dsn {
	enum dsn_kind kind;
	struct slice host;	/* us */
	struct slice id;	/* of the notification: letters, digits, '.' */
	struct slice about;	/* queue id of the message, likewise */
	struct slice to;	/* the sender, not empty; UTF-8 only where it is */
	struct slice envid;	/* xtext, or empty */
	int64_t seconds, arrived, until; /* now; of the message; delayed: given up then (0: unsaid) */
	const struct dsn_rcpt *rcpts;
	size_t n;		/* 1.. */
	struct slice original;	/* the message or its header, lines ended by CRLF */
	bool full;		/* original is all of it */
};

/* What of a message is returned: all of it (full, and at most LIMIT_DSN_FULL), or the whole lines of
 * its header, at most LIMIT_DSN_HEADER. */
struct slice dsn_header(struct slice message);
/* Appends the notification; lines end in CRLF. False when b is too small. */
bool dsn_write(struct buf *b, const struct dsn *d);
/* It has octets beyond ASCII in its parts (8BITMIME), or in its own header (SMTPUTF8). */
bool dsn_is_8bit(const struct dsn *d);
bool dsn_is_utf8(const struct dsn *d);
