/* SPDX-License-Identifier: MIT
 * The head of an HTTP/1.0 or HTTP/1.1 request (RFC 9110, RFC 9112), line by line, for a service that takes short bodies
 * of a known length from programs of this machine. Stricter than the RFCs wherever two readers could disagree on where a
 * request ends: one Content-Length or none, no Transfer-Encoding at all, no folded fields, one blank where the grammar
 * has one, no blank before a colon.
 *
 * The framer (stream_line) delivers lines without their CRLF, and refuses a bare CR, a bare LF and NUL. */
#pragma once

#include "lib/base/arena.h"

#define HTTP_LINE ((size_t)8192)    /* bytes of one line without its end */
#define HTTP_FIELDS ((size_t)100)   /* of one head (count) */
#define HTTP_HEAD ((size_t)32768)   /* bytes of one head */
#define HTTP_BEARER ((size_t)256)   /* bytes of a token */

enum http_step {
	HTTP_MORE, /* the head goes on */
	HTTP_DONE, /* that was its end, and the request can be read */
	HTTP_BAD   /* code says how to answer; the connection cannot be used any more */
};

struct http_head {
	struct slice method, target, bearer; /* bearer: of "Authorization: Bearer ...", else empty */
	unsigned minor;			     /* of the version: 0 or 1 */
	uint64_t length;		     /* of the body; 0 without one */
	bool has_length, json;		     /* Content-Type is application/json */
	bool close;			     /* the client wants no further request here */
	bool expects;			     /* 100-continue */
	unsigned code;			     /* with HTTP_BAD: 400, 411, 415, 417, 431, 501, 505 */
	/* the reader's own */
	size_t lines, bytes;
	bool host, type, authorization, encoded, chunked;
};

/* Feeds the next line; h begins zeroed. Slices are copied to a. */
enum http_step http_head_line(struct http_head *h, struct slice line, struct arena *a);
/* The reason phrase of a status that is answered here: "Bad Request"; a literal. */
const char *http_reason(unsigned code);
