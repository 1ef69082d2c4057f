/* SPDX-License-Identifier: MIT
 * Content-Type, Content-Disposition and their kin: a value with parameters (RFC 2045 section 5.1,
 * RFC 2183) and RFC 2231 continuations and charsets. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"

struct param {
	/* As written, but for continuations, which are put together as RFC 2231 section 6 asks of IMAP
	 * servers: "name" or, with a charset, "name*". */
	struct slice name;
	/* Quotes, backslashes and folding resolved; of an extended one still charset'language'%XX. */
	struct slice value;
	bool extended;		/* the name ends in '*' and the value is in the extended form */
};

struct content {
	struct slice type, subtype;	/* as written; subtype is empty where there is no '/' */
	struct param *param;
	size_t n;
	/* A parameter twice, without '=' or name, an unclosed quote, text between parameters, or more
	 * than LIMIT_MIME_PARAMS parameters (the rest is left out). */
	bool defect;
};

/* Reads the body of a field. False, with *out untouched, when there is no type or the arena is at its
 * ceiling (96 KiB and 4 * in.n octets are enough). Blanks in an unquoted value belong to it: senders
 * forget the quotes. Linear but for the sorting of continuations. */
[[nodiscard]] bool content_parse(struct slice in, struct arena *a, struct content *out);
/* The same without the parameters, for those who only need the type; needs no memory. */
[[nodiscard]] bool content_type_only(struct slice in, struct slice *type, struct slice *subtype);
/* The first parameter of this name in any case as it was written, NULL when there is none. */
const struct param *content_find(const struct content *c, struct slice name);
/* The value of the parameter for people: "name*" before "name" where both are there. Appends UTF-8
 * without control characters; false, with nothing appended, when there is neither, or out is full. */
[[nodiscard]] bool content_text(const struct content *c, struct slice name, struct buf *out);
/* One parameter for people: percent-encoding and charset, or encoded-words, resolved. */
bool param_text(const struct param *p, struct buf *out);
