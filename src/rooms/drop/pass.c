/* SPDX-License-Identifier: MIT
 * A message of a local program on its way: may it be sent as that, to whom does it go (auth), what is to
 * be changed in it (scan, which also signs), and whose it is from now on (queue). No answer of any of
 * them is ever an acceptance. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/base/encode.h"
#include "lib/clock/clock.h"
#include "lib/edits/edits.h"
#include "lib/idn/idn.h"
#include "rooms/drop/drop.h"

#define NOTIFY_FAILURE 4u /* RFC 3461, as ipc/smtp_queue.msg has it */
#define HOUR_US ((uint64_t)3600 * 1000000)

bool
drop_say(struct drop_answer *an, unsigned code, const char *enhanced, const char *fmt, ...)
{
	va_list ap;

	an->code = code;
	an->enhanced = enhanced;
	va_start(ap, fmt);
	(void)vsnprintf(an->text, sizeof an->text, fmt, ap);
	va_end(ap);
	return false;
}

static bool
later(struct drop_answer *an)
{
	return drop_say(an, 451, "4.3.0", "try later");
}

struct slice
drop_default_sender(const struct app *app)
{
	size_t at = slice_find_byte(app->senders, ' ');

	return at == SLICE_NONE ? app->senders : slice_head(app->senders, at);
}

bool
drop_may_write(const struct app *app, struct slice address)
{
	size_t at = slice_rfind_byte(address, '@');
	struct slice one, rest = app->senders;

	if (at == SLICE_NONE)
		return false;
	for (bool more = true; more;) {
		more = slice_cut(rest, ' ', &one, &rest);
		if (!more)
			one = rest;
		if (slice_ieq(one, address) || slice_ieq(one, slice_from(address, at)))
			return true;
	}
	return false;
}

/* All of them count, or none. */
static bool
within_limits(struct drop_mail *m, struct drop_answer *an)
{
	struct drop_room *r = m->room;
	uint64_t now = (uint64_t)clock_wall_us(), all = rate_key_text('A', m->app.name);
	bool ok = true;

	(void)pthread_mutex_lock(&r->lock);
	for (size_t i = 0; ok && i < m->n_rcpts; i++) {
		uint64_t whose = rate_key_text('U', m->user.n > 0 ? m->user : m->rcpts[i]) ^ all;

		ok = rate_take(&r->rates, rate_key('P', whose), m->app.per_recipient, HOUR_US, now) &&
		    rate_take(&r->rates, all, m->app.per_hour, HOUR_US, now);
	}
	(void)pthread_mutex_unlock(&r->lock);
	return ok || drop_say(an, 450, "4.7.1", "too much of this program at once, try later");
}

/* What auth says about one recipient. */
static bool
resolve(struct drop_mail *m, struct slice rcpt, bool first, struct smtp_queue_rcpt *to, size_t *n,
    struct drop_answer *an)
{
	struct smtp_auth_rcpt in = { .address = rcpt, .sender = m->sender, .first = first };
	struct smtp_auth_target self = { .address = rcpt };
	struct smtp_auth_rcpt_answer out;

	if (m->room->back.rcpt(m->room->back.ctx, &in, clock_mono_ms() + DROP_ASK_MS, m->a, &out) != IPC_OK)
		return later(an);
	if (out.status == SMTP_AUTH_RCPT_STATUS_NOT_LOCAL)
		out = (struct smtp_auth_rcpt_answer){ .targets = &self, .n_targets = 1 };
	else if (out.status == SMTP_AUTH_RCPT_STATUS_TRY_LATER || out.status == SMTP_AUTH_RCPT_STATUS_SLOW_DOWN)
		return later(an);
	else if (out.status == SMTP_AUTH_RCPT_STATUS_LOOP)
		return drop_say(an, 554, "5.4.6", "%.*s goes in circles", SFMT(rcpt));
	else if (out.status == SMTP_AUTH_RCPT_STATUS_REFUSED)
		return drop_say(an, 550, "5.7.1", "%.*s does not take mail from this sender", SFMT(rcpt));
	else if (out.status != SMTP_AUTH_RCPT_STATUS_OK || out.n_targets == 0)
		return drop_say(an, 550, "5.1.1", "no such mailbox: %.*s", SFMT(rcpt));
	for (size_t i = 0; i < out.n_targets; i++) {
		bool there = false;

		for (size_t k = 0; k < *n; k++)
			there = there || (to[k].account == out.targets[i].account &&
			    (to[k].account != 0 || slice_ieq(to[k].address, out.targets[i].address)));
		if (there)
			continue;
		if (*n == DROP_RCPTS)
			return drop_say(an, 552, "5.5.3", "too many recipients");
		to[(*n)++] = (struct smtp_queue_rcpt){ .address = out.targets[i].address,
			.account = out.targets[i].account, .original = rcpt, .sender = out.targets[i].sender,
			.listed = out.targets[i].listed, .owner = out.targets[i].owner,
			.notify = out.targets[i].listed ? NOTIFY_FAILURE : 0 };
	}
	return true;
}

