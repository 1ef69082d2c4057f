/* SPDX-License-Identifier: MIT
 *
 * One element of the list is looked at twice: span() finds where it ends and what it is, then
 * read_phrase() and read_spec() take it apart. Each is linear and starts where the last one ended.
 *
 * Text that is contiguous in the input is borrowed. Only where quotes, comments or folding cut it, it
 * is copied to the scratch, which has room for the whole input: every octet of output stems from an
 * octet of input of its own (a blank between two words from the blank, quote or comment there). */
#include "lib/parse/header/address.h"

#include "lib/base/cfws.h"

/* Text under construction: borrowed from the input while it is contiguous there. */
struct text {
	struct address_reader *r;
	size_t from, to;	/* of the input, or of the scratch */
	bool any, copied;
};

/* What an element is, found without taking it apart. */
struct span {
	size_t from, end;	/* end is the position of the octet that stopped it */
	size_t at;		/* position of the last '@', or SLICE_NONE */
	size_t words;		/* count */
	int stop;		/* ',', ';', ':', '<' or -1 */
};

static bool
is_atext(uint8_t b)
{
	return ch_is_alnum(b) || b >= 0x80 ||
	    (b > ' ' && slice_find_byte(S("!#$%&'*+-/=?^_`{|}~"), b) != SLICE_NONE);
}

/* What an atom runs over here: everything but white space, quotes and comments. */
static bool
is_run(uint8_t b)
{
	return !ch_is_fws(b) && b != '"' && b != '(';
}

static bool
text_copy(struct text *t, struct slice s)
{
	struct address_reader *r = t->r;

	if (r->scratch == NULL) {
		r->scratch = arena_alloc(r->a, r->c.in.n, 1);
		if (r->scratch == NULL)
			return cur_fail(&r->c);
	}
	PN_ASSERT(s.n <= r->c.in.n - r->used);
	for (size_t i = 0; i < s.n; i++)
		r->scratch[r->used++] = slice_at(s, i);
	t->to = r->used;
	return true;
}

/* Moves what was borrowed so far to the scratch. */
static bool
text_own(struct text *t)
{
	struct slice so_far = slice_sub(t->r->c.in, t->from, t->any && !t->copied ? t->to - t->from : 0);

	if (t->copied)
		return true;
	t->copied = true;
	t->from = t->r->used;
	return text_copy(t, so_far);
}

/* Appends n octets of the input at from, with a blank before them when asked and text is there. */
static bool
text_add(struct text *t, size_t from, size_t n, bool blank)
{
	struct slice in = t->r->c.in;

	if (!t->any) {
		*t = (struct text){ .r = t->r, .from = from, .to = from + n, .any = true };
		return true;
	}
	if (!t->copied && !blank && from == t->to) {
		t->to = from + n;
		return true;
	}
	if (!t->copied && blank && from == t->to + 1 && slice_at(in, t->to) == ' ') {
		t->to = from + n;
		return true;
	}
	return text_own(t) && (!blank || text_copy(t, S(" "))) &&
	    text_copy(t, slice_sub(in, from, n));
}

static struct slice
text_slice(const struct text *t)
{
	if (!t->any)
		return S("");
	if (!t->copied)
		return slice_sub(t->r->c.in, t->from, t->to - t->from);
	return slice_sub(slice_of(t->r->scratch, t->r->used), t->from, t->to - t->from);
}

/* Skips a quoted string at '"'. False when it is never closed: the cursor is then at the end. */
static bool
skip_quoted(struct cursor *c)
{
	(void)cur_next(c);
	for (int b; (b = cur_next(c)) != -1;) {
		if (b == '\\')
			(void)cur_next(c);
		else if (b == '"')
			return true;
	}
	return false;
}

/* Skips what stands in a domain literal behind '[', if it is closed before c ends. */
static void
skip_literal(struct cursor *c)
{
	for (int b; (b = cur_next(c)) != -1 && b != ']';)
		if (b == '\\')
			(void)cur_next(c);
}

