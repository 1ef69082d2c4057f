/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/chars.h"
#include "lib/parse/smtp/reply.h"

/* Lines separated by LF, as lib/stream would deliver them. */
static enum smtp_reply_step
feed(struct smtp_reply *r, struct slice in, struct smtp_offer *o)
{
	enum smtp_reply_step step = SMTP_REPLY_MORE;
	struct slice line, body;

	smtp_reply_begin(r);
	while (step == SMTP_REPLY_MORE && in.n > 0) {
		if (!slice_cut(in, '\n', &line, &in)) {
			line = in;
			in = S("");
		}
		step = smtp_reply_line(r, line, &body);
		if (o != NULL && step != SMTP_REPLY_BAD && r->lines > 1)
			smtp_offer_line(o, body);
	}
	return step;
}

static const struct {
	struct slice in;
	enum smtp_reply_step want;
	unsigned code;
	struct slice enhanced, text;
} table[] = {
	{ S_INIT("250 ok"), SMTP_REPLY_DONE, 250, S_INIT(""), S_INIT("ok") },
	{ S_INIT("250"), SMTP_REPLY_DONE, 250, S_INIT(""), S_INIT("") },
	{ S_INIT("250 "), SMTP_REPLY_DONE, 250, S_INIT(""), S_INIT("") },
	{ S_INIT("250 2.1.5 ok"), SMTP_REPLY_DONE, 250, S_INIT("2.1.5"), S_INIT("ok") },
	{ S_INIT("250 2.1.5"), SMTP_REPLY_DONE, 250, S_INIT("2.1.5"), S_INIT("") },
	{ S_INIT("550 5.1.999 no"), SMTP_REPLY_DONE, 550, S_INIT("5.1.999"), S_INIT("no") },
	{ S_INIT("550 5.1.1000 no"), SMTP_REPLY_DONE, 550, S_INIT(""), S_INIT("5.1.1000 no") },
	{ S_INIT("550 4.1.1 other class"), SMTP_REPLY_DONE, 550, S_INIT(""), S_INIT("4.1.1 other class") },
	{ S_INIT("550-5.7.1 one\n550 5.7.2 two"), SMTP_REPLY_DONE, 550, S_INIT("5.7.1"), S_INIT("one two") },
	{ S_INIT("550-\n550-a\n550"), SMTP_REPLY_DONE, 550, S_INIT(""), S_INIT("a") },
	{ S_INIT("250-one\n250-two"), SMTP_REPLY_MORE, 250, S_INIT(""), S_INIT("one two") },
	/* O-003 */
	{ S_INIT("250-one\n251 two"), SMTP_REPLY_BAD, 0, S_INIT(""), S_INIT("") },
	{ S_INIT("999 what"), SMTP_REPLY_BAD, 0, S_INIT(""), S_INIT("") },
	{ S_INIT("199 what"), SMTP_REPLY_BAD, 0, S_INIT(""), S_INIT("") },
	{ S_INIT("600 what"), SMTP_REPLY_BAD, 0, S_INIT(""), S_INIT("") },
	{ S_INIT("25 ok"), SMTP_REPLY_BAD, 0, S_INIT(""), S_INIT("") },
	{ S_INIT("2500 ok"), SMTP_REPLY_BAD, 0, S_INIT(""), S_INIT("") },
	{ S_INIT(" 250 ok"), SMTP_REPLY_BAD, 0, S_INIT(""), S_INIT("") },
	{ S_INIT("250\tok"), SMTP_REPLY_BAD, 0, S_INIT(""), S_INIT("") },
	{ S_INIT("HTTP/1.1 400"), SMTP_REPLY_BAD, 0, S_INIT(""), S_INIT("") },
	/* O-004 */
	{ S_INIT("550 a\x1b[2J\\\xff\x7f"), SMTP_REPLY_DONE, 550, S_INIT(""), S_INIT("a\\x1b[2J\\x5c\\xff\\x7f") },
	{ S_INIT("550 a\rFrom b"), SMTP_REPLY_DONE, 550, S_INIT(""), S_INIT("a\\x0dFrom b") },
};

