/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/parse/smtp/data_reference.h"

struct got {
	struct buf content, delivered;
	size_t refuse_after; /* pieces; 0: never */
	size_t pieces;
};

static bool
take_body(void *arg, struct slice piece)
{
	struct got *g = arg;

	assert_true(piece.n > 0);
	g->pieces++;
	return buf_add(&g->content, piece) && (g->refuse_after == 0 || g->pieces < g->refuse_after);
}

static void
take_delivered(void *arg, struct slice value)
{
	struct got *g = arg;

	assert_true(buf_add(&g->delivered, value) && buf_byte(&g->delivered, '|'));
}

static void
got_init(struct got *g)
{
	*g = (struct got){ 0 };
	buf_init(&g->content, LIMIT_MESSAGE);
	buf_init(&g->delivered, 100000);
}

static void
got_free(struct got *g)
{
	buf_free(&g->content);
	buf_free(&g->delivered);
}

/* Feeds in as the pieces [0, a), [a, b), [b, end). */
static bool
feed(struct smtp_data *d, struct slice in, size_t a, size_t b, struct got *g, size_t *used)
{
	const struct smtp_data_sink sink = { take_body, take_delivered, g };
	size_t cuts[] = { 0, a, b, in.n }, n;

	for (size_t i = 0; i < 3; i++) {
		bool end = smtp_data_feed(d, slice_sub(in, cuts[i], cuts[i + 1] - cuts[i]), &sink, &n);

		*used = cuts[i] + n;
		if (end)
			return true;
		assert_int_equal(n, cuts[i + 1] - cuts[i]);
	}
	return false;
}

/* One input at one pair of split points against the reference. */
static void
agree(struct slice in, size_t a, size_t b, const struct data_reference *want, const uint8_t *content)
{
	struct smtp_data d;
	struct got g;
	size_t used = 0;

	got_init(&g);
	smtp_data_start(&d, LIMIT_MESSAGE);
	assert_int_equal(feed(&d, in, a, b, &g, &used), want->end);
	assert_int_equal(used, want->used);
	assert_int_equal(d.faults, want->faults);
	if (want->end && want->faults == 0) {
		assert_true(slice_eq(buf_slice(&g.content), slice_of(content, want->n)));
		assert_int_equal(d.size, want->n);
		assert_int_equal(d.longest_line, want->longest);
		assert_int_equal(d.header_size, want->header_size);
	}
	got_free(&g);
}

static void
agree_everywhere(struct slice in)
{
	static uint8_t content[65536];

	for (size_t cut = 0; cut <= in.n; cut++) { /* every truncation */
		struct slice head = slice_head(in, cut);
		struct data_reference want = data_reference(head, content);

		for (size_t a = 0; a <= head.n; a++)
			for (size_t b = a; b <= head.n; b += head.n > 60 ? head.n - a + 1 : 1)
				agree(head, a, b, &want, content);
	}
}

