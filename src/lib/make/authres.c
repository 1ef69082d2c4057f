/* SPDX-License-Identifier: MIT
 * Authentication-Results, RFC 8601 sections 2.2, 2.3, 5; tokens of RFC 2045 5.1. */
#include "lib/make/authres.h"

#include "lib/base/cfws.h"
#include "lib/base/encode.h"

#define FOLD_AT 76

/* Bytes that nobody's reading of a token, an atom or a name can stumble over: fewer than RFC 2045
 * allows, since "'" and "`" have fooled readers. The rest is quoted. */
static bool
is_token(uint8_t c)
{
	return ch_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '+';
}

static bool
is_atom(uint8_t c)
{
	return is_token(c) || c == '/' || c == '=' || c == '&';
}

static bool
is_host(uint8_t c)
{
	return ch_is_alnum(c) || c == '-' || c == '.' || c == '_';
}

static bool
all(struct slice s, bool (*is)(uint8_t))
{
	for (size_t i = 0; i < s.n; i++)
		if (!is(slice_at(s, i)))
			return false;
	return s.n > 0;
}

/* Text inside quotes or parentheses. Valid UTF-8 stays (RFC 8601 2.2, EAI). */
static void
put_escaped(struct buf *b, struct slice s, struct slice escape)
{
	bool utf8 = utf8_valid(s), cut = s.n > LIMIT_AUTHRES_VALUE;

	if (cut) {
		s = slice_head(s, LIMIT_AUTHRES_VALUE);
		utf8 = utf8_valid(s);
	}
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		if (slice_find_byte(escape, c) != SLICE_NONE)
			(void)buf_byte(b, '\\');
		(void)buf_byte(b, ch_is_print(c) || (c >= 0x80 && utf8) ? c : '?');
	}
	if (cut)
		(void)buf_add(b, S("..."));
}

bool
authres_put_value(struct buf *b, struct slice value)
{
	size_t at = slice_rfind_byte(value, '@');

	if (value.n <= LIMIT_AUTHRES_VALUE &&
	    (all(value, is_token) ||
		(at != SLICE_NONE && (at == 0 || all(slice_head(value, at), is_atom)) &&
		    all(slice_from(value, at + 1), is_host))))
		return buf_add(b, value);
	(void)buf_byte(b, '"');
	put_escaped(b, value, S("\"\\"));
	return buf_byte(b, '"');
}

/* Appends an item with a space before it, or on a new line where the line gets too long. */
static void
put_item(struct buf *b, struct buf *item, size_t *column)
{
	struct slice s = buf_slice(item);

	if (*column + 1 + s.n > FOLD_AT) {
		(void)buf_add(b, S("\r\n\t"));
		*column = 8 + s.n;
	} else {
		(void)buf_byte(b, ' ');
		*column += 1 + s.n;
	}
	(void)buf_add(b, s);
	b->bad = b->bad || item->bad;
	buf_reset(item);
}

static void
put_result(struct buf *b, const struct authres_result *r, size_t *column)
{
	struct buf item;

	buf_init(&item, 4 * LIMIT_AUTHRES_VALUE);
	(void)buf_add(&item, r->method);
	(void)buf_byte(&item, '=');
	(void)buf_add(&item, r->result);
	put_item(b, &item, column);
	if (r->comment.n > 0) {
		(void)buf_byte(&item, '(');
		put_escaped(&item, r->comment, S("()\\"));
		(void)buf_byte(&item, ')');
		put_item(b, &item, column);
	}
	if (r->reason.n > 0) {
		(void)buf_add(&item, S("reason=\""));
		put_escaped(&item, r->reason, S("\"\\"));
		(void)buf_byte(&item, '"');
		put_item(b, &item, column);
	}
	for (size_t i = 0; i < r->n_props; i++) {
		(void)buf_add(&item, r->props[i].type);
		(void)buf_byte(&item, '.');
		(void)buf_add(&item, r->props[i].property);
		(void)buf_byte(&item, '=');
		(void)authres_put_value(&item, r->props[i].value);
		put_item(b, &item, column);
	}
	buf_free(&item);
}

bool
authres_write(struct buf *b, struct slice id, const struct authres_result *results, size_t n)
{
	size_t column = 24 + id.n;

	(void)buf_add(b, S("Authentication-Results: "));
	(void)buf_add(b, id);
	for (size_t i = 0; i < n; i++) {
		(void)buf_byte(b, ';');
		column = FOLD_AT; /* each result begins on a line of its own */
		put_result(b, &results[i], &column);
	}
	if (n == 0)
		(void)buf_add(b, S("; none"));
	return buf_add(b, S("\r\n"));
}

