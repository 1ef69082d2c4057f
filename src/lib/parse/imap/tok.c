/* SPDX-License-Identifier: MIT
 * Tokens: atoms, strings, literals, mailbox names, flags (RFC 3501 section 9). */
#include "lib/parse/imap/tok.h"

#include "lib/base/ckd.h"
#include "lib/base/encode.h"

/* atom-specials, without CTL and 8-bit */
static bool
special(uint8_t c)
{
	return c == '(' || c == ')' || c == '{' || c == '%' || c == '*' || c == '"' || c == '\\' ||
	    c == ']';
}

bool imap_is_atom(uint8_t c) { return ch_is_vchar(c) && !special(c); }
bool imap_is_astring(uint8_t c) { return imap_is_atom(c) || c == ']'; }
bool imap_is_tag(uint8_t c) { return imap_is_astring(c) && c != '+'; }
bool imap_is_list(uint8_t c) { return imap_is_astring(c) || c == '%' || c == '*'; }

static bool
is_keyword(uint8_t c)
{
	return ch_is_alnum(c) || c == '.' || c == '-';
}

struct slice
in_keyword(struct in *p)
{
	struct slice w = S("");

	(void)cur_take(p->c, is_keyword, 64, &w);
	return w;
}

enum imap_literal
imap_literal_at_end(struct slice line, uint64_t *n)
{
	bool now;
	size_t open;
	uint64_t v;
	struct slice digits;

	if (line.n < 3 || slice_at(line, line.n - 1) != '}')
		return IMAP_LITERAL_NONE;
	open = slice_rfind_byte(line, '{');
	if (open == SLICE_NONE)
		return IMAP_LITERAL_NONE;
	now = slice_at(line, line.n - 2) == '+';
	digits = slice_sub(line, open + 1, line.n - open - 2 - (now ? 1 : 0));
	for (size_t i = 0; i < digits.n; i++)
		if (!ch_is_digit(slice_at(digits, i)))
			return IMAP_LITERAL_NONE;
	if (digits.n == 0)
		return IMAP_LITERAL_NONE;
	*n = slice_u64(digits, &v) ? v : UINT64_MAX;
	return now ? IMAP_LITERAL_NOW : IMAP_LITERAL_SYNC;
}

bool
in_number(struct in *p, uint64_t max, uint64_t *out)
{
	return cur_u64(p->c, max, out);
}

bool
in_atom(struct in *p, struct slice *out)
{
	return cur_take(p->c, imap_is_atom, LIMIT_IMAP_LINE, out);
}

/* quoted: no CR, LF, NUL or 8-bit (I-008); only '"' and '\' may be escaped. */
static bool
quoted(struct in *p, struct slice *out)
{
	size_t from, n = 0, escapes = 0;
	uint8_t *copy;
	struct slice raw;
	int b;

	if (!cur_byte(p->c, '"'))
		return false;
	from = p->c->at;
	while ((b = cur_next(p->c)) != '"') {
		if (b == '\\') {
			b = cur_next(p->c);
			if (b != '"' && b != '\\')
				return false;
			escapes++;
		}
		if (b <= 0 || b > 0x7f || b == '\r' || b == '\n')
			return false;
	}
	raw = slice_sub(p->c->in, from, p->c->at - 1 - from);
	if (escapes == 0) {
		*out = raw;
		return true;
	}
	copy = arena_alloc(p->a, raw.n, 1);
	if (copy == NULL)
		return in_over(p, IMAP_OVER);
	for (size_t i = 0; i < raw.n; i++) {
		if (slice_at(raw, i) == '\\')
			i++;
		copy[n++] = slice_at(raw, i);
	}
	*out = slice_of(copy, n);
	return true;
}

/* literal in place: "{" n ["+"] "}" CRLF and n bytes without NUL. */
static bool
literal(struct in *p, struct slice *out)
{
	uint64_t n;
	struct slice s;

	if (!cur_byte(p->c, '{') || !in_number(p, UINT64_MAX, &n))
		return false;
	(void)cur_byte(p->c, '+');
	if (!cur_word(p->c, S("}\r\n")) || n > cur_left(p->c) || !cur_bytes(p->c, (size_t)n, &s))
		return false;
	if (slice_find_byte(s, 0) != SLICE_NONE)
		return false;
	*out = s;
	return true;
}

bool
in_string(struct in *p, struct slice *out)
{
	return cur_peek(p->c) == '{' ? literal(p, out) : quoted(p, out);
}

bool
in_astring(struct in *p, struct slice *out)
{
	int b = cur_peek(p->c);

	if (b == '"' || b == '{')
		return in_string(p, out);
	return cur_take(p->c, imap_is_astring, LIMIT_IMAP_LINE, out);
}

