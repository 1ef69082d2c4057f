/* SPDX-License-Identifier: MIT
 * Messages that change, talks whose other side is written down beforehand, and several milters in a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "rooms/milter/milter.h"

#define MAIL "Received: ours\r\nFrom: a@b.example\r\nSubject: x\r\n y\r\nSubject: two\r\n\r\nhello\r\n"
#define TRACE ((uint64_t)16)

#define P1(cmd) "\0\0\0\1" cmd
#define C P1("c")
#define C2 C C
#define OPT(actions) "\0\0\0\x0dO\0\0\0\6\0\0\0" actions "\0\0\0\0"
#define ALL OPT("\x7f")
/* connect, helo, mail, two recipients, data, three fields, end of header, body */
#define TO_END C2 C2 C2 C2 C C2

static struct milter_settings settings = { .hostname = S_INIT("mx.example.test"), .max_size = 10000 };

static struct slice
written(const struct milter_message *m, struct arena *a)
{
	own(fd_t) fd = memfd_create("test", MFD_CLOEXEC);
	struct slice out = S("");
	uint64_t n = 0;
	void *p;

	assert_true(milter_message_write(m, fd, 100, 10000, &n));
	p = arena_alloc(a, n, 1);
	assert_true(p != NULL && pread(fd, p, n, 100) == (ssize_t)n);
	out = slice_of(p, n);
	return out;
}

static void
messages(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	struct milter_message m;

	assert_true(milter_message_read(&m, S(MAIL), 0, TRACE, a));
	assert_true(m.n == 4 && m.field[0].hidden && !m.field[1].hidden && slice_eq(m.body, S("hello\r\n")));
	assert_true(slice_eq(written(&m, a), S(MAIL)));
	assert_true(milter_message_append(&m, S("X-Last"), S("X-Last: 1\r\n")));
	assert_true(milter_message_insert(&m, 0, S("X-First"), S("X-First: 1\r\n")));
	assert_true(milter_message_insert(&m, 3, S("X-Third"), S("X-Third: 1\r\n")));
	assert_true(milter_message_insert(&m, 99, S("X-End"), S("X-End: 1\r\n")));
	assert_true(milter_message_change(&m, 2, S("subject"), S("")));
	assert_true(milter_message_change(&m, 1, S("SUBJECT"), S("Subject: new\r\n")));
	assert_true(milter_message_change(&m, 1, S("Received"), S(""))); /* ours is hidden, and stays */
	assert_true(milter_message_change(&m, 1, S("X-New"), S("X-New: 1\r\n")));
	assert_true(slice_eq(written(&m, a), S("Received: ours\r\nX-First: 1\r\nFrom: a@b.example\r\nX-Third: 1\r\n"
	    "Subject: new\r\nX-Last: 1\r\nX-End: 1\r\nX-New: 1\r\n\r\nhello\r\n")));
	assert_true(m.changed);
}

/* Messages without a body, without an empty line, without anything. */
static void
odd_messages(void **state)
{
	static const struct slice odd[] = { S_INIT("A: b\r\n"), S_INIT("\r\nbody\r\n"), S_INIT("A: b\r\n\r\n"), S_INIT("junk\r\nA: b\r\n") };

	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		own(arena_p) a = arena_new("test", 1 << 20);
		struct milter_message m;

		assert_true(milter_message_read(&m, odd[i], 0, 0, a));
		assert_true(slice_eq(written(&m, a), odd[i]));
	}
}

