/* SPDX-License-Identifier: MIT */
#include "lib/parse/smtp/params.h"

#include "lib/base/civil.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"

#define ENVID_MAX 100	/* RFC 3461 section 5.4 */
#define ORCPT_MAX 500	/* RFC 3461 section 5.4 */

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

/* esmtp-param = esmtp-keyword ["=" esmtp-value]; RFC 5321 section 4.1.2, RFC 6531 section 3.3. */
static bool
param(struct slice word, bool utf8, struct slice *key, struct slice *value)
{
	struct slice k = word, v = { NULL, 0 };

	if (slice_cut(word, '=', &k, &v) && v.n == 0)
		return false;
	if (k.n == 0 || !ch_is_alnum(slice_at(k, 0)))
		return false;
	for (size_t i = 0; i < k.n; i++)
		if (!is_word(slice_at(k, i)))
			return false;
	for (size_t i = 0; i < v.n; i++) {
		uint8_t b = slice_at(v, i);

		if (b >= 0x80 ? !utf8 : !ch_is_vchar(b) || b == '=')
			return false;
	}
	if (utf8 && !utf8_valid(v))
		return false;
	*key = k;
	*value = v;
	return true;
}

/* A parameter: its word, what has to be offered for it to be known, and its reader. */
struct mail_param {
	struct slice word;
	unsigned offer;
	enum smtp_syntax (*read)(struct slice value, struct arena *a, struct smtp_mail *m);
};

static enum smtp_syntax
good(bool ok)
{
	return ok ? SMTP_SYNTAX_OK : SMTP_SYNTAX_PARAM;
}

/* 1*9DIGIT */
static bool
nine_digits(struct cursor *c, uint32_t *out)
{
	struct slice digits;
	uint64_t n;

	if (!cur_take(c, ch_is_digit, 9, &digits) || !slice_u64(digits, &n))
		return false;
	*out = (uint32_t)n;
	return true;
}

