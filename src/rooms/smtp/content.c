/* SPDX-License-Identifier: MIT
 * A message on its way in: a memfd behind our Received field. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock/clock.h"
#include "lib/make/trace.h"
#include "rooms/smtp/content.h"

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

struct smtp_data_sink
smtp_content_sink(struct content *c)
{
	return (struct smtp_data_sink){ .body = take_body, .delivered_to = take_delivered_to, .arg = c };
}

static bool
write_received(struct content *c)
{
	struct smtp_session *s = c->s;
	struct trace_received r = { .host = s->conf->hostname,
		.esmtp = s->esmtp,
		.lmtp = s->conf->lmtp,
		.tls = s->peer.tls,
		.auth = s->account_id != 0,
		.utf8 = s->txn.utf8,
		.tls_version = slice_z(s->peer.tls_version),
		.cipher = slice_z(s->peer.cipher),
		.id = slice_z(s->txn.queue_id),
		.rcpt = s->txn.only_rcpt,
		.seconds = clock_wall_us() / 1000000 };

	if (s->account_id == 0) { /* where an account's owner sits is nobody's business */
		r.helo = buf_slice(&s->helo);
		r.peer = s->peer.ip;
	}
	return trace_received(&c->pending, &r) &&
	    (s->txn.list.n == 0 || trace_list(&c->pending, s->txn.list));
}

bool
smtp_content_begin(struct smtp_session *s, bool chunked)
{
	struct content *c = ARENA_NEW(s->txn.arena, struct content);

	if (c == NULL)
		return false;
	c->s = s;
	c->begun_ms = clock_mono_ms();
	buf_init(&c->pending, LIMIT_STREAM_IN);
	if (chunked)
		smtp_data_start_chunked(&c->frame, s->conf->max_size);
	else
		smtp_data_start(&c->frame, s->conf->max_size);
	c->fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	s->txn.content = c;
	if (c->fd < 0 || !write_received(c))
		return false;
	c->trace = c->pending.n;
	return true;
}

bool
smtp_in_content(const struct smtp_session *s)
{
	return s->chunk.under_way || (s->txn.content != NULL && !s->txn.content->frame.chunked);
}

/* Chunks have gaps between them, in which the client may prepare the next: it gets the patience of a
 * command for all of them together. */
uint64_t
smtp_data_deadline(const struct smtp_session *s)
{
	const struct content *c = s->txn.content;

	if (c == NULL)
		return s->chunk.begun_ms + smtp_bounds(s)->data_grace_ms + s->chunk.got * 1000 / SMTP_DATA_FLOOR;
	return c->begun_ms + (c->frame.chunked ? smtp_bounds(s)->idle_ms : smtp_bounds(s)->data_grace_ms) +
	    c->got * 1000 / SMTP_DATA_FLOOR;
}

bool
smtp_content_in_time(struct smtp_session *s, struct content *c)
{
	if (clock_mono_ms() > smtp_data_deadline(s)) {
		SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("content too slow")), EN("bytes", c->got));
		smtp_cut(s, 421, "4.4.2", "too slow");
		return false;
	}
	if (c->got > s->conf->max_size + SMTP_DATA_IN_VAIN) {
		SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("content without end")));
		smtp_cut(s, 552, "5.3.4", "far too big");
		return false;
	}
	return true;
}

bool
smtp_content_seal(struct content *c)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	return write_all(c, buf_slice(&c->pending)) && fcntl(c->fd, F_ADD_SEALS, seals) == 0;
}
