/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include <jansson.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/header/header.h"
#include "lib/parse/header/params.h"
#include "lib/parse/header/words.h"

#define MOST ((size_t)(16 * 1024 * 1024))

static void
splits(void **state)
{
	own(arena_p) a = arena_new("test", MOST);
	struct slice in = S("From x\r\nA: 1\r\nB : 2\r\n\t3\r\n \r\n 4\nC:\r\nno colon\r\n: none\r\n"
			    "D: x\ry\r\n\r\nbody\r\n");
	static const char *const want[][2] = { { "", "From x" }, { "A", " 1" },
		{ "B", " 2\r\n\t3\r\n \r\n 4" }, { "C", "" }, { "", "no colon" }, { "", ": none" },
		{ "D", " x\ry" } };
	struct header h, cut;
	size_t total = 0;

	assert_true(header_split(in, a, &h));
	assert_int_equal(h.n, 7);
	for (size_t i = 0; i < h.n; i++) {
		assert_true(slice_eq(h.field[i].name, slice_z(want[i][0])));
		assert_true(slice_eq(h.field[i].body, slice_z(want[i][1])));
		total += h.field[i].raw.n;
	}
	assert_int_equal(total + 2, h.block.n);
	assert_true(slice_eq(h.rest, S("body\r\n")));
	assert_int_equal(header_length(in), h.block.n);
	assert_int_equal(header_find(&h, S("b"), 0), 2);
	assert_int_equal(header_find(&h, S("b"), 3), SLICE_NONE);
	for (size_t n = 0; n < in.n; n++) {
		uint8_t *exact = malloc(n + 1);

		memcpy(exact, in.p, n);
		assert_true(header_split(slice_of(exact, n), a, &cut));
		assert_int_equal(cut.block.n + cut.rest.n, n);
		free(exact);
	}
	assert_true(header_split(S("\r\nx"), a, &h) && h.n == 0 && h.block.n == 2);
	assert_true(header_split(S(""), a, &h) && h.n == 0 && h.block.n == 0);
	assert_true(header_split(S(" x\r\ny"), a, &h) && h.n == 2 && h.field[0].name.n == 0);
}

static void
limits(void **state)
{
	own(arena_p) a = arena_new("test", MOST);
	own(buf_t) b = { .max = 0 };
	struct header h;

	buf_init(&b, MOST);
	for (size_t i = 0; i < LIMIT_HEADER_FIELDS; i++)
		buf_add(&b, S("a:\r\n"));
	assert_true(header_split(buf_slice(&b), a, &h) && h.n == LIMIT_HEADER_FIELDS);
	buf_add(&b, S("a:\r\n"));
	assert_false(header_split(buf_slice(&b), a, &h));
	buf_reset(&b);
	buf_add(&b, S("a:"));
	while (b.n < LIMIT_HEADER + 1)
		buf_add(&b, S("\r\n x"));
	assert_false(header_split(buf_slice(&b), a, &h));
}

static void
ids(void **state)
{
	own(arena_p) a = arena_new("test", MOST);
	struct cursor c = cur_of(S(" (c <x@y>) \"<no>\" junk <a@b>\r\n\t<\"x>y\"@c> <d\r\n @e><f"));
	struct slice id;

	assert_true(msgid_next(&c, a, &id) && slice_eq(id, S("a@b")));
	assert_true(msgid_next(&c, a, &id) && slice_eq(id, S("\"x>y\"@c")));
	assert_true(msgid_next(&c, a, &id) && slice_eq(id, S("d@e")));
	assert_false(msgid_next(&c, a, &id));
	assert_false(c.bad);
	assert_true(header_unfold(S(" a\r\n\tb \r\n"), a, &id) && slice_eq(id, S("a\tb")));
	assert_true(header_unfold(S(" "), a, &id) && id.n == 0);
}

