/* SPDX-License-Identifier: MIT
 * One message through the rules. */
#include "lib/base/limits.h"
#include "lib/filter/rules.h"
#include "lib/parse/header/header.h"
#include "lib/parse/mime/mime.h"

#define BREATH 64u /* patterns between two questions for the time */
#define FOLD ((size_t)200) /* a line that is put in place is folded from here on */

enum matched { MATCHED_NOT, MATCHED, MATCHED_FAILED };
enum next { NEXT_RULE, NEXT_LINE, NEXT_NEVER };

/* What is known of a rule in this run. A set. */
enum { SCORED = 1, LEFT_OUT = 2 };

struct line {
	enum filter_lines where;
	struct slice text; /* what patterns see */
	size_t at;	   /* of the raw line in the message */
	struct slice raw;  /* with its line end */
};

struct run {
	const struct filter *f;
	struct slice message;
	enum filter_direction direction;
	bool (*late)(void *ctx);
	void *ctx;
	struct arena *a;
	struct filter_outcome *out;
	pcre2_match_data *data;
	uint8_t *known;	      /* one octet for each rule */
	struct buf unfolded;  /* the field under judgement */
	size_t bodies;	      /* octets of bodies looked at */
	unsigned tried;
	bool edited;	      /* the line under judgement */
};

const char *
filter_lines_name(enum filter_lines where)
{
	return where == FILTER_HEADER ? "header" :
	    where == FILTER_MIME      ? "mime-header" :
	    where == FILTER_NESTED    ? "nested-header" :
	    where == FILTER_BODY      ? "body" :
					"score";
}

/* ---- what comes of it ---------------------------------------------------------------------------- */

static enum next
later(struct run *r, struct slice why)
{
	r->out->verdict = FILTER_LATER;
	r->out->code = 451;
	r->out->enhanced = S("4.7.1");
	r->out->text = why;
	return NEXT_NEVER;
}

/* Notes a hit; false where there is no memory. */
static bool
note(struct run *r, const struct filter_rule *rule, const struct line *l, bool failed, struct slice text)
{
	struct filter_hit *h;

	if (r->out->n_hits++ >= FILTER_HITS)
		return true;
	h = &r->out->hit[r->out->n_hits - 1];
	*h = (struct filter_hit){ .rule = rule, .where = l == NULL ? 0 : l->where, .failed = failed, .text = text };
	return l == NULL || arena_copy(r->a, slice_head(l->text, FILTER_LINE), &h->line);
}

static struct slice
end_of(struct slice raw)
{
	return slice_ends(raw, S("\n")) && !slice_ends(raw, S("\r\n")) ? S("\n") : S("\r\n");
}

/* A line of mail from one that may be long: folded where there is white space, else left as it is. */
static void
fold(struct buf *b, struct slice text, struct slice end, bool field)
{
	while (field && text.n > FOLD) {
		size_t at = slice_rfind_byte(slice_head(text, FOLD), ' ');

		if (at == SLICE_NONE || slice_trim(slice_head(text, at)).n == 0)
			at = slice_find_byte(slice_from(text, FOLD), ' ') == SLICE_NONE ?
			    SLICE_NONE :
			    FOLD + slice_find_byte(slice_from(text, FOLD), ' ');
		if (at == SLICE_NONE || slice_trim(slice_from(text, at)).n == 0)
			break;
		(void)buf_add(b, slice_head(text, at));
		(void)buf_add(b, end);
		text = slice_from(text, at);
	}
	(void)buf_add(b, text);
	(void)buf_add(b, end);
}

/* One change at a line; a line changes once. */
static enum next
edit(struct run *r, const struct line *l, uint64_t remove, struct slice insert)
{
	struct filter_outcome *o = r->out;
	struct filter_edit *last = o->n_edits > 0 ? &o->edit[o->n_edits - 1] : NULL;

	if (r->edited)
		return NEXT_LINE;
	r->edited = true;
	if (last != NULL && insert.n == 0 && last->remove > 0 && last->at + last->remove == l->at) {
		last->remove += remove;
		return NEXT_LINE;
	}
	if (o->n_edits == FILTER_EDITS) {
		o->verdict = FILTER_REFUSE;
		o->code = 550;
		o->enhanced = S("5.6.0");
		o->text = S("the message has too many lines that have to be changed");
		return NEXT_NEVER;
	}
	o->edit[o->n_edits++] = (struct filter_edit){ .at = l->at, .remove = remove, .insert = insert };
	return NEXT_LINE;
}

