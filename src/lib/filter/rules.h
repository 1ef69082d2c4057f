/* SPDX-License-Identifier: MIT
 * Between the files of lib/filter: rules as they are matched. */
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lib/base/own.h"
#include "lib/filter/filter.h"

struct compiled {
	pcre2_code *code;    /* NULL: the rule has no pattern */
	struct slice prefix; /* every match begins with it, in any case; may be empty */
};

struct filter {
	struct arena *a; /* of the rules */
	struct filter_file file;
	struct compiled *compiled; /* one for each rule */
	pcre2_match_context *limits;
	uint32_t groups;	     /* most of one pattern */
	size_t redirects;	     /* octets of all addresses */
	unsigned in, out;	     /* enum filter_lines that rules of each direction look at */
};

/* text with $1, ${1}, $(1) and $$ put in: groups of subject. field: octets of mail, else printable ASCII.
 * Cut at most octets. groups NULL: nothing is put in. */
void filter_expand(struct buf *b, struct slice text, struct slice subject, const PCRE2_SIZE *groups, uint32_t n,
    bool field);
/* The highest group that text asks for; UINT32_MAX where a "$" stands alone, with its offset in *at. */
uint32_t filter_highest(struct slice text, size_t *at);
