/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/base/scan.h"
#include "lib/parse/dkim/canon_ref.h"
#include "lib/parse/dkim/message.h"

#define MOST ((size_t)1 << 20)

static struct slice
run(struct buf *out, enum dkim_canon canon, struct slice body, size_t cut)
{
	struct dkim_body b;
	uint64_t n;

	buf_reset(out);
	dkim_body_init(&b, canon, ref_sink, out);
	dkim_body_feed(&b, slice_head(body, cut));
	dkim_body_feed(&b, slice_from(body, cut));
	n = dkim_body_end(&b);
	assert_int_equal(n, out->n);
	return buf_slice(out);
}

static void
bodies(void **state)
{
	static const struct {
		struct slice in, simple, relaxed;
	} table[] = {
		{ S_INIT(""), S_INIT("\r\n"), S_INIT("") },
		{ S_INIT("\r\n"), S_INIT("\r\n"), S_INIT("") },
		{ S_INIT("\r\n\r\n\r\n"), S_INIT("\r\n"), S_INIT("") },
		{ S_INIT(" \t\r\n \r\n"), S_INIT(" \t\r\n \r\n"), S_INIT("") },
		{ S_INIT("a"), S_INIT("a\r\n"), S_INIT("a\r\n") },
		{ S_INIT("a  "), S_INIT("a  \r\n"), S_INIT("a\r\n") },
		/* RFC 6376 3.4.5 */
		{ S_INIT(" C \r\nD \t E\r\n\r\n\r\n"), S_INIT(" C \r\nD \t E\r\n"),
		    S_INIT(" C\r\nD E\r\n") },
		{ S_INIT("a \rb\r\n"), S_INIT("a \rb\r\n"), S_INIT("a \rb\r\n") },
		{ S_INIT("a\t\nb \r"), S_INIT("a\t\nb \r\r\n"), S_INIT("a \nb \r\r\n") },
		{ S_INIT("a\r\r\n\r\n"), S_INIT("a\r\r\n"), S_INIT("a\r\r\n") },
		{ S_INIT("\r\n\r\na\r\n\r\n"), S_INIT("\r\n\r\na\r\n"), S_INIT("\r\n\r\na\r\n") },
		{ S_INIT("0123456789 0123456789 0123456789 0123456789 0123456789  0123456789 \r\nx \r\n"),
		    S_INIT("0123456789 0123456789 0123456789 0123456789 0123456789  0123456789 \r\nx \r\n"),
		    S_INIT("0123456789 0123456789 0123456789 0123456789 0123456789 0123456789\r\nx\r\n") },
	};
	own(buf_t) out = { .max = MOST };
	own(buf_t) ref = { .max = MOST };

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		for (size_t cut = 0; cut <= table[i].in.n; cut++) {
			assert_true(slice_eq(run(&out, DKIM_SIMPLE, table[i].in, cut), table[i].simple));
			assert_true(slice_eq(run(&out, DKIM_RELAXED, table[i].in, cut),
			    table[i].relaxed));
			buf_reset(&ref);
			ref_body(&ref, table[i].in, DKIM_RELAXED);
			assert_true(slice_eq(buf_slice(&ref), table[i].relaxed));
		}
}

/* Every string of length 7 over the bytes that matter, against the plain version, cut in two. */
static void
all_short_bodies(void **state)
{
	static const uint8_t alphabet[] = { '\r', '\n', ' ', '\t', 'a' };
	own(buf_t) out = { .max = 4096 };
	own(buf_t) ref = { .max = 4096 };
	uint8_t body[7];

	for (unsigned code = 0; code < 78125; code++) {
		unsigned left = code;
		struct slice s = slice_of(body, sizeof body);

		for (size_t i = 0; i < sizeof body; i++, left /= 5)
			body[i] = alphabet[left % 5];
		for (int canon = DKIM_SIMPLE; canon <= DKIM_RELAXED; canon++) {
			buf_reset(&ref);
			ref_body(&ref, s, (enum dkim_canon)canon);
			assert_true(slice_eq(run(&out, (enum dkim_canon)canon, s, code % 8),
			    buf_slice(&ref)));
		}
	}
}

static void
headers(void **state)
{
	static const struct {
		struct slice in, out;
	} table[] = {
		/* RFC 6376 3.4.5 */
		{ S_INIT("A: X\r\n"), S_INIT("a:X\r\n") },
		{ S_INIT("B : Y\t\r\n\tZ  \r\n"), S_INIT("b:Y Z\r\n") },
		{ S_INIT("SUBJECT:\r\n\r\n"), S_INIT("subject:\r\n") },
		{ S_INIT("Subject:  a \r\n\t\t b\r\n"), S_INIT("subject:a b\r\n") },
		{ S_INIT("x:"), S_INIT("x:\r\n") },
		{ S_INIT("no colon"), S_INIT("no colon\r\n") },
		{ S_INIT("a:b:C"), S_INIT("a:b:C\r\n") },
	};
	own(buf_t) out = { .max = 4096 };
	struct slice sig = S("DKIM-Signature: a=1; b= QQ\r\n  UU ; c=2\r\n");

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		buf_reset(&out);
		dkim_header_canon(DKIM_RELAXED, table[i].in, ref_sink, &out);
		assert_true(slice_eq(buf_slice(&out), table[i].out));
	}
	buf_reset(&out);
	dkim_header_canon(DKIM_SIMPLE, S("B : Y\t\r\n\tZ  \r\n"), ref_sink, &out);
	assert_true(slice_eq(buf_slice(&out), S("B : Y\t\r\n\tZ  \r\n")));
	buf_reset(&out);
	dkim_header_canon_without(DKIM_RELAXED, sig, 23, 33, ref_sink, &out);
	assert_true(slice_eq(buf_slice(&out), S("dkim-signature:a=1; b=; c=2")));
	buf_reset(&out);
	dkim_header_canon_without(DKIM_SIMPLE, sig, 23, sig.n - 2, ref_sink, &out);
	assert_true(slice_eq(buf_slice(&out), S("DKIM-Signature: a=1; b=")));
}

