/* SPDX-License-Identifier: MIT */
#include "lib/parse/dkim/taglist.h"

#include "lib/base/cursor.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"

static const struct slice WORDS[] = {
#define X(name, text) S_INIT(text),
	DKIM_WHYS(X)
#undef X
};

struct slice
dkim_why_text(enum dkim_why why)
{
	PN_ASSERT((unsigned)why < DKIM_WHY_END);
	return WORDS[why];
}

static bool
is_name(uint8_t c)
{
	return ch_is_alnum(c) || c == '_';
}

static bool
is_val(uint8_t c)
{
	return (c >= 0x21 && c <= 0x7e && c != ';') || c >= 0x80;
}

/* [FWS]: white space, in which each CRLF is followed by white space. False is a syntax error. */
static bool
skip_fws(struct cursor *c)
{
	for (;;) {
		(void)cur_skip(c, ch_is_wsp);
		if (cur_peek(c) != '\r')
			return true;
		if (cur_peek_at(c, 1) != '\n' || cur_peek_at(c, 2) == -1 ||
		    !ch_is_wsp((uint8_t)cur_peek_at(c, 2)))
			return cur_fail(c);
		c->at += 2;
	}
}

/* tag-value [FWS], up to ";" or the end. */
static bool
take_value(struct cursor *c, struct dkim_tag *tag)
{
	size_t from = c->at, end = c->at;

	while (cur_peek(c) != -1 && cur_peek(c) != ';') {
		if (cur_skip(c, is_val) > 0)
			end = c->at;
		else if (!dkim_is_fws((uint8_t)cur_peek(c)) || cur_peek(c) == '\n' || !skip_fws(c))
			return cur_fail(c);
	}
	tag->value = slice_sub(c->in, from, end - from);
	tag->end = c->at;
	return true;
}

static bool
take_spec(struct cursor *c, struct dkim_tag *tag)
{
	size_t from = c->at;

	if (cur_peek(c) == -1 || !ch_is_alpha((uint8_t)cur_peek(c)))
		return cur_fail(c);
	(void)cur_skip(c, is_name);
	tag->name = slice_sub(c->in, from, c->at - from);
	if (!skip_fws(c) || !cur_byte(c, '='))
		return cur_fail(c);
	tag->from = c->at;
	return skip_fws(c) && take_value(c, tag);
}

const struct dkim_tag *
dkim_tags_find(const struct dkim_tags *t, struct slice name)
{
	for (size_t i = 0; i < t->n; i++)
		if (slice_eq(t->tags[i].name, name))
			return &t->tags[i];
	return NULL;
}

static bool
no(enum dkim_why *why, enum dkim_why is)
{
	*why = is;
	return false;
}

bool
dkim_tags_parse(struct slice in, struct arena *a, struct dkim_tags *out, enum dkim_why *why)
{
	struct cursor c = cur_of(in);
	struct dkim_tag all[LIMIT_DKIM_TAGS];
	struct dkim_tags t = { .tags = all };

	do {
		struct dkim_tag tag = { 0 };

		if (!skip_fws(&c) || (t.n > 0 && cur_done(&c)))
			break;
		if (!take_spec(&c, &tag))
			return no(why, DKIM_TAG_SYNTAX);
		if (dkim_tags_find(&t, tag.name) != NULL)
			return no(why, DKIM_TAG_DUPLICATE);
		if (t.n == LIMIT_DKIM_TAGS)
			return no(why, DKIM_TAG_MANY);
		all[t.n++] = tag;
	} while (cur_byte(&c, ';'));
	if (!cur_done(&c) || !utf8_valid(in))
		return no(why, DKIM_TAG_SYNTAX);
	t.tags = ARENA_ARRAY(a, t.n, struct dkim_tag);
	if (t.tags == NULL)
		return no(why, DKIM_LIMIT);
	memcpy(t.tags, all, t.n * sizeof all[0]);
	*out = t;
	return true;
}

bool
dkim_strip(struct slice v, struct arena *a, struct slice *out)
{
	size_t first = 0, n = 0;
	uint8_t *p;

	while (first < v.n && !dkim_is_fws(slice_at(v, first)))
		first++;
	if (first == v.n) {
		*out = v;
		return true;
	}
	p = arena_alloc(a, v.n, 1);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (!dkim_is_fws(slice_at(v, i)))
			p[n++] = slice_at(v, i);
	*out = slice_of(p, n);
	return true;
}

enum dkim_why
dkim_base64(struct slice v, struct arena *a, struct slice *out)
{
	size_t n = 0, pad = 0;
	uint8_t *p = arena_alloc(a, v.n + 3, 1);

	if (p == NULL)
		return DKIM_LIMIT;
	for (size_t i = 0; i < v.n; i++)
		if (!dkim_is_fws(slice_at(v, i)))
			p[n++] = slice_at(v, i);
	while (pad < 2 && n > 0 && p[n - 1] == '=') {
		pad++;
		n--;
	}
	if (n == 0 || n % 4 == 1 || p[n - 1] == '=')
		return DKIM_BAD_B;
	while (n % 4 != 0)
		p[n++] = '=';
	return base64_decode(slice_of(p, n), a, out) ? DKIM_OK : DKIM_BAD_B;
}

bool
dkim_list_next(struct slice *rest, bool *more, struct slice *item)
{
	struct slice head = *rest, tail = S("");
	size_t from = 0, end;

	if (!*more)
		return false;
	*more = slice_cut(*rest, ':', &head, &tail);
	*rest = tail;
	end = head.n;
	while (from < end && dkim_is_fws(slice_at(head, from)))
		from++;
	while (end > from && dkim_is_fws(slice_at(head, end - 1)))
		end--;
	*item = slice_sub(head, from, end - from);
	return true;
}
