/* SPDX-License-Identifier: MIT
 * The client's half of RFC 5321: what is said, and what each reply comes to (O-003, O-004, T-001, T-002). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rooms/send/test_mail.h"

#define D QUEUE_SEND_OUTCOME_DELIVERED
#define L QUEUE_SEND_OUTCOME_DEFERRED
#define F QUEUE_SEND_OUTCOME_FAILED
#define HI "220 mx.x.test\r\n250-mx.x.test\r\n"
#define PIPE HI "250 PIPELINING\r\n"
#define OK3 "250 s\r\n250 a\r\n250 b\r\n250 c\r\n"
#define BODY "Subject: x\r\n\r\n..dot\r\nend\r\n.\r\n"
#define ENVELOPE "MAIL FROM:<from@y.test>\r\nRCPT TO:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\n"

struct row {
	const char *name;
	struct slice server, said;
	enum talk_end hello, end;
	bool done;
	enum queue_send_outcome want[3];
	unsigned code;
	bool dead;
};

static const struct row rows[] = {
	{ "pipelined", S_INIT(PIPE OK3 "354 go\r\n250 2.0.0 taken\r\n"),
	    S_INIT("EHLO us.example\r\n" ENVELOPE "DATA\r\n" BODY), TALK_OK, TALK_OK, true, { D, D, D }, 250, false },
	{ "one by one", S_INIT(HI "250 X\r\n" OK3 "354 go\r\n250 taken\r\n"),
	    S_INIT("EHLO us.example\r\n" ENVELOPE "DATA\r\n" BODY), TALK_OK, TALK_OK, true, { D, D, D }, 250, false },
	{ "HELO", S_INIT("220 x\r\n502 what\r\n250 x\r\n" OK3 "354 go\r\n250 taken\r\n"),
	    S_INIT("EHLO us.example\r\nHELO us.example\r\n" ENVELOPE "DATA\r\n" BODY), TALK_OK, TALK_OK, true, { D, D, D },
	    250, false },
	{ "BDAT", S_INIT(HI "250-PIPELINING\r\n250 CHUNKING\r\n" OK3 "250 taken\r\n"),
	    S_INIT("EHLO us.example\r\n" ENVELOPE "BDAT 25 LAST\r\nSubject: x\r\n\r\n.dot\r\nend\r\n"), TALK_OK, TALK_OK,
	    true, { D, D, D }, 250, false },
	{ "BDAT refused", S_INIT(HI "250-PIPELINING\r\n250 CHUNKING\r\n" OK3 "552 no\r\n"), S_INIT(""), TALK_OK, TALK_OK,
	    true, { F, F, F }, 552, false },
	{ "each its own", S_INIT(PIPE "250 s\r\n250 a\r\n450 4.2.1 b\r\n550 5.1.1 c\r\n354 go\r\n250 taken\r\n"),
	    S_INIT(""), TALK_OK, TALK_OK, true, { D, L, F }, 250, false },
	{ "too many", S_INIT(PIPE "250 s\r\n250 a\r\n552 b\r\n452 c\r\n354 go\r\n250 taken\r\n"), S_INIT(""), TALK_OK,
	    TALK_OK, true, { D, L, L }, 250, false },
	{ "nobody", S_INIT(PIPE "250 s\r\n550 a\r\n550 b\r\n450 c\r\n503 what\r\n"), S_INIT(""), TALK_OK, TALK_OK, true,
	    { F, F, L }, 550, false },
	{ "nobody, and DATA all the same", S_INIT(PIPE "250 s\r\n550 a\r\n550 b\r\n550 c\r\n354 go\r\n554 nobody\r\n"),
	    S_INIT("EHLO us.example\r\n" ENVELOPE "DATA\r\n.\r\n"), TALK_OK, TALK_OK, true, { F, F, F }, 550, false },
	{ "sender refused", S_INIT(PIPE "550 5.7.1 you\r\n503 a\r\n503 b\r\n503 c\r\n503 d\r\n"), S_INIT(""), TALK_OK,
	    TALK_OK, true, { F, F, F }, 550, false },
	{ "sender deferred", S_INIT(PIPE "450 later\r\n503 a\r\n503 b\r\n503 c\r\n503 d\r\n"), S_INIT(""), TALK_OK,
	    TALK_NEXT, false, { L, L, L }, 0, false },
	{ "DATA refused", S_INIT(PIPE OK3 "451 no\r\n"), S_INIT(""), TALK_OK, TALK_OK, true, { L, L, L }, 451, false },
	{ "DATA with 250", S_INIT(PIPE OK3 "250 nonsense\r\n"), S_INIT(""), TALK_OK, TALK_OK, true, { L, L, L }, 0,
	    false },
	{ "content refused", S_INIT(PIPE OK3 "354 go\r\n550 5.7.1 spam\r\n"), S_INIT(""), TALK_OK, TALK_OK, true,
	    { F, F, F }, 550, false },
	{ "content with 354", S_INIT(PIPE OK3 "354 go\r\n354 again\r\n"), S_INIT(""), TALK_OK, TALK_OK, true, { L, L, L },
	    354, false },
	{ "421 to RCPT", S_INIT(PIPE "250 s\r\n250 a\r\n421 4.3.2 bye\r\n"), S_INIT(""), TALK_OK, TALK_NEXT, false,
	    { L, L, L }, 0, true },
	{ "421 to the content", S_INIT(PIPE OK3 "354 go\r\n421 bye\r\n"), S_INIT(""), TALK_OK, TALK_OK, true, { L, L, L },
	    421, true },
	/* O-003 */
	{ "silence after the dot", S_INIT(PIPE OK3 "354 go\r\n"), S_INIT(""), TALK_OK, TALK_OK, true, { L, L, L }, 0,
	    true },
	{ "half a line after the dot", S_INIT(PIPE OK3 "354 go\r\n250 tak"), S_INIT(""), TALK_OK, TALK_OK, true,
	    { L, L, L }, 0, true },
	{ "a hyphen after the dot", S_INIT(PIPE OK3 "354 go\r\n250-taken\r\n"), S_INIT(""), TALK_OK, TALK_OK, true,
	    { L, L, L }, 0, true },
	{ "bare LF", S_INIT(PIPE OK3 "354 go\r\n250 taken\n"), S_INIT(""), TALK_OK, TALK_OK, true, { L, L, L }, 0, true },
	{ "NUL", S_INIT(PIPE OK3 "354 go\r\n250 ta\0ken\r\n"), S_INIT(""), TALK_OK, TALK_OK, true, { L, L, L }, 0, true },
	{ "code 999", S_INIT(PIPE OK3 "354 go\r\n999 what\r\n"), S_INIT(""), TALK_OK, TALK_OK, true, { L, L, L }, 0,
	    true },
	{ "not a mail server", S_INIT("HTTP/1.1 400 Bad Request\r\n\r\n"), S_INIT(""), TALK_NEXT, TALK_NEXT, false,
	    { L, L, L }, 0, true },
	{ "554 at the door", S_INIT("554 no service\r\n"), S_INIT(""), TALK_NEXT, TALK_NEXT, false, { L, L, L }, 0,
	    false },
	/* T-001: refused and hidden STARTTLS without a policy; T-002: text behind the reply */
	{ "STARTTLS refused", S_INIT(HI "250 STARTTLS\r\n454 not now\r\n" OK3 "354 go\r\n250 taken\r\n"),
	    S_INIT("EHLO us.example\r\nSTARTTLS\r\n" ENVELOPE "DATA\r\n" BODY), TALK_OK, TALK_OK, true, { D, D, D }, 250,
	    false },
	{ "injected", S_INIT(HI "250 STARTTLS\r\n220 go\r\n250 fake\r\n"), S_INIT("EHLO us.example\r\nSTARTTLS\r\n"),
	    TALK_NEXT, TALK_NEXT, false, { L, L, L }, 0, true },
};