static const struct {
	struct slice in;
	bool end;
	unsigned faults;
	struct slice content;
} cases[] = {
	{ S_INIT(".\r\n"), true, 0, S_INIT("") },
	{ S_INIT("a\r\n.\r\n"), true, 0, S_INIT("a\r\n") },
	{ S_INIT("\r\n.\r\n"), true, 0, S_INIT("\r\n") },
	{ S_INIT("A: b\r\n\r\nx\r\n.\r\nRSET\r\n"), true, 0, S_INIT("A: b\r\n\r\nx\r\n") },
	{ S_INIT("..\r\n...\r\n.x\r\n.\r\n"), true, 0, S_INIT(".\r\n..\r\nx\r\n") }, /* S-018 */
	{ S_INIT("a\n.\n"), false, SMTP_DATA_BARE, S_INIT("") },
	{ S_INIT("a\r\n.\n\r\n.\r\n"), true, SMTP_DATA_BARE, S_INIT("") },
	{ S_INIT("a\n.\r\n\r\n.\r\n"), true, SMTP_DATA_BARE, S_INIT("") },
	{ S_INIT("a\r.\r\r\n.\r\n"), true, SMTP_DATA_BARE, S_INIT("") },
	{ S_INIT("a\r\n.\r\r\n.\r\n"), true, SMTP_DATA_BARE, S_INIT("") },
	{ S_INIT("a\r.\r\n\r\n.\r\n"), true, SMTP_DATA_BARE, S_INIT("") },
	{ S_INIT("a\r\r\n.\r\r\n\r\n.\r\n"), true, SMTP_DATA_BARE, S_INIT("") },
	{ S_INIT("a\r\n\0.\r\n\r\n.\r\n"), true, SMTP_DATA_NUL, S_INIT("") },
	{ S_INIT("a\r\n.\0\r\n\r\n.\r\n"), true, SMTP_DATA_NUL, S_INIT("") },
	{ S_INIT("a\r\n.\r\0\n\r\n.\r\n"), true, SMTP_DATA_NUL | SMTP_DATA_BARE, S_INIT("") },
	{ S_INIT("a\r\n. \r\n\x0b.\r\n.\r\n"), true, 0, S_INIT("a\r\n \r\n\x0b.\r\n") },
	{ S_INIT("a\x85.\x85\r\n.\r\n"), true, 0, S_INIT("a\x85.\x85\r\n") },
	{ S_INIT("a\r\n.\r\n\0"), true, 0, S_INIT("a\r\n") }, /* the NUL is behind the end */
	{ S_INIT("From: x\rBcc: y\r\n\r\n.\r\n"), true, SMTP_DATA_BARE, S_INIT("") }, /* S-044 */
};

static void
table(void **state)
{
	static uint8_t content[1024];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct data_reference r = data_reference(cases[i].in, content);

		assert_int_equal(r.end, cases[i].end);
		assert_int_equal(r.faults, cases[i].faults);
		if (r.end && r.faults == 0)
			assert_true(slice_eq(slice_of(content, r.n), cases[i].content));
		agree_everywhere(cases[i].in);
	}
}

/* All strings of up to six bytes over the alphabet that matters, whole and cut in two. */
static void
exhaustive(void **state)
{
	static const char alphabet[] = { '\r', '\n', '.', 'a', 0 };
	uint8_t text[7 + 5], content[16];

	for (unsigned code = 0; code < 78125; code++) {
		struct data_reference want;
		unsigned c = code;

		for (size_t i = 0; i < 7; i++, c /= 5)
			text[i] = (uint8_t)alphabet[c % 5];
		memcpy(&text[7], "\r\n.\r\n", 5);
		want = data_reference(slice_of(text, sizeof text), content);
		assert_true(want.end);
		for (size_t a = 0; a <= sizeof text; a += 1 + code % 3)
			agree(slice_of(text, sizeof text), a, sizeof text, &want, content);
	}
}

static void
header_findings(void **state)
{
	struct slice in = S("Received: from a\r\n by b\r\nreceived:x\r\nX-Received: no\r\n"
	    "Delivered-To:  Alice@example.test \r\nDELIVERED-TO:\r\n\tbob@example.test\r\n more\r\n"
	    "Delivered-To: \r\nSubject: Delivered-To: no\r\n Received: no\r\n\r\n"
	    "Received: body\r\nDelivered-To: body\r\n.\r\n");

	for (size_t a = 0; a <= in.n; a++) {
		struct smtp_data d;
		struct got g;
		size_t used;

		got_init(&g);
		smtp_data_start(&d, LIMIT_MESSAGE);
		assert_true(feed(&d, in, a, in.n, &g, &used));
		assert_int_equal(d.received, 2);
		assert_true(slice_eq(buf_slice(&g.delivered), S("Alice@example.test|bob@example.test|")));
		assert_int_equal(d.header_size, slice_find(in, S("\r\n\r\n")) + 4);
		got_free(&g);
	}
}

