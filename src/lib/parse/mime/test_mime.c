/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/mime/decode.h"
#include "lib/parse/mime/section.h"

#define MOST ((size_t)(16 * 1024 * 1024))

/* "type/subtype[octets of body]!defects" for each node, children in parentheses. */
static void
dump(const struct mime *m, struct buf *out)
{
	const struct mime_part *p = m->root;
	uint32_t depth = 0;

	buf_reset(out);
	for (; p != NULL; p = mime_next(p, m->root)) {
		for (; depth < p->depth; depth++)
			buf_byte(out, '(');
		for (; depth > p->depth; depth--)
			buf_byte(out, ')');
		buf_fmt(out, "%.*s/%.*s[%zu]", SFMT(p->type), SFMT(p->subtype), p->body.n);
		if (p->defects != 0)
			buf_fmt(out, "!%x", p->defects);
	}
	for (; depth > 0; depth--)
		buf_byte(out, ')');
}

/* What every tree must fulfil whatever the message is. */
static void
check(const struct mime *m)
{
	uint32_t n = 0, defects = 0;

	for (const struct mime_part *p = m->root; p != NULL; p = mime_next(p, m->root)) {
		const struct mime_part *last = NULL;

		n++;
		defects |= p->defects;
		assert_true(p->depth < LIMIT_MIME_DEPTH);
		assert_true(p->type.n > 0 && p->subtype.n > 0);
		assert_true(p->body_at + p->body.n <= m->in.n);
		assert_true(slice_eq(p->body, slice_sub(m->in, p->body_at, p->body.n)));
		assert_true(p->kind != MIME_LEAF || p->first == NULL);
		assert_true(p->kind != MIME_MESSAGE || (p->first != NULL && p->first == p->last));
		assert_true((p->envelope != NULL) ==
		    (p->parent == NULL || p->parent->kind == MIME_MESSAGE));
		for (const struct mime_part *c = p->first; c != NULL; last = c, c = c->next) {
			size_t from = c->body_at - c->header.n;

			assert_true(c->parent == p);
			assert_true(from >= (last == NULL ? p->body_at : last->body_at + last->body.n));
			assert_true(c->body_at + c->body.n <= p->body_at + p->body.n);
		}
	}
	assert_int_equal(n, m->parts);
	assert_int_equal(defects, m->defects);
}

