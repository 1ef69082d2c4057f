/* SPDX-License-Identifier: MIT
 * From p=none to p=reject: synthetic evidence on both sides of every threshold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/report/ramp.h"

/* A domain whose own server is fine. */
static struct ramp
evidence(struct ramp_sender *senders, size_t n, enum ramp_policy now)
{
	struct ramp r = { .now = now, .days = 40, .orgs = 3, .messages = 5000, .senders = senders, .n = n };

	senders[0] = (struct ramp_sender){ .who = S("mail.example.org"), .messages = 4000, .passed = 4000,
		.other = 4000, .days = 40 };
	return r;
}

static void
safe(void **state)
{
	struct ramp_sender s[3] = { 0 };
	struct ramp r = evidence(s, 1, RAMP_NONE);

	ramp_weigh(&r);
	assert_true(r.answer == RAMP_GO && r.next == RAMP_QUARANTINE);
	r.now = RAMP_QUARANTINE;
	ramp_weigh(&r);
	assert_true(r.answer == RAMP_GO && r.next == RAMP_REJECT);
	r.now = RAMP_REJECT;
	ramp_weigh(&r);
	assert_int_equal(r.answer, RAMP_DONE);
	r.now = RAMP_NO_RECORD;
	ramp_weigh(&r);
	assert_true(r.answer == RAMP_START && r.next == RAMP_NONE);
	/* forged mail, however much, is what the step is for */
	s[1] = (struct ramp_sender){ .who = S("192.0.2.66"), .messages = 90000, .days = 30 };
	r = evidence(s, 2, RAMP_NONE);
	ramp_weigh(&r);
	assert_true(r.answer == RAMP_GO && r.forged == 90000 && r.hit == 0 && !s[1].legitimate);
	/* so is what lists and forwarders break */
	s[1] = (struct ramp_sender){ .who = S("lists.example.com"), .messages = 500, .passed = 100, .other = 500,
		.forwarded = 400, .days = 30 };
	ramp_weigh(&r);
	assert_true(r.answer == RAMP_GO && s[1].legitimate && !s[1].breaks);
}

static void
not_enough(void **state)
{
	static const struct {
		enum ramp_policy now;
		uint64_t days, messages, orgs;
		enum ramp_answer answer;
	} table[] = {
		{ RAMP_NONE, RAMP_QUARANTINE_DAYS, RAMP_QUARANTINE_MESSAGES, RAMP_ORGS, RAMP_GO },
		{ RAMP_NONE, RAMP_QUARANTINE_DAYS - 1, RAMP_QUARANTINE_MESSAGES, RAMP_ORGS, RAMP_WAIT },
		{ RAMP_NONE, RAMP_QUARANTINE_DAYS, RAMP_QUARANTINE_MESSAGES - 1, RAMP_ORGS, RAMP_WAIT },
		{ RAMP_NONE, RAMP_QUARANTINE_DAYS, RAMP_QUARANTINE_MESSAGES, RAMP_ORGS - 1, RAMP_WAIT },
		{ RAMP_QUARANTINE, RAMP_REJECT_DAYS, RAMP_REJECT_MESSAGES, RAMP_ORGS, RAMP_GO },
		{ RAMP_QUARANTINE, RAMP_REJECT_DAYS - 1, RAMP_REJECT_MESSAGES, RAMP_ORGS, RAMP_WAIT },
		{ RAMP_QUARANTINE, RAMP_REJECT_DAYS, RAMP_REJECT_MESSAGES - 1, RAMP_ORGS, RAMP_WAIT },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct ramp_sender s[1];
		struct ramp r = evidence(s, 1, table[i].now);

		r.days = table[i].days;
		r.messages = table[i].messages;
		r.orgs = table[i].orgs;
		ramp_weigh(&r);
		if (r.answer != table[i].answer)
			fail_msg("row %zu: answer %d", i, (int)r.answer);
	}
}

