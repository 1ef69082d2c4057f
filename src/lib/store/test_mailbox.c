/* SPDX-License-Identifier: MIT */
#include "lib/store/test_mailbox.h"

#include <pthread.h>

struct names {
	char text[2048];
	size_t n;
};

static bool
add_name(void *ctx, const struct mailbox_folder *f)
{
	struct names *s = ctx;

	s->n += (size_t)snprintf(&s->text[s->n], sizeof s->text - s->n, "%.*s%s%s;", SFMT(f->name),
	    f->noselect ? "!" : "", f->subscribed ? "" : "-");
	return true;
}

static bool
folders_are(struct mailbox *m, const char *want)
{
	static struct names s;

	s.n = 0;
	s.text[0] = 0;
	assert_int_equal(mailbox_folders(m, add_name, &s), STORE_OK);
	if (strcmp(s.text, want) != 0)
		print_message("folders: %s\nwanted:  %s\n", s.text, want);
	return strcmp(s.text, want) == 0;
}

#define FIRST "INBOX;Archive;Drafts;Junk;Sent;Trash;"

static void
folders(void **state)
{
	struct mailbox *m = open_box();
	own(arena_p) a = arena_new("test", 65536);
	struct mailbox_folder f, g;
	uint64_t id, other;

	assert_true(folders_are(m, FIRST));
	assert_int_equal(mailbox_use_id(m, MAILBOX_JUNK, &id), STORE_OK);
	assert_int_equal(mailbox_folder_find(m, S("Junk"), a, &f), STORE_OK);
	assert_true(f.id == id && f.use == MAILBOX_JUNK && f.subscribed && f.uidnext == 1);
	assert_int_equal(mailbox_folder_find(m, S("inbox"), a, &f), STORE_OK);
	assert_true(slice_eq(f.name, S("INBOX")) && f.id == INBOX && f.highestmodseq == 1);
	assert_true(f.uidvalidity > 0);
	assert_int_equal(mailbox_create(m, S("a/b/c"), &id), STORE_OK);
	assert_true(folders_are(m, "INBOX;Archive;Drafts;Junk;Sent;Trash;a!-;a/b!-;a/b/c-;"));
	assert_int_equal(mailbox_create(m, S("a/b/c"), &other), STORE_EXISTS);
	assert_int_equal(mailbox_folder_id(m, S("a/b"), &other), STORE_NONE);
	assert_int_equal(mailbox_create(m, S("a/b/"), &other), STORE_OK);
	f = folder_of(m, other);
	assert_int_equal(mailbox_delete(m, S("a/b")), STORE_OK); /* has a child: stays, noselect */
	assert_int_equal(mailbox_delete(m, S("a/b")), STORE_REFUSED);
	assert_int_equal(mailbox_create(m, S("a/b"), &other), STORE_OK);
	g = folder_of(m, other);
	assert_true(g.uidvalidity > f.uidvalidity);
	assert_int_equal(mailbox_rename(m, S("a/b"), S("a/b/x")), STORE_REFUSED);
	assert_int_equal(mailbox_rename(m, S("a/b"), S("Sent")), STORE_EXISTS);
	assert_int_equal(mailbox_rename(m, S("nope"), S("x")), STORE_NONE);
	assert_int_equal(mailbox_rename(m, S("a"), S("z/y")), STORE_OK);
	assert_true(folders_are(m, FIRST "z!-;z/y!-;z/y/b-;z/y/b/c-;"));
	assert_int_equal(mailbox_delete(m, S("z/y/b/c")), STORE_OK);
	assert_int_equal(mailbox_delete(m, S("z/y/b")), STORE_OK);
	assert_true(folders_are(m, FIRST)); /* empty levels go with their last child */
	assert_int_equal(mailbox_delete(m, S("Inbox")), STORE_REFUSED);
	assert_int_equal(mailbox_subscribe(m, S("gone"), true), STORE_OK);
	assert_int_equal(mailbox_subscribe(m, S("gone"), true), STORE_OK);
	assert_int_equal(mailbox_subscribe(m, S("gone"), false), STORE_OK);
	assert_int_equal(mailbox_subscribe(m, S("gone"), false), STORE_NONE);
	assert_int_equal(mailbox_subscribe(m, S("Junk"), false), STORE_OK);
	assert_true(folders_are(m, "INBOX;Archive;Drafts;Junk-;Sent;Trash;"));
	assert_int_equal(mailbox_create(m, S("again"), &id), STORE_OK);
	f = folder_of(m, id);
	assert_int_equal(mailbox_delete(m, S("again")), STORE_OK);
	assert_int_equal(mailbox_create(m, S("again"), &other), STORE_OK);
	assert_true(other > id && folder_of(m, other).uidvalidity > f.uidvalidity);
	mailbox_close(&m);
	assert_int_equal(mailbox_open(in_dir("mail.db"), 8, NOW, &m), STORE_REFUSED);
	assert_null(m);
}