static enum smtp_syntax
size_param(struct slice value, struct arena *a, struct smtp_mail *m)
{
	(void)a;
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
body_param(struct slice value, struct arena *a, struct smtp_mail *m)
{
	(void)a;
	m->body_8bit = slice_ieq(value, S("8BITMIME"));
	return good(m->body_8bit || slice_ieq(value, S("7BIT")));
}

static enum smtp_syntax
utf8_param(struct slice value, struct arena *a, struct smtp_mail *m)
{
	(void)a;
	m->utf8 = true;
	return good(value.p == NULL);
}

static enum smtp_syntax
requiretls_param(struct slice value, struct arena *a, struct smtp_mail *m)
{
	(void)a;
	m->requiretls = true;
	return good(value.p == NULL);
}

static enum smtp_syntax
ret_param(struct slice value, struct arena *a, struct smtp_mail *m)
{
	(void)a;
	m->ret = slice_ieq(value, S("FULL")) ? SMTP_RET_FULL : SMTP_RET_HDRS;
	return good(m->ret == SMTP_RET_FULL || slice_ieq(value, S("HDRS")));
}

/* xtext that decodes to printable ASCII: nothing in it can end a line or a string (S-081). */
static bool
printable_xtext(struct slice in, struct arena *a)
{
	struct slice text;

	if (!smtp_xtext(in, a, &text))
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (!ch_is_print(slice_at(text, i)))
			return false;
	return true;
}

static enum smtp_syntax
envid_param(struct slice value, struct arena *a, struct smtp_mail *m)
{
	m->envid = value;
	return good(value.n > 0 && value.n <= ENVID_MAX && printable_xtext(value, a));
}

static enum smtp_syntax
holdfor_param(struct slice value, struct arena *a, struct smtp_mail *m)
{
	struct cursor c = cur_of(value);

	(void)a;
	return good(m->hold_until_s == 0 && nine_digits(&c, &m->hold_for_s) && cur_done(&c) &&
	    m->hold_for_s > 0);
}

/* Two digits and the byte behind them. */
static bool
pair(struct cursor *c, uint32_t most, uint8_t behind, uint32_t *out)
{
	struct slice digits;
	uint64_t n;

	if (!cur_bytes(c, 2, &digits) || !ch_is_digit(slice_at(digits, 0)) || !slice_u64(digits, &n) ||
	    n > most || !cur_byte(c, behind))
		return false;
	*out = (uint32_t)n;
	return true;
}

/* The time of RFC 3339 without fractions and in UTC, which is what RFC 4865 section 4 has clients send:
 * "2026-11-25T20:15:00Z". */
static enum smtp_syntax
holduntil_param(struct slice value, struct arena *a, struct smtp_mail *m)
{
	struct cursor c = cur_of(value);
	uint32_t month, day, hour, minute, second;
	struct civil t = { 0 };
	struct slice digits;
	uint64_t year;

	(void)a;
	if (m->hold_for_s != 0 || !cur_bytes(&c, 4, &digits) || !ch_is_digit(slice_at(digits, 0)) ||
	    !slice_u64(digits, &year) || year < 1970 || !cur_byte(&c, '-') || !pair(&c, 12, '-', &month) ||
	    !pair(&c, 31, 'T', &day) || !pair(&c, 23, ':', &hour) || !pair(&c, 59, ':', &minute) ||
	    !pair(&c, 59, 'Z', &second) || !cur_done(&c))
		return SMTP_SYNTAX_PARAM;
	t = (struct civil){ .year = (int32_t)year, .month = (uint8_t)month, .day = (uint8_t)day,
		.hour = (uint8_t)hour, .minute = (uint8_t)minute, .second = (uint8_t)second };
	return good(civil_to_seconds(&t, &m->hold_until_s) && m->hold_until_s > 0);
}

/* RFC 2852 section 4: by-time ";" by-mode [by-trace]. Return needs time to be left. */
static enum smtp_syntax
by_param(struct slice value, struct arena *a, struct smtp_mail *m)
{
	struct cursor c = cur_of(value);
	bool minus = cur_byte(&c, '-');
	uint32_t n;

	(void)a;
	if (!minus)
		(void)cur_byte(&c, '+');
	if (!nine_digits(&c, &n) || !cur_byte(&c, ';'))
		return SMTP_SYNTAX_PARAM;
	m->by = true;
	m->by_s = minus ? -(int32_t)n : (int32_t)n;
	m->by_return = cur_iword(&c, S("R"));
	if (!m->by_return && !cur_iword(&c, S("N")))
		return SMTP_SYNTAX_PARAM;
	m->by_trace = cur_iword(&c, S("T"));
	return good(cur_done(&c) && (!m->by_return || m->by_s > 0));
}

static enum smtp_syntax
priority_param(struct slice value, struct arena *a, struct smtp_mail *m)
{
	struct cursor c = cur_of(value);
	bool minus = cur_byte(&c, '-');
	int b = cur_next(&c);

	(void)a;
	if (b < (minus ? '1' : '0') || b > '9' || !cur_done(&c))
		return SMTP_SYNTAX_PARAM;
	m->priority = minus ? '0' - b : b - '0';
	return SMTP_SYNTAX_OK;
}

static const struct mail_param mail_params[] = {
	{ S_INIT("SIZE"), 0, size_param },
	{ S_INIT("BODY"), 0, body_param },
	{ S_INIT("AUTH"), SMTP_OFFER_AUTH, auth_param },
	{ S_INIT("SMTPUTF8"), SMTP_OFFER_UTF8, utf8_param },
	{ S_INIT("RET"), SMTP_OFFER_DSN, ret_param },
	{ S_INIT("ENVID"), SMTP_OFFER_DSN, envid_param },
	{ S_INIT("REQUIRETLS"), SMTP_OFFER_REQUIRETLS, requiretls_param },
	{ S_INIT("HOLDFOR"), SMTP_OFFER_HOLD, holdfor_param },
	{ S_INIT("HOLDUNTIL"), SMTP_OFFER_HOLD, holduntil_param },
	{ S_INIT("BY"), SMTP_OFFER_BY, by_param },
	{ S_INIT("MT-PRIORITY"), SMTP_OFFER_PRIORITY, priority_param },
};

/* One parameter of MAIL; seen collects which were there. */
static enum smtp_syntax
mail_param(struct slice word, unsigned offers, struct arena *a, struct smtp_mail *m, unsigned *seen)
{
	struct slice key, value;

	if (!param(word, false, &key, &value))
		return SMTP_SYNTAX_PARAM;
	for (size_t i = 0; i < sizeof mail_params / sizeof mail_params[0]; i++) {
		const struct mail_param *p = &mail_params[i];

		if (!slice_ieq(key, p->word) || (p->offer & ~offers) != 0)
			continue;
		if ((*seen & 1u << i) != 0)
			return SMTP_SYNTAX_PARAM;
		*seen |= 1u << i;
		return p->read(value, a, m);
	}
	return SMTP_SYNTAX_PARAM_UNKNOWN;
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
	st = addr_path_utf8(c, a, null, !null, out);
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

static bool
foreign_letters(const struct addr *ad, bool utf8, enum addr_status *why)
{
	if (utf8 || !ad->utf8)
		return false;
	*why = ADDR_NOT_ASCII;
	return true;
}

enum smtp_syntax
smtp_mail_parse(struct slice args, unsigned offers, struct arena *a, struct smtp_mail *out,
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
		st = mail_param(word, offers, a, &got, &seen);
	}
	if (st == SMTP_SYNTAX_OK && foreign_letters(&got.from, got.utf8, why))
		return SMTP_SYNTAX_ADDRESS;
	if (st == SMTP_SYNTAX_OK)
		*out = got;
	return st;
}

/* NEVER alone, or a list of the others, each once. */
static enum smtp_syntax
notify_param(struct slice value, struct smtp_rcpt *r)
{
	static const struct {
		struct slice word;
		unsigned bit;
	} words[] = { { S_INIT("NEVER"), SMTP_NOTIFY_NEVER }, { S_INIT("SUCCESS"), SMTP_NOTIFY_SUCCESS },
		{ S_INIT("FAILURE"), SMTP_NOTIFY_FAILURE }, { S_INIT("DELAY"), SMTP_NOTIFY_DELAY } };
	bool more = value.n > 0;
	struct slice word, rest = value;

	if (!more)
		return SMTP_SYNTAX_PARAM;
	while (more) {
		unsigned bit = 0;

		more = slice_cut(rest, ',', &word, &rest);
		if (!more)
			word = rest;
		for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
			if (slice_ieq(word, words[i].word))
				bit = words[i].bit;
		if (bit == 0 || (r->notify & (bit | SMTP_NOTIFY_NEVER)) != 0 ||
		    (bit == SMTP_NOTIFY_NEVER && r->notify != 0))
			return SMTP_SYNTAX_PARAM;
		r->notify |= bit;
	}
	return SMTP_SYNTAX_OK;
}

/* addr-type ";" xtext (RFC 3461 section 4.2); with SMTPUTF8 the xtext of "utf-8" may hold UTF-8 as it
 * is (RFC 6533 section 3). */
static enum smtp_syntax
orcpt_param(struct slice value, bool utf8, struct arena *a, struct smtp_rcpt *r)
{
	struct cursor c = cur_of(value);
	struct slice type, text;

	if (value.n > ORCPT_MAX || !cur_take(&c, is_word, 40, &type) || !cur_byte(&c, ';'))
		return SMTP_SYNTAX_PARAM;
	text = cur_rest(&c);
	r->orcpt = value;
	if (text.n == 0)
		return SMTP_SYNTAX_PARAM;
	if (utf8 && slice_ieq(type, S("utf-8"))) {
		for (size_t i = 0; i < text.n; i++)
			if (!ch_is_vchar(slice_at(text, i)) && slice_at(text, i) < 0x80)
				return SMTP_SYNTAX_PARAM;
		return SMTP_SYNTAX_OK;
	}
	return good(printable_xtext(text, a));
}

enum smtp_syntax
smtp_rcpt_parse(struct slice args, unsigned offers, bool utf8, struct arena *a, struct smtp_rcpt *out,
    enum addr_status *why)
{
	struct cursor c = cur_of(args);
	struct smtp_rcpt got = { 0 };
	struct slice word, key, value;
	enum smtp_syntax st = path(&c, S("TO:"), false, a, &got.to, why);

	while (st == SMTP_SYNTAX_OK && cur_skip(&c, ch_is_wsp) > 0) {
		if (!cur_take(&c, is_not_blank, args.n, &word))
			break;
		if (!param(word, utf8, &key, &value))
			st = SMTP_SYNTAX_PARAM;
		else if ((offers & SMTP_OFFER_DSN) != 0 && slice_ieq(key, S("NOTIFY")))
			st = got.notify != 0 ? SMTP_SYNTAX_PARAM : notify_param(value, &got);
		else if ((offers & SMTP_OFFER_DSN) != 0 && slice_ieq(key, S("ORCPT")))
			st = got.orcpt.n > 0 ? SMTP_SYNTAX_PARAM : orcpt_param(value, utf8, a, &got);
		else
			st = SMTP_SYNTAX_PARAM_UNKNOWN;
	}
	if (st == SMTP_SYNTAX_OK && foreign_letters(&got.to, utf8, why))
		return SMTP_SYNTAX_ADDRESS;
	if (st == SMTP_SYNTAX_OK)
		*out = got;
	return st;
}
