/* SPDX-License-Identifier: MIT
 * LIST and LSUB (RFC 3501 6.3.8, 6.3.9; the options of RFC 5258, 5819 and 6154), STATUS items. */
#include "lib/parse/imap/tok.h"

struct option {
	struct slice name;
	uint32_t bit;
};

static const struct option selections[] = {
	{ S_INIT("SUBSCRIBED"), IMAP_LIST_SUBSCRIBED },
	{ S_INIT("RECURSIVEMATCH"), IMAP_LIST_RECURSIVE },
	{ S_INIT("SPECIAL-USE"), IMAP_LIST_SPECIAL },
	{ S_INIT("REMOTE"), IMAP_LIST_EXTENDED }, /* nothing is remote here */
};

static const struct option returns[] = {
	{ S_INIT("SUBSCRIBED"), IMAP_LIST_RET_SUBSCRIBED },
	{ S_INIT("CHILDREN"), IMAP_LIST_RET_CHILDREN },
	{ S_INIT("SPECIAL-USE"), IMAP_LIST_RET_SPECIAL },
};

static const struct option status_items[] = {
	{ S_INIT("MESSAGES"), IMAP_STATUS_MESSAGES },
	{ S_INIT("RECENT"), IMAP_STATUS_RECENT },
	{ S_INIT("UIDNEXT"), IMAP_STATUS_UIDNEXT },
	{ S_INIT("UIDVALIDITY"), IMAP_STATUS_UIDVALIDITY },
	{ S_INIT("UNSEEN"), IMAP_STATUS_UNSEEN },
	{ S_INIT("SIZE"), IMAP_STATUS_SIZE },
};

/* 0 for an unknown word. */
static uint32_t
option(const struct option *v, size_t n, struct slice word)
{
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(v[i].name, word))
			return v[i].bit;
	return 0;
}

bool
in_status_items(struct in *p, uint32_t *items)
{
	uint32_t all = 0;

	if (!cur_byte(p->c, '('))
		return false;
	do {
		uint32_t bit = option(status_items, sizeof status_items / sizeof *status_items,
		    in_keyword(p));

		if (bit == 0)
			return false;
		all |= bit;
	} while (in_sp(p));
	if (!cur_byte(p->c, ')'))
		return false;
	*items = all;
	return true;
}

/* ["(" [option *(SP option)] ")" SP] */
static bool
selection(struct in *p, struct imap_list *l)
{
	if (!cur_byte(p->c, '('))
		return true;
	l->opts |= IMAP_LIST_EXTENDED;
	if (cur_peek(p->c) != ')') {
		do {
			uint32_t bit = option(selections, sizeof selections / sizeof *selections,
			    in_keyword(p));

			if (bit == 0)
				return false;
			l->opts |= bit;
		} while (in_sp(p));
	}
	/* RFC 5258 3: RECURSIVEMATCH goes with another selection only */
	if ((l->opts & IMAP_LIST_RECURSIVE) != 0 &&
	    (l->opts & (IMAP_LIST_SUBSCRIBED | IMAP_LIST_SPECIAL)) == 0)
		return false;
	return cur_byte(p->c, ')') && in_sp(p);
}

static bool
patterns(struct in *p, struct imap_list *l)
{
	bool many = cur_byte(p->c, '(');

	l->pattern = ARENA_ARRAY(p->a, many ? LIMIT_IMAP_PATTERNS : 1, struct imap_mailbox);
	if (l->pattern == NULL)
		return in_over(p, IMAP_OVER);
	if (!many) {
		l->n_patterns = 1;
		return in_pattern(p, &l->pattern[0]);
	}
	l->opts |= IMAP_LIST_EXTENDED;
	do {
		if (l->n_patterns == LIMIT_IMAP_PATTERNS)
			return in_over(p, IMAP_OVER);
		if (!in_pattern(p, &l->pattern[l->n_patterns++]))
			return false;
	} while (in_sp(p));
	return cur_byte(p->c, ')');
}

/* [SP "RETURN" SP "(" [option *(SP option)] ")"] */
static bool
return_options(struct in *p, struct imap_list *l)
{
	if (!in_sp(p))
		return true;
	if (!cur_iword(p->c, S("RETURN (")))
		return false;
	l->opts |= IMAP_LIST_EXTENDED;
	if (cur_byte(p->c, ')'))
		return true;
	do {
		struct slice word = in_keyword(p);
		uint32_t bit = option(returns, sizeof returns / sizeof *returns, word);

		if (slice_ieq(word, S("STATUS"))) {
			if (!in_sp(p) || !in_status_items(p, &l->status))
				return false;
		} else if (bit == 0) {
			return false;
		}
		l->opts |= bit;
	} while (in_sp(p));
	return cur_byte(p->c, ')');
}

bool
in_list(struct in *p, struct imap_command *out)
{
	struct imap_list l = { 0 };

	if (!in_sp(p) || !selection(p, &l) || !in_mailbox(p, &l.ref) || !in_sp(p) ||
	    !patterns(p, &l) || !return_options(p, &l))
		return false;
	out->u.list = l;
	return true;
}

bool
in_lsub(struct in *p, struct imap_command *out)
{
	struct imap_list l = { .n_patterns = 1,
		.pattern = ARENA_NEW(p->a, struct imap_mailbox) };

	if (l.pattern == NULL)
		return in_over(p, IMAP_OVER);
	if (!in_sp(p) || !in_mailbox(p, &l.ref) || !in_sp(p) || !in_pattern(p, &l.pattern[0]))
		return false;
	out->u.list = l;
	return true;
}