static void
table(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *r = &rows[i];
		struct scene s;

		scene_init(&s, r->server);
		scene_play(&s);
		if (s.hello != r->hello || s.end != r->end || mail_done(&s.mail) != r->done || s.t.dead != r->dead)
			print_error("%s: hello %d, end %d, said %.*s\n", r->name, (int)s.hello, (int)s.end,
			    SFMT(buf_slice(&s.mem.out)));
		assert_int_equal(s.hello, r->hello);
		assert_int_equal(s.end, r->end);
		assert_int_equal(mail_done(&s.mail), r->done);
		assert_int_equal(s.t.dead, r->dead);
		for (size_t k = 0; r->done && k < 3; k++) {
			assert_int_equal(s.results[k].outcome, r->want[k]);
			assert_int_equal(s.results[k].delivery, 100 + k);
		}
		if (r->done)
			assert_int_equal(s.results[0].code, r->code);
		if (r->said.n > 0 && !slice_eq(buf_slice(&s.mem.out), r->said))
			print_error("%s: said %.*s\n", r->name, SFMT(buf_slice(&s.mem.out)));
		if (r->said.n > 0)
			assert_true(slice_eq(buf_slice(&s.mem.out), r->said));
		scene_end(&s);
	}
}

/* Whatever the server's words end in the middle of: nobody is delivered before the last line is complete. */
static void
truncated(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t n = 0; n < rows[i].server.n; n++) {
			struct scene s;

			scene_init(&s, slice_head(rows[i].server, n));
			s.mem.chunk = 1 + n % 7;
			scene_play(&s);
			for (size_t k = 0; k < 3; k++)
				assert_true(!s.mail.done[k] || s.results[k].outcome != D);
			scene_end(&s);
		}
}

