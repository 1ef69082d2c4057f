/* SPDX-License-Identifier: MIT
 * Trace header fields: RFC 5321 section 4.4, RFC 3848 (protocol names), RFC 8314 section 4.3 (TLS).
 * Every field ends in CRLF, is folded below 78 columns where its words allow, and holds printable
 * ASCII only, and UTF-8 where an address has it: a word with anything else in it sets b->bad. */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/ip.h"

struct trace_received {
	struct slice helo;     /* what the client called itself; empty for none */
	struct ip peer;	       /* n == 0: not told (submission hides its clients) */
	struct slice host;     /* us */
	bool lmtp; /* LMTP, of the same RFC */
	bool esmtp, tls, auth; /* which word of RFC 3848: SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA */
	bool utf8;	       /* SMTPUTF8: UTF8SMTP and its kin (RFC 6531 section 4.3) */
	struct slice tls_version, cipher; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; used when tls */
	struct slice id;       /* queue id: letters, digits, '.' and '-' */
	struct slice rcpt;     /* the address, where there is exactly one; empty otherwise */
	int64_t seconds;       /* since 1970-01-01 UTC */
};
bool trace_received(struct buf *b, const struct trace_received *r);

/* The same for a local program: "Received: by HOST (from PROGRAM, uid N) id ID; DATE". */
bool trace_local(struct buf *b, struct slice host, struct slice program, uint32_t uid, struct slice id,
    int64_t seconds);

/* "Return-Path: <sender>"; the empty sender gives "<>". sender is an address as addr_write() makes it. */
bool trace_return_path(struct buf *b, struct slice sender);
/* "Delivered-To: address". */
bool trace_delivered_to(struct buf *b, struct slice address);
/* What a list adds: List-Id (RFC 2919: the address with its '@' as a dot), List-Post (RFC 2369 section
 * 3.4) and Precedence, which keeps automatic answers away. list is an address as addr_write() makes it. */
bool trace_list(struct buf *b, struct slice list);
