/* SPDX-License-Identifier: MIT
 * One message over a conversation that has been opened: RFC 5321 section 3.3, PIPELINING (RFC 2920), SIZE (1870),
 * 8BITMIME (6152), SMTPUTF8 (6531), DSN (3461), REQUIRETLS (8689), CHUNKING (3030), DELIVERBY (2852), and LMTP's reply
 * for each recipient (2033).
 *
 * Invariants: a recipient is delivered only when a 2xx reply to its content was read (O-003: without one it is deferred,
 * and not tried elsewhere in this job); every recipient that is done has a result; no text of the message can end the
 * data or become a command. */
#include <stdio.h>

#include "lib/clock/clock.h"
#include "rooms/send/send.h"
#include "rooms/send/wire.h"

#define PIECE ((size_t)65536) /* of a body, under one time limit */
#define BY_MOST 999999999     /* RFC 2852 section 4: nine digits */

bool
mail_done(const struct mail *mail)
{
	for (size_t i = 0; i < mail->m->n_rcpts; i++)
		if (!mail->done[i])
			return false;
	return true;
}

static void
settle(struct mail *mail, size_t i, enum queue_send_outcome outcome, unsigned code, struct slice enhanced,
    struct slice text)
{
	struct queue_send_result *r = &mail->results[i];

	*r = (struct queue_send_result){ .delivery = mail->m->rcpts[i].delivery, .outcome = outcome, .code = code };
	/* at the arena's ceiling the words are missing, never the result */
	(void)arena_copy(mail->a, slice_head(enhanced, 16), &r->enhanced);
	(void)arena_copy(mail->a, slice_head(text, LIMIT_SMTP_REPLY_TEXT), &r->text);
	mail->done[i] = true;
}

void
mail_settle(struct mail *mail, enum queue_send_outcome outcome, unsigned code, const char *enhanced,
    struct slice text)
{
	for (size_t i = 0; i < mail->m->n_rcpts; i++)
		if (!mail->done[i])
			settle(mail, i, outcome, code, slice_z(enhanced), text);
}

/* What a reply means for a recipient: never delivered by anything but 2xx. */
static void
settle_by(struct mail *mail, size_t i, const struct smtp_reply *r, bool content)
{
	char e[SMTP_ENHANCED_TEXT];
	enum queue_send_outcome o = r->code / 100 == 5 ? QUEUE_SEND_OUTCOME_FAILED : QUEUE_SEND_OUTCOME_DEFERRED;

	if (content && r->code / 100 == 2)
		o = QUEUE_SEND_OUTCOME_DELIVERED;
	settle(mail, i, o, r->code, smtp_reply_enhanced(r, e), smtp_reply_text(r));
}

/* ---- may this message go over this conversation? ------------------------------------------------ */

/* Seconds until the message has to be delivered (RFC 2852), as BY= has them. */
static int64_t
seconds_left(const struct mail *mail)
{
	int64_t left = (mail->m->by_us - clock_wall_us()) / 1000000;

	return left > BY_MOST ? BY_MOST : left < -BY_MOST ? -BY_MOST : left;
}

/* Mode R: nobody gets the message who would not look after the time. A store is where it is delivered. */
static void
fits_in_time(const struct talk *t, struct mail *mail)
{
	if (mail->m->by_us == 0 || mail->m->by_notify || t->lmtp)
		return;
	if (!t->offer.deliverby)
		mail_settle(mail, QUEUE_SEND_OUTCOME_FAILED, 0, "5.3.3",
		    S("the server does not promise to deliver in time (DELIVERBY), as the sender asks"));
	else if (seconds_left(mail) <= 0) /* queue knows what to say */
		mail_settle(mail, QUEUE_SEND_OUTCOME_DEFERRED, 0, "4.4.7", S("the time that the sender gave is over"));
	else if ((uint64_t)seconds_left(mail) < t->offer.min_by)
		mail_settle(mail, QUEUE_SEND_OUTCOME_FAILED, 0, "5.4.7",
		    S("the server needs more time than the sender has left (DELIVERBY)"));
}

static enum talk_end
fits(struct talk *t, struct mail *mail)
{
	const struct smtp_offer *o = &t->offer;

	if (mail->m->requiretls && (!t->verified || !o->requiretls)) {
		t->why = "the server does not offer REQUIRETLS over a verified connection";
		return TALK_POLICY;
	}
	if (o->size && o->size_limit > 0 && mail->body.n > o->size_limit)
		mail_settle(mail, QUEUE_SEND_OUTCOME_FAILED, 0, "5.3.4", S("the message is larger than the server takes"));
	else if (mail->utf8 && !o->smtputf8)
		mail_settle(mail, QUEUE_SEND_OUTCOME_FAILED, 0, "5.6.7",
		    S("the server does not take internationalised mail (SMTPUTF8)"));
	else if (mail->eight && !o->eightbit)
		mail_settle(mail, QUEUE_SEND_OUTCOME_FAILED, 0, "5.6.3",
		    S("the message has 8-bit content, which the server does not take (8BITMIME)"));
	fits_in_time(t, mail);
	return TALK_OK;
}