static void
would_break(void **state)
{
	struct ramp_sender s[2];
	struct ramp r = evidence(s, 2, RAMP_NONE);

	/* a newsletter service that signs as itself */
	s[1] = (struct ramp_sender){ .who = S("news.example.net"), .messages = 300, .other = 300, .days = RAMP_STEADY };
	ramp_weigh(&r);
	assert_true(r.answer == RAMP_FIX && s[1].breaks && s[1].hit == 300 && !s[0].breaks && !r.loss);
	/* not seen long enough to be a service: whoever sends spam for two days passes its own SPF as well */
	s[1].days = RAMP_STEADY - 1;
	ramp_weigh(&r);
	assert_true(r.answer == RAMP_GO && s[1].forged == 300);
	/* or the owner does not know it */
	s[1].days = 40;
	s[1].foreign = true;
	ramp_weigh(&r);
	assert_true(r.answer == RAMP_GO && !s[1].legitimate && s[1].forged == 300);
	/* half configured: a tenth of its mail fails */
	s[1] = (struct ramp_sender){ .who = S("crm.example"), .messages = 100, .passed = 90, .other = 100, .days = 20 };
	ramp_weigh(&r);
	assert_true(r.answer == RAMP_FIX && s[1].breaks && s[1].hit == 10);
	/* at the threshold, and a few strays */
	s[1].messages = 1000;
	s[1].passed = 1000 - RAMP_SENDER_PERMILLE;
	ramp_weigh(&r);
	assert_true(r.answer == RAMP_GO && !s[1].breaks);
	s[1] = (struct ramp_sender){ .who = S("x"), .messages = 20, .passed = 20 - (RAMP_FEW - 1), .days = 9 };
	ramp_weigh(&r);
	assert_int_equal(r.answer, RAMP_GO);
}

static void
too_much_altogether(void **state)
{
	static struct ramp_sender s[200];
	struct ramp r = evidence(s, 200, RAMP_NONE);

	s[0].messages = s[0].passed = 1000;
	for (size_t i = 1; i < 200; i++) /* each one below the threshold of a sender */
		s[i] = (struct ramp_sender){ .who = S("x"), .messages = 20, .passed = 18, .days = 9 };
	ramp_weigh(&r);
	assert_true(r.answer == RAMP_FIX && r.loss && r.hit == 398);
	/* five in a thousand pass for quarantine, and are too many for reject */
	r = evidence(s, 2, RAMP_NONE);
	s[0].messages = 10000;
	s[0].passed = 9960;
	s[1] = (struct ramp_sender){ 0 };
	ramp_weigh(&r);
	assert_int_equal(r.answer, RAMP_GO);
	r.now = RAMP_QUARANTINE;
	ramp_weigh(&r);
	assert_true(r.answer == RAMP_FIX && r.loss);
}

static void
records(void **state)
{
	static const struct {
		const char *record, *want;
		enum ramp_policy p;
	} table[] = {
		{ "", "v=DMARC1; p=none; rua=mailto:dmarc-reports@example.org", RAMP_NONE },
		{ "v=DMARC1; p=none; rua=mailto:x@example.org", "v=DMARC1; p=quarantine; rua=mailto:x@example.org",
		    RAMP_QUARANTINE },
		{ "v=DMARC1;p=quarantine;pct=20;sp=none;adkim=s;", "v=DMARC1; p=reject; sp=none; adkim=s", RAMP_REJECT },
		{ "V=DMARC1 ; P = none ; fo=1\x1b[2J", "v=DMARC1; p=quarantine; fo=1\\x1b[2J", RAMP_QUARANTINE },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(buf_t) b = { .max = 1000 };

		assert_true(ramp_record(&b, slice_z(table[i].record), S("example.org"), table[i].p));
		if (!slice_eq(buf_slice(&b), slice_z(table[i].want)))
			fail_msg("\"%.*s\"", SFMT(buf_slice(&b)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(safe), cmocka_unit_test(not_enough),
		cmocka_unit_test(would_break), cmocka_unit_test(too_much_altogether), cmocka_unit_test(records) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