static void
names(void **state)
{
	static const struct { struct slice name; bool valid; } t[] = {
		{ S_INIT("a"), true }, { S_INIT("a/b c/d"), true }, { S_INIT("Entw\xc3\xbcrfe"), true },
		{ S_INIT(""), false }, { S_INIT("/a"), false }, { S_INIT("a/"), false },
		{ S_INIT("a//b"), false }, { S_INIT("."), false }, { S_INIT("a/../b"), false },
		{ S_INIT("a\x01"), false }, { S_INIT("a\xff"), false }, { S_INIT("..."), true },
		{ S_INIT("a\0b"), false }, { S_INIT("\x7f"), false },
	};
	char deep[300];

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
		assert_int_equal(mailbox_name_valid(t[i].name), t[i].valid);
	for (size_t i = 0; i < 300; i++)
		deep[i] = i % 2 == 0 ? 'x' : '/';
	assert_true(mailbox_name_valid(slice_of(deep, 127)));  /* 64 levels */
	assert_false(mailbox_name_valid(slice_of(deep, 129))); /* 65 */
	memset(deep, 'x', sizeof deep);
	assert_true(mailbox_name_valid(slice_of(deep, 300)));
}

static void
contents(void **state)
{
	static const size_t size[] = { 0, 1, 255, 256, 4096, STORE_CHUNK - 3, STORE_CHUNK - 2,
		STORE_CHUNK, STORE_CHUNK + 1, 3 * STORE_CHUNK - 2, 3 * STORE_CHUNK + 5 };
	struct mailbox *m = open_box();
	size_t most = 4 * STORE_CHUNK;
	uint8_t *p = malloc(most);

	for (size_t i = 0; i < most; i++) /* the first chunk does not compress, the others do */
		p[i] = i < STORE_CHUNK ? (uint8_t)rng() : (uint8_t)('a' + i % 7);
	for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
		struct mailbox_input in = input(slice_of(p, size[i]));
		struct mailbox_content c;
		own(fd_t) fd = memfd_new("t");
		uint32_t uid, by_fd;

		in.prefix = S("P:");
		p[0] = 'P';
		p[1] = ':';
		in.content = slice_of(&p[2], size[i]);
		assert_int_equal(mailbox_append(m, INBOX, &in, &uid), STORE_OK);
		assert_true(holds(m, INBOX, uid, slice_of(p, size[i] + 2)));
		assert_int_equal(memfd_write(fd, in.content), STORE_OK);
		in.fd = fd;
		in.size = size[i];
		assert_int_equal(mailbox_append(m, INBOX, &in, &by_fd), STORE_OK);
		assert_true(holds(m, INBOX, by_fd, slice_of(p, size[i] + 2)));
		assert_int_equal(mailbox_content_head(m, INBOX, uid, 300, &c), STORE_OK);
		assert_true(slice_eq(c.bytes, slice_head(slice_of(p, size[i] + 2), 300)));
		mailbox_content_free(&c);
		in.size++;
		assert_int_equal(mailbox_append(m, INBOX, &in, &by_fd), STORE_IO);
		if (i % 4 == 3)
			mailbox_relax(m);
	}
	assert_int_equal(folder_of(m, INBOX).exists, 2 * sizeof size / sizeof size[0]);
	assert_int_equal(mailbox_verify(m), STORE_OK);
	assert_int_equal(mailbox_content(m, INBOX, 999, &(struct mailbox_content){ 0 }), STORE_NONE);
	mailbox_close(&m);
	m = open_box();
	assert_int_equal(mailbox_verify(m), STORE_OK);
	mailbox_close(&m);
	free(p);
}

