/* SPDX-License-Identifier: MIT */
#include "lib/store/test_help.h"

#include <pthread.h>

#include "lib/store/db.h"
#include "lib/store/mailbox.h"
#include "lib/store/memfd.h"

#define NOW ((uint64_t)1700000000000000)
#define INBOX 1u

static struct mailbox *
open_box(void)
{
	struct mailbox *m = NULL;

	assert_int_equal(mailbox_open(in_dir("mail.db"), 7, NOW, &m), STORE_OK);
	return m;
}

static struct mailbox_input
input(struct slice content)
{
	return (struct mailbox_input){ .content = content, .fd = -1, .date = 1700000000 };
}

static uint32_t
append(struct mailbox *m, uint64_t folder, struct slice content, uint32_t flags)
{
	struct mailbox_input in = input(content);
	uint32_t uid = 0;

	in.flags = flags;
	assert_int_equal(mailbox_append(m, folder, &in, &uid), STORE_OK);
	return uid;
}

static bool
holds(struct mailbox *m, uint64_t folder, uint32_t uid, struct slice want)
{
	struct mailbox_content c;
	bool same;

	assert_int_equal(mailbox_content(m, folder, uid, &c), STORE_OK);
	same = slice_eq(c.bytes, want);
	mailbox_content_free(&c);
	return same;
}

static struct mailbox_folder
folder_of(struct mailbox *m, uint64_t id)
{
	struct mailbox_folder f;

	assert_int_equal(mailbox_folder_get(m, id, NULL, &f), STORE_OK);
	return f;
}

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

	for (unsigned i = 0; i < rounds(60); i++) {
		struct mailbox *m;
		struct mailbox_folder f;

		if (p->appended > 400 || i % 40 == 0) {
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
	};
	size_t failed = 0;

	for (size_t k = 0; k < 2 * (sizeof kind / sizeof kind[0]); k++)
		for (uint64_t nth = 1; nth < 400; nth++) {
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
	assert_true(failed > 60);
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
		T(folders), T(names), T(contents), T(deliveries), T(flags_and_keywords),
		T(copies_and_expunge), T(inbox_renamed), T(threads_share_flushes),
		T(survives_kills), T(survives_power_cuts), T(flush_is_what_saves), T(every_fault),
		T(damage_is_reported),
	};

	testvfs_register();
	testvfs_idle_disk(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