static void
limits(void **state)
{
	struct slice in = S("0123456789\r\n.\r\n");
	struct smtp_data d;
	struct got g;
	size_t used;

	got_init(&g);
	smtp_data_start(&d, 12);
	assert_true(feed(&d, in, 3, 5, &g, &used));
	assert_int_equal(d.faults, 0);
	smtp_data_start(&d, 11);
	assert_true(feed(&d, in, 3, 5, &g, &used)); /* S-039: refused at the true end */
	assert_int_equal(d.faults, SMTP_DATA_SIZE);
	g.pieces = 0;
	g.refuse_after = 2;
	smtp_data_start(&d, 100);
	assert_true(feed(&d, in, 3, 5, &g, &used));
	assert_int_equal(d.faults, SMTP_DATA_SINK);
	assert_int_equal(g.pieces, 2);
	got_free(&g);
}

static void
long_header_and_line(void **state)
{
	uint8_t *big = malloc(3 * LIMIT_HEADER);
	struct smtp_data d;
	struct got g;
	size_t used;

	assert_non_null(big);
	memset(big, 'h', 3 * LIMIT_HEADER);
	got_init(&g);
	for (size_t at = 98; at + 100 < LIMIT_HEADER + 1000; at += 100)
		memcpy(&big[at], "\r\n", 2);
	memcpy(&big[LIMIT_HEADER + 1000], "\r\n.\r\n", 5);
	smtp_data_start(&d, LIMIT_MESSAGE);
	assert_true(feed(&d, slice_of(big, 3 * LIMIT_HEADER), 100, 70000, &g, &used));
	assert_int_equal(used, LIMIT_HEADER + 1005);
	assert_int_equal(d.faults, SMTP_DATA_HEADER);
	memset(big, 'l', 3 * LIMIT_HEADER);
	memcpy(big, "\r\n", 2);
	memcpy(&big[2 + LIMIT_BODY_LINE + 1], "\r\n.\r\n", 5);
	smtp_data_start(&d, LIMIT_MESSAGE);
	assert_true(feed(&d, slice_of(big, 3 * LIMIT_HEADER), 100, 70000, &g, &used));
	assert_int_equal(d.faults, SMTP_DATA_LINE);
	got_free(&g);
	free(big);
}

/* ../shared/vectors/smtp-smuggling: text, the end-of-data look-alike, a smuggled command, CRLF.CRLF. */
static void
smuggling(void **state)
{
	json_t *root = json_load_file(VECTORS "/smtp-smuggling/eod.json", 0, NULL), *entry;
	size_t i, n = 0;

	assert_non_null(root);
	json_array_foreach (json_object_get(root, "cases"), i, entry) {
		own(arena_p) a = arena_new("vector", 4096);
		const char *expect = json_string_value(json_object_get(entry, "expect"));
		struct slice eod, first = S("Subject: x\r\n\r\nfirst");
		uint8_t content[512];
		struct buf in;

		assert_true(base64_decode(slice_z(json_string_value(json_object_get(entry, "eod_b64"))), a,
		    &eod));
		buf_init(&in, 512);
		assert_true(buf_add(&in, first) && buf_add(&in, eod) &&
		    buf_add(&in, S("MAIL FROM:<smuggled@attack.example>\r\n\r\n.\r\n")));
		struct data_reference want = data_reference(buf_slice(&in), content);
		bool at_once = want.used <= first.n + eod.n;
		assert_true(want.end);
		assert_int_equal(at_once, slice_eq(slice_z(expect), S("end")));
		if (!at_once) {
			assert_int_equal(want.used, in.n);
			assert_int_not_equal(want.faults, 0);
		}
		for (size_t cut = 0; cut <= in.n; cut++)
			for (size_t b = cut; b <= in.n; b++)
				agree(buf_slice(&in), cut, b, &want, content);
		buf_free(&in);
		n++;
	}
	assert_true(n >= 18);
	json_decref(root);
}

/* BDAT: every content at every pair of splits. What DATA would say of it after dot-stuffing is what is
 * found; a missing last CRLF is added; nothing in it is an end. */
