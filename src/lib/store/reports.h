/* SPDX-License-Identifier: MIT
 * reports.db, the clerk's: reports about our domains that came in, what we owe others, and what was
 * sent. What a report says is hostile text: stored as it came, made printable by whoever shows it.
 *
 *   inbox, piece     mail that is not read yet, or that could not be read (kept REPORTS_KEEP_BAD)
 *   report, row, tls_row, complaint    what was read
 *   name             reverse names of addresses, filled in behind
 *   seen, published  what we judged or sent, counted by day (packed rows, opaque here)
 *   owed             one row a report and destination: sent once, whatever dies in between
 *
 * Durable: what a function that writes returned OK for outside a transaction has reached the disk. */
#pragma once

#include "lib/store/store.h"

#define LIMIT_REPORT_MAIL ((uint64_t)16777216) /* 10 MiB of attachment in base64, and its mail */
#define LIMIT_REPORT_INBOX 500u		/* unread mails; more wait in the queue (count) */
#define LIMIT_REPORT_SEEN 200000u	/* different rows of one day (count) */
#define LIMIT_REPORT_PACKED ((size_t)4096) /* one of them */

struct reports;

enum report_kind { REPORT_DMARC = 1, REPORT_TLS = 2, REPORT_ARF = 3 };
enum report_source { REPORT_BY_MAIL, REPORT_BY_FILE };

/* path lasts as long as the handle. */
enum store_err reports_open(const char *path, struct reports **out);
void reports_close(struct reports **r);
/* Gives back memory and file until it is used again. */
void reports_rest(struct reports *r);

/* ---- transactions: for everything below that says so ------------------------------------------- */

enum store_err reports_begin(struct reports *r);
enum store_err reports_commit(struct reports *r);
void reports_rollback(struct reports *r);

/* ---- what came in ------------------------------------------------------------------------------- */

struct reports_mail {
	uint64_t id;		/* given */
	uint64_t delivery;	/* of queue, which may deliver twice; 0: a file */
	enum report_source source;
	uint64_t at;		/* us */
	struct slice sender, rcpt;
	uint64_t size;
	uint32_t tries;
	struct slice why;	/* why it could not be read; empty: unread */
};

/* Keeps a mail or file until it was read; the content is bytes of fd from its beginning. STORE_EXISTS:
 * this delivery is here already, which is as good. STORE_FULL at LIMIT_REPORT_INBOX unread ones, for
 * mail; STORE_LIMIT over LIMIT_REPORT_MAIL. Deliveries below floor are forgotten. */
enum store_err reports_take(struct reports *r, const struct reports_mail *m, uint64_t floor, int fd,
    uint64_t *id);
/* The oldest unread mail, or STORE_NONE; texts in the arena, *fd a sealed memfd of the caller's. */
enum store_err reports_next(struct reports *r, struct arena *a, struct reports_mail *m, int *fd);
/* How many are unread. */
enum store_err reports_unread(struct reports *r, uint64_t *n);
/* It was read (in a transaction), or cannot be: why then says so, for people, and it is kept. */
enum store_err reports_read(struct reports *r, uint64_t id);
enum store_err reports_unreadable(struct reports *r, uint64_t id, struct slice why);
/* One more try was begun: a mail that kills its reader is not read for ever. */
enum store_err reports_tried(struct reports *r, uint64_t id);
/* Unread and unreadable ones, newest first, at most max. */
enum store_err reports_inbox(struct reports *r, size_t max,
    bool (*fn)(void *ctx, const struct reports_mail *m), void *ctx);

struct reports_head {
	uint64_t id;		/* given */
	enum report_kind kind;
	enum report_source source;
	uint64_t at;		/* us */
	bool verified;		/* the mail passed DMARC, or the administrator brought the file */
	bool damaged;
	struct slice sender, org, email, report_id, domain; /* domain in lower case */
	uint64_t begin, end;	/* seconds */
	struct slice policy;	/* DMARC: p= as published */
	uint64_t rows, messages, failures;
};

/* In a transaction: begins a report whose rows follow; then its head again, when it is known.
 * STORE_EXISTS from reports_head(): the same report of the same organisation is there: roll back. */
enum store_err reports_new(struct reports *r, uint64_t *id);
enum store_err reports_head(struct reports *r, const struct reports_head *h);

enum reports_flag {
	REPORTS_DKIM = 1,	/* aligned DKIM passed */
	REPORTS_SPF = 2,	/* aligned SPF passed */
	REPORTS_OTHER = 4,	/* some signature or SPF passed, aligned or not */
	REPORTS_FORWARDED = 8,	/* the receiver says: forwarded, a list, a trusted forwarder */
	REPORTS_QUARANTINED = 16,
	REPORTS_REJECTED = 32,
};

struct reports_row {
	uint64_t report;
	struct slice source, header_from, envelope_from, auth; /* auth: for people */
	uint64_t count;
	unsigned flags;
};
enum store_err reports_add_row(struct reports *r, const struct reports_row *row);

struct reports_tls {
	uint64_t report;
	struct slice policy, domain; /* type and domain of the policy */
	struct slice type;	/* of the failure; empty: the sums of the policy */
	struct slice mx, ip, reason;
	uint64_t sessions, failures;
};
enum store_err reports_add_tls(struct reports *r, const struct reports_tls *t);

