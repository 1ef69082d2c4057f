/* SPDX-License-Identifier: MIT
 * MAIL (RFC 5321 section 4.1.1.2) and RCPT (section 4.1.1.3). */
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/edits/edits.h"
#include "lib/idn/idn.h"
#include "lib/make/addr.h"
#include "rooms/smtp/session.h"

/* Room that one recipient takes in smtp_queue.accept besides its two addresses. */
#define RCPT_FIXED ((size_t)18)
#define RCPTS_MOST (LIMIT_IPC - 4096)

/* What the parser found wrong, as a reply. bad_address is the enhanced code for this verb. */
static void
syntax(struct smtp_session *s, enum smtp_syntax st, enum addr_status why, const char *bad_address)
{
	switch (st) {
	case SMTP_SYNTAX_PARAM_UNKNOWN:
		smtp_error(s, 555, "5.5.4", "unknown parameter");
		return;
	case SMTP_SYNTAX_SIZE:
		smtp_error(s, 552, "5.3.4", "too big");
		return;
	case SMTP_SYNTAX_ADDRESS:
		if (why == ADDR_NOT_ASCII) /* RFC 6531 section 3.5: 550 to MAIL, 553 to RCPT */
			smtp_error(s, s->txn.arena == NULL ? 550 : 553, "5.6.7", s->txn.utf8 || (smtp_offers(s) & SMTP_OFFER_UTF8) == 0 ? "not an address"
						      : "say SMTPUTF8 for such an address");
		else if (why == ADDR_ROUTE)
			smtp_error(s, 553, "5.7.1", "source routes are not taken");
		else
			smtp_error(s, 501, bad_address, "not an address");
		return;
	default:
		smtp_error(s, 501, "5.5.4", "syntax");
		return;
	}
}

/* addr_write() into the arena: from here on a domain has A-labels only, and a local part beyond ASCII
 * is in normal form C. */
static bool
write_address(struct arena *a, const struct addr *ad, struct slice *out)
{
	struct slice local = ad->local, domain = ad->domain;
	struct buf b;
	bool ok;

	if (ad->utf8 && (!idn_nfc(ad->local, a, &local) || !idn_domain(ad->domain, a, &domain)))
		return false;
	buf_init(&b, 2 * LIMIT_SMTP_ADDRESS);
	ok = addr_write(&b, local, domain) && b.n <= LIMIT_SMTP_ADDRESS &&
	    arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	return ok;
}

/* May the account that is logged in write as sender? (U-009..012, RFC 6409 section 6.1) */
static bool
sender_permitted(struct smtp_session *s, struct arena *a, struct slice sender)
{
	struct smtp_auth_address one = { .address = sender };
	struct smtp_auth_owns in = { .account = s->account_id, .revision = s->revision, .addresses = &one,
		.n_addresses = sender.n > 0 };
	struct smtp_auth_owns_answer out;

	if (!s->conf->submission)
		return true;
	if (s->back->owns(s->back->ctx, &in, clock_mono_ms() + SMTP_ASK_MS, a, &out) != IPC_OK) {
		smtp_refuse(s, "mail", sender, 451, "4.3.0", "try later");
		return false;
	}
	if (out.ended) { /* U-022: what was right at the login is not any more */
		SMTP_EVENT(s, EVENT_SMTP_REJECTED, EF("at", S("mail")), EF("reason", S("the account has changed since the login")));
		smtp_cut(s, 421, "4.7.0", "the account has changed, log in again");
		return false;
	}
	if (!out.owns)
		smtp_refuse(s, "mail", sender, 553, "5.7.1", "not an address of this account");
	return out.owns;
}