static const struct {
	const char *name;
	struct slice said;
	enum milter_outcome end;
	const char *stage; /* where it ended */
	unsigned code;
	size_t wishes;
} talks[] = {
	{ "all is well", S_INIT(ALL TO_END C), MILTER_PASSED, "end of body", 0, 0 },
	{ "accept at once", S_INIT(ALL P1("a")), MILTER_PASSED, "connect", 0, 0 },
	{ "accept one recipient", S_INIT(ALL C2 C P1("a") C C2 C2 C2 C), MILTER_PASSED, "end of body", 0, 0 },
	{ "nothing is wanted", S_INIT("\0\0\0\x0dO\0\0\0\6\0\0\0\0\0\0\2\x7f" C), MILTER_PASSED, "end of body", 0, 0 },
	{ "no answers before the end", S_INIT("\0\0\0\x0dO\0\0\0\6\0\0\0\x7f\0\x0f\xf0\x80" C), MILTER_PASSED, "end of body", 0, 0 },
	{ "reject", S_INIT(ALL C2 P1("r")), MILTER_REFUSED, "mail", 550, 0 },
	{ "tempfail", S_INIT(ALL C2 C C P1("t")), MILTER_REFUSED, "rcpt", 451, 0 },
	{ "its own words", S_INIT(ALL TO_END "\0\0\0\x10y554 5.7.1 spam\0"), MILTER_REFUSED, "end of body", 554, 0 },
	{ "shut down", S_INIT(ALL P1("4")), MILTER_REFUSED, "connect", 451, 0 },
	{ "discard", S_INIT(ALL TO_END P1("d")), MILTER_DISCARDED, "end of body", 0, 0 },
	{ "progress", S_INIT(ALL TO_END P1("p") P1("p") P1("p") C), MILTER_PASSED, "end of body", 0, 0 },
	{ "skip was not negotiated", S_INIT(ALL C2 C2 C2 C2 C C P1("s") C), MILTER_FAILED, "body", 0, 0 },
	{ "skip", S_INIT("\0\0\0\x0dO\0\0\0\6\0\0\0\x7f\0\0\4\0" C2 C2 C2 C2 C C P1("s") C), MILTER_PASSED, "end of body", 0, 0 },
	{ "a change", S_INIT(ALL TO_END "\0\0\0\5hA\0b\0" C), MILTER_PASSED, "end of body", 0, 1 },
	{ "a change, then nothing", S_INIT(ALL TO_END "\0\0\0\5hA\0b\0"), MILTER_FAILED, "end of body", 0, 1 },
	{ "a change, then a refusal", S_INIT(ALL TO_END "\0\0\0\5hA\0b\0" P1("r")), MILTER_REFUSED, "end of body", 550, 1 },
	{ "half of a body", S_INIT(ALL TO_END "\0\0\0\5bnew\r"), MILTER_FAILED, "end of body", 0, 0 },
	{ "a change before the end", S_INIT(ALL "\0\0\0\5hA\0b\0"), MILTER_FAILED, "connect", 0, 0 },
	{ "a change that was not negotiated", S_INIT(OPT("\1") TO_END "\0\0\0\2bx" C), MILTER_FAILED, "end of body", 0, 0 },
	{ "a field that is two", S_INIT(ALL TO_END "\0\0\0\x0ahA\0b\nBcc:\0" C), MILTER_FAILED, "end of body", 0, 0 },
	{ "more than was offered", S_INIT("\0\0\0\x0dO\0\0\0\6\0\0\1\x7f\0\0\0\0" C), MILTER_FAILED, "negotiation", 0, 0 },
	{ "another version", S_INIT("\0\0\0\x0dO\0\0\0\7\0\0\0\0\0\0\0\0" C), MILTER_FAILED, "negotiation", 0, 0 },
	{ "no negotiation", S_INIT(C C), MILTER_FAILED, "negotiation", 0, 0 },
	{ "silence", S_INIT(""), MILTER_FAILED, "negotiation", 0, 0 },
	{ "an empty packet", S_INIT(ALL "\0\0\0\0"), MILTER_FAILED, "connect", 0, 0 },
	{ "an endless packet", S_INIT(ALL "\x7f\xff\xff\xff" "c"), MILTER_FAILED, "connect", 0, 0 },
	{ "no milter", S_INIT("HTTP/1.1 400 Bad Request\r\n"), MILTER_FAILED, "negotiation", 0, 0 },
	{ "a 2xx of its own", S_INIT(ALL "\0\0\0\x0cy250 2.0.0 k\0"), MILTER_FAILED, "connect", 0, 0 },
};

