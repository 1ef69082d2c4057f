/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/smtp/command.h"
#include "lib/parse/smtp/params.h"

#define ALL 127u
#define HUNDRED "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhhiiiiiiiiiijjjjjjjjjj"

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
		enum smtp_syntax st = smtp_mail_parse(mails[i].args, SMTP_OFFER_AUTH, a, &got, &why);

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

			(void)smtp_mail_parse(slice_head(mails[i].args, n), SMTP_OFFER_AUTH, scratch, &got, &why);
		}
	}
}


/* Each extension: known only where it is offered, its values by the letter of its RFC. */
static const struct {
	const char *param;
	unsigned offer;
	bool ok;
} params[] = {
	{ "AUTH=<>", SMTP_OFFER_AUTH, true },
	{ "SMTPUTF8", SMTP_OFFER_UTF8, true },
	{ "smtputf8", SMTP_OFFER_UTF8, true },
	{ "SMTPUTF8=1", SMTP_OFFER_UTF8, false },
	{ "SMTPUTF8 SMTPUTF8", SMTP_OFFER_UTF8, false },
	{ "RET=FULL", SMTP_OFFER_DSN, true },
	{ "RET=hdrs", SMTP_OFFER_DSN, true },
	{ "RET=ALL", SMTP_OFFER_DSN, false },
	{ "RET", SMTP_OFFER_DSN, false },
	{ "RET=FULL RET=HDRS", SMTP_OFFER_DSN, false },
	{ "ENVID=QQ314159", SMTP_OFFER_DSN, true },
	{ "ENVID=a+20b", SMTP_OFFER_DSN, true },
	{ "ENVID=" HUNDRED, SMTP_OFFER_DSN, true },
	{ "ENVID=" HUNDRED "k", SMTP_OFFER_DSN, false },
	{ "ENVID=" HUNDRED HUNDRED, SMTP_OFFER_DSN, false },	/* S-081 */
	{ "ENVID=+00", SMTP_OFFER_DSN, false },			/* S-081 */
	{ "ENVID=a+0D+0Ab", SMTP_OFFER_DSN, false },		/* S-081 */
	{ "ENVID=+7F", SMTP_OFFER_DSN, false },
	{ "ENVID=+C3+BC", SMTP_OFFER_DSN, false },
	{ "ENVID=+2b", SMTP_OFFER_DSN, false },
	{ "ENVID=a+", SMTP_OFFER_DSN, false },
	{ "ENVID=a ENVID=a", SMTP_OFFER_DSN, false },
	{ "REQUIRETLS", SMTP_OFFER_REQUIRETLS, true },
	{ "REQUIRETLS=yes", SMTP_OFFER_REQUIRETLS, false },
	{ "HOLDFOR=86400", SMTP_OFFER_HOLD, true },
	{ "HOLDFOR=0", SMTP_OFFER_HOLD, false },
	{ "HOLDFOR=1234567890", SMTP_OFFER_HOLD, false },
	{ "HOLDFOR=-1", SMTP_OFFER_HOLD, false },
	{ "HOLDUNTIL=2026-11-25T20:15:00Z", SMTP_OFFER_HOLD, true },
	{ "HOLDUNTIL=2028-02-29T00:00:00Z", SMTP_OFFER_HOLD, true },
	{ "HOLDUNTIL=2026-02-29T00:00:00Z", SMTP_OFFER_HOLD, false },
	{ "HOLDUNTIL=2026-11-25T24:00:00Z", SMTP_OFFER_HOLD, false },
	{ "HOLDUNTIL=2026-00-25T20:15:00Z", SMTP_OFFER_HOLD, false },
	{ "HOLDUNTIL=2026-11-25T20:15:00+01", SMTP_OFFER_HOLD, false },
	{ "HOLDUNTIL=1969-11-25T20:15:00Z", SMTP_OFFER_HOLD, false },
	{ "HOLDUNTIL=+026-11-25T20:15:00Z", SMTP_OFFER_HOLD, false },
	{ "HOLDFOR=10 HOLDUNTIL=2026-11-25T20:15:00Z", SMTP_OFFER_HOLD, false },
	{ "HOLDUNTIL=2026-11-25T20:15:00Z HOLDFOR=10", SMTP_OFFER_HOLD, false },
	{ "BY=120;R", SMTP_OFFER_BY, true },
	{ "BY=98;nT", SMTP_OFFER_BY, true },
	{ "BY=-5;N", SMTP_OFFER_BY, true },
	{ "BY=+5;R", SMTP_OFFER_BY, true },
	{ "BY=+-5;N", SMTP_OFFER_BY, false },
	{ "BY=0;N", SMTP_OFFER_BY, true },
	{ "BY=0;R", SMTP_OFFER_BY, false },
	{ "BY=-5;R", SMTP_OFFER_BY, false },
	{ "BY=120", SMTP_OFFER_BY, false },
	{ "BY=120;X", SMTP_OFFER_BY, false },
	{ "BY=1234567890;R", SMTP_OFFER_BY, false },
	{ "BY=120;RTT", SMTP_OFFER_BY, false },
	{ "MT-PRIORITY=0", SMTP_OFFER_PRIORITY, true },
	{ "MT-PRIORITY=9", SMTP_OFFER_PRIORITY, true },
	{ "MT-PRIORITY=-9", SMTP_OFFER_PRIORITY, true },
	{ "MT-PRIORITY=-0", SMTP_OFFER_PRIORITY, false },
	{ "MT-PRIORITY=10", SMTP_OFFER_PRIORITY, false },
	{ "MT-PRIORITY=+1", SMTP_OFFER_PRIORITY, false },
};