static void
deliveries(void **state)
{
	struct mailbox *m = open_box();
	struct mailbox_input in = input(S("Subject: d\r\n\r\nd\r\n"));
	struct mailbox_delivery many[4];
	uint64_t syncs;
	uint32_t uid, again;
	bool fresh;

	syncs = testvfs_count(TESTVFS_SYNC);
	assert_int_equal(mailbox_deliver(m, 1024, 1024, INBOX, &in, &uid, &fresh), STORE_OK);
	assert_true(fresh && uid == 1);
	assert_int_equal(mailbox_deliver(m, 1024, 1024, INBOX, &in, &again, &fresh), STORE_OK);
	assert_true(!fresh && again == 1);
	assert_int_equal(mailbox_deliver(m, 2048, 2048, INBOX, &in, &uid, &fresh), STORE_OK);
	assert_true(fresh && uid == 2);
	assert_int_equal(mailbox_deliver(m, 1024, 2048, INBOX, &in, &again, &fresh), STORE_OK);
	assert_true(!fresh && again == 0); /* below the floor: settled, forgotten */
	for (size_t i = 0; i < 4; i++)
		many[i] = (struct mailbox_delivery){ .id = 3000 + i, .in = in,
			.folder = i == 2 ? 99 : INBOX };
	many[3].id = 3000;
	assert_int_equal(mailbox_deliver_many(m, 2048, many, 4), STORE_OK);
	assert_true(many[0].fresh && many[1].fresh && many[1].uid == 4);
	assert_int_equal(many[2].err, STORE_NONE);
	assert_true(many[3].err == STORE_OK && !many[3].fresh && many[3].uid == 3);
	/* one flush for all of them, none before (a WAL of a new file syncs its header once) */
	assert_true(testvfs_count(TESTVFS_SYNC) <= syncs + 1);
	syncs = testvfs_count(TESTVFS_SYNC);
	assert_int_equal(mailbox_flush(m), STORE_OK);
	assert_int_equal(mailbox_flush(m), STORE_OK);
	assert_int_equal(testvfs_count(TESTVFS_SYNC), syncs + 1);
	assert_int_equal(folder_of(m, INBOX).exists, 4);
	assert_int_equal(mailbox_deliver(m, 4000, 2048, INBOX, &in, &uid, &fresh), STORE_OK);
	(void)folder_of(m, INBOX); /* shows UIDNEXT: flushes first */
	assert_int_equal(testvfs_count(TESTVFS_SYNC), syncs + 2);
	mailbox_close(&m);
	m = open_box();
	assert_int_equal(mailbox_deliver(m, 4000, 2048, INBOX, &in, &again, &fresh), STORE_OK);
	assert_true(!fresh && again == uid);
	mailbox_close(&m);
}

static struct mailbox_flagged last_flagged;

static void
on_flag(void *ctx, const struct mailbox_flagged *r)
{
	++*(size_t *)ctx;
	last_flagged = *r;
}

static void
on_uid(void *ctx, uint32_t uid)
{
	uint32_t *all = ctx;

	all[++all[0]] = uid;
}

static bool
on_gone(void *ctx, uint32_t uid, uint64_t modseq)
{
	on_uid(ctx, uid);
	return true;
}

