/* SPDX-License-Identifier: MIT
 * SEARCH programs (RFC 3501 6.4.4) as a tree whose depth has a limit. */
#include "lib/parse/imap/tok.h"

enum arg {
	ARG_NONE, ARG_STRING, ARG_ATOM, ARG_DATE, ARG_NUMBER, ARG_SET, ARG_HEADER, ARG_FIELD,
	ARG_NOT, ARG_OR
};

struct word {
	struct slice name;
	enum imap_key key;
	enum arg arg;
	uint32_t bits;
	struct slice field;
};

static const struct word words[] = {
	{ S_INIT("ALL"), IMAP_KEY_ALL, ARG_NONE, 0, S_INIT("") },
	{ S_INIT("ANSWERED"), IMAP_KEY_FLAG, ARG_NONE, IMAP_ANSWERED, S_INIT("") },
	{ S_INIT("BCC"), IMAP_KEY_HEADER, ARG_FIELD, 0, S_INIT("Bcc") },
	{ S_INIT("BEFORE"), IMAP_KEY_BEFORE, ARG_DATE, 0, S_INIT("") },
	{ S_INIT("BODY"), IMAP_KEY_BODY, ARG_STRING, 0, S_INIT("") },
	{ S_INIT("CC"), IMAP_KEY_HEADER, ARG_FIELD, 0, S_INIT("Cc") },
	{ S_INIT("DELETED"), IMAP_KEY_FLAG, ARG_NONE, IMAP_DELETED, S_INIT("") },
	{ S_INIT("DRAFT"), IMAP_KEY_FLAG, ARG_NONE, IMAP_DRAFT, S_INIT("") },
	{ S_INIT("FLAGGED"), IMAP_KEY_FLAG, ARG_NONE, IMAP_FLAGGED, S_INIT("") },
	{ S_INIT("FROM"), IMAP_KEY_HEADER, ARG_FIELD, 0, S_INIT("From") },
	{ S_INIT("HEADER"), IMAP_KEY_HEADER, ARG_HEADER, 0, S_INIT("") },
	{ S_INIT("KEYWORD"), IMAP_KEY_KEYWORD, ARG_ATOM, 0, S_INIT("") },
	{ S_INIT("LARGER"), IMAP_KEY_LARGER, ARG_NUMBER, 0, S_INIT("") },
	{ S_INIT("NEW"), IMAP_KEY_NEW, ARG_NONE, 0, S_INIT("") },
	{ S_INIT("NOT"), IMAP_KEY_NOT, ARG_NOT, 0, S_INIT("") },
	{ S_INIT("OLD"), IMAP_KEY_OLD, ARG_NONE, 0, S_INIT("") },
	{ S_INIT("ON"), IMAP_KEY_ON, ARG_DATE, 0, S_INIT("") },
	{ S_INIT("OR"), IMAP_KEY_OR, ARG_OR, 0, S_INIT("") },
	{ S_INIT("RECENT"), IMAP_KEY_RECENT, ARG_NONE, 0, S_INIT("") },
	{ S_INIT("SEEN"), IMAP_KEY_FLAG, ARG_NONE, IMAP_SEEN, S_INIT("") },
	{ S_INIT("SENTBEFORE"), IMAP_KEY_SENTBEFORE, ARG_DATE, 0, S_INIT("") },
	{ S_INIT("SENTON"), IMAP_KEY_SENTON, ARG_DATE, 0, S_INIT("") },
	{ S_INIT("SENTSINCE"), IMAP_KEY_SENTSINCE, ARG_DATE, 0, S_INIT("") },
	{ S_INIT("SINCE"), IMAP_KEY_SINCE, ARG_DATE, 0, S_INIT("") },
	{ S_INIT("SMALLER"), IMAP_KEY_SMALLER, ARG_NUMBER, 0, S_INIT("") },
	{ S_INIT("SUBJECT"), IMAP_KEY_HEADER, ARG_FIELD, 0, S_INIT("Subject") },
	{ S_INIT("TEXT"), IMAP_KEY_TEXT, ARG_STRING, 0, S_INIT("") },
	{ S_INIT("TO"), IMAP_KEY_HEADER, ARG_FIELD, 0, S_INIT("To") },
	{ S_INIT("UID"), IMAP_KEY_UID, ARG_SET, 0, S_INIT("") },
	{ S_INIT("UNANSWERED"), IMAP_KEY_UNFLAG, ARG_NONE, IMAP_ANSWERED, S_INIT("") },
	{ S_INIT("UNDELETED"), IMAP_KEY_UNFLAG, ARG_NONE, IMAP_DELETED, S_INIT("") },
	{ S_INIT("UNDRAFT"), IMAP_KEY_UNFLAG, ARG_NONE, IMAP_DRAFT, S_INIT("") },
	{ S_INIT("UNFLAGGED"), IMAP_KEY_UNFLAG, ARG_NONE, IMAP_FLAGGED, S_INIT("") },
	{ S_INIT("UNKEYWORD"), IMAP_KEY_UNKEYWORD, ARG_ATOM, 0, S_INIT("") },
	{ S_INIT("UNSEEN"), IMAP_KEY_UNFLAG, ARG_NONE, IMAP_SEEN, S_INIT("") },
};