/* Finds the end of an element; stops lists the octets that end it. */
static struct span
span(struct cursor c, struct slice stops)
{
	struct span s = { .from = c.at, .at = SLICE_NONE };
	bool in_word = false, after_at = false;

	for (;;) {
		size_t before = c.at;
		int b;

		cur_cfws(&c);
		in_word = in_word && c.at == before;
		b = cur_peek(&c);
		if (b == -1 || slice_find_byte(stops, (uint8_t)b) != SLICE_NONE) {
			s.end = c.at;
			s.stop = b;
			return s;
		}
		s.words += in_word ? 0 : 1;
		in_word = true;
		if (b == '"') {
			(void)skip_quoted(&c);
			in_word = false;
		} else {
			(void)cur_next(&c);
		}
		if (b == '@')
			s.at = before == c.at - 1 ? before : c.at - 1;
		if (b == '[' && after_at)
			skip_literal(&c);
		after_at = b == '@';
	}
}

/* Adds a quoted string at the cursor, resolved. */
static bool
read_quoted(struct cursor *c, struct text *t, bool blank, bool *defect)
{
	size_t from = c->at + 1, end;
	bool closed = skip_quoted(c), plain = true;
	struct slice inside;

	end = closed ? c->at - 1 : c->at;
	if (!closed)
		*defect = true;
	inside = slice_sub(c->in, from, end - from);
	for (size_t i = 0; i < inside.n && plain; i++) {
		uint8_t b = slice_at(inside, i);

		plain = b != '\\' && b != '\r' && b != '\n';
	}
	if (slice_find_byte(inside, 0) != SLICE_NONE)
		*defect = true;
	if (plain)
		return text_add(t, from, inside.n, blank);
	/* the blank comes with the first octet, even of an empty string */
	if (!text_add(t, from, 0, blank) || !text_own(t))
		return false;
	for (size_t i = from; i < end; i++) {
		uint8_t b = slice_at(c->in, i);

		if (b == '\\' && i + 1 < end)
			i++;
		else if (b == '\r' || b == '\n')
			continue;
		if (!text_copy(t, slice_sub(c->in, i, 1)))
			return false;
	}
	return true;
}

/* Skips white space and comments; *comment becomes the last one. */
static void
note_comment(struct cursor *c, struct slice *comment, bool *defect)
{
	for (bool closed;;) {
		(void)cur_skip(c, ch_is_fws);
		if (!cur_comment(c, comment, &closed))
			return;
		*defect = *defect || !closed;
	}
}

/* The words from the cursor to the end of c as a phrase. */
static bool
read_phrase(struct cursor *c, struct address_reader *r, struct address *out, struct slice *comment)
{
	struct text t = { .r = r };
	bool ok = true;

	for (;;) {
		note_comment(c, comment, &out->defect);
		if (!ok || cur_peek(c) == -1)
			break;
		if (cur_peek(c) == '"') {
			ok = read_quoted(c, &t, true, &out->defect);
		} else {
			size_t from = c->at, n = cur_skip(c, is_run);

			for (size_t i = from; i < from + n; i++) {
				uint8_t b = slice_at(c->in, i);

				if (!is_atext(b) && b != '.')
					out->defect = true;
			}
			ok = text_add(&t, from, n, true);
		}
	}
	if (ok)
		out->name = text_slice(&t);
	return ok;
}

/* Words and dots up to the end of c: a local part, or the names of a domain when domain is set. */
static bool
read_dotted(struct cursor *c, struct text *t, bool domain, bool *defect, struct slice *comment)
{
	bool want_word = true, ok = true;

	for (;;) {
		note_comment(c, comment, defect);
		int b = cur_peek(c);

		if (b == -1 || !ok)
			break;
		if (b == '.') {
			*defect = *defect || want_word;
			ok = text_add(t, c->at, 1, false);
			(void)cur_next(c);
			want_word = true;
			continue;
		}
		if (!want_word) {
			*defect = true;
			if (domain)
				break;
		}
		if (b == '"' && !domain) {
			ok = read_quoted(c, t, !want_word, defect);
		} else {
			size_t from = c->at;

			while (cur_peek(c) != -1 && is_run((uint8_t)cur_peek(c)) && cur_peek(c) != '.')
				*defect = !is_atext((uint8_t)cur_next(c)) || *defect;
			if (c->at == from) /* a quote in a domain */
				*defect = cur_next(c) != -1;
			ok = text_add(t, from, c->at - from, !want_word);
		}
		want_word = false;
	}
	*defect = *defect || want_word;
	return ok;
}

