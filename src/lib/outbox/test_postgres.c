/* SPDX-License-Identifier: MIT
 * A server that this test plays, byte by byte: what is asked for, and that nothing it answers is taken for a row that is
 * none. How rows go through their states is tested against PostgreSQL itself (test/system/test_table_postgres.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/outbox/postgres.h"

#define KEY "11111111111111111111111111111111"
#define NOW ((int64_t)1700000000)
#define READY "Z\0\0\0\5I"
#define LETTER(s) { s, sizeof s - 1 }

static char dir[] = "/tmp/outbox-pg-XXXXXX", path[100];
static int listener;

/* What the server says after the login, one piece for each statement; and what it has heard. */
struct play {
	struct {
		const char *p;
		size_t n;
	} hello, answers[3];
	char heard[16384];
	size_t n;
};

static void *
server(void *arg)
{
	struct play *s = arg;
	int fd = accept(listener, NULL, NULL);
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	/* after its last word it is gone */
	for (size_t i = 0; i == 0 || (i < 4 && s->answers[i - 1].n > 0); i++) {
		ssize_t n;

		if (poll(&ready, 1, 8000) != 1 || (n = recv(fd, &s->heard[s->n], sizeof s->heard - s->n, 0)) <= 0)
			break;
		s->n += (size_t)n;
		if (i == 0)
			(void)send(fd, s->hello.p, s->hello.n, MSG_NOSIGNAL);
		else
			(void)send(fd, s->answers[i - 1].p, s->answers[i - 1].n, MSG_NOSIGNAL);
	}
	(void)close(fd);
	return NULL;
}

static bool
heard(const struct play *s, const char *what)
{
	return memmem(s->heard, s->n, what, strlen(what)) != NULL;
}

static const struct outbox_server at = { dir, "5432", "shop", "clerk", -1 };

static enum outbox_status
next(struct play *s, const struct outbox_server *from, struct arena *a, struct outbox_row *row, char why[200])
{
	struct outbox *o = outbox_postgres(from, "letters");
	enum outbox_status st;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, server, s), 0);
	st = outbox_next(o, NOW, S(KEY), a, row);
	(void)snprintf(why, 200, "%s", outbox_why(o));
	outbox_free(&o);
	(void)pthread_join(t, NULL);
	return st;
}

#define HELLO LETTER("R\0\0\0\10\0\0\0\0" READY)
#define COLUMN(name) name "\0\0\0\0\0\0\0\0\0\0\31\377\377\377\377\377\377\0\0"
#define COLUMNS8 "T\0\0\0\246\0\10" COLUMN("a") COLUMN("b") COLUMN("c") COLUMN("d") COLUMN("e") COLUMN("f") COLUMN("g") COLUMN("h")
#define BEGIN "1\0\0\0\4" "2\0\0\0\4"
#define ROW \
	"D\0\0\0\114\0\10\0\0\0\1" "7" "\0\0\0\40" KEY "\0\0\0\2" "42" "\377\377\377\377" "\377\377\377\377" \
	"\0\0\0\1" "s" "\0\0\0\1" "t" "\0\0\0\1" "1"
#define DONE(n) "C\0\0\0\15UPDATE " n "\0" READY
#define NOTHING LETTER(BEGIN COLUMNS8 DONE("0"))

static void
takes_a_row(void **state)
{
	static struct play s = { .hello = HELLO, .answers = { NOTHING, LETTER(BEGIN COLUMNS8 ROW DONE("1")) } };
	own(arena_p) a = arena_new("test", 1000000);
	struct outbox_row row;
	char why[200];

	/* what stands around counts for nothing, even before the room clears it */
	(void)setenv("PGOPTIONS", "-c search_path=evil", 1);
	(void)setenv("PGUSER", "evil", 1);
	(void)setenv("PGSSLMODE", "require", 1);
	(void)setenv("PGPASSFILE", path, 1);
	assert_int_equal(next(&s, &at, a, &row, why), OUTBOX_ROW);
	assert_true(slice_eq(row.id, S("7")) && slice_eq(row.claim, S(KEY)) && slice_eq(row.user, S("42")));
	assert_true(row.template_name.n == 0 && slice_eq(row.subject, S("s")) && slice_eq(row.text, S("t")));
	assert_true(heard(&s, "clerk") && heard(&s, "synchronous_commit=on") && heard(&s, "UPDATE \"letters\" AS t"));
	assert_true(heard(&s, "FROM \"letters\" AS d") && heard(&s, KEY) && heard(&s, "1700000000") && !heard(&s, "\"@\""));
	assert_false(heard(&s, "evil"));
}

static void
finds_nothing(void **state)
{
	static struct play s = { .hello = HELLO, .answers = { NOTHING, NOTHING } };
	own(arena_p) a = arena_new("test", 1000000);
	struct outbox_row row;
	char why[200];

	assert_int_equal(next(&s, &at, a, &row, why), OUTBOX_NONE);
}

