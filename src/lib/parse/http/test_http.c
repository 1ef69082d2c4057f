/* SPDX-License-Identifier: MIT
 * Heads, also cut short at every octet: a cut one is never a request. H-001, H-002 (where a request ends), H-003 (too
 * much of it), H-014 (coded bodies). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/http/http.h"

#define P "POST /letters HTTP/1.1\r\n"
#define H "Host: x\r\n"
#define L "Content-Length: 5\r\n"
#define E "\r\n"

/* 200: a whole request; 0: more is needed; else how it is refused. */
static unsigned
feed(struct slice in, struct arena *a, struct http_head *h)
{
	enum http_step st = HTTP_MORE;
	size_t end;

	*h = (struct http_head){ 0 };
	while (st == HTTP_MORE && (end = slice_find(in, S("\r\n"))) != SLICE_NONE) {
		st = http_head_line(h, slice_head(in, end), a);
		in = slice_from(in, end + 2);
	}
	return st == HTTP_DONE ? 200 : st == HTTP_BAD ? h->code : 0;
}

static const struct {
	const char *text;
	unsigned code;
} rows[] = {
	{ P H L E, 200 },
	{ P H "content-length:5\r\n" E, 200 },
	{ P H "Content-Length: 0\r\n" E, 200 },
	{ "GET / HTTP/1.1\r\n" H E, 200 },
	{ "GET / HTTP/1.0\r\n" E, 200 },
	{ "PRI * HTTP/2.0\r\n", 505 },
	{ P H L "Expect: 100-continue\r\n" E, 200 },
	{ P H L "Expect: x\r\n", 417 },
	{ P H E, 411 },
	{ P L E, 400 },		     /* no Host */
	{ P H H, 400 },		     /* two */
	{ P "Host: a/b\r\n", 400 },
	/* H-001: which length? */
	{ P H L L, 400 },
	{ P H L "Content-Length: 6\r\n", 400 },
	{ P H "Content-Length: 5, 5\r\n", 400 },
	{ P H "Content-Length: +5\r\n", 400 },
	{ P H "Content-Length: -1\r\n", 400 },
	{ P H "Content-Length: 0x5\r\n", 400 },
	{ P H "Content-Length: 5 5\r\n", 400 },
	{ P H "Content-Length:\r\n", 400 },
	{ P H "Content-Length: 99999999999\r\n", 400 },
	{ P H "Content-Length: 18446744073709551621\r\n", 400 },
	{ P H L "Transfer-Encoding: chunked\r\n" E, 400 },
	{ P H "Transfer-Encoding: chunked\r\n" L E, 400 },
	{ P H "Transfer-Encoding: chunked\r\n" E, 501 },
	{ P H "Transfer-Encoding: identity\r\n" E, 501 },
	{ P H "Transfer-Encoding: xchunked\r\n" L E, 400 },
	{ "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" E, 400 },
	/* H-002: where does a line, a name, a head end? */
	{ P H "Transfer-Encoding : chunked\r\n", 400 },
	{ P H "Content-Length : 5\r\n", 400 },
	{ P H L " folded\r\n", 400 },
	{ P " Host: x\r\n", 400 },
	{ P H ": x\r\n", 400 },
	{ P H "no colon\r\n", 400 },
	{ P H "X: a\x01\r\n", 400 },
	{ P H "X\x80: a\r\n", 400 },
	{ "\r\n", 400 },
	{ " POST / HTTP/1.1\r\n", 400 },
	{ "POST  / HTTP/1.1\r\n", 400 },
	{ "POST / HTTP/1.1 \r\n", 400 },
	{ "POST / \r\n", 400 },
	{ "POST /\r\n", 400 },
	{ "POST /\x7f HTTP/1.1\r\n", 400 },
	{ "PO(ST / HTTP/1.1\r\n", 400 },
	{ "POST / http/1.1\r\n", 400 },
	{ "POST / HTTP/1.10\r\n", 400 },
	{ "POST / HTTP/1.2\r\n", 505 },
	{ "GET\t/ HTTP/1.1\r\n", 400 },
	/* H-014: what is coded is not decoded */
	{ P H L "Content-Encoding: gzip\r\n" E, 415 },
	{ P H L "Content-Encoding: identity\r\n" E, 200 },
	{ P H L "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", 400 },
	{ P H L "Content-Type: application/json\r\nContent-Type: text/plain\r\n", 400 },
};

static void
heads(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct slice in = slice_z(rows[i].text);
		struct http_head h;

		for (size_t n = 0; n <= in.n; n++) {
			own(arena_p) a = arena_new("http", LIMIT_ARENA_COMMAND);
			unsigned code = feed(slice_head(in, n), a, &h);

			if (n == in.n && code != rows[i].code)
				(void)fprintf(stderr, "row %zu: %u\n", i, code);
			if (n == in.n)
				assert_int_equal(code, rows[i].code);
			else
				assert_int_not_equal(code, 200);
		}
	}
}

static void
reads(void **state)
{
	own(arena_p) a = arena_new("http", LIMIT_ARENA_COMMAND);
	struct http_head h;

	assert_int_equal(feed(S(P H L "Authorization: bearer  pd_aZ09-._~+/= \r\nContent-Type: Application/JSON;charset=utf-8"
	    "\r\nConnection: x, Close\r\n" E), a, &h), 200);
	assert_true(slice_eq(h.method, S("POST")) && slice_eq(h.target, S("/letters")) && h.minor == 1);
	assert_true(slice_eq(h.bearer, S("pd_aZ09-._~+/=")) && h.json && h.close && h.length == 5 && !h.expects);
	assert_int_equal(feed(S(P H L "Authorization: Basic YTpi\r\nContent-Type: text/json\r\n" E), a, &h), 200);
	assert_true(h.bearer.n == 0 && !h.json && !h.close);
	assert_int_equal(feed(S(P H L "Authorization: Bearer a b\r\n" E), a, &h), 200);
	assert_int_equal(h.bearer.n, 0);
}

/* H-003: 64 KiB of a target, 5,000 fields, fields of 8 KiB without end. */
static void
floods(void **state)
{
	own(arena_p) a = arena_new("http", LIMIT_ARENA_COMMAND);
	static char big[70000];
	struct http_head h = { 0 };
	size_t n = 0;

	memset(big, 'a', sizeof big);
	memcpy(big, "POST /", 6);
	assert_int_equal(http_head_line(&h, slice_of(big, 65536), a), HTTP_BAD);
	assert_int_equal(h.code, 414);
	h = (struct http_head){ 0 };
	assert_int_equal(http_head_line(&h, S("POST / HTTP/1.1"), a), HTTP_MORE);
	while (n < 5000 && http_head_line(&h, S("A: b"), a) == HTTP_MORE)
		n++;
	assert_true(n == HTTP_FIELDS && h.code == 431);
	h = (struct http_head){ 0 };
	assert_int_equal(http_head_line(&h, S("POST / HTTP/1.1"), a), HTTP_MORE);
	memcpy(big, "A: bbb", 6);
	for (n = 0; n < 100 && http_head_line(&h, slice_of(big, HTTP_LINE), a) == HTTP_MORE; n++)
		;
	assert_true(n < 5 && h.code == 431);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads),
		cmocka_unit_test(reads),
		cmocka_unit_test(floods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