struct reports_complaint {
	uint64_t report;
	struct slice type, source, mail_from, rcpt, domain, auth_failure, result;
	int64_t arrival;	/* seconds */
	uint64_t incidents;
};
enum store_err reports_add_complaint(struct reports *r, const struct reports_complaint *c);

/* Deletes reports and unreadable mails older than these times (us), at most max of each. */
enum store_err reports_retire(struct reports *r, uint64_t reports_before, uint64_t bad_before, size_t max);

/* ---- questions ---------------------------------------------------------------------------------- */

/* domain: it and what is below it; empty: every domain. since in seconds: reports that end later. */
struct reports_question {
	struct slice domain;
	uint64_t since;
	bool verified; /* only what is */
};

struct reports_summary {
	uint64_t reports, unverified, damaged, orgs, days, first, last, messages, passed;
	struct slice policy; /* p= of the newest report, in the arena */
};
enum store_err reports_summary(struct reports *r, const struct reports_question *q, struct arena *a,
    struct reports_summary *out);

struct reports_sender {
	struct slice source, name, auth;
	uint64_t messages, passed, dkim, spf, other, forwarded, quarantined, rejected, days, orgs;
};
/* Who sends, most messages first: at most max, after skip. */
enum store_err reports_senders(struct reports *r, const struct reports_question *q, size_t skip,
    size_t max, bool (*fn)(void *ctx, const struct reports_sender *s), void *ctx);

struct reports_tls_sum {
	struct slice domain, policy, type, mx, ip, reason, org;
	uint64_t sessions, failures, reports;
};
enum store_err reports_tls_sums(struct reports *r, const struct reports_question *q, size_t skip,
    size_t max, bool (*fn)(void *ctx, const struct reports_tls_sum *s), void *ctx);

enum store_err reports_list(struct reports *r, const struct reports_question *q, enum report_kind kind,
    size_t skip, size_t max, bool (*fn)(void *ctx, const struct reports_head *h), void *ctx);
enum store_err reports_complaints(struct reports *r, const struct reports_question *q, size_t skip,
    size_t max, bool (*fn)(void *ctx, const struct reports_complaint *c), void *ctx);

/* Addresses without a reverse name that was looked up since (us); and the name, empty for none. */
enum store_err reports_unnamed(struct reports *r, uint64_t since, size_t max,
    bool (*fn)(void *ctx, struct slice ip), void *ctx);
enum store_err reports_name(struct reports *r, struct slice ip, struct slice name, uint64_t at);

/* ---- what we owe -------------------------------------------------------------------------------- */

/* What is counted belongs to a period: a day since 1970 (UTC) times REPORTS_PARTS, plus the part of
 * that day. Whatever is counted after a day was planned makes its next part: nothing is told twice, and
 * nothing that comes late is lost. */
#define REPORTS_PARTS 100u
enum store_err reports_period(struct reports *r, enum report_kind kind, uint64_t day, uint64_t *period);

/* In a transaction, with reports_passed() of the last event: counts one row about a domain.
 * STORE_LIMIT, not sticky, where the period is full. policy, unless empty, is kept as its last. */
enum store_err reports_count(struct reports *r, enum report_kind kind, uint64_t period, struct slice domain,
    struct slice packed, struct slice policy, uint64_t n);
/* The last event of the log that was counted. */
enum store_err reports_position(struct reports *r, uint64_t *event);
enum store_err reports_passed(struct reports *r, uint64_t event);

/* The first period before another one with something seen that is not planned yet; STORE_NONE. */
enum store_err reports_open_period(struct reports *r, enum report_kind kind, uint64_t before,
    uint64_t *period);
/* What the domain had published last in a period, in the arena; empty when nobody said. */
enum store_err reports_published(struct reports *r, enum report_kind kind, uint64_t period,
    struct slice domain, struct arena *a, struct slice *policy);
enum store_err reports_rows(struct reports *r, enum report_kind kind, uint64_t period, struct slice domain,
    bool (*fn)(void *ctx, struct slice packed, uint64_t n), void *ctx);

enum owed_state {
	OWED_OPEN,
	OWED_SENDING, /* handed to queue, whose answer is not known: look whether it was stored */
	OWED_SENT,
	OWED_NONE,    /* given up, or nobody wants it: why says so */
};
struct reports_owed {
	enum report_kind kind;
	uint64_t period;
	uint64_t most;		/* bytes that the destination takes, 0: any */
	struct slice domain, to; /* to empty: not asked yet where it goes */
	enum owed_state state;
	uint64_t session;	/* of the mail */
	uint32_t tries;
	uint64_t next;		/* us: not before */
	struct slice why;
};
/* Plans a period: one open row for each domain, at next (us) and not before. Once; *n rows. */
enum store_err reports_plan(struct reports *r, enum report_kind kind, uint64_t period, uint64_t next,
    uint64_t *n);
/* The first open or sending row that is due, texts in the arena; STORE_NONE. */
enum store_err reports_due(struct reports *r, uint64_t now, struct arena *a, struct reports_owed *out);
/* Replaces (kind, period, domain, to) by what it says; in a transaction or alone. */
enum store_err reports_owe(struct reports *r, const struct reports_owed *o);
enum store_err reports_forget_owed(struct reports *r, const struct reports_owed *o);
enum store_err reports_owed_list(struct reports *r, size_t skip, size_t max,
    bool (*fn)(void *ctx, const struct reports_owed *o), void *ctx);
/* Periods before this one are forgotten: what was counted, planned and sent. */
enum store_err reports_forget_periods(struct reports *r, uint64_t before);
