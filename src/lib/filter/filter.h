/* SPDX-License-Identifier: MIT
 * Header and body checks: the administrator's ordered rules over one message. postern-filter(5) says
 * what they mean; lib/parse/filter reads them, PCRE2 matches.
 *
 *   filter_compile(text)  -- immutable rules, for any number of threads
 *   filter_run(message)   -- what is to be done: a verdict, edits, points, hits
 *
 * The message is looked at in its own order, as it came: header fields unfolded to one line, bodies line
 * by line in their transfer encoding (base64 stays base64, as with Postfix). For each line the rules
 * come in the order of the file, and the first one that matches decides; only SCORE goes on.
 *
 * Bounded: a pattern gets LIMIT_FILTER_STEPS of backtracking and LIMIT_FILTER_HEAP of memory for one
 * line, and late() ends it all. A rule that could not be tried to its end is a failure of ours: the
 * message is to come again later, unless the rule only tells (WARN, INFO): then it is left out. */
#pragma once

#include "lib/base/buf.h"
#include "lib/parse/filter/filter.h"

#define LIMIT_FILTER_STEPS 200000u	   /* of PCRE2's match_limit, for one line: some milliseconds */
#define LIMIT_FILTER_HEAP 2048u		   /* KiB of backtracking, for one line */
#define LIMIT_FILTER_SUBJECT ((size_t)8192) /* of a body line in one go; the rest is looked at as another */
#define LIMIT_FILTER_PART ((size_t)51200)  /* of one part's body, as Postfix's body_checks_size_limit */
#define LIMIT_FILTER_BODIES ((size_t)1048576) /* of all bodies of one message */
#define LIMIT_FILTER_REDIRECTS ((size_t)4000) /* all addresses of a file that mail is redirected to */
#define FILTER_EDITS ((size_t)200)	   /* of one message (count) */
#define FILTER_HITS ((size_t)64)	   /* of one message that are told (count) */
#define FILTER_LINE ((size_t)200)	   /* octets of a line that are told */

struct filter;

/* Reads and compiles a file of rules. NULL with errors, in the order of the file. The caller owns what it
 * gets and ends it with filter_free(). text is copied. */
[[nodiscard]] struct filter *filter_compile(struct slice text, struct filter_errors *errors);
/* Frees; *f becomes NULL; accepts NULL. */
void filter_free(struct filter **f);
/* Is there a rule for mail in this direction? */
bool filter_concerns(const struct filter *f, enum filter_direction d);
/* Calls fn for each address that rules redirect to. */
void filter_redirects(const struct filter *f, void (*fn)(void *ctx, struct slice address), void *ctx);

/* The same from an open file, read from its start. NULL without errors: it cannot be read (errno). */
[[nodiscard]] struct filter *filter_read(int fd, struct filter_errors *errors);

/* One line for each error, "PATH:LINE:COLUMN: what". */
void filter_tell_errors(const char *path, const struct filter_errors *errors, struct buf *out);

enum filter_verdict {
	FILTER_PASS,
	FILTER_DROP,   /* take it and drop it */
	FILTER_REFUSE, /* code, enhanced, text */
	FILTER_LATER,  /* the same, with a code of class 4 */
};

/* As in smtp_scan.msg: at is an offset in the message; ascending, never overlapping. */
struct filter_edit {
	uint64_t at, remove;
	struct slice insert;
};

struct filter_hit {
	const struct filter_rule *rule;
	enum filter_lines where; /* 0: a threshold */
	bool failed;		 /* the rule could not be tried to its end */
	struct slice line;	 /* what it matched, FILTER_LINE octets at most */
	struct slice text;	 /* its text, with what was put into it */
};

struct filter_outcome {
	enum filter_verdict verdict;
	uint32_t code;
	struct slice enhanced, text;
	struct slice hold, junk; /* why; empty: not */
	struct slice redirect;	 /* an address; empty: none */
	int64_t score;
	struct filter_edit edit[FILTER_EDITS];
	size_t n_edits;
	struct filter_hit hit[FILTER_HITS];
	size_t n_hits; /* all of them; only FILTER_HITS are kept */
};

/* Judges a message. late(ctx) is asked now and then whether time is up; NULL: never. *out is filled
 * whatever happens, and lives in a with all it holds; text in it is printable. The arena should have
 * LIMIT_ARENA_MESSAGE left; where it is at its ceiling, the verdict is FILTER_LATER. */
void filter_run(const struct filter *f, struct slice message, enum filter_direction d, bool (*late)(void *ctx),
    void *ctx, struct arena *a, struct filter_outcome *out);

/* "header", "mime-header", "nested-header", "body", "score". A literal. */
const char *filter_lines_name(enum filter_lines where);