static void
extensions(void **state)
{
	static const struct slice all =
	    S_INIT(HI "250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n" OK3
		      "354 go\r\n250 taken\r\n");
	struct scene s;

	scene_init(&s, all);
	s.m.envid = S("id+2B1");
	s.m.ret = QUEUE_SEND_RET_HDRS;
	s.rcpts[0].notify = 1;
	s.rcpts[1].notify = 2 | 4 | 8;
	s.rcpts[2].notify = 8;
	s.rcpts[2].orcpt = S("rfc822;c@z.test");
	s.mail.eight = s.mail.utf8 = true;
	scene_play(&s);
	assert_int_equal(s.end, TALK_OK);
	assert_int_not_equal(slice_find(buf_slice(&s.mem.out),
				 S("MAIL FROM:<from@y.test> SIZE=25 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id+2B1\r\n"
				   "RCPT TO:<a@x.test> NOTIFY=NEVER\r\nRCPT TO:<b@x.test> NOTIFY=SUCCESS,FAILURE,DELAY\r\n"
				   "RCPT TO:<c@x.test> NOTIFY=DELAY ORCPT=rfc822;c@z.test\r\n")),
	    SLICE_NONE);
	assert_true(s.results[0].passed_on && s.results[2].passed_on);
	scene_end(&s);
}

/* What a server does not offer and the message needs. */
static void
does_not_fit(void **state)
{
	static const char *const want[] = { "5.6.3", "5.6.7", "5.3.4" };

	for (size_t i = 0; i < 3; i++) {
		struct scene s;

		scene_init(&s, S(HI "250-PIPELINING\r\n250 SIZE 10\r\n"));
		if (i < 2) {
			s.mem.in = S(PIPE);
			s.mail.eight = i == 0;
			s.mail.utf8 = i == 1;
		}
		scene_play(&s);
		assert_int_equal(s.end, TALK_OK);
		for (size_t k = 0; k < 3; k++) {
			assert_int_equal(s.results[k].outcome, F);
			assert_true(slice_eq(s.results[k].enhanced, slice_z(want[i])));
		}
		assert_int_equal(slice_find(buf_slice(&s.mem.out), S("MAIL")), SLICE_NONE);
		scene_end(&s);
	}
}