/* What the parameters ask for, as the transaction keeps it; false after a refusal. */
static bool
take_wishes(struct smtp_session *s, const struct smtp_mail *m, struct txn *t)
{
	int64_t now = clock_wall_us();

	t->body_8bit = m->body_8bit;
	t->utf8 = m->utf8;
	t->requiretls = m->requiretls;
	t->priority = m->priority;
	t->ret = m->ret;
	t->by_return = m->by_return;
	t->by_trace = m->by_trace;
	if (m->by)
		t->by_us = now + (int64_t)m->by_s * 1000000;
	if (m->hold_for_s != 0)
		t->hold_until_us = now + (int64_t)m->hold_for_s * 1000000;
	else if (m->hold_until_s != 0)
		t->hold_until_us = m->hold_until_s * 1000000;
	if (t->hold_until_us != 0 && t->hold_until_us > now + (int64_t)SMTP_HOLD_S * 1000000) {
		smtp_error(s, 501, "5.5.4", "too far in the future");
		return false;
	}
	return arena_copy(t->arena, m->envid, &t->envid);
}

void
smtp_mail(struct smtp_session *s, const struct smtp_command *cmd)
{
	enum addr_status why = ADDR_OK;
	struct txn t = { 0 };
	struct smtp_mail m;
	enum smtp_syntax st;

	if (s->txn.arena != NULL) {
		smtp_error(s, 503, "5.5.1", "one MAIL at a time");
		return;
	}
	if (s->transactions >= smtp_bounds(s)->transactions) {
		smtp_cut(s, 421, "4.7.0", "enough for one connection");
		return;
	}
	t.arena = arena_new("transaction", LIMIT_ARENA_MESSAGE);
	st = smtp_mail_parse(cmd->args, smtp_offers(s), t.arena, &m, &why);
	if (st != SMTP_SYNTAX_OK) {
		syntax(s, st, why, "5.1.7");
	} else if (m.size > s->conf->max_size) {
		smtp_error(s, 552, "5.3.4", "too big");
	} else if (!m.from.null && !write_address(t.arena, &m.from, &t.sender)) {
		smtp_error(s, 501, "5.1.7", "address too long");
	} else if (take_wishes(s, &m, &t) && sender_permitted(s, t.arena, t.sender)) {
		struct session_text id = session_text(s->peer.session);
		struct buf text;

		buf_init(&text, sizeof t.queue_id);
		(void)buf_add(&text, slice_z(id.z));
		(void)buf_byte(&text, '.');
		(void)buf_u64(&text, ++s->transactions);
		(void)buf_byte(&text, 0);
		PN_ASSERT(!text.bad);
		memcpy(t.queue_id, text.p, text.n);
		buf_free(&text);
		s->txn = t;
		smtp_reply(s, 250, "2.1.0", "ok");
		return;
	}
	arena_free(&t.arena);
}

/* What RCPT said. */
struct asked {
	struct slice address; /* as addr_write() makes it */
	unsigned notify;      /* RFC 3461 */
	struct slice orcpt;
};

static bool
is_there(const struct txn *t, uint32_t account, struct slice address)
{
	for (size_t i = 0; i < t->n_rcpts; i++)
		if (t->rcpts[i].account == account &&
		    (account != 0 || slice_eq(t->rcpts[i].address, address)))
			return true;
	return false;
}

/* Adds one target; false when the transaction is full. */
static bool
add_target(struct txn *t, const struct smtp_auth_target *to, const struct asked *asked)
{
	size_t bytes = t->rcpt_bytes + RCPT_FIXED + to->address.n + asked->address.n + to->sender.n +
	    asked->orcpt.n;
	struct slice copy, sender;

	if (is_there(t, to->account, to->address))
		return true;
	if (t->n_rcpts == LIMIT_SMTP_RCPTS || bytes > RCPTS_MOST)
		return false;
	if (t->n_rcpts == t->cap_rcpts) {
		size_t cap = t->cap_rcpts == 0 ? 4 : t->cap_rcpts * 2;
		struct smtp_queue_rcpt *more = ARENA_ARRAY(t->arena, cap, struct smtp_queue_rcpt);

		if (more == NULL)
			return false;
		if (t->n_rcpts > 0)
			memcpy(more, t->rcpts, t->n_rcpts * sizeof *more);
		t->rcpts = more;
		t->cap_rcpts = cap;
	}
	if (!arena_copy(t->arena, to->address, &copy) || !arena_copy(t->arena, to->sender, &sender))
		return false;
	t->rcpt_bytes = bytes;
	t->rcpts[t->n_rcpts++] = (struct smtp_queue_rcpt){ .address = copy,
		.account = to->account,
		.original = asked->address,
		.sender = sender,
		.listed = to->listed,
		.owner = to->owner,
		.notify = (uint8_t)asked->notify,
		.orcpt = asked->orcpt };
	return true;
}

