/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/make/dsn/dsn.h"
#include "lib/make/dsn/words.h"

#define MESSAGE "Received: by x\r\nFrom: a@example.org\r\nSubject: hello\r\n\r\nthe body\r\n"

static struct dsn_rcpt eve = { .address = S_INIT("eve@remote.example"), .orcpt = S_INIT("rfc822;Eve+2Bx@remote.example"),
	.status = S_INIT("5.1.1"), .code = 550, .remote = S_INIT("mx.remote.example"), .said = S_INIT("no such user") };

static struct dsn
failed(void)
{
	return (struct dsn){ .host = S("mail.example.test"), .id = S("0123456789abc.99"),
		.about = S("0123456789abc.1"), .to = S("a@example.org"), .envid = S("QQ+3D314"), .seconds = 1700000300,
		.arrived = 1700000000, .rcpts = &eve, .n = 1, .original = dsn_header(S(MESSAGE)) };
}

static bool
has(const struct buf *b, const char *text)
{
	return slice_find(buf_slice(b), slice_z(text)) != SLICE_NONE;
}

/* RFC 3464, whole: a change of it is meant. */
static void
whole(void **state)
{
	own(buf_t) b = { .max = LIMIT_DSN };
	struct dsn d = failed();

	assert_true(dsn_write(&b, &d));
	assert_true(slice_eq(buf_slice(&b), S(
	    "Date: Tue, 14 Nov 2023 22:18:20 +0000\r\n"
	    "From: Mail Delivery System <MAILER-DAEMON@mail.example.test>\r\n"
	    "To: <a@example.org>\r\n"
	    "Subject: Undelivered Mail Returned to Sender\r\n"
	    "Message-ID: <0123456789abc.99@mail.example.test>\r\n"
	    "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"=_0123456789abc.99_0\"\r\n"
	    "\r\n\r\n--=_0123456789abc.99_0\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\nContent-Description: Notification\r\n\r\n"
	    "This is the mail server at mail.example.test\r\n\r\n"
	    "Your message could not be delivered to:\r\n\r\n"
	    "<eve@remote.example>\r\n"
	    "    There is no such user there.\r\n"
	    "    The server mx.remote.example said:\r\n    550 5.1.1 no such user\r\n\r\n"
	    "The administrator finds more under the number 0123456789abc.1.\r\n"
	    "The header of your message is attached.\r\n"
	    "\r\n--=_0123456789abc.99_0\r\n"
	    "Content-Type: message/delivery-status\r\nContent-Description: Delivery report\r\n\r\n"
	    "Reporting-MTA: dns; mail.example.test\r\n"
	    "Original-Envelope-Id: QQ=314\r\n"
	    "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
	    "X-Postern-Queue-ID: 0123456789abc.1\r\n\r\n"
	    "Original-Recipient: rfc822; Eve+x@remote.example\r\n"
	    "Final-Recipient: rfc822; eve@remote.example\r\n"
	    "Action: failed\r\nStatus: 5.1.1\r\n"
	    "Remote-MTA: dns; mx.remote.example\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
	    "Last-Attempt-Date: Tue, 14 Nov 2023 22:18:20 +0000\r\n"
	    "\r\n--=_0123456789abc.99_0\r\n"
	    "Content-Type: text/rfc822-headers; charset=us-ascii\r\n"
	    "Content-Description: Header of your message\r\n\r\n"
	    "Received: by x\r\nFrom: a@example.org\r\nSubject: hello\r\n"
	    "\r\n--=_0123456789abc.99_0--\r\n")));
}

/* O-004 */
static void
remote_text_is_escaped(void **state)
{
	static const char *const evil[] = { "x\r\nAction: delivered\r\n", "\r\n\r\n--=_0123456789abc.99_0--\r\nFrom root",
		"\x1b[2J\x07", "\nFrom mallory", "caf\xc3\xa9 \xff" };

	for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
		own(buf_t) b = { .max = LIMIT_DSN };
		struct dsn d = failed();
		struct dsn_rcpt r = eve;

		r.said = r.remote = r.address = slice_z(evil[i]);
		r.orcpt = S("rfc822;a+0D+0AAction:+20delivered");
		d.envid = S("a+0D+0Ab");
		d.rcpts = &r;
		assert_true(dsn_write(&b, &d));
		assert_false(has(&b, "\nAction: delivered") || has(&b, "\nFrom root") || has(&b, "\nFrom mallory") ||
		    has(&b, "\x1b") || has(&b, "\xff"));
		assert_true(has(&b, "Original-Envelope-Id: a\\x0d\\x0ab\r\n"));
		for (size_t at = 0; at < b.n; at++)
			assert_true(b.p[at] < 0x80 && (b.p[at] >= 0x20 || b.p[at] == '\r' || b.p[at] == '\n' || b.p[at] == '\t'));
	}
}

