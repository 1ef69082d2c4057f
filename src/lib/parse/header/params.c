/* SPDX-License-Identifier: MIT
 *
 * Parameters are read one by one into pieces; a piece of a continuation knows its section. Pieces are
 * sorted by name and section, put together, and given in the order in which their first piece came. */
#include "lib/parse/header/params.h"

#include "lib/base/cfws.h"
#include "lib/base/charset.h"
#include "lib/base/limits.h"
#include "lib/parse/header/words.h"

#define NO_SECTION UINT32_MAX
#define MOST_SECTION 99999u

struct piece {
	struct slice name, value;	/* name without its "*0*" */
	uint32_t section;		/* NO_SECTION: not of a continuation */
	uint32_t order;
	bool extended;
};

struct pieces {
	struct piece *at;
	size_t n;
	bool split;		/* there are continuations */
	bool defect;
};

static bool
is_type(uint8_t b)
{
	return !ch_is_fws(b) && b != ';' && b != '(' && b != '"';
}

static bool
is_subtype_part(uint8_t b)
{
	return is_type(b) && b != '/';
}

static bool
is_name(uint8_t b)
{
	return !ch_is_fws(b) && b != ';' && b != '=' && b != '"';
}

/* What a parameter's name may hold for us to believe that a new parameter begins without ';'. */
static bool
is_sure_name(uint8_t b)
{
	return ch_is_alnum(b) || b == '-' || b == '_' || b == '*' || b == '.';
}

static bool
new_param_here(struct cursor c)
{
	struct slice name;

	if (!cur_take(&c, is_sure_name, 64, &name))
		return false;
	cur_cfws(&c);
	return cur_peek(&c) == '=';
}

static bool
read_type(struct cursor *c, struct slice *type, struct slice *subtype)
{
	struct slice t, sub = S("");
	struct cursor probe;

	cur_cfws(c);
	if (!cur_take(c, is_subtype_part, SIZE_MAX, &t))
		return false;
	probe = *c;
	cur_cfws(&probe);
	if (cur_byte(&probe, '/')) {
		*c = probe;
		cur_cfws(c);
		(void)cur_take(c, is_type, SIZE_MAX, &sub);
	}
	*type = t;
	*subtype = sub;
	return true;
}

static bool
quoted_value(struct cursor *c, struct arena *a, struct pieces *ps, struct slice *out)
{
	size_t from = c->at + 1, end, n = 0;
	bool closed = false, plain = true;
	uint8_t *p;

	(void)cur_next(c);
	for (int b; !closed && (b = cur_next(c)) != -1;) {
		if (b == '\\')
			(void)cur_next(c);
		plain = plain && b != '\\' && b != '\r' && b != '\n';
		closed = b == '"';
	}
	end = closed ? c->at - 1 : c->at;
	ps->defect = ps->defect || !closed;
	if (plain) {
		*out = slice_sub(c->in, from, end - from);
		return true;
	}
	p = arena_alloc(a, end - from, 1);
	if (p == NULL)
		return cur_fail(c);
	for (size_t i = from; i < end; i++) {
		uint8_t b = slice_at(c->in, i);

		if (b == '\\' && i + 1 < end)
			b = slice_at(c->in, ++i);
		if (b != '\r' && b != '\n')
			p[n++] = b;
	}
	*out = slice_of(p, n);
	return true;
}

/* Up to ';', to a comment behind a blank or to what is surely the next parameter. */
static struct slice
bare_value(struct cursor *c)
{
	size_t from = c->at, end = c->at;

	for (;;) {
		int b = cur_peek(c);

		while (b != -1 && b != ';' && !ch_is_fws((uint8_t)b)) {
			(void)cur_next(c);
			b = cur_peek(c);
		}
		end = c->at;
		if (b == -1 || b == ';')
			break;
		(void)cur_skip(c, ch_is_fws);
		b = cur_peek(c);
		if (b == -1 || b == ';' || b == '(' || new_param_here(*c))
			break;
	}
	return slice_sub(c->in, from, end - from);
}

/* Drops folding inside an unquoted value. */
static bool
unfold(struct slice *s, struct arena *a)
{
	size_t n = 0;
	uint8_t *p;

	if (slice_find_byte(*s, '\n') == SLICE_NONE && slice_find_byte(*s, '\r') == SLICE_NONE)
		return true;
	p = arena_alloc(a, s->n, 1);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (slice_at(*s, i) != '\r' && slice_at(*s, i) != '\n')
			p[n++] = slice_at(*s, i);
	*s = slice_of(p, n);
	return true;
}

/* "name*12*" -> name, 12, extended. A name that only looks like it stays as it is. */
static void
split_name(struct piece *p)
{
	struct slice name = p->name, section;
	size_t star;
	uint32_t number;

	p->section = NO_SECTION;
	if (name.n > 1 && slice_at(name, name.n - 1) == '*') {
		p->extended = true;
		name = slice_head(name, name.n - 1);
	}
	star = slice_rfind_byte(name, '*');
	if (star != SLICE_NONE && star > 0) {
		section = slice_from(name, star + 1);
		if (section.n <= 5 && slice_u32(section, &number) && number <= MOST_SECTION) {
			p->section = number;
			name = slice_head(name, star);
		}
	}
	p->name = name;
}