static void
extensions(void **state)
{
	for (size_t i = 0; i < sizeof params / sizeof params[0]; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
		own(buf_t) args = { .max = 1000 };
		struct smtp_mail got;
		enum addr_status why;
		enum smtp_syntax st;

		assert_true(buf_fmt(&args, "FROM:<a@b.example> %s", params[i].param));
		st = smtp_mail_parse(buf_slice(&args), ALL, a, &got, &why);
		if (st != (params[i].ok ? SMTP_SYNTAX_OK : SMTP_SYNTAX_PARAM))
			print_error("%s: %d\n", params[i].param, (int)st);
		assert_int_equal(st, params[i].ok ? SMTP_SYNTAX_OK : SMTP_SYNTAX_PARAM);
		assert_int_equal(smtp_mail_parse(buf_slice(&args), ALL & ~params[i].offer, a, &got, &why),
		    SMTP_SYNTAX_PARAM_UNKNOWN);
		for (size_t n = 0; n < args.n; n++)
			(void)smtp_mail_parse(slice_head(buf_slice(&args), n), ALL, a, &got, &why);
	}
}

static void
values(void **state)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
	struct smtp_mail m;
	enum addr_status why;

	assert_int_equal(smtp_mail_parse(S("FROM:<> RET=HDRS ENVID=a+20b BY=-7;N MT-PRIORITY=-3 REQUIRETLS "
	    "HOLDUNTIL=2026-11-25T20:15:00Z SMTPUTF8"), ALL, a, &m, &why), SMTP_SYNTAX_OK);
	assert_true(m.ret == SMTP_RET_HDRS && slice_eq(m.envid, S("a+20b")) && m.by && m.by_s == -7 &&
	    !m.by_return && !m.by_trace && m.priority == -3 && m.requiretls && m.utf8 && m.hold_until_s == 1795637700);
	assert_int_equal(smtp_mail_parse(S("FROM:<> BY=60;RT HOLDFOR=30"), ALL, a, &m, &why), SMTP_SYNTAX_OK);
	assert_true(m.by_s == 60 && m.by_return && m.by_trace && m.hold_for_s == 30 && m.ret == SMTP_RET_UNSAID);
}