/* ---- the envelope ------------------------------------------------------------------------------- */

static bool
say_mail(struct talk *t, const struct mail *mail)
{
	const struct queue_send_relay *m = mail->m;
	const struct smtp_offer *o = &t->offer;
	bool dsn = o->dsn && m->envid.n > 0;
	char size[40] = "", by[40] = "";

	if (o->size)
		(void)snprintf(size, sizeof size, " SIZE=%llu", (unsigned long long)mail->body.n);
	if (o->deliverby && m->by_us != 0)
		(void)snprintf(by, sizeof by, " BY=%lld;%s%s", (long long)seconds_left(mail), m->by_notify ? "N" : "R",
		    m->by_trace ? "T" : "");
	return talk_say(t, "MAIL FROM:<%.*s>%s%s%s%s%s%s%s%.*s", SFMT(m->sender), size, by,
	    o->eightbit && mail->eight ? " BODY=8BITMIME" : "", mail->utf8 ? " SMTPUTF8" : "",
	    m->requiretls ? " REQUIRETLS" : "",
	    !o->dsn || m->ret == QUEUE_SEND_RET_UNSAID ? ""
		: m->ret == QUEUE_SEND_RET_FULL	       ? " RET=FULL"
						       : " RET=HDRS",
	    dsn ? " ENVID=" : "", SFMT(dsn ? m->envid : S("")));
}

static bool
say_rcpt(struct talk *t, const struct queue_send_rcpt *r)
{
	char notify[48] = "";
	bool orcpt = t->offer.dsn && r->orcpt.n > 0;

	if (t->offer.dsn && (r->notify & 1u) != 0) {
		(void)snprintf(notify, sizeof notify, " NOTIFY=NEVER");
	} else if (t->offer.dsn && (r->notify & 14u) != 0) {
		bool success = (r->notify & 2u) != 0, failure = (r->notify & 4u) != 0, delay = (r->notify & 8u) != 0;

		(void)snprintf(notify, sizeof notify, " NOTIFY=%s%s%s%s%s", success ? "SUCCESS" : "",
		    success && (failure || delay) ? "," : "", failure ? "FAILURE" : "", failure && delay ? "," : "",
		    delay ? "DELAY" : "");
	}
	return talk_say(t, "RCPT TO:<%.*s>%s%s%.*s", SFMT(r->address), notify, orcpt ? " ORCPT=" : "",
	    SFMT(orcpt ? r->orcpt : S("")));
}

/* The recipients of this transaction: those that are not done, as many as the server takes at once. */
static size_t
choose(const struct talk *t, const struct mail *mail, size_t batch[SEND_RCPTS])
{
	uint64_t most = t->offer.rcpt_limit == 0 ? SEND_RCPTS : t->offer.rcpt_limit;
	size_t n = 0;

	for (size_t i = 0; i < mail->m->n_rcpts && n < most; i++)
		if (!mail->done[i])
			batch[n++] = i;
	return n;
}

/* One reply to RCPT. 552 means "too many": RFC 5321 4.5.3.1.10. */
static void
on_rcpt(struct talk *t, struct mail *mail, size_t i)
{
	if (t->reply.code / 100 == 2) {
		mail->taken[i] = true;
		return;
	}
	if (t->reply.code == 552)
		t->reply.code = 452;
	if (t->dead)
		return;
	settle_by(mail, i, &t->reply, false);
}

/* Says what may be said at once, and reads the reply to MAIL. False: no reply. */
static bool
begin(struct talk *t, struct mail *mail, const size_t *batch, size_t n, bool data)
{
	bool said = say_mail(t, mail);

	for (size_t k = 0; said && t->offer.pipelining && k < n; k++)
		said = say_rcpt(t, &mail->m->rcpts[batch[k]]);
	if (said && t->offer.pipelining && data)
		said = talk_say(t, "DATA");
	return said && talk_reply(t, t->times->command);
}

/* Replies that still come although the transaction is over, DATA's among them: an empty message to nobody. */
static void
read_off(struct talk *t, size_t replies, bool data)
{
	struct smtp_reply kept = t->reply;

	for (size_t k = 0; k < replies && !t->dead; k++)
		(void)talk_reply(t, t->times->command);
	if (data && !t->dead && talk_reply(t, t->times->command) && t->reply.code / 100 == 3)
		(void)talk_ask(t, t->times->end, S("."));
	t->reply = kept;
}

/* ---- the content -------------------------------------------------------------------------------- */

static bool
put_piece(void *arg, struct slice piece)
{
	struct talk *t = arg;

	while (piece.n > 0) {
		struct slice part = slice_head(piece, PIECE);

		if (stream_write(&t->s, part, talk_until(t, t->times->block)) != STREAM_OK)
			return false;
		piece = slice_from(piece, part.n);
	}
	return true;
}

