/* SPDX-License-Identifier: MIT
 * SMTP commands: RFC 5321 section 4.1, with the parameters of SIZE (RFC 1870), 8BITMIME (RFC 6152) and
 * AUTH (RFC 4954). Each function takes one finite piece of a line that lib/stream has framed: there is
 * no CR, LF or NUL in it. Strict but for blanks at the end of a line and behind "FROM:" and "TO:". */
#pragma once

#include "lib/base/arena.h"
#include "lib/parse/addr/envelope.h"

enum smtp_verb {
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_QUIT,
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

enum smtp_syntax {
	SMTP_SYNTAX_OK,
	SMTP_SYNTAX_COMMAND,	   /* no FROM: or TO:, or an argument that is none: 501 5.5.4 */
	SMTP_SYNTAX_ADDRESS,	   /* see the addr_status: 501, 553 */
	SMTP_SYNTAX_PARAM,	   /* value wrong, or the same one twice: 501 5.5.4 */
	SMTP_SYNTAX_PARAM_UNKNOWN, /* 555 5.5.4 */
	SMTP_SYNTAX_SIZE,	   /* SIZE= a number over 2^64: 552 5.3.4 */
};

struct smtp_mail {
	struct addr from;
	uint64_t size; /* 0: not said */
	bool body_8bit;
	struct slice auth; /* AUTH=, decoded: a mailbox, or "<>" as the empty slice; p is NULL: not said */
};

/* MAIL: "FROM:" Reverse-path *( SP parameter ). AUTH= is a known parameter only with auth (RFC 4954
 * section 5: only a server that offers AUTH). *why is set with SMTP_SYNTAX_ADDRESS. Slices point into
 * args or a. Out-parameters stay untouched otherwise. */
enum smtp_syntax smtp_mail_parse(struct slice args, bool auth, struct arena *a,
    struct smtp_mail *out, enum addr_status *why);
/* RCPT: "TO:" Forward-path. No parameter is known: DSN is not offered. */
enum smtp_syntax smtp_rcpt_parse(struct slice args, struct arena *a, struct addr *out,
    enum addr_status *why);

/* The argument of EHLO and HELO: at most 255 letters, digits, '.', '-' and '_', or an address literal.
 * More lenient than the grammar's Domain: clients name themselves badly, and the name decides nothing.
 * What comes out is safe to write into a Received field. */
bool smtp_helo_parse(struct slice args, struct slice *out);

/* AUTH: mechanism [SP initial-response]. initial->p is NULL where there is none. The mechanism is at
 * most 20 letters, digits, '-' and '_' (RFC 4422 section 3.1). */
bool smtp_auth_parse(struct slice args, struct slice *mechanism, struct slice *initial);

/* xtext of RFC 3461 section 4: printable ASCII but '+' and '=', or '+' and two upper-case hexadecimal
 * digits. The result may hold any byte, NUL included: judge it before use. */
bool smtp_xtext(struct slice in, struct arena *a, struct slice *out);
