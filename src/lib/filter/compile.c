/* SPDX-License-Identifier: MIT
 * Rules made ready for matching. No JIT: the rooms that match have no memory that can be written and
 * run, and no wish for any (doc/decisions/0042-filter-rules.md). */
#include <stdio.h>
#include <stdlib.h>

#include "lib/filter/rules.h"

static uint32_t
options_of(const struct filter_rule *r)
{
	static const struct {
		unsigned flag;
		uint32_t option;
	} options[] = { { FILTER_CASELESS, PCRE2_CASELESS }, { FILTER_DOTALL, PCRE2_DOTALL },
		{ FILTER_MULTILINE, PCRE2_MULTILINE }, { FILTER_EXTENDED, PCRE2_EXTENDED },
		{ FILTER_ANCHORED, PCRE2_ANCHORED }, { FILTER_DOLLAR_END, PCRE2_DOLLAR_ENDONLY },
		{ FILTER_UNGREEDY, PCRE2_UNGREEDY }, { FILTER_UTF, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF } };
	uint32_t o = PCRE2_NEVER_BACKSLASH_C;

	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if ((r->flags & options[i].flag) != 0)
			o |= options[i].option;
	return (r->flags & FILTER_UTF) != 0 ? o : o | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP;
}

/* "^Name:" in front of a pattern without alternatives: most rules for headers begin so, and need not be
 * tried on other fields. */
static struct slice
prefix_of(const struct filter_rule *r)
{
	struct cursor c = cur_of(r->pattern);
	size_t from;
	int b;

	if ((r->flags & (FILTER_MULTILINE | FILTER_EXTENDED)) != 0 || !cur_byte(&c, '^') ||
	    slice_find_byte(r->pattern, '|') != SLICE_NONE)
		return S("");
	from = c.at;
	while ((b = cur_peek(&c)) != -1 && (ch_is_alnum((uint8_t)b) || b == '-'))
		(void)cur_next(&c);
	if (!cur_byte(&c, ':'))
		return S("");
	b = cur_peek(&c);
	if (b == '*' || b == '+' || b == '?' || b == '{')
		return S("");
	return slice_sub(r->pattern, from, c.at - from);
}

static void
pattern_error(struct filter_errors *errors, const struct filter_rule *r, int code, size_t offset)
{
	struct filter_place at = { r->pattern_at.line, r->pattern_at.column + (uint32_t)offset };
	char text[100], all[140];

	if (pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text) < 0 && text[0] == '\0')
		(void)snprintf(text, sizeof text, "it does not compile");
	(void)snprintf(all, sizeof all, "in the pattern: %s", text);
	filter_error_add(errors, at, all);
}

static void
compile_one(struct filter *f, size_t i, struct filter_errors *errors)
{
	const struct filter_rule *r = &f->file.rule[i];
	uint32_t groups = 0, asked;
	PCRE2_SIZE offset = 0;
	size_t at = 0;
	int code = 0;

	if (r->kind == FILTER_RULE || r->kind == FILTER_IF) {
		f->compiled[i].code = pcre2_compile(r->pattern.p, r->pattern.n, options_of(r), &code, &offset, NULL);
		if (f->compiled[i].code == NULL) {
			pattern_error(errors, r, code, offset);
			return;
		}
		f->compiled[i].prefix = prefix_of(r);
		(void)pcre2_pattern_info(f->compiled[i].code, PCRE2_INFO_CAPTURECOUNT, &groups);
		if (groups > f->groups)
			f->groups = groups;
	}
	if (r->action == FILTER_REDIRECT) {
		f->redirects += r->text.n + 1;
		if (f->redirects > LIMIT_FILTER_REDIRECTS)
			filter_error_add(errors, r->text_at, "there are too many addresses that mail is redirected to");
		return;
	}
	asked = filter_highest(r->text, &at);
	if (asked == 0)
		return;
	if (asked == UINT32_MAX)
		filter_error_add(errors, (struct filter_place){ r->text_at.line, r->text_at.column + (uint32_t)at },
		    "\"$\" is followed by the number of a group, as in $1 or ${1}; a dollar sign is $$");
	else if (r->negated || asked > groups)
		filter_error_add(errors, r->text_at,
		    r->negated ? "a pattern that must not match catches nothing to put into a text"
			       : "the text asks for a group that the pattern does not have");
}

static void
note_lines(struct filter *f)
{
	for (size_t i = 0; i < f->file.n; i++) {
		const struct filter_rule *r = &f->file.rule[i];

		if (r->kind != FILTER_RULE)
			continue;
		if ((r->direction & FILTER_IN) != 0)
			f->in |= r->lines;
		if ((r->direction & FILTER_OUT) != 0)
			f->out |= r->lines;
	}
}

struct filter *
filter_compile(struct slice text, struct filter_errors *errors)
{
	struct filter *f = calloc(1, sizeof *f);
	struct cursor c = cur_of(text);
	size_t before = errors->n;

	PN_ASSERT(f != NULL);
	f->a = arena_new("filter", LIMIT_ARENA_FILTER);
	f->limits = pcre2_match_context_create(NULL);
	PN_ASSERT(f->limits != NULL);
	(void)pcre2_set_match_limit(f->limits, LIMIT_FILTER_STEPS);
	(void)pcre2_set_depth_limit(f->limits, LIMIT_FILTER_STEPS);
	(void)pcre2_set_heap_limit(f->limits, LIMIT_FILTER_HEAP);
	if (filter_parse(&c, f->a, &f->file, errors)) {
		f->compiled = ARENA_ARRAY(f->a, f->file.n, struct compiled);
		PN_ASSERT(f->compiled != NULL);
		for (size_t i = 0; i < f->file.n; i++)
			compile_one(f, i, errors);
		note_lines(f);
	}
	if (errors->n > before)
		filter_free(&f);
	return f;
}

void
filter_free(struct filter **f)
{
	if (*f == NULL)
		return;
	for (size_t i = 0; (*f)->compiled != NULL && i < (*f)->file.n; i++)
		pcre2_code_free((*f)->compiled[i].code);
	pcre2_match_context_free((*f)->limits);
	arena_free(&(*f)->a);
	free(*f);
	*f = NULL;
}

bool
filter_concerns(const struct filter *f, enum filter_direction d)
{
	return (d == FILTER_IN ? f->in : f->out) != 0;
}

void
filter_redirects(const struct filter *f, void (*fn)(void *ctx, struct slice address), void *ctx)
{
	for (size_t i = 0; i < f->file.n; i++)
		if (f->file.rule[i].action == FILTER_REDIRECT)
			fn(ctx, f->file.rule[i].text);
}

struct filter *
filter_read(int fd, struct filter_errors *errors)
{
	own(buf_t) text = { .max = LIMIT_FILTER_FILE + 1 };
	ssize_t n;

	do {
		size_t room = text.max - text.n < 4096 ? text.max - text.n : 4096;

		n = room == 0 ? 0 : pread(fd, buf_room(&text, room), room, (off_t)text.n);
		if (n < 0)
			return NULL;
		buf_grown(&text, (size_t)n);
	} while (n > 0);
	return filter_compile(buf_slice(&text), errors);
}

void
filter_tell_errors(const char *path, const struct filter_errors *errors, struct buf *out)
{
	for (size_t i = 0; i < errors->n && i < LIMIT_FILTER_ERRORS; i++)
		(void)buf_fmt(out, "%s:%u:%u: %s\n", path, errors->v[i].at.line, errors->v[i].at.column, errors->v[i].text);
	if (errors->n > LIMIT_FILTER_ERRORS)
		(void)buf_fmt(out, "%s: and more\n", path);
}
