/* SPDX-License-Identifier: MIT */
#include "lib/parse/smtp/command.h"

#include "lib/base/cursor.h"
#include "lib/base/limits.h"
#include "lib/parse/addr/envelope.h"

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
	{ S_INIT("BDAT"), SMTP_BDAT },
	{ S_INIT("RSET"), SMTP_RSET },
	{ S_INIT("NOOP"), SMTP_NOOP },
	{ S_INIT("VRFY"), SMTP_VRFY },
	{ S_INIT("EXPN"), SMTP_EXPN },
	{ S_INIT("HELP"), SMTP_HELP },
	{ S_INIT("QUIT"), SMTP_QUIT },
	{ S_INIT("XCLIENT"), SMTP_XCLIENT },
	{ S_INIT("LHLO"), SMTP_LHLO },
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

bool
smtp_bdat_parse(struct slice args, uint64_t *size, bool *last)
{
	struct cursor c = cur_of(args);
	struct slice digits;
	uint64_t n;

	if (!cur_take(&c, ch_is_digit, 20, &digits) || !slice_u64(digits, &n))
		return false;
	if (!cur_done(&c) && (cur_skip(&c, ch_is_wsp) == 0 || !cur_iword(&c, S("LAST")) || !cur_done(&c)))
		return false;
	*size = n;
	*last = c.at > digits.n;
	return true;
}