bool
in_nstring(struct in *p, struct slice *out)
{
	if (cur_iword(p->c, S("NIL"))) {
		*out = S("");
		return true;
	}
	return in_string(p, out);
}

static bool
decode_name(struct in *p, struct slice raw, struct imap_mailbox *out)
{
	struct imap_mailbox m = { raw, true };

	if (imap_name_is_inbox(raw)) {
		m.name = S("INBOX");
	} else if (raw.n > 4 * LIMIT_IMAP_MAILBOX) {
		m.valid = false; /* base64 of UTF-16 is at most 8/3 of UTF-8, so no name is lost */
	} else if (!ascii_only(raw) || slice_find_byte(raw, '&') != SLICE_NONE) {
		m.valid = imap_mutf7_decode(raw, p->a, &m.name);
	}
	*out = m;
	return true;
}

bool
in_mailbox(struct in *p, struct imap_mailbox *out)
{
	struct slice raw;

	return in_astring(p, &raw) && decode_name(p, raw, out);
}

bool
in_pattern(struct in *p, struct imap_mailbox *out)
{
	int b = cur_peek(p->c);
	struct slice raw;

	if (b == '"' || b == '{') {
		if (!in_string(p, &raw))
			return false;
	} else if (!cur_take(p->c, imap_is_list, LIMIT_IMAP_LINE, &raw)) {
		return false;
	}
	*out = (struct imap_mailbox){ raw, true };
	if (!ascii_only(raw) || slice_find_byte(raw, '&') != SLICE_NONE)
		out->valid = imap_mutf7_decode(raw, p->a, &out->name);
	return true;
}

bool
in_push(struct in *p, struct slice **v, size_t *n, size_t *cap, size_t max, struct slice s)
{
	if (*n == max)
		return in_over(p, IMAP_OVER);
	if (*n == *cap) {
		size_t want = *cap == 0 ? 4 : *cap * 2;
		struct slice *grown = ARENA_ARRAY(p->a, want, struct slice);

		if (grown == NULL)
			return in_over(p, IMAP_OVER);
		for (size_t i = 0; i < *n; i++)
			grown[i] = (*v)[i];
		*v = grown;
		*cap = want;
	}
	(*v)[(*n)++] = s;
	return true;
}

uint32_t
imap_flag_bit(struct slice name)
{
	static const struct {
		struct slice name;
		uint32_t bit;
	} known[] = {
		{ S_INIT("\\Seen"), IMAP_SEEN },       { S_INIT("\\Answered"), IMAP_ANSWERED },
		{ S_INIT("\\Flagged"), IMAP_FLAGGED }, { S_INIT("\\Deleted"), IMAP_DELETED },
		{ S_INIT("\\Draft"), IMAP_DRAFT },     { S_INIT("\\Recent"), IMAP_RECENT },
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (slice_ieq(known[i].name, name))
			return known[i].bit;
	return 0;
}

static bool
system_flag(struct in *p, struct imap_flags *f)
{
	size_t from = p->c->at;
	uint32_t bit;
	struct slice word;

	if (!cur_byte(p->c, '\\') || !in_atom(p, &word))
		return false;
	bit = imap_flag_bit(slice_sub(p->c->in, from, p->c->at - from));
	if (bit == 0 || bit == IMAP_RECENT)
		return false; /* RFC 3501: a client cannot alter \Recent, and no other is defined */
	f->system |= bit;
	return true;
}

static bool
keyword_flag(struct in *p, struct imap_flags *f, size_t *cap)
{
	struct slice word;

	if (!in_atom(p, &word))
		return false;
	if (word.n > LIMIT_IMAP_KEYWORD)
		return in_over(p, IMAP_OVER);
	for (size_t i = 0; i < f->n_keywords; i++)
		if (slice_ieq(f->keyword[i], word))
			return true;
	return in_push(p, &f->keyword, &f->n_keywords, cap, LIMIT_IMAP_KEYWORDS, word);
}

bool
in_flags(struct in *p, bool bare, struct imap_flags *out)
{
	struct imap_flags f = { 0 };
	size_t cap = 0;

	if (!bare && (!cur_byte(p->c, '(')))
		return false;
	if (bare || cur_peek(p->c) != ')') {
		do {
			if (!(cur_peek(p->c) == '\\' ? system_flag(p, &f) :
						       keyword_flag(p, &f, &cap)))
				return false;
		} while (in_sp(p));
	}
	if (!bare && !cur_byte(p->c, ')'))
		return false;
	*out = f;
	return true;
}