static enum milter_outcome
talk(struct slice said, bool hang, struct arena *a, struct milter_talk *t, struct buf *heard)
{
	static struct smtp_milter_address to[] = { { S_INIT("bob@example.test") }, { S_INIT("alice@example.test") } };
	static struct milter_conf conf = { .name = S_INIT("one"), .timeout_ms = 50 };
	static struct smtp_milter_ask in = { .queue_id = S_INIT("q.1"), .helo = S_INIT("client.example"),
		.sender = S_INIT("a@b.example"), .rcpts = to, .n_rcpts = 2, .peer_ip = S_INIT("\xc0\0\2\7") };
	struct stream_memory memory = { .in = said, .hang = hang };
	struct milter_message m;
	struct stream io = { 0 };
	enum milter_outcome end;

	buf_init(&memory.out, 100000);
	assert_true(milter_message_read(&m, S(MAIL), 0, TRACE, a));
	stream_init_memory(&io, &memory);
	*t = (struct milter_talk){ .settings = &settings, .conf = &conf, .in = &in, .message = &m, .a = a, .io = &io,
		.until_ms = clock_mono_ms() + 5000 };
	end = milter_talk(t);
	if (heard != NULL)
		assert_true(buf_add(heard, buf_slice(&memory.out)));
	stream_close(&io);
	buf_free(&memory.out);
	return end;
}

static void
talk_table(void **state)
{
	for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
		own(arena_p) a = arena_new("test", 1 << 22);
		struct milter_talk t;
		enum milter_outcome end = talk(talks[i].said, false, a, &t, NULL);

		if (end != talks[i].end || !slice_eq(slice_z(t.stage), slice_z(talks[i].stage)) || t.code != talks[i].code ||
		    t.n_wishes != talks[i].wishes)
			fail_msg("%s: ended %d at %s, code %u, %zu wishes, %s", talks[i].name, end, t.stage, t.code, t.n_wishes,
			    t.why == NULL ? "" : t.why);
		buf_free(&t.body);
	}
}

/* SECURITY.md, lesson (d): whatever a milter leaves out, it is never "accept". */
static void
never_accept(void **state)
{
	static const struct slice whole = S_INIT(ALL TO_END "\0\0\0\5hA\0b\0" "\0\0\0\5bnew\r" C);

	for (size_t n = 0; n < whole.n; n++)
		for (int hang = 0; hang < 2; hang++) {
			own(arena_p) a = arena_new("test", 1 << 22);
			struct milter_talk t;

			assert_int_equal(talk(slice_head(whole, n), hang != 0, a, &t, NULL), MILTER_FAILED);
			assert_non_null(t.why);
			buf_free(&t.body);
		}
}

static void
what_is_said(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 22);
	own(buf_t) heard = { .max = 100000 };
	struct milter_talk t;

	assert_int_equal(talk(S(ALL TO_END C), false, a, &t, &heard), MILTER_PASSED);
	buf_free(&t.body);
	struct slice h = buf_slice(&heard);

	assert_true(slice_starts(h, S("\0\0\0\x0dO\0\0\0\6\0\0\0\x7f\0\x1f\xf7\xff")));
	assert_true(slice_find(h, S("C[192.0.2.7]\0" "4\0\0" "192.0.2.7\0")) != SLICE_NONE);
	assert_true(slice_find(h, S("Hclient.example\0")) != SLICE_NONE && slice_find(h, S("M<a@b.example>\0")) != SLICE_NONE);
	assert_true(slice_find(h, S("R<bob@example.test>\0")) != SLICE_NONE && slice_find(h, S("R<alice@example.test>\0")) != SLICE_NONE);
	assert_true(slice_find(h, S("Di\0q.1\0")) == SLICE_NONE && slice_find(h, S("DMi\0q.1\0")) != SLICE_NONE);
	assert_true(slice_find(h, S("LFrom\0a@b.example\0")) != SLICE_NONE && slice_find(h, S("LSubject\0x\n y\0")) != SLICE_NONE);
	assert_true(slice_find(h, S("Received")) == SLICE_NONE && slice_find(h, S("Bhello\r\n")) != SLICE_NONE);
	assert_true(slice_ends(h, S("\0\0\0\1E\0\0\0\1Q")));
}

/* ---- several in a row ---- */

static struct {
	struct slice said[3];
	unsigned dialed, failures;
} world;

