/* SPDX-License-Identifier: MIT
 * The queue as the administrator sees and changes it, over the real channel. */
#include "rooms/queue/test_queue.h"

#include "ipc/cli_queue.h"
#include "lib/base/own.h"

static struct ipc_channel *cli;

struct got {
	bool any;
	enum cli_queue_result status;
	size_t n;
	uint64_t deliveries, after, id;
	bool more;
	char first[64], reason[100];
	enum cli_queue_state state;
};

static void
on_list(void *ctx, uint32_t id, struct cli_queue_list_answer *m)
{
	struct got *g = ctx;

	(void)id;
	g->any = true;
	g->status = m->status;
	g->n = m->n_messages;
	g->more = m->more;
	g->after = m->after;
	if (m->n_messages > 0) {
		(void)snprintf(g->first, sizeof g->first, "%.*s", SFMT(m->messages[0].rcpt));
		(void)snprintf(g->reason, sizeof g->reason, "%.*s", SFMT(m->messages[0].reason));
		g->state = m->messages[0].state;
	}
}

static void
on_change(void *ctx, uint32_t id, struct cli_queue_change_answer *m)
{
	struct got *g = ctx;

	(void)id;
	*g = (struct got){ .any = true, .status = m->status, .deliveries = m->deliveries, .more = m->more,
		.after = m->after };
}

static void
on_add(void *ctx, uint32_t id, struct cli_queue_rule_add_answer *m)
{
	(void)id;
	*(struct got *)ctx = (struct got){ .any = true, .status = m->status, .id = m->id };
}

static void
on_delete(void *ctx, uint32_t id, struct cli_queue_rule_delete_answer *m)
{
	(void)id;
	*(struct got *)ctx = (struct got){ .any = true, .status = m->status };
}

static void
on_rules(void *ctx, uint32_t id, struct cli_queue_rule_list_answer *m)
{
	(void)id;
	*(struct got *)ctx = (struct got){ .any = true, .status = m->status, .n = m->n_rules };
}

static struct got
answer(void)
{
	static const struct cli_queue_answers answers = { .list = on_list, .change = on_change, .rule_add = on_add,
		.rule_delete = on_delete, .rule_list = on_rules };
	struct got g = { 0 };

	for (int i = 0; i < 100 && !g.any; i++) {
		loop_once(q->loop, 5);
		(void)cli_queue_answers_serve(cli, &answers, &g);
	}
	assert_true(g.any);
	return g;
}

static struct got
list(const struct cli_queue_filter *filter)
{
	struct cli_queue_filter f = *filter;
	struct cli_queue_list in = { .filters = &f, .n_filters = 1 };

	assert_int_equal(cli_queue_list_ask(cli, 1, &in), IPC_OK);
	return answer();
}

static struct got
change(enum cli_queue_action action, const struct cli_queue_filter *filter, bool count)
{
	struct cli_queue_filter f = *filter;
	struct cli_queue_change in = { .action = action, .filters = &f, .n_filters = 1, .count = count };

	assert_int_equal(cli_queue_change_ask(cli, 1, &in), IPC_OK);
	return answer();
}

/* id.N from sender to one recipient each; account is the submitter's. */
static void
put(const char *id, const char *from, const char *to, uint32_t account)
{
	struct smtp_queue_rcpt rcpt = { .address = slice_z(to) };
	struct smtp_queue_accept m = { .queue_id = slice_z(id), .session = 77, .sender = slice_z(from),
		.account = account, .size = sizeof TEXT - 1, .received_us = clock_wall_us(), .rcpts = &rcpt,
		.n_rcpts = 1, .fd = memfd(true) };

	assert_int_equal(smtp_queue_accept_ask(smtp, 1, &m), IPC_OK);
	(void)close(m.fd);
	assert_int_equal(hear(1).ok, 1);
}