static bool key(struct in *p, unsigned depth, struct imap_search_key **out);

/* Keys with spaces between, as a chain. */
static bool
key_list(struct in *p, unsigned depth, struct imap_search_key **out)
{
	struct imap_search_key *first = NULL, **tail = &first;

	do {
		if (!key(p, depth, tail))
			return false;
		tail = &(*tail)->next;
	} while (in_sp(p));
	*out = first;
	return true;
}

static bool
is_date_byte(uint8_t c)
{
	return ch_is_alnum(c) || c == '-';
}

static bool
search_date(struct in *p, int64_t *day)
{
	struct slice s;
	bool is_quoted = cur_byte(p->c, '"');

	return cur_take(p->c, is_date_byte, 11, &s) && (!is_quoted || cur_byte(p->c, '"')) &&
	    date_parse_imap_day(s, day);
}

static bool
arguments(struct in *p, unsigned depth, const struct word *w, struct imap_search_key *k)
{
	k->bits = w->bits;
	k->field = w->field;
	if (w->arg == ARG_NONE)
		return true;
	if (!in_sp(p))
		return false;
	switch (w->arg) {
	case ARG_FIELD:
	case ARG_STRING:
		return in_astring(p, &k->text);
	case ARG_ATOM:
		return in_atom(p, &k->text);
	case ARG_HEADER:
		return in_astring(p, &k->field) && k->field.n > 0 && in_sp(p) &&
		    in_astring(p, &k->text);
	case ARG_DATE:
		return search_date(p, &k->day);
	case ARG_NUMBER:
		return in_number(p, INT64_MAX, &k->size);
	case ARG_SET:
		return in_set(p, &k->set);
	case ARG_NOT:
		return key(p, depth + 1, &k->first);
	case ARG_OR:
		return key(p, depth + 1, &k->first) && in_sp(p) &&
		    key(p, depth + 1, &k->first->next);
	case ARG_NONE:
		break;
	}
	return true;
}

static const struct word *
find_word(struct slice name)
{
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (slice_ieq(words[i].name, name))
			return &words[i];
	return NULL;
}

static bool
key(struct in *p, unsigned depth, struct imap_search_key **out)
{
	struct imap_search_key *k;
	const struct word *w;
	int b = cur_peek(p->c);

	if (depth > LIMIT_IMAP_DEPTH)
		return in_over(p, IMAP_OVER_DEPTH);
	k = ARENA_NEW(p->a, struct imap_search_key);
	if (k == NULL)
		return in_over(p, IMAP_OVER);
	*out = k;
	if (b == '(') {
		k->key = IMAP_KEY_AND;
		return cur_byte(p->c, '(') && key_list(p, depth + 1, &k->first) &&
		    cur_byte(p->c, ')');
	}
	if (b == '*' || (b >= '0' && b <= '9')) {
		k->key = IMAP_KEY_SEQ;
		return in_set(p, &k->set);
	}
	w = find_word(in_keyword(p));
	if (w == NULL)
		return false;
	k->key = w->key;
	return arguments(p, depth, w, k);
}

bool
in_search(struct in *p, struct imap_command *out)
{
	struct imap_search s = { .charset = S("") };

	if (!in_sp(p))
		return false;
	if (cur_iword(p->c, S("CHARSET ")) &&
	    (!in_astring(p, &s.charset) || s.charset.n == 0 || !in_sp(p)))
		return false;
	if (!key_list(p, 1, &s.first))
		return false;
	out->u.search = s;
	return true;
}