/* One parameter at the cursor; false when there is none (something was skipped) or on failure. */
static bool
read_piece(struct cursor *c, struct arena *a, struct pieces *ps, struct piece *out)
{
	struct piece p = { 0 };
	size_t from = c->at, n = cur_skip(c, is_name);

	p.name = slice_sub(c->in, from, n);
	cur_cfws(c);
	if (!cur_byte(c, '=')) {
		ps->defect = true;
		if (n == 0)
			(void)cur_next(c);
		return false;
	}
	cur_cfws(c);
	if (cur_peek(c) == '"') {
		if (!quoted_value(c, a, ps, &p.value))
			return false;
	} else {
		p.value = bare_value(c);
		if (!unfold(&p.value, a))
			return cur_fail(c);
	}
	if (p.name.n == 0 || slice_at(p.name, 0) == '*') {
		ps->defect = true;
		return false;
	}
	split_name(&p);
	*out = p;
	return true;
}

/* Reads all pieces into ps->at, which has room for max. */
static bool
read_pieces(struct cursor *c, struct arena *a, struct pieces *ps, size_t max)
{
	for (;;) {
		struct piece p;

		cur_cfws(c);
		if (cur_byte(c, ';'))
			continue;
		if (cur_peek(c) == -1)
			return !c->bad;
		if (!read_piece(c, a, ps, &p))
			continue;
		if (ps->n == max) {
			ps->defect = true;
			return true;
		}
		p.order = (uint32_t)ps->n;
		ps->split = ps->split || p.section != NO_SECTION;
		ps->at[ps->n++] = p;
	}
}

/* Order by name in any case, then section, then position. */
static bool
piece_before(const struct piece *x, const struct piece *y)
{
	for (size_t i = 0; i < x->name.n && i < y->name.n; i++) {
		uint8_t a = ch_lower(slice_at(x->name, i)), b = ch_lower(slice_at(y->name, i));

		if (a != b)
			return a < b;
	}
	if (x->name.n != y->name.n)
		return x->name.n < y->name.n;
	if (x->section != y->section)
		return x->section < y->section;
	return x->order < y->order;
}

/* Back into the order of the field. */
static bool
piece_older(const struct piece *x, const struct piece *y)
{
	return x->order < y->order;
}

typedef bool piece_order(const struct piece *, const struct piece *);

static void
sift(struct piece *h, size_t root, size_t n, piece_order *before)
{
	for (size_t child; (child = 2 * root + 1) < n; root = child) {
		struct piece swap;

		if (child + 1 < n && before(&h[child], &h[child + 1]))
			child++;
		if (!before(&h[root], &h[child]))
			return;
		swap = h[root];
		h[root] = h[child];
		h[child] = swap;
	}
}

static void
sort_pieces(struct piece *h, size_t n, piece_order *before)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(h, i, n, before);
	for (size_t end = n; end-- > 1;) {
		struct piece swap = h[0];

		h[0] = h[end];
		h[end] = swap;
		sift(h, 0, end, before);
	}
}

/* attribute-char of RFC 2231 section 7, which needs no percent-encoding. */
static bool
is_attribute(uint8_t b)
{
	return ch_is_vchar(b) && slice_find_byte(S("*'%()<>@,;:\\\"/[]?="), b) == SLICE_NONE;
}

/* Appends a section to the value under construction. */
static size_t
join(uint8_t *p, size_t n, const struct piece *s, bool extended, bool first)
{
	static const char hex[] = "0123456789ABCDEF";

	if (extended && first && !s->extended) {
		p[n++] = '\'';
		p[n++] = '\'';
	}
	for (size_t i = 0; i < s->value.n; i++) {
		uint8_t b = slice_at(s->value, i);

		if (!extended || s->extended || is_attribute(b)) {
			p[n++] = b;
		} else {
			p[n++] = '%';
			p[n++] = (uint8_t)hex[b >> 4];
			p[n++] = (uint8_t)hex[b & 15];
		}
	}
	return n;
}

static bool
with_star(struct arena *a, struct slice name, struct slice *out)
{
	uint8_t *p = arena_alloc(a, name.n + 1, 1);

	if (p == NULL)
		return false;
	for (size_t i = 0; i < name.n; i++)
		p[i] = slice_at(name, i);
	p[name.n] = '*';
	*out = slice_of(p, name.n + 1);
	return true;
}

