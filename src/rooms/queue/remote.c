/* SPDX-License-Identifier: MIT
 * Tasks on their way to other servers: one dest per destination, found by its domain in lower case.
 *
 * How many relays may be under way to one destination is learnt: START at first, one more for each that
 * went well, half of it when the other side asks to slow down. A destination that cannot be had is
 * paused, longer each time; what waits for it goes back to the spool with the reason, so that it costs
 * neither memory nor a place among the relays, and afterwards one relay finds out whether it lives.
 *
 * Among the destinations that have something to send and room for it, the most urgent message goes
 * first, and equals take turns. When a relay ends, the same destination goes on at once: send has a
 * connection to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock/clock.h"
#include "lib/base/chars.h"
#include "lib/events/events.h"
#include "rooms/queue/queue.h"

#define START 2u
#define PAUSE_FIRST_MS 30000u
#define PAUSE_MOST_MS 1800000u
#define BUSY_MS 5000u
#define PURGE 1000u	/* tasks of dead destinations put off in one tick */
#define FRAME 48000u	/* bytes of recipients in one relay: a frame has 64 KiB */
#define KEEP_MS 600000u	/* what was learnt of an idle destination is kept so long */

struct dest {
	struct dest *next, *next_ready;
	struct ranks waiting;
	unsigned window, n_jobs, failures;
	bool proven, ready;
	uint64_t paused_ms, used_ms; /* paused until; clock_mono_ms() */
	char *name, *reason;
};

/* One relay under way. */
struct job {
	struct dest *d;
	struct task *tasks[QUEUE_JOB];
	unsigned n;
	bool unproven, doubtful;
	bool stale; /* the destination was paused since */
};

/* ---- destinations ------------------------------------------------------------------------------- */

static struct slice
domain_of(struct slice address)
{
	size_t at = slice_rfind_byte(address, '@');

	return at == SLICE_NONE ? S("") : slice_head(slice_from(address, at + 1), 255);
}

static size_t
bucket_of(struct slice lower)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < lower.n; i++)
		h = (h ^ slice_at(lower, i)) * 16777619u;
	return h % QUEUE_BUCKETS;
}

static struct slice
lower(struct slice in, char to[static 256])
{
	for (size_t i = 0; i < in.n; i++)
		to[i] = (char)ch_lower(slice_at(in, i));
	return slice_of(to, in.n);
}

static struct dest *
dest_of(struct queue *q, struct slice domain, bool make)
{
	char text[256] = "";
	struct slice name = lower(domain, text);
	struct dest **at = &q->dests[bucket_of(name)], *d = *at;

	while (d != NULL && !slice_eq(slice_z(d->name), name))
		d = d->next;
	if (d != NULL || !make)
		return d;
	d = calloc(1, sizeof *d);
	PN_ASSERT(d != NULL && (d->name = calloc(1, name.n + 1)) != NULL);
	memcpy(d->name, text, name.n);
	ranks_init(&d->waiting);
	d->window = START < q->set.concurrency ? START : q->set.concurrency;
	d->used_ms = clock_mono_ms();
	d->next = *at;
	*at = d;
	return d;
}

static bool
may_send(const struct queue *q, const struct dest *d)
{
	return d->waiting.n > 0 && d->n_jobs < d->window && d->paused_ms == 0 &&
	    (d->proven || (q->n_unproven < QUEUE_UNPROVEN && (d->failures == 0 || q->n_doubtful < QUEUE_DOUBTFUL)));
}

static void
ready(struct queue *q, struct dest *d)
{
	unsigned rank = ranks_best(&d->waiting);

	if (d->ready || d->waiting.n == 0 || d->n_jobs >= d->window || d->paused_ms != 0)
		return;
	d->ready = true;
	d->next_ready = NULL;
	*q->ready_last[rank] = d;
	q->ready_last[rank] = &d->next_ready;
}

static struct dest *
take_ready(struct queue *q, unsigned rank)
{
	struct dest *d = q->ready[rank];

	if (d == NULL)
		return NULL;
	q->ready[rank] = d->next_ready;
	if (q->ready[rank] == NULL)
		q->ready_last[rank] = &q->ready[rank];
	d->ready = false;
	return d;
}