static void
mail(void)
{
	int fd;

	cli = ipc_channel_new(pair(&fd), "queue", "");
	ipc_set_nonblocking(cli, true);
	admin_introduce(q, fd);
	put("aaaaaaaaaaaaa.1", "a@example.org", "eve@remote.example", 0);
	put("aaaaaaaaaaaaa.2", "b@example.org", "eve@remote.example", 0);
	put("aaaaaaaaaaaaa.3", "", "Mallory@other.example", 0);
}

static int
close_all(void **state)
{
	ipc_channel_free(&cli);
	return close_queue(state);
}

static void
filters(void **state)
{
	static const struct {
		struct cli_queue_filter f;
		size_t n;
	} table[] = {
		{ { .older = 0 }, 3 },
		{ { .sender = S_INIT("A@EXAMPLE.ORG") }, 1 },
		{ { .sender = S_INIT("@example.org") }, 2 },
		{ { .sender = S_INIT("<>") }, 1 },
		{ { .recipient = S_INIT("mallory@other.example") }, 1 },
		{ { .recipient = S_INIT("mallory") }, 0 },
		{ { .domain = S_INIT("Remote.Example") }, 2 },
		{ { .domain = S_INIT("example") }, 0 },
		{ { .account = 5 }, 0 },
		{ { .older = 3600 }, 0 },
		{ { .younger = 3600 }, 3 },
		{ { .state = CLI_QUEUE_WHICH_HELD }, 0 },
		{ { .state = CLI_QUEUE_WHICH_ACTIVE }, 3 },
		{ { .queue_id = S_INIT("aaaaaaaaaaaaa.2") }, 1 },
		{ { .queue_id = S_INIT("aaaaaaaaaaaaa.9") }, 0 },
		{ { .queue_id = S_INIT("aaaaaaaaaaaaa.2"), .sender = S_INIT("x@y") }, 0 },
	};

	mail();
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		assert_int_equal(list(&table[i].f).n, table[i].n);
}

static const struct cli_queue_filter held = { .state = CLI_QUEUE_WHICH_HELD }, null_sender = { .sender = S_INIT("<>") },
	by_admin = { .reason = S_INIT("administrator") }, remote = { .domain = S_INIT("remote.example") },
	one = { .queue_id = S_INIT("aaaaaaaaaaaaa.1") };

static size_t relayed;

static void
on_relay(void *ctx, struct ipc_call *call, struct queue_send_relay *m)
{
	struct queue_send_result r = { .delivery = m->rcpts[0].delivery, .code = 250,
		.outcome = QUEUE_SEND_OUTCOME_DELIVERED };
	struct queue_send_relay_answer out = { .destination = QUEUE_SEND_DESTINATION_REACHED, .results = &r,
		.n_results = 1 };

	(void)ctx;
	assert_int_equal(m->n_rcpts, 1);
	relayed++;
	(void)queue_send_relay_answer(call, &out);
}

/* Lets what may go, go; the number that went. */
static size_t
let_go(void)
{
	static const struct queue_send_server server = { .relay = on_relay };
	int fd;

	relayed = 0;
	if (sender == NULL) {
		sender = ipc_channel_new(pair(&fd), "queue", "");
		ipc_set_nonblocking(sender, true);
		remote_send(q, fd);
	}
	for (int i = 0; i < 60; i++) {
		loop_once(q->loop, 5);
		while (queue_send_server_serve(sender, &server, NULL) == IPC_OK)
			;
	}
	return relayed;
}

static void
changes(void **state)
{
	struct got g;

	mail();
	assert_int_equal(change(CLI_QUEUE_ACTION_HOLD, &remote, true).deliveries, 2);
	assert_int_equal(list(&held).n, 0); /* only counted */
	assert_int_equal(change(CLI_QUEUE_ACTION_HOLD, &remote, false).deliveries, 2);
	assert_int_equal(change(CLI_QUEUE_ACTION_HOLD, &remote, false).deliveries, 0);
	g = list(&by_admin);
	assert_true(g.n == 2 && g.state == CLI_QUEUE_STATE_HELD);
	assert_int_equal(change(CLI_QUEUE_ACTION_RETRY, &remote, false).deliveries, 0);
	assert_int_equal(let_go(), 1); /* the third alone */
	assert_int_equal(change(CLI_QUEUE_ACTION_RELEASE, &one, false).deliveries, 1);
	assert_int_equal(let_go(), 1);
	assert_int_equal(spool_open_deliveries(q->spool), 1);
	ipc_channel_free(&sender); /* the notification stays */
	assert_int_equal(change(CLI_QUEUE_ACTION_FAIL, &remote, false).deliveries, 1);
	assert_int_equal(list(&null_sender).n, 1); /* the sender is told */
	assert_int_equal(change(CLI_QUEUE_ACTION_DROP, &null_sender, false).deliveries, 1);
	assert_int_equal(let_go(), 0);
	assert_int_equal(spool_open_deliveries(q->spool), 0);
}