/* A token of RFC 2045 5.1, or an internationalized one. */
static bool
is_id(uint8_t c)
{
	static const struct slice specials = S_INIT("()<>@,;:\\\"/[]?=");

	return c >= 0x80 || (ch_is_vchar(c) && slice_find_byte(specials, c) == SLICE_NONE);
}

/* Compares a quoted-string with id as it is read. False when it never ends. */
static bool
quoted_id(struct cursor *c, struct slice id, bool *same)
{
	size_t n = 0;
	bool dot = false;

	*same = true;
	for (int x; (x = cur_next(c)) != -1;) {
		if (x == '"') {
			*same = *same && n - dot == id.n;
			return true;
		}
		if (x == '\\')
			x = cur_next(c);
		if (x == -1)
			return false;
		if (ch_is_fws((uint8_t)x) && x != ' ' && x != '\t')
			continue;
		if (n < id.n)
			*same = *same && ch_lower((uint8_t)x) == ch_lower(slice_at(id, n));
		dot = n == id.n && x == '.';
		n++;
	}
	return false;
}

enum authres_owner
authres_owner(struct slice body, struct slice id)
{
	struct cursor c = cur_of(body);
	struct slice word;
	bool same;

	cur_cfws(&c);
	if (cur_byte(&c, '"')) {
		if (!quoted_id(&c, id, &same))
			return AUTHRES_BROKEN;
		return same ? AUTHRES_OURS : AUTHRES_OTHER;
	}
	if (!cur_take(&c, is_id, SIZE_MAX, &word))
		return AUTHRES_BROKEN;
	if (slice_ends(word, S(".")))
		word = slice_head(word, word.n - 1);
	if (slice_ieq(word, id))
		return AUTHRES_OURS;
	/* after the id: version, ";" or the end. Anything else is not readable as an id */
	cur_cfws(&c);
	if (cur_left(&c) == 0 || cur_peek(&c) == ';' || ch_is_digit((uint8_t)cur_peek(&c)))
		return AUTHRES_OTHER;
	return AUTHRES_BROKEN;
}

/* Skips to behind the next ";" that is in no comment and no quoted string; false at the end. */
static bool
next_result(struct cursor *c)
{
	struct slice comment;
	bool closed;

	for (;;) {
		int x = cur_peek(c);

		if (x == -1)
			return false;
		if (x == '(') {
			(void)cur_comment(c, &comment, &closed);
			continue;
		}
		(void)cur_next(c);
		if (x == ';')
			return true;
		if (x != '"')
			continue;
		while ((x = cur_next(c)) != -1 && x != '"')
			if (x == '\\')
				(void)cur_next(c);
	}
}

bool
authres_reports(struct slice body, struct slice method, struct slice result)
{
	struct cursor c = cur_of(body);
	struct slice word;

	while (next_result(&c)) {
		cur_cfws(&c);
		if (!cur_take(&c, is_id, SIZE_MAX, &word) || !slice_ieq(word, method))
			continue;
		cur_cfws(&c);
		if (!cur_byte(&c, '='))
			continue;
		cur_cfws(&c);
		if (cur_take(&c, is_id, SIZE_MAX, &word) && slice_ieq(word, result))
			return true;
	}
	return false;
}

/* The next field with its folds and line end. */
static struct slice
next_field(struct slice *rest)
{
	size_t at = 0;
	struct slice field;

	for (;;) {
		size_t lf = slice_find_byte(slice_from(*rest, at), '\n');

		at = lf == SLICE_NONE ? rest->n : at + lf + 1;
		if (at == rest->n || !ch_is_wsp(slice_at(*rest, at)))
			break;
	}
	field = slice_head(*rest, at);
	*rest = slice_from(*rest, at);
	return field;
}

bool
authres_remove(struct buf *b, struct slice header, struct slice id, size_t *removed)
{
	*removed = 0;
	while (header.n > 0) {
		struct slice field = next_field(&header), name, body;

		if (slice_cut(field, ':', &name, &body) &&
		    slice_ieq(slice_trim(name), S("Authentication-Results")) &&
		    authres_owner(body, id) != AUTHRES_OTHER)
			(*removed)++;
		else
			(void)buf_add(b, field);
	}
	return !b->bad;
}