static bool
read_literal(struct cursor *c, struct text *t, bool *defect, struct slice *comment)
{
	bool closed = false, ok = true;

	for (int b; ok && !closed && (b = cur_peek(c)) != -1;) {
		size_t from = c->at;

		(void)cur_next(c);
		if (ch_is_fws((uint8_t)b))
			continue;
		if (b == '\\')
			(void)cur_next(c);
		*defect = *defect || b == 0 || (b == '[' && t->any);
		closed = b == ']';
		ok = text_add(t, from, c->at - from, false);
	}
	note_comment(c, comment, defect);
	*defect = *defect || !closed || cur_peek(c) != -1;
	return ok;
}

/* local@domain from the cursor to the end of c; at is the position of the '@' or SLICE_NONE. */
static bool
read_spec(struct cursor *c, size_t at, struct address_reader *r, struct address *out,
    struct slice *comment)
{
	struct text local = { .r = r }, domain = { .r = r };
	struct cursor before = { .in = slice_head(c->in, at == SLICE_NONE ? c->in.n : at), .at = c->at };
	bool ok = read_dotted(&before, &local, false, &out->defect, comment);

	if (ok)
		out->local = text_slice(&local);
	if (at == SLICE_NONE || !ok) {
		out->defect = true;
		return ok;
	}
	c->at = at + 1;
	note_comment(c, comment, &out->defect);
	if (cur_peek(c) == '[')
		ok = read_literal(c, &domain, &out->defect, comment);
	else
		ok = read_dotted(c, &domain, true, &out->defect, comment);
	if (ok)
		out->domain = text_slice(&domain);
	return ok;
}

/* "@a,@b:" in front of an address; leaves the cursor alone where there is no route. */
static bool
read_route(struct cursor *c, struct address_reader *r, struct address *out)
{
	struct cursor part = *c;
	struct text t = { .r = r };
	struct span s = span(*c, S(":"));

	if (s.stop != ':')
		return true;
	part.in = slice_head(c->in, s.end);
	for (cur_cfws(&part); cur_peek(&part) != -1; cur_cfws(&part)) {
		size_t from = part.at;

		(void)cur_next(&part);
		while (cur_peek(&part) != -1 && !ch_is_fws((uint8_t)cur_peek(&part)) &&
		    cur_peek(&part) != '(')
			(void)cur_next(&part);
		if (!text_add(&t, from, part.at - from, false))
			return false;
	}
	out->route = text_slice(&t);
	c->at = s.end + 1;
	return true;
}

/* Skips what stands between an address and its separator. */
static void
read_trailer(struct cursor *c, struct address *out, struct slice *comment)
{
	for (;;) {
		note_comment(c, comment, &out->defect);
		int b = cur_peek(c);

		if (b == -1 || b == ',' || b == ';' || b == '<')
			break;
		out->defect = true;
		if (b == '"')
			(void)skip_quoted(c);
		else
			(void)cur_next(c);
	}
	out->defect = out->defect || cur_peek(c) == '<';
}

/* phrase <addr-spec>, the cursor at the start of the phrase, s its span. */
static bool
read_angle(struct address_reader *r, const struct span *s, struct address *out,
    struct slice *comment)
{
	struct cursor part = { .in = slice_head(r->c.in, s->end), .at = s->from };
	struct span inner;

	if (!read_phrase(&part, r, out, comment))
		return false;
	r->c.at = s->end + 1;
	inner = span(r->c, S(">"));
	part = (struct cursor){ .in = slice_head(r->c.in, inner.end), .at = r->c.at };
	cur_cfws(&part);
	if (cur_peek(&part) == '@' && !read_route(&part, r, out))
		return false;
	if (inner.at != SLICE_NONE && inner.at < part.at)
		inner.at = SLICE_NONE;
	if (!read_spec(&part, inner.at, r, out, comment))
		return false;
	r->c.at = inner.end;
	if (!cur_byte(&r->c, '>'))
		out->defect = true;
	read_trailer(&r->c, out, comment);
	return true;
}

