/* SPDX-License-Identifier: MIT
 * Invariants: head <= tail <= cap; scan <= tail - head; in is NULL exactly when cap is 0; the
 * unfinished line starts at head. */
#include "lib/stream/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

static struct slice
waiting(const struct stream *s)
{
	return s->tail == s->head ? S("") : slice_of(&s->in[s->head], s->tail - s->head);
}

static void
forget_line(struct stream *s)
{
	s->scan = 0;
	s->dropped = 0;
	s->bad = false;
	s->over = false;
}

static void
free_input(struct stream *s)
{
	if (s->in != NULL) {
		explicit_bzero(s->in, s->high);
		free(s->in);
	}
	s->in = NULL;
	s->head = s->tail = s->cap = s->high = 0;
	forget_line(s);
}

/* Room for at least one more byte: starts the buffer, moves its content to the front or doubles it.
 * Callers consume before LIMIT_STREAM_LINE + 2 bytes wait. */
static void
make_room(struct stream *s)
{
	size_t n = s->tail - s->head, cap;
	uint8_t *p;

	if (n == 0)
		s->head = s->tail = 0;
	if (s->tail < s->cap)
		return;
	if (s->head > 0) {
		memmove(s->in, &s->in[s->head], n);
		s->head = 0;
		s->tail = n;
		return;
	}
	cap = s->cap == 0 ? LIMIT_STREAM_IN : s->cap * 2;
	PN_ASSERT(cap <= 2 * (LIMIT_STREAM_LINE + LIMIT_STREAM_IN));
	p = malloc(cap);
	PN_ASSERT(p != NULL);
	if (s->in != NULL) {
		memcpy(p, s->in, n);
		explicit_bzero(s->in, s->high);
		free(s->in);
	}
	s->in = p;
	s->cap = cap;
	s->high = n;
}

/* At least one more byte. Output leaves first: see stream.h. */
static enum stream_status
fill(struct stream *s, int64_t deadline)
{
	enum stream_status st;
	ssize_t n;
	int ready;

	if (s->lost)
		return STREAM_ERROR;
	st = stream_flush(s, deadline);
	if (st != STREAM_OK)
		return st;
	make_room(s);
	for (;;) {
		n = s->end.ops->read(&s->end, &s->in[s->tail], s->cap - s->tail);
		if (n > 0)
			break;
		if (n == 0)
			return STREAM_EOF;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return STREAM_ERROR;
		ready = s->end.ops->wait(&s->end, POLLIN, deadline);
		if (ready <= 0)
			return ready == 0 ? STREAM_TIMEOUT : STREAM_ERROR;
	}
	PN_ASSERT((size_t)n <= s->cap - s->tail);
	s->tail += (size_t)n;
	if (s->tail > s->high)
		s->high = s->tail;
	return STREAM_OK;
}

/* Looks for CRLF in what waits. True with the line (consumed, without CRLF) where one ends. */
static bool
cut_line(struct stream *s, struct slice *line)
{
	struct slice w = waiting(s);
	size_t at;

	while ((at = slice_find_byte(slice_from(w, s->scan), '\n')) != SLICE_NONE) {
		at += s->scan;
		if (at > 0 && slice_at(w, at - 1) == '\r') {
			*line = slice_sub(w, 0, at - 1);
			s->head += at + 1;
			return true;
		}
		s->bad = true;
		s->scan = at + 1;
	}
	s->scan = w.n;
	return false;
}

/* Throws the start of an overlong line away, but for a CR whose LF may follow. */
static void
drop_overlong(struct stream *s)
{
	struct slice w = waiting(s);
	size_t n = slice_at(w, w.n - 1) == '\r' ? w.n - 1 : w.n;

	s->over = true;
	s->dropped += n;
	s->head += n;
	s->scan = w.n - n;
}

enum stream_status
stream_line(struct stream *s, size_t max, int64_t deadline, struct slice *line)
{
	size_t endless = max > LIMIT_SMTP_OVERLONG ? max : LIMIT_SMTP_OVERLONG;
	enum stream_status st;
	struct slice l;
	bool over, bad;

	PN_ASSERT(max <= LIMIT_STREAM_LINE);
	if (s->lost)
		return STREAM_ERROR;
	while (!cut_line(s, &l)) {
		/* max bytes and a CR may still become a line */
		if (s->tail - s->head > max + 1)
			drop_overlong(s);
		if (s->dropped > endless) {
			s->lost = true;
			return STREAM_TOO_LONG;
		}
		st = fill(s, deadline);
		if (st != STREAM_OK)
			return st;
	}
	over = s->over || l.n > max;
	bad = s->bad;
	forget_line(s);
	if (over)
		return STREAM_TOO_LONG;
	if (bad || slice_find_byte(l, '\r') != SLICE_NONE || slice_find_byte(l, 0) != SLICE_NONE)
		return STREAM_BAD;
	*line = l;
	return STREAM_OK;
}

