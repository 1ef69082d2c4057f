/* SPDX-License-Identifier: MIT
 * A whole message: what its content calls for by itself and what scan says, then responsibility passes
 * to queue, whose answer, which is durable, becomes the 250. */
#include "lib/clock/clock.h"
#include "lib/edits/edits.h"
#include "rooms/smtp/content.h"

_Static_assert((int)SMTP_RET_FULL == (int)SMTP_QUEUE_RET_FULL && (int)SMTP_RET_HDRS == (int)SMTP_QUEUE_RET_HDRS &&
    (int)SMTP_RET_UNSAID == (int)SMTP_QUEUE_RET_UNSAID, "one numbering");

/* The refusal that the content itself calls for; true when there was one. */
static bool
refused(struct smtp_session *s, const struct content *c)
{
	static const struct {
		unsigned fault, code;
		const char *enhanced, *text;
	} faults[] = {
		{ SMTP_DATA_NUL, 550, "5.6.0", "a message holds no NUL" },
		{ SMTP_DATA_BARE, 550, "5.5.2", "lines end in CRLF, and hold no other CR or LF" },
		{ SMTP_DATA_SIZE, 552, "5.3.4", "too big" },
		{ SMTP_DATA_HEADER, 552, "5.3.4", "header too big" },
		{ SMTP_DATA_LINE, 552, "5.3.4", "line too long" },
		{ SMTP_DATA_SINK, 452, "4.3.1", "no room now, try later" },
	};

	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		if ((c->frame.faults & faults[i].fault) != 0) {
			smtp_refuse(s, "data", S(""), faults[i].code, faults[i].enhanced, faults[i].text);
			return true;
		}
	if (c->frame.received > LIMIT_RECEIVED || c->loop) {
		smtp_refuse(s, "data", S(""), 554, "5.4.6", "this message goes in circles");
		return true;
	}
	return false;
}

static void
accepted(struct smtp_session *s, const struct content *c)
{
	struct buf text, ip;

	buf_init(&text, 200);
	buf_init(&ip, LIMIT_IP_TEXT);
	(void)ip_put(&ip, &s->peer.ip);
	SMTP_EVENT(s, EVENT_SMTP_ACCEPTED, EF("from", s->txn.sender),
	    EF("to", s->txn.n_rcpts == 1 ? s->txn.rcpts[0].address : S("")),
	    EN("rcpts", s->txn.n_rcpts), EN("size", c->size), EF("ip", buf_slice(&ip)),
	    EF("helo", buf_slice(&s->helo)), EF("tls", slice_z(s->peer.tls_version)));
	PN_ASSERT(buf_add(&text, S("queued as ")) && buf_add(&text, slice_z(s->txn.queue_id)) &&
	    buf_byte(&text, 0));
	s->junk = 0;
	smtp_reply(s, 250, "2.0.0", (const char *)text.p);
	buf_free(&text);
	buf_free(&ip);
}

/* About what would nobody be told who should be: mail of strangers that we forward goes back as a report
 * only to a sender that SPF verified, else it would be backscatter to whoever was forged; and what a list
 * cannot deliver is not its author's business, but its owner's, whatever the author wished (RFC 3461 section 5.2.7.3). */
static void
keep_quiet(struct smtp_session *s, const struct smtp_scan_judge_answer *v)
{
	for (size_t i = 0; i < s->txn.n_rcpts; i++) {
		struct smtp_queue_rcpt *r = &s->txn.rcpts[i];
		bool forward = s->account_id == 0 && r->account == 0;

		if (r->listed)
			r->notify = SMTP_NOTIFY_FAILURE;
		else if (forward && !v->sender_verified)
			r->notify = SMTP_NOTIFY_NEVER;
	}
}