static void
flags_and_keywords(void **state)
{
	struct mailbox *m = open_box();
	static const uint32_t all[] = { 1, 2, 3, 9 };
	struct mailbox_flagging f = { .op = MAILBOX_ADD, .flags = MAILBOX_SEEN | 1024,
		.unchanged_since = UINT64_MAX };
	struct mailbox_snapshot s;
	struct mailbox_kw kw;
	size_t k1, k2, n = 0;
	char text[40];

	for (int i = 0; i < 3; i++)
		(void)append(m, INBOX, S("x"), 0);
	assert_int_equal(folder_of(m, INBOX).unseen, 3);
	assert_int_equal(mailbox_keyword(m, INBOX, S("$Label"), false, &k1), STORE_NONE);
	assert_int_equal(mailbox_keyword(m, INBOX, S("$Label"), true, &k1), STORE_OK);
	assert_int_equal(mailbox_keyword(m, INBOX, S("$label"), true, &k2), STORE_OK);
	assert_int_equal(k1, k2);
	assert_int_equal(mailbox_keyword(m, INBOX, S("bad kw"), true, &k2), STORE_REFUSED);
	mailbox_kw_set(&f.kw, k1);
	assert_int_equal(mailbox_flag(m, INBOX, all, 4, &f, on_flag, &n), STORE_OK);
	assert_true(n == 3 && last_flagged.uid == 3 && last_flagged.flags == MAILBOX_SEEN);
	assert_true(mailbox_kw_has(&last_flagged.kw, k1) && last_flagged.modseq == 5);
	assert_int_equal(folder_of(m, INBOX).unseen, 0);
	assert_int_equal(mailbox_flag(m, INBOX, all, 3, &f, on_flag, &n), STORE_OK);
	assert_int_equal(last_flagged.modseq, 5); /* nothing changed: no new modseq */
	assert_int_equal(folder_of(m, INBOX).highestmodseq, 5);
	f.op = MAILBOX_REMOVE;
	assert_int_equal(mailbox_flag(m, INBOX, &all[1], 1, &f, NULL, NULL), STORE_OK);
	f.op = MAILBOX_REPLACE;
	f.flags = MAILBOX_DELETED;
	f.unchanged_since = 5;
	n = 0;
	assert_int_equal(mailbox_flag(m, INBOX, &all[1], 2, &f, on_flag, &n), STORE_OK);
	assert_true(n == 2 && !last_flagged.conflict && last_flagged.modseq == 7);
	assert_int_equal(mailbox_snapshot(m, INBOX, 0, 0, &s), STORE_OK);
	assert_true(s.n == 3 && s.row[1].flags == 0 && s.row[1].modseq == 6);
	assert_true(s.row[2].flags == MAILBOX_DELETED && s.sets == 1 && s.row[1].kw == 0);
	kw = mailbox_snapshot_kw(&s, &s.row[2]);
	assert_true(mailbox_kw_has(&kw, k1));
	mailbox_snapshot_free(&s);
	assert_int_equal(mailbox_snapshot(m, INBOX, 0, 6, &s), STORE_OK);
	assert_true(s.n == 1 && s.row[0].uid == 3 && s.folder.highestmodseq == 7);
	mailbox_snapshot_free(&s);
	for (unsigned i = 1; i < LIMIT_IMAP_KEYWORDS; i++) {
		(void)snprintf(text, sizeof text, "k%u", i);
		assert_int_equal(mailbox_keyword(m, INBOX, slice_z(text), true, &k2), STORE_OK);
	}
	assert_int_equal(k2, 199);
	assert_int_equal(mailbox_keyword(m, INBOX, S("more"), true, &k2), STORE_LIMIT);
	assert_int_equal(mailbox_keyword(m, INBOX, S("K7"), true, &k2), STORE_OK);
	mailbox_close(&m);
	assert_int_equal(mailbox_open(in_dir("mail.db"), 7, NOW, &m), STORE_OK);
	assert_int_equal(mailbox_verify(m), STORE_OK);
	mailbox_close(&m);
}

