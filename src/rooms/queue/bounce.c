/* SPDX-License-Identifier: MIT
 * Notifications to the sender. They are written in the transaction that settles the recipient: there is
 * no moment at which a recipient is gone and its bounce is not there.
 *
 * Never about a message that has the null sender itself (O-002), never where RFC 3461 says NEVER, and
 * only once for each recipient, because it is settled with it. What a list could not deliver is its owner's
 * business, not the author's (RFC 5321 section 3.9.2). */
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/make/dsn/dsn.h"
#include "lib/make/dsn/words.h"
#include "rooms/queue/queue.h"

static const enum dsn_kind kind_of[] = { [TELL_FAILED] = DSN_FAILED, [TELL_DELAYED] = DSN_DELAYED,
	[TELL_DELIVERED] = DSN_DELIVERED, [TELL_RELAYED] = DSN_RELAYED };
static const char *const kind_name[] = { [TELL_FAILED] = "failed", [TELL_DELAYED] = "delayed",
	[TELL_DELIVERED] = "delivered", [TELL_RELAYED] = "relayed" };

struct letter {
	struct queue *q;
	struct arena *a;
	struct spool_delivery d; /* the first of them */
	struct dsn_rcpt *rcpts;
	size_t n;
	bool whole; /* the next one is for somebody else to hear */
};

/* Who hears of it. */
static struct slice
hearer(const struct spool_delivery *d)
{
	return d->listed ? d->rcpt_sender : d->sender;
}

/* Why nobody hears of it; NULL when somebody does. */
static const char *
silent(const struct spool_delivery *d, enum done_tell tell)
{
	if (d->sender.n == 0)
		return "it is itself a notification";
	if (tell == TELL_FAILED && d->notify != 0 && (d->notify & SPOOL_FAILURE) == 0)
		return "the sender did not want to know";
	return NULL;
}

static void
unheard(const struct spool_delivery *d, const struct done *e, const char *why)
{
	uint64_t session = 0;

	if (e->tell != TELL_FAILED)
		return;
	(void)session_parse(d->session, &session);
	EVENT(EVENT_QUEUE_DROPPED, session, d->queue_id, S(""), EF("to", d->address), EF("from", d->sender),
	    EF("why", slice_z(why)), EF("reason", slice_z(e->reason)));
}

/* One of those that the letter is about. */
static enum store_err
add(struct letter *l, const struct done *e)
{
	struct spool_delivery d;
	enum store_err err = spool_find(l->q->spool, e->delivery, l->a, &d);
	const char *why;

	if (err != STORE_OK)
		return err == STORE_NONE ? STORE_OK : err; /* an administrator was quicker */
	why = silent(&d, e->tell);
	if (why != NULL) {
		unheard(&d, e, why);
		return STORE_OK;
	}
	if (l->n == 0)
		l->d = d;
	l->whole = l->d.listed != d.listed || l->d.owner != d.owner || !slice_eq(hearer(&l->d), hearer(&d));
	if (l->whole)
		return STORE_OK;
	/* the author knows the address that was written to; the owner of a list has to know the member */
	l->rcpts[l->n++] = (struct dsn_rcpt){ .address = d.original.n > 0 && !d.listed ? d.original : d.address,
		.orcpt = d.listed ? S("") : d.orcpt,
		.status = slice_z(e->status), .code = e->code, .remote = slice_z(e->remote),
		.said = slice_z(e->reason) };
	return STORE_OK;
}

/* As much of the message as is returned, in a. */
static enum store_err
original(struct letter *l, enum done_tell tell, struct slice *out, bool *full)
{
	own(fd_t) fd = -1;
	uint64_t size, want;
	uint8_t *p;
	ssize_t n;
	enum store_err e = spool_content(l->q->spool, l->d.message, &fd, &size);

	if (e == STORE_DAMAGED) { /* the content is lost: at least the sender hears of it */
		*out = S("");
		*full = false;
		return STORE_OK;
	}
	if (e != STORE_OK)
		return e;
	/* RFC 8689 5: what had to travel encrypted is not returned whole */
	*full = tell == TELL_FAILED && (l->d.flags & SPOOL_RET_FULL) != 0 && size <= LIMIT_DSN_FULL &&
	    (l->d.flags & SPOOL_REQUIRETLS) == 0;
	want = size < LIMIT_DSN_FULL ? size : LIMIT_DSN_FULL;
	p = arena_alloc(l->a, want, 1);
	if (p == NULL)
		return STORE_LIMIT;
	n = pread(fd, p, want, 0);
	if (n < 0 || (uint64_t)n != want)
		return STORE_IO;
	*out = *full ? slice_of(p, want) : dsn_header(slice_of(p, want));
	return STORE_OK;
}