/* Only the password of the file is said, and to who asks for one. */
static void
logs_in(void **state)
{
	static struct play s = { .hello = LETTER("R\0\0\0\10\0\0\0\3"), .answers = { LETTER("R\0\0\0\10\0\0\0\0" READY),
		NOTHING } };
	static struct play none = { .hello = LETTER("R\0\0\0\10\0\0\0\3") };
	own(arena_p) a = arena_new("test", 1000000);
	struct outbox_server with = at;
	struct outbox_row row;
	char why[200];

	with.password = memfd_create("password", MFD_CLOEXEC);
	assert_int_equal(write(with.password, "open sesame\nnot this\n", 21), 21);
	(void)next(&s, &with, a, &row, why);
	assert_true(heard(&s, "open sesame") && !heard(&s, "not this"));
	assert_int_equal(next(&none, &at, a, &row, why), OUTBOX_FAILED);
	assert_non_null(strstr(why, "password"));
	(void)close(with.password);
}

static void
hostile_answers(void **state)
{
#define AFTER(bytes) { .hello = HELLO, .answers = { LETTER(bytes) } }
	static struct play bad[] = {
		{ .hello = LETTER("HTTP/1.1 400 Bad Request\r\n\r\n") },
		{ .hello = LETTER("E\0\0\0\20SFATAL\0Mno\0\0") },
		{ .hello = LETTER("R\0\0\0\10\0\0\0\7") }, /* GSSAPI */
		{ .hello = LETTER("R\0\0\0\10\0\0\0\2") }, /* Kerberos 5 */
		AFTER(BEGIN "E\0\0\0\22SERROR\0Mzero\0\0" READY),
		AFTER(BEGIN COLUMNS8 ROW ROW DONE("2")),				    /* two rows */
		AFTER(BEGIN "T\0\0\0\32\0\1" COLUMN("a") "D\0\0\0\13\0\1\0\0\0\1" "7" DONE("1")), /* one column */
		AFTER(BEGIN "H\0\0\0\7\0\0\0" "d\0\0\0\5x"),				    /* COPY OUT */
		AFTER(BEGIN "G\0\0\0\7\0\0\0"),						    /* COPY IN */
		AFTER(BEGIN "I\0\0\0\4" READY),						    /* an empty question */
		AFTER(BEGIN COLUMNS8 DONE("0") BEGIN COLUMNS8 "D\177\377\377\377\0\10"),
		AFTER("\0\0\0\0\0\0\0\0\0\0\0\0"),
	};
	own(arena_p) a = arena_new("test", 1000000);
	struct outbox_row row;
	char why[200];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (next(&bad[i], &at, a, &row, why) != OUTBOX_FAILED || why[0] == '\0')
			fail_msg("%zu: %s", i, why);
		for (size_t k = 0; why[k] != '\0'; k++)
			assert_in_range(why[k], 0x20, 0x7e);
	}
}

/* Every piece of a good answer, and then the end. */
static void
cut_answers(void **state)
{
	static const char whole[] = BEGIN COLUMNS8 ROW DONE("1");
	own(arena_p) a = arena_new("test", 10000000);
	struct outbox_row row;
	char why[200];

	for (size_t n = 1; n < sizeof whole - 1; n++) {
		static struct play s;

		s = (struct play){ .hello = HELLO, .answers = { { whole, n } } };
		assert_int_equal(next(&s, &at, a, &row, why), OUTBOX_FAILED);
	}
}

static void
nobody_there(void **state)
{
	static const struct outbox_server nowhere = { "/nowhere", "5432", "shop", "clerk", -1 };
	own(arena_p) a = arena_new("test", 1000000);
	struct outbox *o = outbox_postgres(&nowhere, "letters");
	struct outbox_row row = { .id = S("1"), .claim = S(KEY) };

	assert_int_equal(outbox_next(o, NOW, S(KEY), a, &row), OUTBOX_FAILED);
	assert_non_null(strstr(outbox_why(o), "/nowhere"));
	assert_int_equal(outbox_done(o, &row, "sent", S(""), NOW), OUTBOX_FAILED);
	outbox_free(&o);
}

static int
begin(void **state)
{
	struct sockaddr_un here = { .sun_family = AF_UNIX };

	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/.s.PGSQL.5432", dir);
	(void)snprintf(here.sun_path, sizeof here.sun_path, "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&here, sizeof here), 0);
	return listen(listener, 5);
}

static int
end(void **state)
{
	(void)close(listener);
	(void)unlink(path);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_row), cmocka_unit_test(finds_nothing), cmocka_unit_test(logs_in),
		cmocka_unit_test(hostile_answers), cmocka_unit_test(cut_answers), cmocka_unit_test(nobody_there),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