static void
holds_by_rule(void **state)
{
	struct cli_queue_rule_add add = { .kind = CLI_QUEUE_RULE_KIND_RECIPIENT, .pattern = S("@Other.example"),
		.reason = S("legal") };
	struct cli_queue_rule_list rules = { 0 };
	struct cli_queue_rule_delete gone;
	struct got g;

	mail();
	assert_int_equal(cli_queue_rule_add_ask(cli, 1, &add), IPC_OK);
	g = answer();
	assert_int_equal(g.status, CLI_QUEUE_RESULT_OK);
	gone.id = g.id;
	put("aaaaaaaaaaaaa.4", "a@example.org", "x@other.example", 0);
	g = list(&held);
	assert_true(g.n == 1 && strcmp(g.first, "x@other.example") == 0 && strcmp(g.reason, "legal") == 0);
	ipc_channel_free(&cli);
	stop(); /* rules last */
	start();
	mail();
	g = list(&held);
	assert_int_equal(g.n, 2); /* the earlier one, and the third of the new ones */
	assert_int_equal(cli_queue_rule_list_ask(cli, 1, &rules), IPC_OK);
	assert_int_equal(answer().n, 1);
	assert_int_equal(cli_queue_rule_delete_ask(cli, 1, &gone), IPC_OK);
	assert_int_equal(answer().status, CLI_QUEUE_RESULT_OK);
	assert_int_equal(cli_queue_rule_delete_ask(cli, 1, &gone), IPC_OK);
	assert_int_equal(answer().status, CLI_QUEUE_RESULT_NONE);
	put("aaaaaaaaaaaaa.5", "a@example.org", "x@other.example", 0);
	assert_int_equal(list(&held).n, 2);
}

static bool stressed;

static void
on_accept(void *ctx, uint32_t id, struct smtp_queue_accept_answer *m)
{
	(void)id;
	*(bool *)ctx = true;
	stressed = m->stress;
}

/* Over the high-water mark smtp hears of it, and again when it is over. */
static void
says_stress(void **state)
{
	static const struct smtp_queue_answers answers = { .accept = on_accept };

	mail();
	q->set.high_water = 4;
	for (unsigned i = 0; i < 8; i++) {
		bool heard = false;
		struct smtp_queue_rcpt rcpt = { .address = S("x@other.example") };
		struct smtp_queue_accept m = { .queue_id = S("aaaaaaaaaaaaa.7"), .session = 77, .sender = S("a@b.example"),
			.size = sizeof TEXT - 1, .received_us = clock_wall_us(), .rcpts = &rcpt, .n_rcpts = 1,
			.fd = memfd(true) };

		if (i == 6)
			assert_int_equal(let_go(), 9);
		assert_int_equal(smtp_queue_accept_ask(smtp, 1, &m), IPC_OK);
		(void)close(m.fd);
		for (int k = 0; k < 100 && !heard; k++) {
			loop_once(q->loop, 5);
			(void)smtp_queue_answers_serve(smtp, &answers, &heard);
		}
		for (int k = 0; k < 8; k++)
			loop_once(q->loop, 50);
		assert_true(heard && stressed == (i > 1 && i < 6));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_queue, close_all)
		T(filters), T(changes), T(holds_by_rule), T(says_stress),
	};

	testvfs_register();
	testvfs_idle_disk(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
