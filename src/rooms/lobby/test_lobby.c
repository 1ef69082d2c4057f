/* SPDX-License-Identifier: MIT
 * Conversations before login over memory, case by case of SECURITY.md 2.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/clock/clock.h"
#include "rooms/lobby/lobby.h"

struct world {
	unsigned asked;
	bool bindable; /* by 32 times 'B' */
	struct scram_offer offer;
	char name[400], password[1100];
	enum lobby_login answer;
	/* the outcome */
	enum lobby_next next;
	struct buf out, left;
	char tag[70];
};

static enum lobby_login
login(void *ctx, uint64_t session, struct slice ip, const struct sasl_login *who)
{
	struct world *w = ctx;

	w->asked++;
	(void)snprintf(w->name, sizeof w->name, "%.*s", SFMT(who->name));
	(void)snprintf(w->password, sizeof w->password, "%.*s", SFMT(who->password));
	if (w->answer != LOBBY_YES)
		return w->answer;
	return slice_eq(who->name, S("alice")) && slice_eq(who->password, S("s3cret")) ? LOBBY_YES :
											 LOBBY_NO;
}

/* Alice's exchange with a nonce that does not change; the proof that is right is 32 times 'P'. */
static enum lobby_login
scram_first(void *ctx, uint64_t session, struct slice ip, const struct scram_first *f, struct arena *a,
    struct slice *challenge)
{
	*challenge = S("r=abcdef,s=QSXCR+Q6sek8bf92QSXCRw==,i=16384");
	return LOBBY_YES;
}

static enum lobby_login
scram_final(void *ctx, uint64_t session, const struct scram_final *f, struct arena *a, struct slice *signature)
{
	static const uint8_t right[SCRAM_PROOF] = "PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP";

	*signature = S("SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS");
	return memcmp(f->proof, right, sizeof right) == 0 ? LOBBY_YES : LOBBY_NO;
}

static const struct lobby_ops ops = { .login = login, .scram_first = scram_first, .scram_final = scram_final };

static void
run_chunked(struct world *w, bool tls, struct slice in, size_t chunk)
{
	struct stream_memory m = { .in = in, .chunk = chunk };
	struct lobby_session s = { .id = 7, .tls = tls, .ops = &ops, .ctx = w };

	buf_init(&m.out, 1 << 20);
	stream_init_memory(&s.io, &m);
	s.bindable = w->bindable;
	s.scram = w->offer;
	memset(s.binding, 'B', sizeof s.binding);
	lobby_begin(&s, clock_mono_ms());
	w->asked = 0;
	w->next = lobby_turn(&s, false);
	buf_reset(&w->out);
	buf_add(&w->out, buf_slice(&m.out));
	(void)snprintf(w->tag, sizeof w->tag, "%.*s", SFMT(lobby_tag(&s)));
	buf_reset(&w->left);
	if (w->next == LOBBY_STARTTLS || w->next == LOBBY_HANDOFF)
		(void)stream_detach(&s.io, &w->left);
	lobby_end(&s);
	buf_free(&m.out);
}

static void
run(struct world *w, bool tls, struct slice in)
{
	run_chunked(w, tls, in, 0);
}

static struct world
world(void)
{
	struct world w = { .answer = LOBBY_YES };

	buf_init(&w.out, 1 << 20);
	buf_init(&w.left, 1 << 20);
	return w;
}

static void
world_end(struct world *w)
{
	buf_free(&w->out);
	buf_free(&w->left);
}

static bool
said(const struct world *w, const char *what)
{
	return slice_find(buf_slice(&w->out), slice_z(what)) != SLICE_NONE;
}

static unsigned
count(const struct world *w, const char *what)
{
	struct slice rest = buf_slice(&w->out);
	unsigned n = 0;

	for (size_t at; (at = slice_find(rest, slice_z(what))) != SLICE_NONE; n++)
		rest = slice_from(rest, at + 1);
	return n;
}