static void
requiretls(void **state)
{
	struct scene s;

	scene_init(&s, S(HI "250 REQUIRETLS\r\n" OK3)); /* offered, but not over a verified connection */
	s.m.requiretls = true;
	scene_play(&s);
	assert_int_equal(s.end, TALK_POLICY);
	assert_int_equal(slice_find(buf_slice(&s.mem.out), S("MAIL")), SLICE_NONE);
	scene_end(&s);
}

static void
lmtp(void **state)
{
	struct scene s;

	scene_init(&s, S(PIPE "250 s\r\n250 a\r\n550 b\r\n250 c\r\n354 go\r\n250 a\r\n452 4.2.2 c\r\n"));
	s.t.lmtp = true;
	scene_play(&s);
	assert_true(slice_starts(buf_slice(&s.mem.out), S("LHLO us.example\r\n")));
	assert_int_equal(s.results[0].outcome, D);
	assert_int_equal(s.results[1].outcome, F);
	assert_int_equal(s.results[2].outcome, L);
	scene_end(&s);
	/* the second reply is missing: the first recipient has the message, the second may not */
	scene_init(&s, S(PIPE "250 s\r\n250 a\r\n250 b\r\n550 c\r\n354 go\r\n250 a\r\n"));
	s.t.lmtp = true;
	scene_play(&s);
	assert_int_equal(s.results[0].outcome, D);
	assert_int_equal(s.results[1].outcome, L);
	assert_int_equal(s.results[2].outcome, F);
	scene_end(&s);
}

/* RFC 9422: more recipients than the server takes at once go in several transactions. */
static void
in_several_transactions(void **state)
{
	struct scene s;

	scene_init(&s, S(HI "250-PIPELINING\r\n250 LIMITS RCPTMAX=2\r\n250 s\r\n250 a\r\n250 b\r\n354 go\r\n250 taken\r\n"
			    "250 s\r\n250 c\r\n354 go\r\n250 taken\r\n"));
	scene_play(&s);
	assert_true(s.end == TALK_OK && mail_done(&s.mail));
	assert_int_equal(s.results[2].outcome, D);
	assert_int_equal(s.t.used, 2);
	scene_end(&s);
}

/* A connection that carried one message carries the next; after a refused one RSET comes first. */
static void
again(void **state)
{
	struct scene s;

	scene_init(&s, S(PIPE "250 s\r\n550 a\r\n550 b\r\n550 c\r\n503 d\r\n250 reset\r\n" OK3 "354 go\r\n250 taken\r\n" OK3
			      "354 go\r\n250 taken\r\n"));
	scene_play(&s);
	assert_true(s.t.reset);
	for (int i = 0; i < 2; i++) {
		memset(s.mail.done, 0, sizeof s.mail.done);
		assert_int_equal(mail_send(&s.t, &s.mail), TALK_OK);
		assert_int_equal(s.results[0].outcome, D);
	}
	assert_int_equal(stream_flush(&s.t.s, 0), STREAM_OK);
	assert_int_not_equal(slice_find(buf_slice(&s.mem.out), S("DATA\r\nRSET\r\nMAIL")), SLICE_NONE);
	assert_int_not_equal(slice_find(buf_slice(&s.mem.out), S("\r\n.\r\nMAIL")), SLICE_NONE);
	scene_end(&s);
}

