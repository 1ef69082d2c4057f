/* SPDX-License-Identifier: MIT */
#include "lib/parse/header/header.h"

#include "lib/base/cfws.h"
#include "lib/base/limits.h"

static void
work(struct cursor *c, size_t n)
{
#ifdef PN_FUZZ
	c->steps += n;
#else
	(void)c;
	(void)n;
#endif
}

/* Position behind the line that begins at from. */
static size_t
line_end(struct slice in, size_t from)
{
	size_t lf = slice_find_byte(slice_from(in, from), '\n');

	return lf == SLICE_NONE ? in.n : from + lf + 1;
}

/* s without one LF or CRLF at its end. */
static struct slice
without_line_end(struct slice s)
{
	if (s.n > 0 && slice_at(s, s.n - 1) == '\n')
		s = slice_sub(s, 0, s.n - 1);
	else
		return s;
	if (s.n > 0 && slice_at(s, s.n - 1) == '\r')
		s = slice_sub(s, 0, s.n - 1);
	return s;
}

/* The name is printable ASCII but the colon, then blanks, then the colon. */
static void
split_name(struct header_field *f, struct slice line)
{
	size_t n = 0, colon;

	while (n < line.n && ch_is_vchar(slice_at(line, n)) && slice_at(line, n) != ':')
		n++;
	for (colon = n; colon < line.n && ch_is_wsp(slice_at(line, colon));)
		colon++;
	if (n == 0 || colon == line.n || slice_at(line, colon) != ':') {
		f->name = slice_sub(line, 0, 0);
		f->body = line;
	} else {
		f->name = slice_sub(line, 0, n);
		f->body = slice_from(line, colon + 1);
	}
}

bool
header_next(struct cursor *c, struct header_field *out)
{
	size_t from = c->at, end;
	struct header_field f;

	if (c->bad || from == c->in.n)
		return false;
	end = line_end(c->in, from);
	work(c, end - from);
	if (without_line_end(slice_sub(c->in, from, end - from)).n == 0 && end > from) {
		c->at = end;
		return false;
	}
	while (end < c->in.n && ch_is_wsp(slice_at(c->in, end)) &&
	    slice_at(c->in, end - 1) == '\n') {
		size_t next = line_end(c->in, end);

		work(c, next - end);
		end = next;
	}
	f.raw = slice_sub(c->in, from, end - from);
	split_name(&f, without_line_end(f.raw));
	work(c, f.name.n);
	c->at = end;
	*out = f;
	return true;
}

bool
header_split(struct slice message, struct arena *a, struct header *out)
{
	struct cursor c = cur_of(message);
	struct header_field f, *list;
	size_t n = 0;

	while (header_next(&c, &f))
		if (c.at > LIMIT_HEADER || ++n > LIMIT_HEADER_FIELDS)
			return false;
	list = ARENA_ARRAY(a, n, struct header_field);
	if (list == NULL)
		return false;
	c = cur_of(message);
	for (size_t i = 0; i < n; i++)
		PN_ASSERT(header_next(&c, &list[i]));
	(void)header_next(&c, &f);
	*out = (struct header){ .block = slice_sub(message, 0, c.at),
		.rest = slice_from(message, c.at), .field = list, .n = n };
	return true;
}

size_t
header_find(const struct header *h, struct slice name, size_t from)
{
	for (size_t i = from; i < h->n; i++)
		if (slice_ieq(h->field[i].name, name))
			return i;
	return SLICE_NONE;
}

size_t
header_length(struct slice message)
{
	struct cursor c = cur_of(message);
	struct header_field f;

	while (header_next(&c, &f))
		;
	return c.at;
}

bool
header_unfold(struct slice body, struct arena *a, struct slice *out)
{
	size_t from = 0, end = body.n, n = 0;
	uint8_t *p;

	while (from < end && ch_is_fws(slice_at(body, from)))
		from++;
	while (end > from && ch_is_fws(slice_at(body, end - 1)))
		end--;
	body = slice_sub(body, from, end - from);
	if (slice_find_byte(body, '\n') == SLICE_NONE && slice_find_byte(body, '\r') == SLICE_NONE) {
		*out = body;
		return true;
	}
	p = arena_alloc(a, body.n, 1);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < body.n; i++) {
		uint8_t b = slice_at(body, i);

		if (b != '\r' && b != '\n')
			p[n++] = b;
	}
	*out = slice_of(p, n);
	return true;
}

/* Everything up to '>' (a quoted string may hold one); the cursor ends behind it. */
static bool
msgid_inside(struct cursor *c, size_t *from, size_t *n, bool *blanks)
{
	bool quoted = false;

	*from = c->at;
	*blanks = false;
	for (int b; (b = cur_next(c)) != -1;) {
		if (b == '\\' && quoted)
			(void)cur_next(c);
		else if (b == '"')
			quoted = !quoted;
		else if (ch_is_fws((uint8_t)b))
			*blanks = true;
		else if (b == '>' && !quoted) {
			*n = c->at - 1 - *from;
			return true;
		}
	}
	return false;
}

bool
msgid_next(struct cursor *c, struct arena *a, struct slice *out)
{
	struct slice skipped, id;
	size_t from, n, used = 0;
	bool blanks;
	uint8_t *p;

	for (;;) {
		cur_cfws(c);
		if (cur_peek(c) == -1)
			return false;
		if (cur_byte(c, '<'))
			break;
		if (cur_peek(c) == '"') {
			/* an obsolete phrase: its quoted strings may hold '<' */
			(void)cur_next(c);
			for (int b; (b = cur_next(c)) != -1 && b != '"';)
				if (b == '\\')
					(void)cur_next(c);
		} else {
			(void)cur_bytes(c, 1, &skipped);
		}
	}
	if (!msgid_inside(c, &from, &n, &blanks))
		return false;
	id = slice_sub(c->in, from, n);
	if (!blanks) {
		*out = id;
		return true;
	}
	p = arena_alloc(a, id.n, 1);
	if (p == NULL)
		return cur_fail(c);
	for (size_t i = 0; i < id.n; i++)
		if (!ch_is_fws(slice_at(id, i)))
			p[used++] = slice_at(id, i);
	*out = slice_of(p, used);
	return true;
}