static void
ordinary(void **state)
{
	struct world w = world();

	for (size_t chunk = 0; chunk < 12; chunk++) {
		run_chunked(&w, true, S("a LOGIN alice s3cret\r\nb NOOP\r\n"), chunk);
		assert_int_equal(w.next, LOBBY_HANDOFF);
		assert_string_equal(w.tag, "a");
		assert_int_equal(w.asked, 1);
		if (chunk == 0)
			assert_true(slice_eq(buf_slice(&w.left), S("b NOOP\r\n")));
	}
	run(&w, true, S("a AUTHENTICATE PLAIN AGFsaWNlAHMzY3JldA==\r\n"));
	assert_int_equal(w.next, LOBBY_HANDOFF);
	run(&w, true, S("tag2 authenticate plain\r\nAGFsaWNlAHMzY3JldA==\r\n"));
	assert_true(said(&w, "\r\n+ \r\n") && w.next == LOBBY_HANDOFF);
	assert_string_equal(w.tag, "tag2");
	run(&w, true, S("a LOGIN {5}\r\nalice {6}\r\ns3cret\r\n"));
	assert_true(w.next == LOBBY_HANDOFF && count(&w, "+ OK") == 2);
	run(&w, true, S("a CAPABILITY\r\nb ID (\"name\" \"x\")\r\nc NOOP\r\nd LOGOUT\r\n"));
	assert_true(said(&w, "* CAPABILITY IMAP4rev1 ") && said(&w, "AUTH=PLAIN"));
	assert_true(said(&w, "b OK") && said(&w, "c OK") && said(&w, "* BYE") && said(&w, "d OK"));
	assert_false(said(&w, "STARTTLS") || said(&w, "LOGINDISABLED"));
	assert_int_equal(w.next, LOBBY_CLOSE);
	world_end(&w);
}

static void
i001_starttls_injection(void **state)
{
	struct world w = world();

	run(&w, false, S("a STARTTLS\r\nb LOGIN alice s3cret\r\nc CAPABILITY\r\n"));
	assert_int_equal(w.next, LOBBY_STARTTLS);
	assert_int_equal(w.asked, 0);
	assert_int_equal(w.left.n, 0);
	assert_true(said(&w, "a OK"));
	assert_false(said(&w, "b ") || said(&w, "c "));
	run(&w, true, S("a STARTTLS\r\n"));
	assert_true(said(&w, "a BAD"));
	world_end(&w);
}

static void
i002_login_in_the_clear(void **state)
{
	struct world w = world();

	run(&w, false, S("a CAPABILITY\r\nb LOGIN alice s3cret\r\n"
			 "c AUTHENTICATE PLAIN AGFsaWNlAHMzY3JldA==\r\n"));
	assert_true(said(&w, "LOGINDISABLED") && said(&w, "STARTTLS") && !said(&w, "AUTH="));
	assert_true(said(&w, "b NO [PRIVACYREQUIRED]") && said(&w, "c NO [PRIVACYREQUIRED]"));
	assert_int_equal(w.asked, 0);
	world_end(&w);
}

static void
i003_greeting(void **state)
{
	struct world w = world();

	run(&w, false, S(""));
	assert_true(slice_starts(buf_slice(&w.out), S("* OK [CAPABILITY IMAP4rev1 ")));
	assert_false(said(&w, "PREAUTH") || said(&w, PN_VERSION));
	world_end(&w);
}

/* I-004..007: what a stranger may make us hold. */
static void
i004_literals(void **state)
{
	struct world w = world();
	struct buf in;

	run(&w, true, S("a LOGIN {999999999}\r\nb NOOP\r\n"));
	assert_true(said(&w, "a BAD") && said(&w, "b OK") && !said(&w, "\r\n+ "));
	run(&w, true, S("a LOGIN {18446744073709551616}\r\nb NOOP\r\n"));
	assert_true(said(&w, "a BAD") && said(&w, "b OK"));
	run(&w, true, S("a LOGIN {-1}\r\nb NOOP\r\n"));
	assert_true(said(&w, "a BAD") && said(&w, "b OK"));
	run(&w, true, S("a LOGIN {67108864+}\r\nAAAAAAA"));
	assert_true(said(&w, "a BAD") && said(&w, "* BYE") && w.next == LOBBY_CLOSE);
	buf_init(&in, 1 << 24);
	buf_add(&in, S("a LOGIN"));
	for (unsigned i = 0; i < 100000; i++)
		buf_add(&in, S(" {1+}\r\nx"));
	run(&w, true, buf_slice(&in));
	assert_true(said(&w, "* BYE") && w.next == LOBBY_CLOSE && w.asked == 0);
	buf_reset(&in);
	for (unsigned i = 0; i < 10000000 / 50; i++)
		buf_add(&in, S("(((((((((((((((((((((((((((((((((((((((((((((((((("));
	run(&w, true, buf_slice(&in));
	assert_true(said(&w, "BAD") && w.next == LOBBY_CLOSE);
	buf_free(&in);
	world_end(&w);
}

