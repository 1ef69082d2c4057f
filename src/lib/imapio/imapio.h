/* SPDX-License-Identifier: MIT
 * Framing of IMAP commands over a stream: lines and literals under a budget, collected into one slice
 * for the grammar. What a client may make us hold is bounded before it is read: a literal over the
 * budget is refused at its announcement, and never allocated. */
#pragma once

#include "lib/base/buf.h"
#include "lib/parse/imap/imap.h"
#include "lib/stream/stream.h"

struct imapio {
	struct stream *io;
	struct buf line;	/* the command so far; freed by imapio_idle() */
	size_t most;		/* bytes of one command, lines and literals together */
	unsigned literals;	/* how many more this connection may send; UINT_MAX: no count */
	bool append;		/* APPEND's message may be announced (after login) */
	bool half;		/* a command is half read */
	size_t want;		/* bytes of its literal that are still to come */
};

enum imapio_status {
	IMAPIO_COMMAND,	 /* *out is one whole command without its CRLF */
	IMAPIO_APPEND,	 /* the same, and it ends in the announcement of APPEND's message */
	IMAPIO_BAD,	 /* bare CR or LF, or NUL: "* BAD"; go on */
	IMAPIO_TOO_LONG, /* over the budget: "BAD"; go on. *out holds the beginning, for the tag */
	IMAPIO_TIMEOUT,	 /* nothing is lost: call again, or park. No whole command waits anywhere */
	IMAPIO_CUT,	 /* over the budget in a way that cannot be skipped: "* BYE" and close */
	IMAPIO_GONE,	 /* end of input or error */
};

void imapio_init(struct imapio *r, struct stream *io, size_t most, unsigned literals, bool append);
/* The next command. deadline is absolute (clock_mono_ms()). *out borrows until the next call of
 * imapio_read(), imapio_idle() or imapio_free(): the caller may read from the stream meanwhile.
 * Sends "+ OK" itself for literals within the budget. RFC 3501 2.2.1, 4.3; RFC 7888. */
enum imapio_status imapio_read(struct imapio *r, int64_t deadline, struct slice *out);
/* Wipes the command (it may hold a password); keeps the memory. */
void imapio_wipe(struct imapio *r);
/* For parking, after IMAPIO_TIMEOUT: gives back the memory of both, reader and stream, unless a command
 * is half read: then it waits in memory, and no thread waits with it. */
void imapio_idle(struct imapio *r);
void imapio_free(struct imapio *r);
