/* SPDX-License-Identifier: MIT
 * A small world for tests and fuzzing of the session: example.test with alice (account 1), bob (2),
 * the alias team for both, and addresses that fail in each way; one password; a queue that keeps what
 * it accepted; and a client whose segments arrive one by one. */
#pragma once

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "rooms/smtp/session.h"

struct world {
	struct smtp_config conf;
	struct smtp_backend back;
	/* the client: segments end at 0x1f where the script has one, otherwise behind each LF */
	struct slice script;
	size_t at;
	bool bindable;	  /* door has exported a binding of 32 times 'B' */
	bool marked;	  /* the script has segments */
	bool hang;	  /* silent at the end, not gone */
	bool stress;
	bool account_ended; /* disabled since the login */
	struct buf out;	  /* what the client got */
	/* what the queue got */
	enum smtp_queue_accept_status accept_status;
	enum ipc_status accept_ipc, auth_ipc, scan_ipc;
	struct smtp_scan_judge_answer verdict; /* what scan says */
	uint64_t trace;			       /* what it was told */
	enum ipc_status filter_ipc;
	struct smtp_milter_ask_answer word; /* what milters say, ... */
	struct slice rewrite;		    /* ... and make of the message */
	uint64_t behind;
	unsigned filtered, filtered_rcpts;
	enum ipc_status filter_rcpt_ipc;
	struct slice unwanted; /* milters say rcpt_word of this address */
	struct smtp_milter_recipient_answer rcpt_word;
	unsigned judged, accepted, logins, rcpts_asked, starttls;
	struct buf message, sender, rcpts, queue_id;
	uint32_t account;
	bool sealed, body_8bit, junk, held;
	struct smtp_queue_accept wishes; /* its flags and numbers; the slices are gone */
	unsigned notify;  /* of the last recipient */
	struct buf events; /* names, each followed by a blank */
};

static ssize_t
world_read(struct stream_end *e, void *p, size_t n)
{
	struct world *w = e->self;
	struct slice rest = slice_from(w->script, w->at);
	bool marked = w->marked;
	size_t end = slice_find_byte(slice_head(rest, n), marked ? 0x1f : '\n');

	if (rest.n > 0 && marked && slice_at(rest, 0) == 0x1f) {
		w->at++;
		return world_read(e, p, n);
	}
	if (rest.n == 0 && w->hang) {
		errno = EAGAIN;
		return -1;
	}
	if (end != SLICE_NONE)
		rest = slice_head(rest, marked ? end : end + 1);
	rest = slice_head(rest, n);
	if (rest.n > 0)
		memcpy(p, rest.p, rest.n);
	w->at += rest.n;
	return (ssize_t)rest.n;
}

static ssize_t
world_write(struct stream_end *e, const void *p, size_t n)
{
	struct world *w = e->self;

	PN_ASSERT(buf_add(&w->out, slice_of(p, n)));
	return (ssize_t)n;
}

/* Ready, but never before the greeting: a script is a client that waits for it. */
static int
world_wait(struct stream_end *e, short events, int64_t deadline)
{
	struct world *w = e->self;

	(void)deadline;
	return events == POLLOUT || (w->out.n > 0 && (w->at < w->script.n || !w->hang));
}

static void
world_close(struct stream_end *e)
{
	e->self = NULL;
}

