/* SPDX-License-Identifier: MIT
 * The command line itself: tag, verb, and the arguments of the simple verbs (RFC 3501 section 9). */
#include "lib/parse/imap/tok.h"

static bool
in_nothing(struct in *p, struct imap_command *out)
{
	(void)p;
	(void)out;
	return true;
}

static bool
in_one_mailbox(struct in *p, struct imap_command *out)
{
	return in_sp(p) && in_mailbox(p, &out->u.mailbox);
}

static bool
in_rename(struct in *p, struct imap_command *out)
{
	return in_sp(p) && in_mailbox(p, &out->u.rename.from) && in_sp(p) &&
	    in_mailbox(p, &out->u.rename.to);
}

static bool
in_login(struct in *p, struct imap_command *out)
{
	if (!in_sp(p) || !in_astring(p, &out->u.login.user) || !in_sp(p) ||
	    !in_astring(p, &out->u.login.password))
		return false;
	return out->u.login.user.n <= LIMIT_LOGIN_NAME &&
	    out->u.login.password.n <= LIMIT_PASSWORD;
}

static bool
is_base64(uint8_t c)
{
	return ch_is_alnum(c) || c == '+' || c == '/' || c == '=';
}

/* "AUTHENTICATE" SP mechanism [SP (base64 | "=")] (RFC 4959) */
static bool
in_authenticate(struct in *p, struct imap_command *out)
{
	if (!in_sp(p) || !in_atom(p, &out->u.auth.mechanism))
		return false;
	if (!in_sp(p))
		return true;
	out->u.auth.has_initial = true;
	if (!cur_take(p->c, is_base64, LIMIT_IMAP_LINE, &out->u.auth.initial))
		return false;
	if (slice_eq(out->u.auth.initial, S("=")))
		out->u.auth.initial = S("");
	return true;
}

/* "ID" SP ("NIL" / "(" [string SP nstring *(SP string SP nstring)] ")") (RFC 2971) */
static bool
in_id(struct in *p, struct imap_command *out)
{
	size_t cap = 0;
	struct slice field, value;

	if (!in_sp(p))
		return false;
	if (cur_iword(p->c, S("NIL")))
		return true;
	if (!cur_byte(p->c, '('))
		return false;
	if (cur_byte(p->c, ')'))
		return true;
	do {
		if (!in_string(p, &field) || !in_sp(p) || !in_nstring(p, &value) ||
		    field.n > 30 || value.n > 1024)
			return false;
		if (!in_push(p, &out->u.id.pair, &out->u.id.n, &cap, LIMIT_IMAP_ID, field) ||
		    !in_push(p, &out->u.id.pair, &out->u.id.n, &cap, LIMIT_IMAP_ID, value))
			return false;
	} while (in_sp(p));
	return cur_byte(p->c, ')');
}

static bool
in_enable(struct in *p, struct imap_command *out)
{
	size_t cap = 0;
	struct slice word;

	if (!in_sp(p))
		return false;
	do {
		if (!in_atom(p, &word) ||
		    !in_push(p, &out->u.id.pair, &out->u.id.n, &cap, LIMIT_IMAP_ID, word))
			return false;
	} while (in_sp(p));
	return true;
}

static bool
in_status(struct in *p, struct imap_command *out)
{
	return in_sp(p) && in_mailbox(p, &out->u.status.mailbox) && in_sp(p) &&
	    in_status_items(p, &out->u.status.items);
}

/* The announcement of the message at the very end: its bytes are the room's business. */
static bool
announced(struct in *p, struct imap_append *out)
{
	if (!cur_byte(p->c, '{') || !in_number(p, UINT64_MAX, &out->size))
		return false;
	out->sync = !cur_byte(p->c, '+');
	return cur_byte(p->c, '}');
}

/* "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal */
static bool
in_append(struct in *p, struct imap_command *out)
{
	struct imap_append a = { .dated = false };
	struct slice date;

	if (!in_sp(p) || !in_mailbox(p, &a.mailbox) || !in_sp(p))
		return false;
	if (cur_peek(p->c) == '(' && (!in_flags(p, false, &a.flags) || !in_sp(p)))
		return false;
	if (cur_peek(p->c) == '"') {
		a.dated = true;
		if (!in_string(p, &date) || !date_parse_imap(date, &a.date) ||
		    !in_sp(p))
			return false;
	}
	if (!announced(p, &a))
		return false;
	out->u.append = a;
	return true;
}

/* "STORE" SP set SP ["+" / "-"] "FLAGS" [".SILENT"] SP (flag-list / flag *(SP flag)) */
static bool
in_store(struct in *p, struct imap_command *out)
{
	struct imap_store_args s = { .op = IMAP_STORE_SET };
	struct slice word;

	if (!in_sp(p) || !in_set(p, &s.set) || !in_sp(p))
		return false;
	if (cur_byte(p->c, '+'))
		s.op = IMAP_STORE_ADD;
	else if (cur_byte(p->c, '-'))
		s.op = IMAP_STORE_REMOVE;
	word = in_keyword(p);
	s.silent = slice_ieq(word, S("FLAGS.SILENT"));
	if ((!s.silent && !slice_ieq(word, S("FLAGS"))) || !in_sp(p) ||
	    !in_flags(p, cur_peek(p->c) != '(', &s.flags))
		return false;
	out->u.store = s;
	return true;
}