static void
copies_and_expunge(void **state)
{
	struct mailbox *m = open_box();
	uint32_t uid[4] = { 1, 2, 3, 77 }, to[4] = { 9, 9, 9, 9 }, validity = 0;
	uint32_t gone[16] = { 0 };
	struct mailbox_flagging f = { .op = MAILBOX_ADD, .flags = MAILBOX_DELETED,
		.unchanged_since = UINT64_MAX };
	struct mailbox_snapshot s;
	struct mailbox_kw kw;
	uint64_t trash, modseq, high;
	size_t k1, k2;
	own(arena_p) a = arena_new("test", 65536);
	struct slice cached;

	assert_int_equal(mailbox_use_id(m, MAILBOX_TRASH, &trash), STORE_OK);
	for (int i = 0; i < 3; i++)
		(void)append(m, INBOX, S("content to be shared"), MAILBOX_SEEN);
	assert_int_equal(mailbox_keyword(m, trash, S("other"), true, &k2), STORE_OK);
	assert_int_equal(mailbox_keyword(m, INBOX, S("mine"), true, &k1), STORE_OK);
	assert_true(k1 == 0 && k2 == 0);
	mailbox_kw_set(&f.kw, k1);
	f.flags = MAILBOX_FLAGGED;
	assert_int_equal(mailbox_flag(m, INBOX, uid, 1, &f, NULL, NULL), STORE_OK);
	assert_int_equal(mailbox_cache_put(m, INBOX, 1, 3, S("envelope")), STORE_OK);
	assert_int_equal(mailbox_copy(m, INBOX, uid, 4, trash, false, to, &validity), STORE_OK);
	assert_true(to[0] == 1 && to[2] == 3 && to[3] == 0);
	assert_int_equal(validity, folder_of(m, trash).uidvalidity);
	assert_int_equal(mailbox_cache_get(m, trash, 1, 3, a, &cached), STORE_OK);
	assert_true(slice_eq(cached, S("envelope")));
	assert_int_equal(mailbox_cache_get(m, trash, 1, 4, a, &cached), STORE_NONE);
	assert_int_equal(mailbox_cache_get(m, trash, 2, 3, a, &cached), STORE_NONE);
	assert_int_equal(mailbox_snapshot(m, trash, 0, 0, &s), STORE_OK);
	kw = mailbox_snapshot_kw(&s, &s.row[0]);
	assert_true(!mailbox_kw_has(&kw, 0) && mailbox_kw_has(&kw, 1)); /* by name, not by number */
	assert_true(s.row[0].flags == (MAILBOX_SEEN | MAILBOX_FLAGGED));
	assert_true(s.row[0].date == 1700000000);
	mailbox_snapshot_free(&s);
	assert_int_equal(mailbox_copy(m, trash, uid, 1, trash, false, to, &validity), STORE_OK);
	assert_int_equal(to[0], 4);
	f = (struct mailbox_flagging){ .op = MAILBOX_ADD, .flags = MAILBOX_DELETED,
		.unchanged_since = UINT64_MAX };
	assert_int_equal(mailbox_flag(m, INBOX, uid, 2, &f, NULL, NULL), STORE_OK);
	high = folder_of(m, INBOX).highestmodseq;
	assert_int_equal(mailbox_expunge(m, INBOX, &uid[1], 3, on_uid, gone, &modseq), STORE_OK);
	assert_true(gone[0] == 1 && gone[1] == 2 && modseq == high + 1);
	assert_int_equal(mailbox_expunge(m, INBOX, NULL, 0, on_uid, gone, NULL), STORE_OK);
	assert_true(gone[0] == 2 && gone[2] == 1);
	assert_int_equal(mailbox_expunge(m, INBOX, NULL, 0, on_uid, gone, &modseq), STORE_OK);
	assert_true(gone[0] == 2 && modseq == high + 2);
	gone[0] = 0;
	assert_int_equal(mailbox_vanished(m, INBOX, high + 1, on_gone, gone), STORE_OK);
	assert_true(gone[0] == 1 && gone[1] == 1);
	assert_true(holds(m, trash, 1, S("content to be shared")));
	assert_int_equal(mailbox_copy(m, INBOX, &uid[2], 1, trash, true, to, &validity), STORE_OK);
	assert_true(to[0] == 5 && holds(m, trash, 5, S("content to be shared")));
	assert_int_equal(folder_of(m, INBOX).exists, 0);
	assert_int_equal(append(m, INBOX, S("next"), 0), 4); /* UIDs of the gone are not given again */
	assert_int_equal(mailbox_verify(m), STORE_OK);
	assert_int_equal(mailbox_delete(m, S("Trash")), STORE_OK);
	assert_int_equal(mailbox_verify(m), STORE_OK);
	mailbox_close(&m);
}

static void
inbox_renamed(void **state)
{
	struct mailbox *m = open_box();
	uint64_t id;
	uint32_t from;

	for (int i = 0; i < 1203; i++) {
		struct mailbox_input in = input(S("x"));
		uint32_t uid;
		bool fresh;

		assert_int_equal(mailbox_deliver(m, (uint64_t)i + 1, 1, INBOX, &in, &uid, &fresh), 0);
	}
	assert_int_equal(folder_of(m, INBOX).recent, 1203);
	assert_int_equal(mailbox_recent(m, INBOX, false, &from), STORE_OK);
	assert_int_equal(from, 1);
	assert_int_equal(mailbox_recent(m, INBOX, true, &from), STORE_OK);
	assert_int_equal(from, 1);
	assert_int_equal(mailbox_recent(m, INBOX, true, &from), STORE_OK);
	assert_true(from == 1204 && folder_of(m, INBOX).recent == 0);
	assert_int_equal(mailbox_rename(m, S("inbox"), S("old/mail")), STORE_OK);
	assert_int_equal(mailbox_folder_id(m, S("old/mail"), &id), STORE_OK);
	assert_true(folder_of(m, id).exists == 1203 && folder_of(m, INBOX).exists == 0);
	assert_int_equal(folder_of(m, INBOX).uidnext, 1204);
	assert_int_equal(mailbox_verify(m), STORE_OK);
	mailbox_close(&m);
}

