/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/make/mime/strict.h"
#include "lib/make/mime/structure.h"
#include "lib/parse/mime/section.h"

#define MOST ((size_t)(64 * 1024 * 1024))

static double
seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const struct {
	struct slice message;
	const char *envelope, *body, *structure;
} table[] = {
	{ S_INIT(""), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)",
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)" },
	{ S_INIT("Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nSubject: a\r\n b \"c\"\r\n"
		 "From: Fred Foobar <foobar@Blurdybloop.example>\r\nTo: g: a@b, \"x\\\"y\" <c@d>;\r\n"
		 "Cc:\r\nBcc: (only)\r\nIn-Reply-To:\r\nMessage-Id: <B27397@B.example>\r\n"
		 "Content-Type: TEXT/HTML; CHARSET=\"utf-8\"\r\nContent-Transfer-Encoding: 8BIT\r\n"
		 "Content-ID: <x>\r\nContent-Description: a desc\r\nContent-MD5: abc=\r\n"
		 "Content-Disposition: attachment; filename=\"a b\"\r\n"
		 "Content-Language: en, de (c)\r\nContent-Location: http://x\r\n\r\none\r\ntwo"),
	    "(\"Mon, 7 Feb 1994 21:52:25 -0800\" \"a b \\\"c\\\"\" "
	    "((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.example\")) "
	    "((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.example\")) "
	    "((\"Fred Foobar\" NIL \"foobar\" \"Blurdybloop.example\")) "
	    "((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(\"x\\\"y\" NIL \"c\" \"d\")(NIL NIL NIL NIL)) "
	    "NIL NIL \"\" \"<B27397@B.example>\")",
	    "(\"TEXT\" \"HTML\" (\"CHARSET\" \"utf-8\") \"<x>\" \"a desc\" \"8BIT\" 8 1)",
	    "(\"TEXT\" \"HTML\" (\"CHARSET\" \"utf-8\") \"<x>\" \"a desc\" \"8BIT\" 8 1 \"abc=\" "
	    "(\"attachment\" (\"filename\" \"a b\")) (\"en\" \"de\") \"http://x\")" },
	{ S_INIT("Subject: \xc3\xa9\r\nFrom: x\r\nTo: a@b\r\nTo: c@d\r\n"
		 "Content-Type: multipart/mixed; boundary=b\r\n\r\nno part"),
	    "(NIL {2}\r\n\xc3\xa9 ((NIL NIL \"x\" \"MISSING_DOMAIN\")) "
	    "((NIL NIL \"x\" \"MISSING_DOMAIN\")) ((NIL NIL \"x\" \"MISSING_DOMAIN\")) "
	    "((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL NIL)",
	    "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")",
	    "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) "
	    "\"mixed\" (\"boundary\" \"b\") NIL NIL NIL)" },
	{ S_INIT("Content-Type: message/rfc822\r\n\r\nSubject: s\r\n"
		 "Content-Type: application/x; name*0=a; name*1*=%20b\r\n\r\nxy\r\n"),
	    "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)",
	    "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 71 "
	    "(NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	    "(\"application\" \"x\" (\"name*\" \"''a%20b\") NIL NIL \"7bit\" 4) 4)",
	    "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 71 "
	    "(NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	    "(\"application\" \"x\" (\"name*\" \"''a%20b\") NIL NIL \"7bit\" 4 NIL NIL NIL NIL) 4 "
	    "NIL NIL NIL NIL)" },
};

/* Writes all three answers and lets the strict client read them. Returns their length. */
static size_t
answers(struct slice message, struct buf *envelope, struct buf *body, struct buf *structure)
{
	own(arena_p) a = arena_new("message", LIMIT_ARENA_MESSAGE);
	own(arena_p) scratch = arena_new("scratch", LIMIT_ARENA_MESSAGE);
	struct mime m;
	struct cursor c;
	size_t parts = 0, again = 0;

	buf_reset(envelope);
	buf_reset(body);
	buf_reset(structure);
	assert_true(mime_parse(message, a, &m));
	assert_true(structure_put_envelope(envelope, m.root, scratch));
	assert_true(structure_put_body(body, m.root, false, scratch));
	assert_true(structure_put_body(structure, m.root, true, scratch));
	assert_int_equal(arena_used(scratch), 0);
	c = cur_of(buf_slice(envelope));
	assert_true(strict_envelope(&c) && cur_done(&c));
	c = cur_of(buf_slice(body));
	assert_true(strict_body(&c, false, LIMIT_MIME_DEPTH + 1, &parts) && cur_done(&c));
	c = cur_of(buf_slice(structure));
	assert_true(strict_body(&c, true, LIMIT_MIME_DEPTH + 1, &again) && cur_done(&c));
	assert_int_equal(parts, again);
	assert_true(structure->n <= LIMIT_STRUCTURE + LIMIT_HEADER + 160 * (size_t)m.parts);
	assert_true(envelope->n <= LIMIT_STRUCTURE + LIMIT_HEADER);
	assert_true(m.parts <= LIMIT_MIME_PARTS);
	return envelope->n + body->n + structure->n;
}

static void
says(const struct buf *b, const char *want)
{
	if (!slice_eq(buf_slice(b), slice_z(want)))
		fail_msg("want %s\n got %.*s", want, SFMT(buf_slice(b)));
}

static void
writes(void **state)
{
	own(buf_t) e, b, s;

	buf_init(&e, MOST);
	buf_init(&b, MOST);
	buf_init(&s, MOST);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct slice in = table[i].message;

		(void)answers(in, &e, &b, &s);
		says(&e, table[i].envelope);
		says(&b, table[i].body);
		says(&s, table[i].structure);
		for (size_t n = 0; n < in.n; n++) {
			uint8_t *exact = malloc(n + 1);

			memcpy(exact, in.p, n);
			(void)answers(slice_of(exact, n), &e, &b, &s);
			free(exact);
		}
	}
}

