/* SPDX-License-Identifier: MIT */
#include "lib/store/test_help.h"

#include "lib/store/ledger.h"

#define T0 ((uint64_t)1700000000000000)

struct got {
	size_t n, stop;
	uint64_t id[2000];
	uint64_t time;
	bool fields;
};

static bool
on_event(void *ctx, const struct ledger_event *e)
{
	struct got *g = ctx;

	g->id[g->n++] = e->id;
	g->time = e->time;
	g->fields = slice_eq(e->fields, S("k=v"));
	return g->n != g->stop;
}

static struct got *
ask(struct ledger *l, struct ledger_query q)
{
	static struct got g;

	g.n = 0;
	assert_int_equal(ledger_find(l, &q, on_event, &g), STORE_OK);
	return &g;
}

static void
asks_and_follows(void **state)
{
	struct ledger *l = NULL;
	static struct ledger_event e[1000];
	static char queue_id[1000][24];
	struct got *g;
	uint64_t last;
	size_t gone;

	assert_int_equal(ledger_open(in_dir("ledger.db"), &l), STORE_OK);
	assert_int_equal(ledger_last(l), 0);
	assert_int_equal(ask(l, (struct ledger_query){ 0 })->n, 0);
	for (size_t i = 0; i < 1000; i++) {
		(void)snprintf(queue_id[i], sizeof queue_id[i], "s%zu.1", i / 10);
		e[i] = (struct ledger_event){ .time = T0 + i * 1000000, .kind = (uint32_t)(1 + i % 5),
			.session = i % 4 == 0 ? 0 : 1 + i / 10, .room = S("smtp"),
			.queue_id = i % 2 == 0 ? S("") : slice_z(queue_id[i]),
			.account = i % 100 == 7 ? S("bob@example.test") : S(""), .fields = S("k=v") };
	}
	assert_int_equal(ledger_add(l, e, 600, &last), STORE_OK);
	assert_int_equal(last, 600);
	assert_int_equal(ledger_add(l, &e[600], 400, NULL), STORE_OK);
	g = ask(l, (struct ledger_query){ .session = 3 });
	assert_true(g->n == 7 && g->id[0] == 22 && g->fields);
	g = ask(l, (struct ledger_query){ .queue_id = S("s2.1") });
	assert_true(g->n == 5 && g->id[0] == 22 && g->id[4] == 30);
	assert_int_equal(ask(l, (struct ledger_query){ .queue_id = S("s2") })->n, 0);
	assert_int_equal(ask(l, (struct ledger_query){ .queue_id = S("s2"), .prefix = true })->n, 55);
	assert_int_equal(ask(l, (struct ledger_query){ .queue_id = S("s2."), .prefix = true })->n, 5);
	g = ask(l, (struct ledger_query){ .session = 3, .queue_id = S("s2.1"), .either = true });
	assert_int_equal(g->n, 7); /* five of them match twice: each comes once */
	g = ask(l, (struct ledger_query){ .session = 3, .queue_id = S("s2.1") });
	assert_true(g->n <= 5 && g->n > 0);
	g = ask(l, (struct ledger_query){ .account = S("BOB@example.test") });
	assert_int_equal(g->n, 10);
	g = ask(l, (struct ledger_query){ .kind = 2, .after = 990 });
	assert_true(g->n == 2 && g->id[0] == 992);
	g = ask(l, (struct ledger_query){ .newest_first = true, .max = 3 });
	assert_true(g->n == 3 && g->id[0] == 1000 && g->id[2] == 998);
	g = ask(l, (struct ledger_query){ .newest_first = true, .max = 3, .after = 998 });
	assert_true(g->n == 3 && g->id[0] == 997);
	g = ask(l, (struct ledger_query){ .from = T0 + 500000000, .to = T0 + 510000000 });
	assert_true(g->n == 10 && g->id[0] == 501 && g->time == T0 + 509000000);
	g = ask(l, (struct ledger_query){ .after = 1000 });
	assert_int_equal(g->n, 0);
	assert_int_equal(ledger_retire(l, T0 + 100000000, 30, &gone), STORE_OK);
	assert_int_equal(gone, 30);
	assert_int_equal(ledger_retire(l, T0 + 100000000, 100, &gone), STORE_OK);
	assert_int_equal(gone, 70);
	assert_int_equal(ledger_retire(l, T0 + 100000000, 100, &gone), STORE_OK);
	assert_int_equal(gone, 0);
	assert_int_equal(ask(l, (struct ledger_query){ .max = 5 })->id[0], 101);
	while (ledger_retire(l, UINT64_MAX, 400, &gone) == STORE_OK && gone > 0)
		;
	assert_int_equal(ledger_flush(l), STORE_OK);
	ledger_close(&l);
	assert_int_equal(ledger_open(in_dir("ledger.db"), &l), STORE_OK);
	assert_int_equal(ledger_last(l), 1000); /* ids go on after everything was retired */
	e[0].queue_id = slice_of(e, 65);
	assert_int_equal(ledger_add(l, e, 1, NULL), STORE_LIMIT);
	ledger_close(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(asks_and_follows, fresh_dir, drop_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
