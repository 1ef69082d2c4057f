/* SPDX-License-Identifier: MIT
 * Replies of SMTP and LMTP servers, read by a client: RFC 5321 section 4.2, enhanced status codes
 * (RFC 2034, 3463) and the keywords of EHLO (section 4.1.1.1). Pure: lib/stream has framed the lines (no CR, LF
 * or NUL in one, at most LIMIT_SMTP_REPLY_LINE bytes).
 *
 * The remote text is hostile: what comes out is one line of printable ASCII, whatever was sent; every other byte is
 * written \xNN, and so is the backslash (O-004). */
#pragma once

#include "lib/base/limits.h"
#include "lib/base/slice.h"

enum smtp_reply_step {
	SMTP_REPLY_MORE, /* a line with a hyphen: others follow */
	SMTP_REPLY_DONE, /* complete */
	SMTP_REPLY_BAD,	 /* no reply: not three digits 2xx..5xx, another code than the line before, too many lines */
};

struct smtp_reply {
	unsigned code;	/* 200..599; 0: none */
	unsigned lines;
	uint8_t class, subject, detail_hi, detail_lo; /* enhanced code; class 0: none was given */
	size_t n;	/* of text */
	uint8_t text[LIMIT_SMTP_REPLY_TEXT]; /* all lines joined by a space, without their codes; cut at its end */
};

/* What EHLO may offer, and how. */
struct smtp_offer {
	bool starttls, pipelining, size, eightbit, smtputf8, dsn, requiretls, chunking, enhanced, deliverby;
	bool plain, login, scram, scram_plus; /* mechanisms of AUTH; SCRAM-SHA-256 and -PLUS */
	uint64_t size_limit; /* 0: none said */
	uint64_t min_by;     /* DELIVERBY (RFC 2852): the least time that mode R may give, in s; 0: none said */
	uint64_t rcpt_limit; /* LIMITS RCPTMAX (RFC 9422); 0: none said */
};

/* Begins a new reply: everything of *r is forgotten. */
void smtp_reply_begin(struct smtp_reply *r);
/* One more line. After BAD or DONE begin again. body, where not NULL, gets what stands behind the code and the hyphen
 * (a piece of line; for EHLO's keywords), with MORE and DONE. */
enum smtp_reply_step smtp_reply_line(struct smtp_reply *r, struct slice line, struct slice *body);
/* The text as a slice, borrowed from r. */
struct slice smtp_reply_text(const struct smtp_reply *r);
/* Writes the enhanced code ("5.7.1") to out and gives it as a slice; empty when there is none. Its class is that of the
 * reply's code, or it counts as none. */
#define SMTP_ENHANCED_TEXT 12
struct slice smtp_reply_enhanced(const struct smtp_reply *r, char out[SMTP_ENHANCED_TEXT]);

/* One line of EHLO's reply behind the first: sets what it offers. Unknown keywords do nothing. */
void smtp_offer_line(struct smtp_offer *o, struct slice body);
