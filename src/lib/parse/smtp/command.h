/* SPDX-License-Identifier: MIT
 * SMTP commands: RFC 5321 section 4.1, and BDAT (RFC 3030). Each function takes one finite piece of a
 * line that lib/stream has framed: there is no CR, LF or NUL in it. Strict but for blanks at the end of
 * a line and behind "FROM:" and "TO:". The parameters of MAIL and RCPT are in params.h. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/cursor.h"

enum smtp_verb {
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_QUIT,
	SMTP_XCLIENT,
	SMTP_LHLO, /* LMTP: RFC 2033 section 4.1 */
	SMTP_FOREIGN, /* a request line of HTTP: nothing behind it may be run (S-092) */
	SMTP_UNKNOWN,
	SMTP_VERBS
};

struct smtp_command {
	enum smtp_verb verb;
	struct slice word; /* the verb as sent: letters, digits, '-' */
	struct slice args; /* what follows, without blanks at both ends */
	bool ascii;	   /* args is printable ASCII; otherwise it also holds bytes from 0x80 on */
};

/* Splits a line. False for one that has a control character, or does not begin with a word of at most
 * 32 letters, digits and hyphens that ends at a blank or the line's end. */
bool smtp_command_parse(struct slice line, struct smtp_command *out);

/* The argument of EHLO and HELO: at most 255 letters, digits, '.', '-' and '_', or an address literal.
 * More lenient than the grammar's Domain: clients name themselves badly, and the name decides nothing.
 * What comes out is safe to write into a Received field. */
bool smtp_helo_parse(struct slice args, struct slice *out);

/* AUTH: mechanism [SP initial-response]. initial->p is NULL where there is none. The mechanism is at
 * most 20 letters, digits, '-' and '_' (RFC 4422 section 3.1). */
bool smtp_auth_parse(struct slice args, struct slice *mechanism, struct slice *initial);

/* BDAT: chunk-size [SP "LAST"] (RFC 3030 section 2). A size over 2^64 is no size. */
bool smtp_bdat_parse(struct slice args, uint64_t *size, bool *last);
