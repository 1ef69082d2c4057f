/* SPDX-License-Identifier: MIT
 * DMARC aggregate reports, both ways: RFC 9990, and what RFC 7489 and older drafts made of them. The
 * reader takes what the world sends (any namespace, unknown elements, bytes that are no UTF-8) within
 * hard bounds: no DTD, no entities of its own, 10 MiB of XML, 32 MiB of parser memory, rows handed
 * on one by one. Every text is hostile: control characters are replaced, nothing else is escaped. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/ip.h"

#define LIMIT_DMARC_REPORT_TEXT ((size_t)1024) /* bytes of one text; the rest is cut */
#define LIMIT_DMARC_REPORT_LIST 16u	/* DKIM results, SPF results, reasons of a row; rest dropped */
#define LIMIT_DMARC_REPORT_DEPTH 32u
#define LIMIT_DMARC_REPORT_ROWS 200000u
#define LIMIT_DMARC_REPORT_MEMORY ((size_t)33554432) /* of the XML parser */

struct dmarc_report {
	struct slice version, org_name, email, extra_contact, report_id, generator;
	struct slice error;	/* the last one */
	uint64_t begin, end;	/* seconds since 1970 */
	struct slice domain, p, sp, np, adkim, aspf, fo, testing, discovery;
	size_t rows;
	uint64_t messages; /* sum of the counts, at most UINT64_MAX */
	bool damaged; /* read: the XML broke behind the last of these rows; there may have been more */
};

struct dmarc_report_auth {
	struct slice domain, selector, scope, result, human;
};

struct dmarc_report_reason {
	struct slice type, comment;
};

struct dmarc_report_row {
	struct slice source; /* as written */
	struct ip ip;	     /* of source; n = 0 where that is no address */
	uint64_t count;
	struct slice disposition, dkim, spf; /* policy_evaluated, lower case */
	struct slice envelope_to, envelope_from, header_from;
	size_t n_reasons, n_dkim, n_spf;
	struct dmarc_report_reason reasons[LIMIT_DMARC_REPORT_LIST];
	struct dmarc_report_auth dkim_auth[LIMIT_DMARC_REPORT_LIST];
	struct dmarc_report_auth spf_auth[LIMIT_DMARC_REPORT_LIST];
};

enum dmarc_report_status {
	DMARC_REPORT_OK,
	DMARC_REPORT_BAD,     /* no report, a DTD, entities, broken archive or XML before a row was
				 complete, no rows */
	DMARC_REPORT_BIG,     /* over a limit */
	DMARC_REPORT_STOPPED, /* row() said no */
	DMARC_REPORT_MEMORY,  /* environment: try later */
};

/* Reads a report: XML, gzip or zip. row() is called for each record; *row and its slices live until it
 * returns. *out lives in the arena (256 KiB are enough for any honest report; a ceiling reached is
 * BIG) and is filled only with OK. Rows that were handed on before another answer belong to no report:
 * the caller rolls back. */
enum dmarc_report_status dmarc_report_read(struct slice packed, struct arena *a,
    bool (*row)(void *self, const struct dmarc_report_row *row), void *self,
    struct dmarc_report *out);

/* "ok", "bad", "big", "stopped", "memory". A literal. */
const char *dmarc_report_status_name(enum dmarc_report_status s);

/* Writing (RFC 9990 section 3.1): begin, rows, end, into one buffer whose maximum bounds the report.
 * Texts are cut and escaped. Each returns !b->bad. Empty optional fields are left out. */
bool dmarc_report_begin(struct buf *b, const struct dmarc_report *r);
bool dmarc_report_row(struct buf *b, const struct dmarc_report_row *row);
bool dmarc_report_end(struct buf *b);

/* The gzip form of a report. False when it gets longer than out's maximum. */
bool report_gzip(struct buf *out, struct slice in);

/* "receiver!domain!begin!end!id.xml.gz" and "Report Domain: ... Submitter: ... Report-ID: <...>"
 * (RFC 9990 section 3.2). receiver and r->domain are names; bytes that do not belong into a file name or
 * header become "_". */
bool dmarc_report_filename(struct buf *b, const struct dmarc_report *r, struct slice receiver);
bool dmarc_report_subject(struct buf *b, const struct dmarc_report *r, struct slice receiver);
