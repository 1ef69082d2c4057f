/* SPDX-License-Identifier: MIT
 * The content of DATA (RFC 5321 sections 4.1.1.4 and 4.5.2) as an incremental machine: input in pieces
 * of any size, content out to a sink with transparency dots removed. The content of BDAT (RFC 3030)
 * goes through the same machine: no dot means anything there, and the caller counts to the end. What
 * is not acceptable in a message is the same, as BINARYMIME is not offered.
 *
 * Only CRLF "." CRLF ends the data. A bare CR, a bare LF or a NUL marks the message bad, but framing
 * goes on to the true end, so that exactly one reply is given and nothing inside is ever taken for a
 * command (SECURITY.md S-001..S-014). After the piece of input with the first fault the sink gets
 * nothing more. */
#pragma once

#include "lib/base/limits.h"
#include "lib/base/slice.h"

/* Why a message is not acceptable; several may be set. */
enum smtp_data_fault {
	SMTP_DATA_BARE = 1,	   /* a CR or LF that is no part of CRLF: 550 5.5.2 */
	SMTP_DATA_NUL = 2,	   /* 550 5.6.0 */
	SMTP_DATA_SIZE = 4,	   /* more than max bytes: 552 5.3.4 */
	SMTP_DATA_HEADER = 8,	   /* header block over LIMIT_HEADER: 552 5.3.4 */
	SMTP_DATA_LINE = 16,	   /* a line over LIMIT_BODY_LINE: 552 5.3.4 */
	SMTP_DATA_SINK = 32,	   /* the sink refused: 452 4.3.1 */
};

#define SMTP_DATA_FIELD 512 /* of a header line, this much is looked at */

struct smtp_data {
	uint64_t max;	       /* bytes of content allowed */
	uint64_t size;	       /* content so far: after dot removal, CRLF counted (RFC 1870 section 6) */
	uint64_t header_size;  /* header block, with the empty line that ends it */
	uint64_t longest_line; /* without CRLF */
	uint32_t received;     /* Received: fields of the header block: hops so far */
	unsigned faults;       /* set of enum smtp_data_fault */
	/* private */
	uint8_t at;	  /* enum of data.c: where in CRLF.CRLF */
	bool chunked;	       /* BDAT: dots are content */
	bool in_header;
	bool fold_delivered; /* an empty Delivered-To field may continue on the next line */
	uint64_t line;	  /* bytes of the unfinished line */
	size_t field_n;	  /* bytes of field used */
	uint8_t field[SMTP_DATA_FIELD];
};

/* Where content and findings go. body takes a piece of content (borrowed, never empty) and returns
 * false to refuse (disk full). delivered_to, which may be NULL, is told the value of each Delivered-To
 * field of the header block (trimmed, at most SMTP_DATA_FIELD bytes, hostile). */
struct smtp_data_sink {
	bool (*body)(void *arg, struct slice piece);
	void (*delivered_to)(void *arg, struct slice value);
	void *arg;
};

void smtp_data_start(struct smtp_data *d, uint64_t max);
/* The same for BDAT: smtp_data_feed() takes all of its input and never finds an end. */
void smtp_data_start_chunked(struct smtp_data *d, uint64_t max);
/* The end of the last chunk. A last line without CRLF gets one: the sink is told. */
void smtp_data_finish(struct smtp_data *d, const struct smtp_data_sink *sink);
/* Takes in. True when the end of data was in it: *used is then the number of bytes up to and with it,
 * the rest of in belongs to the next command. Otherwise all of in was used. Counters of a message with
 * a fault are only good for its log line. */
bool smtp_data_feed(struct smtp_data *d, struct slice in, const struct smtp_data_sink *sink,
    size_t *used);
