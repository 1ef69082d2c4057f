/* SPDX-License-Identifier: MIT
 * Canonicalisation (RFC 6376 3.4): what is hashed. Both sides are streams: pieces go in, pieces come
 * out at a sink. Long stretches that stay as they are come out as slices of the input, not as
 * copies. Line ends are CRLF; a bare CR or LF is an ordinary byte. */
#pragma once

#include "lib/base/slice.h"

enum dkim_canon { DKIM_SIMPLE, DKIM_RELAXED };

/* Takes the next piece; it is borrowed for the time of the call. */
typedef void dkim_sink(void *ctx, struct slice piece);

/* Body: simple (3.4.3) drops empty lines at the end; relaxed (3.4.4) also drops white space at the
 * end of lines and writes one space for any other run of it. */
struct dkim_body {
	enum dkim_canon canon;
	dkim_sink *sink;
	void *ctx;
	uint64_t n;	 /* octets given to the sink so far */
	uint64_t ends;	 /* CRLFs held back: dropped if nothing follows */
	bool tail_cr;	 /* a CR held back behind them */
	bool wsp;	 /* relaxed: a run of white space is open at the end of the last chunk */
	bool wsp_cr;	 /* relaxed: a CR followed that run */
};

void dkim_body_init(struct dkim_body *b, enum dkim_canon canon, dkim_sink *sink, void *ctx);
/* Any chunk of the body, in order; cuts may lie anywhere. Work is O(chunk). */
void dkim_body_feed(struct dkim_body *b, struct slice chunk);
/* The body is complete: writes the last CRLF where the algorithm wants one. Returns the length of the
 * canonical body in octets. */
uint64_t dkim_body_end(struct dkim_body *b);

/* One header field (3.4.1, 3.4.2), raw with its folding and with or without the CRLF at its end; what
 * comes out ends in CRLF. The relaxed form of a field without a colon is that of a value alone. */
void dkim_header_canon(enum dkim_canon canon, struct slice raw, dkim_sink *sink, void *ctx);

/* The field of the signature itself (3.7): raw[from..end) (the value of b=) counts as empty, and no
 * CRLF is written at the end. from <= end <= raw.n, or it is a bug (panic). */
void dkim_header_canon_without(enum dkim_canon canon, struct slice raw, size_t from, size_t end,
    dkim_sink *sink, void *ctx);
