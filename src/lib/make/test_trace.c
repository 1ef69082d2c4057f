/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/make/reply.h"
#include "lib/make/trace.h"

static void
replies(void **state)
{
	static uint8_t any[600];
	struct buf b;

	buf_init(&b, 2000);
	assert_true(make_reply(&b, 250, "2.1.0", S("ok")));
	assert_true(make_reply_line(&b, 250, NULL, false, S("PIPELINING")));
	assert_true(make_reply(&b, 354, NULL, S("go on")));
	assert_true(slice_eq(buf_slice(&b), S("250 2.1.0 ok\r\n250-PIPELINING\r\n354 go on\r\n")));
	for (size_t i = 0; i < sizeof any; i++)
		any[i] = (uint8_t)i;
	buf_reset(&b);
	assert_true(make_reply(&b, 500, "5.5.2", slice_of(any, sizeof any)));
	assert_true(b.n <= 512);
	for (size_t i = 0; i + 2 < b.n; i++) /* S-045 */
		assert_in_range(slice_at(buf_slice(&b), i), 0x20, 0x7e);
	assert_true(slice_ends(buf_slice(&b), S("\r\n")));
	buf_free(&b);
}

static void
received(void **state)
{
	struct trace_received r = { .helo = S("client.example"), .host = S("mx.example.test"),
		.esmtp = true, .id = S("0123456789abc.1"), .rcpt = S("bob@example.test"),
		.seconds = -27723426 };
	struct buf b;

	assert_true(ip_parse(S("192.0.2.7"), &r.peer));
	buf_init(&b, 2000);
	assert_true(trace_received(&b, &r));
	assert_true(slice_eq(buf_slice(&b),
	    S("Received: from client.example ([192.0.2.7]) by mx.example.test with ESMTP id\r\n"
	      "\t0123456789abc.1 for <bob@example.test>;\r\n\tFri, 14 Feb 1969 03:02:54 +0000\r\n")));
	buf_reset(&b);
	r.tls = r.auth = true;
	r.tls_version = S("TLSv1.3");
	r.cipher = S("TLS_AES_256_GCM_SHA384");
	r.rcpt = S("");
	assert_true(ip_parse(S("2001:db8::1"), &r.peer));
	assert_true(trace_received(&b, &r));
	assert_int_not_equal(slice_find(buf_slice(&b), S("([IPv6:2001:db8::1])")), SLICE_NONE);
	assert_int_not_equal(slice_find(buf_slice(&b), S("ESMTPSA")), SLICE_NONE);
	assert_int_not_equal(slice_find(buf_slice(&b), S("(TLSv1.3 TLS_AES_256_GCM_SHA384)")), SLICE_NONE);
	assert_int_equal(slice_find(buf_slice(&b), S(" for ")), SLICE_NONE);
	buf_reset(&b);
	r.helo = S("a\r\nBcc: x");
	assert_false(trace_received(&b, &r));
	buf_free(&b);
}

static void
lines_stay_short(void **state)
{
	static uint8_t name[255];
	struct trace_received r = { .helo = slice_of(name, 60), .host = slice_of(name, 60), .id = S("x") };
	struct buf b;
	size_t column = 0;

	memset(name, 'a', sizeof name);
	buf_init(&b, 2000);
	assert_true(trace_received(&b, &r));
	for (size_t i = 0; i < b.n; i++) {
		column = slice_at(buf_slice(&b), i) == '\n' ? 0 : column + 1;
		assert_true(column <= 79);
	}
	r.host = slice_of(name, 255); /* one word over the line: it stands alone, below 998 */
	assert_true(trace_received(&b, &r));
	buf_free(&b);
}

static void
delivery_fields(void **state)
{
	struct buf b;

	buf_init(&b, 2000);
	assert_true(trace_return_path(&b, S("a@b.example")) && trace_return_path(&b, S("")));
	assert_true(trace_delivered_to(&b, S("bob@example.test")));
	assert_true(slice_eq(buf_slice(&b), S("Return-Path: <a@b.example>\r\nReturn-Path: <>\r\n"
	    "Delivered-To: bob@example.test\r\n")));
	assert_false(trace_delivered_to(&b, S("bob\nX: y")));
	buf_reset(&b);
	assert_true(trace_list(&b, S("team@example.test")));
	assert_true(slice_eq(buf_slice(&b), S("List-Id: <team.example.test>\r\n"
	    "List-Post: <mailto:team@example.test>\r\nPrecedence: list\r\n")));
	assert_false(trace_list(&b, S("team")));
	buf_reset(&b);
	assert_true(trace_local(&b, S("mx.example.test"), S("shop"), 1001, S("abc.1"), 0));
	assert_true(slice_starts(buf_slice(&b), S("Received: by mx.example.test (from shop, uid 1001)\r\n\tid "
	    "abc.1;\r\n\tThu, ")) && slice_find(buf_slice(&b), S("1 Jan 1970 00:00:00")) != SLICE_NONE && slice_ends(buf_slice(&b), S("\r\n")));
	assert_false(trace_local(&b, S("mx"), S("sh\rop"), 1, S("a"), 0));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(received),
		cmocka_unit_test(lines_stay_short),
		cmocka_unit_test(delivery_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
