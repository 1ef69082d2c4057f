/* SPDX-License-Identifier: MIT
 * The room with a table and a drop that the test plays: each row is one line, its answer is written down, and a drop that
 * goes away, or that says "later", hears of the row again with the same key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>

#include "rooms/watch/watch.h"

static struct {
	struct outbox o;
	struct outbox_row row;
	bool has;
	enum outbox_status st;
	char done[200];
} table;

static struct watch_room room;
static int drop;

static enum outbox_status
play_next(struct outbox *o, int64_t now, struct slice key, struct arena *a, struct outbox_row *row)
{
	assert_true(key.n == OUTBOX_KEY && now > 1000000000);
	if (table.st != OUTBOX_ROW || !table.has)
		return table.st == OUTBOX_ROW ? OUTBOX_NONE : table.st;
	*row = table.row;
	table.has = false;
	return OUTBOX_ROW;
}

static enum outbox_status
play_done(struct outbox *o, const struct outbox_row *row, const char *state, struct slice answer, int64_t now)
{
	(void)snprintf(table.done, sizeof table.done, "%.*s %s %.*s", SFMT(row->id), state, SFMT(answer));
	return OUTBOX_ROW;
}

static void
play_free(struct outbox *o)
{
}

static const struct outbox_ops ops = { play_next, play_done, play_free };

static void
join(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	drop = ends[0];
	watch_introduce(&room, "drop", "", ends[1]);
}

static int
begin(void **state)
{
	table.o = (struct outbox){ .ops = &ops };
	table.st = OUTBOX_ROW;
	table.has = true;
	table.done[0] = '\0';
	table.row = (struct outbox_row){ .id = S("7"), .claim = S("k"), .user = S("42"), .subject = S("a\"b"), .text = S("t\n") };
	watch_room_init(&room, NULL, loop_new(), &table.o, S("shop"));
	join();
	return 0;
}

static int
end(void **state)
{
	(void)close(drop);
	watch_stop(&room);
	loop_free(&room.loop);
	return 0;
}

/* The next line that drop hears. */
static const char *
hears(void)
{
	static char text[70000];
	ssize_t n = -1;

	for (int i = 0; i < 150 && n <= 0; i++) {
		loop_once(room.loop, 20);
		n = recv(drop, text, sizeof text - 1, MSG_DONTWAIT);
	}
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void
says(const char *answer)
{
	assert_true(send(drop, answer, strlen(answer), MSG_NOSIGNAL) > 0);
	for (int i = 0; i < 150 && table.done[0] == '\0'; i++)
		loop_once(room.loop, 20);
}

#define LINE "{\"user\":\"42\",\"subject\":\"a\\\"b\",\"text\":\"t\\n\",\"once\":\"k\"}\n"

static void
sends(void **state)
{
	assert_string_equal(hears(), LINE);
	says("{\"status\":\"ok\"}\n");
	assert_string_equal(table.done, "7 sent ");
	table = (__typeof__(table)){ .o = table.o, .st = OUTBOX_ROW, .has = true, .row = table.row };
	assert_string_equal(hears(), LINE);
	says("{\"status\":\"refused\",");
	assert_string_equal(table.done, "");
	says("\"text\":\"no such template\"}\n");
	assert_string_equal(table.done, "7 refused no such template");
	table = (__typeof__(table)){ .o = table.o, .st = OUTBOX_ROW, .has = true, .row = table.row };
	table.row.data = S("{\"x\":1}");
	assert_non_null(strstr(hears(), "\"values\":{\"x\":1}"));
	says("{\"status\":\"later\",\"text\":\"too much\"}\n");
	assert_string_equal(table.done, "7 claimed too much");
}

static void
refuses(void **state)
{
	static char big[OUTBOX_TEXT + 1];

	table.row.data = S("[1]");
	assert_string_equal(hears(), "");
	assert_non_null(strstr(table.done, "7 refused data is no JSON"));
	memset(big, '"', sizeof big);
	table = (__typeof__(table)){ .o = table.o, .st = OUTBOX_ROW, .has = true, .row = table.row };
	table.row.data = S("");
	table.row.text = slice_of(big, 40000); /* twice as long in JSON */
	assert_string_equal(hears(), "");
	assert_non_null(strstr(table.done, "7 refused"));
}

/* Nothing is written down that drop has not said. */
static void
drop_goes_away(void **state)
{
	assert_string_equal(hears(), LINE);
	(void)close(drop);
	for (int i = 0; i < 10; i++)
		loop_once(room.loop, 20);
	assert_string_equal(table.done, "");
	join();
	table.has = true;
	assert_string_equal(hears(), LINE);
	says("{\"status\":\"ok\"}\n");
	assert_string_equal(table.done, "7 sent ");
	/* an answer that nobody asked for */
	assert_true(send(drop, "{\"status\":\"ok\"}\n", 16, MSG_NOSIGNAL) == 16);
	for (int i = 0; i < 10; i++)
		loop_once(room.loop, 20);
	assert_int_equal(room.fd, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(sends), T(refuses), T(drop_goes_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