/* Addresses beyond ASCII: only with SMTPUTF8, only valid UTF-8, nothing that moves a cursor (S-046). */
static void
utf8_addresses(void **state)
{
	static const struct {
		const char *address;
		bool ok;
	} addresses[] = {
		{ "\xc3\xbc@b.example", true },
		{ "\"\xc3\xbc x\"@b.example", true },
		{ "a@b\xc3\xbc.example", true },
		{ "\xd0\xbf@\xd0\xbf\xd1\x80.example", true },
		{ "\xc3@b.example", false },
		{ "\xff\xfe@b.example", false },
		{ "\xc0\xaf@b.example", false },
		{ "\xed\xa0\x80@b.example", false },
		{ "a\xc2\x9b" "2J@b.example", false },
		{ "a\xe2\x80\xae@b.example", false },
		{ "a\xe2\x80\xa8@b.example", false },
		{ "a@\xef\xbb\xbf" "b.example", false },
	};

	for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
		own(buf_t) args = { .max = 1000 };
		enum addr_status why = ADDR_OK;
		struct smtp_mail m;
		struct smtp_rcpt r;
		enum smtp_syntax want = addresses[i].ok ? SMTP_SYNTAX_OK : SMTP_SYNTAX_ADDRESS;

		assert_true(buf_fmt(&args, "FROM:<%s> SMTPUTF8", addresses[i].address));
		assert_int_equal(smtp_mail_parse(buf_slice(&args), ALL, a, &m, &why), want);
		buf_reset(&args);
		assert_true(buf_fmt(&args, "FROM:<%s>", addresses[i].address));
		assert_int_equal(smtp_mail_parse(buf_slice(&args), ALL, a, &m, &why), SMTP_SYNTAX_ADDRESS);
		assert_int_equal(why, ADDR_NOT_ASCII);
		buf_reset(&args);
		assert_true(buf_fmt(&args, "TO:<%s>", addresses[i].address));
		assert_int_equal(smtp_rcpt_parse(buf_slice(&args), ALL, true, a, &r, &why), want);
		assert_int_equal(smtp_rcpt_parse(buf_slice(&args), ALL, false, a, &r, &why), SMTP_SYNTAX_ADDRESS);
		assert_int_equal(why, ADDR_NOT_ASCII);
	}
}