/* ---- threads share flushes ---- */

struct worker {
	struct mailbox *m;
	bool ok;
};

static void *
appends(void *ctx)
{
	struct worker *w = ctx;
	struct mailbox_input in = input(S("Subject: t\r\n\r\nx\r\n"));
	uint32_t uid, last = 0;

	for (int i = 0; i < 50; i++) {
		if (mailbox_append(w->m, INBOX, &in, &uid) != STORE_OK || uid <= last)
			return NULL;
		last = uid;
		if (i % 10 == 0)
			(void)folder_of(w->m, INBOX);
	}
	w->ok = true;
	return NULL;
}

static void
threads_share_flushes(void **state)
{
	struct mailbox *m = open_box();
	struct worker w[8];
	pthread_t t[8];
	uint64_t syncs = testvfs_count(TESTVFS_SYNC);

	testvfs_delay(1000);
	for (size_t i = 0; i < 8; i++) {
		w[i] = (struct worker){ .m = m };
		assert_int_equal(pthread_create(&t[i], NULL, appends, &w[i]), 0);
	}
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(t[i], NULL), 0);
		assert_true(w[i].ok);
	}
	testvfs_delay(0);
	assert_int_equal(folder_of(m, INBOX).exists, 400);
	assert_true(testvfs_count(TESTVFS_SYNC) - syncs < 300);
	mailbox_close(&m);
}

/* A resting mailbox holds no file open, owes the disk nothing, and wakes up as it was. */
static void
rests(void **state)
{
	struct mailbox *m = open_box();
	struct mailbox_input in = input(S("Subject: r\r\n\r\nr\r\n"));
	struct worker w[4];
	pthread_t t[4];
	uint64_t opens, syncs;
	uint32_t uid;
	bool fresh;

	assert_int_equal(mailbox_deliver(m, 1, 1, INBOX, &in, &uid, &fresh), STORE_OK);
	mailbox_relax(m);
	opens = testvfs_count(TESTVFS_OPEN);
	syncs = testvfs_count(TESTVFS_SYNC);
	mailbox_relax(m);
	assert_int_equal(mailbox_flush(m), STORE_OK);
	assert_int_equal(testvfs_count(TESTVFS_OPEN), opens);
	assert_true(holds(m, INBOX, uid, in.content));
	assert_true(testvfs_count(TESTVFS_OPEN) > opens);
	assert_int_equal(testvfs_count(TESTVFS_SYNC), syncs);
	mailbox_relax(m);
	assert_int_equal(append(m, INBOX, in.content, 0), uid + 1);
	mailbox_relax(m);
	testvfs_fail((struct testvfs_fault){ .op = TESTVFS_OPEN, .nth = 1, .code = SQLITE_CANTOPEN });
	assert_int_equal(mailbox_append(m, INBOX, &in, &uid), STORE_IO);
	assert_int_equal(mailbox_append(m, INBOX, &in, &uid), STORE_OK);
	assert_int_equal(uid, 3);
	for (size_t i = 0; i < 4; i++) {
		w[i] = (struct worker){ .m = m };
		assert_int_equal(pthread_create(&t[i], NULL, appends, &w[i]), 0);
	}
	for (size_t i = 0; i < 200; i++)
		mailbox_relax(m);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(t[i], NULL), 0);
		assert_true(w[i].ok);
	}
	assert_int_equal(folder_of(m, INBOX).exists, 203);
	assert_int_equal(mailbox_verify(m), STORE_OK);
	mailbox_close(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh_dir, drop_dir)
		T(folders), T(names), T(contents), T(deliveries), T(flags_and_keywords),
		T(copies_and_expunge), T(inbox_renamed), T(threads_share_flushes), T(rests),
	};

	testvfs_register();
	testvfs_idle_disk(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
