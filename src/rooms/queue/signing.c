/* SPDX-License-Identifier: MIT
 * Signatures of our own notifications: one that leaves for elsewhere is shown to scan, which has it signed by
 * keys with what signs for the domain of its From, when its turn has come. The spool keeps it unsigned, so that a
 * signature is never older than the try that it belongs to.
 *
 * Without an answer it is tried again later, as after any other failure on the way; one that could not be signed
 * for half of the time that the queue keeps it goes unsigned, because a sender who never hears is worse. */
#include "lib/clock/clock.h"
#include "lib/edits/edits.h"
#include "lib/events/events.h"
#include "rooms/queue/queue.h"

#define SIGN_MS 60000u /* scan answers sooner, whatever fails */

bool
signing_wanted(const struct queue *q, const struct task *t)
{
	return (t->flags & SPOOL_OWN) != 0 && !t->is_signed && queue_now(q) - t->queued < q->set.bounce_lifetime / 2;
}

static void
later(struct queue *q, struct task *t, struct slice why)
{
	if (t->dropped) {
		task_free(q, t);
		return;
	}
	outcome_put_off(q, t, outcome_retry_local(q, t->attempts), true,
	    &(struct outcome){ .status = S("4.7.5"), .reason = why });
}

static struct signing *
slot_of(struct queue *q, uint32_t id)
{
	for (unsigned i = 0; i < QUEUE_SIGNINGS; i++)
		if (q->signings[i].id == id)
			return &q->signings[i];
	return NULL;
}

static enum ipc_status
ask(struct queue *q, uint32_t id, const struct task *t)
{
	struct smtp_scan_rcpt to = { .address = slice_z(t->rcpt), .original = slice_z(t->rcpt) };
	struct smtp_scan_judge m = { .queue_id = slice_z(t->queue_id), .session = t->session,
		.smtputf8 = (t->flags & SPOOL_SMTPUTF8) != 0, .size = t->size, .received_us = t->received_us, .rcpts = &to,
		.n_rcpts = 1, .fd = t->content->fd };

	return smtp_scan_judge_ask(q->scan, id, &m);
}

void
signing_begin(struct queue *q, struct task *t)
{
	struct signing *s = slot_of(q, 0);

	if (q->scan == NULL || s == NULL) {
		later(q, t, S("nothing can be signed now"));
		return;
	}
	if (++q->sign_id == 0)
		q->sign_id = 1;
	if (ask(q, q->sign_id, t) != IPC_OK) {
		later(q, t, S("nothing can be signed now"));
		return;
	}
	*s = (struct signing){ .id = q->sign_id, .task = t, .until_ms = clock_mono_ms() + SIGN_MS };
}

/* ---- the channel to scan ------------------------------------------------------------------------ */

static void
on_judged(void *ctx, uint32_t id, struct smtp_scan_judge_answer *m)
{
	struct queue *q = ctx;
	struct signing *s = id == 0 ? NULL : slot_of(q, id);
	struct task *t;

	if (s == NULL)
		return; /* it came too late */
	t = s->task;
	*s = (struct signing){ 0 };
	if (m->action != SMTP_SCAN_ACTION_ACCEPT) {
		later(q, t, S("it cannot be signed now"));
		return;
	}
	if (!edits_apply(&t->content->fd, &t->size, m->edits, m->n_edits, LIMIT_SIGNED)) {
		later(q, t, S("no room to sign it now"));
		return;
	}
	t->is_signed = true;
	remote_signed(q, t);
}

void
signing_tick(struct queue *q)
{
	for (unsigned i = 0; i < QUEUE_SIGNINGS; i++) {
		struct signing *s = &q->signings[i];

		if (s->id != 0 && (q->scan == NULL || clock_mono_ms() >= s->until_ms)) {
			struct task *t = s->task;

			*s = (struct signing){ 0 };
			later(q, t, S("no answer of the room that has it signed"));
		}
	}
}

static void
scan_gone(struct queue *q)
{
	loop_unwatch(q->loop, &q->scan_watch);
	ipc_channel_free(&q->scan);
	signing_tick(q);
}

static void
from_scan(void *arg, unsigned ready)
{
	static const struct smtp_scan_answers answers = { .judge = on_judged };
	struct queue *q = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (unsigned i = 0; i < QUEUE_SIGNINGS && st == IPC_OK; i++)
		st = smtp_scan_answers_serve(q->scan, &answers, q);
	if (st == IPC_HOSTILE)
		proc_suspect(q->proc, q->scan);
	if (st != IPC_OK && st != IPC_AGAIN)
		scan_gone(q);
}

void
signing_scan(struct queue *q, int fd)
{
	scan_gone(q);
	q->scan = ipc_channel_new(fd, "scan", "");
	ipc_set_nonblocking(q->scan, true);
	ipc_set_send_wait(q->scan, 0);
	ipc_set_phase(q->scan, SMTP_SCAN_PHASE_QUEUE);
	q->scan_watch = loop_watch(q->loop, fd, LOOP_READ, from_scan, q);
}
