/* SPDX-License-Identifier: MIT
 * What the administrator wants done with unauthenticated mail of a sender's domain. */
#include "lib/store/accounts_int.h"

enum store_err
policy_set(struct accounts *a, struct slice domain, enum sender_policy p, struct account_change by)
{
	static const struct slice names[] = { S_INIT(""), S_INIT("accept"), S_INIT("quarantine"), S_INIT("reject") };
	uint8_t buf[LIMIT_DOMAIN];
	sqlite3_stmt *q;

	if (!accounts_domain_name(domain, buf, &domain) || (unsigned)p >= sizeof names / sizeof *names)
		return STORE_REFUSED;
	(void)db_begin(&a->db);
	q = db_stmt(&a->db, p == SENDER_POLICY_UNSAID ? Q_POLICY_DROP : Q_POLICY_SET);
	db_text(q, 1, domain);
	if (p != SENDER_POLICY_UNSAID)
		db_int(q, 2, (uint64_t)p);
	if (db_run(&a->db, q) == STORE_OK && db_changed(&a->db) == 0)
		return accounts_finish(a, STORE_NONE);
	return accounts_finish(a, accounts_revise(a, by, S("policy"), domain, names[p]));
}

enum store_err
policy_of(struct accounts *a, struct slice domain, enum sender_policy *out)
{
	uint8_t buf[LIMIT_DOMAIN];
	struct slice label;
	uint64_t p = SENDER_POLICY_UNSAID;
	enum store_err e = STORE_NONE;

	*out = SENDER_POLICY_UNSAID;
	if (!accounts_domain_name(domain, buf, &domain))
		return STORE_OK; /* no rule can stand for it */
	do {
		sqlite3_stmt *q;

		(void)db_read(&a->db);
		q = db_stmt(&a->db, Q_POLICY);
		db_text(q, 1, domain);
		e = db_number(&a->db, q, &p);
	} while (e == STORE_NONE && slice_cut(domain, '.', &label, &domain));
	if (e == STORE_OK)
		*out = (enum sender_policy)p;
	return e == STORE_NONE ? STORE_OK : e;
}

enum store_err
policy_list(struct accounts *a, struct slice after,
    bool (*fn)(void *ctx, struct slice domain, enum sender_policy p), void *ctx)
{
	sqlite3_stmt *q;

	(void)db_read(&a->db);
	q = db_stmt(&a->db, Q_POLICIES);
	db_text(q, 1, after);
	while (db_row(&a->db, q))
		if (!fn(ctx, db_get_blob(q, 0), (enum sender_policy)db_get_int(q, 1))) {
			db_done(q);
			break;
		}
	return a->db.err;
}
