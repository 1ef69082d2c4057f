/* SPDX-License-Identifier: MIT
 * The queue room with an smtp room, a warden and a mailbox room played by the test, over real channels
 * and a real spool on a disk that can fail. */
#include "rooms/queue/test_queue.h"

/* ---- warden and mailbox ---- */

struct arrived {
	size_t n;
	uint64_t id[64];
	enum queue_mailbox_deliver_status say;
	bool silent;
};

static void
on_want(void *ctx, struct queue_warden_want *m)
{
	int fd;
	struct queue_warden_mailbox out = { .account = m->account,
		.status = QUEUE_WARDEN_STATUS_OK };

	assert_int_equal(m->account, 2);
	ipc_channel_free(&box);
	box = ipc_channel_new(pair(&fd), "queue", "");
	ipc_set_nonblocking(box, true);
	out.fd = fd;
	assert_int_equal(queue_warden_mailbox_send(warden, &out), IPC_OK);
	(void)close(fd);
}

static void
on_deliver(void *ctx, struct ipc_call *call, struct queue_mailbox_deliver *m)
{
	struct arrived *a = ctx;
	struct queue_mailbox_deliver_answer out = { .status = a->say, .reason = S("test") };
	char text[sizeof TEXT];

	assert_true(m->floor <= m->delivery && m->session == 77);
	assert_true(slice_eq(m->rcpt, S("<bob@example.test>")) && m->size == sizeof TEXT - 1);
	assert_int_equal(pread(m->fd, text, sizeof text, 0), sizeof TEXT - 1);
	assert_memory_equal(text, TEXT, sizeof TEXT - 1);
	assert_true(a->n < 64);
	a->id[a->n++] = m->delivery;
	if (a->silent)
		(void)ipc_refuse(call);
	else
		(void)queue_mailbox_deliver_answer(call, &out);
}

static void
play(struct arrived *a, size_t n, int rounds)
{
	static const struct queue_warden_server w = { .want = on_want };
	static const struct queue_mailbox_server b = { .deliver = on_deliver };

	for (int i = 0; i < rounds && a->n < n; i++) {
		loop_once(q->loop, 10);
		while (queue_warden_server_serve(warden, &w, NULL) == IPC_OK)
			;
		while (box != NULL && queue_mailbox_server_serve(box, &b, a) == IPC_OK)
			;
	}
	assert_int_equal(a->n, n);
}

/* ---- the tests ---- */

static void
delivers(void **state)
{
	struct arrived a = { 0 };
	uint64_t syncs, commits = counts().commits;

	for (uint32_t i = 0; i < 20; i++)
		offer(i, 0, 2, true);
	syncs = testvfs_count(TESTVFS_SYNC);
	assert_int_equal(hear(20).ok, 20);
	assert_int_equal(counts().commits, commits + 1); /* all of them in one */
	assert_true(testvfs_count(TESTVFS_SYNC) <= syncs + 2); /* a fresh WAL syncs its header */
	assert_int_equal(counts().messages, 20);
	play(&a, 20, 100);
	for (size_t i = 1; i < 20; i++)
		assert_true(a.id[i] > a.id[i - 1]);
	settles(0);
	assert_true(counts().commits <= commits + 3); /* settled together, not one by one */
}

static void
refuses(void **state)
{
	offer(1, 9, 2, true); /* a stranger's room that says who submitted */
	assert_int_equal(hear(1).last, SMTP_QUEUE_ACCEPT_STATUS_REFUSED);
	offer(1, 0, 0, true); /* elsewhere, and no domain says where */
	assert_int_equal(hear(1).last, SMTP_QUEUE_ACCEPT_STATUS_REFUSED);
	offer(1, 0, 2, false); /* content that can still change */
	assert_int_equal(hear(1).last, SMTP_QUEUE_ACCEPT_STATUS_REFUSED);
	assert_int_equal(counts().messages, 0);
}

static void
full_disk(void **state)
{
	struct arrived a = { 0 };

	testvfs_fail((struct testvfs_fault){ .op = TESTVFS_WRITE, .nth = 1, .code = SQLITE_FULL,
		.ever = true });
	offer(1, 0, 2, true);
	assert_int_equal(hear(1).last, SMTP_QUEUE_ACCEPT_STATUS_FULL);
	testvfs_fail((struct testvfs_fault){ 0 });
	assert_int_equal(counts().messages, 0);
	offer(2, 0, 2, true);
	assert_int_equal(hear(1).ok, 1);
	play(&a, 1, 100);
	settles(0);
}

static void
mailbox_gone(void **state)
{
	struct arrived a = { .silent = true };

	offer(1, 0, 2, true);
	assert_int_equal(hear(1).ok, 1);
	play(&a, 1, 100);
	ipc_channel_free(&box); /* it dies with the delivery in its hands */
	a.silent = false;
	play(&a, 2, 200);
	assert_int_equal(a.id[0], a.id[1]);
	settles(0);
}

