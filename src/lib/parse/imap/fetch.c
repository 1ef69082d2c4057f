/* SPDX-License-Identifier: MIT
 * FETCH items and body sections (RFC 3501 6.4.5). The same section twice is one section. */
#include "lib/parse/imap/tok.h"

struct sections {
	struct imap_section *v;
	size_t n, cap;
};

/* section-part: "1.2.3"; stops before a word. False where a number is 0 or the depth is exceeded. */
static bool
part_numbers(struct in *p, struct imap_section *s, bool *word_follows)
{
	uint32_t part[LIMIT_MIME_DEPTH];
	uint64_t v;
	size_t n = 0;

	*word_follows = true;
	while (cur_peek(p->c) >= '0' && cur_peek(p->c) <= '9') {
		if (n == LIMIT_MIME_DEPTH || !in_number(p, UINT32_MAX, &v) || v == 0)
			return false;
		part[n++] = (uint32_t)v;
		*word_follows = cur_byte(p->c, '.');
		if (!*word_follows)
			break;
	}
	s->part = ARENA_ARRAY(p->a, n, uint32_t);
	if (s->part == NULL)
		return in_over(p, IMAP_OVER);
	for (size_t i = 0; i < n; i++)
		s->part[i] = part[i];
	s->n_part = n;
	return true;
}

/* header-list: "(" astring *(SP astring) ")" */
static bool
field_names(struct in *p, struct imap_section *s)
{
	size_t cap = 0;
	struct slice name;

	if (!in_sp(p) || !cur_byte(p->c, '('))
		return false;
	do {
		if (!in_astring(p, &name) || name.n == 0 ||
		    !in_push(p, &s->field, &s->n_fields, &cap, LIMIT_IMAP_FIELDS, name))
			return false;
	} while (in_sp(p));
	return cur_byte(p->c, ')');
}

/* "[" [section-spec] "]" */
static bool
section_spec(struct in *p, struct imap_section *s)
{
	bool word_follows;
	struct slice word;

	if (!cur_byte(p->c, '[') || !part_numbers(p, s, &word_follows))
		return false;
	word = in_keyword(p);
	if (word.n > 0 && !word_follows)
		return false;
	if (word.n == 0) {
		s->what = IMAP_SECTION_ALL;
		if (s->n_part > 0 && word_follows)
			return false; /* "1." */
	} else if (slice_ieq(word, S("HEADER"))) {
		s->what = IMAP_SECTION_HEADER;
	} else if (slice_ieq(word, S("TEXT"))) {
		s->what = IMAP_SECTION_TEXT;
	} else if (slice_ieq(word, S("MIME")) && s->n_part > 0) {
		s->what = IMAP_SECTION_MIME;
	} else if (slice_ieq(word, S("HEADER.FIELDS")) ||
	    slice_ieq(word, S("HEADER.FIELDS.NOT"))) {
		s->what = word.n == 13 ? IMAP_SECTION_FIELDS : IMAP_SECTION_FIELDS_NOT;
		if (!field_names(p, s))
			return false;
	} else {
		return false;
	}
	return cur_byte(p->c, ']');
}

/* ["<" number "." nz-number ">"] */
static bool
partial(struct in *p, struct imap_section *s)
{
	if (!cur_byte(p->c, '<'))
		return true;
	s->partial = true;
	return in_number(p, INT64_MAX, &s->from) && cur_byte(p->c, '.') &&
	    in_number(p, INT64_MAX, &s->count) && s->count > 0 && cur_byte(p->c, '>');
}

static bool
same_section(const struct imap_section *a, const struct imap_section *b)
{
	if (a->what != b->what || a->form != b->form || a->n_part != b->n_part ||
	    a->n_fields != b->n_fields || a->partial != b->partial || a->from != b->from ||
	    a->count != b->count)
		return false;
	for (size_t i = 0; i < a->n_part; i++)
		if (a->part[i] != b->part[i])
			return false;
	for (size_t i = 0; i < a->n_fields; i++)
		if (!slice_ieq(a->field[i], b->field[i]))
			return false;
	return true;
}

