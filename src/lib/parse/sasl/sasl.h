/* SPDX-License-Identifier: MIT
 * Responses of the password mechanisms: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login). The
 * responses hold passwords: the arena is one whose memory is wiped (every arena is) and ends with the
 * command. */
#pragma once

#include "lib/base/arena.h"

struct sasl_login {
	struct slice name;     /* who logs in: 1..LIMIT_LOGIN_NAME bytes of UTF-8 without controls */
	struct slice password; /* 1..LIMIT_PASSWORD bytes without NUL */
};

enum sasl_status {
	SASL_OK,
	SASL_CANCEL, /* the client sent "*": 501 (RFC 4954 section 4), BAD (RFC 3501 section 6.2.2) */
	SASL_SYNTAX, /* no base64: 501, BAD */
	SASL_REFUSE, /* understood, and never right: 535, NO. Nobody need be asked */
};

/* The base64 text of one line, as the initial response or after a challenge. "=" is the empty response
 * (RFC 4954 section 4). *out lies in a. */
enum sasl_status sasl_decode(struct slice line, struct arena *a, struct slice *out);
/* PLAIN: [authzid] NUL authcid NUL passwd. An authorization identity other than the name itself is
 * refused, as is a third NUL. */
enum sasl_status sasl_plain(struct slice line, struct arena *a, struct sasl_login *out);
/* One of the two answers of LOGIN. */
enum sasl_status sasl_login_name(struct slice line, struct arena *a, struct slice *name);
enum sasl_status sasl_login_password(struct slice line, struct arena *a, struct slice *password);

/* Is this a name (a password) that may be asked about at all? For LOGIN of IMAP, USER of POP3. */
bool sasl_name_ok(struct slice name);
bool sasl_password_ok(struct slice password);
