/* SPDX-License-Identifier: MIT
 * SEARCH (RFC 3501 6.4.4). What is known of every message (flags, dates, sizes) is asked first, its
 * header next, its body last; the content is read once, when the first key needs it. */
#include "lib/parse/date/date.h"
#include "rooms/mailbox/match.h"
#include "rooms/mailbox/session.h"

struct query {
	struct session *s;
	struct message m;
	const struct mailbox_row *r;
	uint32_t number;
	bool damaged;
};

/* 0: needs the row only; 1: the header; 2: the body. */
static unsigned
cost(const struct imap_search_key *k)
{
	unsigned most = 0;

	switch (k->key) {
	case IMAP_KEY_AND:
	case IMAP_KEY_OR:
	case IMAP_KEY_NOT:
		for (const struct imap_search_key *x = k->first; x != NULL; x = x->next)
			most = cost(x) > most ? cost(x) : most;
		return most;
	case IMAP_KEY_HEADER:
	case IMAP_KEY_SENTBEFORE:
	case IMAP_KEY_SENTON:
	case IMAP_KEY_SENTSINCE:
		return 1;
	case IMAP_KEY_BODY:
	case IMAP_KEY_TEXT:
		return 2;
	default:
		return 0;
	}
}

static bool holds(struct query *q, const struct imap_search_key *k);

/* All of a list, cheap keys first. */
static bool
all_hold(struct query *q, const struct imap_search_key *first)
{
	for (unsigned price = 0; price <= 2; price++)
		for (const struct imap_search_key *k = first; k != NULL; k = k->next)
			if (cost(k) == price && !holds(q, k))
				return false;
	return true;
}

static bool
has_keyword(const struct query *q, struct slice name)
{
	const struct view *v = &q->s->view;
	struct mailbox_kw kw = view_kw(v, q->r);

	for (size_t i = 0; i < v->n_names; i++)
		if (slice_ieq(v->name[i], name))
			return mailbox_kw_has(&kw, i);
	return false;
}

static int64_t
day_of(int64_t seconds)
{
	return seconds >= 0 ? seconds / 86400 : -((-seconds + 86399) / 86400);
}

static bool
by_day(enum imap_key key, int64_t have, int64_t want)
{
	switch (key) {
	case IMAP_KEY_BEFORE: case IMAP_KEY_SENTBEFORE:
		return have < want;
	case IMAP_KEY_ON: case IMAP_KEY_SENTON:
		return have == want;
	default:
		return have >= want;
	}
}

/* SENTBEFORE and its kin ask the Date field, as it stands there (in its own zone). */
static bool
by_sent(struct query *q, const struct imap_search_key *k)
{
	struct slice block;
	struct header_field f;
	struct cursor c;
	struct date d;

	if (!message_header(&q->m, &block)) {
		q->damaged = q->damaged || q->m.err != STORE_NONE;
		return false;
	}
	for (c = cur_of(block); header_next(&c, &f);)
		if (slice_ieq(f.name, S("Date")) && date_parse(f.body, &d))
			return by_day(k->key, date_local_day(&d), k->day);
	return false;
}

static bool
by_text(struct query *q, const struct imap_search_key *k)
{
	enum match_result r = k->key == IMAP_KEY_HEADER ? match_header(&q->m, k->field, k->text) :
	    k->key == IMAP_KEY_BODY			? match_body(&q->m, k->text) :
							  match_text(&q->m, k->text);

	q->damaged = q->damaged || (r == MATCH_FAILED && q->m.err != STORE_NONE);
	return r == MATCH_YES;
}

/* "*" was resolved when the search began. */
static bool
in_set(const struct query *q, const struct imap_search_key *k)
{
	return imap_set_has(&k->set, k->key == IMAP_KEY_SEQ ? q->number : q->r->uid);
}

