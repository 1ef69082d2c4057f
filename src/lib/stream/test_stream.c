/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/stream/stream.h"

/* Input, and what stream_line(s, 8, ...) must report: one character a line: o (ok), b (bad), l (too
 * long), then e (eof) or x (error). */
static const struct {
	struct slice in;
	const char *verdicts;
	struct slice first; /* content of the first good line */
} lines[] = {
	{ S_INIT(""), "e", S_INIT("") },
	{ S_INIT("\r\n"), "oe", S_INIT("") },
	{ S_INIT("abc\r\n"), "oe", S_INIT("abc") },
	{ S_INIT("abcdefgh\r\nx\r\n"), "ooe", S_INIT("abcdefgh") },
	{ S_INIT("abcdefghi\r\nx\r\n"), "loe", S_INIT("x") },
	{ S_INIT("abcdefgh\rijklm\r\r\nx\r\n"), "loe", S_INIT("x") },
	{ S_INIT("abcdefgh\n\nijklmnop\r\nx\r\n"), "loe", S_INIT("x") },
	{ S_INIT("ab\nc\r\nx\r\n"), "boe", S_INIT("x") },
	{ S_INIT("\nc\r\nx\r\n"), "boe", S_INIT("x") },
	{ S_INIT("ab\rc\r\nx\r\n"), "boe", S_INIT("x") },
	{ S_INIT("ab\r\r\nx\r\n"), "boe", S_INIT("x") },
	{ S_INIT("ab\n\r\nx\r\n"), "boe", S_INIT("x") },
	{ S_INIT("a\0b\r\nx\r\n"), "boe", S_INIT("x") },
	{ S_INIT("\0\r\nx\r\n"), "boe", S_INIT("x") },
	{ S_INIT("x\r\nabc"), "oe", S_INIT("x") },
	{ S_INIT("x\r\nabc\r"), "oe", S_INIT("x") },
	{ S_INIT("x\r\nabc\n"), "oe", S_INIT("x") },
	{ S_INIT("x\r\nabc\n\r"), "oe", S_INIT("x") },
};

static void
read_lines(struct stream *s, const char *verdicts, struct slice first)
{
	struct slice line;
	bool seen = false;

	for (size_t i = 0; i < slice_z(verdicts).n; i++) {
		enum stream_status st = stream_line(s, 8, 0, &line);
		static const char letters[] = "oetlbx";

		assert_int_equal(letters[st], slice_at(slice_z(verdicts), i));
		if (st == STREAM_OK && !seen) {
			assert_true(slice_eq(line, first));
			seen = true;
		}
	}
}

static void
framing(void **state)
{
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		for (size_t chunk = 0; chunk <= lines[i].in.n; chunk++) {
			struct stream_memory m = { .in = lines[i].in, .chunk = chunk };
			struct stream s;

			stream_init_memory(&s, &m);
			read_lines(&s, lines[i].verdicts, lines[i].first);
			stream_close(&s);
		}
}

/* At every truncation: a silent peer gives a timeout, and the call is repeated when the rest comes. */
static void
resumes(void **state)
{
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		for (size_t cut = 0; cut < lines[i].in.n; cut++) {
			struct stream_memory m = { .in = slice_head(lines[i].in, cut), .hang = true };
			struct slice line;
			struct stream s;
			size_t k = 0;

			stream_init_memory(&s, &m);
			for (enum stream_status st; (st = stream_line(&s, 8, 0, &line)) != STREAM_TIMEOUT; k++)
				assert_true(st != STREAM_EOF && st != STREAM_ERROR);
			m.in = lines[i].in;
			m.hang = false;
			read_lines(&s, &lines[i].verdicts[k], k == 0 ? lines[i].first : S("x"));
			stream_close(&s);
		}
}

