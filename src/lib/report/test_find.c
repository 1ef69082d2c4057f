/* SPDX-License-Identifier: MIT
 * The report in a mail is found by what it is, and nothing else is taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/report/dmarc.h"
#include "lib/report/find.h"

#define XML "<?xml version=\"1.0\"?>\n<feedback><report_metadata/></feedback>"

static enum report_form
form_in(const char *mail)
{
	own(arena_p) a = arena_new("mail", 1 << 20);
	own(buf_t) part = { .max = 1 << 20 };
	struct report_walk w;
	struct mime m;

	assert_true(mime_parse(slice_z(mail), a, &m));
	w = report_walk_of(&m);
	return report_next(&w, &part);
}

static void
bytes(void **state)
{
	own(buf_t) gz = { .max = 4096 };

	assert_int_equal(report_form(S(XML)), REPORT_FORM_DMARC);
	assert_int_equal(report_form(S("\xef\xbb\xbf\r\n " XML)), REPORT_FORM_DMARC);
	assert_int_equal(report_form(S("{\"organization-name\":\"x\",\"policies\":[]}")), REPORT_FORM_TLS);
	assert_int_equal(report_form(S("")), REPORT_FORM_NONE);
	assert_int_equal(report_form(S("<html><body>hi</body></html>")), REPORT_FORM_NONE);
	assert_int_equal(report_form(S("{\"a\":1}")), REPORT_FORM_NONE);
	assert_true(report_gzip(&gz, S(XML)));
	assert_int_equal(report_form(buf_slice(&gz)), REPORT_FORM_DMARC);
	for (size_t n = 0; n < gz.n; n++) /* every truncation is something or nothing */
		(void)report_form(slice_head(buf_slice(&gz), n));
	assert_int_equal(report_form(S("PK\x03\x04 no archive")), REPORT_FORM_NONE);
}

static void
mails(void **state)
{
	static const struct {
		const char *mail;
		enum report_form form;
	} table[] = {
		{ "Subject: hello\r\n\r\nhello\r\n", REPORT_FORM_NONE },
		{ "Content-Type: text/html\r\n\r\n<html>feedback</html>\r\n", REPORT_FORM_NONE },
		{ "Content-Type: text/plain\r\n\r\n" XML, REPORT_FORM_DMARC },
		{ "Content-Type: application/octet-stream; name=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		  "PGZlZWRiYWNrPjwvZmVlZGJhY2s+\r\n", REPORT_FORM_DMARC },
		{ "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nsee below\r\n--b\r\n"
		  "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n--b--\r\n", REPORT_FORM_ARF },
		{ "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee below\r\n--b\r\n"
		  "Content-Type: message/rfc822\r\n\r\nContent-Type: text/xml\r\n\r\n" XML "\r\n--b--\r\n",
		    REPORT_FORM_DMARC },
		{ "Content-Type: application/tlsrpt+json\r\n\r\n{\"policies\":[]}", REPORT_FORM_TLS },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (form_in(table[i].mail) != table[i].form)
			fail_msg("mail %zu: form %d", i, (int)form_in(table[i].mail));
}

/* Only so many parts are decoded. */
static void
many_parts(void **state)
{
	own(buf_t) b = { .max = 1 << 20 };

	(void)buf_add(&b, S("Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
	for (unsigned i = 0; i < LIMIT_REPORT_PARTS; i++)
		(void)buf_add(&b, S("--b\r\n\r\nnothing\r\n"));
	(void)buf_add(&b, S("--b\r\n\r\n" XML "\r\n--b--\r\n"));
	assert_true(buf_byte(&b, 0));
	assert_int_equal(form_in((const char *)b.p), REPORT_FORM_NONE);
}

static void
verified(void **state)
{
	static const struct {
		const char *mail;
		bool is;
	} table[] = {
		{ "Authentication-Results: mx.example;\r\n\tdmarc=pass header.from=a.example\r\n\r\n", true },
		{ "Authentication-Results: MX.example; spf=pass; dmarc=fail\r\n\r\n", false },
		{ "Authentication-Results: other.example; dmarc=pass\r\n\r\n", false },
		{ "Authentication-Results: mx.example; dmarc=fail\r\nAuthentication-Results: mx.example; dmarc=pass\r\n\r\n",
		    false }, /* ours stands first */
		{ "Subject: x\r\n\r\nAuthentication-Results: mx.example; dmarc=pass\r\n", false },
		{ "", false },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (report_verified(slice_z(table[i].mail), S("mx.example")) != table[i].is)
			fail_msg("mail %zu", i);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bytes), cmocka_unit_test(mails),
		cmocka_unit_test(many_parts), cmocka_unit_test(verified) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
