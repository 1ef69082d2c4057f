/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/make/addr.h"
#include "lib/parse/addr/envelope.h"

#define A63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static const struct {
	struct slice in;
	enum addr_status want;
	struct slice local, domain;
} paths[] = {
	{ S_INIT("<>"), ADDR_OK, S_INIT(""), S_INIT("") },
	{ S_INIT("<Postmaster>"), ADDR_OK, S_INIT("Postmaster"), S_INIT("") },
	{ S_INIT("<a@b.example>"), ADDR_OK, S_INIT("a"), S_INIT("b.example") },
	{ S_INIT("<a.b+c=d@x-y.example>"), ADDR_OK, S_INIT("a.b+c=d"), S_INIT("x-y.example") },
	{ S_INIT("<\"a b\"@c.example>"), ADDR_OK, S_INIT("a b"), S_INIT("c.example") },
	{ S_INIT("<\"a\\\"\\\\>\"@c.example>"), ADDR_OK, S_INIT("a\"\\>"), S_INIT("c.example") },
	{ S_INIT("<\"\"@c.example>"), ADDR_OK, S_INIT(""), S_INIT("c.example") },
	{ S_INIT("<a@[192.0.2.1]>"), ADDR_OK, S_INIT("a"), S_INIT("[192.0.2.1]") },
	{ S_INIT("<a@[IPv6:2001:db8::1]>"), ADDR_OK, S_INIT("a"), S_INIT("[IPv6:2001:db8::1]") },
	{ S_INIT("<a@" A63 ".example>"), ADDR_OK, S_INIT("a"), S_INIT(A63 ".example") },
	{ S_INIT("<" A63 "x@b.example>"), ADDR_OK, S_INIT(A63 "x"), S_INIT("b.example") },
	/* relay tricks: S-050..S-077. What parses is a local part like any other */
	{ S_INIT("<u%d.example@b.example>"), ADDR_OK, S_INIT("u%d.example"), S_INIT("b.example") },
	{ S_INIT("<d.example!u@b.example>"), ADDR_OK, S_INIT("d.example!u"), S_INIT("b.example") },
	{ S_INIT("<\"u@d.example\"@b.example>"), ADDR_OK, S_INIT("u@d.example"), S_INIT("b.example") },
	{ S_INIT("<\"u%d.example\"@b.example>"), ADDR_OK, S_INIT("u%d.example"), S_INIT("b.example") },
	{ S_INIT("<@a.example:u@d.example>"), ADDR_ROUTE, S_INIT(""), S_INIT("") },
	{ S_INIT("<@a.example,@b.example:u@d.example>"), ADDR_ROUTE, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@d.example@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<\"u@d.example\">"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@b.example.>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@b..example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@192.0.2.1>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@2130706433>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@[0x7f000001]>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@[127.1]>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@[127.0.0.1.]>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@[0127.0.0.1]>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@[tag:text]>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@[]>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u(c)@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@b.example(c)>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u\\@d.example@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u\0@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u..v@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<.u@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u.@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<@b.example>"), ADDR_ROUTE, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@-b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@b-.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@b_c.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u @b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("< u@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("u@b.example"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@b.example"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	/* S-080 */
	{ S_INIT("<;sleep 66;@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<${run{id}}@b.example>"), ADDR_OK, S_INIT("${run{id}}"), S_INIT("b.example") },
	{ S_INIT("<|id@b.example>"), ADDR_OK, S_INIT("|id"), S_INIT("b.example") },
	{ S_INIT("<:include:/etc/passwd@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<../../x@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<\"../../x\"@b.example>"), ADDR_OK, S_INIT("../../x"), S_INIT("b.example") },
	{ S_INIT("<-oQ@b.example>"), ADDR_OK, S_INIT("-oQ"), S_INIT("b.example") },
	{ S_INIT("<%n%n@b.example>"), ADDR_OK, S_INIT("%n%n"), S_INIT("b.example") },
	{ S_INIT("<\"\\\"@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<\"a\r\nb\"@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<\"a\\\r\"@b.example>"), ADDR_SYNTAX, S_INIT(""), S_INIT("") },
	{ S_INIT("<" A63 "xy@b.example>"), ADDR_LOCAL_LONG, S_INIT(""), S_INIT("") },
	{ S_INIT("<\"" A63 "\"@b.example>"), ADDR_LOCAL_LONG, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@" A63 "x.example>"), ADDR_DOMAIN_LONG, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@" A63 "." A63 "." A63 "." A63 ".e>"), ADDR_DOMAIN_LONG, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@" A63 "." A63 "." A63 "." A63 ">"), ADDR_LONG, S_INIT(""), S_INIT("") },
	{ S_INIT("<uv@" A63 "." A63 "." A63 "." A63 "ab>"), ADDR_DOMAIN_LONG, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@" A63 "." A63 "." A63 ".dddddddddddeeeeeeeeeefffffffffffgggggggggghhhhhhhhhhhiiiiii>"), ADDR_OK, S_INIT("u"),
	    S_INIT(A63 "." A63 "." A63 ".dddddddddddeeeeeeeeeefffffffffffgggggggggghhhhhhhhhhhiiiiii") },
	{ S_INIT("<\xc3\xbc@b.example>"), ADDR_NOT_ASCII, S_INIT(""), S_INIT("") },
	{ S_INIT("<\"\xc3\xbc\"@b.example>"), ADDR_NOT_ASCII, S_INIT(""), S_INIT("") },
	{ S_INIT("<u@b\xc3\xbc.example>"), ADDR_NOT_ASCII, S_INIT(""), S_INIT("") },
};

/* What is written for an address must parse to the same address. */
static void
there_and_back(const struct addr *ad, struct arena *a)
{
	struct addr again;
	struct buf text;

	buf_init(&text, 1000);
	assert_true(addr_write(&text, ad->local, ad->domain));
	if (ad->null)
		assert_int_equal(text.n, 0);
	else if (ad->domain.n > 0 && text.n <= ad->domain.n + 1 + LIMIT_SMTP_LOCAL) {
		assert_int_equal(addr_parse(buf_slice(&text), a, &again), ADDR_OK);
		assert_true(addr_eq(ad, &again));
	}
	buf_free(&text);
}

static void
table(void **state)
{
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		own(arena_p) a = arena_new("test", 65536);
		struct cursor c = cur_of(paths[i].in);
		struct addr got;
		enum addr_status st = addr_path(&c, a, true, true, &got);

		if (st != paths[i].want)
			print_error("%.*s: %d\n", SFMT(paths[i].in), (int)st);
		assert_int_equal(st, paths[i].want);
		if (st == ADDR_OK) {
			assert_true(cur_done(&c));
			assert_true(slice_eq(got.local, paths[i].local));
			assert_true(slice_eq(got.domain, paths[i].domain));
			there_and_back(&got, a);
		}
		for (size_t n = 0; n < paths[i].in.n; n++) { /* no truncation is a path */
			c = cur_of(slice_head(paths[i].in, n));
			assert_int_not_equal(addr_path(&c, a, true, true, &got), ADDR_OK);
		}
	}
}

static void
null_and_postmaster_by_leave(void **state)
{
	own(arena_p) a = arena_new("test", 65536);
	struct addr got = { .literal = true };
	struct cursor c = cur_of(S("<>"));

	assert_int_equal(addr_path(&c, a, false, true, &got), ADDR_SYNTAX);
	assert_true(got.literal && got.local.p == NULL); /* untouched */
	c = cur_of(S("<postmaster>"));
	assert_int_equal(addr_path(&c, a, true, false, &got), ADDR_SYNTAX);
	c = cur_of(S("<pOSTMASTER>"));
	assert_int_equal(addr_path(&c, a, true, true, &got), ADDR_OK);
	assert_false(got.null);
}

static struct slice
between(struct slice in, struct slice open, struct slice close, size_t *at)
{
	size_t from = slice_find(slice_from(in, *at), open), n;

	assert_int_not_equal(from, SLICE_NONE);
	from += *at + open.n;
	n = slice_find(slice_from(in, from), close);
	assert_int_not_equal(n, SLICE_NONE);
	*at = from + n;
	return slice_sub(in, from, n);
}

/* XML entities and characters; U+2400 + n stands for control character n in this suite. */
static void
decode(struct slice in, struct buf *out)
{
	static const struct {
		struct slice name;
		uint8_t byte;
	} entities[] = { { S_INIT("&amp;"), '&' }, { S_INIT("&lt;"), '<' }, { S_INIT("&gt;"), '>' },
		{ S_INIT("&quot;"), '"' } };

	for (size_t at = 0; at < in.n;) {
		struct slice rest = slice_from(in, at);
		uint32_t cp = 0;
		size_t i = 0;

		while (i < 4 && !slice_starts(rest, entities[i].name))
			i++;
		if (i < 4) {
			cp = entities[i].byte;
			at += entities[i].name.n;
		} else if (slice_starts(rest, S("&#x"))) {
			for (at += 3; slice_at(in, at) != ';'; at++)
				cp = cp * 16 + (uint32_t)ch_hex(slice_at(in, at));
			at++;
		} else {
			int32_t next = utf8_next(in, &at);

			assert_true(next >= 0);
			cp = (uint32_t)next;
		}
		if (cp >= 0x2400 && cp < 0x2420)
			assert_true(buf_byte(out, (uint8_t)(cp - 0x2400)));
		else
			assert_true(utf8_put(out, cp));
	}
}

static void
isemail(void **state)
{
	static uint8_t text[65536];
	FILE *f = fopen(VECTORS "/address-isemail/tests.xml", "r");
	size_t good = 0, refused = 0;
	struct slice xml;

	assert_non_null(f);
	xml = slice_of(text, fread(text, 1, sizeof text, f));
	(void)fclose(f);
	for (size_t at = 0; slice_find(slice_from(xml, at), S("<test id")) != SLICE_NONE;) {
		own(arena_p) a = arena_new("test", 4096);
		struct slice test = between(xml, S("<test id"), S("</test>"), &at), raw = S(""), category;
		struct addr got;
		struct buf in;
		size_t k = 0;
		bool ok, want;

		if (slice_find(test, S("<address/>")) == SLICE_NONE)
			raw = between(test, S("<address>"), S("</address>"), &k);
		category = between(test, S("<category>ISEMAIL_"), S("</category>"), &k);
		buf_init(&in, 4096);
		decode(raw, &in);
		want = slice_eq(category, S("VALID_CATEGORY")) || slice_eq(category, S("DNSWARN")) ||
		    slice_eq(category, S("RFC5321"));
		ok = addr_parse(buf_slice(&in), a, &got) == ADDR_OK;
		if (ok != want)
			print_error("isemail: %.*s is %.*s\n", SFMT(raw), SFMT(category));
		assert_int_equal(ok, want);
		good += want;
		refused += !want;
		buf_free(&in);
	}
	assert_int_equal(good, 27);
	assert_int_equal(refused, 88);
}

/* Postfix's quote_822_local test: "quote" and "unquote" pairs of its input against our writer. */
static void
writes_quotes(void **state)
{
	struct buf b;

	buf_init(&b, 100);
	assert_true(addr_write(&b, S("a@b@c"), S("d")));
	assert_true(slice_eq(buf_slice(&b), S("\"a@b@c\"@d")));
	buf_reset(&b);
	assert_true(addr_write(&b, S("a\"\\."), S("d")));
	assert_true(slice_eq(buf_slice(&b), S("\"a\\\"\\\\.\"@d")));
	buf_reset(&b);
	assert_true(addr_write(&b, S("Postmaster"), S("")));
	assert_true(slice_eq(buf_slice(&b), S("Postmaster")));
	assert_false(addr_write(&b, S("a\r"), S("d")));
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(null_and_postmaster_by_leave),
		cmocka_unit_test(writes_quotes),
	};
	const struct CMUnitTest vectors[] = { cmocka_unit_test(isemail) };
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (failed != 0)
		return failed;
	if (access(VECTORS "/address-isemail/tests.xml", R_OK) != 0) {
		(void)printf("SKIP: no ../shared/vectors/address-isemail\n");
		return 77;
	}
	return cmocka_run_group_tests(vectors, NULL, NULL);
}
