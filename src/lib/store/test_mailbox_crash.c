/* SPDX-License-Identifier: MIT
 * The mailbox store under kill -9, power cuts, failing calls and flipped bits. */
#include "lib/store/test_mailbox.h"

/* ---- kill -9 ---- */

struct promise {
	uint64_t delivered;	/* ids 1..delivered were reported after a flush */
	uint64_t appended;	/* UIDs of acknowledged appends in Sent */
	uint32_t sent[2000];
	uint32_t seen_uidnext;
	uint64_t seen_modseq;
};

static struct slice
letter(char *text, size_t max, uint64_t n)
{
	int len = snprintf(text, max, "Subject: letter %llu\r\n\r\nbody body body\r\n",
	    (unsigned long long)n);

	return slice_of(text, (size_t)len);
}

static void
must(enum store_err e, int code)
{
	if (e != STORE_OK)
		_exit(code);
}

static void
work(void *ctx)
{
	struct promise *p = ctx;
	struct mailbox *m = NULL;
	uint64_t sent, next = p->delivered + 1;
	char text[80];

	must(mailbox_open(in_dir("mail.db"), 7, NOW, &m), 2);
	must(mailbox_use_id(m, MAILBOX_SENT, &sent), 3);
	while (p->appended < 1900) {
		struct mailbox_flagging f = { .op = MAILBOX_ADD, .flags = MAILBOX_SEEN,
			.unchanged_since = UINT64_MAX };
		struct mailbox_input in;
		struct mailbox_folder see;
		uint32_t uid;
		bool fresh;

		for (uint64_t i = 0; i < 5; i++) {
			in = input(letter(text, sizeof text, next + i));
			must(mailbox_deliver(m, next + i, p->delivered + 1, INBOX, &in, &uid, &fresh),
			    4);
		}
		must(mailbox_flush(m), 5);
		next += 5;
		__atomic_store_n(&p->delivered, next - 1, __ATOMIC_SEQ_CST);
		must(mailbox_append(m, sent, &in, &uid), 6);
		p->sent[p->appended] = uid;
		__atomic_store_n(&p->appended, p->appended + 1, __ATOMIC_SEQ_CST);
		must(mailbox_flag(m, sent, &uid, 1, &f, NULL, NULL), 7);
		must(mailbox_folder_get(m, INBOX, NULL, &see), 8);
		p->seen_modseq = see.highestmodseq;
		p->seen_uidnext = see.uidnext;
	}
}

static void
all_there(struct mailbox *m, uint64_t delivered, const uint32_t *sent, uint64_t appended)
{
	struct mailbox_snapshot s;
	uint64_t id;
	char text[80];

	assert_int_equal(mailbox_snapshot(m, INBOX, 0, 0, &s), STORE_OK);
	assert_true(s.n >= delivered);
	for (size_t i = 0; i < s.n; i++) /* each once, in order */
		assert_true(holds(m, INBOX, s.row[i].uid, letter(text, sizeof text, i + 1)));
	mailbox_snapshot_free(&s);
	assert_int_equal(mailbox_use_id(m, MAILBOX_SENT, &id), STORE_OK);
	assert_int_equal(mailbox_snapshot(m, id, 0, 0, &s), STORE_OK);
	assert_true(s.n >= appended);
	for (size_t i = 0, at = 0; i < appended; i++) { /* an uncounted one may stand between */
		while (at < s.n && s.row[at].uid != sent[i])
			at++;
		assert_true(at < s.n);
	}
	mailbox_snapshot_free(&s);
}

static void
survives_kills(void **state)
{
	struct promise *p = shared(sizeof *p);

	for (unsigned i = 0; i < rounds(30); i++) {
		struct mailbox *m;
		struct mailbox_folder f;

		if (p->appended > 400 || i % 15 == 0) {
			clear_dir(dir_name);
			memset(p, 0, sizeof *p);
		}
		killed(work, p, rng() % 15000);
		m = open_box();
		f = folder_of(m, INBOX);
		assert_true(f.uidnext >= p->seen_uidnext && f.highestmodseq >= p->seen_modseq);
		all_there(m, p->delivered, p->sent, p->appended);
		assert_int_equal(mailbox_verify(m), STORE_OK);
		mailbox_close(&m);
	}
	(void)munmap(p, sizeof *p);
}

/* ---- power cuts ---- */

struct mark {
	size_t moment;
	uint64_t delivered, appended;
	uint32_t uidnext;
	uint64_t modseq;
};

