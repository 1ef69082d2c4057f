/* SPDX-License-Identifier: MIT
 *
 * One pass from front to back. `open` are the multiparts whose boundaries count at this point, the
 * innermost last; `cur` is the node that the octets belong to now. A delimiter of open[i] ends every
 * node below open[i].part and begins a sibling, or closes open[i]. */
#include "lib/parse/mime/mime.h"

#include "lib/base/chars.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/header/header.h"
#include "lib/parse/header/params.h"

struct open {
	struct mime_part *part;
	struct slice boundary;
	uint64_t key;			/* its first eight octets, for a quick look */
};

struct scan {
	struct slice in;
	size_t at;			/* always at the start of a line */
	struct arena *a;
	struct open open[LIMIT_MIME_DEPTH];
	size_t n_open;
	struct mime_part *cur;
	uint32_t parts, defects;
};

struct delimiter {
	size_t from, end;		/* of the line */
	size_t level;
	bool closes;
};

static void
defect(struct scan *s, struct mime_part *p, uint32_t what)
{
	p->defects |= what;
	s->defects |= what;
}

/* The first eight octets of s as a number, zeros where it is shorter. */
static uint64_t
key_of(struct slice s)
{
	uint64_t key = 0;

	for (size_t i = 0; i < 8 && i < s.n; i++)
		key |= (uint64_t)slice_at(s, i) << (8 * i);
	return key;
}

/* The bits that n octets have in a key. */
static uint64_t
key_mask(size_t n)
{
	return n >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * n)) - 1;
}

/* The open multipart with the longest boundary that the line (behind "--") begins with, the innermost
 * of several; SLICE_NONE when there is none. */
static size_t
level_of(const struct scan *s, struct slice line)
{
	uint64_t key = key_of(line);
	size_t best = SLICE_NONE, longest = 0;

	for (size_t i = s->n_open; i-- > 0;) {
		const struct open *o = &s->open[i];

		if (o->boundary.n <= longest || (key & key_mask(o->boundary.n)) != o->key ||
		    !slice_starts(line, o->boundary))
			continue;
		best = i;
		longest = o->boundary.n;
	}
	return best;
}

/* Whether the line that begins at from is a delimiter of an open multipart. */
static bool
delimiter_at(struct scan *s, size_t from, struct delimiter *out)
{
	struct slice line = slice_from(s->in, from);
	size_t lf, level;

	if (s->n_open == 0 || line.n < 3 || slice_at(line, 0) != '-' || slice_at(line, 1) != '-')
		return false;
	lf = slice_find_byte(line, '\n');
	*out = (struct delimiter){ .from = from, .end = lf == SLICE_NONE ? s->in.n : from + lf + 1 };
	line = slice_sub(line, 2, (lf == SLICE_NONE ? line.n : lf) - 2);
	level = level_of(s, line);
	if (level == SLICE_NONE)
		return false;
	out->level = level;
	line = slice_from(line, s->open[level].boundary.n);
	out->closes = slice_starts(line, S("--"));
	line = slice_from(line, out->closes ? 2 : 0);
	if (slice_ends(line, S("\r")))
		line = slice_head(line, line.n - 1);
	if (slice_trim(line).n > 0)
		defect(s, s->open[level].part, MIME_NEAR_DELIMITER);
	return true;
}

/* The next delimiter at or behind s->at. */
static bool
find_delimiter(struct scan *s, struct delimiter *out)
{
	if (s->n_open == 0)
		return false;
	while (s->at < s->in.n) {
		size_t lf;

		if (delimiter_at(s, s->at, out))
			return true;
		lf = slice_find_byte(slice_from(s->in, s->at), '\n');
		if (lf == SLICE_NONE)
			return false;
		s->at += lf + 1;
	}
	return false;
}

/* Keeps the first field of a name. */
static void
keep(struct scan *s, struct mime_part *p, struct slice *to, struct slice body)
{
	if (to->p == NULL)
		*to = body;
	else
		defect(s, p, MIME_REPEATED_FIELD);
}