static bool
add_section(struct in *p, struct sections *all, const struct imap_section *s)
{
	for (size_t i = 0; i < all->n; i++) {
		if (same_section(&all->v[i], s)) {
			all->v[i].peek = all->v[i].peek && s->peek;
			return true;
		}
	}
	if (all->n == LIMIT_IMAP_SECTIONS)
		return in_over(p, IMAP_OVER);
	if (all->n == all->cap) {
		size_t want = all->cap == 0 ? 2 : all->cap * 2;
		struct imap_section *grown = ARENA_ARRAY(p->a, want, struct imap_section);

		if (grown == NULL)
			return in_over(p, IMAP_OVER);
		for (size_t i = 0; i < all->n; i++)
			grown[i] = all->v[i];
		all->v = grown;
		all->cap = want;
	}
	all->v[all->n++] = *s;
	return true;
}

static uint32_t
plain_item(struct slice word)
{
	static const struct {
		struct slice name;
		uint32_t bit;
	} items[] = {
		{ S_INIT("UID"), IMAP_ITEM_UID },
		{ S_INIT("FLAGS"), IMAP_ITEM_FLAGS },
		{ S_INIT("INTERNALDATE"), IMAP_ITEM_INTERNALDATE },
		{ S_INIT("RFC822.SIZE"), IMAP_ITEM_SIZE },
		{ S_INIT("ENVELOPE"), IMAP_ITEM_ENVELOPE },
		{ S_INIT("BODY"), IMAP_ITEM_BODY },
		{ S_INIT("BODYSTRUCTURE"), IMAP_ITEM_BODYSTRUCTURE },
	};

	for (size_t i = 0; i < sizeof items / sizeof items[0]; i++)
		if (slice_ieq(items[i].name, word))
			return items[i].bit;
	return 0;
}

/* RFC822, RFC822.HEADER and RFC822.TEXT are BODY[], BODY.PEEK[HEADER] and BODY[TEXT]. */
static bool
old_item(struct slice word, struct imap_section *s)
{
	if (slice_ieq(word, S("RFC822"))) {
		s->form = IMAP_FORM_RFC822;
	} else if (slice_ieq(word, S("RFC822.HEADER"))) {
		s->form = IMAP_FORM_RFC822_HEADER;
		s->what = IMAP_SECTION_HEADER;
		s->peek = true;
	} else if (slice_ieq(word, S("RFC822.TEXT"))) {
		s->form = IMAP_FORM_RFC822_TEXT;
		s->what = IMAP_SECTION_TEXT;
	} else {
		return false;
	}
	return true;
}

static bool
fetch_att(struct in *p, struct imap_fetch *f, struct sections *all)
{
	struct imap_section s = { 0 };
	struct slice word = in_keyword(p);
	uint32_t bit = plain_item(word);

	if (cur_peek(p->c) == '[') {
		s.peek = slice_ieq(word, S("BODY.PEEK"));
		if (!s.peek && bit != IMAP_ITEM_BODY)
			return false;
		return section_spec(p, &s) && partial(p, &s) && add_section(p, all, &s);
	}
	if (bit != 0) {
		f->items |= bit;
		return true;
	}
	return old_item(word, &s) && add_section(p, all, &s);
}

static uint32_t
macro(struct slice word)
{
	uint32_t fast = IMAP_ITEM_FLAGS | IMAP_ITEM_INTERNALDATE | IMAP_ITEM_SIZE;

	if (slice_ieq(word, S("FAST")))
		return fast;
	if (slice_ieq(word, S("ALL")))
		return fast | IMAP_ITEM_ENVELOPE;
	if (slice_ieq(word, S("FULL")))
		return fast | IMAP_ITEM_ENVELOPE | IMAP_ITEM_BODY;
	return 0;
}

bool
in_fetch(struct in *p, struct imap_command *out)
{
	struct imap_fetch f = { 0 };
	struct sections all = { 0 };
	size_t at;

	if (!in_sp(p) || !in_set(p, &f.set) || !in_sp(p))
		return false;
	if (cur_byte(p->c, '(')) {
		do {
			if (!fetch_att(p, &f, &all))
				return false;
		} while (in_sp(p));
		if (!cur_byte(p->c, ')'))
			return false;
	} else {
		at = p->c->at;
		f.items = macro(in_keyword(p));
		if (f.items == 0) {
			p->c->at = at;
			if (!fetch_att(p, &f, &all))
				return false;
		}
	}
	f.section = all.v;
	f.n_sections = all.n;
	out->u.fetch = f;
	return true;
}