static void
words(void **state)
{
	static const struct {
		struct slice in, want;
	} table[] = {
		{ S_INIT(""), S_INIT("") },
		{ S_INIT("plain\r\n text"), S_INIT("plain text") },
		{ S_INIT("=?ISO-8859-1?Q?a_=E9?= b"), S_INIT("a \xc3\xa9 b") },
		{ S_INIT("=?utf-8?b?w6k=?= =?utf-8*en?B?w6k?="), S_INIT("\xc3\xa9\xc3\xa9") },
		/* a character cut between two words */
		{ S_INIT("=?utf-8?q?=C3?=\r\n =?UTF8?q?=A9?="), S_INIT("\xc3\xa9") },
		{ S_INIT("=?utf-8?q?=C3?= x"), S_INIT("\xef\xbf\xbd x") },
		{ S_INIT("x=?utf-8?q?a?=y"), S_INIT("xay") },
		{ S_INIT("=?utf-8?q?a?= =?broken =?utf-8?q?b?="), S_INIT("a =?broken b") },
		{ S_INIT("=?utf-8?q?what?" "?="), S_INIT("what?") },
		{ S_INIT("=?utf-8?x?a?="), S_INIT("=?utf-8?x?a?=") },
		{ S_INIT("=?utf-8?q?a b?="), S_INIT("=?utf-8?q?a b?=") },
		{ S_INIT("=?windows-1251?q?=CF?="), S_INIT("\xd0\x9f") },
		{ S_INIT("=?iso-8859-15?q?=A4?="), S_INIT("\xe2\x82\xac") },
		{ S_INIT("=?x-none?q?a=E9?="), S_INIT("a\xc3\xa9") },
		{ S_INIT("=?utf-8?q?a=0D=0ABcc:_x=00?="), S_INIT("a  Bcc: x ") },
		{ S_INIT("caf\xc3\xa9 caf\xe9"), S_INIT("caf\xc3\xa9 caf\xc3\xa9") },
		{ S_INIT("=?utf-8?q?=zz=4?="), S_INIT("=zz=4") },
		{ S_INIT("=?"), S_INIT("=?") },
		{ S_INIT("=?utf-8?q?" "?="), S_INIT("") },
	};
	own(buf_t) b = { .max = 0 };

	buf_init(&b, MOST);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		buf_reset(&b);
		assert_true(words_decode(&b, table[i].in));
		if (!slice_eq(buf_slice(&b), table[i].want))
			fail_msg("words %zu: got %.*s", i, SFMT(buf_slice(&b)));
		for (size_t n = 0; n < table[i].in.n; n++) {
			uint8_t *exact = malloc(n + 1);

			memcpy(exact, table[i].in.p, n);
			buf_reset(&b);
			assert_true(words_decode(&b, slice_of(exact, n)));
			assert_true(utf8_valid(buf_slice(&b)));
			free(exact);
		}
	}
}

static double
seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* SECURITY.md M-001..007: 40 000 encoded-words, 50 000 RFC 2231 parts, and what else could be
 * quadratic. */
static void
bombs(void **state)
{
	static const char *const units[] = { "=?utf-8?q?x?= ", "=?utf-8?q?x", "=?", "=?a?q?", "=?a?b?=?",
		"=?a?q?\?", "=? ", "?=" };
	own(arena_p) a = arena_new("test", MOST);
	own(buf_t) in, out;
	struct content c;
	double start = seconds();

	buf_init(&in, MOST);
	buf_init(&out, MOST);
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		buf_reset(&in);
		buf_reset(&out);
		for (size_t k = 0; k < 40000; k++)
			buf_add(&in, slice_z(units[i]));
		assert_true(words_decode(&out, buf_slice(&in)));
		if (i == 0)
			assert_int_equal(out.n, 40001);
	}
	buf_reset(&in);
	buf_add(&in, S("text/plain"));
	for (unsigned k = 50000; k-- > 0;)
		buf_fmt(&in, "; name*%u*=x", k);
	assert_true(content_parse(buf_slice(&in), a, &c));
	assert_true(c.defect && c.n == 1 && c.param[0].value.n == LIMIT_MIME_PARAMS + 2 - 2);
	buf_reset(&in);
	buf_add(&in, S("text/plain;x=a"));
	for (unsigned k = 0; k < 100000; k++)
		buf_add(&in, S(" aaaaaaaaaaaaaaaaaa"));
	assert_true(content_parse(buf_slice(&in), a, &c) && c.n == 1);
	assert_true(seconds() - start < 2.0);
}