/* Waits until one of the unproven ends; the others pass by. */
static void
block(struct queue *q, struct dest *d)
{
	d->ready = true;
	d->next_ready = NULL;
	*q->blocked_last = d;
	q->blocked_last = &d->next_ready;
}

static void
unblock(struct queue *q)
{
	struct dest *d = q->blocked, *next;

	q->blocked = NULL;
	q->blocked_last = &q->blocked;
	for (; d != NULL; d = next) {
		next = d->next_ready;
		d->ready = false;
		ready(q, d);
	}
}

/* ---- learning ----------------------------------------------------------------------------------- */

static void
note_reason(struct dest *d, struct slice reason)
{
	free(d->reason);
	d->reason = calloc(1, DONE_TEXT + 1);
	PN_ASSERT(d->reason != NULL);
	(void)snprintf(d->reason, DONE_TEXT + 1, "%.*s", SFMT(slice_head(reason, DONE_TEXT)));
}

static void
pause_for(struct queue *q, struct dest *d, uint64_t ms)
{
	d->paused_ms = clock_mono_ms() + outcome_jitter(q, ms);
	for (unsigned i = 0; i < QUEUE_JOBS; i++)
		if (q->jobs[i] != NULL && q->jobs[i]->d == d)
			q->jobs[i]->stale = true;
}

static void
unreachable(struct queue *q, struct dest *d, struct slice reason)
{
	uint64_t first = q->set.retry_first / 1000, most = q->set.retry_most / 1000, ms;

	/* who wants mail tried again sooner than we would pause means it */
	first = first < PAUSE_FIRST_MS ? first : PAUSE_FIRST_MS;
	most = most < PAUSE_MOST_MS ? most : PAUSE_MOST_MS;
	ms = first << (d->failures < 8 ? d->failures : 8);

	d->failures++;
	d->window = 1;
	d->proven = false;
	note_reason(d, reason);
	pause_for(q, d, ms < most ? ms : most);
	EVENT(EVENT_QUEUE_DESTINATION, 0, S(""), S(""), EF("destination", slice_z(d->name)), EF("state", S("paused")),
	    EN("ms", d->paused_ms - clock_mono_ms()), EN("waiting", d->waiting.n), EF("reason", slice_z(d->reason)));
}

static void
learn(struct queue *q, struct dest *d, const struct job *j, const struct queue_send_relay_answer *m, bool any)
{
	struct slice why = m->n_results > 0 ? m->results[0].text : S("no answer");

	if (m->destination == QUEUE_SEND_DESTINATION_REACHED) {
		if (d->failures > 0)
			EVENT(EVENT_QUEUE_DESTINATION, 0, S(""), S(""), EF("destination", slice_z(d->name)),
			    EF("state", S("reached")));
		d->failures = 0;
		d->proven = true;
		d->paused_ms = 0;
		if (any && d->window < q->set.concurrency)
			d->window++;
	} else if (j->stale) {
		return; /* it was sent before the pause: nothing new */
	} else if (m->destination == QUEUE_SEND_DESTINATION_BUSY) {
		d->proven = true;
		d->failures = 0;
		d->window = d->window > 1 ? d->window / 2 : 1;
		note_reason(d, why);
		pause_for(q, d, BUSY_MS);
	} else {
		unreachable(q, d, why);
	}
}

/* ---- results ------------------------------------------------------------------------------------ */

static struct task *
take_task(struct job *j, uint64_t delivery)
{
	for (unsigned i = 0; i < j->n; i++)
		if (j->tasks[i] != NULL && j->tasks[i]->delivery == delivery) {
			struct task *t = j->tasks[i];

			j->tasks[i] = NULL;
			return t;
		}
	return NULL;
}