/* What a mailbox refuses for good goes back to the sender, who is elsewhere, in one commit: a disk that
 * has no space for the notification keeps the delivery. */
static void
refused_is_bounced(void **state)
{
	struct arrived a = { .say = QUEUE_MAILBOX_DELIVER_STATUS_REFUSED };
	own(arena_p) ar = arena_new("t", 65536);
	struct spool_delivery d;
	uint64_t message;

	offer(1, 0, 2, true);
	assert_int_equal(hear(1).ok, 1);
	testvfs_fail((struct testvfs_fault){ .op = TESTVFS_WRITE, .nth = 1, .code = SQLITE_FULL, .ever = true });
	play(&a, 1, 100);
	for (int i = 0; i < 10; i++)
		loop_once(q->loop, 20);
	assert_int_equal(spool_find(q->spool, a.id[0], ar, &d), STORE_OK); /* neither gone nor told */
	assert_int_equal(counts().messages, 1);
	testvfs_fail((struct testvfs_fault){ 0 });
	for (int i = 0; i < 80 && spool_find(q->spool, a.id[0], ar, &d) == STORE_OK; i++)
		loop_once(q->loop, 50);
	assert_int_equal(spool_find(q->spool, a.id[0], ar, &d), STORE_NONE);
	assert_int_equal(counts().messages, 1);
	assert_int_equal(spool_open_deliveries(q->spool), 1);
	message = a.id[0] >> SPOOL_RCPT_BITS;
	for (unsigned i = 0; i < 9 && spool_find(q->spool, spool_delivery_id(message, 0), ar, &d) == STORE_NONE; i++)
		message++; /* ids of commits that failed are not given again */
	assert_true(d.sender.n == 0 && d.account == 0 && slice_eq(d.address, S("<a@example.org>")));
}

/* Without the key nothing is accepted; with it mail goes through, and stands sealed on the disk. */
static void
sealed_at_rest(void **state)
{
	static const uint8_t key[32] = { 1, 2, 3 };
	struct arrived a = { 0 };
	own(fd_t) fd = -1;

	assert_true(cipher_init());
	q->set.encrypt = q->locked = true;
	offer(1, 0, 2, true);
	assert_int_equal(hear(1).last, SMTP_QUEUE_ACCEPT_STATUS_TRY_LATER);
	cipher_use(q, slice_of(key, sizeof key));
	offer(2, 0, 2, true);
	assert_int_equal(hear(1).ok, 1);
	stop();
	fd = open(spool_file(), O_RDONLY);
	assert_true(fd >= 0);
	{
		off_t n = lseek(fd, 0, SEEK_END);
		void *p = mmap(NULL, (size_t)n, PROT_READ, MAP_PRIVATE, fd, 0);

		assert_true(slice_find(slice_of(p, (size_t)n), S("bob@example.test")) != SLICE_NONE);
		assert_true(slice_find(slice_of(p, (size_t)n), S("Subject: q")) == SLICE_NONE);
		(void)munmap(p, (size_t)n);
	}
	start();
	q->set.encrypt = q->locked = true;
	for (int i = 0; i < 10; i++)
		loop_once(q->loop, 20);
	assert_int_equal(q->n_tasks, 0); /* it waits for the key */
	cipher_use(q, slice_of(key, sizeof key));
	play(&a, 1, 400); /* which gives the text as it was */
	settles(0);
}

static void
later_and_restart(void **state)
{
	struct arrived a = { .say = QUEUE_MAILBOX_DELIVER_STATUS_TRY_LATER }, b = { 0 };
	own(arena_p) ar = arena_new("t", 65536);
	struct spool_delivery d;

	offer(1, 0, 2, true);
	assert_int_equal(hear(1).ok, 1);
	play(&a, 1, 100);
	for (int i = 0; i < 10; i++)
		loop_once(q->loop, 20);
	assert_int_equal(spool_find(q->spool, a.id[0], ar, &d), STORE_OK);
	assert_true(d.attempts == 1 && d.next > (uint64_t)clock_wall_us() &&
	    slice_eq(d.reason, S("4.2.0 test")));
	offer(2, 0, 2, true);
	assert_int_equal(hear(1).ok, 1);
	stop(); /* killed with both in the spool: the next life has them, under their ids */
	start();
	play(&b, 2, 400);
	assert_true((b.id[0] == a.id[0]) != (b.id[1] == a.id[0]));
	settles(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_queue, close_queue)
		T(delivers), T(refuses), T(full_disk), T(mailbox_gone), T(refused_is_bounced), T(sealed_at_rest), T(later_and_restart),
	};

	testvfs_register();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