static void
content_field(struct scan *s, struct mime_part *p, const struct header_field *f)
{
	struct slice rest = slice_from(f->name, 8); /* behind "Content-" */

	if (slice_ieq(rest, S("type")))
		keep(s, p, &p->content_type, f->body);
	else if (slice_ieq(rest, S("transfer-encoding")))
		keep(s, p, &p->transfer_encoding, f->body);
	else if (slice_ieq(rest, S("disposition")))
		keep(s, p, &p->disposition, f->body);
	else if (slice_ieq(rest, S("id")))
		keep(s, p, &p->id, f->body);
	else if (slice_ieq(rest, S("description")))
		keep(s, p, &p->description, f->body);
	else if (slice_ieq(rest, S("language")))
		keep(s, p, &p->language, f->body);
	else if (slice_ieq(rest, S("location")))
		keep(s, p, &p->location, f->body);
	else if (slice_ieq(rest, S("md5")))
		keep(s, p, &p->md5, f->body);
}

static void
keep_list(struct mime_envelope *e, struct slice *to, struct slice body)
{
	if (to->p == NULL)
		*to = body;
	else
		e->more = true;
}

/* Where the body of a field that comes once goes, or NULL. */
static struct slice *
envelope_slot(struct mime_envelope *e, struct slice name)
{
	switch (name.n) {
	case 4:
		return slice_ieq(name, S("from")) ? &e->from
		    : slice_ieq(name, S("date")) ? &e->date : NULL;
	case 6:
		return slice_ieq(name, S("sender")) ? &e->sender : NULL;
	case 7:
		return slice_ieq(name, S("subject")) ? &e->subject : NULL;
	case 8:
		return slice_ieq(name, S("reply-to")) ? &e->reply_to : NULL;
	case 10:
		return slice_ieq(name, S("message-id")) ? &e->message_id : NULL;
	case 11:
		return slice_ieq(name, S("in-reply-to")) ? &e->in_reply_to : NULL;
	default:
		return NULL;
	}
}

static void
envelope_field(struct mime_envelope *e, const struct header_field *f)
{
	struct slice *to = envelope_slot(e, f->name);

	if (to != NULL && to->p == NULL)
		*to = f->body;
	else if (slice_ieq(f->name, S("to")))
		keep_list(e, &e->to, f->body);
	else if (slice_ieq(f->name, S("cc")))
		keep_list(e, &e->cc, f->body);
	else if (slice_ieq(f->name, S("bcc")))
		keep_list(e, &e->bcc, f->body);
}

/* Reads the header of p at s->at, up to its empty line or a delimiter. */
static void
read_header(struct scan *s, struct mime_part *p)
{
	struct cursor c = { .in = s->in, .at = s->at };
	struct header_field f;
	struct delimiter d;
	size_t fields = 0;
	bool more = true;

	while (!delimiter_at(s, c.at, &d)) {
		size_t before = c.at;

		more = header_next(&c, &f);
		if (!more) {
			if (c.at == before)
				defect(s, p, MIME_NO_EMPTY_LINE);
			break;
		}
		fields++;
		if (f.name.n == 0)
			defect(s, p, MIME_JUNK_HEADER);
		else if (slice_istarts(f.name, S("content-")))
			content_field(s, p, &f);
		else if (p->envelope != NULL)
			envelope_field(p->envelope, &f);
	}
	if (more)
		defect(s, p, MIME_NO_EMPTY_LINE);
	if (fields > LIMIT_HEADER_FIELDS || c.at - s->at > LIMIT_HEADER)
		defect(s, p, MIME_LONG_HEADER);
	p->header = slice_sub(s->in, s->at, c.at - s->at);
	p->body_at = s->at = c.at;
}

static enum mime_encoding
encoding_of(struct slice field)
{
	struct slice token, none;

	if (field.p == NULL || !content_type_only(field, &token, &none))
		return MIME_IDENTITY;
	if (slice_ieq(token, S("base64")))
		return MIME_BASE64;
	if (slice_ieq(token, S("quoted-printable")))
		return MIME_QUOTED_PRINTABLE;
	if (slice_ieq(token, S("7bit")) || slice_ieq(token, S("8bit")) || slice_ieq(token, S("binary")))
		return MIME_IDENTITY;
	return MIME_UNKNOWN_ENCODING;
}

