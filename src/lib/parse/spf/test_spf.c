/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/parse/spf/spf.h"

static const char *const good[] = { "v=spf1", "V=SPF1 ", "v=spf1  a   -all ", "v=spf1 +a ~mx ?ptr -all",
	"v=spf1 a:foo:bar/baz.example.com", "v=spf1 a:example.com./24//64", "v=spf1 a/0//0",
	"v=spf1 a:%{d}", "v=spf1 a:%{d}/24", "v=spf1 a:%{d/}/24", "v=spf1 a:x%%y%_z%-.com",
	"v=spf1 include:o.example.com.", "v=spf1 ip4:1.2.3.4/32", "v=spf1 ip6:::1.1.1.1/0",
	"v=spf1 exists:%{ir}.%{v}._spf.%{d2}", "v=spf1 moo.cow-far_out=man:dog/cat", "v=spf1 x=",
	"v=spf1 x=%{c}%{r}%{t}", "v=spf1 redirect=%{S99999r+-.,/_=}", "v=spf1 ALL EXP=a.b",
	"v=spf1 a:foo.example.xn--zckzah", "v=spf1 a:1.2.3.4a" };
static const char *const bad[] = { "", "v=spf", "v=spf10", "v=spf1\t", "v=spf1 -", "v=spf1 all.",
	"v=spf1 all:x", "v=spf1 all/8", "v=spf1 include", "v=spf1 include:", "v=spf1 include:a",
	"v=spf1 a:", "v=spf1 a/", "v=spf1 a/33", "v=spf1 a/032", "v=spf1 a//129", "v=spf1 a/24/64",
	"v=spf1 a:museum", "v=spf1 a:museum.", "v=spf1 a:x.123", "v=spf1 a:x.-com", "v=spf1 a:x.com-",
	"v=spf1 a:e.com:80", "v=spf1 a:%{d", "v=spf1 a:%{a}", "v=spf1 a:%{d0}", "v=spf1 a:%{d}com",
	"v=spf1 a:%{d.}com", "v=spf1 a:%d.com", "v=spf1 a:x%.com", "v=spf1 a:%{c}.com",
	"v=spf1 exp=%{r}.com", "v=spf1 ip4", "v=spf1 ip4:1.2.3", "v=spf1 ip4:1.2.3.4/33",
	"v=spf1 ip4:1.2.3.4/032", "v=spf1 ip4:1.2.3.4//32", "v=spf1 ip4:1.2.3.4:25",
	"v=spf1 ip6:::1.1.1.1//33", "v=spf1 ip6::cafe::babe", "v=spf1 ip6:::1/129",
	"v=spf1 exists:", "v=spf1 exists:a.b/8", "v=spf1 ptr/0", "v=spf1 ptr:", "v=spf1 redirect=",
	"v=spf1 redirect:a.b", "v=spf1 redirect=a.b redirect=a.b", "v=spf1 exp=a.b exp=a.b",
	"v=spf1 -x=y", "v=spf1 1up=foo", "v=spf1 =all", "v=spf1 moo.cow/x=y", "v=spf1 \xc3\xa4=1",
	"v=spf1 a\rb -all", "v=spf1 x=%abc", "v=spf1 mechanism" };

static void
table(void **state)
{
	struct spf_record r;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!spf_parse(slice_z(good[i]), &r))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (spf_parse(slice_z(bad[i]), &r))
			fail_msg("taken: %s", bad[i]);
	assert_false(spf_parse(S("v=spf1 a:foo.example.com\0"), &r));
}

static void
truncations(void **state)
{
	struct spf_record r;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct slice all = slice_z(good[i]);

		for (size_t n = 0; n < all.n; n++)
			if (spf_parse(slice_head(all, n), &r))
				assert_true(r.text.n + 6 == n);
	}
}

static void
fields(void **state)
{
	struct spf_record r;
	struct spf_term t;
	struct spf_macro m;
	struct cursor c;

	assert_true(spf_parse(S("v=spf1 ~a:x.example/24//48 ip6:2001:db8::/33 redirect=r.example exp=e.example"),
	    &r));
	assert_int_equal(r.terms, 4);
	assert_true(slice_eq(r.redirect, S("r.example")) && slice_eq(r.exp, S("e.example")));
	c = cur_of(r.text);
	assert_true(spf_next(&c, &t) && t.kind == SPF_A && t.qualifier == '~');
	assert_true(slice_eq(t.domain, S("x.example")) && t.bits4 == 24 && t.bits6 == 48);
	assert_true(slice_eq(t.text, S("~a:x.example/24//48")));
	assert_true(spf_next(&c, &t) && t.kind == SPF_IP6 && t.bits6 == 33 && t.net.b[0] == 0x20);
	assert_true(spf_next(&c, &t) && t.kind == SPF_REDIRECT);
	assert_true(spf_next(&c, &t) && t.kind == SPF_EXP);
	assert_false(spf_next(&c, &t));
	assert_true(cur_done(&c));

	c = cur_of(S("%{L2r+-}x"));
	assert_true(spf_macro_next(&c, false, &m));
	assert_true(m.letter == 'l' && m.escape && m.reverse && m.keep == 2);
	assert_true(slice_eq(m.delimiters, S("+-")));
	assert_true(spf_macro_next(&c, false, &m) && slice_eq(m.literal, S("x")));
	assert_false(spf_macro_next(&c, false, &m));
}

static void
longest(void **state)
{
	static uint8_t text[LIMIT_SPF_RECORD + 2];
	struct spf_record r;

	memset(text, ' ', sizeof text);
	memcpy(text, "v=spf1", 6);
	for (size_t i = 7; i + 1 < sizeof text; i += 2)
		text[i] = 'a';
	assert_true(spf_parse(slice_of(text, LIMIT_SPF_RECORD), &r));
	assert_int_equal(r.terms, (LIMIT_SPF_RECORD - 6) / 2);
	assert_false(spf_parse(slice_of(text, LIMIT_SPF_RECORD + 1), &r));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(truncations),
		cmocka_unit_test(fields), cmocka_unit_test(longest) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