/* Responsibility passes here. */
static void
queue_it(struct smtp_session *s, struct content *c, const struct smtp_scan_judge_answer *v)
{
	struct smtp_queue_accept in = { .queue_id = slice_z(s->txn.queue_id),
		.session = s->peer.session,
		.sender = s->txn.sender,
		.account = s->account_id,
		.body_8bit = s->txn.body_8bit,
		.folder = v->folder,
		.held = v->action == SMTP_SCAN_ACTION_HOLD ? v->why : S(""),
		.smtputf8 = s->txn.utf8,
		.requiretls = s->txn.requiretls,
		.bulk = v->bulk,
		.priority = s->txn.priority,
		.ret = (enum smtp_queue_ret)s->txn.ret,
		.envid = s->txn.envid,
		.hold_until_us = s->txn.hold_until_us,
		.by_us = s->txn.by_us,
		.by_mode = s->txn.by_us == 0 ? SMTP_QUEUE_BY_MODE_NONE
		    : s->txn.by_return ? SMTP_QUEUE_BY_MODE_GIVE_UP
				       : SMTP_QUEUE_BY_MODE_NOTIFY,
		.by_trace = s->txn.by_trace,
		.size = c->size,
		.received_us = clock_wall_us(),
		.rcpts = s->txn.rcpts,
		.n_rcpts = s->txn.n_rcpts,
		.fd = c->fd };
	struct smtp_queue_accept_answer out;
	enum ipc_status st;

	keep_quiet(s, v);
	st = s->back->accept(s->back->ctx, &in, clock_mono_ms() + SMTP_ACCEPT_MS,
	    s->txn.arena, &out);

	if (st != IPC_OK || out.status == SMTP_QUEUE_ACCEPT_STATUS_TRY_LATER)
		smtp_refuse(s, "data", S(""), 451, "4.3.0", "try later");
	else if (out.status == SMTP_QUEUE_ACCEPT_STATUS_OK)
		accepted(s, c);
	else if (out.status == SMTP_QUEUE_ACCEPT_STATUS_FULL)
		smtp_refuse(s, "data", S(""), 452, "4.3.1", "no room now, try later");
	else
		smtp_refuse(s, "data", S(""), 554, "5.6.0", "the message was refused");
}

/* Mail that begins here leaves with lines of at most 998 octets (RFC 5321 4.5.3.1.6), and is signed as it leaves. What
 * others wrote and signed goes on as it came (decision 0081). */
static bool
short_lines(struct smtp_session *s, struct content *c)
{
	size_t breaks = 0;

	if (!s->conf->submission)
		return true;
	if (!edits_break_lines(&c->fd, &c->size, &breaks)) {
		smtp_refuse(s, "data", S(""), 452, "4.3.1", "no room now, try later");
		return false;
	}
	if (breaks > 0)
		SMTP_EVENT(s, EVENT_SMTP_LINES_BROKEN, EN("breaks", breaks), EN("size", c->size));
	return true;
}

/* Sealed, judged where it is to be, and given to queue. One reply on every path. What comes in is judged first, and
 * milters see what scan found; what goes out is signed last, so that no milter breaks a signature. */
static void
pass_on(struct smtp_session *s, struct content *c)
{
	struct smtp_scan_judge_answer v = { .action = SMTP_SCAN_ACTION_ACCEPT };
	struct smtp_filter_word word = { 0 };

	if (!smtp_content_seal(c)) {
		smtp_refuse(s, "data", S(""), 452, "4.3.1", "no room now, try later");
		return;
	}
	if (s->conf->submission && !smtp_filtered(s, c, &word))
		return;
	if (!word.discard && !short_lines(s, c))
		return;
	if (s->conf->scan && !word.discard && !smtp_judged(s, c, &v))
		return;
	if (!s->conf->submission && v.action != SMTP_SCAN_ACTION_DISCARD && !smtp_filtered(s, c, &word))
		return;
	if (word.hold && v.action != SMTP_SCAN_ACTION_DISCARD) {
		v.action = SMTP_SCAN_ACTION_HOLD;
		v.why = word.why;
	}
	if (v.action == SMTP_SCAN_ACTION_DISCARD || word.discard)
		accepted(s, c);
	else
		queue_it(s, c, &v);
}

void
smtp_hand_over(struct smtp_session *s)
{
	struct content *c = s->txn.content;

	if (!refused(s, c))
		pass_on(s, c);
	txn_reset(s);
}
