/* SPDX-License-Identifier: MIT
 * Addresses of the SMTP envelope: RFC 5321 sections 4.1.2 and 4.1.3, and nothing beyond. No comments,
 * no folding, no routes. ASCII only, or with the UTF-8 of RFC 6531 section 3.3 where the caller says so.
 * For addresses of message headers, see RFC 5322's own parser. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/cursor.h"

struct addr {
	struct slice local;  /* without quotes and backslashes; printable; may be empty ("") */
	struct slice domain; /* as written; an address literal with its brackets */
	bool literal;	     /* domain is an address literal */
	bool null;	     /* the empty path <>: local and domain are empty */
	bool utf8;	     /* there are bytes from 0x80 on: printable UTF-8, domain in U-labels */
};

enum addr_status {
	ADDR_OK,
	ADDR_SYNTAX,
	ADDR_ROUTE,	   /* a source route: <@a,@b:c@d>. Obsolete, a relay trick, refused */
	ADDR_LOCAL_LONG,   /* local part over LIMIT_SMTP_LOCAL as written */
	ADDR_DOMAIN_LONG,  /* domain over LIMIT_DOMAIN, or a label over 63 */
	ADDR_LONG,	   /* mailbox over LIMIT_SMTP_MAILBOX as written */
	ADDR_NOT_ASCII,	   /* where only ASCII is taken; or UTF-8 that is broken or not printable */
};

/* Mailbox: local-part "@" ( Domain / address-literal ). Consumes it and stops behind it. Slices point
 * into the input, or into a where a quoted local part has backslashes. Anything but ADDR_OK leaves
 * *out untouched and the cursor anywhere. */
enum addr_status addr_mailbox(struct cursor *c, struct arena *a, struct addr *out);

/* Path in its angle brackets. null allows "<>" (Reverse-path); postmaster allows "<Postmaster>" without
 * a domain (RFC 5321 section 4.5.1), which gives an empty domain. */
enum addr_status addr_path(struct cursor *c, struct arena *a, bool null, bool postmaster,
    struct addr *out);
/* The same, with UTF-8 in local part and domain. U-labels are not judged here: see lib/idn. */
enum addr_status addr_path_utf8(struct cursor *c, struct arena *a, bool null, bool postmaster,
    struct addr *out);

/* A whole slice as a mailbox; nothing may follow. */
enum addr_status addr_parse(struct slice in, struct arena *a, struct addr *out);
enum addr_status addr_parse_utf8(struct slice in, struct arena *a, struct addr *out);

/* Domain (RFC 5321 section 4.1.2): labels of letters, digits and inner hyphens, no trailing dot, at
 * most 63 bytes each and 255 together. A last label of digits alone is an IPv4 address in disguise and
 * refused. Consumes what belongs to it. */
enum addr_status addr_domain(struct cursor *c, struct slice *out);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]"; *out with its brackets. General-address-literals are refused:
 * none is registered. */
enum addr_status addr_literal(struct cursor *c, struct slice *out);

/* Same mailbox: local parts byte for byte, domains without regard to case. */
bool addr_eq(const struct addr *a, const struct addr *b);
