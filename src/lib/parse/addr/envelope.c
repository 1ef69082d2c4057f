/* SPDX-License-Identifier: MIT */
#include "lib/parse/addr/envelope.h"

#include "lib/base/encode.h"
#include "lib/base/limits.h"

#define LABEL_MAX 63

/* atext of RFC 5322 section 3.2.3. */
static bool
is_atext(uint8_t b)
{
	return ch_is_alnum(b) || slice_find_byte(S("!#$%&'*+-/=?^_`{|}~"), b) != SLICE_NONE;
}

/* What may stand unescaped between quotes: RFC 5321 qtextSMTP. */
static bool
is_qtext(uint8_t b)
{
	return ch_is_print(b) && b != '"' && b != '\\';
}

static bool
is_let_dig_hyph(uint8_t b)
{
	return ch_is_alnum(b) || b == '-';
}

/* RFC 6531 section 3.3: UTF8-non-ascii belongs to atext, qtextSMTP and sub-domain. */
static bool
is_foreign(int b, bool utf8)
{
	return utf8 && b >= 0x80;
}

/* Valid UTF-8 without what could move a terminal's or a log's eye elsewhere: C1 controls, line and
 * paragraph separators, directional embeddings and isolates, the byte order mark. */
static bool
is_clean(struct slice s)
{
	if (!utf8_valid(s))
		return false;
	for (size_t at = 0; at < s.n;) {
		int32_t cp = utf8_next(s, &at);

		if ((cp >= 0x80 && cp < 0xa0) || (cp >= 0x2028 && cp <= 0x202e) ||
		    (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff)
			return false;
	}
	return true;
}

static bool
has_foreign(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (slice_at(s, i) >= 0x80)
			return true;
	return false;
}

static enum addr_status
wrong_byte(const struct cursor *c)
{
	return cur_peek(c) >= 0x80 ? ADDR_NOT_ASCII : ADDR_SYNTAX;
}

/* Dot-string = Atom *("." Atom) */
static enum addr_status
dot_string(struct cursor *c, bool utf8, struct slice *out)
{
	size_t from = c->at;
	bool atom = false;

	for (int b; (b = cur_peek(c)) != -1; (void)cur_next(c)) {
		if (b == '.' && !atom)
			return ADDR_SYNTAX;
		if (b != '.' && !is_atext((uint8_t)b) && !is_foreign(b, utf8))
			break;
		atom = b != '.';
		if (c->at - from == LIMIT_SMTP_LOCAL)
			return ADDR_LOCAL_LONG;
	}
	if (!atom)
		return wrong_byte(c);
	*out = slice_sub(c->in, from, c->at - from);
	return ADDR_OK;
}

/* Removes the backslashes of quoted-pairs. */
static bool
unquote(struct slice in, struct arena *a, struct slice *out)
{
	uint8_t *p;
	size_t n = 0;

	if (slice_find_byte(in, '\\') == SLICE_NONE) {
		*out = in;
		return true;
	}
	p = arena_alloc(a, in.n, 1);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		if (slice_at(in, i) == '\\')
			i++;
		p[n++] = slice_at(in, i);
	}
	*out = slice_of(p, n);
	return true;
}

/* Quoted-string = DQUOTE *( qtextSMTP / quoted-pairSMTP ) DQUOTE */
static enum addr_status
quoted_string(struct cursor *c, struct arena *a, bool utf8, struct slice *out)
{
	size_t from = c->at;
	struct slice raw;
	int b;

	(void)cur_next(c);
	while ((b = cur_peek(c)) != -1 && b != '"') {
		if (b == '\\') {
			(void)cur_next(c);
			b = cur_peek(c);
			if (b == -1 || !ch_is_print((uint8_t)b))
				return wrong_byte(c);
		} else if (!is_qtext((uint8_t)b) && !is_foreign(b, utf8)) {
			return wrong_byte(c);
		}
		(void)cur_next(c);
		if (c->at - from >= LIMIT_SMTP_LOCAL)
			return ADDR_LOCAL_LONG;
	}
	if (!cur_byte(c, '"'))
		return ADDR_SYNTAX;
	raw = slice_sub(c->in, from + 1, c->at - from - 2);
	return unquote(raw, a, out) ? ADDR_OK : ADDR_LOCAL_LONG;
}

static enum addr_status
domain(struct cursor *c, bool utf8, struct slice *out)
{
	size_t from = c->at, label;
	bool digits;

	do {
		label = c->at;
		digits = true;
		if (cur_peek(c) == '-')
			return ADDR_SYNTAX;
		for (int b; (b = cur_peek(c)) != -1 && (is_let_dig_hyph((uint8_t)b) || is_foreign(b, utf8));
		     (void)cur_next(c)) {
			digits = digits && ch_is_digit((uint8_t)b);
			if (c->at - label == LABEL_MAX)
				return ADDR_DOMAIN_LONG;
		}
		if (c->at == label)
			return wrong_byte(c);
		if (slice_at(c->in, c->at - 1) == '-')
			return ADDR_SYNTAX;
		if (c->at - from > LIMIT_DOMAIN)
			return ADDR_DOMAIN_LONG;
	} while (cur_byte(c, '.'));
	if (digits)
		return ADDR_SYNTAX;
	*out = slice_sub(c->in, from, c->at - from);
	return ADDR_OK;
}

enum addr_status
addr_domain(struct cursor *c, struct slice *out)
{
	return domain(c, false, out);
}