/* The recipients that were taken get the last reply, or, without one, the words. */
static void
settle_taken(struct talk *t, struct mail *mail, const char *without)
{
	for (size_t i = 0; i < mail->m->n_rcpts; i++) {
		if (!mail->taken[i] || mail->done[i])
			continue;
		if (t->reply.code == 0)
			settle(mail, i, QUEUE_SEND_OUTCOME_DEFERRED, 0, S("4.4.2"), slice_z(without));
		else
			settle_by(mail, i, &t->reply, true);
		mail->results[i].passed_on = mail->results[i].outcome == QUEUE_SEND_OUTCOME_DELIVERED && t->offer.dsn;
		mail->results[i].by_passed_on = mail->results[i].outcome == QUEUE_SEND_OUTCOME_DELIVERED && t->offer.deliverby;
	}
}

/* LMTP: one reply for each recipient that was taken, in order (RFC 2033 4.2). */
static void
settle_each(struct talk *t, struct mail *mail)
{
	for (size_t i = 0; i < mail->m->n_rcpts; i++) {
		if (!mail->taken[i] || mail->done[i])
			continue;
		if (!talk_reply(t, t->times->end))
			break;
		settle_by(mail, i, &t->reply, true);
		mail->results[i].by_passed_on = mail->results[i].outcome == QUEUE_SEND_OUTCOME_DELIVERED;
	}
}

/* The body could not be written: the server may have said why before it left. Never "delivered": it has not seen the
 * end. */
static void
broken(struct talk *t, struct mail *mail)
{
	bool said = talk_reply(t, 1000) && t->reply.code >= 400;

	t->dead = true;
	if (!said)
		smtp_reply_begin(&t->reply);
	settle_taken(t, mail, "the connection was lost while the message was sent");
}

static void
content(struct talk *t, struct mail *mail, bool bdat)
{
	bool sent = !bdat || talk_say(t, "BDAT %llu LAST", (unsigned long long)wire_size(mail->body, false));

	sent = sent && wire_body(mail->body, !bdat, put_piece, t) && (bdat || talk_say(t, "."));
	if (!sent || stream_flush(&t->s, talk_until(t, t->times->block)) != STREAM_OK) {
		broken(t, mail);
		return;
	}
	if (t->lmtp)
		settle_each(t, mail);
	else
		(void)talk_reply(t, t->times->end);
	settle_taken(t, mail, "no reply after the end of the message: whether it was taken is not known");
}

/* ---- a transaction ------------------------------------------------------------------------------ */

/* The reply to MAIL was no 2xx. */
static enum talk_end
mail_refused(struct talk *t, struct mail *mail, size_t n, bool data)
{
	mail->refused = true;
	if (t->offer.pipelining)
		read_off(t, n, data);
	t->reset = true;
	if (t->dead || t->reply.code / 100 != 5)
		return TALK_NEXT;
	for (size_t i = 0; i < mail->m->n_rcpts; i++)
		if (!mail->done[i])
			settle_by(mail, i, &t->reply, false);
	return TALK_OK;
}

/* False: the conversation ended in between. */
static bool
recipients(struct talk *t, struct mail *mail, const size_t *batch, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		if (!t->offer.pipelining && !say_rcpt(t, &mail->m->rcpts[batch[k]]))
			return false;
		if (!talk_reply(t, t->times->command))
			return false;
		on_rcpt(t, mail, batch[k]);
		if (t->dead)
			return false;
	}
	return true;
}

static enum talk_end
transaction(struct talk *t, struct mail *mail, const size_t *batch, size_t n)
{
	bool bdat = mail->chunking && t->offer.chunking && !t->lmtp, piped = t->offer.pipelining && !bdat;
	size_t taken = 0;

	t->used++;
	memset(mail->taken, 0, sizeof mail->taken);
	if (!begin(t, mail, batch, n, !bdat))
		return TALK_NEXT;
	if (t->reply.code / 100 != 2)
		return mail_refused(t, mail, n, !bdat);
	t->reset = true;
	if (!recipients(t, mail, batch, n))
		return TALK_NEXT;
	for (size_t k = 0; k < n; k++)
		taken += mail->taken[batch[k]];
	if (taken == 0) {
		if (piped)
			read_off(t, 0, true);
		return TALK_OK;
	}
	if (!bdat) {
		if ((!piped && !talk_say(t, "DATA")) || !talk_reply(t, t->times->command))
			return TALK_NEXT;
		if (t->reply.code / 100 != 3) {
			if (t->reply.code / 100 == 2)
				smtp_reply_begin(&t->reply); /* nonsense is no success */
			settle_taken(t, mail, "DATA was answered with a reply that is none");
			return TALK_OK;
		}
	}
	content(t, mail, bdat);
	t->reset = false;
	return TALK_OK;
}

enum talk_end
mail_send(struct talk *t, struct mail *mail)
{
	enum talk_end e = fits(t, mail);
	size_t batch[SEND_RCPTS], n;

	if (e == TALK_OK && t->reset && !mail_done(mail) && !talk_ask(t, t->times->command, S("RSET")))
		return TALK_NEXT;
	t->reset = false;
	while (e == TALK_OK && (n = choose(t, mail, batch)) > 0) {
		e = t->dead ? TALK_NEXT : transaction(t, mail, batch, n);
		mail->busy |= t->reply.code == 421;
	}
	return e;
}
