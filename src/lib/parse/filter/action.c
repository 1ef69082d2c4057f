/* SPDX-License-Identifier: MIT
 * What is to be done: the action's word and what it takes. */
#include <stdio.h>

#include "lib/parse/filter/action.h"

enum takes {
	TAKES_WORDS = 1,   /* a text for people: printable ASCII */
	TAKES_FIELD = 2,   /* a line of mail, and not without it */
	TAKES_ADDRESS = 4, /* an address, and not without it */
	TAKES_POINTS = 8,
	TAKES_CODES = 16,
	AT_THRESHOLD = 32, /* can stand behind a threshold */
};

static const struct {
	struct slice word;
	enum filter_action action;
	unsigned takes;
} ACTIONS[] = {
	{ S_INIT("DUNNO"), FILTER_DUNNO, 0 },
	{ S_INIT("ACCEPT"), FILTER_ACCEPT, TAKES_WORDS },
	{ S_INIT("WARN"), FILTER_WARN, TAKES_WORDS | AT_THRESHOLD },
	{ S_INIT("INFO"), FILTER_INFO, TAKES_WORDS | AT_THRESHOLD },
	{ S_INIT("SCORE"), FILTER_SCORE, TAKES_POINTS | TAKES_WORDS },
	{ S_INIT("PREPEND"), FILTER_PREPEND, TAKES_FIELD },
	{ S_INIT("REMOVE"), FILTER_REMOVE, TAKES_WORDS },
	{ S_INIT("REPLACE"), FILTER_REPLACE, TAKES_FIELD },
	{ S_INIT("HOLD"), FILTER_HOLD, TAKES_WORDS | AT_THRESHOLD },
	{ S_INIT("JUNK"), FILTER_JUNK, TAKES_WORDS | AT_THRESHOLD },
	{ S_INIT("REDIRECT"), FILTER_REDIRECT, TAKES_ADDRESS | AT_THRESHOLD },
	{ S_INIT("DISCARD"), FILTER_DISCARD, TAKES_WORDS | AT_THRESHOLD },
	{ S_INIT("REJECT"), FILTER_REJECT, TAKES_CODES | TAKES_WORDS | AT_THRESHOLD },
	/* Postfix's words for the same */
	{ S_INIT("PASS"), FILTER_ACCEPT, TAKES_WORDS },
	{ S_INIT("OK"), FILTER_DUNNO, 0 },
	{ S_INIT("IGNORE"), FILTER_REMOVE, TAKES_WORDS },
	{ S_INIT("STRIP"), FILTER_REMOVE, TAKES_WORDS },
};
#define N_ACTIONS (sizeof ACTIONS / sizeof *ACTIONS)

const char *
filter_action_name(enum filter_action a)
{
	for (size_t i = 0; i < N_ACTIONS; i++)
		if (ACTIONS[i].action == a)
			return (const char *)ACTIONS[i].word.p;
	return "?";
}

bool
filter_is_field(struct slice line)
{
	size_t colon = slice_find_byte(line, ':');

	if (colon == SLICE_NONE || colon == 0)
		return false;
	for (size_t i = 0; i < line.n; i++) {
		uint8_t b = slice_at(line, i);

		if (i < colon ? !ch_is_vchar(b) : !(ch_is_print(b) || b == '\t' || b >= 0x80))
			return false;
	}
	return true;
}

bool
filter_read_points(struct filter_line *l, struct cursor *c, struct filter_rule *out)
{
	struct slice word;
	struct cursor n;
	bool minus;
	uint32_t v;
	size_t at;

	if (!filter_word(c, &word, &at))
		return filter_wrong(l, c->at, "a number of points is expected here");
	n = cur_of(word);
	minus = cur_byte(&n, '-');
	if (!minus)
		(void)cur_byte(&n, '+');
	if (!cur_u32(&n, LIMIT_FILTER_SCORE, &v) || !cur_done(&n))
		return filter_wrong(l, at, "points are a whole number from -1000 to 1000");
	out->points = minus ? -(int32_t)v : (int32_t)v;
	return true;
}