/* RFC 2852: the time that is left goes along; mode R goes to nobody who does not look after it. */
static void
deliver_by(void **state)
{
	static const struct {
		const char *offer;
		int64_t left_s;
		bool notify, trace, lmtp;
		const char *said; /* NULL: no MAIL at all */
		enum queue_send_outcome outcome;
		const char *enhanced;
		bool passed_on;
	} cases[] = {
		{ "250 DELIVERBY 60\r\n", 590, false, false, false, " BY=5", D, "", true },
		{ "250 DELIVERBY\r\n", 600, false, true, false, ";RT\r\n", D, "", true },
		{ "250 DELIVERBY 60\r\n", 30, false, false, false, NULL, F, "5.4.7", false },
		{ "250 DELIVERBY 60\r\n", 0, false, false, false, NULL, L, "4.4.7", false },
		{ "250 X\r\n", 600, false, false, false, NULL, F, "5.3.3", false },
		{ "250 X\r\n", 600, false, false, true, "MAIL FROM:<from@y.test>\r\n", D, "", true },
		{ "250 DELIVERBY 60\r\n", -30, true, false, false, " BY=-30;N\r\n", D, "", true },
		{ "250 DELIVERBY 60\r\n", 100000000000, true, true, false, " BY=999999999;NT\r\n", D, "", true },
		{ "250 X\r\n", 600, true, true, false, "MAIL FROM:<from@y.test>\r\n", D, "", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		own(buf_t) server = { .max = 1000 };
		struct scene s;
		bool said;

		(void)buf_fmt(&server, HI "%s" OK3 "354 go\r\n250 a\r\n250 b\r\n250 c\r\n", cases[i].offer);
		scene_init(&s, buf_slice(&server));
		s.t.lmtp = cases[i].lmtp;
		s.m.by_us = clock_wall_us() + cases[i].left_s * 1000000;
		s.m.by_notify = cases[i].notify;
		s.m.by_trace = cases[i].trace;
		scene_play(&s);
		said = slice_find(buf_slice(&s.mem.out), S("MAIL")) != SLICE_NONE;
		assert_int_equal(said, cases[i].said != NULL);
		if (said && slice_find(buf_slice(&s.mem.out), slice_z(cases[i].said)) == SLICE_NONE)
			fail_msg("%zu: %.*s", i, SFMT(buf_slice(&s.mem.out)));
		assert_true(mail_done(&s.mail));
		for (size_t k = 0; k < 3; k++) {
			assert_int_equal(s.results[k].outcome, cases[i].outcome);
			assert_true(slice_eq(s.results[k].enhanced, slice_z(cases[i].enhanced)));
			assert_int_equal(s.results[k].by_passed_on, cases[i].passed_on);
		}
		scene_end(&s);
	}
}

static void
login(void **state)
{
	struct scene s;
	struct send_policy policy = { .level = SEND_PLAIN };

	scene_init(&s, S("220 x\r\n250-x\r\n250 AUTH LOGIN PLAIN\r\n235 ok\r\n"));
	assert_int_equal(talk_hello(&s.t, S("us"), S("x"), NULL, &policy, false), TALK_OK);
	assert_true(talk_login(&s.t, S("user"), S("secret")));
	assert_int_equal(stream_flush(&s.t.s, 0), STREAM_OK);
	assert_true(slice_ends(buf_slice(&s.mem.out), S("AUTH PLAIN AHVzZXIAc2VjcmV0\r\n")));
	scene_end(&s);
	scene_init(&s, S("220 x\r\n250-x\r\n250 AUTH=LOGIN\r\n334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n535 5.7.8 no\r\n"));
	assert_int_equal(talk_hello(&s.t, S("us"), S("x"), NULL, &policy, false), TALK_OK);
	assert_false(talk_login(&s.t, S("user"), S("secret")));
	assert_int_equal(s.t.reply.code, 535);
	assert_int_equal(stream_flush(&s.t.s, 0), STREAM_OK);
	assert_true(slice_ends(buf_slice(&s.mem.out), S("AUTH LOGIN\r\ndXNlcg==\r\nc2VjcmV0\r\n")));
	scene_end(&s);
	scene_init(&s, S("220 x\r\n250-x\r\n250 AUTH NTLM\r\n"));
	assert_int_equal(talk_hello(&s.t, S("us"), S("x"), NULL, &policy, false), TALK_OK);
	assert_false(talk_login(&s.t, S("user"), S("secret")));
	scene_end(&s);
}

/* base64 of the exchange in RFC 7677 section 3; password "pencil" */
#define NONCE S("rOprNGfwEbeRWgbNEkqO")
#define FIRST "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\r\n"
#define CHALLENGE \
	"334 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29Fc1VFamI2Z1E9PSxpPTQwOTY=\r\n"
#define FINAL \
	"Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==\r\n"
#define VERDICT "334 dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==\r\n"

static const struct {
	const char *name;
	struct slice server, said; /* behind EHLO */
	enum talk_scram want;
	unsigned code;
} exchanges[] = {
	{ "RFC 7677", S_INIT(CHALLENGE VERDICT "235 in\r\n"), S_INIT(FIRST FINAL "\r\n"), TALK_SCRAM_IN, 235 },
	{ "refused at once", S_INIT("504 5.5.4 no\r\n"), S_INIT(FIRST), TALK_SCRAM_REFUSED, 504 },
	{ "later", S_INIT("454 4.7.0 later\r\n"), S_INIT(FIRST), TALK_SCRAM_FAILED, 454 },
	{ "let in without being asked", S_INIT("235 in\r\n"), S_INIT(FIRST), TALK_SCRAM_FAILED, 235 },
	{ "another password", S_INIT(CHALLENGE "535 5.7.8 no\r\n"), S_INIT(FIRST FINAL), TALK_SCRAM_FAILED, 535 },
	{ "no signature", S_INIT(CHALLENGE "235 in\r\n"), S_INIT(FIRST FINAL), TALK_SCRAM_FAILED, 0 },
	{ "an empty signature", S_INIT(CHALLENGE "334 \r\n501 so be it\r\n"), S_INIT(FIRST FINAL "*\r\n"), TALK_SCRAM_FAILED, 0 },
	{ "another signature", S_INIT(CHALLENGE "334 dj03cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==\r\n501 \r\n"),
	    S_INIT(FIRST FINAL "*\r\n"), TALK_SCRAM_FAILED, 0 },
	{ "signed, and refused all the same", S_INIT(CHALLENGE VERDICT "535 no\r\n"), S_INIT(FIRST FINAL "\r\n"),
	    TALK_SCRAM_FAILED, 535 },
	/* r=rOprNGfwEbeRWgbNEkqO%x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095; i=1000001 */
	{ "too few iterations", S_INIT("334 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyV4LHM9VzIyWmFKMFNOWTdzb0VzVUVqYjZnUT09LGk9NDA5NQ==\r\n501 \r\n"),
	    S_INIT(FIRST "*\r\n"), TALK_SCRAM_FAILED, 0 },
	{ "too many iterations",
	    S_INIT("334 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyV4LHM9VzIyWmFKMFNOWTdzb0VzVUVqYjZnUT09LGk9MTAwMDAwMQ==\r\n501 \r\n"),
	    S_INIT(FIRST "*\r\n"), TALK_SCRAM_FAILED, 0 },
	/* r=xOprNGfwEbeRWgbNEkqO%x,...; r=rOprNGfwEbeRWgbNEkqO,... */
	{ "for somebody else", S_INIT("334 cj14T3ByTkdmd0ViZVJXZ2JORWtxTyV4LHM9VzIyWmFKMFNOWTdzb0VzVUVqYjZnUT09LGk9NDA5Ng==\r\n501 \r\n"),
	    S_INIT(FIRST "*\r\n"), TALK_SCRAM_FAILED, 0 },
	{ "nothing of its own", S_INIT("334 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyxzPVcyMlphSjBTTlk3c29Fc1VFamI2Z1E9PSxpPTQwOTY=\r\n501 \r\n"),
	    S_INIT(FIRST "*\r\n"), TALK_SCRAM_FAILED, 0 },
	{ "no challenge", S_INIT("334 VXNlcm5hbWU6\r\n501 \r\n"), S_INIT(FIRST "*\r\n"), TALK_SCRAM_FAILED, 0 },
	{ "closing", S_INIT(CHALLENGE "421 bye\r\n"), S_INIT(FIRST FINAL), TALK_SCRAM_FAILED, 421 },
};

static void
scram(void **state)
{
	struct send_policy policy = { .level = SEND_PLAIN };
	struct scene s;

	for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++) {
		own(buf_t) server = { .max = 4096 };
		enum talk_scram e;

		assert_true(buf_add(&server, S("220 x\r\n250-x\r\n250 AUTH SCRAM-SHA-256 PLAIN\r\n")) &&
		    buf_add(&server, exchanges[i].server));
		scene_init(&s, buf_slice(&server));
		assert_int_equal(talk_hello(&s.t, S("us"), S("x"), NULL, &policy, false), TALK_OK);
		e = talk_scram(&s.t, S("user"), S("pencil"), NONCE, 'n');
		assert_int_equal(stream_flush(&s.t.s, 0), STREAM_OK);
		if (e != exchanges[i].want || s.t.reply.code != exchanges[i].code ||
		    !slice_eq(slice_from(buf_slice(&s.mem.out), 9), exchanges[i].said))
			print_error("%s: %d %u %.*s\n", exchanges[i].name, e, s.t.reply.code, SFMT(buf_slice(&s.mem.out)));
		assert_int_equal(e, exchanges[i].want);
		assert_int_equal(s.t.reply.code, exchanges[i].code);
		assert_true(slice_eq(slice_from(buf_slice(&s.mem.out), 9), exchanges[i].said));
		scene_end(&s);
		for (size_t n = 0; n < server.n; n++) { /* however it ends, nobody is believed too early */
			scene_init(&s, slice_head(buf_slice(&server), n));
			if (talk_hello(&s.t, S("us"), S("x"), NULL, &policy, false) == TALK_OK)
				assert_int_not_equal(talk_scram(&s.t, S("user"), S("pencil"), NONCE, 'n'), TALK_SCRAM_IN);
			scene_end(&s);
			n += exchanges[i].want == TALK_SCRAM_IN ? 0 : 15;
		}
	}
	/* what refuses SCRAM at once gets PLAIN; what failed in it does not get the password */
	scene_init(&s, S("220 x\r\n250-x\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n504 5.5.4 no\r\n235 in\r\n"));
	assert_int_equal(talk_hello(&s.t, S("us"), S("x"), NULL, &policy, false), TALK_OK);
	assert_true(talk_login(&s.t, S("user"), S("secret")));
	scene_end(&s);
	scene_init(&s, S("220 x\r\n250-x\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n" CHALLENGE "535 no\r\n235 in\r\n"));
	assert_int_equal(talk_hello(&s.t, S("us"), S("x"), NULL, &policy, false), TALK_OK);
	assert_false(talk_login(&s.t, S("user"), S("secret")));
	assert_int_equal(stream_flush(&s.t.s, 0), STREAM_OK);
	assert_int_equal(slice_find(buf_slice(&s.mem.out), S("AUTH PLAIN")), SLICE_NONE);
	scene_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(truncated),
		cmocka_unit_test(extensions),
		cmocka_unit_test(does_not_fit),
		cmocka_unit_test(requiretls),
		cmocka_unit_test(lmtp),
		cmocka_unit_test(in_several_transactions),
		cmocka_unit_test(again),
		cmocka_unit_test(deliver_by),
		cmocka_unit_test(login),
		cmocka_unit_test(scram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
