/* SPDX-License-Identifier: MIT
 * MAIL and RCPT with their parameters: SIZE (RFC 1870), BODY (RFC 6152), AUTH (RFC 4954), SMTPUTF8 (RFC
 * 6531), RET, ENVID, NOTIFY and ORCPT (RFC 3461), REQUIRETLS (RFC 8689), HOLDFOR and HOLDUNTIL (RFC
 * 4865), BY (RFC 2852), MT-PRIORITY (RFC 6710). A parameter of an extension that the server did not
 * offer in this session is unknown. Each at most once. */
#pragma once

#include "lib/base/arena.h"
#include "lib/parse/addr/envelope.h"

enum smtp_syntax {
	SMTP_SYNTAX_OK,
	SMTP_SYNTAX_COMMAND,	   /* no FROM: or TO:, or an argument that is none: 501 5.5.4 */
	SMTP_SYNTAX_ADDRESS,	   /* see the addr_status: 501, 553 */
	SMTP_SYNTAX_PARAM,	   /* value wrong, or the same one twice: 501 5.5.4 */
	SMTP_SYNTAX_PARAM_UNKNOWN, /* 555 5.5.4 */
	SMTP_SYNTAX_SIZE,	   /* SIZE= a number over 2^64: 552 5.3.4 */
};

/* What the session offers; SIZE and BODY are always known. A set. */
enum smtp_offer {
	SMTP_OFFER_AUTH = 1,
	SMTP_OFFER_UTF8 = 2,
	SMTP_OFFER_DSN = 4,
	SMTP_OFFER_REQUIRETLS = 8,
	SMTP_OFFER_HOLD = 16,
	SMTP_OFFER_BY = 32,
	SMTP_OFFER_PRIORITY = 64,
};

enum smtp_ret { SMTP_RET_UNSAID, SMTP_RET_FULL, SMTP_RET_HDRS };

struct smtp_mail {
	struct addr from;
	uint64_t size; /* 0: not said */
	bool body_8bit, utf8, requiretls;
	struct slice auth; /* AUTH=, decoded: a mailbox, or "<>" as the empty slice; p is NULL: not said */
	enum smtp_ret ret;
	struct slice envid;    /* xtext as given, at most 100 bytes, printable ASCII when decoded */
	uint32_t hold_for_s;   /* HOLDFOR=; 0: not said */
	int64_t hold_until_s;  /* HOLDUNTIL=, seconds since 1970; 0: not said */
	bool by;	       /* BY= was said */
	int32_t by_s;	       /* seconds from now, may be negative */
	bool by_return;	       /* mode R; otherwise N */
	bool by_trace;	       /* T: tell of every relay */
	int priority;	       /* -9..9 */
};

/* RFC 3461 section 4.1, as a set. */
enum smtp_notify { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };

struct smtp_rcpt {
	struct addr to;
	unsigned notify;    /* 0: not said */
	struct slice orcpt; /* "type;xtext" as given, at most 500 bytes; empty: not said */
};

/* MAIL: "FROM:" Reverse-path *( SP parameter ). An address with bytes from 0x80 on is ADDR_NOT_ASCII
 * without SMTPUTF8. *why is set with SMTP_SYNTAX_ADDRESS. Slices point into args or a. Out-parameters
 * stay untouched otherwise. */
enum smtp_syntax smtp_mail_parse(struct slice args, unsigned offers, struct arena *a,
    struct smtp_mail *out, enum addr_status *why);
/* RCPT: "TO:" Forward-path *( SP parameter ). utf8: MAIL said SMTPUTF8. */
enum smtp_syntax smtp_rcpt_parse(struct slice args, unsigned offers, bool utf8, struct arena *a,
    struct smtp_rcpt *out, enum addr_status *why);

/* xtext of RFC 3461 section 4: printable ASCII but '+' and '=', or '+' and two upper-case hexadecimal
 * digits. The result may hold any byte, NUL included: judge it before use. */
bool smtp_xtext(struct slice in, struct arena *a, struct slice *out);
