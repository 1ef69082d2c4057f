/* SPDX-License-Identifier: MIT */
#include "lib/parse/smtp/command.h"

#include "lib/base/limits.h"

#define WORD_MAX 32

static const struct {
	struct slice word;
	enum smtp_verb verb;
} verbs[] = {
	{ S_INIT("EHLO"), SMTP_EHLO },
	{ S_INIT("HELO"), SMTP_HELO },
	{ S_INIT("STARTTLS"), SMTP_STARTTLS },
	{ S_INIT("AUTH"), SMTP_AUTH },
	{ S_INIT("MAIL"), SMTP_MAIL },
	{ S_INIT("RCPT"), SMTP_RCPT },
	{ S_INIT("DATA"), SMTP_DATA },
	{ S_INIT("RSET"), SMTP_RSET },
	{ S_INIT("NOOP"), SMTP_NOOP },
	{ S_INIT("VRFY"), SMTP_VRFY },
	{ S_INIT("EXPN"), SMTP_EXPN },
	{ S_INIT("HELP"), SMTP_HELP },
	{ S_INIT("QUIT"), SMTP_QUIT },
	/* RFC 9110 section 9, RFC 5789, RFC 9113 section 3.4 */
	{ S_INIT("GET"), SMTP_FOREIGN },
	{ S_INIT("HEAD"), SMTP_FOREIGN },
	{ S_INIT("POST"), SMTP_FOREIGN },
	{ S_INIT("PUT"), SMTP_FOREIGN },
	{ S_INIT("DELETE"), SMTP_FOREIGN },
	{ S_INIT("CONNECT"), SMTP_FOREIGN },
	{ S_INIT("OPTIONS"), SMTP_FOREIGN },
	{ S_INIT("TRACE"), SMTP_FOREIGN },
	{ S_INIT("PATCH"), SMTP_FOREIGN },
	{ S_INIT("PRI"), SMTP_FOREIGN },
};

static bool
is_word(uint8_t b)
{
	return ch_is_alnum(b) || b == '-';
}

static bool
is_not_blank(uint8_t b)
{
	return b != ' ';
}

bool
smtp_command_parse(struct slice line, struct smtp_command *out)
{
	struct smtp_command got = { .verb = SMTP_UNKNOWN, .ascii = true };
	struct cursor c = cur_of(line);

	for (size_t i = 0; i < line.n; i++) {
		uint8_t b = slice_at(line, i);

		if (b < 0x20 || b == 0x7f)
			return false;
		got.ascii = got.ascii && b < 0x80;
	}
	if (!cur_take(&c, is_word, WORD_MAX, &got.word))
		return false;
	if (cur_peek(&c) != -1 && cur_peek(&c) != ' ')
		return false;
	got.args = slice_trim(cur_rest(&c));
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		if (slice_ieq(got.word, verbs[i].word))
			got.verb = verbs[i].verb;
	*out = got;
	return true;
}

static bool
is_xchar(uint8_t b)
{
	return ch_is_vchar(b) && b != '+' && b != '=';
}

static int
upper_hex(int b)
{
	return b == -1 || (b >= 'a' && b <= 'f') ? -1 : ch_hex((uint8_t)b);
}

bool
smtp_xtext(struct slice in, struct arena *a, struct slice *out)
{
	uint8_t *p = arena_alloc(a, in.n + 1, 1);
	struct cursor c = cur_of(in);
	size_t n = 0;

	if (p == NULL)
		return false;
	for (int b; (b = cur_next(&c)) != -1;) {
		if (b == '+') {
			int high = upper_hex(cur_next(&c)), low = upper_hex(cur_next(&c));

			if (high < 0 || low < 0)
				return false;
			p[n++] = (uint8_t)(high * 16 + low);
		} else {
			if (!is_xchar((uint8_t)b))
				return false;
			p[n++] = (uint8_t)b;
		}
	}
	*out = slice_of(p, n);
	return true;
}

/* esmtp-param = esmtp-keyword ["=" esmtp-value]; RFC 5321 section 4.1.2. */
static bool
param(struct slice word, struct slice *key, struct slice *value)
{
	struct slice k = word, v = { NULL, 0 };

	if (slice_cut(word, '=', &k, &v) && v.n == 0)
		return false;
	if (k.n == 0 || !ch_is_alnum(slice_at(k, 0)))
		return false;
	for (size_t i = 0; i < k.n; i++)
		if (!is_word(slice_at(k, i)))
			return false;
	for (size_t i = 0; i < v.n; i++)
		if (!ch_is_vchar(slice_at(v, i)) || slice_at(v, i) == '=')
			return false;
	*key = k;
	*value = v;
	return true;
}

static enum smtp_syntax
size_param(struct slice value, struct smtp_mail *m)
{
	if (value.n == 0 || value.n > 20)
		return SMTP_SYNTAX_PARAM;
	for (size_t i = 0; i < value.n; i++)
		if (!ch_is_digit(slice_at(value, i)))
			return SMTP_SYNTAX_PARAM;
	return slice_u64(value, &m->size) ? SMTP_SYNTAX_OK : SMTP_SYNTAX_SIZE;
}

