/* SPDX-License-Identifier: MIT
 * DMARC policy records (RFC 9989 section 4.7 and 4.8), with the historic tags of RFC 7489 (pct, ri,
 * rf, and sizes in report addresses) read but without effect. A record with an error in an optional
 * tag is still a record: the tag counts as absent. All slices lie in the record. */
#pragma once

#include "lib/base/cursor.h"

/* Bytes of one record that we are willing to read. */
#define LIMIT_DMARC_RECORD ((size_t)8192)
/* Report addresses of one tag that we use; more are ignored (RFC 9990 3.5 leaves the number open). */
#define LIMIT_DMARC_URIS 8u

enum dmarc_policy {
	DMARC_P_ABSENT,
	DMARC_P_INVALID,
	DMARC_P_NONE,
	DMARC_P_QUARANTINE,
	DMARC_P_REJECT,
};

enum dmarc_psd {
	DMARC_PSD_U, /* unknown: the default */
	DMARC_PSD_N, /* an organizational domain */
	DMARC_PSD_Y, /* a public suffix */
};

struct dmarc_record {
	struct slice text;
	bool usable; /* false: it exists and counts in the tree walk, but asks for nothing (4.10.1) */
	enum dmarc_policy p, sp, np; /* usable: p is never absent or invalid */
	bool dkim_strict, spf_strict;
	enum dmarc_psd psd;
	bool testing;	     /* t=y */
	bool fo_all, fo_any, fo_dkim, fo_spf; /* fo=0, 1, d, s; 0 by default */
	struct slice rua, ruf; /* lists for dmarc_uri_next(); empty: none */
	unsigned pct;	       /* 0..100, 100 by default; historic: no effect */
	uint32_t ri;	       /* seconds, 86400 by default; historic: no effect */
};

/* True when a TXT record is a DMARC record: its first tag is v with the value DMARC1 exactly. */
bool dmarc_is_record(struct slice txt);

/* False, with *out untouched, when it is none, is longer than LIMIT_DMARC_RECORD, or names a tag
 * twice (RFC 6376 3.2: the whole list is invalid). */
bool dmarc_parse(struct slice txt, struct dmarc_record *out);

/* "none", "quarantine", "reject"; "none" for absent and invalid ones. A literal. */
const char *dmarc_policy_name(enum dmarc_policy p);

struct dmarc_uri {
	struct slice uri;	/* without the size */
	struct slice address;	/* of mailto: without the scheme and ?hfields; else empty */
	uint64_t max;		/* bytes, 0: no limit. Historic: reporters ignore it (RFC 9989 4.7) */
};

/* The next syntactically valid report URI of a list; others are skipped. Escapes (%2c) stay. */
bool dmarc_uri_next(struct cursor *c, struct dmarc_uri *out);
