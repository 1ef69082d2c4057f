/* SPDX-License-Identifier: MIT */
#include "lib/parse/mime/section.h"

#include "lib/parse/header/header.h"

static const struct mime_part *
child(const struct mime_part *p, uint32_t number)
{
	const struct mime_part *c = p->first;

	while (c != NULL && c->number != number)
		c = c->next;
	return c;
}

/* Follows numbers from the root. *empty is set for the part of a multipart that has none. */
static const struct mime_part *
find(const struct mime *m, const uint32_t *number, size_t n, bool *empty)
{
	const struct mime_part *p = m->root;
	bool whole = true; /* p is a message whose parts are to be numbered */

	*empty = false;
	for (size_t i = 0; i < n; i++) {
		if (!whole && p->kind == MIME_MESSAGE) {
			p = p->first;
			whole = true;
		}
		if (p->kind == MIME_MULTIPART) {
			*empty = p->first == NULL && number[i] == 1 && i + 1 == n;
			p = child(p, number[i]);
			if (p == NULL)
				return NULL;
		} else if (!whole || number[i] != 1) {
			return NULL;
		}
		whole = false;
	}
	return p;
}

const struct mime_part *
mime_find(const struct mime *m, const uint32_t *number, size_t n)
{
	bool empty;

	return find(m, number, n, &empty);
}

static bool
wanted(const struct mime_section *s, struct slice name)
{
	bool listed = false;

	for (size_t i = 0; i < s->n_fields && !listed; i++)
		listed = name.n > 0 && slice_ieq(s->field[i], name);
	return listed == (s->what == MIME_SECTION_FIELDS);
}

/* The fields, each with its line end, and the empty line. */
static bool
gather(struct slice header, const struct mime_section *s, struct buf *scratch, struct slice *out)
{
	struct cursor c = cur_of(header);
	struct header_field f;
	size_t from = scratch->n;

	while (header_next(&c, &f)) {
		if (!wanted(s, f.name))
			continue;
		buf_add(scratch, f.raw);
		if (!slice_ends(f.raw, S("\n")))
			buf_add(scratch, S("\r\n"));
	}
	if (!buf_add(scratch, S("\r\n")))
		return false;
	*out = slice_from(buf_slice(scratch), from);
	return true;
}

bool
mime_section(const struct mime *m, const struct mime_section *s, struct buf *scratch,
    struct slice *out)
{
	bool empty;
	const struct mime_part *p = find(m, s->part, s->n_part, &empty), *message;

	if (p == NULL) {
		if (!empty || (s->what != MIME_SECTION_ALL && s->what != MIME_SECTION_MIME))
			return false;
		*out = S("");
		return true;
	}
	if (s->what == MIME_SECTION_ALL) {
		*out = s->n_part == 0 ? m->in : p->body;
		return true;
	}
	if (s->what == MIME_SECTION_MIME) {
		*out = p->header;
		return true;
	}
	message = s->n_part == 0 ? p : p->kind == MIME_MESSAGE ? p->first : NULL;
	if (message == NULL)
		return false;
	if (s->what == MIME_SECTION_FIELDS || s->what == MIME_SECTION_FIELDS_NOT)
		return gather(message->header, s, scratch, out);
	*out = s->what == MIME_SECTION_HEADER ? message->header : message->body;
	return true;
}

struct slice
mime_partial(struct slice section, uint64_t from, uint64_t count)
{
	if (from >= section.n)
		return slice_sub(section, 0, 0);
	return slice_head(slice_from(section, (size_t)from),
	    count < section.n ? (size_t)count : section.n);
}