static bool
holds(struct query *q, const struct imap_search_key *k)
{
	bool recent;

	switch (k->key) {
	case IMAP_KEY_AND: return all_hold(q, k->first);
	case IMAP_KEY_OR: return holds(q, k->first) || holds(q, k->first->next);
	case IMAP_KEY_NOT: return !holds(q, k->first);
	case IMAP_KEY_ALL: return true;
	case IMAP_KEY_SEQ: case IMAP_KEY_UID: return in_set(q, k);
	case IMAP_KEY_FLAG: return (q->r->flags & k->bits) != 0;
	case IMAP_KEY_UNFLAG: return (q->r->flags & k->bits) == 0;
	case IMAP_KEY_NEW: case IMAP_KEY_OLD: case IMAP_KEY_RECENT:
		recent = view_is_recent(&q->s->view, q->r->uid);
		if (k->key == IMAP_KEY_NEW)
			return recent && (q->r->flags & MAILBOX_SEEN) == 0;
		return recent == (k->key == IMAP_KEY_RECENT);
	case IMAP_KEY_KEYWORD: return has_keyword(q, k->text);
	case IMAP_KEY_UNKEYWORD: return !has_keyword(q, k->text);
	case IMAP_KEY_BEFORE: case IMAP_KEY_ON: case IMAP_KEY_SINCE:
		return by_day(k->key, day_of(q->r->date), k->day);
	case IMAP_KEY_SENTBEFORE: case IMAP_KEY_SENTON: case IMAP_KEY_SENTSINCE:
		return by_sent(q, k);
	case IMAP_KEY_LARGER: return q->r->size > k->size;
	case IMAP_KEY_SMALLER: return q->r->size < k->size;
	case IMAP_KEY_HEADER: case IMAP_KEY_BODY: case IMAP_KEY_TEXT: return by_text(q, k);
	}
	return false;
}

/* Gives every set its "*", and every text its folded form. False: a number that is none, or a limit. */
static bool
prepare(struct session *s, struct imap_search_key *k, struct arena *a)
{
	uint32_t exists = s->view.exists;
	uint32_t last = exists == 0 ? 0 : view_uid(&s->view, exists);

	for (; k != NULL; k = k->next) {
		if (k->key == IMAP_KEY_SEQ || k->key == IMAP_KEY_UID) {
			if (k->key == IMAP_KEY_SEQ && !view_valid(&s->view, &k->set))
				return false;
			if (!imap_set_resolve(&k->set, k->key == IMAP_KEY_SEQ ? exists : last, a,
				&k->set))
				return false;
		}
		if (cost(k) > 0 && k->text.n > 0 && !match_fold(k->text, a, &k->text))
			return false;
		if (!prepare(s, k->first, a))
			return false;
	}
	return true;
}

static void
run(struct query *q, const struct imap_search_key *first, bool uid)
{
	struct session *s = q->s;

	buf_add(&s->out, S("* SEARCH"));
	for (uint32_t seq = 1; seq <= s->view.exists && session_send(s, false); seq++) {
		uint32_t u = view_uid(&s->view, seq);

		q->number = seq;
		q->r = view_row(&s->view, u);
		if (q->r == NULL)
			continue;
		message_begin(&q->m, s->store, s->view.folder, u, q->r->size);
		if (all_hold(q, first)) {
			buf_byte(&s->out, ' ');
			buf_u64(&s->out, uid ? u : seq);
		}
		message_end(&q->m);
	}
	buf_add(&s->out, S("\r\n"));
}

void
cmd_search(struct session *s, const struct imap_command *c, struct arena *a)
{
	const struct imap_search *se = &c->u.search;
	struct query q = { .s = s };
	enum store_err e;

	if (se->charset.n > 0 && !slice_ieq(se->charset, S("UTF-8")) &&
	    !slice_ieq(se->charset, S("US-ASCII"))) {
		session_done(s, c, "NO [BADCHARSET (UTF-8 US-ASCII)] Unknown charset.");
		return;
	}
	if (!prepare(s, se->first, a)) {
		session_reply(s, c->tag, "BAD No such message.");
		return;
	}
	session_sync(s, false); /* so that rows kept from before are those of now */
	e = view_load(&s->view, s->store);
	if (e != STORE_OK) {
		session_store_error(s, c->tag, e, "NO [NONEXISTENT] The mailbox is gone.");
		return;
	}
	run(&q, se->first, c->uid);
	session_done(s, c, q.damaged ? "NO [CONTACTADMIN] A message could not be read." : "OK Done.");
}
