/* SPDX-License-Identifier: MIT
 * What the tests of the session share besides the world of test_backend.h. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rooms/smtp/test_backend.h"

#define HELLO "EHLO client.example\r\n"
#define FROM "MAIL FROM:<a@far.example>\r\n"
#define TO "RCPT TO:<bob@example.test>\r\n"
#define TEXT "Subject: x\r\n\r\nhello\r\n.\r\n"
#define MAIL FROM TO "DATA\r\n" TEXT


/* The codes of all replies: "220 250 221". Every line must be printable (S-045). */
[[maybe_unused]] static const char *
codes(struct world *w)
{
	static char text[100000];
	struct slice rest = buf_slice(&w->out), line;
	size_t n = 0, at;

	while ((at = slice_find(rest, S("\r\n"))) != SLICE_NONE) {
		line = slice_head(rest, at);
		rest = slice_from(rest, at + 2);
		assert_true(line.n >= 4 && n + 5 < sizeof text);
		for (size_t i = 0; i < line.n; i++)
			assert_true(ch_is_print(slice_at(line, i)));
		if (slice_at(line, 3) == '-')
			continue;
		if (n > 0)
			text[n++] = ' ';
		memcpy(&text[n], line.p, 3);
		n += 3;
	}
	assert_int_equal(rest.n, 0);
	text[n] = 0;
	return text;
}

static bool
said(const struct buf *b, const char *what)
{
	return slice_find(buf_slice(b), slice_z(what)) != SLICE_NONE;
}

[[maybe_unused]] static void
repeat(struct buf *b, const char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_true(buf_add(b, slice_z(line)));
}