enum stream_status
stream_bytes(struct stream *s, size_t n, int64_t deadline, struct slice *out)
{
	enum stream_status st;

	PN_ASSERT(n <= LIMIT_STREAM_LINE);
	if (s->lost)
		return STREAM_ERROR;
	while (s->tail - s->head < n) {
		st = fill(s, deadline);
		if (st != STREAM_OK)
			return st;
	}
	*out = slice_head(waiting(s), n);
	stream_consume(s, n);
	return STREAM_OK;
}

enum stream_status
stream_peek(struct stream *s, int64_t deadline, struct slice *out)
{
	enum stream_status st = STREAM_OK;

	if (s->lost)
		return STREAM_ERROR;
	if (s->tail == s->head)
		st = fill(s, deadline);
	if (st == STREAM_OK)
		*out = waiting(s);
	return st;
}

void
stream_consume(struct stream *s, size_t n)
{
	PN_ASSERT(n <= s->tail - s->head);
	s->head += n;
	forget_line(s);
}

size_t
stream_buffered(const struct stream *s)
{
	return s->tail - s->head;
}

bool
stream_readable(struct stream *s)
{
	return s->tail > s->head || s->end.ops->wait(&s->end, POLLIN, 0) == 1;
}

size_t
stream_discard(struct stream *s)
{
	size_t n = s->tail - s->head;

	free_input(s);
	return n;
}

void
stream_wipe(struct stream *s)
{
	if (s->in == NULL)
		return;
	explicit_bzero(s->in, s->head);
	if (s->high > s->tail)
		explicit_bzero(&s->in[s->tail], s->high - s->tail);
}

/* Sends data as far as the deadline allows; *sent counts from where it started. */
static enum stream_status
send_all(struct stream *s, struct slice data, int64_t deadline, size_t *sent)
{
	ssize_t n;
	int ready;

	while (*sent < data.n) {
		struct slice rest = slice_from(data, *sent);

		n = s->end.ops->write(&s->end, rest.p, rest.n);
		if (n > 0) {
			PN_ASSERT((size_t)n <= rest.n);
			*sent += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
			return s->out_status = STREAM_ERROR;
		ready = s->end.ops->wait(&s->end, POLLOUT, deadline);
		if (ready < 0)
			return s->out_status = STREAM_ERROR;
		if (ready == 0)
			return STREAM_TIMEOUT;
	}
	return STREAM_OK;
}

enum stream_status
stream_flush(struct stream *s, int64_t deadline)
{
	enum stream_status st;

	if (s->out_status != STREAM_OK)
		return s->out_status;
	st = send_all(s, buf_slice(&s->out), deadline, &s->out_at);
	if (st == STREAM_OK) {
		buf_reset(&s->out);
		s->out_at = 0;
	}
	return st;
}

enum stream_status
stream_write(struct stream *s, struct slice data, int64_t deadline)
{
	enum stream_status st = s->out_status;
	size_t sent = 0;

	if (st == STREAM_OK && data.n > LIMIT_STREAM_OUT - s->out.n) {
		st = stream_flush(s, deadline);
		/* a flush that ran out of time has left no room: the output is lost */
		if (st == STREAM_TIMEOUT)
			s->out_status = st;
	}
	if (st != STREAM_OK)
		return st;
	if (data.n <= LIMIT_STREAM_OUT) {
		PN_ASSERT(buf_add(&s->out, data));
		return STREAM_OK;
	}
	st = send_all(s, data, deadline, &sent);
	if (st == STREAM_TIMEOUT)
		s->out_status = st;
	return st;
}

bool
stream_idle(struct stream *s)
{
	if (s->tail > s->head || s->out.n > 0 || s->dropped > 0)
		return false;
	free_input(s);
	buf_free(&s->out);
	return true;
}

void
stream_close(struct stream *s)
{
	if (s->end.ops != NULL)
		s->end.ops->close(&s->end);
	free_input(s);
	buf_free(&s->out);
	*s = (struct stream){ .end = { .fd = -1 }, .lost = true, .out_status = STREAM_ERROR };
}

int
stream_detach(struct stream *s, struct buf *left)
{
	int fd = s->end.fd;

	PN_ASSERT(s->out.n == 0);
	(void)buf_add(left, waiting(s));
	s->end.fd = -1;
	stream_close(s);
	return fd;
}

void
stream_preload(struct stream *s, struct slice left)
{
	PN_ASSERT(s->tail == s->head && left.n <= LIMIT_STREAM_LINE);
	forget_line(s);
	for (size_t at = 0; at < left.n;) {
		struct slice piece;

		make_room(s);
		piece = slice_head(slice_from(left, at), s->cap - s->tail);
		memcpy(&s->in[s->tail], piece.p, piece.n);
		s->tail += piece.n;
		at += piece.n;
		if (s->tail > s->high)
			s->high = s->tail;
	}
}

const char *
stream_word(enum stream_status st)
{
	static const char *const words[] = { "ok", "eof", "timeout", "too-long", "bad", "error" };

	PN_ASSERT((size_t)st < sizeof words / sizeof words[0]);
	return words[st];
}
