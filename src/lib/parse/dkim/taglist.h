/* SPDX-License-Identifier: MIT
 * Tag lists (RFC 6376 3.2, with UTF-8 values by RFC 8616 3): the form of DKIM-Signature, of ARC
 * fields and of key records.
 *
 *   tag-list  =  tag-spec *( ";" tag-spec ) [ ";" ]
 *   tag-spec  =  [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
 *   tag-name  =  ALPHA *(ALPHA / DIGIT / "_")
 *   tag-value =  [ tval *( 1*(WSP / FWS) tval ) ]
 *   tval      =  1*(%x21-3A / %x3C-7E / UTF8-non-ascii)
 *
 * One thing more than the grammar is taken: white space behind the last ";", which signers write. */
#pragma once

#include "lib/base/arena.h"
#include "lib/parse/dkim/why.h"

struct dkim_tag {
	struct slice name;  /* case matters (RFC 6376 3.2) */
	struct slice value; /* without surrounding white space; folding inside is still there */
	size_t from, end;   /* in the input, all that stands between "=" and ";" */
};

struct dkim_tags {
	struct dkim_tag *tags; /* in the order of the input */
	size_t n;
};

/* Parses all of in, which must outlive *out; the array comes from a. False, with *why set and *out
 * untouched, on DKIM_TAG_SYNTAX, DKIM_TAG_DUPLICATE, DKIM_TAG_MANY (over LIMIT_DKIM_TAGS) and
 * DKIM_LIMIT (arena full). */
[[nodiscard]] bool dkim_tags_parse(struct slice in, struct arena *a, struct dkim_tags *out,
    enum dkim_why *why);

/* The tag of that name, or NULL. */
const struct dkim_tag *dkim_tags_find(const struct dkim_tags *t, struct slice name);

/* v without any white space, copied to a only where it has some. False at the arena's ceiling. */
[[nodiscard]] bool dkim_strip(struct slice v, struct arena *a, struct slice *out);

/* Decodes base64string (RFC 6376 2.10): white space anywhere, and the "=" at the end may be missing, as
 * the grammar has it. DKIM_OK and *out; DKIM_BAD_B when v is empty or no base64 (the caller knows which
 * tag it was); DKIM_LIMIT at the arena's ceiling. */
[[nodiscard]] enum dkim_why dkim_base64(struct slice v, struct arena *a, struct slice *out);

/* Cuts the next item of a list with separator ":" (as in h=, q=, key h=, s=, t=) off *rest and trims
 * the white space around it. False when the list is used up; *rest starts as the value, and *more as
 * true. */
bool dkim_list_next(struct slice *rest, bool *more, struct slice *item);

/* White space of folding: SP, TAB, CR, LF (the grammar has been checked before). */
static inline bool
dkim_is_fws(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