static void
endless_line(void **state)
{
	struct stream_memory m = { .chunk = 1000 };
	struct slice line;
	struct stream s;
	uint8_t *big = malloc(1000000);

	assert_non_null(big);
	memset(big, 'a', 1000000);
	m.in = slice_of(big, 1000000);
	stream_init_memory(&s, &m);
	assert_int_equal(stream_line(&s, 2048, 0, &line), STREAM_TOO_LONG);
	assert_in_range(m.at, LIMIT_SMTP_OVERLONG, LIMIT_SMTP_OVERLONG + 4096);
	assert_true(s.cap <= LIMIT_STREAM_IN); /* dropped, not collected */
	assert_int_equal(stream_line(&s, 2048, 0, &line), STREAM_ERROR);
	assert_int_equal(stream_peek(&s, 0, &line), STREAM_ERROR);
	stream_close(&s);
	/* the longest line that may be asked for */
	big[LIMIT_STREAM_LINE] = '\r';
	big[LIMIT_STREAM_LINE + 1] = '\n';
	m = (struct stream_memory){ .in = slice_of(big, 1000000), .chunk = 16384 };
	stream_init_memory(&s, &m);
	assert_int_equal(stream_line(&s, LIMIT_STREAM_LINE, 0, &line), STREAM_OK);
	assert_int_equal(line.n, LIMIT_STREAM_LINE);
	stream_close(&s);
	free(big);
}

static void
counted_bytes(void **state)
{
	for (size_t chunk = 0; chunk < 12; chunk++) {
		struct stream_memory m = { .in = S("a {5}\r\nb\r\n\0c d\r\nrest"), .chunk = chunk };
		struct slice got;
		struct stream s;
		size_t n = 0;

		stream_init_memory(&s, &m);
		assert_int_equal(stream_line(&s, 100, 0, &got), STREAM_OK);
		assert_int_equal(stream_bytes(&s, 5, 0, &got), STREAM_OK);
		assert_true(slice_eq(got, S("b\r\n\0c")));
		assert_int_equal(stream_bytes(&s, 0, 0, &got), STREAM_OK);
		assert_int_equal(stream_line(&s, 100, 0, &got), STREAM_OK);
		assert_true(slice_eq(got, S(" d")));
		while (stream_peek(&s, 0, &got) == STREAM_OK) {
			assert_true(got.n > 0);
			n += got.n;
			stream_consume(&s, got.n);
		}
		assert_int_equal(n, 4);
		assert_int_equal(stream_bytes(&s, 1, 0, &got), STREAM_EOF);
		stream_close(&s);
	}
}

static void
buffered_and_discarded(void **state)
{
	struct stream_memory m = { .in = S("STARTTLS\r\nNOOP\r\n"), .hang = true };
	struct slice line;
	struct stream s;

	buf_init(&m.out, 100);
	stream_init_memory(&s, &m);
	assert_true(stream_readable(&s));
	assert_false(!stream_idle(&s)); /* nothing read yet: may park */
	assert_int_equal(stream_line(&s, 100, 0, &line), STREAM_OK);
	assert_int_equal(stream_buffered(&s), 6);
	assert_false(stream_idle(&s));
	assert_int_equal(stream_discard(&s), 6);
	assert_int_equal(stream_line(&s, 100, 0, &line), STREAM_TIMEOUT);
	assert_false(stream_readable(&s));
	assert_int_equal(stream_write(&s, S("220 go\r\n"), 0), STREAM_OK);
	assert_int_equal(m.out.n, 0);
	assert_false(stream_idle(&s));
	assert_int_equal(stream_flush(&s, 0), STREAM_OK);
	assert_true(slice_eq(buf_slice(&m.out), S("220 go\r\n")));
	assert_true(stream_idle(&s));
	assert_null(s.in);
	assert_null(s.out.p);
	assert_true(sizeof s < 256);
	stream_close(&s);
	buf_free(&m.out);
}