static void
full(void **state)
{
	own(arena_p) a = arena_new("message", LIMIT_ARENA_MESSAGE);
	own(arena_p) tiny = arena_new("scratch", 16);
	own(buf_t) b = { .max = 0 };
	struct mime m;

	buf_init(&b, 32);
	assert_true(mime_parse(table[1].message, a, &m));
	assert_false(structure_put_envelope(&b, m.root, a));
	assert_true(b.bad);
	buf_free(&b);
	buf_init(&b, MOST);
	assert_false(structure_put_body(&b, m.root, true, tiny));
	buf_reset(&b);
	assert_false(structure_put_envelope(&b, m.root, tiny));
	assert_int_equal(arena_used(tiny), 0);
}

/* SECURITY.md I-026: six bombs, each under 3 s with all answers, and M-001..007 of its structure
 * kind. */
static void
bomb(const char *name, const struct buf *message)
{
	own(buf_t) e, b, s;
	double start = seconds(), took;
	size_t n;

	buf_init(&e, MOST);
	buf_init(&b, MOST);
	buf_init(&s, MOST);
	n = answers(buf_slice(message), &e, &b, &s);
	took = seconds() - start;
	print_message("%s: %zu octets in, %zu out, %.3f s\n", name, message->n, n, took);
	assert_true(took < 2.0);
}

static void
many(struct buf *m, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_add(m, slice_z(s));
}