static enum store_err
store(struct letter *l, const struct done *e, const struct dsn *dsn, struct slice text, uint64_t *id)
{
	uint64_t session = 0, now = queue_now(l->q);
	struct spool_rcpt to = { .address = hearer(&l->d), .account = l->d.listed ? l->d.owner : l->d.submitter };
	struct spool_message m = { .queue_id = dsn->id, .session = l->d.session,
		.received = (uint64_t)clock_wall_us(), .queued = now, .size = text.n, .fd = -1, .content = text,
		.rcpt = &to, .rcpts = 1, .flags = SPOOL_OWN | (dsn_is_8bit(dsn) ? SPOOL_8BIT : 0) |
		    (dsn_is_utf8(dsn) ? SPOOL_8BIT | SPOOL_SMTPUTF8 : 0) | (l->d.flags & SPOOL_REQUIRETLS) };
	enum store_err err = spool_accept(l->q->spool, &m, id);

	if (err != STORE_OK)
		return err;
	(void)session_parse(l->d.session, &session);
	EVENT(EVENT_QUEUE_NOTIFIED, session, l->d.queue_id, S(""), EF("kind", slice_z(kind_name[e->tell])),
	    EF("to", hearer(&l->d)), EF("notification", dsn->id), EN("nrcpt", l->n));
	return STORE_OK;
}

static enum store_err
write_letter(struct letter *l, const struct done *e, uint64_t *id)
{
	own(buf_t) text = { .max = LIMIT_DSN };
	struct queue *q = l->q;
	struct session_text session;
	uint64_t number = 0;
	char name[40];
	struct dsn dsn = { .kind = kind_of[e->tell], .host = q->hostname, .about = l->d.queue_id, .to = hearer(&l->d),
		.envid = l->d.listed ? S("") : l->d.envid, .seconds = clock_wall_us() / 1000000,
		.arrived = (int64_t)(l->d.received / 1000000), .rcpts = l->rcpts, .n = l->n,
		.until = queue_wall(q, l->d.queued + q->set.lifetime) / 1000000 };
	enum store_err err = original(l, e->tell, &dsn.original, &dsn.full);

	if (err != STORE_OK)
		return err;
	/* the session of the message, so that explain shows both; the number is its own for each recipient
	 * and kind */
	(void)session_parse(l->d.session, &number);
	session = session_text(number);
	(void)snprintf(name, sizeof name, "%s.%llu", session.z,
	    (unsigned long long)((l->d.id & 0xffffffff) * 8 + (unsigned)e->tell));
	dsn.id = slice_z(name);
	if (!dsn_write(&text, &dsn))
		return STORE_LIMIT;
	return store(l, e, &dsn, buf_slice(&text), id);
}

enum store_err
bounce_write(struct queue *q, const struct done *d, size_t n, size_t *told, uint64_t *id)
{
	own(arena_p) a = arena_new("bounce", LIMIT_ARENA_MESSAGE);
	struct letter l = { .q = q, .a = a, .rcpts = ARENA_ARRAY(a, n, struct dsn_rcpt) };
	enum store_err e = l.rcpts == NULL ? STORE_LIMIT : STORE_OK;

	*id = 0;
	*told = 0;
	while (*told < n && e == STORE_OK) {
		e = add(&l, &d[*told]);
		if (l.whole)
			break;
		(*told)++;
	}
	if (e != STORE_OK || l.n == 0)
		return e;
	return write_letter(&l, d, id);
}