static void
replies_leave_before_a_wait(void **state)
{
	struct stream_memory m = { .in = S("a\r\nb\r\n") };
	struct slice line;
	struct stream s;

	buf_init(&m.out, 100);
	stream_init_memory(&s, &m);
	assert_int_equal(stream_line(&s, 100, 0, &line), STREAM_OK);
	assert_int_equal(stream_write(&s, S("1"), 0), STREAM_OK);
	assert_int_equal(stream_line(&s, 100, 0, &line), STREAM_OK);
	assert_int_equal(m.out.n, 0); /* b was there already: replies are collected */
	assert_int_equal(stream_write(&s, S("2"), 0), STREAM_OK);
	assert_int_equal(stream_line(&s, 100, 0, &line), STREAM_EOF);
	assert_true(slice_eq(buf_slice(&m.out), S("12")));
	stream_close(&s);
	buf_free(&m.out);
}

static void
passwords_are_wiped(void **state)
{
	struct stream_memory m = { .in = S("secret\r\nrest\r\n") };
	struct slice line, whole;
	struct stream s;

	stream_init_memory(&s, &m);
	assert_int_equal(stream_line(&s, 100, 0, &line), STREAM_OK);
	whole = slice_of(s.in, s.high);
	assert_int_not_equal(slice_find(whole, S("secret")), SLICE_NONE);
	stream_wipe(&s);
	assert_int_equal(slice_find(whole, S("secret")), SLICE_NONE);
	assert_int_equal(stream_line(&s, 100, 0, &line), STREAM_OK);
	assert_true(slice_eq(line, S("rest")));
	stream_close(&s);
}

static void
large_output(void **state)
{
	struct stream_memory m = { 0 };
	struct stream_fault f = { .most = 1000 };
	static uint8_t big[100000];
	struct stream s;

	memset(big, 'b', sizeof big);
	buf_init(&m.out, 1000000);
	stream_init_memory(&s, &m);
	stream_inject(&s, &f);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(stream_write(&s, S("0123456789012345678901234567890123456789"), 0), STREAM_OK);
	assert_true(s.out.cap <= LIMIT_STREAM_OUT);
	assert_int_equal(stream_write(&s, slice_of(big, sizeof big), 0), STREAM_OK);
	assert_int_equal(stream_flush(&s, 0), STREAM_OK);
	assert_int_equal(m.out.n, 40000 + sizeof big);
	assert_true(slice_starts(buf_slice(&m.out), S("0123456789")));
	assert_int_equal(slice_find_byte(buf_slice(&m.out), 'b'), 40000);
	stream_close(&s);
	buf_free(&m.out);
}

/* Every read and every write fails in turn, in each way: never a hang, a crash or a false OK. */
static void
injected_faults(void **state)
{
	static const int errors[] = { 0, EIO, ECONNRESET, ETIMEDOUT };

	for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++)
		for (size_t at = 1; at < 8; at++) {
			struct stream_memory m = { .in = S("one\r\ntwo\r\nthree\r\n"), .chunk = 4 };
			struct stream_fault r = { .fail_read = at, .error = errors[e] };
			enum stream_status want =
			    errors[e] == 0 ? STREAM_EOF : errors[e] == ETIMEDOUT ? STREAM_TIMEOUT : STREAM_ERROR;
			enum stream_status st;
			struct slice line;
			struct stream s;

			buf_init(&m.out, 100);
			stream_init_memory(&s, &m);
			stream_inject(&s, &r);
			while ((st = stream_line(&s, 100, 1, &line)) == STREAM_OK)
				;
			assert_int_equal(st, at <= 6 ? want : STREAM_EOF);
			stream_close(&s);
			m.at = 0;
			stream_init_memory(&s, &m);
			r = (struct stream_fault){ .fail_write = at, .error = errors[e], .most = 4 };
			stream_inject(&s, &r);
			assert_int_equal(stream_write(&s, S("0123456789"), 1), STREAM_OK);
			st = stream_line(&s, 100, 1, &line);
			if (at > 3)
				assert_int_equal(st, STREAM_OK);
			else
				assert_int_equal(st, errors[e] == ETIMEDOUT ? STREAM_TIMEOUT : STREAM_ERROR);
			if (at <= 3 && errors[e] == ETIMEDOUT) {
				r.fail_write = 0; /* the peer reads again: nothing is lost or doubled */
				assert_int_equal(stream_flush(&s, 1), STREAM_OK);
				assert_true(slice_eq(buf_slice(&m.out), S("0123456789")));
			}
			stream_close(&s);
			buf_free(&m.out);
		}
}

