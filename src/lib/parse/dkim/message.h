/* SPDX-License-Identifier: MIT
 * A message as DKIM sees it: raw header fields, found by name from the bottom up (RFC 6376 5.4.2),
 * and a body. Names are sorted once, so that picking fields costs O(log n) whatever the message
 * holds. */
#pragma once

#include "lib/base/arena.h"
#include "lib/parse/dkim/why.h"

#define DKIM_NO_FIELD UINT32_MAX

struct dkim_field {
	struct slice raw;   /* with name, folding and CRLF */
	struct slice name;  /* lower case, no white space; empty where the line has no colon */
	struct slice value; /* behind the colon, without the CRLF at the end */
	uint32_t above;	    /* the next field upwards of the same name, or DKIM_NO_FIELD */
};

/* All fields of one name. */
struct dkim_name {
	struct slice name;
	uint32_t last;	/* the lowest one in the header */
	uint32_t n;	/* how many there are */
};

struct dkim_message {
	const struct dkim_field *fields; /* from the top */
	size_t n;
	const struct dkim_name *names; /* sorted */
	size_t n_names;
	struct slice body;
};

/* Splits raw (CRLF line ends; it must outlive *m), tables in a. Without an empty line everything is
 * header and the body is empty. A line that begins with white space continues the field above it; a
 * line without a colon is a field with no name, which is never signed. False, with *m untouched,
 * when the header is over LIMIT_HEADER or LIMIT_HEADER_FIELDS or the arena is full. */
[[nodiscard]] bool dkim_message_split(struct slice raw, struct arena *a, struct dkim_message *m);

/* The fields of that name (any ASCII case), or NULL. */
const struct dkim_name *dkim_message_name(const struct dkim_message *m, struct slice name);

/* How many fields have that name. */
size_t dkim_message_count(const struct dkim_message *m, struct slice name);

/* One pass of bottom-up picking, for one h=. */
struct dkim_pick {
	const struct dkim_message *m;
	uint32_t *next; /* for each name, the field to give next */
	/* never given: the field of the signature itself (RFC 6376 3.7); NULL at the start */
	const struct dkim_field *skip;
};

/* Starts a pass; false at the arena's ceiling. */
[[nodiscard]] bool dkim_pick_begin(struct dkim_pick *p, const struct dkim_message *m, struct arena *a);
/* The lowest field of that name not given yet in this pass, or NULL (which h= may name: the absence
 * is then signed). */
const struct dkim_field *dkim_pick_next(struct dkim_pick *p, struct slice name);
/* How many fields of that name this pass has not given. */
size_t dkim_pick_left(const struct dkim_pick *p, struct slice name);