/* Sections h[0..n) of one name as one piece in h[0]. A section that comes twice counts once. */
static bool
assemble(struct arena *a, struct piece *h, size_t n, struct pieces *ps)
{
	bool extended = false;
	size_t room = 2, used = 0;
	uint32_t order = h[0].order;
	uint8_t *p;

	for (size_t i = 0; i < n; i++) {
		extended = extended || h[i].extended;
		order = h[i].order < order ? h[i].order : order;
		room += h[i].value.n * (h[i].extended ? 1 : 3);
	}
	p = arena_alloc(a, room, 1);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && h[i].section == h[i - 1].section)
			ps->defect = true;
		else
			used = join(p, used, &h[i], extended, i == 0);
	}
	h[0].value = slice_of(p, used);
	h[0].extended = extended;
	h[0].order = order;
	return true;
}

/* Puts continuations together; what is left keeps the order in which it came. */
static bool
assemble_all(struct arena *a, struct pieces *ps)
{
	size_t kept = 0;

	sort_pieces(ps->at, ps->n, piece_before);
	for (size_t i = 0, next; i < ps->n; i = next) {
		const struct piece *p = &ps->at[i];

		next = i + 1;
		if (p->section != NO_SECTION) {
			while (next < ps->n && ps->at[next].section != NO_SECTION &&
			    slice_ieq(ps->at[next].name, p->name))
				next++;
			if (!assemble(a, &ps->at[i], next - i, ps))
				return false;
		} else if (next < ps->n && ps->at[next].extended == p->extended &&
		    slice_ieq(ps->at[next].name, p->name)) {
			ps->defect = true;
		}
		ps->at[kept++] = *p;
	}
	ps->n = kept;
	sort_pieces(ps->at, ps->n, piece_older);
	return true;
}

bool
content_type_only(struct slice in, struct slice *type, struct slice *subtype)
{
	struct cursor c = cur_of(in);

	return read_type(&c, type, subtype);
}

static bool
finish(struct arena *a, const struct pieces *ps, struct content *c)
{
	c->n = ps->n;
	c->defect = ps->defect;
	c->param = ARENA_ARRAY(a, ps->n, struct param);
	if (c->param == NULL)
		return false;
	for (size_t i = 0; i < ps->n; i++) {
		const struct piece *p = &ps->at[i];

		c->param[i] = (struct param){ p->name, p->value, p->extended };
		if (p->extended && !with_star(a, p->name, &c->param[i].name))
			return false;
	}
	return true;
}

bool
content_parse(struct slice in, struct arena *a, struct content *out)
{
	struct cursor c = cur_of(in);
	struct pieces ps = { 0 };
	struct content content = { 0 };
	size_t max = 0;

	if (!read_type(&c, &content.type, &content.subtype))
		return false;
	for (size_t i = c.at; i < in.n && max < LIMIT_MIME_PARAMS; i++)
		max += slice_at(in, i) == '=' ? 1 : 0;
	ps.at = ARENA_ARRAY(a, max, struct piece);
	if (ps.at == NULL || !read_pieces(&c, a, &ps, max))
		return false;
	if (ps.n > 1 || ps.split)
		if (!assemble_all(a, &ps))
			return false;
	if (!finish(a, &ps, &content))
		return false;
	*out = content;
	return true;
}

const struct param *
content_find(const struct content *c, struct slice name)
{
	for (size_t i = 0; i < c->n; i++)
		if (slice_ieq(c->param[i].name, name))
			return &c->param[i];
	return NULL;
}

static bool
percent_text(struct slice value, struct buf *out)
{
	struct slice charset = S(""), language, rest;
	struct charset stream;
	size_t from = out->n;

	if (slice_cut(value, '\'', &charset, &rest)) {
		value = rest;
		if (slice_cut(rest, '\'', &language, &rest))
			value = rest;
	}
	stream = charset_of(charset);
	for (size_t i = 0; i < value.n; i++) {
		uint8_t b = slice_at(value, i);

		if (b == '%' && value.n - i > 2 && ch_is_hex(slice_at(value, i + 1)) &&
		    ch_is_hex(slice_at(value, i + 2))) {
			b = (uint8_t)(ch_hex(slice_at(value, i + 1)) << 4 | ch_hex(slice_at(value, i + 2)));
			i += 2;
		}
		if (b < 0x20 || b == 0x7f)
			b = ' ';
		(void)charset_feed(&stream, slice_of(&b, 1), out);
	}
	(void)charset_end(&stream, out);
	if (out->bad)
		buf_cut(out, from);
	return !out->bad;
}

bool
param_text(const struct param *p, struct buf *out)
{
	return p->extended ? percent_text(p->value, out) : words_decode(out, p->value);
}

bool
content_text(const struct content *c, struct slice name, struct buf *out)
{
	const struct param *plain = NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct param *p = &c->param[i];

		if (p->extended && p->name.n == name.n + 1 &&
		    slice_ieq(slice_head(p->name, name.n), name))
			return param_text(p, out);
		if (plain == NULL && !p->extended && slice_ieq(p->name, name))
			plain = p;
	}
	return plain != NULL && param_text(plain, out);
}