static int64_t
in_ms(int ms)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + ms;
}

static void
over_a_socket(void **state)
{
	struct slice line;
	struct stream s;
	struct buf left;
	int pair[2], fd;
	char got[16];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	stream_init_fd(&s, pair[0]);
	assert_int_equal(stream_line(&s, 100, in_ms(20), &line), STREAM_TIMEOUT);
	assert_int_equal(write(pair[1], "hel", 3), 3);
	assert_int_equal(stream_line(&s, 100, 0, &line), STREAM_TIMEOUT);
	assert_int_equal(write(pair[1], "lo\r\nover", 8), 8);
	assert_int_equal(stream_line(&s, 100, in_ms(1000), &line), STREAM_OK);
	assert_true(slice_eq(line, S("hello")));
	assert_int_equal(stream_write(&s, S("250\r\n"), 0), STREAM_OK);
	assert_int_equal(stream_flush(&s, in_ms(1000)), STREAM_OK);
	assert_int_equal(read(pair[1], got, sizeof got), 5);
	buf_init(&left, 100);
	fd = stream_detach(&s, &left);
	assert_int_equal(fd, pair[0]);
	assert_true(slice_eq(buf_slice(&left), S("over")));
	stream_init_fd(&s, fd);
	stream_preload(&s, buf_slice(&left));
	assert_int_equal(write(pair[1], "!\r\n", 3), 3);
	assert_int_equal(stream_line(&s, 100, in_ms(1000), &line), STREAM_OK);
	assert_true(slice_eq(line, S("over!")));
	close(pair[1]);
	assert_int_equal(stream_line(&s, 100, in_ms(1000), &line), STREAM_EOF);
	assert_int_equal(stream_write(&s, S("x"), 0), STREAM_OK);
	assert_int_equal(stream_flush(&s, in_ms(1000)), STREAM_ERROR); /* and no SIGPIPE */
	stream_close(&s);
	stream_close(&s);
	buf_free(&left);
}

static void
preload_of_any_size(void **state)
{
	static uint8_t big[LIMIT_STREAM_LINE];
	struct stream_memory m = { .in = S("\r\n") };
	static const size_t sizes[] = { 0, 1, 16383, 16384, 16385, 100000, LIMIT_STREAM_LINE };
	struct slice line;
	struct stream s;

	memset(big, 'x', sizeof big);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		m.at = 0;
		stream_init_memory(&s, &m);
		stream_preload(&s, slice_of(big, sizes[i]));
		assert_int_equal(stream_buffered(&s), sizes[i]);
		assert_int_equal(stream_line(&s, LIMIT_STREAM_LINE, 0, &line), STREAM_OK);
		assert_int_equal(line.n, sizes[i]);
		stream_close(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(framing),
		cmocka_unit_test(resumes),
		cmocka_unit_test(endless_line),
		cmocka_unit_test(counted_bytes),
		cmocka_unit_test(buffered_and_discarded),
		cmocka_unit_test(replies_leave_before_a_wait),
		cmocka_unit_test(passwords_are_wiped),
		cmocka_unit_test(large_output),
		cmocka_unit_test(injected_faults),
		cmocka_unit_test(over_a_socket),
		cmocka_unit_test(preload_of_any_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