static bool
is_message_type(const struct mime_part *p)
{
	return mime_is(p, S("message"), S("rfc822")) || mime_is(p, S("message"), S("global"));
}

/* Type and encoding from the fields; the default is text/plain, in multipart/digest a message. */
static void
read_type(struct scan *s, struct mime_part *p)
{
	bool digest = p->parent != NULL && p->parent->kind == MIME_MULTIPART &&
	    mime_is(p->parent, S("multipart"), S("digest"));

	if (p->content_type.p != NULL) {
		if (!content_type_only(p->content_type, &p->type, &p->subtype) || p->subtype.n == 0) {
			defect(s, p, MIME_BAD_TYPE);
			p->content_type = (struct slice){ 0 };
			digest = false;
		}
	}
	if (p->content_type.p == NULL) {
		p->type = digest ? S("message") : S("text");
		p->subtype = digest ? S("rfc822") : S("plain");
	}
	p->encoding = encoding_of(p->transfer_encoding);
}

/* The boundary of a multipart, in the arena; "boundary*" where there is no plain one. False at its
 * ceiling; empty where there is none. */
static bool
read_boundary(struct scan *s, struct mime_part *p, struct slice *out)
{
	struct arena_mark mark = arena_mark(s->a);
	const struct param *boundary;
	struct slice value;
	struct content c;
	own(buf_t) copy = { .max = 0 };

	buf_init(&copy, LIMIT_HEADER);
	if (!content_parse(p->content_type, s->a, &c))
		return false;
	if (c.defect)
		defect(s, p, MIME_REPEATED_PARAM);
	boundary = content_find(&c, S("boundary"));
	if (boundary != NULL)
		(void)buf_add(&copy, boundary->value);
	else
		(void)content_text(&c, S("boundary"), &copy);
	arena_rewind(s->a, mark);
	value = copy.bad ? S("") : buf_slice(&copy);
	while (value.n > 0 && ch_is_wsp(slice_at(value, value.n - 1)))
		value = slice_head(value, value.n - 1);
	return arena_copy(s->a, value, out);
}

/* Makes p a multipart whose delimiters count from here on. */
static bool
open_multipart(struct scan *s, struct mime_part *p)
{
	struct slice boundary;

	if (!read_boundary(s, p, &boundary))
		return false;
	if (boundary.n == 0) {
		defect(s, p, MIME_NO_BOUNDARY);
		p->content_type = (struct slice){ 0 };
		p->type = S("text");
		p->subtype = S("plain");
		return true;
	}
	p->kind = MIME_MULTIPART;
	PN_ASSERT(s->n_open < LIMIT_MIME_DEPTH);
	s->open[s->n_open++] = (struct open){ p, boundary, key_of(boundary) };
	return true;
}

static struct mime_part *
add_part(struct scan *s, struct mime_part *parent)
{
	struct mime_part *p = ARENA_NEW(s->a, struct mime_part);

	if (p == NULL)
		return NULL;
	s->parts++;
	p->parent = parent;
	p->number = 1;
	if (parent != NULL) {
		p->depth = parent->depth + 1;
		if (parent->first == NULL) {
			parent->first = p;
		} else {
			parent->last->next = p;
			p->number = parent->last->number + 1;
		}
		parent->last = p;
	}
	s->cur = p;
	return p;
}

/* A part at s->at below parent, and, when it is a message, the message in it, and so on. */
static bool
begin_part(struct scan *s, struct mime_part *parent, bool message)
{
	for (;;) {
		struct mime_part *p = add_part(s, parent);

		if (p == NULL)
			return false;
		if (message) {
			p->envelope = ARENA_NEW(s->a, struct mime_envelope);
			if (p->envelope == NULL)
				return false;
		}
		read_header(s, p);
		read_type(s, p);
		bool multipart = mime_is(p, S("multipart"), S(""));

		message = is_message_type(p);
		if (!multipart && !message)
			return true;
		if (p->encoding != MIME_IDENTITY) {
			defect(s, p, MIME_ENCODED_STRUCTURE);
			p->encoding = MIME_IDENTITY;
		}
		if (p->depth + 1 >= LIMIT_MIME_DEPTH) {
			defect(s, p, MIME_TOO_DEEP);
			return true;
		}
		if (multipart)
			return open_multipart(s, p);
		if (s->parts >= LIMIT_MIME_PARTS) {
			defect(s, p, MIME_TOO_MANY);
			return true;
		}
		p->kind = MIME_MESSAGE;
		parent = p;
	}
}

