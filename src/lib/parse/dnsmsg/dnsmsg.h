/* SPDX-License-Identifier: MIT
 * A DNS message as it answers one question (RFC 1035 section 4): the records of the asked type behind
 * the CNAME chain, RDATA with its names uncompressed.
 *
 * Invariants: a compression pointer only ever goes back before the name it stands in, so that no loop
 * exists; no read leaves the message or its RDATA; a record whose RDATA is not consumed exactly makes
 * the whole message unusable. Records that do not belong to the chain are ignored. */
#pragma once

#include "lib/base/arena.h"

/* Records of one answer; a 64 KiB message holds about 4,000 A records. */
#define LIMIT_DNSMSG_RRS 4096u
/* CNAMEs of one chain (count). */
#define LIMIT_DNSMSG_CHAIN 16u
/* A name in wire form, RFC 1035 2.3.4. */
#define LIMIT_DNSMSG_NAME ((size_t)255)

struct dnsmsg_answer {
	unsigned rcode;	    /* the four bits of the header */
	bool truncated;	    /* TC */
	bool referral;	    /* no records, but servers to ask instead (RFC 2308 2.2.1): no answer at all */
	uint32_t ttl;	    /* seconds, the least along the chain; of a negative answer RFC 2308 5, else 0 */
	struct slice owner; /* wire form: the question's name, or what its CNAMEs lead to */
	size_t n;	    /* records */
	const struct slice *rdata;
};

/* Reads the answer to (name, type); name in wire form. False, with *out untouched, when the message
 * is malformed, answers another question, has too many records or a CNAME loop, or at the arena's
 * ceiling. Slices of *out live in a. */
[[nodiscard]] bool dnsmsg_answer_parse(struct slice msg, struct slice name, uint16_t type, struct arena *a,
    struct dnsmsg_answer *out);