static enum next
put_line(struct run *r, const struct filter_rule *rule, const struct line *l, struct slice text)
{
	own(buf_t) b = { .max = 4 * LIMIT_FILTER_FIELD };
	struct slice insert;
	bool field = l->where != FILTER_BODY;

	if (field && !filter_is_field(text))
		return later(r, S("a rule of this server makes no header field of it, try again later"));
	fold(&b, text, end_of(l->raw), field);
	if (b.bad || !arena_copy(r->a, buf_slice(&b), &insert))
		return later(r, S("no room now, try again later"));
	return edit(r, l, rule->action == FILTER_REPLACE ? l->raw.n : 0, insert);
}

static enum next
refuse(struct run *r, const struct filter_rule *rule, struct slice text)
{
	bool soft = rule->code != 0 ? rule->code < 500 : rule->enhanced.n > 0 && slice_at(rule->enhanced, 0) == '4';

	r->out->verdict = soft ? FILTER_LATER : FILTER_REFUSE;
	r->out->code = rule->code != 0 ? rule->code : soft ? 450 : 550;
	r->out->enhanced = rule->enhanced.n > 0 ? rule->enhanced : soft ? S("4.7.1") : S("5.7.1");
	r->out->text = text.n > 0 ? text : S("the content of this message is not taken here");
	return NEXT_NEVER;
}

static struct slice
first_of(struct slice known, struct slice text, struct slice otherwise)
{
	return known.n > 0 ? known : text.n > 0 ? text : otherwise;
}

/* Does what a rule says. l is NULL for a threshold. */
static enum next
act(struct run *r, const struct filter_rule *rule, const struct line *l, struct slice text)
{
	struct filter_outcome *o = r->out;

	switch (rule->action) {
	case FILTER_DUNNO:
	case FILTER_WARN:
	case FILTER_INFO:
		return NEXT_LINE;
	case FILTER_SCORE:
		o->score += rule->points;
		return NEXT_RULE;
	case FILTER_PREPEND:
	case FILTER_REPLACE:
		return put_line(r, rule, l, text);
	case FILTER_REMOVE:
		return edit(r, l, l->raw.n, S(""));
	case FILTER_HOLD:
		o->hold = first_of(o->hold, text, S("a rule of the administrator"));
		return NEXT_LINE;
	case FILTER_JUNK:
		o->junk = first_of(o->junk, text, S("a rule of the administrator"));
		return NEXT_LINE;
	case FILTER_REDIRECT:
		o->redirect = rule->text;
		return NEXT_LINE;
	case FILTER_DISCARD:
		o->verdict = FILTER_DROP;
		o->text = text;
		return NEXT_NEVER;
	case FILTER_REJECT:
		return refuse(r, rule, text);
	case FILTER_ACCEPT:
		break;
	}
	return NEXT_NEVER;
}

/* ---- matching ------------------------------------------------------------------------------------ */

static enum matched
match(struct run *r, size_t i, struct slice text)
{
	const struct compiled *c = &r->f->compiled[i];
	bool negated = r->f->file.rule[i].negated;
	int found;

	if (c->prefix.n > 0 && !slice_istarts(text, c->prefix))
		return negated ? MATCHED : MATCHED_NOT;
	r->tried++;
	found = pcre2_match(c->code, text.n > 0 ? text.p : (PCRE2_SPTR) "", text.n, 0, 0, r->data, r->f->limits);
	if (found < 0 && found != PCRE2_ERROR_NOMATCH)
		return MATCHED_FAILED;
	return (found >= 0) != negated ? MATCHED : MATCHED_NOT;
}