/* "550" and "5.7.1" where they stand, each alone or both; they have to agree. */
static bool
read_codes(struct filter_line *l, struct cursor *c, struct filter_rule *out)
{
	struct cursor before = *c;
	struct slice word;
	uint32_t code;
	size_t at;

	if (filter_word(c, &word, &at) && word.n == 3 && slice_u32(word, &code)) {
		if (code < 400 || code > 599)
			return filter_wrong(l, at, "a refusal has a code from 400 to 599");
		out->code = code;
		before = *c;
	} else {
		*c = before;
	}
	if (filter_word(c, &word, &at) && word.n >= 5 && slice_at(word, 1) == '.' && ch_is_digit(slice_at(word, 0))) {
		struct cursor e = cur_of(slice_from(word, 2));
		uint32_t subject, detail;

		if ((slice_at(word, 0) != '4' && slice_at(word, 0) != '5') || !cur_u32(&e, 999, &subject) ||
		    !cur_byte(&e, '.') || !cur_u32(&e, 999, &detail) || !cur_done(&e) || word.n > 9)
			return filter_wrong(l, at, "an enhanced status code is like 5.7.1 or 4.7.1");
		if (out->code != 0 && out->code / 100 != (uint32_t)(slice_at(word, 0) - '0'))
			return filter_wrong(l, at, "the two codes of a refusal have to be of one class");
		out->enhanced = word;
	} else {
		*c = before;
	}
	return true;
}

/* Only what the administrator wrote is ever a recipient: no substitution, and a plain mailbox. */
static bool
is_address(struct slice s)
{
	size_t at = slice_rfind_byte(s, '@');

	if (at == SLICE_NONE || at == 0 || at > 64 || s.n - at < 2 || s.n > 254)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t b = slice_at(s, i);

		if (!ch_is_vchar(b) || slice_find_byte(S("<>()[],;:\\\"$"), b) != SLICE_NONE ||
		    (b == '@' && i != at) || (i > at && !ch_is_alnum(b) && b != '.' && b != '-'))
			return false;
	}
	return slice_at(s, s.n - 1) != '.' && slice_at(s, at + 1) != '.';
}

static bool
read_text(struct filter_line *l, struct cursor *c, unsigned takes, struct filter_rule *out)
{
	size_t at;

	(void)cur_skip(c, ch_is_wsp);
	at = c->at;
	out->text = slice_trim(cur_rest(c));
	out->text_at = filter_place_of(l, at);
	if ((takes & (TAKES_WORDS | TAKES_FIELD | TAKES_ADDRESS)) == 0)
		return out->text.n == 0 || filter_wrong(l, at, "this action takes nothing more");
	if ((takes & TAKES_ADDRESS) != 0)
		return is_address(out->text) || filter_wrong(l, at, "an address is expected here: name@domain");
	if ((takes & TAKES_FIELD) != 0 && out->text.n == 0)
		return filter_wrong(l, at, "the line that is to be there is expected here");
	if (out->text.n > ((takes & TAKES_FIELD) != 0 ? LIMIT_FILTER_FIELD : LIMIT_FILTER_TEXT))
		return filter_wrong(l, at, "this text is too long");
	for (size_t i = 0; i < out->text.n; i++) {
		uint8_t b = slice_at(out->text, i);

		if (!ch_is_print(b) && b != '\t' && !((takes & TAKES_FIELD) != 0 && b >= 0x80))
			return filter_wrong(l, at + i, "this octet cannot stand in such a text");
	}
	/* "$" may make a name, which is then looked at when it is known */
	if ((takes & TAKES_FIELD) != 0 && (out->lines & FILTER_BODY) == 0 && !filter_is_field(out->text) &&
	    slice_find_byte(out->text, '$') == SLICE_NONE)
		return filter_wrong(l, at, "a header field is expected here: \"Name: text\"");
	return true;
}

bool
filter_read_action(struct filter_line *l, struct cursor *c, struct filter_rule *out)
{
	struct slice word;
	size_t at, i;

	if (!filter_word(c, &word, &at))
		return filter_wrong(l, c->at, "an action is expected here");
	for (i = 0; i < N_ACTIONS && !slice_ieq(ACTIONS[i].word, word); i++)
		;
	if (i == N_ACTIONS)
		return filter_wrong(l, at, "no such action; there are ACCEPT, DISCARD, DUNNO, HOLD, INFO, JUNK, PREPEND, "
					   "REDIRECT, REJECT, REMOVE, REPLACE, SCORE, WARN");
	out->action = ACTIONS[i].action;
	if (out->kind == FILTER_THRESHOLD && (ACTIONS[i].takes & AT_THRESHOLD) == 0)
		return filter_wrong(l, at, "a threshold can WARN, INFO, HOLD, JUNK, REDIRECT, DISCARD or REJECT");
	if ((ACTIONS[i].takes & TAKES_POINTS) != 0 && !filter_read_points(l, c, out))
		return false;
	if ((ACTIONS[i].takes & TAKES_CODES) != 0 && !read_codes(l, c, out))
		return false;
	return read_text(l, c, ACTIONS[i].takes, out);
}
