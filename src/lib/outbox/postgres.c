/* SPDX-License-Identifier: MIT
 * The table in PostgreSQL. Each step is one statement, which the server carries out whole or not at all; whatever goes
 * wrong ends the connection, and the next look makes another. The server may be anybody: what comes is bounded by the
 * statements, and by the room's memory where the server does not keep to them. */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/outbox/postgres.h"

#define PASSWORD 1024 /* bytes, with its NUL */
#define COLUMNS 7

struct pg {
	struct outbox o; /* first */
	const struct outbox_server *at;
	const char *table;
	PGconn *db; /* NULL until needed */
	unsigned looks;
};

/* @ is the table. What is longer than OUTBOX_TEXT is not even sent: other words of that length come, which no letter
 * survives. NULL comes as the empty text. */
#define TEXT(column) \
	"CASE WHEN octet_length(t." column "::text) > 65536 THEN repeat('x', 65537) ELSE t." column "::text END, "
/* Only one row, or none: ids that are not unique divide by zero, which undoes the statement. SKIP LOCKED: a row that the
 * application is just writing does not stop us. */
#define CLAIM(key, which) \
	"UPDATE \"@\" AS t SET state = 'claimed', tried_at = $2, claim = " key " WHERE t.id = (SELECT c.id FROM \"@\" AS c" \
	" WHERE " which " ORDER BY c.id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING " TEXT("id") TEXT("claim") TEXT("user_id") \
	TEXT("template") TEXT("data") TEXT("subject") TEXT("text") \
	"1 / (SELECT CASE WHEN count(*) = 1 THEN 1 ELSE 0 END FROM \"@\" AS d WHERE d.id = t.id)"

_Static_assert(OUTBOX_TEXT == 65536 && OUTBOX_KEY == 32 && OUTBOX_AGAIN_S == 15, "as the statements have it");

enum { S_NEW, S_CLAIMED, S_DONE };
static const char *const sql[] = {
	[S_NEW] = CLAIM("$1", "c.state = 'new'"),
	[S_CLAIMED] = CLAIM("CASE WHEN octet_length(t.claim) = 32 THEN t.claim ELSE $1 END",
	    "c.state = 'claimed' AND coalesce(c.tried_at, 0) <= $2 - 15"),
	[S_DONE] = "UPDATE \"@\" SET state = $3, answer = $4, tried_at = $5 WHERE id = $1 AND claim = $2 AND state = 'claimed'",
};

static void
forget(struct pg *p)
{
	PQfinish(p->db);
	p->db = NULL;
}

/* The first line of what libpq says; the others are advice. */
static enum outbox_status
failed(struct pg *p, const char *what)
{
	own(buf_t) why = { .max = sizeof p->o.why };

	(void)buf_printable(&why, slice_head(slice_z(what), strcspn(what, "\r\n")), 150);
	(void)snprintf(p->o.why, sizeof p->o.why, "%.*s", SFMT(buf_slice(&why)));
	forget(p);
	return OUTBOX_FAILED;
}

static void
ignore(void *arg, const PGresult *notice)
{
	(void)arg;
	(void)notice;
}

/* False when the time is over. */
static bool
wait_for(PGconn *db, short events, uint64_t until)
{
	struct pollfd fd = { .fd = PQsocket(db), .events = events };
	uint64_t now = clock_mono_ms();

	return fd.fd >= 0 && now < until && poll(&fd, 1, (int)(until - now)) >= 0;
}

/* The first line of the file, for as long as the connection takes to come about. */
static void
read_password(int fd, char out[static PASSWORD])
{
	ssize_t n = fd < 0 ? 0 : pread(fd, out, PASSWORD - 1, 0);

	out[n < 0 ? 0 : n] = '\0';
	out[strcspn(out, "\r\n")] = '\0';
}

static bool
connect_now(struct pg *p)
{
	const struct outbox_server *at = p->at;
	bool local = at->host[0] == '/';
	char password[PASSWORD];
	const char *const keys[] = { local ? "host" : "hostaddr", "port", "dbname", "user", "password", "passfile", "sslmode",
		"gssencmode", "client_encoding", "application_name", "options", NULL };
	/* a passfile that cannot be; a claim is on the disk before its letter is sent, whatever the role's defaults are */
	const char *const values[] = { at->host, at->port, at->database, at->role, password, "/dev/null/none", "disable",
		"disable", "UTF8", "postern",
		"-c synchronous_commit=on -c statement_timeout=4000 -c lock_timeout=2000"
		" -c default_transaction_isolation=read\\ committed -c default_transaction_read_only=off", NULL };
	uint64_t until = clock_mono_ms() + OUTBOX_PG_MS;
	PostgresPollingStatusType st = PGRES_POLLING_WRITING;

	read_password(at->password, password);
	p->db = PQconnectStartParams(keys, values, 0);
	if (p->db != NULL && PQstatus(p->db) != CONNECTION_BAD) {
		(void)PQsetNoticeReceiver(p->db, ignore, NULL);
		while (st != PGRES_POLLING_OK && st != PGRES_POLLING_FAILED &&
		    wait_for(p->db, st == PGRES_POLLING_READING ? POLLIN : POLLOUT, until))
			st = PQconnectPoll(p->db);
	}
	explicit_bzero(password, sizeof password);
	if (p->db != NULL && PQpass(p->db) != NULL)
		explicit_bzero(PQpass(p->db), strlen(PQpass(p->db)));
	return st == PGRES_POLLING_OK && PQsetnonblocking(p->db, 1) == 0;
}