/* IPv4-address-literal = Snum 3("." Snum); Snum of at most three digits, 0..255. */
static bool
ipv4(struct slice s)
{
	struct cursor c = cur_of(s);

	for (int i = 0; i < 4; i++) {
		uint32_t v;
		size_t from;

		if (i > 0 && !cur_byte(&c, '.'))
			return false;
		from = c.at;
		if (!cur_u32(&c, 255, &v) || c.at - from > 3)
			return false;
	}
	return cur_done(&c);
}

/* One group of up to four hexadecimal digits. */
static bool
ipv6_group(struct cursor *c)
{
	struct slice hex;

	return cur_take(c, ch_is_hex, 4, &hex);
}

/* RFC 5321 section 4.1.3: eight groups, or "::" for at least two of them; the last two may be an IPv4
 * address. */
static bool
ipv6(struct slice s)
{
	struct cursor c = cur_of(s);
	size_t groups = 0;
	bool squeezed = false;

	while (!cur_done(&c)) {
		struct slice rest = slice_from(s, c.at);

		if (cur_word(&c, S("::"))) {
			if (squeezed)
				return false;
			squeezed = true;
			if (cur_done(&c))
				break;
			rest = slice_from(s, c.at);
		} else if (groups > 0) {
			if (!cur_byte(&c, ':'))
				return false;
			rest = slice_from(s, c.at);
		}
		if (slice_find_byte(rest, ':') == SLICE_NONE && slice_find_byte(rest, '.') != SLICE_NONE) {
			if (!ipv4(rest))
				return false;
			groups += 2;
			break;
		}
		if (!ipv6_group(&c) || ++groups > 8)
			return false;
	}
	return squeezed ? groups <= 6 : groups == 8;
}

enum addr_status
addr_literal(struct cursor *c, struct slice *out)
{
	size_t from = c->at;
	struct slice in, number;
	bool ok;

	if (!cur_byte(c, '[') || !cur_until(c, ']', &in))
		return ADDR_SYNTAX;
	if (in.n > 64)
		return ADDR_DOMAIN_LONG;
	if (slice_istarts(in, S("IPv6:"))) {
		number = slice_from(in, S("IPv6:").n);
		ok = ipv6(number);
	} else {
		ok = ipv4(in);
	}
	if (!ok)
		return ADDR_SYNTAX;
	*out = slice_sub(c->in, from, c->at - from);
	return ADDR_OK;
}

static enum addr_status
local_part(struct cursor *c, struct arena *a, bool utf8, struct slice *out)
{
	return cur_peek(c) == '"' ? quoted_string(c, a, utf8, out) : dot_string(c, utf8, out);
}

static enum addr_status
mailbox(struct cursor *c, struct arena *a, bool utf8, struct addr *out)
{
	struct addr got = { 0 };
	size_t from = c->at;
	enum addr_status st = local_part(c, a, utf8, &got.local);

	if (st != ADDR_OK)
		return st;
	if (!cur_byte(c, '@'))
		return wrong_byte(c);
	got.literal = cur_peek(c) == '[';
	st = got.literal ? addr_literal(c, &got.domain) : domain(c, utf8, &got.domain);
	if (st != ADDR_OK)
		return st;
	if (c->at - from > LIMIT_SMTP_MAILBOX)
		return ADDR_LONG;
	got.utf8 = has_foreign(got.local) || has_foreign(got.domain);
	if (got.utf8 && (!is_clean(got.local) || !is_clean(got.domain)))
		return ADDR_NOT_ASCII;
	*out = got;
	return ADDR_OK;
}

enum addr_status
addr_mailbox(struct cursor *c, struct arena *a, struct addr *out)
{
	return mailbox(c, a, false, out);
}

static enum addr_status
path(struct cursor *c, struct arena *a, bool null, bool postmaster, bool utf8, struct addr *out)
{
	struct addr got = { 0 };
	enum addr_status st = ADDR_OK;

	if (!cur_byte(c, '<'))
		return wrong_byte(c);
	if (cur_peek(c) == '@')
		return ADDR_ROUTE;
	if (null && cur_peek(c) == '>') {
		got.null = true;
	} else if (postmaster && slice_istarts(slice_from(c->in, c->at), S("postmaster>"))) {
		(void)cur_bytes(c, S("postmaster").n, &got.local);
	} else {
		st = mailbox(c, a, utf8, &got);
	}
	if (st != ADDR_OK)
		return st;
	if (!cur_byte(c, '>'))
		return wrong_byte(c);
	*out = got;
	return ADDR_OK;
}

enum addr_status
addr_path(struct cursor *c, struct arena *a, bool null, bool postmaster, struct addr *out)
{
	return path(c, a, null, postmaster, false, out);
}

enum addr_status
addr_path_utf8(struct cursor *c, struct arena *a, bool null, bool postmaster, struct addr *out)
{
	return path(c, a, null, postmaster, true, out);
}

static enum addr_status
parse(struct slice in, struct arena *a, bool utf8, struct addr *out)
{
	struct cursor c = cur_of(in);
	struct addr got;
	enum addr_status st = mailbox(&c, a, utf8, &got);

	if (st != ADDR_OK)
		return st;
	if (!cur_done(&c))
		return wrong_byte(&c);
	*out = got;
	return ADDR_OK;
}

enum addr_status
addr_parse(struct slice in, struct arena *a, struct addr *out)
{
	return parse(in, a, false, out);
}

enum addr_status
addr_parse_utf8(struct slice in, struct arena *a, struct addr *out)
{
	return parse(in, a, true, out);
}

bool
addr_eq(const struct addr *a, const struct addr *b)
{
	return a->null == b->null && slice_eq(a->local, b->local) && slice_ieq(a->domain, b->domain);
}