static void
apply(struct queue *q, struct task *t, const struct queue_send_relay_answer *m, const struct queue_send_result *r)
{
	struct outcome o = { .status = r->enhanced, .reason = r->text, .remote = m->remote, .tls = m->tls,
		.code = r->code, .passed_on = r->passed_on, .by_passed_on = r->by_passed_on };

	if (r->outcome == QUEUE_SEND_OUTCOME_DELIVERED)
		outcome_delivered(q, t, &o);
	else if (r->outcome == QUEUE_SEND_OUTCOME_FAILED)
		outcome_failed(q, t, &o);
	else
		outcome_put_off(q, t, outcome_retry_remote(q, t->attempts), true, &o);
}

static void
job_end(struct queue *q, unsigned slot)
{
	struct job *j = q->jobs[slot];

	q->jobs[slot] = NULL;
	q->n_jobs--;
	q->n_unproven -= j->unproven;
	q->n_doubtful -= j->doubtful;
	j->d->n_jobs--;
	j->d->used_ms = clock_mono_ms();
	if (j->unproven)
		unblock(q);
	free(j);
}

static void
on_relayed(void *ctx, uint32_t id, struct queue_send_relay_answer *m)
{
	struct queue *q = ctx;
	struct job *j = id == 0 || id > QUEUE_JOBS ? NULL : q->jobs[id - 1];
	struct dest *d;
	bool any = false;

	if (j == NULL)
		return;
	d = j->d;
	for (size_t i = 0; i < m->n_results; i++) {
		struct task *t = take_task(j, m->results[i].delivery);

		any = any || m->results[i].outcome == QUEUE_SEND_OUTCOME_DELIVERED;
		if (t != NULL)
			apply(q, t, m, &m->results[i]);
	}
	for (unsigned i = 0; i < j->n; i++) /* one without a result: nobody knows */
		if (j->tasks[i] != NULL)
			outcome_put_off(q, j->tasks[i], outcome_retry_remote(q, j->tasks[i]->attempts), true,
			    &(struct outcome){ .status = S("4.3.0"), .reason = S("no result") });
	learn(q, d, j, m, any);
	job_end(q, id - 1);
	if (q->n_jobs < QUEUE_JOBS && may_send(q, d) && !d->ready) { /* the connection is still warm */
		unsigned rank = ranks_best(&d->waiting);

		d->ready = true;
		d->next_ready = q->ready[rank];
		if (q->ready[rank] == NULL)
			q->ready_last[rank] = &d->next_ready;
		q->ready[rank] = d;
	}
}

/* ---- relays ------------------------------------------------------------------------------------- */

static enum ipc_status
ask(struct queue *q, const struct job *j, unsigned slot)
{
	const struct task *t = j->tasks[0];
	static const struct more none = { .envid = "", .folder = "", .orcpt = "" };
	const struct more *x = t->more == NULL ? &none : t->more;
	static struct queue_send_rcpt rcpts[QUEUE_JOB]; /* one thread; too large for its stack */
	struct queue_send_relay m = { .queue_id = slice_z(t->queue_id), .session = t->session,
		.sender = slice_z(t->sender), .account = t->submitter, .body_8bit = (t->flags & SPOOL_8BIT) != 0,
		.smtputf8 = (t->flags & SPOOL_SMTPUTF8) != 0, .requiretls = (t->flags & SPOOL_REQUIRETLS) != 0,
		.priority = x->priority, .envid = slice_z(x->envid), .size = t->size,
		.destination = slice_z(j->d->name), .attempts = t->attempts, .rcpts = rcpts, .n_rcpts = j->n,
		.ret = (t->flags & SPOOL_RET_FULL) != 0 ? QUEUE_SEND_RET_FULL :
		    (t->flags & SPOOL_RET_HDRS) != 0	? QUEUE_SEND_RET_HDRS : QUEUE_SEND_RET_UNSAID,
		.by_us = x->by == 0 ? 0 : queue_wall(q, x->by),
		.by_notify = (t->flags & SPOOL_BY_NOTIFY) != 0,
		.by_trace = (t->flags & SPOOL_BY_TRACE) != 0, .fd = t->content->fd };

	for (unsigned i = 0; i < j->n; i++)
		rcpts[i] = (struct queue_send_rcpt){ .delivery = j->tasks[i]->delivery,
			.address = slice_z(j->tasks[i]->rcpt), .notify = j->tasks[i]->notify,
			.orcpt = j->tasks[i]->more == NULL ? S("") : slice_z(j->tasks[i]->more->orcpt) };
	return queue_send_relay_ask(q->send, slot + 1, &m);
}