static int
dial(void *ctx, const struct milter_conf *m, uint64_t deadline_ms, const char **why)
{
	struct slice said = world.said[world.dialed++];
	int ends[2];

	if (said.n == 0)
		return -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(write(ends[1], said.p, said.n), said.n);
	assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
	(void)fcntl(ends[1], F_SETFD, 0); /* left open: what is said to it has somewhere to go */
	return ends[0];
}

static void
hear_event(void *ctx, enum event_kind kind, uint64_t session, struct slice queue_id, struct slice account,
    const struct event_field *fields, size_t n)
{
	world.failures += kind == EVENT_MILTER_FAILED;
}

static struct smtp_milter_ask_answer
judge(struct slice one, struct slice two, bool accept, struct arena *a, struct slice *made)
{
	static struct smtp_milter_address to[] = { { S_INIT("bob@example.test") }, { S_INIT("alice@example.test") } };
	struct milter_settings s = settings;
	struct milter_backend back = { .connect = dial, .event = hear_event };
	struct smtp_milter_ask in = { .queue_id = S("q.1"), .sender = S("a@b.example"), .rcpts = to, .n_rcpts = 2,
		.size = S(MAIL).n, .trace = TRACE };
	own(fd_t) fd = memfd_create("test", MFD_CLOEXEC);
	struct smtp_milter_ask_answer out;
	void *p;

	s.n = 2;
	s.milter[0] = (struct milter_conf){ .name = S("one"), .timeout_ms = 1000, .accept = accept, .incoming = true };
	s.milter[1] = (struct milter_conf){ .name = S("two"), .timeout_ms = 1000, .incoming = true };
	world.said[0] = one;
	world.said[1] = two;
	world.dialed = world.failures = 0;
	assert_int_equal(pwrite(fd, MAIL, S(MAIL).n, 0), S(MAIL).n);
	milter_judge(&s, &back, &in, false, S(MAIL), fd, a, &out);
	if (out.changed) {
		p = arena_alloc(a, out.length, 1);
		assert_int_equal(pread(fd, p, out.length, (off_t)out.at), out.length);
		*made = slice_of(p, out.length);
	}
	return out;
}

#define QUIET "\0\0\0\x0dO\0\0\0\6\0\0\0\x7f\0\x0f\xf0\x80"

static void
in_a_row(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 22);
	struct smtp_milter_ask_answer out;
	struct slice made = S("");

	out = judge(S(QUIET "\0\0\0\x05hA\0b\0" "\0\0\0\2q\0" "\0\0\0\3+a\0" C), S(QUIET "\0\0\0\6bbody\n" "\0\0\0\x0bm\0\0\0\1A\0new\0" C),
	    false, a, &made);
	assert_int_equal(out.action, SMTP_MILTER_ACTION_HOLD);
	assert_true(slice_eq(out.why, S("one: ")) && out.n_add == 1 && slice_eq(out.add[0].address, S("a")));
	assert_true(out.changed && slice_ends(made, S("\r\nA: new\r\n\r\nbody\n")) && slice_starts(made, S("Received: ours\r\nFrom:")));
	out = judge(S(QUIET C), S(QUIET C), false, a, &made);
	assert_true(out.action == SMTP_MILTER_ACTION_ACCEPT && !out.changed && world.dialed == 2);
	out = judge(S(QUIET P1("d")), S(""), false, a, &made);
	assert_true(out.action == SMTP_MILTER_ACTION_DISCARD && world.dialed == 1);
	out = judge(S(QUIET P1("r")), S(""), false, a, &made);
	assert_true(out.action == SMTP_MILTER_ACTION_REJECT && out.code == 550 && world.dialed == 1);
}