/* Longer than the piece that the relaxed form is collected in. */
static void
long_header(void **state)
{
	own(buf_t) in = { .max = MOST };
	own(buf_t) out = { .max = MOST };

	buf_add(&in, S("X:"));
	for (size_t i = 0; i < 5000; i++)
		buf_add(&in, S(" \t a"));
	dkim_header_canon(DKIM_RELAXED, buf_slice(&in), ref_sink, &out);
	assert_int_equal(out.n, 2 + 5000 * 2 - 1 + 2);
	assert_true(slice_starts(buf_slice(&out), S("x:a a a a")));
	assert_true(slice_ends(buf_slice(&out), S("a a a\r\n")));
}

static void
edges(void **state)
{
	uint8_t line[100];

	memset(line, 'x', sizeof line);
	for (size_t i = 0; i < sizeof line; i++) {
		struct slice s = slice_of(line, sizeof line);

		line[i] = '\t';
		assert_int_equal(scan_wsp_edge(s, 0), i);
		assert_int_equal(scan_wsp_edge(s, i), i);
		assert_int_equal(scan_wsp_edge(slice_head(s, i), 0), SLICE_NONE);
		line[i] = ' ';
		assert_int_equal(scan_wsp_edge(s, 0), i + 1 == sizeof line ? i : SLICE_NONE);
		assert_int_equal(scan_wsp_edge(slice_head(s, i + 1), 0), i);
		line[i] = 'x';
	}
}

/* Reads a file with LF or CRLF line ends and gives it CRLF. */
static bool
slurp(const char *name, unsigned number, struct buf *out)
{
	char path[512];
	FILE *f;
	int c, last = 0;

	(void)snprintf(path, sizeof path, "%s/dkim-canon/%s.%02u", VECTORS, name, number);
	f = fopen(path, "rb");
	if (f == NULL)
		return false;
	buf_reset(out);
	for (; (c = getc(f)) != EOF; last = c) {
		if (c == '\n' && last != '\r')
			buf_byte(out, '\r');
		buf_byte(out, (uint8_t)c);
	}
	(void)fclose(f);
	return true;
}

static bool
same_as_file(struct arena *a, unsigned number, enum dkim_canon canon, struct slice mail)
{
	own(buf_t) out = { .max = MOST };
	own(buf_t) want = { .max = MOST };
	struct dkim_message m;
	struct dkim_body b;

	assert_true(dkim_message_split(mail, a, &m));
	for (size_t i = 0; i < m.n; i++)
		dkim_header_canon(canon, m.fields[i].raw, ref_sink, &out);
	buf_add(&out, S("\r\n"));
	dkim_body_init(&b, canon, ref_sink, &out);
	dkim_body_feed(&b, m.body);
	(void)dkim_body_end(&b);
	assert_true(slurp(canon == DKIM_SIMPLE ? "simple.expected" : "relaxed.expected", number, &want));
	return slice_eq(buf_slice(&out), buf_slice(&want));
}

static void
vectors(void **state)
{
	own(arena_p) a = arena_new("test", MOST);
	own(buf_t) mail = { .max = MOST };
	unsigned n = 0, good = 0;

	for (unsigned i = 0; i < 100; i++) {
		if (!slurp("email", i, &mail))
			continue;
		n++;
		if (same_as_file(a, i, DKIM_SIMPLE, buf_slice(&mail)) &&
		    same_as_file(a, i, DKIM_RELAXED, buf_slice(&mail)))
			good++;
		else
			(void)printf("dkim-canon: email.%02u differs\n", i);
	}
	(void)printf("dkim-canon: %u/%u\n", good, n);
	assert_int_equal(n, 15);
	assert_int_equal(good, n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bodies), cmocka_unit_test(all_short_bodies),
		cmocka_unit_test(headers), cmocka_unit_test(long_header), cmocka_unit_test(edges) };
	const struct CMUnitTest outside[] = { cmocka_unit_test(vectors) };
	FILE *f;

	if (cmocka_run_group_tests(tests, NULL, NULL) != 0)
		return 1;
	f = fopen(VECTORS "/dkim-canon/SOURCE.txt", "r");
	if (f == NULL) {
		(void)printf("SKIP: no vectors in " VECTORS "/dkim-canon\n");
		return 77;
	}
	(void)fclose(f);
	return cmocka_run_group_tests(outside, NULL, NULL);
}
