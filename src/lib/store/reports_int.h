/* SPDX-License-Identifier: MIT
 * Shared by the files of the reports store: the handle, and the numbers of its statements. */
#pragma once

#include "lib/store/db.h"
#include "lib/store/reports.h"

struct reports {
	struct db db;
};

enum {
	Q_TAKEN, Q_TAKE, Q_UNTAKE, Q_UNREAD, Q_MAIL, Q_PIECE, Q_NEXT, Q_PIECES, Q_DROP_MAIL, Q_DROP_PIECES,
	Q_WHY, Q_TRIED, Q_INBOX, Q_BAD_OLD, Q_NEW, Q_SAME, Q_HEAD, Q_ROW, Q_TLS, Q_COMPLAINT,
	Q_OLD, Q_DROP, Q_DROP_ROWS, Q_DROP_TLS, Q_DROP_COMPLAINTS,
	Q_SUMMARY, Q_PASSED, Q_POLICY, Q_SENDERS, Q_TLS_SUMS, Q_LIST, Q_COMPLAINTS, Q_UNNAMED, Q_NAME,
	Q_PART, Q_COUNT, Q_COUNT_NEW, Q_SIZE, Q_PUBLISH, Q_POSITION, Q_MOVE, Q_DAY, Q_PUBLISHED, Q_ROWS,
	Q_PLAN, Q_PLANNED, Q_DUE, Q_OWE, Q_UNOWE, Q_OWED, Q_FORGET_SEEN, Q_FORGET_PUBLISHED, Q_FORGET_DAYS,
	Q_FORGET_OWED, Q_MAX
};

extern const char *const reports_sql[];

/* Binds a question's domain and time to ?1 ?2, whether only what is verified counts to ?3. */
static inline void
reports_bind(sqlite3_stmt *s, const struct reports_question *q)
{
	db_text(s, 1, q->domain);
	db_int(s, 2, q->since);
	db_int(s, 3, q->verified ? 1 : 0);
}
