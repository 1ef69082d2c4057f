/* SPDX-License-Identifier: MIT
 * Between the two files of this parser: the reader, one logical line, and what follows a pattern. */
#pragma once

#include "lib/base/buf.h"
#include "lib/parse/filter/filter.h"

/* Where an octet of a logical line stands in the file. */
struct filter_piece {
	size_t from; /* offset in the logical line */
	struct filter_place at;
};

struct filter_line {
	struct buf text;
	struct filter_piece *piece; /* LIMIT_FILTER_PIECES */
	size_t n_pieces;	    /* 0: the line was wrong */
	struct filter_errors *errors;
};

struct filter_reader {
	struct cursor *c;
	struct arena *a;
	uint32_t line; /* of the file, the one read last */
	unsigned lines, direction;
	struct filter_rule *rule; /* one for each line of the file, LIMIT_FILTER_RULES at most */
	size_t n;
	uint32_t open[LIMIT_FILTER_DEPTH];
	unsigned depth;
};

struct filter_place filter_place_of(const struct filter_line *l, size_t at);
/* Adds an error at an octet of the logical line. Always false. */
bool filter_wrong(struct filter_line *l, size_t at, const char *text);
/* The next word behind white space; *at is where it begins. */
bool filter_word(struct cursor *c, struct slice *out, size_t *at);
/* A number of points. */
bool filter_read_points(struct filter_line *l, struct cursor *c, struct filter_rule *out);
/* Everything behind a pattern, or behind the number of a threshold. */
bool filter_read_action(struct filter_line *l, struct cursor *c, struct filter_rule *out);
