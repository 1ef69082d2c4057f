/* SPDX-License-Identifier: MIT
 * The one way of everything that judges mail to ask the DNS: a name and a type go in, an answer
 * comes out. Behind it stands the dns room (libunbound) or, in tests, an in-memory zone (zone.h).
 *
 * Invariants: a message spends at most its budget of queries; a record that the caller sees was
 * decoded completely and without reading past its RDATA; no name in an answer is longer than a
 * name may be. An answer with one malformed record is SERVFAIL as a whole.
 *
 * Names are text without the final dot, "" for the root; a byte outside 0x21..0x7e, a dot inside a
 * label and a backslash are written \DDD (RFC 1035 5.1). They compare without ASCII case. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"

/* Queries that the judgement of one message may cause. */
#define LIMIT_RESOLVE_QUERIES 64u
/* Records of one answer; more is SERVFAIL. A 64 KiB answer holds about 4,000 A records. */
#define LIMIT_RESOLVE_RRS 4096u
/* A name in wire form, RFC 1035 2.3.4; and of one label. */
#define LIMIT_RESOLVE_WIRE ((size_t)255)
#define LIMIT_RESOLVE_LABEL ((size_t)63)

enum rr_type {
	RR_A = 1,
	RR_NS = 2,
	RR_CNAME = 5,
	RR_SOA = 6,
	RR_PTR = 12,
	RR_MX = 15,
	RR_TXT = 16,
	RR_AAAA = 28,
	RR_SRV = 33,
	RR_TLSA = 52,
	RR_CAA = 257,
};

enum resolve_status {
	RESOLVE_OK,	  /* at least one record */
	RESOLVE_NODATA,	  /* the name exists, no record of this type */
	RESOLVE_NXDOMAIN, /* no such name, nor anything below it; also a name that cannot exist */
	RESOLVE_SERVFAIL, /* servers failed, the answer was malformed, or the budget is spent */
	RESOLVE_TIMEOUT,  /* no answer in time */
	RESOLVE_BOGUS,	  /* DNSSEC validation failed: never use, never treat as absent */
};

/* One record; only the fields of its type are set. All slices live in the arena of the query. */
struct rr {
	enum rr_type type;
	uint8_t ip[16];	      /* A: the first 4 bytes; AAAA: 16. Network order */
	uint16_t preference;  /* MX; SRV: priority */
	uint16_t weight;      /* SRV */
	uint16_t port;	      /* SRV */
	uint8_t usage;	      /* TLSA; CAA: flags */
	uint8_t selector;     /* TLSA */
	uint8_t matching;     /* TLSA */
	struct slice name;    /* NS, CNAME, SOA (mname), PTR, MX (exchange), SRV (target): text; CAA: tag */
	struct slice text;    /* TXT: all character-strings joined without space (any bytes);
				 TLSA: association data; CAA: value */
	size_t strings;	      /* TXT: how many character-strings */
};

struct resolve_answer {
	enum resolve_status status;
	bool secure;	     /* DNSSEC said so, along the whole CNAME chain */
	uint32_t ttl;	     /* seconds */
	struct slice name;   /* owner of the records after CNAMEs (OK); else empty */
	size_t n;	     /* records; 0 unless OK */
	const struct rr *rr; /* read with rr_next() */
};

/* What an implementation gives back: RDATA in wire form, names uncompressed (as libunbound's
 * ub_result has them). The bytes live in the arena or outlive it. */
struct resolve_wire {
	enum resolve_status status;
	bool secure;
	uint32_t ttl;
	struct slice name; /* text, owner after CNAMEs */
	size_t n;
	const struct slice *rdata;
};

/* An implementation. query() is given a name that can exist, in lower case, and never fails other
 * than by out->status; it follows CNAMEs itself and has its own deadline. */
struct resolver {
	void (*query)(void *self, struct slice name, enum rr_type type, struct arena *a,
	    struct resolve_wire *out);
	void *self;
	unsigned left; /* queries that may still be made; starts at LIMIT_RESOLVE_QUERIES */
	bool spent;    /* a query was refused because left was 0: tell it in the event */
};

/* A resolver with the budget of one message. */
struct resolver resolver_of(
    void (*query)(void *self, struct slice name, enum rr_type type, struct arena *a,
	struct resolve_wire *out),
    void *self);

/* Asks for the records of one type; always fills *out. name: text as above, a final dot is allowed.
 * A name that cannot exist (empty label, label over 63 bytes, over 255 in wire form) is NXDOMAIN
 * and costs nothing. SERVFAIL with r->spent where the budget is gone; SERVFAIL too where the
 * arena is at its ceiling (an environment failure, never "absent"). */
void resolve(struct resolver *r, struct slice name, enum rr_type type, struct arena *a,
    struct resolve_answer *out);

/* The next record: true and *out, or false at the end. *at starts at 0. */
bool rr_next(const struct resolve_answer *answer, size_t *at, const struct rr **out);

/* True for SERVFAIL, TIMEOUT and BOGUS: nothing is known, try later. */
bool resolve_failed(enum resolve_status s);
/* "ok", "nodata", "nxdomain", "servfail", "timeout", "bogus": for events. A literal. */
const char *resolve_status_name(enum resolve_status s);

/* Text to wire form. False, with *out untouched, on a name that cannot exist or at the ceiling. */
[[nodiscard]] bool name_to_wire(struct slice text, struct arena *a, struct slice *out);
/* A whole name in wire form to text. False on anything malformed, compressed, or bytes behind it. */
[[nodiscard]] bool name_from_wire(struct slice wire, struct arena *a, struct slice *out);
/* Decodes one RDATA; unknown types give an empty record of that type. False as above. */
[[nodiscard]] bool rr_decode(enum rr_type type, struct slice rdata, struct arena *a, struct rr *out);
