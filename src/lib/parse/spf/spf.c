/* SPDX-License-Identifier: MIT
 * SPF terms and macro strings, RFC 7208 section 12. */
#include "lib/parse/spf/spf.h"

#define VERSION S("v=spf1")

static bool is_term(uint8_t c) { return c != ' '; }
static bool is_sp(uint8_t c) { return c == ' '; }
static bool is_name(uint8_t c) { return ch_is_alnum(c) || c == '-' || c == '_' || c == '.'; }
static bool is_literal(uint8_t c) { return ch_is_vchar(c) && c != '%'; }
static bool is_text_literal(uint8_t c) { return ch_is_print(c) && c != '%'; }

static bool
is_delimiter(uint8_t c)
{
	return c == '.' || c == '-' || c == '+' || c == ',' || c == '/' || c == '_' || c == '=';
}

/* What follows "%{": letter, number, r, delimiters, "}". */
static bool
take_macro(struct cursor *c, bool in_text, struct spf_macro *m)
{
	static const struct slice plain = S_INIT("slodiphv"), text_only = S_INIT("crt");
	int letter = cur_next(c);
	uint32_t keep = 0;
	size_t from = c->at;

	if (letter == -1)
		return cur_fail(c);
	m->escape = ch_is_upper((uint8_t)letter);
	m->letter = ch_lower((uint8_t)letter);
	if (slice_find_byte(plain, m->letter) == SLICE_NONE &&
	    !(in_text && slice_find_byte(text_only, m->letter) != SLICE_NONE))
		return cur_fail(c);
	/* a number beyond the labels of a name keeps everything; zero is an error (7.1) */
	for (int d; (d = cur_peek(c)) != -1 && ch_is_digit((uint8_t)d); (void)cur_next(c))
		keep = keep > 1000 ? keep : keep * 10 + (uint32_t)(d - '0');
	if (c->at > from && keep == 0)
		return cur_fail(c);
	m->keep = keep;
	m->reverse = cur_byte(c, 'r') || cur_byte(c, 'R');
	(void)cur_take(c, is_delimiter, LIMIT_SPF_RECORD, &m->delimiters);
	return cur_byte(c, '}') || cur_fail(c);
}

bool
spf_macro_next(struct cursor *c, bool in_text, struct spf_macro *out)
{
	struct spf_macro m = { 0 };

	if (cur_left(c) == 0)
		return false;
	if (cur_take(c, in_text ? is_text_literal : is_literal, SIZE_MAX, &m.literal)) {
		*out = m;
		return true;
	}
	if (!cur_byte(c, '%'))
		return cur_fail(c);
	switch (cur_next(c)) {
	case '%':
		m.literal = S("%");
		break;
	case '_':
		m.literal = S(" ");
		break;
	case '-':
		m.literal = S("%20");
		break;
	case '{':
		if (!take_macro(c, in_text, &m))
			return false;
		break;
	default:
		return cur_fail(c);
	}
	*out = m;
	return true;
}

/* toplabel: letters, digits and inner dashes, not all digits. */
static bool
is_toplabel(struct slice s)
{
	bool other = false;

	if (s.n == 0 || slice_at(s, 0) == '-' || slice_at(s, s.n - 1) == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t b = slice_at(s, i);

		if (!ch_is_alnum(b) && b != '-')
			return false;
		other = other || !ch_is_digit(b);
	}
	return other;
}

/* domain-spec = macro-string domain-end: it ends in a macro, or in "." toplabel ["."]. */
static bool
is_domain_spec(struct slice s)
{
	struct cursor c = cur_of(s);
	struct spf_macro m = { 0 };
	size_t dot;
	bool any = false;

	while (spf_macro_next(&c, false, &m))
		any = true;
	if (!any || c.bad)
		return false;
	if (m.letter != 0)
		return true;
	/* the last piece is literal: a dot inside a macro before it leaves "}" in the label */
	if (slice_at(s, s.n - 1) == '.')
		s = slice_head(s, s.n - 1);
	dot = slice_rfind_byte(s, '.');
	return dot != SLICE_NONE && is_toplabel(slice_from(s, dot + 1));
}

/* "/" number at the end of *s, without leading zeros, at most max; it is cut off. True also when
 * there is none (*bits stays); false when it is wrong. */
static bool
cut_bits(struct slice *s, struct slice slash, unsigned max, unsigned *bits)
{
	size_t at = s->n;
	uint32_t v;
	struct slice digits;

	while (at > 0 && ch_is_digit(slice_at(*s, at - 1)))
		at--;
	if (at == s->n || !slice_ends(slice_head(*s, at), slash))
		return true;
	digits = slice_from(*s, at);
	if (!slice_u32(digits, &v) || v > max || (digits.n > 1 && slice_at(digits, 0) == '0'))
		return false;
	*s = slice_head(*s, at - slash.n);
	*bits = v;
	return true;
}

