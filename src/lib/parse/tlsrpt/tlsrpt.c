/* SPDX-License-Identifier: MIT */
#include "lib/parse/tlsrpt/tlsrpt.h"

#include "lib/parse/tags/tags.h"

#define MOST_NAME 32

static bool
is_version(const struct tag *t)
{
	return slice_eq(t->name, S("v")) && slice_eq(t->value, S("TLSRPTv1"));
}

bool
tlsrpt_is_record(struct slice txt)
{
	struct cursor c = cur_of(txt);
	struct tag t;

	return tag_next(&c, &t) && is_version(&t);
}

/* RFC 3986: unreserved, reserved and complete escapes; "," and ";" and "!" must be escaped here. */
static bool
is_uri_text(struct slice s)
{
	static const struct slice marks = S_INIT("-._~:/?#[]@$&'()*+=");

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		if (c == '%') {
			if (s.n - i < 3 || !ch_is_hex(slice_at(s, i + 1)) || !ch_is_hex(slice_at(s, i + 2)))
				return false;
		} else if (!ch_is_alnum(c) && slice_find_byte(marks, c) == SLICE_NONE) {
			return false;
		}
	}
	return s.n > 0;
}

static bool
take_uri(struct slice s, struct slice *address)
{
	struct slice scheme, rest, head, tail;
	size_t at;

	if (!slice_cut(s, ':', &scheme, &rest) || !is_uri_text(rest))
		return false;
	*address = S("");
	if (slice_ieq(scheme, S("https")))
		return slice_starts(rest, S("//"));
	if (!slice_ieq(scheme, S("mailto")))
		return false;
	*address = slice_cut(rest, '?', &head, &tail) ? head : rest;
	at = slice_rfind_byte(*address, '@');
	return at != SLICE_NONE && at > 0 && at + 1 < address->n;
}

bool
tlsrpt_uri_next(struct cursor *c, struct slice *uri, struct slice *address)
{
	while (cur_left(c) > 0) {
		struct slice piece, found;

		if (!cur_until(c, ',', &piece))
			piece = cur_rest(c);
		piece = slice_trim(piece);
		if (!take_uri(piece, &found))
			continue;
		*uri = piece;
		*address = found;
		return true;
	}
	return false;
}

/* Every piece of the list must be a URI. */
static bool
is_rua(struct slice v)
{
	bool more = true;

	while (more) {
		struct slice head = v, tail = S(""), address;

		more = slice_cut(v, ',', &head, &tail);
		v = tail;
		if (!take_uri(slice_trim(head), &address))
			return false;
	}
	return true;
}

static bool
is_extension(const struct tag *t)
{
	if (t->name.n == 0 || t->name.n > MOST_NAME || t->value.n == 0 ||
	    !ch_is_alnum(slice_at(t->name, 0)))
		return false;
	for (size_t i = 0; i < t->name.n; i++) {
		uint8_t c = slice_at(t->name, i);

		if (!ch_is_alnum(c) && c != '_' && c != '-' && c != '.')
			return false;
	}
	for (size_t i = 0; i < t->value.n; i++)
		if (!ch_is_vchar(slice_at(t->value, i)) || slice_at(t->value, i) == '=')
			return false;
	return true;
}

bool
tlsrpt_parse(struct slice txt, struct tlsrpt_record *out)
{
	struct cursor c = cur_of(txt);
	struct tlsrpt_record r = { .rua = S("") };
	struct tag t;

	if (txt.n > LIMIT_TLSRPT_RECORD || !tag_next(&c, &t) || !is_version(&t))
		return false;
	while (tag_next(&c, &t)) {
		if (slice_eq(t.name, S("rua"))) {
			if (r.rua.n > 0 || !is_rua(t.value))
				return false;
			r.rua = t.value;
		} else if (!is_extension(&t)) {
			return false;
		}
	}
	if (r.rua.n == 0)
		return false;
	*out = r;
	return true;
}
