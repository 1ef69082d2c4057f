/* SPDX-License-Identifier: MIT */
#include "lib/parse/dkim/message.h"

#include "lib/base/chars.h"
#include "lib/base/limits.h"

/* End of the line that starts at from: the position behind its CRLF, or the end of raw. */
static size_t
line_end(struct slice raw, size_t from)
{
	for (size_t at = from;;) {
		size_t lf = slice_find_byte(slice_from(raw, at), '\n');

		if (lf == SLICE_NONE)
			return raw.n;
		at += lf + 1;
		if (at >= from + 2 && slice_at(raw, at - 2) == '\r')
			return at;
	}
}

/* End of the field that starts at from, its continuation lines included. */
static size_t
field_end(struct slice raw, size_t from)
{
	size_t end = line_end(raw, from);

	while (end < raw.n && ch_is_wsp(slice_at(raw, end)))
		end = line_end(raw, end);
	return end;
}

static bool
is_empty_line(struct slice raw, size_t at)
{
	return slice_starts(slice_from(raw, at), S("\r\n"));
}

/* Counts the fields; false over the limits. */
static bool
measure(struct slice raw, size_t *n, size_t *header)
{
	size_t at = 0, count = 0;
	struct slice within = slice_head(raw, LIMIT_HEADER + 2);

	while (at < within.n && !is_empty_line(within, at)) {
		at = field_end(within, at);
		if (++count > LIMIT_HEADER_FIELDS)
			return false;
	}
	if (at > LIMIT_HEADER)
		return false;
	*n = count;
	*header = at;
	return true;
}

static bool
fill_field(struct dkim_field *f, struct slice raw, struct arena *a)
{
	size_t colon = slice_find_byte(raw, ':'), n = colon;
	uint8_t *lower;

	*f = (struct dkim_field){ .raw = raw, .above = DKIM_NO_FIELD };
	if (colon == SLICE_NONE)
		return true;
	while (n > 0 && ch_is_wsp(slice_at(raw, n - 1)))
		n--;
	lower = arena_alloc(a, n, 1);
	if (lower == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		lower[i] = ch_lower(slice_at(raw, i));
	f->name = slice_of(lower, n);
	f->value = slice_from(raw, colon + 1);
	if (slice_ends(f->value, S("\r\n")))
		f->value = slice_head(f->value, f->value.n - 2);
	return true;
}

static int
name_order(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return a.n < b.n ? -1 : 1;
	return a.n == 0 ? 0 : memcmp(a.p, b.p, a.n);
}

/* Stable merge sort of field numbers by name: its cost does not depend on who chose the names. */
static uint32_t *
sort(const struct dkim_field *f, uint32_t *from, uint32_t *to, size_t n)
{
	for (size_t run = 1; run < n; run *= 2) {
		uint32_t *t = from;

		for (size_t lo = 0; lo < n; lo += 2 * run) {
			size_t mid = n - lo < run ? n : lo + run;
			size_t hi = n - mid < run ? n : mid + run, i = lo, j = mid;

			for (size_t k = lo; k < hi; k++)
				if (j == hi || (i < mid && name_order(f[from[i]].name, f[from[j]].name) <= 0))
					to[k] = from[i++];
				else
					to[k] = from[j++];
		}
		from = to;
		to = t;
	}
	return from;
}

static bool
index_names(struct dkim_field *f, struct dkim_message *m, struct arena *a)
{
	uint32_t *order = ARENA_ARRAY(a, m->n, uint32_t), *spare = ARENA_ARRAY(a, m->n, uint32_t);
	struct dkim_name *names = ARENA_ARRAY(a, m->n, struct dkim_name);

	if (order == NULL || spare == NULL || names == NULL)
		return false;
	for (uint32_t i = 0; i < m->n; i++)
		order[i] = i;
	order = sort(f, order, spare, m->n);
	m->n_names = 0;
	for (size_t k = 0; k < m->n; k++) {
		struct dkim_name *last = m->n_names == 0 ? NULL : &names[m->n_names - 1];
		uint32_t i = order[k];

		if (last != NULL && slice_eq(last->name, f[i].name)) {
			f[i].above = last->last;
			last->last = i;
			last->n++;
		} else {
			names[m->n_names++] = (struct dkim_name){ f[i].name, i, 1 };
		}
	}
	m->names = names;
	return true;
}

bool
dkim_message_split(struct slice raw, struct arena *a, struct dkim_message *m)
{
	struct dkim_message out = { 0 };
	struct dkim_field *f;
	size_t header, at = 0;

	if (!measure(raw, &out.n, &header))
		return false;
	f = ARENA_ARRAY(a, out.n, struct dkim_field);
	if (f == NULL)
		return false;
	for (size_t i = 0; i < out.n; i++) {
		size_t end = field_end(slice_head(raw, header), at);

		if (!fill_field(&f[i], slice_sub(raw, at, end - at), a))
			return false;
		at = end;
	}
	out.fields = f;
	out.body = header + 2 <= raw.n ? slice_from(raw, header + 2) : S("");
	if (!index_names(f, &out, a))
		return false;
	*m = out;
	return true;
}

static size_t
find_name(const struct dkim_message *m, struct slice name)
{
	uint8_t lower[128];
	size_t lo = 0, hi = m->n_names;

	if (name.n == 0 || name.n > sizeof lower)
		return SLICE_NONE;
	for (size_t i = 0; i < name.n; i++)
		lower[i] = ch_lower(slice_at(name, i));
	name = slice_of(lower, name.n);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = name_order(name, m->names[mid].name);

		if (d == 0)
			return mid;
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return SLICE_NONE;
}

const struct dkim_name *
dkim_message_name(const struct dkim_message *m, struct slice name)
{
	size_t i = find_name(m, name);

	return i == SLICE_NONE ? NULL : &m->names[i];
}

size_t
dkim_message_count(const struct dkim_message *m, struct slice name)
{
	const struct dkim_name *n = dkim_message_name(m, name);

	return n == NULL ? 0 : n->n;
}

bool
dkim_pick_begin(struct dkim_pick *p, const struct dkim_message *m, struct arena *a)
{
	uint32_t *next = ARENA_ARRAY(a, m->n_names, uint32_t);

	if (next == NULL)
		return false;
	for (size_t i = 0; i < m->n_names; i++)
		next[i] = m->names[i].last;
	*p = (struct dkim_pick){ .m = m, .next = next };
	return true;
}

const struct dkim_field *
dkim_pick_next(struct dkim_pick *p, struct slice name)
{
	size_t i = find_name(p->m, name);
	const struct dkim_field *f;

	if (i == SLICE_NONE)
		return NULL;
	do {
		if (p->next[i] == DKIM_NO_FIELD)
			return NULL;
		f = &p->m->fields[p->next[i]];
		p->next[i] = f->above;
	} while (f == p->skip);
	return f;
}

size_t
dkim_pick_left(const struct dkim_pick *p, struct slice name)
{
	size_t i = find_name(p->m, name), n = 0;

	if (i == SLICE_NONE)
		return 0;
	for (uint32_t at = p->next[i]; at != DKIM_NO_FIELD; at = p->m->fields[at].above)
		n++;
	return n;
}
