/* SPDX-License-Identifier: MIT */
#include "lib/imapio/imapio.h"

#include <limits.h>

#include "lib/base/own.h"

void
imapio_init(struct imapio *r, struct stream *io, size_t most, unsigned literals, bool append)
{
	*r = (struct imapio){ .io = io, .most = most, .literals = literals, .append = append };
	buf_init(&r->line, most + 4);
}

void
imapio_wipe(struct imapio *r)
{
	buf_reset(&r->line);
	stream_wipe(r->io);
}

bool
imapio_idle(struct imapio *r)
{
	if (r->line.n > 0)
		return false;
	buf_free(&r->line);
	return true;
}

void
imapio_free(struct imapio *r)
{
	buf_free(&r->line);
}

static enum imapio_status
failed(enum stream_status st)
{
	switch (st) {
	case STREAM_TIMEOUT:
		return IMAPIO_TIMEOUT;
	case STREAM_BAD:
		return IMAPIO_BAD;
	case STREAM_TOO_LONG:
		return IMAPIO_TOO_LONG;
	case STREAM_OK:
	case STREAM_EOF:
	case STREAM_ERROR:
		break;
	}
	return IMAPIO_GONE;
}

/* Whether the command is an APPEND that is complete but for its message. */
static bool
append_announced(struct slice command)
{
	own(arena_p) a = arena_new("append", LIMIT_ARENA_IMAP);
	struct imap_command c = { .uid = false };
	struct cursor cur = cur_of(command);

	return slice_find_byte(command, ' ') != SLICE_NONE &&
	    imap_parse(&cur, a, &c) == IMAP_FINE && c.verb == IMAP_APPEND;
}

/* A literal of n bytes that fits was announced: takes it behind the command. */
static enum imapio_status
take_literal(struct imapio *r, uint64_t n, bool sync, int64_t deadline)
{
	struct slice bytes;
	enum stream_status st = STREAM_OK;
	size_t left = (size_t)n;

	if (sync) {
		st = stream_write(r->io, S("+ OK\r\n"), deadline);
		if (st == STREAM_OK)
			st = stream_flush(r->io, deadline);
	}
	if (st == STREAM_OK && !buf_add(&r->line, S("\r\n")))
		return IMAPIO_CUT;
	for (; st == STREAM_OK && left > 0; left -= bytes.n) {
		st = stream_peek(r->io, deadline, &bytes);
		if (st != STREAM_OK)
			break;
		bytes = slice_head(bytes, left);
		if (!buf_add(&r->line, bytes))
			return IMAPIO_CUT;
		stream_consume(r->io, bytes.n);
	}
	/* a client that stops inside a literal has lost its turn: nothing could be answered */
	return st == STREAM_OK ? IMAPIO_COMMAND : IMAPIO_GONE;
}

static enum imapio_status
refuse_literal(struct imapio *r, bool sync, struct slice *out)
{
	/* a client that does not wait sends the bytes now: skipping them is as costly as reading */
	*out = buf_slice(&r->line);
	return sync ? IMAPIO_TOO_LONG : IMAPIO_CUT;
}

enum imapio_status
imapio_read(struct imapio *r, int64_t deadline, struct slice *out)
{
	buf_reset(&r->line);
	for (;;) {
		struct slice line;
		enum imapio_status got;
		enum imap_literal kind;
		uint64_t n = 0;
		size_t room = r->most - r->line.n;
		enum stream_status st = stream_line(r->io, room, deadline, &line);

		if (st != STREAM_OK) {
			bool inside = r->line.n > 0;

			*out = buf_slice(&r->line);
			/* the rest of a command that stops in the middle can not be told from the next */
			return inside && st == STREAM_TIMEOUT ? IMAPIO_GONE : failed(st);
		}
		if (!buf_add(&r->line, line))
			return IMAPIO_CUT;
		kind = imap_literal_at_end(line, &n);
		*out = buf_slice(&r->line);
		if (kind == IMAP_LITERAL_NONE)
			return IMAPIO_COMMAND;
		if (r->append && append_announced(*out))
			return IMAPIO_APPEND;
		if (r->literals == 0 || n > r->most - r->line.n)
			return refuse_literal(r, kind == IMAP_LITERAL_SYNC, out);
		if (r->literals != UINT_MAX)
			r->literals--;
		got = take_literal(r, n, kind == IMAP_LITERAL_SYNC, deadline);
		if (got != IMAPIO_COMMAND)
			return got;
	}
}
