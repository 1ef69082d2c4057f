/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/make/authres.h"

static void
field(void **state)
{
	static const struct authres_prop spf[] = { { S_INIT("smtp"), S_INIT("mailfrom"),
						       S_INIT("user@example.org") },
		{ S_INIT("smtp"), S_INIT("helo"), S_INIT("mail.example.org") } };
	static const struct authres_prop dkim[] = { { S_INIT("header"), S_INIT("d"),
							S_INIT("example.org") },
		{ S_INIT("header"), S_INIT("b"), S_INIT("ab/c=") } };
	const struct authres_result list[] = { { .method = S("spf"), .result = S("pass"), .props = spf,
						   .n_props = 2 },
		{ .method = S("dkim"), .result = S("fail"), .reason = S("body \"hash\""), .props = dkim,
		    .n_props = 2 },
		{ .method = S("dmarc"), .result = S("pass"), .comment = S("p=reject (sp=none)") } };
	own(buf_t) b = { .max = 0 };

	buf_init(&b, LIMIT_AUTHRES);
	assert_true(authres_write(&b, S("mx.example"), list, 3));
	(void)buf_byte(&b, '\0');
	assert_string_equal((const char *)b.p,
	    "Authentication-Results: mx.example;\r\n"
	    "\tspf=pass smtp.mailfrom=user@example.org smtp.helo=mail.example.org;\r\n"
	    "\tdkim=fail reason=\"body \\\"hash\\\"\" header.d=example.org\r\n"
	    "\theader.b=\"ab/c=\";\r\n"
	    "\tdmarc=pass (p=reject \\(sp=none\\))\r\n");
	buf_reset(&b);
	assert_true(authres_write(&b, S("mx.example"), NULL, 0));
	assert_true(slice_eq(buf_slice(&b), S("Authentication-Results: mx.example; none\r\n")));
}

/* what a signature, HELO or sender says cannot pass for another name. */
static void
values(void **state)
{
	static const struct {
		struct slice in, out;
	} table[] = { { S_INIT("x.com"), S_INIT("x.com") },
		{ S_INIT("x.com(.evil"), S_INIT("\"x.com(.evil\"") },
		{ S_INIT("x'a.evil"), S_INIT("\"x'a.evil\"") },
		{ S_INIT("x.com\0.evil"), S_INIT("\"x.com?.evil\"") },
		{ S_INIT("x.com; dmarc=pass"), S_INIT("\"x.com; dmarc=pass\"") },
		{ S_INIT("a\"b\\"), S_INIT("\"a\\\"b\\\\\"") },
		{ S_INIT("x\r\nTo: y"), S_INIT("\"x??To: y\"") },
		{ S_INIT(""), S_INIT("\"\"") },
		{ S_INIT("@x.com"), S_INIT("@x.com") },
		{ S_INIT("a b@x.com"), S_INIT("\"a b@x.com\"") },
		{ S_INIT("(a@x.com"), S_INIT("\"(a@x.com\"") },
		{ S_INIT("a@b@x.com"), S_INIT("\"a@b@x.com\"") },
		{ S_INIT("a@x.com(y"), S_INIT("\"a@x.com(y\"") },
		{ S_INIT("\xc3\xa4@x.com"), S_INIT("\"\xc3\xa4@x.com\"") },
		{ S_INIT("\xff\xfe"), S_INIT("\"??\"") } };
	own(buf_t) b = { .max = 0 };
	uint8_t big[2000];

	buf_init(&b, LIMIT_AUTHRES);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		buf_reset(&b);
		assert_true(authres_put_value(&b, table[i].in));
		if (!slice_eq(buf_slice(&b), table[i].out))
			fail_msg("%zu: %.*s", i, SFMT(buf_slice(&b)));
	}
	memset(big, 'x', sizeof big);
	buf_reset(&b);
	assert_true(authres_put_value(&b, slice_of(big, sizeof big)));
	assert_int_equal(b.n, LIMIT_AUTHRES_VALUE + 5);
}