static enum ipc_status
world_rcpt(void *ctx, const struct smtp_auth_rcpt *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_rcpt_answer *out)
{
	static struct smtp_auth_target alice = { .account = 1, .address = S_INIT("alice@example.test"), .sender = S_INIT("") },
				       bob = { .account = 2, .address = S_INIT("bob@example.test"), .sender = S_INIT("") };
	static struct smtp_auth_target both[] = { { .account = 1, .address = S_INIT("alice@example.test"), .sender = S_INIT("") },
		{ .account = 2, .address = S_INIT("bob@example.test"), .sender = S_INIT("") } };
	static struct smtp_auth_target away = { .account = 0, .address = S_INIT("a@far.test"), .sender = S_INIT("SRS0=x@example.test") };
	struct world *w = ctx;

	(void)deadline_ms;
	(void)a;
	w->rcpts_asked++;
	if (w->auth_ipc != IPC_OK)
		return w->auth_ipc;
	*out = (struct smtp_auth_rcpt_answer){ .status = SMTP_AUTH_RCPT_STATUS_UNKNOWN_USER };
	if (slice_ieq(in->address, S("alice@example.test")) || slice_ieq(in->address, S("postmaster")))
		*out = (struct smtp_auth_rcpt_answer){ .targets = &alice, .n_targets = 1 };
	else if (slice_ieq(in->address, S("bob@example.test")) ||
	    slice_ieq(in->address, S("bob@mydomain.tld"))) /* who the vectors write to */
		*out = (struct smtp_auth_rcpt_answer){ .targets = &bob, .n_targets = 1 };
	else if (slice_ieq(in->address, S("team@example.test")))
		*out = (struct smtp_auth_rcpt_answer){ .targets = both, .n_targets = 2 };
	else if (slice_ieq(in->address, S("list@example.test")))
		*out = (struct smtp_auth_rcpt_answer){ .targets = both, .n_targets = 2,
			.list = S("list@example.test") };
	else if (slice_ieq(in->address, S("away@example.test")))
		*out = (struct smtp_auth_rcpt_answer){ .targets = &away, .n_targets = 1 };
	else if (slice_ieq(in->address, S("ring@example.test")))
		out->status = SMTP_AUTH_RCPT_STATUS_LOOP;
	else if (slice_ieq(in->address, S("busy@example.test")))
		out->status = SMTP_AUTH_RCPT_STATUS_SLOW_DOWN;
	else if (slice_ieq(in->address, S("closed@example.test")))
		out->status = SMTP_AUTH_RCPT_STATUS_REFUSED;
	else if (slice_ieq(in->address, S("off@example.test")))
		out->status = SMTP_AUTH_RCPT_STATUS_DISABLED;
	else if (slice_ieq(in->address, S("later@example.test")))
		out->status = SMTP_AUTH_RCPT_STATUS_TRY_LATER;
	else if (!slice_ends(in->address, S("@example.test")))
		out->status = SMTP_AUTH_RCPT_STATUS_NOT_LOCAL;
	return IPC_OK;
}

static enum ipc_status
world_login(void *ctx, const struct smtp_auth_login *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_login_answer *out)
{
	struct world *w = ctx;

	(void)deadline_ms;
	(void)a;
	w->logins++;
	if (w->auth_ipc != IPC_OK)
		return w->auth_ipc;
	*out = (struct smtp_auth_login_answer){ .status = SMTP_AUTH_LOGIN_STATUS_NO };
	if (slice_eq(in->name, S("off@example.test")))
		out->status = SMTP_AUTH_LOGIN_STATUS_DISABLED;
	if (slice_eq(in->name, S("alice@example.test")) && slice_eq(in->password, S("secret")))
		*out = (struct smtp_auth_login_answer){ .status = SMTP_AUTH_LOGIN_STATUS_YES,
			.account = 1,
			.address = S("alice@example.test") };
	return IPC_OK;
}

/* Alice's exchange, with a nonce that does not change; the proof that is right is 32 times 'P'. */
static enum ipc_status
world_scram_first(void *ctx, const struct smtp_auth_scram_first *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_scram_first_answer *out)
{
	struct world *w = ctx;

	(void)deadline_ms;
	(void)a;
	PN_ASSERT(slice_starts(in->bare, S("n=")));
	if (w->auth_ipc != IPC_OK)
		return w->auth_ipc;
	*out = (struct smtp_auth_scram_first_answer){ .status = SMTP_AUTH_LOGIN_STATUS_YES,
		.challenge = S("r=abcdef,s=QSXCR+Q6sek8bf92QSXCRw==,i=16384") };
	return IPC_OK;
}