/* One that fails leaves nothing behind, and is 4xx unless the administrator said otherwise. */
static void
failures(void **state)
{
	static const struct slice broken[] = { S_INIT(""), S_INIT("garbage!"), S_INIT(QUIET), S_INIT(QUIET "\0\0\0\5hA\0b\0"),
		S_INIT(QUIET "\0\0\0\5bhalf") };

	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		own(arena_p) a = arena_new("test", 1 << 22);
		struct smtp_milter_ask_answer out;
		struct slice made = S("");

		out = judge(broken[i], S(QUIET C), false, a, &made);
		assert_true(out.action == SMTP_MILTER_ACTION_DEFER && out.code == 451 && slice_eq(out.enhanced, S("4.7.1")));
		assert_true(world.failures == 1 && world.dialed == 1 && !out.changed && out.n_add == 0);
		out = judge(broken[i], S(QUIET C), true, a, &made);
		assert_true(out.action == SMTP_MILTER_ACTION_ACCEPT && world.failures == 1 && world.dialed == 2 && !out.changed);
		out = judge(broken[i], broken[i], true, a, &made); /* the second's is the default */
		assert_true(out.action == SMTP_MILTER_ACTION_DEFER && world.failures == 2);
	}
}

/* One recipient, before there is a message: its own words, and whatever fails is 4xx. */
static void
one_recipient(void **state)
{
	static const struct {
		const char *name;
		struct slice one, two;
		enum smtp_milter_action action;
		unsigned code, dialed;
	} rows[] = {
		{ "no objection", S_INIT(ALL C2 C2), S_INIT(ALL C2 C2), SMTP_MILTER_ACTION_ACCEPT, 0, 2 },
		{ "accept", S_INIT(ALL C2 C P1("a")), S_INIT(ALL C2 C2), SMTP_MILTER_ACTION_ACCEPT, 0, 2 },
		{ "refused", S_INIT(ALL C2 C P1("r")), S_INIT(""), SMTP_MILTER_ACTION_REJECT, 550, 1 },
		{ "by the second", S_INIT(ALL C2 C2), S_INIT(ALL C2 C "\0\0\0\x10y553 5.7.9 none\0"), SMTP_MILTER_ACTION_REJECT, 553, 2 },
		{ "not now", S_INIT(ALL C2 C P1("t")), S_INIT(""), SMTP_MILTER_ACTION_DEFER, 451, 1 },
		{ "no such sender", S_INIT(ALL C2 P1("r")), S_INIT(""), SMTP_MILTER_ACTION_REJECT, 550, 1 },
		{ "discard comes at the end", S_INIT(ALL C2 C P1("d")), S_INIT(""), SMTP_MILTER_ACTION_ACCEPT, 0, 1 },
		{ "gone before", S_INIT(""), S_INIT(""), SMTP_MILTER_ACTION_DEFER, 451, 1 },
		{ "gone at it", S_INIT(ALL C2 C), S_INIT(""), SMTP_MILTER_ACTION_DEFER, 451, 1 },
		{ "a change", S_INIT(ALL C2 C "\0\0\0\5hA\0b\0"), S_INIT(""), SMTP_MILTER_ACTION_DEFER, 451, 1 },
	};
	static struct smtp_milter_address to[] = { { S_INIT("bob@example.test") } };
	struct smtp_milter_ask in = { .queue_id = S("q.1"), .sender = S("a@b.example"), .rcpts = to, .n_rcpts = 1, .fd = -1 };
	struct milter_backend back = { .connect = dial, .event = hear_event };
	struct milter_settings s = settings;

	s.n = 2;
	s.milter[0] = (struct milter_conf){ .name = S("one"), .timeout_ms = 1000, .incoming = true };
	s.milter[1] = (struct milter_conf){ .name = S("two"), .timeout_ms = 1000, .incoming = true };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		own(arena_p) a = arena_new("test", 1 << 22);
		struct smtp_milter_ask_answer out;

		world.said[0] = rows[i].one;
		world.said[1] = rows[i].two;
		world.dialed = 0;
		milter_recipient(&s, &back, &in, false, a, &out);
		if (out.action != rows[i].action || out.code != rows[i].code || world.dialed != rows[i].dialed)
			fail_msg("%s: %d, code %u, %u asked", rows[i].name, out.action, out.code, world.dialed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(messages), cmocka_unit_test(odd_messages), cmocka_unit_test(talk_table),
		cmocka_unit_test(never_accept), cmocka_unit_test(what_is_said), cmocka_unit_test(in_a_row), cmocka_unit_test(failures),
		cmocka_unit_test(one_recipient) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