/* All targets of one recipient, or none. */
static bool
add_targets(struct txn *t, const struct smtp_auth_rcpt_answer *out, const struct asked *asked)
{
	size_t n = t->n_rcpts, bytes = t->rcpt_bytes;
	bool first = n == 0;

	for (size_t i = 0; i < out->n_targets; i++)
		if (!add_target(t, &out->targets[i], asked)) {
			t->n_rcpts = n;
			t->rcpt_bytes = bytes;
			return false;
		}
	t->only_rcpt = first ? asked->address : S("");
	return out->list.n == 0 || arena_copy(t->arena, out->list, &t->list);
}

bool
smtp_redirect(struct smtp_session *s, struct slice to)
{
	struct smtp_auth_rcpt in = { .address = to, .sender = s->txn.sender, .account = s->account_id };
	own(arena_p) a = arena_new("redirect", LIMIT_ARENA_SESSION);
	struct asked asked = { 0 };
	size_t n = s->txn.n_rcpts;
	struct smtp_auth_rcpt_answer out;

	if (edits_may_redirect(s->conf->redirects, to) && arena_copy(s->txn.arena, to, &asked.address) &&
	    s->back->rcpt(s->back->ctx, &in, clock_mono_ms() + SMTP_ASK_MS, a, &out) == IPC_OK &&
	    out.status == SMTP_AUTH_RCPT_STATUS_OK && out.n_targets > 0) {
		s->txn.n_rcpts = s->txn.rcpt_bytes = 0;
		s->txn.list = S("");
		if (add_targets(&s->txn, &out, &asked)) {
			SMTP_EVENT(s, EVENT_FILTER_REDIRECTED, EF("to", to), EN("rcpts", n));
			return true;
		}
	}
	smtp_refuse(s, "data", to, 451, "4.3.5", "a rule of this server redirects this message to where nobody is");
	return false;
}

/* 550 5.1.1 in the session is what spares the world our bounces; who asks for too many that do not
 * exist is harvesting (S-035). */
static void
unknown_user(struct smtp_session *s, struct slice address)
{
	if (s->conf->lmtp || ++s->bad_rcpts < LIMIT_SMTP_BAD_RCPTS) {
		smtp_refuse(s, "rcpt", address, 550, "5.1.1", "no such mailbox");
		return;
	}
	SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("harvest")), EF("address", address));
	smtp_cut(s, 421, "4.7.0", "too many unknown recipients");
}

/* The recipient will hear of the content. */
static void
taken(struct smtp_session *s)
{
	s->txn.taken++;
	smtp_reply(s, 250, "2.1.5", "ok");
}

static void
not_local(struct smtp_session *s, const struct asked *asked)
{
	struct slice address = asked->address;
	struct smtp_auth_target self = { .account = 0, .address = address };
	struct smtp_auth_rcpt_answer out = { .targets = &self, .n_targets = 1 };

	if (!s->conf->submission)
		smtp_refuse(s, "rcpt", address, 550, "5.7.1", "no relaying");
	else if (!s->conf->relay)
		smtp_refuse(s, "rcpt", address, 550, "5.4.4", "no way out of this server is configured");
	else if (!smtp_filtered_recipient(s, address))
		return;
	else if (!add_targets(&s->txn, &out, asked))
		smtp_refuse(s, "rcpt", address, 452, "4.5.3", "too many recipients");
	else
		taken(s);
}