static const struct {
	struct slice in;
	const char *want;
} trees[] = {
	{ S_INIT(""), "text/plain[0]!100" },
	{ S_INIT("Subject: x\r\n\r\nbody\r\n"), "text/plain[6]" },
	{ S_INIT("Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npreamble\r\n--b\r\n\r\none\r\n"
		 "--b \t\r\nContent-Type: text/html\r\n\r\ntwo\r\n--b--\r\nepilogue"),
	    "multipart/mixed[76](text/plain[3]text/html[3])" },
	/* no closing delimiter */
	{ S_INIT("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n"),
	    "multipart/mixed[18]!10(text/plain[3]text/plain[4])" },
	/* the outer delimiter ends the inner multipart */
	{ S_INIT("Content-Type: multipart/mixed; boundary=o\n\n--o\n"
		 "Content-Type: multipart/alternative; boundary=i\n\n--i\n\n1\n--o\n\n2\n--o--\n"),
	    "multipart/mixed[73](multipart/alternative[6]!10(text/plain[1])text/plain[1])" },
	/* the inner boundary begins with the outer one */
	{ S_INIT("Content-Type: multipart/mixed; boundary=b\n\n--b\n"
		 "Content-Type: multipart/mixed; boundary=bb\n\n--bb\n\n1\n--bb--\n--b--\n"),
	    "multipart/mixed[69](multipart/mixed[14](text/plain[1]))" },
	/* lines that are no delimiters, and delimiters with text behind them */
	{ S_INIT("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n --b\n--a\n-b\n--\n--b--\n"),
	    "multipart/mixed[26](text/plain[14])" },
	{ S_INIT("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--bx\n\n2\n--b--x\n--b\n"),
	    "multipart/mixed[26]!200(text/plain[1]text/plain[1])" },
	/* the longest boundary takes the line */
	{ S_INIT("Content-Type: multipart/mixed; boundary=bbb\n\n--bbb\n"
		 "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--bbb\n\n2\n--bbb--\n"),
	    "multipart/mixed[73](multipart/mixed[6]!10(text/plain[1])text/plain[1])" },
	/* a delimiter ends a header */
	{ S_INIT("Content-Type: multipart/mixed; boundary=b\n\n--b\nA: b\n--b\nno field\n--b--"),
	    "multipart/mixed[27](text/plain[0]!100text/plain[0]!180)" },
	/* empty part directly behind its header */
	{ S_INIT("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b--\r\n"),
	    "multipart/mixed[14](text/plain[0])" },
	{ S_INIT("Content-Type: multipart/mixed; boundary=b\r\n\r\nno part"), "multipart/mixed[7]!30" },
	{ S_INIT("Content-Type: multipart/mixed\r\n\r\n--\r\n"), "text/plain[4]!4" },
	{ S_INIT("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n"), "text/plain[4]!4" },
	{ S_INIT("Content-Type: ;\r\n\r\nx"), "text/plain[1]!2" },
	{ S_INIT("Content-Type: text\r\n\r\nx"), "text/plain[1]!2" },
	{ S_INIT("Content-Type: text/html\r\nContent-type: text/plain\r\n\r\nx"), "text/html[1]!1" },
	/* M-020: two boundaries, the first counts */
	{ S_INIT("Content-Type: multipart/mixed; boundary=a; boundary=b\n\n--b\n\nx\n--a\n\ny\n--a--"),
	    "multipart/mixed[19]!8(text/plain[1])" },
	{ S_INIT("Content-Type: multipart/mixed; boundary*0=\"a\"; boundary*1=b\n\n--ab\n\ny\n--ab--"),
	    "multipart/mixed[14](text/plain[1])" },
	{ S_INIT("Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nA: b\n\nx"),
	    "message/rfc822[37](message/rfc822[7](text/plain[1]))" },
	{ S_INIT("Content-Type: multipart/digest; boundary=b\n\n--b\n\nS: x\n\nm\n--b\n"
		 "Content-Type: text/plain\n\ny\n--b--"),
	    "multipart/digest[50](message/rfc822[7](text/plain[1])text/plain[1])" },
	{ S_INIT("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViagoK\n"),
	    "message/rfc822[9]!40(text/plain[0]!180)" },
	/* M-020: a blank continuation inside a field */
	{ S_INIT("Content-Type: multipart/mixed;\r\n \r\n boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"),
	    "multipart/mixed[17](text/plain[1])" },
};

static void
structures(void **state)
{
	own(buf_t) b = { .max = 0 };

	buf_init(&b, MOST);
	for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++) {
		for (size_t n = 0; n <= trees[i].in.n; n++) {
			own(arena_p) a = arena_new("test", LIMIT_ARENA_MESSAGE);
			uint8_t *exact = malloc(n + 1);
			struct mime m;

			memcpy(exact, trees[i].in.p, n);
			assert_true(mime_parse(slice_of(exact, n), a, &m));
			check(&m);
			for (const struct mime_part *p = m.root; p != NULL; p = mime_next(p, m.root))
				assert_int_equal(p->lines, slice_count_byte(p->body, '\n'));
			dump(&m, &b);
			if (n == trees[i].in.n && !slice_eq(buf_slice(&b), slice_z(trees[i].want)))
				fail_msg("tree %zu: want %s got %.*s", i, trees[i].want,
				    SFMT(buf_slice(&b)));
			free(exact);
		}
	}
}

