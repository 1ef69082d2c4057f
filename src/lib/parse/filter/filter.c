/* SPDX-License-Identifier: MIT
 * From lines to rules: a logical line is put together from its pieces, remembering where each octet
 * stands in the file, and read word by word. */
#include <stdio.h>

#include "lib/parse/filter/action.h"

static bool
is_comment_or_empty(struct slice line)
{
	struct slice t = slice_trim(line);

	return t.n == 0 || slice_at(t, 0) == '#';
}

static struct slice
without_cr(struct slice line)
{
	return line.n > 0 && slice_at(line, line.n - 1) == '\r' ? slice_head(line, line.n - 1) : line;
}

void
filter_error_add(struct filter_errors *errors, struct filter_place at, const char *text)
{
	if (errors->n < LIMIT_FILTER_ERRORS) {
		struct filter_error *e = &errors->v[errors->n];

		e->at = at;
		(void)snprintf(e->text, sizeof e->text, "%s", text);
	}
	errors->n++;
}

struct filter_place
filter_place_of(const struct filter_line *l, size_t at)
{
	size_t i = l->n_pieces - 1;

	while (i > 0 && l->piece[i].from > at)
		i--;
	return (struct filter_place){ l->piece[i].at.line,
		l->piece[i].at.column + (uint32_t)(at - l->piece[i].from) };
}

bool
filter_wrong(struct filter_line *l, size_t at, const char *text)
{
	filter_error_add(l->errors, filter_place_of(l, at), text);
	return false;
}

/* ---- lines --------------------------------------------------------------------------------------- */

/* The next line of the file without its end; false at the end. */
static bool
next_piece(struct filter_reader *r, struct slice *out)
{
	if (cur_left(r->c) == 0)
		return false;
	r->line++;
	if (!cur_until(r->c, '\n', out))
		*out = cur_rest(r->c);
	*out = without_cr(*out);
	return true;
}

static bool
add_piece(struct filter_reader *r, struct filter_line *l, struct slice text, uint32_t column)
{
	if (l->n_pieces == LIMIT_FILTER_PIECES || l->text.n + text.n + 1 > LIMIT_FILTER_LINE) {
		filter_error_add(l->errors, (struct filter_place){ r->line, 1 }, "this rule is too long");
		return false;
	}
	if (l->n_pieces > 0)
		(void)buf_byte(&l->text, ' ');
	l->piece[l->n_pieces++] = (struct filter_piece){ .from = l->text.n, .at = { r->line, column } };
	return buf_add(&l->text, text);
}

/* What begins with white space and is no comment belongs to the line before. */
static bool
is_continuation(struct slice line)
{
	return line.n > 0 && ch_is_wsp(slice_at(line, 0)) && !is_comment_or_empty(line);
}

/* The next logical line, with the continuations that follow it. False at the end of the file; an error of
 * its own leaves l->n_pieces 0. */
static bool
next_line(struct filter_reader *r, struct filter_line *l)
{
	struct slice piece;
	bool good = true;

	buf_reset(&l->text);
	l->n_pieces = 0;
	do {
		if (!next_piece(r, &piece))
			return false;
	} while (is_comment_or_empty(piece));
	if (is_continuation(piece)) {
		filter_error_add(l->errors, (struct filter_place){ r->line, 1 },
		    "a line that begins with white space continues another one, and there is none before it");
		good = false;
	}
	good = good && add_piece(r, l, piece, 1);
	for (;;) {
		struct cursor before = *r->c;
		size_t blank;

		if (!next_piece(r, &piece))
			break;
		if (is_comment_or_empty(piece))
			continue;
		if (!is_continuation(piece)) {
			*r->c = before;
			r->line--;
			break;
		}
		for (blank = 0; ch_is_wsp(slice_at(piece, blank)); blank++)
			;
		good = good && add_piece(r, l, slice_from(piece, blank), (uint32_t)blank + 1);
	}
	if (!good)
		l->n_pieces = 0;
	return true;
}

/* ---- words --------------------------------------------------------------------------------------- */

static bool
is_word(uint8_t b)
{
	return !ch_is_wsp(b) && b != ']';
}

bool
filter_word(struct cursor *c, struct slice *out, size_t *at)
{
	(void)cur_skip(c, ch_is_wsp);
	*at = c->at;
	return cur_take(c, is_word, LIMIT_FILTER_LINE, out);
}

/* ---- [section] ----------------------------------------------------------------------------------- */