/* What goes along with the first one: recipients of the same message under the same sender. */
static void
gather(struct dest *d, struct job *j)
{
	struct task *first = ranks_take(&d->waiting), *t = NULL;
	struct tasks *of = &d->waiting.of[first->rank];
	size_t bytes = 0;

	j->tasks[j->n++] = first;
	while (j->n < QUEUE_JOB && (t = of->first) != NULL && bytes < FRAME &&
	    t->delivery >> SPOOL_RCPT_BITS == first->delivery >> SPOOL_RCPT_BITS && !t->dropped &&
	    slice_eq(slice_z(t->sender), slice_z(first->sender))) {
		j->tasks[j->n++] = tasks_take(of);
		d->waiting.n--;
		bytes += 24 + slice_z(t->rcpt).n + (t->more == NULL ? 0 : slice_z(t->more->orcpt).n);
	}
}

static void
give_back(struct dest *d, struct job *j)
{
	for (unsigned i = j->n; i-- > 0;)
		if (j->tasks[i] != NULL)
			ranks_back(&d->waiting, j->tasks[i]);
}

/* One relay for this destination. False when send takes no more now. */
static bool
relay(struct queue *q, struct dest *d)
{
	struct task *t = ranks_peek(&d->waiting);
	enum store_err e = t->dropped ? STORE_NONE : content_ready(q, t);
	struct job *j;
	unsigned slot = 0;
	enum ipc_status st;

	if (e != STORE_OK) {
		t = ranks_take(&d->waiting);
		if (e == STORE_NONE)
			task_free(q, t);
		else
			outcome_put_off(q, t, outcome_retry_remote(q, t->attempts), true,
			    &(struct outcome){ .status = S("4.3.0"), .reason = S("the spool could not be read") });
		return true;
	}
	if (signing_wanted(q, t)) {
		signing_begin(q, ranks_take(&d->waiting));
		return true;
	}
	while (q->jobs[slot] != NULL)
		slot++;
	j = calloc(1, sizeof *j);
	PN_ASSERT(j != NULL);
	j->d = d;
	gather(d, j);
	st = ask(q, j, slot);
	if (st != IPC_OK) {
		give_back(d, j);
		free(j);
		return false; /* its buffer is full or it is gone: both come back to us */
	}
	j->unproven = !d->proven;
	j->doubtful = d->failures > 0;
	q->n_unproven += j->unproven;
	q->n_doubtful += j->doubtful;
	q->jobs[slot] = j;
	q->n_jobs++;
	d->n_jobs++;
	return true;
}

/* The destination whose turn it is: the most urgent first, every eighth time the least. */
static struct dest *
pick(struct queue *q)
{
	bool upwards = q->picks++ % 8 != 7;

	for (unsigned i = 0; i < QUEUE_RANKS; i++) {
		unsigned rank = upwards ? i : QUEUE_RANKS - 1 - i;
		struct dest *d;

		while ((d = take_ready(q, rank)) != NULL) {
			if (may_send(q, d))
				return d;
			if (d->waiting.n > 0 && d->paused_ms == 0 && d->n_jobs < d->window)
				block(q, d);
		}
	}
	return NULL;
}

/* At the end of each round, not sooner: the recipients of one message go together. */
void
remote_round(struct queue *q)
{
	while (q->send != NULL && q->n_jobs < QUEUE_JOBS) {
		struct dest *d = pick(q);

		if (d == NULL)
			return;
		if (!relay(q, d)) {
			ready(q, d);
			return;
		}
		ready(q, d);
	}
}

/* ---- the channel -------------------------------------------------------------------------------- */