static enum ipc_status
world_scram_final(void *ctx, const struct smtp_auth_scram_final *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_scram_final_answer *out)
{
	struct world *w = ctx;

	(void)deadline_ms;
	(void)a;
	w->logins++;
	if (w->auth_ipc != IPC_OK)
		return w->auth_ipc;
	*out = (struct smtp_auth_scram_final_answer){ .status = SMTP_AUTH_LOGIN_STATUS_NO };
	if (slice_eq(in->proof, S("PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP")) &&
	    slice_ends(in->without_proof, S(",r=abcdef")))
		*out = (struct smtp_auth_scram_final_answer){ .status = SMTP_AUTH_LOGIN_STATUS_YES,
			.account = 1,
			.address = S("alice@example.test"),
			.signature = S("SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS") };
	return IPC_OK;
}

static enum ipc_status
world_owns(void *ctx, const struct smtp_auth_owns *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_owns_answer *out)
{
	struct world *w = ctx;

	(void)deadline_ms;
	(void)a;
	out->ended = w->account_ended;
	out->owns = in->account == 1 && !out->ended;
	for (size_t i = 0; i < in->n_addresses; i++)
		out->owns = out->owns && (slice_eq(in->addresses[i].address, S("team@example.test")) ||
		    slice_ieq(in->addresses[i].address, S("alice@example.test")));
	return w->auth_ipc;
}

static enum ipc_status
world_accept(void *ctx, const struct smtp_queue_accept *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_queue_accept_answer *out)
{
	struct world *w = ctx;
	uint64_t size;
	uint8_t *room;

	(void)deadline_ms;
	(void)a;
	if (w->accept_ipc != IPC_OK)
		return w->accept_ipc;
	out->status = w->accept_status;
	if (w->accept_status != SMTP_QUEUE_ACCEPT_STATUS_OK)
		return IPC_OK;
	w->accepted++;
	w->sealed = ipc_sealed_memfd(in->fd, LIMIT_MESSAGE * 2, &size) && size == in->size;
	w->account = in->account;
	w->body_8bit = in->body_8bit;
	w->wishes = *in;
	w->notify = in->rcpts[in->n_rcpts - 1].notify;
	buf_reset(&w->message);
	room = buf_room(&w->message, (size_t)size);
	PN_ASSERT(room != NULL && pread(in->fd, room, (size_t)size, 0) == (ssize_t)size);
	buf_grown(&w->message, (size_t)size);
	w->junk = slice_eq(in->folder, S("Junk"));
	w->held = in->held.n > 0;
	buf_reset(&w->sender);
	buf_reset(&w->rcpts);
	buf_reset(&w->queue_id);
	PN_ASSERT(buf_add(&w->sender, in->sender) && buf_add(&w->queue_id, in->queue_id));
	for (size_t i = 0; i < in->n_rcpts; i++)
		PN_ASSERT(buf_u64(&w->rcpts, in->rcpts[i].account) && buf_byte(&w->rcpts, ' ') &&
		    buf_add(&w->rcpts, in->rcpts[i].address) && buf_byte(&w->rcpts, '<') &&
		    buf_add(&w->rcpts, in->rcpts[i].original) &&
		    (in->rcpts[i].sender.n == 0 ||
			(buf_byte(&w->rcpts, '|') && buf_add(&w->rcpts, in->rcpts[i].sender))) &&
		    (in->rcpts[i].notify != SMTP_NOTIFY_NEVER || buf_add(&w->rcpts, S("|quiet"))) &&
		    buf_byte(&w->rcpts, '\n'));
	return IPC_OK;
}

static enum ipc_status
world_judge(void *ctx, const struct smtp_scan_judge *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_scan_judge_answer *out)
{
	struct world *w = ctx;
	uint64_t size;

	(void)deadline_ms;
	(void)a;
	PN_ASSERT(ipc_sealed_memfd(in->fd, LIMIT_MESSAGE * 2, &size) && size == in->size && in->trace < size);
	w->judged++;
	w->trace = in->trace;
	*out = w->verdict;
	return w->scan_ipc;
}

static bool
world_stressed(void *ctx)
{
	return ((struct world *)ctx)->stress;
}

static enum ipc_status
world_filter(void *ctx, const struct smtp_milter_ask *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_milter_ask_answer *out)
{
	struct world *w = ctx;

	(void)deadline_ms;
	(void)a;
	w->filtered++;
	*out = w->word;
	if (w->rewrite.n > 0) {
		out->changed = true;
		out->at = in->size;
		out->length = w->rewrite.n;
		PN_ASSERT(pwrite(in->fd, w->rewrite.p, w->rewrite.n, (off_t)in->size) == (ssize_t)w->rewrite.n);
	}
	if (w->behind > 0)
		out->length += w->behind; /* more than was written */
	return w->filter_ipc;
}