/* A statement with the table's name in its places. */
static bool
statement(const struct pg *p, unsigned n, struct buf *b)
{
	struct slice head, rest = slice_z(sql[n]);

	while (slice_cut(rest, '@', &head, &rest)) {
		(void)buf_add(b, head);
		(void)buf_add(b, slice_z(p->table));
	}
	(void)buf_add(b, rest);
	return buf_byte(b, 0) && !b->bad;
}

/* Waits until a result, or the end of all results, is there to take. */
static bool
arrived(PGconn *db, uint64_t until)
{
	while (PQisBusy(db))
		if (!wait_for(db, POLLIN, until) || !PQconsumeInput(db))
			return false;
	return true;
}

/* The result of one statement, which the caller clears; NULL: failed, and PQerrorMessage() may say why. */
static PGresult *
ask(struct pg *p, unsigned n, int n_values, const char *const *values)
{
	uint64_t until = clock_mono_ms() + OUTBOX_PG_MS;
	own(buf_t) text = { .max = 8192 };
	PGresult *r = NULL, *more = NULL;
	bool ok = statement(p, n, &text) && PQsendQueryParams(p->db, (const char *)text.p, n_values, NULL, values, NULL, NULL, 0);
	int left = 1;

	while (ok && (left = PQflush(p->db)) == 1)
		ok = wait_for(p->db, POLLOUT, until);
	if (ok && left == 0 && arrived(p->db, until))
		r = PQgetResult(p->db);
	/* no statement of ours has two results */
	ok = r != NULL && PQresultStatus(r) == (n == S_DONE ? PGRES_COMMAND_OK : PGRES_TUPLES_OK) && arrived(p->db, until) &&
	    (more = PQgetResult(p->db)) == NULL;
	if (ok)
		return r;
	PQclear(more);
	PQclear(r);
	return NULL;
}

static enum outbox_status
trouble(struct pg *p)
{
	const char *what = p->db == NULL ? "" : PQerrorMessage(p->db);

	return failed(p, what[0] == '\0' ? "the database server does not answer in time, or not as it should" : what);
}

static bool
take(const PGresult *r, struct arena *a, struct outbox_row *row)
{
	struct slice *to[COLUMNS] = { &row->id, &row->claim, &row->user, &row->template_name, &row->data, &row->subject, &row->text };

	for (int i = 0; i < COLUMNS; i++) {
		struct slice s = slice_of(PQgetvalue(r, 0, i), (size_t)PQgetlength(r, 0, i));

		if (s.n > OUTBOX_TEXT + 1 || !arena_copy(a, s, to[i]))
			return false;
	}
	return row->id.n > 0 && row->claim.n == OUTBOX_KEY;
}

static enum outbox_status
pg_next(struct outbox *o, int64_t now, struct slice key, struct arena *a, struct outbox_row *row)
{
	struct pg *p = (struct pg *)o;
	char claim[OUTBOX_KEY + 1], time[24];
	const char *const values[] = { claim, time };
	/* new rows go before those that were told "later", but for every eighth */
	unsigned first = p->looks % 8 == 7 ? S_CLAIMED : S_NEW;
	bool found = false, sound = true;

	(void)snprintf(claim, sizeof claim, "%.*s", SFMT(key));
	(void)snprintf(time, sizeof time, "%lld", (long long)now);
	if (p->db == NULL && !connect_now(p))
		return trouble(p);
	for (unsigned i = 0; i < 2 && !found; i++) {
		PGresult *r = ask(p, i == 0 ? first : S_NEW + S_CLAIMED - first, 2, values);

		if (r == NULL)
			return trouble(p);
		found = PQntuples(r) > 0;
		sound = !found || (PQntuples(r) == 1 && PQnfields(r) == COLUMNS + 1 && take(r, a, row));
		PQclear(r);
	}
	if (!sound)
		return failed(p, "the table does not answer as it should");
	p->looks += found;
	return found ? OUTBOX_ROW : OUTBOX_NONE;
}

static bool
zero_ended(struct buf *b, struct slice s)
{
	return buf_add(b, s) && buf_byte(b, 0);
}

static enum outbox_status
pg_done(struct outbox *o, const struct outbox_row *row, const char *state, struct slice answer, int64_t now)
{
	struct pg *p = (struct pg *)o;
	own(buf_t) id = { .max = OUTBOX_TEXT + 2 };
	own(buf_t) claim = { .max = OUTBOX_TEXT + 2 };
	own(buf_t) said = { .max = OUTBOX_TEXT + 2 };
	char time[24];
	PGresult *r;

	(void)snprintf(time, sizeof time, "%lld", (long long)now);
	if (!zero_ended(&id, row->id) || !zero_ended(&claim, row->claim) || !zero_ended(&said, answer))
		return failed(p, "too long");
	if (p->db == NULL && !connect_now(p))
		return trouble(p);
	r = ask(p, S_DONE, 5, (const char *const[]){ (const char *)id.p, (const char *)claim.p, state, (const char *)said.p, time });
	if (r == NULL)
		return trouble(p);
	PQclear(r);
	return OUTBOX_ROW;
}

static void
pg_free(struct outbox *o)
{
	forget((struct pg *)o);
	free(o);
}

struct outbox *
outbox_postgres(const struct outbox_server *at, const char *table)
{
	static const struct outbox_ops ops = { .next = pg_next, .done = pg_done, .free = pg_free };
	struct pg *p = calloc(1, sizeof *p);

	PN_ASSERT(p != NULL);
	*p = (struct pg){ .o = { .ops = &ops }, .at = at, .table = table };
	return &p->o;
}
