/* SPDX-License-Identifier: MIT
 * DATA (RFC 5321 section 4.1.1.4): content goes into a memfd behind our Received field, the memfd is
 * sealed and handed to queue, and only the answer of queue, which is durable, becomes a 250. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock/clock.h"
#include "lib/make/trace.h"
#include "rooms/smtp/session.h"

/* A message over the limit is read to its end, but not without end: this much more, then cut. */
#define DATA_IN_VAIN ((uint64_t)67108864)

struct content {
	struct smtp_session *s;
	struct smtp_data frame;
	int fd;
	uint64_t size;	    /* of the file */
	uint64_t begun_ms;  /* clock_mono_ms() of the 354 */
	uint64_t got;	    /* bytes from the client */
	bool loop;	    /* a Delivered-To names one of the recipients */
	struct buf pending; /* written with the first piece: one system call for a short message */
};

void
smtp_content_drop(struct content *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	buf_free(&c->pending);
}

static bool
write_all(struct content *c, struct slice piece)
{
	while (piece.n > 0) {
		ssize_t n = write(c->fd, piece.p, piece.n);

		if (n <= 0)
			return false;
		c->size += (uint64_t)n;
		piece = slice_from(piece, (size_t)n);
	}
	return true;
}

static bool
take_body(void *arg, struct slice piece)
{
	struct content *c = arg;

	if (c->pending.n > 0) {
		if (c->pending.n + piece.n <= c->pending.max)
			return buf_add(&c->pending, piece);
		if (!write_all(c, buf_slice(&c->pending)))
			return false;
		buf_reset(&c->pending);
	}
	return write_all(c, piece);
}

/* A message that was here before for the same mailbox goes in circles (RFC 5321 section 6.3). */
static void
take_delivered_to(void *arg, struct slice value)
{
	struct content *c = arg;

	for (size_t i = 0; i < c->s->txn.n_rcpts; i++)
		if (slice_ieq(value, c->s->txn.rcpts[i].address))
			c->loop = true;
}

static bool
write_received(struct content *c)
{
	struct smtp_session *s = c->s;
	struct trace_received r = { .host = s->conf->hostname,
		.esmtp = s->esmtp,
		.tls = s->peer.tls,
		.auth = s->account_id != 0,
		.tls_version = slice_z(s->peer.tls_version),
		.cipher = slice_z(s->peer.cipher),
		.id = slice_z(s->txn.queue_id),
		.rcpt = s->txn.only_rcpt,
		.seconds = clock_wall_us() / 1000000 };

	if (s->account_id == 0) { /* where an account's owner sits is nobody's business */
		r.helo = buf_slice(&s->helo);
		r.peer = s->peer.ip;
	}
	return trace_received(&c->pending, &r);
}

void
smtp_data_begin(struct smtp_session *s, const struct smtp_command *cmd)
{
	struct content *c;

	(void)cmd;
	if (s->txn.n_rcpts == 0) {
		smtp_error(s, 503, "5.5.1", "no recipient was accepted");
		return;
	}
	c = ARENA_NEW(s->txn.arena, struct content);
	if (c == NULL) {
		smtp_refuse(s, "data", S(""), 452, "4.3.1", "try later");
		txn_reset(s);
		return;
	}
	c->s = s;
	c->begun_ms = clock_mono_ms();
	buf_init(&c->pending, LIMIT_STREAM_IN);
	smtp_data_start(&c->frame, s->conf->max_size);
	c->fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	s->txn.content = c;
	if (c->fd < 0 || !write_received(c)) {
		smtp_refuse(s, "data", S(""), 452, "4.3.1", "try later");
		txn_reset(s);
		return;
	}
	smtp_reply(s, 354, NULL, "end with CRLF.CRLF");
}

uint64_t
smtp_data_deadline(const struct smtp_session *s)
{
	const struct content *c = s->txn.content;

	return c->begun_ms + SMTP_DATA_GRACE_MS + c->got * 1000 / SMTP_DATA_FLOOR;
}

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

static bool
seal(struct content *c)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	return write_all(c, buf_slice(&c->pending)) && fcntl(c->fd, F_ADD_SEALS, seals) == 0;
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

/* Responsibility passes here. */
static void
hand_over(struct smtp_session *s, struct content *c)
{
	struct smtp_queue_accept in = { .queue_id = slice_z(s->txn.queue_id),
		.session = s->peer.session,
		.sender = s->txn.sender,
		.account = s->account_id,
		.body_8bit = s->txn.body_8bit,
		.size = c->size,
		.received_us = clock_wall_us(),
		.rcpts = s->txn.rcpts,
		.n_rcpts = s->txn.n_rcpts,
		.fd = c->fd };
	struct smtp_queue_accept_answer out;
	enum ipc_status st = s->back->accept(s->back->ctx, &in, clock_mono_ms() + SMTP_ACCEPT_MS,
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

bool
smtp_data_continue(struct smtp_session *s)
{
	static const struct smtp_data_sink template = { .body = take_body,
		.delivered_to = take_delivered_to };
	struct content *c = s->txn.content;
	struct smtp_data_sink sink = template;
	struct slice piece;
	size_t used;
	bool end;

	switch (stream_peek(&s->stream, smtp_after(SMTP_LINGER_MS), &piece)) {
	case STREAM_OK:
		break;
	case STREAM_TIMEOUT:
		return false;
	default: /* gone before the end of data: nothing was accepted (S-017) */
		s->over = true;
		return true;
	}
	sink.arg = c;
	end = smtp_data_feed(&c->frame, piece, &sink, &used);
	stream_consume(&s->stream, used);
	c->got += used;
	if (!end) {
		if (clock_mono_ms() > smtp_data_deadline(s)) {
			SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("content too slow")), EN("bytes", c->got));
			smtp_cut(s, 421, "4.4.2", "too slow");
		} else if (c->got > s->conf->max_size + DATA_IN_VAIN) {
			SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("content without end")));
			smtp_cut(s, 552, "5.3.4", "far too big");
		}
		return true;
	}
	if (!refused(s, c)) {
		if (seal(c))
			hand_over(s, c);
		else
			smtp_refuse(s, "data", S(""), 452, "4.3.1", "no room now, try later");
	}
	txn_reset(s);
	return true;
}