/* [":" domain-spec] [dual-cidr-length] */
static bool
take_dual(struct slice rest, struct spf_term *t)
{
	t->bits4 = 32;
	t->bits6 = 128;
	if (!cut_bits(&rest, S("//"), 128, &t->bits6) || !cut_bits(&rest, S("/"), 32, &t->bits4))
		return false;
	if (rest.n == 0)
		return true;
	t->domain = slice_from(rest, 1);
	return slice_at(rest, 0) == ':' && is_domain_spec(t->domain);
}

static bool
take_net(struct slice rest, struct spf_term *t)
{
	t->bits4 = 32;
	t->bits6 = 128;
	if (rest.n == 0 || slice_at(rest, 0) != ':')
		return false;
	rest = slice_from(rest, 1);
	if (t->kind == SPF_IP4)
		return cut_bits(&rest, S("/"), 32, &t->bits4) && ip4_parse(rest, &t->net);
	return cut_bits(&rest, S("/"), 128, &t->bits6) && ip6_parse(rest, &t->net);
}

static bool
take_mechanism(struct slice name, struct slice rest, struct spf_term *t)
{
	static const struct {
		struct slice name;
		enum spf_kind kind;
	} table[] = { { S_INIT("all"), SPF_ALL }, { S_INIT("include"), SPF_INCLUDE },
		{ S_INIT("a"), SPF_A }, { S_INIT("mx"), SPF_MX }, { S_INIT("ptr"), SPF_PTR },
		{ S_INIT("ip4"), SPF_IP4 }, { S_INIT("ip6"), SPF_IP6 },
		{ S_INIT("exists"), SPF_EXISTS } };
	size_t i = 0;

	while (i < sizeof table / sizeof *table && !slice_ieq(name, table[i].name))
		i++;
	if (i == sizeof table / sizeof *table)
		return false;
	t->kind = table[i].kind;
	if (t->kind == SPF_ALL)
		return rest.n == 0;
	if (t->kind == SPF_A || t->kind == SPF_MX)
		return take_dual(rest, t);
	if (t->kind == SPF_IP4 || t->kind == SPF_IP6)
		return take_net(rest, t);
	if (rest.n == 0)
		return t->kind == SPF_PTR;
	t->domain = slice_from(rest, 1);
	return slice_at(rest, 0) == ':' && is_domain_spec(t->domain);
}

static bool
take_modifier(struct slice name, struct slice value, struct spf_term *t)
{
	struct cursor c = cur_of(value);
	struct spf_macro m;

	t->domain = value;
	t->kind = SPF_OTHER;
	if (slice_ieq(name, S("redirect")))
		t->kind = SPF_REDIRECT;
	if (slice_ieq(name, S("exp")))
		t->kind = SPF_EXP;
	if (t->kind != SPF_OTHER)
		return is_domain_spec(value);
	while (spf_macro_next(&c, true, &m))
		;
	return !c.bad;
}

static bool
take_term(struct slice text, struct spf_term *out)
{
	struct cursor c = cur_of(text);
	struct spf_term t = { .text = text, .qualifier = '+' };
	struct slice name;
	int first = cur_peek(&c);
	bool qualified = first == '+' || first == '-' || first == '~' || first == '?';

	for (size_t i = 0; i < text.n; i++)
		if (!ch_is_vchar(slice_at(text, i)))
			return false;
	if (qualified)
		t.qualifier = (uint8_t)cur_next(&c);
	if (cur_peek(&c) == -1 || !ch_is_alpha((uint8_t)cur_peek(&c)) ||
	    !cur_take(&c, is_name, text.n, &name))
		return false;
	if (cur_byte(&c, '=')) {
		if (qualified || !take_modifier(name, cur_rest(&c), &t))
			return false;
	} else if (!take_mechanism(name, cur_rest(&c), &t)) {
		return false;
	}
	*out = t;
	return true;
}

bool
spf_next(struct cursor *c, struct spf_term *out)
{
	struct slice text;

	(void)cur_skip(c, is_sp);
	if (!cur_take(c, is_term, SIZE_MAX, &text))
		return false;
	return take_term(text, out) || cur_fail(c);
}

bool
spf_is_record(struct slice txt)
{
	return slice_istarts(txt, VERSION) &&
	       (txt.n == VERSION.n || slice_at(txt, VERSION.n) == ' ');
}

bool
spf_parse(struct slice txt, struct spf_record *out)
{
	struct spf_record r = { 0 };
	struct spf_term t;
	struct cursor c;

	if (!spf_is_record(txt) || txt.n > LIMIT_SPF_RECORD)
		return false;
	r.text = slice_from(txt, VERSION.n);
	c = cur_of(r.text);
	while (spf_next(&c, &t)) {
		struct slice *once = t.kind == SPF_REDIRECT ? &r.redirect
				     : t.kind == SPF_EXP    ? &r.exp
							    : NULL;

		r.terms++;
		if (once != NULL && once->n > 0)
			return false;
		if (once != NULL)
			*once = t.domain;
	}
	if (!cur_done(&c))
		return false;
	*out = r;
	return true;
}
