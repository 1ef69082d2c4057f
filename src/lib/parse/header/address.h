/* SPDX-License-Identifier: MIT
 * Address lists of From, To and their kin: RFC 5322 section 3.4 with groups, comments, quoted strings
 * and the obsolete forms of section 4.4 (routes, blanks around dots, empty list elements). A reader
 * gives one element after the other, so that a list of any length needs no array; the work is linear
 * in the length of the list.
 *
 * What breaks the grammar is read as well as it can be and marked as a defect: IMAP shows it, the
 * filter judges it. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/cursor.h"

enum address_kind { ADDRESS_MAILBOX, ADDRESS_GROUP, ADDRESS_GROUP_END };

struct address {
	enum address_kind kind;
	/* Display name (of the mailbox, of the group): quotes and backslashes resolved, white space as
	 * one blank, RFC 2047 words as they are (words_decode() reads them). Where there is none, the
	 * last comment, for "joe@example.org (Joe)". Empty where there is neither. */
	struct slice name;
	struct slice route;	/* "@a,@b" of an obsolete route, or empty */
	struct slice local;	/* quotes and backslashes resolved; may be empty in a broken address */
	struct slice domain;	/* a literal with its brackets; empty when there is no '@' */
	bool named_by_comment;
	bool defect;		/* breaks the grammar of RFC 5322, whose obsolete forms are none */
};

struct address_reader {
	struct cursor c;	/* private, like the rest */
	struct arena *a;
	uint8_t *scratch;
	size_t used;
	bool in_group;
};

/* Reads the body of one field. Everything that address_next() gives borrows in or lives in a, which
 * gives in.n octets at most. */
struct address_reader address_reader_of(struct slice in, struct arena *a);
/* The next mailbox, start of a group or end of a group. A group that is never closed ends with the
 * list. False at the end; false with r->c.bad at the arena's ceiling. *out is then untouched. */
[[nodiscard]] bool address_next(struct address_reader *r, struct address *out);
/* True when in is exactly one mailbox without defect, comments and folding allowed: addr-spec or
 * name-addr. Needs in.n octets of a. */
bool address_one(struct slice in, struct arena *a, struct address *out);