/* Ends every node below stop (all nodes for NULL) at position end. */
static void
end_parts(struct scan *s, const struct mime_part *stop, size_t end)
{
	for (struct mime_part *p = s->cur; p != stop; p = p->parent) {
		/* a header may reach into that line end; what holds it ends there too */
		if (end < p->body_at)
			end = p->body_at;
		p->body = slice_sub(s->in, p->body_at, end - p->body_at);
		if (p->kind == MIME_MULTIPART && p->first == NULL)
			defect(s, p, MIME_EMPTY_MULTIPART);
	}
}

/* The multiparts from level up lose their delimiters; those that were not closed are marked. */
static void
forget_open(struct scan *s, size_t level)
{
	for (size_t i = level; i < s->n_open; i++)
		defect(s, s->open[i].part, MIME_UNCLOSED);
	s->n_open = level;
}

/* The line end before a delimiter belongs to it. */
static size_t
before_line_end(const struct scan *s, size_t from)
{
	if (from > 0 && slice_at(s->in, from - 1) == '\n')
		from--;
	if (from > 0 && slice_at(s->in, from - 1) == '\r')
		from--;
	return from;
}

static bool
scan_all(struct scan *s)
{
	struct delimiter d;

	if (!begin_part(s, NULL, true))
		return false;
	while (find_delimiter(s, &d)) {
		struct mime_part *multipart = s->open[d.level].part;

		end_parts(s, multipart, before_line_end(s, d.from));
		s->cur = multipart;
		s->at = d.end;
		if (d.closes) {
			forget_open(s, d.level + 1);
			s->n_open = d.level;
		} else {
			forget_open(s, d.level + 1);
			if (s->parts >= LIMIT_MIME_PARTS)
				defect(s, multipart, MIME_TOO_MANY);
			else if (!begin_part(s, multipart, false))
				return false;
		}
	}
	forget_open(s, 0);
	end_parts(s, NULL, s->in.n);
	return true;
}

struct sweep {
	struct slice in;
	size_t at;
	uint64_t lines;		/* in front of at */
};

static uint64_t
lines_before(struct sweep *s, size_t to)
{
	s->lines += slice_count_byte(slice_sub(s->in, s->at, to - s->at), '\n');
	s->at = to;
	return s->lines;
}

/* Counts the lines of all bodies in one sweep, however deep they nest: bodies begin in the order of
 * mime_next() and end when the walk leaves them, so that the sweep only goes forward. */
static void
count_lines(struct slice in, struct mime_part *p)
{
	struct sweep s = { .in = in };

	for (;;) {
		p->lines = lines_before(&s, p->body_at);
		if (p->first != NULL) {
			p = p->first;
			continue;
		}
		for (;;) {
			p->lines = lines_before(&s, p->body_at + p->body.n) - p->lines;
			if (p->next != NULL || p->parent == NULL)
				break;
			p = p->parent;
		}
		if (p->next == NULL)
			return;
		p = p->next;
	}
}

bool
mime_parse(struct slice message, struct arena *a, struct mime *out)
{
	struct scan s = { .in = message, .a = a };
	struct mime_part *root;

	if (message.p == NULL)
		s.in = S("");
	if (!scan_all(&s))
		return false;
	for (root = s.cur; root->parent != NULL;)
		root = root->parent;
	count_lines(s.in, root);
	*out = (struct mime){ .in = s.in, .root = root, .parts = s.parts, .defects = s.defects };
	return true;
}

struct mime_part *
mime_next(const struct mime_part *part, const struct mime_part *top)
{
	if (part->first != NULL)
		return part->first;
	while (part != top) {
		if (part->next != NULL)
			return part->next;
		part = part->parent;
	}
	return NULL;
}

bool
mime_is(const struct mime_part *part, struct slice type, struct slice subtype)
{
	return slice_ieq(part->type, type) && (subtype.n == 0 || slice_ieq(part->subtype, subtype));
}