static void
kinds(void **state)
{
	static const struct {
		enum dsn_kind kind;
		const char *status, *action, *written;
	} table[] = {
		{ DSN_FAILED, "4.4.7", "Action: failed\r\n", "Status: 5.4.7\r\n" },
		{ DSN_FAILED, "", "Action: failed\r\n", "Status: 5.0.0\r\n" },
		{ DSN_DELAYED, "4.4.1", "Action: delayed\r\n", "Status: 4.4.1\r\n" },
		{ DSN_DELAYED, "", "Will-Retry-Until: ", "Status: 4.0.0\r\n" },
		{ DSN_DELIVERED, "2.1.5", "Action: delivered\r\n", "Status: 2.1.5\r\n" },
		{ DSN_RELAYED, "x", "Action: relayed\r\n", "Status: 2.0.0\r\n" },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(buf_t) b = { .max = LIMIT_DSN };
		struct dsn d = failed();
		struct dsn_rcpt r = eve;

		d.kind = table[i].kind;
		d.until = 1700400000;
		r.status = slice_z(table[i].status);
		d.rcpts = &r;
		assert_true(dsn_write(&b, &d));
		assert_true(has(&b, table[i].action) && has(&b, table[i].written));
		assert_true(has(&b, "\r\nAuto-Submitted: auto-replied\r\n"));
	}
}

/* RFC 6533 */
static void
beyond_ascii(void **state)
{
	own(buf_t) b = { .max = LIMIT_DSN };
	struct dsn d = failed();
	struct dsn_rcpt r = eve;

	assert_false(dsn_is_utf8(&d) || dsn_is_8bit(&d));
	r.address = S("j\xc3\xb6rg\\x@example.org");
	d.rcpts = &r;
	d.original = S("Subject: \xc3\xa9\r\n");
	assert_true(dsn_write(&b, &d));
	assert_true(has(&b, "Final-Recipient: utf-8; j\\x{F6}rg\\x{5C}x@example.org\r\n"));
	assert_true(has(&b, "Content-Type: message/global-headers\r\n") && dsn_is_8bit(&d));
	d.to = S("\xc3\xa4@example.org");
	buf_reset(&b);
	assert_true(dsn_write(&b, &d) && dsn_is_utf8(&d) && has(&b, "To: <\xc3\xa4@example.org>\r\n"));
}

static void
bounded(void **state)
{
	own(buf_t) b = { .max = LIMIT_DSN };
	static uint8_t big[3 * LIMIT_DSN_HEADER];
	static struct dsn_rcpt many[1000];
	struct dsn d = failed();
	struct slice head;

	for (size_t i = 0; i < sizeof big; i++)
		big[i] = i % 64 == 62 ? '\r' : i % 64 == 63 ? '\n' : 'a';
	head = dsn_header(slice_of(big, sizeof big));
	assert_true(head.n <= LIMIT_DSN_HEADER && slice_ends(head, S("\r\n")));
	assert_int_equal(dsn_header(S("")).n, 0);
	assert_int_equal(dsn_header(S("no line end")).n, 11);
	for (size_t i = 0; i < 1000; i++)
		many[i] = eve;
	d.rcpts = many;
	d.n = 1000;
	assert_true(dsn_write(&b, &d) && has(&b, "and 800 more.") && b.n < 200000);
}

/* The boundary does not occur in what is returned, whoever knows our ids. */
static void
boundary_is_ours(void **state)
{
	own(buf_t) b = { .max = LIMIT_DSN };
	struct dsn d = failed();

	d.original = S("X: --=_0123456789abc.99_0--\r\nY: =_0123456789abc.99_1\r\n");
	assert_true(dsn_write(&b, &d) && has(&b, "boundary=\"=_0123456789abc.99_2\""));
}

static void
words(void **state)
{
	static const struct {
		const char *status;
		uint32_t code;
		const char *words;
	} table[] = {
		{ "5.1.1", 550, "There is no such user there." }, { "4.2.2", 452, "The mailbox is full." },
		{ "5.7.1", 550, "The other server has refused the message by its rules." },
		{ "5.7.99", 0, "The other server does not permit it." },
		{ "5.1.10", 556, "The domain says that it takes no mail at all." },
		{ "", 421, "The other server is closing or overloaded." }, { "", 599, "The other server has refused the message." },
		{ "5.0.0", 550, "The other server does not take mail for this address." },
		{ "nonsense", 0, "It could not be delivered." }, { "9.9.9", 450, "The mailbox is busy, or the other server wants the message again later." },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		assert_true(slice_eq(dsn_words(slice_z(table[i].status), table[i].code), slice_z(table[i].words)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(whole), cmocka_unit_test(remote_text_is_escaped),
		cmocka_unit_test(kinds), cmocka_unit_test(beyond_ascii), cmocka_unit_test(bounded),
		cmocka_unit_test(boundary_is_ours), cmocka_unit_test(words) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