/* A pattern came to its limit: what it would have said is not known. */
static enum next
failed(struct run *r, size_t i, const struct line *l)
{
	const struct filter_rule *rule = &r->f->file.rule[i];
	bool only_tells = rule->kind == FILTER_RULE && (rule->action == FILTER_WARN || rule->action == FILTER_INFO);

	if (!note(r, rule, l, true, S("")))
		return later(r, S("no room now, try again later"));
	if (only_tells) {
		r->known[i] |= LEFT_OUT;
		return NEXT_RULE;
	}
	return later(r, S("a rule of this server could not be tried to its end, try again later"));
}

static enum next
hit(struct run *r, size_t i, const struct line *l)
{
	const struct filter_rule *rule = &r->f->file.rule[i];
	bool field = rule->action == FILTER_PREPEND || rule->action == FILTER_REPLACE;
	own(buf_t) b = { .max = field ? LIMIT_FILTER_FIELD : LIMIT_FILTER_TEXT };
	struct slice text;

	if ((r->known[i] & SCORED) != 0)
		return NEXT_RULE; /* points of a rule count once */
	if (rule->action == FILTER_SCORE)
		r->known[i] |= SCORED;
	if (rule->action == FILTER_DUNNO)
		return NEXT_LINE;
	filter_expand(&b, rule->text, l->text, rule->negated ? NULL : pcre2_get_ovector_pointer(r->data),
	    pcre2_get_ovector_count(r->data), field);
	if (!arena_copy(r->a, buf_slice(&b), &text) || !note(r, rule, l, false, text))
		return later(r, S("no room now, try again later"));
	return act(r, rule, l, text);
}

/* All rules over one line. False: nothing more is to be looked at. */
static bool
look(struct run *r, const struct line *l)
{
	const struct filter_file *file = &r->f->file;
	enum next next = NEXT_RULE;

	for (size_t i = 0; i < file->n && next == NEXT_RULE;) {
		const struct filter_rule *rule = &file->rule[i];
		size_t go = i + 1;

		if (rule->kind == FILTER_ENDIF || rule->kind == FILTER_THRESHOLD) {
			i = go;
			continue;
		}
		if ((rule->lines & l->where) == 0 || (rule->direction & r->direction) == 0) {
			i = rule->kind == FILTER_IF ? rule->past : go;
			continue;
		}
		if ((r->known[i] & LEFT_OUT) != 0) {
			i = go;
			continue;
		}
		switch (match(r, i, l->text)) {
		case MATCHED_FAILED:
			next = failed(r, i, l);
			break;
		case MATCHED:
			if (rule->kind == FILTER_RULE)
				next = hit(r, i, l);
			break;
		case MATCHED_NOT:
			if (rule->kind == FILTER_IF)
				go = rule->past;
		}
		if (r->tried >= BREATH && r->late != NULL) {
			r->tried = 0;
			if (next != NEXT_NEVER && r->late(r->ctx))
				next = later(r, S("the rules of this server take too long, try again later"));
		}
		i = go;
	}
	return next != NEXT_NEVER;
}

/* ---- the message --------------------------------------------------------------------------------- */

static bool
is_mime(struct slice name)
{
	return slice_istarts(name, S("Content-")) || slice_ieq(name, S("MIME-Version"));
}

/* Nobody can say that rules saw all of it. */
static bool
too_much(struct run *r)
{
	r->out->verdict = FILTER_REFUSE;
	r->out->code = 550;
	r->out->enhanced = S("5.6.0");
	r->out->text = S("the message has too many parts, or too long a header, to be looked at");
	return false;
}

/* A field on one line, without its line ends. */
static struct slice
unfold(struct buf *b, struct slice raw)
{
	struct slice rest = raw, line;

	if (slice_ends(rest, S("\n")))
		rest = slice_head(rest, rest.n - 1);
	if (slice_ends(rest, S("\r")))
		rest = slice_head(rest, rest.n - 1);
	if (slice_find_byte(rest, '\n') == SLICE_NONE)
		return rest;
	buf_reset(b);
	while (slice_cut(rest, '\n', &line, &rest)) {
		if (slice_ends(line, S("\r")))
			line = slice_head(line, line.n - 1);
		(void)buf_add(b, line);
	}
	(void)buf_add(b, rest);
	return buf_slice(b);
}