static void
i008_octets(void **state)
{
	static const struct slice bad[] = { S_INIT("a LOGIN \"al\0ice\" x\r\n"),
		S_INIT("a LOGIN \"al\rice\" x\r\n"), S_INIT("a LOGIN \"al\nice\" x\r\n"),
		S_INIT("a LOGIN \"al\xc3\xbc\" x\r\n"), S_INIT("a LOGIN {3+}\r\na\0b x\r\n") };
	struct world w = world();

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		run(&w, true, bad[i]);
		assert_true(said(&w, " BAD "));
		assert_int_equal(w.asked, 0);
	}
	world_end(&w);
}

static void
repeat(struct buf *b, const char *what, unsigned n)
{
	buf_reset(b);
	for (unsigned i = 0; i < n; i++)
		buf_fmt(b, "%s", what);
}

static void
i009_lines_and_bad_commands(void **state)
{
	struct world w = world();
	struct buf in;

	buf_init(&in, 1 << 21);
	repeat(&in, "x", 65536);
	buf_add(&in, S(" NOOP\r\n"));
	run(&w, true, buf_slice(&in));
	assert_true(said(&w, "* BAD"));
	repeat(&in, "x", 1 << 20);
	run(&w, true, buf_slice(&in));
	assert_true(said(&w, "* BAD") && w.next == LOBBY_CLOSE);
	repeat(&in, "a XYZZY\r\n", 100);
	run(&w, true, buf_slice(&in));
	assert_true(count(&w, " BAD ") <= 20 && said(&w, "* BYE") && w.next == LOBBY_CLOSE);
	buf_reset(&in);
	buf_add(&in, S("a CAPABILITY\r\n"));
	for (unsigned i = 0; i < 100; i++)
		buf_add(&in, S("b SELECT INBOX\r\n"));
	run(&w, true, buf_slice(&in));
	assert_true(count(&w, " BAD ") <= 20 && said(&w, "* BYE"));
	repeat(&in, "a AUTHENTICATE PLAIN\r\n!!!\r\n", 100);
	run(&w, true, buf_slice(&in));
	assert_true(count(&w, " BAD ") <= 20 && said(&w, "* BYE") && w.asked == 0);
	repeat(&in, "a NOOP\r\n", 100);
	run(&w, true, buf_slice(&in));
	assert_true(count(&w, "OK Done") <= 20 && said(&w, "* BYE"));
	buf_free(&in);
	world_end(&w);
}

static void
i011_authenticate_junk(void **state)
{
	struct world w = world();

	run(&w, true, S("a AUTHENTICATE PLAIN\r\n*\r\n"));
	assert_true(said(&w, "a BAD"));
	run(&w, true, S("a AUTHENTICATE CRAM-MD5\r\n"));
	assert_true(said(&w, "a NO"));
	run(&w, true, S("a AUTHENTICATE PLAIN =\r\n"));
	assert_true(said(&w, "a NO [AUTHENTICATIONFAILED]"));
	/* authorization as somebody else, three NULs */
	run(&w, true, S("a AUTHENTICATE PLAIN Ym9iAGFsaWNlAHMzY3JldA==\r\n"));
	assert_true(said(&w, "a NO [AUTHENTICATIONFAILED]"));
	assert_int_equal(w.asked, 0);
	world_end(&w);
}

static void
i012_same_words(void **state)
{
	struct world w = world();
	struct buf in, first;

	buf_init(&in, 65536);
	buf_init(&first, 65536);
	run(&w, true, S("a LOGIN alice wrong\r\n"));
	buf_add(&first, buf_slice(&w.out));
	run(&w, true, S("a LOGIN nobody wrong\r\n"));
	assert_true(slice_eq(buf_slice(&w.out), buf_slice(&first)));
	run(&w, true, S("a LOGIN \"%u*' OR 1=1\" wrong\r\n"));
	assert_true(slice_eq(buf_slice(&w.out), buf_slice(&first)));
	repeat(&in, "a LOGIN alice wrong\r\n", 30);
	run(&w, true, buf_slice(&in));
	assert_true(w.asked == LOBBY_FAILURES && said(&w, "* BYE") && w.next == LOBBY_CLOSE);
	w.answer = LOBBY_LATER;
	run(&w, true, S("a LOGIN alice s3cret\r\n"));
	assert_true(said(&w, "a NO [UNAVAILABLE]"));
	buf_free(&in);
	buf_free(&first);
	world_end(&w);
}