static void
owners(void **state)
{
	static const struct {
		struct slice body;
		enum authres_owner owner;
	} table[] = { { S_INIT(" mx.example; spf=pass"), AUTHRES_OURS },
		{ S_INIT(" MX.Example.;spf=pass"), AUTHRES_OURS },
		{ S_INIT("\r\n\t(a (b) \\) c) mx.example\r\n 1; spf=pass"), AUTHRES_OURS },
		{ S_INIT(" \"mx.ex\\ample\"; none"), AUTHRES_OURS },
		{ S_INIT(" \"mx.example.\"; none"), AUTHRES_OURS },
		{ S_INIT(" mx.example/1; none"), AUTHRES_OURS },
		{ S_INIT(" mx.example"), AUTHRES_OURS },
		{ S_INIT(" mx.example.evil; none"), AUTHRES_OTHER },
		{ S_INIT(" amx.example; none"), AUTHRES_OTHER },
		{ S_INIT(" other 1; none"), AUTHRES_OTHER },
		{ S_INIT(" \"mx.example..\"; none"), AUTHRES_OTHER },
		{ S_INIT(" other x; none"), AUTHRES_BROKEN },
		{ S_INIT(" \"mx.example"), AUTHRES_BROKEN },
		{ S_INIT(" =?utf-8?q?mx.example?=; none"), AUTHRES_BROKEN },
		{ S_INIT("\0 mx.example; none"), AUTHRES_BROKEN },
		{ S_INIT(" ; none"), AUTHRES_BROKEN }, { S_INIT(""), AUTHRES_BROKEN },
		{ S_INIT(" (mx.example"), AUTHRES_BROKEN } };

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (authres_owner(table[i].body, S("mx.example")) != table[i].owner)
			fail_msg("%zu: %.*s", i, SFMT(table[i].body));
		for (size_t n = 0; n < table[i].body.n; n++)
			(void)authres_owner(slice_head(table[i].body, n), S("mx.example"));
	}
}

/* fifty forged fields, in every spelling. */
static void
forged(void **state)
{
	own(buf_t) in = { .max = 0 }, out = { .max = 0 };
	size_t removed;

	buf_init(&in, 65536);
	buf_init(&out, 65536);
	(void)buf_add(&in, S("Received: from x\r\n\tby mx.example\r\n"));
	for (int i = 0; i < 25; i++) {
		(void)buf_add(&in, S("Authentication-Results: mx.example; dkim=pass header.d=bank.example\r\n"));
		(void)buf_add(&in, S("AUTHENTICATION-results :\r\n (x) mx.EXAMPLE 1;\r\n\tdmarc=pass\r\n"));
	}
	(void)buf_add(&in, S("Authentication-Results: other.example; spf=pass\r\n"
			     "ARC-Authentication-Results: i=1; mx.example; spf=pass\r\n"
			     "Subject: Authentication-Results: mx.example\r\n"));
	assert_true(authres_remove(&out, buf_slice(&in), S("mx.example"), &removed));
	assert_int_equal(removed, 50);
	assert_true(slice_eq(buf_slice(&out),
	    S("Received: from x\r\n\tby mx.example\r\n"
	      "Authentication-Results: other.example; spf=pass\r\n"
	      "ARC-Authentication-Results: i=1; mx.example; spf=pass\r\n"
	      "Subject: Authentication-Results: mx.example\r\n")));
}

static void
reported(void **state)
{
	static const struct {
		struct slice body;
		bool pass;
	} rows[] = { { S_INIT(" mx.example; spf=fail; dmarc=pass (p=none) header.from=x"), true },
		{ S_INIT(" mx.example;\r\n DMARC (x) = (y) Pass"), true },
		{ S_INIT("mx.example; dmarc=fail; dmarc=pass"), true },
		{ S_INIT("dmarc=pass"), false }, /* that is the authserv-id's place */
		{ S_INIT("mx.example; dmarc=passed"), false },
		{ S_INIT("mx.example; xdmarc=pass"), false },
		{ S_INIT("mx.example; spf=fail (x; dmarc=pass)"), false },
		{ S_INIT("mx.example; spf=fail reason=\"; dmarc=pass\""), false },
		{ S_INIT("mx.example; spf=fail reason=\"\\\"; dmarc=pass\""), false },
		{ S_INIT("mx.example; spf=fail smtp.helo=dmarc=pass"), false }, { S_INIT(""), false } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (authres_reports(rows[i].body, S("dmarc"), S("pass")) != rows[i].pass)
			fail_msg("%.*s", SFMT(rows[i].body));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(field), cmocka_unit_test(values),
		cmocka_unit_test(owners), cmocka_unit_test(forged),
		cmocka_unit_test(reported) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