/* scan's verdict as an answer; true when the message may go on. */
static bool
judged(struct drop_mail *m, const struct smtp_queue_rcpt *to, size_t n, struct smtp_scan_judge_answer *v,
    struct drop_answer *an)
{
	struct smtp_scan_rcpt *rcpts = ARENA_ARRAY(m->a, n, struct smtp_scan_rcpt);
	struct smtp_scan_judge in = { .queue_id = m->queue_id, .session = m->session, .sender = m->sender,
		.login = drop_default_sender(&m->app), .size = m->size, .trace = m->trace,
		.received_us = clock_wall_us(), .rcpts = rcpts, .n_rcpts = n, .fd = m->fd };
	own(buf_t) text = { .max = 256 };

	for (size_t i = 0; rcpts != NULL && i < n; i++)
		rcpts[i] = (struct smtp_scan_rcpt){ .address = to[i].address, .account = to[i].account,
			.original = to[i].original };
	if (rcpts == NULL ||
	    m->room->back.judge(m->room->back.ctx, &in, clock_mono_ms() + DROP_SCAN_MS, m->a, v) != IPC_OK)
		return later(an);
	(void)buf_printable(&text, v->text, 200);
	if (v->action == SMTP_SCAN_ACTION_DEFER)
		return drop_say(an, 451, "4.7.1", "%.*s", SFMT(buf_slice(&text)));
	if (v->action == SMTP_SCAN_ACTION_REJECT)
		return drop_say(an, 550, "5.7.1", "%.*s", SFMT(buf_slice(&text)));
	if (!drop_may_write(&m->app, v->from)) {
		own(buf_t) from = { .max = 256 };

		(void)buf_printable(&from, v->from, 200);
		return drop_say(an, 553, "5.7.1", "the program %.*s may not write as %.*s", SFMT(m->app.name),
		    SFMT(buf_slice(&from)));
	}
	return edits_apply(&m->fd, &m->size, v->edits, v->n_edits, UINT32_MAX) ||
	    drop_say(an, 452, "4.3.1", "no room now, try later");
}

static void
accepted(struct drop_mail *m, size_t n, struct drop_answer *an)
{
	EVENT(EVENT_DROP_ACCEPTED, m->session, m->queue_id, S(""), EF("program", m->app.name),
	    EN("uid", m->uid), EF("from", m->sender), EF("user", m->user),
	    EF("to", m->n_rcpts == 1 && m->user.n == 0 ? m->rcpts[0] : S("")), EN("nrcpt", n),
	    EN("size", m->size));
	(void)drop_say(an, 250, "2.0.0", "queued as %.*s", SFMT(m->queue_id));
}

static void
queue_it(struct drop_mail *m, struct smtp_queue_rcpt *to, size_t n, const struct smtp_scan_judge_answer *v,
    struct drop_answer *an)
{
	struct smtp_queue_accept in = { .queue_id = m->queue_id, .session = m->session, .sender = m->sender,
		.body_8bit = m->body_8bit, .folder = v->folder,
		.held = v->action == SMTP_SCAN_ACTION_HOLD ? v->why : S(""), .size = m->size, .once = m->once,
		.bulk = v->bulk,
		.received_us = clock_wall_us(), .rcpts = to, .n_rcpts = n, .fd = m->fd };
	struct smtp_queue_accept_answer out;
	enum ipc_status st;