static void
limits(void **state)
{
	own(buf_t) b = { .max = 0 };

	buf_init(&b, MOST);
	for (size_t i = 0; i < 200; i++)
		buf_add(&b, S("Content-Type: message/rfc822\r\n\r\n"));
	for (size_t room = 0; room < 20000; room += 999) {
		own(arena_p) tiny = arena_new("test", room);
		struct mime m = { .parts = 77 };

		if (!mime_parse(buf_slice(&b), tiny, &m))
			assert_int_equal(m.parts, 77);
	}
	own(arena_p) a = arena_new("test", LIMIT_ARENA_MESSAGE);
	struct mime m;

	assert_true(mime_parse(buf_slice(&b), a, &m));
	check(&m);
	assert_int_equal(m.parts, LIMIT_MIME_DEPTH);
	assert_true((m.defects & MIME_OVER) == MIME_TOO_DEEP);
	buf_reset(&b);
	buf_add(&b, S("Content-Type: multipart/digest; boundary=b\r\n\r\n"));
	for (size_t i = 0; i < 20000; i++)
		buf_add(&b, S("--b\r\n\r\nSubject: x\r\n\r\n"));
	assert_true(mime_parse(buf_slice(&b), a, &m));
	check(&m);
	assert_int_equal(m.parts, LIMIT_MIME_PARTS);
	assert_true((m.defects & MIME_OVER) == MIME_TOO_MANY);
	assert_true(arena_used(a) < LIMIT_ARENA_MESSAGE);
}

static void
section(const struct mime *m, enum mime_section_what what, const char *numbers, const char *want)
{
	own(buf_t) scratch = { .max = 0 };
	static const struct slice names[] = { S_INIT("subject"), S_INIT("X-none") };
	struct mime_section s = { .what = what, .field = names, .n_fields = 2 };
	uint32_t part[8];
	struct slice got;
	bool ok;

	buf_init(&scratch, MOST);
	for (size_t i = 0; numbers[i] != 0; i++)
		part[s.n_part++] = (uint32_t)(numbers[i] - '0');
	s.part = part;
	ok = mime_section(m, &s, &scratch, &got);
	assert_int_equal(ok, want != NULL);
	if (ok && !slice_eq(got, slice_z(want)))
		fail_msg("%s: got %.*s", numbers, SFMT(got));
}

static void
sections(void **state)
{
	own(arena_p) a = arena_new("test", MOST);
	struct mime m;

	assert_true(mime_parse(S("Subject: s\r\nX: y\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
				 "--b\r\nA: 1\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
				 "Subject: in\r\n ner\r\nY: z\r\n\r\ntext\r\n--b--\r\n"), a, &m));
	section(&m, MIME_SECTION_ALL, "1", "one");
	section(&m, MIME_SECTION_MIME, "1", "A: 1\r\n\r\n");
	section(&m, MIME_SECTION_HEADER, "1", NULL);
	section(&m, MIME_SECTION_TEXT, "1", NULL);
	section(&m, MIME_SECTION_ALL, "11", NULL);
	section(&m, MIME_SECTION_ALL, "3", NULL);
	section(&m, MIME_SECTION_ALL, "0", NULL);
	section(&m, MIME_SECTION_ALL, "2", "Subject: in\r\n ner\r\nY: z\r\n\r\ntext");
	section(&m, MIME_SECTION_MIME, "2", "Content-Type: message/rfc822\r\n\r\n");
	section(&m, MIME_SECTION_HEADER, "2", "Subject: in\r\n ner\r\nY: z\r\n\r\n");
	section(&m, MIME_SECTION_FIELDS, "2", "Subject: in\r\n ner\r\n\r\n");
	section(&m, MIME_SECTION_FIELDS_NOT, "2", "Y: z\r\n\r\n");
	section(&m, MIME_SECTION_TEXT, "2", "text");
	section(&m, MIME_SECTION_ALL, "21", "text");
	section(&m, MIME_SECTION_MIME, "21", "Subject: in\r\n ner\r\nY: z\r\n\r\n");
	section(&m, MIME_SECTION_ALL, "211", NULL);
	section(&m, MIME_SECTION_FIELDS, "", "Subject: s\r\n\r\n");
	assert_true(mime_parse(S("Subject: s"), a, &m));
	section(&m, MIME_SECTION_ALL, "", "Subject: s");
	section(&m, MIME_SECTION_ALL, "1", "");
	section(&m, MIME_SECTION_FIELDS, "", "Subject: s\r\n\r\n");
	section(&m, MIME_SECTION_FIELDS_NOT, "", "\r\n");
	assert_true(mime_parse(S("Content-Type: multipart/mixed; boundary=b\r\n\r\nx"), a, &m));
	section(&m, MIME_SECTION_ALL, "1", "");
	section(&m, MIME_SECTION_ALL, "2", NULL);
	section(&m, MIME_SECTION_ALL, "11", NULL);
	assert_int_equal(mime_partial(S("abc"), 1, UINT64_MAX).n, 2);
	assert_int_equal(mime_partial(S("abc"), 3, 1).n, 0);
	assert_int_equal(mime_partial(S("abc"), UINT64_MAX, UINT64_MAX).n, 0);
	assert_true(slice_eq(mime_partial(S("abc"), 0, 2), S("ab")));
}