static void
i031_other_protocols(void **state)
{
	static const struct slice in[] = {
		S_INIT("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\n\r\na LOGIN alice s3cret\r\n"),
		S_INIT("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
		S_INIT("foo bar\r\nbar foo\r\nx: y\r\na LOGIN alice s3cret\r\n"),
	};
	struct world w = world();

	for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) {
		run(&w, true, in[i]);
		assert_true(w.next == LOBBY_CLOSE && w.asked == 0 && said(&w, "* BYE"));
		assert_true(count(&w, " BAD ") <= 3);
	}
	world_end(&w);
}

/* A silent client costs no thread and no buffers. */
static void
parking(void **state)
{
	struct world w = world();
	struct stream_memory m = { .in = S("a NOOP\r\nb LOGIN al"), .hang = true };
	struct lobby_session s = { .id = 7, .tls = true, .ops = &ops, .ctx = &w };

	buf_init(&m.out, 65536);
	stream_init_memory(&s.io, &m);
	lobby_begin(&s, clock_mono_ms());
	assert_int_equal(lobby_turn(&s, false), LOBBY_PARK);
	m.in = S("a NOOP\r\nb LOGIN alice s3cret\r\n");
	assert_int_equal(lobby_turn(&s, false), LOBBY_HANDOFF);
	lobby_end(&s);
	s = (struct lobby_session){ .id = 8, .tls = true, .ops = &ops, .ctx = &w };
	m.at = 0;
	m.in = S("a NOOP\r\n");
	stream_init_memory(&s.io, &m);
	lobby_begin(&s, clock_mono_ms());
	assert_int_equal(lobby_turn(&s, false), LOBBY_PARK);
	assert_true(s.io.in == NULL && s.in.line.p == NULL);
	assert_int_equal(lobby_turn(&s, true), LOBBY_CLOSE);
	lobby_end(&s);
	buf_free(&m.out);
	world_end(&w);
}

/* AUTHENTICATE SCRAM-SHA-256(-PLUS) and OAUTHBEARER; U-018 in IMAP. */
static void
scram(void **state)
{
	static const struct {
		bool bindable;
		const char *in, *said;
		enum lobby_next next;
	} scenes[] = {
		{ false, "a AUTHENTICATE SCRAM-SHA-256 %\r\n%\r\n\r\n", "+ dj1VMU5U", LOBBY_HANDOFF },
		{ false, "a AUTHENTICATE SCRAM-SHA-256\r\n%\r\n%\r\n\r\n", "+ dj1VMU5U", LOBBY_HANDOFF },
		{ true, "a AUTHENTICATE SCRAM-SHA-256-PLUS %\r\n%\r\n\r\n", "+ dj1VMU5U", LOBBY_HANDOFF },
		{ true, "a AUTHENTICATE SCRAM-SHA-256-PLUS %\r\n%\r\n", "a NO [AUTHENTICATIONFAILED]", LOBBY_CLOSE },
		{ true, "a AUTHENTICATE SCRAM-SHA-256-PLUS %\r\n", "a NO [AUTHENTICATIONFAILED]", LOBBY_CLOSE },
		{ true, "a AUTHENTICATE SCRAM-SHA-256 %\r\n", "a NO [AUTHENTICATIONFAILED]", LOBBY_CLOSE },
		{ false, "a AUTHENTICATE SCRAM-SHA-256-PLUS %\r\n", "a NO Unknown mechanism", LOBBY_CLOSE },
		{ false, "a AUTHENTICATE SCRAM-SHA-256 %\r\n*\r\n", "a BAD Authentication cancelled", LOBBY_CLOSE },
		{ false, "a AUTHENTICATE OAUTHBEARER %\r\nAQ==\r\n", "a NO [AUTHENTICATIONFAILED]", LOBBY_CLOSE },
	};
	static const char *const said_by_client[][2] = {
		{ "biwsbj1hbGljZSxyPWFiYw==", "Yz1iaXdzLHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=" },
		{ "biwsbj1hbGljZSxyPWFiYw==", "Yz1iaXdzLHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=" },
		{ "cD10bHMtZXhwb3J0ZXIsLG49YWxpY2Uscj1hYmM=", "Yz1jRDEwYkhNdFpYaHdiM0owWlhJc0xFSkNRa0pDUWtKQ1FrSkNRa0pDUWtKQ1FrSkNRa0pDUWtKQ1FrSkNRa0pDLHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=" },
		{ "cD10bHMtZXhwb3J0ZXIsLG49YWxpY2Uscj1hYmM=", "Yz1jRDEwYkhNdFpYaHdiM0owWlhJc0xFTkRRME5EUTBORFEwTkRRME5EUTBORFEwTkRRME5EUTBORFEwTkRRME5ELHI9YWJjZGVmLHA9VUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQT0=" },
		{ "biwsbj1hbGljZSxyPWFiYw==", "" },
		{ "eSwsbj1hbGljZSxyPWFiYw==", "" },
		{ "cD10bHMtZXhwb3J0ZXIsLG49YWxpY2Uscj1hYmM=", "" },
		{ "biwsbj1hbGljZSxyPWFiYw==", "" },
		{ "bixhPWFsaWNlLAFhdXRoPUJlYXJlciBhYmMBAQ==", "" },
	};

	for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
		for (size_t chunk = 1; chunk < 300; chunk += 37) {
			struct world w = { .bindable = scenes[i].bindable };
			struct buf in;

			buf_init(&in, 2000);
			buf_init(&w.out, 1 << 20);
			buf_init(&w.left, 4000);
			for (const char *f = scenes[i].in, *const *said_now = said_by_client[i]; *f != 0; f++)
				if (*f == '%')
					assert_true(buf_add(&in, slice_z(*said_now++)));
				else
					assert_true(buf_byte(&in, (uint8_t)*f));
			run_chunked(&w, true, buf_slice(&in), chunk);
			if (!said(&w, scenes[i].said))
				print_error("%zu:\n%.*s\n", i, SFMT(buf_slice(&w.out)));
			assert_true(said(&w, scenes[i].said));
			assert_int_equal(w.next, scenes[i].next);
			assert_true(said(&w, "AUTH=SCRAM-SHA-256-PLUS") == scenes[i].bindable);
			if (w.next == LOBBY_HANDOFF)
				assert_string_equal(w.tag, "a");
			buf_free(&in);
			buf_free(&w.out);
			buf_free(&w.left);
		}
}

