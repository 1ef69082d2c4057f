/* SPDX-License-Identifier: MIT
 * What queue writes itself: signed when it leaves, and told to whom it concerns; and what goes behind others. */
#include "rooms/queue/test_remote.h"

/* What we write ourselves is signed when it leaves; what cannot be signed waits, and not for ever. */
static void
bounces_are_signed(void **state)
{
	struct world w = bad("no such user"), after = good();

	connect_send();
	send_to("eve@remote.example");
	until(&w, &w.relays, 1);
	assert_int_equal(seal.asked, 0); /* that one came signed */
	w = after;
	until(&w, &w.relays, 1);
	assert_true(seal.asked == 1 && strcmp(seal.to, "a@example.org") == 0);
	assert_true(slice_starts(slice_z(saw.body), S("DKIM-Signature: of the test\r\n")));
	assert_int_equal(saw.last.size, slice_z(saw.body).n);
	spool_holds(&w, 0);
}

static void
signed_later_or_never(void **state)
{
	struct world w = bad("no such user"), after = good();
	size_t asked;

	own_time();
	connect_send();
	seal.does = SIGNS_NOT_NOW;
	send_to("eve@remote.example");
	pass(&w, 1);
	assert_true(w.relays == 1 && seal.asked >= 1);
	w = after;
	asked = seal.asked;
	pass(&w, 60); /* asked again, and keys are still away */
	assert_true(seal.asked > asked && w.relays == 0 && spool_open_deliveries(q->spool) == 1);
	seal.does = SIGNS_SILENTLY;
	asked = seal.asked;
	for (int i = 0; i < 8; i++) /* no answer is none, and is asked for again */
		pass(&w, 120);
	assert_true(seal.asked >= asked + 2 && w.relays == 0);
	ipc_channel_free(&notary); /* and then there is nobody to ask */
	while (seal.n_held > 0)
		(void)ipc_refuse(&seal.held[--seal.n_held]);
	pass(&w, 600);
	assert_true(w.relays == 0 && spool_open_deliveries(q->spool) == 1);
	connect_scan();
	pass(&w, 600);
	assert_true(seal.asked == 1 && w.delivered == 1 && in(saw.body, "DKIM-Signature: of the test"));
	seal.does = SIGNS_NOT_NOW;
	w = bad("no such user");
	send_to("eve@remote.example");
	pass(&w, 1);
	w = after;
	pass(&w, 3600);
	assert_true(w.relays == 0 && spool_open_deliveries(q->spool) == 1);
	pass(&w, 44000); /* half of bounce_lifetime: unsigned is better than never */
	assert_true(w.delivered == 1 && !in(saw.body, "DKIM-Signature:"));
}

/* What a list could not deliver is its owner's to hear, whoever wrote; the author hears of the others. */
static void
lists_report_to_their_owner(void **state)
{
	static struct smtp_queue_rcpt to[4] = {
		{ .address = S_INIT("eve@remote.example") },
		{ .address = S_INIT("m1@remote.example"), .original = S_INIT("list@example.test"), .sender = S_INIT("owner@lists.example"), .listed = true, .notify = SPOOL_FAILURE },
		{ .address = S_INIT("m2@remote.example"), .sender = S_INIT("owner@lists.example"), .listed = true, .notify = SPOOL_FAILURE },
		{ .address = S_INIT("m3@remote.example"), .sender = S_INIT("other@lists.example"), .listed = true, .notify = SPOOL_FAILURE },
	};
	struct smtp_queue_accept m = { .envid = S("of-the-author") };
	struct world w = bad("no such user"), after = good();

	saw.all[0] = '\0';
	offer_to(&m, to, 4);
	assert_int_equal(hear(1).ok, 1);
	connect_send();
	until(&w, &w.relays, 3);
	assert_true(in(saw.all, "m1@remote.example <owner@lists.example>\n"));
	w = after;
	saw.all[0] = '\0';
	until(&w, &w.relays, 3); /* one letter for each who is to hear */
	assert_true(in(saw.all, "a@example.org <>\n") && in(saw.all, "owner@lists.example <>\n") &&
	    in(saw.all, "other@lists.example <>\n"));
	spool_holds(&w, 0);
	rounds(&w, 20);
	assert_int_equal(w.relays, 3);
	/* nobody is told that a letter to the owner could not be delivered, and what it says is theirs alone */
	w = bad("no such user");
	offer_to(&m, &to[1], 2);
	assert_int_equal(hear(1).ok, 1);
	until(&w, &w.relays, 2);
	assert_string_equal(saw.address, "owner@lists.example");
	assert_true(in(saw.body, "Final-Recipient: rfc822; m1@remote.example") &&
	    in(saw.body, "Final-Recipient: rfc822; m2@remote.example") && in(saw.body, "To: <owner@lists.example>\r\n"));
	assert_true(!in(saw.body, "of-the-author") && !in(saw.body, "eve@remote.example"));
	spool_holds(&w, 0);
	rounds(&w, 50);
	assert_int_equal(w.relays, 2);
}

/* A list whose owner is an account here. */
static void
lists_report_to_an_account(void **state)
{
	struct smtp_queue_rcpt to = { .address = S("m1@remote.example"), .sender = S("owner@example.test"), .listed = true,
		.owner = 3, .notify = SPOOL_FAILURE };
	struct smtp_queue_accept m = { 0 };
	struct world w = bad("no such user");
	struct spool_delivery d = { 0 };
	own(arena_p) a = arena_new("test", 1 << 20);

	connect_send();
	offer_to(&m, &to, 1);
	assert_int_equal(hear(1).ok, 1);
	until(&w, &w.relays, 1);
	rounds(&w, 20);
	d = only(a);
	assert_true(d.account == 3 && d.sender.n == 0 && slice_eq(d.address, S("owner@example.test")) && w.relays == 1);
	/* and of a list whose owner is nobody queue takes no mail: it would be reported to nobody */
	to.sender = S("");
	offer_to(&m, &to, 1);
	assert_int_equal(hear(1).ok, 0);
}

/* Others go before what is one of many, and that goes before reports, whatever it says of itself. */
static void
bulk_goes_last(void **state)
{
	static const struct {
		const char *address;
		bool bulk, listed, null;
	} rows[] = { { "r@report.example", true, false, true }, { "b@bulk.example", true, false, false },
		{ "l@list.example", false, true, false }, { "p@plain.example", false, false, false } };
	struct world w = good();
	const char *at[4];

	saw.all[0] = '\0';
	for (size_t i = 0; i < 4; i++) {
		struct smtp_queue_rcpt to = { .address = slice_z(rows[i].address), .listed = rows[i].listed,
			.sender = rows[i].listed ? S("owner@lists.example") : S("") };
		struct smtp_queue_accept m = { .bulk = rows[i].bulk };

		if (rows[i].null)
			m.sender = S("");
		offer_to(&m, &to, 1);
		assert_int_equal(hear(1).ok, 1);
	}
	connect_send();
	until(&w, &w.relays, 4);
	for (size_t i = 0; i < 4; i++) {
		at[i] = strstr(saw.all, rows[i].address);
		assert_non_null(at[i]);
	}
	assert_true(at[3] < at[1] && at[3] < at[2] && at[1] < at[0] && at[2] < at[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_queue, close_queue)
		T(bounces_are_signed), T(signed_later_or_never), T(lists_report_to_their_owner),
		T(lists_report_to_an_account), T(bulk_goes_last),
	};

	testvfs_register();
	testvfs_idle_disk(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