static void
chunked(void **state)
{
	static const struct {
		struct slice in, content;
		unsigned faults;
	} chunks[] = {
		{ S_INIT(""), S_INIT(""), 0 },
		{ S_INIT("a"), S_INIT("a\r\n"), 0 },
		{ S_INIT("a\r\n"), S_INIT("a\r\n"), 0 },
		{ S_INIT(".\r\n..\r\n"), S_INIT(".\r\n..\r\n"), 0 },
		{ S_INIT("a\r\n.\r\nMAIL FROM:<>\r\n"), S_INIT("a\r\n.\r\nMAIL FROM:<>\r\n"), 0 },
		{ S_INIT("a: b\r\n\r\n."), S_INIT("a: b\r\n\r\n.\r\n"), 0 },
		{ S_INIT("a\r"), S_INIT(""), SMTP_DATA_BARE },
		{ S_INIT("a\n"), S_INIT(""), SMTP_DATA_BARE },
		{ S_INIT("a\rb\r\n"), S_INIT(""), SMTP_DATA_BARE },
		{ S_INIT(".\r"), S_INIT(""), SMTP_DATA_BARE },
		{ S_INIT("a\0\r\n"), S_INIT(""), SMTP_DATA_NUL },
	};

	for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++)
		for (size_t a = 0; a <= chunks[i].in.n; a++)
			for (size_t b = a; b <= chunks[i].in.n; b++) {
				struct smtp_data d;
				struct got g;
				size_t used;
				const struct smtp_data_sink sink = { take_body, take_delivered, &g };

				got_init(&g);
				smtp_data_start_chunked(&d, LIMIT_MESSAGE);
				assert_false(feed(&d, chunks[i].in, a, b, &g, &used));
				smtp_data_finish(&d, &sink);
				assert_int_equal(d.faults, chunks[i].faults);
				if (d.faults == 0) {
					assert_true(slice_eq(buf_slice(&g.content), chunks[i].content));
					assert_int_equal(d.size, g.content.n);
				}
				got_free(&g);
			}
}

/* Not a benchmark with a threshold: it prints what this machine does. */
static void
speed(void **state)
{
	struct slice line = S("the quick brown fox jumps over the lazy dog and comes back for the other o\r\n");
	const struct smtp_data_sink sink = { take_body, take_delivered, NULL };
	struct timespec a, b;
	struct smtp_data d;
	struct buf text;
	struct got g;
	size_t used, rounds = 200;
	double s;

	got_init(&g);
	buf_init(&text, 1 << 20);
	assert_true(buf_add(&text, S("Subject: speed\r\n\r\n")));
	while (text.n + line.n < 65536)
		assert_true(buf_add(&text, line));
	assert_true(buf_room(&g.content, LIMIT_MESSAGE / 2) != NULL);
	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	for (size_t r = 0; r < rounds; r++) {
		struct smtp_data_sink here = sink;

		g.content.n = 0;
		here.arg = &g;
		smtp_data_start(&d, LIMIT_MESSAGE);
		for (size_t at = 0; at < text.n; at += 16384)
			assert_false(smtp_data_feed(&d, slice_head(slice_from(buf_slice(&text), at), 16384), &here,
			    &used));
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	(void)printf("DATA framer with a copying sink: %.2f GB/s\n", (double)(rounds * text.n) / s / 1e9);
	buf_free(&text);
	got_free(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(exhaustive),
		cmocka_unit_test(header_findings),
		cmocka_unit_test(limits),
		cmocka_unit_test(long_header_and_line),
		cmocka_unit_test(chunked),
		cmocka_unit_test(speed),
	};
	const struct CMUnitTest vectors[] = { cmocka_unit_test(smuggling) };
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (failed != 0)
		return failed;
	if (access(VECTORS "/smtp-smuggling/eod.json", R_OK) != 0) {
		(void)printf("SKIP: no ../shared/vectors/smtp-smuggling\n");
		return 77;
	}
	return cmocka_run_group_tests(vectors, NULL, NULL);
}
