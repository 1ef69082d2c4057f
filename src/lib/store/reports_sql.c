/* SPDX-License-Identifier: MIT
 * The statements of the reports store. */
#include "lib/store/reports_int.h"

/* of a report p: about the domain ?1 or below it, ending after ?2, verified if ?3 */
#define WHICH "(?1='' OR p.domain=?1 OR substr(p.domain,-length(?1)-1)='.'||?1)" \
	" AND p.end>=?2 AND (?3=0 OR p.verified=1)"
#define DMARC WHICH " AND p.kind=1"
#define SUM(flag) " coalesce(sum(CASE WHEN flags&" #flag " THEN count ELSE 0 END),0)"
#define INBOX "SELECT id, delivery, source, at, sender, rcpt, size, tries, why FROM inbox "
#define OWED "SELECT kind, period, domain, dest, state, session, tries, next, why, most FROM owed "
/* a period that is planned */
#define PLANNED "(SELECT 1 FROM planned WHERE planned.kind=seen.kind AND planned.period=seen.period)"

const char *const reports_sql[] = {
	[Q_TAKEN] = "SELECT count(*) FROM taken WHERE delivery=?",
	[Q_TAKE] = "INSERT INTO taken VALUES(?)",
	[Q_UNTAKE] = "DELETE FROM taken WHERE delivery<?",
	[Q_UNREAD] = "SELECT count(*) FROM inbox WHERE why=''",
	[Q_MAIL] = "INSERT INTO inbox(delivery, source, at, sender, rcpt, size, tries, why)"
	    " VALUES(?,?,?,?,?,?,0,'')",
	[Q_PIECE] = "INSERT INTO piece VALUES(?,?,?)",
	[Q_NEXT] = INBOX "WHERE why='' ORDER BY id LIMIT 1",
	[Q_PIECES] = "SELECT data FROM piece WHERE mail=? ORDER BY n",
	[Q_DROP_MAIL] = "DELETE FROM inbox WHERE id=?",
	[Q_DROP_PIECES] = "DELETE FROM piece WHERE mail=?",
	[Q_WHY] = "UPDATE inbox SET why=?2 WHERE id=?1",
	[Q_TRIED] = "UPDATE inbox SET tries=tries+1 WHERE id=?1",
	[Q_INBOX] = INBOX "ORDER BY id DESC LIMIT ?",
	[Q_BAD_OLD] = "SELECT id FROM inbox WHERE why<>'' AND at<? LIMIT 1",
	[Q_NEW] = "INSERT INTO report(kind) VALUES(0)",
	[Q_SAME] = "SELECT count(*) FROM report WHERE kind=? AND report_id=? AND org=? AND domain=? AND begin=?",
	[Q_HEAD] = "UPDATE report SET kind=?2, source=?3, at=?4, verified=?5, damaged=?6, sender=?7, org=?8,"
	    " email=?9, report_id=?10, domain=?11, begin=?12, end=?13, policy=?14, rows=?15, messages=?16,"
	    " failures=?17 WHERE id=?1",
	[Q_ROW] = "INSERT INTO row VALUES(?,?,?,?,?,?,?)",
	[Q_TLS] = "INSERT INTO tls_row VALUES(?,?,?,?,?,?,?,?,?)",
	[Q_COMPLAINT] = "INSERT INTO complaint VALUES(?,?,?,?,?,?,?,?,?,?)",
	[Q_OLD] = "SELECT id FROM report WHERE at<? ORDER BY id LIMIT 1",
	[Q_DROP] = "DELETE FROM report WHERE id=?",
	[Q_DROP_ROWS] = "DELETE FROM row WHERE report=?",
	[Q_DROP_TLS] = "DELETE FROM tls_row WHERE report=?",
	[Q_DROP_COMPLAINTS] = "DELETE FROM complaint WHERE report=?",
	[Q_SUMMARY] = "SELECT count(*), coalesce(sum(verified=0),0), coalesce(sum(damaged),0),"
	    " count(DISTINCT org), count(DISTINCT begin/86400), coalesce(min(begin),0),"
	    " coalesce(max(end),0) FROM report p WHERE " DMARC,
	[Q_PASSED] = "SELECT coalesce(sum(count),0)," SUM(3)
	    " FROM row JOIN report p ON p.id=row.report WHERE " DMARC,
	[Q_POLICY] = "SELECT policy FROM report p WHERE " DMARC " AND policy<>'' ORDER BY end DESC LIMIT 1",
	[Q_SENDERS] = "SELECT row.source, coalesce(max(name.name),''), max(auth), sum(count) AS n," SUM(3) ","
	    SUM(1) "," SUM(2) "," SUM(4) "," SUM(8) "," SUM(16) "," SUM(32) ","
	    " count(DISTINCT p.begin/86400), count(DISTINCT p.org)"
	    " FROM row JOIN report p ON p.id=row.report LEFT JOIN name ON name.ip=row.source"
	    " WHERE " DMARC " GROUP BY row.source ORDER BY n DESC, row.source LIMIT ?4 OFFSET ?5",
	[Q_TLS_SUMS] = "SELECT t.domain, t.policy, t.type, t.mx, t.ip, t.reason, max(p.org),"
	    " sum(t.sessions) AS n, sum(t.failures), count(DISTINCT p.id)"
	    " FROM tls_row t JOIN report p ON p.id=t.report WHERE " WHICH " AND p.kind=2"
	    " GROUP BY t.domain, t.policy, t.type, t.mx, t.ip, t.reason"
	    " ORDER BY t.domain, t.type, n DESC LIMIT ?4 OFFSET ?5",
	[Q_LIST] = "SELECT id, kind, source, at, verified, damaged, sender, org, email, report_id, domain, begin,"
	    " end, policy, rows, messages, failures FROM report p WHERE " WHICH " AND p.kind=?6"
	    " ORDER BY id DESC LIMIT ?4 OFFSET ?5",
	[Q_COMPLAINTS] = "SELECT c.report, c.type, c.source, c.mail_from, c.rcpt, c.domain, c.auth_failure,"
	    " c.result, c.arrival, c.incidents FROM complaint c JOIN report p ON p.id=c.report"
	    " WHERE " WHICH " ORDER BY c.report DESC LIMIT ?4 OFFSET ?5",
	[Q_UNNAMED] = "SELECT row.source FROM row LEFT JOIN name ON name.ip=row.source"
	    " WHERE name.ip IS NULL OR name.at<?1 GROUP BY row.source ORDER BY sum(count) DESC LIMIT ?2",
	[Q_NAME] = "INSERT INTO name VALUES(?1,?2,?3) ON CONFLICT(ip) DO UPDATE SET name=?2, at=?3",
	[Q_PART] = "SELECT count(*) FROM planned WHERE kind=? AND period>=? AND period<?",
	[Q_COUNT] = "UPDATE seen SET n=n+?5 WHERE kind=?1 AND period=?2 AND domain=?3 AND packed=?4",
	[Q_COUNT_NEW] = "INSERT INTO seen VALUES(?,?,?,?,?)",
	[Q_SIZE] = "SELECT count(*) FROM seen WHERE kind=? AND period=?",
	[Q_PUBLISH] = "INSERT INTO published VALUES(?1,?2,?3,?4)"
	    " ON CONFLICT(kind, period, domain) DO UPDATE SET policy=?4",
	[Q_POSITION] = "SELECT position FROM state",
	[Q_MOVE] = "UPDATE state SET position=?",
	[Q_DAY] = "SELECT period FROM seen WHERE kind=? AND period<? AND NOT EXISTS " PLANNED " ORDER BY period LIMIT 1",
	[Q_PUBLISHED] = "SELECT policy FROM published WHERE kind=? AND period=? AND domain=?",
	[Q_ROWS] = "SELECT packed, n FROM seen WHERE kind=? AND period=? AND domain=? ORDER BY packed",
	[Q_PLAN] = "INSERT OR IGNORE INTO owed SELECT DISTINCT kind, period, domain, '', 0, 0, 0, ?3, '', 0"
	    " FROM seen WHERE kind=?1 AND period=?2",
	[Q_PLANNED] = "INSERT OR IGNORE INTO planned VALUES(?,?)",
	[Q_DUE] = OWED "WHERE state<2 AND next<=? ORDER BY next, period, domain LIMIT 1",
	[Q_OWE] = "INSERT OR REPLACE INTO owed VALUES(?,?,?,?,?,?,?,?,?,?)",
	[Q_UNOWE] = "DELETE FROM owed WHERE kind=? AND period=? AND domain=? AND dest=?",
	[Q_OWED] = OWED "ORDER BY period DESC, kind, domain, dest LIMIT ? OFFSET ?",
	[Q_FORGET_SEEN] = "DELETE FROM seen WHERE period<?",
	[Q_FORGET_PUBLISHED] = "DELETE FROM published WHERE period<?",
	[Q_FORGET_DAYS] = "DELETE FROM planned WHERE period<?",
	[Q_FORGET_OWED] = "DELETE FROM owed WHERE period<?",
};
