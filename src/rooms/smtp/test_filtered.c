/* SPDX-License-Identifier: MIT
 * What milters say and wish, in the session: lesson (d) of SECURITY.md is that no failed filter accepts. */
#include "rooms/smtp/test_scene.h"

static void
begin(struct world *w, bool submission)
{
	world_init(w, submission);
	w->conf.milter = true;
}

static const char *
talk(struct world *w)
{
	(void)world_talk(w, S(HELLO MAIL "NOOP\r\n"), false, false);
	return codes(w);
}

static void
no_answer_is_later(void **state)
{
	struct world w;

	begin(&w, false);
	assert_string_equal(talk(&w), "220 250 250 250 354 250 250");
	w.filter_ipc = IPC_UNAVAILABLE;
	assert_string_equal(talk(&w), "220 250 250 250 354 451 250");
	assert_true(said(&w.out, "451 4.7.1 ") && w.accepted == 1 && w.filtered == 2);
	world_free(&w);
}

static void
refusals(void **state)
{
	struct world w;

	begin(&w, false);
	w.word = (struct smtp_milter_ask_answer){ .action = SMTP_MILTER_ACTION_REJECT, .code = 554, .enhanced = S("5.7.9"),
		.text = S("away\r\n250 ok") };
	assert_string_equal(talk(&w), "220 250 250 250 354 554 250");
	w.word.action = SMTP_MILTER_ACTION_DEFER; /* its code is of the other class */
	assert_string_equal(talk(&w), "220 250 250 250 354 451 250");
	assert_int_equal(w.accepted, 0);
	w.word = (struct smtp_milter_ask_answer){ .action = SMTP_MILTER_ACTION_DISCARD };
	assert_string_equal(talk(&w), "220 250 250 250 354 250 250");
	assert_int_equal(w.accepted, 0);
	w.word = (struct smtp_milter_ask_answer){ .action = SMTP_MILTER_ACTION_HOLD, .why = S("one: odd") };
	assert_string_equal(talk(&w), "220 250 250 250 354 250 250");
	assert_true(w.accepted == 1 && w.held);
	world_free(&w);
}

static void
another_message(void **state)
{
	static const struct slice bad[] = { S_INIT("A: b\n\r\nx\r\n"), S_INIT("A: b\r\n\r\n\0\r\n"), S_INIT("A: b\r\n\r\nx\ry\r\n") };
	struct world w;

	begin(&w, false);
	w.rewrite = S("A: b\r\n\r\nnew\r\n");
	assert_string_equal(talk(&w), "220 250 250 250 354 250 250");
	assert_true(w.sealed && slice_eq(buf_slice(&w.message), w.rewrite));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		w.rewrite = bad[i];
		assert_string_equal(talk(&w), "220 250 250 250 354 451 250");
	}
	w.rewrite = S("A: b\r\n\r\nnew\r\n");
	w.behind = 1; /* it names more than it wrote */
	assert_string_equal(talk(&w), "220 250 250 250 354 451 250");
	w.behind = UINT64_MAX - 5;
	assert_string_equal(talk(&w), "220 250 250 250 354 451 250");
	assert_true(w.accepted == 1 && said(&w.events, "milter.refused"));
	world_free(&w);
}

static void
another_envelope(void **state)
{
	struct smtp_milter_address alice = { S("alice@example.test") }, bob = { S("bob@example.test") };
	struct smtp_milter_address far = { S("x@far.example") }, odd = { S("a@b> SIZE=1") };
	struct world w;

	begin(&w, false);
	w.word = (struct smtp_milter_ask_answer){ .add = &alice, .n_add = 1, .drop = &bob, .n_drop = 1, .new_sender = true,
		.sender = S("new@far.example") };
	assert_string_equal(talk(&w), "220 250 250 250 354 250 250");
	assert_true(said(&w.rcpts, "1 alice@") && !said(&w.rcpts, "bob@") && said(&w.sender, "new@far.example"));
	w.word = (struct smtp_milter_ask_answer){ .drop = &bob, .n_drop = 1 };
	assert_string_equal(talk(&w), "220 250 250 250 354 250 250");
	assert_int_equal(w.accepted, 1); /* nobody was left */
	w.word = (struct smtp_milter_ask_answer){ .add = &far, .n_add = 1 };
	assert_string_equal(talk(&w), "220 250 250 250 354 451 250");
	w.word = (struct smtp_milter_ask_answer){ .add = &odd, .n_add = 1 };
	assert_string_equal(talk(&w), "220 250 250 250 354 451 250");
	w.word = (struct smtp_milter_ask_answer){ .new_sender = true, .sender = S("no address") };
	assert_string_equal(talk(&w), "220 250 250 250 354 451 250");
	assert_int_equal(w.accepted, 1);
	world_free(&w);
}

/* One recipient that milters do not want costs the message nothing but that one. */
static void
one_recipient(void **state)
{
	static const struct slice two = S_INIT(HELLO FROM TO "RCPT TO:<alice@example.test>\r\n" "DATA\r\n" TEXT "NOOP\r\n");
	struct world w;

	begin(&w, false);
	w.unwanted = S("bob@example.test");
	w.rcpt_word = (struct smtp_milter_recipient_answer){ .action = SMTP_MILTER_ACTION_REJECT, .code = 553,
		.enhanced = S("5.7.9"), .text = S("not bob\r\n250 ok") };
	(void)world_talk(&w, two, false, false);
	assert_string_equal(codes(&w), "220 250 250 553 250 354 250 250");
	assert_true(said(&w.out, "553 5.7.9 not bob") && said(&w.rcpts, "alice@") && !said(&w.rcpts, "bob@"));
	assert_true(w.accepted == 1 && w.filtered_rcpts == 2 && said(&w.events, "smtp.rejected"));
	w.rcpt_word = (struct smtp_milter_recipient_answer){ .action = SMTP_MILTER_ACTION_DEFER, .code = 550 };
	(void)world_talk(&w, two, false, false);
	assert_string_equal(codes(&w), "220 250 250 451 250 354 250 250");
	w.filter_rcpt_ipc = IPC_UNAVAILABLE; /* no answer is never an acceptance */
	(void)world_talk(&w, S(HELLO FROM TO "DATA\r\n"), false, false);
	assert_string_equal(codes(&w), "220 250 250 451 503");
	assert_int_equal(w.accepted, 2);
	world_free(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_answer_is_later), cmocka_unit_test(refusals),
		cmocka_unit_test(another_message), cmocka_unit_test(another_envelope),
		cmocka_unit_test(one_recipient) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
