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
#include "lib/base/own.h"
#include "lib/parse/header/address.h"
#include "lib/parse/header/words.h"

#define MOST ((size_t)(16 * 1024 * 1024))

/* What a list reads as, for comparison: {name|route|local|domain} with ! before a defect, [group and
 * ] for its end. */
static void
dump(struct slice in, struct arena *a, struct buf *out)
{
	struct address_reader r = address_reader_of(in, a);
	struct address one;

	buf_reset(out);
	while (address_next(&r, &one)) {
		if (one.defect)
			buf_byte(out, '!');
		if (one.kind == ADDRESS_GROUP_END) {
			buf_byte(out, ']');
			continue;
		}
		buf_byte(out, one.kind == ADDRESS_GROUP ? '[' : '{');
		buf_add(out, one.name);
		if (one.kind == ADDRESS_GROUP)
			continue;
		buf_byte(out, '|');
		buf_add(out, one.route);
		buf_byte(out, '|');
		buf_add(out, one.local);
		buf_byte(out, '|');
		buf_add(out, one.domain);
		buf_byte(out, '}');
	}
	assert_false(r.c.bad);
}

static const struct {
	const char *in, *want;
} table[] = {
	{ "", "" },
	{ "joe@example.org", "{||joe|example.org}" },
	{ "Joe Q. Public <john.q.public@example.com>",
	    "{Joe Q. Public||john.q.public|example.com}" },
	{ "\"Giant; \\\"Big\\\" Box\" <s@example.net>, <b@nil.test>",
	    "{Giant; \"Big\" Box||s|example.net}{||b|nil.test}" },
	{ "A Group:Ed <c@a.test>,joe@where.test;, x@y", "[A Group{Ed||c|a.test}{||joe|where.test}]{||x|y}" },
	{ "Undisclosed recipients:;", "[Undisclosed recipients]" },
	{ "Nobody:", "[Nobody!]" },
	{ "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "{Pete||pete|silly.test}" },
	{ "joe@example.org (Joe \\(x\\))", "{Joe (x)||joe|example.org}" },
	{ "John Doe <jdoe@machine(comment).  example>", "{John Doe||jdoe|machine.example}" },
	{ ",joe@a.test,,(c),jane@b.test,", "{||joe|a.test}{||jane|b.test}" },
	{ "Mary <@machine.tld,@b.c:mary@example.net>", "{Mary|@machine.tld,@b.c|mary|example.net}" },
	{ "<@a , @b : u@d>", "{|@a,@b|u|d}" },
	{ "\"joe smith\"@example.org", "{||joe smith|example.org}" },
	{ "\"a\\\\b\"@x", "{||a\\b|x}" },
	{ "a . b @ c . d", "{||a.b|c.d}" },
	{ "a@[10.0.0.1]", "{||a|[10.0.0.1]}" },
	{ "a@[IPv6:: 1]", "{||a|[IPv6::1]}" },
	{ "Hello\r\n World <a@b>", "{Hello World||a|b}" },
	{ "\"Hello\r\n World\" <a@b>", "{Hello World||a|b}" },
	{ "\"a\"\"b\"c <x@y>", "{a b c||x|y}" },
	{ "\"\" <a@b>", "{||a|b}" },
	/* broken, but readable */
	{ "Joe", "!{||Joe|}" },
	{ "Joe Public", "!{Joe Public|||}" },
	{ "<>", "!{|||}" },
	{ "joe smith@example.org", "!{||joe smith|example.org}" },
	{ "a@b.com b@c.com", "!{||a@b.com b|c.com}" },
	{ "foo@bar.com <foo@bar.com>", "!{foo@bar.com||foo|bar.com}" },
	{ "[SPAM] x <a@b>", "!{[SPAM] x||a|b}" },
	{ "a@b@c", "!{||a@b|c}" },
	{ "a@b; c@d", "{||a|b}{||c|d}" },
	{ "<a@b", "!{||a|b}" },
	{ "<a@b> <c@d>", "!{||a|b}{||c|d}" },
	{ "<a@b> junk, c@d", "!{||a|b}{||c|d}" },
	{ "\"never closed <a@b>", "!{||never closed <a@b>|}" },
	{ "(never closed a@b", "" },
	{ "a@[1.2", "!{||a|[1.2}" },
	{ ".a@b", "!{||.a|b}" },
	{ "a..b@c", "!{||a..b|c}" },
	{ "a.@b", "!{||a.|b}" },
	{ "a@b.", "!{||a|b.}" },
	{ "@b", "!{|||b}" },
	{ "<@b>", "!{|||b}" },
	{ "<@a:b>", "!{|@a|b|}" },
	{ "a@b:c@d", "!{||a@b:c|d}" },
	{ ";", "" },
	{ "g:a:b@c;", "[g!{||a:b|c}]" },
};

static void
lists(void **state)
{
	own(arena_p) a = arena_new("test", MOST);
	own(buf_t) b = { .max = 0 };

	buf_init(&b, MOST);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct slice in = slice_z(table[i].in);

		dump(in, a, &b);
		if (!slice_eq(buf_slice(&b), slice_z(table[i].want)))
			fail_msg("%s: got %.*s", table[i].in, SFMT(buf_slice(&b)));
		for (size_t n = 0; n < in.n; n++) {
			uint8_t *exact = malloc(n + 1);

			memcpy(exact, in.p, n);
			dump(slice_of(exact, n), a, &b);
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

static size_t
count(struct slice in)
{
	own(arena_p) a = arena_new("test", MOST);
	struct address_reader r = address_reader_of(in, a);
	struct address one;
	size_t n = 0;

	while (address_next(&r, &one))
		n++;
	assert_false(r.c.bad);
	return n;
}

static void
repeat(struct buf *b, const char *s, size_t n)
{
	buf_reset(b);
	for (size_t i = 0; i < n; i++)
		buf_add(b, slice_z(s));
}

/* SECURITY.md M-001..007: lists that were quadratic elsewhere. All together well under two seconds. */
static void
bombs(void **state)
{
	static const struct {
		const char *unit;
		size_t times, addresses;
	} units[] = {
		{ "a@b,", 100000, 100000 }, { "(", 20000, 0 }, { "(x)", 200000, 0 },
		{ "()a@b", 100000, 1 }, { "<", 300000, 1 }, { "<a,", 100000, 1 }, { "\"", 300000, 1 },
		{ "\"\"@\"\",", 100000, 100000 }, { "a:", 200000, 3 }, { "a:;", 100000, 200000 },
		{ "@[", 200000, 1 }, { "a@[", 200000, 1 }, { "<@a:", 100000, 1 },
		{ "<a@b>", 100000, 100000 }, { ",", 1000000, 0 }, { ";", 1000000, 0 },
		{ "\\", 1000000, 1 }, { "a ", 400000, 1 }, { "a@", 400000, 1 }, { ".", 1000000, 1 },
		{ "\"a\\b\" ", 100000, 1 }, { "a(b)@", 100000, 1 },
	};
	own(buf_t) b = { .max = 0 };
	double start = seconds();

	buf_init(&b, MOST);
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		repeat(&b, units[i].unit, units[i].times);
		assert_int_equal(count(buf_slice(&b)), units[i].addresses);
	}
	assert_true(seconds() - start < 2.0);
}

static void
ceiling(void **state)
{
	own(arena_p) a = arena_new("test", 16);
	struct address_reader r = address_reader_of(S("\"an escaped \\\" name\" <a@b>"), a);
	struct address one;

	assert_false(address_next(&r, &one));
	assert_true(r.c.bad);
}

/* An address with its name as header-mailparser has it, appended to out. */
static void
expected(json_t *one, struct buf *out)
{
	const char *name = json_string_value(json_object_get(one, "name"));
	const char *address = json_string_value(json_object_get(one, "address"));

	buf_fmt(out, "{%s|%s}", name == NULL ? "" : name, address == NULL ? "" : address);
}

static void
expected_list(json_t *want, struct buf *out)
{
	json_t *list = json_object_get(want, "List"), *groups = json_object_get(want, "Group");
	json_t *one, *group;
	size_t i, k;

	json_array_foreach (list, i, one)
		expected(one, out);
	json_array_foreach (groups, i, group) {
		const char *name = json_string_value(json_object_get(group, "name"));

		if (name != NULL)
			buf_fmt(out, "[%s", name);
		json_array_foreach (json_object_get(group, "addresses"), k, one)
			expected(one, out);
		if (name != NULL)
			buf_byte(out, ']');
	}
}

static void
read_list(struct slice in, struct arena *a, struct buf *out)
{
	struct address_reader r = address_reader_of(in, a);
	struct address one;

	while (address_next(&r, &one)) {
		if (one.kind == ADDRESS_GROUP_END) {
			buf_byte(out, ']');
			continue;
		}
		buf_byte(out, one.kind == ADDRESS_GROUP ? '[' : '{');
		words_decode(out, one.name);
		if (one.kind == ADDRESS_GROUP)
			continue;
		buf_byte(out, '|');
		buf_add(out, one.local);
		if (one.domain.n > 0)
			buf_byte(out, '@');
		buf_add(out, one.domain);
		buf_byte(out, '}');
	}
}

/* Where we read a vector differently, and why. RFC 5322 is meant where nothing else is said. */
static const struct {
	const char *want, *ours, *why;
} differences[] = {
	{ "{Pete (A nice ) chap his account his host)|pete@silly.test}", "{Pete|pete@silly.test}",
	    "comments are no part of the display name (3.2.2)" },
	{ "{Pete (A nice ) chap his account his host)|pete@silly.test}",
	    "{Pete chap)|pete@silly.test}", "a backslash quotes the blank behind the folding" },
	{ "[A Group (Some people){Chris Jones (Chris's host.)|c@public.example}"
	  "{|joe@example.org}{John (my dear friend)|jdoe@one.test}]{the end of the group|}",
	    "[A Group{Chris Jones|c@public.example}{|joe@example.org}{John|jdoe@one.test}]",
	    "comments again; a comment alone is an empty list element (4.4)" },
	{ "[Hidden recipients (Empty list start){nobody(that I know)|}]", "[Hidden recipients]",
	    "comments again" },
	{ "{John Doe (comment)|jdoe@machine.  example}", "{John Doe|jdoe@machine.example}",
	    "blanks around the dots of a domain mean nothing (4.4)" },
	{ "{Doe|a@b.com}", "{|a@b.com}", "text behind the angle brackets is no display name (3.4)" },
};

static void
vectors(void **state)
{
	json_t *root = json_load_file(VECTORS "/header-mailparser/address.json", 0, NULL), *entry;
	own(arena_p) a = arena_new("test", MOST);
	own(buf_t) got, want;
	size_t i, differ = 0;

	buf_init(&got, MOST);
	buf_init(&want, MOST);
	assert_non_null(root);
	assert_true(json_array_size(root) >= 40);
	json_array_foreach (root, i, entry) {
		struct slice in = slice_z(json_string_value(json_object_get(entry, "header")));
		bool known = false;

		for (size_t k = 0; k < in.n; k++)
			if (slice_at(in, k) == '\n' && (k + 1 == in.n || !ch_is_wsp(slice_at(in, k + 1))))
				in = slice_head(in, k);
		buf_reset(&got);
		buf_reset(&want);
		expected_list(json_object_get(entry, "expected"), &want);
		read_list(in, a, &got);
		if (slice_eq(buf_slice(&got), buf_slice(&want)))
			continue;
		for (size_t k = 0; k < sizeof differences / sizeof differences[0]; k++)
			known = known || (slice_eq(slice_z(differences[k].want), buf_slice(&want)) &&
			    slice_eq(slice_z(differences[k].ours), buf_slice(&got)));
		if (!known)
			fail_msg("vector %zu: want %.*s got %.*s", i, SFMT(buf_slice(&want)),
			    SFMT(buf_slice(&got)));
		differ++;
	}
	assert_int_equal(differ, 6);
	json_decref(root);
}

/* The text of the next <tag> of xml behind *at, with entities resolved; U+2400+n is control octet n. */
static bool
element(struct slice xml, size_t *at, const char *open, struct buf *out)
{
	size_t from = slice_find(slice_from(xml, *at), slice_z(open));

	buf_reset(out);
	if (from == SLICE_NONE)
		return false;
	*at += from + strlen(open);
	while (slice_at(xml, *at) != '<') {
		static const struct {
			struct slice name, is;
		} entities[] = { { S_INIT("&lt;"), S_INIT("<") }, { S_INIT("&gt;"), S_INIT(">") },
			{ S_INIT("&amp;"), S_INIT("&") }, { S_INIT("&quot;"), S_INIT("\"") } };
		struct slice rest = slice_from(xml, *at);
		unsigned cp;
		int used = 0;
		size_t i;

		for (i = 0; i < 4; i++)
			if (slice_starts(rest, entities[i].name))
				break;
		if (i < 4) {
			buf_add(out, entities[i].is);
			*at += entities[i].name.n;
		} else if (sscanf((const char *)rest.p, "&#x%4x;%n", &cp, &used) == 1 && used > 0) {
			if (cp >= 0x2400 && cp < 0x2421)
				buf_byte(out, (uint8_t)(cp - 0x2400));
			else
				utf8_put(out, cp);
			*at += (size_t)used;
		} else {
			buf_byte(out, slice_at(rest, 0));
			*at += 1;
		}
	}
	return true;
}

/* Where we judge a case differently. */
static const struct {
	size_t first, last;
	const char *why;
} isemail_differences[] = {
	{ 21, 21, "a hyphen at the end of a label is against DNS, not against RFC 5322" },
	{ 36, 36, "a NUL is a defect even behind a backslash (4.1 allows it as obsolete)" },
	{ 86, 89, "a bare CR in stored mail counts as white space; the SMTP side refuses it" },
	{ 90, 107, "a CRLF without white space behind it ends the field: the splitter's matter" },
	{ 110, 110, "RFC 6532 section 3.2 lets a backslash quote UTF-8" },
};

static void
isemail(void **state)
{
	own(buf_t) xml, address, category, diagnosis;
	own(arena_p) a = arena_new("test", MOST);
	FILE *f = fopen(VECTORS "/address-isemail/tests.xml", "rb");
	size_t at = 0, n = 0, wrong = 0;
	struct slice file;

	buf_init(&xml, MOST);
	buf_init(&address, MOST);
	buf_init(&category, MOST);
	buf_init(&diagnosis, MOST);
	assert_non_null(f);
	for (int b; (b = getc(f)) != EOF;)
		buf_byte(&xml, (uint8_t)b);
	(void)fclose(f);
	buf_byte(&xml, 0);
	file = buf_slice(&xml);
	for (size_t hit; (hit = slice_find(slice_from(file, at), S("<test id="))) != SLICE_NONE;) {
		struct address one;
		size_t end;
		bool want, got;

		at += hit;
		end = slice_find(slice_from(file, at), S("</test>")) + at;
		buf_reset(&address);
		if (slice_find(slice_sub(file, at, end - at), S("<address>")) != SLICE_NONE)
			assert_true(element(file, &at, "<address>", &address));
		assert_true(element(file, &at, "<category>", &category));
		assert_true(element(file, &at, "<diagnosis>", &diagnosis));
		want = !slice_eq(buf_slice(&category), S("ISEMAIL_ERR"));
		got = address_one(buf_slice(&address), a, &one);
		n++;
		if (want != got) {
			bool known = false;

			for (size_t k = 0; k < 5; k++)
				known = known || (n >= isemail_differences[k].first &&
				    n <= isemail_differences[k].last);
			if (known)
				continue;
			wrong++;
			(void)printf("%zu <%.*s> %.*s %.*s: %s\n", n, SFMT(buf_slice(&address)),
			    SFMT(buf_slice(&category)), SFMT(buf_slice(&diagnosis)),
			    got ? "taken" : "not taken");
		}
	}
	assert_int_equal(n, 115);
	assert_int_equal(wrong, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(bombs),
		cmocka_unit_test(ceiling),
	};
	const struct CMUnitTest from_vectors[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(isemail),
	};

	if (cmocka_run_group_tests(tests, NULL, NULL) != 0)
		return 1;
	if (access(VECTORS "/header-mailparser", R_OK) != 0) {
		(void)printf("SKIP: no ../shared/vectors\n");
		return 77;
	}
	return cmocka_run_group_tests(from_vectors, NULL, NULL);
}