	for (size_t i = 0; i < n; i++) /* RFC 6531: a local part beyond ASCII */
		in.smtputf8 = in.smtputf8 || (to[i].account == 0 && !ascii_only(to[i].address));
	st = m->room->back.accept(m->room->back.ctx, &in, clock_mono_ms() + DROP_ACCEPT_MS, m->a, &out);
	if (st != IPC_OK || out.status == SMTP_QUEUE_ACCEPT_STATUS_TRY_LATER)
		(void)later(an);
	else if (out.status == SMTP_QUEUE_ACCEPT_STATUS_OK)
		accepted(m, n, an);
	else if (out.status == SMTP_QUEUE_ACCEPT_STATUS_FULL)
		(void)drop_say(an, 452, "4.3.1", "no room now, try later");
	else
		(void)drop_say(an, 554, "5.6.0", "the message was refused");
}

/* A rule's address takes the place of all recipients; where it cannot, the mail is to come again. */
static bool
redirected(struct drop_mail *m, struct slice address, struct smtp_queue_rcpt *to, size_t *n, struct drop_answer *an)
{
	size_t before = *n;

	if (address.n == 0)
		return true;
	*n = 0;
	if (!edits_may_redirect(m->room->redirects, address) || !resolve(m, address, false, to, n, an) ||
	    to[0].account == 0)
		return drop_say(an, 451, "4.3.5", "a rule of this server redirects this message to where nobody is");
	EVENT(EVENT_FILTER_REDIRECTED, m->session, m->queue_id, S(""), EF("to", address), EN("rcpts", before));
	return true;
}

/* From here on a domain has A-labels only (as behind the other doors: smtp/envelope.c): they are what the DNS knows, and
 * one domain is one destination. False with *an. */
static bool
a_labels(struct drop_mail *m, struct drop_answer *an)
{
	bool ok = idn_address(m->sender, m->a, &m->sender);

	for (size_t i = 0; ok && i < m->n_rcpts; i++)
		ok = idn_address(m->rcpts[i], m->a, &m->rcpts[i]);
	return ok || drop_say(an, 501, "5.1.3", "an address has a domain that there cannot be");
}

void
drop_pass(struct drop_mail *m, struct drop_answer *an)
{
	struct smtp_queue_rcpt *to = ARENA_ARRAY(m->a, DROP_RCPTS, struct smtp_queue_rcpt);
	struct smtp_scan_judge_answer v;
	size_t n = 0, breaks;

	if (to == NULL) {
		(void)later(an);
		return;
	}
	if (m->n_rcpts == 0) {
		(void)drop_say(an, 501, "5.5.2", "no recipient");
		return;
	}
	if (!a_labels(m, an))
		return;
	if (m->own_sender && m->sender.n > 0 && !drop_may_write(&m->app, m->sender)) {
		(void)drop_say(an, 553, "5.7.1", "the program %.*s may not write as %.*s", SFMT(m->app.name),
		    SFMT(m->sender));
		return;
	}
	if (!within_limits(m, an))
		return;
	for (size_t i = 0; i < m->n_rcpts; i++)
		if (!m->nobody && !resolve(m, m->rcpts[i], i == 0, to, &n, an))
			return;
	if (!edits_break_lines(&m->fd, &m->size, &breaks)) { /* before it is signed: decision 0081 */
		(void)drop_say(an, 452, "4.3.1", "no room now, try later");
		return;
	}
	if (breaks > 0)
		EVENT(EVENT_DROP_LINES_BROKEN, m->session, m->queue_id, S(""), EN("breaks", breaks), EN("size", m->size));
	if (m->nobody) /* judged like any other, so that it takes as long */
		to[n++] = (struct smtp_queue_rcpt){ .address = m->rcpts[0], .original = m->rcpts[0] };
	if (!judged(m, to, n, &v, an))
		return;
	if (m->nobody || v.action == SMTP_SCAN_ACTION_DISCARD)
		(void)drop_say(an, 250, "2.0.0", "queued as %.*s", SFMT(m->queue_id));
	else if (redirected(m, v.redirect, to, &n, an))
		queue_it(m, to, n, &v, an);
}
