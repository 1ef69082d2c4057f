/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/limits.h"
#include "lib/parse/addr/envelope.h"
#include "lib/parse/smtp/command.h"

static const struct {
	struct slice line;
	bool ok;
	enum smtp_verb verb;
	struct slice args;
} commands[] = {
	{ S_INIT("EHLO a.example"), true, SMTP_EHLO, S_INIT("a.example") },
	{ S_INIT("ehlo  a.example  "), true, SMTP_EHLO, S_INIT("a.example") },
	{ S_INIT("Quit"), true, SMTP_QUIT, S_INIT("") },
	{ S_INIT("NOOP anything at all"), true, SMTP_NOOP, S_INIT("anything at all") },
	{ S_INIT("MAIL FROM:<>"), true, SMTP_MAIL, S_INIT("FROM:<>") },
	{ S_INIT("XCLIENT ADDR=127.0.0.1"), true, SMTP_XCLIENT, S_INIT("ADDR=127.0.0.1") },
	{ S_INIT("LHLO x"), true, SMTP_LHLO, S_INIT("x") },
	{ S_INIT("GET / HTTP/1.1"), true, SMTP_FOREIGN, S_INIT("/ HTTP/1.1") },
	{ S_INIT("PRI * HTTP/2.0"), true, SMTP_FOREIGN, S_INIT("* HTTP/2.0") },
	{ S_INIT("MAILFROM:<>"), false, SMTP_UNKNOWN, S_INIT("") },
	{ S_INIT("Host: a.example"), false, SMTP_UNKNOWN, S_INIT("") },
	{ S_INIT(""), false, SMTP_UNKNOWN, S_INIT("") },
	{ S_INIT(" NOOP"), false, SMTP_UNKNOWN, S_INIT("") },
	{ S_INIT("NOOP\tx"), false, SMTP_UNKNOWN, S_INIT("") },
	{ S_INIT("NOOP \x1b[2J"), false, SMTP_UNKNOWN, S_INIT("") },
	{ S_INIT("NOOP \x07"), false, SMTP_UNKNOWN, S_INIT("") },
	{ S_INIT("NOOP a\0b"), false, SMTP_UNKNOWN, S_INIT("") },
	{ S_INIT("NOOP \x7f"), false, SMTP_UNKNOWN, S_INIT("") },
	{ S_INIT("\xff\xff"), false, SMTP_UNKNOWN, S_INIT("") },
	{ S_INIT("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), false, SMTP_UNKNOWN, S_INIT("") },
};

static void
splits_lines(void **state)
{
	struct smtp_command got;

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		assert_int_equal(smtp_command_parse(commands[i].line, &got), commands[i].ok);
		if (commands[i].ok) {
			assert_int_equal(got.verb, commands[i].verb);
			assert_true(slice_eq(got.args, commands[i].args));
			assert_true(got.ascii);
		}
		for (size_t n = 0; n < commands[i].line.n; n++)
			if (smtp_command_parse(slice_head(commands[i].line, n), &got))
				assert_true(got.word.n > 0 && got.word.n + got.args.n <= n);
	}
	assert_true(smtp_command_parse(S("NOOP \xc3\xbc"), &got) && !got.ascii);
}

/* S-085 */
static void
bdat_table(void **state)
{
	static const struct {
		struct slice args;
		bool ok, last;
		uint64_t size;
	} bdats[] = {
		{ S_INIT("0"), true, false, 0 },
		{ S_INIT("30"), true, false, 30 },
		{ S_INIT("30 LAST"), true, true, 30 },
		{ S_INIT("0 last"), true, true, 0 },
		{ S_INIT("1  LAST"), true, true, 1 },
		{ S_INIT("18446744073709551615"), true, false, UINT64_MAX },
		{ S_INIT("18446744073709551616"), false, false, 0 },
		{ S_INIT("99999999999999999999999999"), false, false, 0 },
		{ S_INIT("-1"), false, false, 0 },
		{ S_INIT("+5"), false, false, 0 },
		{ S_INIT("0x10"), false, false, 0 },
		{ S_INIT(""), false, false, 0 },
		{ S_INIT("LAST"), false, false, 0 },
		{ S_INIT("30LAST"), false, false, 0 },
		{ S_INIT("30 LASTING"), false, false, 0 },
		{ S_INIT("30 LAST 1"), false, false, 0 },
		{ S_INIT("30 31"), false, false, 0 },
	};

	for (size_t i = 0; i < sizeof bdats / sizeof bdats[0]; i++) {
		uint64_t size = 77;
		bool last = false;

		assert_int_equal(smtp_bdat_parse(bdats[i].args, &size, &last), bdats[i].ok);
		assert_true(size == (bdats[i].ok ? bdats[i].size : 77) && last == bdats[i].last);
		for (size_t n = 0; n < bdats[i].args.n; n++)
			(void)smtp_bdat_parse(slice_head(bdats[i].args, n), &size, &last);
	}
}

static void
helo_and_auth(void **state)
{
	static uint8_t big[300];
	struct slice s, i;

	memset(big, 'a', sizeof big);
	assert_true(smtp_helo_parse(S("mail.a_b.example"), &s));
	assert_true(smtp_helo_parse(S("localhost"), &s));
	assert_true(smtp_helo_parse(S("[192.0.2.1]"), &s) && s.n == 11);
	assert_true(smtp_helo_parse(S("[IPv6:fe80::1]"), &s));
	assert_true(smtp_helo_parse(slice_of(big, 255), &s));
	assert_false(smtp_helo_parse(slice_of(big, 256), &s));
	assert_false(smtp_helo_parse(S(""), &s)); /* S-093 */
	assert_false(smtp_helo_parse(S("a b"), &s));
	assert_false(smtp_helo_parse(S("$(id)"), &s));
	assert_false(smtp_helo_parse(S("a<script>"), &s));
	assert_false(smtp_helo_parse(S("[192.0.2.1"), &s));
	assert_false(smtp_helo_parse(S("\xc3\xbc"), &s));
	assert_true(smtp_auth_parse(S("PLAIN"), &s, &i) && i.p == NULL);
	assert_true(smtp_auth_parse(S("PLAIN ="), &s, &i) && slice_eq(i, S("=")));
	assert_true(smtp_auth_parse(S("SCRAM-SHA-256 abc"), &s, &i) && slice_eq(s, S("SCRAM-SHA-256")));
	assert_false(smtp_auth_parse(S(""), &s, &i));
	assert_false(smtp_auth_parse(S("PLAIN,LOGIN"), &s, &i));
	assert_false(smtp_auth_parse(S("ABCDEFGHIJKLMNOPQRSTU"), &s, &i));
}

/* Postfix's host names: what it calls valid must be a domain for us too, but for all-numeric forms. */
static void
postfix_hostnames(void **state)
{
	static const struct {
		struct slice in;
		bool want;
	} names[] = {
		{ S_INIT("f"), true }, { S_INIT("f.2.3.4f"), true }, { S_INIT("1f.2.3.f4"), true },
		{ S_INIT("1.2.3.4"), false }, { S_INIT("321"), false }, { S_INIT("1..2.3.4"), false },
		{ S_INIT(".1.2"), false }, { S_INIT("-.a.b"), false }, { S_INIT("a.-.b"), false },
		{ S_INIT("a.b.-"), false }, { S_INIT("aa-.b.b"), false }, { S_INIT("a.-bb.b"), false },
		{ S_INIT("a-a.b-b"), true },
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct cursor c = cur_of(names[i].in);
		struct slice s;

		assert_int_equal(addr_domain(&c, &s) == ADDR_OK && cur_done(&c), names[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_lines),
		cmocka_unit_test(bdat_table),
		cmocka_unit_test(helo_and_auth),
		cmocka_unit_test(postfix_hostnames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