static bool
in_copy(struct in *p, struct imap_command *out)
{
	return in_sp(p) && in_set(p, &out->u.copy.set) && in_sp(p) &&
	    in_mailbox(p, &out->u.copy.to);
}

static bool
in_expunge(struct in *p, struct imap_command *out)
{
	return !out->uid || (in_sp(p) && in_set(p, &out->u.set));
}

struct verb {
	struct slice name;
	bool (*arguments)(struct in *p, struct imap_command *out);
	bool uid; /* has a UID form */
};

static const struct verb verbs[IMAP_VERBS] = {
	[IMAP_CAPABILITY] = { S_INIT("CAPABILITY"), in_nothing, false },
	[IMAP_NOOP] = { S_INIT("NOOP"), in_nothing, false },
	[IMAP_LOGOUT] = { S_INIT("LOGOUT"), in_nothing, false },
	[IMAP_ID] = { S_INIT("ID"), in_id, false },
	[IMAP_STARTTLS] = { S_INIT("STARTTLS"), in_nothing, false },
	[IMAP_AUTHENTICATE] = { S_INIT("AUTHENTICATE"), in_authenticate, false },
	[IMAP_LOGIN] = { S_INIT("LOGIN"), in_login, false },
	[IMAP_ENABLE] = { S_INIT("ENABLE"), in_enable, false },
	[IMAP_SELECT] = { S_INIT("SELECT"), in_one_mailbox, false },
	[IMAP_EXAMINE] = { S_INIT("EXAMINE"), in_one_mailbox, false },
	[IMAP_CREATE] = { S_INIT("CREATE"), in_one_mailbox, false },
	[IMAP_DELETE] = { S_INIT("DELETE"), in_one_mailbox, false },
	[IMAP_RENAME] = { S_INIT("RENAME"), in_rename, false },
	[IMAP_SUBSCRIBE] = { S_INIT("SUBSCRIBE"), in_one_mailbox, false },
	[IMAP_UNSUBSCRIBE] = { S_INIT("UNSUBSCRIBE"), in_one_mailbox, false },
	[IMAP_LIST] = { S_INIT("LIST"), in_list, false },
	[IMAP_LSUB] = { S_INIT("LSUB"), in_lsub, false },
	[IMAP_NAMESPACE] = { S_INIT("NAMESPACE"), in_nothing, false },
	[IMAP_STATUS] = { S_INIT("STATUS"), in_status, false },
	[IMAP_APPEND] = { S_INIT("APPEND"), in_append, false },
	[IMAP_IDLE] = { S_INIT("IDLE"), in_nothing, false },
	[IMAP_CHECK] = { S_INIT("CHECK"), in_nothing, false },
	[IMAP_CLOSE] = { S_INIT("CLOSE"), in_nothing, false },
	[IMAP_UNSELECT] = { S_INIT("UNSELECT"), in_nothing, false },
	[IMAP_EXPUNGE] = { S_INIT("EXPUNGE"), in_expunge, true },
	[IMAP_SEARCH] = { S_INIT("SEARCH"), in_search, true },
	[IMAP_FETCH] = { S_INIT("FETCH"), in_fetch, true },
	[IMAP_STORE] = { S_INIT("STORE"), in_store, true },
	[IMAP_COPY] = { S_INIT("COPY"), in_copy, true },
	[IMAP_MOVE] = { S_INIT("MOVE"), in_copy, true },
};

struct slice
imap_verb_name(enum imap_verb v)
{
	PN_ASSERT((unsigned)v < IMAP_VERBS);
	return verbs[v].name;
}

static bool
find_verb(struct slice name, bool uid, enum imap_verb *out)
{
	for (unsigned v = 0; v < IMAP_VERBS; v++) {
		if (slice_ieq(verbs[v].name, name) && (!uid || verbs[v].uid)) {
			*out = (enum imap_verb)v;
			return true;
		}
	}
	return false;
}

enum imap_fault
imap_parse(struct cursor *c, struct arena *a, struct imap_command *out)
{
	struct in p = { c, a, IMAP_FINE };
	struct imap_command cmd = { .uid = false };
	struct slice word;

	if (!cur_take(c, imap_is_tag, LIMIT_IMAP_TAG, &cmd.tag) ||
	    (cur_peek(c) != -1 && cur_peek(c) != ' '))
		return IMAP_BAD_TAG;
	out->tag = cmd.tag;
	(void)in_sp(&p);
	word = in_keyword(&p);
	if (slice_ieq(word, S("UID")) && in_sp(&p)) {
		cmd.uid = true;
		word = in_keyword(&p);
	}
	if (!find_verb(word, cmd.uid, &cmd.verb))
		return IMAP_BAD_VERB;
	out->verb = cmd.verb;
	if (!verbs[cmd.verb].arguments(&p, &cmd) || !cur_done(c))
		return p.over != IMAP_FINE ? p.over : IMAP_BAD_ARGS;
	*out = cmd;
	return IMAP_FINE;
}