static const struct {
	enum mime_encoding encoding;
	struct slice in, want;
} bodies[] = {
	{ MIME_BASE64, S_INIT("aGVs\r\nbG8=\r\n"), S_INIT("hello") },
	{ MIME_BASE64, S_INIT("aGVsbG8"), S_INIT("hello") },
	/* M-020: dirty base64: junk is skipped, '=' in the middle ends a group */
	{ MIME_BASE64, S_INIT("a!G-V s\tbG8=aGk="), S_INIT("hellohi") },
	{ MIME_BASE64, S_INIT("YQ==YQ=="), S_INIT("aa") },
	{ MIME_BASE64, S_INIT("===="), S_INIT("") },
	{ MIME_QUOTED_PRINTABLE, S_INIT("a=C3=a9 \t\r\nb=\r\nc=3D= \r\nd =\r\n"),
	    S_INIT("a\xc3\xa9\r\nbc=d ") },
	{ MIME_QUOTED_PRINTABLE, S_INIT("=zz=4\n=\n= =="), S_INIT("=zz=4\n= =") },
	{ MIME_QUOTED_PRINTABLE, S_INIT("no end  "), S_INIT("no end") },
	{ MIME_QUOTED_PRINTABLE, S_INIT("\r\n \r\n\n"), S_INIT("\r\n\r\n\n") },
	{ MIME_IDENTITY, S_INIT("as it is \r\n"), S_INIT("as it is \r\n") },
	{ MIME_UNKNOWN_ENCODING, S_INIT("=20"), S_INIT("=20") },
};

static void
decodes(void **state)
{
	own(buf_t) b = { .max = 0 };

	buf_init(&b, MOST);
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		/* every size of piece gives the same */
		for (size_t most = 1; most < 40; most++) {
			struct mime_decoder d = mime_decoder_of(bodies[i].in, bodies[i].encoding);
			size_t before = 0;

			buf_reset(&b);
			while (mime_decode(&d, most, &b)) {
				assert_true(b.n - before <= (most < 2 ? 2 : most) && b.n > before);
				before = b.n;
			}
			if (!slice_eq(buf_slice(&b), bodies[i].want))
				fail_msg("body %zu: got %.*s", i, SFMT(buf_slice(&b)));
		}
	}
	struct mime_decoder d = mime_decoder_of(S("abc"), MIME_IDENTITY);
	own(buf_t) small = { .max = 0 };

	buf_init(&small, 1);
	assert_false(mime_decode(&d, 3, &small));
	assert_true(small.bad);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structures),
		cmocka_unit_test(limits),
		cmocka_unit_test(sections),
		cmocka_unit_test(decodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