/* An element without angle brackets: addr-spec, or words that are no address. */
static bool
read_bare(struct address_reader *r, const struct span *s, struct address *out,
    struct slice *comment)
{
	struct cursor part = { .in = slice_head(r->c.in, s->end), .at = s->from };

	r->c.at = s->end;
	if (s->at == SLICE_NONE && s->words > 1) {
		out->defect = true;
		return read_phrase(&part, r, out, comment);
	}
	return read_spec(&part, s->at, r, out, comment);
}

/* A comment as a name: one line, backslashes resolved. */
static bool
name_by_comment(struct address_reader *r, struct slice comment, struct address *out)
{
	struct cursor c = cur_of(comment);
	struct text t = { .r = r, .copied = true, .any = true, .from = r->used, .to = r->used };

	if (slice_find_byte(comment, '\\') == SLICE_NONE &&
	    slice_find_byte(comment, '\n') == SLICE_NONE &&
	    slice_find_byte(comment, '\r') == SLICE_NONE) {
		out->name = slice_trim(comment);
	} else {
		for (int b; (b = cur_next(&c)) != -1;) {
			if (b == '\\' && cur_left(&c) > 0)
				b = cur_next(&c);
			else if (b == '\r' || b == '\n')
				continue;
			if (!text_copy(&t, slice_sub(comment, c.at - 1, 1)))
				return false;
		}
		out->name = slice_trim(text_slice(&t));
	}
	out->named_by_comment = out->name.n > 0;
	return true;
}

struct address_reader
address_reader_of(struct slice in, struct arena *a)
{
	return (struct address_reader){ .c = cur_of(in), .a = a };
}

static bool
read_group(struct address_reader *r, const struct span *s, struct address *out)
{
	struct cursor part = { .in = slice_head(r->c.in, s->end), .at = s->from };
	struct slice comment = S("");

	out->kind = ADDRESS_GROUP;
	out->defect = s->words == 0;
	r->in_group = true;
	r->c.at = s->end + 1;
	return read_phrase(&part, r, out, &comment) &&
	    (out->name.n > 0 || name_by_comment(r, comment, out));
}

/* Skips separators; true when one of them closed a group. */
static bool
skip_separators(struct address_reader *r)
{
	for (;;) {
		struct cursor *c = &r->c;

		(void)cur_skip(c, ch_is_fws);
		if (cur_byte(c, ','))
			continue;
		if (!cur_byte(c, ';'))
			return false;
		if (r->in_group)
			return true;
	}
}

bool
address_next(struct address_reader *r, struct address *out)
{
	struct address a;
	struct span s;

	for (;;) {
		struct slice comment = S("");
		bool ok;

		a = (struct address){ .kind = ADDRESS_MAILBOX };
		if (skip_separators(r)) {
			a.kind = ADDRESS_GROUP_END;
			r->in_group = false;
			break;
		}
		s = span(r->c, r->in_group ? S(",;<") : S(",;<:"));
		if (r->c.bad)
			return false;
		if (s.words == 0 && s.stop != '<' && s.stop != ':') {
			/* comments only: an empty element */
			r->c.at = s.end;
			if (s.stop != -1)
				continue;
			if (!r->in_group)
				return false;
			a.kind = ADDRESS_GROUP_END;
			a.defect = true;
			r->in_group = false;
			break;
		}
		if (s.stop == ':' && s.at == SLICE_NONE) {
			if (!read_group(r, &s, &a))
				return false;
			break;
		}
		if (s.stop == ':') {
			/* a@b: is no group; the rest of the element follows it */
			s = span(r->c, S(",;<"));
			a.defect = true;
		}
		if (s.stop == '<')
			ok = read_angle(r, &s, &a, &comment);
		else
			ok = read_bare(r, &s, &a, &comment);
		if (!ok || (a.name.n == 0 && !name_by_comment(r, comment, &a)))
			return false;
		break;
	}
	*out = a;
	return true;
}

bool
address_one(struct slice in, struct arena *a, struct address *out)
{
	struct address_reader r = address_reader_of(in, a);
	struct address one, more;

	if (!address_next(&r, &one) || one.kind != ADDRESS_MAILBOX || one.defect ||
	    address_next(&r, &more) || r.c.bad)
		return false;
	*out = one;
	return true;
}