static enum ipc_status
world_filter_recipient(void *ctx, const struct smtp_milter_recipient *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_milter_recipient_answer *out)
{
	struct world *w = ctx;

	(void)deadline_ms;
	(void)a;
	w->filtered_rcpts++;
	*out = (struct smtp_milter_recipient_answer){ .action = SMTP_MILTER_ACTION_ACCEPT };
	if (slice_eq(in->address, w->unwanted))
		*out = w->rcpt_word;
	return w->filter_rcpt_ipc;
}

static void
world_starttls(void *ctx, struct smtp_session *s, int fd)
{
	struct world *w = ctx;

	PN_ASSERT(fd == -1 && s->tls_started);
	w->starttls++;
}

static void
world_event(void *ctx, enum event_kind kind, uint64_t session, struct slice queue_id,
    struct slice account, const struct event_field *fields, size_t n)
{
	struct world *w = ctx;

	(void)session;
	(void)queue_id;
	(void)account;
	PN_ASSERT(n <= LIMIT_EVENT_FIELDS);
	for (size_t i = 0; i < n; i++)
		PN_ASSERT(fields[i].key != NULL);
	(void)buf_add(&w->events, slice_z(event_name(kind)));
	(void)buf_byte(&w->events, ' ');
}

static void
world_init(struct world *w, bool submission)
{
	*w = (struct world){ .conf = { .hostname = S("mx.example.test"), .submission = submission,
				 .starttls = true, .max_size = 1000000,
				 .at = { { .enhanced_codes = true, .chunking = true, .smtputf8 = true } } },
		.back = { .rcpt = world_rcpt, .login = world_login,
		    .scram_first = world_scram_first, .scram_final = world_scram_final, .owns = world_owns,
		    .accept = world_accept, .judge = world_judge, .filter = world_filter, .filter_recipient = world_filter_recipient, .stressed = world_stressed, .starttls = world_starttls,
		    .event = world_event, .ctx = w } };
	buf_init(&w->out, 10000000);
	buf_init(&w->message, LIMIT_MESSAGE * 2);
	buf_init(&w->sender, 1000);
	buf_init(&w->rcpts, 1000000);
	buf_init(&w->queue_id, 100);
	buf_init(&w->events, 1000000);
}

static void
world_free(struct world *w)
{
	buf_free(&w->out);
	buf_free(&w->message);
	buf_free(&w->sender);
	buf_free(&w->rcpts);
	buf_free(&w->queue_id);
	buf_free(&w->events);
}

/* One whole conversation; tls: as if door had done the handshake. Returns how it ended. */
static enum smtp_next
world_talk(struct world *w, struct slice script, bool tls, bool after_starttls)
{
	static const struct stream_ops ops = { world_read, world_write, world_wait, world_close };
	struct smtp_peer peer = { .session = 12345, .ip = { { 192, 0, 2, 7 }, 4 }, .tls = tls,
		.after_starttls = after_starttls };
	struct smtp_session s = { 0 };
	enum smtp_next end;

	if (tls) {
		peer.bindable = w->bindable;
		memset(peer.binding, 'B', sizeof peer.binding);
		memcpy(peer.tls_version, "TLSv1.3", 8);
		memcpy(peer.cipher, "TLS_AES_256_GCM_SHA384", 23);
	}
	w->script = script;
	w->marked = slice_find_byte(script, 0x1f) != SLICE_NONE;
	w->at = 0;
	buf_reset(&w->out);
	buf_reset(&w->events);
	s.stream = (struct stream){ .end = { .ops = &ops, .self = w, .fd = -1 } };
	buf_init(&s.stream.out, LIMIT_STREAM_OUT);
	smtp_session_init(&s, &w->conf, &w->back, &peer);
	end = smtp_session_run(&s, SMTP_INPUT);
	smtp_session_end(&s);
	return end;
}
