/* SPDX-License-Identifier: MIT
 * A row goes through its states once, whoever ends in between; a table that is none, or a trap, costs nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/outbox/outbox.h"

#define FILE_NAME "outbox-test.db"
#define KEY1 S("11111111111111111111111111111111")
#define KEY2 S("22222222222222222222222222222222")
#define NOW ((int64_t)1700000000)

#define TABLE \
	"CREATE TABLE letters(id INTEGER PRIMARY KEY, user_id TEXT, template TEXT, data TEXT, subject TEXT, text TEXT," \
	" state TEXT NOT NULL DEFAULT 'new', claim TEXT, answer TEXT, tried_at INTEGER);"

static sqlite3 *app;

static void
does(const char *sql)
{
	assert_int_equal(sqlite3_exec(app, sql, NULL, NULL, NULL), SQLITE_OK);
}

static const char *
asks(const char *sql)
{
	static char text[200];
	sqlite3_stmt *q;

	assert_int_equal(sqlite3_prepare_v2(app, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	(void)sqlite3_snprintf(sizeof text, text, "%s", sqlite3_column_text(q, 0));
	(void)sqlite3_finalize(q);
	return text;
}

static int
begin(void **state)
{
	(void)unlink(FILE_NAME);
	assert_int_equal(sqlite3_open(FILE_NAME, &app), SQLITE_OK);
	return 0;
}

static int
end(void **state)
{
	(void)sqlite3_close(app);
	return unlink(FILE_NAME);
}

static void
once(void **state)
{
	own(arena_p) a = arena_new("test", 1000000);
	struct outbox *o = outbox_sqlite(FILE_NAME, "letters"), *other = outbox_sqlite(FILE_NAME, "letters");
	struct outbox_row row, again;

	does("PRAGMA journal_mode=WAL;" TABLE "INSERT INTO letters(user_id, subject, text) VALUES(42,'s','t');"
	    "INSERT INTO letters(user_id, template, data) VALUES('x','hi','{\"a\":1}')");
	assert_int_equal(outbox_next(o, NOW, KEY1, a, &row), OUTBOX_ROW);
	assert_true(slice_eq(row.id, S("1")) && slice_eq(row.user, S("42")) && slice_eq(row.claim, KEY1));
	assert_string_equal(asks("SELECT state||claim FROM letters WHERE id=1"), "claimed11111111111111111111111111111111");
	/* another process sees the second, not the first; nobody the second, while it is claimed */
	assert_int_equal(outbox_next(other, NOW, KEY2, a, &again), OUTBOX_ROW);
	assert_true(slice_eq(again.id, S("2")) && slice_eq(again.data, S("{\"a\":1}")));
	assert_int_equal(outbox_next(other, NOW + OUTBOX_AGAIN_S - 1, KEY2, a, &again), OUTBOX_NONE);
	assert_int_equal(outbox_done(o, &row, "sent", S(""), NOW + 1), OUTBOX_ROW);
	assert_string_equal(asks("SELECT state FROM letters WHERE id=1"), "sent");
	/* nobody wrote down what became of the second: it comes again, with its key */
	outbox_free(&other);
	assert_int_equal(outbox_next(o, NOW + OUTBOX_AGAIN_S, KEY1, a, &row), OUTBOX_ROW);
	assert_true(slice_eq(row.id, S("2")) && slice_eq(row.claim, KEY2));
	assert_int_equal(outbox_done(o, &row, "refused", S("why"), NOW + 100), OUTBOX_ROW);
	assert_string_equal(asks("SELECT answer FROM letters WHERE id=2"), "why");
	assert_int_equal(outbox_next(o, NOW + 1000, KEY1, a, &row), OUTBOX_NONE);
	/* what is over stays over, whoever comes late with it; made new again it has another key */
	row.claim = KEY2;
	assert_int_equal(outbox_done(o, &row, "sent", S(""), NOW), OUTBOX_ROW);
	assert_string_equal(asks("SELECT state FROM letters WHERE id=2"), "refused");
	does("UPDATE letters SET state='new' WHERE id=2");
	assert_int_equal(outbox_next(o, NOW + 1000, KEY1, a, &row), OUTBOX_ROW);
	assert_true(slice_eq(row.claim, KEY1));
	outbox_free(&o);
}

static void
beside_writers(void **state)
{
	own(arena_p) a = arena_new("test", 1000000);
	struct outbox *o = outbox_sqlite(FILE_NAME, "letters");
	struct outbox_row row;

	does(TABLE "INSERT INTO letters(user_id, subject, text) VALUES(42,'s','t');BEGIN EXCLUSIVE");
	assert_int_equal(outbox_next(o, NOW, KEY1, a, &row), OUTBOX_BUSY);
	does("COMMIT");
	assert_int_equal(outbox_next(o, NOW, KEY1, a, &row), OUTBOX_ROW);
	does("BEGIN IMMEDIATE");
	assert_int_equal(outbox_done(o, &row, "sent", S(""), NOW), OUTBOX_BUSY);
	does("COMMIT");
	assert_int_equal(outbox_done(o, &row, "sent", S(""), NOW), OUTBOX_ROW);
	outbox_free(&o);
}

/* Files and schemas of somebody who means ill. */
static void
traps(void **state)
{
	static const char *const bad[] = {
		"CREATE TABLE other(x)",
		"CREATE TABLE letters(id)",
		"CREATE VIEW letters AS SELECT 1 AS id, '' AS claim, '' AS user_id, '' AS template, '' AS data, '' AS subject,"
		" '' AS text, 'new' AS state, 0 AS tried_at, '' AS answer",
	};
	own(arena_p) a = arena_new("test", 10000000);
	struct outbox_row row;
	struct outbox *o;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		(void)end(NULL);
		(void)begin(NULL);
		does(bad[i]);
		o = outbox_sqlite(FILE_NAME, "letters");
		assert_int_equal(outbox_next(o, NOW, KEY1, a, &row), OUTBOX_FAILED);
		assert_true(outbox_why(o)[0] != '\0');
		outbox_free(&o);
	}
	(void)end(NULL);
	(void)begin(NULL);
	/* a trigger that would never end, and one that would undo: neither runs */
	does(TABLE "CREATE TRIGGER t AFTER UPDATE ON letters BEGIN"
	    " UPDATE letters SET state='new'; END;"
	    "INSERT INTO letters(user_id, subject, text) VALUES(42,'s',zeroblob(500000))");
	o = outbox_sqlite(FILE_NAME, "letters");
	assert_int_equal(outbox_next(o, NOW, KEY1, a, &row), OUTBOX_ROW);
	assert_int_equal(row.text.n, OUTBOX_TEXT + 1);
	assert_int_equal(outbox_done(o, &row, "sent", S(""), NOW), OUTBOX_ROW);
	assert_string_equal(asks("SELECT state FROM letters"), "sent");
	outbox_free(&o);
	/* a file that is damaged in the middle */
	does("PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage=2000000 WHERE name='letters'");
	o = outbox_sqlite(FILE_NAME, "letters");
	assert_int_equal(outbox_next(o, NOW, KEY1, a, &row), OUTBOX_FAILED);
	outbox_free(&o);
	o = outbox_sqlite("no-such-file.db", "letters");
	assert_int_equal(outbox_next(o, NOW, KEY1, a, &row), OUTBOX_FAILED);
	assert_int_equal(access("no-such-file.db", F_OK), -1);
	outbox_free(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(once), T(beside_writers), T(traps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