static void
send_gone(struct queue *q)
{
	loop_unwatch(q->loop, &q->send_watch);
	ipc_channel_free(&q->send);
	for (unsigned i = 0; i < QUEUE_JOBS; i++)
		if (q->jobs[i] != NULL) {
			struct dest *d = q->jobs[i]->d;

			give_back(d, q->jobs[i]);
			job_end(q, i);
			ready(q, d);
		}
}

static void
from_send(void *arg, unsigned is_ready)
{
	static const struct queue_send_answers answers = { .relay = on_relayed };
	struct queue *q = arg;
	enum ipc_status st = IPC_OK;

	(void)is_ready;
	for (unsigned i = 0; i < QUEUE_JOBS && st == IPC_OK; i++)
		st = queue_send_answers_serve(q->send, &answers, q);
	if (st == IPC_HOSTILE)
		proc_suspect(q->proc, q->send);
	if (st != IPC_OK && st != IPC_AGAIN)
		send_gone(q);
}

void
remote_send(struct queue *q, int fd)
{
	send_gone(q);
	q->send = ipc_channel_new(fd, "send", "");
	ipc_set_nonblocking(q->send, true);
	ipc_set_send_wait(q->send, 0);
	q->send_watch = loop_watch(q->loop, fd, LOOP_READ, from_send, q);
}

/* ---- time --------------------------------------------------------------------------------------- */

void
remote_add(struct queue *q, struct task *t)
{
	struct dest *d = dest_of(q, domain_of(slice_z(t->rcpt)), true);

	if (d->waiting.n >= QUEUE_PLACE) {
		outcome_put_off(q, t, outcome_jitter(q, q->set.retry_first), false, &(struct outcome){ 0 });
		return;
	}
	ranks_put(&d->waiting, t);
	ready(q, d);
}

void
remote_signed(struct queue *q, struct task *t)
{
	struct dest *d = dest_of(q, domain_of(slice_z(t->rcpt)), true);

	ranks_back(&d->waiting, t);
	ready(q, d);
}

/* What waits for a paused destination waits in the spool. */
static unsigned
purge(struct queue *q, struct dest *d, uint64_t now, unsigned most)
{
	uint64_t pause = (d->paused_ms - now) * 1000;
	unsigned n = 0;

	if (d->failures == 0)
		return 0; /* it only asked us to slow down */
	for (; n < most && d->waiting.n > 0; n++) {
		struct task *t = ranks_take(&d->waiting);

		if (t->dropped) {
			task_free(q, t);
			continue;
		}
		outcome_put_off(q, t, pause + outcome_jitter(q, pause / 4 + 1000000), false,
		    &(struct outcome){ .status = S("4.4.1"), .reason = slice_z(d->reason) });
	}
	return n;
}

static bool
forgettable(const struct dest *d, uint64_t now)
{
	return d->waiting.n == 0 && d->n_jobs == 0 && !d->ready && d->paused_ms == 0 && now - d->used_ms > KEEP_MS;
}

void
remote_tick(struct queue *q)
{
	uint64_t now = clock_mono_ms();
	unsigned left = PURGE;

	for (unsigned i = 0; i < QUEUE_BUCKETS; i++)
		for (struct dest **at = &q->dests[i]; *at != NULL;) {
			struct dest *d = *at;

			if (d->paused_ms != 0 && now >= d->paused_ms) {
				d->paused_ms = 0;
				ready(q, d);
			} else if (d->paused_ms != 0) {
				left -= purge(q, d, now, left);
			} else if (forgettable(d, now)) {
				*at = d->next;
				free(d->name);
				free(d->reason);
				free(d);
				continue;
			}
			at = &d->next;
		}
}

void
remote_awake(struct queue *q, struct slice address)
{
	struct dest *d = dest_of(q, domain_of(address), false);

	if (d == NULL || d->paused_ms == 0)
		return;
	d->paused_ms = 0;
	ready(q, d);
}

void
remote_init(struct queue *q)
{
	for (unsigned i = 0; i < QUEUE_RANKS; i++)
		q->ready_last[i] = &q->ready[i];
	q->blocked_last = &q->blocked;
}
