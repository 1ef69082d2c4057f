/* SPDX-License-Identifier: MIT
 * Commands framed out of every chunking, and the budgets of I-004 to I-007 and I-009. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/imapio/imapio.h"

/* Reads all commands of in; the log gets one line each, and what was sent to the client. */
static void
transcript(struct slice in, size_t chunk, size_t most, unsigned literals, struct buf *log)
{
	struct stream_memory m = { .in = in, .chunk = chunk };
	struct stream io;
	struct imapio r;
	struct slice out = S("");
	enum imapio_status st;

	buf_init(&m.out, 65536);
	stream_init_memory(&io, &m);
	imapio_init(&r, &io, most, literals, true);
	buf_reset(log);
	do {
		out = S("");
		st = imapio_read(&r, 0, &out);
		if (st == IMAPIO_GONE)
			break;
		buf_fmt(log, "%c[%.*s]", "CABLTX"[st], SFMT(out));
		if (st == IMAPIO_APPEND) {
			struct slice body;

			if (stream_bytes(&io, 3, 0, &body) != STREAM_OK)
				break; /* a truncation */
			buf_fmt(log, "<%.*s>", SFMT(body));
			(void)stream_line(&io, 10, 0, &body);
		}
	} while (st != IMAPIO_CUT);
	(void)stream_flush(&io, 0);
	buf_add(log, buf_slice(&m.out));
	imapio_free(&r);
	stream_close(&io);
	buf_free(&m.out);
}

static void
check(struct slice in, size_t most, unsigned literals, const char *want)
{
	struct buf log;

	buf_init(&log, 262144);
	for (size_t chunk = 0; chunk < 8; chunk++) {
		transcript(in, chunk, most, literals, &log);
		if (!slice_eq(buf_slice(&log), slice_z(want)))
			fail_msg("chunk %zu: %.*s", chunk, SFMT(buf_slice(&log)));
	}
	for (size_t cut = 0; cut < in.n; cut++)
		transcript(slice_head(in, cut), 3, most, literals, &log);
	buf_free(&log);
}

static void
framing(void **state)
{
	check(S("a NOOP\r\nb NOOP\r\n"), 100, UINT_MAX, "C[a NOOP]C[b NOOP]");
	check(S("a LOGIN {2}\r\nab {1+}\r\nc\r\n"), 100, UINT_MAX,
	    "C[a LOGIN {2}\r\nab {1+}\r\nc]+ OK\r\n");
	check(S("a LOGIN {0+}\r\n x\r\nb NOOP\r\n"), 100, UINT_MAX, "C[a LOGIN {0+}\r\n x]C[b NOOP]");
	check(S("a APPEND x {3}\r\nabc\r\nb NOOP\r\n"), 100, UINT_MAX,
	    "A[a APPEND x {3}]<abc>C[b NOOP]");
	check(S("a APPEND {1}\r\nx {3+}\r\nabc\r\nb NOOP\r\n"), 100, UINT_MAX,
	    "A[a APPEND {1}\r\nx {3+}]<abc>C[b NOOP]+ OK\r\n");
	check(S("a \n\r\nb NOOP\r\n"), 100, UINT_MAX, "B[]C[b NOOP]");
	check(S("a {-1}\r\n"), 100, UINT_MAX, "C[a {-1}]");
}

static void
budgets(void **state)
{
	check(S("a LOGIN {999999999}\r\nb NOOP\r\n"), 100, 4, "L[a LOGIN {999999999}]C[b NOOP]");
	check(S("a LOGIN {18446744073709551616}\r\nb NOOP\r\n"), 100, 4,
	    "L[a LOGIN {18446744073709551616}]C[b NOOP]");
	check(S("a LOGIN {67108864+}\r\nb NOOP\r\n"), 100, 4, "X[a LOGIN {67108864+}]");
	check(S("a {1+}\r\nx {1+}\r\nx {1+}\r\nx\r\n"), 100, 2,
	    "X[a {1+}\r\nx {1+}\r\nx {1+}]");
	check(S("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nb NOOP\r\n"), 20, 4, "L[]C[b NOOP]");
	check(S("a {5}\r\n12345 aaaaaaaaaaaaaaaaaaaaa\r\nb NOOP\r\n"), 20, 4,
	    "L[a {5}\r\n12345]C[b NOOP]+ OK\r\n");
}

/* 10 million "(": never more memory than the budget, then the end. */
static void
endless(void **state)
{
	struct buf in, log;

	buf_init(&in, 10000000);
	buf_init(&log, 65536);
	for (unsigned i = 0; i < 10000000 / 50; i++)
		buf_add(&in, S("(((((((((((((((((((((((((((((((((((((((((((((((((("));
	transcript(buf_slice(&in), 0, LIMIT_IMAP_PRELOGIN, 4, &log);
	assert_true(slice_eq(buf_slice(&log), S("L[]")));
	buf_free(&in);
	buf_free(&log);
}

/* A client that stalls anywhere: the reader says so at once, and the command comes out whole when
 * the rest has come. */
static void
stalls(void **state)
{
	struct slice in = S("a LOGIN {3+}\r\nabc {2+}\r\nxy\r\n");

	for (size_t cut = 0; cut < in.n; cut++) {
		struct stream_memory m = { .in = slice_head(in, cut), .hang = true };
		struct stream io;
		struct imapio r;
		struct slice out;

		buf_init(&m.out, 4096);
		stream_init_memory(&io, &m);
		imapio_init(&r, &io, 100, 4, true);
		assert_int_equal(imapio_read(&r, 0, &out), IMAPIO_TIMEOUT);
		imapio_idle(&r);
		assert_int_equal(imapio_read(&r, 0, &out), IMAPIO_TIMEOUT);
		m.in = in;
		assert_int_equal(imapio_read(&r, 0, &out), IMAPIO_COMMAND);
		assert_true(slice_eq(out, slice_head(in, in.n - 2)));
		assert_int_equal(imapio_read(&r, 0, &out), IMAPIO_TIMEOUT);
		imapio_idle(&r);
		assert_true(r.line.p == NULL && io.in == NULL);
		imapio_free(&r);
		stream_close(&io);
		buf_free(&m.out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(framing),
		cmocka_unit_test(budgets),
		cmocka_unit_test(endless),
		cmocka_unit_test(stalls),
	};

	return cmocka_run_group_tests_name("imapio", tests, NULL, NULL);
}
