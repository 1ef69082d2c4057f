/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "lib/base/fold.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/mime/search.h"

#define MOST ((size_t)(64 * 1024 * 1024))

static const struct slice message = S_INIT(
    "From: =?iso-8859-1?q?J=F6rg?= \"the Boss\" <joerg (his) @ Example.ORG>\r\n"
    "To: g: a@b.test, c@d.test;\r\n"
    "Subject: =?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?=\r\n aus K\xc3\xb6ln\r\n"
    "X-Empty:\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "preamble\r\n"
    "--b\r\nContent-Type: text/plain; charset=windows-1251\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    "=CF=D0=C8=C2=C5=D2 soft=\r\nbreak line\r\n"
    "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "PGI+zpHOmM6Xzp3OkTwvYj4=\r\n"
    "--b\r\nContent-Type: application/octet-stream\r\n\r\nbinary secret\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: =?utf-8?q?Inn=C3=A9r?=\r\n\r\nunlabelled caf\xe9\r\n"
    "--b--\r\nepilogue\r\n");

static bool
in_header(const char *name, const char *needle)
{
	own(arena_p) a = arena_new("test", MOST);
	struct search s;
	bool hit;

	search_begin(&s, slice_z(needle));
	hit = search_header(&s, slice_head(message, header_length(message)), slice_z(name), a);
	search_end(&s);
	assert_int_equal(arena_used(a), 0);
	return hit;
}

static bool
in_body(struct slice in, struct slice needle)
{
	own(arena_p) a = arena_new("test", MOST);
	struct search s;
	struct mime m;
	bool hit;

	assert_true(mime_parse(in, a, &m));
	search_begin(&s, needle);
	hit = search_body(&s, &m, a);
	search_end(&s);
	return hit;
}

static void
headers(void **state)
{
	struct search s;

	assert_true(in_header("subject", "GR\xc3\x9c\xc3\x9f" "E aus k\xc3\x96LN"));
	assert_true(in_header("Subject", ""));
	assert_false(in_header("Subject", "subject"));
	assert_false(in_header("Subject", "=?utf-8"));
	assert_true(in_header("from", "j\xc3\x96rg"));
	assert_true(in_header("From", "the boss"));
	assert_true(in_header("From", "joerg@example.org"));
	assert_false(in_header("From", "a@b.test"));
	assert_true(in_header("To", "C@D.TEST"));
	assert_false(in_header("To", "b.testc"));
	assert_true(in_header("X-Empty", ""));
	assert_false(in_header("X-Empty", "x"));
	assert_false(in_header("X-None", ""));
	search_begin(&s, S("subject: gr\xc3\xbc"));
	assert_true(search_block(&s, slice_head(message, header_length(message))));
	search_end(&s);
	search_begin(&s, S("preamble"));
	assert_false(search_block(&s, slice_head(message, header_length(message))));
	search_end(&s);
}

static void
bodies(void **state)
{
	assert_true(in_body(message, S("\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82")));
	assert_true(in_body(message, S("SoftBreak")));
	assert_true(in_body(message, S("\xce\xb1\xce\xb8\xce\xb7\xce\xbd\xce\xb1")));
	assert_true(in_body(message, S("INN\xc3\x89r")));
	assert_true(in_body(message, S("CAF\xc3\x89")));
	assert_true(in_body(message, S("")));
	assert_false(in_body(message, S("secret")));
	assert_false(in_body(message, S("preamble")));
	assert_false(in_body(message, S("epilogue")));
	assert_false(in_body(message, S("K\xc3\xb6ln")));
	assert_false(in_body(message, S("=CF")));
	for (size_t n = 0; n < message.n; n++) {
		uint8_t *exact = malloc(n + 1);

		memcpy(exact, message.p, n);
		(void)in_body(slice_of(exact, n), S("zzz"));
		free(exact);
	}
}

/* A needle is found wherever the pieces of the stream cut it. */
static void
pieces(void **state)
{
	own(buf_t) b = { .max = 0 };

	buf_init(&b, MOST);
	for (size_t at = 32700; at < 32800; at++) {
		buf_reset(&b);
		buf_add(&b, S("\r\n"));
		while (b.n < at)
			buf_byte(&b, '.');
		buf_add(&b, S("N\xc3\x84" "DLE"));
		buf_add(&b, S("................."));
		assert_true(in_body(buf_slice(&b), S("n\xc3\xa4" "dle")));
		assert_false(in_body(buf_slice(&b), S("n\xc3\xa4" "dlex")));
	}
}

static double
seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* SECURITY.md I-026: SEARCH on large and hostile bodies. */
static void
bombs(void **state)
{
	own(buf_t) b = { .max = 0 };
	double start = seconds();

	buf_init(&b, MOST);
	buf_add(&b, S("Content-Transfer-Encoding: quoted-printable\r\n\r\n"));
	while (b.n < 10000000)
		buf_add(&b, S("=C3=84a=\r\n"));
	assert_false(in_body(buf_slice(&b), S("aaaaaaaaaaaaaaaaaaaab")));
	buf_reset(&b);
	buf_add(&b, S("\r\n"));
	while (b.n < 20000000)
		buf_byte(&b, 'A');
	assert_false(in_body(buf_slice(&b), S("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")));
	buf_reset(&b);
	for (size_t i = 0; i < 100; i++)
		buf_add(&b, S("Content-Type: message/rfc822\r\nSubject: x\r\n\r\n"));
	while (b.n < 1000000)
		buf_add(&b, S("To: =?utf-8?q?x?=\r\n"));
	assert_false(in_body(buf_slice(&b), S("nothing")));
	assert_true(seconds() - start < 3.0);
}

static void
folds(void **state)
{
	static const struct {
		struct slice in, want;
	} table[] = {
		{ S_INIT("ABCxyz[]@`{}01"), S_INIT("abcxyz[]@`{}01") },
		{ S_INIT("\xc3\x84\xc3\x96\xc3\x9c\xc3\x9f\xc3\x97\xc3\x9e"),
		    S_INIT("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f\xc3\x97\xc3\xbe") },
		{ S_INIT("\xce\x86\xce\xa3\xcf\x82\xce\xa9"), S_INIT("\xce\xac\xcf\x83\xcf\x83\xcf\x89") },
		{ S_INIT("\xd0\x81\xd0\x96\xd0\xaf"), S_INIT("\xd1\x91\xd0\xb6\xd1\x8f") },
		{ S_INIT("\xc5\xbd\xc5\x81\xc4\x8c\xc5\xb8"), S_INIT("\xc5\xbe\xc5\x82\xc4\x8d\xc3\xbf") },
		{ S_INIT("A\xff\xc3" "B\xe2\x82\xac" "CDEFGHIJ\xc3"),
		    S_INIT("a\xff\xc3" "b\xe2\x82\xac" "cdefghij\xc3") },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		for (size_t before = 0; before < 9; before++) {
			uint8_t copy[64];

			memset(copy, 'Q', sizeof copy);
			memcpy(&copy[before], table[i].in.p, table[i].in.n);
			fold_utf8(copy, before + table[i].in.n);
			for (size_t k = 0; k < before; k++)
				assert_int_equal(copy[k], 'q');
			assert_memory_equal(&copy[before], table[i].want.p, table[i].want.n);
			assert_int_equal(copy[before + table[i].in.n], 'Q');
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test(bodies),
		cmocka_unit_test(pieces),
		cmocka_unit_test(bombs),
		cmocka_unit_test(folds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