/* Over a rate (U-013): the client hears which, because a person may read it. */
static void
slow_down(struct smtp_session *s, struct slice address, struct slice why)
{
	own(buf_t) text = { .max = 256 };

	(void)buf_printable(&text, why.n > 0 ? why : S("too much at once"), 200);
	(void)buf_add(&text, S(", try later"));
	(void)buf_byte(&text, 0);
	smtp_refuse(s, "rcpt", address, 450, "4.7.1", (const char *)text.p);
}

/* The answer of auth as a reply. No answer is never an acceptance, and never a final refusal. */
static void
judge(struct smtp_session *s, const struct asked *asked, const struct smtp_auth_rcpt_answer *out)
{
	struct slice address = asked->address;

	switch (out->status) {
	case SMTP_AUTH_RCPT_STATUS_OK:
		if (out->n_targets == 0)
			unknown_user(s, address);
		else if (!smtp_filtered_recipient(s, address))
			return;
		else if (!add_targets(&s->txn, out, asked))
			smtp_refuse(s, "rcpt", address, 452, "4.5.3", "too many recipients");
		else
			taken(s);
		return;
	case SMTP_AUTH_RCPT_STATUS_UNKNOWN_USER:
		unknown_user(s, address);
		return;
	case SMTP_AUTH_RCPT_STATUS_NOT_LOCAL:
		not_local(s, asked);
		return;
	case SMTP_AUTH_RCPT_STATUS_DISABLED:
		smtp_refuse(s, "rcpt", address, 550, "5.2.1", "mailbox is disabled");
		return;
	case SMTP_AUTH_RCPT_STATUS_LOOP:
		smtp_refuse(s, "rcpt", address, 554, "5.4.6", "this address goes in circles");
		return;
	case SMTP_AUTH_RCPT_STATUS_SLOW_DOWN:
		slow_down(s, address, out->text);
		return;
	case SMTP_AUTH_RCPT_STATUS_REFUSED:
		smtp_refuse(s, "rcpt", address, 550, "5.7.1", "this list does not take mail from you");
		return;
	default:
		smtp_refuse(s, "rcpt", address, 451, "4.3.0", "try later");
		return;
	}
}

void
smtp_rcpt(struct smtp_session *s, const struct smtp_command *cmd)
{
	struct arena_mark mark = arena_mark(s->txn.arena);
	struct smtp_auth_rcpt_answer out;
	enum addr_status why = ADDR_OK;
	struct asked asked = { 0 };
	struct smtp_auth_rcpt in;
	struct smtp_rcpt r;
	enum smtp_syntax st;
	struct arena *answer;

	if (s->txn.content != NULL) { /* RFC 3030: BDAT has begun the message */
		smtp_error(s, 503, "5.5.1", "BDAT was said before");
		return;
	}
	if (s->txn.commands++ >= smtp_bounds(s)->rcpts) { /* duplicates and refusals count too */
		smtp_refuse(s, "rcpt", S(""), 452, "4.5.3", "too many recipients");
		return;
	}
	st = smtp_rcpt_parse(cmd->args, smtp_offers(s), s->txn.utf8, s->txn.arena, &r, &why);
	if (st == SMTP_SYNTAX_OK && !write_address(s->txn.arena, &r.to, &asked.address)) {
		st = SMTP_SYNTAX_ADDRESS;
		why = ADDR_LONG;
	}
	if (st != SMTP_SYNTAX_OK) {
		arena_rewind(s->txn.arena, mark);
		syntax(s, st, why, "5.1.3");
		return;
	}
	asked.notify = r.notify;
	if (!arena_copy(s->txn.arena, r.orcpt, &asked.orcpt)) {
		smtp_refuse(s, "rcpt", S(""), 452, "4.5.3", "too many recipients");
		return;
	}
	if (r.to.local.n == 0) {
		unknown_user(s, asked.address);
		return;
	}
	in.address = asked.address;
	in.sender = s->txn.sender;
	in.account = s->account_id;
	in.first = s->txn.commands == 1;
	answer = arena_new("recipient", LIMIT_ARENA_SESSION);
	if (s->back->rcpt(s->back->ctx, &in, clock_mono_ms() + SMTP_ASK_MS, answer, &out) == IPC_OK)
		judge(s, &asked, &out);
	else
		smtp_refuse(s, "rcpt", asked.address, 451, "4.3.0", "try later");
	arena_free(&answer);
}

