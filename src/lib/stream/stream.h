/* SPDX-License-Identifier: MIT
 * Deadline I/O and framing. A stream reads and writes one end: a socket, memory (tests, fuzzing) or
 * a wrapper that injects faults. It delivers complete CRLF lines and counted bytes under hard limits,
 * so that a grammar only ever sees one finite slice.
 *
 * - A deadline is an absolute CLOCK_MONOTONIC time in milliseconds, given by the caller; one that has
 *   passed means "take what is there, do not wait". STREAM_TIMEOUT loses nothing: the call can be
 *   repeated.
 * - Output is collected and sent by stream_flush(), when the buffer is full, and before any wait for
 *   input: replies to pipelined commands leave together, and a reader never waits for a peer that
 *   waits for a reply.
 * - A slice that a stream returns is valid until the next call that reads from the stream.
 * - A struct stream belongs to one thread at a time. It has no heap memory after stream_idle(): that
 *   is what makes a parked conversation cheap. */
#pragma once

#include <sys/types.h>

#include "lib/base/buf.h"
#include "lib/base/limits.h"

enum stream_status {
	STREAM_OK,
	STREAM_EOF,	 /* the peer has closed; an unfinished line is dropped */
	STREAM_TIMEOUT,	 /* deadline reached; repeat or give up */
	STREAM_TOO_LONG, /* the line was longer than allowed and is dropped */
	STREAM_BAD,	 /* the line held a bare CR, a bare LF or a NUL and is dropped */
	STREAM_ERROR,	 /* the end failed, or framing was lost: close */
};

/* One end. read and write take what is possible now: -1 with errno EAGAIN where nothing is, 0 from
 * read at the end of input. wait gives 1 when events (POLLIN or POLLOUT) may proceed, 0 at the
 * deadline, -1 with errno on failure. close releases what self holds. */
struct stream_end {
	const struct stream_ops *ops;
	void *self;
	int fd; /* -1 where there is none */
};
struct stream_ops {
	ssize_t (*read)(struct stream_end *e, void *p, size_t n);
	ssize_t (*write)(struct stream_end *e, const void *p, size_t n);
	int (*wait)(struct stream_end *e, short events, int64_t deadline);
	void (*close)(struct stream_end *e);
};

struct stream {
	struct stream_end end;
	uint8_t *in;		       /* read buffer, NULL while idle */
	size_t head, tail, cap, high;  /* [head, tail) waits; high: most bytes ever in it (to wipe) */
	size_t scan;		       /* of the unfinished line: searched for LF so far */
	size_t dropped;		       /* of an overlong line: bytes thrown away */
	bool bad, over;		       /* verdict on the unfinished line */
	bool lost;		       /* no end of line within LIMIT_SMTP_OVERLONG: nothing can be read */
	enum stream_status out_status; /* sticky: OK, or why output failed */
	struct buf out;
	size_t out_at; /* bytes of out already sent */
};

/* A stream over a connected socket. The stream owns fd (any file status flags will do). */
void stream_init_fd(struct stream *s, int fd);
/* Closes the end and frees the buffers (wiped); output that was not flushed is dropped. Accepts a
 * zeroed struct and a second call. */
void stream_close(struct stream *s);
/* Gives the descriptor back (the stream forgets it) and appends the input that was read but not
 * consumed to left. Output must have been flushed. The stream is then closed. -1 for a memory end;
 * left->bad tells where the leftover did not fit. */
int stream_detach(struct stream *s, struct buf *left);
/* Input that was read elsewhere (a handoff) and stands before what the end gives. At most
 * LIMIT_STREAM_LINE bytes; only on a stream with nothing buffered. */
void stream_preload(struct stream *s, struct slice left);

/* The next line, of at most max (<= LIMIT_STREAM_LINE) bytes without its CRLF. A line ends in CRLF and
 * nowhere else: a bad or overlong line is consumed to its true end and reported once. When no end
 * comes within LIMIT_SMTP_OVERLONG (or max, if that is more) bytes, STREAM_TOO_LONG is returned and
 * every later read gives STREAM_ERROR: the caller replies and cuts. */
enum stream_status stream_line(struct stream *s, size_t max, int64_t deadline, struct slice *line);
/* Exactly n (<= LIMIT_STREAM_LINE) bytes, consumed. */
enum stream_status stream_bytes(struct stream *s, size_t n, int64_t deadline, struct slice *out);
/* All that is buffered, at least one byte (waits for it), not consumed: for literals and message
 * content of any length. Follow with stream_consume(). */
enum stream_status stream_peek(struct stream *s, int64_t deadline, struct slice *out);
/* Drops the first n bytes of what stream_peek() gave; more is a bug. */
void stream_consume(struct stream *s, size_t n);

/* Bytes already read and not consumed: what a client has sent ahead. */
size_t stream_buffered(const struct stream *s);
/* True when a read would not wait: bytes are buffered, or the end has input (or its end) now. */
bool stream_readable(struct stream *s);
/* Drops buffered input: STARTTLS (RFC 3207 section 4.2). Returns how many bytes were dropped. */
size_t stream_discard(struct stream *s);
/* Overwrites input that was consumed (a password) but still stands in the buffer. */
void stream_wipe(struct stream *s);

/* Appends to the output; sends when LIMIT_STREAM_OUT is reached. Errors are sticky and also reported
 * by stream_flush(): a writer of many pieces may check once at the end. */
enum stream_status stream_write(struct stream *s, struct slice data, int64_t deadline);
/* Sends all output. On STREAM_TIMEOUT the rest stays and a later flush continues. */
enum stream_status stream_flush(struct stream *s, int64_t deadline);

/* To be called before a conversation is parked: gives back both buffers. False, with nothing given
 * back, when input or output waits in them: then the conversation must not be parked. */
bool stream_idle(struct stream *s);

/* A word for logs: "ok", "eof", "timeout", ... */
const char *stream_word(enum stream_status st);

/* Milliseconds that poll() may wait until deadline, 0 when it has passed. The only place of this
 * library that reads the clock. */
int stream_poll_ms(int64_t deadline);

/* An end in memory. Input is in, given in pieces of at most chunk bytes (0: as asked); at its end the
 * reader sees the end of file, or with hang a peer that stays silent (STREAM_TIMEOUT at once).
 * Output is collected in out, which the caller initialises with its limit and frees. */
struct stream_memory {
	struct slice in;
	size_t at, chunk;
	bool hang;
	struct buf out;
};
/* m must outlive s. */
void stream_init_memory(struct stream *s, struct stream_memory *m);

/* Wraps the end of s: reads and writes are numbered from 1; the one numbered fail_read (fail_write)
 * and all after it fail with error (an errno value; 0 makes a read see end of file and a write fail
 * with EPIPE; ETIMEDOUT makes the end stall: EAGAIN, and every wait times out). most, where not 0,
 * bounds each read and write. Counters tell how many were made. f must outlive s. */
struct stream_fault {
	struct stream_end under;
	size_t reads, writes, fail_read, fail_write, most;
	int error;
};
void stream_inject(struct stream *s, struct stream_fault *f);
