/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
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
	{ S_INIT("XCLIENT ADDR=127.0.0.1"), true, SMTP_UNKNOWN, S_INIT("ADDR=127.0.0.1") },
	{ S_INIT("LHLO x"), true, SMTP_UNKNOWN, S_INIT("x") },
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

static const struct {
	struct slice args;
	enum smtp_syntax want;
	uint64_t size;
	bool body_8bit, auth_said;
} mails[] = {
	{ S_INIT("FROM:<>"), SMTP_SYNTAX_OK, 0, false, false },
	{ S_INIT("from:<a@b.example>"), SMTP_SYNTAX_OK, 0, false, false },
	{ S_INIT("FROM: <a@b.example>"), SMTP_SYNTAX_OK, 0, false, false },
	{ S_INIT("FROM:<a@b.example> SIZE=123 BODY=8BITMIME"), SMTP_SYNTAX_OK, 123, true, false },
	{ S_INIT("FROM:<a@b.example> body=7bit size=18446744073709551615"), SMTP_SYNTAX_OK, UINT64_MAX,
	    false, false },
	{ S_INIT("FROM:<a@b.example> AUTH=<>"), SMTP_SYNTAX_OK, 0, false, true },
	{ S_INIT("FROM:<a@b.example> AUTH=c+2Bd@b.example"), SMTP_SYNTAX_OK, 0, false, true },
	{ S_INIT("FROM:<\"a b\"@c.example> SIZE=1"), SMTP_SYNTAX_OK, 1, false, false },
	{ S_INIT("FROM<>"), SMTP_SYNTAX_COMMAND, 0, false, false },
	{ S_INIT("TO:<a@b.example>"), SMTP_SYNTAX_COMMAND, 0, false, false },
	{ S_INIT(""), SMTP_SYNTAX_COMMAND, 0, false, false },
	{ S_INIT("FROM:a@b.example"), SMTP_SYNTAX_ADDRESS, 0, false, false },
	{ S_INIT("FROM:<a@b.example>SIZE=1"), SMTP_SYNTAX_ADDRESS, 0, false, false },
	{ S_INIT("FROM:<a@b.example>>"), SMTP_SYNTAX_ADDRESS, 0, false, false },
	{ S_INIT("FROM:<Postmaster>"), SMTP_SYNTAX_ADDRESS, 0, false, false },
	/* S-037 */
	{ S_INIT("FROM:<> SIZE=999999999999"), SMTP_SYNTAX_OK, 999999999999, false, false },
	{ S_INIT("FROM:<> SIZE=18446744073709551616"), SMTP_SYNTAX_SIZE, 0, false, false },
	{ S_INIT("FROM:<> SIZE=340282366920938463463374607431768211456"), SMTP_SYNTAX_PARAM, 0, false,
	    false },
	{ S_INIT("FROM:<> SIZE=-1"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> SIZE=0x10"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> SIZE=1 SIZE=1"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> SIZE="), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> SIZE"), SMTP_SYNTAX_PARAM, 0, false, false },
	/* S-081 */
	{ S_INIT("FROM:<> AUTH=+0A"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> AUTH=a+0D+0A@b.example"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> AUTH=+00"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> AUTH=a+2b@b.example"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> AUTH=a+"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> AUTH=<> AUTH=<>"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> ENVID=+00"), SMTP_SYNTAX_PARAM_UNKNOWN, 0, false, false },
	{ S_INIT("FROM:<> RET=HDRS"), SMTP_SYNTAX_PARAM_UNKNOWN, 0, false, false },
	{ S_INIT("FROM:<> SMTPUTF8"), SMTP_SYNTAX_PARAM_UNKNOWN, 0, false, false },
	{ S_INIT("FROM:<> BODY=BINARYMIME"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> =1"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> -A=1"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> A=1=2"), SMTP_SYNTAX_PARAM, 0, false, false },
	{ S_INIT("FROM:<> \xc3\xbc=1"), SMTP_SYNTAX_PARAM, 0, false, false },
};

static void
mail_table(void **state)
{
	for (size_t i = 0; i < sizeof mails / sizeof mails[0]; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
		struct smtp_mail got = { .size = 77 };
		enum addr_status why;
		enum smtp_syntax st = smtp_mail_parse(mails[i].args, true, a, &got, &why);

		if (st != mails[i].want)
			print_error("%.*s: %d\n", SFMT(mails[i].args), (int)st);
		assert_int_equal(st, mails[i].want);
		if (st == SMTP_SYNTAX_OK) {
			assert_int_equal(got.size, mails[i].size);
			assert_int_equal(got.body_8bit, mails[i].body_8bit);
			assert_int_equal(got.auth.p != NULL, mails[i].auth_said);
		} else {
			assert_int_equal(got.size, 77);
		}
		for (size_t n = 0; n < mails[i].args.n; n++) {
			own(arena_p) scratch = arena_new("test", LIMIT_ARENA_COMMAND);

			(void)smtp_mail_parse(slice_head(mails[i].args, n), true, scratch, &got, &why);
		}
	}
}

static void
auth_parameter_needs_auth(void **state)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
	struct smtp_mail got;
	enum addr_status why;

	assert_int_equal(smtp_mail_parse(S("FROM:<> AUTH=<>"), false, a, &got, &why),
	    SMTP_SYNTAX_PARAM_UNKNOWN);
}

static void
rcpt_table(void **state)
{
	static const struct {
		struct slice args;
		enum smtp_syntax want;
	} rcpts[] = {
		{ S_INIT("TO:<a@b.example>"), SMTP_SYNTAX_OK },
		{ S_INIT("to: <a@b.example>"), SMTP_SYNTAX_OK },
		{ S_INIT("TO:<Postmaster>"), SMTP_SYNTAX_OK }, /* S-078 */
		{ S_INIT("TO:<>"), SMTP_SYNTAX_ADDRESS },
		{ S_INIT("TO:<a@b.example> NOTIFY=NEVER,SUCCESS"), SMTP_SYNTAX_PARAM_UNKNOWN },
		{ S_INIT("TO:<a@b.example> ORCPT=rfc822;+00@x"), SMTP_SYNTAX_PARAM_UNKNOWN },
		{ S_INIT("TO:<a@b.example> x y"), SMTP_SYNTAX_PARAM_UNKNOWN },
		{ S_INIT("TO:<a@b.example> ;"), SMTP_SYNTAX_PARAM },
		{ S_INIT("TO:<a@b.example>,<c@d.example>"), SMTP_SYNTAX_ADDRESS },
		{ S_INIT("FROM:<a@b.example>"), SMTP_SYNTAX_COMMAND },
	};

	for (size_t i = 0; i < sizeof rcpts / sizeof rcpts[0]; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
		enum addr_status why;
		struct addr got;

		assert_int_equal(smtp_rcpt_parse(rcpts[i].args, a, &got, &why), rcpts[i].want);
		for (size_t n = 0; n < rcpts[i].args.n; n++)
			(void)smtp_rcpt_parse(slice_head(rcpts[i].args, n), a, &got, &why);
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

/* The inputs of Postfix's smtpd_token test that are MAIL commands; by RFC 5321 only the first two may
 * pass, whatever Postfix's lenient tokenizer makes of the others. */
static void
postfix_tokens(void **state)
{
	FILE *f = fopen(VECTORS "/postfix-ref/src/smtpd/smtpd_token.in", "r");
	char line[512];
	size_t n = 0, good = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
		struct slice in = slice_z(line);
		struct smtp_command cmd;
		struct smtp_mail m;
		enum addr_status why;

		if (in.n > 0 && slice_at(in, in.n - 1) == '\n')
			in = slice_head(in, in.n - 1);
		if (!smtp_command_parse(in, &cmd) || cmd.verb != SMTP_MAIL)
			continue;
		n++;
		good += smtp_mail_parse(cmd.args, false, a, &m, &why) == SMTP_SYNTAX_OK;
	}
	(void)fclose(f);
	assert_true(n >= 12);
	assert_int_equal(good, 2);
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
		cmocka_unit_test(mail_table),
		cmocka_unit_test(auth_parameter_needs_auth),
		cmocka_unit_test(rcpt_table),
		cmocka_unit_test(helo_and_auth),
		cmocka_unit_test(postfix_hostnames),
	};
	const struct CMUnitTest vectors[] = { cmocka_unit_test(postfix_tokens) };
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (failed != 0)
		return failed;
	if (access(VECTORS "/postfix-ref", R_OK) != 0) {
		(void)printf("SKIP: no ../shared/vectors/postfix-ref\n");
		return 77;
	}
	return cmocka_run_group_tests(vectors, NULL, NULL);
}
