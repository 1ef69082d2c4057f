/* SPDX-License-Identifier: MIT
 * BDAT (RFC 3030). The octets of a chunk come in any case, refused or not, and are counted off before
 * anything else is read: none of them is ever a command (S-085..S-089). A size that cannot be read ends
 * the connection, as nobody knows then where the commands go on. A chunk that fails ends the transaction;
 * chunks that were sent behind it are refused one by one, and count as errors. */
#include "lib/clock/clock.h"
#include "rooms/smtp/content.h"

/* Why the octets of this chunk do not belong to a message; NULL: they do. */
static const struct smtp_refusal *
refusal(struct smtp_session *s, uint64_t size)
{
	static const struct smtp_refusal nobody = { 503, "5.5.1", "no recipient was accepted" },
					 big = { 552, "5.3.4", "too big" },
					 many = { 552, "5.3.4", "too many chunks" },
					 room = { 452, "4.3.1", "try later" };
	const struct smtp_refusal *no =
	    smtp_in_the_way(s, NEEDS_HELO | NEEDS_TLS | NEEDS_AUTH | NEEDS_MAIL);
	struct content *c = s->txn.content;

	if (no != NULL)
		return no;
	if (s->txn.n_rcpts == 0)
		return &nobody;
	if (size > s->conf->max_size || (c != NULL && c->frame.size + size > s->conf->max_size))
		return &big;
	if (c == NULL && !smtp_content_begin(s, true))
		return &room;
	return s->txn.content->chunks++ < SMTP_CHUNKS ? NULL : &many;
}

static void
refuse(struct smtp_session *s, const struct smtp_refusal *no)
{
	if (s->txn.arena != NULL)
		smtp_refuse(s, "data", S(""), no->code, no->enhanced, no->text);
	else
		smtp_error(s, no->code, no->enhanced, no->text);
	txn_reset(s);
}

/* All octets of the chunk are here: its reply. */
static void
chunk_end(struct smtp_session *s)
{
	struct smtp_chunk k = s->chunk;
	struct content *c = s->txn.content;

	s->chunk = (struct smtp_chunk){ 0 };
	if (k.last)
		smtp_lmtp_content_reply(s);
	if (k.refusal != NULL) {
		refuse(s, k.refusal);
		return;
	}
	if (k.last) {
		struct smtp_data_sink sink = smtp_content_sink(c);

		smtp_data_finish(&c->frame, &sink);
	}
	if (k.last || c->frame.faults != 0)
		smtp_hand_over(s);
	else
		smtp_reply(s, 250, "2.0.0", "chunk taken");
}

void
smtp_bdat(struct smtp_session *s, const struct smtp_command *cmd)
{
	uint64_t size;
	bool last;

	if (!smtp_on(s)->chunking || !smtp_bdat_parse(cmd->args, &size, &last)) {
		SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("BDAT of unknown size")));
		smtp_cut(s, smtp_on(s)->chunking ? 501 : 500, "5.5.4", "octets of an unknown number may follow");
		return;
	}
	if (size > s->conf->max_size + SMTP_DATA_IN_VAIN) {
		smtp_cut(s, 552, "5.3.4", "far too big");
		return;
	}
	s->chunk = (struct smtp_chunk){ .under_way = true, .last = last, .left = size,
		.begun_ms = clock_mono_ms(), .refusal = refusal(s, size) };
	if (size == 0)
		chunk_end(s);
}

/* Octets of a refused chunk: read away, within a budget of the connection. */
static void
drain(struct smtp_session *s, size_t n)
{
	stream_consume(&s->stream, n);
	s->drained += n;
	if (s->drained > SMTP_DATA_IN_VAIN || clock_mono_ms() > smtp_data_deadline(s)) {
		SMTP_EVENT(s, EVENT_PROTOCOL_ABUSE, EF("what", S("chunks in vain")), EN("bytes", s->drained));
		smtp_cut(s, 421, "4.7.0", "too much that was refused");
	}
}

bool
smtp_bdat_continue(struct smtp_session *s)
{
	struct content *c = s->txn.content;
	struct slice piece;
	size_t used;

	switch (stream_peek(&s->stream, smtp_after(SMTP_LINGER_MS), &piece)) {
	case STREAM_OK:
		break;
	case STREAM_TIMEOUT:
		return false;
	default: /* gone before the last chunk: nothing was accepted */
		s->over = true;
		return true;
	}
	if (piece.n > s->chunk.left)
		piece = slice_head(piece, (size_t)s->chunk.left);
	s->chunk.left -= piece.n;
	s->chunk.got += piece.n;
	if (s->chunk.refusal != NULL) {
		drain(s, piece.n);
	} else {
		struct smtp_data_sink sink = smtp_content_sink(c);

		(void)smtp_data_feed(&c->frame, piece, &sink, &used);
		stream_consume(&s->stream, piece.n);
		c->got += piece.n;
		(void)smtp_content_in_time(s, c);
	}
	if (!s->over && s->chunk.left == 0)
		chunk_end(s);
	return true;
}