/* ---- what milters may change ---- */

void
smtp_rcpt_drop(struct smtp_session *s, struct slice address)
{
	struct txn *t = &s->txn;
	size_t n = 0;

	for (size_t i = 0; i < t->n_rcpts; i++)
		if (!slice_ieq(t->rcpts[i].original, address) && !slice_ieq(t->rcpts[i].address, address))
			t->rcpts[n++] = t->rcpts[i];
	t->n_rcpts = n;
}

/* "TO:<address>" as the client would have said it. */
static struct slice
path(struct arena *a, struct slice word, struct slice address)
{
	own(buf_t) b = { .max = 2 * LIMIT_SMTP_ADDRESS };
	struct slice out = S("");

	(void)buf_add(&b, word);
	(void)buf_add(&b, address);
	(void)buf_byte(&b, '>');
	return b.bad || !arena_copy(a, buf_slice(&b), &out) ? S("") : out;
}

/* Strangers get local recipients only, as with RCPT; whoever has logged in also those elsewhere. */
bool
smtp_rcpt_add(struct smtp_session *s, struct slice address)
{
	struct arena *a = s->txn.arena;
	enum addr_status why = ADDR_OK;
	struct smtp_auth_rcpt_answer out;
	struct smtp_auth_target self = { 0 };
	struct asked asked = { 0 };
	struct smtp_rcpt r;

	if (smtp_rcpt_parse(path(a, S("TO:<"), address), smtp_offers(s), s->txn.utf8, a, &r, &why) != SMTP_SYNTAX_OK ||
	    r.to.local.n == 0 || !write_address(a, &r.to, &asked.address))
		return false;
	struct smtp_auth_rcpt in = { .address = asked.address, .sender = s->txn.sender, .account = s->account_id };

	if (s->back->rcpt(s->back->ctx, &in, clock_mono_ms() + SMTP_ASK_MS, a, &out) != IPC_OK)
		return false;
	if (out.status == SMTP_AUTH_RCPT_STATUS_NOT_LOCAL && s->account_id != 0 && s->conf->relay) {
		self.address = asked.address;
		out = (struct smtp_auth_rcpt_answer){ .status = SMTP_AUTH_RCPT_STATUS_OK, .targets = &self, .n_targets = 1 };
	}
	return out.status == SMTP_AUTH_RCPT_STATUS_OK && out.n_targets > 0 && add_targets(&s->txn, &out, &asked);
}

/* What SRS made of the old sender for forwards stays: a report goes to whoever wrote. */
bool
smtp_sender_change(struct smtp_session *s, struct slice address)
{
	struct arena *a = s->txn.arena;
	struct smtp_auth_address one = { 0 };
	struct smtp_auth_owns in = { .account = s->account_id, .addresses = &one, .n_addresses = 1 };
	struct smtp_auth_owns_answer out = { 0 };
	enum addr_status why = ADDR_OK;
	struct slice sender = S("");
	struct smtp_mail m;

	if (smtp_mail_parse(path(a, S("FROM:<"), address), smtp_offers(s), a, &m, &why) != SMTP_SYNTAX_OK ||
	    (!m.from.null && !write_address(a, &m.from, &sender)))
		return false;
	one.address = sender;
	if (s->conf->submission && sender.n > 0 && !slice_ieq(sender, buf_slice(&s->account)) &&
	    (s->back->owns(s->back->ctx, &in, clock_mono_ms() + SMTP_ASK_MS, a, &out) != IPC_OK || !out.owns))
		return false;
	s->txn.sender = sender;
	return true;
}