static bool
read_section(struct filter_reader *r, struct filter_line *l)
{
	static const struct {
		struct slice word;
		unsigned lines, direction;
	} words[] = {
		{ S_INIT("header"), FILTER_HEADER, 0 },
		{ S_INIT("mime-header"), FILTER_MIME, 0 },
		{ S_INIT("nested-header"), FILTER_NESTED, 0 },
		{ S_INIT("headers"), FILTER_HEADERS, 0 },
		{ S_INIT("body"), FILTER_BODY, 0 },
		{ S_INIT("in"), 0, FILTER_IN },
		{ S_INIT("out"), 0, FILTER_OUT },
	};
	struct cursor c = cur_of(slice_from(buf_slice(&l->text), 1));
	unsigned lines = 0, direction = 0;
	struct slice word;
	size_t at, i;

	if (r->depth > 0)
		return filter_wrong(l, 0, "a section cannot begin between if and endif");
	while (filter_word(&c, &word, &at)) {
		for (i = 0; i < sizeof words / sizeof *words && !slice_ieq(words[i].word, word); i++)
			;
		if (i == sizeof words / sizeof *words)
			return filter_wrong(l, at + 1,
			    "a section names header, mime-header, nested-header, headers, body, in or out");
		lines |= words[i].lines;
		direction |= words[i].direction;
	}
	if (!cur_byte(&c, ']'))
		return filter_wrong(l, c.at + 1, "a section ends with \"]\"");
	(void)cur_skip(&c, ch_is_wsp);
	if (!cur_done(&c))
		return filter_wrong(l, c.at + 1, "nothing can follow a section on its line");
	if (lines == 0)
		return filter_wrong(l, 0, "a section says which lines it is for: header, mime-header, nested-header, body");
	r->lines = lines;
	r->direction = direction == 0 ? FILTER_IN | FILTER_OUT : direction;
	return true;
}

/* ---- /pattern/flags ------------------------------------------------------------------------------ */

static bool
is_delimiter(int b)
{
	return b > 0x20 && b < 0x7f && !ch_is_alnum((uint8_t)b) && b != '\\' && b != '#' && b != '[';
}

static bool
read_flags(struct filter_line *l, struct cursor *c, struct filter_rule *out)
{
	static const struct {
		uint8_t letter;
		unsigned flag;
	} flags[] = { { 'i', FILTER_CASELESS }, { 's', FILTER_DOTALL }, { 'm', FILTER_MULTILINE },
		{ 'x', FILTER_EXTENDED }, { 'A', FILTER_ANCHORED }, { 'E', FILTER_DOLLAR_END },
		{ 'U', FILTER_UNGREEDY }, { 'u', FILTER_UTF } };

	out->flags = FILTER_CASELESS | FILTER_DOTALL;
	for (int b; (b = cur_peek(c)) != -1 && !ch_is_wsp((uint8_t)b); (void)cur_next(c)) {
		size_t i = 0;

		while (i < sizeof flags / sizeof *flags && flags[i].letter != b)
			i++;
		if (i == sizeof flags / sizeof *flags)
			return filter_wrong(l, c->at, "no such flag; there are i, m, s, x, A, E, U and u");
		out->flags ^= flags[i].flag;
	}
	return true;
}

static bool
read_pattern(struct filter_line *l, struct cursor *c, struct filter_rule *out)
{
	size_t from;
	int end, b;

	(void)cur_skip(c, ch_is_wsp);
	out->negated = cur_byte(c, '!');
	(void)cur_skip(c, ch_is_wsp);
	end = cur_peek(c);
	if (!is_delimiter(end))
		return filter_wrong(l, c->at, "a pattern is expected here, between slashes: /.../");
	(void)cur_next(c);
	from = c->at;
	while ((b = cur_peek(c)) != -1 && b != end) {
		(void)cur_next(c);
		if (b == '\\')
			(void)cur_next(c);
	}
	if (b == -1)
		return filter_wrong(l, from - 1, "this pattern has no end: its delimiter does not come again");
	out->pattern = slice_sub(c->in, from, c->at - from);
	out->pattern_at = filter_place_of(l, from);
	(void)cur_next(c);
	if (out->pattern.n == 0 || out->pattern.n > LIMIT_FILTER_PATTERN)
		return filter_wrong(l, from, out->pattern.n == 0 ? "an empty pattern" : "this pattern is too long");
	return read_flags(l, c, out);
}

/* ---- one logical line ---------------------------------------------------------------------------- */

static struct filter_rule *
add_rule(struct filter_reader *r, struct filter_line *l)
{
	if (r->n == LIMIT_FILTER_RULES) {
		filter_error_add(l->errors, filter_place_of(l, 0), "there are too many rules");
		return NULL;
	}
	r->rule[r->n] = (struct filter_rule){ .lines = r->lines, .direction = r->direction,
		.at = filter_place_of(l, 0) };
	return &r->rule[r->n];
}