static size_t
record_work(struct mark *mark, size_t max, uint32_t *sent, uint64_t *box)
{
	struct mailbox *m = open_box();
	uint64_t next = 1, appended = 0;
	size_t n = 0;
	char text[80];

	assert_int_equal(mailbox_use_id(m, MAILBOX_SENT, box), STORE_OK);
	while (n < max) {
		struct mailbox_input in;
		struct mailbox_folder f;
		uint32_t uid;
		bool fresh;

		for (uint64_t i = 1 + rng() % 30; i > 0; i--) {
			in = input(letter(text, sizeof text, next));
			assert_int_equal(mailbox_deliver(m, next++, 1, INBOX, &in, &uid, &fresh), 0);
		}
		if (rng() % 2 == 0)
			assert_int_equal(mailbox_flush(m), STORE_OK);
		else
			assert_int_equal(mailbox_append(m, *box, &in, &sent[appended++]), STORE_OK);
		if (rng() % 4 == 0)
			mailbox_relax(m);
		f = folder_of(m, INBOX);
		mark[n++] = (struct mark){ .moment = testvfs_moment(), .delivered = next - 1,
			.appended = appended, .uidnext = f.uidnext, .modseq = f.highestmodseq };
	}
	testvfs_record(NULL);
	mailbox_close(&m);
	return n;
}

static void
survives_power_cuts(void **state)
{
	own(buf_t) log = { 0 };
	static struct mark mark[24];
	static uint32_t sent[24];
	uint64_t box;
	size_t n;
	char disk[80], file[100];

	buf_init(&log, (size_t)1 << 28);
	(void)snprintf(disk, sizeof disk, "%s.disk", dir_name);
	(void)snprintf(file, sizeof file, "%s/mail.db", disk);
	(void)mkdir(disk, 0700);
	testvfs_record(&log);
	n = record_work(mark, 24, sent, &box);
	assert_false(log.bad);
	for (unsigned i = 0; i < rounds(20); i++) {
		size_t k = rng() % n;
		size_t to = k + 1 < n ? mark[k + 1].moment : mark[k].moment + 1;
		size_t cut = mark[k].moment + rng() % (to - mark[k].moment);
		struct mailbox *m = NULL;
		struct mailbox_folder f;
		struct mailbox_input in;
		uint32_t uid;
		bool fresh;
		char text[80];

		clear_dir(disk);
		assert_true(testvfs_replay(buf_slice(&log), cut, (enum testvfs_loss)(i % 3), i,
		    disk));
		assert_int_equal(mailbox_open(file, 7, NOW, &m), STORE_OK);
		f = folder_of(m, INBOX);
		assert_true(f.uidnext >= mark[k].uidnext && f.highestmodseq >= mark[k].modseq);
		all_there(m, mark[k].delivered, sent, mark[k].appended);
		/* the queue delivers again what was not reported: each is there once */
		for (uint64_t id = 1; id <= mark[k].delivered + 3; id++) {
			in = input(letter(text, sizeof text, id));
			assert_int_equal(mailbox_deliver(m, id, 1, INBOX, &in, &uid, &fresh), 0);
		}
		assert_true(folder_of(m, INBOX).exists >= mark[k].delivered);
		all_there(m, mark[k].delivered + 3, sent, mark[k].appended);
		assert_int_equal(mailbox_verify(m), STORE_OK);
		mailbox_close(&m);
	}
	clear_dir(disk);
	(void)rmdir(disk);
}

/* Without the flush a delivery may vanish: one record before the end of the flush it is gone, and one
 * later it is there. */
static void
flush_is_what_saves(void **state)
{
	own(buf_t) log = { 0 };
	struct mailbox *m;
	struct mailbox_input in = input(S("Subject: letter 1\r\n\r\nbody body body\r\n"));
	char disk[80], file[100];
	size_t end;
	uint32_t uid;
	bool fresh;

	buf_init(&log, (size_t)1 << 26);
	(void)snprintf(disk, sizeof disk, "%s.disk", dir_name);
	(void)snprintf(file, sizeof file, "%s/mail.db", disk);
	(void)mkdir(disk, 0700);
	testvfs_record(&log);
	m = open_box();
	assert_int_equal(mailbox_deliver(m, 1, 1, INBOX, &in, &uid, &fresh), STORE_OK);
	assert_int_equal(mailbox_flush(m), STORE_OK);
	end = testvfs_moment();
	testvfs_record(NULL);
	mailbox_close(&m);
	for (size_t cut = end - 1; cut <= end; cut++) {
		clear_dir(disk);
		assert_true(testvfs_replay(buf_slice(&log), cut, TESTVFS_LOSE_ALL, 1, disk));
		assert_int_equal(mailbox_open(file, 7, NOW, &m), STORE_OK);
		assert_int_equal(folder_of(m, INBOX).exists, cut == end ? 1 : 0);
		mailbox_close(&m);
	}
	clear_dir(disk);
	(void)rmdir(disk);
}

/* ---- faults and damage ---- */