/* scram_require_binding = yes, and scram = no: what is not offered is not taken either (U-018). */
static void
offers(void **state)
{
	static const struct {
		struct scram_offer offer;
		bool bindable;
		const char *mechanisms;
		bool unbound, plus;
	} rows[] = {
		{ { 0 }, true, " AUTH=PLAIN AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS\r\n", true, true },
		{ { 0 }, false, " AUTH=PLAIN AUTH=SCRAM-SHA-256\r\n", true, false },
		{ { .must_bind = true }, true, " AUTH=PLAIN AUTH=SCRAM-SHA-256-PLUS\r\n", false, true },
		{ { .must_bind = true }, false, " AUTH=PLAIN\r\n", false, false },
		{ { .off = true }, true, " AUTH=PLAIN\r\n", false, false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct world w = world();

		w.offer = rows[i].offer;
		w.bindable = rows[i].bindable;
		run(&w, true, S("a CAPABILITY\r\nb AUTHENTICATE SCRAM-SHA-256\r\n*\r\n"));
		assert_true(said(&w, rows[i].mechanisms));
		assert_int_equal(said(&w, "\r\n+ \r\n"), rows[i].unbound);
		assert_int_equal(said(&w, "b NO Unknown mechanism"), !rows[i].unbound);
		run(&w, true, S("c AUTHENTICATE SCRAM-SHA-256-PLUS\r\n*\r\n"));
		assert_int_equal(said(&w, "\r\n+ \r\n"), rows[i].plus);
		world_end(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scram),
		cmocka_unit_test(offers),
		cmocka_unit_test(ordinary),
		cmocka_unit_test(i001_starttls_injection),
		cmocka_unit_test(i002_login_in_the_clear),
		cmocka_unit_test(i003_greeting),
		cmocka_unit_test(i004_literals),
		cmocka_unit_test(i008_octets),
		cmocka_unit_test(i009_lines_and_bad_commands),
		cmocka_unit_test(i011_authenticate_junk),
		cmocka_unit_test(i012_same_words),
		cmocka_unit_test(i031_other_protocols),
		cmocka_unit_test(parking),
	};

	return cmocka_run_group_tests_name("lobby", tests, NULL, NULL);
}
