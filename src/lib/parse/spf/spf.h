/* SPDX-License-Identifier: MIT
 * The grammar of SPF records (RFC 7208 section 4.5, 5, 6, 7.1 and 12): terms one by one, and macro
 * strings piece by piece. Nothing is allocated: a record is checked once from end to end (a syntax
 * error anywhere is an error of the whole record, 4.6), then its terms are read again as they are
 * evaluated. All slices lie in the record. */
#pragma once

#include "lib/base/cursor.h"
#include "lib/base/ip.h"

/* Bytes of one record. RFC 7208 3.4 asks for less than 512; 255 mechanisms of an address each fit. */
#define LIMIT_SPF_RECORD ((size_t)8192)

enum spf_kind {
	SPF_ALL,
	SPF_INCLUDE,
	SPF_A,
	SPF_MX,
	SPF_PTR,
	SPF_IP4,
	SPF_IP6,
	SPF_EXISTS,
	SPF_REDIRECT, /* modifiers from here on */
	SPF_EXP,
	SPF_OTHER, /* an unknown modifier: ignored, but its syntax was checked */
};

struct spf_term {
	enum spf_kind kind;
	uint8_t qualifier;   /* '+', '-', '~' or '?' ; '+' for modifiers */
	struct slice text;   /* the whole term, for events */
	struct slice domain; /* domain-spec with its macros, empty: the current domain */
	struct ip net;	     /* ip4, ip6 */
	unsigned bits4;	     /* prefix length, 0..32 */
	unsigned bits6;	     /* 0..128; for ip6 too */
};

struct spf_record {
	struct slice text;     /* what follows the version */
	struct slice redirect; /* domain-spec, empty: none */
	struct slice exp;      /* domain-spec, empty: none */
	size_t terms;
};

/* True when a TXT record is an SPF record: "v=spf1" in any case, then a space or the end (4.5). */
bool spf_is_record(struct slice txt);

/* Checks a whole record. False, with *out untouched, on any syntax error, a second redirect or exp,
 * or more than LIMIT_SPF_RECORD bytes: permerror. Work is linear in the record. */
bool spf_parse(struct slice txt, struct spf_record *out);

/* The next term; c starts as cur_of(record.text). False at the end, and with c->bad on a syntax
 * error (never after spf_parse() said yes). */
bool spf_next(struct cursor *c, struct spf_term *out);

/* One piece of a macro-string: literal text, or a macro (7.1). */
struct spf_macro {
	struct slice literal; /* not empty: literal; "%%" is "%", "%_" " ", "%-" "%20" */
	uint8_t letter;	      /* in lower case; 0 for a literal */
	bool escape;	      /* upper-case letter: URL escaping of the value */
	bool reverse;
	unsigned keep;		 /* right-hand parts to keep; 0: all */
	struct slice delimiters; /* empty: "." */
};

/* The next piece. in_text allows c, r and t and spaces (explanations). False at the end, and with
 * c->bad on a syntax error. */
bool spf_macro_next(struct cursor *c, bool in_text, struct spf_macro *out);