static enum store_err
scenario(bool *delivered, uint32_t *appended)
{
	struct mailbox *m = NULL;
	struct mailbox_input in = input(S("Subject: f\r\n\r\nfault\r\n"));
	struct mailbox_flagging f = { .op = MAILBOX_ADD, .flags = MAILBOX_DELETED,
		.unchanged_since = UINT64_MAX };
	uint32_t uid, one = 1;
	bool fresh;
	enum store_err e = mailbox_open(in_dir("mail.db"), 7, NOW, &m);

	if (e == STORE_OK)
		e = mailbox_deliver(m, 1, 1, INBOX, &in, &uid, &fresh);
	if (e == STORE_OK)
		e = mailbox_flush(m);
	*delivered = e == STORE_OK;
	if (e == STORE_OK)
		mailbox_relax(m);
	if (e == STORE_OK)
		e = mailbox_append(m, INBOX, &in, appended);
	if (e == STORE_OK)
		e = mailbox_flag(m, INBOX, &one, 1, &f, NULL, NULL);
	if (e == STORE_OK)
		e = mailbox_copy(m, INBOX, &one, 1, 2, true, &uid, &uid);
	mailbox_close(&m);
	return e;
}

static void
every_fault(void **state)
{
	static const struct { enum testvfs_op op; int code; } kind[] = {
		{ TESTVFS_READ, SQLITE_IOERR_READ }, { TESTVFS_WRITE, SQLITE_FULL },
		{ TESTVFS_WRITE, SQLITE_IOERR_WRITE }, { TESTVFS_SYNC, SQLITE_IOERR_FSYNC },
		{ TESTVFS_OPEN, SQLITE_CANTOPEN }, { TESTVFS_TRUNCATE, SQLITE_IOERR_TRUNCATE },
	};
	size_t failed = 0;

	for (size_t k = 0; k < 2 * (sizeof kind / sizeof kind[0]); k++)
		/* every third call of each kind, in turn; with TORTURE every one */
		for (uint64_t nth = 1 + k % 3; nth < 400; nth += rounds(1) == 1 ? 3 : 1) {
			struct mailbox *m = NULL;
			bool delivered = false;
			uint32_t appended = 0;
			enum store_err e;

			clear_dir(dir_name);
			testvfs_fail((struct testvfs_fault){ .op = kind[k / 2].op, .nth = nth,
				.code = kind[k / 2].code, .ever = k % 2 == 1, .torn = nth % 2 });
			e = scenario(&delivered, &appended);
			testvfs_fail((struct testvfs_fault){ 0 });
			m = open_box();
			assert_int_equal(mailbox_verify(m), STORE_OK);
			assert_true(folder_of(m, INBOX).exists + folder_of(m, 2).exists >=
			    (uint32_t)delivered + (appended > 0));
			mailbox_close(&m);
			assert_true(e == STORE_OK || e == STORE_IO || e == STORE_FULL);
			failed += e != STORE_OK;
			if (e == STORE_OK && nth > 80)
				break;
		}
	assert_true(failed > 30);
}

static void
damage_is_reported(void **state)
{
	struct mailbox *m = open_box();
	size_t damaged = 0, fine = 0, opened = 0;
	char text[80];

	for (uint64_t i = 0; i < 60; i++) {
		struct mailbox_input in = input(letter(text, sizeof text, i + 1));
		uint32_t uid;
		bool fresh;

		assert_int_equal(mailbox_deliver(m, i + 1, 1, INBOX, &in, &uid, &fresh), 0);
	}
	mailbox_close(&m);
	copy_file(in_dir("mail.db"), in_dir("good"));
	for (unsigned i = 0; i < rounds(80); i++) {
		struct mailbox_snapshot s = { 0 };
		enum store_err e;

		copy_file(in_dir("good"), in_dir("mail.db"));
		flip_bits(in_dir("mail.db"), 1 + rng() % 30);
		m = NULL;
		if (mailbox_open(in_dir("mail.db"), 7, NOW, &m) != STORE_OK)
			continue;
		opened++;
		e = mailbox_snapshot(m, INBOX, 0, 0, &s);
		for (size_t k = 0; k < s.n; k++) {
			struct mailbox_content c;
			enum store_err one = mailbox_content(m, INBOX, s.row[k].uid, &c);

			/* what is served is what was stored: the hash says so */
			if (one == STORE_OK) {
				fine += slice_starts(c.bytes, S("Subject: letter ")) ? 1 : 0;
				mailbox_content_free(&c);
			} else {
				damaged++;
			}
		}
		mailbox_snapshot_free(&s);
		assert_true(e == STORE_OK || e == STORE_DAMAGED);
		(void)mailbox_expunge(m, INBOX, NULL, 0, NULL, NULL, NULL);
		mailbox_close(&m);
	}
	assert_true(opened > 10 && fine > 200 && damaged > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh_dir, drop_dir)
		T(survives_kills), T(survives_power_cuts), T(flush_is_what_saves), T(every_fault),
		T(damage_is_reported),
	};

	testvfs_register();
	testvfs_idle_disk(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
