/* SPDX-License-Identifier: MIT
 * Questions to what was reported about our domains. */
#include "lib/store/reports_int.h"

static sqlite3_stmt *
ask(struct reports *r, unsigned n, const struct reports_question *q)
{
	sqlite3_stmt *s;

	(void)db_read(&r->db);
	s = db_stmt(&r->db, n);
	reports_bind(s, q);
	return s;
}

static void
page(sqlite3_stmt *s, size_t skip, size_t max)
{
	db_int(s, 4, max);
	db_int(s, 5, skip);
}

enum store_err
reports_summary(struct reports *r, const struct reports_question *q, struct arena *a,
    struct reports_summary *out)
{
	sqlite3_stmt *s = ask(r, Q_SUMMARY, q);
	struct reports_summary sum = { 0 };
	bool copied = true;

	if (db_row(&r->db, s))
		sum = (struct reports_summary){ .reports = db_get_int(s, 0), .unverified = db_get_int(s, 1),
			.damaged = db_get_int(s, 2), .orgs = db_get_int(s, 3), .days = db_get_int(s, 4),
			.first = db_get_int(s, 5), .last = db_get_int(s, 6) };
	db_done(s);
	s = ask(r, Q_PASSED, q);
	if (db_row(&r->db, s)) {
		sum.messages = db_get_int(s, 0);
		sum.passed = db_get_int(s, 1);
	}
	db_done(s);
	s = ask(r, Q_POLICY, q);
	if (db_row(&r->db, s))
		copied = arena_copy(a, db_get_blob(s, 0), &sum.policy);
	db_done(s);
	if (r->db.err != STORE_OK || !copied)
		return copied ? r->db.err : STORE_LIMIT;
	*out = sum;
	return STORE_OK;
}

enum store_err
reports_senders(struct reports *r, const struct reports_question *q, size_t skip, size_t max,
    bool (*fn)(void *ctx, const struct reports_sender *s), void *ctx)
{
	sqlite3_stmt *s = ask(r, Q_SENDERS, q);

	page(s, skip, max);
	while (db_row(&r->db, s)) {
		const struct reports_sender one = { .source = db_get_blob(s, 0), .name = db_get_blob(s, 1),
			.auth = db_get_blob(s, 2), .messages = db_get_int(s, 3), .passed = db_get_int(s, 4),
			.dkim = db_get_int(s, 5), .spf = db_get_int(s, 6), .other = db_get_int(s, 7),
			.forwarded = db_get_int(s, 8), .quarantined = db_get_int(s, 9),
			.rejected = db_get_int(s, 10), .days = db_get_int(s, 11),
			.orgs = db_get_int(s, 12) };

		if (!fn(ctx, &one))
			break;
	}
	db_done(s);
	return r->db.err;
}

enum store_err
reports_tls_sums(struct reports *r, const struct reports_question *q, size_t skip, size_t max,
    bool (*fn)(void *ctx, const struct reports_tls_sum *s), void *ctx)
{
	sqlite3_stmt *s = ask(r, Q_TLS_SUMS, q);

	page(s, skip, max);
	while (db_row(&r->db, s)) {
		const struct reports_tls_sum one = { .domain = db_get_blob(s, 0), .policy = db_get_blob(s, 1),
			.type = db_get_blob(s, 2), .mx = db_get_blob(s, 3), .ip = db_get_blob(s, 4),
			.reason = db_get_blob(s, 5), .org = db_get_blob(s, 6), .sessions = db_get_int(s, 7),
			.failures = db_get_int(s, 8), .reports = db_get_int(s, 9) };

		if (!fn(ctx, &one))
			break;
	}
	db_done(s);
	return r->db.err;
}

static enum report_kind
kind_of(uint64_t n)
{
	return n == REPORT_TLS ? REPORT_TLS : n == REPORT_ARF ? REPORT_ARF : REPORT_DMARC;
}

enum store_err
reports_list(struct reports *r, const struct reports_question *q, enum report_kind kind, size_t skip,
    size_t max, bool (*fn)(void *ctx, const struct reports_head *h), void *ctx)
{
	sqlite3_stmt *s = ask(r, Q_LIST, q);

	page(s, skip, max);
	db_int(s, 6, kind);
	while (db_row(&r->db, s)) {
		const struct reports_head h = { .id = db_get_int(s, 0), .kind = kind_of(db_get_int(s, 1)),
			.source = db_get_int(s, 2) == REPORT_BY_FILE ? REPORT_BY_FILE : REPORT_BY_MAIL,
			.at = db_get_int(s, 3), .verified = db_get_int(s, 4) != 0,
			.damaged = db_get_int(s, 5) != 0, .sender = db_get_blob(s, 6),
			.org = db_get_blob(s, 7), .email = db_get_blob(s, 8), .report_id = db_get_blob(s, 9),
			.domain = db_get_blob(s, 10), .begin = db_get_int(s, 11), .end = db_get_int(s, 12),
			.policy = db_get_blob(s, 13), .rows = db_get_int(s, 14),
			.messages = db_get_int(s, 15), .failures = db_get_int(s, 16) };

		if (!fn(ctx, &h))
			break;
	}
	db_done(s);
	return r->db.err;
}

enum store_err
reports_complaints(struct reports *r, const struct reports_question *q, size_t skip, size_t max,
    bool (*fn)(void *ctx, const struct reports_complaint *c), void *ctx)
{
	sqlite3_stmt *s = ask(r, Q_COMPLAINTS, q);

	page(s, skip, max);
	while (db_row(&r->db, s)) {
		const struct reports_complaint c = { .report = db_get_int(s, 0), .type = db_get_blob(s, 1),
			.source = db_get_blob(s, 2), .mail_from = db_get_blob(s, 3),
			.rcpt = db_get_blob(s, 4), .domain = db_get_blob(s, 5),
			.auth_failure = db_get_blob(s, 6), .result = db_get_blob(s, 7),
			.arrival = (int64_t)db_get_int(s, 8), .incidents = db_get_int(s, 9) };

		if (!fn(ctx, &c))
			break;
	}
	db_done(s);
	return r->db.err;
}

enum store_err
reports_unnamed(struct reports *r, uint64_t since, size_t max, bool (*fn)(void *ctx, struct slice ip),
    void *ctx)
{
	sqlite3_stmt *s;

	(void)db_read(&r->db);
	s = db_stmt(&r->db, Q_UNNAMED);
	db_int(s, 1, since);
	db_int(s, 2, max);
	while (db_row(&r->db, s) && fn(ctx, db_get_blob(s, 0)))
		;
	db_done(s);
	return r->db.err;
}

enum store_err
reports_name(struct reports *r, struct slice ip, struct slice name, uint64_t at)
{
	sqlite3_stmt *s;

	(void)db_begin(&r->db);
	s = db_stmt(&r->db, Q_NAME);
	db_text(s, 1, ip);
	db_text(s, 2, name);
	db_int(s, 3, at);
	(void)db_run(&r->db, s);
	return db_commit(&r->db);
}