static bool
read_if(struct filter_reader *r, struct filter_line *l, struct cursor *c, struct filter_rule *out)
{
	if (r->depth == LIMIT_FILTER_DEPTH)
		return filter_wrong(l, 0, "if is nested too deeply");
	/* counted even when the pattern is wrong, so that its endif is no second error */
	r->open[r->depth++] = (uint32_t)r->n;
	out->kind = FILTER_IF;
	if (!read_pattern(l, c, out))
		return false;
	(void)cur_skip(c, ch_is_wsp);
	return cur_done(c) || filter_wrong(l, c->at, "nothing can follow the pattern of an if");
}

static bool
read_endif(struct filter_reader *r, struct filter_line *l, struct cursor *c, struct filter_rule *out)
{
	if (r->depth == 0)
		return filter_wrong(l, 0, "endif without if");
	out->kind = FILTER_ENDIF;
	r->rule[r->open[--r->depth]].past = (uint32_t)r->n + 1;
	(void)cur_skip(c, ch_is_wsp);
	return cur_done(c) || filter_wrong(l, c->at, "nothing can follow endif");
}

static bool
read_threshold(struct filter_reader *r, struct filter_line *l, struct cursor *c, struct filter_rule *out)
{
	if (r->depth > 0)
		return filter_wrong(l, 0, "a threshold cannot stand between if and endif");
	out->kind = FILTER_THRESHOLD;
	return filter_read_points(l, c, out) && filter_read_action(l, c, out);
}

/* The word that a line begins with, where it begins with one. */
static bool
keyword(struct cursor *c, struct slice word)
{
	struct cursor try = *c;
	int after;

	if (!cur_iword(&try, word))
		return false;
	after = cur_peek(&try);
	if (after != -1 && ch_is_alnum((uint8_t)after))
		return false;
	*c = try;
	return true;
}

static bool
read_rule(struct filter_reader *r, struct filter_line *l)
{
	struct filter_rule *out;
	struct slice text;
	struct cursor c;

	if (!arena_copy(r->a, slice_trim(buf_slice(&l->text)), &text))
		return filter_wrong(l, 0, "the file is too large");
	c = cur_of(text);
	out = add_rule(r, l);
	if (out == NULL)
		return false;
	if (keyword(&c, S("if")))
		return read_if(r, l, &c, out);
	if (keyword(&c, S("endif")))
		return read_endif(r, l, &c, out);
	if (keyword(&c, S("threshold")))
		return read_threshold(r, l, &c, out);
	return read_pattern(l, &c, out) && filter_read_action(l, &c, out);
}

static void
read_all(struct filter_reader *r, struct filter_line *l)
{
	while (next_line(r, l) && l->errors->n < LIMIT_FILTER_ERRORS) {
		if (l->n_pieces == 0)
			continue;
		if (slice_at(buf_slice(&l->text), 0) == '[') {
			(void)read_section(r, l);
			continue;
		}
		if (read_rule(r, l) || r->n < LIMIT_FILTER_RULES)
			r->n++; /* what is wrong keeps its place, for an if that it may be */
	}
	if (r->depth > 0)
		filter_error_add(l->errors, r->rule[r->open[r->depth - 1]].at, "this if has no endif");
}

bool
filter_parse(struct cursor *c, struct arena *a, struct filter_file *out, struct filter_errors *errors)
{
	struct filter_reader r = { .c = c, .a = a, .lines = FILTER_HEADERS, .direction = FILTER_IN | FILTER_OUT };
	struct filter_line l = { .errors = errors };
	size_t before = errors->n, lines = slice_count_byte(slice_from(c->in, c->at), '\n') + 1;

	r.rule = ARENA_ARRAY(a, lines < LIMIT_FILTER_RULES ? lines : LIMIT_FILTER_RULES, struct filter_rule);
	l.piece = ARENA_ARRAY(a, LIMIT_FILTER_PIECES, struct filter_piece);
	if (r.rule == NULL || l.piece == NULL || cur_left(c) > LIMIT_FILTER_FILE) {
		filter_error_add(errors, (struct filter_place){ 1, 1 }, "the file is too large");
		return false;
	}
	buf_init(&l.text, LIMIT_FILTER_LINE + 1);
	read_all(&r, &l);
	buf_free(&l.text);
	if (errors->n > before)
		return false;
	*out = (struct filter_file){ .rule = r.rule, .n = r.n };
	return true;
}