static void
contents(void **state)
{
	own(arena_p) a = arena_new("test", MOST);
	own(buf_t) b = { .max = 0 };
	struct content c;
	const struct param *p;
	struct slice type, subtype;

	buf_init(&b, MOST);
	assert_true(content_parse(S(" text / plain (c); charset=\"utf-8\" name=x y.txt (c);;"
				    "a=\"b\\\"c\r\n d\""), a, &c));
	assert_true(slice_eq(c.type, S("text")) && slice_eq(c.subtype, S("plain")));
	assert_int_equal(c.n, 3);
	assert_true(slice_eq(c.param[1].value, S("x y.txt")));
	assert_true(slice_eq(c.param[2].value, S("b\"c d")));
	assert_false(c.defect);
	/* RFC 2231 sections 3 and 4 */
	assert_true(content_parse(S("attachment; filename*1=\"b c\"; filename*0*=utf-8'en'%C3%A9;"
				    "filename=\"=?utf-8?q?x?=\""), a, &c));
	assert_int_equal(c.n, 2);
	p = content_find(&c, S("FILENAME*"));
	assert_true(p != NULL && p->extended && slice_eq(p->value, S("utf-8'en'%C3%A9b%20c")));
	assert_true(content_text(&c, S("filename"), &b) && slice_eq(buf_slice(&b), S("\xc3\xa9" "b c")));
	buf_reset(&b);
	assert_true(param_text(content_find(&c, S("filename")), &b) && slice_eq(buf_slice(&b), S("x")));
	assert_false(content_text(&c, S("name"), &b));
	assert_true(content_parse(S("a/b; x*0=1; x*1=2; x*1=3"), a, &c));
	assert_true(c.n == 1 && !c.param[0].extended && slice_eq(c.param[0].value, S("12")));
	assert_true(c.defect);
	assert_true(content_parse(S("a/b; x=1; X=2"), a, &c) && c.defect && c.n == 2);
	assert_true(content_parse(S("a/b; x=\"1"), a, &c) && c.defect);
	assert_false(content_parse(S(";x=1"), a, &c) || content_parse(S(""), a, &c));
	assert_true(content_type_only(S("Text/HTML;x"), &type, &subtype));
	assert_true(slice_eq(type, S("Text")) && slice_eq(subtype, S("HTML")));
}

/* Vectors of content_type.json (by number) that we read differently on purpose. */
static const struct {
	size_t vector;
	const char *why;
} differences[] = {
	{ 26, "blanks between encoded-words are dropped inside quotes too, as mail programs do" },
	{ 39, "\"name=\" is a parameter with an empty value, not none" },
	{ 46, "a NUL in a value becomes a blank" },
	{ 0, NULL },
};

static bool
differs(size_t vector)
{
	for (size_t i = 0; differences[i].why != NULL; i++)
		if (differences[i].vector == vector)
			return true;
	return false;
}

static void
compare(json_t *want, const struct content *c, size_t vector)
{
	json_t *attributes = json_object_get(want, "attributes"), *pair;
	const char *subtype = json_string_value(json_object_get(want, "c_subtype"));
	own(buf_t) b = { .max = 0 };
	size_t i, n = 0;

	buf_init(&b, MOST);
	assert_true(slice_ieq(c->type, slice_z(json_string_value(json_object_get(want, "c_type")))));
	assert_true(slice_ieq(c->subtype, slice_z(subtype)));
	json_array_foreach (attributes, i, pair) {
		struct slice name = slice_z(json_string_value(json_array_get(pair, 0)));
		json_t *text = json_array_get(pair, 1);

		if (slice_ends(name, S("-language")))
			continue;
		n++;
		buf_reset(&b);
		if (!content_text(c, name, &b))
			fail_msg("vector %zu: no %.*s", vector, SFMT(name));
		struct slice value = slice_of(json_string_value(text), json_string_length(text));
		if (!slice_eq(buf_slice(&b), value))
			fail_msg("vector %zu: %.*s is %.*s not %.*s", vector, SFMT(name), SFMT(buf_slice(&b)),
			    SFMT(value));
	}
	if (n != c->n)
		fail_msg("vector %zu: %zu parameters", vector, c->n);
}

static void
vectors(void **state)
{
	json_t *root = json_load_file(VECTORS "/header-mailparser/content_type.json", JSON_ALLOW_NUL,
	    NULL), *entry;
	own(arena_p) a = arena_new("test", MOST);
	size_t i, n = 0;

	assert_non_null(root);
	json_array_foreach (root, i, entry) {
		json_t *header = json_object_get(entry, "header");
		json_t *want = json_object_get(entry, "expected");
		struct slice in = slice_of(json_string_value(header), json_string_length(header));
		struct content c;
		bool got;

		for (size_t k = 1; k < in.n; k++)
			if (slice_at(in, k) == '\n' && (k + 1 == in.n || !ch_is_wsp(slice_at(in, k + 1))))
				in = slice_head(in, k);
		got = content_parse(in, a, &c);
		if (differs(i))
			continue;
		n++;
		if (got != !json_is_null(want))
			fail_msg("vector %zu: read %d", i, got);
		if (got)
			compare(want, &c, i);
	}
	assert_true(n >= 60);
	json_decref(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits),
		cmocka_unit_test(limits),
		cmocka_unit_test(ids),
		cmocka_unit_test(words),
		cmocka_unit_test(bombs),
		cmocka_unit_test(contents),
	};
	const struct CMUnitTest from_vectors[] = {
		cmocka_unit_test(vectors),
	};

	if (cmocka_run_group_tests(tests, NULL, NULL) != 0)
		return 1;
	if (access(VECTORS "/header-mailparser", R_OK) != 0) {
		(void)printf("SKIP: no ../shared/vectors\n");
		return 77;
	}
	return cmocka_run_group_tests(from_vectors, NULL, NULL);
}