static void
bombs(void **state)
{
	own(buf_t) m = { .max = 0 };

	buf_init(&m, MOST);
	for (unsigned i = 0; i < 5000; i++)
		buf_fmt(&m, "Content-Type: multipart/mixed; boundary=\"b%u\"\r\n\r\n--b%u\r\n", i, i);
	bomb("multipart 5 000 deep", &m);
	for (unsigned i = 5000; i-- > 0;)
		buf_fmt(&m, "\r\n--b%u--\r\n", i);
	bomb("multipart 5 000 deep, closed", &m);

	buf_reset(&m);
	many(&m, "Subject: x\r\nContent-Type: message/rfc822\r\n\r\n", 3000);
	bomb("rfc822 3 000 deep", &m);

	buf_reset(&m);
	buf_add(&m, S("Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
	many(&m, "--b\r\n\r\nx\r\n", 100000);
	bomb("100 000 parts", &m);

	buf_reset(&m);
	buf_add(&m, S("Content-Type: multipart/digest; boundary=b\r\n\r\n"));
	many(&m, "--b\r\n\r\nSubject: x\r\n\r\nx\r\n", 100000);
	bomb("100 000 messages", &m);

	/* a boundary of a thousand octets in which all outer ones are prefixes, and lines like them */
	buf_reset(&m);
	for (unsigned i = 1; i < 100; i++) {
		buf_add(&m, S("Content-Type: multipart/mixed; boundary=\""));
		many(&m, "a", 9u * i);
		buf_add(&m, S("\"\r\n\r\n--"));
		many(&m, "a", 9u * i);
		buf_add(&m, S("\r\n"));
	}
	for (unsigned k = 0; k < 50; k++)
		for (unsigned i = 0; i < 1000; i++) {
			buf_add(&m, S("\r\n--"));
			many(&m, "a", i);
			buf_add(&m, S("b"));
		}
	bomb("boundaries that are prefixes", &m);

	buf_reset(&m);
	buf_add(&m, S("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n"));
	many(&m, "--\n", 10000000);
	bomb("ten million delimiters that are none", &m);

	buf_reset(&m);
	for (unsigned i = 0; i < 100; i++)
		buf_add(&m, S("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"));
	many(&m, "--x\r\n\r\n", 1000000);
	bomb("one boundary for all levels", &m);

	buf_reset(&m);
	buf_add(&m, S("To: "));
	many(&m, "a@b, ", 100000);
	many(&m, "(", 20000);
	bomb("100 000 addresses, 20 000 parentheses", &m);

	buf_reset(&m);
	buf_add(&m, S("Content-Type: text/plain"));
	for (unsigned i = 0; i < 50000; i++)
		buf_fmt(&m, ";\r\n name*%u*=x", i);
	bomb("50 000 continuations", &m);

	buf_reset(&m);
	many(&m, "To: a@b\r\n", 100000);
	bomb("100 000 To fields", &m);

	buf_reset(&m);
	for (unsigned i = 0; i < 40; i++) {
		buf_add(&m, S("From: "));
		many(&m, "a,", 300000);
		buf_add(&m, S("\r\nContent-Type: message/rfc822\r\n\r\n"));
	}
	bomb("twelve million addresses in forty envelopes", &m);

	buf_reset(&m);
	buf_add(&m, S("Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
	for (unsigned i = 0; i < 10000; i++) {
		buf_add(&m, S("--b\r\nContent-Type: text/"));
		many(&m, "x", 120);
		buf_add(&m, S("; name=\"\\\"\"\r\nContent-ID: \"\"\r\nContent-Language: "));
		many(&m, "en,", 1000);
		buf_add(&m, S("\r\nContent-Transfer-Encoding: "));
		many(&m, "y", 500);
		buf_add(&m, S("\r\nContent-Disposition: "));
		many(&m, "z", 500);
		buf_add(&m, S("\r\n\r\n"));
	}
	bomb("10 000 parts with everything in them", &m);

	buf_reset(&m);
	many(&m, "Content-Type: message/rfc822\r\n\r\n", 99);
	many(&m, "\n", 50000000);
	bomb("rfc822 99 deep over 50 million lines", &m);
}

static uint64_t rng = 0x9e3779b97f4a7c15u;

static size_t
draw(size_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (size_t)(rng % below);
}

/* SECURITY.md I-034: 10 000 random messages, read back by the strict client. */
static void
injection(void **state)
{
	static const struct slice words[] = { S_INIT("\r\n"), S_INIT("\""), S_INIT("\0"), S_INIT("\\"),
		S_INIT("("), S_INIT(")"), S_INIT("{3}\r\n"), S_INIT("{9999}"), S_INIT("NIL"),
		S_INIT("a@b"), S_INIT("<"), S_INIT(">"), S_INIT(","), S_INIT(";"), S_INIT(":"),
		S_INIT("Subject: "), S_INIT("From: "), S_INIT("To: "), S_INIT("Message-ID: "),
		S_INIT("Content-Type: "), S_INIT("text/plain"), S_INIT("message/rfc822"),
		S_INIT("multipart/mixed; boundary=b"), S_INIT("--b"), S_INIT("--b--"),
		S_INIT("Content-Disposition: attachment; filename=\""), S_INIT("name*0*="),
		S_INIT("Content-Transfer-Encoding: "), S_INIT("Content-Language: en, "),
		S_INIT("Content-Location: "), S_INIT("Content-ID: "), S_INIT("\r\n\r\n"),
		S_INIT("\r\n "), S_INIT("\xff"), S_INIT("\xc3\xa9"), S_INIT("\r"), S_INIT("\n"),
		S_INIT("="), S_INIT("%41"), S_INIT("* 1 FETCH (UID 7)\r\n"), S_INIT("x") };
	own(buf_t) m, e, b, s;

	buf_init(&m, MOST);
	buf_init(&e, MOST);
	buf_init(&b, MOST);
	buf_init(&s, MOST);
	for (size_t i = 0; i < 10000; i++) {
		size_t n = draw(120);

		buf_reset(&m);
		for (size_t k = 0; k < n; k++)
			buf_add(&m, words[draw(sizeof words / sizeof words[0])]);
		(void)answers(buf_slice(&m), &e, &b, &s);
	}
}

#include "lib/make/mime/vectors_structure.h"

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes),
		cmocka_unit_test(full),
		cmocka_unit_test(bombs),
		cmocka_unit_test(injection),
	};
	const struct CMUnitTest from_vectors[] = {
		cmocka_unit_test(vector_structures),
		cmocka_unit_test(vector_sections),
	};

	if (cmocka_run_group_tests(tests, NULL, NULL) != 0)
		return 1;
	if (access(VECTORS "/imap-bodystructure", R_OK) != 0) {
		(void)printf("SKIP: no ../shared/vectors/imap-bodystructure\n");
		return 77;
	}
	return cmocka_run_group_tests(from_vectors, NULL, NULL);
}
