/* SPDX-License-Identifier: MIT
 * The file of filter rules: postern-filter(5). Close to Postfix's header_checks and pcre_table, so that
 * rules can be carried over:
 *
 *   # comment
 *   [header in]                          what follows is for these lines, of mail in this direction
 *   /^Subject: .*make money/i  REJECT 5.7.1 not here
 *   !/^X-Tag:/                 PREPEND X-Tag: none
 *   if /^Received:/
 *   /\[192\.0\.2\.1\]/         SCORE 3
 *   endif
 *   threshold 5                HOLD looks like advertising
 *
 * A line that begins with white space continues the one before it; empty lines and those whose first
 * character is "#" are skipped everywhere. Before the first [section] rules are for all header lines in
 * both directions, which is what Postfix does with its header_checks.
 *
 * The grammar alone: whether a pattern compiles is lib/filter's business. Pure; one error for each rule
 * that is wrong, with the place where it is. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/cursor.h"

#define LIMIT_FILTER_FILE ((size_t)262144)   /* the whole file */
#define LIMIT_FILTER_RULES ((size_t)1000)    /* rules, conditions and thresholds (count) */
#define LIMIT_FILTER_LINE ((size_t)8192)     /* one rule with its continuations */
#define LIMIT_FILTER_PIECES ((size_t)64)     /* lines that make up one rule (count) */
#define LIMIT_FILTER_PATTERN ((size_t)4096)  /* between its delimiters */
#define LIMIT_FILTER_TEXT ((size_t)400)	     /* of a refusal, a reason, a note */
#define LIMIT_FILTER_FIELD ((size_t)900)     /* what is prepended or put in place: one line of mail */
#define LIMIT_FILTER_DEPTH 16u		     /* if in if (count) */
#define LIMIT_FILTER_ERRORS ((size_t)20)     /* that are told of one file (count) */
#define LIMIT_FILTER_SCORE 1000		     /* points of one rule, either way */
/* Arena that is enough for any file: the rules, their text, and the array while it grows. */
#define LIMIT_ARENA_FILTER ((size_t)2097152)

/* Which lines a rule sees. A set. */
enum filter_lines {
	FILTER_HEADER = 1, /* fields of the message itself, but for MIME's */
	FILTER_MIME = 2,   /* MIME-Version and Content-* anywhere, and all fields of parts */
	FILTER_NESTED = 4, /* fields of attached messages, but for MIME's */
	FILTER_BODY = 8,   /* lines of bodies */
};
#define FILTER_HEADERS (FILTER_HEADER | FILTER_MIME | FILTER_NESTED)

/* Which mail. A set. */
enum filter_direction {
	FILTER_IN = 1,  /* of strangers */
	FILTER_OUT = 2, /* of our own accounts and programs */
};

enum filter_action {
	FILTER_DUNNO,	/* the next line: other rules do not see this one */
	FILTER_ACCEPT,	/* no other rule sees the message */
	FILTER_WARN,	/* an event; the next line */
	FILTER_INFO,	/* the same, said as a note */
	FILTER_SCORE,	/* points; the next rule */
	FILTER_PREPEND, /* a line before this one */
	FILTER_REMOVE,	/* the line goes */
	FILTER_REPLACE, /* another line in its place */
	FILTER_HOLD,	/* the message waits for the administrator */
	FILTER_JUNK,	/* it goes into Junk */
	FILTER_REDIRECT, /* it goes to this address and nobody else */
	FILTER_DISCARD, /* it is taken and dropped */
	FILTER_REJECT,	/* it is refused */
};

enum filter_kind { FILTER_RULE, FILTER_IF, FILTER_ENDIF, FILTER_THRESHOLD };

/* Flags of a pattern, as they hold: Postfix's letters switch them. A set. */
enum filter_flag {
	FILTER_CASELESS = 1,	/* i: on unless switched off */
	FILTER_DOTALL = 2,	/* s: on unless switched off */
	FILTER_MULTILINE = 4,	/* m */
	FILTER_EXTENDED = 8,	/* x */
	FILTER_ANCHORED = 16,	/* A */
	FILTER_DOLLAR_END = 32, /* E */
	FILTER_UNGREEDY = 64,	/* U */
	FILTER_UTF = 128,	/* u: patterns and lines are UTF-8; ours */
};

/* Line and column (octets) of the file, from 1. */
struct filter_place {
	uint32_t line, column;
};

struct filter_rule {
	enum filter_kind kind;
	unsigned lines, direction; /* enum filter_lines, filter_direction */
	bool negated;		   /* "!": where the pattern does not match */
	struct slice pattern;	   /* between the delimiters, as written */
	unsigned flags;		   /* enum filter_flag */
	enum filter_action action;
	int32_t points;		/* of SCORE, and of a threshold */
	uint32_t code;		/* of REJECT; 0: unsaid */
	struct slice enhanced;	/* of REJECT, e.g. 5.7.1; empty: unsaid */
	struct slice text;	/* what follows; an address for REDIRECT */
	uint32_t past;		/* IF: the index behind its ENDIF */
	struct filter_place at, pattern_at, text_at;
};

/* What came of a file. Slices live in the arena. */
struct filter_file {
	struct filter_rule *rule;
	size_t n;
};

struct filter_error {
	struct filter_place at;
	char text[160];
};

struct filter_errors {
	struct filter_error v[LIMIT_FILTER_ERRORS];
	size_t n; /* all; only the first LIMIT_FILTER_ERRORS are kept */
};

/* Reads a whole file. False when there were errors, with *out untouched; errors are added to *errors. The
 * arena needs LIMIT_ARENA_FILTER. */
[[nodiscard]] bool filter_parse(struct cursor *c, struct arena *a, struct filter_file *out,
    struct filter_errors *errors);
/* One more error, for whoever looks further into what was read. */
void filter_error_add(struct filter_errors *errors, struct filter_place at, const char *text);

/* "REJECT", "if"... as it stands in files. A literal. */
const char *filter_action_name(enum filter_action a);
/* Is this a field, "Name: ...", of printable octets (RFC 5322 section 2.2; UTF-8 is taken too)? */
bool filter_is_field(struct slice line);
