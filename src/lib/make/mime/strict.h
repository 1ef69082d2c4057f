/* SPDX-License-Identifier: MIT
 * A client that believes nothing: reads ENVELOPE, BODY and BODYSTRUCTURE by the grammar of RFC 3501
 * section 9 and nothing else. For tests and fuzzing of the writers. */
#pragma once

#include "lib/base/cursor.h"

static inline bool
strict_nil(struct cursor *c)
{
	return cur_word(c, S("NIL"));
}

/* quoted or literal; *out, when it is not NULL, gets the octets (backslashes kept). */
static inline bool
strict_string(struct cursor *c, struct slice *out)
{
	uint64_t n;
	struct slice s;
	size_t from;

	if (cur_byte(c, '{')) {
		if (!cur_u64(c, UINT32_MAX, &n) || !cur_word(c, S("}\r\n")) ||
		    !cur_bytes(c, (size_t)n, &s) || slice_find_byte(s, 0) != SLICE_NONE)
			return false;
		if (out != NULL)
			*out = s;
		return true;
	}
	if (!cur_byte(c, '"'))
		return false;
	from = c->at;
	for (int b; (b = cur_next(c)) != -1;) {
		if (b == '"') {
			if (out != NULL)
				*out = slice_sub(c->in, from, c->at - 1 - from);
			return true;
		}
		if (b == '\\') {
			b = cur_next(c);
			if (b != '"' && b != '\\')
				return false;
		} else if (b == 0 || b == '\r' || b == '\n' || b > 0x7f) {
			return false;
		}
	}
	return false;
}

static inline bool
strict_nstring(struct cursor *c)
{
	return strict_nil(c) || strict_string(c, NULL);
}

/* n nstrings with spaces between. */
static inline bool
strict_nstrings(struct cursor *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((i > 0 && !cur_byte(c, ' ')) || !strict_nstring(c))
			return false;
	return true;
}

static inline bool
strict_addresses(struct cursor *c)
{
	size_t n = 0;

	if (strict_nil(c))
		return true;
	if (!cur_byte(c, '('))
		return false;
	for (; cur_byte(c, '('); n++)
		if (!strict_nstrings(c, 4) || !cur_byte(c, ')'))
			return false;
	return n > 0 && cur_byte(c, ')');
}

static inline bool
strict_envelope(struct cursor *c)
{
	if (!cur_byte(c, '(') || !strict_nstrings(c, 2))
		return false;
	for (size_t i = 0; i < 6; i++)
		if (!cur_byte(c, ' ') || !strict_addresses(c))
			return false;
	return cur_byte(c, ' ') && strict_nstrings(c, 2) && cur_byte(c, ')');
}

static inline bool
strict_params(struct cursor *c)
{
	size_t n = 0;

	if (strict_nil(c))
		return true;
	if (!cur_byte(c, '('))
		return false;
	do {
		if (!strict_string(c, NULL))
			return false;
		n++;
	} while (cur_byte(c, ' '));
	return n % 2 == 0 && cur_byte(c, ')');
}

static inline bool
strict_number(struct cursor *c)
{
	uint64_t n;

	return cur_u64(c, UINT32_MAX, &n);
}

/* SP dsp SP lang SP loc */
static inline bool
strict_tail(struct cursor *c)
{
	if (!cur_byte(c, ' '))
		return false;
	if (!strict_nil(c) && (!cur_byte(c, '(') || !strict_string(c, NULL) || !cur_byte(c, ' ') ||
				  !strict_params(c) || !cur_byte(c, ')')))
		return false;
	if (!cur_byte(c, ' '))
		return false;
	if (cur_byte(c, '(')) {
		do {
			if (!strict_string(c, NULL))
				return false;
		} while (cur_byte(c, ' '));
		if (!cur_byte(c, ')'))
			return false;
	} else if (!strict_nstring(c)) {
		return false;
	}
	return cur_byte(c, ' ') && strict_nstring(c);
}

/* One body; nothing may nest deeper than depth. *parts counts bodies. */
static inline bool
strict_body(struct cursor *c, bool extended, unsigned depth, size_t *parts)
{
	struct slice type, subtype;

	if (depth == 0 || !cur_byte(c, '('))
		return false;
	++*parts;
	if (cur_peek(c) == '(') {
		while (cur_peek(c) == '(')
			if (!strict_body(c, extended, depth - 1, parts))
				return false;
		if (!cur_byte(c, ' ') || !strict_string(c, NULL))
			return false;
		return (!extended || (cur_byte(c, ' ') && strict_params(c) && strict_tail(c))) &&
		    cur_byte(c, ')');
	}
	if (!strict_string(c, &type) || !cur_byte(c, ' ') || !strict_string(c, &subtype) ||
	    !cur_byte(c, ' ') || !strict_params(c) || !cur_byte(c, ' ') || !strict_nstrings(c, 2) ||
	    !cur_byte(c, ' ') || !strict_string(c, NULL) || !cur_byte(c, ' ') || !strict_number(c))
		return false;
	if (slice_ieq(type, S("text")) && (!cur_byte(c, ' ') || !strict_number(c)))
		return false;
	if (slice_ieq(type, S("message")) &&
	    (slice_ieq(subtype, S("rfc822")) || slice_ieq(subtype, S("global"))))
		if (!cur_byte(c, ' ') || !strict_envelope(c) || !cur_byte(c, ' ') ||
		    !strict_body(c, extended, depth - 1, parts) || !cur_byte(c, ' ') ||
		    !strict_number(c))
			return false;
	return (!extended || (cur_byte(c, ' ') && strict_nstring(c) && strict_tail(c))) &&
	    cur_byte(c, ')');
}
