/* SPDX-License-Identifier: MIT
 * Between the end of data and the queue: scan judges the message, and says what is to be changed in
 * it. No answer of scan is never an acceptance. The changes are applied here, into a new sealed
 * memfd, so that nobody else ever writes into a message. */
#include "lib/clock/clock.h"
#include "lib/edits/edits.h"
#include "rooms/smtp/content.h"

static bool
ask(struct smtp_session *s, const struct content *c, struct smtp_scan_judge_answer *v)
{
	struct smtp_scan_judge in = { .queue_id = slice_z(s->txn.queue_id),
		.session = s->peer.session,
		.peer_ip = slice_of(s->peer.ip.b, s->peer.ip.n),
		.helo = slice_head(buf_slice(&s->helo), 255),
		.sender = s->txn.sender,
		.account = s->account_id,
		.login = buf_slice(&s->account),
		.tls = s->peer.tls,
		.size = c->size,
		.trace = c->trace,
		.received_us = clock_wall_us(),
		.rcpts = ARENA_ARRAY(s->txn.arena, s->txn.n_rcpts, struct smtp_scan_rcpt),
		.n_rcpts = s->txn.n_rcpts,
		.fd = c->fd };

	if (in.rcpts == NULL)
		return false;
	for (size_t i = 0; i < in.n_rcpts; i++) {
		in.rcpts[i].address = s->txn.rcpts[i].address;
		in.rcpts[i].account = s->txn.rcpts[i].account;
		in.rcpts[i].original = s->txn.rcpts[i].original;
	}
	return s->back->judge(s->back->ctx, &in, clock_mono_ms() + SMTP_SCAN_MS, s->txn.arena, v) == IPC_OK;
}

/* The header From belongs to the account that writes (U-012). */
static bool
author_permitted(struct smtp_session *s, struct slice from)
{
	struct smtp_auth_address one = { .address = from };
	struct smtp_auth_owns in = { .account = s->account_id, .revision = s->revision, .addresses = &one, .n_addresses = 1 };
	struct smtp_auth_owns_answer out;

	if (!s->conf->submission || slice_ieq(from, buf_slice(&s->account)))
		return true;
	if (from.n > 0 && s->back->owns(s->back->ctx, &in, clock_mono_ms() + SMTP_ASK_MS, s->txn.arena, &out) != IPC_OK) {
		smtp_refuse(s, "data", from, 451, "4.3.0", "try later");
		return false;
	}
	if (from.n == 0 || !out.owns) {
		smtp_refuse(s, "data", from, 550, "5.7.1", "From is not an address of this account");
		return false;
	}
	return true;
}

void
smtp_verdict_reply(struct smtp_session *s, const char *where, struct slice address, bool defer, unsigned code,
    struct slice enhanced, struct slice text)
{
	own(buf_t) status = { .max = 17 };
	own(buf_t) words = { .max = 512 };
	unsigned least = defer ? 400 : 500;

	if (code < least || code > least + 99)
		code = defer ? 451 : 550;
	(void)buf_printable(&status, enhanced, 16);
	(void)buf_byte(&status, 0);
	(void)buf_printable(&words, text, 400);
	(void)buf_byte(&words, 0);
	smtp_refuse(s, where, address, code, enhanced.n > 0 ? (const char *)status.p : defer ? "4.7.1" : "5.7.1",
	    text.n > 0 ? (const char *)words.p : "refused");
}

/* Where our own fields stand after the edits: what goes in before them moves them. */
static uint64_t
moved(const struct smtp_scan_judge_answer *v)
{
	uint64_t by = 0;

	for (size_t i = 0; i < v->n_edits && v->edits[i].at == 0; i++)
		by += v->edits[i].insert.n;
	return by;
}

bool
smtp_judged(struct smtp_session *s, struct content *c, struct smtp_scan_judge_answer *v)
{
	if (!ask(s, c, v)) {
		smtp_refuse(s, "data", S(""), 451, "4.3.0", "try later");
		return false;
	}
	if (v->action == SMTP_SCAN_ACTION_REJECT || v->action == SMTP_SCAN_ACTION_DEFER) {
		smtp_verdict_reply(s, "data", S(""), v->action == SMTP_SCAN_ACTION_DEFER, v->code, v->enhanced, v->text);
		return false;
	}
	if (!author_permitted(s, v->from))
		return false;
	if (!edits_apply(&c->fd, &c->size, v->edits, v->n_edits, UINT32_MAX)) {
		smtp_refuse(s, "data", S(""), 452, "4.3.1", "no room now, try later");
		return false;
	}
	c->trace_at += moved(v);
	return v->redirect.n == 0 || v->action == SMTP_SCAN_ACTION_DISCARD || smtp_redirect(s, v->redirect);
}