static bool
look_at_header(struct run *r, struct slice header, size_t at, enum filter_lines kind)
{
	struct cursor c = cur_of(header);
	struct header_field f;

	for (; header_next(&c, &f); at += f.raw.n) {
		struct line l = { .where = is_mime(f.name) ? FILTER_MIME : kind,
			.text = unfold(&r->unfolded, f.raw), .at = at, .raw = f.raw };

		if (r->unfolded.bad)
			return too_much(r);
		r->edited = false;
		if (!look(r, &l))
			return false;
	}
	return true;
}

/* Lines of a body, those that are very long in pieces. */
static bool
look_at_body(struct run *r, struct slice body, size_t at)
{
	size_t most = LIMIT_FILTER_BODIES - r->bodies;
	struct slice rest = slice_head(body, most < LIMIT_FILTER_PART ? most : LIMIT_FILTER_PART);

	r->bodies += rest.n;
	while (rest.n > 0) {
		size_t end = slice_find_byte(rest, '\n');
		struct slice raw = end == SLICE_NONE ? rest : slice_head(rest, end + 1), text = unfold(&r->unfolded, raw);
		struct line l = { .where = FILTER_BODY, .at = at, .raw = raw };

		if (end == SLICE_NONE) { /* the line may be longer than what is looked at */
			struct slice behind = slice_from(r->message, at);
			size_t whole = slice_find_byte(behind, '\n');

			l.raw = whole == SLICE_NONE ? behind : slice_head(behind, whole + 1);
		}
		r->edited = false;
		do {
			l.text = slice_head(text, LIMIT_FILTER_SUBJECT);
			if (!look(r, &l))
				return false;
			text = slice_from(text, l.text.n);
		} while (text.n > 0);
		at += raw.n;
		rest = slice_from(rest, raw.n);
	}
	return true;
}

static bool
look_at_parts(struct run *r)
{
	struct mime m;

	if (!mime_parse(r->message, r->a, &m)) {
		(void)later(r, S("no room now, try again later"));
		return false;
	}
	if ((m.defects & MIME_OVER) != 0)
		return too_much(r);
	for (struct mime_part *p = m.root; p != NULL; p = mime_next(p, m.root)) {
		if (p != m.root &&
		    !look_at_header(r, p->header, p->body_at - p->header.n,
			p->parent->kind == MIME_MESSAGE ? FILTER_NESTED : FILTER_MIME))
			return false;
		if (p->kind == MIME_LEAF && !look_at_body(r, p->body, p->body_at))
			return false;
	}
	return true;
}

/* The highest threshold that the points come to. */
static void
weigh(struct run *r)
{
	const struct filter_rule *best = NULL;

	for (size_t i = 0; i < r->f->file.n; i++) {
		const struct filter_rule *rule = &r->f->file.rule[i];

		if (rule->kind == FILTER_THRESHOLD && (rule->direction & r->direction) != 0 &&
		    r->out->score >= rule->points && (best == NULL || rule->points > best->points))
			best = rule;
	}
	if (best == NULL)
		return;
	(void)note(r, best, NULL, false, best->text);
	(void)act(r, best, NULL, best->text);
}

void
filter_run(const struct filter *f, struct slice message, enum filter_direction d, bool (*late)(void *ctx),
    void *ctx, struct arena *a, struct filter_outcome *out)
{
	struct run r = { .f = f, .message = message, .direction = d, .late = late, .ctx = ctx, .a = a, .out = out };
	unsigned lines = d == FILTER_IN ? f->in : f->out;

	memset(out, 0, sizeof *out);
	r.known = ARENA_ARRAY(a, f->file.n, uint8_t);
	r.data = pcre2_match_data_create(f->groups + 1, NULL);
	buf_init(&r.unfolded, LIMIT_HEADER);
	if (r.known == NULL || r.data == NULL)
		(void)later(&r, S("no room now, try again later"));
	else if (look_at_header(&r, message, 0, FILTER_HEADER) &&
	    ((lines & ~(unsigned)FILTER_HEADER) == 0 || look_at_parts(&r)))
		weigh(&r);
	buf_free(&r.unfolded);
	pcre2_match_data_free(r.data);
}