static void
replies(void **state)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct smtp_reply r;
		char e[SMTP_ENHANCED_TEXT];
		enum smtp_reply_step step = feed(&r, table[i].in, NULL);

		if (step != table[i].want)
			print_error("row %zu: %d\n", i, (int)step);
		assert_int_equal(step, table[i].want);
		if (step != SMTP_REPLY_BAD) {
			assert_int_equal(r.code, table[i].code);
			assert_true(slice_eq(smtp_reply_enhanced(&r, e), table[i].enhanced));
			assert_true(slice_eq(smtp_reply_text(&r), table[i].text));
		}
		for (size_t n = 0; n < table[i].in.n; n++)
			(void)feed(&r, slice_head(table[i].in, n), NULL);
	}
}

static void
bounds(void **state)
{
	static uint8_t line[LIMIT_SMTP_REPLY_LINE];
	struct smtp_reply r;

	smtp_reply_begin(&r);
	for (unsigned i = 0; i < LIMIT_SMTP_REPLY_LINES; i++)
		assert_int_equal(smtp_reply_line(&r, S("250-x"), NULL), SMTP_REPLY_MORE);
	assert_int_equal(smtp_reply_line(&r, S("250 x"), NULL), SMTP_REPLY_BAD);
	for (uint8_t fill = 0xfe; fill >= 0xfd; fill--) {
		memset(line, fill, sizeof line);
		memcpy(line, "550 ", 4);
		smtp_reply_begin(&r);
		assert_int_equal(smtp_reply_line(&r, slice_of(line, sizeof line), NULL), SMTP_REPLY_DONE);
		assert_true(r.n <= LIMIT_SMTP_REPLY_TEXT && r.n > LIMIT_SMTP_REPLY_TEXT - 8);
	}
}

static const struct slice ehlo =
    S_INIT("250-mx.example greets\n250-pipelining\n250-SIZE 1000\n250-8BITMIME\n250-STARTTLS\n250-SMTPUTF8\n250-DSN\n"
	   "250-CHUNKING\n250-REQUIRETLS\n250-AUTH PLAIN LOGIN XOAUTH2\n250-LIMITS MAILMAX=5 RCPTMAX=20\n"
	   "250-X-UNKNOWN a b\n250 ENHANCEDSTATUSCODES");

static void
offers(void **state)
{
	struct smtp_reply r;
	struct smtp_offer o = { 0 };

	assert_int_equal(feed(&r, ehlo, &o), SMTP_REPLY_DONE);
	assert_true(o.pipelining && o.size && o.eightbit && o.starttls && o.smtputf8 && o.dsn && o.chunking);
	assert_true(o.requiretls && o.enhanced && o.plain && o.login && !o.scram);
	assert_int_equal(o.size_limit, 1000);
	assert_int_equal(o.rcpt_limit, 20);
	for (size_t n = 0; n < ehlo.n; n++) {
		o = (struct smtp_offer){ 0 };
		(void)feed(&r, slice_head(ehlo, n), &o);
		assert_false(o.enhanced);
	}
	o = (struct smtp_offer){ 0 };
	smtp_offer_line(&o, S("DELIVERBY"));
	assert_true(o.deliverby && o.min_by == 0);
	smtp_offer_line(&o, S("deliverby 240"));
	assert_true(o.deliverby && o.min_by == 240);
	smtp_offer_line(&o, S("SIZE"));
	assert_true(o.size && o.size_limit == 0);
	smtp_offer_line(&o, S("SIZE 99999999999999999999999"));
	assert_int_equal(o.size_limit, 0);
	smtp_offer_line(&o, S("AUTH=LOGIN SCRAM-SHA-256"));
	assert_true(o.login && o.scram && !o.plain);
	smtp_offer_line(&o, S("STARTTLSX"));
	smtp_offer_line(&o, S(""));
	assert_false(o.starttls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replies),
		cmocka_unit_test(bounds),
		cmocka_unit_test(offers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