static enum smtp_syntax
auth_param(struct slice value, struct arena *a, struct smtp_mail *m)
{
	struct slice text;
	struct addr ad;

	if (!smtp_xtext(value, a, &text))
		return SMTP_SYNTAX_PARAM;
	if (slice_eq(text, S("<>")))
		text = S("");
	else if (addr_parse(text, a, &ad) != ADDR_OK)
		return SMTP_SYNTAX_PARAM;
	m->auth = text;
	return SMTP_SYNTAX_OK;
}

static enum smtp_syntax
body_param(struct slice value, struct smtp_mail *m)
{
	m->body_8bit = slice_ieq(value, S("8BITMIME"));
	return m->body_8bit || slice_ieq(value, S("7BIT")) ? SMTP_SYNTAX_OK : SMTP_SYNTAX_PARAM;
}

/* One parameter of MAIL; seen collects which were there. */
static enum smtp_syntax
mail_param(struct slice word, bool auth, struct arena *a, struct smtp_mail *m, unsigned *seen)
{
	enum { SIZE = 1, BODY = 2, AUTH = 4 };
	struct slice key, value;
	unsigned which;

	if (!param(word, &key, &value))
		return SMTP_SYNTAX_PARAM;
	which = slice_ieq(key, S("SIZE")) ? SIZE : slice_ieq(key, S("BODY")) ? BODY : 0;
	if (auth && slice_ieq(key, S("AUTH")))
		which = AUTH;
	if (which == 0)
		return SMTP_SYNTAX_PARAM_UNKNOWN;
	if ((*seen & which) != 0)
		return SMTP_SYNTAX_PARAM;
	*seen |= which;
	if (which == SIZE)
		return size_param(value, m);
	return which == BODY ? body_param(value, m) : auth_param(value, a, m);
}

/* "FROM:" or "TO:", any blanks (common, harmless), and the path. */
static enum smtp_syntax
path(struct cursor *c, struct slice word, bool null, struct arena *a, struct addr *out,
    enum addr_status *why)
{
	enum addr_status st;

	if (!cur_iword(c, word))
		return SMTP_SYNTAX_COMMAND;
	(void)cur_skip(c, ch_is_wsp);
	st = addr_path(c, a, null, !null, out);
	if (st != ADDR_OK) {
		*why = st;
		return SMTP_SYNTAX_ADDRESS;
	}
	if (cur_peek(c) != -1 && cur_peek(c) != ' ') {
		*why = ADDR_SYNTAX;
		return SMTP_SYNTAX_ADDRESS;
	}
	return SMTP_SYNTAX_OK;
}

enum smtp_syntax
smtp_mail_parse(struct slice args, bool auth, struct arena *a, struct smtp_mail *out,
    enum addr_status *why)
{
	struct cursor c = cur_of(args);
	struct smtp_mail got = { 0 };
	unsigned seen = 0;
	struct slice word;
	enum smtp_syntax st = path(&c, S("FROM:"), true, a, &got.from, why);

	while (st == SMTP_SYNTAX_OK && cur_skip(&c, ch_is_wsp) > 0) {
		if (!cur_take(&c, is_not_blank, args.n, &word))
			break;
		st = mail_param(word, auth, a, &got, &seen);
	}
	if (st == SMTP_SYNTAX_OK)
		*out = got;
	return st;
}

enum smtp_syntax
smtp_rcpt_parse(struct slice args, struct arena *a, struct addr *out, enum addr_status *why)
{
	struct cursor c = cur_of(args);
	struct slice word, key, value;
	struct addr got;
	enum smtp_syntax st = path(&c, S("TO:"), false, a, &got, why);

	if (st != SMTP_SYNTAX_OK)
		return st;
	(void)cur_skip(&c, ch_is_wsp);
	if (cur_take(&c, is_not_blank, args.n, &word))
		return param(word, &key, &value) ? SMTP_SYNTAX_PARAM_UNKNOWN : SMTP_SYNTAX_PARAM;
	*out = got;
	return SMTP_SYNTAX_OK;
}

static bool
is_helo(uint8_t b)
{
	return ch_is_alnum(b) || b == '.' || b == '-' || b == '_';
}

bool
smtp_helo_parse(struct slice args, struct slice *out)
{
	struct cursor c = cur_of(args);
	struct slice got;

	if (cur_peek(&c) == '[') {
		if (addr_literal(&c, &got) != ADDR_OK)
			return false;
	} else if (!cur_take(&c, is_helo, LIMIT_DOMAIN, &got)) {
		return false;
	}
	if (!cur_done(&c))
		return false;
	*out = got;
	return true;
}

static bool
is_mechanism(uint8_t b)
{
	return ch_is_alnum(b) || b == '-' || b == '_';
}

bool
smtp_auth_parse(struct slice args, struct slice *mechanism, struct slice *initial)
{
	struct slice m, i = { NULL, 0 };
	struct cursor c = cur_of(args);

	if (!cur_take(&c, is_mechanism, 20, &m))
		return false;
	if (cur_byte(&c, ' '))
		i = cur_rest(&c);
	if (!cur_done(&c) || (i.p != NULL && i.n == 0))
		return false;
	*mechanism = m;
	*initial = i;
	return true;
}