static void
rcpt_table(void **state)
{
	static const struct {
		struct slice args;
		enum smtp_syntax dsn, plain; /* where DSN is offered, where it is not */
		unsigned notify;
	} rcpts[] = {
		{ S_INIT("TO:<a@b.example>"), SMTP_SYNTAX_OK, SMTP_SYNTAX_OK, 0 },
		{ S_INIT("to: <a@b.example>"), SMTP_SYNTAX_OK, SMTP_SYNTAX_OK, 0 },
		{ S_INIT("TO:<Postmaster>"), SMTP_SYNTAX_OK, SMTP_SYNTAX_OK, 0 }, /* S-078 */
		{ S_INIT("TO:<>"), SMTP_SYNTAX_ADDRESS, SMTP_SYNTAX_ADDRESS, 0 },
		{ S_INIT("TO:<a@b.example> NOTIFY=NEVER"), SMTP_SYNTAX_OK, SMTP_SYNTAX_PARAM_UNKNOWN, 1 },
		{ S_INIT("TO:<a@b.example> NOTIFY=success,failure,DELAY"), SMTP_SYNTAX_OK,
		    SMTP_SYNTAX_PARAM_UNKNOWN, 14 },
		{ S_INIT("TO:<a@b.example> NOTIFY=NEVER,SUCCESS"), SMTP_SYNTAX_PARAM, /* S-081 */
		    SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> NOTIFY=SUCCESS,NEVER"), SMTP_SYNTAX_PARAM, SMTP_SYNTAX_PARAM_UNKNOWN,
		    0 },
		{ S_INIT("TO:<a@b.example> NOTIFY=DELAY,DELAY"), SMTP_SYNTAX_PARAM, SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> NOTIFY=DELAY,"), SMTP_SYNTAX_PARAM, SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> NOTIFY"), SMTP_SYNTAX_PARAM, SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> NOTIFY=NEVER NOTIFY=NEVER"), SMTP_SYNTAX_PARAM,
		    SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> ORCPT=rfc822;c+2Bd@b.example"), SMTP_SYNTAX_OK,
		    SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> ORCPT=rfc822;+00@x"), SMTP_SYNTAX_PARAM, SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> ORCPT=rfc822;a+0D+0Ax"), SMTP_SYNTAX_PARAM, SMTP_SYNTAX_PARAM_UNKNOWN,
		    0 },
		{ S_INIT("TO:<a@b.example> ORCPT=rfc822"), SMTP_SYNTAX_PARAM, SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> ORCPT=rfc822;"), SMTP_SYNTAX_PARAM, SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> ORCPT=;a"), SMTP_SYNTAX_PARAM, SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> ORCPT=rfc822;a ORCPT=rfc822;a"), SMTP_SYNTAX_PARAM,
		    SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> x y"), SMTP_SYNTAX_PARAM_UNKNOWN, SMTP_SYNTAX_PARAM_UNKNOWN, 0 },
		{ S_INIT("TO:<a@b.example> ;"), SMTP_SYNTAX_PARAM, SMTP_SYNTAX_PARAM, 0 },
		{ S_INIT("TO:<a@b.example>,<c@d.example>"), SMTP_SYNTAX_ADDRESS, SMTP_SYNTAX_ADDRESS, 0 },
		{ S_INIT("FROM:<a@b.example>"), SMTP_SYNTAX_COMMAND, SMTP_SYNTAX_COMMAND, 0 },
	};

	for (size_t i = 0; i < sizeof rcpts / sizeof rcpts[0]; i++) {
		own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
		enum addr_status why;
		struct smtp_rcpt got;
		enum smtp_syntax st = smtp_rcpt_parse(rcpts[i].args, ALL, false, a, &got, &why);

		if (st != rcpts[i].dsn)
			print_error("%.*s: %d\n", SFMT(rcpts[i].args), (int)st);
		assert_int_equal(st, rcpts[i].dsn);
		if (st == SMTP_SYNTAX_OK)
			assert_int_equal(got.notify, rcpts[i].notify);
		assert_int_equal(smtp_rcpt_parse(rcpts[i].args, 0, false, a, &got, &why), rcpts[i].plain);
		for (size_t n = 0; n < rcpts[i].args.n; n++)
			(void)smtp_rcpt_parse(slice_head(rcpts[i].args, n), ALL, true, a, &got, &why);
	}
}

static void
utf8_orcpt(void **state)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_COMMAND);
	enum addr_status why;
	struct smtp_rcpt got;

	assert_int_equal(smtp_rcpt_parse(S("TO:<a@b.example> ORCPT=utf-8;\xc3\xbc@b.example"), ALL, true, a, &got,
	    &why), SMTP_SYNTAX_OK);
	assert_int_equal(smtp_rcpt_parse(S("TO:<a@b.example> ORCPT=utf-8;\xc3\xbc@b.example"), ALL, false, a, &got,
	    &why), SMTP_SYNTAX_PARAM);
	assert_int_equal(smtp_rcpt_parse(S("TO:<a@b.example> ORCPT=utf-8;\xc3@b.example"), ALL, true, a, &got,
	    &why), SMTP_SYNTAX_PARAM);
	assert_int_equal(smtp_rcpt_parse(S("TO:<a@b.example> ORCPT=rfc822;\xc3\xbc@b.example"), ALL, true, a, &got,
	    &why), SMTP_SYNTAX_PARAM);
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
		good += smtp_mail_parse(cmd.args, 0, a, &m, &why) == SMTP_SYNTAX_OK;
	}
	(void)fclose(f);
	assert_true(n >= 12);
	assert_int_equal(good, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_table),
		cmocka_unit_test(extensions),
		cmocka_unit_test(values),
		cmocka_unit_test(utf8_addresses),
		cmocka_unit_test(rcpt_table),
		cmocka_unit_test(utf8_orcpt),
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
