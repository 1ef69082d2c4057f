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

void
imapio_idle(struct imapio *r)
{
	if (r->half)
		return;
	buf_free(&r->line);
	(void)stream_idle(r->io);
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

/* A literal of n bytes that fits was announced. */
static enum stream_status
begin_literal(struct imapio *r, uint64_t n, bool sync, int64_t deadline)
{
	enum stream_status st;

	r->want = (size_t)n;
	(void)buf_add(&r->line, S("\r\n"));
	if (!sync)
		return STREAM_OK;
	st = stream_write(r->io, S("+ OK\r\n"), deadline);
	return st == STREAM_OK ? stream_flush(r->io, deadline) : st;
}

/* What is still missing of the literal. */
static enum stream_status
take_literal(struct imapio *r, int64_t deadline)
{
	while (r->want > 0) {
		struct slice bytes;
		enum stream_status st = stream_peek(r->io, deadline, &bytes);

		if (st != STREAM_OK)
			return st;
		bytes = slice_head(bytes, r->want);
		(void)buf_add(&r->line, bytes);
		r->want -= bytes.n;
		stream_consume(r->io, bytes.n);
	}
	return STREAM_OK;
}

/* Over the budget. A client that does not wait sends the bytes now: they cannot be skipped cheaply. */
static enum imapio_status
refuse_literal(struct imapio *r, bool sync)
{
	r->half = false;
	return sync ? IMAPIO_TOO_LONG : IMAPIO_CUT;
}

static enum imapio_status
stop(struct imapio *r, enum stream_status st)
{
	if (st != STREAM_TIMEOUT)
		r->half = false;
	return failed(st);
}

static enum imapio_status
whole(struct imapio *r, enum imapio_status what)
{
	r->half = false;
	return what;
}

enum imapio_status
imapio_read(struct imapio *r, int64_t deadline, struct slice *out)
{
	if (!r->half)
		buf_reset(&r->line);
	for (;;) {
		struct slice line;
		enum imap_literal kind;
		uint64_t n = 0;
		enum stream_status st = take_literal(r, deadline);

		if (st == STREAM_OK)
			st = stream_line(r->io, r->most - r->line.n, deadline, &line);
		*out = buf_slice(&r->line);
		if (st != STREAM_OK)
			return stop(r, st);
		r->half = true;
		(void)buf_add(&r->line, line);
		kind = imap_literal_at_end(line, &n);
		*out = buf_slice(&r->line);
		if (kind == IMAP_LITERAL_NONE)
			return whole(r, IMAPIO_COMMAND);
		if (r->append && append_announced(*out))
			return whole(r, IMAPIO_APPEND);
		if (r->literals == 0 || r->line.n + 2 > r->most || n > r->most - r->line.n - 2)
			return refuse_literal(r, kind == IMAP_LITERAL_SYNC);
		if (r->literals != UINT_MAX)
			r->literals--;
		st = begin_literal(r, n, kind == IMAP_LITERAL_SYNC, deadline);
		if (st != STREAM_OK)
			return whole(r, IMAPIO_GONE);
	}
}
